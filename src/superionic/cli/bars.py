"""What shows on a terminal how far a command is: a line that counts, bars of a training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from superionic.console import ProgressConsole
from superionic.text import printable


class TrainingProgress:
    """Show the steps of a training on standard error."""

    def __init__(self) -> None:
        self._console = ProgressConsole()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Write one line."""
        self._console.say(text)

    def step(self, name: str, done: int, total: int, text: str = "") -> None:
        """Show how much of a step is done."""
        if self._bars is None:
            if text or done == total:
                self.say(f"{name} {done}/{total}{': ' + text if text else ''}")
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)


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
