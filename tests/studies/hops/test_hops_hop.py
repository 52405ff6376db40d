"""Barriers of single hops on landscapes with known saddles, and on a real one."""

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.hops.hop import HopSettings, flood_hop, hop_barrier
from superionic.errors import InputError, NonFiniteEnergyError
from superionic.potentials.registry import load_potential

FAR = np.array([[50.0, 50.0, 50.0]])
FINE = HopSettings(grid_step_A=0.1, detour_A=1.0)


def double_well(height_eV, length_A, tilt_eV=0.0, bend_A=0.0):
    """Two minima on the x axis, the valley between them bent; curvature 2 eV/A^2 across."""

    def energies(r):
        u = r[:, 0] / length_A
        valley = height_eV * 16 * (u * (1 - u)) ** 2 + tilt_eV * (3 * u**2 - 2 * u**3)
        return valley + (r[:, 1] - bend_A * np.sin(np.pi * u)) ** 2 + r[:, 2] ** 2 - 7.0

    return energies


@settings(max_examples=30)
@given(
    height=st.floats(0.1, 2.0),
    length=st.floats(1.5, 5.0),
    tilt=st.floats(-0.05, 0.05),
    bend=st.floats(-0.8, 0.8),
)
def test_the_saddle_of_a_double_well_is_found(height, length, tilt, bend):
    energies = double_well(height, length, tilt, bend)
    found = flood_hop(energies, np.zeros(3), np.array([length, 0, 0]), FAR, FINE)
    u = np.linspace(0, 1, 2001)
    exact = (height * 16 * (u * (1 - u)) ** 2 + tilt * (3 * u**2 - 2 * u**3)).max()
    # Half a step off the valley on either axis costs 0.005 eV.
    assert found.barrier_eV == pytest.approx(exact, abs=0.02)
    assert found.reverse_barrier_eV == pytest.approx(exact - tilt, abs=0.02)
    assert found.saddle_energy_eV == pytest.approx(exact - 7.0, abs=0.02)


def test_orientation_and_start_do_not_matter():
    rng = np.random.default_rng(4)
    flat = double_well(0.6, 3.0, 0.1, 0.4)
    expected = flood_hop(flat, np.zeros(3), np.array([3.0, 0, 0]), FAR, FINE)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    start = rng.normal(size=3) * 10
    found = flood_hop(
        lambda r: flat((r - start) @ turn.T), start, np.array([3.0, 0, 0]) @ turn, FAR, FINE
    )
    assert found.barrier_eV == pytest.approx(expected.barrier_eV, abs=0.02)


def test_only_what_the_flood_meets_is_evaluated():
    low = flood_hop(double_well(0.1, 3.0), np.zeros(3), np.array([3.0, 0, 0]), FAR, FINE)
    high = flood_hop(double_well(1.0, 3.0), np.zeros(3), np.array([3.0, 0, 0]), FAR, FINE)
    assert low.n_evaluations < 0.5 * high.n_evaluations


def test_an_obstacle_on_the_way_is_walked_round():
    obstacle = np.array([[1.5, 0.0, 0.0]])
    chosen = HopSettings(grid_step_A=0.1, min_distance_A=0.5)

    def energies(r):
        return (r[:, 1] ** 2 + r[:, 2] ** 2) * 1.0

    found = flood_hop(energies, np.zeros(3), np.array([3.0, 0, 0]), obstacle, chosen)
    assert found.barrier_eV == pytest.approx(0.25, abs=0.06)
    assert np.linalg.norm(found.saddle_A - obstacle[0]) >= 0.5


def test_above_the_ceiling_there_is_no_barrier():
    low = HopSettings(ceiling_eV=0.5)
    found = flood_hop(double_well(1.0, 3.0), np.zeros(3), np.array([3.0, 0, 0]), FAR, low)
    assert found.barrier_eV == np.inf
    assert found.saddle_A is None


def test_nan_is_refused():
    with pytest.raises(NonFiniteEnergyError):
        flood_hop(lambda r: np.full(len(r), np.nan), np.zeros(3), np.array([3.0, 0, 0]), FAR, FINE)


@pytest.mark.real_potential
def test_a_vacancy_hop_in_rock_salt():
    atoms = bulk("LiCl", "rocksalt", a=5.11, cubic=True) * (2, 2, 1)
    lithium = [i for i, atom in enumerate(atoms) if atom.symbol == "Li"]
    mobile = lithium[0]
    distances = atoms.get_distances(mobile, lithium, mic=True)
    vacancy = next(i for i, d in zip(lithium, distances, strict=True) if 3.5 < d < 3.7)
    end = atoms.positions[vacancy]
    del atoms[vacancy]
    mobile -= vacancy < mobile
    potential = load_potential("chgnet")
    found = hop_barrier(atoms, mobile, end, potential)
    # By symmetry both ways are the same.
    assert found.barrier_eV == pytest.approx(found.reverse_barrier_eV, abs=0.02)
    line = [atoms.copy() for _ in range(11)]
    vector = end - atoms.positions[mobile]
    vector -= np.round(vector / atoms.cell.lengths()) * atoms.cell.lengths()
    for k, one in enumerate(line):
        one.positions[mobile] += k / 10 * vector
    straight = potential.energies(line)
    assert 0.1 < found.barrier_eV < straight.max() - straight[0]


def test_a_hop_needs_two_places():
    atoms = bulk("LiCl", "rocksalt", a=5.11)
    with pytest.raises(InputError, match="apart"):
        hop_barrier(atoms, 0, atoms.positions[0] + atoms.cell.array[1], load_potential("chgnet"))
