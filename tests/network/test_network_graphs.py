"""Neighbours against a brute-force sum over images, and batches."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superionic.network import keys
from superionic.network.graphs import collate, make_graph, periodic_edges


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(1.0, 5.0))
def test_edges_are_all_pairs_of_images_within_the_cutoff(seed, n_atoms, cutoff_A):
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 3.0 + rng.uniform(-0.8, 0.8, (3, 3))
    positions = rng.uniform(-1, 2, (n_atoms, 3)) @ cell  # some outside the cell
    vectors, index = periodic_edges(positions, cell, cutoff_A)
    shifts = np.array(list(itertools.product(range(-6, 7), repeat=3))) @ cell
    expected = []
    for i, j in itertools.product(range(n_atoms), repeat=2):
        between = positions[j] + shifts - positions[i]
        length = np.linalg.norm(between, axis=1)
        expected += [(i, j, *v) for v in between[(length > 1e-6) & (length < cutoff_A)]]
    found = np.column_stack([index.T, vectors])
    assert len(found) == len(expected)
    if expected:
        by_all = [np.lexsort(np.round(np.array(rows), 6).T) for rows in (found, expected)]
        np.testing.assert_allclose(found[by_all[0]], np.array(expected)[by_all[1]], atol=1e-8)


def test_an_atom_alone_and_atoms_that_lie_on_each_other():
    vectors, index = periodic_edges(np.zeros((1, 3)), np.eye(3) * 9.0, 4.0)
    assert vectors.shape == (0, 3)
    assert index.shape == (2, 0)
    batch = collate([make_graph(np.zeros((1, 3)), np.eye(3) * 9.0, np.ones((1, 3)), 4.0)])
    keys.require_keys(batch)


def test_batch_keeps_graphs_apart():
    rng = np.random.default_rng(0)
    graphs = [
        make_graph(rng.uniform(0, 4, (n, 3)), np.eye(3) * 4, rng.normal(size=(n, 3)), 4.5)
        for n in (2, 3, 1)
    ]
    batch = collate(graphs)
    assert batch.keys() == keys.INPUTS
    assert batch[keys.GRAPH_INDEX].tolist() == [0, 0, 1, 1, 1, 2]
    owner = batch[keys.GRAPH_INDEX]
    receiver, sender = batch[keys.EDGE_INDEX]
    assert (owner[receiver] == owner[sender]).all()
    assert receiver.max() == 5
    assert len(receiver) == sum(graph.edge_index.shape[1] for graph in graphs)


def test_what_is_not_listed_is_refused():
    batch = collate([make_graph(np.zeros((1, 3)), np.eye(3) * 3, np.ones((1, 3)), 4.0)])
    n_atoms = len(batch[keys.GRAPH_INDEX])
    for name in (keys.SPECIES, "masses", "displacements_A", keys.MOBILE):
        with pytest.raises(ValueError, match=name):
            keys.require_keys(batch | {name: batch[keys.GRAPH_INDEX]})
    with pytest.raises(ValueError, match=r"missing=\['accelerations"):
        keys.require_keys({k: v for k, v in batch.items() if k != keys.ACCELERATIONS})
    with pytest.raises(ValueError, match="shape"):
        keys.require_keys(batch | {keys.ACCELERATIONS: batch[keys.ACCELERATIONS][:, :2]})
    with pytest.raises(ValueError, match="shape"):
        keys.require_keys(batch | {keys.GRAPH_INDEX: batch[keys.GRAPH_INDEX].repeat(n_atoms + 1)})
