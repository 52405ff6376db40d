"""The validation of the best on this machine, from the ranking to the verdicts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from superionic import defaults
from superionic.errors import SettingsError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential, parse_spec
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.indexes import rank_field
from superionic.schemas.screening import ScreeningDocument
from superionic.schemas.validation import ValidationDocument
from superionic.settings import SuperionicSettings
from superionic.store.builders.build import build_screening
from superionic.store.collection.rows import find_ranking, iter_screening
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import finished_keys
from superionic.store.database.stores import Database, resolve_database
from superionic.structures.candidate import Candidate
from superionic.structures.plain import structure_from_dict
from superionic.workflows.campaign.outcome import Reporter, Task
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.screening import unreadable
from superionic.workflows.campaign.selection import Selection, SelectionSettings, select
from superionic.workflows.makers.validate import ValidateMaker


@dataclass(frozen=True)
class Best:
    """Which materials are validated.

    Parameters
    ----------
    top : int
        As many of the best; 0 means all that have a score.
    policy : str
        Ranking policy.
    ids : tuple of str
        Identifiers; these, whatever their rank.
    """

    top: int = 10
    policy: str = defaults.POLICY
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValidationResult:
    """What a validation gave.

    Parameters
    ----------
    documents : list of ValidationDocument
        Verdicts on the materials that were asked for, in their order.
    failures : list of FailureDocument
        Those that could not be read or computed.
    n_planned : int
        Materials that were asked for.
    n_computed : int
        Flows that ran now; the others were in the database.
    selection : Selection, optional
        Of files: which crystals were wanted, and what became of the rest.
    """

    documents: list[ValidationDocument]
    failures: list[FailureDocument]
    n_planned: int
    n_computed: int
    selection: Selection | None = None


def validate_materials(
    maker: ValidateMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    paths: Sequence[Path] = (),
    best: Best | None = None,
    n_workers: int = 0,
    prefer_uri: bool = False,
    selection: SelectionSettings | None = None,
    run: bool = True,
) -> ValidationResult:
    """Validate crystals of files, the best of the screening collection, or the best of the files.

    What is in the database is not computed again, and a run of molecular dynamics that was stopped
    goes on.

    Parameters
    ----------
    maker : ValidateMaker
        Makes the flow of a candidate.
    settings : SuperionicSettings
        Which database.
    reporter : Reporter
        Hears of each start, progress and end.
    paths : sequence of Path
        Files and folders. Without them, crystals come from the documents of the screening.
    best : Best, optional
        Which of the crystals; without it, all of the files.
    n_workers : int
        Worker processes; 0 means one for each physical core.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.
    selection : SelectionSettings, optional
        Filters and when two crystals of the files are the same.
    run : bool
        Whether anything is computed; otherwise only what is there is collected.

    Raises
    ------
    UnreadableFileError
        When the paths hold no crystal and no broken file either.
    SettingsError
        When nothing is named, or an identifier is not known.
    PotentialError
        When the potential cannot be loaded or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    if not paths and best is None:
        raise SettingsError(
            "Nothing is named that could be validated.",
            hint="Name crystals, or how many of the best.",
        )
    # Jobs run in another directory, where a relative path would lead nowhere.
    maker = replace(maker, potential=str(parse_spec(maker.potential)))
    info = load_potential(maker.potential).info
    failures: list[FailureDocument] = []
    given: list[Candidate] | None = None
    chosen: Selection | None = None
    if paths:
        chosen = select(paths, maker.mobile_species, maker.prepare_maker.settings, selection)
        failures = [unreadable(error) for error in chosen.unreadable]
        repeated = chosen.duplicates()
        given = [one for one in chosen.candidates if one.material_id not in repeated]
    with (
        resolve_database(settings, prefer_uri=prefer_uri, writing=run) as database,
        database_errors(database),
    ):
        candidates = given or []
        if best is not None:
            if run:
                build_screening(database, wait=True)
            candidates = best_candidates(database, best, maker.mobile_species, info, given)
        tasks = [Task(candidate, maker.key(candidate)) for candidate in candidates]
        finished = finished_keys(database, [task.key for task in tasks], info, "validation")
        todo = [task for task in tasks if task.key not in finished]
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
                finished=lambda keys: finished_keys(database, keys, info, "validation"),
            )
        failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        found = {one.task_key: one for one in validations(database, (t.key for t in tasks), info)}
    documents = [found[task.key] for task in tasks if task.key in found]
    return ValidationResult(documents, failures, len(tasks), len(outcomes), chosen)


