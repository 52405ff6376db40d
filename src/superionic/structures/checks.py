"""What a crystal has to fulfil before anything is computed for it."""

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Lattice, Structure

from superionic.errors import (
    CellTooLargeError,
    NoFrameworkError,
    NoMobileIonError,
    NotACrystalError,
    OverlappingAtomsError,
    Remark,
)
from superionic.structures.species import element_symbol

MIN_WIDTH_A = 1.0
"""A cell thinner than this, in A, holds no atom."""

MIN_VOLUME_PER_ATOM_A3 = 1.0
"""Below, in A^3, a cell is degenerate; diamond has 5.7, metal hydrides about 5."""

MAX_VOLUME_PER_ATOM_A3 = 150.0
"""Above, in A^3, a cell is probably a molecule in a box; solid caesium has 115."""


MAX_VOLUME_PER_ATOM_REFUSED_A3 = 1000.0
"""Above, in A^3, a cell is a molecule in a box, and its landscape would be mostly vacuum."""

MAX_LENGTH_A = 500.0
"""A lattice vector longer than this, in A, is a mistake of units or of parsing."""

MAX_VOLUME_A3 = 50_000.0
"""Largest cell that is computed, in A^3: its map at 0.25 A has three million points."""

MAX_SITES = 5_000
"""Crystals with more sites are not even reduced: finding their symmetry takes minutes."""

MAX_CELLS_AWAY = 1e8
"""Coordinates farther away than this, in cells, have lost their digits."""


def cell_widths(lattice: Lattice) -> NDArray[np.float64]:
    """Return the distances between opposite faces of the cell, shape (3,), in A."""
    reciprocal = lattice.reciprocal_lattice_crystallographic.matrix
    return np.asarray(1.0 / np.linalg.norm(reciprocal, axis=1))


def check_crystal(structure: Structure) -> None:
    """Refuse what is not a finite, three-dimensional, filled cell.

    Raises
    ------
    NotACrystalError
        When a number is NaN, infinite or beyond any crystal, a direction is not periodic, there are
        no atoms, or the cell is degenerate or all but empty.
    CellTooLargeError
        When there are too many sites to look for symmetry among them.
    """
    check_number_of_sites(len(structure))
    check_lattice(structure.lattice.matrix)
    bad = np.flatnonzero(~np.isfinite(structure.frac_coords).all(axis=1))
    if bad.size:
        raise NotACrystalError(
            f"{bad.size} of {len(structure)} sites have NaN or infinite coordinates"
            f" (the first is site {bad[0] + 1}).",
            hint="Correct the coordinates.",
        )
    farthest = float(np.abs(structure.frac_coords).max(initial=0.0))
    if farthest > MAX_CELLS_AWAY:
        raise NotACrystalError(
            f"A site lies {farthest:.3g} cells away: its coordinates have no digits left within"
            " the cell.",
            hint="Correct the coordinates, or say whether they are fractional or Cartesian.",
        )
    if not all(structure.lattice.pbc):
        raise NotACrystalError(
            f"The cell is periodic in {sum(structure.lattice.pbc)} directions, not in three.",
            hint="Give a crystal with three periodic directions.",
        )
    if len(structure) == 0:
        raise NotACrystalError("The cell holds no atoms.", hint="Give the positions of the atoms.")
    volume = structure.volume
    n_atoms = max(float(structure.composition.num_atoms), 1.0)
    if volume / n_atoms < MIN_VOLUME_PER_ATOM_A3:
        raise NotACrystalError(
            f"The cell is too small for its atoms: {volume / n_atoms:.3g} A^3 per atom.",
            hint="Check the lattice vectors and their unit (A).",
        )
    if volume / n_atoms > MAX_VOLUME_PER_ATOM_REFUSED_A3:
        raise NotACrystalError(
            f"The cell is all but empty: {volume / n_atoms:.4g} A^3 per atom.",
            hint="Give a crystal; for a molecule in a box there is no landscape.",
        )


