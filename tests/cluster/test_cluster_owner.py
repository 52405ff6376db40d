"""Who lives: beside this process, in another namespace, on a host with another time of day."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from cluster_site import Site
from cluster_trials import check_campaign, held_campaign, wait_until_held

from superionic.store.database import owner
from superionic.store.database.owner import Owner, is_dead, this_process


def test_a_process_beside_this_one_is_known_by_id_and_start():
    me = this_process()
    assert is_dead(me.token) is False
    assert Owner.parse(me.token).pid == me.pid
    assert is_dead(replace(me, started=me.started - 60).token)  # its id was given to this one
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = replace(me, pid=child.pid, started=owner._started(child.pid)).token
    assert is_dead(token) is False
    child.kill()
    deadline = time.monotonic() + 10
    while not is_dead(token):  # a zombie is dead, too
        assert time.monotonic() < deadline
    child.communicate()
    assert is_dead(token)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["boot", "PID namespace", "time namespace"])
def test_of_a_process_elsewhere_nothing_is_known(part):
    me = this_process()
    space = me.space.split("/")
    space[part] = "another"
    for pid in (me.pid, 4194305):
        assert is_dead(replace(me, space="/".join(space), pid=pid).token) is None


def test_where_proc_is_of_another_namespace_nothing_is_known(monkeypatch, tmp_path):
    token = this_process().token
    for name in ("sys", "self"):
        (tmp_path / name).symlink_to(f"/proc/{name}")
    monkeypatch.setattr(owner, "_PROC", tmp_path)
    assert is_dead(token) is None
    assert this_process().started > 0


@pytest.mark.parametrize("token", [None, "", "host", "host|12|1700000000.00", "a|b|c|d"])
def test_tokens_of_older_versions_and_no_tokens_say_nothing(token):
    assert is_dead(token) is None


PING_S = 1


@pytest.mark.process
def test_workers_elsewhere_live_until_they_are_silent_and_overwrite_nothing_afterwards(
    server, tmp_path, database_name, zygote
):
    """In containers, under their host's name; one is stopped, and its clock is an hour behind."""
    site = Site(server, tmp_path / "site", database_name, zygote)
    n = 2
    site.submit(held_campaign(site.folder, n))
    options = ("-n", "1", "--ping", str(PING_S))
    clocks = {"stopped": {"CLUSTER_TEST_CLOCK_S": "-3600"}, "killed": {}}
    stopped, killed = (
        site.worker(*options, env={"CLUSTER_TEST_CONTAINER": name, **clock})
        for name, clock in clocks.items()
    )
    try:
        wait_until_held(site, n, stopped, killed)
        for _ in range(2):
            time.sleep(PING_S)
            assert not site.recover(settle_s=0)
        begun = [
            str(launch["state_history"][-1]["created_on"]) < launch["superionic_alive"].isoformat()
            for launch in site.database().launches.find({"state": "RUNNING"})
        ]
        assert any(begun)  # by its own clock, one has been silent for an hour

        os.killpg(stopped.pid, signal.SIGSTOP)
        site.kill_worker(killed)
        assert not site.recover(settle_s=0)  # they may live for all that one can see
        start, handed_back = time.monotonic(), []
        while len(handed_back) < n:
            handed_back += site.recover(settle_s=0).handed_back
            assert time.monotonic() - start < 60
            time.sleep(0.2)
        assert time.monotonic() - start > 2 * PING_S  # four, less the time since the last one
        (site.folder / "hold").unlink()
        assert site.worker(*options).wait(120) == 0
        before = everything(site)
        check_campaign(site, n)

        os.killpg(stopped.pid, signal.SIGCONT)
        assert stopped.wait(120) == 0
        assert everything(site) == before
        assert "too late: its launch does not count any more" in site.log_text()
        (aside,) = site.spool.doubled()
        late = int(aside.name.partition("-")[0])
        assert late in handed_back
        for _ in range(2):  # it is listed for as long as it is there
            assert site.recover(settle_s=0).results_doubled == [late]
        aside.unlink()
        assert not site.recover(settle_s=0)
        check_campaign(site, n)
    finally:
        site.close()


def everything(site: Site) -> dict[str, list[str]]:
    database = site.database()
    names = ("outputs", "outputs_blobs.files", "fireworks", "workflows", "launches")
    return {name: sorted(map(str, database[name].find({}))) for name in names}
