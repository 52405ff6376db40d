"""Shakes of a study: a bad crystal is left out by name, and nothing is evaluated twice."""

import json
from dataclasses import replace

import numpy as np
import pytest
from crystal_lines import crystal_line
from spring_potential import Springs
from synthetic import synthetic_set

from studies.force_network.data import StudyData
from studies.force_network.settings import PretrainingSettings, StudySettings, UnlabelledSettings
from superionic.errors import NetworkError, NonFiniteEnergyError
from superionic.network.data import LabelSet
from superionic.network.settings import (
    TARGET,
    LabelRules,
    ShakeSettings,
)
from superionic.network.training_data import cached_shakes, shake_all

SHAKES = ShakeSettings(n_shakes=2, min_image_distance_A=4.0)
RULES = LabelRules()


class Poisoned(Springs):
    """Springs whose forces are NaN on crystals that hold some elements."""

    def __init__(self, *bad: str) -> None:
        super().__init__()
        self.bad = set(bad)

    def _one(self, atoms):
        energy, forces = super()._one(atoms)
        return energy, forces * np.nan if self.bad & set(atoms.get_chemical_symbols()) else forces


class Listener:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def step(self, *_) -> None:
        pass


@pytest.fixture
def crystals():
    """Three of chlorine, one of xenon, in the order c-0, c-1, bad, c-3."""
    found = []
    for number, crystal in enumerate(synthetic_set(4).crystals):
        atoms = crystal.atoms.copy()
        atoms.numbers[atoms.numbers != atoms.numbers[0]] = 54 if number == 2 else 17
        atoms.numbers[:4] = 3
        name = "bad" if number == 2 else f"c-{number}"
        found.append(replace(crystal, material_id=name, atoms=atoms, mobile_species="Li"))
    return tuple(found)


def study_data(tmp_path, labels, potential, **settings):
    study = StudySettings(data="none", shakes=SHAKES, labels=RULES, **settings)
    listener = Listener()
    given = (lambda rules: labels, potential, tmp_path / "shakes", listener)
    return StudyData(*given, study), listener


def test_a_bad_crystal_is_left_out_by_name_and_the_rest_goes_on(tmp_path, crystals):
    labels = LabelSet(crystals, left_out={"melted": 2})
    data, listener = study_data(tmp_path, labels, Poisoned("Xe"))
    found = data.training_set(SHAKES, RULES)
    assert [c.material_id for c in found.crystals] == ["c-0", "c-1", "c-3"]
    sizes = [len(shakes.positions_A[0]) for shakes in found.shakes]
    alone = study_data(tmp_path / "other", LabelSet(crystals[3:]), Springs())[0]
    last = alone.training_set(SHAKES, RULES).shakes[0]
    assert sizes[2] == len(last.positions_A[0])
    np.testing.assert_array_equal(found.shakes[2].positions_A, last.positions_A)
    (line,) = listener.lines
    assert line.startswith("bad is left out: ")
    assert "NaN" in line
    learned = data.learned(SHAKES, RULES)
    assert learned.left_out == {"melted": 2, "non finite energy": 1}
    assert [c.material_id for c in learned.crystals] == ["c-0", "c-1", "c-3"]
    assert labels.left_out == {"melted": 2}
    data.training_set(SHAKES, RULES)
    assert len(listener.lines) == 1  # said once


def test_one_that_is_too_large_is_left_out_too(tmp_path, crystals):
    large = replace(crystals[1], material_id="large", atoms=crystals[1].atoms.repeat((3, 1, 1)))
    data, listener = study_data(tmp_path, LabelSet((*crystals, large)), Springs())
    small = replace(SHAKES, max_atoms=20)
    assert len(data.training_set(small, RULES)) == 4
    assert data.learned(small, RULES).left_out == {"cell too large": 1}
    assert "large is left out" in listener.lines[0]


