"""One process of a worker: it launches one job after the other."""

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from superionic.cluster.delivery import deliver
from superionic.cluster.identity import Gate
from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.retry import DatabaseAwayError, RetryPolicy
from superionic.cluster.site import LaunchpadSpec
from superionic.cluster.spool import Result, Spool, SpoolError, SpoolingJobStore
from superionic.store.database.stores import DatabaseSpec
from superionic.text import PrintableFormatter

logger = logging.getLogger(__name__)

EXIT_DATABASE_AWAY = 4
EXIT_SPOOL = 5
DOUBLED = "DOUBLED"
"""State of a launch that does not count any more: its job is another process's, or nobody's."""
_IDLE_POLL_S = (0.1, 2.0)


@dataclass(frozen=True)
class ProcessSetup:
    """What a process needs to know.

    Parameters
    ----------
    database : DatabaseSpec
        The results.
    launchpad : LaunchpadSpec
        The jobs.
    spool : Path
        Directory of results on disk.
    name : str
        Name of the FireWorker.
    categories : tuple of str
        Categories of the jobs that are taken; all without any.
    query : dict
        Further conditions on jobs, as in ``my_fworker.yaml``.
    env : dict
        Environment of the FireWorker, as in ``my_fworker.yaml``.
    patience_s : float
        Longest outage of the database that is waited for, in s.
    ping_s : float
        Time between signs of life, in s.
    idle_s : float or None
        The process leaves when it had nothing to do for this long; None: it stays.
    n_threads : int
        Threads of numerical libraries.
    max_jobs : int
        Most jobs; 0 means no limit.
    """

    database: DatabaseSpec
    launchpad: LaunchpadSpec
    spool: Path
    name: str = "superionic worker"
    categories: tuple[str, ...] = ()
    query: dict[str, Any] | None = None
    env: dict[str, Any] | None = None
    patience_s: float = 600.0
    ping_s: float = 60.0
    idle_s: float | None = 30.0
    n_threads: int = 1
    max_jobs: int = 0


@dataclass(frozen=True)
class Hello:
    """The process is ready."""

    owner: str


@dataclass(frozen=True)
class Started:
    """A job has begun."""

    fw_id: int
    launch_id: int
    job: str
    material_id: str
    time_limit_s: float | None


@dataclass(frozen=True)
class Ended:
    """The job at hand has ended, and the launchpad knows."""

    fw_id: int
    state: str
    cause: str
    message: str


class StopProcessError(BaseException):
    """The process must end now; what it has computed is on disk.

    Not an ``Exception``: FireWorks takes those for failures of the job.

    Parameters
    ----------
    message : str
        Why.
    code : int
        Exit status of the process.
    """

    def __init__(self, message: str, code: int = EXIT_DATABASE_AWAY) -> None:
        super().__init__(message)
        self.code = code


class WorkerLaunchPad(CampaignLaunchPad):
    """The launchpad of a process: it has results on disk before it sends them."""

    def __init__(
        self,
        setup: ProcessSetup,
        retry: RetryPolicy,
        store: SpoolingJobStore,
        spool: Spool,
        connection: Connection,
    ) -> None:
        super().__init__(setup.launchpad.settings, retry)
        self.gate = Gate(self.refusals, setup.name)
        self._store = store
        self._spool = spool
        self._connection = connection
        self._fw_id = 0

    def checkout_fw(self, *args: Any, **kwargs: Any) -> Any:
        """Take the next job, and tell the supervisor."""
        try:
            firework, launch_id = super().checkout_fw(*args, **kwargs)
        except DatabaseAwayError as error:
            raise StopProcessError(str(error)) from None
        if firework is not None:
            self._fw_id = firework.fw_id
            details = firework.spec.get("_superionic", {})
            self._tell(
                Started(
                    firework.fw_id,
                    launch_id,
                    firework.name,
                    str(firework.spec.get("material_id", "")),
                    details.get("time_limit_s"),
                )
            )
        return firework, launch_id

    def complete_launch(self, launch_id: int, action: Any = None, state: str = "COMPLETED") -> None:
        """Write the result of a launch to disk, deliver it, and remove it from the disk.

        A disk that does not take it ends the process once it is delivered, before the next job.
        """
        cause, message = _cause(action)
        writes = self._store.take()
        if cause == DatabaseAwayError.code:
            raise StopProcessError(message)
        result = Result(
            launchpad=self.identity,
            fw_id=self._fw_id,
            launch_id=launch_id,
            state=state,
            action_json=json.dumps(action.to_dict(), default=str),
            owner=self.owner,
            writes=writes if state == "COMPLETED" else (),
        )
        path, full = None, None
        try:
            path = self._spool.write(result)
        except SpoolError as error:
            full = error
        try:
            delivered = deliver(result, self._store.real, self)
        except DatabaseAwayError as error:
            if full is not None:
                raise StopProcessError(f"{full} {error}", EXIT_SPOOL) from None
            raise StopProcessError(str(error)) from None
        except Exception:
            if path is not None:
                self._spool.set_aside(path)
            raise
        # The launchpad knows. An exception from here on would let FireWorks undo that.
        try:
            if not delivered:
                state, cause = DOUBLED, "doubled"
                aside = self._spool.set_aside(path, doubled=True) if path else "nowhere"
                message = (
                    "its launch does not count any more, since the job was given to another "
                    f"process, archived or deleted; this result is in {aside}"
                )
            elif path is not None:
                path.unlink(missing_ok=True)
            self.prefer_children(self._fw_id)
        except (DatabaseAwayError, OSError) as error:
            raise StopProcessError(str(error)) from None
        self._tell(Ended(self._fw_id, state, cause, message))
        if full is not None:
            raise StopProcessError(str(full), EXIT_SPOOL)

    def _tell(self, message: Started | Ended) -> None:
        """Tell the supervisor; without one, this process ends."""
        try:
            self._connection.send(message)
        except OSError:
            raise StopProcessError("The worker that this process belongs to has gone.") from None


