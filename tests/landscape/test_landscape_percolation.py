"""Levels, percolation barriers and paths against brute force and against analytic landscapes."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from landscape_helpers import allowed_steps, brute_force_levels, lowest_on_a_face
from numpy.typing import NDArray

from superionic.errors import LandscapeError
from superionic.landscape.descriptors import ConnectedWindows, Cuts
from superionic.landscape.levels import (
    TIE_eV,
    lowest_face,
    minimum_index,
    minimum_percolation_energy,
    neighbour_offsets,
)
from superionic.landscape.maps import IonMaps
from superionic.landscape.percolation import (
    crossing,
    percolate,
    percolation_barriers,
    percolation_path,
    shared_barriers,
)
from superionic.landscape.stencils import step_vectors, voronoi_steps

CUBIC = np.diag([5.0, 5.0, 5.0])


def touching_steps(lattice, shape):
    """Steps to points whose Voronoi cells touch, or all but, straight from their definition."""
    vectors = np.asarray(lattice) / np.array(shape)[:, None]
    some = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(some @ vectors, axis=1)
    steps = []
    for kind in np.ndindex(2, 2, 2):
        own = np.all(some % 2 == kind, axis=1)
        if any(kind):
            steps += some[own & (lengths < lengths[own].min() * (1 + 5e-3))].tolist()
    return steps


def brute_force_rank(inside, steps):
    """Largest rank of the lattice translations of any cluster, by walking over all of its bonds."""
    n = inside.shape
    cells: dict[tuple[int, ...], NDArray] = {}
    best = 0
    for seed in map(tuple, np.argwhere(inside).tolist()):
        if seed in cells:
            continue
        cells[seed] = np.zeros(3, dtype=int)
        translations = [np.zeros(3, dtype=int)]
        todo = [seed]
        while todo:
            point = todo.pop()
            for step in steps:
                there = np.add(point, step)
                neighbour, cell = tuple((there % n).tolist()), cells[point] + there // n
                if not inside[neighbour]:
                    continue
                if neighbour in cells:
                    translations.append(cell - cells[neighbour])
                else:
                    cells[neighbour] = cell
                    todo.append(neighbour)
        best = max(best, int(np.linalg.matrix_rank(np.array(translations))))
    return best


def brute_force_barriers(energies, lattice):
    barriers = [np.inf] * 3
    steps = touching_steps(lattice, energies.shape)
    for energy in sorted(set(energies[np.isfinite(energies)].tolist()), reverse=True):
        for k in range(brute_force_rank(energies <= energy, steps)):
            barriers[k] = energy - energies.min()
    return tuple(barriers)


@st.composite
def landscapes(draw, largest=5):
    """Small random maps, smooth or with many equal energies or walls, on skewed lattices."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = tuple(draw(st.tuples(*[st.integers(1, largest)] * 3)))
    kind = draw(st.sampled_from(["continuous", "ties", "walls"]))
    energies = rng.normal(size=shape) if kind == "continuous" else rng.integers(0, 4, shape) / 4
    if kind == "walls":
        lowest = np.unravel_index(np.argmin(energies), shape)
        walls = rng.random(shape) < 0.5
        walls[lowest] = False
        energies = np.where(walls, np.inf, energies)
    skew = draw(st.sampled_from([0.0, 0.3, 0.9]))
    lattice = np.diag(rng.uniform(2, 6, 3)) + skew * np.tril(rng.uniform(-4, 4, (3, 3)), -1)
    return energies, lattice


def cosine_landscape(shape, amplitudes):
    """Sum of A/2 (1 - cos 2 pi x): the barrier along axis k is A_k."""
    fractions = np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij")
    return sum(
        a / 2 * (1 - np.cos(2 * np.pi * x)) for a, x in zip(amplitudes, fractions, strict=True)
    )


