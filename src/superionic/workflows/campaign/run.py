"""Run the flows of many candidates in worker processes of this machine."""

import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from superionic.errors import DatabaseError
from superionic.processes import (
    Child,
    Children,
    Gone,
    ProcessDiedError,
    threads_per_process,
    usable_cores,
)
from superionic.progress import Progress
from superionic.schemas.common import utc_now
from superionic.schemas.document import FailureDocument, without_monty
from superionic.store.builders.build import build_screening
from superionic.store.database.answers import lost
from superionic.store.database.lease import Lease, Leases
from superionic.store.database.stores import Database
from superionic.workflows.campaign.local_worker import (
    DatabaseLost,
    Finished,
    WorkerSetup,
    failure_document,
    work,
)
from superionic.workflows.campaign.outcome import Outcome, Reporter, Task
from superionic.workflows.makers.base import FlowMaker

CLAIMS_COLLECTION = "claims"
"""One document for each task that a command computes now, by the key of the task."""

FinishedKeys = Callable[[Iterable[str]], Collection[str]]
"""Returns those of some task keys whose results are in the database."""

_LOOK_EVERY_S = 0.5
_BUILD_EVERY_S = 10.0
_BUILD_PAUSES = 20.0
"""A build is followed by a pause so many times as long."""


@dataclass(eq=False)
class _Worker(Child):
    task: Task | None = None


def run_tasks(
    tasks: Sequence[Task],
    maker: FlowMaker,
    database: Database,
    reporter: Reporter,
    *,
    n_workers: int,
    finished: FinishedKeys | None = None,
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
    finished : callable, optional
        Returns those of some task keys whose results are there; what another process has computed
        in the meantime is not computed again.

    Returns
    -------
    list of Outcome
        One for each task, in the order in which they ended.

    Notes
    -----
    A task is claimed while it runs. What another process has claimed is waited for, and taken over
    when that process is dead.

    Raises
    ------
    DatabaseError
        When the database no longer takes results; what was stored before stays.
    """
    n_workers = max(1, min(n_workers, len(tasks)))
    n_threads = threads_per_process(n_workers)
    with tempfile.TemporaryDirectory(prefix="superionic-") as directory:
        setup = WorkerSetup(database.spec, maker, directory)
        claims = database.screening._collection.database[CLAIMS_COLLECTION]
        with Leases(claims) as leases, Children(_Worker, work, setup, n_threads) as workers:
            left = _Claims(tasks, database, leases, finished)
            return _run_with(workers, left, maker, reporter, n_workers)


def run_and_build(
    tasks: Sequence[Task],
    maker: FlowMaker,
    database: Database,
    reporter: Reporter,
    *,
    n_workers: int,
    finished: FinishedKeys,
) -> list[Outcome]:
    """Run flows as :func:`run_tasks` does, and give what is finished its rows.

    Also when it is stopped by Ctrl-C in the middle.
    """
    outcomes = []
    try:
        if tasks:
            outcomes = run_tasks(
                tasks,
                maker,
                database,
                reporter,
                n_workers=n_workers or usable_cores(),
                finished=finished,
            )
    except DatabaseError:
        raise
    except BaseException:
        build_screening(database, wait=True)
        raise
    build_screening(database, wait=True)
    return outcomes


class _Builds:
    """Gives rows to what is finished while the rest runs, at a small part of the time."""

    def __init__(self, database: Database) -> None:
        self.behind = False
        self._database = database
        self._due = time.monotonic() + _BUILD_EVERY_S

    def build_if_due(self) -> None:
        """Build, when something is finished and the last build is long ago."""
        if not self.behind or time.monotonic() < self._due:
            return
        start = time.monotonic()
        build_screening(self._database)  # whoever else is at it sees what is finished, too
        end = time.monotonic()
        self.behind, self._due = False, end + max(_BUILD_EVERY_S, _BUILD_PAUSES * (end - start))


class _Claims:
    """The tasks that are left, each claimed before it is handed out."""

    def __init__(
        self,
        tasks: Sequence[Task],
        database: Database,
        leases: Leases,
        finished: FinishedKeys | None,
    ) -> None:
        self.database = database
        self.left = deque(tasks)
        self._leases = leases
        self._finished = finished
        self._held: dict[str, Lease] = {}
        self._since = utc_now().isoformat()

    def next(self) -> Task | Outcome | None:
        """Return a task that is ours now, what another process made of one, or None for now."""
        for _ in range(len(self.left)):
            task = self.left.popleft()
            lease = self._leases.take(task.key)
            if lease is None:  # another process is at it
                self.left.append(task)
                continue
            outcome = self._elsewhere(task)
            if outcome is None:
                self._held[task.key] = lease
                return task
            self._leases.give_back(lease)
            return outcome
        return None

    def give_back(self, task: Task) -> None:
        """End the claim of a task."""
        self._leases.give_back(self._held.pop(task.key))

    def _elsewhere(self, task: Task) -> Outcome | None:
        """Return how a task ended in another process since this one has looked."""
        if self._finished is not None and self._finished([task.key]):
            return Outcome(task)
        failed = self.database.failures.query_one({"key": task.key})
        if failed is None or failed["last_updated"] < self._since:
            return None
        return Outcome(task, FailureDocument.model_validate(without_monty(failed)))


def _run_with(
    workers: Children[_Worker],
    claims: _Claims,
    maker: FlowMaker,
    reporter: Reporter,
    n_workers: int,
) -> list[Outcome]:
    database = claims.database
    builds = _Builds(database)
    outcomes: list[Outcome] = []

    def assign(worker: _Worker) -> None:
        worker.task = None
        while isinstance(found := claims.next(), Outcome):
            reporter.started(found.task)
            finish(found)
        if found is not None:
            worker.task = found
            reporter.started(found)
            worker.tell(found)
        elif not claims.left:
            workers.dismiss(worker)

    def finish(outcome: Outcome) -> None:
        outcomes.append(outcome)
        builds.behind = True
        reporter.finished(outcome)

    for _ in range(n_workers):
        assign(workers.start())
    while workers.running:
        idle = [worker for worker in workers.running if worker.task is None]
        builds.build_if_due()
        heard = workers.hear(_LOOK_EVERY_S if idle or builds.behind else None)
        for worker, message in heard:
            task = worker.task
            if task is not None and isinstance(message, Progress):
                reporter.progress(task, message)
            elif isinstance(message, DatabaseLost):
                raise lost(database, message.text)
            elif task is not None and isinstance(message, Finished):
                finish(Outcome(task, message.failure))
                claims.give_back(task)
                assign(worker)
            elif isinstance(message, Gone):
                if task is not None:
                    finish(_died(task, message, database, maker))
                    claims.give_back(task)
                if claims.left:
                    assign(workers.start())
        for worker in idle:  # others are at all that is left
            if worker in workers.running:
                assign(worker)
    return outcomes


def _died(task: Task, end: Gone, database: Database, maker: FlowMaker) -> Outcome:
    error = ProcessDiedError(
        f"The worker process ended with exit code {end.exit_code} (-9: killed, often for lack "
        "of memory).",
        hint="Run again with fewer workers (--workers 1), or a coarser grid (--step).",
    )
    failure = failure_document(task, error, maker)
    database.failures.update([failure.model_dump()], key="key")
    return Outcome(task, failure)
