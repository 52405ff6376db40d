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


def coarsened(
    energies_eV: NDArray[np.floating], max_points: int, highest_eV: float
) -> NDArray[np.float64]:
    """Return a periodic map on fewer points, by linear interpolation.

    Parameters
    ----------
    energies_eV : ndarray, shape (n1, n2, n3)
        The map in eV.
    max_points : int
        Most points of the result; a map that has no more is returned as it is.
    highest_eV : float
        Energies above it are cut before the interpolation.

    Returns
    -------
    ndarray
        Its first point is that of the map; every axis has at least four points.
    """
    cut = np.minimum(np.asarray(energies_eV, dtype=np.float64), highest_eV)
    if cut.size <= max_points:
        return cut
    from scipy.ndimage import map_coordinates

    old = np.array(cut.shape)
    new = np.maximum(np.floor(old * (max_points / cut.size) ** (1 / 3)).astype(int), 4)
    axes = [np.arange(n) * (o / n) for n, o in zip(new, old, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    found: NDArray[np.float64] = map_coordinates(cut, places, order=1, mode="grid-wrap")
    return found
