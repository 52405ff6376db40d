"""Text from data, made fit for a terminal or a spreadsheet.

Identifiers, formulas, warnings and messages come from files that others wrote. On a terminal, a
control sequence in one of them could move the cursor or name the window, and a mark of writing
direction could turn a line round; in a spreadsheet, a leading ``=`` would make it a formula.
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@")


def printable(text: str, keep: str = "\n") -> str:
    r"""Return text in which characters that are not shown are written as escapes.

    These are control characters, marks of writing direction and of zero width, lone surrogates,
    and separators but the space.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Characters that stay.

    Examples
    --------
    >>> print(printable("mp-1\x1b[2J\u202e"))
    mp-1\x1b[2J\u202e
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in keep else ascii(one)[1:-1] for one in text)


class PrintableFormatter(logging.Formatter):
    """Formats log records with :func:`printable`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return printable(super().format(record))


def csv_cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula.

    Text that begins as formulas do gets an apostrophe before it, which spreadsheets do not show;
    other characters are those of :func:`printable`, line breaks and tabs too. Lists are joined by
    semicolons, numbers stay what they are.

    Examples
    --------
    >>> csv_cell("=1+1")
    "'=1+1"
    >>> csv_cell(-1.5)
    -1.5
    """
    if isinstance(value, list):
        value = ";".join(map(str, value))
    if not isinstance(value, str):
        return value
    text = printable(value, keep="")
    # Spreadsheets strip spaces before they look for a formula.
    return "'" + text if text.lstrip().startswith(_FORMULA_STARTS) else text


def csv_lines(names: Sequence[str], records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield records as CSV with a header, each value through :func:`csv_cell`, line by line.

    Parameters
    ----------
    names : sequence of str
        Columns; what else a record has is an error.
    records : iterable of dict
        The rows.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    yield text.getvalue()
    for one in records:
        text.seek(0)
        text.truncate()
        writer.writerow({name: csv_cell(value) for name, value in one.items()})
        yield text.getvalue()


def csv_text(names: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Return what :func:`csv_lines` yields as one text."""
    return "".join(csv_lines(names, records))


def duration(seconds: float) -> str:
    """Return a time as no more than is known of it.

    Examples
    --------
    >>> duration(7), duration(95), duration(700), duration(40_000)
    ('7 s', '2 min', '12 min', '11 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
