"""The self-check passes what is right, and names what is wrong with a figure."""

import dataclasses

import numpy as np
import pytest
from ase.calculators.lj import LennardJones

from superionic.errors import SelfCheckError, UnknownElementError
from superionic.potentials import registry, selfcheck
from superionic.potentials.ase_calculator import AsePotential
from superionic.potentials.base import PotentialInfo
from superionic.potentials.batched import BatchedPotential
from superionic.potentials.registry import load_potential
from superionic.potentials.selfcheck import (
    REFERENCE_eV_per_atom,
    reference_crystals,
    require_self_check,
    self_check,
)
from superionic.settings import get_settings


class Pairs(AsePotential):
    """Lennard-Jones pairs in family ``ase``, with a fault that a test chooses."""

    def __init__(self, fault=lambda atoms, energy, forces: (energy, forces)):
        info = PotentialInfo(
            family="ase", name="pairs", package_version="test 1", weights_sha256="0" * 64
        )
        super().__init__(LennardJones(sigma=2.3, epsilon=0.4, rc=7.0), info)
        self._fault = fault

    def _evaluate(self, configurations, *, with_forces):
        energies, forces = super()._evaluate(configurations, with_forces=True)
        pairs = [self._fault(*each) for each in zip(configurations, energies, forces, strict=True)]
        return np.array([energy for energy, _ in pairs]), [force for _, force in pairs]


class Shifted(BatchedPotential):
    """Another potential, its energies shifted by so much an atom."""

    max_atoms_per_batch = 128

    def __init__(self, potential, shift_eV_per_atom):
        self._potential = potential
        self._shift = shift_eV_per_atom
        self.elements = potential.elements
        self.info = dataclasses.replace(potential.info, name="shifted")

    def _evaluate(self, configurations, *, with_forces):
        energies, forces = self._potential._evaluate(configurations, with_forces=with_forces)
        return energies + self._shift * np.array(list(map(len, configurations))), forces


def test_a_sound_potential_passes():
    report = self_check(Pairs())
    assert report.passed, report.failures
    assert report.force_error_eV_per_A < 0.01
    assert "need not be PBE" in report.remarks[0]
    assert report.energies_eV_per_atom == {}


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("finite differences", lambda atoms, energy, forces: (energy, 1.05 * forces)),
        ("finite differences", lambda atoms, energy, forces: (energy, -forces)),
        ("translation", lambda a, e, f: (e + 1e-3 * a.positions[0, 0], f)),
        ("rotation changes the energy", lambda a, e, f: (e + 0.01 * a.cell.array[0, 0], f)),
        ("permutation changes the energy", lambda a, e, f: (e + 1e-2 * a.numbers[0], f)),
        (
            "permutation changes forces",
            lambda a, e, f: (e, f + 0.5 * (np.arange(len(f)) == 0)[:, None]),
        ),
        ("doubling of the cell", lambda a, e, f: (e / len(a), f / len(a))),
        ("NaN or infinity", lambda a, e, f: (float("nan"), f)),
    ],
)
def test_a_fault_is_found_and_named(words, fault):
    potential = Pairs(fault)
    if words.startswith("NaN"):
        # A family of its own has no excuse for an energy that it cannot give.
        potential.info = dataclasses.replace(potential.info, family="mine")
    report = self_check(potential)
    assert not report.passed
    assert words in " ".join(report.failures)


def test_crystals_with_other_elements_are_left_out():
    potential = Pairs()
    potential.info = dataclasses.replace(potential.info, family="mine")
    potential.elements = frozenset({"Cu"})
    report = self_check(potential)
    assert report.passed, report.failures
    assert report.energies_eV_per_atom == {}
    assert report.force_error_eV_per_A is not None
    potential.elements = frozenset({"Og"})
    report = self_check(potential)
    assert len(report.remarks) == 2
    with pytest.raises(UnknownElementError):
        potential.energies([reference_crystals()["NaCl"]])


