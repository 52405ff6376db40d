"""Predictions for files and folders on this machine, from reading to the documents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobflow import Flow, OutputReference

from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential, parse_spec
from superionic.schemas.common import Warning_
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.settings import SuperionicSettings
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import finished_keys
from superionic.store.database.stores import Database, resolve_database
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import Crystal
from superionic.workflows.campaign.outcome import Reporter, Task
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.screening import unreadable
from superionic.workflows.campaign.selection import Selection, SelectionSettings, select
from superionic.workflows.jobs.network import load_network
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.makers.predict import PredictMaker


@dataclass(frozen=True)
class PredictionResult:
    """What a run of predictions gave.

    Parameters
    ----------
    documents : list of PredictionDocument
        One for each crystal that was asked for, in their order; those of crystals that are the same
        as another are copies that say so.
    failures : list of FailureDocument
        Those that could not be read or computed.
    n_planned : int
        Crystals that were asked for and could be read.
    n_computed : int
        Predictions that were made now; the others were in the database.
    n_shakes_found : int
        Crystals to be computed whose shakes were in the database, made for another network.
    selection : Selection
        Which crystals were wanted, and what became of the rest.
    """

    documents: list[PredictionDocument]
    failures: list[FailureDocument]
    n_planned: int
    n_computed: int
    n_shakes_found: int
    selection: Selection


@dataclass
class KnownShakes:
    """A Maker of predictions that takes shakes from the job store where they are there.

    Parameters
    ----------
    maker : PredictMaker
        Makes the flows.
    uuids : dict of str to str
        For each key of shakes, the job that made them.
    """

    maker: PredictMaker
    uuids: dict[str, str]
    mobile_species: str = field(init=False)
    potential: str = field(init=False)
    prepare_maker: PrepareMaker = field(init=False)

    def __post_init__(self) -> None:
        """Take over what campaigns want to know."""
        self.mobile_species = self.maker.mobile_species
        self.potential = self.maker.potential
        self.prepare_maker = self.maker.prepare_maker

    def key(self, candidate: Candidate) -> str:
        """Return the key under which the prediction for a candidate is found again."""
        return self.maker.key(candidate)

    def info(self) -> PotentialInfo:
        """Return the identity of the potential."""
        return self.maker.info()

    def make(self, candidate: Candidate) -> Flow:
        """Return the flow of a candidate; of one job where its shakes are known."""
        uuid = self.uuids.get(self.maker.shakes_key(candidate))
        return self.maker.make(candidate, shakes=OutputReference(uuid) if uuid else None)


def predict_paths(
    paths: Sequence[Crystal],
    maker: PredictMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
    selection: SelectionSettings | None = None,
) -> PredictionResult:
    """Predict for all crystals of files and folders; what is known is not computed again.

    Small crystals come first. Where another network was asked about the same shakes before, theirs
    are taken.

    Parameters
    ----------
    paths : sequence of Path, Structure, Atoms or Candidate
        Files, folders, crystals.
    maker : PredictMaker
        Makes the flow of a candidate.
    settings : SuperionicSettings
        Which database.
    reporter : Reporter
        Hears of each start and end.
    n_workers : int
        Worker processes; 0 means one for each physical core.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.
    selection : SelectionSettings, optional
        Filters, orderings of disordered crystals, and when two crystals are the same.

    Raises
    ------
    NetworkError
        When the network cannot be loaded.
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    PotentialError
        When the potential cannot be loaded or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    load_network(maker.network)
    maker.bound_shake_maker()
    chosen = select(paths, maker.mobile_species, maker.prepare_maker.settings, selection)
    failures = [unreadable(error) for error in chosen.unreadable]
    # Jobs run in another directory, where a relative path would lead nowhere.
    maker = replace(maker, potential=str(parse_spec(maker.potential)))
    if maker.network is not None:
        maker.network = str(Path(maker.network).expanduser().resolve())
    info = load_potential(maker.potential).info
    every = [Task(candidate, maker.key(candidate)) for candidate in chosen.candidates]
    with (
        resolve_database(settings, prefer_uri=prefer_uri) as database,
        database_errors(database),
    ):
        finished = finished_keys(database, [task.key for task in every], info, "prediction")
        done = {task.candidate.material_id for task in every if task.key in finished}
        duplicates = chosen.duplicates(done)
        tasks = [task for task in every if task.candidate.material_id not in duplicates]
        todo = sorted(
            (task for task in tasks if task.key not in finished),
            key=lambda task: task.candidate.work,
        )
        reporter.planned(n_materials=len(tasks), n_finished=len(tasks) - len(todo), todo=todo)
        known = shakes_in(database, [maker.shakes_key(task.candidate) for task in todo], info)
        outcomes = run_and_build(
            todo,
            KnownShakes(maker, known),
            database,
            reporter,
            n_workers=n_workers,
            finished=lambda keys: finished_keys(database, keys, info, "prediction"),
        )
        failed = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        found = predictions(database, [task.key for task in tasks], info)
    by_id = {task.candidate.material_id: found.get(task.key) for task in tasks}
    documents = []
    for task in every:
        name = task.candidate.material_id
        document = by_id[duplicates.get(name, name)]
        if document is not None:
            documents.append(_renamed(document, name) if name in duplicates else document)
    return PredictionResult(
        documents,
        failures + failed,
        n_planned=len(every),
        n_computed=len(outcomes) - len(failed),
        n_shakes_found=len(known),
        selection=chosen,
    )


def shakes_in(
    database: Database, shakes_keys: Iterable[str], info: PotentialInfo
) -> dict[str, str]:
    """Return for each key of shakes that are in the job store the uuid of the job that made them.

    Parameters
    ----------
    database : Database
        Where results are, open.
    shakes_keys : iterable of str
        As :meth:`PredictMaker.shakes_key` gives them.
    info : PotentialInfo
        The potential; shakes made with other weights do not count.
    """
    criteria = {
        "output.kind": "shakes",
        "output.task_key": {"$in": sorted(set(shakes_keys))},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    rows = database.job_store.docs_store.query(criteria, properties=["uuid", "output.task_key"])
    return {row["output"]["task_key"]: row["uuid"] for row in rows}


def predictions(
    database: Database, task_keys: Iterable[str], info: PotentialInfo
) -> dict[str, PredictionDocument]:
    """Return the newest prediction of each task that has one, by its key.

    Parameters
    ----------
    database : Database
        Where results are, open.
    task_keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential; predictions from other weights do not count.
    """
    criteria = {
        "output.kind": "prediction",
        "output.task_key": {"$in": sorted(set(task_keys))},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    newest: dict[str, PredictionDocument] = {}
    for row in database.job_store.docs_store.query(criteria, properties=["output"]):
        document = PredictionDocument.model_validate(without_monty(row["output"]))
        older = newest.get(document.task_key)
        if older is None or older.last_updated < document.last_updated:
            newest[document.task_key] = document
    return newest


def _renamed(document: PredictionDocument, material_id: str) -> PredictionDocument:
    """Return the prediction under another name of the same crystal."""
    text = f"The same crystal as {document.material_id}, of which this is the prediction."
    return document.model_copy(
        update={
            "material_id": material_id,
            "flags": [*document.flags, "same_crystal"],
            "warnings": [*document.warnings, Warning_(code="same_crystal", text=text)],
        }
    )
