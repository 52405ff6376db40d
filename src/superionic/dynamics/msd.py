"""How far ions go: mean squared displacements, and hops told from vibrations."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def remove_drift(
    positions_A: NDArray[np.floating],
    masses_u: FloatArray,
    framework: NDArray[np.bool_],
) -> FloatArray:
    """Take positions relative to the framework's centre of mass.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions in A.
    masses_u : ndarray, shape (n_atoms,)
        Masses in u.
    framework : ndarray of bool, shape (n_atoms,)
        The non-mobile atoms; the whole crystal serves where there are none.

    Returns
    -------
    ndarray, shape (n_frames, n_atoms, 3)
        Positions in A, double precision.
    """
    reference = framework if framework.any() else np.ones(len(masses_u), dtype=bool)
    weights = np.where(reference, masses_u, 0.0)
    positions = positions_A.astype(np.float64)
    centre = np.einsum("fai,a->fi", positions, weights / weights.sum())
    return positions - centre[:, None, :]


def mean_squared_displacement(positions_A: FloatArray, max_lag: int | None = None) -> FloatArray:
    """Average squared displacements over atoms and over all time origins, by FFT.

    The algorithm is that of Calandrini et al., Collection SFN 12, 201 (2011), section 4.2.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions in A, equally spaced in time.
    max_lag : int or None
        Largest lag in frames; all when None.

    Returns
    -------
    ndarray, shape (n_lags, 3)
        Mean squared displacement along x, y and z in A^2; row m is lag m, row 0 is zero. The MSD is
        the sum over the three.
    """
    n_frames, n_atoms, _ = positions_A.shape
    n_lags = n_frames if max_lag is None else min(max_lag + 1, n_frames)
    total = np.zeros((n_lags, 3))
    if n_atoms == 0:
        return total
    count = n_frames - np.arange(n_lags)
    length = 1 << (2 * n_frames - 1).bit_length()
    for atom in range(n_atoms):  # one at a time: memory stays that of one atom
        # Displacements do not feel the origin; near it, differences of large squares keep digits.
        series = positions_A[:, atom, :] - positions_A[:, atom, :].mean(axis=0)
        spectrum = np.fft.rfft(series, n=length, axis=0)
        correlation = np.fft.irfft(spectrum * spectrum.conj(), n=length, axis=0)[:n_lags]
        squares = np.vstack([np.cumsum(series**2, axis=0)])
        head = squares[n_frames - 1 - np.arange(n_lags)]  # sum over frames 0 .. F-1-m
        tail = squares[-1] - np.vstack([np.zeros(3), squares[: n_lags - 1]])  # frames m .. F-1
        total += (head + tail - 2.0 * correlation) / count[:, None]
    total[0] = 0.0
    return np.maximum(total / n_atoms, 0.0)


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
