"""What ``lpad`` does to a campaign under the hands of a worker."""

import time

import pytest
from cluster_site import Site, campaign, write_crystals
from cluster_trials import TOY, wait_until_held
from fireworks.core.launchpad import LaunchPad

pytestmark = pytest.mark.process

RUNNING = ("archived", "deleted", "rerun")
WAITING = ("paused", "defused")


@pytest.fixture
def site(server, tmp_path, database_name, zygote):
    made = Site(server, tmp_path / "site", database_name, zygote)
    lines = ""
    for name in (*RUNNING, *WAITING):
        part = made.folder / "part.jsonl"
        write_crystals(part, 1, anions="Te" if name in RUNNING else "Cl", prefix=name)
        lines += part.read_text()
    (made.folder / "crystals.jsonl").write_text(lines)
    (made.folder / "hold").touch()
    potential = f'{TOY}?{{"directory": "{made.folder}"}}'
    made.submit(campaign(made.folder, made.folder / "crystals.jsonl", potential))
    yield made
    made.close()


def job(site: Site, name: str, kind: str) -> int:
    (row,) = site.database().fireworks.find({"spec.material_id": f"{name}-0", "name": kind})
    return row["fw_id"]


def states(site: Site, name: str) -> list[str]:
    rows = site.database().fireworks.find({"spec.material_id": f"{name}-0"}).sort("fw_id", 1)
    return [row["state"] for row in rows]


def kinds(site: Site, name: str) -> list[str]:
    rows = site.database().outputs.find({"output.material_id": f"{name}-0"})
    return sorted(row["output"]["kind"] for row in rows)


DONE = ["descriptors", "landscape", "prepared"]


def test_pause_defuse_archive_delete_and_rerun(site):
    lpad = LaunchPad.from_file(str(site.launchpad_file))
    lpad.pause_fw(job(site, "paused", "prepare"))
    lpad.defuse_fw(job(site, "defused", "prepare"))
    worker = site.worker("-n", str(len(RUNNING)), "--ping", "1", "--idle", "3")
    wait_until_held(site, len(RUNNING), worker)
    lpad.archive_wf(job(site, "archived", "landscape"))
    lpad.delete_wf(job(site, "deleted", "landscape"))
    lpad.rerun_fw(job(site, "rerun", "landscape"))
    time.sleep(1.5)  # signs of life of launches that are there no more
    (site.folder / "hold").unlink()
    assert worker.wait(120) == 0, site.log_text()
    assert "0 failed, 0 handed back, 0 processes died" in site.log_text()
    assert states(site, "paused")[0] == "PAUSED"
    assert states(site, "defused")[0] == "DEFUSED"
    assert set(states(site, "archived")) == {"ARCHIVED"}
    assert states(site, "deleted") == []
    assert states(site, "rerun") == ["COMPLETED"] * 3
    assert {name: kinds(site, name) for name in (*RUNNING, *WAITING)} == {
        "archived": ["prepared"],
        "deleted": ["prepared"],
        "rerun": DONE,
        "paused": [],
        "defused": [],
    }
    # Results of launches that nobody counts as theirs are set aside, and listed.
    assert len(site.spool.doubled()) == len(RUNNING)
    assert len(site.recover(settle_s=0).results_doubled) == len(RUNNING)

    lpad.resume_fw(job(site, "paused", "prepare"))
    lpad.reignite_fw(job(site, "defused", "prepare"))
    assert site.worker("-n", "1").wait(120) == 0
    for name in WAITING:
        assert kinds(site, name) == DONE
        assert states(site, name) == ["COMPLETED"] * 3
    lpad.connection.close()