class TestNeighbourOffsets:
    def test_right_angles_allow_all_26(self):
        assert len(neighbour_offsets(np.diag([3.1, 4.7, 9.3]), (12, 19, 38))) == 26

    def test_rounding_of_a_rotated_cell_changes_nothing(self):
        rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
        assert len(neighbour_offsets(np.diag([3.1, 4.7, 9.3]) @ rotation, (12, 19, 38))) == 26

    def test_hexagonal_cell_drops_the_long_diagonal(self):
        # |a1 - a2| = sqrt(3) a, longer than sqrt(2 a^2 + c^2) where c < a.
        lattice = np.array([[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, 0.9]])
        offsets = neighbour_offsets(lattice, (1, 1, 1))
        assert len(offsets) == 20
        assert not any(o[0] * o[1] == -1 for o in offsets)

    def test_steps_scale_with_the_grid(self):
        # Points 0.25 A apart along each axis whatever the cell's own shape.
        lattice = np.diag([1.0, 10.0, 3.0])
        assert len(neighbour_offsets(lattice, (4, 40, 12))) == 26

    @given(landscapes())
    @settings(max_examples=50, deadline=None)
    def test_matches_the_definition_and_is_closed_under_inversion(self, landscape):
        energies, lattice = landscape
        offsets = {tuple(o) for o in neighbour_offsets(lattice, energies.shape).tolist()}
        assert offsets == set(allowed_steps(lattice, energies.shape))
        assert offsets == {tuple(-x for x in o) for o in offsets}


class TestPercolationEnergy:
    @given(landscapes())
    @settings(max_examples=80, deadline=None)
    def test_percolation_energy_is_the_lowest_level_on_a_face(self, landscape):
        energies, lattice = landscape
        expected = lowest_on_a_face(brute_force_levels(energies, lattice))
        assert minimum_percolation_energy(energies, lattice) == expected

    @pytest.mark.parametrize("amplitudes", permutations((0.3, 0.7, 1.1)))
    def test_cosine_barrier(self, amplitudes):
        energies = cosine_landscape((8, 12, 10), amplitudes)
        assert minimum_percolation_energy(energies, CUBIC) == pytest.approx(0.3, abs=1e-12)

    def test_energies_keep_their_zero(self):
        energies = cosine_landscape((6, 6, 6), (1.0, 2.0, 3.0))
        expected = minimum_percolation_energy(energies, CUBIC) - 17.5
        assert minimum_percolation_energy(energies - 17.5, CUBIC) == pytest.approx(expected)

    @given(landscapes(), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))
    @settings(max_examples=40, deadline=None)
    def test_origin_does_not_matter(self, landscape, i, j, k):
        energies, lattice = landscape
        # Apart from each other by more than what counts as a tie of minima.
        energies = energies + 2e-4 * np.arange(energies.size).reshape(energies.shape)
        assume((energies <= energies.min() + TIE_eV).sum() == 1)
        moved = np.roll(energies, (i, j, k), axis=(0, 1, 2))
        expected = minimum_percolation_energy(energies, lattice)
        assert minimum_percolation_energy(moved, lattice) == expected

    def test_minima_equal_within_rounding_share_one_centre(self):
        energies = cosine_landscape((6, 6, 6), (1.0, 2.0, 3.0))
        energies[3, 3, 3] = energies[0, 0, 0] - 1e-6
        assert minimum_index(energies) == (0, 0, 0)
        energies[3, 3, 3] = energies[0, 0, 0] - 1e-3
        assert minimum_index(energies) == (3, 3, 3)

    @pytest.mark.parametrize(
        "energies",
        [
            np.zeros((3, 3)),
            np.zeros((3, 0, 3)),
            np.full((2, 2, 2), np.inf),
            np.array([[[0.0, np.nan]]]),
            np.array([[[0.0, -np.inf]]]),
        ],
    )
    @pytest.mark.parametrize(
        "function",
        [minimum_percolation_energy, percolation_barriers, percolation_path],
    )
    def test_bad_maps_are_refused(self, function, energies):
        with pytest.raises(LandscapeError, match=r"\d"):
            function(energies, CUBIC)


