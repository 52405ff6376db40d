"""Our slopes against kinisi's, on thinned trajectories of four crystals at 1000 K."""

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kinisi", reason="kinisi, an optional extra, is not installed")

HERE = Path(__file__).parent
TRAJECTORIES = sorted((HERE / "data" / "trajectories").glob("*.npz"))


@pytest.fixture(scope="module")
def comparison(load_benchmark):
    return load_benchmark("kinisi_comparison")


def test_slopes_agree_within_the_joint_error(comparison):
    assert len(TRAJECTORIES) >= 3
    ratios = []
    for path in TRAJECTORIES:
        run = comparison.stored(path)
        here = comparison.ours(run)
        assert here is not None, path.stem
        there = comparison.kinisi_slope(run, here.window_ps[0], n_samples=500)
        joint = math.hypot(here.error_A2_per_ps, there.error)
        difference = abs(here.slope_A2_per_ps - there.slope)
        assert difference < 2.0 * joint, (path.stem, here, there)
        assert joint < here.slope_A2_per_ps, "errors so large that anything agrees"
        ratios.append(here.slope_A2_per_ps / there.slope)
    assert 0.75 < np.exp(np.mean(np.log(ratios))) < 1.33


def test_mean_squared_displacements_are_the_same(comparison):
    from superionic.dynamics.msd import mean_squared_displacement, remove_drift

    run = comparison.stored(HERE / "data" / "trajectories" / "Li2Te.npz")
    mobile = np.array(run.atoms.get_chemical_symbols()) == run.mobile
    positions = remove_drift(run.positions_A, run.atoms.get_masses(), ~mobile)[:, mobile]
    ours = mean_squared_displacement(positions).sum(axis=1)
    theirs = comparison.kinisi_analyser(run).msd.values
    # kinisi repeats the first frame, so that one origin in each lag counts a frame too few.
    np.testing.assert_allclose(theirs[:60], ours[1:61], rtol=0.02)
