"""The screening collection: crystals of rows, and why a row stands where it does."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pymatgen.core import Structure

from superionic.errors import InputError, SettingsError
from superionic.schemas.document import FailureDocument, without_monty
from superionic.schemas.indexes import POLICY_NAMES, rank_field
from superionic.schemas.screening import ScreeningDocument
from superionic.settings import get_settings
from superionic.store.builders.screening import read_rows
from superionic.store.collection.rows import query_screening
from superionic.store.collection.survey import largest_rank
from superionic.store.database.answers import database_errors
from superionic.store.database.stores import Database, resolve_database
from superionic.store.ranking.explain import Standing, explain_row
from superionic.structures.plain import structure_from_dict

if TYPE_CHECKING:
    from maggma.core import Store

logger = logging.getLogger(__name__)

_MOST_FAILURES = 20
_WITH_STRUCTURE = ("landscape", "relaxed", "diffusion", "prepared")


@dataclass(frozen=True)
class Explanation:
    """Why a material stands where it stands.

    Parameters
    ----------
    row : ScreeningDocument
        Its row; a material has one for each mobile species and potential.
    standings : list of Standing
        What each policy says.
    failures : list of FailureDocument
        What could not be computed of it, with this ion and potential.
    """

    row: ScreeningDocument
    standings: list[Standing]
    failures: list[FailureDocument]


def explain(
    material_id: str,
    *,
    mobile_species: str | None = None,
    potential: str | None = None,
    database_uri: str | None = None,
) -> list[Explanation]:
    """Explain where a material stands by every policy, and what is missing.

    Parameters
    ----------
    material_id : str
        Its identifier.
    mobile_species, potential : str, optional
        Which of its rows; all of them by default.
    database_uri : str, optional
        MongoDB URI; without it the configured database, or the local server.

    Returns
    -------
    list of Explanation
        One for each row.

    Raises
    ------
    SettingsError
        When it has no row; its failures are named.
    DatabaseError
        When the database does not answer.

    Examples
    --------
    >>> import superionic as si
    >>> crystal = "workflows/example_crystals/mp-22899.cif"
    >>> rows = si.screen(crystal, step_A=0.6, progress=False)
    >>> why = si.explain("mp-22899")[0]
    >>> why.row.formula, [standing.policy for standing in why.standings][:2]
    ('LiI', ['xi', 'barrier'])
    """
    with opened(database_uri) as database:
        rows = query_screening(
            database.screening,
            mobile_species=mobile_species,
            potential=potential,
            material_ids=[material_id],
            sort="key",
        )
        if not rows:
            failures = failures_of(database, material_id)
            said = "".join(f" It failed [{one.code}]: {one.message}" for one in failures)
            raise SettingsError(
                f"The screening collection has no row of {material_id!r}.{said}",
                hint="See 'superionic query' for what it has; 'superionic screen' adds to it.",
            )
        return [
            Explanation(
                row,
                standings_of(database.screening, row),
                failures_of(database, material_id, row),
            )
            for row in rows
        ]


def failures_of(
    database: Database, material_id: str, row: ScreeningDocument | None = None
) -> list[FailureDocument]:
    """Return what could not be computed of a material; what cannot be read is left out.

    With a row of it, those of other ions and potentials than the row's are left out, too.
    """
    found = []
    for stored in database.failures.query({"material_id": material_id}, limit=_MOST_FAILURES):
        try:
            found.append(FailureDocument.model_validate(without_monty(stored)))
        except ValidationError:
            logger.warning("A failure cannot be read: %r", stored.get("key"))
    if row is None:
        return found
    return [one for one in found if one.concerns(row.mobile_species, row.potential)]


def standings_of(screening: "Store", row: ScreeningDocument) -> list[Standing]:
    """Return what each policy says of a row, with its neighbours in the collection.

    It costs the same in a collection of any size.
    """
    same = {
        "mobile_species": row.mobile_species,
        "potential": row.potential,
        "potential_weights_sha256": row.potential_weights_sha256,
        # Rows that older versions wrote do not say it.
        "ranking_settings": {"$in": [row.ranking_settings, None]},
    }
    neighbours = {}
    for name in POLICY_NAMES:
        rank = row.ranks.get(name)
        if rank is None:
            continue
        # The ranks come first: the local server takes the first clause that has an index.
        near = {rank_field(name): {"$in": [rank - 1, rank + 1]}, **same, "duplicate_of": None}
        by_rank = {other.ranks.get(name): other for other in read_rows(screening, near)}
        neighbours[name] = (by_rank.get(rank - 1), by_rank.get(rank + 1))
    # Counting reads the whole collection on the local server; ranks have no gaps.
    return explain_row(row, largest_rank(screening._collection, same), neighbours)


def structures_of(outputs: "Store", rows: Iterable[ScreeningDocument]) -> dict[str, Structure]:
    """Return the crystals that rows were computed for, by the rows' keys.

    Parameters
    ----------
    outputs : Store
        jobflow's document store, connected.
    rows : iterable of ScreeningDocument
        The rows; one whose crystal is gone or damaged is left out.
    """
    rows = list(rows)
    criteria = {
        "output.task_key": {"$in": sorted({row.task_key for row in rows})},
        "output.kind": {"$in": list(_WITH_STRUCTURE)},
    }
    fields = ["output.task_key", "output.kind", "output.structure"]
    found: dict[tuple[str, str], dict] = {}
    for stored in outputs.query(criteria, properties=fields):
        output = stored["output"]
        if output.get("structure"):
            found[output["task_key"], output["kind"]] = output["structure"]
    crystals = {}
    for row in rows:
        kinds = [kind for kind in _WITH_STRUCTURE if (row.task_key, kind) in found]
        if kinds:
            with suppress(InputError):  # a document that somebody damaged
                crystals[row.key] = structure_from_dict(found[row.task_key, kinds[0]])
    return crystals


@contextmanager
def opened(database_uri: str | None = None) -> Iterator[Database]:
    """Open the configured database, or that of a URI, for reading alone.

    Nothing is written, no index either, so that a user with the role ``read`` is enough. Errors of
    the driver become ours.
    """
    settings = get_settings()
    if database_uri is not None:
        settings = settings.model_copy(update={"database_uri": database_uri})
    prefer_uri = database_uri is not None
    with (
        resolve_database(settings, prefer_uri=prefer_uri, writing=False) as database,
        database_errors(database),
    ):
        yield database
