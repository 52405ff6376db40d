"""The same crystal under several names."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Composition, Lattice, Structure

from superionic.errors import InputError
from superionic.structures.candidate import structure_hash
from superionic.structures.cells import primitive_cell, space_group
from superionic.structures.checks import check_crystal
from superionic.structures.species import element_composition

SYMPREC_A = 0.1
"""Tolerance of space group and primitive cell: loose, so that two relaxations have the same."""
VOLUME_TOLERANCE = 0.02
"""Largest relative difference of volumes. Barriers depend on the volume, so members of a series of
strained cells, or relaxations with functionals that differ by some per cent, are computed each."""


@dataclass(frozen=True)
class _Packed:
    matrix_A: NDArray[np.float64]
    frac_coords: NDArray[np.float64]
    species: NDArray[np.uint32]

    @property
    def volume_A3(self) -> float:
        return float(abs(np.linalg.det(self.matrix_A)))


class PackedCrystals(Sequence[Structure]):
    """Many crystals in little memory: about 30 bytes an atom, where a structure takes 2,000.

    What is kept is what makes a crystal: lattice, coordinates, species with their occupancies.
    """

    def __init__(self) -> None:
        self._packed: list[_Packed] = []
        self._number: dict[str, int] = {}
        self._species: list[Composition] = []

    def append(self, structure: Structure) -> None:
        """Add a crystal."""
        species = [self._number_of(site.species) for site in structure]
        self._packed.append(
            _Packed(
                np.array(structure.lattice.matrix, dtype=float),
                np.array(structure.frac_coords, dtype=float),
                np.array(species, dtype=np.uint32),
            )
        )

    def volume_A3(self, index: int) -> float:
        """Return the volume of a cell in A^3."""
        return self._packed[index].volume_A3

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Structure: ...
    @overload
    def __getitem__(self, index: slice) -> list[Structure]: ...
    def __getitem__(self, index: int | slice) -> Structure | list[Structure]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        packed = self._packed[index]
        species = [self._species[number] for number in packed.species]
        return Structure(Lattice(packed.matrix_A), species, packed.frac_coords)

    def _number_of(self, species: Composition) -> int:
        name = " ".join(sorted(f"{one}:{amount!r}" for one, amount in species.items()))
        if name not in self._number:
            self._number[name] = len(self._species)
            self._species.append(species)
        return self._number[name]


def find_duplicates(
    structures: Sequence[Structure],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[int]:
    """Return for each crystal the index of the first one that is the same.

    A crystal that is like no earlier one has its own index. Likeness is tested against those only,
    so it does not creep along chains. Cells that cannot be compared (degenerate, dummy species) are
    like no other.

    Parameters
    ----------
    structures : sequence of Structure
        As they were read; they may be disordered, decorated, and in any cell. Where they are many,
        :class:`PackedCrystals`.
    progress : callable
        Called with the numbers of crystals done and given.

    Returns
    -------
    list of int
        One index for each crystal, never larger than its own.
    """
    first: dict[str, int] = {}
    buckets: dict[tuple, list[tuple[int, int]]] = defaultdict(list)  # crystal, and its cell
    cells = PackedCrystals()
    result: list[int] = []
    formulas = [_formula(structure) for structure in structures]
    n_of = Counter(formulas)
    for i, structure in enumerate(structures):
        progress(i, len(structures))
        digest = structure_hash(structure)
        if digest in first:  # to the last digit: nothing to compare
            result.append(result[first[digest]])
            continue
        first[digest] = i
        # Finding cell and space group is what costs: not where nothing can be compared.
        alone = formulas[i] is None or n_of[formulas[i]] == 1
        cell = None if alone else _comparable(structure)
        if cell is None:
            result.append(i)
            continue
        bucket = buckets[_key(cell)]
        like = next((j for j, k in bucket if _same(cell, cells, k)), None)
        if like is None:
            bucket.append((i, len(cells)))
            cells.append(cell)
        result.append(i if like is None else like)
    return result


def stand_ins(names: Sequence[str], first: Sequence[int], *done: Collection[str]) -> dict[str, str]:
    """Return for each crystal that need not be computed the name of the one that stands for it.

    Parameters
    ----------
    names : sequence of str
        Name of each crystal.
    first : sequence of int
        As :func:`find_duplicates` returns them.
    *done : collections of str
        Names that are computed already, or will be; they are nobody's duplicates, and stand for the
        others, those of the first collection before those of the second.
    """
    groups: dict[int, list[str]] = defaultdict(list)
    for name, index in zip(names, first, strict=True):
        groups[index].append(name)
    result: dict[str, str] = {}
    for members in groups.values():
        if len(members) == 1:
            continue
        preferred = [name for known in done for name in members if name in known]
        chosen = preferred[0] if preferred else members[0]
        kept = {chosen, *preferred}
        result |= {name: chosen for name in members if name not in kept}
    return result


def _formula(structure: Structure) -> str | None:
    try:
        return str(element_composition(structure.composition).reduced_formula)
    except InputError:
        return None


def _comparable(structure: Structure) -> Structure | None:
    try:
        check_crystal(structure)
        plain = Structure(
            structure.lattice,
            [element_composition(site.species) for site in structure],
            structure.frac_coords,
        )
    except InputError:
        return None
    return primitive_cell(plain, SYMPREC_A).get_reduced_structure("niggli")


def _key(cell: Structure) -> tuple[str, int, int]:
    group = space_group(cell, SYMPREC_A)
    formula = cell.composition.reduced_formula
    return formula, len(cell), group.number if group else 1


def _same(one: Structure, cells: PackedCrystals, index: int) -> bool:
    ratio = one.volume / cells.volume_A3(index)
    if not np.isclose(ratio, 1.0, rtol=0.0, atol=VOLUME_TOLERANCE):
        return False
    return bool(_matcher().fit(one, cells[index], skip_structure_reduction=True))


@cache
def _matcher() -> Any:
    """Return what compares cells, of one formula and space group.

    Its tolerances are tighter than those of the Materials Project (0.2, 0.3, 5 degrees), which
    merge crystals that differ in where a few light ions sit: here that is the question.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher  # takes long, seldom needed

    return StructureMatcher(
        ltol=0.1,  # of the lengths of lattice vectors, after scaling to one volume
        stol=0.15,  # root mean square, in (volume per atom)^(1/3)
        angle_tol=3.0,
        primitive_cell=False,  # they are primitive already
        scale=True,
        attempt_supercell=False,
    )
