"""What becomes of a material of a campaign, and who wants to know."""

from collections.abc import Sequence
from dataclasses import dataclass

from superionic.progress import Progress
from superionic.schemas.document import FailureDocument
from superionic.structures.candidate import Candidate
from superionic.structures.selection import Selection


@dataclass(frozen=True)
class Task:
    """One candidate with the key of its work.

    Parameters
    ----------
    candidate : Candidate
        The crystal.
    key : str
        Task key.
    """

    candidate: Candidate
    key: str


@dataclass(frozen=True)
class Outcome:
    """How one task ended.

    Parameters
    ----------
    task : Task
        The task.
    failure : FailureDocument or None
        None when its documents are in the database.
    """

    task: Task
    failure: FailureDocument | None = None


class Reporter:
    """Hears how a campaign goes; this one shows nothing."""

    def selected(self, selection: Selection) -> None:
        """Handle what was selected, and what was left out."""

    def planned(self, *, n_materials: int, n_finished: int, todo: Sequence[Task]) -> None:
        """Handle the plan: all materials, those in the database already, and what will run."""

    def started(self, task: Task) -> None:
        """Handle the start of a task."""

    def progress(self, task: Task, progress: Progress) -> None:
        """Handle news of a task: its stage, evaluations done and planned."""

    def finished(self, outcome: Outcome) -> None:
        """Handle the end of a task."""
