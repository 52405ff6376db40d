"""Energies between grid points, from those on them.

What is interpolated is z = log(1 + E / 0.5 eV): on a repulsive wall, where energies grow
exponentially, it is nearly a straight line, and its order is that of the energies.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.landscape.stencils import step_vectors, voronoi_steps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ENERGY_SCALE_eV = 0.5
_PLATEAU = 1e-5
CEILING_eV = 10.0
"""Energies above are taken as this before what lies between them is looked for: what stands for
points that are too close to another ion must not ring into the valleys."""


def compressed(energies_eV: FloatArray) -> FloatArray:
    """Return z of energies above a minimum."""
    z: FloatArray = np.log1p(energies_eV / ENERGY_SCALE_eV)
    return z


def expanded(z: ArrayLike) -> FloatArray:
    """Return energies in eV from z."""
    energies_eV: FloatArray = ENERGY_SCALE_eV * np.expm1(z)
    return energies_eV


def doubled(z: FloatArray, lattice: ArrayLike) -> FloatArray:
    """Return maps on a grid with twice as many points along each axis.

    A new point lies half-way between points that are one of the shortest steps of their kind apart
    (:func:`~superionic.landscape.stencils.voronoi_steps`). It takes the value of the cubic
    polynomial through four points along that step (9/16 of the inner two, -1/16 of the outer two;
    S. Dubuc, J. Math. Anal. Appl. 114, 185, 1986), and where several are equally short the mean of
    all. So the finer map has each symmetry that the map and its points have, in any basis.

    The largest value of a map stands for points where the energy is not known, and the polynomial
    does without them: beside them it is a parabola through three points, or a straight line. Values
    below 0 become 0.

    Parameters
    ----------
    z : ndarray, shape (m, n1, n2, n3)
        Maps on a periodic grid.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    """
    shape = z.shape[1:]
    finer = np.zeros((len(z), *(2 * n for n in shape)))
    steps = voronoi_steps(step_vectors(lattice, shape))
    kinds = np.mod(steps, 2) @ [4, 2, 1]
    shares = 1.0 / np.bincount(kinds, minlength=8)[kinds]
    for one, result in zip(z, finer, strict=True):
        _fill(one, steps, shares, float(one.max()) - _PLATEAU, result)
    return finer


@njit(cache=True, nogil=True)
def _fill(
    z: FloatArray,
    steps: IntArray,
    shares: FloatArray,
    ceiling: float,
    result: FloatArray,
) -> None:
    n1, n2, n3 = z.shape
    result[::2, ::2, ::2] = z
    for s in range(len(steps)):
        a, b, c = steps[s]
        if a < 0 or (a == 0 and (b < 0 or (b == 0 and c < 0))):
            continue  # its opposite has the same points
        share = 2 * shares[s]
        x = [(np.arange(n1) + t * a) % n1 for t in range(-1, 3)]
        y = [(np.arange(n2) + t * b) % n2 for t in range(-1, 3)]
        w = [(np.arange(n3) + t * c) % n3 for t in range(-1, 3)]
        for i in range(n1):
            p = (2 * i + a) % (2 * n1)
            for j in range(n2):
                q = (2 * j + b) % (2 * n2)
                before, here = z[x[0][i], y[0][j]], z[i, j]
                there, after = z[x[2][i], y[2][j]], z[x[3][i], y[3][j]]
                for k in range(n3):
                    first, last = before[w[0][k]], after[w[3][k]]
                    left, right = here[k], there[w[2][k]]
                    value = 0.5 * (left + right)
                    if max(left, right) < ceiling:
                        if max(first, last) < ceiling:
                            value += 1 / 16 * (left + right - first - last)
                        elif first < ceiling:
                            value += 1 / 8 * (2 * left - first - right)
                        elif last < ceiling:
                            value += 1 / 8 * (2 * right - last - left)
                    result[p, q, (2 * k + c) % (2 * n3)] += share * value
    for i in range(2 * n1):
        for j in range(2 * n2):
            for k in range(2 * n3):
                result[i, j, k] = max(result[i, j, k], 0.0)
