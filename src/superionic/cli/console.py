"""What commands write: every line that may hold text from data goes through here."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from superionic.console import saying
from superionic.text import printable

EXIT_INTERRUPTED = 130
"""Of a command that Ctrl-C has stopped, as shells have it."""


@contextmanager
def importing() -> Iterator[None]:
    """Import much at once: what is imported stays, so nobody looks through it for garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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


def note(text: str) -> None:
    """Say something about the result on standard error, unless ``--quiet`` was asked for."""
    if not saying.quiet:
        echo(text, err=True)
