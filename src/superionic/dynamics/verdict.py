"""What a trajectory says: does the mobile species diffuse, how fast, did the framework hold.

The rules, in this order (numbers are fields of :class:`VerdictRules`):

1. *melted*: even the slowest framework element moves and goes on moving. Its root mean squared
   displacement over half the production exceeds ``melt_fraction`` of the shortest interatomic
   distance of the starting crystal, and its MSD there is at least ``melt_growth`` times the MSD at
   half that lag (diffusion doubles it; a rattling or rotating group has long reached its plateau).
2. *unconverged*: the production is shorter than ``min_production_ps``.
3. *not_diffusing*: no mobile ion has hopped. An ion has hopped when its position, averaged over
   ``average_ps`` to take out vibrations, has been farther from where it started than half the
   distance between nearest mobile sites, held between ``min_hop_A`` and ``max_hop_A``.
4. *diffusing*: the 95 % interval of the slope lies above zero, the relative error is below
   ``max_relative_error``, and from the end of the fitted window to half the production the MSD
   grows by at least ``min_long_growth`` of what the slope promises (ions that only hop back and
   forth between two sites fail here).
5. *unconverged*: the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.msd import mean_squared_displacement, remove_drift
from superionic.dynamics.slope import Slope, SlopeSettings, fit_slope
from superionic.errors import DiffusionError

FloatArray = NDArray[np.float64]
Verdict = Literal["diffusing", "not_diffusing", "melted", "unconverged"]

# No event seen: the true rate is below three per observation time with 95 % confidence.
_RULE_OF_THREE = 3.0


@dataclass(frozen=True)
class VerdictRules:
    """Numbers of the rules by which a trajectory is judged; see the module's description.

    Parameters
    ----------
    min_production_ps : float
        A shorter production is unconverged.
    average_ps : float
        Time over which positions are averaged, to take out vibrations.
    min_hop_A, max_hop_A : float
        A hop is half the distance between nearest mobile sites, held between these.
    max_relative_error : float
        Relative error of the slope above which a run is unconverged.
    min_long_growth : float
        Part of what the slope promises that the displacements have to grow at long lags.
    melt_fraction : float
        Part of the shortest interatomic distance that even the slowest framework element has moved
        (root mean square) in a melt.
    melt_growth : float
        Factor by which its mean squared displacement still grows when the lag doubles.
    melt_min_ps : float
        Before this nothing is called molten.
    """

    min_production_ps: float = 5.0
    average_ps: float = 0.4
    min_hop_A: float = 0.75
    max_hop_A: float = 1.5
    max_relative_error: float = 0.5
    min_long_growth: float = 0.25
    melt_fraction: float = 0.5
    melt_growth: float = 1.3
    melt_min_ps: float = 3.0


@dataclass(frozen=True)
class Crystal:
    """What the analysis has to know of the crystal.

    Parameters
    ----------
    symbols : sequence of str, length n_atoms
        Chemical symbols.
    masses_u : ndarray, shape (n_atoms,)
        Masses in u.
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    positions_A : ndarray, shape (n_atoms, 3)
        Positions at the start, in A.
    mobile : str
        Symbol of the mobile element.
    """

    symbols: Sequence[str]
    masses_u: FloatArray
    cell_A: FloatArray
    positions_A: FloatArray
    mobile: str

    @property
    def is_mobile(self) -> NDArray[np.bool_]:
        """Return which atoms are mobile, shape (n_atoms,)."""
        return np.array([symbol == self.mobile for symbol in self.symbols])

    def nearest_distance(self, which: NDArray[np.bool_]) -> float:
        """Return the shortest distance between some of the atoms, periodic images included."""
        from ase.geometry import get_distances

        positions = self.positions_A[which]
        _, distances = get_distances(positions, cell=self.cell_A, pbc=True)
        np.fill_diagonal(distances, np.inf)
        own_images = np.linalg.norm(self.cell_A, axis=1).min()
        return float(min(distances.min(initial=np.inf), own_images))


@dataclass(frozen=True)
class DiffusionAnalysis:
    """Result of the analysis of one production run.

    Parameters
    ----------
    verdict : str
        ``diffusing``, ``not_diffusing``, ``melted`` or ``unconverged``.
    reason : str
        The rule that decided, with its numbers.
    slope : Slope or None
        Slope of the mobile species' MSD; None when the run is too short for one.
    slope_upper_bound_A2_per_ps : float
        95 % upper bound of the slope: the end of its interval and, where no ion hopped, at least
        three hops to the nearest mobile site within the production (the rule of three).
    n_mobile, n_hopped : int
        Mobile ions, and those that have hopped.
    max_displacement_A : float
        Farthest that a mobile ion's averaged position has been from where it started.
    hop_distance_A : float
        What counts as a hop.
    production_ps : float
        Time analysed.
    framework_rms_A : float
        Root mean squared displacement of the slowest framework element over half the production.
    lags_ps : ndarray, shape (n_lags,)
        Lags of the MSD curves, up to half the production.
    mobile_msd_A2 : ndarray, shape (n_lags, 3)
        MSD of the mobile species along x, y, z.
    framework_msd_A2 : dict of str to ndarray, shape (n_lags,)
        MSD of each framework element.
    """

    verdict: Verdict
    reason: str
    slope: Slope | None
    slope_upper_bound_A2_per_ps: float
    n_mobile: int
    n_hopped: int
    max_displacement_A: float
    hop_distance_A: float
    production_ps: float
    framework_rms_A: float
    lags_ps: FloatArray
    mobile_msd_A2: FloatArray
    framework_msd_A2: dict[str, FloatArray] = field(default_factory=dict)


def analyse(
    positions_A: NDArray[np.floating],
    frame_interval_ps: float,
    crystal: Crystal,
    slope_settings: SlopeSettings | None = None,
    rules: VerdictRules | None = None,
) -> DiffusionAnalysis:
    """Analyse the production part of a trajectory.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions in A, equally spaced in time.
    frame_interval_ps : float
        Time between frames in ps.
    crystal : Crystal
        The crystal.
    slope_settings : SlopeSettings or None
        How the slope is fitted.
    rules : VerdictRules or None
        Numbers of the verdict.

    Raises
    ------
    DiffusionError
        When the crystal holds no mobile ion, or there are fewer than two frames.
    """
    rules = rules or VerdictRules()
    mobile = crystal.is_mobile
    if not mobile.any():
        raise DiffusionError(
            f"The crystal holds no {crystal.mobile}.", hint="Name a mobile element that it holds."
        )
    if len(positions_A) < 2:
        raise DiffusionError(
            f"{len(positions_A)} production frames are too few for an analysis.",
            hint="Run longer or keep more frames.",
        )
    positions = remove_drift(positions_A, crystal.masses_u, ~mobile)
    half = max(len(positions) // 2, 1)
    production_ps = (len(positions) - 1) * frame_interval_ps
    mobile_msd = mean_squared_displacement(positions[:, mobile], half)
    framework_msd = {
        symbol: mean_squared_displacement(positions[:, _is(crystal, symbol)], half).sum(axis=1)
        for symbol in sorted(set(crystal.symbols) - {crystal.mobile})
    }
    try:
        slope = fit_slope(positions[:, mobile], frame_interval_ps, slope_settings)
    except DiffusionError:
        slope = None
    site_distance = crystal.nearest_distance(mobile)
    hop = float(np.clip(0.5 * site_distance, rules.min_hop_A, rules.max_hop_A))
    farthest = farthest_displacements(
        positions[:, mobile], max(1, round(rules.average_ps / frame_interval_ps))
    )
    n_hopped = int(np.count_nonzero(farthest > hop))
    total_msd = mobile_msd.sum(axis=1)
    melted, framework_rms = _melted(framework_msd, production_ps, crystal, rules)
    if melted:
        verdict: Verdict = "melted"
        reason = (
            f"every framework element moves on: {framework_rms:.2f} A over {production_ps / 2:.1f}"
            " ps for the slowest"
        )
    elif production_ps < rules.min_production_ps or slope is None:
        verdict = "unconverged"
        reason = f"only {production_ps:.1f} ps of production"
    elif n_hopped == 0:
        verdict = "not_diffusing"
        reason = (
            f"no ion farther than {farthest.max():.2f} A from its start in {production_ps:.1f} ps "
            f"(a hop: {hop:.2f} A)"
        )
    else:
        verdict, reason = _judge_slope(slope, total_msd, frame_interval_ps, rules)
    bound = slope.high_A2_per_ps if slope is not None else float("inf")
    if n_hopped == 0 and production_ps > 0.0:
        jump = min(site_distance, 4.0)
        rare = _RULE_OF_THREE * jump**2 / (int(mobile.sum()) * production_ps)
        bound = max(bound, rare) if slope is not None else rare
    return DiffusionAnalysis(
        verdict=verdict,
        reason=reason,
        slope=slope,
        slope_upper_bound_A2_per_ps=bound,
        n_mobile=int(mobile.sum()),
        n_hopped=n_hopped,
        max_displacement_A=float(farthest.max()),
        hop_distance_A=hop,
        production_ps=production_ps,
        framework_rms_A=framework_rms,
        lags_ps=np.arange(len(total_msd), dtype=np.float64) * frame_interval_ps,
        mobile_msd_A2=mobile_msd,
        framework_msd_A2=framework_msd,
    )


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
    n_average = min(n_average, len(positions_A))
    n_groups = len(positions_A) // n_average
    grouped = positions_A[: n_groups * n_average].reshape(n_groups, n_average, -1, 3).mean(axis=1)
    return np.linalg.norm(grouped - grouped[0], axis=2).max(axis=0)


def _is(crystal: Crystal, symbol: str) -> NDArray[np.bool_]:
    return np.array([other == symbol for other in crystal.symbols])


def _melted(
    framework_msd: dict[str, FloatArray],
    production_ps: float,
    crystal: Crystal,
    rules: VerdictRules,
) -> tuple[bool, float]:
    if not framework_msd:
        return False, 0.0
    slowest = min(framework_msd.values(), key=lambda curve: float(curve[-1]))
    rms = float(np.sqrt(slowest[-1]))
    nearest = crystal.nearest_distance(np.ones(len(crystal.symbols), dtype=bool))
    moved = rms > rules.melt_fraction * nearest
    grows = slowest[-1] > rules.melt_growth * slowest[len(slowest) // 2]
    return bool(moved and grows and production_ps >= rules.melt_min_ps), rms


def _judge_slope(
    slope: Slope, msd_A2: FloatArray, frame_interval_ps: float, rules: VerdictRules
) -> tuple[Verdict, str]:
    interval = (
        f"slope {slope.slope_A2_per_ps:.3g} A^2/ps, 95 % interval "
        f"[{slope.low_A2_per_ps:.3g}, {slope.high_A2_per_ps:.3g}]"
    )
    if slope.low_A2_per_ps <= 0.0:
        return "unconverged", f"ions hopped, but the interval reaches zero: {interval}"
    if slope.relative_error > rules.max_relative_error:
        return "unconverged", f"relative error {slope.relative_error:.2f}: {interval}"
    end = round(slope.window_ps[1] / frame_interval_ps)
    promised = slope.slope_A2_per_ps * (len(msd_A2) - 1 - end) * frame_interval_ps
    growth = float(msd_A2[-1] - msd_A2[end])
    if promised > 0.0 and growth < rules.min_long_growth * promised:
        return "unconverged", (
            f"at long lags the MSD grows by {growth:.2f} of {promised:.2f} A^2: {interval}"
        )
    return "diffusing", interval
