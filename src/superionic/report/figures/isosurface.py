"""Surfaces of equal energy of a periodic landscape, as triangles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.errors import FigureError
from superionic.report.figures.style import require

STEEPEST = 2.0
"""Energies above this many levels are cut there: close to the framework they rise by hundreds of eV
from one point to the next, and a straight line between such points would draw the surface onto the
lower one."""

_FIRST_SIDE, _SIDE_GROWTH = 0.7, 1.15


@dataclass(frozen=True)
class Surface:
    """Triangles of a surface.

    Parameters
    ----------
    vertices_A : ndarray, shape (n, 3)
        Corners in A.
    faces : ndarray of int, shape (m, 3)
        Which three of them each triangle joins.
    """

    vertices_A: NDArray[np.float32]
    faces: NDArray[np.int64]

    @property
    def area_A2(self) -> float:
        """Return the area in A^2."""
        a, b, c = (self.vertices_A[self.faces[:, i]].astype(np.float64) for i in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def surface(
    energies_eV: NDArray[np.floating],
    lattice: ArrayLike,
    level_eV: float,
    *,
    origin: ArrayLike = (0.0, 0.0, 0.0),
    repeats: tuple[int, int, int] = (1, 1, 1),
) -> Surface:
    """Return the surface of one energy in a block of cells, open where the block ends.

    Marching cubes (W. E. Lorensen, H. E. Cline, Computer Graphics 21, 163, 1987) on one cell that
    is continued by one layer, so that surfaces meet at cell faces.

    Parameters
    ----------
    energies_eV : ndarray, shape (n1, n2, n3)
        Energies on a periodic grid, in eV.
    lattice : array_like, shape (3, 3)
        Lattice vectors as rows, in A.
    level_eV : float
        Energy of the surface, above zero.
    origin : array_like, shape (3,)
        Fractional coordinates of the first grid point.
    repeats : tuple of int
        Cells along each lattice vector.

    Returns
    -------
    Surface
        Without triangles where nothing, or everything, lies below the level.

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
    from skimage.measure import marching_cubes

    shape = np.array(energies_eV.shape)
    # Whole steps are undone by rolling, so that the block begins within half a step of 0.
    steps = np.rint(np.asarray(origin, dtype=float) * shape).astype(int)
    rest = np.asarray(origin, dtype=float) - steps / shape
    values = np.roll(np.minimum(energies_eV, STEEPEST * level_eV), steps, axis=(0, 1, 2))
    closed = np.pad(values, [(0, 1)] * 3, mode="wrap")
    if not closed.min() < level_eV < closed.max():
        return Surface(np.zeros((0, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.int64))
    corners, faces, _, _ = marching_cubes(
        closed.astype(np.float32), float(level_eV), allow_degenerate=False
    )
    cells = np.array(list(np.ndindex(repeats)))
    fractional = (corners / shape + rest)[None] + cells[:, None]
    shifted = faces.astype(np.int64)[None] + (len(corners) * np.arange(len(cells)))[:, None, None]
    vertices = fractional.reshape(-1, 3) @ np.asarray(lattice, dtype=float)
    return Surface(vertices.astype(np.float32), shifted.reshape(-1, 3))


def simplified(found: Surface, lattice: ArrayLike, max_vertices: int) -> Surface:
    """Return a surface with fewer triangles: corners close to each other become one.

    Vertex clustering (J. Rossignac, P. Borrel, 1993), in cubes that grow until few enough are left.
    Against marching cubes on a coarser grid of the same size, it halves the error of areas and does
    not lose channels that are narrower than the grid. Corners on a face of the block stay there.

    Parameters
    ----------
    found : Surface
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
    which_faces = on_face @ (1 << np.arange(6))
    side_A = _FIRST_SIDE * np.sqrt(found.area_A2 / max_vertices)
    while True:
        cubes = np.floor(found.vertices_A / side_A).astype(np.int64)
        cubes -= cubes.min(axis=0)
        n_cubes = cubes.max(axis=0) + 1
        kept = _merged(found, np.ravel_multi_index((*cubes.T, which_faces), (*n_cubes, 64)))
        if len(kept.vertices_A) <= max_vertices:
            return kept
        side_A *= _SIDE_GROWTH


def _merged(found: Surface, keys: NDArray[np.int64]) -> Surface:
    """Return the surface with corners of one key at their mean, without what is flat by that."""
    _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = [np.bincount(group, weights=found.vertices_A[:, axis]) for axis in range(3)]
    vertices = np.stack(sums, axis=1) / counts[:, None]
    triangles = group[found.faces]
    ordered = np.sort(triangles, axis=1)
    _, first = np.unique(ordered, axis=0, return_index=True)
    first = first[(np.diff(ordered[first], axis=1) > 0).all(axis=1)]
    return Surface(vertices.astype(np.float32), triangles[np.sort(first)])
