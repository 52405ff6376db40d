"""Features of an ion's surroundings: what must not change them does not, all else does."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.special import sph_harm_y

from superionic.landscape.surroundings import (
    Surroundings,
    SurroundingsSettings,
    _harmonics,
    principal_components,
)

POINTS = np.random.default_rng(5).uniform(-8, 8, (12, 3))


def crystal() -> Structure:
    lattice = Lattice.from_parameters(4.9, 5.6, 6.3, 82, 97, 104)
    positions = np.random.default_rng(1).uniform(size=(7, 3))
    return Structure(lattice, ["Li", "Li", "Cl", "Cl", "Cl", "O", "O"], positions)


def surroundings(structure: Structure, **settings) -> Surroundings:
    kinds = ["Cl", "Li", "O"]
    species = np.array([kinds.index(site.specie.symbol) for site in structure])
    return Surroundings(
        structure.lattice.matrix,
        structure.frac_coords,
        species,
        len(kinds),
        SurroundingsSettings(**settings),
    )


def test_harmonics_are_orthonormal_and_span_those_of_scipy():
    directions = np.random.default_rng(0).normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    ours = np.empty((40, 25))
    for row, direction in zip(ours, directions, strict=True):
        _harmonics(*direction, row)
    polar = np.arccos(directions[:, 2])
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    for momentum in range(5):
        own = ours[:, momentum**2 : (momentum + 1) ** 2]
        theirs = np.stack(
            [sph_harm_y(momentum, m, polar, azimuth) for m in range(-momentum, momentum + 1)], 1
        )
        # The addition theorem: products summed over m depend on the angle alone.
        np.testing.assert_allclose(own @ own.T, (theirs @ theirs.conj().T).real, atol=1e-12)


def test_rotation_translation_and_reflection_leave_features_alone():
    structure = crystal()
    before = surroundings(structure).features(POINTS)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    shift = np.array([0.7, -3.1, 12.4])
    for matrix in (turn, -turn):
        turned = Structure(
            Lattice(structure.lattice.matrix @ matrix),
            structure.species,
            structure.cart_coords @ matrix + shift,
            coords_are_cartesian=True,
        )
        after = surroundings(turned).features(POINTS @ matrix + shift)
        np.testing.assert_allclose(after, before, rtol=2e-5, atol=1e-6)


def test_order_of_ions_and_choice_of_cell_leave_features_alone():
    structure = crystal()
    before = surroundings(structure).features(POINTS)
    permuted = Structure.from_sites([structure[i] for i in (4, 2, 6, 0, 5, 1, 3)])
    other_basis = structure.copy()
    other_basis.make_supercell([[1, 1, 0], [0, 1, 0], [-1, 0, 1]], to_unit_cell=False)
    larger = structure.copy()
    larger.make_supercell([2, 1, 2])
    for same in (permuted, other_basis, larger):
        np.testing.assert_allclose(
            surroundings(same).features(POINTS), before, rtol=2e-5, atol=1e-6
        )


def test_features_tell_species_and_distances_apart():
    structure = crystal()
    before = surroundings(structure).features(POINTS)
    swapped = structure.copy()
    swapped.replace(5, "Cl")
    moved = structure.copy()
    moved.translate_sites([3], [0.05, 0, 0])
    for other in (swapped, moved):
        assert np.abs(surroundings(other).features(POINTS) - before).max() > 1e-2


def test_features_are_smooth_where_ions_cross_the_cutoff():
    around = Surroundings(30 * np.eye(3), np.zeros((1, 3)), np.zeros(1, dtype=int), 1)
    x = np.linspace(5.9, 6.1, 2001)
    features = around.features(np.stack([x, 0 * x, 0 * x], axis=1))
    assert np.abs(np.diff(features, axis=0)).max() < 1e-5
    assert not features[-1].any()


def test_distances_are_those_to_the_nearest_ion_of_each_species():
    structure = crystal()
    found = surroundings(structure).distances(POINTS)
    for column, kind in enumerate(("Cl", "Li", "O")):
        ions = structure.frac_coords[[s.specie.symbol == kind for s in structure]]
        fractional = structure.lattice.get_fractional_coords(POINTS)
        direct = structure.lattice.get_all_distances(fractional, ions).min(axis=1)
        np.testing.assert_allclose(found[:, column], direct, atol=1e-9)


def test_principal_components_keep_distances_between_features():
    around = surroundings(crystal(), n_radial=3, l_max=2, n_components=40)
    points = np.random.default_rng(3).uniform(0, 5, (30, 3))
    features = around.features(points).astype(float)
    reduced = principal_components([around], [points])
    assert reduced.shape == (30, 29)  # differences of 30 points span no more

    def between(rows):
        return np.linalg.norm(rows[:, None] - rows[None], axis=2)

    ratio = between(features)[np.triu_indices(30, 1)] / between(reduced)[np.triu_indices(30, 1)]
    assert ratio.std() / ratio.mean() < 1e-3


def test_one_point_has_components_too():
    around = surroundings(crystal())
    assert principal_components([around], [POINTS[:1]]).shape == (1, 1)


@pytest.mark.parametrize("n_points", [3, 50])
def test_components_of_equal_points_are_equal(n_points):
    around = surroundings(crystal())
    points = np.repeat(POINTS[:1], n_points, axis=0)
    reduced = principal_components([around], [points])
    np.testing.assert_allclose(reduced, np.repeat(reduced[:1], n_points, axis=0), atol=1e-5)
