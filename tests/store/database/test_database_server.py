import json
import multiprocessing
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient

from superionic.cluster.spool import Result, Spool
from superionic.errors import DatabaseError
from superionic.report.serve.settings import find_token
from superionic.store.database import programs
from superionic.store.database.programs import find_program
from superionic.store.database.server import (
    local_server,
    server_status,
    start_server,
    stop_server,
)
from superionic.store.database.state import ServerFiles

pytestmark = pytest.mark.process


def names(uri):
    with MongoClient(uri) as client:
        return sorted(item["name"] for item in client.test.items.find())


def test_server_runs_within_the_context_only(data_dir):
    with local_server(data_dir) as uri:
        status = server_status(data_dir)
        assert status.answers
        assert status.in_use
        assert not status.server.persistent
        assert status.server.uri == uri
        assert uri.startswith("mongodb://127.0.0.1:")
        assert os.getsid(status.server.pid) != os.getsid(0)
        with MongoClient(uri) as client:
            client.test.items.insert_one({"name": "kept"})
    assert server_status(data_dir).server is None
    with local_server(data_dir) as uri:
        assert names(uri) == ["kept"]


def test_data_is_private(data_dir):
    with local_server(data_dir):
        pass
    files = data_dir / "serve" / "below" / "serve_token"
    find_token("0.0.0.0", None, files)  # what else is made in a data directory
    Spool(data_dir / "spool" / "mine").write(Result("", 1, 1, "COMPLETED", "{}", "", ()))
    made = (files.parent, files.parents[1], data_dir / "spool", data_dir / "spool" / "mine")
    for path in (data_dir, find_program(data_dir).storage, *made):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_nested_use_in_one_process(data_dir):
    with local_server(data_dir) as outer:
        with local_server(data_dir) as inner:
            assert inner == outer
        assert server_status(data_dir).answers
    assert server_status(data_dir).server is None


def test_start_stays_and_stop_stops(data_dir):
    server = start_server(data_dir)
    with local_server(data_dir) as uri:
        assert uri == server.uri
    assert server_status(data_dir).answers
    assert stop_server(data_dir).server is None
    assert not server_status(data_dir).answers


def test_stop_waits_for_users_unless_forced(data_dir, start_user, wait_for_end):
    start_server(data_dir)
    user = start_user()
    user.uri()
    left = stop_server(data_dir)
    assert left.server is not None
    assert left.in_use
    assert user.ask("insert later") == "later"
    user.leave()
    assert server_status(data_dir).server is None

    user = start_user()
    user.uri()
    assert stop_server(data_dir, force=True).server is None


def test_status_of_nothing_makes_nothing(tmp_path):
    path = tmp_path / "never"
    assert server_status(path).server is None
    assert not path.exists()


def test_two_processes_share_and_the_last_stops_it(data_dir, start_user):
    first, second = start_user(), start_user()  # both start at the same moment
    assert first.uri() == second.uri()
    first.ask("insert a")
    assert second.ask("insert b") == "a b"
    first.leave()
    assert second.ask("insert c") == "a b c"
    second.leave()
    assert server_status(data_dir).server is None


def test_four_at_once_while_others_come_and_go(data_dir, start_user):
    users = [start_user() for _ in range(4)]
    for index, user in enumerate(users):
        user.uri()
        assert str(index) in user.ask(f"insert {index}").split()
        user.leave()
    with local_server(data_dir) as uri:
        assert names(uri) == ["0", "1", "2", "3"]


def test_killed_server_comes_back_with_its_data(data_dir, start_user, wait_for_end):
    user = start_user()
    user.uri()
    for index in range(20):
        user.ask(f"insert {index:02d}")
    pid = server_status(data_dir).server.pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end()
    assert json.loads((data_dir / "server.json").read_text())["pid"] == pid  # a stale record
    with local_server(data_dir) as uri:
        assert names(uri) == [f"{index:02d}" for index in range(20)]
        assert server_status(data_dir).server.pid != pid


def test_killed_only_user_does_not_leave_the_server_behind(data_dir, start_user, wait_for_end):
    user = start_user()
    user.uri()
    user.ask("insert a")
    user.kill()
    wait_for_end()
    with local_server(data_dir) as uri:
        assert names(uri) == ["a"]


def test_killed_user_does_not_take_the_server_from_another(data_dir, start_user):
    first, second = start_user(), start_user()
    first.uri()
    second.uri()
    first.kill()
    with pytest.raises(AssertionError, match="still runs"):
        _wait(data_dir, 3)
    assert second.ask("insert a") == "a"
    second.leave()
    assert server_status(data_dir).server is None


def _wait(data_dir, timeout_s):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server_status(data_dir).server is None:
            return
        time.sleep(0.1)
    raise AssertionError("the server still runs")


def test_ctrl_c_in_the_process_group(data_dir, start_user):
    user, other = start_user(), start_user()
    user.uri()
    other.uri()
    os.killpg(user.process.pid, signal.SIGINT)
    user.process.communicate(timeout=30)
    assert user.process.returncode != 0
    assert other.ask("insert a") == "a"  # the server did not hear the signal
    os.killpg(other.process.pid, signal.SIGINT)
    other.process.communicate(timeout=30)
    assert server_status(data_dir).server is None


def test_server_without_its_keeper_is_stopped_by_the_last_user(data_dir):
    with local_server(data_dir):
        pid = server_status(data_dir).server.pid
        status = Path(f"/proc/{pid}/stat")
        if not status.exists():
            pytest.skip("no /proc to find the keeper")
        keeper = int(status.read_text().rpartition(")")[2].split()[1])
        assert b"superionic.store.database.keeper" in Path(f"/proc/{keeper}/cmdline").read_bytes()
        os.kill(keeper, signal.SIGKILL)
        assert server_status(data_dir).answers
    assert server_status(data_dir).server is None


