"""Numbers as a reader wants them: with errors, intervals and units."""

from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

from superionic.report.tables.intervals import interval_of

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""


@dataclass(frozen=True)
class Number:
    """One line of the numbers of a material.

    Parameters
    ----------
    name : str
        What it is.
    value : str
        The number with its error or interval, or why there is none.
    unit : str
        Its unit, empty for a pure number.
    note : str
        What to keep in mind.
    """

    name: str
    value: str
    unit: str = ""
    note: str = ""


def plain(value: float | None, digits: int = 3, *, missing: str = NOTHING) -> str:
    """Return a number with significant digits, in powers of ten where it is very small or large."""
    if value is None:
        return missing
    if not isfinite(value):
        return "∞" if value > 0 else missing
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        decimals = max(0, digits - 1 - floor(log10(abs(value))))
        return f"{value:.{decimals}f}"
    return f"{value:.{digits - 1}e}"


def with_error(value: float | None, error: float | None, digits: int = 3) -> str:
    """Return a number with its standard error, to two digits of the error."""
    if value is None:
        return NOTHING
    if error is None or not isfinite(error) or error <= 0 or not isfinite(value):
        return plain(value, digits)
    if 1e-3 <= max(abs(value), error) < 1e5:
        decimals = max(0, 1 - floor(log10(error)))
        return f"{value:.{decimals}f} ± {error:.{decimals}f}"
    power = floor(log10(max(abs(value), error)))
    scale = 10.0**power
    decimals = max(0, 1 - floor(log10(error / scale)))
    return f"({value / scale:.{decimals}f} ± {error / scale:.{decimals}f})e{power:+03d}"


def with_interval(
    value: float | None, low: float | None, high: float | None, digits: int = 3
) -> str:
    """Return a number with its 95 % interval; without a value, the bound that is known."""
    if value is None:
        return NOTHING if high is None else f"< {plain(high, digits)} (95 % bound)"
    if low is None or high is None:
        return plain(value, digits)
    return f"{plain(value, digits)} [{plain(low, digits)}, {plain(high, digits)}]"


def value_text(row: Any, field: str) -> str:
    """Return a number of a row, with its interval where it has one."""
    value, ends = getattr(row, field), interval_of(row, field)
    return plain(value) if value is None or ends is None else with_interval(value, *ends)


def barrier_text(row: Any, field: str, missing: str = "none") -> str:
    """Return a barrier of a row; where nothing percolates, say so."""
    if getattr(row, field) is None and row.xi is not None:
        return missing
    return value_text(row, field)


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
