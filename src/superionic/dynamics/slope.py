"""Slope of the mean squared displacement at long times, with an error that knows of correlation.

Squared displacements at neighbouring lags and from overlapping time origins are strongly
correlated, so the residuals of a straight-line fit say nothing about its error. And ions that hop
back make the slope fall with the lag: what short lags show is then an upper bound of what is asked
for. So:

*Windows.* The slope is fitted to the curve of the whole production in windows of lags, each twice
as long as the one before, up to half the production.

*Errors.* The production is cut into blocks that share no frame. The scatter of the slope of the
first window among them gives its error, ions correlated as they like; longer windows have larger
errors, by what theory has for random walks (:func:`window_errors`). The residuals of the line are
added in quadrature: what does not lie on a line, such as undamped vibrations, repeats in every
block.

*Choice.* The slope is that of the first window which no longer one undercuts by more than ``fall``
standard errors of their difference (as O. V. Lepskii, Theory Probab. Appl. 35, 454 (1991),
chooses). Its 95 % interval is widened to what the longer windows allow.

*Convergence.* The slope has converged when at least ``n_confirming`` longer windows confirm it:
all of them keep the part ``plateau`` of it. Else it may still fall: the interval reaches down to
zero. It was *seen to fall*, and is a bound, where a longer window keeps less, or where it is not
that of the first window and too few confirm it. Noise looks like this, too; but a fit to several
temperatures that takes such slopes for values is wrong by two decades where ions return late
(``benchmarks/walk_coverage.py``).

What no window can show is memory longer than half the production.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.msd import mean_squared_displacement
from superionic.errors import DiffusionError
from superionic.units import (
    A2_PER_PS_TO_CM2_PER_S,
    A3_TO_CM3,
    ELEMENTARY_CHARGE_C,
    BOLTZMANN_J_per_K,
)

FloatArray = NDArray[np.float64]
Window = tuple[int, int]
"""First and last lag in frames."""

LABEL_FLOOR_A2_PER_PS = 1e-4
_MIN_FIT_LAGS = 4
_REACH_95 = 1.96
# A last window that is hardly longer than the one before takes its place.
_MIN_LENGTHENING = 1.3
_STEPS_PER_BLOCK = 20


@dataclass(frozen=True)
class SlopeSettings:
    """How the slope is fitted.

    Parameters
    ----------
    min_blocks, max_blocks : int
        Limits of the number of blocks that the production is cut into.
    block_ps : float
        Between these limits, a block is as long as this; with the most blocks, it is longer.
    window_start, window_end : float
        First and last lag of the first window, as fractions of a block.
    min_window_start_ps : float
        No window starts before this lag: earlier, ions rattle in their cages.
    fall : float
        A longer window undercuts a slope when it is lower by this many standard errors (more, as
        Student has it, where few blocks know little of the errors).
    plateau : float
        Part of a slope that all longer windows have to keep.
    n_confirming : int
        With fewer longer windows no slope has converged.
    """

    min_blocks: int = 3
    max_blocks: int = 8
    block_ps: float = 2.0
    window_start: float = 0.2
    window_end: float = 0.7
    min_window_start_ps: float = 0.5
    fall: float = 1.5
    plateau: float = 0.75
    n_confirming: int = 2


@dataclass(frozen=True)
class Slope:
    """Slope of a mean squared displacement.

    Parameters
    ----------
    slope_A2_per_ps : float
        Slope of the MSD (sum of the three directions); may come out negative.
    error_A2_per_ps : float
        Standard error: scatter of the blocks and misfit of the line.
    low_A2_per_ps, high_A2_per_ps : float
        95 % interval, the longer windows considered.
    direction_slopes_A2_per_ps, direction_errors_A2_per_ps : ndarray, shape (3,)
        Slopes along x, y, z (sum: the slope) and their standard errors.
    window_ps : tuple of float
        First and last lag of the fit in ps.
    n_blocks : int
        Number of blocks.
    converged : bool
        Whether longer lags confirm the slope.
    falls : bool
        Whether it was seen to fall with the lag, and nothing confirms where it ends.
    windows_ps : tuple of tuple of float
        First and last lag of every window.
    window_slopes_A2_per_ps : tuple of float
        The slope in each of them.
    """

    slope_A2_per_ps: float
    error_A2_per_ps: float
    low_A2_per_ps: float
    high_A2_per_ps: float
    direction_slopes_A2_per_ps: FloatArray
    direction_errors_A2_per_ps: FloatArray
    window_ps: tuple[float, float]
    n_blocks: int
    converged: bool
    falls: bool
    windows_ps: tuple[tuple[float, float], ...]
    window_slopes_A2_per_ps: tuple[float, ...]

    @property
    def label_A2_per_ps(self) -> float:
        """Return the slope, clipped from below at 1e-4 A^2/ps."""
        return max(self.slope_A2_per_ps, LABEL_FLOOR_A2_PER_PS)

    @property
    def relative_error(self) -> float:
        """Return half the interval over 1.96 slopes; infinity where the slope is not positive.

        With many blocks it is the standard error over the slope; with few it is larger, since the
        standard error is itself uncertain.
        """
        if self.slope_A2_per_ps <= 0.0:
            return float("inf")
        reach = 0.5 * (self.high_A2_per_ps - self.low_A2_per_ps)
        return reach / (_REACH_95 * self.slope_A2_per_ps)


@dataclass(frozen=True)
class Choice:
    """Which window counts, and what all of them allow.

    Parameters
    ----------
    index : int
        Of the window.
    error_A2_per_ps, low_A2_per_ps, high_A2_per_ps : float
        Standard error and 95 % interval of its slope.
    converged : bool
        Whether longer windows confirm it.
    falls : bool
        Whether they, or the shorter ones before it, say that it falls, and nothing confirms it.
    """

    index: int
    error_A2_per_ps: float
    low_A2_per_ps: float
    high_A2_per_ps: float
    converged: bool
    falls: bool


def fit_window(
    n_frames: int, frame_interval_ps: float, settings: SlopeSettings
) -> tuple[int, int, int, int]:
    """Return number of blocks, frames in a block, first and last lag of the first window in frames.

    Raises
    ------
    DiffusionError
        When a block is too short for a fit.
    """
    wanted = int(n_frames * frame_interval_ps / settings.block_ps)
    n_blocks = min(max(wanted, settings.min_blocks), settings.max_blocks)
    block = n_frames // n_blocks
    earliest = round(settings.min_window_start_ps / frame_interval_ps)
    first = max(1, earliest, round(settings.window_start * block))
    last = int(settings.window_end * block)
    if last - first + 1 < _MIN_FIT_LAGS:
        needed = n_blocks * (first + _MIN_FIT_LAGS) / settings.window_end
        raise DiffusionError(
            f"{n_frames} frames of {frame_interval_ps:g} ps are too few to fit a slope in "
            f"{n_blocks} blocks.",
            hint=f"Run longer (about {needed * frame_interval_ps:.1f} ps) or keep more frames.",
        )
    return n_blocks, block, first, last


def windows_of(n_frames: int, first: int, last: int) -> tuple[Window, ...]:
    """Return all windows: the first, and longer ones up to half the production.

    Examples
    --------
    >>> windows_of(501, 25, 70)
    ((25, 70), (50, 140), (89, 250))
    """
    half, end = n_frames // 2, last
    found = [(first, last)]
    while end < half:
        end = min(2 * end, half)
        if len(found) > 1 and end < _MIN_LENGTHENING * found[-1][1]:
            found.pop()
        found.append((max(first * end // last, first), end))
    return tuple(found)


def fit_slope(
    positions_A: FloatArray, frame_interval_ps: float, settings: SlopeSettings | None = None
) -> Slope:
    """Fit the slope of the mean squared displacement.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_ions, 3)
        Unwrapped positions of the mobile ions in A, drift removed.
    frame_interval_ps : float
        Time between frames in ps.
    settings : SlopeSettings or None
        How.

    Returns
    -------
    Slope
        Straight line with intercept over the window that the data choose, weighted least squares.

    Raises
    ------
    DiffusionError
        When there are no ions or too few frames.
    """
    settings = settings or SlopeSettings()
    n_frames, n_ions, _ = positions_A.shape
    if n_ions == 0:
        raise DiffusionError(
            "There is no mobile ion to follow.", hint="Name an element that the crystal holds."
        )
    n_blocks, block, first, last = fit_window(n_frames, frame_interval_ps, settings)
    windows = windows_of(n_frames, first, last)
    curve = mean_squared_displacement(positions_A, windows[-1][1])
    lags_ps = np.arange(len(curve), dtype=np.float64) * frame_interval_ps
    fitted = [fit_line(lags_ps[a : b + 1], curve[a : b + 1]) for a, b in windows]
    slopes = np.array([line.sum() for line, _ in fitted])
    in_blocks = np.stack(
        [
            fit_line(
                lags_ps[first : last + 1],
                mean_squared_displacement(positions_A[begin : begin + block], last)[first:],
            )[0]
            for begin in range(n_frames - block * n_blocks, n_frames, block)
        ]
    )
    scatters = in_blocks.std(axis=0, ddof=1) / np.sqrt(n_blocks)
    scatter = float(in_blocks.sum(axis=1).std(ddof=1) / np.sqrt(n_blocks))
    errors, differences = window_errors(n_frames, n_blocks, windows)
    found = choose_window(
        slopes,
        np.hypot(errors * scatter, [misfit for _, misfit in fitted]),
        differences * scatter,
        n_blocks,
        settings,
    )
    ends_ps = tuple((float(lags_ps[a]), float(lags_ps[b])) for a, b in windows)
    return Slope(
        slope_A2_per_ps=float(slopes[found.index]),
        error_A2_per_ps=found.error_A2_per_ps,
        low_A2_per_ps=found.low_A2_per_ps,
        high_A2_per_ps=found.high_A2_per_ps,
        direction_slopes_A2_per_ps=fitted[found.index][0],
        direction_errors_A2_per_ps=errors[found.index] * scatters,
        window_ps=ends_ps[found.index],
        n_blocks=n_blocks,
        converged=found.converged,
        falls=found.falls,
        windows_ps=ends_ps,
        window_slopes_A2_per_ps=tuple(slopes.tolist()),
    )


def fit_line(lags_ps: FloatArray, curve_A2: FloatArray) -> tuple[FloatArray, float]:
    """Return the slopes of straight lines with intercept, and the error that their misfit gives.

    Parameters
    ----------
    lags_ps : ndarray, shape (n_lags,)
        The lags.
    curve_A2 : ndarray, shape (n_lags, n_curves)
        MSD, as a sum of curves such as the three directions.

    Returns
    -------
    slopes : ndarray, shape (n_curves,)
        Slopes in A^2/ps.
    misfit : float
        What vibrations leave in their sum, from the residuals.
    """
    kernel, centred, weights = _kernel(lags_ps)
    slopes = kernel @ curve_A2
    total = curve_A2.sum(axis=1)
    residuals = total - weights @ total / weights.sum() - centred * slopes.sum()
    return slopes, float(np.sqrt(np.sum((kernel * residuals) ** 2)))


def choose_window(
    slopes: FloatArray,
    errors: FloatArray,
    differences: FloatArray,
    n_blocks: int,
    settings: SlopeSettings,
) -> Choice:
    """Choose the window whose slope counts; see the module's description.

    Parameters
    ----------
    slopes, errors : ndarray, shape (n_windows,)
        Slope of each window and its standard error, the shortest window first.
    differences : ndarray, shape (n_windows, n_windows)
        Standard errors of the differences of slopes.
    n_blocks : int
        Blocks that the errors come from.
    settings : SlopeSettings
        The rules.
    """
    from scipy.stats import norm
    from scipy.stats import t as student_t

    def sure(deviations: float) -> float:
        """Return standard errors, estimated from blocks, that are as sure as known ones."""
        return float(student_t.ppf(norm.cdf(deviations), n_blocks - 1))

    n_windows = len(slopes)
    undercut = sure(settings.fall) * differences
    index = next(k for k in range(n_windows) if np.all(slopes[k] - slopes[k:] <= undercut[k, k:]))
    here, later = slopes[index], slice(index + 1, None)
    # Of its own window 95 %; of the longer ones, whose errors are larger, one standard deviation.
    reach, allowed = sure(_REACH_95) * errors[index], sure(1.0) * errors[later]
    low = min([here - reach, *(slopes[later] - allowed)])
    high = max([here + reach, *(slopes[later] + allowed)])
    if index > 0:
        high = max(high, slopes[index - 1] + sure(1.0) * errors[index - 1])
    kept = bool(np.all(slopes[later] >= settings.plateau * here))
    converged = kept and n_windows - 1 - index >= settings.n_confirming
    return Choice(
        index=index,
        error_A2_per_ps=float(errors[index]),
        low_A2_per_ps=float(low if converged else min(low, 0.0)),
        high_A2_per_ps=float(high),
        converged=converged,
        falls=not converged and (index > 0 or not kept),
    )


@lru_cache(maxsize=64)
def window_errors(
    n_frames: int, n_blocks: int, windows: Sequence[Window]
) -> tuple[FloatArray, FloatArray]:
    """Return how much larger than the scatter of blocks the errors of all windows are.

    For random walks a slope is a quadratic form in independent steps, u Q u, with the variance
    2 tr Q^2, and two slopes have the covariance 2 tr Q P.

    Parameters
    ----------
    n_frames : int
        Frames of the production.
    n_blocks : int
        Blocks of the production.
    windows : sequence of (int, int)
        First and last lag of each window; the first one is that of the blocks, too.

    Returns
    -------
    errors : ndarray, shape (n_windows,)
        Standard errors, in units of that of the mean over blocks.
    differences : ndarray, shape (n_windows, n_windows)
        Those of the differences.

    Examples
    --------
    >>> errors, _ = window_errors(501, 5, ((25, 70), (50, 140), (89, 250)))
    >>> errors.round(1).tolist()
    [0.8, 1.2, 1.9]
    """
    n_steps = _STEPS_PER_BLOCK * n_blocks
    scale = n_steps / n_frames
    coarse = [(max(1, round(a * scale)), round(b * scale)) for a, b in windows]
    coarse = [(a, max(b, a + 2)) for a, b in coarse]
    of_block = _slope_form(_STEPS_PER_BLOCK, *coarse[0])
    unit = np.sum(of_block**2) / n_blocks
    forms = np.array([_slope_form(n_steps, *window) for window in coarse])
    covariance = np.einsum("aij,bij->ab", forms, forms) / unit
    variances = np.diag(covariance)
    spread = variances[:, None] + variances[None, :] - 2.0 * covariance
    return np.sqrt(variances), np.sqrt(np.maximum(spread, 0.0))


def _slope_form(n_steps: int, first: int, last: int) -> FloatArray:
    """Return the matrix Q of a fitted slope u Q u of the walk with steps u, in one direction."""
    lags = np.arange(first, last + 1)
    kernel, _, _ = _kernel(lags.astype(np.float64))
    index = np.arange(n_steps)
    early, late = np.minimum.outer(index, index), np.maximum.outer(index, index)
    form = np.zeros((n_steps, n_steps))
    for weight, lag in zip(kernel, lags, strict=True):
        n_origins = n_steps - lag + 1
        # Displacements over the lag that hold both steps.
        both = np.minimum(early, n_origins - 1) - np.maximum(late - lag + 1, 0) + 1
        form += weight * np.maximum(both, 0) / n_origins
    return form


def _kernel(lags: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what turns a curve into a slope, the centred lags and their weights.

    Least squares with weights that fall to zero at the ends of the window: vibrations leave less
    than half in the slope of what they leave with equal weights; walks lose 2 % of precision.
    """
    weights = np.sin(np.pi * np.arange(1, len(lags) + 1) / (len(lags) + 1))
    centred = lags - weights @ lags / weights.sum()
    return weights * centred / np.sum(weights * centred**2), centred, weights


