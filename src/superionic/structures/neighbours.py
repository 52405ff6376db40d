"""Which atoms of a periodic crystal are near each other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Neighbours(NamedTuple):
    """Pairs of atoms, each seen from both of its ends.

    Parameters
    ----------
    first, second : ndarray of int, shape (n_pairs,)
        The atom that looks, and the one that it sees.
    image : ndarray of int, shape (n_pairs, 3)
        Lattice vectors from the second atom, where it is given, to its image that is seen.
    vectors_A : ndarray, shape (n_pairs, 3)
        From the first atom to that image.
    """

    first: IntArray
    second: IntArray
    image: IntArray
    vectors_A: FloatArray


def find_neighbours(positions_A: FloatArray, cell_A: FloatArray, cutoff_A: float) -> Neighbours:
    """Find all pairs of atoms within a cutoff in a crystal, periodic in three directions.

    Parameters
    ----------
    positions_A : ndarray, shape (n_atoms, 3)
        Cartesian positions in A; they need not lie inside the cell.
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    cutoff_A : float
        Largest distance in A; it may exceed the cell, an atom may neighbour its own images.

    Returns
    -------
    Neighbours
        Sorted by first atom, second atom and image, so that the same positions always give the
        same list; sums over it are then the same to the last bit.

    Examples
    --------
    >>> found = find_neighbours(np.zeros((1, 3)), 3.0 * np.eye(3), 3.1)
    >>> len(found.first), np.abs(found.vectors_A).sum(axis=1).tolist()
    (6, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0])
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    positions = np.ascontiguousarray(positions_A, dtype=np.float64)
    cell = np.ascontiguousarray(cell_A, dtype=np.float64)
    first, second, found, distance = find_points_in_spheres(
        positions, positions, r=cutoff_A, pbc=np.ones(3, dtype=np.int64), lattice=cell, tol=1e-8
    )
    image = np.rint(found).astype(np.int64)
    order = np.lexsort((image[:, 2], image[:, 1], image[:, 0], second, first))
    order = order[distance[order] > 1e-8]
    first, second, image = (
        first[order].astype(np.int64),
        second[order].astype(np.int64),
        image[order],
    )
    vectors: FloatArray = positions[second] + image @ cell - positions[first]
    return Neighbours(first, second, image, vectors)
