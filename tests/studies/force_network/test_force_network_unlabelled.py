"""Crystals without labels: which are learned, and that none tells of the fold that is tested."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from crystal_lines import crystal_line
from synthetic import synthetic_set

from studies.force_network.kinds import learn
from studies.force_network.settings import UnlabelledSettings
from studies.force_network.unlabelled import read_crystals
from superionic.errors import NetworkError
from superionic.network.checkpoint import save_ensemble
from superionic.network.crossvalidation import FoldTask, run_fold, with_train_only
from superionic.network.data import TrainingSet
from superionic.network.ensemble import train_ensemble
from superionic.network.inference import Ensemble
from superionic.network.settings import (
    TARGET,
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
)

RULES = LabelRules(targets=(TARGET, "mpe_eV"))
TINY = NetworkSettings(cutoff_A=3.0, l_max=1, n_layers=1, channels=2, readout_hidden=4)
QUICK = TrainingSettings(max_epochs=2, patience=0, validation_fraction=0.0)


def with_descriptor(data: TrainingSet, values, slope: bool = True) -> TrainingSet:
    crystals = []
    for crystal, value in zip(data.crystals, values, strict=True):
        known = crystal.targets[TARGET] if slope else math.nan
        crystals.append(replace(crystal, targets={TARGET: known, "mpe_eV": float(value)}))
    return TrainingSet(tuple(crystals), data.shakes, RULES)


def fold_task(kind, **options) -> FoldTask:
    settings = {"network": TINY, "training": QUICK, "shakes": ShakeSettings(), "seed": 0, "fold": 0}
    return FoldTask(kind=kind, **settings | options)


def of_other_chemistry(data: TrainingSet) -> TrainingSet:
    """Return the crystals with xenon for all but lithium: of no system of the others."""
    crystals = []
    for crystal in data.crystals:
        atoms = crystal.atoms.copy()
        atoms.numbers[atoms.numbers > 3] = 54
        crystals.append(replace(crystal, atoms=atoms))
    return replace(data, crystals=tuple(crystals))


def fold_of(task, labelled, directory, known=None, train_only=None):
    """Run a fold as studies do."""
    how = partial(learn, descriptors=known)
    return run_fold(task, labelled, directory, train_only=train_only, learn=how)


@pytest.fixture(scope="module")
def labelled():
    data = synthetic_set(12, n_shakes=2)
    return with_descriptor(data, np.linspace(0.0, 1.0, 12))


def test_crystals_with_a_descriptor_and_no_label(tmp_path, springs):
    path = tmp_path / "crystals.jsonl"
    names = {"a": ["Li", "Cl"], "b": ["Li", "F"], "c": ["Li", "Br"], "d": ["Na", "Br"]}
    path.write_text("\n".join(crystal_line(name, species) for name, species in names.items()))
    settings = UnlabelledSettings(crystals=(str(path),), n_shakes=2)
    known = {name: {"mpe_eV": 0.3} for name in "abd"}
    shakes = ShakeSettings(min_image_distance_A=4.0)
    options = {"rules": RULES, "descriptors": known, "leave_out": {"a"}}
    found = read_crystals(settings, shakes, springs, tmp_path / "shakes", **options)
    assert [crystal.material_id for crystal in found.crystals] == ["b"]
    assert math.isnan(found.targets[0, 0])
    assert found.targets[0, 1] == 0.3
    assert found.shakes[0].positions_A.shape == (2, 2, 3)
    options["leave_out"] = {"a", "b"}
    with pytest.raises(NetworkError, match=r"No crystal of crystals\.jsonl is left"):
        read_crystals(settings, shakes, springs, tmp_path / "shakes", **options)


def test_those_of_the_chemistry_that_is_tested_are_left_out(labelled):
    twins = labelled.subset([3, 5])
    joined, train_only = with_train_only(labelled, twins, [3, 4])
    assert len(joined) == 14
    assert train_only.tolist() == [13]
    assert with_train_only(labelled, None, [3])[1].size == 0


def test_the_fold_that_is_tested_does_not_feel_its_unlabelled_twins(labelled, tmp_path):
    """The same predictions, whatever is said of crystals of the chemistry that is tested."""
    task = fold_task("network", split="chemical_system", n_folds=2)
    plain = run_fold(task, labelled, tmp_path / "plain")
    tested = set(plain.material_ids)

    def predictions(name, of_tested, of_others):
        values = [
            of_tested if crystal.material_id in tested else of_others
            for crystal in labelled.crystals
        ]
        twins = with_descriptor(labelled, values, slope=False)
        place = tmp_path / name
        return run_fold(task, labelled, place, train_only=twins).predictions

    assert predictions("a", 0.1, 0.5) == predictions("b", 5.0, 0.5)
    assert predictions("a", 0.1, 0.5) != predictions("c", 0.1, 5.0)
    assert predictions("a", 0.1, 0.5) != plain.predictions


@pytest.mark.parametrize("kind", ["mean", "volume per atom", "descriptors"])
def test_controls_learn_slopes_beside_and_nothing_without_one(labelled, tmp_path, kind):
    task = fold_task(kind, split="random", n_folds=2)
    known = {crystal.material_id: crystal.targets for crystal in labelled.crystals}

    def predictions(name, train_only):
        return fold_of(task, labelled, tmp_path / name, known, train_only=train_only).predictions

    plain = predictions("plain", None)
    others = of_other_chemistry(synthetic_set(6, n_shakes=2, seed=5))
    values = np.linspace(0.0, 1.0, 6)
    assert predictions("without", with_descriptor(others, values, slope=False)) == plain
    assert predictions("with", with_descriptor(others, values)) != plain


def test_of_those_beside_the_same_share_is_learned(labelled, tmp_path):
    """The mean tells what was learned: one crystal of eight, and one of eight beside it."""
    others = with_descriptor(of_other_chemistry(synthetic_set(8, n_shakes=2)), np.zeros(8))
    fast = tuple(replace(c, targets=c.targets | {TARGET: 10.0}) for c in others.crystals)
    others = replace(others, crystals=fast)
    task = fold_task("mean", split="random", n_folds=3, n_learnt=1)
    found = fold_of(task, labelled, tmp_path / "both", train_only=others)
    alone = fold_of(task, labelled, tmp_path / "alone")
    assert alone.n_learnt == 1
    assert found.predictions[0][0] == pytest.approx((alone.predictions[0][0] + 10.0) / 2)


def test_an_ensemble_says_what_it_learned_beside(labelled, tmp_path):
    train_only = with_descriptor(synthetic_set(3, n_shakes=2, seed=5), [0.1, 0.2, 0.3], slope=False)
    settings = (TINY, QUICK, ShakeSettings(), 1)
    found = train_ensemble(labelled, *settings, tmp_path / "with", train_only=train_only)
    alone = train_ensemble(labelled, *settings, tmp_path / "without")
    path = tmp_path / "network.pt"
    save_ensemble(path, found.members, found.header)
    header = Ensemble.load(path).header
    assert (header.n_crystals, header.n_unlabelled) == (12, 3)
    assert header.unlabelled_sha256 == train_only.sha256()
    assert header.training_set_sha256 == labelled.sha256()
    assert len(found.members[0].reference_features) == 12
    assert (alone.header.n_unlabelled, alone.header.unlabelled_sha256) == (0, "")
    weights = [e.members[0].network.state_dict()["head.0.weight"] for e in (found, alone)]
    assert not weights[0].equal(weights[1])
