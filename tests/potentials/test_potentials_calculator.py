import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from superionic.potentials.calculator import potential_calculator

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
    # The tolerance is that of the central difference; the cut-off of the calculator is not smooth.
    np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=2e-4)


@pytest.mark.real_potential
def test_stress_of_chgnet_agrees_with_its_own_calculator():
    from chgnet.model.dynamics import CHGNetCalculator

    atoms = bulk("LiCl", "rocksalt", a=5.0)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.0, 0.01, 0.02])), scale_atoms=True)
    expected = atoms.copy()
    expected.calc = CHGNetCalculator(use_device="cpu")
    atoms.calc = potential_calculator("chgnet")
    np.testing.assert_allclose(atoms.get_stress(), expected.get_stress(), atol=2e-4)
