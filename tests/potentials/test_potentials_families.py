"""Every family gives what its own ASE calculator gives, in batches of any size."""

import contextlib
import io

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols
from hypothesis import given
from hypothesis import strategies as st

from superionic.errors import (
    IsolatedAtomsError,
    NonFiniteEnergyError,
    PotentialError,
    UnknownElementError,
)
from superionic.potentials.batched import hash_state_dict, resolve_device, split_by_atoms
from superionic.potentials.registry import load_potential
from superionic.potentials.selfcheck import distorted, reference_crystals

FAMILIES = ["chgnet", "sevennet", "matgl"]
TENSORNET = "TensorNet-MatPES-PBE-v2025.1-PES"


def load(family, request):
    if family == "matgl":
        family = f"matgl:{request.getfixturevalue('shared_models') / TENSORNET}"
    return load_potential(family, check=False)


def own_calculator(family, request):
    with contextlib.redirect_stdout(io.StringIO()):
        if family == "chgnet":
            from chgnet.model.dynamics import CHGNetCalculator

            return CHGNetCalculator(use_device="cpu")
        if family == "sevennet":
            from sevenn.calculator import SevenNetCalculator

            return SevenNetCalculator("7net-0", device="cpu")
        import matgl
        from matgl.ext.ase import PESCalculator

        folder = request.getfixturevalue("shared_models") / TENSORNET
        return PESCalculator(matgl.load_model(folder), stress_unit="eV/A3")


def configurations():
    crystals = reference_crystals()
    outside = distorted(crystals["NaCl"], seed=3)
    outside.positions += [11.0, -7.0, 4.0]
    return [
        crystals["LiCl"],
        distorted(crystals["Li2O"].repeat((2, 1, 1)), seed=1),
        distorted(crystals["MgO"].repeat((2, 2, 1)), seed=2),
        outside,
        bulk("Li", "bcc", 3.44),
    ]


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_energies_and_forces_are_those_of_the_ase_calculator(family, request):
    potential = load(family, request)
    calculator = own_calculator(family, request)
    energies, forces = potential.energies_and_forces(configurations())
    for atoms, energy, force in zip(configurations(), energies, forces, strict=True):
        atoms.calc = calculator
        assert energy == pytest.approx(atoms.get_potential_energy(), abs=2e-5 * len(atoms))
        np.testing.assert_allclose(force, atoms.get_forces(), atol=2e-4)


@pytest.mark.real_potential
@pytest.mark.parametrize("max_atoms", [1, 7, 1000])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_size_of_a_batch_changes_nothing(family, max_atoms, request, monkeypatch):
    potential = load(family, request)
    expected, expected_forces = potential.energies_and_forces(configurations())
    monkeypatch.setattr(potential, "max_atoms_per_batch", max_atoms)
    np.testing.assert_allclose(potential.energies(configurations()), expected, atol=5e-5)
    _, forces = potential.energies_and_forces(configurations())
    for force, other in zip(forces, expected_forces, strict=True):
        np.testing.assert_allclose(force, other, atol=2e-4)


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_isolated_atoms_have_an_energy_and_no_force(family, request):
    potential = load(family, request)
    lone = Atoms("Li", cell=[20] * 3, pbc=True)
    pair = Atoms("LiCl", positions=[[0, 0, 0], [10, 0, 0]], cell=[20] * 3, pbc=True)
    energies, forces = potential.energies_and_forces([lone, reference_crystals()["NaCl"], pair])
    np.testing.assert_allclose(potential.energies([lone]), energies[:1], atol=1e-5)
    assert not forces[0].any()
    assert not forces[2].any()


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_no_configurations_give_no_energies(family, request):
    energies, forces = load(family, request).energies_and_forces([])
    assert energies.shape == (0,)
    assert forces == []


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_the_callers_configurations_are_left_alone(family, request):
    atoms = configurations()[1]
    before = atoms.copy()
    load(family, request).energies_and_forces([atoms])
    assert atoms == before
    assert atoms.calc is None


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_an_element_outside_the_training_data_is_refused(family, request):
    crystals = [reference_crystals()["NaCl"], bulk("Po", "sc", 3.35)]
    with pytest.raises(UnknownElementError, match=r"not trained on Po\."):
        load(family, request).energies(crystals)


@pytest.mark.real_potential
@pytest.mark.parametrize("family", FAMILIES)
def test_a_crystal_in_which_atoms_see_nothing_is_refused(family, request):
    """Caesium's atoms are 5.3 A apart; 0.3.0 of CHGNet looks 6 A far, the others 5 A."""
    potential = load(family, request)
    assert 4.5 <= potential.cutoff_A <= 6.5
    potential.check_crystal(reference_crystals()["NaCl"])
    with pytest.raises(IsolatedAtomsError, match=potential.info.label):
        potential.check_crystal(bulk("Cs", "sc", potential.cutoff_A + 0.1))


