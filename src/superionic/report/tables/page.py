"""Pages of the documentation whose tables a command writes between two marks."""

from pathlib import Path

from superionic.errors import SettingsError

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
    path.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{END}{after}")
