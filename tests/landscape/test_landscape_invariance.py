"""Descriptors do not depend on how a crystal is written down, or only as far as the grid does.

Exact (to rounding) under whatever maps the grid onto a grid of the same points: translation by grid
steps, rotation, order of the atoms. A choice of the origin or of the cell that moves the grid
against the crystal samples other points of the same energies: descriptors then agree within the
discretisation, and the tolerances below are those of the step used.

The published connected free volume of the union of several ions is the exception: it shifts each
ion's window by its minimum's place in the cell, so that which periodic image of a minimum lies in
the cell, and with it the overlap of the windows, depends on the origin. Its sum over ions does not.
"""

from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from landscape_helpers import pair_potential
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings

DEPENDS_ON_THE_ORIGIN = ("fv_connected_union", "xi")

CRYSTALS = {
    "triclinic": Structure(
        Lattice.from_parameters(4.1, 4.7, 5.2, 82, 95, 104), ["Li", "Li", "O"],
        [[0, 0, 0], [0.45, 0.5, 0.52], [0.2, 0.6, 0.1]],
    ),
    "monoclinic": Structure.from_spacegroup(
        "P2_1/c", Lattice.monoclinic(4.2, 5.1, 5.8, 107), ["Li", "S"],
        [[0.1, 0.2, 0.25], [0.61, 0.33, 0.4]],
    ),
    "tetragonal": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(5.0, 3.4), ["Li", "O"], [[0, 0, 0], [0.3, 0.3, 0]]
    ),
    "hexagonal": Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(3.92, 6.36), ["Li", "Cl"],
        [[1 / 3, 2 / 3, 0.376], [1 / 3, 2 / 3, 0]],
    ),
}  # fmt: skip

LONE_ION = Structure(
    Lattice.from_parameters(4.1, 4.7, 5.2, 82, 95, 104), ["Li", "S", "O"],
    [[0.45, 0.5, 0.52], [0.05, 0.1, 0], [0.2, 0.6, 0.1]],
)  # fmt: skip


def describe(structure, grid_step_A=0.4, symmetry=False):
    settings = LandscapeSettings(grid_step_A=grid_step_A, symmetry=symmetry)
    landscape = compute_landscape(structure, "Li", pair_potential(), settings)
    maps = (energies for _, energies in landscape.maps())
    return landscape, asdict(compute_descriptors(maps, landscape.grid.lattice))


def assert_equal(one, other, leave_out=(), abs=1e-9):
    for name, value in one.items():
        if name == "mpe_per_ion_eV":  # follows the order of the ions
            assert sorted(value) == pytest.approx(sorted(other[name]), abs=abs)
        elif name not in leave_out:
            assert value == pytest.approx(other[name], abs=abs), name


@pytest.mark.parametrize("name", CRYSTALS)
class TestExact:
    @pytest.mark.parametrize("steps", [(1, 0, 0), (0, 3, -2), (7, 5, 11)])
    def test_translation_by_grid_steps(self, name, steps):
        structure = CRYSTALS[name]
        landscape, here = describe(structure)
        moved = structure.copy()
        moved.translate_sites(range(len(moved)), np.array(steps) / landscape.grid.shape)
        elsewhere, there = describe(moved)
        for (_, one), (_, other) in zip(landscape.maps(), elsewhere.maps(), strict=True):
            assert np.roll(one, steps, axis=(0, 1, 2)) == pytest.approx(other, abs=1e-9)
        assert_equal(here, there, leave_out=DEPENDS_ON_THE_ORIGIN)

    @pytest.mark.parametrize("symmetry", [True, False])
    def test_rotation_and_reflection(self, name, symmetry):
        structure = CRYSTALS[name]
        _, here = describe(structure, symmetry=symmetry)
        for sign, rotation in zip((1, -1), Rotation.random(2, random_state=5), strict=True):
            turned = Structure(
                sign * structure.lattice.matrix @ rotation.as_matrix().T,
                structure.species,
                structure.frac_coords,
            )
            _, there = describe(turned, symmetry=symmetry)
            assert_equal(here, there)

    @pytest.mark.parametrize("symmetry", [True, False])
    def test_order_of_the_atoms(self, name, symmetry):
        structure = CRYSTALS[name]
        _, here = describe(structure, symmetry=symmetry)
        order = np.random.default_rng(2).permutation(len(structure))
        shuffled = Structure.from_sites([structure[i] for i in order])
        _, there = describe(shuffled, symmetry=symmetry)
        assert_equal(here, there)

    def test_periodic_images_of_the_atoms(self, name):
        structure = CRYSTALS[name]
        _, here = describe(structure)
        cells = np.random.default_rng(3).integers(-2, 3, (len(structure), 3))
        images = Structure(
            structure.lattice, structure.species, structure.frac_coords + cells,
            to_unit_cell=False,
        )  # fmt: skip
        _, there = describe(images)
        assert_equal(here, there)

    def test_renamed_axes(self, name):
        structure = CRYSTALS[name]
        _, here = describe(structure)
        order = [2, 0, 1]
        renamed = Structure(
            structure.lattice.matrix[order], structure.species, structure.frac_coords[:, order]
        )
        _, there = describe(renamed)
        assert_equal(here, there)


