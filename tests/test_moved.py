"""What was stored with the paths of former modules can be read."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from monty.json import MontyDecoder

import superionic.landscape.settings
import superionic.workflows.jobs.landscape
from superionic import moved
from superionic.workflows.jobs.landscape import LandscapeMaker

GONE = {
    *("diffusion.elastic_band", "evaluation.paths"),
    *(f"surrogate.{name}" for name in ("controls", "descriptors", "pretraining", "run_study")),
    *(f"surrogate.{name}" for name in ("study", "study_data", "study_settings", "summary")),
    *("surrogate.unlabelled", "cluster.portions", "landscape.adaptive"),
}
"""Modules of studies and helpers, which no campaign has ever stored anything of."""


@pytest.fixture
def former(monkeypatch):
    paths = {
        "superionic.old": "superionic.workflows.jobs",
        "superionic.grids": "superionic.landscape.settings",
    }
    monkeypatch.setattr(moved, "MOVED", paths)
    yield
    for name in [name for name in sys.modules if name.startswith(tuple(paths))]:
        del sys.modules[name]


def test_a_module_that_moved_is_the_same_module(former):
    landscape = importlib.import_module("superionic.old.landscape")
    assert landscape is superionic.workflows.jobs.landscape
    grids = importlib.import_module("superionic.grids")
    assert grids is superionic.landscape.settings
    assert (
        superionic.workflows.jobs.landscape.__spec__.name == "superionic.workflows.jobs.landscape"
    )


def test_documents_and_jobs_of_then_are_read(former):
    maker = LandscapeMaker(energies_per_job=7)
    stored = maker.as_dict()
    stored["@module"] = "superionic.old.landscape"
    stored["settings"]["@module"] = "superionic.grids"
    decoded = MontyDecoder().process_decoded(stored)
    assert decoded == maker
    assert type(decoded) is LandscapeMaker
    call = {"@module": "superionic.old.landscape", "@callable": "LandscapeMaker.make"}
    call["@bound"] = stored
    assert MontyDecoder().process_decoded(call).__self__ == maker


def test_what_is_nowhere_is_not_found(former):
    with pytest.raises(ModuleNotFoundError):
        import superionic.old.nothing
    with pytest.raises(ModuleNotFoundError):
        import superionic.older  # noqa: F401


def test_the_paths_that_are_listed_lead_somewhere():
    for path, now in moved.MOVED.items():
        assert importlib.import_module(path) is importlib.import_module(now)


def test_every_module_of_before_is_found_by_its_path_of_then():
    """So that whatever a class was stored with is read; names alone, as imports take long."""
    former = (Path(__file__).parent / "data" / "former_modules.txt").read_text().split()
    assert len(former) > 300
    missing = {path for path in former if not is_there(moved.current_path(path))}
    assert missing == {f"superionic.{path}" for path in GONE}


def is_there(path: str) -> bool:
    try:
        return find_spec(path) is not None
    except ModuleNotFoundError:
        return False
