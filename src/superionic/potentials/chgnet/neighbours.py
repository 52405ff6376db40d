"""Verlet lists: pairs and angles of a periodic system, found once and pruned at every step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.structures.neighbours import find_neighbours

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of atoms closer than a cutoff, each once, in an order that depends on nothing else.

    Parameters
    ----------
    first, second : ndarray, shape (n_pairs,)
        Atom indices, ``first <= second``.
    shift_A : ndarray, shape (n_pairs, 3)
        Lattice vector that is added to the second atom.
    """

    first: IntArray
    second: IntArray
    shift_A: FloatArray

    def __len__(self) -> int:
        return len(self.first)

    def vectors(self, positions_A: FloatArray) -> FloatArray:
        """Return first minus second atom in A, shape (n_pairs, 3)."""
        return positions_A[self.first] - positions_A[self.second] - self.shift_A


@dataclass(frozen=True)
class Angles:
    """Unordered pairs of short bonds that meet in an atom.

    A pair of atoms (first, second) is a bond of both; seen from the second its vector is reversed.

    Parameters
    ----------
    centre : ndarray, shape (n_angles,)
        Atom indices.
    bond_a, bond_b : ndarray, shape (n_angles,)
        Indices of the pairs.
    sign : ndarray, shape (n_angles,)
        -1 where exactly one of the two vectors has to be reversed, else 1.
    """

    centre: IntArray
    bond_a: IntArray
    bond_b: IntArray
    sign: NDArray[np.float64]


def find_pairs(positions_A: FloatArray, cell_A: FloatArray, cutoff_A: float) -> Pairs:
    """Find all pairs within a cutoff in a crystal, periodic in three directions.

    Parameters
    ----------
    positions_A : ndarray, shape (n_atoms, 3)
        Cartesian positions in A; they need not lie inside the cell.
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    cutoff_A : float
        Largest distance in A.

    Returns
    -------
    Pairs
        Sorted by first atom, second atom and lattice vector, so that the same positions always give
        the same list; sums over it are then the same to the last bit.
    """
    first, second, image, _ = find_neighbours(positions_A, cell_A, cutoff_A)
    positive = (image[:, 0] > 0) | (
        (image[:, 0] == 0) & ((image[:, 1] > 0) | ((image[:, 1] == 0) & (image[:, 2] > 0)))
    )
    keep = (first < second) | ((first == second) & positive)
    return Pairs(first[keep], second[keep], image[keep] @ np.asarray(cell_A, dtype=np.float64))


def find_angles(pairs: Pairs, short: NDArray[np.bool_], n_atoms: int) -> Angles:
    """Enumerate the angles between bonds that share an atom.

    Parameters
    ----------
    pairs : Pairs
        All pairs.
    short : ndarray of bool, shape (n_pairs,)
        Which pairs are bonds.
    n_atoms : int
        Number of atoms.

    Returns
    -------
    Angles
        Each unordered pair of bonds once for each atom that they share. A bond between an atom and
        its own image meets that atom with both of its ends.
    """
    bonds = np.flatnonzero(short)
    centre = np.concatenate([pairs.first[bonds], pairs.second[bonds]])
    bond = np.concatenate([bonds, bonds])
    sign = np.repeat([1.0, -1.0], len(bonds))
    order = np.lexsort((sign, bond, centre))
    centre, bond, sign = centre[order], bond[order], sign[order]
    degree = np.bincount(centre, minlength=n_atoms)
    start = np.cumsum(degree) - degree
    left, right = [], []
    for first_end, n_ends in zip(start, degree, strict=True):
        a, b = np.triu_indices(n_ends, k=1)
        left.append(first_end + a)
        right.append(first_end + b)
    a = np.concatenate(left) if left else np.zeros(0, dtype=np.int64)
    b = np.concatenate(right) if right else np.zeros(0, dtype=np.int64)
    return Angles(centre[a], bond[a], bond[b], sign[a] * sign[b])


class VerletList:
    """Candidate pairs and angles of one crystal, renewed when an atom has moved half the skin.

    Parameters
    ----------
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A; fixed.
    pair_cutoff_A, bond_cutoff_A : float
        Cutoffs of pairs and of the bonds that form angles, in A.
    skin_A : float
        How much farther candidates are searched, in A.
    """

    def __init__(
        self, cell_A: FloatArray, pair_cutoff_A: float, bond_cutoff_A: float, skin_A: float
    ) -> None:
        self._cell = np.array(cell_A, dtype=np.float64)
        self._pair_cutoff = pair_cutoff_A
        self._bond_cutoff = bond_cutoff_A
        self._skin = skin_A
        self._reference: FloatArray | None = None
        self._pairs: Pairs
        self._angles: Angles
        self.n_searches = 0

    def graph(self, positions_A: FloatArray) -> tuple[Pairs, FloatArray, IntArray, Angles]:
        """Return what lies within the cutoffs at these positions.

        Parameters
        ----------
        positions_A : ndarray, shape (n_atoms, 3)
            Cartesian positions in A.

        Returns
        -------
        pairs : Pairs
            Pairs closer than the pair cutoff.
        vectors_A : ndarray, shape (n_pairs, 3)
            First minus second atom.
        bonds : ndarray, shape (n_bonds,)
            Indices of the pairs closer than the bond cutoff.
        angles : Angles
            Angles between bonds; ``bond_a`` and ``bond_b`` count within ``bonds``.
        """
        self.candidates(positions_A)
        vectors = self._pairs.vectors(positions_A)
        squared = np.einsum("ij,ij->i", vectors, vectors)
        kept = np.flatnonzero(squared < self._pair_cutoff**2)
        is_bond = squared < self._bond_cutoff**2
        pairs = Pairs(self._pairs.first[kept], self._pairs.second[kept], self._pairs.shift_A[kept])
        bond_number = np.cumsum(is_bond) - 1
        a, b = self._angles.bond_a, self._angles.bond_b
        near = np.flatnonzero(is_bond[a] & is_bond[b])
        angles = Angles(
            self._angles.centre[near],
            bond_number[a[near]],
            bond_number[b[near]],
            self._angles.sign[near],
        )
        return pairs, vectors[kept], np.flatnonzero(is_bond[kept]), angles

    def candidates(self, positions_A: FloatArray) -> tuple[Pairs, Angles]:
        """Return all that may lie within the cutoffs at these positions.

        Parameters
        ----------
        positions_A : ndarray, shape (n_atoms, 3)
            Cartesian positions in A.

        Returns
        -------
        pairs : Pairs
            Pairs that may be closer than the pair cutoff.
        angles : Angles
            Angles between pairs that may be bonds; ``bond_a`` and ``bond_b`` count within
            ``pairs``. Both stay the same objects until ``n_searches`` grows.
        """
        if self._reference is not None:
            moved = np.max(np.sum((positions_A - self._reference) ** 2, axis=1))
            if moved < (0.5 * self._skin) ** 2:
                return self._pairs, self._angles
        self._reference = positions_A.copy()
        self._pairs = find_pairs(positions_A, self._cell, self._pair_cutoff + self._skin)
        vectors = self._pairs.vectors(positions_A)
        reach = self._bond_cutoff + self._skin
        short = np.einsum("ij,ij->i", vectors, vectors) < reach**2
        self._angles = find_angles(self._pairs, short, len(positions_A))
        self.n_searches += 1
        return self._pairs, self._angles
