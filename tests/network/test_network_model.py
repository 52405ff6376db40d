"""The network: invariances in both precisions, blindness, and that it sees what it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from scipy.spatial.transform import Rotation
from synthetic import synthetic_set

from superionic.network import keys
from superionic.network.batches import GraphTable
from superionic.network.graphs import collate, make_graph, shake_graphs
from superionic.network.model import ForceNetwork
from superionic.network.settings import NetworkSettings, ShakeSettings
from superionic.network.shakes import shake_crystal

PRECISIONS = [(torch.float32, 2e-4), (torch.float64, 1e-10)]
CUTOFF_A = 4.0


class Case:
    """A shaken crystal of low symmetry, and a network with random weights."""

    def __init__(self, l_max: int = 2) -> None:
        rng = np.random.default_rng(7)
        self.cell = np.array([[3.9, 0.2, 0.1], [0.5, 4.3, -0.3], [-0.4, 0.3, 4.8]])
        self.positions = rng.uniform(0, 1, (5, 3)) @ self.cell
        self.accelerations = rng.normal(scale=400.0, size=(5, 3))
        self.accelerations[3] *= 1e4  # one enormous
        torch.manual_seed(0)
        self.network = ForceNetwork(
            NetworkSettings(cutoff_A=CUTOFF_A, l_max=l_max, n_layers=2, channels=16),
            ("log10_msd_slope", "other"),
        )

    def run(self, dtype, positions=None, cell=None, accelerations=None):
        graph = make_graph(
            self.positions if positions is None else positions,
            self.cell if cell is None else cell,
            self.accelerations if accelerations is None else accelerations,
            CUTOFF_A,
        )
        with torch.no_grad():
            found = self.network.to(dtype)(collate([graph], dtype))
        return {name: value.numpy() for name, value in found.items()}


@pytest.fixture(scope="module", params=[1, 2, 3])
def case(request):
    return Case(request.param)


def assert_same(found, expected, tolerance, rows=slice(None)):
    for name, value in expected.items():
        if name == keys.NODE_FEATURES:
            value = value[rows]
        np.testing.assert_allclose(found[name], value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("determinant", [1, -1])
def test_rotation_and_reflection(case, dtype, tolerance, determinant):
    turn = Rotation.random(rng=3).as_matrix() * determinant  # -1: with inversion
    found = case.run(dtype, case.positions @ turn, case.cell @ turn, case.accelerations @ turn)
    assert_same(found, case.run(dtype), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_translation_permutation_and_choice_of_cell(case, dtype, tolerance):
    expected = case.run(dtype)
    moved = case.positions + np.array([1.3, -7.0, 0.4])
    assert_same(case.run(dtype, moved), expected, tolerance)
    order = np.array([3, 0, 4, 1, 2])
    found = case.run(dtype, case.positions[order], None, case.accelerations[order])
    assert_same(found, expected, tolerance, rows=order)
    other = np.array([[1, 1, 0], [0, 1, -2], [0, 0, 1]]) @ case.cell
    assert_same(case.run(dtype, None, other), expected, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("matrix", [np.diag([2, 1, 1]), [[1, 1, 0], [-1, 1, 0], [0, 1, 1]]])
def test_supercell(case, dtype, tolerance, matrix):
    atoms = Atoms("H5", positions=case.positions, cell=case.cell, pbc=True)
    atoms.arrays["accelerations"] = case.accelerations
    atoms.arrays["number"] = np.arange(5)
    large = make_supercell(atoms, np.array(matrix))
    found = case.run(dtype, large.positions, large.cell.array, large.arrays["accelerations"])
    assert len(large) > 5
    assert_same(found, case.run(dtype), tolerance, rows=large.arrays["number"])


def test_it_is_not_invariant_to_everything(case):
    """A constant would pass all of the above."""
    expected = case.run(torch.float64)[keys.TARGETS]
    turn = Rotation.random(rng=3).as_matrix()
    for changed in (
        {"accelerations": case.accelerations @ turn},
        {"accelerations": case.accelerations * 1.5},
        {"accelerations": -case.accelerations},
        {"positions": case.positions * np.array([1.0, 1.05, 1.0])},
    ):
        assert np.abs(case.run(torch.float64, **changed)[keys.TARGETS] - expected).max() > 1e-6


def test_smooth_where_a_neighbour_enters():
    """A network that jumps there depends on rounding."""
    case = Case()
    positions = np.array([[0.0, 0, 0], [CUTOFF_A, 0, 0]])
    accelerations = np.array([[300.0, 0, 0], [0, 50, 0]])
    values = []
    for shift in (-1e-4, 1e-4):
        moved = positions + np.array([[0, 0, 0], [shift, 0, 0]])
        found = case.run(torch.float64, moved, np.eye(3) * 30, accelerations)
        values.append(found[keys.TARGETS])
    np.testing.assert_allclose(values[0], values[1], atol=1e-9)


def test_chemical_labels_have_no_place():
    """Crystals under other labels, their accelerations held fixed: the same to the last bit."""
    data = synthetic_set(4)
    network = Case().network.float()
    pairs = [(crystal, shake) for crystal in range(4) for shake in range(2)]

    def predicted(numbers_of):
        crystals = []
        for crystal in data.crystals:
            atoms = crystal.atoms.copy()
            atoms.numbers = numbers_of(atoms.numbers)
            mobile = atoms.get_chemical_symbols()[0]
            crystals.append(replace(crystal, atoms=atoms, mobile_species=mobile))
        relabelled = replace(data, crystals=tuple(crystals))
        found = network(GraphTable(relabelled, CUTOFF_A).batch(pairs))[keys.TARGETS]
        return relabelled.sha256(), found

    own, expected = predicted(lambda numbers: numbers)
    assert len(set(expected[:, 0].tolist())) == len(pairs)
    for numbers_of in (
        lambda numbers: numbers[::-1].copy(),  # other atoms are the light ones
        lambda numbers: np.where(numbers == numbers[0], 55, 82),  # heavier ones
        lambda numbers: np.arange(20, 28),
    ):
        other, found = predicted(numbers_of)
        assert other != own  # they do carry other labels
        assert torch.equal(found, expected)


def test_a_batch_has_no_key_for_what_an_atom_is(springs):
    shakes = shake_crystal(bulk("LiF", "rocksalt", a=4.03), springs, ShakeSettings(n_shakes=2))
    network = Case().network.float()
    batch = collate(shake_graphs(shakes, CUTOFF_A))
    assert batch.keys() == {
        "edge_vectors_A",
        "edge_index",
        "accelerations_A_per_ps2",
        "graph_index",
    }
    numbers = torch.zeros(len(batch[keys.GRAPH_INDEX]), dtype=torch.int64)
    for name in ("species", "masses", "mobile", "displacements_A"):
        with pytest.raises(ValueError, match=name):
            network(batch | {name: numbers})


def test_a_batch_is_its_graphs_one_by_one():
    case = Case()
    rng = np.random.default_rng(1)
    graphs = [
        make_graph(rng.uniform(0, 4, (n, 3)), np.eye(3) * 4, rng.normal(size=(n, 3)) * 99, CUTOFF_A)
        for n in (3, 1, 6)
    ]
    network = case.network.double()
    with torch.no_grad():
        together = network(collate(graphs, torch.float64))[keys.TARGETS]
        alone = torch.cat([network(collate([g], torch.float64))[keys.TARGETS] for g in graphs])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


def test_zero_and_enormous_accelerations_give_numbers_and_gradients():
    case = Case()
    accelerations = np.zeros((5, 3))
    accelerations[1] = 1e12
    graph = make_graph(case.positions, case.cell, accelerations, CUTOFF_A)
    network = case.network.float()
    value = network(collate([graph]))[keys.TARGETS]
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in network.parameters())
