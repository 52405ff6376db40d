"""The path for GPUs, on a processor: the same energies as the compiled path and the package."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from ase import Atoms
from test_chgnet_frozen import CRYSTALS, random_positions

from superionic.potentials.batched import (
    CPU_ATOMS_PER_BATCH,
    atoms_per_batch,
    in_batches,
    memory_per_batch,
)
from superionic.potentials.chgnet.device import ChgnetDeviceFramework, find_bonds
from superionic.potentials.chgnet.neighbours import find_angles, find_pairs
from superionic.potentials.registry import load_potential

TOLERANCE_EV = 1e-4


@pytest.fixture(scope="module")
def potential():
    return load_potential("chgnet", device="cpu", check=False)


@pytest.mark.real_potential
@pytest.mark.parametrize("name", CRYSTALS)
def test_energies_are_those_of_complete_configurations(name, potential):
    atoms, mobile = CRYSTALS[name]
    positions = random_positions(atoms, mobile, 5, seed=11)
    framework = ChgnetDeviceFramework(potential.model, atoms, mobile)
    configurations = []
    for position in positions:
        configurations.append(atoms.copy())
        configurations[-1].positions[mobile] = position
    expected = potential.energies(configurations)
    np.testing.assert_allclose(framework.energies(positions), expected, atol=TOLERANCE_EV)


@pytest.mark.real_potential
def test_the_size_of_a_batch_changes_nothing_and_nan_stays(potential):
    atoms, mobile = CRYSTALS["LiCl"]
    positions = random_positions(atoms, mobile, 7, seed=12)
    positions[3] = np.nan
    together = ChgnetDeviceFramework(potential.model, atoms, mobile).energies(positions)
    by_twos = ChgnetDeviceFramework(potential.model, atoms, mobile, batch_size=2)
    np.testing.assert_allclose(by_twos.energies(positions), together, atol=TOLERANCE_EV)
    assert np.flatnonzero(np.isnan(together)).tolist() == [3]
    assert by_twos.energies(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("name", CRYSTALS)
def test_bonds_and_angles_are_those_of_the_neighbour_list(name):
    atoms: Atoms = CRYSTALS[name][0].copy()
    atoms.rattle(0.1, seed=3)
    pairs = find_pairs(atoms.positions, atoms.cell.array, 6.0)
    vectors = pairs.vectors(atoms.positions)
    short = np.linalg.norm(vectors, axis=1) < 3.3
    expected = find_angles(pairs, short, len(atoms))
    number = np.cumsum(short) - 1
    found = find_bonds(
        torch.tensor(vectors),
        torch.tensor(pairs.first),
        torch.tensor(pairs.second),
        3.3,
        len(atoms),
    )
    np.testing.assert_array_equal(found.pairs, np.flatnonzero(short))

    def rows(centre, bond_a, bond_b, sign):
        return sorted(
            (int(c), *sorted((int(a), int(b))), float(s))
            for c, a, b, s in zip(centre, bond_a, bond_b, sign, strict=True)
        )

    assert rows(found.centre, found.bond_a, found.bond_b, found.sign) == rows(
        expected.centre, number[expected.bond_a], number[expected.bond_b], expected.sign
    )


def test_a_batch_that_does_not_fit_is_split_and_one_position_must_fit():
    sizes = []

    def evaluate(positions):
        sizes.append(len(positions))
        if len(positions) > 3:
            raise torch.OutOfMemoryError
        return positions[:, 0]

    positions = np.arange(30.0).reshape(10, 3)
    np.testing.assert_array_equal(in_batches(evaluate, positions, 8), positions[:, 0])
    assert sizes == [8, 4, 2, 2, 2, 2, 2]

    def never(positions):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        in_batches(never, positions, 4)


@pytest.mark.real_potential
def test_complete_configurations_that_do_not_fit_are_split(potential, monkeypatch):
    atoms, _ = CRYSTALS["LiCl"]
    configurations = [atoms.copy() for _ in range(5)]
    for k, one in enumerate(configurations):
        one.rattle(0.05, seed=k)
    expected = potential.energies_and_forces(configurations)
    evaluate = type(potential)._evaluate

    def short_of_memory(self, batch, *, with_forces):
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return evaluate(self, batch, with_forces=with_forces)

    monkeypatch.setattr(type(potential), "_evaluate", short_of_memory)
    energies, forces = potential.energies_and_forces(configurations)
    np.testing.assert_allclose(energies, expected[0], atol=TOLERANCE_EV)
    np.testing.assert_allclose(forces, expected[1], atol=1e-4)


def test_batches_follow_the_memory_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (80_000_000_000, 85_000_000_000))
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert memory_per_batch(gpu) == 32_000_000_000
    assert atoms_per_batch(gpu) > 1000 > atoms_per_batch(cpu) == CPU_ATOMS_PER_BATCH


@pytest.mark.real_potential
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_energies_on_a_gpu(potential):
    atoms, mobile = CRYSTALS["LiCl"]
    positions = random_positions(atoms, mobile, 400, seed=13)
    on_gpu = load_potential("chgnet", device="cuda").frozen_framework(atoms, mobile)
    assert isinstance(on_gpu, ChgnetDeviceFramework)
    expected = potential.frozen_framework(atoms, mobile).energies(positions)
    np.testing.assert_allclose(on_gpu.energies(positions), expected, atol=1e-4)


@pytest.mark.real_potential
def test_forces_follow_energies_in_a_fresh_process():
    """Kernels that were imported without gradients, for energies, give forces afterwards."""
    code = """
from ase.build import bulk
from superionic.potentials.chgnet.device import ChgnetDeviceFramework
from superionic.potentials.chgnet.force_field import CHGNetForceField
from superionic.potentials.registry import load_potential

model = load_potential("chgnet", device="cpu", check=False).model
atoms = bulk("LiCl", "rocksalt", a=5.13)
ChgnetDeviceFramework(model, atoms, 0).energies(atoms.positions[:1])
CHGNetForceField([atoms], model, compiled=False).evaluate([atoms.positions])
"""
    subprocess.run([sys.executable, "-c", code], check=True)
