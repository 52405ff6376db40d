import sys
from pathlib import Path

import pytest

for folder in ("network", "landscape", "workflows/campaign", "evaluation"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from spring_potential import Springs  # noqa: E402


@pytest.fixture
def springs() -> Springs:
    return Springs()
