"""How the jobs of a campaign stand: what is read of a launchpad."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FailedJobs:
    """Jobs that failed for the same cause.

    Parameters
    ----------
    cause : str
        Stable name, such as ``time_limit`` or ``ValueError``.
    fw_ids : tuple of int
        The Fireworks.
    example_material, example_job, example_text : str
        One of them.
    """

    cause: str
    fw_ids: tuple[int, ...]
    example_material: str
    example_job: str
    example_text: str


@dataclass(frozen=True)
class RefusedJobs:
    """Jobs that are ready, and that a worker left to others.

    Parameters
    ----------
    n_jobs : int
        Jobs.
    worker : str
        Name and host of the worker.
    reason : str
        Why.
    """

    n_jobs: int
    worker: str
    reason: str


@dataclass(frozen=True)
class JobsStatus:
    """How a launchpad stands.

    Parameters
    ----------
    jobs : dict
        Number of jobs by state.
    materials : dict
        Number of workflows by flow and state.
    failures : tuple of FailedJobs
        By cause, the most frequent first.
    jobs_per_minute : float
        Rate of the last minutes.
    time_left_s : float or None
        Time until all open jobs are done at that rate; None when nothing moves.
    n_lost : int
        Running jobs whose process is known to be dead: 'superionic recover'.
    n_locked : int
        Workflows that are locked at this moment.
    refused : tuple of RefusedJobs
        Jobs that wait for a worker with another potential than those that looked at them.
    """

    jobs: dict[str, int]
    materials: dict[str, dict[str, int]]
    failures: tuple[FailedJobs, ...]
    jobs_per_minute: float
    time_left_s: float | None
    n_lost: int
    n_locked: int
    refused: tuple[RefusedJobs, ...] = ()
