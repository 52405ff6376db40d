"""The best of the screening collection, as the crystals of a campaign."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from superionic.errors import SettingsError
from superionic.potentials.base import PotentialInfo
from superionic.schemas.document import without_monty
from superionic.schemas.indexes import rank_field
from superionic.schemas.screening import ScreeningDocument
from superionic.store.collection.ranking import Ranking
from superionic.store.collection.rows import find_ranking, iter_screening
from superionic.store.database.stores import Database
from superionic.structures.candidate import Candidate
from superionic.structures.plain import structure_from_dict
from superionic.structures.selection import Selection
from superionic.workflows.campaign.definition import Best

if TYPE_CHECKING:
    from superionic.workflows.makers.base import MaterialMaker


def best_of(
    database: Database,
    best: Best,
    maker: "MaterialMaker",
    info: PotentialInfo,
    chosen: Selection,
) -> Selection:
    """Return the best of a selection, or of the whole collection where nothing was read."""
    given = None
    if chosen.n_read or chosen.unreadable:
        repeated = chosen.duplicates()
        given = [one for one in chosen.candidates if one.material_id not in repeated]
    found = best_candidates(database, best, maker.mobile_species, info, given)
    names = [one.material_id for one in found]
    return replace(chosen, candidates=found, names=names, first=list(range(len(found))))


def best_candidates(
    database: Database,
    best: Best,
    mobile_species: str,
    info: PotentialInfo,
    given: list[Candidate] | None = None,
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
    given : list of Candidate, optional
        Crystals to choose from; without them, all rows, and the crystals as they were prepared.

    Raises
    ------
    SettingsError
        When an identifier has no row, or a row's crystal is not in the database.
    """
    by_id = None if given is None else {one.material_id: one for one in given}
    wanted = list(best.ids) or (None if by_id is None else list(by_id))
    ranking = ranking_by(database, mobile_species, info)
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
        require_rows(
            *(best, rows, "row", f"{mobile_species} and {info.label}"),
            "See 'superionic query'; crystals without a row can be named as files.",
        )
    else:
        scored = (row for row in computed if best.policy in row.scores)
        rows = list(islice(scored, best.top or None))
    if by_id is not None:
        return [by_id[row.material_id] for row in rows if row.material_id in by_id]
    return _prepared(database, rows)


def ranking_by(database: Database, mobile_species: str, info: PotentialInfo) -> Ranking:
    """Return the ranking of the rows of a mobile ion and potential."""
    return find_ranking(
        database.screening,
        mobile_species=mobile_species,
        potential=info.label,
        weights_sha256=info.weights_sha256,
    )


def require_rows(
    best: Best, rows: Sequence[ScreeningDocument], what: str, of: str, hint: str
) -> None:
    """Refuse identifiers that none of some rows has.

    Raises
    ------
    SettingsError
        It names them, what they lack, and what to do.
    """
    if missing := sorted(set(best.ids) - {row.material_id for row in rows}):
        raise SettingsError(f"There is no {what} of {', '.join(missing)} for {of}.", hint=hint)


def outputs_of(
    database: Database, rows: Iterable[ScreeningDocument], *kinds: str
) -> Iterator[dict[str, Any]]:
    """Yield where the crystals of rows came from: the documents of some kinds, without arrays."""
    keys = sorted({row.task_key for row in rows})
    criteria = {"output.kind": {"$in": list(kinds)}, "output.task_key": {"$in": keys}}
    names = ("task_key", "kind", "job_uuid", "structure", "source", "provenance")
    for stored in database.job_store.docs_store.query(criteria, [f"output.{n}" for n in names]):
        yield stored["output"]


def _prepared(database: Database, rows: list[ScreeningDocument]) -> list[Candidate]:
    """Return the crystals of rows, as they were prepared; of refined rows, as they were refined."""
    found: dict[str, dict] = {}
    for output in outputs_of(database, rows, "prepared", "landscape"):
        if output["kind"] == "prepared" or output["task_key"] not in found:
            found[output["task_key"]] = output
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
