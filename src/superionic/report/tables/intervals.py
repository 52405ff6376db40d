"""Numbers with their 95 % intervals, as text."""

from superionic.schemas.screening import INTERVAL_FIELDS, ScreeningDocument

_KNOWN = 1e-9
"""Wide is an interval above this: others belong to numbers that are known."""


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
    bounds = row.intervals.get(name)
    if value is None and bounds is None:
        is_barrier = name.startswith(("mpe", "barrier"))
        return "none" if is_barrier and row.xi is not None else "-"
    if bounds is None or _is_known(value, bounds.low, bounds.high):
        return "none" if value is None else f"{value:.{exact}f}"
    low, high = ("?" if end is None else f"{end:.{digits}f}" for end in (bounds.low, bounds.high))
    return f"{'none' if value is None else f'{value:.{digits}f}'} [{low}, {high}]"


def _is_known(value: float | None, low: float | None, high: float | None) -> bool:
    if value is None or low is None or high is None:
        return value is None and low is None
    return high - low <= _KNOWN


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
