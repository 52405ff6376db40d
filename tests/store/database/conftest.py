"""Clean surroundings, and processes that use the local server."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from superionic.store.database.server import server_status, stop_server

USER = """
import sys
from pathlib import Path
from pymongo import MongoClient
from superionic.store.database.server import local_server

with local_server(Path(sys.argv[1])) as uri:
    items = MongoClient(uri).test.items
    print(uri, flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "insert":
            items.insert_one({"name": words[1]})
        print(" ".join(sorted(i["name"] for i in items.find())), flush=True)
"""


class User:
    """A process inside ``local_server``."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group of its own, as a shell gives a command
        )

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return line.strip()

    def uri(self) -> str:
        return self._answer()

    def ask(self, question: str) -> str:
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self._answer()

    def leave(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)


@pytest.fixture(autouse=True)
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SUPERIONIC_CONFIG_FILE", str(home / "superionic.yaml"))
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE", raising=False)
    for name in ("DATABASE_URI", "DATABASE_NAME", "DATA_DIR"):
        monkeypatch.delenv(f"SUPERIONIC_{name}", raising=False)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose server is gone at the end of the test."""
    path = tmp_path / "data"
    yield path
    if path.exists():
        stop_server(path, force=True)


@pytest.fixture
def start_user(data_dir: Path) -> Iterator[Callable[[], User]]:
    """Start processes that use the server of ``data_dir``."""
    users: list[User] = []

    def start() -> User:
        users.append(User(data_dir))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.kill()


@pytest.fixture
def wait_for_end(data_dir: Path) -> Callable[[], float]:
    """Wait until no server lives; returns the seconds that took."""

    def wait(timeout_s: float = 20) -> float:
        start = time.monotonic()
        while server_status(data_dir).server is not None:
            assert time.monotonic() - start < timeout_s, "the server still runs"
            time.sleep(0.05)
        return time.monotonic() - start

    return wait
