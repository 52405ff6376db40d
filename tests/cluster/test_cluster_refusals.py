"""What is refused, with one clear line, nothing written, and no secret said."""

import subprocess
import time

import pytest
import yaml
from cluster_site import PASSWORD, PROGRAMS, READER, Site, campaign, write_crystals
from cluster_trials import TOY, WORKER, check_campaign, n_completed, submitted

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("who", "database", "said"),
    [
        ("wrong password", None, "refuses the user name or password"),
        ("reader", None, "refuse"),
        ("operator", "somewhere_else", "refuse"),
    ],
)
def test_who_may_not_write_is_refused_in_one_line(
    server, tmp_path, database_name, zygote, who, database, said
):
    site = Site(server, tmp_path / "site", database_name)
    uri = {
        "wrong password": server.uri(password="wr0ng-password"),
        "reader": server.uri(user=READER),
        "operator": server.uri(),
    }[who]
    site.write(uri, database or database_name)
    write_crystals(site.folder / "crystals.jsonl", 1)
    path = campaign(site.folder, site.folder / "crystals.jsonl", TOY)
    at = ("-l", str(site.launchpad_file))
    answer = site.forked(zygote, "submit", "-c", str(path), *at, code=1)
    assert len(answer.strip().splitlines()) == 1, answer
    assert said in answer
    for secret in (PASSWORD, "wr0ng-password"):
        assert secret not in answer
    assert server.database(database_name).list_collection_names() == []


def test_a_worker_at_a_database_without_jobs_says_so(server, tmp_path, database_name, zygote):
    site = Site(server, tmp_path / "site", database_name)
    answer = site.forked(zygote, "worker", "-l", str(site.launchpad_file), code=1)
    assert "nothing was ever submitted" in answer
    assert len(answer.strip().splitlines()) == 1


def test_without_a_job_store_nothing_is_computed(server, tmp_path, database_name, zygote):
    site = submitted(server, tmp_path / "site", 1, database=database_name, zygote=zygote)
    site.jobflow_file.write_text(
        yaml.safe_dump({"JOB_STORE": {"docs_store": {"type": "MemoryStore"}}})
    )
    answer = site.forked(zygote, "worker", "-l", str(site.launchpad_file), code=1)
    assert "MemoryStore" in answer
    assert site.states() == {"READY": 1, "WAITING": 2}
    # Nor by FireWorks' own command, which knows no job store at all.
    environment = {k: v for k, v in site.environment.items() if k != "JOBFLOW_CONFIG_FILE"}
    subprocess.run(
        [PROGRAMS / "rlaunch", "-l", str(site.launchpad_file), "singleshot"],
        env=environment,
        cwd=site.folder,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert site.states() == {"FIZZLED": 1, "WAITING": 2}
    (failure,) = site.status().failures
    assert failure.cause == "no_job_store"
    # With one, it works, also beside a worker; several of them where the server counts right.
    site.write(server.uri(), database_name)
    assert site.rerun("no_job_store") == 1
    n = 4
    write_crystals(site.folder / "crystals.jsonl", n)
    assert site.submit(site.folder / "campaign.yaml").n_submitted == n - 1
    plain = []
    for i in range(2 if counts_right(server) else 1):
        folder = site.folder / f"rlaunch-{i}"
        folder.mkdir()
        # Where another has the last ready job, it would look again a minute later.
        look = ["rapidfire", "--sleep", "1"]
        command = [PROGRAMS / "rlaunch", "-l", str(site.launchpad_file), *look]
        plain.append(
            subprocess.Popen(command, env=site.environment, cwd=folder, stdout=subprocess.DEVNULL)
        )
    deadline = time.monotonic() + 120
    while not n_completed(site):  # the worker is quicker, and leaves it some
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert site.worker(*WORKER).wait(120) == 0
    assert {one.wait(120) for one in plain} == {0}
    site.database().launches.delete_many({"state": "FIZZLED"})  # the one without a job store
    check_campaign(site, n)
    site.close()


def counts_right(server) -> bool:
    """SecantusDB may give two plain rlaunch one number (docs/cluster.md)."""
    return "secantusVersion" not in server.database().client.server_info()
