"""Collective transport and the Haven ratio, on walks of known correlation and against kinisi."""

from pathlib import Path

import numpy as np
import pytest

from superionic.dynamics.msd import mean_squared_displacement, remove_drift
from superionic.dynamics.slope import fit_slope
from superionic.dynamics.transport import collective_path, collective_slope, haven_ratio

INTERVAL_PS = 0.02
TRAJECTORIES = Path(__file__).parents[1] / "data" / "trajectories"


def correlated_walk(rng, n_frames, n_ions, tracer, haven):
    """Brownian ions of which a part of each step is common to all."""
    common = (1.0 / haven - 1.0) / (n_ions - 1.0)  # correlation of two ions' steps
    width = np.sqrt(tracer * INTERVAL_PS / 3.0)
    own = rng.normal(0.0, np.sqrt(1.0 - common), (n_frames, n_ions, 3))
    shared = rng.normal(0.0, np.sqrt(common), (n_frames, 1, 3))
    return np.cumsum(width * (own + shared), axis=0)


@pytest.mark.parametrize("haven", [1.0, 0.4])
def test_the_haven_ratio_and_its_interval(haven):
    rng = np.random.default_rng(3)
    ratios, hits, n_trials = [], 0, 60
    for _ in range(n_trials):
        walk = correlated_walk(rng, 1500, 8, 1.0, haven)
        found = haven_ratio(fit_slope(walk, INTERVAL_PS), collective_slope(walk, INTERVAL_PS))
        if found is None:
            hits += 1
            continue
        ratios.append(found.value)
        hits += found.low <= haven <= (np.inf if found.high is None else found.high)
    assert hits >= 0.9 * n_trials
    assert np.median(ratios) == pytest.approx(haven, rel=0.2)


def test_collective_intervals_hold_the_truth():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(100):
        found = collective_slope(correlated_walk(rng, 500, 8, 1.0, 0.5), INTERVAL_PS)
        hits += found.low_A2_per_ps <= 2.0 <= found.high_A2_per_ps
    assert hits >= 90


def test_no_ratio_without_diffusion():
    walk = np.random.default_rng(0).normal(size=(600, 4, 3))
    tracer, together = fit_slope(walk, INTERVAL_PS), collective_slope(walk, INTERVAL_PS)
    if tracer.slope_A2_per_ps > 0.0 and together.slope_A2_per_ps > 0.0:
        assert haven_ratio(tracer, together).high is None
    else:
        assert haven_ratio(tracer, together) is None


def test_collective_displacements_are_those_of_kinisi(load_benchmark):
    """Within 5 %; kinisi's sum is over ions relative to a framework without drift, as ours."""
    pytest.importorskip("kinisi", reason="kinisi, an optional extra, is not installed")
    comparison = load_benchmark("kinisi_comparison")
    for name in ("Li2Te", "Li2Se"):
        run = comparison.stored(TRAJECTORIES / f"{name}.npz")
        mobile = np.array(run.atoms.get_chemical_symbols()) == run.mobile
        positions = remove_drift(run.positions_A, run.atoms.get_masses(), ~mobile)[:, mobile]
        ours = mean_squared_displacement(collective_path(positions)).sum(axis=1)
        theirs = comparison.kinisi_collective(run)
        ratio = theirs[4:40] / ours[5:41]
        assert abs(ratio.mean() - 1.0) < 0.05, (name, ratio)
