"""What runs at several temperatures say together: Arrhenius fit, conductivity and verdict.

How a run enters the fit:

*value*: its ions hopped, and the slope is positive, whatever its error; a slope with a large error
counts little.
*bound*: no ion hopped; or the slope is not positive; or it was seen to fall with the lag and no
longer lags confirm where it ends (ions that hop back), so that the true one is smaller. The 95 %
upper bound of the slope enters.
*none*: the framework melted, the run ran away, or it was too short for a slope.

The verdict, from the conductivity at ``deciding_temperature_K`` with its 95 % interval:

*melts*: the framework melted at or below ``superheating`` times that temperature, or nothing is
left to judge by and it melted somewhere. A crystal without surface and defects, as in a simulation,
melts some 20 % above its melting point (Z. H. Jin et al., Phys. Rev. Lett. 87, 055703 (2001)):
what melts at 600 K within picoseconds is no solid at 500 K.
*confirmed*: the whole interval lies at or above ``threshold_S_per_cm``, and at least ``min_values``
temperatures have a value: one run alone confirms nothing.
*not_confirmed*: the whole interval, or the upper bound where there is no fit, lies below.
*undecided*: the rest.

The threshold, 0.01 S/cm at 500 K, is that of an ion with 1e-4 S/cm at 300 K and an activation
energy of 0.33 eV. 500 K is the temperature of the published figure (arXiv:2411.06804, Fig. 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from superionic.dynamics.arrhenius import ArrheniusFit, bound_at, fit_arrhenius
from superionic.dynamics.slope import conductivity, diffusivity
from superionic.dynamics.stopping import StopCode
from superionic.dynamics.verdict import DiffusionAnalysis

Evidence = Literal["value", "bound", "none"]
Confirmation = Literal["confirmed", "not_confirmed", "melts", "undecided"]


CONFIRMATION_VERSION = 3
"""Version of the rules by which runs are judged together, as documents keep it. Version 2 took a
slope that longer lags did not keep for a value, unless it was significantly lower there."""


@dataclass(frozen=True)
class ConfirmationRules:
    """At which conductivity a material is confirmed; see the module's description.

    Parameters
    ----------
    deciding_temperature_K : float
        Temperature at which the conductivity is judged.
    threshold_S_per_cm : float
        What it has to reach there.
    superheating : float
        What melts up to this many times the deciding temperature counts as molten there.
    min_values : int
        Temperatures with a value that a confirmation needs.
    """

    deciding_temperature_K: float = 500.0
    threshold_S_per_cm: float = 0.01
    superheating: float = 1.2
    min_values: int = 2


@dataclass(frozen=True)
class Ions:
    """What turns a diffusion coefficient into a conductivity.

    Parameters
    ----------
    n_mobile : int
        Mobile ions in the supercell.
    volume_A3 : float
        Its volume in A^3.
    charge_e : float
        Charge of an ion in elementary charges.
    """

    n_mobile: int
    volume_A3: float
    charge_e: float = 1.0

    def conductivity(self, diffusivity_cm2_per_s: float, temperature_K: float) -> float:
        """Return the Nernst-Einstein conductivity in S/cm."""
        return conductivity(
            diffusivity_cm2_per_s, self.n_mobile, self.volume_A3, temperature_K, self.charge_e
        )


@dataclass(frozen=True)
class ArrheniusPoint:
    """What the run at one temperature says.

    Parameters
    ----------
    temperature_K : float
        Its temperature.
    evidence : {"value", "bound", "none"}
        How it enters the fit.
    diffusivity_cm2_per_s, error_cm2_per_s : float or None
        Of a run that has a slope.
    upper_bound_cm2_per_s : float or None
        95 % upper bound, of every run that does not count as none.
    degrees_of_freedom : int
        Of the error.
    melted : bool
        Whether the framework melted.
    """

    temperature_K: float
    evidence: Evidence
    diffusivity_cm2_per_s: float | None = None
    error_cm2_per_s: float | None = None
    upper_bound_cm2_per_s: float | None = None
    degrees_of_freedom: int = 1
    melted: bool = False


@dataclass(frozen=True)
class Estimate:
    """A conductivity in S/cm with its 95 % interval; without a fit an upper bound at most."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Finding:
    """What all temperatures say together.

    Parameters
    ----------
    verdict : {"confirmed", "not_confirmed", "melts", "undecided"}
        See the module's description.
    reason : str
        The rule that decided, with numbers.
    fit : ArrheniusFit or None
        Fit of the diffusivity in cm^2/s; None with fewer than two temperatures with a value.
    deciding, room : Estimate
        Conductivity at the deciding temperature and at 300 K.
    melting_temperature_K : float or None
        Lowest temperature at which the framework melted.
    """

    verdict: Confirmation
    reason: str
    fit: ArrheniusFit | None
    deciding: Estimate
    room: Estimate
    melting_temperature_K: float | None


ROOM_TEMPERATURE_K = 300.0
_SAME_K = 1e-6


