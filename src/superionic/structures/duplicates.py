"""The same crystal under several names."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure

from superionic.errors import InputError
from superionic.structures.cells import primitive_cell, space_group
from superionic.structures.checks import check_crystal
from superionic.structures.hashing import structure_hash
from superionic.structures.species import element_composition


@dataclass(frozen=True)
class DuplicateSettings:
    """When two crystals are the same.

    Crystals are compared only within one reduced formula and space group. The tolerances are
    tighter than those of the Materials Project (0.2, 0.3, 5 degrees), which merge crystals that
    differ in where a few light ions sit: here that is the question.

    Parameters
    ----------
    symprec_A : float
        Tolerance of the space group and of the primitive cell, in A; loose, so that two relaxations
        of one crystal have the same.
    length_tolerance : float
        Largest relative difference of the lattice vectors' lengths, after scaling to one volume.
    site_tolerance : float
        Largest root-mean-square displacement, as a fraction of (volume per atom)^(1/3).
    angle_tolerance_deg : float
        Largest difference of the lattice's angles, in degrees.
    volume_tolerance : float
        Largest relative difference of the volumes. Barriers depend on the volume, so members of a
        series of strained cells, or relaxations with functionals that differ by some per cent, are
        computed each.
    """

    symprec_A: float = 0.1
    length_tolerance: float = 0.1
    site_tolerance: float = 0.15
    angle_tolerance_deg: float = 3.0
    volume_tolerance: float = 0.02


def find_duplicates(
    structures: Sequence[Structure],
    settings: DuplicateSettings | None = None,
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
        As they were read; they may be disordered, decorated, and in any cell.
    settings : DuplicateSettings, optional
        Tolerances.
    progress : callable
        Called with the numbers of crystals done and given.

    Returns
    -------
    list of int
        One index for each crystal, never larger than its own.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    settings = settings or DuplicateSettings()
    matcher = StructureMatcher(
        ltol=settings.length_tolerance,
        stol=settings.site_tolerance,
        angle_tol=settings.angle_tolerance_deg,
        primitive_cell=False,  # they are primitive already
        scale=True,
        attempt_supercell=False,
    )
    first: dict[str, int] = {}
    buckets: dict[tuple, list[tuple[int, Structure]]] = defaultdict(list)
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
        cell = None if alone else _comparable(structure, settings.symprec_A)
        if cell is None:
            result.append(i)
            continue
        bucket = buckets[_key(cell, settings.symprec_A)]
        like = next((j for j, other in bucket if _same(cell, other, matcher, settings)), None)
        if like is None:
            bucket.append((i, cell))
        result.append(i if like is None else like)
    return result


def _formula(structure: Structure) -> str | None:
    try:
        return str(element_composition(structure.composition).reduced_formula)
    except InputError:
        return None


def _comparable(structure: Structure, symprec_A: float) -> Structure | None:
    try:
        check_crystal(structure)
        plain = Structure(
            structure.lattice,
            [element_composition(site.species) for site in structure],
            structure.frac_coords,
        )
    except InputError:
        return None
    return primitive_cell(plain, symprec_A).get_reduced_structure("niggli")


def _key(cell: Structure, symprec_A: float) -> tuple[str, int, int]:
    group = space_group(cell, symprec_A)
    formula = cell.composition.reduced_formula
    return formula, len(cell), group.number if group else 1


def _same(one: Structure, other: Structure, matcher: Any, settings: DuplicateSettings) -> bool:
    ratio = one.volume / other.volume
    if not np.isclose(ratio, 1.0, rtol=0.0, atol=settings.volume_tolerance):
        return False
    return bool(matcher.fit(one, other, skip_structure_reduction=True))
