"""The screening of files and folders on this machine, from reading to the ranked rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from superionic import defaults
from superionic.errors import InputError
from superionic.potentials.registry import identify_potential, load_potential, parse_spec
from superionic.schemas.common import utc_now
from superionic.schemas.failure import FailureDocument
from superionic.schemas.screening import ScreeningDocument
from superionic.settings import SuperionicSettings
from superionic.store.builders.arrays import tasks_with_lost_arrays
from superionic.store.builders.names import record_names
from superionic.store.builders.relations import with_duplicates
from superionic.store.builders.screening import rows_of_tasks
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import adopt, finished_keys
from superionic.store.database.stores import resolve_database
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.outcome import Reporter, Task
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.selection import Selection, SelectionSettings, select
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.screen import ScreenMaker


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
        Flows that ran now; the others were in the database, or the same as another.
    selection : Selection
        Which crystals were wanted, and what became of the rest.
    """

    rows: list[ScreeningDocument]
    failures: list[FailureDocument]
    n_computed: int
    selection: Selection


def screen_paths(
    paths: Sequence[Crystal],
    maker: ScreenMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
    selection: SelectionSettings | None = None,
    policy: str = defaults.POLICY,
) -> ScreeningResult:
    """Screen all crystals of files and folders; what is in the database is not computed again.

    Parameters
    ----------
    paths : sequence of Path, Structure, Atoms or Candidate
        Files, folders, crystals.
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
    selection : SelectionSettings, optional
        Filters, orderings of disordered crystals, and when two crystals are the same. Of several
        that are, one is computed; the rows of the others are copies that say so.
    policy : str
        Ranking policy that orders the rows.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    PotentialError
        When the potential cannot be loaded or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    chosen = select(paths, maker.mobile_species, maker.prepare_maker.settings, selection)
    return screen_selection(
        chosen,
        maker,
        settings,
        reporter,
        n_workers=n_workers,
        prefer_uri=prefer_uri,
        policy=policy,
    )


def screen_selection(
    chosen: Selection,
    maker: ScreenMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
    policy: str = defaults.POLICY,
) -> ScreeningResult:
    """Screen crystals that were selected before, as :func:`screen_paths` does.

    Parameters
    ----------
    chosen : Selection
        The crystals.
    maker, settings, reporter, n_workers, prefer_uri, policy
        As there.
    """
    candidates = chosen.candidates
    failures = [unreadable(error) for error in chosen.unreadable]
    # Jobs run in another directory, where a relative path would lead nowhere.
    maker = replace(maker, potential=str(parse_spec(maker.potential)))
    info = identify_potential(maker.potential)
    tasks = [Task(candidate, maker.key(candidate)) for candidate in candidates]
    with (
        resolve_database(settings, prefer_uri=prefer_uri) as database,
        database_errors(database),
    ):
        readable = [f"file:{candidate.source}" for candidate in candidates]
        database.failures.remove_docs({"key": {"$in": readable}})
        if failures:
            database.failures.update([failure.model_dump() for failure in failures], key="key")
        adopt(database, former_keys(maker, candidates))

        def finished_of(keys: Iterable[str]) -> set[str]:
            found = finished_keys(database, keys, info, "descriptors")
            return found - tasks_with_lost_arrays(database.job_store, found, "landscape")

        finished = finished_of(task.key for task in tasks)
        done = {task.candidate.material_id for task in tasks if task.key in finished}
        duplicates = chosen.duplicates(done)
        tasks = [task for task in tasks if task.candidate.material_id not in duplicates]
        todo = [task for task in tasks if task.key not in finished]
        todo.sort(key=lambda task: task.candidate.work)
        if todo:  # it proves itself before anything is begun
            load_potential(maker.potential)
        reporter.planned(n_materials=len(tasks), n_finished=len(tasks) - len(todo), todo=todo)
        record_names(database, duplicates, maker.mobile_species)
        outcomes = run_and_build(
            todo,
            maker,
            database,
            reporter,
            n_workers=n_workers,
            finished=finished_of,
        )
        failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        outputs = database.job_store.docs_store
        rows = rows_of_tasks(outputs, [task.key for task in tasks], info.weights_sha256, policy)
    return ScreeningResult(with_duplicates(rows, duplicates), failures, len(todo), chosen)


def unreadable(error: InputError) -> FailureDocument:
    """Return what is kept of a crystal that could not be read."""
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
