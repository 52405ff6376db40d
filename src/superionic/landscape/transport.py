"""Diffusion on a frozen landscape at a temperature: all ways at once, not the lowest pass alone.

A barrier knows one saddle point, and a free volume no direction. An ion that moves by Brownian
motion in the potential E(r) of its landscape has, over many cells, the effective diffusivity

    e.D e = min over periodic u of  <w |e + grad u|^2> / <w>,   w = exp(-E / kT),

in units of the diffusivity of the same ion on a flat landscape (homogenisation; Papanicolaou,
Bensoussan & Lions, "Asymptotic Analysis for Periodic Structures", 1978; in one dimension the
formula of Lifson & Jackson, J. Chem. Phys. 36, 2410, 1962). It counts width and number of the
ways, their connection in every direction, and the time that is spent in the wells. The friction,
which would give it a unit, is left out: the number ranks.
"""

import itertools

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.landscape.levels import checked_energies
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]

HIGHEST_eV = 3.0
"""Points above are closed: at 1000 K they would conduct e^-35 of what a well does."""
_TOLERANCE = 1e-6
_MAX_STEPS = 2000
_ORDERS = tuple(itertools.permutations(range(3)))


def effective_diffusivity(
    energies_eV: ArrayLike,
    lattice: ArrayLike,
    temperature_K: float,
) -> FloatArray:
    """Return the tensor of the effective diffusivity, relative to that on a flat landscape.

    Linear finite elements on the grid, each parallelepiped cut into six tetrahedra that share a
    diagonal, so that any cell will do; the weight of a tetrahedron is that of the mean energy of
    its corners. The minimum is searched by conjugate gradients. What they have reached when they
    stop is an upper bound, with an error of second order in that of u.

    Parameters
    ----------
    energies_eV : array_like, shape (n1, n2, n3)
        Energies in eV on the periodic grid of the cell; ``inf`` where no ion may go.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    temperature_K : float
        Temperature in K.

    Returns
    -------
    ndarray, shape (3, 3)
        Symmetric, with eigenvalues from 0 (no way through below :data:`HIGHEST_eV`) to 1 (flat).

    Raises
    ------
    LandscapeError
        When the array is not three-dimensional or holds NaN or no finite energy.
    ValueError
        When the temperature is not positive.
    """
    if not temperature_K > 0:
        raise ValueError(f"A temperature of {temperature_K} K is not positive.")
    energies = checked_energies(energies_eV)
    above = energies - energies.min()
    weights = np.exp(-above / (BOLTZMANN_eV_per_K * temperature_K))
    weights[above > HIGHEST_eV] = 0.0
    steps = np.asarray(lattice, dtype=np.float64) / np.array(energies.shape)[:, None]
    metric = np.linalg.inv(steps @ steps.T)
    difference = np.array([[-1.0, 1, 0, 0], [0, -1, 1, 0], [0, 0, -1, 1]])
    of_orders = [metric[np.ix_(order, order)] for order in _ORDERS]
    fields = [steps[list(order)] for order in _ORDERS]
    elements = np.array([difference.T @ of_order @ difference for of_order in of_orders])
    forces = np.array(
        [difference.T @ of_order @ field for of_order, field in zip(of_orders, fields, strict=True)]
    )
    lowered, totals = _lowered(weights, np.array(_ORDERS), elements, forces)
    unperturbed = sum(
        total * (field.T @ of_order @ field)
        for total, field, of_order in zip(totals, fields, of_orders, strict=True)
    )
    found = unperturbed - lowered
    # What closed pores leave behind is round-off of the subtraction.
    values, axes = np.linalg.eigh(0.5 * (found + found.T) / weights.sum())
    tensor: FloatArray = (axes * np.clip(values, 0.0, 1.0)) @ axes.T
    return tensor


