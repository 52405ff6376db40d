"""Crystals whose symmetry is hidden by noise, as files from dynamics have them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.structures.cells import space_group, symmetry_of

NOISE_A = (0.6, 0.4, 0.2, 0.1, 0.05)
"""Tolerances in A within which hidden symmetry is looked for."""

TOLERANCES_A = (0.2, 0.1, 0.05, 0.02)
"""Tolerances in A that are tried on a relaxed crystal, the largest first."""

_TIGHT_A = 0.01
_LARGEST_STRAIN = 0.02
_MOST_SITES = 200


@dataclass(frozen=True)
class SymmetricCrystal:
    """A crystal that was brought to a symmetry which it nearly had.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        The same sites in the same order.
    number, symbol : int, str
        Its space group.
    tolerance_A : float
        Within which it was found.
    largest_move_A : float
        Of any atom, relative to the others.
    """

    structure: Structure
    number: int
    symbol: str
    tolerance_A: float
    largest_move_A: float


def is_noisy(structure: Structure) -> bool:
    """Say whether a crystal has no symmetry at all and would have one within :data:`NOISE_A`.

    A disordered crystal is not: partial occupancies are ordered first.

    Examples
    --------
    >>> from pymatgen.core import Lattice
    >>> salt = Structure(Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    >>> moved = Structure(salt.lattice, salt.species, [[0.01, 0.02, 0.005], [0.5, 0.5, 0.5]])
    >>> supercell = salt.make_supercell([2, 1, 1], in_place=False)
    >>> is_noisy(supercell), is_noisy(supercell.perturb(0.1))
    (False, True)
    """
    if not structure.is_ordered or len(structure) > _MOST_SITES:
        return False
    tight = space_group(structure, _TIGHT_A)
    if tight is None or tight.number > 1:
        return False
    return any(
        group is not None and group.number > 1
        for group in (space_group(structure, tolerance_A) for tolerance_A in NOISE_A)
    )


def symmetric_crystals(
    structure: Structure, tolerances_A: Sequence[float] = TOLERANCES_A
) -> list[SymmetricCrystal]:
    """Return crystals of higher symmetry that a crystal nearly is, the most symmetric first.

    Positions and cell are averaged over the operations that hold within a tolerance. None of the
    atoms moves by more than that, and no length changes by more than 2 %.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Ordered.
    tolerances_A : sequence of float
        In A, the largest first.
    """
    found: dict[int, SymmetricCrystal] = {}
    for tolerance_A in tolerances_A:
        group = space_group(structure, tolerance_A)
        if group is None or group.number == 1:
            continue
        made = _averaged(structure, tolerance_A)
        if made is None:
            continue
        moved, largest_move_A = made
        reached = space_group(moved, _TIGHT_A)
        if largest_move_A > tolerance_A or reached is None or reached.number == 1:
            continue
        # The smallest tolerance within which a group is found is the one to be told.
        found[group.number] = SymmetricCrystal(
            moved, reached.number, reached.symbol, tolerance_A, largest_move_A
        )
    return list(found.values())


def _averaged(structure: Structure, tolerance_A: float) -> tuple[Structure, float] | None:
    """Return the average over the operations within a tolerance, and the largest move in A."""
    operations = symmetry_of(structure, tolerance_A)
    if operations is None:
        return None
    rotations, translations = operations
    lattice = _averaged_lattice(structure.lattice.matrix, rotations)
    if lattice is None:
        return None
    start = structure.frac_coords
    numbers = np.array([site.specie.Z for site in structure])
    moves = np.zeros_like(start)
    for rotation, translation in zip(rotations, translations, strict=True):
        images = start @ rotation.T + translation
        # The image of atom i is near atom j: half of what is left is noise of each.
        delta = images[:, None, :] - start[None, :, :]
        delta -= np.rint(delta)
        distance_A = np.linalg.norm(delta @ lattice, axis=2)
        distance_A[numbers[:, None] != numbers[None, :]] = np.inf
        target = distance_A.argmin(axis=1)
        if len(set(target.tolist())) < len(target):
            return None
        own = delta[np.arange(len(target)), target]
        # A translation is known as well as the noise of all atoms together, not of one.
        moves[target] += own - own.mean(axis=0)
    moves /= len(rotations)
    averaged = Structure(Lattice(lattice), structure.species, start + moves)
    return averaged, float(np.linalg.norm(moves @ lattice, axis=1).max())


def _averaged_lattice(
    matrix: NDArray[np.float64], rotations: NDArray[np.int_]
) -> NDArray[np.float64] | None:
    """Return lattice vectors whose metric the rotations keep, near the given ones."""
    metric = matrix @ matrix.T
    averaged = np.mean([rotation.T @ metric @ rotation for rotation in rotations], axis=0)
    # The stretch that turns one metric into the other, without a rotation: S with S' M S = A.
    change = np.linalg.inv(matrix) @ averaged @ np.linalg.inv(matrix).T
    values, vectors = np.linalg.eigh(change)
    if values.min() <= 0 or np.abs(np.sqrt(values) - 1).max() > _LARGEST_STRAIN:
        return None
    stretch = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    found: NDArray[np.float64] = matrix @ stretch
    return found
