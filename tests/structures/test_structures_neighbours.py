"""Pairs of atoms within a cutoff, beside ASE's."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from superionic.structures.neighbours import find_neighbours


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), n_atoms=st.integers(1, 12), cutoff_A=st.floats(0.5, 9.0),
    outside=st.booleans(),
)  # fmt: skip
def test_pairs_are_those_of_ase(seed, n_atoms, cutoff_A, outside):
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) + 4 * np.eye(3)
    fractional = rng.uniform(-2 if outside else 0, 3 if outside else 1, size=(n_atoms, 3))
    atoms = Atoms(numbers=[3] * n_atoms, scaled_positions=fractional, cell=cell, pbc=True)
    found = find_neighbours(atoms.positions, cell, cutoff_A)
    i, j, image, vectors = neighbor_list("ijSD", atoms, cutoff_A)
    order = np.lexsort((image[:, 2], image[:, 1], image[:, 0], j, i))
    np.testing.assert_array_equal(found.first, i[order])
    np.testing.assert_array_equal(found.second, j[order])
    np.testing.assert_array_equal(found.image, image[order])
    np.testing.assert_allclose(found.vectors_A, vectors[order], atol=1e-10)


def test_the_same_positions_give_the_same_list():
    rng = np.random.default_rng(1)
    positions, cell = rng.uniform(0, 5, size=(9, 3)), 5 * np.eye(3)
    one, other = (find_neighbours(positions, cell, 6.0) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)
    # Each pair is seen from both of its ends.
    assert sum(one.vectors_A) == pytest.approx(np.zeros(3), abs=1e-9)
