"""How far a campaign is and how long it will take, from the cost of each crystal."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from superionic.potentials.base import PotentialInfo
from superionic.progress import Progress
from superionic.store.database.stores import Database

LEAST_SHARE = 0.05
"""Share of a crystal that must be done before its own pace is believed."""
_LONGER = 0.25
"""A crystal that takes longer than expected takes at least this part of its time more."""
_FEWEST_SAMPLES = 2
_NEAREST = 3
_FAR = 10.0
_SAMPLE = 300


@dataclass
class _Running:
    start_s: float
    stage_start_s: float
    progress: Progress


class Forecast:
    """Judges the time left of a campaign by what its crystals have taken so far.

    A crystal is expected to take what its work costs, judged by those that are finished and whose
    work is nearest, or, when a part of its evaluations is done, what the rest of them needs at its
    own pace. One that takes longer than expected goes on for a quarter of its time at least: so the
    share that is done does not stand at 99 % while a crystal runs. The first crystal of each
    process waits for models that are loaded and code that is compiled, which is taken off before
    others are judged by it.

    Parameters
    ----------
    works : dict
        Measure of the cost of each task, by its key (``Candidate.work``).
    clock : callable
        Returns the time in s.
    """

    def __init__(
        self, works: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._works = dict(works)
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._taken_s: dict[str, float] = {}
        self._first: set[str] = set()
        self._most_running = 1

    def started(self, key: str) -> None:
        """Note that a task runs."""
        now = self._clock()
        self._running[key] = _Running(now, now, Progress(""))
        if len(self._running) > len(self._first):  # a process more than ever before
            self._first.add(key)
        self._most_running = max(self._most_running, len(self._running))

    def progress(self, key: str, progress: Progress) -> None:
        """Note how far a running task is."""
        running = self._running[key]
        if progress.stage != running.progress.stage:
            running.stage_start_s = self._clock()
        running.progress = progress

    def finished(self, key: str) -> None:
        """Note that a task has ended."""
        running = self._running.pop(key)
        self._taken_s[key] = self._clock() - running.start_s

    @property
    def left_s(self) -> float | None:
        """Time until the end, in s; None as long as nothing tells of the pace."""
        left = self._left_s()
        if left is None:
            return None
        # No crystal is split between processes.
        return max([sum(left.values()) / self._most_running, *left.values()])

    @property
    def share(self) -> float:
        """Share of the time of all processes that has passed."""
        left = self._left_s()
        if left is None:
            return 0.0
        now = self._clock()
        spent_s = sum(self._taken_s.values())
        spent_s += sum(now - one.start_s for one in self._running.values())
        total_s = spent_s + sum(left.values())
        return spent_s / total_s if total_s > 0 else 1.0

    def _left_s(self) -> dict[str, float] | None:
        """Return the time that each unfinished task still needs."""
        now = self._clock()
        own_s = {key: self._own_total_s(one, now) for key, one in self._running.items()}
        known_s = self._taken_s | {key: s for key, s in own_s.items() if s is not None}
        samples = self._samples(known_s)
        left_s: dict[str, float] = {}
        for key in self._works.keys() - self._taken_s.keys():
            by_itself_s = own_s.get(key)
            if by_itself_s is None and len(samples) < _FEWEST_SAMPLES:
                return None
            running = self._running.get(key)
            passed_s = 0.0 if running is None else now - running.start_s
            if by_itself_s is None:
                expected_s = _expected_s(self._works[key], samples)
                left_s[key] = max(expected_s - passed_s, _LONGER * passed_s)
            else:
                left_s[key] = by_itself_s - passed_s
        return left_s

    def _samples(self, known_s: Mapping[str, float]) -> list[tuple[float, float]]:
        """Return works and the times that they take on a process that is warm."""
        cold_s = [s for key, s in self._taken_s.items() if key in self._first]
        warm_s = [s for key, s in self._taken_s.items() if key not in self._first]
        if not warm_s and len(self._taken_s) + len(self._running) < len(self._works):
            return []  # what they take cannot be told from what starting takes
        start_s = min(cold_s) - min(warm_s) if cold_s and warm_s else 0.0
        return [
            (self._works[key], s - max(start_s, 0.0) if key in self._first else s)
            for key, s in known_s.items()
        ]

    @staticmethod
    def _own_total_s(one: _Running, now: float) -> float | None:
        """Return how long a task takes at its own pace; None where that is not known."""
        done, planned = one.progress.done, one.progress.planned
        if not planned or done < LEAST_SHARE * planned:
            return None
        stage_s = (now - one.stage_start_s) * planned / done
        return (one.stage_start_s - one.start_s) + stage_s


def _expected_s(work: float, samples: list[tuple[float, float]]) -> float:
    """Return the time for some work: a constant part, and one in proportion to the work.

    The constant part is the shortest time that a crystal took, since starting and compiling are
    most of the time of small ones; the other is that of crystals whose work is nearest.
    """
    shortest_s = min(total_s for _, total_s in samples)
    nearest = sorted(samples, key=lambda one: abs(math.log((one[0] or 1) / (work or 1))))
    return shortest_s + median(
        (total_s - shortest_s) * _ratio(work / (near or 1)) for near, total_s in nearest[:_NEAREST]
    )


def _ratio(ratio: float) -> float:
    """Return a ratio of works, the less of it the further it leads from what was seen."""
    return ratio if ratio < _FAR else _FAR * math.sqrt(ratio / _FAR)


@dataclass(frozen=True)
class Estimate:
    """Time of a campaign on one process.

    Parameters
    ----------
    seconds : float or None
        None when nothing of the kind has been computed.
    n_sample : int
        Finished materials that the estimate rests on.
    """

    seconds: float | None
    n_sample: int

    @property
    def text(self) -> str:
        """What to tell the user."""
        if self.seconds is None:
            return (
                "Time: unknown, since no material is finished with this potential; submit a few "
                "and look at 'superionic status'."
            )
        return (
            f"Time: about {self.seconds / 3600:.1f} hours of one process, judged by "
            f"{self.n_sample} finished materials (good within a factor of two or three)."
        )


def estimate_time_s(database: Database, info: PotentialInfo, work: float) -> Estimate:
    """Return the time of a campaign on one process.

    Parameters
    ----------
    database : Database
        Finished materials.
    info : PotentialInfo
        The potential.
    work : float
        Sum of ``Candidate.work`` of its materials.
    """
    criteria = {
        "output.kind": "descriptors",
        "output.potential.weights_sha256": info.weights_sha256,
    }
    fields = ["output.volume_A3", "output.n_atoms", "output.total_wall_time_s"]
    rows = database.job_store.docs_store.query(criteria, properties=fields, limit=_SAMPLE)
    rates = [
        output["total_wall_time_s"] / (output["volume_A3"] * output["n_atoms"] ** 2)
        for output in (row["output"] for row in rows)
    ]
    return Estimate(median(rates) * work if rates else None, len(rates))
