"""Ranking policies by name.

A policy gives each row a score. Equal scores are ordered by the policy's own tie rule and at last
by identifier, so that a ranking never depends on the order of the rows; rows that lack what the
policy needs come last, and it says what they lack.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from superionic import defaults
from superionic.errors import SettingsError
from superionic.schemas.indexes import POLICY_NAMES
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.calibration import Calibration, load_calibration
from superionic.store.ranking.conductivity import Conductivity, load_conductivity
from superionic.store.ranking.features import ScorePart

Row = ScreeningDocument
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where a row stands.

    Parameters
    ----------
    row : ScreeningDocument
        The row.
    rank : int
        From 1; rows without a score come after all others.
    score : float or None
        What the policy ranks by; infinite for a barrier without a percolating path.
    reason : str or None
        What the row lacks, if it has no score.
    """

    row: Row
    rank: int
    score: float | None
    reason: str | None = None


class Policy(ABC):
    """How rows of one mobile species and potential are ordered."""

    name: ClassVar[str]
    summary: ClassVar[str]
    quantity: ClassVar[str]
    lower_is_better: ClassVar[bool] = False
    ties: ClassVar[str] = "identifier"
    is_relative: ClassVar[bool] = False
    """Whether a score depends on the other rows, too."""

    @abstractmethod
    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None if it can be scored."""

    @abstractmethod
    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return the scores of rows that lack nothing."""

    def tie_break(self, row: Row) -> float:
        """Return what orders equal scores, ascending."""
        return 0.0

    def parts(self, row: Row) -> list[ScorePart]:
        """Return what the score of a ranked row is made of; nothing where it is one number."""
        return []

    def percentiles(self, rows: Sequence[Row]) -> dict[str, FloatArray]:
        """Return what scores are the mean of, for rows that lack nothing: NaN where there is none.

        Nothing, for a policy whose scores are no mean of percentiles.
        """
        return {}

    def places(self, rows: Sequence[Row]) -> list[Place]:
        """Return the rows in order, with their ranks."""
        reasons = [(row, self.lacks(row)) for row in rows]
        lacking = [(row, reason) for row, reason in reasons if reason is not None]
        complete = [row for row, reason in reasons if reason is None]
        sign = 1.0 if self.lower_is_better else -1.0
        pairs = list(zip(complete, self.scores(complete), strict=True))
        pairs.sort(key=lambda p: (sign * p[1], self.tie_break(p[0]), p[0].material_id))
        lacking.sort(key=lambda pair: pair[0].material_id)
        scored = [Place(row, rank, score) for rank, (row, score) in enumerate(pairs, start=1)]
        last = len(scored) + 1
        return scored + [
            Place(row, rank, None, reason) for rank, (row, reason) in enumerate(lacking, start=last)
        ]


class XiPolicy(Policy):
    """The published ranking."""

    name = "xi"
    summary = "the published descriptor Xi of the landscape"
    quantity = "Xi"
    ties = "published barrier, then identifier"

    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None."""
        return _no_landscape(row)

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return Xi."""
        return [_number(row.xi) for row in rows]

    def tie_break(self, row: Row) -> float:
        """Return the barrier."""
        return _barrier(row.mpe_eV)


class BarrierPolicy(Policy):
    """Lowest published percolation barrier first."""

    name = "barrier"
    summary = "the published percolation barrier, lowest first"
    quantity = "eV"
    lower_is_better = True
    ties = "barrier in three dimensions, then identifier"

    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None."""
        return _no_landscape(row)

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return barriers in eV, infinite where an ion never reaches a face."""
        return [_barrier(row.mpe_eV) for row in rows]

    def tie_break(self, row: Row) -> float:
        """Return the barrier in three dimensions."""
        return _barrier(row.barrier_3d_eV)


