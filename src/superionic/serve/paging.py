"""Pages of rows, read by the database from where the last page ended.

A page begins behind a position, the value and key of a row, so that the thousandth page costs what
the first does. It is asked for as a range of values that should hold enough rows, widened as long
as it does not: servers that sort whatever a condition leaves over, as the local one does, then
read few rows, and others find the range by the same index.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from superionic.ranking.indexes import SCREENING_INDEXES
from superionic.serve.errors import AnswerError
from superionic.serve.filters import TEXT_FIELDS, Order
from superionic.serve.survey import Survey, expected_gap, is_value, step_ahead, value_at

_INDEXED = frozenset({"key", *(fields[0] for fields in SCREENING_INDEXES)})
_SMALLEST_WINDOW = 64
_MARGIN = 1.6
_GROWTH = 8
_PART_OF_FIELD = {
    "predicted_log10_msd_slope": "prediction",
    "msd_slope_A2_per_ps": "label",
    "conductivity_S_per_cm": "validation",
}
_LONGEST_CURSOR = 4000


@dataclass(frozen=True)
class Position:
    """Where a page ended.

    Parameters
    ----------
    field : str
        What the rows are ordered by.
    value : str, float or None
        Its value in the last row.
    key : str
        The key of that row.
    """

    field: str
    value: str | float | None
    key: str

    def encode(self) -> str:
        """Return it as one word, for a client to send back."""
        content = [self.field, self.value, self.key]
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, word: str, order: Order) -> "Position":
        """Read what :meth:`encode` wrote.

        Raises
        ------
        AnswerError
            When it is something else, or of another order.
        """
        wrong = AnswerError(
            422, "invalid", "after: this is no position.", "Use meta.next of the page before."
        )
        if len(word) > _LONGEST_CURSOR:
            raise wrong
        try:
            text = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
            field, value, key = json.loads(text)
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise wrong from None
        # A value of another type could be an operator of the database.
        if field != order.field or not isinstance(key, str):
            raise wrong
        if value is not None and not is_value(value, order.field):
            raise wrong
        return cls(field, value, key)

    @classmethod
    def of(cls, row: Mapping[str, Any], order: Order) -> "Position":
        """Return the position of a row that was read in an order."""
        return cls(order.field, value_at(row, order.field), str(row["key"]))


def read_page(
    rows: Collection,
    criteria: Mapping[str, Any],
    order: Order,
    limit: int,
    *,
    survey: Survey,
    properties: list[str],
    after: Position | None = None,
) -> list[dict[str, Any]]:
    """Return the next rows in order.

    Parameters
    ----------
    rows : Collection
        The screening collection.
    criteria : dict
        What rows must have.
    order : Order
        How they are ordered.
    limit : int
        Most rows.
    survey : Survey
        What is known of the collection; it only decides how the question is put.
    properties : list of str
        Fields to read, that of the order, whole, beside them.
    after : Position, optional
        Where the page before ended.
    """
    # The server refuses a field beside a part of it.
    wanted = {*properties, "key", order.field.split(".")[0]}
    reader = _Reader(rows, survey, dict.fromkeys(wanted, 1) | {"_id": 0})
    found: list[dict[str, Any]] = []
    if after is None or after.value is not None:
        found = reader.read(dict(criteria), order, limit, after)
        after = None
    if len(found) < limit and order.field != "key":
        # Nulls come last, whatever the direction, by key.
        behind = None if after is None else Position("key", after.key, after.key)
        rest = {**criteria, order.field: None}
        if order.field not in criteria:
            found += reader.read(rest, Order("key"), limit - len(found), behind)
    return found


@dataclass(frozen=True)
class _Reader:
    rows: Collection
    survey: Survey
    projection: dict[str, int]

    def read(
        self, criteria: dict[str, Any], order: Order, limit: int, after: Position | None
    ) -> list[dict[str, Any]]:
        """Return the next rows whose value is not null."""
        part = _PART_OF_FIELD.get(order.field)
        if part is not None and "present" not in criteria:
            criteria["present"] = part
        found: list[dict[str, Any]] = []
        for window in self._windows(criteria, order, limit, after):
            found += self._find(window, order, limit - len(found))
            if len(found) >= limit:
                break
        return found

    def _windows(
        self, criteria: dict[str, Any], order: Order, limit: int, after: Position | None
    ) -> Iterator[dict[str, Any]]:
        """Yield criteria that together hold all rows behind a position, in order."""
        field, descending = order.field, order.descending
        own = criteria.pop(field, None)
        near, far = _bounds(own, descending)
        start = after.value if after is not None else near
        residual: list[dict[str, Any]] = [] if own is None else [{field: own}]
        if after is not None:
            beyond = "$lt" if descending else "$gt"
            residual.append({"$or": [{field: {beyond: start}}, {"key": {"$gt": after.key}}]})
        met = {**criteria, **({} if own is None else {field: own})}
        wanted = max(_MARGIN * limit / self.survey.fraction(met), _SMALLEST_WINDOW)
        can_step = field in _INDEXED and self.survey.n_rows > _SMALLEST_WINDOW
        narrow = self._narrow(criteria, wanted if can_step else self.survey.n_rows)
        if narrow or not can_step:
            for name, anchor in narrow.items():
                if (asked := criteria.pop(name)) != anchor:
                    residual.append({name: asked})
            whole = {field: _range(field, start, None, descending)}
            yield {**narrow, **whole, **criteria, **_all_of(residual)}
            return
        values = self.survey.values(field)
        gap = expected_gap(self.survey.n_rows, len(values), wanted)
        while True:
            end = step_ahead(values, start, gap, descending=descending)
            if end is not None and end == start:
                gap *= _GROWTH
                continue
            is_last = end is None or (far is not None and (end < far if descending else end > far))
            # The range comes first: the local server takes the first clause that has an index.
            window = {field: _range(field, start, None if is_last else end, descending)}
            if is_last and far is not None:
                window[field] |= {"$gte" if descending else "$lte": far}
            yield {**window, **criteria, **_all_of(residual)}
            if is_last:
                return
            start, gap = end, gap * _GROWTH

    def _narrow(self, criteria: Mapping[str, Any], fewer_than: float) -> dict[str, Any]:
        """Return the indexed condition that leaves the fewest rows, if it leaves few enough."""
        best, fewest = {}, fewer_than
        for name, wanted in criteria.items():
            if name not in _INDEXED:
                continue
            for anchor in _anchors(wanted):
                n_rows = self.survey.n_rows * self.survey.fraction({name: anchor})
                if n_rows < fewest:
                    best, fewest = {name: anchor}, n_rows
        return best

    def _find(self, criteria: dict[str, Any], order: Order, limit: int) -> list[dict[str, Any]]:
        direction = DESCENDING if order.descending else ASCENDING
        sort = [(order.field, direction)]
        if order.field != "key":
            sort.append(("key", ASCENDING))
        return list(self.rows.find(criteria, self.projection).sort(sort).limit(limit))


def _bounds(own: Any, descending: bool) -> tuple[Any, Any]:
    """Return between which values rows lie that meet a condition on the field of the order."""
    if own is None:
        return None, None
    if not isinstance(own, Mapping):
        return own, own
    low, high = own.get("$gte"), own.get("$lte", own.get("$lt"))
    return (high, low) if descending else (low, high)


def _all_of(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"$and": conditions} if conditions else {}


def _anchors(wanted: Any) -> list[Any]:
    """Return conditions that an index answers and that a condition implies."""
    if not isinstance(wanted, Mapping):
        return [wanted]
    if "$all" in wanted:
        return list(wanted["$all"])
    return [] if "$nin" in wanted else [wanted]


def _range(field: str, start: Any, end: Any, descending: bool) -> dict[str, Any]:
    """Return a half-open range in the direction of the order; None means no bound."""
    near, far = ("$lte", "$gt") if descending else ("$gte", "$lt")
    bounds = {near: start, far: end}
    found = {name: value for name, value in bounds.items() if value is not None}
    # Comparisons meet values of their type only: neither nulls nor what does not belong there.
    return found or {"$gte": "" if field in TEXT_FIELDS else float("-inf")}
