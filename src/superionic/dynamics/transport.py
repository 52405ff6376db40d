"""Collective transport: how all mobile ions together carry charge.

The tracer slope counts every ion by itself. The current is carried by the sum of all displacements
R(t): with the mean squared displacement of R per ion,

    <|R(t + tau) - R(t)|^2> / N,

in place of the mean over ions, the Einstein relation gives the conductivity itself (G. E. Murch,
Solid State Ionics 7, 177 (1982)). Positions are relative to the framework's centre of mass. The
ratio of the two slopes is the Haven ratio: one where ions know nothing of each other, below one
where they push each other along. There is one R and not N ions: for the same error its slope needs
a run that is longer by a factor of N.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.slope import Slope, SlopeSettings, fit_slope

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A ratio with its 95 % interval; without an upper end where the divisor may be zero."""

    value: float
    low: float
    high: float | None


def collective_path(positions_A: FloatArray) -> FloatArray:
    """Return the path whose mean squared displacement is that of the sum of ions, for each ion.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_ions, 3)
        Unwrapped positions of the mobile ions in A, drift removed.

    Returns
    -------
    ndarray, shape (n_frames, 1, 3)
        The sum over ions over the root of their number.
    """
    return positions_A.sum(axis=1, keepdims=True) / np.sqrt(positions_A.shape[1])


def collective_slope(
    positions_A: FloatArray, frame_interval_ps: float, settings: SlopeSettings | None = None
) -> Slope:
    """Fit the slope of the collective mean squared displacement; see :func:`fit_slope`.

    Examples
    --------
    Ions that all move alike carry as much more current as there are ions:

    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=(600, 1, 3)), axis=0)
    >>> alike = np.repeat(walk, 8, axis=1)
    >>> tracer, together = fit_slope(alike, 0.02), collective_slope(alike, 0.02)
    >>> round(together.slope_A2_per_ps / tracer.slope_A2_per_ps, 6)
    8.0
    """
    return fit_slope(collective_path(positions_A), frame_interval_ps, settings)


def haven_ratio(tracer: Slope, collective: Slope) -> Ratio | None:
    """Return the tracer slope over the collective one; None where either is not positive.

    The interval is that of the ends of both intervals: wider than 95 %, since both come from one
    run.
    """
    if tracer.slope_A2_per_ps <= 0.0 or collective.slope_A2_per_ps <= 0.0:
        return None
    low, high = collective.low_A2_per_ps, collective.high_A2_per_ps
    return Ratio(
        value=tracer.slope_A2_per_ps / collective.slope_A2_per_ps,
        low=max(tracer.low_A2_per_ps, 0.0) / high,
        high=tracer.high_A2_per_ps / low if low > 0.0 else None,
    )
