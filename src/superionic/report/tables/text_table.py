"""Tables as text, as HTML, and between the marks of a page."""

import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from superionic.errors import SettingsError
from superionic.files import write_whole
from superionic.text import printable

_WIDTH = 250


def text_table(
    columns: Sequence[tuple[str, bool]],
    rows: Iterable[Sequence[str]],
    *,
    head: bool = True,
    least_widths: Sequence[int] | None = None,
) -> str:
    """Return a table, one line a row, without lines between.

    Parameters
    ----------
    columns : sequence of (str, bool)
        Head of each column, and whether it holds numbers, which end below each other.
    rows : iterable of sequence of str
        Cells; what a terminal would not show is written as an escape.
    head : bool
        Whether the first line has the heads.
    least_widths : sequence of int, optional
        Least width of each column, so that a table goes on where another ended.

    Examples
    --------
    >>> print(text_table([("id", False), ("eV", True)], [("mp-1", "0.5"), ("mp-22", "10.5")]))
    id       eV
    mp-1    0.5
    mp-22  10.5
    """
    table = Table(box=None, pad_edge=False, show_header=head)
    for (name, is_number), width in zip(columns, least_widths or [0] * len(columns), strict=True):
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(name, justify=justify, no_wrap=True, min_width=width)
    for cells in rows:
        table.add_row(*(Text(printable(cell, keep="")) for cell in cells))
    # Neither colours nor markup, whatever the environment says of the terminal.
    console = Console(
        file=io.StringIO(), width=_WIDTH, color_system=None, markup=False, emoji=False
    )
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def html_table(columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[str]]) -> str:
    """Return the same table as HTML, for a notebook.

    Examples
    --------
    >>> html_table([("id", False)], [("<mp-1>",)])
    '<table><thead><tr><th ...>id</th></tr></thead><tbody><tr><td ...>&lt;mp-1&gt;</td></tr>...'
    """
    aligned = [f'style="text-align: {"right" if number else "left"}"' for _, number in columns]
    names = zip(aligned, (name for name, _ in columns), strict=True)
    head = "".join(f"<th {style}>{escape(name)}</th>" for style, name in names)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td {style}>{escape(printable(cell))}</td>"
            for style, cell in zip(aligned, cells, strict=True)
        )
        + "</tr>"
        for cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Examples
    --------
    >>> print(markdown_table(["id", "eV"], [["mp-1", "0.5"]]))
    | id | eV |
    | --- | --- |
    | mp-1 | 0.5 |
    """
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(
        f"|{'|'.join(f' {one} ' if one else ' ' for one in cells)}|" for cells in lines
    )


END = "<!-- end of tables -->"


def begin_mark(command: str) -> str:
    """Return the line after which the tables of a command stand."""
    return f"<!-- tables: written by {command} -->"


def write_page(path: Path, text: str, command: str) -> None:
    """Replace what stands between the marks of a page; the rest of it stays.

    Parameters
    ----------
    path : Path
        A page with the lines ``begin_mark(command)`` and :data:`END`; a new one is made where there
        is none.
    text : str
        The tables.
    command : str
        The command that writes them, as in the first mark.

    Raises
    ------
    SettingsError
        When the page has no such marks.
    """
    begin = begin_mark(command)
    page = path.read_text() if path.is_file() else f"# {command}\n\n{begin}\n{END}\n"
    if page.count(begin) != 1 or page.count(END) != 1 or page.index(begin) > page.index(END):
        raise SettingsError(
            f"The page {path} has no place for tables.",
            hint=f"Put the lines '{begin}' and '{END}' where they belong.",
        )
    before, rest = page.split(begin)
    after = rest.split(END)[1]
    write_whole(path, f"{before}{begin}\n\n{text.strip()}\n\n{END}{after}")
