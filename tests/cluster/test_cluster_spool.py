"""Results on disk: a disk that takes none, and a server that comes back at another address."""

import json
import multiprocessing
import os
import resource
import signal
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from cluster_site import Site
from cluster_trials import (
    check_campaign,
    held_campaign,
    is_working,
    n_completed,
    submitted,
    wait_until_held,
)
from fireworks.core.firework import FWAction
from fireworks.core.fworker import FWorker
from fireworks.utilities import fw_serializers
from pymongo import MongoClient

from superionic.cluster import process
from superionic.cluster.recovery import recover, recover_process
from superionic.cluster.retry import DatabaseAwayError, RetryPolicy
from superionic.cluster.site import launchpad_in
from superionic.cluster.spool import Result, Spool, SpoolError, SpoolingJobStore
from superionic.cluster.worker import HANDED_BACK
from superionic.store.database.server import local_server, server_status, start_server, stop_server
from superionic.store.database.stores import spec_from_uri
from zygote import Forked, Zygote

pytestmark = pytest.mark.process


def test_a_worker_whose_disk_is_full_stops_and_no_job_has_failed(
    server, tmp_path, database_name, zygote
):
    site = Site(server, tmp_path / "site", database_name, zygote)
    site.submit(held_campaign(site.folder, 2))
    try:
        # Full from the start: nothing is taken.
        before = site.states()
        assert site.worker("-n", "1", "--spool", "/dev/null/spool").wait(60) == 1
        assert "Results cannot be written to /dev/null/spool" in site.log_text()
        assert site.states() == before
        # Full while a job is computed.
        worker = site.worker("-n", "1", "--ping", "1")
        wait_until_held(site, 1, worker)
        for child in psutil.Process(worker.pid).children():
            if is_working(child):
                resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        (site.folder / "hold").unlink()
        assert worker.wait(60) == 1
        said = f"Results could not be written to {site.spool.directory}: no further jobs were taken"
        assert said in site.log_text()
        # The job at hand is done, though it was not on disk.
        assert site.states() == {"COMPLETED": 2, "READY": 2, "WAITING": 2}
        died = {"spec._superionic.deaths": {"$exists": True}}
        assert not site.database().fireworks.count_documents(died)
        assert not list(site.spool.directory.iterdir())
        assert not site.recover(settle_s=0)
        assert site.worker("-n", "1").wait(60) == 0
        assert site.states() == {"COMPLETED": 6}
    finally:
        site.close()


def test_a_job_whose_result_neither_disk_nor_database_takes_is_handed_back(
    server, tmp_path, database_name, monkeypatch
):
    """Its process ends with the status of a full disk, which is no death of the job's."""
    site = submitted(server, tmp_path / "site", 1, database=database_name)
    monkeypatch.chdir(tmp_path)
    with site.opened() as opened:
        spool = Spool(Path("/dev/null/spool"))
        spec = opened.database.spec
        setup = process.ProcessSetup(spec, opened.launchpad_spec, spool.directory)
        store = SpoolingJobStore(opened.database.job_store, RetryPolicy(0.0))
        ours, theirs = multiprocessing.Pipe(duplex=False)
        launchpad = process.WorkerLaunchPad(setup, RetryPolicy(0.0), store, spool, theirs)
        from jobflow import SETTINGS

        def away(*args):
            raise DatabaseAwayError("the database is away")

        monkeypatch.setattr(SETTINGS, "JOB_STORE", store)
        monkeypatch.setattr(process, "deliver", away)
        with pytest.raises(process.StopProcessError) as caught:
            process._launch_jobs(launchpad, store, setup, threading.Event())
        assert caught.value.code == process.EXIT_SPOOL
        found = recover_process(
            opened.database,
            opened.launchpad,
            Spool(tmp_path / "spool"),
            launchpad.owner,
            job_end=HANDED_BACK,
        )
        assert found.handed_back == [1]
        launchpad.client.close()
        ours.close()
    assert site.states() == {"READY": 1, "WAITING": 2}
    (job,) = site.database().fireworks.find({"fw_id": 1})
    assert "deaths" not in job["spec"]["_superionic"]


