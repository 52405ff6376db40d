import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st

from superionic.dynamics.supercell import (
    hermite_normal_forms,
    make_supercell,
    shortest_vector,
    supercell_matrix,
)
from superionic.errors import DiffusionError


def brute_shortest(cell, reach=6):
    span = range(-reach, reach + 1)
    grid = np.array([v for v in itertools.product(span, repeat=3) if any(v)])
    return np.linalg.norm(grid @ cell, axis=1).min()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(3.0, 9.0))
def test_no_image_is_nearer_than_asked(seed, distance):
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) * 1.5 + 4.0 * np.eye(3)
    if abs(np.linalg.det(cell)) < 20.0:
        return
    matrix = supercell_matrix(cell, distance)
    assert brute_shortest(matrix @ cell) >= distance - 1e-9
    assert round(np.linalg.det(matrix)) >= 1


def test_number_of_superlattices():
    # sum over a c f = n of c f^2; OEIS A001001
    assert [len(hermite_normal_forms(n)) for n in range(1, 9)] == [1, 7, 13, 35, 31, 91, 57, 155]


def test_fewer_atoms_than_multiples_of_the_lattice_vectors():
    licl = bulk("LiCl", "rocksalt", a=5.1)
    supercell, matrix = make_supercell(licl, 8.0)
    diagonal = np.prod(np.ceil(8.0 / np.linalg.norm(licl.cell.array, axis=1)))
    assert len(supercell) < 2 * diagonal
    assert len(supercell) == 2 * round(np.linalg.det(matrix))
    assert supercell.get_volume() / len(supercell) == pytest.approx(licl.get_volume() / 2)
    assert shortest_vector(supercell.cell.array) >= 8.0
    assert supercell.get_chemical_symbols().count("Li") == len(supercell) // 2


def test_a_cell_that_is_large_enough_stays_as_it_is():
    atoms = Atoms("Li", cell=[[9, 0, 0], [0, 10, 0], [30, 0, 11]], pbc=True)
    supercell, matrix = make_supercell(atoms, 8.0)
    np.testing.assert_array_equal(matrix, np.eye(3))
    np.testing.assert_array_equal(supercell.cell.array, atoms.cell.array)


def test_a_large_search_falls_back_to_multiples():
    cell = 2.0 * np.eye(3)
    matrix = supercell_matrix(cell, 11.0, max_cells=8)
    assert brute_shortest(matrix @ cell) >= 11.0


def test_too_many_atoms_are_refused_with_their_number():
    with pytest.raises(DiffusionError, match="atoms, more than 10"):
        make_supercell(bulk("LiCl", "rocksalt", a=5.1), 8.0, max_atoms=10)
