"""Melting and diffusing framework atoms, on synthetic trajectories of small cells."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

from superionic.dynamics.crystal import Crystal
from superionic.dynamics.framework import groups
from superionic.dynamics.verdict import analyse

INTERVAL_PS = 0.02
MASSES_U = {
    "Li": 6.94, "I": 126.9, "P": 30.97, "S": 32.06, "B": 10.81, "H": 1.008, "Zn": 65.4,
}  # fmt: skip
N_SEEDS = 12


def crystal(symbols, positions_A, edge_A):
    masses = np.array([MASSES_U[symbol] for symbol in symbols])
    return Crystal(list(symbols), masses, np.eye(3) * edge_A, np.array(positions_A), "Li")


def rock_salt(anion="I", spacing_A=3.0):
    """Sixteen atoms: eight lithium and eight anions, as the smallest cells of labels have."""
    grid = spacing_A * np.array(np.meshgrid(*[range(2)] * 3)).reshape(3, -1).T
    sites = [(1.0 - sum(point / spacing_A) % 2, point) for point in grid]
    positions = [p for even, p in sites] + [p + 0.5 * spacing_A for even, p in sites]
    return crystal(["Li"] * 8 + [anion] * 8, positions, 2 * spacing_A)


def tetrahedra(centre, ligand, bond_A, n_mobile=8):
    """Four groups such as PS4 with lithium between them."""
    corners = bond_A / np.sqrt(3.0) * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    edge = 10.0
    centres = 0.5 * edge * np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    symbols, positions = [], []
    for place in centres:
        symbols += [centre] + [ligand] * 4
        positions += [place, *(place + corners)]
    free = (
        np.array([[2.5, 2.5, 2.5]]) + 5.0 * np.array(np.meshgrid(*[range(2)] * 3)).reshape(3, -1).T
    )
    return crystal(symbols + ["Li"] * n_mobile, [*positions, *free[:n_mobile]], edge)


def wander(rng, n_frames, n_atoms, slope):
    width = np.sqrt(slope * INTERVAL_PS / 3.0)
    return np.cumsum(rng.normal(0.0, width, (n_frames, n_atoms, 3)), axis=0)


def rattle(rng, n_frames, n_atoms, rms_A, relaxation_ps=0.5):
    """Slow, bounded motion about a place (an Ornstein-Uhlenbeck process)."""
    memory = np.exp(-INTERVAL_PS / relaxation_ps)
    noise = rng.normal(0.0, rms_A / np.sqrt(3.0), (n_frames, n_atoms, 3))
    noise[1:] *= np.sqrt(1.0 - memory**2)
    return lfilter([1.0], [1.0, -memory], noise, axis=0)


def tumble(rng, n_frames, known, rate_per_ps):
    """Positions in which each group of five atoms turns at random about its first atom."""
    frames = np.repeat(known.positions_A[None], n_frames, axis=0)
    width = np.sqrt(2.0 * rate_per_ps * INTERVAL_PS)
    for first in range(0, 20, 5):
        arms = known.positions_A[first + 1 : first + 5] - known.positions_A[first]
        turn = Rotation.identity()
        for frame in range(n_frames):
            turn = Rotation.from_rotvec(rng.normal(0.0, width, 3)) * turn
            frames[frame, first + 1 : first + 5] = known.positions_A[first] + turn.apply(arms)
    return frames


def solid(rng, length_ps, known, rms_A=0.3, slope=8.0, relaxation_ps=0.5):
    n_frames = round(length_ps / INTERVAL_PS)
    frames = known.positions_A + rattle(rng, n_frames, len(known.symbols), rms_A, relaxation_ps)
    mobile = known.is_mobile
    frames[:, mobile] += wander(rng, n_frames, mobile.sum(), slope)
    return frames


@pytest.mark.parametrize("length_ps", [3.0, 5.0, 10.0])
@pytest.mark.parametrize("rms_A", [0.3, 1.0])
def test_a_solid_with_fast_ions_never_melts(length_ps, rms_A):
    """Also where its framework rattles by a third of the distance between atoms."""
    known = rock_salt()
    for seed in range(N_SEEDS):
        frames = solid(np.random.default_rng(seed), length_ps, known, rms_A)
        assert analyse(frames, INTERVAL_PS, known).verdict != "melted", seed


@pytest.mark.parametrize(
    ("slope", "length_ps", "least"), [(1.5, 10.0, 11), (3.0, 5.0, 11), (0.5, 30.0, 11)]
)
def test_a_liquid_of_sixteen_atoms_has_melted(slope, length_ps, least):
    known = rock_salt()
    n_frames = round(length_ps / INTERVAL_PS)
    n_melted = 0
    for seed in range(N_SEEDS):
        rng = np.random.default_rng(seed)
        frames = known.positions_A + rattle(rng, n_frames, 16, 0.4)
        frames[:, known.is_mobile] += wander(rng, n_frames, 8, 6.0)
        frames[:, ~known.is_mobile] += wander(rng, n_frames, 8, slope)
        n_melted += analyse(frames, INTERVAL_PS, known).verdict == "melted"
    assert n_melted >= least


@pytest.mark.parametrize(("centre", "ligand", "bond_A"), [("P", "S", 2.05), ("B", "H", 1.22)])
@pytest.mark.parametrize("rate_per_ps", [0.1, 2.0])
def test_groups_that_turn_keep_their_centres(centre, ligand, bond_A, rate_per_ps):
    known = tetrahedra(centre, ligand, bond_A)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frames = tumble(rng, 500, known, rate_per_ps)
        frames += rattle(rng, 500, len(known.symbols), 0.3)
        frames[:, known.is_mobile] += wander(rng, 500, 8, 5.0)
        found = analyse(frames, INTERVAL_PS, known)
        assert found.verdict != "melted"
        assert found.diffusing_framework == []
        # The displacements of the ligands themselves are shown as they are.
        assert found.framework_msd_A2[ligand][-1] > found.framework_msd_A2[centre][-1]


def test_one_rearrangement_is_not_melting_and_melting_late_is():
    known = rock_salt()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frames = solid(rng, 10.0, known)
        jump = rng.normal(size=(8, 3))
        frames[300:, ~known.is_mobile] += 2.5 * jump / np.linalg.norm(jump, axis=1)[:, None]
        assert analyse(frames, INTERVAL_PS, known).verdict != "melted"
        late = solid(rng, 30.0, known)
        late[700:, ~known.is_mobile] += wander(rng, 800, 8, 3.0)
        assert analyse(late, INTERVAL_PS, known).verdict == "melted"


def test_zinc_that_diffuses_beside_lithium_is_named():
    known = tetrahedra("Zn", "I", 2.6)
    rng = np.random.default_rng(2)
    frames = solid(rng, 10.0, known)
    quiet = analyse(frames, INTERVAL_PS, known)
    assert quiet.diffusing_framework == []
    zinc = known.is_element("Zn")
    frames[:, zinc] += wander(rng, 500, 4, 3.0)
    found = analyse(frames, INTERVAL_PS, known)
    assert found.diffusing_framework == ["Zn"]
    assert found.verdict != "melted"


def test_groups_are_finite_and_ends_have_one_bond():
    known = tetrahedra("P", "S", 2.05)
    found = groups(known)
    assert [len(atoms) for atoms, _ in found] == [5] * 4
    assert all({known.symbols[i] for i in ends} == {"S"} for _, ends in found)
    # Large ions beside them bond to nothing.
    symbols = ["Cs" if symbol == "Li" else symbol for symbol in known.symbols]
    with_caesium = Crystal(
        symbols, known.masses_u, known.cell_A, 0.9 * known.positions_A, mobile="Li"
    )
    assert [len(atoms) for atoms, _ in groups(with_caesium)] == [5] * 4
    # A lattice of bonds has no groups: no atom may hide behind its neighbours.
    chain = crystal(["S", "P", "Li"], [[0, 0, 0], [2.0, 0, 0], [0, 3, 3]], 4.0)
    assert groups(chain) == []
    assert groups(crystal(["Li"], [[0, 0, 0]], 4.0)) == []
