"""The examples in docstrings do what they say."""

import doctest
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from superionic.front import NAMES, load
from superionic.settings import get_settings
from superionic.store.database.server import stop_server

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if ">>> " in path.read_text())
MODULES = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the examples a database of their own, and the folder of the repository."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JOBFLOW_CONFIG_FILE", "SUPERIONIC_DATABASE_URI", "SUPERIONIC_DATABASE_NAME"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(folder))
        patch.setenv("SUPERIONIC_CONFIG_FILE", str(folder / "superionic.yaml"))
        patch.setenv("SUPERIONIC_DATA_DIR", str(folder / "data"))
        patch.chdir(ROOT)
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()
    if (folder / "data").exists():
        stop_server(folder / "data", force=True)


@pytest.mark.process
@pytest.mark.real_potential
@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        failed, _ = doctest.testmod(module, optionflags=OPTIONS)
    assert not failed


def test_every_name_of_the_package_has_an_example_and_its_parameters():
    for name in NAMES:
        thing = load(name)
        if isinstance(thing, type):
            continue
        assert "Examples\n" in thing.__doc__, name
        assert ">>> import superionic as si\n" in thing.__doc__, name
        for parameter in thing.__annotations__:
            assert parameter == "return" or parameter in thing.__doc__, f"{name}: {parameter}"