class TestBarriers:
    @given(landscapes(largest=4))
    @settings(max_examples=60, deadline=None)
    def test_equal_to_brute_force(self, landscape):
        energies, lattice = landscape
        assert percolation_barriers(energies, lattice) == brute_force_barriers(energies, lattice)

    @pytest.mark.parametrize("amplitudes", permutations((0.3, 0.7, 1.1)))
    def test_cosine_barriers(self, amplitudes):
        barriers = percolation_barriers(cosine_landscape((8, 12, 10), amplitudes), CUBIC)
        assert barriers == pytest.approx((0.3, 0.7, 1.1), abs=1e-12)

    def test_layers_percolate_in_two_dimensions_first(self):
        energies = cosine_landscape((8, 8, 8), (0.2, 0.2, 3.0))
        one, two, three = percolation_barriers(energies, CUBIC)
        assert one == pytest.approx(0.2)
        assert two == pytest.approx(0.2)
        assert three == pytest.approx(3.0)

    def test_a_channel_percolates_in_one_dimension_only(self):
        energies = np.full((6, 6, 6), np.inf)
        energies[2, 3, :] = [0.0, 0.1, 0.4, 0.2, 0.3, 0.1]
        assert percolation_barriers(energies, CUBIC) == (0.4, np.inf, np.inf)

    def test_a_diagonal_channel_counts_once(self):
        energies = np.full((6, 6, 6), np.inf)
        energies[range(6), range(6), 2] = 0.5
        energies[0, 0, 2] = 0.0
        assert percolation_barriers(energies, CUBIC) == (0.5, np.inf, np.inf)

    def test_a_channel_that_closes_after_two_cells_percolates(self):
        # A step sideways in each cell: the loop closes along (2, 1, 0) only.
        energies = np.full((4, 8, 4), np.inf)
        for i in range(8):
            energies[i % 4, i, 0] = 0.1
        energies[0, 0, 0] = 0.0
        assert percolation_barriers(energies, CUBIC) == (0.1, np.inf, np.inf)

    @pytest.mark.parametrize("order", permutations(range(3)))
    def test_separate_channels_add_up_once_they_are_joined(self, order):
        energies = np.full((6, 9, 6), np.inf)  # of different lengths: either may be the larger
        energies[:, 0, 0] = 0.0
        energies[3, :, 3] = 0.2
        turned = energies.transpose(order)
        assert percolation_barriers(turned, CUBIC) == (0.0, np.inf, np.inf)
        energies[3, 0, 1:3] = 0.7
        assert percolation_barriers(turned, CUBIC) == (0.0, 0.7, np.inf)
        energies[3, 0, 4:] = 0.9
        assert percolation_barriers(turned, CUBIC) == (0.0, 0.7, 0.9)

    def test_isolated_pocket_does_not_percolate(self):
        energies = np.full((4, 4, 4), np.inf)
        energies[1:3, 1:3, 1:3] = 0.0
        assert percolation_barriers(energies, CUBIC) == (np.inf,) * 3

    @given(landscapes(largest=4))
    @settings(max_examples=30, deadline=None)
    def test_invariant_under_origin_zero_axes_and_cell_doubling(self, landscape):
        energies, lattice = landscape
        expected = percolation_barriers(energies, lattice)
        assert expected[0] <= expected[1] <= expected[2]
        assert percolation_barriers(np.roll(energies, (1, 2, 1), (0, 1, 2)), lattice) == expected
        for order in permutations(range(3)):
            assert percolation_barriers(energies.transpose(order), lattice[list(order)]) == expected
        for axis in range(3):
            times = np.where(np.arange(3) == axis, 2, 1)
            assert percolation_barriers(np.tile(energies, times), lattice * times[:, None]) == (
                expected
            )
        np.testing.assert_allclose(percolation_barriers(energies - 3.0, lattice), expected)

    def test_a_dead_end_behind_a_face_is_no_percolation(self):
        """The published barrier counts it: the ion has moved by a lattice vector, once."""
        energies = np.full((6, 7, 3), np.inf)
        energies[[0, 1, 2, 3, 4, 5, 0], [0, 1, 2, 3, 3, 3, 3], 0] = 0.1
        energies[0, 0, 0] = 0.0
        assert minimum_percolation_energy(energies, CUBIC) == 0.1
        assert percolation_barriers(energies, CUBIC) == (np.inf,) * 3


