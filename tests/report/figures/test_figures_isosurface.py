"""Surfaces of fields whose surfaces are known."""

import numpy as np
import pytest

from superionic.errors import FigureError
from superionic.report.figures.isosurface import simplified, surface

RADIUS_A = 1.7
HEXAGONAL = np.array([[6.0, 0.0, 0.0], [-3.0, 5.196152422706632, 0.0], [0.0, 0.0, 7.0]])


def distances(lattice, centre, n=30, origin=(0.0, 0.0, 0.0)):
    """Return the distance to the nearest image of a centre on a periodic grid, in A."""
    fractional = np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), -1) + origin
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    vectors = (fractional - centre) - np.rint(fractional - centre)
    all_images = (vectors[..., None, :] + images) @ lattice
    return np.linalg.norm(all_images, axis=-1).min(axis=-1)


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("lattice", [5.0 * np.eye(3), HEXAGONAL], ids=["cubic", "hexagonal"])
def test_sphere_has_its_radius_and_area(lattice, centre):
    """Also where it is cut into eight by the faces of the cell."""
    found = surface(distances(lattice, centre), lattice, RADIUS_A)
    fractional = found.vertices_A @ np.linalg.inv(lattice)
    assert fractional.min() > -1e-6
    assert fractional.max() < 1 + 1e-6
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    away = found.vertices_A[:, None] - (np.array(centre) + images) @ lattice
    assert np.linalg.norm(away, axis=2).min(axis=1) == pytest.approx(RADIUS_A, abs=0.02)
    assert found.area_A2 == pytest.approx(4 * np.pi * RADIUS_A**2, rel=0.01)


def test_origin_of_the_grid_moves_nothing():
    """The same sphere from grids that begin elsewhere, the block at the same place."""
    lattice, centre = 5.0 * np.eye(3), (0.4, 0.5, 0.6)
    for origin in [(0.25, -0.1, 0.71), (0.01, 0.0, 0.0)]:
        found = surface(distances(lattice, centre, origin=origin), lattice, 1.2, origin=origin)
        radii = np.linalg.norm(found.vertices_A - np.array(centre) @ lattice, axis=1)
        assert radii == pytest.approx(1.2, abs=0.02)


def test_block_repeats_the_surface():
    field = distances(HEXAGONAL, (0.5, 0.5, 0.5))
    one = surface(field, HEXAGONAL, RADIUS_A)
    four = surface(field, HEXAGONAL, RADIUS_A, repeats=(2, 1, 2))
    assert len(four.faces) == 4 * len(one.faces)
    assert four.area_A2 == pytest.approx(4 * one.area_A2, rel=1e-4)
    centre = four.vertices_A.mean(axis=0) @ np.linalg.inv(HEXAGONAL)
    assert centre == pytest.approx([1.0, 0.5, 1.0], abs=1e-3)


def test_steep_walls_do_not_pull_the_surface():
    """Far above the level energies rise by hundreds of eV from point to point."""
    lattice = 5.0 * np.eye(3)
    field = distances(lattice, (0.5, 0.5, 0.5))
    steep = np.where(field > 1.5 * RADIUS_A, 1000.0, field)
    assert surface(steep, lattice, RADIUS_A).area_A2 == pytest.approx(
        surface(field, lattice, RADIUS_A).area_A2, rel=1e-6
    )


@pytest.mark.parametrize("level", [1e-6, 99.0])
def test_nothing_below_or_everything_is_an_empty_surface(level):
    field = distances(5.0 * np.eye(3), (0.5, 0.5, 0.51)) + 0.1
    found = surface(field, 5.0 * np.eye(3), level)
    assert (len(found.vertices_A), len(found.faces), found.area_A2) == (0, 0, 0.0)


def test_level_below_the_minimum_is_refused():
    with pytest.raises(FigureError, match="no surface at 0 eV"):
        surface(np.ones((4, 4, 4)), np.eye(3), 0.0)


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0)])
def test_simplified_sphere_is_still_one(centre):
    lattice = 5.0 * np.eye(3)
    full = surface(distances(lattice, centre, n=40), lattice, RADIUS_A)
    small = simplified(full, lattice, 400)
    assert 150 < len(small.vertices_A) <= 400 < len(full.vertices_A)
    assert small.area_A2 == pytest.approx(full.area_A2, rel=0.05)
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    away = small.vertices_A[:, None] - (np.array(centre) + images) @ lattice
    assert np.linalg.norm(away, axis=2).min(axis=1) == pytest.approx(RADIUS_A, abs=0.1)
    # What is cut by the cell still reaches its faces.
    assert (small.vertices_A.min(), small.vertices_A.max()) == pytest.approx(
        (full.vertices_A.min(), full.vertices_A.max()), abs=0.1 if centre[0] else 1e-5
    )
    assert simplified(small, lattice, 400) is small
    assert len(np.unique(np.sort(small.faces, axis=1), axis=0)) == len(small.faces)


def test_simplified_triangles_keep_their_sides():
    """A renderer tells the side of a triangle by the order of its corners."""
    lattice = 5.0 * np.eye(3)
    full = surface(distances(lattice, (0.5, 0.5, 0.5), n=40), lattice, RADIUS_A)

    def outward(found):
        a, b, c = (found.vertices_A[found.faces[:, i]] for i in range(3))
        return np.sum(np.cross(b - a, c - a) * ((a + b + c) / 3 - 2.5), axis=1) > 0

    side = outward(full).mean()
    assert side in (0.0, 1.0)
    assert outward(simplified(full, lattice, 400)).mean() == pytest.approx(side, abs=0.02)