def check_lattice(matrix: NDArray[np.float64]) -> None:
    """Refuse lattice vectors that make no cell of a crystal.

    Parameters
    ----------
    matrix : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.

    Raises
    ------
    NotACrystalError
        When a number is NaN or infinite, a vector too long, or the cell flat.
    """
    if not np.isfinite(matrix).all():
        raise NotACrystalError(
            "The lattice holds NaN or infinite numbers.", hint="Correct the lattice vectors."
        )
    longest = float(np.abs(matrix).max())  # before any product of lengths, which may overflow
    if longest > MAX_LENGTH_A:
        raise NotACrystalError(
            f"A lattice vector is {longest:.4g} A long, more than the {MAX_LENGTH_A:g} A of any"
            " crystal.",
            hint="Check the lattice vectors and their unit (A).",
        )
    volume = abs(float(np.linalg.det(matrix)))
    thinnest = float(cell_widths(Lattice(matrix)).min()) if volume > 1e-6 else 0.0
    if thinnest < MIN_WIDTH_A:
        raise NotACrystalError(
            f"The cell is degenerate: {thinnest:.3g} A at its thinnest.",
            hint="Check the lattice vectors, their angles, and their unit (A).",
        )


def check_number_of_sites(n_sites: int) -> None:
    """Refuse a crystal with more sites than symmetry can be found for in reasonable time.

    Raises
    ------
    CellTooLargeError
        With both numbers.
    """
    if n_sites > MAX_SITES:
        raise CellTooLargeError(
            f"The crystal holds {n_sites} sites, more than the {MAX_SITES} that are looked at.",
            hint="Give a smaller cell, best the primitive one.",
        )


def wrapped(structure: Structure) -> tuple[Structure, tuple[Remark, ...]]:
    """Return the structure with sites that lie many cells away moved into the cell.

    Coordinates within ten cells stay as they are. Far ones cost time and memory wherever images
    are counted.
    """
    far = np.abs(structure.frac_coords).max(axis=1, initial=0.0) > 10.0
    if not far.any():
        return structure, ()
    coords = np.where(far[:, None], structure.frac_coords % 1.0, structure.frac_coords)
    farthest = float(np.abs(structure.frac_coords).max())
    moved = Structure(
        structure.lattice,
        structure.species_and_occu,
        coords,
        charge=structure._charge,
        site_properties=structure.site_properties,
    )
    text = (
        f"{int(far.sum())} of {len(structure)} sites lay up to {farthest:.3g} cells away and were"
        " moved into the cell."
    )
    return moved, (Remark("wrapped", text),)


def density_remarks(structure: Structure) -> tuple[Remark, ...]:
    """Return a remark when the cell is so empty that it looks like a molecule in a box."""
    per_atom = structure.volume / structure.composition.num_atoms
    if per_atom <= MAX_VOLUME_PER_ATOM_A3:
        return ()
    return (Remark("sparse_cell", f"The cell is very empty: {per_atom:.0f} A^3 per atom."),)


def merge_coincident_sites(
    structure: Structure, distance_A: float
) -> tuple[Structure, tuple[Remark, ...]]:
    """Return the structure with sites at the same position merged.

    The same atom listed twice becomes one, at the mean position; partly occupied sites that
    together hold at most one atom become one mixed site.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Elements only, no oxidation states.
    distance_A : float
        Sites closer than this, in A, coincide.

    Raises
    ------
    OverlappingAtomsError
        When different atoms coincide and their occupancies add up to more than one.
    """
    groups = _coincident_groups(structure, distance_A)
    if len(groups) == len(structure):
        return structure, ()
    species, coords = [], []
    for group in groups:
        base = structure.frac_coords[group[0]]
        offsets = structure.frac_coords[group] - base
        coords.append(base + (offsets - np.round(offsets)).mean(axis=0))
        species.append(_merged_species(structure, group))
    n_merged = len(structure) - len(groups)
    text = (
        f"{n_merged} of {len(structure)} sites repeat another within {distance_A:g} A and were"
        " merged with it."
    )
    return Structure(structure.lattice, species, coords), (Remark("merged_sites", text),)


def _coincident_groups(structure: Structure, distance_A: float) -> list[list[int]]:
    """Return the sites in groups of coincident ones, in the order of their first members."""
    first = np.arange(len(structure))
    centres, neighbours, _, distances = structure.get_neighbor_list(distance_A)
    for i, j, d in zip(centres, neighbours, distances, strict=True):
        if d < distance_A and i != j:
            low, high = sorted((first[i], first[j]))
            first[first == high] = low
    return [np.flatnonzero(first == head).tolist() for head in np.unique(first)]


