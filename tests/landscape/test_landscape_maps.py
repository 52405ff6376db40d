"""What is read of one ion of an orbit, and of one point of a class, is what all of them say."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from superionic.landscape.descriptors import ConnectedWindows, Cuts, compute_descriptors
from superionic.landscape.grid import Grid, GridOperation, symmetric_grid
from superionic.landscape.maps import IonMaps, MapSymmetry
from superionic.landscape.percolation import percolate, shared_barriers
from superionic.landscape.quotient import quotient
from superionic.landscape.settings import DescriptorSettings
from superionic.landscape.stencils import step_vectors, voronoi_steps
from superionic.landscape.symmetry import site_orbits, space_group

CRYSTALS = {
    "rock salt": ("Fm-3m", Lattice.cubic(5.0), ["Li", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "hexagonal": (
        "P6/mmm", Lattice.hexagonal(3.64, 3.87), ["Li", "Li", "N"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0], [0, 0, 0]],
    ),
    "screw": (
        "P6_322", Lattice.hexagonal(4.0, 5.0), ["Li", "O"], [[0.3, 0.1, 0.05], [0, 0, 0.25]],
    ),
    "glide": ("Pnma", Lattice.orthorhombic(5, 3.1, 4), ["Li", "O"], [[0.1, 0.25, 0.2], [0, 0, 0]]),
    "diamond": ("Fd-3m", Lattice.cubic(6.0), ["Li", "Al"], [[0.125] * 3, [0.5] * 3]),
    "body": ("I-43d", Lattice.cubic(6.0), ["Li", "O"], [[0.375, 0, 0.25], [0.1, 0.1, 0.1]]),
    "oblique": ("C2/m", Lattice.monoclinic(5, 3, 4, 110), ["Li", "O"], [[0.2, 0, 0.3], [0, 0, 0]]),
}  # fmt: skip


def symmetry_of(name, repeat=(1, 1, 1), primitive=True):
    """The symmetry of the maps of a crystal's lithium ions on a coarse grid, and its lattice."""
    structure = Structure.from_spacegroup(*CRYSTALS[name])
    structure = structure.get_primitive_structure() if primitive else structure
    structure = structure.make_supercell(repeat)
    group = space_group(structure, 0.01)
    sites = structure.indices_from_symbol("Li")
    grid, operations = symmetric_grid(
        structure.lattice.matrix, group.operations, group.origin,
        [structure.frac_coords[list(sites)]], 0.75, tolerance_A=0.01, max_growth=8.0,
    )  # fmt: skip
    orbits = site_orbits(structure.lattice.matrix, structure.frac_coords, sites, operations, 0.02)
    return MapSymmetry.of_orbits(grid, orbits)


def random_maps(symmetry, seed, *, n_values=None):
    """Random maps that have the symmetry; of few values there are many equal ones."""
    rng = np.random.default_rng(seed)
    maps = []
    for fixing in symmetry.fixing:
        classes = quotient(symmetry.shape, fixing)
        values = rng.uniform(size=len(classes.points))
        if n_values:
            values = np.floor(values * n_values) / n_values
        maps.append((values - values.min())[classes.classes].reshape(symmetry.shape))
    return IonMaps(np.array(maps), symmetry)


cases = st.tuples(
    st.sampled_from(sorted(CRYSTALS)),
    st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2)]),
    st.booleans(),
    st.integers(0, 10_000),
    st.sampled_from([None, 5, 40]),
)


def one_of(case):
    name, repeat, primitive, seed, n_values = case
    return random_maps(symmetry_of(name, repeat, primitive), seed, n_values=n_values)


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_symmetry_of_these_crystals_is_used(name):
    symmetry = symmetry_of(name)
    classes = symmetry.quotient
    assert len(classes.rotations) > 3
    assert len(classes.points) < symmetry.n_points / 2.5
    wide = symmetry_of(name, (2, 2, 2)).quotient
    assert len(wide.points) < 3 * len(classes.points)


