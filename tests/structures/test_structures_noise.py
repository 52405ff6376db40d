"""Noise hides the symmetry of a crystal; averages over what nearly holds give it back."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from superionic.structures.cells import space_group
from superionic.structures.noise import TOLERANCES_A, is_noisy, symmetric_crystals


def antifluorite() -> Structure:
    sites = [[0, 0, 0], [0.25, 0.25, 0.25]]
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.71), ["S", "Li"], sites)


def rattled(crystal: Structure, deviation_A: float, seed: int = 0) -> Structure:
    noise_A = np.random.default_rng(seed).normal(0, deviation_A, (len(crystal), 3))
    moved = crystal.cart_coords + noise_A
    return Structure(crystal.lattice, crystal.species, moved, coords_are_cartesian=True)


def without_symmetry() -> Structure:
    """Return a triclinic crystal that has no symmetry within any tolerance in use."""
    lattice = Lattice.from_parameters(4.1, 5.3, 6.7, 77, 84, 98)
    sites = [[0, 0, 0], [0.31, 0.17, 0.62], [0.57, 0.71, 0.23], [0.83, 0.42, 0.88]]
    return Structure(lattice, ["Li", "Li", "O", "S"], sites)


@pytest.mark.parametrize("deviation_A", [0.003, 0.01, 0.02])
def test_a_rattled_crystal_gets_its_symmetry_back(deviation_A):
    crystal = antifluorite()
    noisy = rattled(crystal, deviation_A)
    best = symmetric_crystals(noisy)[0]
    assert (best.number, best.symbol) == (225, "Fm-3m")
    assert space_group(best.structure, 1e-4).number == 225
    assert 0 < best.largest_move_A < best.tolerance_A <= max(TOLERANCES_A)
    moves = best.structure.frac_coords - noisy.frac_coords
    moves -= np.rint(moves)
    largest_A = np.linalg.norm(moves @ noisy.lattice.matrix, axis=1).max()
    assert largest_A == pytest.approx(best.largest_move_A, abs=1e-9)
    assert best.structure.lattice == crystal.lattice


def test_a_cell_with_noise_is_averaged_too_and_keeps_its_orientation():
    crystal = antifluorite()
    stretch = np.eye(3) + np.random.default_rng(1).normal(0, 0.002, (3, 3))
    noisy = Structure(crystal.lattice.matrix @ stretch, crystal.species, crystal.frac_coords)
    best = symmetric_crystals(rattled(noisy, 0.005))[0]
    assert best.number == 225
    assert np.ptp(best.structure.lattice.abc) < 1e-6
    np.testing.assert_allclose(
        best.structure.lattice.matrix, noisy.lattice.matrix, atol=0.01 * crystal.lattice.a
    )


def test_nothing_moves_farther_than_the_tolerance():
    assert all(
        one.largest_move_A <= one.tolerance_A
        for seed in range(5)
        for one in symmetric_crystals(rattled(antifluorite(), 0.08, seed))
    )
    assert symmetric_crystals(rattled(antifluorite(), 0.05), [0.02]) == []


def test_noisy_are_crystals_without_symmetry_that_nearly_have_one():
    crystal = antifluorite()
    assert not is_noisy(crystal)
    assert is_noisy(rattled(crystal, 0.02))
    assert is_noisy(rattled(crystal, 0.1))
    assert not is_noisy(without_symmetry())
    assert symmetric_crystals(without_symmetry()) == []
    sheared = crystal.copy()
    sheared.translate_sites([4], [0.0, 0.0, 0.05], frac_coords=False)
    assert not is_noisy(sheared)  # it has some symmetry: that of a distortion
    disordered = rattled(crystal, 0.02)
    disordered[4] = {"Li": 0.5, "Na": 0.5}
    assert not is_noisy(disordered)
