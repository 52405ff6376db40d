"""Measures of how well numbers predict numbers, or yes and no, and how sure one can be of them.

Values are arrays of shape (n,). A measure that the data do not define (a single class, fewer than
two values, no spread) is NaN, never an error: what shows a table says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A measure with the uncertainty that comes from the choice of the data.

    Parameters
    ----------
    value : float
        The measure of the data as they are.
    low, high : float
        Ends of the interval; NaN where no resample defines the measure.
    n_resamples : int
        Resamples for which the measure is defined.
    level : float
        Coverage of the interval.

    Examples
    --------
    >>> f"{Interval(0.95, 0.9, 0.99, n_resamples=1000):.2f}"
    '0.95 [0.90, 0.99]'
    """

    value: float
    low: float
    high: float
    n_resamples: int
    level: float = 0.95

    def __format__(self, spec: str) -> str:
        """Return value and ends, each in the format of a number."""
        if not spec:
            return str(self)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def roc_auc(positive: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic.

    It is the probability that a positive scores higher than a negative, ties counted half (Hanley &
    McNeil, Radiology 143, 29, 1982).

    Parameters
    ----------
    positive : array of bool, shape (n,)
        What is true.
    score : array of float, shape (n,)
        Higher means more likely positive.

    Returns
    -------
    float
        NaN when all or none are positive.

    Raises
    ------
    ValueError
        When the lengths differ or a score is not finite.
    """
    truth, values = _yes_no(positive, score)
    n_positive = int(truth.sum())
    n_negative = truth.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    ranks = rankdata(values)
    above = ranks[truth].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def average_precision(positive: ArrayLike, score: ArrayLike) -> float:
    """Return the average precision: sum over thresholds of precision times the gain in recall.

    Equal scores share a threshold, so that their order does not matter. A score that says nothing
    has the fraction of positives.

    Parameters
    ----------
    positive : array of bool, shape (n,)
        What is true.
    score : array of float, shape (n,)
        Higher means more likely positive.

    Returns
    -------
    float
        NaN when none is positive.

    Raises
    ------
    ValueError
        When the lengths differ or a score is not finite.
    """
    truth, values = _yes_no(positive, score)
    if not truth.any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    found = np.cumsum(truth[order])
    last_of_tie = np.append(np.diff(values[order]) != 0, True)
    found, taken = found[last_of_tie], np.flatnonzero(last_of_tie) + 1
    gain = np.diff(found, prepend=0)
    return float(np.sum(gain * found / taken) / truth.sum())


def precision_at(positive: ArrayLike, score: ArrayLike, k: int | float) -> float:
    """Return the fraction of positives among the first by score.

    Where equal scores straddle the end of the list, the expected value over their orders is taken.

    Parameters
    ----------
    positive : array of bool, shape (n,)
        What is true.
    score : array of float, shape (n,)
        Higher means more likely positive.
    k : int or float
        An int is a number of items (all of them, where there are fewer); a float between 0 and 1 a
        fraction of them, rounded up.

    Returns
    -------
    float
        NaN without data.

    Raises
    ------
    ValueError
        When ``k`` is not positive, the lengths differ or a score is not finite.
    """
    if k <= 0 or (isinstance(k, float) and k > 1.0):
        raise ValueError(f"k is a number of items or a fraction between 0 and 1, not {k!r}.")
    truth, values = _yes_no(positive, score)
    if truth.size == 0:
        return float("nan")
    n = int(np.ceil(k * truth.size - 1e-9)) if isinstance(k, float) else int(k)
    n = max(1, min(n, truth.size))
    threshold = np.sort(values)[-n]
    above, tied = values > threshold, values == threshold
    expected = truth[above].sum() + (n - above.sum()) * truth[tied].mean()
    return float(expected / n)


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Return Spearman's rank correlation, ties with their mean rank.

    Returns
    -------
    float
        NaN with fewer than two values or where one array is constant.

    Raises
    ------
    ValueError
        When the lengths differ or a value is not finite.
    """
    x, y = _pair(a, b)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = rankdata(x), rankdata(y)
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def r_squared(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the coefficient of determination, 1 - sum of squared errors / total sum of squares.

    The total is about the mean of the true values given here. It is negative for predictions that
    are worse than that mean.

    Returns
    -------
    float
        NaN with fewer than two values or constant truth.

    Raises
    ------
    ValueError
        When the lengths differ or a value is not finite.
    """
    y, p = _pair(truth, predicted)
    if y.size < 2 or np.ptp(y) == 0:
        return float("nan")
    return float(1.0 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))


def mean_absolute_error(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return the mean absolute error; NaN without data.

    Raises
    ------
    ValueError
        When the lengths differ or a value is not finite.
    """
    y, p = _pair(truth, predicted)
    return float(np.mean(np.abs(y - p))) if y.size else float("nan")


def conformal_rank(n: int, level: float) -> int:
    """Return which of n errors, in their order from 1, a new one exceeds with 1 - level at most.

    Split conformal prediction (J. Lei et al., J. Am. Stat. Assoc. 113, 1094, 2018): the
    ceil(level (n + 1))-th. It is larger than n where n errors are too few.

    Parameters
    ----------
    n : int
        Number of errors.
    level : float
        Probability that a new crystal of the same kind lies within the interval.

    Examples
    --------
    >>> conformal_rank(19, 0.95), conformal_rank(18, 0.95)
    (19, 19)
    """
    return ceil(level * (n + 1))


def bootstrap_interval(
    function: Callable[..., float],
    arrays: Sequence[ArrayLike],
    n_resamples: int = 1000,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> Interval:
    """Return a measure with its 95 % percentile bootstrap interval.

    Rows are drawn with replacement; with ``groups``, whole groups are drawn, since rows of one
    group (a chemical system, say) are not independent and an interval from rows is too narrow.

    Parameters
    ----------
    function : callable
        ``function(*arrays)`` returns the measure; NaN where it is not defined.
    arrays : sequence of array, shape (n, ...)
        What it takes; all of the same length.
    n_resamples : int
        Number of resamples.
    seed : int
        Of the draws.
    groups : array, shape (n,), optional
        Label of the group of each row.

    Returns
    -------
    Interval
        Resamples that do not define the measure are left out; their number shows.

    Raises
    ------
    ValueError
        When the arrays differ in length.

    References
    ----------
    B. Efron, R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapters 8 and 13.
    """
    data = [np.asarray(array) for array in arrays]
    n = len(data[0])
    if any(len(array) != n for array in data):
        raise ValueError(f"Arrays differ in length: {[len(array) for array in data]}.")
    value = float(function(*data))
    members = [np.array([row]) for row in range(n)]
    if groups is not None:
        labels = np.unique(np.asarray(groups), return_inverse=True)[1]
        if len(labels) != n:
            raise ValueError(f"{len(labels)} group labels for {n} rows.")
        members = [np.flatnonzero(labels == label) for label in range(labels.max(initial=-1) + 1)]
    if not members:
        return Interval(value, float("nan"), float("nan"), 0)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_resamples):
        drawn = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[one] for one in drawn])
        found.append(float(function(*(array[rows] for array in data))))
    defined = np.array([one for one in found if np.isfinite(one)])
    if not defined.size:
        return Interval(value, float("nan"), float("nan"), 0)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(value, float(low), float(high), defined.size)


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"Expected two arrays of one shape (n,), not {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("Values are NaN or infinite.")
    return x, y


def _yes_no(positive: ArrayLike, score: ArrayLike) -> tuple[BoolArray, FloatArray]:
    truth, values = _pair(positive, score)
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("Truth is neither boolean nor 0 and 1.")
    return truth.astype(bool), values
