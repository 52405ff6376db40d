"""Moments at which a process or the server dies, one by one; the soak meets them by chance."""

import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import unquote

import pytest
from cluster_trials import submitted
from fireworks.core.firework import Firework, FWAction
from fireworks.core.fworker import FWorker
from fireworks.user_objects.firetasks.script_task import PyTask
from pymongo.errors import AutoReconnect

from superionic.cluster import process
from superionic.cluster.recovery import Recovery, end_lost_launches, recover_process
from superionic.cluster.repair import release, repair_workflow, rerun, reserved
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import read_launchpad
from superionic.cluster.spool import Result, Spool, SpoolingJobStore
from superionic.store.database.owner import this_process
from superionic.store.database.stores import spec_from_uri

pytestmark = pytest.mark.process

DEAD = "nowhere|another boot/1/1|1|0.00"
QUICK = RetryPolicy(20.0)


class Forgetful:
    """A collection whose server dies once, after it has done an operation and before it says so."""

    def __init__(self, collection, operation, meanwhile=lambda: None):
        self._collection = collection
        self._operation = operation
        self._meanwhile = meanwhile

    def __getattr__(self, name):
        attribute = getattr(self._collection, name)
        if name != self._operation:
            return attribute

        def once(*args, **kwargs):
            done = attribute(*args, **kwargs)
            if self._operation is None:
                return done
            self._operation = None
            self._meanwhile()
            raise AutoReconnect("the server died")

        return once


@pytest.fixture
def site(server, tmp_path, database_name):
    made = submitted(server, tmp_path / "site", 1, database=database_name)
    yield made
    made.close()


@contextmanager
def launchpads(site, *owners):
    """Launchpads as different processes have them."""
    spec = read_launchpad(site.launchpad_file)
    opened = []
    for owner in owners:
        opened.append(spec.open(QUICK))
        opened[-1].owner = owner
    yield opened
    for launchpad in opened:
        launchpad.client.close()


def worker_of(launchpad):
    return FWorker("test", env={"superionic_owner": launchpad.owner})


def take(launchpad):
    firework, launch_id = launchpad.checkout_fw(worker_of(launchpad), "/nowhere")
    return (None, None) if firework is None else (firework.fw_id, launch_id)


def jobs(site):
    rows = site.database().fireworks.find({}).sort("fw_id", 1)
    return [(row["state"], row["launches"]) for row in rows]


def launches(site):
    rows = site.database().launches.find({}).sort("launch_id", 1)
    return {row["launch_id"]: row["state"] for row in rows}


def known(site):
    (workflow,) = site.database().workflows.find({})
    assert "locked" not in workflow
    return [workflow["fw_states"][node] for node in sorted(workflow["fw_states"])]


