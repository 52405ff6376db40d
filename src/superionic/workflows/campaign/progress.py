"""Progress of a campaign: a bar on a terminal, plain lines in a log."""

import time
from collections.abc import Sequence
from typing import Self

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from superionic.console import ProgressConsole
from superionic.progress import Progress
from superionic.structures.selection import Selection
from superionic.text import duration, printable
from superionic.workflows.campaign.forecast import Forecast
from superionic.workflows.campaign.outcome import Outcome, Reporter, Task


class ConsoleReporter(Reporter):
    """Show a campaign on standard error.

    On a terminal a bar shows the share of the time that has passed, counts materials and says how
    long the rest will take, judged by what crystals have cost so far; each running material has a
    bar of its own with the name of its stage. Elsewhere each end of a material is a line.
    """

    def __init__(self) -> None:
        self._console = ProgressConsole()
        self._bars: Bars | None = None
        self._total: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._forecast = Forecast({})
        self._n_done = 0
        self._n_todo = 0
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    def say(self, text: str) -> None:
        """Write one line."""
        self._stop()
        self._console.say(text)

    def selected(self, selection: Selection) -> None:
        """Say what was left out, where anything was."""
        if selection.noteworthy:
            for line in selection.lines():
                self.say(line)

    def planned(self, *, n_materials: int, n_finished: int, todo: Sequence[Task]) -> None:
        """Say what there is to do; there may be another plan when this one is through."""
        self._stop()
        text = f"{n_materials} materials"
        if n_finished:
            text += f", {n_finished} of them in the database already"
        self._console.say(f"{text}; {len(todo)} to compute.")
        self._n_todo, self._n_done = len(todo), 0
        self._start = time.monotonic()
        self._forecast = Forecast({task.key: task.candidate.work for task in todo})
        if todo and self._console.is_terminal:
            self._bars = Bars(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
                console=self._console,
            )
            self._total = self._bars.add_task("all", total=1.0, note=f"0/{len(todo)}")
            self._bars.start()

    def started(self, task: Task) -> None:
        """Show a bar for the material."""
        self._forecast.started(task.key)
        if self._bars is not None:
            name = printable(task.candidate.material_id)
            self._tasks[task.key] = self._bars.add_task(name, total=None, note="starting")

    def progress(self, task: Task, progress: Progress) -> None:
        """Move the material's bar and that of the campaign."""
        self._forecast.progress(task.key, progress)
        if self._bars is not None:
            note = progress.stage
            if progress.planned:
                note += f" {progress.done} of about {progress.planned}"
            self._bars.update(
                self._tasks[task.key],
                total=progress.planned or None,
                completed=progress.done,
                note=note,
            )
            self._move_total()

    def finished(self, outcome: Outcome) -> None:
        """Count the material."""
        self._forecast.finished(outcome.task.key)
        self._n_done += 1
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
        self._console.say(
            f"[{self._n_done}/{self._n_todo}] {name}: {text} ({elapsed_s:.0f} s{self._left()})"
        )

    def _left(self) -> str:
        left_s = self._forecast.left_s
        return "" if not left_s else f", about {duration(left_s)} left"

    def _move_total(self) -> None:
        if self._bars is not None and self._total is not None:
            self._bars.update(
                self._total,
                completed=(share := self._forecast.share),
                note=f"{100 * share:.0f} %, {self._n_done}/{self._n_todo}{self._left()}",
            )

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
