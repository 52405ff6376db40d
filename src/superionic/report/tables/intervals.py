"""Numbers with their 95 % intervals, as text."""

from math import inf, isfinite
from typing import Any

from superionic.schemas.screening import INTERVAL_FIELDS, ScreeningDocument

_KNOWN = 1e-9
"""Intervals up to this width belong to numbers that are known."""


def interval_of(row: Any, field: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a number of a learned landscape; None where it is known exactly.

    The upper end is infinite where it is not known.
    """
    found = getattr(row, "intervals", {}).get(field)
    if found is None or found.low is None:
        return None
    high = inf if found.high is None else found.high
    return (found.low, high) if high - found.low > _KNOWN else None


def with_interval(row: ScreeningDocument, name: str, *, digits: int, exact: int) -> str:
    """Return a number of a row, and its interval where it has one.

    Parameters
    ----------
    row : ScreeningDocument
        The row.
    name : str
        The field.
    digits : int
        Digits behind the point of a number with an interval, and of the interval.
    exact : int
        Of a number without one.

    Returns
    -------
    str
        Such as ``0.42 [0.40, 0.45]``; ``none`` is a barrier without a percolating path, ``?`` an
        upper end that is not known.

    Examples
    --------
    >>> from types import SimpleNamespace as Row
    >>> bounds = Row(low=0.4, high=None)
    >>> with_interval(Row(xi=1.0, mpe_eV=0.42, intervals={"mpe_eV": bounds}), "mpe_eV",
    ...               digits=2, exact=3)
    '0.42 [0.40, ?]'
    """
    value: float | None = getattr(row, name)
    if value is None and name not in row.intervals:
        is_barrier = name.startswith(("mpe", "barrier"))
        return "none" if is_barrier and row.xi is not None else "-"
    ends = interval_of(row, name)
    if ends is None:
        return "none" if value is None else f"{value:.{exact}f}"
    low, high = (f"{end:.{digits}f}" if isfinite(end) else "?" for end in ends)
    return f"{'none' if value is None else f'{value:.{digits}f}'} [{low}, {high}]"


def interval_columns(row: ScreeningDocument) -> dict[str, float | None]:
    """Return the bounds of all intervals under flat names, such as ``mpe_eV_low``.

    Both ends are None where there is no interval; the upper one alone where it is infinite.
    """
    columns: dict[str, float | None] = {}
    for name in INTERVAL_FIELDS:
        bounds = row.intervals.get(name)
        columns[f"{name}_low"] = None if bounds is None else bounds.low
        columns[f"{name}_high"] = None if bounds is None else bounds.high
    return columns
