import numpy as np
import pytest
from ase.build import bulk

from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.stopping import StopRules, settled
from superionic.dynamics.verdict import analyse
from superionic.errors import DiffusionError

INTERVAL_PS = 0.02
ATOMS = bulk("LiCl", "rocksalt", a=5.1, cubic=True).repeat(2)
LI = np.array([s == "Li" for s in ATOMS.get_chemical_symbols()])


def trajectory(n_frames, rng, *, walk=None, slope=1.0, rattle_A=0.15):
    """LiCl whose atoms rattle; those in `walk` diffuse."""
    positions = ATOMS.positions + rng.normal(0.0, rattle_A, (n_frames, len(ATOMS), 3))
    if walk is not None:
        steps = rng.normal(0.0, np.sqrt(slope * INTERVAL_PS / 3), (n_frames, walk.sum(), 3))
        positions[:, walk] += np.cumsum(steps, axis=0)
    return positions


def run(positions, **kwargs):
    return analyse(positions, INTERVAL_PS, crystal_of(ATOMS, "Li"), **kwargs)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_rattling_is_not_diffusing_and_bounded_by_the_rule_of_three(rng):
    result = run(trajectory(500, rng))
    assert result.verdict == "not_diffusing"
    assert result.n_hopped == 0
    jump = 5.1 / np.sqrt(2)
    assert result.slope_upper_bound_A2_per_ps >= 3 * jump**2 / (32 * result.production_ps) - 1e-9


def test_walking_lithium_is_diffusing(rng):
    result = run(trajectory(800, rng, walk=LI))
    assert result.verdict == "diffusing"
    assert result.slope.low_A2_per_ps < 1.0 < result.slope.high_A2_per_ps
    assert result.framework_rms_A < 0.5
    assert result.mobile_msd_A2.shape == (len(result.lags_ps), 3)


def test_everything_walking_is_melted(rng):
    result = run(trajectory(800, rng, walk=np.ones(len(ATOMS), dtype=bool), slope=3.0))
    assert result.verdict == "melted"


def test_rotating_framework_is_not_melted(rng):
    """A bounded, large motion of the framework: its MSD is flat."""
    positions = trajectory(800, rng)
    angle = np.cumsum(rng.normal(0, 0.5, (800, 32)), axis=0) + rng.uniform(0, 6.28, 32)
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=2)
    positions[:, ~LI] += 2.0 * circle
    result = run(positions)
    assert result.framework_rms_A > 1.3
    assert result.verdict != "melted"


def test_ions_that_hop_back_and_forth_are_not_called_diffusing(rng):
    positions = trajectory(1000, rng, rattle_A=0.1)
    flips = np.cumsum(rng.random((1000, 32)) < 0.03, axis=0) % 2  # 1.5 flips per ps
    positions[:, LI, 0] += 2.5 * flips
    result = run(positions)
    assert result.n_hopped > 0
    assert result.verdict == "unconverged"


def test_one_hop_is_unconverged(rng):
    positions = trajectory(500, rng)
    positions[250:, np.flatnonzero(LI)[0], 0] += 3.6
    result = run(positions)
    assert (result.verdict, result.n_hopped) == ("unconverged", 1)


def test_a_short_run_is_unconverged(rng):
    assert run(trajectory(100, rng)).verdict == "unconverged"


def test_no_mobile_ion_and_no_frames_are_refused(rng):
    with pytest.raises(DiffusionError, match="holds no Na"):
        analyse(trajectory(100, rng), INTERVAL_PS, crystal_of(ATOMS, "Na"))
    with pytest.raises(DiffusionError, match="too few"):
        run(trajectory(1, rng))


def test_runs_settle_only_when_the_question_is_answered(rng):
    crystal = crystal_of(ATOMS, "Li")
    still, moving = trajectory(500, rng), trajectory(1500, rng, walk=LI, slope=5.0)

    def code(positions, **rules):
        outcome = settled(positions, INTERVAL_PS, crystal, StopRules(**rules))
        return outcome and outcome[0]

    assert code(still) == "settled_not_diffusing"
    assert code(still[:200]) is None
    assert code(moving, target_relative_error=0.2) == "settled_diffusing"
    assert code(moving, target_relative_error=1e-4) is None
    assert code(moving[:200]) is None
