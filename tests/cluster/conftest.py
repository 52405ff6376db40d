"""One database server for all tests here; each test has its own database on it."""

from itertools import count

import pytest
from cluster_site import DATABASE, Server, server_at

from superionic.settings import get_settings

_NUMBERS = count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with server_at(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def database_name(server: Server):
    """The name of a database that the operator may write and that is empty."""
    return f"{DATABASE}{next(_NUMBERS)}"


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """Let the self-check of the toy run once for all workers, and campaign files name the toy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERIONIC_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("SUPERIONIC_CALCULATORS", "cluster_toy")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()
