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
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from superionic.landscape.levels import checked_energies
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]

HIGHEST_eV = 3.0
"""Points above are closed: at 1000 K they would conduct e^-35 of what a well does."""
_TOLERANCE = 1e-6
_MAX_STEPS = 2000


def effective_diffusivity(
    energies_eV: ArrayLike,
    lattice: ArrayLike,
    temperature_K: float,
    highest_eV: float = HIGHEST_eV,
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
    highest_eV : float
        Points this far above the minimum are closed, in eV.

    Returns
    -------
    ndarray, shape (3, 3)
        Symmetric, with eigenvalues from 0 (no way through below ``highest_eV``) to 1 (flat).

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
    weights[above > highest_eV] = 0.0
    steps = np.asarray(lattice, dtype=np.float64) / np.array(energies.shape)[:, None]
    stiffness, load, unperturbed = _assemble(weights, steps)
    found = unperturbed - _lowered(stiffness, load)
    # What closed pores leave behind is round-off of the subtraction.
    values, axes = np.linalg.eigh(0.5 * (found + found.T) / weights.sum())
    tensor: FloatArray = (axes * np.clip(values, 0.0, 1.0)) @ axes.T
    return tensor


def _assemble(
    weights: FloatArray, steps: FloatArray
) -> tuple[sparse.csr_matrix, FloatArray, FloatArray]:
    """Return the matrix of <w grad u . grad v>, the loads of three fields, and <w e.e'>.

    In a tetrahedron whose corners are reached one grid step after the other, the differences of
    successive corners are the derivatives along those steps.
    """
    n = weights.size
    metric = np.linalg.inv(steps @ steps.T)
    numbers = np.arange(n).reshape(weights.shape)
    difference = np.array([[-1.0, 1, 0, 0], [0, -1, 1, 0], [0, 0, -1, 1]])
    stiffness = sparse.csr_matrix((n, n))
    load, unperturbed = np.zeros((n, 3)), np.zeros((3, 3))
    root = weights.ravel() ** 0.25
    for order in itertools.permutations(range(3)):
        corners = [numbers]
        for axis in order:
            corners.append(np.roll(corners[-1], -1, axis=axis))
        nodes = np.stack([corner.ravel() for corner in corners])
        weight = np.prod(root[nodes], axis=0)
        nodes, weight = nodes[:, weight > 0], weight[weight > 0] / 6
        of_order = metric[np.ix_(order, order)]
        element = difference.T @ of_order @ difference
        field = steps[list(order)]
        forces = difference.T @ of_order @ field
        rows = np.repeat(nodes, 4, axis=0).ravel()
        columns = np.tile(nodes, (4, 1)).ravel()
        values = (element.reshape(16, 1) * weight).ravel()
        stiffness = stiffness + sparse.csr_matrix((values, (rows, columns)), shape=(n, n))
        for corner, force in zip(nodes, forces, strict=True):
            for axis in range(3):
                load[:, axis] -= np.bincount(corner, weight * force[axis], minlength=n)
        unperturbed += weight.sum() * (field.T @ of_order @ field)
    return stiffness, load, unperturbed


def _lowered(stiffness: sparse.csr_matrix, load: FloatArray) -> FloatArray:
    """Return by how much the best u lowers <w |e + grad u|^2>, shape (3, 3)."""
    diagonal = stiffness.diagonal()
    open_ = np.flatnonzero(diagonal > 0)
    # Scaled to a unit diagonal: weights differ by fifteen orders of magnitude.
    scale = 1.0 / np.sqrt(diagonal[open_])
    scaling = sparse.diags(scale)
    matrix = (scaling @ stiffness[open_][:, open_] @ scaling).tocsr()
    right = load[open_] * scale[:, None]
    columns = [cg(matrix, one, rtol=_TOLERANCE, maxiter=_MAX_STEPS)[0] for one in right.T]
    u = np.stack(columns, axis=1)
    lowered: FloatArray = u.T @ right + right.T @ u - u.T @ (matrix @ u)
    return lowered