def diffusivity(slope_A2_per_ps: float) -> float:
    """Return D = slope / 6 in cm^2/s (Einstein relation in three dimensions)."""
    return slope_A2_per_ps / 6.0 * A2_PER_PS_TO_CM2_PER_S


def conductivity(
    diffusivity_cm2_per_s: float,
    n_ions: int,
    volume_A3: float,
    temperature_K: float,
    charge_e: float = 1.0,
) -> float:
    """Return the Nernst-Einstein conductivity sigma = n q^2 D / (k_B T), Haven ratio one.

    It is linear in D, so the error of D goes through the same function.

    Parameters
    ----------
    diffusivity_cm2_per_s : float
        Tracer diffusion coefficient in cm^2/s.
    n_ions : int
        Mobile ions in the cell.
    volume_A3 : float
        Volume of the cell in A^3.
    temperature_K : float
        Temperature in K.
    charge_e : float
        Charge of an ion in elementary charges.

    Returns
    -------
    float
        Conductivity in S/cm.
    """
    density_per_cm3 = n_ions / (volume_A3 * A3_TO_CM3)
    charge_C = charge_e * ELEMENTARY_CHARGE_C
    return (
        density_per_cm3 * charge_C**2 * diffusivity_cm2_per_s / (BOLTZMANN_J_per_K * temperature_K)
    )
