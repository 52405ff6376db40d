"""Sites and passes of maps that are known."""

import numpy as np
import pytest

from studies.kinetic_monte_carlo.sites import site_network
from superionic.errors import LandscapeError
from superionic.landscape.percolation import shared_barriers


def points(shape):
    return np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), axis=-1)


def wells(shape, lattice, centres, depths, stiffness=2.0):
    """Return parabolas about centres, the lowest at each point, in the periodic cell."""
    found = np.full(shape, np.inf)
    for centre, depth in zip(centres, depths, strict=True):
        for image in np.ndindex(3, 3, 3):
            away = (points(shape) - centre - (np.array(image) - 1)) @ lattice
            found = np.minimum(found, depth + stiffness * np.square(away).sum(axis=-1) / 2)
    return found


def test_a_wave_has_one_site_and_passes_to_its_images():
    shape, lattice = (12, 14, 16), np.diag([3.0, 3.5, 4.0])
    heights = np.array([0.6, 1.0, 0.8])
    map_ = (heights * (1 - np.cos(2 * np.pi * (points(shape) - 0.25))) / 2).sum(axis=-1)
    network = site_network([map_], lattice, [[0.25, 0.25, 0.25]])
    assert network.occupied.tolist() == [True]
    np.testing.assert_allclose(network.positions_A, [np.diag(lattice) / 4], atol=0.13)
    levels = {
        tuple(cell): level for cell, level in zip(network.cells, network.passes_eV, strict=True)
    }
    for axis, height in enumerate(heights):
        assert levels[tuple(np.eye(3, dtype=int)[axis])] == pytest.approx(height, abs=0.02)
    assert network.dimensions() == 3
    np.testing.assert_allclose(
        np.linalg.norm(network.vectors_A, axis=1),
        np.linalg.norm(network.cells @ lattice, axis=1),
    )


def test_between_ions_a_pass_is_where_their_maps_cross():
    # Each ion is bound to its own site. The ridge half-way lies between grid points.
    shape, lattice = (10, 10, 10), 3.0 * np.eye(3)
    ions = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    maps = [wells(shape, lattice, [ion], [0.0]) for ion in ions]
    network = site_network(maps, lattice, ions)
    assert network.occupied.tolist() == [True, True]
    between = network.passes_eV[network.ends[:, 0] != network.ends[:, 1]]
    assert len(between) == 8
    half = 3.0 * np.sqrt(3) / 4
    np.testing.assert_allclose(between, 2.0 * half**2 / 2, rtol=0.03)


def test_an_empty_minimum_is_a_site_and_a_shallow_one_beside_a_site_is_not():
    shape, lattice = (24, 12, 12), np.diag([6.0, 3.0, 3.0])
    deep, empty, beside = [0.0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.2, 0.5, 0.5]
    network = site_network([wells(shape, lattice, [deep, empty], [0.0, 0.4])], lattice, [deep])
    order = np.argsort(network.energies_eV)
    assert network.occupied[order].tolist() == [True, False]
    assert network.energies_eV[order] == pytest.approx([0.0, 0.4])
    np.testing.assert_allclose(network.positions_A[order], np.array([deep, empty]) @ lattice)
    assert len(site_network([wells(shape, lattice, [deep], [0.0])], lattice, [deep]).ends) > 0
    # 1.2 A from the ion's site: part of it when the pass is low, else a site that blocks it.
    shallow = wells(shape, lattice, [deep, beside], [0.0, 0.65])
    assert len(site_network([shallow], lattice, [deep]).energies_eV) == 1
    sharp = wells(shape, lattice, [deep, beside], [0.0, 0.3])
    found = site_network([sharp], lattice, [deep])
    assert sorted(found.energies_eV) == pytest.approx([0.0, 0.3], abs=0.02)
    pairs, cells = found.too_near()
    assert len(pairs) == 2
    assert not cells.any()


def test_passes_percolate_where_the_map_does():
    rng = np.random.default_rng(3)
    lattice = np.array([[4.0, 0.0, 0.0], [1.0, 3.6, 0.0], [-0.6, 0.8, 4.2]])
    shape = (16, 16, 17)
    ions = np.array([[0.1, 0.2, 0.3], [0.6, 0.6, 0.7]])
    for _ in range(4):
        maps = []
        for ion in ions:
            away = points(shape) - ion
            map_ = 1.2 * (3 - np.cos(2 * np.pi * away).sum(axis=-1)) / 6
            for k in rng.integers(-2, 3, (6, 3)):
                map_ += 0.15 * np.cos(2 * np.pi * (points(shape) @ k) + rng.uniform(0, 6))
            maps.append(map_ - map_.min())
        network = site_network(maps, lattice, ions, shallow_eV=0.0)
        levels = []
        for level in np.sort(network.passes_eV):
            kept = network.passes_eV <= level
            part = type(network)(
                *(network.lattice, network.positions_A, network.energies_eV, network.occupied),
                *(network.ends[kept], network.cells[kept], network.passes_eV[kept]),
            )
            levels += [level] * (part.dimensions() - len(levels))
        assert levels == pytest.approx(shared_barriers(maps, lattice), abs=1e-6)


def test_the_network_knows_no_origin():
    rng = np.random.default_rng(5)
    lattice, shape = 3.5 * np.eye(3), (14, 14, 14)
    ion = np.array([[0.0, 0.0, 0.0]])
    map_ = wells(shape, lattice, [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.0]], [0.0, 0.3, 0.4])
    map_ += 0.01 * rng.uniform(size=shape)
    one = site_network([map_], lattice, ion)
    moved = site_network(
        [np.roll(map_, (3, 9, 5), (0, 1, 2))], lattice, ion + np.array([3, 9, 5]) / 14
    )
    np.testing.assert_allclose(np.sort(one.energies_eV), np.sort(moved.energies_eV))
    np.testing.assert_allclose(np.sort(one.passes_eV), np.sort(moved.passes_eV))
    lengths = [np.sort(np.linalg.norm(n.vectors_A, axis=1)) for n in (one, moved)]
    np.testing.assert_allclose(*lengths, atol=1e-9)


def test_two_ions_in_one_basin_are_refused():
    map_ = wells((12, 12, 12), 3.0 * np.eye(3), [[0, 0, 0]], [0.0])
    with pytest.raises(LandscapeError, match="one basin"):
        site_network([map_, map_], 3.0 * np.eye(3), [[0, 0, 0], [0.1, 0, 0]])
