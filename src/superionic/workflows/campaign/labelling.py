"""The labelling of files and folders on this machine, from reading to the rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential, parse_spec
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.settings import SuperionicSettings, get_settings
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import finished_keys
from superionic.store.database.stores import Database, resolve_database
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.outcome import Reporter, Task
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.screening import unreadable
from superionic.workflows.campaign.selection import Selection, SelectionSettings, select
from superionic.workflows.jobs.diffusion import judged_again
from superionic.workflows.makers.label import LabelMaker

_USUAL_SUPERCELL_A3 = 420.0


@dataclass(frozen=True)
class LabellingResult:
    """What a labelling gave.

    Parameters
    ----------
    rows : list of LabelRow
        Labels of the crystals that were asked for, in their order.
    failures : list of FailureDocument
        Those that could not be read or computed.
    n_planned : int
        Crystals that were asked for, duplicates aside.
    n_computed : int
        Flows that ran now; the others were in the database or known.
    selection : Selection
        Which crystals were wanted, and what became of the rest.
    """

    rows: list[LabelRow]
    failures: list[FailureDocument]
    n_planned: int
    n_computed: int
    selection: Selection


def label_paths(
    paths: Sequence[Crystal],
    maker: LabelMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
    selection: SelectionSettings | None = None,
    known: Iterable[LabelRow] = (),
    run: bool = True,
) -> LabellingResult:
    """Label all crystals of files and folders; what is known is not computed again.

    Small supercells come first.

    Parameters
    ----------
    paths : sequence of Path, Structure, Atoms or Candidate
        Files, folders, crystals.
    maker : LabelMaker
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
        Filters, orderings of disordered crystals, and when two crystals are the same; of several
        that are, one is labelled.
    known : iterable of LabelRow
        Labels from elsewhere, such as a published data set. They stand in for runs with the same
        key and the same weights.
    run : bool
        Whether anything is computed; otherwise only what is there is collected.

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
    failures = [unreadable(error) for error in chosen.unreadable]
    # Jobs run in another directory, where a relative path would lead nowhere.
    maker = replace(maker, potential=str(parse_spec(maker.potential)))
    info = load_potential(maker.potential).info
    tasks = [Task(candidate, maker.key(candidate)) for candidate in chosen.candidates]
    published = {
        row.task_key: row for row in known if row.potential_weights_sha256 == info.weights_sha256
    }
    with (
        resolve_database(settings, prefer_uri=prefer_uri, writing=run) as database,
        database_errors(database),
    ):
        finished = published.keys() | finished_keys(
            database, [task.key for task in tasks], info, "diffusion"
        )
        done = {task.candidate.material_id for task in tasks if task.key in finished}
        duplicates = chosen.duplicates(done)
        tasks = [task for task in tasks if task.candidate.material_id not in duplicates]
        todo = sorted((task for task in tasks if task.key not in finished), key=_atoms)
        reporter.planned(
            n_materials=len(tasks), n_finished=len(tasks) - len(todo), todo=todo if run else []
        )
        outcomes = []
        if run:
            outcomes = run_and_build(
                todo,
                maker,
                database,
                reporter,
                n_workers=n_workers,
                finished=lambda keys: finished_keys(database, keys, info, "diffusion"),
            )
        failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        stored = label_rows(database, [task.key for task in tasks], info)
    found = {**published, **{row.task_key: row for row in stored}}
    rows = [found[task.key] for task in tasks if task.key in found]
    return LabellingResult(rows, failures, len(tasks), len(outcomes), chosen)


def label_rows(database: Database, task_keys: Iterable[str], info: PotentialInfo) -> list[LabelRow]:
    """Return the newest label of each task that has one.

    Labels that a former version of the analysis judged are judged again from their trajectories,
    where these are in the data directory.

    Parameters
    ----------
    database : Database
        Where results are, open.
    task_keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential; labels made with other weights do not count.
    """
    criteria = {
        "output.kind": "diffusion",
        "output.task_key": {"$in": sorted(set(task_keys))},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    newest: dict[str, DiffusionDocument] = {}
    for row in database.job_store.docs_store.query(criteria, properties=["output"]):
        document = DiffusionDocument.model_validate(without_monty(row["output"]))
        older = newest.get(document.task_key)
        if older is None or older.last_updated < document.last_updated:
            newest[document.task_key] = document
    folder = get_settings().data_dir / "md"
    return [LabelRow.from_document(judged_again(one, folder)) for one in newest.values()]


def _atoms(task: Task) -> float:
    """Return the atoms of the supercell: as the crystal's record says, or a rough estimate."""
    stated = task.candidate.provenance.get("n_atoms_supercell")
    if isinstance(stated, int | float):
        return float(stated)
    structure = task.candidate.structure
    volume_A3 = float(structure.volume)
    return len(structure) / volume_A3 * max(volume_A3, _USUAL_SUPERCELL_A3)
