"""How well a score finds what is above a threshold, with bootstrap intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.evaluation import resampling
from superionic.statistics import Interval, average_precision, precision_at, roc_auc, spearman


@dataclass(frozen=True)
class Measures:
    """What a score is worth on some materials.

    Parameters
    ----------
    n, n_positive : int
        Materials, and those above the threshold.
    roc_auc, average_precision : Interval
        Of telling those above from the others.
    precision_first_10, precision_first_tenth : Interval
        Fraction above among the first ten, and the first tenth, by score.
    spearman : Interval
        Rank correlation with the truth, over the ``n_values`` whose truth is a number.
    n_values : int
        Materials with a number.
    spearman_above : Interval
        The same among those above the threshold: which of the conductors are fast.
    """

    n: int
    n_positive: int
    roc_auc: Interval
    average_precision: Interval
    precision_first_10: Interval
    precision_first_tenth: Interval
    spearman: Interval
    n_values: int
    spearman_above: Interval


def measure(
    positive: ArrayLike,
    score: ArrayLike,
    values: Sequence[float | None],
    groups: Sequence[str],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Measures:
    """Measure a score; chemical systems are resampled as a whole.

    Parameters
    ----------
    positive : array of bool, shape (n,)
        Which materials are above the threshold.
    score : array of float, shape (n,)
        Higher means more likely above.
    values : sequence of n float or None
        The truth itself, where it is a number.
    groups : sequence of n str
        Chemical systems.
    n_resamples, seed : int
        Of the bootstrap.
    """
    truth, found = np.asarray(positive, dtype=bool), np.asarray(score, dtype=np.float64)
    counts = resampling.draw_counts(groups, n_resamples, seed)
    known = np.array([value is not None for value in values], dtype=bool)
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    interval = resampling.interval

    def rank_correlation(rows: NDArray[np.bool_]) -> Interval:
        # Groups are drawn among the rows that count for a measure.
        of_rows = [group for group, is_in in zip(groups, rows, strict=True) if is_in]
        drawn = resampling.draw_counts(of_rows, n_resamples, seed)
        score, value = found[rows], numbers[rows]
        return interval(spearman(score, value), resampling.spearman(score, value, drawn))

    return Measures(
        n=truth.size,
        n_positive=int(truth.sum()),
        roc_auc=interval(roc_auc(truth, found), resampling.roc_auc(truth, found, counts)),
        average_precision=interval(
            average_precision(truth, found), resampling.average_precision(truth, found, counts)
        ),
        precision_first_10=interval(
            precision_at(truth, found, 10), resampling.precision_at(truth, found, counts, 10)
        ),
        precision_first_tenth=interval(
            precision_at(truth, found, 0.1), resampling.precision_at(truth, found, counts, 0.1)
        ),
        spearman=rank_correlation(known),
        n_values=int(known.sum()),
        spearman_above=rank_correlation(known & truth),
    )
