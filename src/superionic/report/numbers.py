"""Numbers as a reader wants them: with errors, intervals and units, in a terminal and on a page."""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, inf, isfinite, log10
from typing import Annotated, Any

from pydantic import Field

from superionic.schemas.screening import INTERVAL_FIELDS, ScreeningDocument

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""
_KNOWN = 1e-9
"""Intervals up to this width belong to numbers that are known."""


@dataclass(frozen=True)
class Number:
    """One line of the numbers of a material, as a reader wants them."""

    name: Annotated[str, Field(description="What it is.")]
    value: Annotated[
        str, Field(description="The number with its error or interval, or why there is none.")
    ]
    unit: Annotated[str, Field(description="Its unit, empty for a pure number.")] = ""
    note: Annotated[str, Field(description="What to keep in mind.")] = ""


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


@dataclass(frozen=True)
class Style:
    """How numbers of rows are written.

    Parameters
    ----------
    number, exact : callable
        Write a number with its interval, and one without.
    missing, unknown : str
        Stand where there is no number, and for an end of an interval that is not known.
    """

    number: Callable[[float], str] = plain
    exact: Callable[[float], str] = plain
    missing: str = NOTHING
    unknown: str = "∞"


PAGE = Style()
"""Of pages and reports."""
TEXT = Style("{:.2f}".format, "{:.3f}".format, "-", "?")
"""Of tables in a terminal."""
XI_TEXT = Style("{:.2f}".format, "{:.3g}".format, "-", "?")
"""Of Xi in a terminal, which may be very small."""


def of_row(row: Any, name: str, style: Style = PAGE, *, no_path: str = "none") -> str:
    """Return a number of a row, and its 95 % interval where the landscape was learned.

    Parameters
    ----------
    row : ScreeningDocument
        The row.
    name : str
        The field.
    style : Style
        How it is written.
    no_path : str
        Said of a barrier where nothing percolates.

    Returns
    -------
    str
        Such as ``0.42 [0.40, 0.45]``; ``?`` is an upper end that is not known.

    Examples
    --------
    >>> from types import SimpleNamespace as Row
    >>> bounds = Row(low=0.4, high=None)
    >>> of_row(Row(xi=1.0, mpe_eV=0.42, intervals={"mpe_eV": bounds}), "mpe_eV", TEXT)
    '0.42 [0.40, ?]'
    """
    value, ends = getattr(row, name), interval_of(row, name)
    if value is None:
        is_barrier = name.startswith(("mpe", "barrier")) and row.xi is not None
        text = no_path if is_barrier else style.missing
    else:
        text = style.exact(value) if ends is None else style.number(value)
    return text if ends is None else f"{text} {between(*ends, style.number, style.unknown)}"


def formatted(value: float | None, form: str) -> str:
    """Return a number in a format such as ``.3f``."""
    return "-" if value is None else format(value, form)


def between(
    low: float | None, high: float | None, number: Callable[[float], str], unknown: str = "?"
) -> str:
    """Return an interval; an end that is not known has its own sign."""
    ends = (unknown if end is None or not isfinite(end) else number(end) for end in (low, high))
    return f"[{', '.join(ends)}]"


def with_interval(
    value: float | None,
    low: float | None,
    high: float | None,
    digits: int = 3,
) -> str:
    """Return a number with its 95 % interval; without a value, the bound that is known."""
    if value is None:
        return NOTHING if high is None else f"< {plain(high, digits)} (95 % bound)"
    if low is None or high is None:
        return plain(value, digits)
    return f"{plain(value, digits)} {between(low, high, lambda end: plain(end, digits), '∞')}"


def interval_of(row: Any, field: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a number of a learned landscape; None where it is known exactly.

    The upper end is infinite where it is not known.
    """
    found = getattr(row, "intervals", {}).get(field)
    if found is None or found.low is None:
        return None
    high = inf if found.high is None else found.high
    return (found.low, high) if high - found.low > _KNOWN else None


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
