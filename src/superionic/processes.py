"""Processes of this machine that share work, and are gone with their parent."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Generic, TypeVar

import psutil

from superionic.errors import SuperionicError

_PARENT_POLL_S = 0.2
_SPAWN = multiprocessing.get_context("spawn")


class ProcessDiedError(SuperionicError):
    """A process ended without a word, and what it was at is lost."""

    code = "worker_died"


@dataclass(eq=False)
class Child:
    """A process, and the other end of what it hears and says; a base for what else is known of it.

    Parameters
    ----------
    process : BaseProcess
        The process.
    connection : multiprocessing.connection.Connection
        To its ``work``.
    open : bool
        Whether it may still say something.
    """

    process: BaseProcess
    connection: Connection
    open: bool = True

    def tell(self, message: Any) -> None:
        """Send a message; that the process has just died is heard from :meth:`Children.hear`."""
        with suppress(OSError):
            self.connection.send(message)


@dataclass(frozen=True)
class Gone:
    """A process has ended, by itself or not; it was the last that is heard of it.

    Parameters
    ----------
    exit_code : int or None
        As of :class:`multiprocessing.Process`: negative for a signal.
    """

    exit_code: int | None


C = TypeVar("C", bound=Child)
Item = TypeVar("Item")
Result = TypeVar("Result")


class Children(Generic[C]):
    """Processes of one kind; when the block ends, so do they.

    Parameters
    ----------
    kind : type of Child
        What is known of each.
    work : callable
        Called in each process with its connection and the setup.
    setup : object
        What the processes need to know; it is pickled.
    n_threads : int
        Threads of numerical libraries in each.

    Attributes
    ----------
    running : list of Child
        Those whose end was not heard yet.
    """

    _context = _SPAWN

    def __init__(
        self, kind: type[C], work: Callable[[Connection, Any], None], setup: Any, n_threads: int
    ) -> None:
        self.running: list[C] = []
        self._kind, self._arguments = kind, (work, setup, n_threads)

    def __enter__(self) -> "Children[C]":
        return self

    def __exit__(self, *error: object) -> None:
        for child in self.running:
            child.process.kill()
        for child in self.running:
            child.process.join()

    def start(self) -> C:
        """Start one more."""
        ours, theirs = self._context.Pipe()
        work, setup, n_threads = self._arguments
        process = self._context.Process(
            target=_run, args=(work, theirs, setup, os.getpid(), n_threads), daemon=True
        )
        with _starting():
            process.start()
            theirs.close()
            child = self._kind(process, ours)
            self.running.append(child)
        return child

    def dismiss(self, child: C) -> None:
        """Let one go that waits for a message: none comes."""
        child.connection.close()
        child.process.join()
        self.running.remove(child)

    def hear(self, timeout_s: float | None) -> Iterator[tuple[C, Any]]:
        """Yield messages, each child's in their order, and :class:`Gone` behind its last one.

        Parameters
        ----------
        timeout_s : float or None
            How long to wait where nothing is said and none ends, in s; None: without end.
        """
        heard = {child.connection for child in self.running if child.open}
        ready = wait([*heard, *(child.process.sentinel for child in self.running)], timeout_s)
        for child in list(self.running):
            has_ended = child.process.sentinel in ready
            if has_ended or child.connection in ready:
                yield from ((child, message) for message in _messages(child))
            if has_ended and child in self.running:
                child.process.join()
                self.running.remove(child)
                child.connection.close()
                yield child, Gone(child.process.exitcode)


def in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    n_workers: int,
    report: Callable[[int, Item, Result], None] = lambda done, item, result: None,
    prepare: Callable[[], None] | None = None,
) -> list[Result]:
    """Return the results of a function for several items, in their order.

    Parameters
    ----------
    function : callable
        Of one item; it must be found by its name in its module.
    items : sequence
        What it is called with.
    n_workers : int
        Processes, one thread each; with one, the work is done in this process.
    report : callable
        Called after each item with the number done, the item and its result. An exception of it
        ends the work.
    prepare : callable, optional
        Called first in each process that is started, found as ``function`` is.

    Raises
    ------
    ProcessDiedError
        When a process died without a word.

    Examples
    --------
    >>> in_processes(abs, [-1, 2, -3], n_workers=1)
    [1, 2, 3]
    """
    found: dict[int, Result] = {}
    if n_workers <= 1 or len(items) <= 1:
        for number, item in enumerate(items):
            found[number] = function(item)
            report(number + 1, item, found[number])
        return [found[number] for number in range(len(items))]
    others = multiprocessing.active_children()
    start = (os.getpid(), 1, prepare)
    with ProcessPoolExecutor(n_workers, _SPAWN, initializer=_begin, initargs=start) as pool:
        try:
            with _starting():
                futures = {pool.submit(function, item): number for number, item in enumerate(items)}
            for done, future in enumerate(as_completed(futures), start=1):
                number = futures[future]
                found[number] = future.result()
                report(done, items[number], found[number])
        except BrokenProcessPool:
            raise ProcessDiedError(
                "A process ended without a word.",
                hint="It may have run out of memory: use fewer workers. The same command goes on.",
            ) from None
        except BaseException:
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            pool.shutdown(cancel_futures=True)  # which waits for them
            raise
    return [found[number] for number in range(len(items))]


def _run(
    work: Callable[[Connection, Any], None],
    connection: Connection,
    setup: Any,
    parent: int,
    n_threads: int,
) -> None:
    _begin(parent, n_threads)
    work(connection, setup)


def _begin(parent: int, n_threads: int, prepare: Callable[[], None] | None = None) -> None:
    """Begin a process: its parent decides what Ctrl-C means, and takes it along when it goes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # as _starting left it
    threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()
    warnings.filterwarnings("ignore")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n_threads)  # of libraries that are loaded later
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n_threads)
    if prepare is not None:
        prepare()


def _exit_with(parent: int) -> None:
    """End this process soon after its parent has gone, however the parent went."""
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    os._exit(1)


def _messages(child: Child) -> Iterator[Any]:
    """Yield what a child has said."""
    try:
        while child.open and child.connection.poll():
            yield child.connection.recv()
    except (EOFError, OSError):  # it has closed its end, or was dismissed meanwhile
        child.open = False


@contextmanager
def _starting() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their first moment, and do not run our script again.

    A Ctrl-C that comes meanwhile is heard at the end.

    A script that calls :func:`superionic.screen` without asking for ``__name__`` would start
    workers that start workers. They need nothing of it.
    """
    resource_tracker.ensure_running()  # at its own start it would let Ctrl-C through
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def usable_cores() -> int:
    """Return the number of physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or 1))


def threads_per_process(n_processes: int) -> int:
    """Return the threads of one of several processes.

    That is its share of the cores, unless ``OMP_NUM_THREADS`` asks for fewer.
    """
    share = max(1, usable_cores() // n_processes)
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share
