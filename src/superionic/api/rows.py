"""Rows of the screening collection in Python: a list that shows itself and becomes a table."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from pymatgen.core import Structure

from superionic import defaults
from superionic.errors import SettingsError
from superionic.front import CallableModule
from superionic.report.tables.export import rows_frame
from superionic.report.tables.ranking import failures_html, notes_html, ranking_cells
from superionic.report.tables.text_table import html_table
from superionic.schemas.document import FailureDocument
from superionic.schemas.indexes import rank_field
from superionic.schemas.screening import PARTS, Part, ScreeningDocument
from superionic.store.collection.filters import reduced_formula
from superionic.store.collection.query import opened, structures_of
from superionic.store.collection.ranking import Ranking
from superionic.store.collection.rows import find_ranking, query_screening
from superionic.store.ranking.policies import get_policy

if TYPE_CHECKING:
    import pandas as pd


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
        return rows_frame(self)

    def structures(self) -> dict[str, Structure]:
        """Return the crystals that the rows were computed for, by identifier."""
        with opened(self._database_uri) as database:
            found = structures_of(database.job_store.docs_store, self)
        return {row.material_id: found[row.key] for row in self if row.key in found}

    def _repr_html_(self) -> str:
        notes = [] if self.ranking is None else self.ranking.notes()
        table = html_table(*ranking_cells(self, self.policy))
        return notes_html(notes) + table + failures_html(self.failures)


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
        calibrated, conductivity.
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


FUNCTION = "query"
# ``superionic.query`` is this module after ``import superionic.query``, and a function before.
sys.modules[__name__].__class__ = CallableModule
