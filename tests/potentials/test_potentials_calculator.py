import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from superionic.potentials.base import Potential
from superionic.potentials.calculator import potential_calculator
from superionic.potentials.chgnet.force_field import CHGNetForceField
from superionic.potentials.registry import load_potential

SPEC = 'ase:ase.calculators.lj.LennardJones?{"sigma": 2.6, "epsilon": 0.1, "rc": 7.0}'


def test_energy_forces_and_stress_are_those_of_the_calculator():
    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + 0.01 * np.array([[0, 1, 0], [1, 0, 2], [0, 2, 3]]))
    )
    expected = atoms.copy()
    expected.calc = LennardJones(sigma=2.6, epsilon=0.1, rc=7.0)
    atoms.calc = potential_calculator(SPEC)
    assert atoms.get_potential_energy() == pytest.approx(expected.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.get_forces(), atol=1e-10)
    assert np.abs(expected.get_stress()).max() > 1e-3
    np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=1e-12)


def test_without_a_stress_of_its_own_it_is_a_difference(monkeypatch):
    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    atoms.rattle(0.05, seed=1)
    expected = atoms.copy()
    expected.calc = LennardJones(sigma=2.6, epsilon=0.1, rc=7.0)
    own = expected.get_stress()
    assert np.abs(own).max() > 1e-3
    monkeypatch.setattr(LennardJones, "implemented_properties", ["energy", "forces"])
    atoms.calc = potential_calculator(SPEC)
    # The cut-off of the calculator is not smooth.
    np.testing.assert_allclose(atoms.get_stress(), own, atol=2e-4)
    assert np.abs(atoms.get_stress() - own).max() > 0


@pytest.mark.real_potential
def test_stress_of_chgnet_agrees_with_its_own_calculator():
    from chgnet.model.dynamics import CHGNetCalculator

    atoms = bulk("LiCl", "rocksalt", a=5.0)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.0, 0.01, 0.02])), scale_atoms=True)
    expected = atoms.copy()
    expected.calc = CHGNetCalculator(use_device="cpu")
    atoms.calc = potential_calculator("chgnet")
    np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=2e-5)


@pytest.mark.real_potential
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "torch"])
def test_virials_of_chgnet_are_derivatives_of_its_energy(compiled):
    """Two crystals without symmetry, one of two layers far apart, at once."""
    one = bulk("LiCl", "rocksalt", a=5.1, cubic=True)
    other = bulk("LiF", "zincblende", a=4.3) * (1, 1, 2)
    other.set_cell(other.cell.array @ (np.eye(3) + 0.05 * np.tri(3)), scale_atoms=True)
    crystals = [one, other]
    for atoms in crystals:
        atoms.rattle(0.1, seed=2)
    field = CHGNetForceField(crystals, compiled=compiled)
    energies, _, virials = field.evaluate_with_virials([one.positions for one in crystals])
    expected = field.evaluate([one.positions for one in crystals])
    np.testing.assert_array_equal(energies, expected[0])
    potential = load_potential("chgnet", check=False)
    for atoms, virial in zip(crystals, virials, strict=True):
        np.testing.assert_array_equal(virial, virial.T)
        found = virial / atoms.get_volume()
        by_differences = Potential.energy_forces_stress(potential, atoms)[2]
        assert np.abs(by_differences).max() > 5e-3
        np.testing.assert_allclose(found, by_differences, atol=2e-4)
