"""Frames: what a teacher does wrong costs the frame, never the run; each is made once."""

import json

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.morse import MorsePotential
from pymatgen.core import Lattice, Structure

from superionic.distillation.dataset import (
    Frame,
    batch,
    groups_of,
    pack_frames,
    part_of,
    read_frames,
    teacher_of,
)
from superionic.distillation.frames import (
    LIKE,
    Crystal,
    FrameSettings,
    configurations,
    make_frames,
    substituted,
)
from superionic.errors import TrainingError
from superionic.potentials.ase_calculator import AsePotential
from superionic.potentials.base import PotentialInfo


def rock_salt(name, anion, a):
    elements, places = ["Li", anion], [[0] * 3, [0.5] * 3]
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), elements, places)
    return Crystal(name, "Li", structure)


LICL, LIBR = rock_salt("licl", "Cl", 5.1), rock_salt("libr", "Br", 5.5)
SHORT = FrameSettings(min_atoms=8, n_steps=8, every=4)


def potential(calculator):
    return AsePotential(calculator, PotentialInfo("ase", "mine", "mine 1", "0" * 64))


@pytest.fixture
def morse():
    return potential(MorsePotential(r0=2.6, epsilon=0.3, rcut1=4.0, rcut2=5.0))


class Moody(Calculator):
    """Every second call fails, gives NaN, or explodes."""

    implemented_properties = ("energy", "forces")

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.n_calls += 1
        forces = np.zeros((len(atoms), 3))
        wrong = {1: np.nan, 3: 500.0}.get(self.n_calls % 6)
        if self.n_calls % 6 == 5:
            raise RuntimeError("no convergence")
        if wrong is not None:
            forces[0, 0] = wrong
        self.results = {"energy": -1.0, "forces": forces}


def test_frames_that_a_teacher_fails_on_are_left_out_and_counted(morse, tmp_path):
    said = []
    files, failed = make_frames([LICL], potential(Moody()), morse, tmp_path, SHORT, said.append)
    assert failed == {}
    with np.load(files[0]) as found:
        known = json.loads(str(found["teacher"]))
        forces, stress = found["forces"], found["stress"]
    assert np.abs(forces).max() < SHORT.max_force_eV_per_A
    assert np.isnan(stress).all()
    out = known["left_out"]
    assert set(out) == {"not finite", "force too large", "teacher failed (RuntimeError)"}
    assert len(forces) + sum(out.values()) == 9
    assert known["teacher"]["weights_sha256"] == "0" * 64
    assert known["settings"]["seed"] == 0
    assert "left out" in said[0]


def test_a_bad_crystal_stops_nothing_and_nothing_is_made_twice(morse, tmp_path):
    large = Crystal("large", "Li", LICL.structure * (3, 3, 1))
    files, failed = make_frames([large, LICL, LIBR], morse, morse, tmp_path, SHORT)
    assert list(failed) == ["large"]
    assert "72 atoms" in failed["large"]
    assert len(files) == 2
    said = []
    again, _ = make_frames([LICL, LIBR], potential(Moody()), morse, tmp_path, SHORT, said.append)
    assert again == files
    assert said == [], "same identity, so that the teacher is not asked again"
    other, _ = make_frames(
        [LICL], morse, morse, tmp_path, FrameSettings(n_steps=4, every=4, seed=1)
    )
    assert other[0] not in files
    with pytest.raises(TrainingError, match="None of 1 crystals"):
        make_frames([large], morse, morse, tmp_path, SHORT)


def test_kinds_of_configurations_and_their_seeds(morse):
    first = list(configurations(LICL, morse, SHORT))
    assert [kind for kind, _, _ in first] == [
        "given", *["displaced"] * 3, *["shaken"] * 3, *["md"] * 2,
    ]  # fmt: skip
    second = list(configurations(LICL, morse, SHORT))
    assert all(
        np.array_equal(a.positions, b.positions)
        for (_, _, a), (_, _, b) in zip(first, second, strict=True)
    )
    given, shaken = first[0][2], first[6][2]
    assert np.allclose(given.cell, LICL.structure.lattice.matrix)
    assert not np.allclose(shaken.cell, given.cell)
    assert [parameter for kind, parameter, _ in first if kind == "md"] == [900.0, 1500.0]