def test_nothing_left_is_an_error_that_names_one(tmp_path, crystals):
    data, _ = study_data(tmp_path, LabelSet(crystals), Poisoned("Xe", "Cl"))
    with pytest.raises(NetworkError, match=r"None of 4 labelled crystals.*c-0: non finite energy"):
        data.training_set(SHAKES, RULES)


def test_of_those_beside_the_bad_are_left_out_too(tmp_path, crystals):
    good, bad = crystals[:1], crystals[2:3]
    data, listener = study_data(tmp_path, LabelSet(good, train_only=bad), Poisoned("Xe"))
    assert data.train_only(SHAKES, RULES, with_unlabelled=False) is None
    assert data.learned(SHAKES, RULES).train_only == ()
    assert data.learned(SHAKES, RULES).left_out == {"non finite energy": 1}
    assert "bad is left out" in listener.lines[0]
    data, _ = study_data(tmp_path, LabelSet(good, train_only=crystals[1:]), Poisoned("Xe"))
    found = data.train_only(SHAKES, RULES, with_unlabelled=False)
    assert [c.material_id for c in found.crystals] == ["c-1", "c-3"]


def test_those_without_labels_that_fail_are_named(tmp_path, crystals):
    partial = {"Li": 0.5, "Na": 0.5}
    path = tmp_path / "crystals.jsonl"
    structure = {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": (np.eye(3) * 4).tolist()},
        "sites": [
            {"species": [{"element": e, "occu": x} for e, x in partial.items()], "abc": [0, 0, 0]},
            {"species": [{"element": "F", "occu": 1}], "abc": [0.5, 0.5, 0.5]},
        ],
    }
    disordered = json.dumps({"material_id": "mixed", "structure": structure})
    rows = [
        crystal_line("good", ["Li", "F"]),
        crystal_line("noble", ["Li", "Xe"]),
        crystal_line("other", ["Na", "Cl"]),
    ]
    path.write_text("\n".join([*rows, disordered]))
    settings = {"crystals": (str(path),), "n_shakes": 2}
    data, listener = study_data(
        tmp_path,
        LabelSet(crystals[:1]),
        Poisoned("Xe"),
        pretraining=PretrainingSettings(**settings),
        unlabelled=UnlabelledSettings(**settings),
    )
    assert [c.material_id for c in data.for_pretraining(SHAKES).crystals] == ["good"]
    train_only = data.train_only(SHAKES, RULES, with_unlabelled=True)
    assert [c.material_id for c in train_only.crystals] == ["good"]
    assert np.isnan(train_only.crystals[0].targets[TARGET])
    assert sorted(line.split(":")[0] for line in listener.lines) == [
        "mixed is left out",
        "noble is left out",
    ]


def test_shakes_are_evaluated_once_and_damaged_files_again(tmp_path, crystals):
    springs = Springs()
    atoms = crystals[0].atoms
    first = cached_shakes(atoms, springs, SHAKES, tmp_path)
    assert springs.calls
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()

    def evaluations():
        springs.calls.clear()
        found = cached_shakes(atoms, springs, SHAKES, tmp_path)
        for name, value in first.to_arrays().items():
            np.testing.assert_array_equal(found.to_arrays()[name], value)
        return sum(springs.calls)

    assert evaluations() == 0
    for damaged in (whole[: len(whole) // 2], b"", b"not an archive", whole[:-30]):
        path.write_bytes(damaged)
        assert evaluations() == 3  # two shakes and the undisplaced crystal
        assert evaluations() == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_is_not_kept_for_a_shake(tmp_path, crystals):
    atoms = [crystal.atoms for crystal in crystals]
    found = shake_all(atoms, Poisoned("Xe"), SHAKES, tmp_path)
    assert isinstance(found[2], NonFiniteEnergyError)
    assert len(list(tmp_path.glob("*.npz"))) == 3
    assert not isinstance(shake_all(atoms, Springs(), SHAKES, tmp_path)[2], NonFiniteEnergyError)
