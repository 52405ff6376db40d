"""Rows of the screening collection by criteria, in order, read page by page."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from pymongo.collection import Collection

from superionic.schemas.document import without_monty
from superionic.schemas.screening import Part, ScreeningDocument
from superionic.store.collection.filters import Filters, Order, order_of
from superionic.store.collection.paging import Position, read_page
from superionic.store.collection.ranking import Ranking, choose_ranking, potentials_named
from superionic.store.collection.survey import Survey, survey, value_at

if TYPE_CHECKING:
    from maggma.core import Store

_FIRST_PAGE = 50
_PAGE = 500
_SAMPLES = 80
"""Fewer than a server looks at that answers many: here the look is part of one answer's time."""


class Asked(TypedDict, total=False):
    """Which rows are asked for, in which order, as :func:`iter_screening` takes it."""

    ranking: Ranking | None
    mobile_species: str | None
    potential: str | None
    max_barrier_eV: float | None
    formula: str | None
    elements: Iterable[str]
    present: Sequence[Part]
    material_ids: Sequence[str] | None
    sort: str
    limit: int


class Wanted(TypedDict, total=False):
    """Which ranking is meant, as ``choose_ranking`` takes it."""

    mobile_species: str | None
    potential: str | None
    settings: str | None
    weights_sha256: str | None
    every: bool


def find_ranking(screening: "Store | Collection", **wanted: Unpack[Wanted]) -> Ranking:
    """Return the ranking of a collection that is meant.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    **wanted
        As :func:`~superionic.store.collection.ranking.choose_ranking` takes them.
    """
    rows = screening if isinstance(screening, Collection) else screening._collection
    return choose_ranking(survey(rows, n_samples=_SAMPLES), **wanted)


def query_screening(
    screening: "Store | Collection", **asked: Unpack[Asked]
) -> list[ScreeningDocument]:
    """Return rows of the screening collection, as :func:`iter_screening` yields them."""
    return list(iter_screening(screening, **asked))


def iter_screening(
    screening: "Store | Collection",
    *,
    ranking: Ranking | None = None,
    mobile_species: str | None = None,
    potential: str | None = None,
    max_barrier_eV: float | None = None,
    formula: str | None = None,
    elements: Iterable[str] = (),
    present: Sequence[Part] = (),
    material_ids: Sequence[str] | None = None,
    sort: str = "rank",
    limit: int = 0,
) -> Iterator[ScreeningDocument]:
    """Yield rows of the screening collection; the first ones come before the others are read.

    Parameters
    ----------
    screening : Store
        The collection, connected.
    ranking : Ranking, optional
        Yield the rows of one ranking, as :func:`find_ranking` finds it; by default of all.
    mobile_species, potential, formula : str, optional
        Values that a row must have; the formula is the reduced one. A potential may be named by its
        family alone.
    max_barrier_eV : float, optional
        Largest percolation barrier in eV.
    elements : iterable of str
        Elements that a row must hold.
    present : sequence of str
        Parts that a row must have: landscape, prediction, label, validation.
    material_ids : sequence of str, optional
        Identifiers, of which a row must have one.
    sort : str
        Field to sort by, nulls last; a leading ``-`` sorts downwards. ``ranks.network`` is the rank
        by the policy ``network``.
    limit : int
        Most rows; 0 means all.
    """
    rows = screening if isinstance(screening, Collection) else screening._collection
    known = survey(rows, n_samples=_SAMPLES) if ranking is None else ranking.survey
    if ranking is not None and ranking.is_empty:
        return
    wanted = Filters.model_construct(
        mobile_species=mobile_species,
        potential=None,
        formula=formula,
        elements=",".join(elements) or None,
        max_barrier_eV=max_barrier_eV,
        present=list(present),
    )
    criteria = wanted.criteria(by_element_sets=known.has_element_sets)
    named = [] if potential is None else potentials_named(known, potential)
    if named:
        criteria["potential"] = named[0] if len(named) == 1 else {"$in": named}
    if ranking is not None:
        criteria |= ranking.criteria()
    order = order_of(
        sort.removeprefix("-"),
        "xi",  # whose ranks are the field ``rank``
        descending=sort.startswith("-"),
        grouped=ranking is not None and ranking.group is not None,
    )
    if material_ids is not None:
        criteria["material_id"] = {"$in": list(material_ids)}
        found = iter(_few(rows, criteria, order, limit))
    else:
        found = iter_pages(rows, criteria, order, survey=known, limit=limit)
    for row in found:
        yield ScreeningDocument.model_validate(without_monty(row))


def iter_pages(
    rows: Collection,
    criteria: dict[str, Any],
    order: Order,
    *,
    survey: Survey,
    limit: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield stored rows in order, read in pages of which the first is small.

    Parameters
    ----------
    rows : Collection
        The screening collection.
    criteria : dict
        What rows must have.
    order : Order
        How they are ordered.
    survey : Survey
        What is known of the collection.
    limit : int
        Most rows; 0 means all.
    """
    after, n_read, size = None, 0, _FIRST_PAGE
    while not limit or n_read < limit:
        size = min(size, limit - n_read) if limit else size
        page = read_page(rows, criteria, order, size, survey=survey, after=after)
        yield from page
        if len(page) < size:
            return
        n_read += len(page)
        after, size = Position.of(page[-1], order), _PAGE


def _few(
    rows: Collection, criteria: dict[str, Any], order: Order, limit: int
) -> list[dict[str, Any]]:
    """Return rows of named materials: few, so that they are sorted here."""
    # The rarest condition comes first: the local server takes the first clause that has an index.
    first = {"material_id": criteria["material_id"]}
    found = sorted(rows.find(first | criteria), key=lambda row: str(row["key"]))
    with_value = [row for row in found if value_at(row, order.field) is not None]
    with_value.sort(key=lambda row: value_at(row, order.field), reverse=order.descending)
    ordered = [*with_value, *(row for row in found if value_at(row, order.field) is None)]
    return ordered[:limit] if limit else ordered
