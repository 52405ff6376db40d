"""Tables as text, for a terminal or a log."""

import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from superionic.text import printable

_WIDTH = 250


def text_table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, one line a row, without lines between.

    Parameters
    ----------
    columns : sequence of (str, bool)
        Head of each column, and whether it holds numbers, which end below each other.
    rows : iterable of sequence of str
        Cells; what a terminal would not show is written as an escape.

    Examples
    --------
    >>> print(text_table([("id", False), ("eV", True)], [("mp-1", "0.5"), ("mp-22", "10.5")]))
    id       eV
    mp-1    0.5
    mp-22  10.5
    """
    table = Table(box=None, pad_edge=False)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*(Text(printable(cell, keep="")) for cell in cells))
    # Neither colours nor markup, whatever the environment says of the terminal.
    console = Console(
        file=io.StringIO(), width=_WIDTH, color_system=None, markup=False, emoji=False
    )
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
