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

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.landscape.levels import checked_energies
from superionic.landscape.stencils import links_of_lattice, step_vectors
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HIGHEST_eV = 3.0
"""Points above are closed: at 1000 K they would conduct e^-35 of what a well does."""
_TOLERANCE = 1e-6
_MAX_STEPS = 2000


def effective_diffusivity(
    energies_eV: ArrayLike,
    lattice: ArrayLike,
    temperature_K: float,
) -> FloatArray:
    """Return the tensor of the effective diffusivity, relative to that on a flat landscape.

    Finite differences along the links of
    :func:`~superionic.landscape.stencils.links_of_lattice`, which carry the symmetry of the grid's
    lattice and depend on no choice of its vectors. A link conducts what it would in one
    dimension with an energy that is linear between its ends (Scharfetter & Gummel, IEEE Trans.
    Electron Devices 16, 64, 1969). The minimum is searched by conjugate gradients; the error of
    what they have reached when they stop is of second order in that of u.

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
    reduced = above / (BOLTZMANN_eV_per_K * temperature_K)
    reduced[above > HIGHEST_eV] = np.inf
    vectors = step_vectors(lattice, energies.shape)
    steps, shares = links_of_lattice(vectors)
    moved = steps @ vectors
    lowered, totals = _lowered(reduced, steps, shares, moved)
    found = (totals * moved.T) @ moved - lowered
    # What closed pores leave behind is round-off of the subtraction.
    values, axes = np.linalg.eigh(0.5 * (found + found.T) / np.exp(-reduced).sum())
    tensor: FloatArray = (axes * np.clip(values, 0.0, 1.0)) @ axes.T
    return tensor


@njit(cache=True, nogil=True)
def _lowered(
    reduced: FloatArray, steps: IntArray, shares: FloatArray, moved: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return by how much the best u lowers <w |e + grad u|^2>, and what each link has without it.

    Parameters
    ----------
    reduced : ndarray, shape (n1, n2, n3)
        E / kT of the points, infinite where they are closed.
    steps : ndarray of int, shape (m, 3)
        Links of a point.
    shares : ndarray, shape (m,)
        Their weights on a flat landscape.
    moved : ndarray, shape (m, 3)
        Their vectors in A, the differences of three fields.

    Returns
    -------
    lowered : ndarray, shape (3, 3)
    totals : ndarray, shape (m,)
        Sum of the weights of the links of each kind.
    """
    n1, n2, n3 = reduced.shape
    n_links = len(steps)
    number = np.full(reduced.shape, -1, dtype=np.int64)
    n = 0
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                if reduced[i, j, k] < np.inf:
                    number[i, j, k] = n
                    n += 1
    diagonal, links = np.zeros(n), np.zeros((n, n_links))
    ends = np.full((n, n_links), -1, dtype=np.int32)
    load = np.zeros((n, 3))
    totals = np.zeros(n_links)
    for i in range(n1):
        for j in range(n2):
            for k in range(n3):
                p = number[i, j, k]
                if p < 0:
                    continue
                for link in range(n_links):
                    a, b, c = i + steps[link, 0], j + steps[link, 1], k + steps[link, 2]
                    a, b, c = a % n1, b % n2, c % n3
                    q = number[a, b, c]
                    if q < 0:
                        continue
                    half = 0.5 * abs(reduced[a, b, c] - reduced[i, j, k])
                    mean = np.exp(-0.5 * (reduced[a, b, c] + reduced[i, j, k]))
                    if half > 1e-6:
                        mean *= half / np.sinh(half)
                    weight = shares[link] * mean
                    totals[link] += weight
                    if p == q:
                        continue
                    diagonal[p] += weight
                    diagonal[q] += weight
                    links[p, link] = -weight
                    ends[p, link] = q
                    for field in range(3):
                        load[p, field] += weight * moved[link, field]
                        load[q, field] -= weight * moved[link, field]
    # Scaled to a unit diagonal: weights differ by fifteen orders of magnitude.
    scale = np.zeros(n)
    for p in range(n):
        if diagonal[p] > 0:
            scale[p] = 1.0 / np.sqrt(diagonal[p])
    for p in range(n):
        for field in range(3):
            load[p, field] *= scale[p]
        for link in range(n_links):
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
        for link in range(links.shape[1]):
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
