"""A worker: processes that launch jobs, and the supervisor that looks after them."""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psutil

from superionic.cluster.launchpad import CampaignLaunchPad, failure_action
from superionic.cluster.process import (
    DOUBLED,
    EXIT_DATABASE_AWAY,
    EXIT_SPOOL,
    Ended,
    Hello,
    ProcessSetup,
    Started,
    serve,
)
from superionic.cluster.recovery import JobEnd, Recovery, recover_process
from superionic.cluster.spool import Spool, SpoolError
from superionic.errors import DatabaseError, SuperionicError
from superionic.processes import Child, Children, Gone
from superionic.store.database.stores import Database

_POLL_S = 0.25
_MOST_FALSE_STARTS = 3


class WorkerError(SuperionicError):
    """The processes of a worker do not run."""

    code = "worker"


@dataclass
class WorkerReport:
    """What a worker has done.

    Parameters
    ----------
    n_completed, n_failed : int
        Jobs.
    n_handed_back : int
        Jobs given back unfinished.
    n_deaths : int
        Processes that died.
    """

    n_completed: int = 0
    n_failed: int = 0
    n_handed_back: int = 0
    n_deaths: int = 0


@dataclass(frozen=True)
class Limits:
    """What a job may use.

    Parameters
    ----------
    time_s : float or None
        Longest time of a job in s, where its campaign names none.
    memory_GB : float or None
        Largest resident memory of a process, in GB.
    grace_s : float
        Time that jobs have to finish when the worker is asked to stop, in s.
    """

    time_s: float | None = None
    memory_GB: float | None = None
    grace_s: float = 30.0


@dataclass(eq=False)
class _Child(Child):
    owner: str | None = None
    job: Started | None = None
    since: float = field(default_factory=time.monotonic)
    n_jobs: int = 0
    job_end: JobEnd | None = None


def run_worker(
    setup: ProcessSetup,
    database: Database,
    launchpad: CampaignLaunchPad,
    *,
    n_processes: int,
    limits: Limits,
    say: Callable[[str], None],
) -> WorkerReport:
    """Run jobs in processes until nothing is left, or until SIGTERM or Ctrl-C.

    A process that dies is replaced; its job runs again in another one, unless it has killed too
    many. A job that exceeds a limit fails.

    Parameters
    ----------
    setup : ProcessSetup
        What each process needs to know.
    database : Database
        The results.
    launchpad : CampaignLaunchPad
        The jobs.
    n_processes : int
        Processes.
    limits : Limits
        Time and memory of a job.
    say : callable
        Gets one line for each thing that happens.

    Raises
    ------
    DatabaseAwayError
        When the database is away for longer than the setup's retry.
    SpoolError
        When results cannot be written to disk.
    WorkerError
        When processes end before they begin a job.
    """
    return _Supervisor(setup, database, launchpad, n_processes, limits, say).run()


