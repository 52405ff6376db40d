"""Compiled energies and forces of CHGNet against those of torch."""

import copy
import hashlib
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from numba import njit

from superionic.potentials.chgnet import md_network as chgnet_md_network
from superionic.potentials.chgnet.force_field import CHGNetForceField, _load_default
from superionic.potentials.chgnet.md import supports
from superionic.potentials.vectors import (
    LANES,
    exact_product,
    load,
    nearest,
    sigmoid,
    sin_cos_turns,
    splat,
    store,
    total,
)


@pytest.fixture(scope="module")
def model():
    return _load_default()


@pytest.fixture(scope="module")
def precise(model):
    """Return the same network in double precision, which torch computes."""
    return copy.deepcopy(model).double()


def thiophosphate(n_repeat=1, seed=0):
    atoms = bulk("SLi2", "fluorite", a=5.7, cubic=True).repeat((n_repeat, 1, 1))
    atoms.symbols[0] = "P"
    atoms.positions += np.random.default_rng(seed).normal(0.0, 0.12, atoms.positions.shape)
    return atoms


CRYSTALS = {
    "two atoms": bulk("LiCl", "rocksalt", a=5.1),
    "many angles": thiophosphate(),
    "larger": thiophosphate(2, seed=1),
    "few angles": bulk("LiCl", "cesiumchloride", a=3.4).repeat((2, 2, 1)),
    "no angles": Atoms("LiCl", positions=[[0, 0, 0], [0, 0, 4.0]], cell=[9, 9, 9], pbc=True),
    "one angle": Atoms(
        "LiClH", positions=[[0, 0, 0], [0, 0.3, 2.3], [1, 1, -1.0]], cell=[9, 9, 9], pbc=True
    ),
    "isolated": Atoms("Li", cell=[9, 9, 9], pbc=True),
}


@pytest.mark.real_potential
@pytest.mark.parametrize("name", CRYSTALS)
def test_energies_and_forces_are_those_of_double_precision(name, model, precise):
    atoms = CRYSTALS[name]
    field, reference = CHGNetForceField([atoms], model), CHGNetForceField([atoms], precise)
    assert field._machine is not None
    assert reference._machine is None
    (energy,), (forces,) = field.evaluate([atoms.positions])
    (expected,), (expected_forces,) = reference.evaluate([atoms.positions])
    assert energy == pytest.approx(expected, abs=1e-6 * len(atoms))
    scale = max(1.0, np.abs(expected_forces).max())
    np.testing.assert_allclose(forces, expected_forces, atol=4e-6 * scale)


@pytest.mark.real_potential
def test_forces_are_the_gradient_of_the_compiled_energy(model):
    atoms = thiophosphate(seed=4)
    field = CHGNetForceField([atoms], model)
    (forces,) = field.evaluate([atoms.positions])[1]
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=1e-12)
    rng, step = np.random.default_rng(0), 0.01
    for _ in range(4):
        way = rng.normal(size=forces.shape)
        way *= step / np.linalg.norm(way)
        # five points: what is left of order h^4 is below the rounding of the energies
        at = [field.evaluate([atoms.positions + k * way])[0][0] for k in (-2, -1, 1, 2)]
        slope = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / 12
        assert slope == pytest.approx(-np.sum(forces * way), abs=1e-5)


@pytest.mark.real_potential
def test_what_was_evaluated_before_leaves_no_trace(model):
    systems = [CRYSTALS[name] for name in ("two atoms", "no angles", "larger", "isolated")]
    together = CHGNetForceField(systems, model)  # one workspace, grown for the third
    rng = np.random.default_rng(2)
    for _ in range(3):
        positions = [a.positions + rng.normal(0.0, 0.2, a.positions.shape) for a in systems]
        energies, forces = together.evaluate(positions)
    for atoms, at, energy, force in zip(systems, positions, energies, forces, strict=True):
        alone = CHGNetForceField([atoms], model).evaluate([at])
        assert energy == alone[0][0]
        np.testing.assert_array_equal(force, alone[1][0])


