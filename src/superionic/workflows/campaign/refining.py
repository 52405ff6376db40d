"""The refinement of landscapes that are in the database, on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from superionic import defaults
from superionic.errors import InputError, SettingsError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import identify_potential
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.indexes import rank_field
from superionic.schemas.screening import ScreeningDocument
from superionic.settings import SuperionicSettings, get_settings
from superionic.store.builders.arrays import tasks_with_lost_arrays
from superionic.store.builders.build import build_screening
from superionic.store.builders.screening import rows_of_tasks
from superionic.store.collection.rows import find_ranking, iter_screening
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import finished_keys
from superionic.store.database.stores import Database, resolve_database
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import Crystal
from superionic.structures.plain import structure_from_dict
from superionic.structures.selection import Selection
from superionic.structures.species import parse_mobile_species
from superionic.workflows.campaign.definition import Best, campaign_of
from superionic.workflows.campaign.local import unreadable
from superionic.workflows.campaign.outcome import Reporter, Task
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.selection import select
from superionic.workflows.makers.refine import RefineMaker, ScreenedCandidate, require_other


@dataclass(frozen=True)
class RefinementResult:
    """What a refinement gave.

    Parameters
    ----------
    rows : list of ScreeningDocument
        Rows of the second potential, ranked among each other.
    priors : list of ScreeningDocument
        Rows of the first potential of the same materials.
    failures : list of FailureDocument
        Materials that could not be refined.
    n_computed : int
        Landscapes that were computed now; the others were in the database.
    """

    rows: list[ScreeningDocument]
    priors: list[ScreeningDocument]
    failures: list[FailureDocument]
    n_computed: int


def refine_maker(
    mobile: str = defaults.MOBILE,
    potential: str | None = None,
    *,
    prior: str | None = None,
    max_energies: int | None = None,
    engine: str | None = None,
) -> RefineMaker:
    """Return the Maker that ``superionic refine`` runs.

    Raises
    ------
    SettingsError
        When no second potential is named, or a setting makes no sense.
    """
    first = prior or get_settings().potential
    if potential is None and engine != "vasp":
        raise SettingsError(
            "No second potential is named.", hint="Name it, such as --potential sevennet."
        )
    base = RefineMaker(mobile_species=parse_mobile_species(mobile).element)
    # VASP brings its own; what it starts from is there for certain.
    base = replace(base, potential=potential or first)
    return base.with_options(prior=first, max_energies=max_energies, engine=engine)


def refine_materials(
    maker: RefineMaker,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    paths: Sequence[Crystal] = (),
    best: Best | None = None,
    n_workers: int = 0,
    prefer_uri: bool = False,
) -> RefinementResult:
    """Refine landscapes of the screening collection with a second potential.

    What is in the database is not computed again, and one material that fails does not stop the
    rest.

    Parameters
    ----------
    maker : RefineMaker
        Makes the flow of a material; it names both potentials.
    settings : SuperionicSettings
        Which database.
    reporter : Reporter
        Hears of each start, progress and end.
    paths : sequence of Path, Structure, Atoms or Candidate
        Crystals, whose landscapes are looked for by their identifiers; without them, all rows.
    best : Best, optional
        Which of them; all by default.
    n_workers : int
        Worker processes; 0 means one for each physical core.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.

    Raises
    ------
    SettingsError
        When nothing is named, an identifier has no row, or both potentials are the same.
    PotentialError
        When a potential cannot be loaded, or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    if not paths and best is None:
        raise SettingsError(
            "Nothing is named that could be refined.",
            hint="Name crystals, identifiers (--id), or how many of the best (--top).",
        )
    maker = maker.bound()
    first = identify_potential(maker.prior)
    info = require_other(maker, first)
    best = best or Best(top=0)
    faults: list[InputError] = []
    names: list[str] | None = None
    chosen = Selection()
    if paths:
        named = {"flow": "label", "crystals": list(paths), "every_copy": True}
        campaign = campaign_of({**named, "mobile_species": maker.mobile_species})
        (chosen,) = select(campaign, [maker])
        names = [one.material_id for one in chosen.candidates]
        faults += chosen.unreadable
    with (
        resolve_database(settings, prefer_uri=prefer_uri) as database,
        database_errors(database),
    ):
        build_screening(database, wait=True)
        rows = screened_rows(database, best, maker.mobile_species, first, names)
        candidates, lost = screened_candidates(database, rows)
        faults += lost + _missing(names if not best.top else None, rows, first)
        tasks = [Task(candidate, maker.key(candidate)) for candidate in candidates]

        def finished_of(keys: Sequence[str]) -> set[str]:
            found = finished_keys(database, keys, info, "descriptors")
            return found - tasks_with_lost_arrays(database.job_store, found, "landscape")

        done = finished_of([task.key for task in tasks])
        todo = [task for task in tasks if task.key not in done]
        reporter.selected(chosen)
        reporter.planned(n_materials=len(tasks), n_finished=len(tasks) - len(todo), todo=todo)
        outcomes = run_and_build(
            todo,
            maker,
            database,
            reporter,
            n_workers=n_workers,
            finished=lambda keys: finished_of(list(keys)),
        )
        failures = [unreadable(fault) for fault in faults]
        failures += [outcome.failure for outcome in outcomes if outcome.failure is not None]
        outputs = database.job_store.docs_store
        keys = [task.key for task in tasks]
        found = rows_of_tasks(outputs, keys, info.weights_sha256, best.policy)
    return RefinementResult(found, rows, failures, len(todo))