@pytest.mark.parametrize("record", ["", "{", '{"pid": 1}', "stranger"])
def test_stale_record_is_ignored(data_dir, record):
    data_dir.mkdir()
    if record == "stranger":  # the id of a living process that is no server of ours
        record = json.dumps(
            {"pid": os.getpid(), "port": 1, "engine": "x", "host": "x", "persistent": True}
        )
    (data_dir / "server.json").write_text(record)
    assert server_status(data_dir).server is None
    with local_server(data_dir):
        assert server_status(data_dir).answers
    assert server_status(data_dir).server is None


@pytest.mark.parametrize("record", ["", '{"pid": 1}', "[1]", '{"pid": "1", "port": null}'])
def test_garbled_record_is_written_anew_by_the_keeper(data_dir, start_user, wait_for_end, record):
    user = start_user()
    uri = user.uri()
    server = server_status(data_dir).server
    (data_dir / "server.json").write_text(record)
    with local_server(data_dir) as same:  # it comes in, though nobody could say to where
        assert same == uri
        assert server_status(data_dir).server == server
    (data_dir / "server.json").write_text(record)
    user.leave()
    assert server_status(data_dir).server is None  # nothing is left behind its last user


def test_garbled_record_of_a_server_whose_last_user_is_killed(data_dir, start_user, wait_for_end):
    user = start_user()
    user.uri()
    (data_dir / "server.json").write_text("{")
    user.kill()
    deadline = time.monotonic() + 20
    while ServerFiles(data_dir).is_alive():
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.05)


def test_server_of_another_machine(data_dir):
    with local_server(data_dir):
        record = data_dir / "server.json"
        text = record.read_text()
        record.write_text(json.dumps(json.loads(text) | {"host": "elsewhere"}))
        with pytest.raises(DatabaseError, match="another machine, elsewhere"):
            start_server(data_dir)
        record.write_text(text)


def test_removed_data_directory_ends_the_server(data_dir, start_user, tmp_path):
    user = start_user()
    user.uri()
    pid = server_status(data_dir).server.pid
    moved = tmp_path / "moved"
    data_dir.rename(moved)
    _wait(moved, 20)
    user.kill()
    with pytest.raises(ProcessLookupError):
        _wait_for_process_end(pid)


def _wait_for_process_end(pid):
    for _ in range(100):
        os.kill(pid, 0)
        time.sleep(0.1)


def _use_from_worker(uri, queue):
    queue.put(names(uri))


def test_forked_and_spawned_workers(data_dir):
    with local_server(data_dir) as uri:
        for method in ("fork", "spawn"):
            context = multiprocessing.get_context(method)
            queue = context.Queue()
            worker = context.Process(target=_use_from_worker, args=(uri, queue))
            worker.start()
            assert queue.get(timeout=60) == []
            worker.join()
    assert server_status(data_dir).server is None


def test_broken_storage_is_told_with_the_log(data_dir):
    with local_server(data_dir):
        pass
    storage = find_program(data_dir).storage
    for file in storage.glob("WiredTiger*"):
        file.write_bytes(b"rubbish")
    with pytest.raises(DatabaseError, match=r"did not start") as caught:
        start_server(data_dir)
    assert "server.log" in str(caught.value)
    assert len(caught.value.message.splitlines()) > 2
    assert server_status(data_dir).server is None


def test_unwritable_data_directory(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DatabaseError, match="cannot be made") as caught, local_server(blocked):
        pass
    assert "SUPERIONIC_DATA_DIR" in caught.value.hint


def test_no_engine_names_the_extra(monkeypatch, data_dir):
    monkeypatch.setattr(programs, "_executable", lambda name: None)
    with pytest.raises(DatabaseError) as caught, local_server(data_dir):
        pass
    assert 'pip install "superionic[server]"' in caught.value.hint


def _install(folder, name):
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return program


def test_engine_order_and_loyalty(monkeypatch, tmp_path, data_dir):
    """mongod first; but who wrote a directory keeps it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", str(programs))
    secantusd = _install(programs, "secantusd-py")
    assert find_program(data_dir).executable == secantusd
    mongod = _install(programs, "mongod")
    assert find_program(data_dir).executable == mongod

    wrote = data_dir / "secantusdb"
    wrote.mkdir(parents=True)
    (wrote / "WiredTiger").touch()
    assert find_program(data_dir).executable == secantusd
    secantusd.unlink()
    with pytest.raises(DatabaseError, match="written by SecantusDB, which is not installed"):
        find_program(data_dir)


def test_executable_beside_python_needs_no_path(monkeypatch, tmp_path, data_dir):
    beside = _install(tmp_path / "venv", "secantusd-py")
    monkeypatch.setattr(sys, "executable", str(beside.with_name("python")))
    monkeypatch.setenv("PATH", "")
    engine = find_program(data_dir)
    assert engine.executable == beside
    command = engine.command(4711)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "4711"


def test_mongod_listens_on_loopback_only(monkeypatch, tmp_path, data_dir):
    _install(tmp_path / "bin", "mongod")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    command = find_program(data_dir).command(4711)
    assert command[command.index("--bind_ip") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "4711"


def test_ended_engine_is_told(monkeypatch, tmp_path, data_dir):
    _install(tmp_path / "bin", "mongod").write_text("#!/bin/sh\necho no such luck; exit 3\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    with pytest.raises(DatabaseError, match="no such luck"):
        start_server(data_dir)
