"""The screening collection in Python: rows, their crystals, and why they stand where they do."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from pydantic import ValidationError
from pymatgen.core import Structure

from superionic import defaults
from superionic.errors import InputError, SettingsError
from superionic.front import CallableModule
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.indexes import POLICY_NAMES, rank_field
from superionic.schemas.screening import PARTS, Part, ScreeningDocument
from superionic.settings import get_settings
from superionic.store.builders.screening import read_rows
from superionic.store.collection.filters import reduced_formula
from superionic.store.collection.ranking import Ranking
from superionic.store.collection.rows import find_ranking, query_screening
from superionic.store.collection.survey import largest_rank
from superionic.store.database.answers import database_errors
from superionic.store.database.stores import Database, resolve_database
from superionic.store.ranking.explain import Standing, explain_row
from superionic.store.ranking.policies import get_policy
from superionic.structures.plain import structure_from_dict

if TYPE_CHECKING:
    import pandas as pd
    from maggma.core import Store

logger = logging.getLogger(__name__)

_MOST_FAILURES = 20
_WITH_STRUCTURE = ("landscape", "relaxed", "diffusion", "prepared")


class Rows(list[ScreeningDocument]):
    """Rows of the screening collection, best first.

    Parameters
    ----------
    rows : iterable of ScreeningDocument
        The rows.
    policy : str
        Ranking policy that they are shown by.
    failures : sequence of FailureDocument
        Crystals that were asked for and could not be read or computed, and why.
    database_uri : str, optional
        The database that they are from, if it is not the configured one.
    ranking : Ranking, optional
        Which ranking of the collection they are of; ``ranking.notes()`` says what it left out.
    """

    def __init__(
        self,
        rows: Iterable[ScreeningDocument] = (),
        policy: str = defaults.POLICY,
        failures: Sequence[FailureDocument] = (),
        database_uri: str | None = None,
        ranking: Ranking | None = None,
    ) -> None:
        super().__init__(rows)
        self.policy = policy
        self.ranking = ranking
        self.failures = list(failures)
        self._database_uri = database_uri

    @overload
    def __getitem__(self, index: SupportsIndex) -> ScreeningDocument: ...

    @overload
    def __getitem__(self, index: slice) -> "Rows": ...

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        if isinstance(index, slice):
            return Rows(found, self.policy, database_uri=self._database_uri, ranking=self.ranking)
        return found

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas table: flat fields, and rank and score by each policy."""
        from superionic.report.tables.export import rows_frame

        return rows_frame(self)

    def structures(self) -> dict[str, Structure]:
        """Return the crystals that the rows were computed for, by identifier."""
        with opened(self._database_uri) as database:
            found = structures_of(database.job_store.docs_store, self)
        return {row.material_id: found[row.key] for row in self if row.key in found}

    def _repr_html_(self) -> str:
        from superionic.report.tables.ranking import failures_html, notes_html, ranking_cells
        from superionic.report.tables.text_table import html_table

        notes = [] if self.ranking is None else self.ranking.notes()
        table = html_table(*ranking_cells(self, self.policy))
        return notes_html(notes) + table + failures_html(self.failures)


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


def query(
    *,
    policy: str = defaults.POLICY,
    mobile_species: str | None = None,
    potential: str | None = None,
    settings: str | None = None,
    all_rankings: bool = False,
    max_barrier_eV: float | None = None,
    formula: str | None = None,
    elements: Iterable[str] = (),
    present: Sequence[Part] = (),
    sort: str | None = None,
    limit: int = 0,
    database_uri: str | None = None,
) -> Rows:
    """Read one ranking of the screening collection, best first.

    What ``superionic query`` does. A ranking has one mobile ion, one potential and one set of
    settings; of those that fit, the one with the most rows is read.

    Parameters
    ----------
    policy : str
        Ranking policy that orders the rows: xi, barrier, free_volume, network, consensus or
        calibrated.
    mobile_species, potential : str, optional
        Ion and potential of the ranking, such as ``"Li"`` and ``"chgnet:0.3.0"``, or ``"chgnet"``.
    settings : str, optional
        Settings of its landscapes, such as ``"0.25 A exact"``, or how they begin.
    all_rankings : bool
        Read the rows of all rankings; each has the rank of its own.
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

    Examples
    --------
    >>> import superionic as si
    >>> rows = si.query(max_barrier_eV=0.5, elements=["Li", "Cl"])
    >>> len(rows), "barrier_3d_eV" in rows.frame().columns
    (0, True)
    """
    get_policy(policy)
    if unknown := set(present) - set(PARTS):
        raise SettingsError(
            f"A row has no part {sorted(unknown)[0]!r}.", hint=f"Use one of: {', '.join(PARTS)}."
        )
    with opened(database_uri) as database:
        ranking = find_ranking(
            database.screening,
            mobile_species=mobile_species,
            potential=potential,
            settings=settings,
            every=all_rankings,
        )
        rows = query_screening(
            database.screening,
            ranking=ranking,
            mobile_species=mobile_species,
            potential=potential,
            max_barrier_eV=max_barrier_eV,
            formula=None if formula is None else reduced_formula(formula),
            elements=elements,
            present=present,
            sort=sort or rank_field(policy),
            limit=limit,
        )
    return Rows(rows, policy, database_uri=database_uri, ranking=ranking)


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
        failures = failures_of(database, material_id)
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
        return [
            Explanation(
                row,
                standings_of(database.screening, row),
                [one for one in failures if one.concerns(row.mobile_species, row.potential)],
            )
            for row in rows
        ]


def failures_of(database: Database, material_id: str) -> list[FailureDocument]:
    """Return what could not be computed of a material; what cannot be read is left out."""
    found = []
    for stored in database.failures.query({"material_id": material_id}, limit=_MOST_FAILURES):
        try:
            found.append(FailureDocument.model_validate(without_monty(stored)))
        except ValidationError:
            logger.warning("A failure cannot be read: %r", stored.get("key"))
    return found


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


# ``superionic.query`` is this module after ``import superionic.query``, and a function before.
sys.modules[__name__].__class__ = CallableModule