@settings(max_examples=60, deadline=None)
@given(case=cases)
def test_classes_are_the_images_of_their_points(case):
    maps = one_of(case)
    classes, shape = maps.symmetry.quotient, maps.symmetry.shape
    assert classes.sizes.sum() == maps.symmetry.n_points
    all_maps = np.stack(list(maps)).min(axis=0).ravel()
    # The shared map has the symmetry of the whole.
    np.testing.assert_array_equal(all_maps, all_maps[classes.points][classes.classes])
    for point in np.random.default_rng(0).integers(0, maps.symmetry.n_points, 20).tolist():
        at = np.array(np.unravel_index(point, shape))
        own = np.array(np.unravel_index(classes.points[classes.classes[point]], shape))
        turned = classes.rotations[classes.turned[point]] @ own
        held = [
            one
            for g in maps.symmetry.generators[0]
            for s in maps.symmetry.fixing[0]
            if np.array_equal((one := g.after(s)).matrix, classes.rotations[classes.turned[point]])
        ]
        assert any(not ((turned + one.shift - at) % shape).any() for one in held)


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_percolation_is_that_of_all_points(case):
    maps = one_of(case)
    lattice = maps.symmetry.lattice
    plain = IonMaps.unrelated(list(maps), lattice)
    steps = voronoi_steps(step_vectors(lattice, maps.symmetry.shape))
    for below in (np.inf, 0.4):
        found = percolate(maps.values, maps.symmetry, steps, below)
        expected = percolate(plain.values, plain.symmetry, steps, below)
        np.testing.assert_allclose(found.levels, expected.levels, rtol=1e-12)
        values = np.stack(list(maps)).reshape(len(maps), -1).min(axis=0)
        for level, (here, there) in zip(found.levels, found.passes.tolist(), strict=True):
            assert (here < 0) == (level == np.inf)
            if here >= 0 and there < 0:
                assert values[here] == pytest.approx(level)
            elif here >= 0:
                assert max(values[here], values[there]) < level


@settings(max_examples=60, deadline=None)
@given(case=cases)
def test_descriptors_are_those_of_all_ions(case):
    maps = one_of(case)
    lattice = maps.symmetry.lattice
    chosen = DescriptorSettings(thresholds_eV=(0.2, 0.5))
    found = compute_descriptors(maps, lattice, chosen, with_diffusivity=False)
    expected = compute_descriptors(list(maps), lattice, chosen, with_diffusivity=False)
    for name in ("mpe_per_ion_eV", "fv_connected_union", "fv_connected_sum", "xi",
                 "fv_disconnected_union", "fv_disconnected_sum"):  # fmt: skip
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)
    for name in ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"):  # read between points
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9)


def test_ions_of_one_kind_are_flooded_once():
    symmetry = symmetry_of("rock salt", (2, 2, 2))
    maps = random_maps(symmetry, 3)
    assert len(maps) == 8
    cuts = Cuts(np.array([[0.3]]))
    windows = ConnectedWindows(symmetry, cuts).unite(maps.values, symmetry.table)
    assert len({id(one) for one in windows}) < 8
    assert {leader for leader, _ in symmetry.turns} == {0}


class TestBarriersBetweenPoints:
    @pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 1, 2)])
    def test_smooth_maps_are_read_alike(self, repeat):
        """A cosine for each ion, round its own site."""
        symmetry = symmetry_of("rock salt", repeat)
        n = np.array(symmetry.shape)
        k = np.indices(symmetry.shape).reshape(3, -1)
        classes = quotient(symmetry.shape, symmetry.fixing[0])
        values = np.zeros(symmetry.n_points)
        waves = product((-1, 0, 1), repeat=3)
        for wave in waves:
            values += 0.1 * (1 - np.cos(2 * np.pi * (np.array(wave) / n) @ k))
        of_class = np.bincount(classes.classes, values) / classes.sizes
        smooth = IonMaps(of_class[classes.classes].reshape(1, *symmetry.shape), symmetry)
        found = shared_barriers(smooth, symmetry.lattice, step_A=0.4)
        expected = shared_barriers(list(smooth), symmetry.lattice, step_A=0.4)
        assert found == pytest.approx(expected, abs=1e-12)
        assert expected[2] < np.inf


@pytest.mark.parametrize("name", CRYSTALS)
def test_where_the_operations_that_fix_an_ion_are_not_known_the_numbers_are_the_same(name):
    """So it is in documents of before."""
    known = random_maps(symmetry_of(name, (2, 1, 1), False), 5)
    symmetry = replace(known.symmetry, fixing=[[] for _ in known.symmetry.fixing])
    assert len(symmetry.quotient.points) == symmetry.n_points
    found, expected = (
        compute_descriptors(one, symmetry.lattice, with_diffusivity=False)
        for one in (IonMaps(known.of_orbits, symmetry), known)
    )
    for name, value in asdict(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-12, equal_nan=True)


def test_operations_of_a_grid_compose():
    grid = Grid(np.eye(3) * 4, (4, 4, 2))
    turn = GridOperation(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1, 0, 1]))
    back = turn.after(turn.inverse)
    assert np.array_equal(back.matrix, np.eye(3))
    assert not back.shift.any()
    twice = turn.images(grid.shape)[turn.images(grid.shape)]
    np.testing.assert_array_equal(turn.after(turn).images(grid.shape), twice)