class TestPath:
    @given(landscapes())
    @settings(max_examples=60, deadline=None)
    def test_is_a_path_from_the_minimum_to_a_face(self, landscape):
        energies, lattice = landscape
        shape = np.array(energies.shape)
        barrier = minimum_percolation_energy(energies, lattice)
        if barrier == np.inf:
            with pytest.raises(LandscapeError):
                percolation_path(energies, lattice)
            return
        path = percolation_path(energies, lattice)
        points = np.rint(path.fractional * shape).astype(int)
        np.testing.assert_allclose(points / shape, path.fractional, atol=1e-12)
        minimum = np.unravel_index(np.argmin(energies), energies.shape)
        np.testing.assert_array_equal(points[0], minimum)
        moved = np.abs(points - points[0])
        assert np.any(moved[-1] == shape)
        assert not np.any(moved[:-1] == shape)
        steps = allowed_steps(lattice, energies.shape)
        assert all(tuple(s) in steps for s in np.diff(points, axis=0).tolist())
        np.testing.assert_array_equal(path.energies_eV, energies[tuple((points % shape).T)])
        assert path.energies_eV.max() == path.highest_eV == barrier
        lengths = np.linalg.norm(np.diff(path.fractional, axis=0) @ lattice, axis=1)
        np.testing.assert_allclose(np.diff(path.distances_A), lengths)
        assert path.length_A == pytest.approx(lengths.sum())

    def test_keeps_to_the_valley(self):
        energies = cosine_landscape((8, 8, 8), (0.5, 2.0, 2.0))
        path = percolation_path(energies, CUBIC)
        np.testing.assert_allclose(path.fractional[:, 1:], 0, atol=1e-12)
        assert path.length_A == pytest.approx(5.0)

    def test_prefers_a_detour_through_a_valley_to_a_plateau_below_the_barrier(self):
        energies = np.full((8, 12, 12), 0.9)
        energies[[0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 3, 2, 1, 0], 0] = 0.0
        energies[7] = 1.0
        energies[:, 6] = energies[:, :, 6] = 2.0
        path = percolation_path(energies, np.diag([4.0, 6.0, 6.0]))
        assert sorted(path.energies_eV.tolist(), reverse=True)[:2] == [1.0, 0.0]
        assert path.highest_eV == 1.0

    def test_is_straight_where_the_landscape_is_flat(self):
        path = percolation_path(np.zeros((4, 5, 6)), np.diag([2.0, 3.0, 4.0]))
        assert path.length_A == pytest.approx(2.0)

    def test_no_warnings(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            percolation_path(np.zeros((1, 1, 1)), CUBIC)


def connected_window(energies, levels):
    """Fold opposite faces onto each other, one axis after the other, and shift by the minimum."""
    for axis in range(3):
        along = np.moveaxis(levels, axis, 0)
        first = np.minimum(along[:1], along[-1:])
        levels = np.moveaxis(np.concatenate([first, along[1:-1]]), 0, axis)
    return np.roll(levels, minimum_index(energies), axis=(0, 1, 2))


@pytest.mark.parametrize("seed", range(8))
def test_windows_that_are_not_laid_out_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 9, size=3).tolist())
    lattice = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    steps = neighbour_offsets(lattice, shape)
    cuts = Cuts(rng.uniform(0.05, 0.9, size=(3, 2)))
    maps = rng.uniform(size=(3, *shape))
    maps -= maps.min(axis=(1, 2, 3), keepdims=True)
    ions = IonMaps.unrelated(maps, lattice)
    windows = ConnectedWindows(ions.symmetry, cuts)
    found = windows.unite(ions.values, ions.symmetry.table)
    union = np.full([2 * n for n in shape], np.inf)
    for energies, own in zip(maps, found, strict=True):
        levels = brute_force_levels(energies, lattice)
        exact = lowest_on_a_face(levels)
        assert lowest_face(energies, minimum_index(energies), steps) == exact
        assert lowest_face(energies, minimum_index(energies), steps, exact) == np.inf
        assert own.below_eV == min([*cuts.ascending_eV[cuts.ascending_eV > exact], np.inf])
        window = connected_window(energies, levels)
        np.testing.assert_array_equal(own.fractions, cuts.fractions(cuts.counts(window)))
        union = np.minimum(union, window)
    np.testing.assert_array_equal(windows.counts, cuts.counts(union))


