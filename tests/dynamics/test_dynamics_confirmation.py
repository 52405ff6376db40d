"""Verdicts on materials from runs at several temperatures, synthetic ones with known answers."""

from dataclasses import replace

import numpy as np
import pytest
from test_dynamics_arrhenius import line

from superionic.dynamics.confirmation import (
    ArrheniusPoint,
    ConfirmationRules,
    Ions,
    arrhenius,
    arrhenius_point,
    confirm,
    estimate,
)
from superionic.dynamics.crystal import Crystal
from superionic.dynamics.slope import conductivity, diffusivity
from superionic.dynamics.verdict import analyse
from superionic.errors import DiffusionError

IONS = Ions(n_mobile=20, volume_A3=1000.0)
TEMPERATURES_K = (500.0, 600.0, 700.0, 800.0, 1000.0)


def value(temperature_K, d_cm2_per_s, relative_error=0.1, **fields):
    return ArrheniusPoint(
        temperature_K,
        "value",
        diffusivity_cm2_per_s=d_cm2_per_s,
        error_cm2_per_s=relative_error * d_cm2_per_s,
        upper_bound_cm2_per_s=(1 + 2 * relative_error) * d_cm2_per_s,
        degrees_of_freedom=7,
        **fields,
    )


def bound(temperature_K, d_cm2_per_s):
    return ArrheniusPoint(temperature_K, "bound", upper_bound_cm2_per_s=d_cm2_per_s)


def diffusivity_for(sigma_S_per_cm, temperature_K):
    return sigma_S_per_cm / IONS.conductivity(1.0, temperature_K)


def conductor(sigma_500K, energy_eV=0.3):
    at_500K = diffusivity_for(sigma_500K, 500.0)
    return [value(T, line(T, energy_eV, at_500K)) for T in TEMPERATURES_K]


def test_a_conductor_is_confirmed_with_its_numbers():
    found = confirm(conductor(0.5), IONS)
    assert found.verdict == "confirmed"
    assert found.deciding.value == pytest.approx(0.5, rel=1e-6)
    assert found.deciding.low < 0.5 < found.deciding.high
    assert found.fit.activation_energy_eV == pytest.approx(0.3)
    # sigma T follows the Arrhenius line.
    expected = 0.5 * 500 / 300 * line(300.0, 0.3, 1.0)
    assert found.room.value == pytest.approx(expected, rel=1e-6)
    assert "0.5 S/cm at 500 K" in found.reason


@pytest.mark.parametrize(
    ("sigma", "verdict"), [(0.1, "confirmed"), (0.01, "undecided"), (1e-4, "not_confirmed")]
)
def test_the_whole_interval_has_to_be_on_one_side(sigma, verdict):
    assert confirm(conductor(sigma), IONS).verdict == verdict


def test_one_run_confirms_nothing_and_what_melts_a_little_above_is_no_solid():
    """LiInI4: one run of 10 ps at 500 K, molten at 600 K."""
    fast = value(500.0, diffusivity_for(0.74, 500.0))
    alone = confirm([fast], IONS)
    assert alone.verdict == "undecided"
    assert "1 of 2 temperatures" in alone.reason
    melted = [ArrheniusPoint(T, "none", melted=True) for T in TEMPERATURES_K if T >= 600.0]
    assert confirm([fast, *melted], IONS).verdict == "melts"
    assert confirm([fast], IONS, ConfirmationRules(min_values=1)).verdict == "confirmed"
    # What melts far above is a solid at the deciding temperature.
    solid = [one for one in conductor(0.5) if one.temperature_K < 800.0]
    found = confirm([*solid, ArrheniusPoint(800.0, "none", melted=True)], IONS)
    assert (found.verdict, found.melting_temperature_K) == ("confirmed", 800.0)