class MeanOfPercentiles(Policy):
    """The mean of percentiles among rows that lack nothing."""

    quantity = "mean percentile"
    is_relative = True

    @abstractmethod
    def columns(self, rows: Sequence[Row]) -> dict[str, tuple[FloatArray, bool]]:
        """Return for each member the values of rows, and whether lower ones are better.

        A value is NaN where the row lacks one that it need not have.
        """

    @abstractmethod
    def value_of(self, row: Row, name: str) -> float | None:
        """Return a ranked row's own value of a member."""

    def percentiles(self, rows: Sequence[Row]) -> dict[str, FloatArray]:
        """Return the percentiles by each member."""
        return {name: _percentiles(*column) for name, column in self.columns(rows).items()}

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return mean percentiles."""
        found = list(self.percentiles(rows).values())
        known = [np.isfinite(one) for one in found]
        total = np.sum([np.where(k, one, 0.0) for k, one in zip(known, found, strict=True)], axis=0)
        return _rounded(total / np.maximum(np.sum(known, axis=0), 1))

    def parts(self, row: Row) -> list[ScorePart]:
        """Return the percentile of each member, as it was when the row was ranked."""
        found = row.percentiles.get(self.name, {})
        return [
            ScorePart(name, self.value_of(row, name), level, 1 / len(found))
            for name, level in found.items()
        ]


class FreeVolumePolicy(MeanOfPercentiles):
    """Sum of two ranks: the free volume below 2 eV per cell, and per mobile ion."""

    name = "free_volume"
    summary = (
        "the sum of two ranks: the free volume below 2 eV as a fraction of the cell (union of the "
        "ions), and in A^3 per mobile ion"
    )
    ties = "barrier in three dimensions, then identifier"

    def tie_break(self, row: Row) -> float:
        """Return the barrier in three dimensions: sums of ranks are often the same."""
        return _barrier(row.barrier_3d_eV)

    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None."""
        if row.fv_disconnected_2eV is None or row.free_volume_2eV_A3_per_ion is None:
            return _no_landscape(row) or "no free volumes at 2 eV: that threshold was not computed"
        return None

    def columns(self, rows: Sequence[Row]) -> dict[str, tuple[FloatArray, bool]]:
        """Return the two volumes."""
        names = ("fv_disconnected_2eV", "free_volume_2eV_A3_per_ion")
        return {name: (np.array([getattr(r, name) for r in rows], float), False) for name in names}

    def value_of(self, row: Row, name: str) -> float | None:
        """Return one of the two volumes."""
        value: float | None = getattr(row, name)
        return value


class NetworkPolicy(Policy):
    """Fastest predicted diffusion first."""

    name = "network"
    summary = "the diffusion that the force network predicts"
    quantity = "(log10 of A^2/ps)"
    ties = "lower end of the interval, then identifier"

    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None."""
        return None if row.predicted_log10_msd_slope is not None else "no prediction of the network"

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return the logarithm of the predicted slope."""
        return [_number(row.predicted_log10_msd_slope) for row in rows]

    def tie_break(self, row: Row) -> float:
        """Return the lower end of the interval, highest first."""
        low = row.predicted_log10_msd_slope_low
        return float("inf") if low is None else -low


class ConsensusPolicy(MeanOfPercentiles):
    """Mean percentile over what the other policies say."""

    name = "consensus"
    summary = (
        "the mean percentile over xi, barrier and free_volume, and over network where there is a "
        "prediction"
    )
    members: tuple[Policy, ...] = (XiPolicy(), BarrierPolicy(), FreeVolumePolicy(), NetworkPolicy())
    optional: ClassVar[frozenset[str]] = frozenset({"network"})

    def lacks(self, row: Row) -> str | None:
        """Return what the row lacks, or None."""
        needed = (member.lacks(row) for member in self.members if member.name not in self.optional)
        return next((reason for reason in needed if reason is not None), None)

    def columns(self, rows: Sequence[Row]) -> dict[str, tuple[FloatArray, bool]]:
        """Return the scores by each member, of the rows that lack nothing of it."""
        found = {}
        for member in self.members:
            places = [i for i, row in enumerate(rows) if member.lacks(row) is None]
            values = np.full(len(rows), np.nan)
            values[places] = member.scores([rows[i] for i in places])
            found[member.name] = (values, member.lower_is_better)
        return found

    def value_of(self, row: Row, name: str) -> float | None:
        """Return the score by a member; None for a barrier without a percolating path."""
        return row.scores.get(name)