def test_read_and_packed_frames_are_the_same(morse, tmp_path, caplog):
    files, _ = make_frames([LICL, LIBR], morse, morse, tmp_path / "frames", SHORT)
    frames = read_frames([tmp_path / "frames"])
    assert len(frames) == pack_frames(sorted(files), tmp_path / "all.npz") > 14
    for one, other in zip(frames, read_frames([tmp_path / "all.npz"]), strict=True):
        assert (one.crystal, one.kind, one.energy_eV) == (
            other.crystal,
            other.kind,
            other.energy_eV,
        )
        assert np.array_equal(one.positions_A, other.positions_A)
        assert np.array_equal(one.forces_eV_per_A, other.forces_eV_per_A)
        assert np.array_equal(one.stress_eV_per_A3, other.stress_eV_per_A3)
    assert {frame.family for frame in frames} == {"chlorides", "bromides"}
    teacher = teacher_of([tmp_path / "all.npz"])
    assert teacher == teacher_of(files)
    assert teacher["weights_sha256"] == "0" * 64
    (tmp_path / "broken.npz").write_bytes(files[0].read_bytes()[:200])
    assert read_frames([tmp_path / "broken.npz"]) == []
    assert "broken.npz" in caplog.text


def test_frames_of_two_teachers_are_not_packed_together(morse, tmp_path):
    other = AsePotential(MorsePotential(), PotentialInfo("ase", "other", "other 1", "1" * 64))
    files = [
        make_frames([LICL], teacher, morse, tmp_path / "frames", SHORT)[0][0]
        for teacher in (morse, other)
    ]
    with pytest.raises(TrainingError, match="different teachers"):
        pack_frames(files, tmp_path / "all.npz")


def test_substitutes_hold_elements_of_the_same_kinds_at_distances_that_suit_them(morse, tmp_path):
    found = [substituted(LICL, number, 0) for number in range(1, 9)]
    assert [one.structure for one in found] == [
        substituted(LICL, number, 0).structure for number in range(1, 9)
    ]
    assert len({one.structure.reduced_formula for one in found}) > 3
    for one in found:
        anion = next(site.specie.symbol for site in one.structure if site.specie.is_halogen)
        assert one.ion in LIKE[2]
        assert anion in LIKE[0]
        assert {site.specie.symbol for site in one.structure} == {one.ion, anion}
    sizes = {
        one.structure.reduced_formula: one.structure.volume
        for one in found
        if one.ion == "Li" or one.structure[0].specie.symbol == "K"
    }
    assert max(sizes.values()) > 1.2 * min(sizes.values())
    settings = FrameSettings(min_atoms=8, n_steps=4, every=4, n_substituted=2)
    files, failed = make_frames([LICL], morse, morse, tmp_path, settings)
    assert failed == {}
    assert len({frame.crystal for frame in read_frames(files)}) == 3
    alone, _ = make_frames(
        [LICL], morse, morse, tmp_path, FrameSettings(min_atoms=8, n_steps=4, every=4)
    )
    assert alone == files[:1]


def test_the_split_is_of_chemical_systems_and_keeps_its_shares():
    systems = [f"{a}-{b}-{c}" for a in "ABCDEFGHIJ" for b in "KLMNOPQRST" for c in "UVWXYZ"]
    parts = [part_of(system, seed=3) for system in systems]
    assert 0.75 < parts.count("train") / 600 < 0.85
    assert 0.06 < parts.count("test") / 600 < 0.14
    assert parts != [part_of(system, seed=4) for system in systems]


def test_batches_hold_every_frame_once():
    frames = [
        Frame("x", "md", 300.0, np.full(n, 3), np.eye(3), none, 0.0, none, np.eye(3))
        for n in (5, 9, 4, 30, 2)
        for none in [np.zeros((n, 3))]
    ]
    groups = groups_of(frames, [3, 0, 1, 2, 4], 14)
    assert groups == [[3], [0, 1], [2, 4]]


def test_a_batch_is_its_frames_side_by_side(morse, tmp_path):
    make_frames([LICL], morse, morse, tmp_path, SHORT)
    frames = read_frames([tmp_path])[:3]
    both = batch(frames, np.zeros(94), 6.0, 3.0)
    alone = [batch([frame], np.zeros(94), 6.0, 3.0) for frame in frames]
    assert len(both.vectors) == sum(len(one.vectors) for one in alone)
    last = len(alone[2].bonds.centre)
    shift = sum(len(one.species) for one in alone[:2])
    assert both.bonds.centre[-last:].tolist() == (alone[2].bonds.centre + shift).tolist()
    assert both.energies.tolist() == pytest.approx([float(one.energies[0]) for one in alone])
