"""Each test has a cache directory of its own, so that self-checks run, and are kept, in it."""

import os
from pathlib import Path

import pytest

from superionic.settings import get_settings


@pytest.fixture(autouse=True)
def cache_dir(tmp_path, monkeypatch):
    path = tmp_path / "cache"
    monkeypatch.setenv("SUPERIONIC_CACHE_DIR", str(path))
    get_settings.cache_clear()
    yield path
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def shared_models():
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED names no folder with the weights of matgl potentials")
    return Path(shared) / "models"
