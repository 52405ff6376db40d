"""The task of a job: loaded when it runs, and written while its launch counts."""

import pytest
from cluster_site import PASSWORD
from cluster_trials import submitted
from fireworks.core.firework import Firework
from fireworks.core.fworker import FWorker
from fireworks.core.launchpad import LaunchPad
from jobflow.managers.fireworks import JobFiretask

from superionic.cluster.task import JobLoadError, LateResultError

pytestmark = pytest.mark.process


@pytest.fixture
def site(server, tmp_path, database_name):
    made = submitted(server, tmp_path / "site", 1, database=database_name)
    yield made
    made.close()


@pytest.fixture
def plain(site, monkeypatch, tmp_path):
    """FireWorks' own launchpad, and the results of the site for jobflow."""
    from jobflow import SETTINGS

    launchpad = LaunchPad.from_file(str(site.launchpad_file))
    monkeypatch.chdir(tmp_path)
    with site.opened() as opened:
        monkeypatch.setattr(SETTINGS, "JOB_STORE", opened.database.job_store)
        yield launchpad
    launchpad.connection.close()


def begun(launchpad):
    """The first job, as plain rlaunch takes and prepares it."""
    firework, launch_id = launchpad.checkout_fw(FWorker(), "/nowhere")
    (task,) = firework.tasks
    task.launchpad, task.fw_id = launchpad, firework.fw_id
    return firework, launch_id, task


def test_a_job_stays_as_it_is_stored_until_it_runs(site):
    (stored,) = site.database().fireworks.find({"fw_id": 1})
    poison = {"@module": "a_module_that_is_not_there", "@class": "X"}
    job = stored["spec"]["_tasks"][0]["job"]
    job["function_kwargs"] = {"x": poison, "when": "2026-01-01T00:00:00"}
    stored["launches"] = []
    firework = Firework.from_dict(stored)
    assert firework.to_db_dict()["spec"]["_tasks"] == stored["spec"]["_tasks"]


def test_plain_rlaunch_writes_while_its_launch_counts(site, plain):
    firework, launch_id, task = begun(plain)
    task.run_task(firework.spec)
    (document,) = site.database().outputs.find({})
    assert document["metadata"]["launch_id"] == launch_id


def test_plain_rlaunch_that_comes_too_late_writes_nothing(site, plain, monkeypatch):
    firework, _, task = begun(plain)
    from jobflow import SETTINGS

    run, store, others = JobFiretask.run_task, SETTINGS.JOB_STORE, []

    def slow(self, fw_spec):
        """While it runs, its job is given to another one, who has done it when this one ends."""
        done = run(self, fw_spec)
        if not others:
            plain.rerun_fw(firework.fw_id)
            others.append(begun(plain))
            again, _, other = others[0]
            with monkeypatch.context() as patch:  # as in a process of its own
                patch.setattr(SETTINGS, "JOB_STORE", store)
                other.run_task(again.spec)
        return done

    monkeypatch.setattr(JobFiretask, "run_task", slow)
    with pytest.raises(LateResultError, match="given to another process"):
        task.run_task(firework.spec)
    ((_, launch_id, _),) = others
    (document,) = site.database().outputs.find({})
    assert document["metadata"]["launch_id"] == launch_id
    # Also when it was given to another one before it began.
    plain.rerun_fw(firework.fw_id)
    with pytest.raises(LateResultError):
        task.run_task(firework.spec)
    assert list(site.database().outputs.find({})) == [document]


def test_a_job_that_cannot_be_loaded_fails_by_the_name_of_its_material(site, plain):
    leaves = {"@module": "unittest.__main__", "@class": "X"}  # it ends the process
    poison = {"spec._tasks.0.job.function_kwargs": {"x": leaves}}
    site.database().fireworks.update_one({"fw_id": 1}, {"$set": poison})
    firework, _, task = begun(plain)
    with pytest.raises(JobLoadError, match=r"^salt-0: The job cannot be loaded"):
        task.run_task(firework.spec)
    assert PASSWORD not in str(task.to_dict())
