"""What a sample of the rows tells of the whole collection: sizes, values, how rare a filter is.

Ranks are dense and have an index, so ranks of all heights are a sample that costs the same in any
collection. Nothing that is shown as exact rests on it: it decides how a question is put.
"""

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo.collection import Collection

from superionic.schemas.indexes import SORTED_BY, SortField
from superionic.store.collection.filters import TEXT_FIELDS

N_SAMPLES = 500
_MOST_GROUPS = 24
_SHARED = ("mobile_species", "potential", "potential_weights_sha256", "ranking_settings")
"""What rows of one ranking share."""
_LARGEST_NUMBER = 2**53
_SAMPLED = (
    *("key", "rank", "ranks", "mobile_species", "potential", "potential_weights_sha256"),
    *("ranking_settings", "elements", "present"),
    *("element_sets", "label_verdict", "validation_verdict"),
    *(one.value for one in SortField if one is not SortField.rank),
)


@dataclass(frozen=True)
class Group:
    """Rows that are ranked among each other.

    Parameters
    ----------
    mobile_species, potential, potential_weights_sha256 : str
        What they share.
    settings : str or None
        Label of the settings of their landscapes; None for rows of a version that did not tell
        settings apart.
    n_rows : int
        How many there are, further names of one crystal left out.
    """

    mobile_species: str
    potential: str
    potential_weights_sha256: str
    settings: str | None
    n_rows: int

    def criteria(self) -> dict[str, Any]:
        """Return MongoDB criteria that its rows meet."""
        values = (
            *(self.mobile_species, self.potential),
            *(self.potential_weights_sha256, self.settings),
        )
        return dict(zip(_SHARED, values, strict=True))


@dataclass(frozen=True)
class Survey:
    """What is known of a collection.

    Parameters
    ----------
    groups : tuple of Group
        The largest first.
    sample : tuple of dict
        Some of the rows, of all ranks.
    """

    groups: tuple[Group, ...]
    sample: tuple[Mapping[str, Any], ...]
    _sorted: dict[str, list[Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def n_rows(self) -> int:
        """Return the number of ranked rows."""
        return sum(group.n_rows for group in self.groups)

    @property
    def has_element_sets(self) -> bool:
        """Say whether rows have the field ``element_sets``, which those of old versions lack."""
        return bool(self.sample) and all("element_sets" in row for row in self.sample)

    def fraction(self, criteria: Mapping[str, Any]) -> float:
        """Estimate which fraction of the rows meets criteria; never 0."""
        n_met = sum(meets(row, criteria) for row in self.sample)
        return (n_met + 0.5) / (len(self.sample) + 1)

    def ahead(self, field: str, start: Any, n_rows: float, *, descending: bool) -> Any:
        """Return a value so far from another that about so many rows lie between; None: the end.

        Parameters
        ----------
        field : str
            What the rows are ordered by.
        start : str, float or None
            Where to begin; None is the beginning.
        n_rows : float
            Rows that should lie between, at least.
        descending : bool
            Towards smaller values.
        """
        if field in SORTED_BY:
            return self._rank_ahead(start, n_rows, descending=descending)
        values = self._values(field)
        step = 1 + math.ceil(n_rows * len(values) / max(self.n_rows, 1))
        if descending:
            place = (bisect_left(values, start) if start is not None else len(values)) - step
            return values[place] if place >= 0 else None
        place = (bisect_right(values, start) if start is not None else 0) + step - 1
        return values[place] if place < len(values) else None

    def _rank_ahead(self, start: Any, n_rows: float, *, descending: bool) -> int | None:
        """Return a rank further on: each group has one row of each rank."""
        largest = max((group.n_rows for group in self.groups), default=0)
        if descending:
            end = (largest + 1 if start is None else start) - math.ceil(n_rows)
            return end if end >= 1 else None
        end = (1 if start is None else start) + math.ceil(n_rows)
        return end if end <= largest else None

    def _values(self, field: str) -> list[Any]:
        """Return the values of a field in the sample, sorted, nulls left out."""
        if field not in self._sorted:
            found = (value_at(row, field) for row in self.sample)
            self._sorted[field] = sorted(value for value in found if is_value(value, field))
        return self._sorted[field]


def survey(rows: Collection, n_samples: int = N_SAMPLES) -> Survey:
    """Look at a collection, at a cost that hardly depends on its size.

    Parameters
    ----------
    rows : Collection
        The screening collection.
    n_samples : int
        Ranks that are looked at; each costs about a millisecond.
    """
    largest = largest_rank(rows, {})
    if not largest:
        return Survey((), ())
    step = max(1, largest // n_samples)
    # One rank from each of equal intervals, by chance: rows may repeat themselves in even steps.
    chance = random.Random(0)
    later = (start + chance.randrange(step) for start in range(1, largest + 1, step))
    ranks = sorted({1, *later})  # every group has a first row
    found = rows.find({"rank": {"$in": ranks}}, dict.fromkeys(_SAMPLED, 1) | {"_id": 0})
    sample = tuple(found.limit(n_samples * _MOST_GROUPS))
    sampled = Counter(tuple(row.get(name) for name in _SHARED) for row in sample)
    groups: list[Group] = []
    for group, n in sampled.most_common():
        exact = len(groups) < _MOST_GROUPS
        same = dict(zip(_SHARED, group, strict=True))
        n_rows = largest_rank(rows, same) if exact else n * step
        groups.append(Group(str(group[0]), str(group[1]), str(group[2]), group[3], n_rows))
    return Survey(tuple(groups), sample)


def largest_rank(rows: Collection, same: Mapping[str, Any]) -> int:
    """Return the largest rank, found by halving: ranks have no gaps."""

    def exists(rank: int) -> bool:
        # The rank comes first: the local server takes the first clause that has an index.
        return rows.find_one({"rank": rank, **same}, {"_id": 1}) is not None

    return largest_with(exists)


def largest_with(holds: Callable[[int], bool]) -> int:
    """Return the largest positive number for which something holds, 0 if for none.

    It must hold for all smaller ones, too.
    """
    high = 1
    while holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path such as ``ranks.network``, None without one."""
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def is_value(value: Any, field: str) -> bool:
    """Say whether a value is what a field holds: text, or a finite number."""
    if field in TEXT_FIELDS:
        return is_text(value)
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= _LARGEST_NUMBER  # neither infinity nor NaN nor more than BSON holds
    )


def is_text(value: Any) -> bool:
    """Say whether a value is text that a database can hold: without lone surrogates."""
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


def meets(row: Mapping[str, Any], criteria: Mapping[str, Any]) -> bool:
    """Say whether a row meets the criteria that ``Filters`` of this package make."""
    return all(_meets(value_at(row, path), wanted) for path, wanted in criteria.items())


def _meets(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Mapping):
        return wanted in value if isinstance(value, list) else value == wanted
    for operator, operand in wanted.items():
        if operator == "$all":
            holds = isinstance(value, list) and set(operand) <= set(value)
        elif operator == "$nin":
            holds = not isinstance(value, list) or not set(operand) & set(value)
        elif operator == "$ne":
            holds = value != operand
        elif operator == "$in":
            holds = value in operand
        elif value is None or isinstance(value, str) != isinstance(operand, str):
            holds = False
        else:
            holds = {
                "$gte": value >= operand,
                "$lte": value <= operand,
                "$lt": value < operand,
            }[operator]
        if not holds:
            return False
    return True
