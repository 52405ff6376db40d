"""Landscapes that are in the database, as what a refinement starts from."""

from collections.abc import Sequence
from itertools import islice

from superionic.errors import InputError
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import identify_potential
from superionic.schemas.document import without_monty
from superionic.schemas.indexes import rank_field
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.arrays import tasks_with_lost_arrays
from superionic.store.collection.rows import query_screening
from superionic.store.database.stores import Database
from superionic.structures.candidate import Candidate
from superionic.structures.plain import structure_from_dict
from superionic.workflows.campaign.best import outputs_of, ranking_by, require_rows
from superionic.workflows.campaign.definition import Best
from superionic.workflows.makers.refine import RefineMaker, ScreenedCandidate, require_other


def with_landscapes(
    maker: RefineMaker,
    database: Database,
    found: Sequence[Candidate | InputError] | None,
    best: Best | None = None,
) -> list[Candidate | InputError]:
    """Return crystals with where their landscapes are, and an error for each that has none.

    Parameters
    ----------
    maker : RefineMaker
        Names both potentials.
    database : Database
        The screening collection and its documents, open.
    found : sequence of Candidate or InputError, optional
        Crystals, whose landscapes are looked for by their identifiers; without them, all rows.
    best : Best, optional
        Which of them; all by default.

    Raises
    ------
    SettingsError
        When an identifier of ``best`` has no row, or both potentials are the same.
    """
    best = best or Best(top=0)
    first = identify_potential(maker.bound().prior)
    require_other(maker, first)
    errors = [one for one in found or () if isinstance(one, InputError)]
    names = None
    if found is not None:
        names = [one.material_id for one in found if isinstance(one, Candidate)]
        if not names:
            return list(errors)
    rows = screened_rows(database, best, maker.mobile_species, first, names)
    candidates, lost = screened_candidates(database, rows)
    missing = [] if best.top else _missing(names, rows, first)
    return [*candidates, *errors, *lost, *missing]


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
    rows = query_screening(
        database.screening,
        ranking=ranking_by(database, mobile_species, info),
        present=["landscape"],
        material_ids=list(best.ids) or names,
        sort=rank_field(best.policy),
    )
    require_rows(
        *(best, rows, "landscape", f"{mobile_species} and {info.label}"),
        "Screen the crystals first: 'superionic screen'; see 'superionic query'.",
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
    stored: dict[tuple[str, str], dict] = {}
    by_uuid: dict[str, dict] = {}
    for output in outputs_of(database, rows, "prepared", "relaxed", "landscape"):
        stored[output["task_key"], output["kind"]] = output
        by_uuid[output.get("job_uuid") or ""] = output
    lost = tasks_with_lost_arrays(database.job_store, {row.task_key for row in rows}, "landscape")
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
                row=row,
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
