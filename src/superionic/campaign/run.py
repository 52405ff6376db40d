"""Run the flows of many candidates in worker processes of this machine."""

import multiprocessing
import os
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pymongo.errors import PyMongoError

from superionic.campaign.outcome import Outcome, Reporter, Task
from superionic.campaign.worker import (
    DatabaseLost,
    Finished,
    WorkerSetup,
    failure_document,
    work,
)
from superionic.cores import threads_per_process
from superionic.database.stores import Database
from superionic.errors import DatabaseError, SuperionicError
from superionic.flows.base import FlowMaker
from superionic.progress import Progress


class WorkerDiedError(SuperionicError):
    """The process that computed a material ended without a word."""

    code = "worker_died"


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: Task | None = None


def run_tasks(
    tasks: Sequence[Task],
    maker: FlowMaker,
    database: Database,
    reporter: Reporter,
    *,
    n_workers: int,
) -> list[Outcome]:
    """Run flows in worker processes; one that fails, or kills its worker, does not stop the rest.

    Parameters
    ----------
    tasks : sequence of Task
        What to run, in this order.
    maker : FlowMaker
        Makes the flow of a candidate.
    database : Database
        Where results and failures go; workers open it by its specification.
    reporter : Reporter
        Hears of each start, progress and end.
    n_workers : int
        Processes.

    Returns
    -------
    list of Outcome
        One for each task, in the order in which they ended.

    Raises
    ------
    DatabaseError
        When the database no longer takes results; what was stored before stays.
    """
    n_workers = max(1, min(n_workers, len(tasks)))
    n_threads = threads_per_process(n_workers)
    with tempfile.TemporaryDirectory(prefix="superionic-") as directory:
        setup = WorkerSetup(database.spec, maker, n_threads, directory, os.getpid())
        return _run_with(setup, tasks, database, reporter, n_workers)


def _run_with(
    setup: WorkerSetup,
    tasks: Sequence[Task],
    database: Database,
    reporter: Reporter,
    n_workers: int,
) -> list[Outcome]:
    context = multiprocessing.get_context("spawn")
    queue = deque(tasks)
    workers: list[_Worker] = []
    outcomes: list[Outcome] = []

    def start() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, setup), daemon=True)
        with _ignored_interrupts():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        workers.append(worker)
        assign(worker)

    def assign(worker: _Worker) -> None:
        worker.task = queue.popleft() if queue else None
        if worker.task is None:
            worker.connection.close()
            workers.remove(worker)
            worker.process.join()
            return
        reporter.started(worker.task)
        with suppress(BrokenPipeError):  # it has just died, which its connection tells, too
            worker.connection.send(worker.task)

    def finish(outcome: Outcome) -> None:
        outcomes.append(outcome)
        reporter.finished(outcome)

    try:
        for _ in range(n_workers):
            start()
        while workers:
            ready = wait([worker.connection for worker in workers])
            for worker in [one for one in workers if one.connection in ready]:
                task = worker.task
                assert task is not None
                try:
                    message = worker.connection.recv()
                except (EOFError, ConnectionResetError):
                    worker.process.join()
                    workers.remove(worker)
                    finish(_died(task, worker.process, database))
                    if queue:
                        start()
                    continue
                if isinstance(message, Progress):
                    reporter.progress(task, message)
                elif isinstance(message, Finished):
                    finish(Outcome(task, message.failure))
                    assign(worker)
                elif isinstance(message, DatabaseLost):
                    raise _lost(database, message.text)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
    return outcomes


@contextmanager
def _ignored_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C for a moment, and in processes that are started now until they decide."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def database_errors(database: Database) -> Iterator[None]:
    """Turn whatever the database driver raises into a :class:`DatabaseError` with a hint."""
    try:
        yield
    except PyMongoError as error:
        raise _lost(database, type(error).__name__) from None


def _lost(database: Database, text: str) -> DatabaseError:
    return DatabaseError(
        f"The database {database.description} no longer answers ({text}).",
        hint="Everything stored before is safe: run the same command again when it is back.",
    )


def _died(task: Task, process: BaseProcess, database: Database) -> Outcome:
    error = WorkerDiedError(
        f"The worker process ended with exit code {process.exitcode} (-9: killed, often for lack "
        "of memory).",
        hint="Run again with fewer workers (--workers 1), or a coarser grid (--step).",
    )
    failure = failure_document(task, error)
    database.failures.update([failure.model_dump()], key="key")
    return Outcome(task, failure)
