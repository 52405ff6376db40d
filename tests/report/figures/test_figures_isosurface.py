"""Surfaces of fields whose surfaces are known."""

import numpy as np
import pytest

from superionic.errors import FigureError
from superionic.report.figures.crystal import Block, Mesh
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


def block_of(lattice, rows=None, origin=(0.0, 0.0, 0.0)) -> Block:
    """Return a block of a cell, turned as it is drawn."""
    return Block("cell", np.eye(3) if rows is None else rows, np.array(origin), np.array(lattice))


def off_faces(found, block):
    """Return which triangles are not the caps that close a surface at the faces of the block."""
    inside = found.vertices_A @ np.linalg.inv(block.edges_A)
    corners = inside[found.faces]
    on = [(abs(corners - end) < 1e-4).all(axis=1).any(axis=1) for end in (0.0, 1.0)]
    return ~(on[0] | on[1])


def is_closed(found) -> bool:
    """Return whether every edge of a triangle is that of another one, in the other direction."""
    edges = found.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    both = np.concatenate([edges, edges[:, ::-1]])
    _, counts = np.unique(both, axis=0, return_counts=True)
    return bool((counts == 2).all())


def area(found, chosen) -> float:
    return Mesh(found.vertices_A, found.faces[chosen]).area_A2


@pytest.mark.parametrize("centre", [(0.5, 0.5, 0.5), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("lattice", [5.0 * np.eye(3), HEXAGONAL], ids=["cubic", "hexagonal"])
def test_sphere_has_its_radius_and_area_and_is_closed(lattice, centre):
    """Also where it is cut into eight by the faces of the cell: they are its lids then."""
    block = block_of(lattice)
    found = surface(distances(lattice, centre), block, RADIUS_A)
    fractional = found.vertices_A @ np.linalg.inv(block.edges_A)
    assert fractional.min() > -1e-6
    assert fractional.max() < 1 + 1e-6
    assert is_closed(found)
    sides = off_faces(found, block)
    assert sides.all() == (centre[0] == 0.5)
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    used = found.vertices_A[np.unique(found.faces[sides])]
    away = used[:, None] - (np.array(centre) + images) @ block.edges_A
    assert np.linalg.norm(away, axis=2).min(axis=1) == pytest.approx(RADIUS_A, abs=0.02)
    assert area(found, sides) == pytest.approx(4 * np.pi * RADIUS_A**2, rel=0.01)


def test_origin_of_the_grid_moves_nothing():
    """The same sphere from grids that begin elsewhere, the block at the same place."""
    lattice, centre = 5.0 * np.eye(3), (0.4, 0.5, 0.6)
    for origin in [(0.25, -0.1, 0.71), (0.01, 0.0, 0.0)]:
        field = distances(lattice, centre, origin=origin)
        found = surface(field, block_of(lattice), 1.2, origin=origin)
        radii = np.linalg.norm(found.vertices_A - np.array(centre) @ lattice, axis=1)
        assert radii == pytest.approx(1.2, abs=0.02)


def test_block_repeats_the_surface():
    field = distances(HEXAGONAL, (0.5, 0.5, 0.5))
    one = surface(field, block_of(HEXAGONAL), RADIUS_A)
    four = surface(field, block_of(HEXAGONAL, np.diag([2.0, 1.0, 2.0])), RADIUS_A)
    assert four.area_A2 == pytest.approx(4 * one.area_A2, rel=1e-3)


def test_conventional_cell_shows_the_surface_of_the_primitive_one():
    """Four spheres in the cube of a face-centred lattice, whose vectors are skewed."""
    primitive = 3.0 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    rows = np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]])
    block = block_of(primitive, rows)
    assert block.edges_A == pytest.approx(6.0 * np.eye(3), abs=1e-9)
    found = surface(distances(primitive, (0.0, 0.0, 0.0), n=24), block, 1.2)
    assert is_closed(found)
    assert area(found, off_faces(found, block)) == pytest.approx(16 * np.pi * 1.2**2, rel=0.02)


def test_steep_walls_do_not_pull_the_surface():
    """Far above the level energies rise by hundreds of eV from point to point."""
    lattice = 5.0 * np.eye(3)
    field = distances(lattice, (0.5, 0.5, 0.5))
    steep = np.where(field > 1.5 * RADIUS_A, 1000.0, field)
    block = block_of(lattice)
    assert surface(steep, block, RADIUS_A).area_A2 == pytest.approx(
        surface(field, block, RADIUS_A).area_A2, rel=0.01
    )


def test_nothing_below_is_an_empty_surface_and_everything_the_block():
    field = distances(5.0 * np.eye(3), (0.5, 0.5, 0.51)) + 0.1
    block = block_of(5.0 * np.eye(3))
    found = surface(field, block, 1e-6)
    assert (len(found.vertices_A), len(found.faces), found.area_A2) == (0, 0, 0.0)
    assert surface(field, block, 99.0).area_A2 == pytest.approx(6 * 25.0, rel=1e-4)


def test_level_below_the_minimum_is_refused():
    with pytest.raises(FigureError, match="no surface at 0 eV"):
        surface(np.ones((4, 4, 4)), block_of(np.eye(3)), 0.0)


@pytest.mark.parametrize(
    ("centre", "most"),
    [((0.5, 0.5, 0.5), 400), ((0.0, 0.0, 0.0), 800)],  # lids take as many as the sphere
)
def test_simplified_sphere_is_still_one(centre, most):
    lattice = 5.0 * np.eye(3)
    full = surface(distances(lattice, centre, n=40), block_of(lattice), RADIUS_A)
    small = simplified(full, lattice, most)
    assert 150 < len(small.vertices_A) <= most < len(full.vertices_A)
    of_sides = [area(one, off_faces(one, block_of(lattice))) for one in (small, full)]
    assert of_sides[0] == pytest.approx(of_sides[1], rel=0.05)
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    sides = np.unique(small.faces[off_faces(small, block_of(lattice))])
    away = small.vertices_A[sides][:, None] - (np.array(centre) + images) @ lattice
    assert np.linalg.norm(away, axis=2).min(axis=1) == pytest.approx(RADIUS_A, abs=0.1)
    # What is cut by the cell still reaches its faces.
    assert (small.vertices_A.min(), small.vertices_A.max()) == pytest.approx(
        (full.vertices_A.min(), full.vertices_A.max()), abs=0.1 if centre[0] else 1e-5
    )
    assert simplified(small, lattice, most) is small
    assert len(np.unique(np.sort(small.faces, axis=1), axis=0)) == len(small.faces)


def test_simplified_triangles_keep_their_sides():
    """A renderer tells the side of a triangle by the order of its corners."""
    lattice = 5.0 * np.eye(3)
    full = surface(distances(lattice, (0.5, 0.5, 0.5), n=40), block_of(lattice), RADIUS_A)

    def outward(found):
        a, b, c = (found.vertices_A[found.faces[:, i]] for i in range(3))
        return np.sum(np.cross(b - a, c - a) * ((a + b + c) / 3 - 2.5), axis=1) > 0

    side = outward(full).mean()
    assert side in (0.0, 1.0)
    assert outward(simplified(full, lattice, 400)).mean() == pytest.approx(side, abs=0.02)
