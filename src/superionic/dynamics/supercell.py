"""Supercells in which no ion meets its own image.

An ion's nearest image is as far as the shortest vector of the superlattice. The rule: of all
superlattices whose shortest vector is at least ``min_image_distance_A``, take one with the fewest
cells, and of those the one with the longest shortest vector. Non-diagonal superlattices are
searched too (all Hermite normal forms of a determinant), since they need fewer atoms than multiples
of the lattice vectors: at 8 A often not much more than the 362 A^3 of the densest lattice.
"""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import DiffusionError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DEFAULT_MIN_IMAGE_DISTANCE_A = 8.0


def shortest_vector(cell_A: FloatArray) -> float:
    """Return the length of the shortest lattice vector, in A.

    Parameters
    ----------
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    """
    from ase.geometry import minkowski_reduce

    reduced, _ = minkowski_reduce(np.asarray(cell_A, dtype=np.float64))
    return float(np.linalg.norm(reduced, axis=1).min())


def hermite_normal_forms(determinant: int) -> IntArray:
    """Return one matrix for each superlattice of a determinant, shape (n, 3, 3).

    Rows are the superlattice's vectors: [[a, b, d], [0, c, e], [0, 0, f]] with 0 <= b < c and
    0 <= d, e < f (Hart & Forcade, Phys. Rev. B 77, 224115, 2008, transposed).
    """
    forms = [
        [[a, b, d], [0, c, e], [0, 0, f]]
        for a in _divisors(determinant)
        for c in _divisors(determinant // a)
        for f in (determinant // (a * c),)
        for b in range(c)
        for d in range(f)
        for e in range(f)
    ]
    return np.array(forms, dtype=np.int64)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def supercell_matrix(
    cell_A: FloatArray,
    min_image_distance_A: float = DEFAULT_MIN_IMAGE_DISTANCE_A,
    *,
    max_cells: int = 64,
) -> IntArray:
    """Return the smallest supercell in which images are far enough from each other.

    Parameters
    ----------
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    min_image_distance_A : float
        Smallest distance between an ion and its images, in A.
    max_cells : int
        Largest number of cells that is tried in the search of all superlattices; beyond it, the
        reduced lattice vectors are multiplied one by one.

    Returns
    -------
    ndarray of int, shape (3, 3)
        Matrix M: the rows of ``M @ cell_A`` are the supercell's vectors, Minkowski-reduced, right-
        handed if the cell is.
    """
    from ase.geometry import minkowski_reduce

    cell = np.asarray(cell_A, dtype=np.float64)
    reduced, to_reduced = minkowski_reduce(cell)
    if np.linalg.norm(reduced, axis=1).min() >= min_image_distance_A:
        return np.eye(3, dtype=np.int64)  # the cell as it came, not turned
    volume = abs(float(np.linalg.det(cell)))
    short = _short_vectors(reduced, min_image_distance_A)
    # No lattice is denser than face-centred cubic: volume >= d^3 / sqrt(2).
    fewest = max(2, int(np.floor(min_image_distance_A**3 / (np.sqrt(2.0) * volume))))
    for n_cells in range(fewest, max_cells + 1):
        forms = hermite_normal_forms(n_cells)
        free = forms[~_contain_any(forms, n_cells, short)]
        if len(free):
            lengths = [shortest_vector(form @ reduced) for form in free]
            best = free[int(np.argmax(np.round(lengths, 6)))]
            break
    else:
        best = np.diag(_diagonal(reduced, min_image_distance_A))
    _, turn = minkowski_reduce(best @ reduced)
    matrix = np.rint(turn @ best @ to_reduced).astype(np.int64)
    return matrix if np.linalg.det(matrix) > 0 else -matrix


def _short_vectors(reduced_A: FloatArray, length_A: float) -> IntArray:
    """Return the integer coordinates of all lattice vectors shorter than a length, but zero."""
    heights = 1.0 / np.linalg.norm(np.linalg.inv(reduced_A), axis=0)
    reach = np.floor(length_A / heights).astype(int)
    ranges = [np.arange(-n, n + 1) for n in reach]
    grid = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    lengths = np.linalg.norm(grid @ reduced_A, axis=1)
    keep = (lengths < length_A) & np.any(grid != 0, axis=1)
    return grid[keep].astype(np.int64)


def _contain_any(forms: IntArray, determinant: int, vectors: IntArray) -> NDArray[np.bool_]:
    """Return which superlattices contain any of the vectors: v H^-1 integer."""
    adjugates = np.rint(np.linalg.inv(forms.astype(float)) * determinant).astype(np.int64)
    coordinates = np.einsum("vi,fij->fvj", vectors, adjugates)
    return np.any(np.all(coordinates % determinant == 0, axis=2), axis=1)


def _diagonal(reduced_A: FloatArray, length_A: float) -> IntArray:
    repeats = np.maximum(1, np.ceil(length_A / np.linalg.norm(reduced_A, axis=1))).astype(np.int64)
    while shortest_vector(np.diag(repeats) @ reduced_A) < length_A:
        repeats[np.argmin(repeats * np.linalg.norm(reduced_A, axis=1))] += 1
    return repeats


def make_supercell(
    atoms: Atoms,
    min_image_distance_A: float = DEFAULT_MIN_IMAGE_DISTANCE_A,
    *,
    max_atoms: int | None = None,
) -> tuple[Atoms, IntArray]:
    """Build the supercell of :func:`supercell_matrix`.

    Parameters
    ----------
    atoms : Atoms
        The crystal.
    min_image_distance_A : float
        Smallest distance between an ion and its images, in A.
    max_atoms : int or None
        Refuse larger ones.

    Returns
    -------
    supercell : Atoms
        The supercell.
    matrix : ndarray of int, shape (3, 3)
        Its matrix.

    Raises
    ------
    DiffusionError
        When it would hold more than ``max_atoms`` atoms.
    """
    from ase.build import make_supercell as ase_make_supercell

    matrix = supercell_matrix(atoms.cell.array, min_image_distance_A)
    n_atoms = len(atoms) * round(abs(float(np.linalg.det(matrix))))
    if max_atoms is not None and n_atoms > max_atoms:
        raise DiffusionError(
            f"A supercell with images {min_image_distance_A:g} A apart holds {n_atoms} atoms, more "
            f"than {max_atoms}.",
            hint="Allow more atoms, or a smaller distance.",
        )
    if n_atoms == len(atoms):
        return atoms.copy(), matrix
    return ase_make_supercell(atoms, matrix), matrix