@pytest.mark.real_potential
@pytest.mark.parametrize(
    ("spec", "convention"),
    [
        ("chgnet", "PBE+MP2020"),
        ("chgnet:oam", "PBE+MP2020"),
        ("chgnet:r2scan", "r2SCAN"),
        ("sevennet", "PBE"),
    ],
)
def test_the_potentials_of_the_packages_pass_under_their_convention(spec, convention):
    report = self_check(load_potential(spec, check=False))
    assert report.passed, report.failures
    assert report.convention == convention
    assert set(report.energies_eV_per_atom) == set(reference_crystals())
    assert not report.remarks


@pytest.mark.real_potential
def test_tensornet_passes(shared_models):
    potential = load_potential(f"matgl:{shared_models / 'TensorNet-MatPES-PBE-v2025.1-PES'}")
    assert self_check(potential).convention == "PBE"


@pytest.mark.real_potential
def test_the_broken_m3gnet_is_refused_with_expected_and_found(shared_models, cache_dir):
    spec = f"matgl:{shared_models / 'M3GNet-MP-2021.2.8-PES'}"
    for _ in range(2):
        with pytest.raises(SelfCheckError) as caught:
            load_potential(spec)
    text = str(caught.value)
    expected = " or ".join(f"{table['NaCl']:.3f}" for table in REFERENCE_eV_per_atom.values())
    assert f"NaCl found -1.248, expected {expected}" in text
    assert "another potential" in text
    assert not list(cache_dir.rglob("*.json"))
    # Silicon, a pure element, comes out right, so it is not complained of.
    assert "Si found" not in text


@pytest.mark.real_potential
@pytest.mark.parametrize("shift_eV_per_atom", [-0.5, 0.5])
def test_shifted_energies_are_refused(shift_eV_per_atom):
    chgnet = load_potential("chgnet", check=False)
    with pytest.raises(SelfCheckError, match="Si found"):
        require_self_check(Shifted(chgnet, shift_eV_per_atom))


@pytest.mark.real_potential
def test_no_convention_is_mixed_from_others():
    """PBE for one crystal and r2SCAN for another must not pass together."""
    sevennet = load_potential("sevennet", check=False)

    class Mixed(Shifted):
        def _evaluate(self, configurations, *, with_forces):
            energies, forces = self._potential._evaluate(configurations, with_forces=with_forces)
            silicon = np.array([set(a.symbols) == {"Si"} for a in configurations])
            return energies - 2 * 3.41 * silicon, forces

    report = self_check(Mixed(sevennet, 0.0))
    assert len(report.failures) == 1
    assert report.failures[0].count("found") == 1
    assert "Si found" in report.failures[0]


def test_a_pass_is_kept_and_not_checked_again(monkeypatch, cache_dir):
    calls = []

    def counted(potential):
        calls.append(potential.info.label)
        return self_check(potential)

    monkeypatch.setattr(selfcheck, "self_check", counted)
    spec = 'ase:ase.calculators.lj.LennardJones?{"sigma":1.9}'
    for _ in range(3):
        registry._prove.cache_clear()  # as in a new process
        load_potential(spec)
    assert len(calls) == 1

    (kept,) = cache_dir.rglob("*.json")
    for n_calls, garbage in enumerate((kept.read_bytes()[:20], b"\xff\xfe garbage \0"), start=2):
        kept.write_bytes(garbage)
        registry._prove.cache_clear()
        load_potential(spec)
        assert len(calls) == n_calls

    monkeypatch.setattr(selfcheck, "CHECK_VERSION", selfcheck.CHECK_VERSION + 1)
    registry._prove.cache_clear()
    load_potential(spec)
    assert len(calls) == 4


def test_a_cache_that_cannot_be_written_is_no_fault(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SUPERIONIC_CACHE_DIR", str(tmp_path / "file" / "below"))
    get_settings.cache_clear()
    assert require_self_check(Pairs()).passed
    assert "could be kept" in caplog.text


def test_a_failure_is_not_kept(cache_dir):
    with pytest.raises(SelfCheckError, match=r"ase:pairs under test 1 loads, but fails"):
        require_self_check(Pairs(lambda atoms, energy, forces: (energy, 2 * forces)))
    assert not list(cache_dir.rglob("*"))
