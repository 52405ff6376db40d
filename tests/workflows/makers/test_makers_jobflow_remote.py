"""jobflow-remote as a second engine, with its local worker; in an environment of its own.

It asks for a pymongo below 4.11, so it is not part of the environment of the other tests:
docs/howto/jobflow_remote.md says how to run this one.
"""

import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from campaign_fixtures import TOY, rock_salt
from jobflow import Flow, job

from superionic.landscape.settings import LandscapeSettings
from superionic.store.builders.documents import read_document
from superionic.structures.candidate import Candidate
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.makers.screen import ScreenMaker

pytest.importorskip("jobflow_remote", reason="jobflow-remote is not installed; it pins pymongo")

MAKER = ScreenMaker(
    potential=TOY,
    relax_maker=None,
    landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.9)),
)


@job
def hand_over(structure):
    """Stand for a relaxation."""
    return structure


@pytest.fixture
def project(server_uri: str, surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a project with a worker on this machine."""
    address = urlsplit(server_uri)
    common = {"host": address.hostname, "port": address.port, "database": "jobflow_remote_test"}
    tests = Path(__file__).parents[2]  # the job is of this file, which imports from all of these
    here = [str(tests), str(tests / "workflows/makers"), str(tests / "workflows/campaign")]
    content = {
        "name": "superionic",
        "workers": {
            "local": {
                "type": "local",
                "scheduler_type": "shell",
                "work_dir": str(surroundings / "work"),
                "pre_run": f"export PATH={Path(sys.executable).parent}:$PATH\n"
                f"export PYTHONPATH={':'.join(here)}:$PYTHONPATH",
                "timeout_execute": 60,
            }
        },
        "queue": {"store": {"type": "MongoStore", "collection_name": "jobs", **common}},
        "jobstore": {
            "docs_store": {"type": "MongoStore", "collection_name": "outputs", **common},
            "additional_stores": {
                "data": {"type": "GridFSStore", "collection_name": "arrays", **common}
            },
        },
        "runner": {"delay_checkout": 1, "delay_check_run_status": 1, "delay_advance_status": 1},
    }
    folder = surroundings / "projects"
    folder.mkdir()
    (folder / "superionic.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("JFREMOTE_PROJECTS_FOLDER", str(folder))
    from jobflow_remote import SETTINGS

    monkeypatch.setattr(SETTINGS, "projects_folder", str(folder))
    return "superionic"


@pytest.mark.process
def test_a_flow_behind_another_runs_on_a_local_worker(project):
    from jobflow_remote import get_jobstore, submit_flow
    from jobflow_remote.jobs.jobcontroller import JobController
    from jobflow_remote.jobs.runner import Runner

    controller = JobController.from_project_name(project)
    controller.reset()
    crystal = rock_salt("Cl", 5.1)
    before = hand_over(crystal)
    screen = MAKER.make(before.output, "salt")
    screen.update_maker_kwargs({"settings": {"grid_step_A": 1.1}}, class_filter=LandscapeMaker)
    submit_flow(Flow([before, screen]), worker="local", project=project)
    Runner(project_name=project).run_all_jobs(max_seconds=300)
    states = {one.name: one.state.value for one in controller.get_jobs_info()}
    assert states == dict.fromkeys(
        ["hand_over", "prepare", "landscape", "descriptors"], "COMPLETED"
    )
    store = get_jobstore(project)
    store.connect()
    document = read_document(store.get_output(screen.output.uuid, load=True))
    coarse = replace(
        MAKER, landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=1.1))
    )
    assert document.task_key == coarse.key(Candidate("salt", crystal))
    assert document.mpe_eV > 0