def test_the_threshold_and_its_temperature_can_be_chosen():
    runs = conductor(0.1)
    assert confirm(runs, IONS, ConfirmationRules(threshold_S_per_cm=1.0)).verdict == "not_confirmed"
    hot = ConfirmationRules(deciding_temperature_K=1000.0, threshold_S_per_cm=1.0)
    found = confirm(runs, IONS, hot)
    assert found.deciding.value == pytest.approx(0.1 * 0.5 * line(1000.0, 0.3, 1.0), rel=1e-6)


def test_nothing_hops_and_the_bounds_decide():
    low, high = diffusivity_for(1e-3, 500.0), diffusivity_for(1.0, 500.0)
    found = confirm([bound(T, low) for T in TEMPERATURES_K], IONS)
    assert (found.verdict, found.fit) == ("not_confirmed", None)
    assert found.deciding.value is found.deciding.low is None
    assert found.deciding.high == pytest.approx(1e-3)
    # A run too short to exclude a good conductor says so.
    assert confirm([bound(T, high) for T in TEMPERATURES_K], IONS).verdict == "undecided"
    # What did not hop at 1000 K does not at 500 K either.
    mixed = [bound(500.0, high), bound(1000.0, low)]
    assert confirm(mixed, IONS).deciding.high == pytest.approx(1e-3)
    # But not the other way round.
    mixed = [bound(500.0, high), bound(400.0, low)]
    assert confirm(mixed, IONS).deciding.high == pytest.approx(1.0)


def test_one_temperature_with_diffusion_gives_no_line():
    d = diffusivity_for(5.0, 500.0)
    runs = [bound(500.0, d / 1e4), bound(700.0, d / 1e3), value(1000.0, d)]
    found = confirm(runs, IONS)
    assert found.fit is None
    assert found.deciding.value is None
    assert found.verdict == "not_confirmed"
    # At the deciding temperature itself no line is needed, but one run confirms nothing.
    found = confirm([value(500.0, d)], IONS)
    assert found.verdict == "undecided"
    assert found.deciding.value == pytest.approx(5.0)
    reach = found.deciding.high - found.deciding.value
    assert reach == pytest.approx(0.5 * 2.365, rel=1e-3)  # Student's t, 7 degrees of freedom


def test_bounds_pull_the_line_down():
    free = [one for one in conductor(0.05) if one.temperature_K >= 800]
    bounds = [bound(T, diffusivity_for(1e-3, T)) for T in (500.0, 600.0, 700.0)]
    without, held = (confirm([*free, *more], IONS) for more in ([], bounds))
    assert held.deciding.high < without.deciding.high
    assert held.fit.activation_energy_eV > without.fit.activation_energy_eV


def test_melted_runs_do_not_count_and_may_decide():
    runs = conductor(0.5)
    melted = ArrheniusPoint(1000.0, "none", melted=True)
    found = confirm([*runs[:-1], melted], IONS)
    assert (found.verdict, found.melting_temperature_K) == ("confirmed", 1000.0)
    at_500 = [replace(melted, temperature_K=500.0), *runs[1:]]
    assert confirm(at_500, IONS).verdict == "melts"
    all_of_them = [replace(melted, temperature_K=T) for T in (600.0, 1000.0)]
    found = confirm(all_of_them, IONS)
    assert (found.verdict, found.melting_temperature_K) == ("melts", 600.0)


def test_runs_that_say_nothing_leave_it_undecided():
    found = confirm([ArrheniusPoint(700.0, "none"), ArrheniusPoint(900.0, "none")], IONS)
    assert (found.verdict, found.deciding.high) == ("undecided", None)
    assert arrhenius([]) is None
    assert estimate(500.0, [], None, IONS).high is None