@njit(cache=True, nogil=True)
def _lowered(
    weights: FloatArray, orders: NDArray[np.int64], elements: FloatArray, forces: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return by how much the best u lowers <w |e + grad u|^2>, and the weight of each tetrahedron.

    In a tetrahedron whose corners are reached one grid step after the other, the differences of
    successive corners are the derivatives along those steps.

    Parameters
    ----------
    weights : ndarray, shape (n1, n2, n3)
        Of the points; 0 where they are closed.
    orders : ndarray, shape (6, 3)
        The axes of the steps in each tetrahedron.
    elements : ndarray, shape (6, 4, 4)
        Its matrix of grad u . grad v.
    forces : ndarray, shape (6, 4, 3)
        Its loads of three fields.

    Returns
    -------
    lowered : ndarray, shape (3, 3)
    totals : ndarray, shape (6,)
    """
    n1, n2, n3 = weights.shape
    number = np.full(weights.shape, -1, dtype=np.int64)
    n = 0
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                if weights[i, j, k] > 0:
                    number[i, j, k] = n
                    n += 1
    root = weights**0.25
    # The matrix: its diagonal, and for each point the links to the corners of the parallelepiped
    # above it, which are counted by their steps along the three axes in base 2.
    diagonal, links = np.zeros(n), np.zeros((n, 7))
    ends = np.full((n, 7), -1, dtype=np.int32)
    load = np.zeros((n, 3))
    totals = np.zeros(6)
    nodes = np.empty(4, dtype=np.int64)
    corner = np.empty(4, dtype=np.int64)
    at = np.empty(3, dtype=np.int64)
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                if number[i, j, k] < 0:
                    continue
                for order in range(6):
                    at[0], at[1], at[2] = i, j, k
                    nodes[0], corner[0] = number[i, j, k], 0
                    weight = root[i, j, k] / 6
                    for step in range(3):
                        axis = orders[order, step]
                        at[axis] = (at[axis] + 1) % weights.shape[axis]
                        nodes[step + 1] = number[at[0], at[1], at[2]]
                        corner[step + 1] = corner[step] + (1 << axis)
                        weight *= root[at[0], at[1], at[2]]
                    if nodes.min() < 0 or not weight > 0:
                        continue
                    totals[order] += weight
                    for p in range(4):
                        diagonal[nodes[p]] += weight * elements[order, p, p]
                        for field in range(3):
                            load[nodes[p], field] -= weight * forces[order, p, field]
                        for q in range(p + 1, 4):
                            value = weight * elements[order, p, q]
                            if nodes[p] == nodes[q]:
                                diagonal[nodes[p]] += 2 * value
                                continue
                            link = corner[q] - corner[p] - 1
                            links[nodes[p], link] += value
                            ends[nodes[p], link] = nodes[q]
    # Scaled to a unit diagonal: weights differ by fifteen orders of magnitude.
    scale = np.zeros(n)
    for p in range(n):
        if diagonal[p] > 0:
            scale[p] = 1.0 / np.sqrt(diagonal[p])
    for p in range(n):
        for field in range(3):
            load[p, field] *= scale[p]
        for link in range(7):
            q = ends[p, link]
            if q >= 0:
                links[p, link] *= scale[p] * scale[q]
    # The three fields at once: their matrix is read from memory once a step.
    found, residual = np.zeros((n, 3)), load.copy()
    way, image = residual.copy(), np.empty((n, 3))
    squared, before = np.empty(3), np.empty(3)
    for field in range(3):
        squared[field] = np.sum(residual[:, field] ** 2)
    enough = _TOLERANCE**2 * squared
    for _ in range(_MAX_STEPS):
        if (squared <= enough).all():
            break
        _times(links, ends, way, image)
        for field in range(3):
            before[field] = squared[field]
            if squared[field] <= enough[field]:
                continue
            along = 0.0
            for p in range(n):
                along += way[p, field] * image[p, field]
            length, total = squared[field] / along, 0.0
            for p in range(n):
                found[p, field] += length * way[p, field]
                residual[p, field] -= length * image[p, field]
                total += residual[p, field] ** 2
            squared[field] = total
            for p in range(n):
                way[p, field] = residual[p, field] + total / before[field] * way[p, field]
    lowered = np.zeros((3, 3))
    _times(links, ends, found, image)
    for b in range(3):
        for a in range(3):
            lowered[a, b] += np.sum(found[:, a] * load[:, b])
            lowered[a, b] += np.sum(load[:, a] * found[:, b])
            lowered[a, b] -= np.sum(found[:, a] * image[:, b])
    return lowered, totals


@njit(cache=True, nogil=True)
def _times(
    links: FloatArray, ends: NDArray[np.int32], vectors: FloatArray, result: FloatArray
) -> None:
    """Set a symmetric matrix with a unit diagonal times three vectors, shape (n, 3)."""
    result[:] = vectors
    for p in range(len(vectors)):
        x, y, z = vectors[p, 0], vectors[p, 1], vectors[p, 2]
        a, b, c = 0.0, 0.0, 0.0
        for link in range(7):
            q = ends[p, link]
            if q >= 0:
                value = links[p, link]
                a += value * vectors[q, 0]
                b += value * vectors[q, 1]
                c += value * vectors[q, 2]
                result[q, 0] += value * x
                result[q, 1] += value * y
                result[q, 2] += value * z
        result[p, 0] += a
        result[p, 1] += b
        result[p, 2] += c