@pytest.mark.real_potential
def test_atoms_in_one_place_have_no_energy_and_later_ones_do(model):
    atoms = thiophosphate()
    field = CHGNetForceField([atoms], model)
    expected_energy, expected_forces = field.evaluate([atoms.positions])
    spot = atoms.positions.copy()
    near = int(np.argsort(np.linalg.norm(spot - spot[0], axis=1))[1])
    field._verlet[0]._skin = 100.0  # no new list: the search leaves out atoms in one place
    spot[near] = spot[0]
    energies, forces = field.evaluate([spot])
    assert np.isnan(energies[0])
    assert np.isnan(forces[0]).any()
    energies, forces = field.evaluate([atoms.positions])
    assert energies[0] == expected_energy[0]
    np.testing.assert_array_equal(forces[0], expected_forces[0])


@pytest.mark.real_potential
def test_only_single_precision_on_a_processor_is_compiled(model, precise):
    atoms = CRYSTALS["two atoms"]
    assert supports(model)
    assert not supports(precise)
    assert not supports(copy.deepcopy(model).to("meta"))
    assert CHGNetForceField([atoms], model, compiled=False)._machine is None


def test_cached_code_is_that_of_the_sources():
    folder = Path(chgnet_md_network.__file__).parent
    names = [
        "compiled.py",
        "../vectors.py",
        "layout.py",
        "md_layout.py",
        "md_kernels.py",
        "md_layers.py",
    ]
    digest = hashlib.sha256(b"".join((folder / n).read_bytes() for n in names)).hexdigest()[:12]
    assert digest == chgnet_md_network.BUILT_ON, "set BUILT_ON in md_network.py"


@njit
def apply(x, out):
    """Set rows of ``out`` to functions of x; return the sum of x."""
    running = splat(np.float32(0.0))
    for q in range(0, x.size, LANES):
        v = load(x, q)
        sin, cos = sin_cos_turns(v - nearest(v))
        product, rest = exact_product(v, v)
        for k, value in enumerate((sigmoid(v), sin, cos, product, rest, (v + v) / (v * v) - v)):
            store(out, k * x.size + q, value)
        running = running + v
    return total(running)


def test_vectors_compute_what_numpy_computes():
    x = np.random.default_rng(0).normal(0.0, 4.0, 160).astype(np.float32)
    out = np.zeros((6, 160), np.float32)
    summed = apply(x, out)
    exact = x.astype(np.float64)
    assert summed == pytest.approx(exact.sum(), abs=1e-4)
    np.testing.assert_allclose(out[0], 1 / (1 + np.exp(-exact)), rtol=2e-6)
    np.testing.assert_allclose(out[1], np.sin(2 * np.pi * exact), atol=4e-7)
    np.testing.assert_allclose(out[2], np.cos(2 * np.pi * exact), atol=4e-7)
    np.testing.assert_array_equal(out[3].astype(np.float64) + out[4], exact**2)
    np.testing.assert_allclose(out[5], 2 / exact - exact, rtol=1e-5, atol=1e-5)


def test_extremes_of_the_sigmoid():
    x = np.tile(np.float32([np.nan, np.inf, -np.inf, 100.0, -100.0, 0.0, 1e-30, -1e30]), 2)
    out = np.zeros((6, 16), np.float32)
    apply(x, out)
    least = np.exp(-30.0)
    np.testing.assert_allclose(out[0, :8], [np.nan, 1, least, 1, least, 0.5, 0.5, least], rtol=2e-6)


def single_precision(workspace):
    """Yield the float32 arrays of a tuple of tuples."""
    for part in workspace:
        if isinstance(part, tuple):
            yield from single_precision(part)
        elif part.dtype == np.float32:
            yield part


@pytest.mark.real_potential
def test_no_number_of_an_evaluation_is_subnormal(model):
    # A processor takes ten times as long for a product with one.
    atoms = thiophosphate()
    field = CHGNetForceField([atoms], model)
    field.evaluate([atoms.positions])
    arrays = list(single_precision(field._machine._workspace))
    for array in arrays:
        array.fill(0.0)
    field.evaluate([atoms.positions])
    sizes = np.abs(np.concatenate([array.ravel() for array in arrays]))
    assert (sizes > 0).sum() > 100_000
    assert not ((sizes > 0) & (sizes < np.finfo(np.float32).tiny)).any()
