"""The student: right gradients, the same weights whatever ends it, a checkpoint that runs."""

import copy

import numpy as np
import pytest
import torch
from ase import Atoms
from pymatgen.core import Structure

from superionic.distillation import training
from superionic.distillation.dataset import Frame, batch
from superionic.distillation.quality import errors_of, evaluate, kind_of, table
from superionic.distillation.student import (
    fit_convention,
    load_student,
    predict,
    trainable_parameters,
    write_student,
)
from superionic.distillation.training import StudentSettings, train_student
from superionic.errors import TrainingError
from superionic.potentials.chgnet.force_field import CHGNetForceField
from superionic.potentials.chgnet.network import ChgnetNetwork, cutoffs_A, reference_energies_eV
from superionic.potentials.registry import load_potential


def crystal(anion, a, seed, energy_shift=0.0):
    """Return a frame of a distorted rock salt, with the forces of CHGNet's r2SCAN model."""
    rng = np.random.default_rng(seed)
    fractions = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    positions = fractions * a + rng.normal(scale=0.1, size=(2, 3))
    cell = 0.5 * a * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) + rng.normal(
        scale=0.05, size=(3, 3)
    )
    atoms = Atoms(["Li", anion], positions=positions, cell=cell, pbc=True)
    energies, forces = load_potential("chgnet:r2scan", check=False).energies_and_forces([atoms])
    return Frame(
        f"li{anion}", "shaken", 0.1, atoms.numbers, cell, positions,
        float(energies[0]) + energy_shift * 2, forces[0], np.full((3, 3), np.nan),
    )  # fmt: skip


@pytest.fixture(scope="module")
def frames():
    return [crystal(x, a, k) for k in range(4) for x, a in (("Cl", 5.1), ("F", 4.0), ("I", 6.0))]


def test_gradients_of_the_loss_are_those_of_chgnet(frames):
    model = load_student("0.3.0")
    own = trainable_parameters(model)
    graph = batch(frames[:3], reference_energies_eV(model), *cutoffs_A(model))
    said = predict(ChgnetNetwork(model, "cpu", trainable=True), graph, twice=True)
    weights = torch.linspace(0.5, 1.5, 18).reshape(6, 3)
    of_stress = torch.linspace(-1, 1, 9).reshape(3, 3)
    loss = (said.forces * weights).square().sum() + said.energies.square().sum()
    loss = loss + (said.stresses * of_stress).sum()
    loss.backward()
    # No energy depends on the last update of the angles.
    unused = {name for name, value in own.items() if value.grad is None}
    assert {name.rpartition(".twoBody")[0] for name in unused} == {"angle_layers.2"}
    found = {name: own[name].grad.clone() for name in own.keys() - unused}

    theirs = copy.deepcopy(model)
    for parameter in theirs.parameters():
        parameter.grad = None
    graphs = [
        theirs.graph_converter(
            Structure(f.cell_A, f.numbers, f.positions_A, coords_are_cartesian=True)
        )
        for f in frames[:3]
    ]
    right = theirs(graphs, task="efs")
    reference = theirs.composition_model(graphs)
    forces, stresses = torch.cat(right["f"]), torch.stack(list(right["s"])) / 160.21766208
    assert torch.allclose(said.forces, forces, atol=2e-4)
    assert torch.allclose(said.stresses, 0.5 * (stresses + stresses.mT), atol=2e-5)
    loss = (forces * weights).square().sum() + (right["e"] - reference).square().sum()
    loss = loss + (stresses * of_stress).sum()
    loss.backward()
    named = dict(theirs.named_parameters())
    missed = sum(float((found[n] - named[n].grad).square().sum()) for n in found)
    assert missed**0.5 < 2e-3 * sum(float(named[n].grad.square().sum()) for n in found) ** 0.5
    assert not any(value.requires_grad for n, value in model.named_parameters() if n not in own)


def test_a_teachers_convention_is_no_matter(frames):
    """Energies with 50 eV less for each atom (all-electron) are learned as the others are."""
    model = load_student("0.3.0").requires_grad_(False).eval()
    reference = reference_energies_eV(model).copy()
    left = []
    for shift in (0.0, -50.0):
        found = [crystal(x, a, k, shift) for k in range(2) for x, a in (("Cl", 5.1), ("F", 4.0))]
        convention = fit_convention(model, found)
        graph = batch(found, reference + convention, *cutoffs_A(model))
        said = [energy for energy, _ in evaluate(model, found)]
        own = [(e - reference[f.numbers - 1].sum()) / 2 for e, f in zip(said, found, strict=True)]
        left.append(graph.energies.numpy() - own)
    assert np.abs(left[0]).max() < 0.2
    assert np.allclose(left[0], left[1], atol=0.1)
    assert np.array_equal(reference_energies_eV(model), reference)


