"""The arrangement of charges on given sites that has the lowest electrostatic energy.

The Ewald energy of charges q on fixed sites is the quadratic form q^T M q, so that M is computed
once (Toukmaji and Board, Comput. Phys. Commun. 95, 73 (1996)) and an arrangement costs a product.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

_CLOSE_PAIR_eV = 1e4
_SAME_ENERGY_eV = 1e-4
_N_STARTS = 40
_BLOCK = 2048

Sublattice = tuple[NDArray[np.int_], NDArray[np.int_]]


@dataclass(frozen=True)
class Arrangement:
    """A choice of species for each site.

    Parameters
    ----------
    labels : ndarray of int, shape (n_sites,)
        Number of the species on each site, -1 for a vacancy.
    energy_eV : float
        Ewald energy, plus 10 keV for each pair of atoms that is too close.
    """

    labels: NDArray[np.int_]
    energy_eV: float


class ArrangementProblem:
    """Sites, the species to put on them, and the energy of each way to do it.

    Parameters
    ----------
    cell : pymatgen.core.Structure
        The sites; what it says of species is ignored.
    sublattices : list of (site indices, labels)
        The labels (numbers of species, -1 for a vacancy) are permuted among the sites of their
        sublattice. Every site belongs to one sublattice.
    charges : ndarray, shape (n_species,)
        Charges in elementary charges.
    min_distance_A : float
        Atoms closer than this cost 10 keV a pair.
    """

    def __init__(
        self,
        cell: Structure,
        sublattices: list[Sublattice],
        charges: NDArray[np.float64],
        min_distance_A: float,
    ) -> None:
        self.sublattices = sublattices
        self.n_sites = len(cell)
        self._values = np.append(charges, 0.0)  # label -1 is a vacancy
        self._matrix_eV = _ewald_matrix(cell)
        self._close = _close_pairs(cell, min_distance_A)

    def energies(self, labels: NDArray[np.int_]) -> NDArray[np.float64]:
        """Return the energies of arrangements, labels of shape (m, n_sites), in eV."""
        q = self._values[labels]
        atoms = (labels >= 0).astype(float)
        coulomb = np.einsum("mi,mi->m", q @ self._matrix_eV, q)
        close = 0.5 * np.einsum("mi,mi->m", atoms @ self._close, atoms)
        return np.asarray(coulomb + _CLOSE_PAIR_eV * close)

    def swap_gains(self, labels: NDArray[np.int_]) -> NDArray[np.float64]:
        """Return the change of the energy when two sites swap, shape (n_sites, n_sites), in eV."""
        atoms = (labels >= 0).astype(float)
        gains = _swap(self._matrix_eV, self._values[labels])
        return np.asarray(gains + 0.5 * _CLOSE_PAIR_eV * _swap(self._close, atoms))


def lowest_arrangements(
    problem: ArrangementProblem, n_wanted: int, max_arrangements: int, seed: int
) -> tuple[list[Arrangement], bool]:
    """Return the arrangements of lowest energy, and whether all were compared.

    Up to ``max_arrangements`` all are enumerated. Beyond, the lowest of 40 seeded random starts is
    taken, each improved by the best swap until no swap helps: not always the global minimum, but
    the same for the same input.
    """
    n_total = prod(_n_permutations(labels) for _, labels in problem.sublattices)
    exhaustive = n_total <= max_arrangements
    batches = _all(problem) if exhaustive else _searched(problem, seed)
    found: list[Arrangement] = []
    for labels in batches:
        energies = problem.energies(labels)
        for i in np.argsort(energies, kind="stable")[: 50 * n_wanted]:
            found.append(Arrangement(labels[i], float(energies[i])))
        found = _distinct(found, n_wanted)
    return found, exhaustive


def _distinct(found: list[Arrangement], n_wanted: int) -> list[Arrangement]:
    kept: list[Arrangement] = []
    for candidate in sorted(found, key=lambda a: a.energy_eV):
        if not kept or candidate.energy_eV - kept[-1].energy_eV > _SAME_ENERGY_eV:
            kept.append(candidate)
    return kept[:n_wanted]


def _all(problem: ArrangementProblem) -> Iterator[NDArray[np.int_]]:
    choices = [list(_permutations(labels)) for _, labels in problem.sublattices]
    block: list[NDArray[np.int_]] = []
    for choice in product(*choices):
        labels = np.empty(problem.n_sites, dtype=int)
        for (sites, _), part in zip(problem.sublattices, choice, strict=True):
            labels[sites] = part
        block.append(labels)
        if len(block) == _BLOCK:
            yield np.array(block)
            block = []
    if block:
        yield np.array(block)


def _searched(problem: ArrangementProblem, seed: int) -> Iterator[NDArray[np.int_]]:
    rng = np.random.default_rng(seed)
    allowed = np.zeros((problem.n_sites, problem.n_sites), dtype=bool)
    for sites, _ in problem.sublattices:
        allowed[np.ix_(sites, sites)] = True
    for _ in range(_N_STARTS):
        labels = np.empty(problem.n_sites, dtype=int)
        for sites, part in problem.sublattices:
            labels[sites] = rng.permutation(part)
        for _ in range(10 * problem.n_sites):
            gains = np.where(allowed, problem.swap_gains(labels), 0.0)
            i, j = np.unravel_index(int(np.argmin(gains)), gains.shape)
            if gains[i, j] > -_SAME_ENERGY_eV:
                break
            labels[[i, j]] = labels[[j, i]]
        yield labels[np.newaxis]


def _permutations(labels: NDArray[np.int_]) -> Iterator[NDArray[np.int_]]:
    """Yield the distinct permutations of ``labels``."""
    kinds, counts = np.unique(labels, return_counts=True)
    if len(kinds) == 1:
        yield labels
        return
    n = len(labels)
    for chosen in combinations(range(n), int(counts[0])):
        rest = np.setdiff1d(np.arange(n), chosen)
        for part in _permutations(np.sort(labels)[counts[0] :]):
            result = np.empty(n, dtype=int)
            result[list(chosen)] = kinds[0]
            result[rest] = part
            yield result


def _n_permutations(labels: NDArray[np.int_]) -> int:
    left, total = len(labels), 1
    for count in np.unique(labels, return_counts=True)[1]:
        total *= comb(left, int(count))
        left -= int(count)
    return total


def _swap(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return v'^T A v' - v^T A v for v' with entries i and j swapped, shape (n, n)."""
    field = matrix @ values
    diagonal = np.diag(matrix)
    step = values[np.newaxis, :] - values[:, np.newaxis]  # what site i gains
    quadratic = diagonal[:, np.newaxis] + diagonal[np.newaxis, :] - 2.0 * matrix
    return np.asarray(
        2.0 * step * (field[:, np.newaxis] - field[np.newaxis, :]) + step**2 * quadratic
    )


def _ewald_matrix(cell: Structure) -> NDArray[np.float64]:
    """Return M with E = q^T M q, shape (n_sites, n_sites), in eV per squared charge."""
    from pymatgen.core.ewald import EwaldSummation

    unit = Structure(cell.lattice, ["H+"] * len(cell), cell.frac_coords)
    with warnings.catch_warnings():
        # Unit charges are not neutral; the arrangements are (or get a uniform background).
        warnings.simplefilter("ignore")
        matrix = np.array(EwaldSummation(unit).total_energy_matrix)
    return 0.5 * (matrix + matrix.T)


def _close_pairs(cell: Structure, min_distance_A: float) -> NDArray[np.float64]:
    close = np.zeros((len(cell), len(cell)))
    centres, neighbours, _, _ = cell.get_neighbor_list(min_distance_A)
    apart = centres != neighbours
    close[centres[apart], neighbours[apart]] = 1.0
    return close
