"""Commands in no time: real processes, forked from one that has imported everything already.

Starting a command costs a second of imports, each of its workers two, and tests start hundreds.
What is forked here runs the command as it is, in a session of its own, with processes of its own.
That commands and their workers start without this is shown by tests of each command.

Two variables of the environment name surroundings: ``CLUSTER_TEST_CONTAINER=NAME`` PID and mount
namespaces of its own, ``CLUSTER_TEST_CLOCK_S=-3600`` a clock that is an hour behind.
"""

import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000


class Forked:
    """A command that was forked, with the methods of ``subprocess.Popen`` that tests use."""

    def __init__(self, zygote: "Zygote", pid: int) -> None:
        self.zygote = zygote
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.zygote.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("superionic", timeout)
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The process that commands are forked from."""

    def __init__(self) -> None:
        path = [str(Path(__file__).parent / "cluster"), os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path),
            "SUPERIONIC_CALCULATORS": "cluster_toy",
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )

    def ask(self, question: dict) -> int | None:
        self.process.stdin.write(json.dumps(question) + "\n")
        return json.loads(self.process.stdout.readline())

    def start(
        self,
        arguments: list[str],
        env: dict[str, str],
        cwd: Path,
        log: Path,
        errors: Path | None = None,
    ) -> Forked:
        """Start a command whose output goes to a file, what it says of errors to another."""
        start = {"arguments": arguments, "env": env, "cwd": str(cwd)}
        return Forked(self, self.ask({**start, "out": str(log), "err": str(errors or log)}))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Forking:
    """In place of multiprocessing's way to spawn processes."""

    def __init__(self, context) -> None:
        self._context = context
        self._ours = []

    def Pipe(self):
        ours, theirs = self._context.Pipe()
        self._ours.append(ours)
        return ours, theirs

    def Process(self, target, args, daemon):
        return self._context.Process(target=self._alone, args=(target, args), daemon=daemon)

    def _alone(self, target, args):
        for connection in self._ours:  # spawned processes do not have these
            connection.close()
        target(*args)


def _enter_container() -> None:
    """Go on as the first process of namespaces of its own; who was here before waits for it.

    Where that is not allowed, this process at least takes itself for one of another namespace.
    """
    import ctypes

    from superionic.store.database import owner

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWPID):
        owner.this_space = lambda: "another"
        return
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) % 256)
    for command in ("mount --make-rprivate /", "mount -t proc proc /proc"):
        os.system(f"{command} 2>/dev/null")  # without its own /proc it knows of no process


def _set_clock(offset_s: float) -> None:
    """Let everything here believe in another time of day."""
    import datetime

    real, now = datetime.datetime, time.time
    offset = datetime.timedelta(seconds=offset_s)

    class Like(type):
        def __instancecheck__(cls, value):
            return isinstance(value, real)

    class Shifted(real, metaclass=Like):
        @classmethod
        def now(cls, tz=None):
            return real.now(tz) + offset

        @classmethod
        def utcnow(cls):
            return real.utcnow() + offset

    datetime.datetime = Shifted
    time.time = lambda: now() + offset_s
    for name, module in list(sys.modules.items()):
        if name.startswith(("superionic", "fireworks")) and vars(module).get("datetime") is real:
            module.datetime = Shifted


def _become_command(start: dict) -> None:
    import multiprocessing

    os.setsid()
    if start["env"].get("CLUSTER_TEST_CONTAINER"):
        _enter_container()
    if offset_s := start["env"].get("CLUSTER_TEST_CLOCK_S"):
        _set_clock(float(offset_s))
    append = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    out, err = (os.open(start[name], append) for name in ("out", "err"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, target)
    os.environ.clear()
    os.environ.update(start["env"])
    os.chdir(start["cwd"])
    sys.path[:0] = start["env"].get("PYTHONPATH", "").split(os.pathsep)
    from superionic.cli import main
    from superionic.processes import Children
    from superionic.settings import get_settings

    Children._context = Forking(multiprocessing.get_context("fork"))
    get_settings.cache_clear()  # they depend on the environment
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    sys.argv = ["superionic", *start["arguments"]]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _warm_up() -> None:
    """Import and compile what commands and jobs need: compute a crystal, with a store in memory."""
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore
    from pymatgen.core import Lattice, Structure

    warnings.filterwarnings("ignore")
    import superionic

    for name in ("cli", "cluster", "dynamics", "landscape", "report.tables", "store", "workflows"):
        path = Path(superionic.__file__).parent.joinpath(*name.split("."))
        for module in pkgutil.walk_packages([str(path)], f"superionic.{name}."):
            importlib.import_module(module.name)
    from superionic.landscape.settings import LandscapeSettings
    from superionic.structures.candidate import Candidate
    from superionic.workflows.jobs.landscape import LandscapeMaker
    from superionic.workflows.makers.screen import ScreenMaker

    maker = ScreenMaker(
        potential="ase:cluster_toy.Toy",
        relax_maker=None,
        landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=1.3)),
    )
    lattice = Lattice.from_parameters(3.4, 3.4, 3.4, 60, 60, 60)
    crystal = Structure(lattice, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(maker.make(Candidate("warm-up", crystal)), store=store, log=False)


def _serve() -> None:
    _warm_up()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if (pid := question.get("poll")) is not None:
            if pid not in ended:
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer = ended.get(pid)
        else:
            answer = os.fork()
            if not answer:
                _become_command(question)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