SETTINGS = StudentSettings(epochs=2, max_atoms=4, save_every_s=0.0)


class Killed(BaseException):
    pass


def test_a_kill_in_the_middle_of_an_epoch_changes_nothing(frames, tmp_path, monkeypatch):
    whole = train_student(frames, tmp_path / "whole", SETTINGS)
    assert whole.history[-1]["train_loss"] < whole.history[0]["train_loss"]
    learn, n_steps = training._Run._learn, []

    def dies(self, *arguments):
        n_steps.append(1)
        if len(n_steps) == 6:
            raise Killed
        return learn(self, *arguments)

    monkeypatch.setattr(training._Run, "_learn", dies)
    with pytest.raises(Killed):
        train_student(frames, tmp_path / "cut", SETTINGS)
    monkeypatch.undo()
    cut = train_student(frames, tmp_path / "cut", SETTINGS)
    assert len(n_steps) == 6, "the kill came in the second epoch of four steps"
    assert cut.history == whole.history
    one, other = (
        torch.load(run.path, weights_only=True)["model"]["state_dict"] for run in (whole, cut)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)

    # A state of another version, or one cut off, is put aside and the training starts again.
    state = tmp_path / "cut" / training.STATE
    for content in (b"\x80broken", None):
        if content is None:
            torch.save(torch.load(tmp_path / "whole" / training.STATE) | {"format": 99}, state)
        else:
            state.write_bytes(content)
        again = train_student(frames, tmp_path / "cut", SETTINGS)
        assert again.history == whole.history
        assert (tmp_path / "cut" / f"{training.STATE}.unreadable").exists()
    with pytest.raises(TrainingError, match="other settings or frames"):
        train_student(frames[:9], tmp_path / "cut", SETTINGS)


def test_changed_weights_run_as_a_potential_in_compiled_code(frames, tmp_path):
    model = load_student("0.3.0")
    generator = torch.Generator().manual_seed(0)
    for parameter in trainable_parameters(model).values():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data += 0.002 * parameter.data.abs().mean() * noise
    write_student(model, model.state_dict(), tmp_path / "student.pt")
    potential = load_potential(f"chgnet:{tmp_path / 'student.pt'}")  # its self-check included
    default = load_potential("chgnet", check=False)
    assert potential.info.weights_sha256 != default.info.weights_sha256
    atoms = Atoms(frames[0].numbers, frames[0].positions_A, cell=frames[0].cell_A, pbc=True) * (
        2,
        1,
        1,
    )
    [energy], [forces] = potential.energies_and_forces([atoms])
    compiled = CHGNetForceField([atoms], potential.model)
    assert compiled._machine is not None
    [fast], [fast_forces] = compiled.evaluate([atoms.positions])
    assert fast == pytest.approx(energy, abs=1e-4)
    assert np.allclose(fast_forces, forces, atol=5e-4)
    frozen = potential.frozen_framework(atoms, 0)
    assert frozen.energies(atoms.positions[:1])[0] == pytest.approx(energy, abs=2e-4)
    assert not np.allclose(forces, default.energies_and_forces([atoms])[1][0], atol=1e-3)


def test_errors_are_those_of_synthetic_forces(frames):
    soft = [(f.energy_eV + 3.0, 0.8 * f.forces_eV_per_A) for f in frames]
    [row] = errors_of(frames, soft)
    assert row.slope == pytest.approx(0.8)
    assert row.energy_mae_meV_per_atom == pytest.approx(0.0, abs=1e-6)
    every = np.concatenate([f.forces_eV_per_A.ravel() for f in frames])
    assert row.force_rmse_eV_per_A == pytest.approx(0.2 * np.sqrt(np.mean(every**2)))
    rows = errors_of(frames, soft, lambda frame: frame.family)
    assert {one.group for one in rows} == {"chlorides", "fluorides", "iodides"}
    text = table("family", {"soft": rows})
    assert "| chlorides | 4 (1) |" in text
    assert "| 0.800 |" in text
    assert kind_of(frames[0]) == "shaken"