def _cause(action: Any) -> tuple[str, str]:
    """Return the cause and the text of a failure; empty texts for a success."""
    stored = (action.stored_data if action is not None else None) or {}
    return cause_of(stored.get("_exception"))


def cause_of(exception: dict[str, Any] | None) -> tuple[str, str]:
    """Return cause and message from what FireWorks stores of an exception.

    Errors of superionic name their cause; for others it is the name of the exception.
    """
    if not exception:
        return "", ""
    details = exception.get("_details") or {}
    if isinstance(details, dict) and details.get("code"):
        material = details.get("material_id")
        text = " ".join(filter(None, [details.get("message"), details.get("hint")]))
        return details["code"], f"{material}: {text}" if material else text
    lines = [line for line in (exception.get("_stacktrace") or "").splitlines() if line.strip()]
    last = lines[-1] if lines else "unknown"
    return last.partition(":")[0].rpartition(".")[2].strip() or "unknown", last


def serve(connection: Connection, setup: ProcessSetup) -> None:
    """Launch jobs until there is nothing to do, the supervisor says so, or the database is lost.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        Takes :class:`Hello`, :class:`Started` and :class:`Ended`.
    setup : ProcessSetup
        What to do.
    """
    stopping = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in ("launchpad", "rocket.launcher", "jobflow"):
        logging.getLogger(name).propagate = False
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - FireWorks and jobflow log there
    with setup.database.open() as database:
        retry = RetryPolicy(setup.patience_s)
        store = SpoolingJobStore(database.job_store, retry)
        launchpad = WorkerLaunchPad(setup, retry, store, Spool(setup.spool), connection)
        connection.send(Hello(launchpad.owner))
        try:
            _launch_jobs(launchpad, store, setup, stopping)
        except StopProcessError as error:
            logger.error("%s", error)
            connection.close()
            # At once: neither ping threads nor open connections wait for the database.
            os._exit(error.code)


def _launch_jobs(
    launchpad: WorkerLaunchPad,
    store: SpoolingJobStore,
    setup: ProcessSetup,
    stopping: threading.Event,
) -> None:
    import fireworks.core.rocket as rocket
    from fireworks.core.fworker import FWorker
    from jobflow import SETTINGS

    # Constants that FireWorks reads from FW_config.yaml when it is imported.
    rocket.PING_TIME_SECS = setup.ping_s
    rocket.ROCKET_STREAM_LOGLEVEL = "CRITICAL"
    rocket.PRINT_FW_JSON = False
    SETTINGS.JOB_STORE = store
    env = {
        **(setup.env or {}),
        "superionic_owner": launchpad.owner,
        "superionic_ping_s": setup.ping_s,
    }
    fworker = FWorker(setup.name, list(setup.categories), setup.query, env)
    home = Path(tempfile.mkdtemp(prefix="superionic-"))
    delay_s, last_job, n_jobs = _IDLE_POLL_S[0], time.monotonic(), 0
    try:
        with open(os.devnull, "w") as nowhere:
            while not stopping.is_set() and not (setup.max_jobs and n_jobs >= setup.max_jobs):
                directory = home / f"job-{n_jobs}"
                directory.mkdir()
                os.chdir(directory)
                ran = rocket.Rocket(launchpad, fworker, None).run(err_file=nowhere)
                os.chdir(home)
                shutil.rmtree(directory, ignore_errors=True)
                if ran:
                    n_jobs += 1
                    delay_s, last_job = _IDLE_POLL_S[0], time.monotonic()
                    continue
                idle_s = time.monotonic() - last_job
                if setup.idle_s is not None and (
                    idle_s >= setup.idle_s or not _work_left(launchpad, fworker)
                ):
                    return
                stopping.wait(delay_s)
                delay_s = min(2 * delay_s, _IDLE_POLL_S[1])
    finally:
        os.chdir("/")
        shutil.rmtree(home, ignore_errors=True)


def _work_left(launchpad: CampaignLaunchPad, fworker: Any) -> bool:
    """Say whether a job that this worker would take may still become ready."""
    try:
        # One by one: ready jobs are those of other workers' categories, and may be many.
        return any(
            launchpad.fireworks.find_one({"state": state}, {"_id": 1}) is not None
            for state in ("RUNNING", "RESERVED", "READY")
        )
    except DatabaseAwayError as error:
        raise StopProcessError(str(error)) from None
