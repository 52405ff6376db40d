"""A potential that costs nothing, for all tests of this folder."""

import pytest
from spring_potential import Springs


@pytest.fixture
def springs() -> Springs:
    return Springs()
