"""When a run ends before its time.

*run_away*, looked at after every step: a number that is not finite; a temperature above
``max_temperature_factor`` times the target (and above ``min_run_away_K``); a force above
``max_force_eV_per_A``; a potential energy per atom that has left the window of
``max_energy_change_eV_per_atom`` around that of the starting crystal (at 1000 K vibrations take
0.13 eV; a potential that is asked outside its training can fall without bottom).

At every checkpoint of the production: *melted* (see :mod:`superionic.dynamics.verdict`);
*settled_not_diffusing*, when after ``min_production_ps`` no averaged position of a mobile ion has
been farther from its start than ``quiet_fraction`` of a hop; *settled_diffusing*, when the verdict
is diffusing and the relative error of the slope is below ``target_relative_error``.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.crystal import Crystal
from superionic.dynamics.integrators import State
from superionic.dynamics.slope import SlopeSettings
from superionic.dynamics.verdict import VerdictRules, analyse

StopCode = Literal["completed", "settled_diffusing", "settled_not_diffusing", "melted", "run_away"]


@dataclass(frozen=True)
class StopRules:
    """When a run ends before its time; see the module's description.

    Parameters
    ----------
    early : bool
        Whether the rules at checkpoints are applied at all; run_away always is.
    min_production_ps : float
        No run settles before this.
    target_relative_error : float
        Relative error of the slope that is good enough.
    quiet_fraction : float
        Fraction of a hop that no ion may have passed.
    max_temperature_factor, min_run_away_K : float
        A run runs away above this many times its temperature, if that is also above this many K.
    max_force_eV_per_A, max_energy_change_eV_per_atom : float
        A run runs away with a larger force, or when the energy per atom has moved farther from its
        start.
    slope : SlopeSettings
        How the slope is fitted.
    verdict : VerdictRules
        Rules of the verdict.
    """

    early: bool = True
    min_production_ps: float = 5.0
    target_relative_error: float = 0.1
    quiet_fraction: float = 0.6
    max_temperature_factor: float = 5.0
    min_run_away_K: float = 1000.0
    max_force_eV_per_A: float = 500.0
    max_energy_change_eV_per_atom: float = 1.0
    slope: SlopeSettings = field(default_factory=SlopeSettings)
    verdict: VerdictRules = field(default_factory=VerdictRules)


def run_away(
    state: State,
    temperature_K: float,
    target_K: float,
    initial_energy_eV: float | None,
    rules: StopRules,
) -> tuple[StopCode, str] | None:
    """Return the code and text of a run that runs away, else None."""
    at = f"at step {state.step}"
    if not (
        np.isfinite(state.energy_eV)
        and np.isfinite(temperature_K)
        and np.isfinite(state.forces_eV_per_A).all()
        and np.isfinite(state.positions_A).all()
    ):
        return "run_away", f"energy, force or position is not a finite number {at}"
    limit = max(rules.max_temperature_factor * target_K, rules.min_run_away_K)
    if temperature_K > limit:
        return "run_away", f"temperature {temperature_K:.0f} K above {limit:.0f} K {at}"
    force = float(np.abs(state.forces_eV_per_A).max())
    if force > rules.max_force_eV_per_A:
        return "run_away", f"force {force:.3g} eV/A above {rules.max_force_eV_per_A:g} {at}"
    if initial_energy_eV is not None:
        change = (state.energy_eV - initial_energy_eV) / len(state.positions_A)
        if abs(change) > rules.max_energy_change_eV_per_atom:
            return "run_away", (
                f"potential energy changed by {change:+.2f} eV/atom, more than "
                f"{rules.max_energy_change_eV_per_atom:g}, {at}"
            )
    return None


def settled(
    positions_A: NDArray[np.floating],
    frame_interval_ps: float,
    crystal: Crystal,
    rules: StopRules,
) -> tuple[StopCode, str] | None:
    """Return the code and text when the trajectory answers the question, else None.

    Parameters
    ----------
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Production frames.
    frame_interval_ps : float
        Time between frames in ps.
    crystal : Crystal
        The crystal.
    rules : StopRules
        The rules.
    """
    if len(positions_A) < 3 or not crystal.is_mobile.any():
        return None
    result = analyse(positions_A, frame_interval_ps, crystal, rules.slope, rules.verdict)
    if result.verdict == "melted":
        return "melted", result.reason
    if result.production_ps < rules.min_production_ps:
        return None
    quiet = result.max_displacement_A < rules.quiet_fraction * result.hop_distance_A
    if result.verdict == "not_diffusing" and quiet:
        return "settled_not_diffusing", result.reason
    if (
        result.verdict == "diffusing"
        and result.slope is not None
        and result.slope.relative_error < rules.target_relative_error
    ):
        return "settled_diffusing", result.reason
    return None
