"""A line that counts, on a terminal; silence elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from superionic.console import ProgressConsole
from superionic.text import printable


@contextmanager
def counting() -> Iterator[Callable[[str], None]]:
    """Show one line of text that may change often, and the time."""
    console = ProgressConsole()
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("")

        def say(text: str) -> None:
            bar.update(task, description=printable(text))

        yield say