def best_candidates(
    database: Database,
    best: Best,
    mobile_species: str,
    info: PotentialInfo,
    given: Sequence[Candidate] | None = None,
) -> list[Candidate]:
    """Return the best materials of the screening collection, best first.

    Parameters
    ----------
    database : Database
        The collection and the documents that its rows were made from, open.
    best : Best
        How many, by which policy; or which.
    mobile_species : str
        The mobile ion.
    info : PotentialInfo
        The potential of the rows.
    given : sequence of Candidate, optional
        Crystals to choose from; without them, all rows, and the crystals as they were prepared.

    Raises
    ------
    SettingsError
        When an identifier has no row, or a row's crystal is not in the database.
    """
    by_id = None if given is None else {one.material_id: one for one in given}
    wanted = list(best.ids) or (None if by_id is None else list(by_id))
    ranking = find_ranking(
        database.screening,
        mobile_species=mobile_species,
        potential=info.label,
        weights_sha256=info.weights_sha256,
    )
    found = iter_screening(
        database.screening,
        mobile_species=mobile_species,
        potential=info.label,
        ranking=None if best.ids else ranking,
        material_ids=wanted,
        sort=rank_field(best.policy),
    )
    computed = (
        row
        for row in found
        if row.duplicate_of is None and row.potential_weights_sha256 == info.weights_sha256
    )
    if best.ids:
        # Of rows with several settings, that of the largest ranking, which comes last.
        rows = list({row.material_id: row for row in sorted(computed, key=ranking.holds)}.values())
        if missing := sorted(set(best.ids) - {row.material_id for row in rows}):
            raise SettingsError(
                f"The screening collection has no row of {', '.join(missing)} for {mobile_species} "
                f"and {info.label}.",
                hint="See 'superionic query'; crystals without a row can be named as files.",
            )
    else:
        scored = (row for row in computed if best.policy in row.scores)
        rows = list(islice(scored, best.top or None))
    if by_id is not None:
        return [by_id[row.material_id] for row in rows if row.material_id in by_id]
    return _prepared(database, rows)


def validations(
    database: Database, task_keys: Iterable[str], info: PotentialInfo
) -> list[ValidationDocument]:
    """Return the newest verdict of each task that has one.

    Parameters
    ----------
    database : Database
        Where results are, open.
    task_keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential of the flow; verdicts on other weights do not count.
    """
    criteria = {
        "output.kind": "validation",
        "output.task_key": {"$in": sorted(set(task_keys))},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    newest: dict[str, ValidationDocument] = {}
    for row in database.job_store.docs_store.query(criteria, properties=["output"]):
        document = ValidationDocument.model_validate(without_monty(row["output"]))
        older = newest.get(document.task_key)
        if older is None or older.last_updated < document.last_updated:
            newest[document.task_key] = document
    return list(newest.values())


def _prepared(database: Database, rows: Sequence[ScreeningDocument]) -> list[Candidate]:
    """Return the crystals of rows, as they were prepared."""
    criteria = {
        "output.kind": "prepared",
        "output.task_key": {"$in": sorted({row.task_key for row in rows})},
    }
    fields = ["output.task_key", "output.structure", "output.source", "output.provenance"]
    found = {
        stored["output"]["task_key"]: stored["output"]
        for stored in database.job_store.docs_store.query(criteria, properties=fields)
    }
    if missing := [row.material_id for row in rows if row.task_key not in found]:
        raise SettingsError(
            f"The crystals of {', '.join(missing)} are not in the database.",
            hint="Name the files that they were screened from, too.",
        )
    return [
        Candidate(
            row.material_id,
            structure_from_dict(found[row.task_key]["structure"]),
            found[row.task_key].get("source", ""),
            without_monty(found[row.task_key].get("provenance") or {}),
        )
        for row in rows
    ]
