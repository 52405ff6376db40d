"""What commands write: every line that may hold text from data goes through here."""

import sys
from dataclasses import dataclass

import typer
from rich.console import Console

from superionic.text import printable


@dataclass
class Saying:
    """How much is said, as the options that all commands share ask for it.

    Parameters
    ----------
    quiet : bool
        No progress.
    verbose : bool
        Log, warnings of packages and tracebacks, too.
    """

    quiet: bool = False
    verbose: bool = False


saying = Saying()


def echo(text: str, *, err: bool = False) -> None:
    """Write text and a line break, with escapes for what a terminal would obey and not show.

    Parameters
    ----------
    text : str
        What is said; its line breaks stay.
    err : bool
        Write to standard error.
    """
    typer.echo(printable(text), err=err)


class ProgressConsole(Console):
    """Standard error, where progress is shown; nothing that is said is taken for markup."""

    def __init__(self) -> None:
        super().__init__(
            file=sys.stderr,
            highlight=False,
            soft_wrap=True,
            emoji=False,
            markup=False,
            quiet=saying.quiet,
        )

    def say(self, text: str) -> None:
        """Write a line as :func:`echo` does, above the bars that are shown."""
        self.print(printable(text))
