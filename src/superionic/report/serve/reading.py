"""Read rows, counts and materials for the API."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pymongo
from pydantic import TypeAdapter, ValidationError
from pymongo.errors import PyMongoError

from superionic.report.documents import read_failures
from superionic.report.serve.errors import AnswerError, nothing_there
from superionic.report.serve.models import (
    PROPERTIES,
    Count,
    FailuresQuery,
    GroupSize,
    Neighbour,
    Page,
    PageMeta,
    PageQuery,
    PartAnswer,
    StandingAnswer,
    TableQuery,
    TableRow,
)
from superionic.report.serve.source import Source, rows_of
from superionic.schemas.document import FailureDocument, without_monty
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.screening import RANKED_BY, read_rows, row_to_rank
from superionic.store.collection.filters import LONGEST_KEY, Filters, Key, Order, order_of
from superionic.store.collection.paging import Position, read_page
from superionic.store.collection.query import standings_of
from superionic.store.collection.ranking import Ranking, choose_ranking
from superionic.store.collection.survey import Survey
from superionic.store.database.stores import Database
from superionic.store.ranking.conductivity import estimate_conductivity
from superionic.store.ranking.explain import Standing

logger = logging.getLogger(__name__)

_ESTIMATES = "conductivity"  # the policy whose scores have intervals

_COUNT_TIMEOUT_S = 1.5
_ELSEWHERE_TIMEOUT_S = 2.0
_SLOW_LASTS_S = 600.0
_FEW_ROWS = 2000
_EXPORT_PAGE = 500
_KEYS: TypeAdapter[str] = TypeAdapter(Key)


def table_page(database: Database, survey: Survey, asked: PageQuery) -> Page[TableRow]:
    """Return one page of the table."""
    order = _order(survey, asked)
    after = None if asked.after is None else Position.decode(asked.after, order)
    start = time.perf_counter()
    ranking = ranking_of(survey, asked)
    found = _read(database, survey, asked, ranking, order, asked.limit + 1, after)
    elsewhere = [] if found or after else _elsewhere(database, survey, asked, ranking, order)
    took_ms = 1000 * (time.perf_counter() - start)
    shown = found[: asked.limit]
    more = Position.of(shown[-1], order).encode() if len(found) > asked.limit else None
    return Page[TableRow](
        data=[table_row(row, asked.policy.value) for row in shown],
        meta=PageMeta(
            n=len(shown),
            next=more,
            took_ms=round(took_ms, 1),
            notes=ranking.notes(),
            elsewhere=elsewhere,
        ),
    )


def table_pages(source: Source, asked: TableQuery, limit: int) -> Iterator[list[TableRow]]:
    """Yield the rows of the whole table, up to a limit, page by page.

    The database is asked for each page by itself: each has its own time, and none is read before
    somebody wants it.
    """
    order: Order | None = None
    after: Position | None = None
    while limit > 0:
        size = min(_EXPORT_PAGE, limit)
        with source.asking() as database:
            survey = source.survey(database)
            order = order or _order(survey, asked)
            ranking = ranking_of(survey, asked)
            found = _read(database, survey, asked, ranking, order, size, after)
        yield [table_row(row, asked.policy.value) for row in found]
        if len(found) < size:
            return
        limit -= size
        after = Position.of(found[-1], order)


class RowCounter:
    """Counts rows, or estimates their number where the database takes too long to count.

    A database that took too long is not asked again for some minutes, unless few rows are meant:
    the local server reads the whole collection, and answers others slowly meanwhile.
    """

    def __init__(self, timeout_s: float = _COUNT_TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self._slow_until = 0.0

    def count(self, database: Database, survey: Survey, asked: Filters) -> Count:
        """Return how many rows meet a filter."""
        ranking = ranking_of(survey, asked)
        if ranking.is_empty:
            return Count(n=0, exact=True)
        criteria = asked.criteria(by_element_sets=survey.has_element_sets) | ranking.criteria()
        estimate = survey.n_rows * (survey.fraction(criteria) if criteria else 1.0)
        if estimate > _FEW_ROWS and time.monotonic() < self._slow_until:
            return Count(n=round(estimate), exact=False)
        try:
            with pymongo.timeout(self.timeout_s):
                milliseconds = max(1, int(1000 * self.timeout_s))
                n = rows_of(database).count_documents(criteria, maxTimeMS=milliseconds)
            return Count(n=n, exact=True)
        except PyMongoError as error:
            if not error.timeout:
                raise
        self._slow_until = time.monotonic() + _SLOW_LASTS_S
        return Count(n=round(estimate), exact=False)


def table_row(stored: Mapping[str, Any], policy: str) -> TableRow:
    """Return what the table shows of a stored row; one that cannot be read is marked."""
    plain = without_monty(stored)
    ranks, scores = plain.pop("ranks", None), plain.pop("scores", None)
    warnings = plain.pop("warnings", None)
    try:
        _KEYS.validate_python(plain.get("key"))
        row = TableRow.model_validate(plain)
        rank = (ranks or {}).get(policy, row.rank if policy == "xi" else None)
        codes = list(dict.fromkeys(str(one.get("code")) for one in warnings or []))
        own = {"rank": rank, "score": (scores or {}).get(policy), "warnings": codes}
        if policy == _ESTIMATES:
            known = estimate_conductivity(row_to_rank(plain | {"scores": scores or {}}))
            own |= {"score_low": known.low, "score_high": known.high} if known else {}
        return TableRow.model_validate(row.model_dump() | own)
    except (ValueError, AttributeError, TypeError):
        logger.warning("A row of the screening collection cannot be read: %r", plain.get("key"))
        return TableRow(key=str(plain.get("key"))[:LONGEST_KEY], unreadable=True)


def read_row(database: Database, key: str) -> ScreeningDocument:
    """Return the row of a key.

    Raises
    ------
    AnswerError
        When there is none, or it cannot be read.
    """
    try:
        found = read_rows(database.screening, {"key": key})
    except ValidationError as error:
        raise AnswerError(
            404,
            "unreadable_row",
            f"The row does not fit its schema ({error.error_count()} faults).",
            "Run 'superionic build'; it writes the row anew.",
        ) from None
    if not found:
        raise nothing_there(
            "There is no row of this key.", "The table names the keys; see /api/rows."
        )
    return found[0]


def failures_page(database: Database, asked: FailuresQuery) -> Page[FailureDocument]:
    """Return one page of failures, by key."""
    order = Order("key")
    criteria: dict[str, Any] = {} if asked.code is None else {"code": asked.code}
    if asked.after is not None:
        criteria["key"] = {"$gt": Position.decode(asked.after, order).key}
    start = time.perf_counter()
    found = list(database.failures.query(criteria, sort={"key": 1}, limit=asked.limit + 1))
    took_ms = 1000 * (time.perf_counter() - start)
    shown = found[: asked.limit]
    more = len(found) > asked.limit
    failures, problems = read_failures(shown)
    for one in problems:
        logger.warning("A %s cannot be read", one.what)
    return Page[FailureDocument](
        data=failures,
        meta=PageMeta(
            n=len(shown),
            next=Position.of(shown[-1], order).encode() if more else None,
            took_ms=round(took_ms, 1),
        ),
    )


def standings(database: Database, row: ScreeningDocument) -> list[StandingAnswer]:
    """Return where a row stands by each policy, with its neighbours."""
    return [_standing(one) for one in standings_of(database.screening, row)]


def _order(survey: Survey, asked: TableQuery) -> Order:
    grouped = ranking_of(survey, asked).group is not None
    return order_of(asked.sort, asked.policy, descending=asked.descending, grouped=grouped)


def ranking_of(survey: Survey, asked: Filters) -> Ranking:
    """Return the ranking that is asked for."""
    return choose_ranking(
        survey,
        mobile_species=asked.mobile_species,
        potential=asked.potential,
        settings=asked.settings,
        every=asked.all_rankings,
    )


def _read(
    database: Database,
    survey: Survey,
    asked: TableQuery,
    ranking: Ranking,
    order: Order,
    limit: int,
    after: Position | None = None,
) -> list[dict[str, Any]]:
    if ranking.is_empty:
        return []
    return read_page(
        rows_of(database),
        asked.criteria(by_element_sets=survey.has_element_sets) | ranking.criteria(),
        order,
        limit,
        survey=survey,
        properties=[*PROPERTIES, *(RANKED_BY if asked.policy.value == _ESTIMATES else ())],
        after=after,
    )


def _elsewhere(
    database: Database, survey: Survey, asked: TableQuery, ranking: Ranking, order: Order
) -> list[GroupSize]:
    """Return the other rankings that have a row which meets the filter; none if it takes long."""
    try:
        with pymongo.timeout(_ELSEWHERE_TIMEOUT_S):
            found = [
                other.group
                for other in ranking.others()
                if other.group and _read(database, survey, asked, other, order, 1)
            ]
    except PyMongoError as error:
        if not error.timeout:
            raise
        return []
    return [
        GroupSize(
            mobile_species=one.mobile_species,
            potential=one.potential,
            settings=one.settings or "",
            n_rows=one.n_rows,
        )
        for one in found
    ]


def _standing(one: Standing) -> StandingAnswer:
    names = set(StandingAnswer.model_fields) - {"above", "below", "parts"}
    return StandingAnswer(
        **{name: getattr(one, name) for name in names},
        above=_neighbour(one.above),
        below=_neighbour(one.below),
        parts=[PartAnswer(**vars(part)) for part in one.parts],
    )


def _neighbour(row: ScreeningDocument | None) -> Neighbour | None:
    if row is None:
        return None
    return Neighbour(key=row.key, material_id=row.material_id, formula=row.formula)