def arrhenius_point(
    temperature_K: float,
    analysis: DiffusionAnalysis | None,
    status: StopCode,
) -> ArrheniusPoint:
    """Return what a run says.

    Parameters
    ----------
    temperature_K : float
        Temperature of the thermostat.
    analysis : DiffusionAnalysis or None
        Analysis of its production; None when there was none.
    status : str
        How it ended.
    """
    melted = status == "melted" or (analysis is not None and analysis.verdict == "melted")
    if analysis is None or melted or status == "run_away":
        return ArrheniusPoint(temperature_K, "none", melted=melted)
    bound = diffusivity(analysis.slope_upper_bound_A2_per_ps)
    usable_bound = bound if 0.0 < bound < float("inf") else None
    slope = analysis.slope
    if slope is None:
        rare = analysis.n_hopped == 0 and usable_bound is not None
        return ArrheniusPoint(
            temperature_K,
            "bound" if rare else "none",
            upper_bound_cm2_per_s=usable_bound if rare else None,
        )
    counts = analysis.n_hopped > 0 and slope.slope_A2_per_ps > 0.0 and not slope.falls
    evidence: Evidence = "value" if counts else "bound"
    return ArrheniusPoint(
        temperature_K,
        evidence if counts or usable_bound is not None else "none",
        diffusivity_cm2_per_s=diffusivity(slope.slope_A2_per_ps),
        error_cm2_per_s=diffusivity(slope.error_A2_per_ps),
        upper_bound_cm2_per_s=usable_bound,
        degrees_of_freedom=max(slope.n_blocks - 1, 1),
    )


def confirm(
    points: Sequence[ArrheniusPoint], ions: Ions, rules: ConfirmationRules | None = None
) -> Finding:
    """Judge a material by its runs.

    Parameters
    ----------
    points : sequence of ArrheniusPoint
        One for each temperature.
    ions : Ions
        Number, volume and charge.
    rules : ConfirmationRules, optional
        Numbers of the verdict.
    """
    rules = rules or ConfirmationRules()
    fit = arrhenius(points)
    deciding = estimate(rules.deciding_temperature_K, points, fit, ions)
    melting_K = min((one.temperature_K for one in points if one.melted), default=None)
    n_values = len({one.temperature_K for one in points if one.evidence == "value"})
    verdict, reason = _judge(deciding, melting_K, n_values, rules)
    return Finding(
        verdict=verdict,
        reason=reason,
        fit=fit,
        deciding=deciding,
        room=estimate(ROOM_TEMPERATURE_K, points, fit, ions),
        melting_temperature_K=melting_K,
    )


def arrhenius(points: Sequence[ArrheniusPoint]) -> ArrheniusFit | None:
    """Return the fit of the diffusivities, None with fewer than two temperatures with a value."""
    values = [one for one in points if one.evidence == "value"]
    if len({one.temperature_K for one in values}) < 2:
        return None
    bounds = [one for one in points if one.evidence == "bound"]
    return fit_arrhenius(
        [one.temperature_K for one in values],
        [_given(one.diffusivity_cm2_per_s) for one in values],
        [_given(one.error_cm2_per_s) for one in values],
        degrees_of_freedom=[one.degrees_of_freedom for one in values],
        bound_temperatures_K=[one.temperature_K for one in bounds],
        bounds=[_given(one.upper_bound_cm2_per_s) for one in bounds],
    )


def estimate(
    temperature_K: float, points: Sequence[ArrheniusPoint], fit: ArrheniusFit | None, ions: Ions
) -> Estimate:
    """Return the conductivity at a temperature.

    By the fit; without one, by a run at this very temperature; else the bound that all runs imply.
    """
    from scipy.stats import t as student_t

    if fit is not None:
        found = fit.at(temperature_K)
        interval = (found.low, found.value, found.high)
        low, value, high = (ions.conductivity(d, temperature_K) for d in interval)
        return Estimate(value, low, high)
    for one in points:
        if one.temperature_K == temperature_K and one.evidence == "value":
            value = ions.conductivity(_given(one.diffusivity_cm2_per_s), temperature_K)
            error = ions.conductivity(_given(one.error_cm2_per_s), temperature_K)
            reach = error * float(student_t.ppf(0.975, one.degrees_of_freedom))
            return Estimate(value, max(value - reach, 0.0), value + reach)
    known = [one for one in points if one.upper_bound_cm2_per_s is not None]
    bound = bound_at(
        temperature_K,
        [one.temperature_K for one in known],
        [_given(one.upper_bound_cm2_per_s) for one in known],
    )
    return Estimate(high=None if bound is None else ions.conductivity(bound, temperature_K))


def _judge(
    deciding: Estimate, melting_K: float | None, n_values: int, rules: ConfirmationRules
) -> tuple[Confirmation, str]:
    temperature_K, threshold = rules.deciding_temperature_K, rules.threshold_S_per_cm
    if melting_K is not None and (
        melting_K <= rules.superheating * temperature_K + _SAME_K or deciding.high is None
    ):
        return "melts", f"the framework melted at {melting_K:g} K"
    if deciding.high is None:
        return "undecided", "no temperature says anything of the diffusion"
    if deciding.value is None:
        text = (
            f"fewer than two temperatures with diffusion; at {temperature_K:g} K at most "
            f"{deciding.high:.2g} S/cm (threshold {threshold:g})"
        )
        return ("not_confirmed" if deciding.high < threshold else "undecided"), text
    text = (
        f"{deciding.value:.2g} S/cm at {temperature_K:g} K, 95 % interval "
        f"[{deciding.low:.2g}, {deciding.high:.2g}] (threshold {threshold:g})"
    )
    if _given(deciding.low) >= threshold:
        if n_values < rules.min_values:
            few = f"{text}, by runs at {n_values} of {rules.min_values} temperatures that it takes"
            return "undecided", few
        return "confirmed", text
    return ("not_confirmed" if deciding.high < threshold else "undecided"), text


def _given(value: float | None) -> float:
    if value is None:
        raise ValueError("a number that the kind of evidence implies is missing")
    return value