def random_maps(seed):
    """Some maps on a small grid, and its lattice."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(2, 7, size=3).tolist())
    lattice = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    maps = np.round(rng.uniform(size=(rng.integers(1, 5), *shape)), 2)
    return maps, lattice


def along(maps, here, there, n=400):
    """The smallest of maps at points between two, each linear between them."""
    part = np.linspace(0, 1, n + 1)[:, None]
    flat = maps.reshape(len(maps), -1)
    return ((1 - part) * flat[:, here] + part * flat[:, there]).min(axis=1)


@pytest.mark.parametrize("seed", range(20))
def test_maps_cross_where_the_smallest_of_them_is_largest(seed):
    flat = np.random.default_rng(seed).uniform(size=(1 + seed % 5, 2))
    table = np.arange(flat.size, dtype=np.int32).reshape(flat.shape)
    level, at, rising, falling = crossing(flat.ravel(), table, int(np.argmin(flat[:, 0])), 0, 1)
    assert level == pytest.approx(along(flat, 0, 1).max(), abs=5e-3)
    for one in (rising, falling):
        assert (1 - at) * flat[one, 0] + at * flat[one, 1] == pytest.approx(level)


@pytest.mark.parametrize("seed", range(12))
def test_several_maps_percolate_as_on_points_and_links(seed):
    """Every link as a point of its own, with its largest value, in plain union of sets."""
    maps, lattice = random_maps(seed)
    shape = maps.shape[1:]
    steps = voronoi_steps(step_vectors(lattice, shape))
    shared = maps.min(axis=0).ravel()
    ions = IonMaps.unrelated(maps, lattice)
    found = percolate(ions.values, ions.symmetry, steps)
    ends = np.stack(np.unravel_index(np.arange(shared.size), shape), axis=1)
    links = []
    for step in steps:
        there = ends + step
        for here, (to, cell) in enumerate(
            zip(np.ravel_multi_index((there % shape).T, shape), there // shape, strict=True)
        ):
            level = max(shared[here], shared[to], along(maps, here, to).max())
            links.append((level, here, int(to), cell))
    for level, (here, there) in zip(found.levels, found.passes.tolist(), strict=True):
        at_pass = shared[here] if there < 0 else along(maps, here, there).max()
        assert at_pass == pytest.approx(level, abs=5e-3)
    for rank, level in enumerate(found.levels):
        for margin, expected in ((-0.01, False), (0.01, True)):
            open_ = [link for link in links if link[0] <= level + margin]
            assert (rank_of_links(open_, shared.size) > rank) == expected


def rank_of_links(links, size):
    """Largest rank of the translations of any cluster that links make."""
    near = [[] for _ in range(size)]
    for _, here, to, cell in links:
        near[here].append((to, cell))
    cells: dict[int, NDArray] = {}
    best = 0
    for seed in range(size):
        if seed in cells:
            continue
        cells[seed], todo, loops = np.zeros(3, dtype=int), [seed], [np.zeros(3, dtype=int)]
        while todo:
            point = todo.pop()
            for to, cell in near[point]:
                if to in cells:
                    loops.append(cells[point] + cell - cells[to])
                else:
                    cells[to] = cells[point] + cell
                    todo.append(to)
        best = max(best, int(np.linalg.matrix_rank(np.array(loops))))
    return best


class TestSharedMap:
    """Two ions in wells that overlap, with the ridge of their maps between grid points."""

    @staticmethod
    def wells(n, centres=(0.0, 0.5)):
        """Steep wells at two places along a channel, walls round it."""
        x, y, z = np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij")
        wall = 2 * (2 - np.cos(2 * np.pi * y) - np.cos(2 * np.pi * z))
        return [3 * np.sin(np.pi * (x - c)) ** 2 * np.exp(wall) + wall for c in centres]

    @pytest.mark.parametrize("n", [10, 12, 14, 18, 22])
    def test_the_ridge_between_two_ions_is_found_on_any_grid(self, n):
        """It is at 3 sin^2(pi/4) = 1.5 eV, and a quarter lies on no grid but every fourth."""
        one, _, _ = shared_barriers(self.wells(n), CUBIC, step_A=0.3)
        assert one == pytest.approx(1.5, abs=0.02)

    def test_points_alone_miss_it(self):
        shared = np.minimum(*self.wells(10))
        assert percolation_barriers(shared, CUBIC)[0] < 1.2

    def test_one_map_of_one_ion_is_read_as_it_is_on_its_grid(self):
        energies = cosine_landscape((8, 12, 10), (0.3, 0.7, 1.1))
        for step_A in (np.inf, 0.2):
            found = shared_barriers([energies], CUBIC, step_A=step_A)
            assert found == pytest.approx((0.3, 0.7, 1.1), abs=1e-3)

    def test_walls_stay_closed_and_what_is_above_the_ceiling_is_read_on_the_grid(self):
        energies = cosine_landscape((8, 8, 8), (0.3, 30.0, 0.7))
        energies[:, :, 4] = np.inf
        found = shared_barriers([energies], CUBIC, step_A=0.4)
        assert found == pytest.approx((0.3, 30.0, np.inf), rel=1e-4)
