"""Cells, of ordered and disordered crystals: primitive, supercells, and the space group."""

import os
from dataclasses import dataclass
from itertools import product

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from superionic.structures.checks import cell_widths


@dataclass(frozen=True)
class SpaceGroup:
    """Number and international symbol of a space group."""

    number: int
    symbol: str


def space_group(structure: Structure, symprec_A: float) -> SpaceGroup | None:
    """Return the space group within a tolerance in A, or None when spglib finds none."""
    dataset = _dataset(structure, symprec_A)
    if dataset is None:
        return None
    return SpaceGroup(int(dataset.number), str(dataset.international))


def symmetry_of(
    structure: Structure, symprec_A: float
) -> tuple[NDArray[np.int_], NDArray[np.float64]] | None:
    """Return rotations and translations on fractional coordinates, None when spglib fails."""
    dataset = _dataset(structure, symprec_A)
    if dataset is None:
        return None
    return np.asarray(dataset.rotations, dtype=int), np.asarray(dataset.translations, dtype=float)


def orbits(structure: Structure, symprec_A: float) -> NDArray[np.int_]:
    """Return for each site the lowest index of a site equivalent to it, shape (n_sites,).

    Sites with different occupancies are never equivalent. When spglib fails, every site is alone.
    """
    dataset = _dataset(structure, symprec_A)
    if dataset is None:
        return np.arange(len(structure))
    return np.asarray(dataset.crystallographic_orbits, dtype=int)


def primitive_cell(structure: Structure, symprec_A: float) -> Structure:
    """Return a primitive cell, in the orientation of the input.

    A cell that is primitive already is returned as it is, so that nobody's choice of lattice
    vectors is replaced by an equivalent one. Otherwise the vectors are spglib's standard ones, not
    rotated, and positions are not idealised.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Ordered or disordered; sites with different occupancies count as different.
    symprec_A : float
        Tolerance in A for positions that are equal up to a lattice translation.
    """
    numbers = _site_classes(structure)
    _silence_spglib()
    try:
        found = spglib.standardize_cell(
            (structure.lattice.matrix, structure.frac_coords, numbers),
            to_primitive=True,
            no_idealize=True,
            symprec=symprec_A,
        )
    except spglib.SpglibError:
        return structure
    if found is None:
        return structure
    matrix, coords, classes = found
    if len(structure) % len(classes) or len(classes) == len(structure):
        return structure
    times = len(structure) // len(classes)
    if not np.array_equal(np.bincount(numbers), times * np.bincount(classes)):
        return structure
    species = {int(c): site.species for c, site in zip(numbers, structure, strict=True)}
    return Structure(Lattice(matrix), [species[int(c)] for c in classes], coords)


def supercell_repeats(lattice: Lattice, min_width_A: float) -> tuple[int, int, int]:
    """Return how often each lattice vector is repeated for every width to reach ``min_width_A``.

    A width is the distance between opposite faces of the cell.
    """
    a, b, c = np.ceil(min_width_A / cell_widths(lattice) - 1e-9).astype(int).clip(min=1)
    return int(a), int(b), int(c)


def compact_supercell(lattice: Lattice, index: int) -> NDArray[np.int_]:
    """Return the matrix of the supercell of ``index`` cells that is nearest to a cube.

    Of all sublattices of this index (Hermite normal forms), the one whose shortest vector is
    longest; the vectors are reduced (LLL), so that the matrix is deterministic.
    """
    best: tuple[float, NDArray[np.int_]] | None = None
    for matrix in _hermite_normal_forms(index):
        reduced = Lattice(matrix @ lattice.matrix).get_lll_reduced_lattice()
        shortest = round(min(reduced.abc), 6)
        if best is None or shortest > best[0]:
            best = shortest, np.rint(reduced.matrix @ np.linalg.inv(lattice.matrix)).astype(int)
    assert best is not None
    return best[1]


def _hermite_normal_forms(index: int) -> list[NDArray[np.int_]]:
    divisors = [d for d in range(1, index + 1) if index % d == 0]
    return [
        np.array([[a, 0, 0], [d, b, 0], [e, f, index // (a * b)]])
        for a, b in product(divisors, divisors)
        if index % (a * b) == 0
        for d, e, f in product(range(a), range(a), range(b))
    ]


def _site_classes(structure: Structure) -> list[int]:
    """Return an integer for each site, equal for sites with equal occupancies."""
    names: dict[str, int] = {}
    keys = [
        " ".join(sorted(f"{sp}:{amount:.4f}" for sp, amount in site.species.items()))
        for site in structure
    ]
    return [names.setdefault(key, len(names)) for key in keys]


def _dataset(structure: Structure, symprec_A: float) -> "spglib.SpglibDataset | None":
    cell = (structure.lattice.matrix, structure.frac_coords, _site_classes(structure))
    _silence_spglib()
    try:
        return spglib.get_symmetry_dataset(cell, symprec=symprec_A)
    except spglib.SpglibError:
        return None


def _silence_spglib() -> None:
    """Keep spglib's C code from writing to stderr; what it finds is judged here."""
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
