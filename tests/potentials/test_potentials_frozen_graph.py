"""Graphs of a frozen framework against complete configurations."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry import get_distances
from ase.neighborlist import neighbor_list

from superionic.errors import UnknownElementError
from superionic.potentials.base import Potential
from superionic.potentials.frozen_graph import FrozenGraph, FrozenGraphFramework
from superionic.potentials.registry import load_potential

M3GNET = "M3GNet-MP-2021.2.8-PES"
TENSORNET = "TensorNet-MatPES-PBE-v2025.1-PES"
TOLERANCE_EV = 1e-5


def licl() -> Atoms:
    return Atoms(
        "Li2Cl2",
        cell=[[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]],
        positions=[
            [0, 0, 2.39040061],
            [1.96243315, 1.13301147, 5.56898111],
            [0, 0, 6.35070212],
            [1.96243315, 1.13301147, 3.17211527],
        ],
        pbc=True,
    )


def oblique() -> Atoms:
    atoms = bulk("LiF", "rocksalt", a=4.03)
    atoms.set_cell(np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ atoms.cell.array)
    return atoms


def outside() -> Atoms:
    atoms = licl()
    atoms.positions[2] += atoms.cell.array[0] - 2 * atoms.cell.array[2]
    return atoms


CRYSTALS = {
    "LiCl": (licl(), 0),
    "LiCl, an ion counted from the end": (licl(), -3),
    "LiCl, framework outside the home cell": (outside(), 0),
    "oblique": (oblique(), 0),
    "ions near their own images": (
        Atoms(
            "LiAl", cell=[2.8, 2.9, 5.2], scaled_positions=[[0, 0, 0], [0.4, 0.5, 0.5]], pbc=True
        ),
        0,
    ),
    "no edges at most positions": (
        Atoms(
            "LiCs", cell=[12.5, 12.6, 12.7], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], pbc=True
        ),
        0,
    ),
}


def random_positions(atoms: Atoms, mobile: int, n: int, seed: int) -> np.ndarray:
    """Positions in this and neighbouring cells, at least 1.4 A from other atoms."""
    rng = np.random.default_rng(seed)
    framework = np.delete(atoms.positions, mobile, axis=0)
    result: list[np.ndarray] = []
    while len(result) < n:
        position = rng.uniform(-1, 2, 3) @ atoms.cell.array
        _, distances = get_distances([position], framework, cell=atoms.cell, pbc=True)
        if distances.min() >= 1.4:
            result.append(position)
    return np.array(result)


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("cutoff_A", [3.0, 5.0, 7.5])
def test_edges_are_those_of_a_neighbour_list(name, cutoff_A):
    atoms, mobile = CRYSTALS[name]
    positions = random_positions(atoms, mobile, 5, seed=1)
    batch = FrozenGraph(atoms, mobile, cutoff_A).at(positions)
    n = len(atoms)
    assert np.all(np.diff(batch.edges[0]) >= 0)
    centre, neighbour = batch.edges
    assert np.array_equal(batch.graph[centre], batch.graph[neighbour])
    cartesian = batch.fractional @ atoms.cell.array
    np.testing.assert_allclose(
        batch.vectors_A,
        cartesian[neighbour] + batch.shifts @ atoms.cell.array - cartesian[centre],
        atol=1e-10,
    )
    for k, position in enumerate(positions):
        configuration = atoms.copy()
        configuration.positions[mobile] = position
        i, j, vectors = neighbor_list("ijD", configuration, cutoff_A)
        here = batch.graph[centre] == k
        found = np.column_stack([batch.edges[:, here].T - k * n, batch.vectors_A[here]])
        expected = np.column_stack([i, j, vectors])
        assert found.shape == expected.shape
        # Rounded before sorting, so that edges of equal length keep their order.
        rows = [a[np.lexsort(np.round(a, 5).T[::-1])] for a in (found, expected)]
        np.testing.assert_allclose(rows[0], rows[1], atol=1e-8)


def test_every_position_gets_its_own_energy():
    atoms = licl()
    graph = FrozenGraph(atoms, 0, 4.0)
    positions = random_positions(atoms, 0, 7, seed=2)
    sizes = []

    def evaluate(batch):
        sizes.append(batch.n_graphs)
        lengths = np.linalg.norm(batch.vectors_A, axis=1)
        return np.bincount(
            batch.graph[batch.edges[0]], weights=1 / lengths, minlength=batch.n_graphs
        )

    frozen = FrozenGraphFramework(
        graph, evaluate, max_edges_per_batch=int(2.5 * graph.edges_per_graph)
    )
    energies = frozen.energies(positions)
    assert sizes == [2, 2, 2, 1]
    one_by_one = [frozen.energies(position[None])[0] for position in positions]
    np.testing.assert_allclose(energies, one_by_one, rtol=1e-12)
    assert len(np.unique(np.round(energies, 8))) == len(positions)
    positions[3] = np.nan
    assert np.array_equal(np.isnan(frozen.energies(positions)), np.arange(7) == 3)
    assert frozen.energies(np.empty((0, 3))).shape == (0,)


@pytest.fixture(scope="module", params=["sevennet", TENSORNET, M3GNET])
def potential(request):
    if request.param == "sevennet":
        return load_potential("sevennet", check=False)
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED is not set")
    return load_potential(f"matgl:{Path(shared) / 'models' / request.param}", check=False)


@pytest.mark.real_potential
@pytest.mark.parametrize("name", CRYSTALS)
def test_equals_complete_configurations(potential, name):
    atoms, mobile = CRYSTALS[name]
    positions = random_positions(atoms, mobile, 5, seed=3)
    frozen = potential.frozen_framework(atoms, mobile)
    assert isinstance(frozen, FrozenGraphFramework)
    expected = Potential.frozen_framework(potential, atoms, mobile).energies(positions)
    assert frozen.energies(positions) == pytest.approx(expected, abs=TOLERANCE_EV, rel=0)


@pytest.mark.real_potential
@pytest.mark.parametrize("material_id", ["mp-10103", "mp-696128"])
def test_equals_complete_configurations_of_real_crystals(potential, material_id):
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED is not set")
    lines = (Path(shared) / "data" / "structures_li.jsonl").read_text().splitlines()
    crystal = next(r for r in map(json.loads, lines) if r["id"] == material_id)["structure"]
    atoms = Atoms(
        crystal["species"],
        cell=crystal["lattice"],
        scaled_positions=crystal["frac_coords"],
        pbc=True,
    )
    mobile = crystal["species"].index("Li")
    positions = random_positions(atoms, mobile, 3, seed=4)
    expected = Potential.frozen_framework(potential, atoms, mobile).energies(positions)
    energies = potential.frozen_framework(atoms, mobile).energies(positions)
    assert np.ptp(energies) > 0.01
    # Sums over more atoms and edges are rounded in another order.
    tolerance_eV = max(TOLERANCE_EV, 2e-6 * len(atoms))
    assert energies == pytest.approx(expected, abs=tolerance_eV, rel=0)


@pytest.mark.real_potential
def test_refuses_unknown_elements(potential):
    with pytest.raises(UnknownElementError, match="Po"):
        potential.frozen_framework(Atoms("LiPo", cell=[4, 4, 4], pbc=True), 0)
