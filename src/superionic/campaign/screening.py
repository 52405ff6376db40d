"""The screening of files and folders on this machine, from reading to the ranked rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from superionic.builders.run import run_builder
from superionic.builders.screening import ScreeningBuilder, rows_of_tasks
from superionic.campaign.outcome import Reporter, Task
from superionic.campaign.run import database_errors, default_workers, finished_keys, run_tasks
from superionic.database.stores import resolve_database
from superionic.errors import InputError, UnreadableFileError
from superionic.flows.screen import ScreenMaker
from superionic.potentials.registry import load_potential, parse_spec
from superionic.schemas.common import utc_now
from superionic.schemas.failure import FailureDocument
from superionic.schemas.screen import ScreeningDocument
from superionic.settings import SuperionicSettings
from superionic.structures.readers import read_candidates


@dataclass(frozen=True)
class ScreeningResult:
    """What a screening gave.

    Parameters
    ----------
    rows : list of ScreeningDocument
        The crystals that were asked for, ranked among each other.
    failures : list of FailureDocument
        Those that could not be read or computed.
    n_computed : int
        Flows that ran now; the others were in the database.
    """

    rows: list[ScreeningDocument]
    failures: list[FailureDocument]
    n_computed: int


def screen_paths(
    paths: Sequence[Path],
    maker: ScreenMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
) -> ScreeningResult:
    """Screen all crystals of files and folders; what is in the database is not computed again.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    maker : ScreenMaker
        Makes the flow of a candidate.
    settings : SuperionicSettings
        Which database.
    reporter : Reporter
        Hears of each start, progress and end.
    n_workers : int
        Worker processes; 0 means one for each physical core.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    PotentialError
        When the potential cannot be loaded or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    candidates, failures = [], []
    for found in read_candidates(paths):
        if isinstance(found, InputError):
            failures.append(_unreadable(found))
        else:
            candidates.append(found)
    if not candidates and not failures:
        raise UnreadableFileError(
            f"There is no crystal in {', '.join(str(path) for path in paths)}.",
            hint="Name CIF, POSCAR, extended XYZ, JSON or JSON lines files, or folders of them.",
        )
    # Jobs run in another directory, where a relative path would lead nowhere.
    maker = replace(maker, potential=str(parse_spec(maker.potential)))
    info = load_potential(maker.potential).info
    tasks = [Task(candidate, maker.key(candidate)) for candidate in candidates]
    with (
        resolve_database(settings, prefer_uri=prefer_uri) as database,
        database_errors(database),
    ):
        readable = [f"file:{candidate.source}" for candidate in candidates]
        database.failures.remove_docs({"key": {"$in": readable}})
        if failures:
            database.failures.update([failure.model_dump() for failure in failures], key="key")
        finished = finished_keys(database, [task.key for task in tasks], info)
        todo = sorted((task for task in tasks if task.key not in finished), key=_work)
        reporter.planned(n_materials=len(tasks), n_finished=len(tasks) - len(todo), todo=todo)
        outcomes = []
        if todo:
            n_workers = n_workers or default_workers()
            outcomes = run_tasks(todo, maker, database, reporter, n_workers=n_workers)
        failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        outputs = database.job_store.docs_store
        run_builder(ScreeningBuilder(outputs, database.screening))
        rows = rows_of_tasks(outputs, [task.key for task in tasks], info.weights_sha256)
    return ScreeningResult(rows, failures, len(todo))


def _work(task: Task) -> float:
    """Return a rough measure of the cost of a landscape, for the order of the tasks."""
    structure = task.candidate.structure
    return structure.volume * len(structure) ** 2


def _unreadable(error: InputError) -> FailureDocument:
    name = error.material_id or "unknown"
    return FailureDocument(
        key=f"file:{name}",
        material_id=name,
        source=name,
        code=error.code,
        message=error.message,
        hint=error.hint,
        last_updated=utc_now().isoformat(),
    )
