"""Who lives: beside this process, in another namespace, on a host with another time of day."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest
from cluster_site import Site, campaign, write_crystals
from cluster_trials import TOY
from cluster_zygote import NO_CONTAINER

from superionic.cluster import owner
from superionic.cluster.owner import Owner, is_dead, this_process


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


@pytest.fixture
def held(server, tmp_path, database_name, zygote):
    """A site with one material whose landscape waits, and the file it waits for."""
    site = Site(server, tmp_path / "site", database_name, zygote)
    write_crystals(site.folder / "crystals.jsonl", 1, anions="Te")
    potential = f'{TOY}?{{"folder": "{site.folder}"}}'
    path = campaign(site.folder, site.folder / "crystals.jsonl", potential)
    (site.folder / "hold").touch()
    assert site.submit(path).n_submitted == 1
    yield site
    site.close()


def wait_until_held(site, worker):
    deadline = time.monotonic() + 90
    while not list(site.folder.glob("held-*")):
        if worker.poll() == NO_CONTAINER:
            pytest.skip("this machine does not let processes have namespaces of their own")
        assert worker.poll() is None, site.log_text()
        assert time.monotonic() < deadline, site.log_text()
        time.sleep(0.05)


PING_S = 1


@pytest.mark.process
def test_a_worker_in_a_container_lives_until_it_is_silent(held):
    """It has its host's name; process ids beside it are not its own."""
    options = ("-n", "1", "--ping", str(PING_S))
    worker = held.worker(*options, env={"CLUSTER_TEST_CONTAINER": "1"})
    wait_until_held(held, worker)
    for _ in range(3):
        assert not held.recover(settle_s=0)
        time.sleep(PING_S)
    assert held.states() == {"COMPLETED": 1, "RUNNING": 1, "WAITING": 1}
    held.kill_worker(worker)
    assert not held.recover(settle_s=0)  # it may live for all that one can see
    deadline = time.monotonic() + 60
    start = time.monotonic()
    while not (found := held.recover(settle_s=0)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found.handed_back == [2]
    assert time.monotonic() - start > 2 * PING_S  # four, less the time since the last one
    (held.folder / "hold").unlink()
    assert held.worker(*options).wait(120) == 0
    assert held.states() == {"COMPLETED": 3}
