"""How crystals are divided: folds that keep their promises, and what is held out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.errors import NetworkError

IntArray = NDArray[np.int64]


def make_folds(
    n_crystals: int,
    n_folds: int,
    seed: int,
    groups: Sequence[str] | None = None,
    values: ArrayLike | None = None,
) -> list[IntArray]:
    """Divide crystals into folds, at random or with each group in one fold.

    In random order, large groups first, each goes to the fold where it adds least to the sum over
    folds of (crystals / mean)^2 + (sum of standardised values)^2 / mean. The second term keeps the
    means of the folds alike: where they are not, whoever predicts the mean of the other folds
    predicts too high where labels are low, and what is pooled over folds looks worse than chance.

    Parameters
    ----------
    n_crystals : int
        Number of crystals.
    n_folds : int
        Number of folds, at least 2.
    seed : int
        Of the order.
    groups : sequence of str, length n_crystals, optional
        Groups (chemical systems) that must not be torn apart.
    values : array, shape (n_crystals,), optional
        Labels whose means the folds shall share.

    Returns
    -------
    list of ndarray of int
        Sorted indices of each fold; together all crystals, each once.

    Raises
    ------
    NetworkError
        When there are fewer crystals or groups than folds.
    """
    labels = np.arange(n_crystals) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_groups = len(set(labels.tolist()))
    if n_folds < 2 or n_groups < n_folds:
        what = "crystals" if groups is None else "chemical systems"
        raise NetworkError(
            f"{n_groups} {what} cannot be divided into {n_folds} folds.",
            hint="Use at least 2 folds, and more labelled crystals than folds.",
        )
    known = np.zeros(n_crystals) if values is None else np.asarray(values, dtype=np.float64)
    spread = known.std()
    scaled = (known - known.mean()) / (spread if spread > 0 else 1.0)
    sizes = np.bincount(labels)
    sums = np.bincount(labels, weights=scaled)
    mean_size = n_crystals / n_folds
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, total = np.zeros(n_folds), np.zeros(n_folds)
    fold_of_group = np.empty(n_groups, dtype=int)
    for group in order:
        size, value = sizes[group], sums[group]
        more = (2 * filled * size + size**2) / mean_size**2
        more += (2 * total * value + value**2) / mean_size
        fold_of_group[group] = fold = int(np.argmin(np.round(more, 12)))
        filled[fold] += size
        total[fold] += value
    return [np.flatnonzero(fold_of_group[labels] == fold) for fold in range(n_folds)]


def hold_out(
    indices: IntArray, fraction: float, seed: int, groups: Sequence[str] | None = None
) -> tuple[IntArray, IntArray]:
    """Divide training crystals into those that are learned and those that choose the epoch.

    Parameters
    ----------
    indices : ndarray of int
        Training crystals; a test fold has no part in this.
    fraction : float
        Part that is held out; 0 for none.
    seed : int
        Of the choice.
    groups : sequence of str, optional
        Group of every crystal of the whole set; held out as a whole.

    Returns
    -------
    learned, held_out : ndarray of int
        Sorted.
    """
    wanted = round(fraction * len(indices))
    if wanted == 0:
        return np.sort(indices), np.empty(0, dtype=np.int64)
    names = np.asarray(indices if groups is None else [groups[i] for i in indices])
    order = np.random.default_rng([seed, 17]).permutation(np.unique(names))
    chosen: list[Any] = []
    count = 0
    for name in order:
        size = int(np.sum(names == name))
        # The first may be as large as it likes; later ones must not overshoot by half.
        if count and count + size > 1.5 * wanted:
            continue
        chosen.append(name)
        count += size
        if count >= wanted:
            break
    out = np.isin(names, chosen)
    if out.all():
        return np.sort(indices), np.empty(0, dtype=np.int64)
    return np.sort(indices[~out]), np.sort(indices[out])
