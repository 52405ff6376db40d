"""Hops of ions between sites, told from vibrations by averages over a short time."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def hop_length(site_distance_A: float, fraction: float, least_A: float, most_A: float) -> float:
    """Return how far an ion goes in a hop at least: a part of the way to the next site, limited."""
    return float(np.clip(fraction * site_distance_A, least_A, most_A))


def averaged(positions_A: FloatArray, n_average: int) -> FloatArray:
    """Return positions averaged over groups of frames, shape (n_groups, n_ions, 3)."""
    n_average = min(n_average, len(positions_A))
    n_groups = len(positions_A) // n_average
    shape = (n_groups, n_average, *positions_A.shape[1:])
    return positions_A[: n_groups * n_average].reshape(shape).mean(axis=1)


def farthest_displacements(positions_A: FloatArray, n_average: int) -> FloatArray:
    """Return how far each ion's averaged position has been from where it started.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_ions, 3)
        Unwrapped positions in A.
    n_average : int
        Frames that are averaged.

    Returns
    -------
    ndarray, shape (n_ions,)
        Largest displacements in A; zero when there are fewer than two averages.
    """
    places = averaged(positions_A, n_average)
    return np.linalg.norm(places - places[0], axis=2).max(axis=0)


def count_jumps(positions_A: FloatArray, n_average: int, hop_A: float) -> NDArray[np.int_]:
    """Return how often each ion jumped.

    An ion has jumped when its averaged position is farther than a hop from where it last settled;
    it has then settled where it is. Jumps back are counted, too.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_ions, 3)
        Unwrapped positions in A.
    n_average : int
        Frames that are averaged.
    hop_A : float
        What counts as a hop.

    Returns
    -------
    ndarray of int, shape (n_ions,)
        Jumps of each ion.

    Examples
    --------
    >>> there_and_back = np.zeros((30, 1, 3))
    >>> there_and_back[10:20, 0, 0] = 3.0
    >>> count_jumps(there_and_back, 5, 1.5)
    array([2])
    """
    places = averaged(positions_A, n_average)
    settled = places[0].copy()
    jumps = np.zeros(positions_A.shape[1], dtype=int)
    for place in places[1:]:
        jumped = np.linalg.norm(place - settled, axis=1) > hop_A
        settled[jumped] = place[jumped]
        jumps += jumped
    return jumps
