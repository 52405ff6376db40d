"""How cores are shared."""

import pytest

from superionic import processes


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(processes, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(("n_processes", "expected"), [(1, 8), (3, 2), (8, 1), (20, 1)])
def test_processes_share_the_cores(eight_cores, n_processes, expected):
    assert processes.threads_per_process(n_processes) == expected


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("3", 3), ("16", 4), ("", 4), ("x", 4)])
def test_the_user_can_ask_for_fewer_threads(eight_cores, monkeypatch, wanted, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert processes.threads_per_process(2) == expected


def test_there_is_a_core():
    assert processes.usable_cores() >= 1
