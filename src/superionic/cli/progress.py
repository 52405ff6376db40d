"""Progress of a campaign: a bar on a terminal, plain lines in a log."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from superionic.campaign.outcome import Outcome, Task
from superionic.cli.console import ProgressConsole
from superionic.text import printable

LEAST_SHARE = 0.03
"""Share of the work that must be done before the time left is guessed."""


class ConsoleReporter:
    """Show a campaign on standard error.

    On a terminal a bar counts materials and estimates the time left from the share of the
    evaluations that are done, and each running material has a bar of its own. Elsewhere each end
    of a material is a line.
    """

    def __init__(self) -> None:
        self._console = ProgressConsole()
        self._bars: Progress | None = None
        self._total: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._n_done = 0
        self._n_todo = 0
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def say(self, text: str) -> None:
        """Write one line."""
        self._stop()
        self._console.say(text)

    def planned(self, *, n_materials: int, n_finished: int, todo: Sequence[Task]) -> None:
        """Say what there is to do."""
        text = f"{n_materials} materials"
        if n_finished:
            text += f", {n_finished} of them in the database already"
        self._console.say(f"{text}; {len(todo)} to compute.")
        self._n_todo = len(todo)
        self._start = time.monotonic()
        self._weights = {task.key: task.candidate.work for task in todo}
        if todo and self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._total = self._bars.add_task(
                "all", total=sum(self._weights.values()), note=f"0/{len(todo)}"
            )
            self._bars.start()

    def started(self, task: Task) -> None:
        """Show a bar for the material."""
        if self._bars is not None:
            self._tasks[task.key] = self._bars.add_task(
                printable(task.candidate.material_id), total=1.0, note=""
            )

    def progress(self, task: Task, done: int, planned: int) -> None:
        """Move the material's bar and that of the campaign."""
        self._shares[task.key] = done / planned
        if self._bars is not None:
            self._bars.update(
                self._tasks[task.key], completed=done / planned, note=f"{done}/{planned} energies"
            )
            self._move_total()

    def finished(self, outcome: Outcome) -> None:
        """Count the material."""
        self._n_done += 1
        self._shares[outcome.task.key] = 1.0
        name = outcome.task.candidate.material_id
        failure = outcome.failure
        if self._bars is not None:
            self._bars.remove_task(self._tasks.pop(outcome.task.key))
            self._move_total()
            if failure is not None:
                self._console.say(f"{name} failed: {failure.message}")
            return
        elapsed_s = time.monotonic() - self._start
        text = "done" if failure is None else f"failed: {failure.message}"
        left = self._time_left(elapsed_s)
        self._console.say(
            f"[{self._n_done}/{self._n_todo}] {name}: {text} ({elapsed_s:.0f} s{left})"
        )

    def _share_done(self) -> float:
        done = sum(self._weights[key] * share for key, share in self._shares.items())
        return done / sum(self._weights.values())

    def _time_left(self, elapsed_s: float) -> str:
        share = self._share_done()
        # Before that, the first start of the compiled code is most of the time.
        if share < LEAST_SHARE:
            return ""
        return f", about {elapsed_s * (1 - share) / share:.0f} s left"

    def _move_total(self) -> None:
        if self._bars is not None and self._total is not None:
            self._bars.update(
                self._total,
                completed=self._share_done() * sum(self._weights.values()),
                note=f"{self._n_done}/{self._n_todo}",
            )

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