@dataclass(frozen=True)
class CalibratedPolicy(Policy):
    """Probability of being a conductor, by a logistic regression fitted on labels.

    Parameters
    ----------
    load : callable
        Returns the calibration, or None where there is none.
    """

    name: ClassVar[str] = "calibrated"
    summary: ClassVar[str] = (
        "the probability of being a conductor, by a logistic regression on descriptors and network "
        "that was fitted on labels"
    )
    quantity: ClassVar[str] = "probability"

    load: Callable[[], Calibration | None] = field(default=load_calibration)

    def lacks(self, row: Row) -> str | None:
        """Return what the row, or the installation, lacks."""
        calibration = self.load()
        if calibration is None:
            return (
                "no calibration: there were too few labels to fit one ('superionic evaluate "
                "--fit-calibrated' does)"
            )
        return calibration.lacks(row)

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return probabilities."""
        calibration = self.load()
        assert calibration is not None or not rows
        return [] if calibration is None else [calibration.probability(row) for row in rows]

    def parts(self, row: Row) -> list[ScorePart]:
        """Return the terms of the log odds."""
        calibration = self.load()
        model = None if calibration is None else calibration.model_for(row)
        return [] if model is None else model.parts(row)


@dataclass(frozen=True)
class ConductivityPolicy(Policy):
    """Highest conductivity that is to be expected first, by a model of measured conductivities.

    Parameters
    ----------
    load : callable
        Returns the model, or None where there is none.
    """

    name: ClassVar[str] = "conductivity"
    summary: ClassVar[str] = (
        "the conductivity at 300 K that is to be expected, by boosted trees on composition, "
        "structure and landscape that were fitted on measurements"
    )
    quantity: ClassVar[str] = "(log10 of S/cm)"

    load: Callable[[], Conductivity | None] = field(default=load_conductivity)

    def lacks(self, row: Row) -> str | None:
        """Return what the row, or the installation, lacks."""
        model = self.load()
        return "no model of conductivities" if model is None else model.lacks(row)

    def scores(self, rows: Sequence[Row]) -> list[float]:
        """Return logarithms of conductivities."""
        model = self.load()
        assert model is not None or not rows
        return [] if model is None else model.estimates(rows)


@cache
def policies() -> dict[str, Policy]:
    """Return all policies by name."""
    known: list[Policy] = [
        XiPolicy(),
        BarrierPolicy(),
        FreeVolumePolicy(),
        NetworkPolicy(),
        ConsensusPolicy(),
        CalibratedPolicy(),
        ConductivityPolicy(),
    ]
    by_name = {policy.name: policy for policy in known}
    return {name: by_name[name] for name in POLICY_NAMES}


def get_policy(name: str) -> Policy:
    """Return a policy by its name.

    Raises
    ------
    SettingsError
        When there is none of that name.
    """
    try:
        return policies()[name]
    except KeyError:
        raise SettingsError(
            f"There is no ranking policy {name!r}.", hint=f"Use one of: {', '.join(POLICY_NAMES)}."
        ) from None


def percentiles(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fraction of values below each, equal ones (itself, too) counted half."""
    found = np.asarray(values, dtype=np.float64)
    _, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    n_below = np.cumsum(counts) - counts
    return (n_below + counts / 2)[place] / max(found.size, 1)


def _percentiles(values: FloatArray, lower_is_better: bool) -> FloatArray:
    """Return the percentile of each value among those that are known, NaN for the others."""
    known = ~np.isnan(values)
    found = np.full(values.size, np.nan)
    found[known] = percentiles(-values[known] if lower_is_better else values[known])
    return found


def ranked(rows: Iterable[Row], policy: str = defaults.POLICY) -> list[Row]:
    """Return rows in the order of a policy, with ranks and scores by all policies filled in.

    Parameters
    ----------
    rows : iterable of ScreeningDocument
        Rows to be ranked among each other.
    policy : str
        Name of the policy that orders them.

    Raises
    ------
    SettingsError
        When there is no policy of that name.
    """
    chosen = get_policy(policy).name
    rows = list(rows)
    complete = [
        row.model_copy(update=fresh) for row, fresh in zip(rows, standings(rows), strict=True)
    ]
    return sorted(complete, key=lambda row: row.ranks[chosen])


def standings(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each row the fields that ranking fills in.

    ``rank`` and ``ranks``, the finite ``scores``, and the ``percentiles`` that these are means of.
    """
    ranks: dict[str, dict[str, int]] = {row.key: {} for row in rows}
    scores: dict[str, dict[str, float]] = {row.key: {} for row in rows}
    levels: dict[str, dict[str, dict[str, float]]] = {row.key: {} for row in rows}
    for name, policy in policies().items():
        for place in policy.places(rows):
            ranks[place.row.key][name] = place.rank
            if place.score is not None and np.isfinite(place.score):
                scores[place.row.key][name] = float(f"{place.score:.6g}")
        complete = [row for row in rows if policy.lacks(row) is None]
        for member, found in policy.percentiles(complete).items():
            for row, level in zip(complete, found, strict=True):
                if not np.isnan(level):
                    levels[row.key].setdefault(name, {})[member] = float(level)
    return [
        {
            "rank": ranks[row.key]["xi"],
            "ranks": ranks[row.key],
            "scores": scores[row.key],
            "percentiles": levels[row.key],
        }
        for row in rows
    ]


def _rounded(values: NDArray[np.float64]) -> list[float]:
    """Return numbers without the noise of sums, which would decide between equal ones."""
    return [float(value) for value in values.round(12)]


def _no_landscape(row: Row) -> str | None:
    return "no landscape" if row.xi is None else None


def _barrier(value: float | None) -> float:
    return float("inf") if value is None else value


def _number(value: float | None) -> float:
    assert value is not None  # those that lack it are not scored
    return value