class TestConnectedUnion:
    @pytest.mark.parametrize("steps", [(1, 0, 0), (4, 5, 6)])
    def test_of_a_single_ion_is_exact(self, steps):
        landscape, here = describe(LONE_ION)
        moved = LONE_ION.copy()
        moved.translate_sites(range(len(moved)), np.array(steps) / landscape.grid.shape)
        _, there = describe(moved)
        assert_equal(here, there)
        assert here["fv_connected_union"] == here["fv_connected_sum"]


class TestSymmetricGridFollowsTheCrystal:
    """Its origin is that of the crystal's own standard setting, wherever the crystal lies."""

    @pytest.mark.parametrize("name", ["monoclinic", "tetragonal"])
    def test_any_translation(self, name):
        structure = CRYSTALS[name]
        _, here = describe(structure, symmetry=True)
        moved = structure.copy()
        moved.translate_sites(range(len(moved)), [0.0123, 0.3717, 0.2211])
        elsewhere, there = describe(moved, symmetry=True)
        assert max(elsewhere.grid.origin) > 0
        assert_equal(here, there, leave_out=DEPENDS_ON_THE_ORIGIN, abs=1e-6)


@cache
def fine(name):
    return describe(CRYSTALS[name], 0.15)[1]


class TestWithinTheDiscretisation:
    """At a step of 0.15 A; the barriers of these crystals are 0.05 to 0.3 eV.

    Free volumes are compared up to 0.5 eV: further up, where a threshold comes near the largest
    evaluated energy, the excluded spheres, which hold that energy, count all or not at all.
    """

    def assert_close(self, here, there, names):
        for name in names:
            assert there[name] == pytest.approx(here[name], abs=0.01), name
        assert here["thresholds_eV"][4] == 0.5
        for name in ("fv_disconnected_union", "fv_disconnected_sum"):
            assert max(here[name][:5]) > 0.3
            assert there[name][:5] == pytest.approx(here[name][:5], abs=0.015), name

    @pytest.mark.parametrize("name", CRYSTALS)
    def test_any_translation(self, name):
        moved = CRYSTALS[name].copy()
        moved.translate_sites(range(len(moved)), [0.0123, 0.3717, 0.2211])
        _, there = describe(moved, 0.15)
        names = ("mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")
        self.assert_close(fine(name), there, names)

    @pytest.mark.parametrize("name", CRYSTALS)
    @pytest.mark.parametrize(
        "change", [[[1, 0, 0], [1, 1, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 1], [1, 0, 0]]]
    )
    def test_another_primitive_cell(self, name, change):
        """The published barrier is left out: the faces of its window are those of the cell."""
        other = CRYSTALS[name].make_supercell(change, in_place=False)
        assert len(other) == len(CRYSTALS[name])
        _, there = describe(other, 0.15)
        names = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")
        self.assert_close(fine(name), there, names)
