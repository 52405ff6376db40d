"""Slope of the mean squared displacement with an error that knows of correlation.

Squared displacements at neighbouring lags and from overlapping time origins are strongly
correlated, so the residuals of a straight-line fit say nothing about its error. Here the production
is cut into blocks that share no frame. The slope is fitted over the same window of lags in each of
them; their scatter, with Student's t, gives the interval. Ions of one block may be correlated as
they like. The residuals of the line are added in quadrature: what does not lie on a line, such as
undamped vibrations, repeats in every block. What blocks cannot show is memory longer than a block;
:mod:`superionic.dynamics.verdict` looks at longer lags for that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.msd import mean_squared_displacement
from superionic.errors import DiffusionError
from superionic.units import A2_PER_PS_TO_CM2_PER_S, A3_TO_CM3, ELEMENTARY_CHARGE_C

FloatArray = NDArray[np.float64]

LABEL_FLOOR_A2_PER_PS = 1e-4
_MIN_FIT_LAGS = 4


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
        First and last lag of the fit, as fractions of a block.
    min_window_start_ps : float
        The fit never starts before this lag: earlier, ions rattle in their cages.
    """

    min_blocks: int = 3
    max_blocks: int = 8
    block_ps: float = 2.0
    window_start: float = 0.2
    window_end: float = 0.7
    min_window_start_ps: float = 0.5


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
        95 % interval.
    direction_slopes_A2_per_ps, direction_errors_A2_per_ps : ndarray, shape (3,)
        Slopes along x, y, z (sum: the slope) and their standard errors.
    window_ps : tuple of float
        First and last lag of the fit in ps.
    n_blocks : int
        Number of blocks.
    """

    slope_A2_per_ps: float
    error_A2_per_ps: float
    low_A2_per_ps: float
    high_A2_per_ps: float
    direction_slopes_A2_per_ps: FloatArray
    direction_errors_A2_per_ps: FloatArray
    window_ps: tuple[float, float]
    n_blocks: int

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
        return reach / (1.96 * self.slope_A2_per_ps)


def fit_window(
    n_frames: int, frame_interval_ps: float, settings: SlopeSettings
) -> tuple[int, int, int, int]:
    """Return number of blocks, frames in a block, first and last lag of the fit in frames.

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
        Straight line with intercept over the window, weighted least squares, averaged over the
        blocks.

    Raises
    ------
    DiffusionError
        When there are no ions or too few frames.
    """
    from scipy.stats import t as student_t

    settings = settings or SlopeSettings()
    n_frames, n_ions, _ = positions_A.shape
    if n_ions == 0:
        raise DiffusionError(
            "There is no mobile ion to follow.", hint="Name an element that the crystal holds."
        )
    n_blocks, block, first, last = fit_window(n_frames, frame_interval_ps, settings)
    lags_ps = np.arange(first, last + 1) * frame_interval_ps
    # Least squares with weights that fall to zero at the ends of the window: vibrations leave less
    # than half in the slope of what they leave with equal weights; walks lose 2 % of precision.
    weights = np.sin(np.pi * np.arange(1, len(lags_ps) + 1) / (len(lags_ps) + 1))
    centred = lags_ps - weights @ lags_ps / weights.sum()
    kernel = weights * centred / np.sum(weights * centred**2)
    start = n_frames - block * n_blocks
    curves = np.stack(
        [
            mean_squared_displacement(positions_A[begin : begin + block], last)[first:]
            for begin in range(start, n_frames, block)
        ]
    )
    slopes = np.einsum("l,bld->bd", kernel, curves)
    totals = slopes.sum(axis=1)
    root = np.sqrt(n_blocks)
    # What vibrations leave is the same in every block; it shows in the residuals of the line.
    curve = curves.sum(axis=2).mean(axis=0)
    residuals = curve - weights @ curve / weights.sum() - centred * totals.mean()
    misfit = float(np.sqrt(np.sum((kernel * residuals) ** 2)))
    scatter = float(totals.std(ddof=1) / root)
    mean, error = float(totals.mean()), float(np.hypot(scatter, misfit))
    reach = float(student_t.ppf(0.975, n_blocks - 1)) * error
    return Slope(
        slope_A2_per_ps=mean,
        error_A2_per_ps=error,
        low_A2_per_ps=mean - reach,
        high_A2_per_ps=mean + reach,
        direction_slopes_A2_per_ps=slopes.mean(axis=0),
        direction_errors_A2_per_ps=slopes.std(axis=0, ddof=1) / root,
        window_ps=(float(lags_ps[0]), float(lags_ps[-1])),
        n_blocks=n_blocks,
    )


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
    from scipy.constants import k

    density_per_cm3 = n_ions / (volume_A3 * A3_TO_CM3)
    charge_C = charge_e * ELEMENTARY_CHARGE_C
    return density_per_cm3 * charge_C**2 * diffusivity_cm2_per_s / (k * temperature_K)
