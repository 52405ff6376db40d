"""Campaigns whose workers and servers are killed at random, and what must be true afterwards."""

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import psutil
from cluster_site import DATABASE, Server, Site, campaign, write_crystals

from zygote import Forked, Zygote

TOY = "ase:cluster_toy.Toy"
JOBS = ("prepare", "landscape", "descriptors")
WORKER = ("-n", "2", "--ping", "2", "--patience", "120", "--idle", "5")


def submitted(
    server: Server,
    folder: Path,
    n: int,
    *,
    database: str = DATABASE,
    potential: str = TOY,
    zygote: Zygote | None = None,
) -> Site:
    """Return a site with a campaign of n materials in its launchpad."""
    site = Site(server, folder, database, zygote)
    write_crystals(folder / "crystals.jsonl", n)
    path = campaign(folder, folder / "crystals.jsonl", potential)
    assert site.submit(path).n_submitted == n
    return site


def held_campaign(folder: Path, n: int) -> Path:
    """Write a campaign whose landscapes wait until the file ``hold`` is removed."""
    write_crystals(folder / "crystals.jsonl", n, anions="Te")
    (folder / "hold").touch()
    return campaign(folder, folder / "crystals.jsonl", f'{TOY}?{{"directory": "{folder}"}}')


def wait_until_held(site, n: int, *workers: Forked, timeout_s: float = 90) -> None:
    """Wait until processes are in the middle of n landscapes."""
    deadline = time.monotonic() + timeout_s
    while len(list(site.folder.glob("held-*"))) < n:
        codes = [worker.poll() for worker in workers]
        assert set(codes) == {None}, site.log_text()
        assert time.monotonic() < deadline, site.log_text()
        time.sleep(0.05)


def n_completed(site: Site) -> int:
    return site.states().get("COMPLETED", 0)


def finish(site: Site, n: int, *, timeout_s: float = 600) -> None:
    """Recover and work until everything is done, as a user would."""
    deadline = time.monotonic() + timeout_s
    while n_completed(site) < n * len(JOBS):
        assert time.monotonic() < deadline, (site.states(), site.log_text()[-5000:])
        site.recover()
        site.rerun("worker_died")  # by bad luck, the same job was hit three times
        site.worker(*WORKER).wait(timeout_s)
    assert not site.recover()


def kill_workers_at_random(site: Site, n: int, *, kills: int, seed: int) -> Counter:
    """Run a worker, and kill it or one of its processes, again and again; return what was hit."""
    dice = random.Random(seed)
    hit: Counter = Counter()
    worker = None
    while sum(hit.values()) < kills and n_completed(site) < n * len(JOBS):
        if worker is None or worker.poll() is not None:
            worker = site.worker(*WORKER)
            wait_for_progress(site, worker)
        time.sleep(dice.uniform(0.0, 1.0))
        if worker.poll() is not None:  # what is left is in the hands of the dead
            site.recover()
            site.rerun("worker_died")
            continue
        children = [c for c in psutil.Process(worker.pid).children() if is_working(c)]
        if children and dice.random() < 0.5:
            dice.choice(children).kill()
            hit["process"] += 1
        elif dice.random() < 0.5:
            worker.kill()  # its processes follow by themselves
            worker.wait()
            hit["supervisor"] += 1
        else:
            site.kill_worker(worker)
            hit["worker"] += 1
        if worker.poll() is not None and dice.random() < 0.5:
            site.recover()
    if worker is not None and worker.poll() is None:
        site.kill_worker(worker)
    return hit


def kill_server(site: Site, n: int, *, outages_s: tuple[float, ...]) -> int:
    """Run a worker, and kill the server under its feet; return how many kills hit work."""
    worker = site.worker(*WORKER)
    hits = 0
    for outage_s in outages_s:
        wait_for_progress(site, worker)
        hits += worker.poll() is None
        site.server.kill()
        time.sleep(outage_s)
        site.server.start()
    worker.wait(600 + 6 * n)
    return hits


def is_working(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:
        return False


def wait_for_progress(site: Site, worker: subprocess.Popen | Forked, timeout_s: float = 90) -> None:
    """Wait until a worker has done at least one job, so that kills hit work.

    Where nothing moves, locks of the dead are in the way, as a user would find.
    """
    start, before = time.monotonic(), n_completed(site)
    recover_at = start + 15
    while n_completed(site) == before and worker.poll() is None:
        now = time.monotonic()
        assert now - start < timeout_s, site.log_text()[-3000:]
        if now > recover_at:
            site.recover()
            recover_at = now + 15
        time.sleep(0.1)


def check_campaign(site: Site, n: int) -> None:
    """Check that every job of every material was done exactly once, and is there exactly once."""
    database = site.database()
    assert site.states() == {"COMPLETED": n * len(JOBS)}
    workflows = list(database.workflows.find({}))
    assert Counter(w["state"] for w in workflows) == {"COMPLETED": n}
    assert not [w["_id"] for w in workflows if "locked" in w]
    for workflow in workflows:
        assert set(workflow["fw_states"].values()) == {"COMPLETED"}

    # A job that ran to its end has a launch that is completed; one that was killed has not.
    ended = Counter(row["fw_id"] for row in database.launches.find({"state": "COMPLETED"}))
    everything = [
        (row["fw_id"], row["launch_id"], row["state"], row.get("action") is not None)
        for row in database.launches.find({})
    ]
    assert Counter(ended.values()) == {1: n * len(JOBS)}, sorted(everything)
    spool = site.folder / "data" / "spool"
    assert not spool.exists() or not list(spool.iterdir())

    expected = {f"salt-{i}" for i in range(n)}
    for kind in ("prepared", "landscape", "descriptors"):
        rows = [
            row["output"]["material_id"] for row in database.outputs.find({"output.kind": kind})
        ]
        assert Counter(rows) == dict.fromkeys(expected, 1), kind
    assert database.outputs.count_documents({}) == n * len(JOBS)
    # One blob for each landscape, with all its parts, and the document names it.
    blobs = database["outputs_blobs.files"].find({}, {"metadata.blob_uuid": 1})
    named = {
        row["output"]["arrays"]["blob_uuid"]
        for row in database.outputs.find({"output.kind": "landscape"})
    }
    assert Counter(b["metadata"]["blob_uuid"] for b in blobs) == dict.fromkeys(named, 1)
    assert len(named) == n


def descriptors(site: Site) -> dict[str, tuple]:
    """Return the numbers of each material."""
    rows = site.database().outputs.find({"output.kind": "descriptors"})
    outputs = [row["output"] for row in rows]
    return {o["material_id"]: (o["xi"], o["mpe_eV"], o["n_evaluations"]) for o in outputs}
