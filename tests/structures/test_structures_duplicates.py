"""The same crystal under several names."""

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from superionic.structures.duplicates import find_duplicates

EXAMPLES = Path(__file__).parents[2] / "workflows" / "example_crystals"


@pytest.fixture(scope="module")
def crystals():
    return [Structure.from_file(p) for p in sorted(EXAMPLES.glob("*.cif"))]


def disguised(structure, seed):
    """Return the crystal in a turned cell, with other axes, origin, order of atoms and noise."""
    rng = np.random.default_rng(seed)
    turn = np.roll(np.arange(3), seed)
    angle = rng.uniform(0, 6)
    c, s = np.cos(angle), np.sin(angle)
    matrix = structure.lattice.matrix[turn] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    order = rng.permutation(len(structure))
    coords = (structure.frac_coords[:, turn] + rng.random(3))[order]
    copy = Structure(Lattice(matrix * 1.002), [structure[int(i)].species for i in order], coords)
    copy.translate_sites(range(len(copy)), [0.003, 0, 0])
    return copy


def test_no_example_is_the_same_as_another(crystals):
    assert find_duplicates(crystals) == list(range(len(crystals)))


def test_copies_in_other_cells_are_found(crystals):
    copies = [disguised(structure, seed) for seed, structure in enumerate(crystals)]
    supercells = [structure * (1, 1, 2) for structure in crystals]
    decorated = [structure.copy() for structure in crystals]
    for structure in decorated:
        structure.add_oxidation_state_by_guess()
    n = len(crystals)
    assert find_duplicates([*crystals, *copies, *supercells, *decorated]) == [*range(n)] * 4


def salt(a_A, cation="Li"):
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a_A), [cation, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


def test_what_only_looks_alike_is_kept_apart():
    zincblende = Structure.from_spacegroup(
        "F-43m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    swollen = salt(5.1 * 1.01)  # 3 % in volume: another barrier
    moved = salt(5.1)
    moved.translate_sites([0], [0.1, 0.02, 0.0])
    half = salt(5.1)
    half.replace(0, {"Li": 0.5})
    others = [zincblende, salt(5.1, "Na"), swollen, moved, half]
    assert find_duplicates([salt(5.1), *others]) == [0, 1, 2, 3, 4, 5]


def test_the_first_one_stands_for_all_of_its_kind():
    a, b = salt(5.1), salt(5.6)
    assert find_duplicates([a, b, b, a, b * (2, 1, 1)]) == [0, 1, 1, 0, 1]


def test_cells_that_cannot_be_compared_are_like_no_other():
    from pymatgen.core import DummySpecies

    dummy = Structure(Lattice.cubic(4), [DummySpecies("X"), "Cl"], [[0] * 3, [0.5] * 3])
    flat = Structure(Lattice.orthorhombic(5, 5, 0.1), ["Li", "Cl"], [[0] * 3, [0.5] * 3])
    assert find_duplicates([dummy, flat, flat.copy(), salt(5.1)])[0] == 0
    assert find_duplicates([flat, salt(5.1), dummy, salt(5.1)]) == [0, 1, 2, 1]
