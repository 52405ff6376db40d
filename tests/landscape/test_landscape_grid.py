"""The grid: what carries what, images of points, growth, exclusion."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from superionic.landscape.grid import Grid, carries, plain_shape, symmetric_grid
from superionic.landscape.symmetry import IDENTITY, Operation, space_group

ORIGIN = (0.0, 0.0, 0.0)

CRYSTALS = {
    "rock salt, conventional": Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    "spinel": Structure.from_spacegroup(
        "Fd-3m", Lattice.cubic(8.1), ["Li", "Al", "O"], [[1 / 8] * 3, [1 / 2] * 3, [0.262] * 3]
    ),
    "pyrite": Structure.from_spacegroup(
        "Pa-3", Lattice.cubic(5.6), ["Li", "S"], [[0, 0, 0], [0.39] * 3]
    ),
    "anatase": Structure.from_spacegroup(
        "I4_1/amd", Lattice.tetragonal(3.9, 9.6), ["Li", "O"], [[0, 0.75, 0.125], [0, 0.25, 0.17]]
    ),
    "wurtzite": Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(3.92, 6.36), ["Li", "Cl"],
        [[1 / 3, 2 / 3, 0.376], [1 / 3, 2 / 3, 0]],
    ),
    "quartz": Structure.from_spacegroup(
        "P3_121", Lattice.hexagonal(4.9, 5.4), ["Li", "O"], [[0.47, 0, 1 / 3], [0.41, 0.27, 0.21]]
    ),
}  # fmt: skip


def sites_of(structure):
    """Lithium, then the other elements."""
    kinds = sorted(structure.composition.elements, key=lambda one: (one.symbol != "Li", one.Z))
    return [
        np.array([site.frac_coords for site in structure if site.specie == one]) for one in kinds
    ]


def with_grid(structure, grid_step_A=0.5, max_growth=2.0):
    group = space_group(structure, 1e-3)
    lattice = np.array(structure.lattice.matrix)
    grid, kept = symmetric_grid(
        lattice, group.operations, group.origin, sites_of(structure), grid_step_A,
        tolerance_A=1e-3, max_growth=max_growth,
    )  # fmt: skip
    return group, grid, kept


def distances_to_grid(structure, grid):
    """Distances in A of all atoms to the grid points about them, in order."""
    corners = np.array(list(product(range(-2, 4), repeat=3)))
    found = []
    for site in structure:
        place = (site.frac_coords - grid.origin) * grid.shape
        apart = (corners - (place - np.floor(place))) / grid.shape @ grid.lattice
        found.append(np.sort(np.linalg.norm(apart, axis=1))[:8])
    return np.sort(np.concatenate(found))


def cubic_rotations():
    """The 48 signed permutation matrices."""
    return [
        np.array(signs)[:, None] * np.eye(3, dtype=np.int64)[list(order)]
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        for signs in product((1, -1), repeat=3)
    ]


shapes = st.tuples(*[st.integers(1, 7)] * 3)


class TestPlainShape:
    def test_published_rule(self):
        lattice = np.array([[3.0, 0, 0], [0, 4.01, 0], [0, 3, 4.0]])
        assert plain_shape(lattice, 0.25) == (12, 17, 20)

    def test_turning_the_lattice_does_not_change_it(self):
        from scipy.spatial.transform import Rotation

        lattice = np.diag([4.0, 5.25, 6.5])
        for rotation in Rotation.random(50, random_state=1):
            assert plain_shape(lattice @ rotation.as_matrix().T, 0.25) == (16, 21, 26)

    def test_a_step_longer_than_the_cell_leaves_one_point(self):
        assert plain_shape(np.eye(3), 30.0) == (1, 1, 1)


class TestPoints:
    def test_flat_indices_are_in_c_order(self):
        grid = Grid(np.diag([2.0, 3.0, 4.0]), (2, 3, 4), (0.5, 0.0, 0.25))
        points = grid.cartesian(np.arange(24)).reshape(2, 3, 4, 3)
        assert grid.n_points == 24
        assert points[1, 2, 3] == pytest.approx([2 * (1 / 2 + 0.5), 2.0, 4 * (3 / 4 + 0.25)])


class TestCarries:
    @pytest.mark.parametrize(
        ("rotation", "translation", "shape", "carried"),
        [
            (np.diag([1, 1, -1]), (0, 0, 0), (3, 4, 5), True),
            (np.diag([1, 1, -1]), (0, 0, 0.5), (3, 4, 5), False),  # a glide of half a cell
            (np.diag([1, 1, -1]), (0, 0, 0.5), (3, 4, 6), True),
            (np.eye(3, dtype=int)[[1, 0, 2]], (0, 0, 0), (4, 4, 5), True),  # swaps x and y
            (np.eye(3, dtype=int)[[1, 0, 2]], (0, 0, 0), (4, 5, 5), False),
            (np.array([[1, -1, 0], [0, -1, 0], [0, 0, 1]]), (0, 0, 0), (4, 4, 5), True),
            (np.array([[1, -1, 0], [0, -1, 0], [0, 0, 1]]), (0, 0, 0), (4, 2, 5), True),
            (np.array([[1, -1, 0], [0, -1, 0], [0, 0, 1]]), (0, 0, 0), (2, 4, 5), False),
        ],
    )
    def test_by_hand(self, rotation, translation, shape, carried):
        operation = Operation(rotation, np.array(translation, dtype=float))
        assert carries(operation, 5 * np.eye(3), shape, ORIGIN, 1e-6) is carried

    @given(shapes, st.integers(0, 47), st.tuples(*[st.integers(0, 11)] * 3), st.integers(0, 9**3))
    def test_means_that_every_image_is_a_point(self, shape, which, twelfths, seed):
        origin = tuple(np.random.default_rng(seed).integers(0, 4, 3) / 8)
        operation = Operation(cubic_rotations()[which], np.array(twelfths) / 12)
        grid = Grid(5 * np.eye(3), shape, origin)
        places = (operation(grid.fractional(np.arange(grid.n_points))) - origin) * shape
        on_grid = bool(np.abs(places - np.rint(places)).max() < 1e-6)
        assert carries(operation, grid.lattice, shape, origin, 1e-6) is on_grid

    def test_tolerance_is_a_distance(self):
        lattice = np.diag([10.0, 10.0, 10.0])
        operation = Operation(np.eye(3, dtype=np.int64), np.array([0.5 + 2e-4, 0, 0]))
        assert carries(operation, lattice, (20, 20, 20), ORIGIN, 3e-3)
        assert not carries(operation, lattice, (20, 20, 20), ORIGIN, 1e-3)


class TestPermutation:
    @pytest.mark.parametrize("name", CRYSTALS)
    def test_maps_each_point_onto_its_image(self, name):
        _, grid, kept = with_grid(CRYSTALS[name])
        points = grid.fractional(np.arange(grid.n_points))
        for operation in kept:
            image = grid.permutation(operation)
            assert np.array_equal(np.sort(image), np.arange(grid.n_points))
            apart = operation(points) - points[image]
            assert np.abs(apart - np.rint(apart)).max() < 1e-6

    @given(st.sampled_from(sorted(CRYSTALS)), st.integers(0, 10**6))
    @settings(max_examples=40)
    def test_is_a_homomorphism(self, name, seed):
        _, grid, kept = with_grid(CRYSTALS[name])
        rng = np.random.default_rng(seed)
        g, h = (kept[i] for i in rng.integers(len(kept), size=2))
        gh = Operation(g.rotation @ h.rotation, g(h.translation))
        assert np.array_equal(grid.permutation(gh), grid.permutation(g)[grid.permutation(h)])

    def test_identity(self):
        grid = Grid(np.eye(3), (2, 3, 4), (0.1, 0.2, 0.3))
        assert np.array_equal(grid.permutation(IDENTITY), np.arange(24))


class TestSymmetricGrid:
    @pytest.mark.parametrize("name", CRYSTALS)
    @pytest.mark.parametrize("grid_step_A", [0.25, 0.31, 0.5])
    @pytest.mark.parametrize("shift", [(0, 0, 0), (0.0317, 0.4411, 0.2)])
    def test_carries_the_whole_group_wherever_the_crystal_lies(self, name, grid_step_A, shift):
        structure = CRYSTALS[name].copy()
        structure.translate_sites(range(len(structure)), shift)
        group, grid, kept = with_grid(structure, grid_step_A)
        least = plain_shape(structure.lattice.matrix, grid_step_A)
        assert len(kept) == len(group.operations) > 4
        assert all(n >= m for n, m in zip(grid.shape, least, strict=True))
        assert grid.n_points <= 2 * np.prod(least)
        for operation in kept:
            assert carries(operation, grid.lattice, grid.shape, grid.origin, 2e-3)

    @pytest.mark.parametrize("name", CRYSTALS)
    @given(shift=st.tuples(*[st.floats(0, 1)] * 3), order=st.permutations(range(3)))
    @settings(max_examples=15, deadline=None)
    def test_goes_with_the_crystal_and_not_with_its_origin(self, name, shift, order):
        """Sites have the same places in the grid, up to whole steps."""
        structure = CRYSTALS[name]
        _, here, kept = with_grid(structure, 0.31)
        other = Structure(
            structure.lattice.matrix[list(order)],
            structure.species,
            (structure.frac_coords + shift)[:, list(order)],
        )
        _, there, kept_there = with_grid(other, 0.31)
        assert len(kept) == len(kept_there)
        assert there.shape == tuple(here.shape[k] for k in order)
        assert distances_to_grid(structure, here) == pytest.approx(
            distances_to_grid(other, there), abs=5e-3
        )

    @pytest.mark.parametrize("name", ["wurtzite", "anatase", "pyrite"])
    def test_no_smaller_grid_carries_the_group(self, name):
        group, grid, _ = with_grid(CRYSTALS[name])
        least = plain_shape(grid.lattice, 0.5)
        for shape in product(*(range(n, 2 * n) for n in least)):
            if np.prod(shape) < grid.n_points:
                for origin in ((0.0, 0.0, 0.0), group.origin):
                    assert not all(
                        carries(op, grid.lattice, shape, origin, 1e-3) for op in group.operations
                    )

    def test_a_subgroup_where_growth_is_too_dear(self):
        # A fourfold axis needs n1 = n2, and the cell's first two vectors have 10 and 20 steps.
        lattice = np.diag([5.0, 10.0, 5.0])
        fourfold = [
            Operation(np.array(r), np.zeros(3))
            for r in (
                [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
                [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
                [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
                [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
            )
        ]
        grid, kept = symmetric_grid(
            lattice, fourfold, ORIGIN, [np.zeros((1, 3))], 0.5, tolerance_A=1e-3, max_growth=1.9
        )
        assert grid.shape == (10, 20, 10)
        assert [op.rotation.tolist() for op in kept] == [
            op.rotation.tolist() for op in fourfold[:2]
        ]
        grid, kept = symmetric_grid(
            lattice, fourfold, ORIGIN, [np.zeros((1, 3))], 0.5, tolerance_A=1e-3, max_growth=2.0
        )
        assert grid.shape == (20, 20, 10)
        assert len(kept) == 4

    def test_growth_of_one_keeps_the_plain_grid(self):
        structure = CRYSTALS["wurtzite"]
        group, grid, kept = with_grid(structure, 0.25, max_growth=1.0)
        assert grid.shape == plain_shape(structure.lattice.matrix, 0.25)
        assert 1 <= len(kept) <= len(group.operations)

    def test_the_kept_operations_are_a_group(self):
        structure = CRYSTALS["spinel"].get_primitive_structure()
        skewed = structure.make_supercell([[1, 0, 0], [2, 1, 0], [0, 1, 1]], in_place=False)
        group, _, kept = with_grid(skewed, 0.5, max_growth=1.2)
        assert 1 <= len(kept) < len(group.operations)

        def key(op):
            shift = np.rint(np.mod(op.translation, 1) * 1000).astype(int) % 1000
            return (*op.rotation.ravel().tolist(), *shift.tolist())

        keys = {key(op) for op in kept}
        products = {
            key(Operation(g.rotation @ h.rotation, g(h.translation))) for g in kept for h in kept
        }
        assert products == keys


class TestExclusion:
    @given(st.integers(0, 10**6), st.floats(0.0, 3.0))
    @settings(max_examples=40)
    def test_equal_to_all_images_one_by_one(self, seed, radius_A):
        rng = np.random.default_rng(seed)
        lattice = 3 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
        grid = Grid(lattice, tuple(rng.integers(1, 8, 3).tolist()), tuple(rng.random(3).tolist()))
        positions = rng.uniform(-2, 2, (int(rng.integers(0, 4)), 3))
        points = grid.fractional(np.arange(grid.n_points))
        count = np.zeros(grid.n_points, dtype=int)
        cells = np.array(list(product(range(-6, 7), repeat=3)))
        for position in positions:
            apart = points - position
            apart -= np.floor(apart)
            d = np.linalg.norm((apart[:, None] + cells) @ lattice, axis=-1).min(axis=1)
            count += d < radius_A
        assert np.array_equal(grid.count_ions_within(positions, radius_A).ravel(), count)
        assert np.array_equal(grid.near(positions, radius_A).ravel(), count > 0)

    def test_the_comparison_is_strict(self):
        grid = Grid(4 * np.eye(3), (4, 4, 4))
        assert grid.near(np.zeros((1, 3)), 1.0).sum() == 1
        assert grid.near(np.zeros((1, 3)), 1.0 + 1e-9).sum() == 7
