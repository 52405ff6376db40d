"""Steps between points of a lattice that hang on the lattice, not on the vectors it is given by.

A grid's points are a lattice, and the same points can be written with many triples of vectors.
What is asked of the points must not hang on which: the sets of steps here are the same for all
triples, and every symmetry of the lattice maps each set onto itself.

Both come from Selling's reduction (E. Selling, J. reine angew. Math. 77, 143, 1874): four vectors
that sum up to zero, generate the lattice and have no acute angle between them.
"""

from itertools import combinations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_OBTUSE = 1e-9
_EQUAL = 5e-3
"""Relative difference of lengths up to which they are equal. The symmetry of a crystal holds to
0.01 A, which of an edge of 2.5 A is less than this: in a cubic cell whose edges differ by that much
the diagonals of all faces are steps, and not those of some."""
_NEGLIGIBLE = 2 * _EQUAL
"""Share of a link in the identity below which only such a difference makes it one."""


def step_vectors(lattice: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return the vectors in A, as rows, between neighbouring points of a grid along its axes."""
    vectors: FloatArray = np.asarray(lattice, dtype=float) / np.asarray(shape, dtype=float)[:, None]
    return vectors


def obtuse_superbase(gram: FloatArray) -> IntArray:
    """Return four integer vectors b with sum zero and ``b_i.G b_j <= 0``, shape (4, 3).

    Parameters
    ----------
    gram : ndarray, shape (3, 3)
        G, symmetric and positive definite.
    """
    base = np.vstack([np.eye(3, dtype=np.int64), -np.ones((1, 3), dtype=np.int64)])
    while True:
        products = base @ gram @ base.T
        i, j = max(combinations(range(4), 2), key=lambda pair: products[pair])
        if products[i, j] <= _OBTUSE * np.trace(gram):
            return base
        turned = base[i].copy()
        base += turned
        base[i], base[j] = -turned, base[j] - turned


def voronoi_steps(vectors: FloatArray) -> IntArray:
    """Return the steps to all points whose Voronoi cells touch that of the origin.

    These are the shortest vectors of each class modulo twice the lattice (G. Voronoi, J. reine
    angew. Math. 134, 198, 1908); where several are equally short, cells touch in an edge or a
    point. At least 14, and at most 26, in a cubic lattice.

    Parameters
    ----------
    vectors : ndarray, shape (3, 3)
        Vectors of the lattice in A, as rows.

    Returns
    -------
    ndarray of int, shape (m, 3)
        Multiples of the vectors; with each step its opposite.
    """
    base = obtuse_superbase(vectors @ vectors.T)[:3]
    some = np.array([c for c in product(range(-3, 4), repeat=3) if any(np.mod(c, 2))]) @ base
    lengths = np.linalg.norm(some @ vectors, axis=1)
    classes = np.mod(some, 2) @ [4, 2, 1]
    shortest = np.array([lengths[classes == one].min() for one in range(1, 8)])
    steps: IntArray = some[lengths <= shortest[classes - 1] * (1 + _EQUAL)]
    return steps


def links_of_lattice(vectors: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return steps d between points of a lattice, and c > 0, with sum c d d^T = 1.

    With them ``sum c (d.g)^2 = |g|^2`` for a gradient g: Laplace's operator in the fewest and
    shortest differences that have no negative weight. They are Selling's decomposition of the
    inverse D of the Gram matrix, ``D = -sum (b_i.D b_j) v_ij v_ij^T`` over the pairs of a superbase
    b that is obtuse in D, with v_ij orthogonal to the other two.

    Parameters
    ----------
    vectors : ndarray, shape (3, 3)
        Vectors of the lattice in A, as rows.

    Returns
    -------
    steps : ndarray of int, shape (m, 3)
        Multiples of the vectors, 3 <= m <= 6; of each step and its opposite one.
    shares : ndarray, shape (m,)
        c in 1/A^2.
    """
    metric = np.linalg.inv(vectors @ vectors.T).astype(np.float64)
    base = obtuse_superbase(metric)
    pairs = list(combinations(range(4), 2))
    steps = np.array([np.cross(*np.delete(base, pair, axis=0)) for pair in pairs], dtype=np.int64)
    shares = -np.array([base[i] @ metric @ base[j] for i, j in pairs])
    real = shares * np.sum((steps @ vectors) ** 2, axis=1) > _NEGLIGIBLE
    return steps[real], shares[real]
