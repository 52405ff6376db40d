"""Fixtures of the tests of flows, campaigns and commands: surroundings, crystals, processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pymatgen.core import Lattice, Structure

from superionic.settings import SuperionicSettings, get_settings
from superionic.store.database.server import server_status, start_server, stop_server
from superionic.store.database.stores import Database, resolve_database
from superionic.workflows.campaign.definition import campaign_of
from superionic.workflows.campaign.local import CampaignResult, run_campaign
from superionic.workflows.campaign.outcome import Reporter
from zygote import Zygote

HERE = Path(__file__).parent
PROGRAM = str(Path(sys.executable).parent / "superionic")
TOY = "ase:toy_potential.Toy"


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {timeout_s} s"
        time.sleep(0.05)


def rock_salt(anion: str, a_A: float) -> Structure:
    """Return rock salt LiX in its conventional cell."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a_A), ["Li", anion], sites)


def write_crystals(folder: Path, n: int) -> list[str]:
    """Write n rock salts with different barriers; return their identifiers."""
    folder.mkdir(exist_ok=True)
    names = [f"salt-{i:02d}" for i in range(n)]
    for i, name in enumerate(names):
        crystal = rock_salt(("F", "Cl", "Br", "I")[i % 4], 4.3 + 1.5 * i / n)
        crystal.to(filename=str(folder / f"{name}.cif"))
    return names


class Silent(Reporter):
    """A reporter that keeps the plan and shows nothing."""

    def planned(self, *, n_materials, n_finished, todo) -> None:
        self.plan = (n_materials, n_finished, [task.candidate.material_id for task in todo])


def run_here(
    flow: str,
    crystals: object,
    reporter: Reporter | None = None,
    n_workers: int = 1,
    **fields: object,
) -> CampaignResult:
    """Run a campaign of one mobile ion in worker processes of this machine."""
    wanted = {"flow": flow, "crystals": crystals, "potential": TOY, **fields}
    (result,) = run_campaign(
        campaign_of(wanted), SuperionicSettings(), reporter or Silent(), n_workers=n_workers
    )
    return result


class Command:
    """A ``superionic`` command in a process group of its own, as a shell starts it."""

    def __init__(self, zygote: Zygote, folder: Path, *arguments: str | Path) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self._out.touch()
        self._err.touch()
        self.process = zygote.start(
            [*map(str, arguments)], {**os.environ}, Path.cwd(), self._out, self._err
        )

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until the command says something on standard error."""
        wait_until(lambda: text in self.err or self.process.poll() is not None, f"{text!r} is said")
        assert text in self.err, self.err

    def wait(self, timeout_s: float = 200) -> int:
        return self.process.wait(timeout_s)

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that run now."""
        ours = psutil.Process(self.process.pid)
        living = [c for c in ours.children() if c.status() != psutil.STATUS_ZOMBIE]
        return [child for child in living if child.cmdline() == ours.cmdline()]

    def interrupt(self) -> None:
        """Press Ctrl-C: the signal reaches the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Kill the command alone, as the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a home, a configuration and a data directory of its own."""
    home, data_dir = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    for name in ("JOBFLOW_CONFIG_FILE", "SUPERIONIC_DATABASE_URI", "SUPERIONIC_DATABASE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SUPERIONIC_CONFIG_FILE", str(home / "superionic.yaml"))
    monkeypatch.setenv("SUPERIONIC_DATA_DIR", str(data_dir))
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    monkeypatch.setenv("SUPERIONIC_CALCULATORS", "toy_potential")
    monkeypatch.syspath_prepend(str(HERE))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()
    if data_dir.exists():
        stop_server(data_dir, force=True)


@pytest.fixture
def data_dir(surroundings: Path) -> Path:
    return surroundings / "data"


@pytest.fixture
def start(
    surroundings: Path, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Command]]:
    """Start commands; what still runs at the end of the test is killed."""
    commands: list[Command] = []

    def start_command(*arguments: str | Path) -> Command:
        commands.append(Command(zygote, tmp_path_factory.mktemp("command"), *arguments))
        return commands[-1]

    yield start_command
    for command in commands:
        if command.process.poll() is None:
            os.killpg(command.process.pid, signal.SIGKILL)
            command.wait()


@pytest.fixture
def run(start: Callable[..., Command]) -> Callable[..., Command]:
    """Run a command to its end and check its exit code."""

    def run_command(*arguments: str | Path, code: int = 0) -> Command:
        command = start(*arguments)
        found = command.wait()
        assert found == code, f"exit code {found}\n{command.out}\n{command.err}"
        assert "Traceback" not in command.err
        return command

    return run_command


@pytest.fixture(scope="session")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a local server that lives as long as the tests."""
    path = tmp_path_factory.mktemp("server")
    yield start_server(path).uri
    stop_server(path, force=True)


@pytest.fixture
def database(
    server_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """Return the stores of an empty database, which is also what the settings name."""
    name = "".join(c for c in tmp_path.name if c.isalnum())[-40:]
    monkeypatch.setenv("SUPERIONIC_DATABASE_URI", server_uri)
    monkeypatch.setenv("SUPERIONIC_DATABASE_NAME", name)
    get_settings.cache_clear()
    with resolve_database(SuperionicSettings()) as opened:
        yield opened
        opened.screening._collection.database.client.drop_database(name)


def server_is_gone(data_dir: Path) -> bool:
    return server_status(data_dir).server is None


def modules_and_seconds(*arguments: str) -> tuple[str, set[str], float]:
    """Run a command in a fresh process; return its output, what it imported, and its CPU time."""
    code = (
        "import sys, psutil\n"
        "from superionic.cli import main\n"
        f"sys.argv = ['superionic', *{arguments!r}]\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(*{name.partition('.')[0] for name in sys.modules})\n"
        "    print(sum(psutil.Process().cpu_times()[:2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *output, modules, seconds = done.stdout.splitlines()
    return "\n".join(output), set(modules.split()), float(seconds)