def test_a_job_stays_done_when_its_supervisor_dies_at_its_end(site, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = spec_from_uri(site.server.uri(), site.database_name, source="test")
    spool = Spool(tmp_path / "spool")
    setup = process.ProcessSetup(spec, read_launchpad(site.launchpad_file), spool.directory)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    end = process.CampaignLaunchPad.end_launch

    def die_afterwards(self, *args, **kwargs):
        done = end(self, *args, **kwargs)
        ours.close()
        return done

    monkeypatch.setattr(process.CampaignLaunchPad, "end_launch", die_afterwards)
    with spec.open() as database:
        store = SpoolingJobStore(database.job_store, QUICK)
        launchpad = process.WorkerLaunchPad(setup, QUICK, store, spool, theirs)
        from jobflow import SETTINGS

        monkeypatch.setattr(SETTINGS, "JOB_STORE", store)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(process.StopProcessError):
            process._launch_jobs(launchpad, store, setup, threading.Event())
        launchpad.client.close()
    assert jobs(site) == [("COMPLETED", [1]), ("READY", []), ("WAITING", [])]
    assert launches(site) == {1: "COMPLETED"}
    assert known(site) == ["COMPLETED", "READY", "WAITING"]
    assert spool.count() == 0
    assert site.database().outputs.count_documents({}) == 1


def test_a_job_keeps_its_launch_when_the_writing_that_made_it_ready_is_repeated(site):
    with launchpads(site, "first", "second") as (first, second):
        _, launch = take(first)
        taken = []

        class Forgets(Forgetful):
            """Forgets when the child is written, and another process takes it then."""

            def __getattr__(self, name):
                attribute = getattr(self._collection, name)
                if name != "replace_one":
                    return attribute

                def replace(criteria, document, **kwargs):
                    done = attribute(criteria, document, **kwargs)
                    if document.get("state") == "READY" and not taken:
                        taken.append(take_by_force(second))
                        raise AutoReconnect("the server died")
                    return done

                return replace

        first.fireworks.once = Forgets(first.fireworks.once, "replace_one")
        first.complete_launch(launch, FWAction(), "COMPLETED")
        (child,) = taken
        assert jobs(site) == [("COMPLETED", [1]), ("RUNNING", [child]), ("WAITING", [])]
        second._refresh_wf(2)
        second.complete_launch(child, FWAction(), "COMPLETED")
        assert jobs(site) == [("COMPLETED", [1]), ("COMPLETED", [child]), ("READY", [])]
        assert known(site) == ["COMPLETED", "COMPLETED", "READY"]


@pytest.mark.parametrize("name", ["a_package_that_is_not_there.Task", "unittest.__main__.X"])
def test_a_job_of_somebody_else_that_cannot_be_loaded_is_left_alone(site, name):
    """It comes first, and is as it was afterwards; the others go on."""
    with launchpads(site, "first") as (first,):
        first.add_wf(Firework([PyTask(func="print")], spec={"_priority": 9}))
        foreign = {"spec._tasks.0._fw_name": f"{{{{{name}}}}}"}
        site.database().fireworks.update_one({"fw_id": 4}, {"$set": foreign})
        assert take(first) == (1, 1)
        assert take(first) == (None, None)
    assert jobs(site) == [("RUNNING", [1]), ("WAITING", []), ("WAITING", []), ("READY", [])]
    assert not reserved_by_anybody(site)


def reserved_by_anybody(site):
    return list(site.database().fireworks.find({"reserved_by": {"$exists": True}}))


def take_by_force(launchpad):
    """Take the next job, less the last step, which waits for a lock; return its launch."""
    launchpad._refresh_wf, refresh = lambda fw_id: None, launchpad._refresh_wf
    _, launch = take(launchpad)
    launchpad._refresh_wf = refresh
    return launch


def test_no_two_launches_have_the_same_number(site):
    """The local server's find_one_and_update may return what was before another one's update."""
    with launchpads(site, *"abcd") as opened:
        with ThreadPoolExecutor(len(opened)) as pool:
            taken = list(pool.map(lambda lp: [lp.get_new_launch_id() for _ in range(50)], opened))
        numbers = [number for some in taken for number in some]
        assert sorted(numbers) == list(range(1, 201))
        assert opened[0].get_new_fw_id(quantity=5) + 5 == opened[1].get_new_fw_id()


def test_giving_a_lock_back_twice_leaves_the_next_holder_alone(site):
    with launchpads(site, "first", "second") as (first, second):

        def meanwhile():
            second.workflows.update_one(
                {"nodes": 1, "locked": {"$exists": False}},
                {"$set": {"locked": True, "locked_by": second.owner}},
            )

        with first.lock(1):
            first.workflows.once = Forgetful(first.workflows.once, "update_one", meanwhile)
        (workflow,) = site.database().workflows.find({})
        assert workflow.get("locked_by") == "second"


def test_who_lost_a_lock_while_it_was_stopped_leaves_the_workflow_to_its_next_holder(site):
    with launchpads(site, "first", "second") as (first, second):
        _, launch = take(first)
        load = first.get_wf_by_fw_id_lzyfw

        def stopped(fw_id):
            workflow = load(fw_id)
            assert second.take_lock(1, "first")
            return workflow

        first.get_wf_by_fw_id_lzyfw = stopped
        first.complete_launch(launch, FWAction(), "COMPLETED")
        (workflow,) = site.database().workflows.find({})
        assert workflow["locked_by"] == "second"
        assert jobs(site)[:2] == [("RUNNING", [launch]), ("WAITING", [])]
        repair_workflow(second, 1)
    assert jobs(site)[:2] == [("COMPLETED", [launch]), ("READY", [])]
    assert known(site)[:2] == ["COMPLETED", "READY"]


def test_releasing_a_job_twice_leaves_the_next_one_who_takes_it_alone(site):
    with launchpads(site, DEAD, "second", "recover") as (dead, second, rescuer):
        assert dead._get_a_fw_to_run({}).fw_id == 1
        assert set(reserved(rescuer)) == {1}

        def meanwhile():
            assert second._get_a_fw_to_run({}).fw_id == 1

        rescuer.fireworks.once = Forgetful(rescuer.fireworks.once, "update_one", meanwhile)
        release(rescuer, 1, DEAD)
        (job,) = site.database().fireworks.find({"fw_id": 1})
        assert (job["state"], job["reserved_by"]) == ("RESERVED", "second")


def test_two_who_find_the_same_lost_job_hand_it_back_once(site):
    with launchpads(site, DEAD, "second", "one", "other") as (dead, second, one, other):
        _, lost = take(dead)
        found = Recovery()
        end = other.launches.update_one

        def when_the_other_is_done(*args, **kwargs):
            """Between the look at the launch and its end, another 'recover' does it all."""
            other.launches.update_one = end
            end_lost_launches(one, Recovery(), gone=is_of_the_dead)
            assert take(second) == (1, lost + 1)
            return end(*args, **kwargs)

        other.launches.update_one = when_the_other_is_done
        end_lost_launches(other, found, gone=is_of_the_dead)
        assert not found.handed_back
        assert jobs(site)[0] == ("RUNNING", [lost + 1])
        assert launches(site) == {lost: "FIZZLED", lost + 1: "RUNNING"}


def test_a_failed_job_that_runs_again_is_not_reset_by_a_second_rerun(site):
    with launchpads(site, "first", "second", "one", "other") as (first, second, one, other):
        _, failed = take(first)
        first.complete_launch(failed, FWAction(), "FIZZLED")
        assert rerun(one, [1]) == 1
        _, launch = take(second)
        assert rerun(other, [1]) == 0
        assert jobs(site)[0] == ("RUNNING", [launch])
        assert launches(site) == {failed: "FIZZLED", launch: "RUNNING"}


def is_of_the_dead(launch):
    return launch["fworker"]["env"]["superionic_owner"] == DEAD


def test_a_job_that_is_done_in_time_is_not_handed_back(site):
    """A process of another machine was silent for long, and ends while 'recover' looks at it."""
    with launchpads(site, DEAD, "recover") as (slow, rescuer):
        _, launch = take(slow)
        found = Recovery()
        end = rescuer.launches.update_one

        def when_it_is_done(*args, **kwargs):
            rescuer.launches.update_one = end
            slow.complete_launch(launch, FWAction(), "COMPLETED")
            return end(*args, **kwargs)

        rescuer.launches.update_one = when_it_is_done
        end_lost_launches(rescuer, found, gone=is_of_the_dead)
        assert not found.handed_back
        assert jobs(site)[:2] == [("COMPLETED", [launch]), ("READY", [])]
        assert launches(site) == {launch: "COMPLETED"}


def test_a_result_on_disk_is_sent_by_one(site, tmp_path):
    spool = Spool(tmp_path / "spool")
    with launchpads(site, DEAD) as (dead,):
        fw_id, launch = take(dead)
        action = json.dumps(FWAction().to_dict())
        result = Result(dead.identity, fw_id, launch, "COMPLETED", action, DEAD, ())
        path = spool.write(result)
    with spool.claimed(path) as mine, site.opened() as opened:
        assert mine
        found = recover_process(opened.database, opened.launchpad, spool, DEAD)
        assert not found  # nor is the job handed back meanwhile
    with spool.claimed(path) as mine:
        assert mine
    with site.opened() as opened:
        found = recover_process(opened.database, opened.launchpad, spool, DEAD)
    assert found.results_sent == [fw_id]
    with spool.claimed(path) as mine:
        assert not mine


def test_what_is_half_on_disk_goes_with_its_process(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool")
    alive = this_process().token
    dead = replace(this_process(), pid=4194305).token
    for owner in (alive, dead, DEAD):  # the last one on another machine
        result = Result("launchpad", 1, 1, "COMPLETED", "{}", owner, ())
        with monkeypatch.context() as patch:
            patch.setattr("os.replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                spool.write(result)
    assert len(list(spool.directory.iterdir())) == 3
    assert spool.count() == 0
    spool.sweep()
    left = [unquote(path.name.partition("~")[0]) for path in spool.directory.iterdir()]
    assert sorted(left) == sorted([alive, DEAD])


def interrupted(*args):
    raise KeyboardInterrupt
