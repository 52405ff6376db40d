"""The points of a periodic grid up to operations that map the grid onto itself.

Of the points that operations make equal one is kept, the class's own: every other one is an image
of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from superionic.landscape.grid import GridOperation

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Quotient:
    """Classes of points of a grid that operations make equal.

    Parameters
    ----------
    points : ndarray of int, shape (n,)
        Flat index of the point that each class is known by: its first.
    places : ndarray of int, shape (n, 3)
        The same along each axis.
    classes : ndarray of int, shape (n_points,)
        Class of each point.
    turned : ndarray of int, shape (n_points,)
        Which of ``rotations`` an operation has that maps its class's own point onto each point.
    sizes : ndarray of int, shape (n,)
        Points of each class.
    rotations : ndarray of int, shape (m, 3, 3)
        The different matrices of operations, the identity first.
    products : ndarray of int, shape (m, m)
        Which of them is the product of two.
    first_fixed : ndarray of int, shape (n + 1,)
        Where a class's part of ``fixed`` begins.
    fixed : ndarray of int
        Rotations, but for the identity, of the operations that map a class's own point onto itself
        or onto one of its periodic images.
    """

    points: IntArray
    places: IntArray
    classes: NDArray[np.int32]
    turned: NDArray[np.uint8]
    sizes: IntArray
    rotations: IntArray
    products: IntArray
    first_fixed: IntArray
    fixed: NDArray[np.uint8]


def quotient(shape: Sequence[int], operations: Sequence[GridOperation]) -> Quotient:
    """Return the points of a periodic grid up to a group of operations.

    Parameters
    ----------
    shape : sequence of int
        Points along each axis.
    operations : sequence of GridOperation
        A group, translations by whole cells left out.

    Examples
    --------
    >>> twofold = [np.eye(3, dtype=int), np.diag([-1, -1, 1])]
    >>> one = quotient((4, 1, 1), [GridOperation(w, np.zeros(3, int)) for w in twofold])
    >>> one.points.tolist(), one.sizes.tolist(), one.classes.tolist()
    ([0, 1, 2], [1, 2, 1], [0, 1, 2, 1])
    """
    stacked = np.array([one.matrix for one in operations], dtype=np.int64)
    rotations = [np.eye(3, dtype=np.int64)]
    places = {rotations[0].tobytes(): 0}
    for one in stacked:
        if one.tobytes() not in places:
            places[one.tobytes()] = len(rotations)
            rotations.append(one)
    products = [[places[(a @ b).tobytes()] for b in rotations] for a in rotations]
    found = _classes(
        np.array(shape, dtype=np.int64),
        stacked,
        np.array([one.shift for one in operations], dtype=np.int64),
        np.array([places[one.tobytes()] for one in stacked], dtype=np.uint8),
    )
    points, classes, turned, first_fixed, fixed = found
    return Quotient(
        points,
        np.stack(np.unravel_index(points, shape), axis=-1),
        classes,
        turned,
        np.bincount(classes),
        np.array(rotations),
        np.array(products, dtype=np.int64),
        first_fixed,
        fixed,
    )


@njit(cache=True, nogil=True)
def _classes(
    shape: IntArray, matrices: IntArray, shifts: IntArray, rotation: NDArray[np.uint8]
) -> tuple:
    n1, n2, n3 = shape
    size = n1 * n2 * n3
    classes = np.full(size, -1, dtype=np.int32)
    turned = np.zeros(size, dtype=np.uint8)
    points, first_fixed = np.empty(size, dtype=np.int64), np.zeros(size + 1, dtype=np.int64)
    fixed = [np.uint8(0) for _ in range(0)]
    n = 0
    for point in range(size):
        if classes[point] >= 0:
            continue
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        classes[point] = n
        for op in range(len(matrices)):
            w = matrices[op]
            x = (w[0, 0] * i + w[0, 1] * j + w[0, 2] * k + shifts[op, 0]) % n1
            y = (w[1, 0] * i + w[1, 1] * j + w[1, 2] * k + shifts[op, 1]) % n2
            z = (w[2, 0] * i + w[2, 1] * j + w[2, 2] * k + shifts[op, 2]) % n3
            image = (x * n2 + y) * n3 + z
            if classes[image] < 0:
                classes[image], turned[image] = n, rotation[op]
            if image == point and rotation[op] != 0:
                fixed.append(rotation[op])
        points[n] = point
        n += 1
        first_fixed[n] = len(fixed)
    return (
        points[:n].copy(),
        classes,
        turned,
        first_fixed[: n + 1].copy(),
        np.array(fixed, dtype=np.uint8),
    )
