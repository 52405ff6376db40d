"""From the rows of the list of atoms and the operations to the sites of the cell."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Lattice, Species, Structure

from superionic.errors import Remark, UnreadableFileError
from superionic.structures.checks import check_number_of_sites
from superionic.structures.cif.rows import Row, capitalised
from superionic.structures.cif.symmetry import Symmetry

MAX_OCCUPANCY = 1.02
"""Occupancies of a site that add up to more are an error; up to this they are scaled to 1."""

_SAME_SITE = 1.5e-4  # fractional, as rows that share a site are written alike
_EXACT_A = 2e-3  # images this close are one by any count
_TOUCHING_A = 0.1  # images this close are one atom if it fills its site
_REACH_A = 0.5  # images of one atom farther apart are two
_ROUNDING = 0.8  # a rounded or cut digit is off by less, in units of the last place
_EQUAL = 1e-3


@dataclass
class Orbit:
    """The images of a position, and the rows that lie on it.

    Parameters
    ----------
    rows : list of Row
        The first gave the position; the others share it.
    repeats : list of Row
        Rows that say again what another one said.
    images : ndarray of shape (n, 3)
        Fractional, in the cell.
    """

    rows: list[Row]
    images: NDArray[np.float64]
    repeats: list[Row] = field(default_factory=list)

    @property
    def amounts(self) -> tuple[tuple[Element | Species, float], ...]:
        """Return how much of each species fills each of the sites."""
        amounts: dict[Element | Species, float] = {}
        for row in self.rows:
            amounts[row.species] = amounts.get(row.species, 0.0) + row.occupancy.value
        total = max(1.0, sum(amounts.values()))
        return tuple((species, amount / total) for species, amount in amounts.items())


@dataclass(frozen=True)
class Sites:
    """What operations make of the rows.

    Parameters
    ----------
    orbits : tuple of Orbit
        In the order of their first rows.
    n_operations : int
        Order of the group.
    remarks : tuple of Remark
        What was merged.
    """

    orbits: tuple[Orbit, ...]
    n_operations: int
    remarks: tuple[Remark, ...]

    def structure(self, lattice: Lattice) -> Structure:
        """Return the crystal; sites lie in the order of their electronegativities."""
        held: dict[tuple[tuple[Element | Species, float], ...], list[Orbit]] = {}
        for orbit in self.orbits:
            held.setdefault(orbit.amounts, []).append(orbit)
        pairs = [(Composition(dict(amounts)), orbits) for amounts, orbits in held.items()]
        species, coords, labels = [], [], []
        for composition, orbits in sorted(pairs, key=lambda pair: pair[0]):
            for orbit in orbits:
                species += [composition] * len(orbit.images)
                coords.append(orbit.images)
                labels += [orbit.rows[-1].label] * len(orbit.images)
        structure = Structure(lattice, species, np.concatenate(coords), labels=labels)
        return structure.get_sorted_structure()


def build_sites(rows: Sequence[Row], symmetry: Symmetry, lattice: Lattice) -> Sites:
    """Apply symmetry operations to the rows of a list of atoms.

    Images of one row that coincide within the rounding of its coordinates are one atom. Rows at
    one position share it. A row that is an image of another of the same element repeats it, as in
    lists that are complete although the operations are still there.

    Raises
    ------
    UnreadableFileError
        When occupancies of a site add up to more than one.
    CellTooLargeError
        When there are too many sites.
    """
    check_number_of_sites(len(rows))
    orbits: list[Orbit] = []
    placed = _Placed(np.empty((len(rows) * len(symmetry), 3)), [])
    remarks: list[Remark] = []
    for row in rows:
        position, size = _special_position(row, symmetry, lattice, remarks)
        held = _orbit_at(position, row, placed, lattice)
        if held is None:
            check_number_of_sites(len(placed.owners) + size)
            images = symmetry.images(position) % 1.0
            orbits.append(Orbit([row], _distinct(images, lattice, size)))
            placed.add(orbits[-1])
        else:
            _join(held[0], row, at_row=held[1])
    for orbit in orbits:
        _check_occupancy(orbit, remarks)
    repeated = [row for orbit in orbits for row in orbit.repeats]
    if repeated:
        names = ", ".join(row.label for row in repeated[:5])
        more = f" and {len(repeated) - 5} more" if len(repeated) > 5 else ""
        text = (
            f"{names}{more} repeat{'s' if len(repeated) == 1 else ''} another row, or an image of"
            " one by the symmetry operations, and counted once."
        )
        remarks.append(Remark("listed_twice", text))
    return Sites(tuple(orbits), len(symmetry), tuple(remarks))


def _special_position(
    row: Row, symmetry: Symmetry, lattice: Lattice, remarks: list[Remark]
) -> tuple[NDArray[np.float64], int]:
    """Return the position that a row means, and the number of its images.

    Coordinates such as 0.333 are rounded off a special position: the operations that then bring
    the atom a little beside itself leave it in place. So do those that bring an atom that fills
    its site so close to itself that there is no room for two. Where the row states its
    multiplicity, that decides how far beside.
    """
    n = len(symmetry)
    if n == 1:
        return row.position, 1
    shifts = symmetry.images(row.position) - row.position
    shifts -= np.round(shifts)
    distances = np.linalg.norm(shifts @ lattice.matrix, axis=1)
    near = np.sort(distances[distances <= _REACH_A])
    if len(near) == 1:
        return row.position, n
    best, best_order, best_off_A = row.position, 1, 0.0
    full = row.occupancy.value > 1 - _EQUAL
    stated: tuple[NDArray[np.float64], float] | None = None
    limits = near[np.append(np.diff(near) > 1e-4, True)]
    for limit in limits:
        stabiliser = distances <= limit + 1e-6
        order = int(stabiliser.sum())
        mean = shifts[stabiliser].mean(axis=0)
        position = row.position + mean
        if n % order or not _fixed_by_exactly(stabiliser, position, symmetry, lattice):
            continue
        off_A = float(np.linalg.norm(mean @ lattice.matrix))
        rounded = np.abs(mean).max() <= _ROUNDING * row.unit
        if rounded or limit <= (_TOUCHING_A if full else _EXACT_A):
            exact = limit <= 1e-5
            best, best_order, best_off_A = (row.position if exact else position), order, off_A
        if row.multiplicity == n // order:
            stated = position, off_A
    if row.multiplicity and stated and row.multiplicity not in (n // best_order, best_order):
        best, best_order, best_off_A = stated[0], n // row.multiplicity, stated[1]
    if best_off_A > _EXACT_A:
        text = (
            f"{capitalised(row.name)} is rounded off a special position: it was moved"
            f" by {best_off_A:.3f} A, and its images there are one atom."
        )
        remarks.append(Remark("merged_images", text))
    return best, n // best_order


def _fixed_by_exactly(
    stabiliser: NDArray[np.bool_],
    position: NDArray[np.float64],
    symmetry: Symmetry,
    lattice: Lattice,
) -> bool:
    shifts = symmetry.images(position) - position
    shifts -= np.round(shifts)
    fixed = np.linalg.norm(shifts @ lattice.matrix, axis=1) < _EXACT_A
    return bool((fixed == stabiliser).all())


def _distinct(images: NDArray[np.float64], lattice: Lattice, size: int) -> NDArray[np.float64]:
    """Return the images without repetitions, each where it comes first."""
    if size == len(images):
        return images
    shifts = images[:, None] - images[None]
    shifts -= np.round(shifts)
    same = np.linalg.norm(shifts @ lattice.matrix, axis=2) < 2 * _EXACT_A
    return images[same.argmax(axis=1) == np.arange(len(images))]


@dataclass
class _Placed:
    """The images of all orbits so far, in one array that is filled from the start."""

    images: NDArray[np.float64]
    owners: list[Orbit]

    def add(self, orbit: Orbit) -> None:
        n = len(self.owners)
        self.images[n : n + len(orbit.images)] = orbit.images
        self.owners += [orbit] * len(orbit.images)


def _orbit_at(
    position: NDArray[np.float64], row: Row, placed: _Placed, lattice: Lattice
) -> tuple[Orbit, bool] | None:
    """Return the orbit that a row lies on, and whether at the very position of its first row."""
    shifts = placed.images[: len(placed.owners)] - position
    shifts -= np.round(shifts)
    largest = np.abs(shifts).max(axis=1)
    # Images of rounded coordinates are off by up to two units of the last place.
    reach = max(_SAME_SITE, 2 * row.unit)
    near = np.flatnonzero(largest <= reach)
    for index in near[np.argsort(largest[near])]:
        orbit = placed.owners[index]
        first = orbit.rows[0]
        own = first.position - row.position
        own -= np.round(own)
        at_row = bool(np.abs(own).max() <= _SAME_SITE)
        if largest[index] <= _SAME_SITE:
            return orbit, at_row
        off_A, own_A = np.linalg.norm(np.array([shifts[index], own]) @ lattice.matrix, axis=1)
        if (
            off_A <= _REACH_A < own_A
            and row.species == first.species
            and abs(row.occupancy.value - first.occupancy.value) <= _EQUAL
        ):
            return orbit, False
    return None


def _join(orbit: Orbit, row: Row, at_row: bool) -> None:
    """Let a row share the sites of an orbit, or repeat one of its rows."""
    for other in orbit.rows:
        if other.species != row.species:
            continue
        equal = abs(other.occupancy.value - row.occupancy.value) <= _EQUAL
        again = (other.label, other.symbol) == (row.label, row.symbol) or not at_row
        if equal and (again or row.occupancy.value > 1 - _EQUAL):
            orbit.repeats.append(row)
            return
        if not at_row:
            raise UnreadableFileError(
                f"{capitalised(row.name)} is an image of {other.name} by the symmetry operations,"
                f" but their occupancies are {row.occupancy.value:g} and"
                f" {other.occupancy.value:g}.",
                hint="Delete one of them, or the symmetry operations if the list is complete.",
            )
    orbit.rows.append(row)


def _check_occupancy(orbit: Orbit, remarks: list[Remark]) -> None:
    total = sum(row.occupancy.value for row in orbit.rows)
    names = " and ".join(row.name for row in orbit.rows)
    if total > MAX_OCCUPANCY:
        has = "share one site, with" if len(orbit.rows) > 1 else "has"
        raise UnreadableFileError(
            f"{capitalised(names)} {has} an occupancy of {total:.4g}.",
            hint="Give occupancies that add up to at most 1.",
        )
    if total > 1 + 1e-6:
        text = f"The occupancy of {names} is {total:.4g} and was scaled to 1."
        remarks.append(Remark("occupancy", text))
