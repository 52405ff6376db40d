"""Mean squared displacements, averaged over time origins."""

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
