"""Standard error of commands and functions: where progress is shown, unless nobody wants it."""

import sys
from dataclasses import dataclass

from rich.console import Console

from superionic.text import printable


@dataclass
class Saying:
    """How much is said; the options that all commands share set it.

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
        """Write a line, with escapes for what a terminal obeys, above the bars that are shown."""
        self.print(printable(text))
