"""A line that counts, on a terminal; silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def counting(what: str) -> Iterator[Callable[[Any], None]]:
    """Show how many were read, and how many of them are new.

    Parameters
    ----------
    what : str
        What is counted.
    """
    console = Console(file=sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"0 {what}")

        def show(state: Any) -> None:
            bar.update(task, description=f"{state.n_read} {what}, {state.n_submitted} new")

        yield show
