import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superionic.dynamics.msd import mean_squared_displacement, remove_drift
from superionic.dynamics.slope import (
    SlopeSettings,
    conductivity,
    diffusivity,
    fit_slope,
)
from superionic.errors import DiffusionError


def random_walk(rng, n_frames, n_ions, slope, interval_ps, rattle_A=0.0):
    """Brownian ions whose MSD grows by `slope` A^2/ps, rattling on top."""
    steps = rng.normal(0.0, np.sqrt(slope * interval_ps / 3.0), (n_frames, n_ions, 3))
    return np.cumsum(steps, axis=0) + rng.normal(0.0, rattle_A, steps.shape)


def direct_msd(positions):
    n_frames = len(positions)
    return np.array(
        [
            np.mean((positions[lag:] - positions[: n_frames - lag]) ** 2, axis=(0, 1))
            for lag in range(n_frames)
        ]
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**31), st.floats(-1e3, 1e3))
def test_fft_msd_is_the_average_over_origins(n_frames, n_ions, seed, offset):
    positions = np.random.default_rng(seed).normal(size=(n_frames, n_ions, 3)) + offset
    np.testing.assert_allclose(
        mean_squared_displacement(positions), direct_msd(positions), atol=1e-8
    )


def test_max_lag_cuts_the_same_curve():
    positions = np.random.default_rng(0).normal(size=(50, 3, 3))
    whole = mean_squared_displacement(positions)
    np.testing.assert_allclose(mean_squared_displacement(positions, 7), whole[:8], atol=1e-12)


def test_drift_of_the_framework_is_removed_and_that_of_the_ions_kept():
    rng = np.random.default_rng(1)
    masses = np.array([7.0, 16.0, 32.0])
    framework = np.array([False, True, True])
    still = np.zeros((30, 3, 3))
    still[:, 0] = rng.normal(size=(30, 3))
    drift = np.cumsum(rng.normal(size=(30, 1, 3)), axis=0)
    np.testing.assert_allclose(
        remove_drift(still + drift, masses, framework), still - still[:, 1:2], atol=1e-10
    )


@pytest.mark.parametrize(
    ("n_ions", "rattle_A", "n_frames"), [(4, 0.2, 600), (16, 0.0, 600), (6, 0.2, 260)]
)
def test_the_interval_covers_the_true_slope(n_ions, rattle_A, n_frames):
    rng = np.random.default_rng(2024 + n_ions)
    truth, n_trials = 1.3, 200
    hits, slopes, can_converge = 0, [], False
    for _ in range(n_trials):
        found = fit_slope(random_walk(rng, n_frames, n_ions, truth, 0.02, rattle_A), 0.02)
        hits += found.low_A2_per_ps <= truth <= found.high_A2_per_ps
        slopes.append(found.slope_A2_per_ps)
        can_converge = can_converge or found.converged
    # Too short a run has no interval but a bound: from zero on, and nearly always right.
    assert can_converge == (n_frames >= 600)
    assert 0.90 <= hits / n_trials <= (0.98 if can_converge else 1.0)
    assert np.mean(slopes) == pytest.approx(truth, abs=4 * np.std(slopes) / np.sqrt(n_trials))


def test_ions_that_move_together_do_not_shrink_the_interval():
    """A fit that takes 16 identical ions for 16 observations would be four times too sure."""
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        walk = np.repeat(random_walk(rng, 600, 1, 1.0, 0.02), 16, axis=1)
        found = fit_slope(walk, 0.02)
        hits += found.low_A2_per_ps <= 1.0 <= found.high_A2_per_ps
    assert hits / 200 >= 0.88


def test_a_harmonic_crystal_does_not_diffuse():
    rng = np.random.default_rng(3)
    time_ps = np.arange(1000) * 0.02
    hits, slopes = 0, []
    for _ in range(50):
        positions = np.zeros((1000, 8, 3))
        for frequency in rng.uniform(1.0, 12.0, 6):  # THz
            phase = rng.uniform(0, 2 * np.pi, (1, 8, 3))
            positions += 0.1 * np.cos(2 * np.pi * frequency * time_ps[:, None, None] + phase)
        found = fit_slope(positions, 0.02)
        hits += found.low_A2_per_ps <= 0.0 <= found.high_A2_per_ps
        slopes.append(found.slope_A2_per_ps)
        assert found.label_A2_per_ps >= 1e-4
    assert hits >= 45
    assert np.sqrt(np.mean(np.square(slopes))) < 0.02  # A^2/ps; the MSD itself is 0.18 A^2


def test_directions_add_up_and_tell_a_channel():
    rng = np.random.default_rng(5)
    walk = random_walk(rng, 2000, 10, 3.0, 0.02)
    walk[:, :, :2] = 0.05 * rng.normal(size=walk[:, :, :2].shape)
    found = fit_slope(walk, 0.02)
    assert found.direction_slopes_A2_per_ps.sum() == pytest.approx(found.slope_A2_per_ps)
    assert found.direction_slopes_A2_per_ps[2] == pytest.approx(1.0, rel=0.3)
    assert np.all(np.abs(found.direction_slopes_A2_per_ps[:2]) < 0.01)


def test_too_few_frames_are_refused_with_the_length_that_is_needed():
    with pytest.raises(DiffusionError, match="too few") as caught:
        fit_slope(np.zeros((20, 2, 3)), 0.02)
    assert "ps" in caught.value.hint
    with pytest.raises(DiffusionError, match="no mobile ion"):
        fit_slope(np.zeros((2000, 0, 3)), 0.02)


def test_window_starts_after_the_rattling():
    found = fit_slope(np.random.default_rng(0).normal(size=(500, 2, 3)), 0.01, SlopeSettings())
    assert found.window_ps[0] >= 0.5


def test_units_of_diffusivity_and_conductivity():
    # D = 1e-5 cm^2/s at 1e22 ions/cm^3 and 300 K: n e^2 D / kT = 0.62 S/cm by hand:
    # 1e28 m^-3 (1.602e-19 C)^2 1e-9 m^2/s / (1.381e-23 J/K 300 K) = 62.0 S/m
    slope = 0.6  # A^2/ps
    assert diffusivity(slope) == pytest.approx(1e-5)
    sigma = conductivity(1e-5, n_ions=10, volume_A3=1000.0, temperature_K=300.0)
    assert sigma == pytest.approx(0.6196, rel=1e-3)
    double = conductivity(1e-5, n_ions=10, volume_A3=1000.0, temperature_K=300.0, charge_e=2.0)
    assert double == pytest.approx(4 * sigma)