def test_a_disk_is_tried_as_results_are_written(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool")
    spool.check()
    assert not list(spool.directory.iterdir())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (spool.check, lambda: spool.write(result_of("launchpad", 1, 1, "owner"))):
        with pytest.raises(SpoolError, match="No space left on device"):
            write()
    assert not list(spool.directory.iterdir())


def test_files_that_cannot_be_read_are_set_aside_and_the_others_are_read(tmp_path):
    spool = Spool(tmp_path / "spool")
    for fw_id in (1, 2):
        path = spool.write(result_of("launchpad", fw_id, 1, "owner"))
        if fw_id == 1:
            spool.set_aside(path, doubled=True)
    for suffix in (".result", ".doubled"):
        (spool.directory / f"0-0-0{suffix}").write_bytes(b"cut")
    assert [result.fw_id for _, result in spool.entries()] == [2]
    assert [result.fw_id for _, result in spool.entries(doubled=True)] == [1]
    assert spool.count() == len(spool.doubled()) == len(spool.refused()) == 1


def result_of(launchpad: str, fw_id: int, launch_id: int, owner: str) -> Result:
    action = json.dumps(FWAction().to_dict())
    return Result(launchpad, fw_id, launch_id, "COMPLETED", action, owner, ())


DEAD = "nowhere|another boot/1/1|1|0.00"


def test_what_older_versions_spooled_with_the_local_server_is_found(tmp_path, monkeypatch):
    """They named the launchpad by its address, and the port is another after each start."""
    # FireWorks finds a task by importing all of its packages; their tests cannot be imported here.
    module = "fireworks.user_objects.firetasks.script_task"
    monkeypatch.setitem(fw_serializers.SAVED_FW_MODULES, "PyTask", module)
    data, spool = tmp_path / "data", Spool(tmp_path / "data" / "spool")
    with local_server(data) as before:
        spec = launchpad_in(spec_from_uri(before, "db", source="test"))
        launchpad = spec.open(RetryPolicy(20))
        launchpad.prepare()
        launchpad.owner = DEAD
        fw_id, launch_id = begun(launchpad)
        spool.write(result_of(spec.description, fw_id, launch_id, DEAD))
        spool.write(result_of("somebody else's", fw_id, launch_id + 1, "another"))
        launchpad.client.close()
    with port_in_use(before), local_server(data) as after:
        assert after != before
        spec = spec_from_uri(after, "db", source="test")
        launchpad = launchpad_in(spec).open(RetryPolicy(20))
        with spec.open() as database:
            found = recover(database, launchpad, spool, settle_s=0, expiration_s=0)
        assert found.results_sent == [fw_id]
        assert not found.results_refused
        assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "COMPLETED"
        assert spool.count() == 1  # the one of another launchpad stays where it is
        launchpad.client.close()


def test_an_outage_longer_than_the_patience_leaves_results_on_disk(tmp_path, zygote):
    """The local server is killed under a job; the next one has another port."""
    site = LocalSite(tmp_path / "site", zygote)
    path = held_campaign(site.folder, 1)
    server = start_server(site.data)
    try:
        assert site.start("submit", "-c", str(path)).wait(120) == 0, site.log_text()
        worker = site.start("worker", "-n", "1", "--ping", "1", "--patience", "1")
        wait_until_held(site, 1, worker)
        before = n_completed(site)
        os.kill(server.pid, signal.SIGKILL)
        (site.folder / "hold").unlink()
        assert worker.wait(60) == 1
        assert "superionic recover" in site.log_text()
        assert site.spool.count() == 1
        with port_in_use(server.uri):
            assert start_server(site.data).port != server.port
        assert n_completed(site) == before
        assert site.start("recover", "--settle", "0").wait(60) == 0
        assert "1 results were on disk and have been sent" in site.log_text()
        assert n_completed(site) == before + 1
        assert site.start("worker", "-n", "1").wait(60) == 0
        check_campaign(site, 1)
    finally:
        stop_server(site.data, force=True)


class LocalSite(Site):
    """Commands without any configuration: they use the local server."""

    def __init__(self, folder: Path, zygote: Zygote) -> None:
        self.folder, self.zygote, self.log = folder, zygote, folder / "log"
        self.data = folder / "data"
        folder.mkdir()

    def start(self, *arguments: str) -> Forked:
        environment = {k: v for k, v in self.environment.items() if k != "JOBFLOW_CONFIG_FILE"}
        return self.zygote.start(list(arguments), environment, self.folder, self.log)

    def database(self):
        return MongoClient(server_status(self.data).server.uri)["superionic"]


@contextmanager
def port_in_use(uri: str):
    """Keep the next server from this port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", urlsplit(uri).port))
        other.listen()
        yield


def begun(launchpad) -> tuple[int, int]:
    """Submit a job, and begin it."""
    from fireworks.core.firework import Firework, Workflow
    from fireworks.user_objects.firetasks.script_task import PyTask

    launchpad.add_wf(Workflow([Firework([PyTask(func="print")])]))
    fworker = FWorker("test", env={"superionic_owner": launchpad.owner})
    firework, launch_id = launchpad.checkout_fw(fworker, "/nowhere")
    return firework.fw_id, launch_id
