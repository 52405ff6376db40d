"""The citation is that of the release."""

from pathlib import Path

import yaml

from superionic import __version__

ROOT = Path(__file__).parents[2]


def test_the_citation_is_that_of_this_release():
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert found["version"] == __version__
    assert found["license"] in (ROOT / "pyproject.toml").read_text()
    assert found["references"][0]["authors"][0]["family-names"] == "Maevskiy"