class _Supervisor:
    def __init__(
        self,
        setup: ProcessSetup,
        database: Database,
        launchpad: CampaignLaunchPad,
        n_processes: int,
        limits: Limits,
        say: Callable[[str], None],
    ) -> None:
        self.setup = setup
        self.database = database
        self.launchpad = launchpad
        self.n_processes = n_processes
        self.limits = limits
        self.say = say
        self.report = WorkerReport()
        self.children = Children(_Child, serve, setup, setup.n_threads)
        self.n_requests = 0
        self.stop_at: float | None = None
        self.false_starts = 0
        self.database_away = False
        self.spool_full = False

    def run(self) -> WorkerReport:
        Spool(self.setup.spool).check()
        with self._signals(), self.children:
            for _ in range(self.n_processes):
                self.children.start()
            while self.children.running:
                self._look()
        if self.database_away:
            raise DatabaseError(
                f"The database was away for more than {self.setup.patience_s:g} s.",
                hint=f"Results that could not be sent are in {self.setup.spool}: when it is back, "
                "run 'superionic recover', and start workers again.",
            )
        if self.spool_full:
            raise SpoolError(
                f"Results could not be written to {self.setup.spool}: no further jobs were taken.",
                hint="Free space there, or name another directory with --spool; then start workers "
                "again.",
            )
        return self.report

    @contextmanager
    def _signals(self) -> Any:
        def request(signum: int, frame: FrameType | None) -> None:
            self.n_requests += 1

        before = {
            number: signal.signal(number, request) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _look(self) -> None:
        """Hear what the processes say, and look after those that are silent."""
        for child, message in self.children.hear(_POLL_S):
            if isinstance(message, Hello):
                child.owner = message.owner
            elif isinstance(message, Started):
                child.job, child.since = message, time.monotonic()
                child.n_jobs += 1
                self.false_starts = 0
            elif isinstance(message, Ended):
                self._ended(child, message)
            elif isinstance(message, Gone):
                self._bury(child, message.exit_code)
        if self.n_requests and self.stop_at is None:
            self.say(f"Stopping: jobs have {self.limits.grace_s:g} s to finish.")
            self.stop_at = time.monotonic() + self.limits.grace_s
            for child in self.children.running:
                child.process.terminate()
        over = self.stop_at is not None and (time.monotonic() > self.stop_at or self.n_requests > 1)
        for child in self.children.running:
            if not over:
                self._check_limits(child)
            elif child.job_end is None:
                self._kill(child, HANDED_BACK)

    def _ended(self, child: _Child, message: Ended) -> None:
        took_s = time.monotonic() - child.since
        name = f"{child.job.material_id} {child.job.job}" if child.job else ""
        child.job = None
        if message.state == "COMPLETED":
            self.report.n_completed += 1
            self.say(f"{message.fw_id} {name}: done ({took_s:.1f} s)")
        elif message.state == DOUBLED:
            self.say(f"{message.fw_id} {name}: too late: {message.message}")
        else:
            self.report.n_failed += 1
            self.say(f"{message.fw_id} {name}: failed ({message.cause}): {message.message}")

    def _check_limits(self, child: _Child) -> None:
        if child.job is None or child.job_end is not None:
            return
        limit_s = child.job.time_limit_s or self.limits.time_s
        took_s = time.monotonic() - child.since
        if limit_s is not None and took_s > limit_s:
            text = f"The job was stopped after {took_s:.0f} s (limit: {limit_s:g} s)."
            hint = "Raise time_limit_s of the campaign, or --time-limit; then 'superionic rerun'."
            self._kill(child, JobEnd(failure_action("time_limit", text, hint), run_again=False))
        elif self.limits.memory_GB is not None:
            used_GB = _memory_GB(child.process.pid)
            if used_GB > self.limits.memory_GB:
                text = (
                    f"The job was stopped when its process used {used_GB:.2f} GB of memory (limit: "
                    f"{self.limits.memory_GB:g} GB)."
                )
                hint = "Raise --memory-limit, or use a coarser grid; then 'superionic rerun'."
                action = failure_action("memory_limit", text, hint)
                self._kill(child, JobEnd(action, run_again=False))

    def _kill(self, child: _Child, job_end: JobEnd) -> None:
        child.job_end = job_end
        child.process.kill()

    def _bury(self, child: _Child, code: int | None) -> None:
        """Put right what a process left behind, and replace it where that is useful."""
        if code == EXIT_DATABASE_AWAY:
            self.database_away = True
            return
        if code == 0:
            return
        if code == EXIT_SPOOL and not self.spool_full:
            self.say(f"Results cannot be written to {self.setup.spool}: no further jobs are taken.")
            self.spool_full = True
            for other in self.children.running:
                other.process.terminate()  # it finishes the job at hand
        quiet = self.stop_at is not None or code == EXIT_SPOOL
        died = child.job_end is None and not quiet
        if died:
            self.report.n_deaths += 1
        # A process that dies in the quiet of a stop has not been killed by its job.
        job_end = child.job_end or (HANDED_BACK if quiet else None)
        found = Recovery()
        if child.owner is not None:
            found = recover_process(
                self.database,
                self.launchpad,
                Spool(self.setup.spool),
                child.owner,
                job_end=job_end,
            )
        self._tell(child, found, died)
        if self.spool_full:
            return
        if child.n_jobs == 0:
            self.false_starts += 1
            if self.false_starts >= _MOST_FALSE_STARTS:
                raise WorkerError(
                    f"{self.false_starts} processes in a row ended before they began a job (exit "
                    f"code {code}).",
                    hint="Look at the messages above.",
                )
        if self.stop_at is None:
            self.children.start()

    def _tell(self, child: _Child, found: Recovery, died: bool) -> None:
        name = f"{child.job.material_id} {child.job.job}" if child.job else "no job"
        if died:
            self.say(
                f"Process {child.process.pid} died (exit code {child.process.exitcode}), at work "
                f"on: {name}."
            )
        self.report.n_completed += len(found.results_sent)
        for fw_id in found.results_sent:
            self.say(f"{fw_id} {name}: the result was on disk and has been sent")
        for fw_id in found.results_doubled:
            self.say(f"{fw_id} {name}: too late: its result is in {self.setup.spool} (*.doubled)")
        for fw_id in (*found.handed_back, *found.released):
            self.report.n_handed_back += 1
            self.say(f"{fw_id} {name}: handed back")
        for fw_id in found.given_up:
            self.report.n_failed += 1
            message = "its process died too often"
            if child.job_end is not None:
                message = child.job_end.action.stored_data["_message"]
            self.say(f"{fw_id} {name}: failed: {message}")


HANDED_BACK = JobEnd(
    failure_action("handed_back", "The worker was asked to stop and gave the job back."),
    run_again=True,
)


def _memory_GB(pid: int | None) -> float:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 1e9
    except psutil.NoSuchProcess:
        return 0.0