def _merged_species(structure: Structure, group: list[int]) -> Composition:
    compositions = [structure[i].species for i in group]
    if (
        all(c.almost_equals(compositions[0]) for c in compositions)
        and structure[group[0]].is_ordered
    ):
        return compositions[0]
    total = sum(compositions[1:], start=compositions[0])
    if total.num_atoms > 1.0 + 1e-3:
        names = ", ".join(structure[i].species_string for i in group)
        raise OverlappingAtomsError(
            f"{names} share one position at {_position(structure, group[0])}.",
            hint="Keep one of them, or give occupancies that add up to at most 1.",
        )
    return total


def check_distances(structure: Structure, min_distance_A: float, min_radii_fraction: float) -> None:
    """Refuse a structure in which two atoms are closer than any bond.

    Two atoms overlap when their distance, periodic images and an atom's own images included, is
    below the larger of ``min_distance_A`` and ``min_radii_fraction`` times the sum of their
    covalent radii (Cordero et al., Dalton Trans. 2008, 2832).

    Raises
    ------
    OverlappingAtomsError
        Naming the worst pair and its distance.
    """
    from ase.data import covalent_radii

    radii = np.array([covalent_radii[Element(s.specie.symbol).Z] for s in structure])
    reach = max(min_distance_A, 2.0 * min_radii_fraction * float(radii.max()))
    centres, neighbours, _, distances = structure.get_neighbor_list(reach)
    limits = np.maximum(min_distance_A, min_radii_fraction * (radii[centres] + radii[neighbours]))
    bad = np.flatnonzero(distances < limits)
    if bad.size == 0:
        return
    worst = bad[np.lexsort((centres[bad], (distances[bad] / limits[bad]).round(6)))[0]]
    i, j = sorted((int(centres[worst]), int(neighbours[worst])))
    pairs = {tuple(sorted((int(centres[b]), int(neighbours[b])))) for b in bad}
    raise OverlappingAtomsError(
        f"{structure[i].specie.symbol}{i + 1} at {_position(structure, i)} and"
        f" {structure[j].specie.symbol}{j + 1} at {_position(structure, j)} are"
        f" {distances[worst]:.3f} A apart, below {limits[worst]:.2f} A"
        f" ({len(pairs)} such pair{'s' if len(pairs) > 1 else ''}).",
        hint="Correct the positions or the lattice, or delete one atom of the pair.",
    )


def check_ions(structure: Structure, element: str) -> tuple[int, ...]:
    """Return the indices of the sites that hold a mobile ion, of which there must be some.

    Others must be there, too: a metal, or a file with the mobile sites alone, has no framework. In
    its smallest cell the whole crystal moves with the ion, and every barrier is 0.

    Raises
    ------
    NoMobileIonError
        When no site holds the element.
    NoFrameworkError
        When no site holds another one.
    """
    formula = structure.composition.reduced_formula
    symbols = [{element_symbol(species) for species in site.species} for site in structure]
    indices = tuple(i for i, held in enumerate(symbols) if element in held)
    if not indices:
        raise NoMobileIonError(
            f"{formula} holds no {element}.",
            hint="Leave it out, or name another mobile ion (--mobile).",
        )
    if set.union(*symbols) == {element}:
        raise NoFrameworkError(
            f"The crystal holds nothing but {element}: there is no framework for it to move in.",
            hint="Leave it out if it is a metal; if the file lists the mobile sites alone, give"
            " the whole crystal.",
        )
    return indices


def check_size(structure: Structure, max_atoms: int) -> None:
    """Refuse a cell with more than ``max_atoms`` atoms, or too large for a map of it.

    Raises
    ------
    CellTooLargeError
        With both numbers.
    """
    if structure.volume > MAX_VOLUME_A3:
        raise CellTooLargeError(
            f"The cell has {structure.volume:.4g} A^3, more than the {MAX_VOLUME_A3:g} allowed.",
            hint="Give a smaller cell.",
        )
    if len(structure) > max_atoms:
        raise CellTooLargeError(
            f"The cell holds {len(structure)} atoms, more than the {max_atoms} allowed.",
            hint="Give a smaller cell, or raise max_atoms.",
        )


def _position(structure: Structure, index: int) -> str:
    return "(" + ", ".join(f"{x:.4f}" for x in structure.frac_coords[index]) + ")"