@pytest.mark.real_potential
def test_chgnet_knows_the_elements_whose_embedding_was_trained():
    potential = load_potential("chgnet", check=False)
    # An embedding is initialised with 64 standard normal numbers, so its norm is 8 +- 0.7.
    norms = potential.model.atom_embedding.embedding.weight.norm(dim=1).tolist()
    trained = {chemical_symbols[z] for z, norm in enumerate(norms, start=1) if norm > 10.5}
    assert potential.elements == trained
    assert len(trained) == 89


@pytest.mark.real_potential
def test_atoms_on_one_spot_are_an_error_and_not_a_number():
    potential = load_potential("chgnet", check=False)
    atoms = reference_crystals()["NaCl"].repeat((2, 1, 1))
    atoms.positions[1] = atoms.positions[0]
    with pytest.raises(NonFiniteEnergyError, match="NaN or infini"):
        potential.energies_and_forces([reference_crystals()["NaCl"], atoms])


@pytest.mark.real_potential
def test_chgnet_writes_nothing_to_standard_output(capfd):
    from superionic.potentials.chgnet.potential import load_chgnet

    load_chgnet("0.3.0", device="cpu").energies([reference_crystals()["LiCl"]])
    assert capfd.readouterr().out == ""


@pytest.mark.real_potential
def test_a_frozen_framework_gives_the_energies_of_complete_configurations():
    potential = load_potential("sevennet", check=False)
    atoms = reference_crystals()["Li2O"]
    positions = atoms.positions[1] + np.array([[0.0, 0, 0], [0.2, 0.1, 0], [0, 0, -0.3]])
    found = potential.frozen_framework(atoms, 1).energies(positions)
    expected = []
    for position in positions:
        moved = atoms.copy()
        moved.positions[1] = position
        expected.append(potential.energies([moved])[0])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.ptp(found) > 0.05


@pytest.mark.real_potential
def test_fidelities_of_one_model_differ():
    crystal = [reference_crystals()["NaCl"]]
    pbe = load_potential('sevennet:7net-mf-0?{"modal":"PBE"}', check=False)
    r2scan = load_potential('sevennet:7net-mf-0?{"modal":"R2SCAN"}', check=False)
    assert pbe.energies(crystal)[0] - r2scan.energies(crystal)[0] > 1
    assert pbe.info.label != r2scan.info.label


@given(
    sizes=st.lists(st.integers(min_value=1, max_value=9), max_size=20),
    limit=st.integers(min_value=1, max_value=20),
)
def test_batches_hold_everything_in_order_and_within_the_limit(sizes, limit):
    configurations = [Atoms(f"H{size}") for size in sizes]
    batches = list(split_by_atoms(configurations, limit))
    assert [atoms for batch in batches for atoms in batch] == configurations
    n_atoms = [sum(map(len, batch)) for batch in batches]
    assert all(n <= limit or len(batch) == 1 for n, batch in zip(n_atoms, batches, strict=True))
    for n, following in zip(n_atoms, batches[1:], strict=False):
        assert n + len(following[0]) > limit


def test_the_hash_sees_names_shapes_types_and_values():
    import torch

    weights = torch.arange(6.0)
    states = [
        {"a": weights},
        {"b": weights},
        {"a": weights.reshape(2, 3)},
        {"a": weights.double()},
        {"a": weights + 1e-6},
        {"a": weights, "b": weights},
    ]
    assert len({hash_state_dict(state) for state in states}) == len(states)
    forward = {"a": weights, "b": weights + 1}
    assert hash_state_dict(forward) == hash_state_dict(dict(reversed(forward.items())))


def test_a_device_that_is_not_there_is_an_error():
    assert resolve_device("cpu") == "cpu"
    with pytest.raises(PotentialError, match="'abacus' cannot be used"):
        resolve_device("abacus")


@pytest.mark.real_potential
@pytest.mark.parametrize("name", ["0.3.0", "0.2.0", "r2scan", "oam"])
def test_every_chgnet_model_has_a_frozen_framework(name):
    potential = load_potential(f"chgnet:{name}", check=False)
    atoms = reference_crystals()["Li2O"]
    positions = atoms.positions[1] + np.array([[0.0, 0, 0], [0.3, 0.1, -0.2]])
    moved = [atoms.copy(), atoms.copy()]
    moved[1].positions[1] = positions[1]
    found = potential.frozen_framework(atoms, 1).energies(positions)
    np.testing.assert_allclose(found, potential.energies(moved), atol=1e-4)