def with_landscapes(
    maker: RefineMaker, database: Database, found: Sequence[Candidate | InputError]
) -> list[Candidate | InputError]:
    """Return crystals with where their landscapes are, and an error for each that has none.

    Parameters
    ----------
    maker : RefineMaker
        Names the first potential.
    database : Database
        The screening collection and its documents, open.
    found : sequence of Candidate or InputError
        Crystals, whose landscapes are looked for by their identifiers.
    """
    first = identify_potential(maker.bound().prior)
    errors = [one for one in found if isinstance(one, InputError)]
    names = [one.material_id for one in found if isinstance(one, Candidate)]
    build_screening(database, wait=True)
    rows = screened_rows(database, Best(top=0), maker.mobile_species, first, names)
    candidates, lost = screened_candidates(database, rows)
    return [*candidates, *errors, *lost, *_missing(names, rows, first)]


def screened_rows(
    database: Database,
    best: Best,
    mobile_species: str,
    info: PotentialInfo,
    names: Sequence[str] | None = None,
) -> list[ScreeningDocument]:
    """Return the rows of a potential whose landscapes are refined, best first, each crystal once.

    Parameters
    ----------
    database : Database
        The screening collection, open.
    best : Best
        How many, by which policy; or which.
    mobile_species : str
        The mobile ion.
    info : PotentialInfo
        The potential of the rows.
    names : sequence of str, optional
        Identifiers to choose from.

    Raises
    ------
    SettingsError
        When an identifier of ``best`` has no row with a landscape.
    """
    ranking = find_ranking(
        database.screening,
        mobile_species=mobile_species,
        potential=info.label,
        weights_sha256=info.weights_sha256,
    )
    found = iter_screening(
        database.screening,
        ranking=ranking,
        present=["landscape"],
        material_ids=list(best.ids) or names,
        sort=rank_field(best.policy),
    )
    rows = list(found)
    if missing := sorted(set(best.ids) - {row.material_id for row in rows}):
        raise SettingsError(
            f"There is no landscape of {', '.join(missing)} for {mobile_species} and {info.label}.",
            hint="Screen the crystals first: 'superionic screen'; see 'superionic query'.",
        )
    if best.top:
        rows = [row for row in rows if best.policy in row.scores]
    once: dict[str | None, ScreeningDocument] = {}
    for row in sorted(rows, key=lambda row: row.duplicate_of is not None):
        once.setdefault(row.landscape_uuid or row.key, row)
    chosen = {row.key for row in once.values()}
    return list(islice((row for row in rows if row.key in chosen), best.top or None))


def screened_candidates(
    database: Database, rows: Sequence[ScreeningDocument]
) -> tuple[list[ScreenedCandidate], list[InputError]]:
    """Return the crystals of rows with where their landscapes are, and those whose are lost."""
    kinds = ("prepared", "relaxed", "landscape")
    keys = sorted({row.task_key for row in rows})
    criteria = {"output.kind": {"$in": list(kinds)}, "output.task_key": {"$in": keys}}
    names = ("task_key", "kind", "job_uuid", "structure", "source", "provenance")
    stored: dict[tuple[str, str], dict] = {}
    by_uuid: dict[str, dict] = {}
    for one in database.job_store.docs_store.query(criteria, [f"output.{name}" for name in names]):
        output = one["output"]
        stored[output["task_key"], output["kind"]] = output
        by_uuid[output.get("job_uuid") or ""] = output
    lost = tasks_with_lost_arrays(database.job_store, keys, "landscape")
    candidates, faults = [], []
    for row in rows:
        landscape = by_uuid.get(row.landscape_uuid or "")
        if landscape is None or row.task_key in lost:
            faults.append(
                InputError(
                    f"The landscape of {row.material_id} is not in the database any more.",
                    hint="'superionic screen' computes it again.",
                    material_id=row.material_id,
                )
            )
            continue
        prepared = stored.get((row.task_key, "prepared"), {})
        candidates.append(
            ScreenedCandidate(
                row.material_id,
                structure_from_dict(landscape["structure"]),
                prepared.get("source", ""),
                without_monty(prepared.get("provenance") or {}),
                landscape_uuid=str(row.landscape_uuid),
                task_key=row.task_key,
                weights_sha256=row.potential_weights_sha256,
                prepared_uuid=prepared.get("job_uuid"),
                relaxed_uuid=stored.get((row.task_key, "relaxed"), {}).get("job_uuid"),
            )
        )
    return candidates, faults


def _missing(
    names: Sequence[str] | None, rows: Sequence[ScreeningDocument], info: PotentialInfo
) -> list[InputError]:
    """Return what is said of crystals that were named, but were not screened."""
    there = {row.material_id for row in rows}
    there |= {alias for row in rows for alias in row.aliases}
    there |= {str(row.duplicate_of) for row in rows}
    return [
        InputError(
            f"There is no landscape of {name} for {info.label}.",
            hint="Screen it first: 'superionic screen'.",
            material_id=name,
        )
        for name in dict.fromkeys(names or [])
        if name not in there
    ]
