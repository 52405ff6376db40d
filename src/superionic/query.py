"""The screening collection in Python: rows, their crystals, and why they stand where they do."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymatgen.core import Composition, Structure

from superionic.builders.documents import screening_key, without_monty
from superionic.builders.screening import query_screening, read_rows, rows_to_rank
from superionic.campaign.run import database_errors
from superionic.database.stores import Database, resolve_database
from superionic.errors import InputError, SettingsError
from superionic.ranking.explain import Standing, explain_row
from superionic.ranking.indexes import POLICY_NAMES
from superionic.ranking.policies import get_policy
from superionic.schemas.failure import FailureDocument
from superionic.schemas.screening import PARTS, Part, ScreeningDocument
from superionic.settings import get_settings
from superionic.structures.plain import structure_from_dict

if TYPE_CHECKING:
    from maggma.core import Store

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
        What could not be computed of it.
    """

    row: ScreeningDocument
    standings: list[Standing]
    failures: list[FailureDocument]


def query(
    *,
    policy: str = "xi",
    mobile_species: str | None = None,
    potential: str | None = None,
    max_barrier_eV: float | None = None,
    formula: str | None = None,
    elements: Iterable[str] = (),
    present: Sequence[Part] = (),
    sort: str | None = None,
    limit: int = 0,
    database_uri: str | None = None,
) -> list[ScreeningDocument]:
    """Read rows of the screening collection, best first.

    Parameters
    ----------
    policy : str
        Ranking policy that orders the rows: xi, barrier, free_volume, network, consensus or
        calibrated.
    mobile_species, potential : str, optional
        Values that a row must have, such as ``"Li"`` and ``"chgnet:0.3.0"``.
    max_barrier_eV : float, optional
        Largest published percolation barrier in eV.
    formula : str, optional
        Formula; it is reduced.
    elements : iterable of str
        Elements that a row must hold.
    present : sequence of str
        Parts that a row must have: landscape, prediction, label, validation.
    sort : str, optional
        A field to sort by in place of the rank; a leading ``-`` sorts downwards.
    limit : int
        Most rows; 0 means all.
    database_uri : str, optional
        MongoDB URI; without it the configured database, or the local server.

    Raises
    ------
    SettingsError
        When there is no such policy or part, or the formula is none.
    DatabaseError
        When the database does not answer.
    """
    get_policy(policy)
    if unknown := set(present) - set(PARTS):
        raise SettingsError(
            f"A row has no part {sorted(unknown)[0]!r}.", hint=f"Use one of: {', '.join(PARTS)}."
        )
    with opened(database_uri) as database:
        return query_screening(
            database.screening,
            mobile_species=mobile_species,
            potential=potential,
            max_barrier_eV=max_barrier_eV,
            formula=None if formula is None else reduced_formula(formula),
            elements=elements,
            present=present,
            sort=sort or rank_field(policy),
            limit=limit,
        )


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
    """
    with opened(database_uri) as database:
        found = database.failures.query({"material_id": material_id})
        failures = [FailureDocument.model_validate(without_monty(one)) for one in found]
        rows = query_screening(
            database.screening,
            mobile_species=mobile_species,
            potential=potential,
            material_ids=[material_id],
            sort="key",
        )
        if not rows:
            said = "".join(f" It failed [{one.code}]: {one.message}" for one in failures)
            raise SettingsError(
                f"The screening collection has no row of {material_id!r}.{said}",
                hint="See 'superionic query' for what it has; 'superionic screen' adds to it.",
            )
        return [Explanation(row, standings_of(database.screening, row), failures) for row in rows]


def standings_of(screening: "Store", row: ScreeningDocument) -> list[Standing]:
    """Return what each policy says of a row, with its neighbours in the collection."""
    group = {
        "mobile_species": row.mobile_species,
        "potential": row.potential,
        "duplicate_of": None,
    }
    neighbours = {}
    for name in POLICY_NAMES:
        rank = row.ranks.get(name)
        if rank is None:
            continue
        # The ranks come first: the local server takes the first clause that has an index.
        near = {rank_field(name): {"$in": [rank - 1, rank + 1]}, **group}
        by_rank = {other.ranks[name]: other for other in read_rows(screening, near)}
        neighbours[name] = (by_rank.get(rank - 1), by_rank.get(rank + 1))
    # A further name of a crystal has the standing of the one that was computed.
    own = row if row.duplicate_of is None else row.model_copy(update={"key": _computed_key(row)})
    rows = list(rows_to_rank(screening, group))
    return explain_row(own, len(rows), neighbours, rows)


def _computed_key(row: ScreeningDocument) -> str:
    return screening_key(str(row.duplicate_of), row.mobile_species, row.potential)


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


def rank_field(policy: str) -> str:
    """Return the field of a row that holds its rank by a policy."""
    return "rank" if policy == "xi" else f"ranks.{policy}"


def reduced_formula(text: str) -> str:
    """Return a formula as rows have it.

    Raises
    ------
    SettingsError
        When it is no formula.
    """
    try:
        return str(Composition(text).reduced_formula)
    except ValueError:
        raise SettingsError(f"{text!r} is not a formula.") from None


@contextmanager
def opened(database_uri: str | None = None) -> Iterator[Database]:
    """Open the configured database, or that of a URI; errors of the driver become ours."""
    settings = get_settings()
    if database_uri is not None:
        settings = settings.model_copy(update={"database_uri": database_uri})
    prefer_uri = database_uri is not None
    with resolve_database(settings, prefer_uri=prefer_uri) as database, database_errors(database):
        yield database
