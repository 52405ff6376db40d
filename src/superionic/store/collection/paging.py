"""Pages of rows, read by the database from where the last page ended.

A page begins behind a position, the value and key of a row, so that the thousandth page costs what
the first does. It is asked for as a range of values that should hold enough rows, widened as long
as it does not: servers that sort whatever a condition leaves over, as the local one does, then
read few rows, and others find the range by the same index.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from superionic.errors import SuperionicError
from superionic.schemas.indexes import SCREENING_INDEXES, SORTED_BY, SortField
from superionic.store.collection.filters import TEXT_FIELDS, Order
from superionic.store.collection.survey import Survey, is_text, is_value, value_at

_INDEXED = frozenset({"key", *(fields[0] for fields in SCREENING_INDEXES)})
_KNOWN = frozenset({*TEXT_FIELDS, *SORTED_BY, *(field.value for field in SortField)})
"""Fields whose values are text, or numbers."""
_SMALLEST_WINDOW = 64
_MARGIN = 1.6
_GROWTH = 4
_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte"})
_PART_OF_FIELD = {
    "predicted_log10_msd_slope": "prediction",
    "msd_slope_A2_per_ps": "label",
    "conductivity_S_per_cm": "validation",
}


class PositionError(SuperionicError):
    """A position that is none, or one of another order."""

    code = "invalid"


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
        PositionError
            When it is something else, or of another order.
        """
        wrong = PositionError(
            "after: this is no position.", hint="Use meta.next of the page before."
        )
        try:
            text = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
            field, value, key = json.loads(text)
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise wrong from None
        # A value of another type could be an operator of the database.
        if field != order.field or not is_text(key):
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
    properties: Sequence[str] | None = None,
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
    properties : sequence of str, optional
        Fields to read, that of the order, whole, besides them; all by default.
    after : Position, optional
        Where the page before ended.
    """
    # The server refuses a field beside a part of it.
    wanted = {*properties, "key", order.field.split(".")[0]} if properties else ()
    reader = _Reader(rows, survey, dict.fromkeys(wanted, 1) | {"_id": 0})
    found: list[dict[str, Any]] = []
    if after is None or after.value is not None:
        found = reader.read(criteria, order, limit, after)
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
    """Puts questions in a form for which the local server, too, uses an index.

    It looks for one in the conditions from first to last, takes the first that is a value or a
    range of an indexed field, and none where an operator such as ``$or`` stands beside them.
    """

    rows: Collection
    survey: Survey
    projection: dict[str, int]

    def read(
        self, criteria: Mapping[str, Any], order: Order, limit: int, after: Position | None
    ) -> list[dict[str, Any]]:
        """Return the next rows whose value is not null."""
        field = order.field
        rest = {name: wanted for name, wanted in criteria.items() if name != field}
        if (part := _PART_OF_FIELD.get(field)) is not None:
            rest.setdefault("present", part)
        found: list[dict[str, Any]] = []
        if after is not None and field != "key":
            ties = {field: after.value, "key": {"$gt": after.key}, **rest}
            found = self._find(ties, Order("key"), limit)
        for window in self._windows(criteria.get(field), rest, order, limit, after):
            if len(found) >= limit:
                break
            found += self._find(window, order, limit - len(found))
        return found

    def _windows(
        self,
        own: Any,
        rest: dict[str, Any],
        order: Order,
        limit: int,
        after: Position | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield criteria that together hold all rows with values beyond a position, in order.

        Parameters
        ----------
        own, rest : object, dict
            Conditions on the field of the order, and on others.
        """
        field, descending = order.field, order.descending
        if own is not None and not isinstance(own, Mapping):
            if after is None:
                yield {field: own, **rest}
            return
        near, far = _bounds(own or {}, descending)
        if after is not None:
            near = {"$lt" if descending else "$gt": after.value}
        met = {**rest, **({} if own is None else {field: own})}
        wanted = max(_MARGIN * limit / self.survey.fraction(met), _SMALLEST_WINDOW)
        can_step = field in _INDEXED and self.survey.n_rows > _SMALLEST_WINDOW
        narrow = self._narrow(rest, wanted if can_step else self.survey.n_rows)
        if narrow or not can_step:
            yield {**narrow, field: _range(field, near, far), **_without(rest, narrow)}
            return
        while True:
            start = next(iter(near.values()), None)
            end = self.survey.ahead(field, start, wanted, descending=descending)
            limits = far.values()
            if end is None or any(end < one if descending else end > one for one in limits):
                yield {field: _range(field, near, far), **rest}
                return
            yield {field: _range(field, near, {"$gt" if descending else "$lt": end}), **rest}
            near = {"$lte" if descending else "$gte": end}
            wanted *= _GROWTH

    def _narrow(self, criteria: Mapping[str, Any], fewer_than: float) -> dict[str, Any]:
        """Return the condition with an index that leaves the fewest rows, if few enough."""
        sizes = {
            name: self.survey.n_rows * self.survey.fraction({name: wanted})
            for name, wanted in criteria.items()
            if name in _INDEXED
            if not isinstance(wanted, Mapping) or set(wanted) <= _RANGES
        }
        best = min(sizes, key=lambda name: sizes[name], default=None)
        return {} if best is None or sizes[best] >= fewer_than else {best: criteria[best]}

    def _find(self, criteria: Mapping[str, Any], order: Order, limit: int) -> list[dict[str, Any]]:
        direction = DESCENDING if order.descending else ASCENDING
        sort = {order.field: direction, "key": direction if order.field == "key" else ASCENDING}
        found = self.rows.find(criteria, self.projection).sort(list(sort.items()))
        return list(found.limit(limit).batch_size(limit))


def _bounds(own: Mapping[str, Any], descending: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the bounds of a range: that where rows begin in an order, and that where they end."""
    low = {name: value for name, value in own.items() if name in ("$gt", "$gte")}
    high = {name: value for name, value in own.items() if name in ("$lt", "$lte")}
    return (high, low) if descending else (low, high)


def _range(field: str, near: dict[str, Any], far: dict[str, Any]) -> dict[str, Any]:
    # Comparisons meet values of their type only: neither nulls nor what does not belong there.
    if field not in _KNOWN:
        return near | far or {"$ne": None}
    return near | far or {"$gte": "" if field in TEXT_FIELDS else float("-inf")}


def _without(criteria: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wanted for name, wanted in criteria.items() if name not in others}