def test_the_verdict_is_right_in_nineteen_of_twenty_trials():
    """Random runs of a material just above and just below the threshold."""
    rng = np.random.default_rng(8)
    wrong = 0
    for trial in range(200):
        sigma = 0.013 if trial % 2 else 0.0077
        runs = []
        for one in conductor(sigma, energy_eV=rng.uniform(0.2, 0.5)):
            d = one.diffusivity_cm2_per_s
            blocks = rng.normal(d, 0.2 * d * np.sqrt(8), 8)
            runs.append(value(one.temperature_K, blocks.mean(), 0.0))
            error = blocks.std(ddof=1) / np.sqrt(8)
            runs[-1] = replace(runs[-1], error_cm2_per_s=error)
        truth = "confirmed" if sigma > 0.01 else "not_confirmed"
        wrong += confirm(runs, IONS).verdict not in (truth, "undecided")
    assert wrong <= 15


# What single runs say -----------------------------------------------------------------------------


def crystal(n_ions=8):
    """Return a cubic cell with ions on a line of sites 3 A apart, and a heavy framework."""
    positions = np.zeros((2 * n_ions, 3))
    positions[:n_ions, 0] = 3.0 * np.arange(n_ions)
    positions[n_ions:] = positions[:n_ions] + 1.5
    return Crystal(
        ["Li"] * n_ions + ["S"] * n_ions,
        np.array([7.0] * n_ions + [32.0] * n_ions),
        np.diag([3.0 * n_ions, 12.0, 12.0]),
        positions,
        "Li",
    )


def trajectory(rng, slope_A2_per_ps, n_frames=600, interval_ps=0.02, hop_back=False):
    """Return frames of ions that walk at random, or rattle, or hop back and forth."""
    known = crystal()
    frames = known.positions_A + rng.normal(0.0, 0.05, (n_frames, 16, 3))
    step = np.sqrt(slope_A2_per_ps * interval_ps / 3.0)
    frames[:, :8] += np.cumsum(rng.normal(0.0, step, (n_frames, 8, 3)), axis=0)
    if hop_back:
        there = rng.random((n_frames // 50, 8)) < 0.5
        frames[:, :8, 1] += 2.5 * np.repeat(there, 50, axis=0)
    return analyse(frames, interval_ps, known)


def test_a_walk_is_a_value_and_rattling_a_bound():
    rng = np.random.default_rng(4)
    walk = arrhenius_point(800.0, trajectory(rng, 1.0), "completed")
    assert walk.evidence == "value"
    assert walk.diffusivity_cm2_per_s == pytest.approx(diffusivity(1.0), rel=0.5)
    assert walk.degrees_of_freedom >= 2
    still = arrhenius_point(800.0, trajectory(rng, 0.0), "completed")
    assert still.evidence == "bound"
    # No hop of 3 A among 8 ions in 12 ps: fewer than three were to be expected.
    assert still.upper_bound_cm2_per_s == pytest.approx(diffusivity(3 * 9.0 / (8 * 12.0)), rel=0.02)


def test_hopping_back_and_forth_is_a_bound_at_most():
    found = trajectory(np.random.default_rng(4), 0.0, hop_back=True)
    assert found.n_hopped > 0
    assert found.verdict == "unconverged"
    assert found.slope.window_slopes_A2_per_ps[0] > 1.0  # by itself, the first would convince
    said = arrhenius_point(800.0, found, "completed")
    assert said.evidence == "bound"
    assert said.upper_bound_cm2_per_s == pytest.approx(diffusivity(found.slope.high_A2_per_ps))
    assert found.slope.high_A2_per_ps > 0.0


@pytest.mark.parametrize("status", ["melted", "run_away"])
def test_runs_that_went_wrong_say_nothing(status):
    found = trajectory(np.random.default_rng(4), 1.0)
    said = arrhenius_point(800.0, found, status)
    assert said.evidence == "none"
    assert said.melted is (status == "melted")
    assert arrhenius_point(800.0, None, status).evidence == "none"


def test_conductivity_is_that_of_the_module_below():
    assert IONS.conductivity(1e-6, 700.0) == conductivity(1e-6, 20, 1000.0, 700.0)
    with pytest.raises(DiffusionError):
        trajectory(np.random.default_rng(0), 1.0, n_frames=1)
