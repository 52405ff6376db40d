"""Campaigns with real workers and a real server, undisturbed and disturbed."""

import json
import signal
import subprocess
import time
from collections import Counter

import pytest
from cluster_site import PASSWORD, PROGRAMS, TEST_MONGO_URI, Site, campaign, write_crystals
from cluster_trials import (
    JOBS,
    TOY,
    WORKER,
    check_campaign,
    finish,
    kill_server,
    kill_workers_at_random,
    submitted,
)

pytestmark = pytest.mark.process
needs_own_server = pytest.mark.skipif(
    bool(TEST_MONGO_URI), reason="the server of SUPERIONIC_TEST_MONGO_URI is not ours to kill"
)


@pytest.fixture
def site(server, tmp_path, database_name, zygote):
    made: list[Site] = []

    def make(n: int, **options) -> Site:
        options = {"database": database_name, "zygote": zygote, **options}
        made.append(submitted(server, tmp_path / "site", n, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_campaign_through_the_commands(site, zygote):
    n = 6
    opened = site(n, zygote=None)
    assert opened.submit(opened.folder / "campaign.yaml").n_queued == n
    at = ("-l", str(opened.launchpad_file))
    again = opened.ok("submit", "-c", str(opened.folder / "campaign.yaml"), *at)
    assert again.startswith("0 materials submitted")
    worker = opened.worker(*WORKER)
    assert worker.wait(120) == 0
    check_campaign(opened, n)
    assert f"{n * len(JOBS)} jobs done, 0 failed" in opened.log_text()
    assert "18 COMPLETED" in opened.forked(zygote, "status", *at)
    assert "Nothing to put right" in opened.forked(zygote, "recover", "--settle", "0", *at)
    assert f"{n} rows written" in opened.ok("build")
    assert "0 rows written" in opened.forked(zygote, "build")
    rows = list(opened.database().screening.find({}))
    assert Counter(row["material_id"] for row in rows) == {f"salt-{i}": 1 for i in range(n)}
    assert sorted(row["rank"] for row in rows) == list(range(1, n + 1))
    # FireWorks' own command sees every job, and no secret is in any document or log.
    lpad = subprocess.run(
        [PROGRAMS / "lpad", *at, "get_fws", "-s", "COMPLETED", "-d", "count"],
        capture_output=True,
        text=True,
        env=opened.environment,
        check=True,
    )
    assert str(n * len(JOBS)) in lpad.stdout
    for collection in opened.database().list_collection_names():
        for document in opened.database()[collection].find({}):
            assert PASSWORD not in str(document)
    assert PASSWORD not in opened.log_text()


def test_workers_killed_at_random_lose_and_double_nothing(site):
    n = 4
    opened = site(n)
    assert sum(kill_workers_at_random(opened, n, kills=3, seed=3).values()) > 0
    finish(opened, n)
    check_campaign(opened, n)


@needs_own_server
def test_a_server_killed_twice_loses_and_doubles_nothing(site):
    n = 4
    opened = site(n)
    assert kill_server(opened, n, outages_s=(0.0, 2.0)) > 0
    finish(opened, n)
    check_campaign(opened, n)


@pytest.mark.parametrize("grace", ["60", "0"], ids=["finished", "handed back"])
def test_sigterm_leaves_nothing_running(site, grace):
    opened = site(2, potential='ase:cluster_toy.Toy?{"delay_s": 0.1}')
    worker = opened.worker(*WORKER, "--grace", grace)
    deadline = time.monotonic() + 60
    while not opened.database().fireworks.find_one({"state": "RUNNING", "name": "landscape"}):
        assert time.monotonic() < deadline, opened.log_text()
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(90) == 0
    assert not {"RUNNING", "RESERVED", "FIZZLED"} & set(opened.states())
    assert not list(opened.database().launches.find({"state": "RUNNING"}))
    landscapes = opened.database().fireworks.find({"name": "landscape"})
    assert any(fw["state"] == ("COMPLETED" if grace == "60" else "READY") for fw in landscapes)
    assert opened.spool.count() == 0


def test_each_failure_has_its_cause_and_the_rest_goes_on(server, tmp_path, database_name, zygote):
    folder = tmp_path / "site"
    opened = Site(server, folder, database_name, zygote)
    potential = f'{TOY}?{{"directory": "{folder}"}}'
    anions = {"Cl": "good", "Br": "never", "I": "hangs", "F": "kills", "At": "hoards", "Se": "once"}
    bombs = {  # what a job holds whose loading ends the process, and which job it is
        "kills-loading-0": ("cluster_bomb", "prepare"),
        "leaves-loading-0": ("unittest.__main__", "landscape"),
    }
    lines = ""
    for anion, name in anions.items():
        write_crystals(folder / "part.jsonl", 1, anions=anion, prefix=name)
        lines += (folder / "part.jsonl").read_text()
    for name in bombs:
        write_crystals(folder / "part.jsonl", 1, anions="S", prefix=name.removesuffix("-0"))
        lines += (folder / "part.jsonl").read_text()
    write_crystals(folder / "part.jsonl", 1, anions="O", prefix="names-a-module")
    record = json.loads((folder / "part.jsonl").read_text())
    record |= {"@module": "unittest.__main__", "@class": "X"}
    (folder / "crystals.jsonl").write_text(f"{lines}{json.dumps(record)}\n")
    (folder / "part.jsonl").unlink()
    exact = {"learned": False}  # learned landscapes do without a point that fails
    path = campaign(folder, folder / "crystals.jsonl", potential, time_limit_s=15, options=exact)
    assert opened.submit(path).n_submitted == len(anions) + len(bombs) + 1
    for material, (module, job) in bombs.items():
        poison = {"spec._tasks.0.job.function_kwargs": {"x": {"@module": module, "@class": "X"}}}
        chosen = {"spec.material_id": material, "name": job}
        assert opened.database().fireworks.update_one(chosen, {"$set": poison}).modified_count
    try:
        worker = opened.worker(*WORKER, "--memory-limit", "0.6")
        assert worker.wait(200) == 0, opened.log_text()
        status = opened.status()
        own, other = opened.status("campaign"), opened.status("another")
        assert (own.jobs, own.failures) == (status.jobs, status.failures)
        assert (other.jobs, other.materials, other.failures) == ({}, {}, ())
        causes = {group.cause: group.fw_ids for group in status.failures}
        names = {
            row["fw_id"]: row["spec"]["material_id"] for row in opened.database().fireworks.find({})
        }
        assert {cause: {names[i] for i in ids} for cause, ids in causes.items()} == {
            "potential": {"never-0", "once-0"},
            "time_limit": {"hangs-0"},
            "worker_died": {"kills-0", "kills-loading-0"},
            "memory_limit": {"hoards-0"},
            "job_unreadable": {"leaves-loading-0"},
        }
        for group in status.failures:  # each text names its material
            if group.cause in ("worker_died", "job_unreadable"):
                assert group.example_text.startswith(f"{group.example_material}: ")
        # Each that kills was tried three times and no more, also where it never began.
        for material in ("kills-0", "kills-loading-0"):
            (row,) = opened.database().fireworks.find(
                {"spec.material_id": material, "state": "FIZZLED"}
            )
            assert len(row["launches"]) + len(row["archived_launches"]) == 3
        assert opened.database().outputs.count_documents({"output.kind": "descriptors"}) == 2
        assert not {"RUNNING", "RESERVED"} & set(opened.states())
        # What failed once works the second time; the potential was loaded once by each process.
        assert opened.rerun("potential") == 2
        assert opened.worker(*WORKER).wait(100) == 0
        done = {
            row["output"]["material_id"]
            for row in opened.database().outputs.find({"output.kind": "descriptors"})
        }
        assert done == {"good-0", "names-a-module-0", "once-0"}
        loaded = Counter((folder / "loaded").read_text().split())
        assert set(loaded.values()) == {1}
    finally:
        opened.close()
