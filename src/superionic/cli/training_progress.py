"""Progress of a training: a bar for each step on a terminal, plain lines in a log."""

from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from superionic.console import ProgressConsole


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
