"""Processes that share work: what is heard of them, and how they end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from superionic import processes
from superionic.processes import Child, Children, Gone, ProcessDiedError, in_processes

SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
import test_processes as tests
from superionic.processes import Child, Children
print("script", flush=True)
with Children(Child, tests.wait_for_ever, None, 1) as children:
    child = children.start()
    (heard,) = [message for _, message in children.hear(60)]
    print(heard, flush=True)
    time.sleep(120)
"""


def count_and_die(connection, setup):
    """Say what is asked, and end in the way that is asked."""
    for number in range(setup["n"]):
        connection.send(number)
    connection.send((os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT)))
    os._exit(setup["exit_code"])


def double(connection, setup):
    """Answer until nobody asks any more."""
    while True:
        try:
            connection.send(2 * connection.recv())
        except EOFError:
            return


def wait_for_ever(connection, setup):
    connection.send(os.getpid())
    time.sleep(600)


def heard_until_all_are_gone(children):
    found = []
    while children.running:
        found += children.hear(60)
    return found


def test_messages_are_heard_in_order_and_the_end_after_them():
    with Children(Child, count_and_die, {"n": 50, "exit_code": 7}, 3) as children:
        first, second = children.start(), children.start()
        heard = heard_until_all_are_gone(children)
    for child in (first, second):
        said = [message for one, message in heard if one is child]
        assert said == [*range(50), ("3", signal.SIG_IGN), Gone(7)]


def test_a_child_is_asked_let_go_and_not_missed():
    with Children(Child, double, None, 1) as children:
        child = children.start()
        child.tell(21)
        assert list(children.hear(60)) == [(child, 42)]
        assert list(children.hear(0)) == []  # it waits, and nothing is said
        children.dismiss(child)
        assert not children.running
        assert child.process.exitcode == 0


def test_a_child_that_is_killed_is_gone_and_telling_it_does_no_harm():
    with Children(Child, double, None, 1) as children:
        victim, other = children.start(), children.start()
        victim.tell(1)
        assert list(children.hear(60)) == [(victim, 2)]
        victim.process.kill()
        victim.process.join()
        victim.tell(2)
        assert list(children.hear(60)) == [(victim, Gone(-signal.SIGKILL))]
        assert children.running == [other]
    assert other.process.exitcode == -signal.SIGKILL  # the block has ended


def test_children_end_with_their_parent_and_do_not_run_its_script(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "script\n"
    child = psutil.Process(int(parent.stdout.readline()))  # or "script", were it run again
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([child], timeout=30)
    assert gone == [child]


def note(directory: Path) -> None:
    (directory / f"{os.getpid()}").write_text(os.environ["OMP_NUM_THREADS"])


def test_ctrl_c_while_a_process_starts_is_heard_and_does_not_reach_it():
    with pytest.raises(KeyboardInterrupt), processes._starting():
        signal.raise_signal(signal.SIGINT)
    with Children(Child, double, None, 1) as children:
        child = children.start()
        os.kill(child.process.pid, signal.SIGINT)
        child.tell(21)
        assert list(children.hear(60)) == [(child, 42)]


def test_results_come_in_the_order_of_the_items(tmp_path):
    done = []
    found = in_processes(
        *(abs, [-1, 2, -3], 2),
        report=lambda number, item, result: done.append((number, item, result)),
        prepare=partial(note, tmp_path),
    )
    assert found == [1, 2, 3]
    assert [number for number, _, _ in done] == [1, 2, 3]
    assert {(item, result) for _, item, result in done} == {(-1, 1), (2, 2), (-3, 3)}
    prepared = {int(file.name): file.read_text() for file in tmp_path.iterdir()}
    assert os.getpid() not in prepared
    assert set(prepared.values()) == {"1"}


def test_a_process_that_dies_is_named():
    with pytest.raises(ProcessDiedError, match="ended without a word"):
        in_processes(os._exit, [9, 9], 2)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_who_hears_of_each_item_may_end_the_work(n_workers):
    def enough(number, item, result):
        raise StopAsyncIteration

    with pytest.raises(StopAsyncIteration):
        in_processes(abs, [*range(100)], n_workers, enough)
    assert not multiprocessing.active_children()
