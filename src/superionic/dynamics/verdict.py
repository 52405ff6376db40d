"""What a trajectory says: does the mobile species diffuse, how fast, did the framework hold.

The rules, in this order (numbers are fields of :class:`VerdictRules`):

1. *melted*: every framework element moves on, and has left its places in both halves of the run
   (:mod:`superionic.dynamics.framework`; rotating groups keep their centres).
2. *unconverged*: the production is shorter than ``min_production_ps``.
3. *not_diffusing*: no mobile ion has hopped. An ion has hopped when its position, averaged over
   ``average_ps`` to take out vibrations, has been farther from where it started than half the
   distance between nearest mobile sites, held between ``min_hop_A`` and ``max_hop_A``.
4. *diffusing*: longer lags confirm the slope (:mod:`superionic.dynamics.slope`), its 95 % interval
   lies above zero, the relative error is below ``max_relative_error``, and from the end of the
   fitted window to half the production the MSD grows by at least ``min_long_growth`` of what the
   slope promises.
5. *unconverged*: the rest. Where the slope still falls with the lag, it is an upper bound.

Where few ions jumped, the blocks of the production know little of how few: with k jumps of at most
half as many as there are ions, the interval reaches at least to the 95 % bound of a Poisson
distribution (three jumps where none was seen), each to the nearest mobile site.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.crystal import Crystal
from superionic.dynamics.framework import (
    FrameworkElement,
    FrameworkRules,
    has_melted,
    judge_framework,
)
from superionic.dynamics.msd import (
    count_jumps,
    farthest_displacements,
    hop_length,
    mean_squared_displacement,
    remove_drift,
)
from superionic.dynamics.slope import Slope, SlopeSettings, fit_slope
from superionic.dynamics.transport import collective_slope
from superionic.errors import DiffusionError

FloatArray = NDArray[np.float64]
Verdict = Literal["diffusing", "not_diffusing", "melted", "unconverged"]

ANALYSIS_VERSION = 2
"""Version of the rules, as documents keep it: the same trajectory may be judged otherwise by
another. Version 1 fitted one window of short lags, and called molten what moved over half the run.
"""

# No event seen: the true rate is below three per observation time with 95 % confidence.
_RULE_OF_THREE = 3.0
# The longest distance that one jump is taken to bridge.
_MAX_JUMP_A = 4.0


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
        Part of the distance to the next atom of its kind (then held between the limits of a hop)
        that a framework atom has gone when it has left its place.
    melt_growth : float
        Factor by which the mean squared displacement of an element that moves on grows when the lag
        doubles.
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
    n_jumps : int
        Jumps of all of them, those back included.
    max_displacement_A : float
        Farthest that a mobile ion's averaged position has been from where it started.
    hop_distance_A : float
        What counts as a hop.
    production_ps : float
        Time analysed.
    framework_rms_A : float
        Root mean squared displacement of the slowest framework element over half the production,
        atoms of a group at its centre.
    lags_ps : ndarray, shape (n_lags,)
        Lags of the MSD curves, up to half the production.
    mobile_msd_A2 : ndarray, shape (n_lags, 3)
        MSD of the mobile species along x, y, z.
    framework_msd_A2 : dict of str to ndarray, shape (n_lags,)
        MSD of each framework element.
    framework : dict of str to FrameworkElement
        How far the atoms of each framework element went.
    collective : Slope or None
        Slope of the collective displacement (:mod:`superionic.dynamics.transport`); None when the
        run is too short for one.
    """

    verdict: Verdict
    reason: str
    slope: Slope | None
    slope_upper_bound_A2_per_ps: float
    n_mobile: int
    n_hopped: int
    n_jumps: int
    max_displacement_A: float
    hop_distance_A: float
    production_ps: float
    framework_rms_A: float
    lags_ps: FloatArray
    mobile_msd_A2: FloatArray
    framework_msd_A2: dict[str, FloatArray] = field(default_factory=dict)
    framework: dict[str, FrameworkElement] = field(default_factory=dict)
    collective: Slope | None = None

    @property
    def diffusing_framework(self) -> list[str]:
        """Elements of a framework that holds, of which many atoms have left their places."""
        if self.verdict == "melted":
            return []
        return [symbol for symbol, element in self.framework.items() if element.diffuses]


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
        symbol: mean_squared_displacement(positions[:, crystal.is_element(symbol)], half).sum(
            axis=1
        )
        for symbol in sorted(set(crystal.symbols) - {crystal.mobile})
    }
    slope: Slope | None = None
    together: Slope | None = None
    try:
        slope = fit_slope(positions[:, mobile], frame_interval_ps, slope_settings)
        together = collective_slope(positions[:, mobile], frame_interval_ps, slope_settings)
    except DiffusionError:
        pass  # too short a run: the verdict says so
    n_average = max(1, round(rules.average_ps / frame_interval_ps))
    site_distance = crystal.nearest_distance(mobile)
    hop = hop_length(site_distance, 0.5, rules.min_hop_A, rules.max_hop_A)
    farthest = farthest_displacements(positions[:, mobile], n_average)
    n_mobile, n_hopped = int(mobile.sum()), int(np.count_nonzero(farthest > hop))
    n_jumps = int(count_jumps(positions[:, mobile], n_average, hop).sum())
    few = _few_jumps_bound(n_jumps, n_mobile, site_distance, production_ps)
    if slope is not None and n_jumps:
        slope = replace(slope, high_A2_per_ps=max(slope.high_A2_per_ps, few))
    total_msd = mobile_msd.sum(axis=1)
    framework = judge_framework(
        positions,
        frame_interval_ps,
        crystal,
        FrameworkRules(
            rules.melt_fraction, rules.min_hop_A, rules.max_hop_A, rules.melt_growth,
            rules.average_ps,
        ),
    )  # fmt: skip
    framework_rms = min((element.rms_A for element in framework.values()), default=0.0)
    if has_melted(framework, production_ps, rules.melt_min_ps):
        steady = min(element.steady_rms_A for element in framework.values())
        verdict: Verdict = "melted"
        reason = (
            f"every framework element moves on: {framework_rms:.2f} A over {production_ps / 2:.1f}"
            f" ps for the slowest, and {steady:.2f} A in each half of the run"
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
    bound = max(slope.high_A2_per_ps, few) if slope is not None else float("inf")
    if slope is None and n_hopped == 0 and production_ps > 0.0:
        bound = few
    return DiffusionAnalysis(
        verdict=verdict,
        reason=reason,
        slope=slope,
        slope_upper_bound_A2_per_ps=bound,
        n_mobile=n_mobile,
        n_hopped=n_hopped,
        n_jumps=n_jumps,
        max_displacement_A=float(farthest.max()),
        hop_distance_A=hop,
        production_ps=production_ps,
        framework_rms_A=framework_rms,
        lags_ps=np.arange(len(total_msd), dtype=np.float64) * frame_interval_ps,
        mobile_msd_A2=mobile_msd,
        framework_msd_A2=framework_msd,
        framework=framework,
        collective=together,
    )


def framework_text(found: DiffusionAnalysis) -> str:
    """Return which elements other than the mobile one leave their places, in words."""
    parts = [
        f"{element.n_left} of {element.n_atoms} {symbol} ({element.rms_A:.1f} A)"
        for symbol in found.diffusing_framework
        for element in [found.framework[symbol]]
    ]
    return f"Atoms of the framework leave their places and move on: {', '.join(parts)}."


def _few_jumps_bound(
    n_jumps: int, n_ions: int, site_distance_A: float, production_ps: float
) -> float:
    """Return the 95 % upper bound of the slope that few jumps give; zero where they are many."""
    from scipy.stats import chi2

    if n_jumps > n_ions // 2 or production_ps <= 0.0:
        return 0.0
    most = float(chi2.ppf(0.975, 2 * n_jumps + 2)) / 2.0 if n_jumps else _RULE_OF_THREE
    return most * min(site_distance_A, _MAX_JUMP_A) ** 2 / (n_ions * production_ps)


def _judge_slope(
    slope: Slope, msd_A2: FloatArray, frame_interval_ps: float, rules: VerdictRules
) -> tuple[Verdict, str]:
    interval = (
        f"slope {slope.slope_A2_per_ps:.3g} A^2/ps, 95 % interval "
        f"[{slope.low_A2_per_ps:.3g}, {slope.high_A2_per_ps:.3g}]"
    )
    if not slope.converged:
        return "unconverged", f"{_unconfirmed(slope)}: {interval}"
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


def _unconfirmed(slope: Slope) -> str:
    """Return why a slope has not converged."""
    (start, end), (later, last) = slope.windows_ps[0], slope.windows_ps[-1]
    here, there = slope.window_slopes_A2_per_ps[0], slope.window_slopes_A2_per_ps[-1]
    return (
        f"longer lags do not confirm the slope ({here:.3g} A^2/ps at {start:.2g} to {end:.2g} ps, "
        f"{there:.3g} at {later:.2g} to {last:.2g} ps)"
    )
