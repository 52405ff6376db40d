"""Landscapes learned from energies that are computed elsewhere, and from potentials that fail."""

import numpy as np
import pytest
from landscape_helpers import FunctionPotential, cosine_potential, pair_energies, pair_potential
from pymatgen.core import Lattice, Structure

from superionic.errors import PotentialError
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.intervals import descriptor_intervals
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.rounds import LearnedRounds
from superionic.landscape.settings import LandscapeSettings, LearnedSettings

THIRTY = LearnedSettings(max_energies=30, batch_size=4, n_draws=16)
STEP_A = 0.5
BARRIERS = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV")


def salt() -> Structure:
    """Anti-fluorite with a deep and narrow lithium sublattice."""
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.65), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    ).get_primitive_structure()


def computed(structure, potential, learned=None, prior=None, **changes):
    settings = LandscapeSettings(grid_step_A=STEP_A, learned=learned, **changes)
    return compute_landscape(structure, "Li", potential, settings, prior=prior)


def descriptors(landscape):
    return compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)


def go_on(rounds, potential, structure, n_batches=10**6):
    """Answer what is asked; return what was told."""
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms, told = AseAtomsAdaptor.get_atoms(structure), []
    while len(points := rounds.propose()) and n_batches:
        ions, positions_A = rounds.moved(points)
        energies = [
            potential.function(atoms, ion, position[None])[0]
            for ion, position in zip(ions, positions_A, strict=True)
        ]
        rounds.learn(points, np.array(energies))
        told.append((points, np.array(energies)))
        n_batches -= 1
    return told


def test_rounds_ask_for_what_one_call_asks_for():
    prior = computed(salt(), cosine_potential(0.7, 0.9, 1.1))
    settings = LandscapeSettings(grid_step_A=STEP_A, learned=THIRTY, n_symmetry_checks=0)
    whole = compute_landscape(salt(), "Li", pair_potential(), settings, prior=prior)
    rounds = LearnedRounds(salt(), "Li", settings, pair_potential().info, prior)
    go_on(rounds, pair_potential(), salt())
    found = rounds.landscape()
    assert (found.n_evaluations, found.ending) == (whole.n_evaluations, whole.ending)
    for one, other in zip(found.orbits, whole.orbits, strict=True):
        np.testing.assert_allclose(one.energies_eV, other.energies_eV, atol=1e-8)


def test_rounds_that_were_stopped_go_on_with_what_they_are_told():
    settings = LandscapeSettings(grid_step_A=STEP_A, learned=THIRTY)
    first = LearnedRounds(salt(), "Li", settings, pair_potential().info)
    told = go_on(first, pair_potential(), salt(), n_batches=2)
    again = LearnedRounds(salt(), "Li", settings, pair_potential().info)
    for points, energies in told:
        again.learn(points, energies)
    np.testing.assert_array_equal(again.propose(), first.propose())
    assert again.n_asked == first.n_asked


def test_rounds_without_any_energy_are_refused():
    settings = LandscapeSettings(grid_step_A=STEP_A, learned=THIRTY)
    rounds = LearnedRounds(salt(), "Li", settings, pair_potential().info)
    points = rounds.propose()
    with pytest.raises(PotentialError, match="no licence"):
        rounds.learn(points, np.full(len(points), np.nan), "no licence")


def test_a_potential_may_fail_or_be_noisy_where_the_symmetry_is_checked():
    calls = []

    def failing(atoms, index, positions):
        calls.append(len(positions))
        if len(calls) == 1:
            raise RuntimeError("no convergence")
        noise = np.random.default_rng(len(calls)).normal(size=len(positions))
        return pair_energies(atoms, index, positions) + 2e-3 * noise

    landscape = computed(salt(), FunctionPotential(failing), THIRTY)
    codes = [remark.code for remark in landscape.remarks]
    assert "symmetry_broken" not in codes
    assert landscape.n_operations > 1


def test_a_second_potential_that_breaks_the_symmetry_is_learned_on_the_grid_of_the_first():
    def broken(atoms, index, positions):
        fractional = np.linalg.solve(np.array(atoms.cell).T, positions.T).T
        tilt = 0.2 * np.sin(2 * np.pi * fractional[:, 0]) ** 2
        return pair_energies(atoms, index, positions) + tilt

    prior = computed(salt(), pair_potential())
    landscape = computed(salt(), FunctionPotential(broken), THIRTY, prior)
    assert "symmetry_broken" in [remark.code for remark in landscape.remarks]
    assert landscape.grid.shape == prior.grid.shape
    assert landscape.n_operations == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_potential_with_nothing_in_common_has_no_false_intervals(seed):
    """Where the first one repels, it attracts, and takes each element for another."""
    numbers = np.random.default_rng(seed).permutation(np.arange(1, 90))

    def other(atoms, index, positions):
        swapped = atoms.copy()
        swapped.numbers = numbers[atoms.numbers]
        return -1.5 * pair_energies(swapped, index, positions)

    lattice = Lattice.from_parameters(3.6, 4.1, 5.2, 88, 93, 97)
    sites = [[0.1, 0.05, 0.5], [0.52, 0.45, 0.1], [0.05, 0.5, 0.0]]
    crystal = Structure(lattice, ["Li", "Cl", "O"], sites)
    prior = computed(crystal, pair_potential())
    exact = descriptors(computed(crystal, FunctionPotential(other)))
    landscape = computed(crystal, FunctionPotential(other), THIRTY, prior, n_symmetry_checks=0)
    bounds = descriptor_intervals(landscape, descriptors(landscape))
    held = [
        bounds[name][0] - 0.03 <= getattr(exact, name) <= bounds[name][1] + 0.03
        for name in BARRIERS
    ]
    assert all(held), {name: (bounds[name], getattr(exact, name)) for name in BARRIERS}
    if landscape.ending == "budget":
        assert "not_settled" in [remark.code for remark in landscape.remarks]
