"""Measures of many bootstrap resamples at once.

A resample is how often each row was drawn, so a measure of all of them is arithmetic on a table of
counts, shape (n_resamples, n). Each function here gives what its namesake in
:mod:`superionic.statistics` gives for the repeated rows, a hundred times faster.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.statistics import Interval

FloatArray = NDArray[np.float64]


def draw_counts(groups: Sequence[str], n_resamples: int, seed: int) -> FloatArray:
    """Return how often each row is drawn when whole groups are drawn with replacement.

    Returns
    -------
    ndarray, shape (n_resamples, n)
        The draws of :func:`superionic.statistics.bootstrap_interval` with the same seed.
    """
    if not groups:
        return np.zeros((0, 0))
    labels = np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = int(labels.max()) + 1
    rng = np.random.default_rng(seed)
    counts = [
        np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)
        for _ in range(n_resamples)
    ]
    return np.array(counts, dtype=np.float64)[:, labels]


def interval(value: float, resampled: FloatArray, level: float = 0.95) -> Interval:
    """Return a measure with the percentile interval of the resamples that define it."""
    defined = resampled[np.isfinite(resampled)]
    if not defined.size:
        return Interval(value, float("nan"), float("nan"), 0, level)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), defined.size, level)


def roc_auc(positive: ArrayLike, score: ArrayLike, counts: FloatArray) -> FloatArray:
    """Return the area under the receiver operating characteristic of each resample."""
    found, taken = _cumulative(positive, score, counts)
    others = taken - found
    n_found, n_others = found[:, -1], others[:, -1]
    here, here_others = _steps(found), _steps(others)
    above = np.sum(here * (n_others[:, None] - others + here_others / 2), axis=1)
    return _ratio(above, n_found * n_others)


def average_precision(positive: ArrayLike, score: ArrayLike, counts: FloatArray) -> FloatArray:
    """Return the average precision of each resample."""
    found, taken = _cumulative(positive, score, counts)
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    return _ratio(np.sum(_steps(found) * precision, axis=1), found[:, -1])


def precision_at(
    positive: ArrayLike, score: ArrayLike, counts: FloatArray, k: int | float
) -> FloatArray:
    """Return the precision among the first k, a number or a fraction, of each resample."""
    found, taken = _cumulative(positive, score, counts)
    total = taken[:, -1]
    wanted = np.ceil(k * total - 1e-9) if isinstance(k, float) else np.full_like(total, k)
    wanted = np.maximum(1, np.minimum(wanted, total))
    last = np.argmax(taken >= wanted[:, None], axis=1)
    rows = np.arange(len(counts))
    here, here_found = _steps(taken)[rows, last], _steps(found)[rows, last]
    before, before_found = taken[rows, last] - here, found[rows, last] - here_found
    return _ratio(before_found + (wanted - before) * _ratio(here_found, here), wanted)


def spearman(a: ArrayLike, b: ArrayLike, counts: FloatArray) -> FloatArray:
    """Return Spearman's rank correlation of each resample."""
    x, y = _mean_ranks(a, counts), _mean_ranks(b, counts)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    x = x - np.sum(counts * x, axis=1, keepdims=True) / total
    y = y - np.sum(counts * y, axis=1, keepdims=True) / total
    # Ranks of one value alone have no spread but that of rounding.
    xx, yy = np.sum(counts * x * x, axis=1), np.sum(counts * y * y, axis=1)
    spread = np.where((xx > 1e-9) & (yy > 1e-9), xx * yy, 0.0)
    return np.clip(_ratio(np.sum(counts * x * y, axis=1), np.sqrt(spread)), -1.0, 1.0)


def _cumulative(
    positive: ArrayLike, score: ArrayLike, counts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return positives and rows down to each distinct score, highest first: (n_resamples, m)."""
    values, truth = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.append(np.diff(values[order]) != 0, True)
    drawn = counts[:, order]
    found = np.cumsum(drawn * truth[order], axis=1)[:, last_of_tie]
    return found, np.cumsum(drawn, axis=1)[:, last_of_tie]


def _mean_ranks(values: ArrayLike, counts: FloatArray) -> FloatArray:
    """Return the rank of each row in each resample, ties with their mean rank."""
    _, level = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    of_level = np.zeros((len(counts), int(level.max(initial=0)) + 1))
    np.add.at(of_level.T, level, counts.T)
    ranks: FloatArray = np.cumsum(of_level, axis=1) - of_level / 2 + 0.5
    return ranks[:, level]


def _steps(cumulative: FloatArray) -> FloatArray:
    return np.diff(cumulative, axis=1, prepend=0)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return a ratio, NaN where it is not defined."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
