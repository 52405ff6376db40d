"""Surfaces of equal energy of a periodic landscape, as triangles."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.errors import FigureError
from superionic.report.figures.crystal import Block, Mesh
from superionic.report.figures.style import require

STEEPEST = 2.0
"""Energies above this many levels are cut there: close to the framework they rise by hundreds of eV
from one point to the next, and a straight line between such points would draw the surface onto the
lower one."""

FINEST_A = 0.2
_BEYOND = 1e3
_FIRST_SIDE, _SIDE_GROWTH = 0.7, 1.15


def surface(
    energies_eV: NDArray[np.floating],
    block: Block,
    level_eV: float,
    *,
    origin: ArrayLike = (0.0, 0.0, 0.0),
) -> Mesh:
    """Return the surface around what lies below an energy, closed where the block ends.

    Marching cubes (W. E. Lorensen, H. E. Cline, Computer Graphics 21, 163, 1987) on the points of a
    grid of the block, between which energies are linear; beyond its faces nothing lies below.

    Parameters
    ----------
    energies_eV : ndarray, shape (n1, n2, n3)
        Energies on a periodic grid of the computed cell, in eV.
    block : Block
        What is drawn.
    level_eV : float
        Energy of the surface, above zero.
    origin : array_like, shape (3,)
        Fractional coordinates of the first grid point.

    Returns
    -------
    Mesh
        As the block is drawn; without triangles where nothing lies below the level.

    Raises
    ------
    FigureError
        When the level is not above zero, or scikit-image is missing.
    """
    if not level_eV > 0:
        raise FigureError(
            f"There is no surface at {level_eV:g} eV: energies count from the minimum.",
            hint="Choose a level above 0 eV.",
        )
    require("skimage")
    from scipy.ndimage import map_coordinates
    from skimage.measure import marching_cubes

    shape = np.array(energies_eV.shape)
    step_A = np.linalg.norm(block.lattice, axis=1) / shape
    along_A = np.abs(block.rows) @ step_A / np.abs(block.rows).sum(axis=1)
    finer = np.ceil(along_A / FINEST_A - 1e-6).clip(1, 3)
    n = np.ceil(finer * np.linalg.norm(block.edges_A, axis=1) / along_A - 1e-6).astype(int)
    inside = np.stack(np.meshgrid(*(np.arange(k + 1) / k for k in n), indexing="ij"), axis=-1)
    places = (inside @ block.rows + block.origin - np.asarray(origin, dtype=float)) * shape
    values = map_coordinates(
        np.minimum(energies_eV, STEEPEST * level_eV).astype(np.float64),
        np.moveaxis(places, -1, 0),
        order=3,
        mode="grid-wrap",
    )
    if not values.min() < level_eV:
        return Mesh(np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.int64))
    closed = np.pad(values, 1, constant_values=_BEYOND * level_eV)
    corners, faces, _, _ = marching_cubes(closed, float(level_eV), allow_degenerate=False)
    vertices = np.clip((corners - 1) / n, 0, 1) @ block.edges_A
    return Mesh(vertices.astype(np.float32), faces.astype(np.int64))


def simplified(found: Mesh, lattice: ArrayLike, max_vertices: int) -> Mesh:
    """Return a surface with fewer triangles: corners close to each other become one.

    Vertex clustering (J. Rossignac, P. Borrel, 1993), in cubes that grow until few enough are left.
    Against marching cubes on a coarser grid of the same size, it halves the error of areas and does
    not lose channels that are narrower than the grid. Corners on a face of the block stay there.

    Parameters
    ----------
    found : Mesh
        The surface.
    lattice : array_like, shape (3, 3)
        Lattice vectors as rows, in A.
    max_vertices : int
        Most corners of the result.
    """
    if len(found.vertices_A) <= max_vertices:
        return found
    fractional = found.vertices_A @ np.linalg.inv(np.asarray(lattice, dtype=float))
    ends = fractional.min(axis=0), fractional.max(axis=0)
    on_face = np.concatenate([np.abs(fractional - end) < 1e-4 for end in ends], axis=1)
    # Lids are merged by themselves, so that the surface keeps its edge where it is cut.
    lids: NDArray[np.bool_] = np.any(np.all(on_face[found.faces], axis=1), axis=1)
    of_surface = np.zeros(len(fractional), dtype=bool)
    of_surface[found.faces[~lids]] = True
    kinds = np.column_stack([on_face, of_surface]) @ (1 << np.arange(7))
    side_A = _FIRST_SIDE * np.sqrt(found.area_A2 / max_vertices)
    while True:
        cubes = np.floor(found.vertices_A / side_A).astype(np.int64)
        cubes -= cubes.min(axis=0)
        n_cubes = cubes.max(axis=0) + 1
        kept = _merged(found, np.ravel_multi_index((*cubes.T, kinds), (*n_cubes, 128)))
        if len(kept.vertices_A) <= max_vertices:
            return kept
        side_A *= _SIDE_GROWTH


def _merged(found: Mesh, keys: NDArray[np.int64]) -> Mesh:
    """Return the surface with corners of one key at their mean, without what is flat by that."""
    _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(group, weights=found.vertices_A[:, axis]) for axis in range(3)]
    vertices = np.stack(sums, axis=1) / counts[:, None]
    triangles = group[found.faces]
    ordered = np.sort(triangles, axis=1)
    _, first = np.unique(ordered, axis=0, return_index=True)
    first = first[(np.diff(ordered[first], axis=1) > 0).all(axis=1)]
    return Mesh(vertices.astype(np.float32), triangles[np.sort(first)])
