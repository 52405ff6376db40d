"""Potentials with known landscapes, and maps evaluated point by point without superionic's grid."""

from collections.abc import Callable
from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial import cKDTree

from superionic.landscape.landscape import Landscape
from superionic.potentials.base import FrozenFramework, Potential, PotentialInfo


class FunctionPotential(Potential):
    """The energy of an ion as a function: ``function(atoms, index, positions)``, in eV."""

    def __init__(self, function: Callable, elements: frozenset[str] | None = None) -> None:
        self.info = PotentialInfo("test", "function", "tests 0", "0" * 64)
        self.elements = elements
        self.function = function
        self.n_energies = 0

    def energies(self, configurations):
        raise NotImplementedError

    def energies_and_forces(self, configurations):
        raise NotImplementedError

    def frozen_framework(self, atoms: Atoms, mobile_index: int) -> FrozenFramework:
        potential = self

        class Frozen(FrozenFramework):
            def energies(self, positions_A):
                potential.n_energies += len(positions_A)
                return potential.function(atoms, mobile_index, np.asarray(positions_A))

        return Frozen()


def pair_energies(atoms: Atoms, index: int, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy of ion ``index`` with all other ions: a smooth pair term up to 4.5 A.

    Repulsive near, attractive far, of a strength and a range that depend on the other's element.
    """
    cutoff = 4.5
    cell = np.array(atoms.cell)
    reach = np.ceil(cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0) + 1).astype(int)
    cells = np.array(list(product(*(range(-n, n + 1) for n in reach))))

    def inside(vectors):
        fractional = np.linalg.solve(cell.T, vectors.T).T
        return (fractional - np.floor(fractional)) @ cell

    others = np.arange(len(atoms)) != index  # its own images move with it and add a constant
    images = (inside(atoms.positions[others])[:, None] + cells @ cell).reshape(-1, 3)
    numbers = np.repeat(atoms.numbers[others], len(cells))
    if not len(images):
        return np.zeros(len(positions))
    near = cKDTree(inside(positions)).sparse_distance_matrix(
        cKDTree(images), cutoff, output_type="ndarray"
    )
    number, d = numbers[near["j"]], near["v"]
    depth, size = 0.3 + 0.05 * (number % 7), 1.7 + 0.03 * (number % 11)
    morse = (1 - np.exp(-1.2 * (d - size))) ** 2 - 1
    terms = depth * morse * (1 - (d / cutoff) ** 2) ** 3
    return np.bincount(near["i"], weights=terms, minlength=len(positions))


def pair_potential() -> FunctionPotential:
    return FunctionPotential(pair_energies)


def cosine_potential(*amplitudes: float) -> FunctionPotential:
    """Return ``sum_k A_k (1 - cos 2 pi (f - f_0)_k) / 2`` with f_0 the last atom's position."""

    def energies(atoms, index, positions):
        cell = np.array(atoms.cell)
        f = np.linalg.solve(cell.T, (positions - atoms.positions[-1]).T).T
        return (1 - np.cos(2 * np.pi * f)) @ np.array(amplitudes) / 2

    return FunctionPotential(energies)


def direct_map(
    landscape: Landscape, potential: Potential, site: int, exclusion_radius_A: float = 1.2
) -> NDArray[np.float64]:
    """Return the map of one ion from its definition, every point of the landscape's grid."""
    structure: Structure = landscape.structure
    shape, origin = np.array(landscape.grid.shape), np.array(landscape.grid.origin)
    f = np.array([index / shape + origin for index in np.ndindex(*shape)])
    others = np.delete(structure.frac_coords, site, axis=0)
    free = np.ones(len(f), dtype=bool)
    if len(others):
        free = (
            structure.lattice.get_all_distances(f, others).min(axis=1) >= exclusion_radius_A - 1e-10
        )
    atoms = AseAtomsAdaptor.get_atoms(structure)
    values = potential.frozen_framework(atoms, site).energies(f[free] @ structure.lattice.matrix)
    energies = np.full(len(f), values.max() - values.min())
    energies[free] = values - values.min()
    return energies.reshape(landscape.grid.shape)


def allowed_steps(lattice, shape):
    """Steps of the "sqrt3" connectivity, straight from its definition."""
    a, b, c = (np.asarray(lattice[i]) / shape[i] for i in range(3))
    longest = np.sqrt(a @ a + b @ b + c @ c)
    return [
        (i, j, k)
        for i, j, k in product((-1, 0, 1), repeat=3)
        if (i, j, k) != (0, 0, 0) and np.linalg.norm(i * a + j * b + k * c) < longest + 1e-6
    ]


def brute_force_levels(energies, lattice):
    """Relax level = max(E, smallest neighbouring level) on the tiled window until nothing moves."""
    n = energies.shape
    minimum = np.unravel_index(np.argmin(energies), n)
    axes = [(minimum[a] + np.arange(2 * n[a] + 1) - n[a]) % n[a] for a in range(3)]
    window = energies[np.ix_(*axes)]
    levels = np.full(window.shape, np.inf)
    levels[n] = energies[minimum]
    while True:
        padded = np.pad(levels, 1, constant_values=np.inf)
        best = levels.copy()
        for step in allowed_steps(lattice, n):
            sides = zip(step, levels.shape, strict=True)
            shifted = padded[tuple(slice(1 + s, 1 + s + m) for s, m in sides)]
            best = np.minimum(best, np.maximum(window, shifted))
        if np.array_equal(best, levels):
            return levels
        levels = best


def lowest_on_a_face(levels):
    """Return the minimum percolation energy of the levels of a window."""
    return min(levels.take(end, axis).min() for axis in range(3) for end in (0, -1))
