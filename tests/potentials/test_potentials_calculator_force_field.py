"""The calculator with which positions are relaxed."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones

from superionic.errors import NonFiniteEnergyError
from superionic.potentials.calculator import fixed_cell_calculator
from superionic.workflows.jobs.relax import relax_maker

SPEC = 'ase:ase.calculators.lj.LennardJones?{"sigma": 2.6, "epsilon": 0.1, "rc": 7.0}'


def shaken(seed):
    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    atoms.rattle(0.05, seed=seed)
    return atoms


def test_a_changed_cell_or_another_crystal_is_not_answered_with_the_first():
    calculator = fixed_cell_calculator(SPEC)
    strained, other = shaken(1), bulk("Ne", "fcc", a=3.9, cubic=True) * (2, 1, 1)
    strained.set_cell(strained.cell.array * 1.02, scale_atoms=True)
    other.rattle(0.03, seed=3)
    for atoms in (shaken(1), shaken(2), strained, other, shaken(1)):
        expected = atoms.copy()
        expected.calc = LennardJones(sigma=2.6, epsilon=0.1, rc=7.0)
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(expected.get_potential_energy())
        np.testing.assert_allclose(atoms.get_forces(), expected.get_forces(), atol=1e-10)
    assert calculator.n_evaluations == 5
    assert "stress" not in calculator.implemented_properties


def test_nan_ends_a_relaxation_with_an_error():
    atoms = shaken(1)
    atoms.calc = fixed_cell_calculator(SPEC)
    atoms.positions[0, 0] = np.nan
    with pytest.raises(NonFiniteEnergyError, match="NaN"):
        atoms.get_forces()


@pytest.mark.real_potential
def test_positions_relax_to_the_same_crystal_as_with_the_calculator_that_has_stresses(
    tmp_path, monkeypatch
):
    from jobflow import run_locally
    from pymatgen.core import Structure

    from superionic.potentials.calculator import potential_calculator

    monkeypatch.chdir(tmp_path)  # atomate2 leaves files where it runs
    crystal = Structure.from_spacegroup(
        "P6_3mc", np.diag([4.5, 4.5, 7.2]) @ [[1, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1]],
        ["Li", "I"], [[1 / 3, 2 / 3, 0.36], [1 / 3, 2 / 3, 0.0]],
    )  # fmt: skip
    maker = relax_maker("chgnet", relax_cell=False, fmax_eV_per_A=0.01, steps=100)
    job = maker.make(crystal)
    found = run_locally(job, log=False, ensure_success=True)[job.uuid][1].output
    slow = relax_maker("chgnet", relax_cell=False, fmax_eV_per_A=0.01, steps=100)
    slow.force_field_name = {
        "@module": potential_calculator.__module__,
        "@callable": potential_calculator.__name__,
    }
    job = slow.make(crystal)
    expected = run_locally(job, log=False, ensure_success=True)[job.uuid][1].output
    assert found.output.n_steps == expected.output.n_steps > 2
    np.testing.assert_allclose(
        found.structure.cart_coords, expected.structure.cart_coords, atol=1e-4
    )
    np.testing.assert_array_equal(found.structure.lattice.matrix, crystal.lattice.matrix)
    assert found.output.energy == pytest.approx(expected.output.energy, abs=1e-4)
