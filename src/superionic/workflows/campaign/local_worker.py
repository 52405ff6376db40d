"""A worker process: runs flows one after the other and writes what becomes of them."""

import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from jobflow import run_locally
from pymongo.errors import PyMongoError

from superionic.errors import SuperionicError
from superionic.progress import Progress, progress_to
from superionic.schemas.common import utc_now
from superionic.schemas.document import FailureDocument
from superionic.store.database.stores import Database, DatabaseSpec
from superionic.workflows.campaign.outcome import Task
from superionic.workflows.makers.base import FlowMaker

PROGRESS_INTERVAL_S = 0.3


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker needs to know.

    Parameters
    ----------
    database : DatabaseSpec
        Where results go.
    maker : FlowMaker
        Makes the flow of a candidate.
    directory : str
        Where jobs may leave files; whoever made it removes it.
    """

    database: DatabaseSpec
    maker: FlowMaker
    directory: str


@dataclass(frozen=True)
class Finished:
    """End of the task at hand; without a failure its documents are stored."""

    failure: FailureDocument | None


@dataclass(frozen=True)
class DatabaseLost:
    """The database does not take results: no task can go on."""

    text: str


def work(connection: Connection, setup: WorkerSetup) -> None:
    """Run tasks that come through a connection until it is closed.

    Parameters
    ----------
    connection : multiprocessing.connection.Connection
        Takes :class:`Task`, gives :class:`Progress`, :class:`Finished` and :class:`DatabaseLost`.
    setup : WorkerSetup
        What to run and where to store it.
    """
    with suppress(SuperionicError):  # each task will say so
        setup.maker.info()
    with setup.database.open() as database, suppress(EOFError, BrokenPipeError):
        while True:
            task: Task = connection.recv()
            connection.send(_run(task, setup, database, connection))


def _run(
    task: Task, setup: WorkerSetup, database: Database, connection: Connection
) -> Finished | DatabaseLost:
    last, stage = 0.0, ""

    def send_progress(progress: Progress) -> None:
        nonlocal last, stage
        if (now := time.monotonic()) - last > PROGRESS_INTERVAL_S or progress.stage != stage:
            last, stage = now, progress.stage
            connection.send(progress)

    try:
        try:
            with progress_to(send_progress):
                run_locally(
                    setup.maker.make(task.candidate),
                    log=False,
                    store=database.job_store,
                    # A folder for each job: programs that it starts leave files.
                    create_folders=True,
                    root_dir=setup.directory,
                    # A flow may go on from what an earlier one has left in the store.
                    allow_external_references=True,
                    raise_immediately=True,
                )
            database.failures.remove_docs({"key": task.key})
        except (PyMongoError, BrokenPipeError):
            raise
        except Exception as error:
            failure = failure_document(task, error, setup.maker)
            database.failures.update([failure.model_dump()], key="key")
            return Finished(failure)
    except PyMongoError as error:
        return DatabaseLost(f"{type(error).__name__} while {task.candidate.material_id} was stored")
    return Finished(None)


def failure_document(task: Task, error: Exception, maker: FlowMaker) -> FailureDocument:
    """Return what is kept of a task of a Maker's flow that raised an exception."""
    potential = None
    with suppress(SuperionicError):  # it may be the potential that fails
        potential = maker.info().label
    if isinstance(error, SuperionicError):
        code, message, hint, trace = error.code, error.message, error.hint, None
    else:
        code, message = "unexpected", f"{type(error).__name__}: {error}"
        hint = "This looks like a fault of superionic; please report it."
        trace = "".join(traceback.format_exception(error))
    return FailureDocument(
        key=task.key,
        material_id=task.candidate.material_id,
        mobile_species=maker.mobile_species,
        potential=potential,
        source=task.candidate.source,
        code=code,
        message=message,
        hint=hint,
        traceback=trace,
        last_updated=utc_now().isoformat(),
    )
