"""The study: folds of all kinds, resumed, summarised; and the command."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from crystal_lines import label_lines
from synthetic import synthetic_set
from typer.testing import CliRunner

from studies.force_network.__main__ import app
from studies.force_network.controls import (
    FEATURES,
    WithoutAccelerations,
    WithSpecies,
    mobile_fraction,
    species_extras,
    volume_per_atom,
)
from studies.force_network.descriptors import descriptor_columns, read_descriptors
from studies.force_network.plan import plan, run_all, task_hash
from studies.force_network.run import main_folds
from studies.force_network.settings import StudySettings, read_study
from studies.force_network.summary import (
    difference_of_common_seeds,
    markdown,
    out_of_fold,
    repeatability,
    summarise,
)
from superionic.errors import SettingsError
from superionic.network import keys
from superionic.network.batches import GraphTable
from superionic.network.crossvalidation import FoldTask
from superionic.network.ensemble import calibration_of, train_ensemble
from superionic.network.inference import Ensemble
from superionic.network.metrics import without_conductors
from superionic.network.model import ForceNetwork
from superionic.network.settings import NetworkSettings, ShakeSettings, TrainingSettings
from superionic.network.train import MAIN
from superionic.settings import get_settings
from superionic.statistics import r_squared

TINY = NetworkSettings(cutoff_A=3.0, l_max=1, n_layers=1, channels=2, readout_hidden=4)
QUICK = TrainingSettings(max_epochs=2, patience=0)
STUDY = StudySettings(
    data="none",
    network=TINY,
    training=QUICK,
    seeds=(0, 1),
    n_folds=2,
    n_resamples=20,
    splits=("random",),
    variants=(
        {"name": "mean", "kind": "mean"},
        {"name": "composition", "kind": "composition", "splits": ["random", "chemical_system"]},
        {"name": "blind trees", "kind": "acceleration statistics"},
        {"name": "no forces", "kind": "network without accelerations", "seeds": [0]},
        {"name": "deep", "network": {"n_layers": 2}, "seeds": [0]},
        {"name": "few", "n_learnt": 8, "seeds": [0]},
        {"name": "too many", "n_learnt": 800},
        {"name": "floor", "labels": {"floor_A2_per_ps": 0.05}, "seeds": [0]},
    ),
)


@pytest.fixture(scope="module")
def data():
    return synthetic_set(24, n_shakes=2)


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    runs = plan(STUDY, lambda shakes, rules: replace(data, rules=rules), directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studies.force_network.controls.N_TREES", 20)
        return runs, run_all(runs, 1), directory


def test_every_crystal_is_predicted_once_by_who_has_not_learned_it(done, data):
    runs, results, _ = done
    for variant in {run.variant for run in runs}:
        for seed in (0, 1):
            chosen = [
                result
                for run, result in zip(runs, results, strict=True)
                if (run.variant, run.task.split, run.task.seed) == (variant, "random", seed)
            ]
            names = [name for result in chosen for name in result.material_ids]
            if names:
                assert sorted(names) == sorted(c.material_id for c in data.crystals)
    by_name = {run.variant: result for run, result in zip(runs, results, strict=True)}
    assert "too many" not in by_name
    assert by_name["few"].n_learnt == 8
    whole = by_name[MAIN]
    assert whole.n_learnt + len(whole.material_ids) == 24
    assert {len(values) for values in whole.predictions} == {2}
    assert {len(values) for values in by_name["mean"].predictions} == {1}


def test_what_is_done_is_not_done_again(done, data, monkeypatch):
    runs, results, directory = done
    again = plan(STUDY, lambda shakes, rules: replace(data, rules=rules), directory)
    assert [run.directory for run in again] == [run.directory for run in runs]
    monkeypatch.setattr("superionic.network.training.fit_network", None)
    assert run_all(again, 1) == results
    larger = replace(STUDY, network=replace(TINY, channels=3))
    others = plan(larger, lambda shakes, rules: replace(data, rules=rules), directory)
    assert not {run.directory for run in others} & {run.directory for run in runs}


def test_runs_of_before_are_found():
    """Golden: another name of a field would train networks again that are there."""
    of = {"seed": 0, "fold": 1, "n_folds": 5, "train_only": "b", "shakes": ShakeSettings()}
    settings = {"network": NetworkSettings(), "training": TrainingSettings()}
    task = FoldTask(kind="network", split="random", **of, **settings)
    set_of_name = SimpleNamespace(sha256=lambda: "t")
    assert task_hash(task, set_of_name, None, None) == "e77a3f25a4"


@pytest.mark.parametrize("damaged", ["{", "", "[1, 2]", '{"material_ids": []}', '{"other": 1}'])
def test_a_result_that_cannot_be_read_is_made_again(done, tmp_path, caplog, damaged):
    runs, results, _ = done
    chosen = next(i for i, run in enumerate(runs) if run.variant == "mean")
    run = replace(runs[chosen], directory=tmp_path / "fold")
    expected = run_all([run], 1)[0].predictions
    assert expected == results[chosen].predictions
    path = tmp_path / "fold" / "result.json"
    path.write_text(damaged)
    assert run_all([run], 1)[0].predictions == expected
    assert f"{path} cannot be read" in caplog.text
    assert "this fold is run again" in caplog.text
    assert json.loads(path.read_text())["predictions"] == expected


def test_blind_trees_learn_what_composition_does_not_hold(tmp_path):
    """The synthetic target is in the accelerations alone."""
    data = synthetic_set(100, n_shakes=2)
    wanted = ["composition", "blind trees"]
    study = replace(STUDY, seeds=(0,), n_folds=2)
    runs = plan(study, lambda shakes, rules: data, tmp_path, only=wanted)
    runs = [run for run in runs if run.task.split == "random"]
    results = run_all(runs, 1)
    r2 = {}
    for name in wanted:
        predicted = {}
        for run, result in zip(runs, results, strict=True):
            if run.variant == name:
                values = [value[0] for value in result.predictions]
                predicted |= dict(zip(result.material_ids, values, strict=True))
        truth = [np.log10(c.slope_A2_per_ps) for c in data.crystals]
        r2[name] = r_squared(truth, [predicted[c.material_id] for c in data.crystals])
    assert r2["blind trees"] > 0.7
    assert r2["composition"] < 0.2


def test_summary_and_table(done, data):
    runs, results, _ = done
    summary = summarise(runs, results, (1e-4, 0.05), 20)
    json.dumps(summary, allow_nan=False)
    rows = {(row["variant"], row["split"]): row for row in summary["models"]}
    assert set(rows) == {
        *((v, "random") for v in (MAIN, "mean", "composition", "blind trees", "no forces", "deep")),
        *((v, "random") for v in ("few", "floor")),
        ("composition", "chemical_system"),
    }
    # By hand: the mean over seeds and shakes against the labels.
    truth = {c.material_id: np.log10(c.slope_A2_per_ps) for c in data.crystals}
    predicted: dict[str, list[float]] = {name: [] for name in truth}
    for run, result in zip(runs, results, strict=True):
        if run.variant == MAIN:
            for name, values in zip(result.material_ids, result.predictions, strict=True):
                predicted[name].append(np.mean(values))
    errors = [np.mean(predicted[name]) - truth[name] for name in truth]
    main = rows[MAIN, "random"]["metrics"]["0.0001"]
    assert main["mean_absolute_error"]["value"] == pytest.approx(np.mean(np.abs(errors)))
    assert main["n_diffusing"] == sum(c.diffusing for c in data.crystals)
    low, high = main["mean_absolute_error"]["low"], main["mean_absolute_error"]["high"]
    assert low < main["mean_absolute_error"]["value"] < high
    assert len(main["r_squared"]["per_seed"]) == 2
    gain = rows["mean", "random"]["gain_of_reference"]["0.0001"]["r_squared"]["value"]
    other = rows["mean", "random"]["metrics"]["0.0001"]["r_squared"]["value"]
    assert gain == pytest.approx(main["r_squared"]["value"] - other)
    assert [row["n_shakes"] for row in summary["by_number_of_shakes"]] == [1, 2]
    assert summary["references"] == {"0.0001": MAIN, "0.05": "floor"}
    table = markdown(summary, 1e-4)
    assert "| blind trees | 2 |" in table
    assert "by chemical system" in table
    gain_text = (
        f"{rows['mean', 'random']['gain_of_reference']['0.0001']['r_squared']['value']:.2f} ["
    )
    assert gain_text in next(line for line in table.splitlines() if line.startswith("| mean |"))
    assert "| shakes | R^2 |" in table
    assert "a perfect model would reach R^2" not in table  # these labels have no errors
    # A table shows only models that learned labels with its floor.
    assert "| floor |" not in table
    other = markdown(summary, 0.05)
    assert "| floor | 1 |" in other
    assert "| mean |" not in other
    assert "| shakes |" not in other


def test_differences_are_of_the_seeds_that_both_have(done, data):
    """A mean over two seeds is no match for one: 'deep' has seed 0 alone."""
    runs, results, _ = done
    summary = summarise(runs, results, (1e-4,), 20)
    rows = {row["variant"]: row for row in summary["models"] if row["split"] == "random"}
    main, deep = (rows[name]["metrics"]["0.0001"]["r_squared"] for name in (MAIN, "deep"))
    gain = rows["deep"]["gain_of_reference"]["0.0001"]
    assert gain["seeds"] == [0]
    assert gain["r_squared"]["value"] == pytest.approx(main["per_seed"][0] - deep["value"])
    assert gain["r_squared"]["value"] != pytest.approx(main["value"] - deep["value"])
    assert rows["mean"]["gain_of_reference"]["0.0001"]["seeds"] == [0, 1]
    predictions = out_of_fold(runs, results)[MAIN, "random"]
    one, other = {0: predictions[0]}, {1: predictions[1]}
    assert difference_of_common_seeds(one, other, data.crystals, 1e-4, 5) is None
    same = difference_of_common_seeds(predictions, one, data.crystals, 1e-4, 5)
    assert (same["r_squared"]["value"], same["roc_auc"]["value"]) == (0.0, 0.0)


def test_a_model_without_a_common_seed_has_no_difference(done):
    runs, results, _ = done
    pairs = [
        (run, result)
        for run, result in zip(runs, results, strict=True)
        if run.variant not in (MAIN, "mean") or run.task.seed == (run.variant == "mean")
    ]
    summary = summarise(*map(list, zip(*pairs, strict=True)), (1e-4,), 5)
    mean = next(row for row in summary["models"] if row["variant"] == "mean")
    assert mean["gain_of_reference"] == {}
    line = next(x for x in markdown(summary, 1e-4).splitlines() if x.startswith("| mean |"))
    assert line.split(" | ")[4].strip() == ""


def test_a_class_that_is_not_there_leaves_a_gap(data, tmp_path):
    slow = replace(data, crystals=tuple(replace(c, verdict="not_diffusing") for c in data.crystals))
    study = replace(STUDY, variants=({"name": "mean", "kind": "mean"},), seeds=(0,))
    runs = plan(study, lambda shakes, rules: slow, tmp_path)
    summary = summarise(runs, run_all(runs, 1), (1e-4,), 5)
    assert summary["models"][0]["metrics"]["0.0001"]["roc_auc"]["value"] is None
    assert "| - |" in markdown(summary, 1e-4)


def test_folds_without_a_conductor_are_named(done, data):
    runs, results, _ = done
    folds = main_folds(runs, results)
    assert [(f["split"], f["seed"], f["fold"]) for f in folds] == [
        ("random", seed, fold) for seed in (0, 1) for fold in (0, 1)
    ]
    assert [f["n_crystals"] for f in folds] == [len(r.material_ids) for r in results[:4]]
    assert sum(f["n_crystals"] for f in folds) == 2 * len(data)
    assert all(0 <= f["roc_auc"] <= 1 for f in folds)
    assert sum(f["n_diffusing"] for f in folds) == 2 * sum(c.diffusing for c in data.crystals)
    assert without_conductors(folds) is None
    tested = set(results[0].material_ids)

    def told(slow):
        verdict = {True: "not_diffusing", False: "diffusing"}
        crystals = tuple(replace(c, verdict=verdict[slow(c.material_id)]) for c in data.crystals)
        changed = [replace(run, training_set=replace(data, crystals=crystals)) for run in runs[:2]]
        return main_folds(changed, results[:2])

    one = told(lambda name: name in tested)
    assert [f["n_diffusing"] for f in one] == [0, len(results[1].material_ids)]
    assert [f["roc_auc"] for f in one] == [None, None]  # the other holds nothing else
    assert without_conductors(one).startswith(
        "Without a diffusing crystal: random fold 0 of seed 0."
    )
    none = told(lambda name: True)
    assert without_conductors(none).startswith("No crystal is diffusing")
    # By hand: the mean over shakes against the targets.
    truth = {c.material_id: t[0] for c, t in zip(data.crystals, data.targets, strict=True)}
    pairs = zip(results[0].material_ids, results[0].predictions, strict=True)
    errors = [abs(np.mean(values) - truth[name]) for name, values in pairs]
    assert folds[0]["mean_absolute_error"] == pytest.approx(np.mean(errors))


def test_repeatability_of_labels():
    exact = synthetic_set(40).crystals
    slopes = [0.02 if number % 2 else 6.0 for number in range(40)]
    sure = [
        replace(crystal, raw_slope_A2_per_ps=slope, slope_error_A2_per_ps=0.0)
        for crystal, slope in zip(exact, slopes, strict=True)
    ]
    noisy = [replace(c, slope_error_A2_per_ps=0.1) for c in sure]
    assert repeatability(exact, 1e-4) is None
    assert repeatability(sure, 1e-4) == pytest.approx(1.0)
    assert repeatability(noisy, 1e-4) < 0.8 < repeatability(noisy, 0.3) < 1.0


def test_controls_see_what_they_say(data):
    crystal, shakes = data.crystals[0], data.shakes[0]
    assert FEATURES["lithium fraction"](crystal, shakes) == [mobile_fraction(crystal)] == [0.5]
    assert volume_per_atom(crystal) == pytest.approx(crystal.atoms.get_volume() / 8)
    relabelled = replace(crystal, atoms=crystal.atoms.copy())
    relabelled.atoms.numbers[:] = 3
    blind = FEATURES["acceleration statistics"]
    assert blind(relabelled, shakes) == blind(crystal, shakes)
    composition = FEATURES["composition"]
    assert composition(relabelled, shakes) != composition(crystal, shakes)
    louder = replace(shakes, accelerations_A_per_ps2=shakes.accelerations_A_per_ps2 * 10)
    assert composition(crystal, louder) == composition(crystal, shakes)


def test_variants_see_more_and_less(data):
    table = GraphTable(data, 3.0)
    batch = table.batch([(0, 0), (1, 1)])
    torch.manual_seed(0)
    less = WithoutAccelerations(TINY)
    changed = batch | {keys.ACCELERATIONS: batch[keys.ACCELERATIONS] * 7}
    assert torch.equal(less(batch)[keys.TARGETS], less(changed)[keys.TARGETS])
    more = WithSpecies(TINY)
    extras = species_extras(data, min_image_distance_A=1.0)
    rich = GraphTable(data, 3.0, extras=extras).batch([(0, 0), (1, 1)])
    with pytest.raises(ValueError, match="species"):
        ForceNetwork(TINY)(rich)
    with pytest.raises(ValueError, match="missing"):
        more(batch)
    other = rich | {keys.SPECIES: rich[keys.SPECIES] + 1}
    assert not torch.equal(more(rich)[keys.TARGETS], more(other)[keys.TARGETS])
    mobile = rich[keys.MOBILE]
    assert mobile.sum() == 8
    flipped = rich | {keys.MOBILE: ~mobile}
    assert not torch.equal(more(rich)[keys.TARGETS], more(flipped)[keys.TARGETS])


def test_ensemble_learns_all_and_is_calibrated(data, done, tmp_path):
    runs, results, _ = done
    by_seed = [
        [
            result
            for run, result in zip(runs, results, strict=True)
            if (run.variant, run.task.seed) == (MAIN, seed)
        ]
        for seed in (0, 1)
    ]
    calibration = calibration_of(data, by_seed, "random")
    assert calibration.n_crystals == 24
    ensemble = train_ensemble(data, TINY, QUICK, ShakeSettings(), 2, tmp_path, calibration)
    found = ensemble.predict(data.shakes[0])
    half = calibration.half_width(found.shake_spread, found.ensemble_spread)
    assert found.high - found.low == pytest.approx(2 * half)
    assert calibration.per_shake_spread >= 0
    assert calibration.per_ensemble_spread >= 0
    assert half >= calibration.half_width_95 > 0
    assert found.ensemble_spread > 0
    assert ensemble.header.training_set_sha256 == data.sha256()
    assert all(ensemble.header.has_learned(system) for system in data.groups)
    assert ensemble.header.has_learned("Li-Og") is False
    assert [len(m.reference_features) for m in ensemble.members] == [24, 24]


def write_study(tmp_path, **changes):
    content = {"data": "labels.jsonl", "n_folds": 2} | changes
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "no setting seed"),
        ({"network": {"lmax": 3}}, "network has no setting lmax"),
        ({"variants": [{"name": "a", "network": {"lmax": 3}}]}, "a has no setting lmax"),
        ({"variants": [{"name": "a", "kind": "magic"}]}, r"variants\.0\.kind cannot be 'magic'"),
        ({"variants": [{"name": MAIN}]}, "Two variants"),
        ({"variants": [{"name": "a", "pretrained": True}]}, "there is no pretraining"),
        ({"variants": [{"name": "a", "unlabelled": True}]}, "but there are none"),
        ({"splits": ["by luck"]}, "splits cannot be"),
        ({"data": []}, r"data = \(\)"),
        ({"splits": []}, r"splits = \(\)"),
        ({"seeds": []}, r"seeds = \(\)"),
        ({"seeds": [1, 1]}, r"seeds = \(1, 1\)"),
        ({"seeds": [-1]}, r"seeds = \(-1,\)"),
        ({"n_folds": 0}, "n_folds = 0"),
        ({"n_folds": 1}, "n_folds = 1"),
        ({"n_resamples": -1}, "n_resamples = -1"),
        ({"floors_A2_per_ps": []}, r"floors_A2_per_ps = \(\)"),
        ({"floors_A2_per_ps": [0.05, 0.0]}, r"floors_A2_per_ps = \(0.05, 0.0\)"),
        ({"floors_A2_per_ps": [0.05, float("inf")]}, r"floors_A2_per_ps = \(0.05, inf\)"),
        (
            {"labels": {"floor_A2_per_ps": 0.07}},
            r"'force network' learns with labels\.floor_A2_per_ps = 0\.07.*\(0\.0001, 0\.05\)",
        ),
        (
            {"variants": [{"name": "a", "labels": {"floor_A2_per_ps": 0.07}}]},
            r"'a' learns with labels\.floor_A2_per_ps = 0\.07",
        ),
        ({"variants": [{"name": "a", "n_learnt": 0}]}, "n_learnt = 0"),
        ({"variants": [{"name": "a", "seeds": []}]}, r"seeds = \(\)"),
        ({"variants": [{"name": "a", "splits": []}]}, r"splits = \(\)"),
        ({"ensemble": {"variant": "nope"}}, r"ensemble\.variant cannot be 'nope'.*force network"),
        (
            {"variants": [{"name": "a", "kind": "mean"}], "ensemble": {"variant": "a"}},
            r"ensemble\.variant cannot be 'a'",
        ),
        ({"ensemble": {"n_members": 0}}, "n_members = 0"),
        ({"training": {"weight_decay": float("inf")}}, "weight_decay = inf"),
        ({"training": {"learning_rate": float("nan")}}, "learning_rate = nan"),
        ({"shakes": {"amplitudes_A": [0.2, float("inf")]}}, r"amplitudes_A = \(0.2, inf\)"),
    ],
)
def test_study_files_that_are_wrong(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message):
        read_study(write_study(tmp_path, **changes))
    with pytest.raises(SettingsError, match="cannot be read"):
        read_study(tmp_path / "none.yaml")


def test_the_published_study_file_is_right(pytestconfig):
    path = pytestconfig.rootpath / "workflows" / "train_force_network.yaml"
    study = read_study(path)
    assert all(Path(name).exists() for name in study.label_files)
    kinds = {variant.kind for variant in study.all_variants()}
    assert {"mean", "composition", "lithium fraction", "volume per atom"} <= kinds
    assert {"network without accelerations", "network with species"} <= kinds
    assert study.splits == ("random", "chemical_system")
    assert len(study.seeds) >= 3


def test_descriptors_from_a_file(tmp_path, data):
    path = tmp_path / "descriptors.jsonl"
    names = [crystal.material_id for crystal in data.crystals[:2]]
    rows = [{"material_id": names[0], "mpe_eV": 0.3, "text": "x"}, {"material_id": "z", "b": 1}]
    path.write_text("\n".join(map(json.dumps, rows)))
    known = read_descriptors(path)
    assert known == {names[0]: {"mpe_eV": 0.3}, "z": {"b": 1.0}}
    found = descriptor_columns(known, [c.material_id for c in data.crystals])
    assert found.shape == (24, 1)
    assert found[0, 0] == 0.3
    assert np.isnan(found[1:]).all()
    path.write_text(json.dumps(rows[1]))
    with pytest.raises(SettingsError, match="knows none"):
        descriptor_columns(read_descriptors(path), names)
    path.write_text("[1]")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_descriptors(path)


def test_other_descriptors_are_other_runs(tmp_path, data):
    variants = ({"name": "trees", "kind": "descriptors"}, {"name": "mean", "kind": "mean"})
    study = replace(STUDY, variants=variants, descriptors="x", ensemble=None)

    def places(descriptors):
        runs = plan(study, lambda shakes, rules: data, tmp_path, descriptors)
        return {run.directory.name for run in runs if run.variant != "force network"}

    def numbers(value):
        return {crystal.material_id: {"mpe_eV": value} for crystal in data.crystals}

    one, other = places(numbers(0.0)), places(numbers(1.0))
    assert {name for name in one if name.startswith("mean")} == one & other
    assert places(numbers(0.0)) == one


def test_command_from_labels_to_an_ensemble(tmp_path, monkeypatch):
    """With a calculator of ASE, whose forces cost nothing."""
    monkeypatch.setenv("SUPERIONIC_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    lines = label_lines(8)
    molten = json.loads(lines[0]) | {"material_id": "molten", "verdict": "melted"}
    colder = molten | {"verdict": "diffusing", "temperature_K": 700.0}
    lines += map(json.dumps, (molten, colder))
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    (tmp_path / "crystals.jsonl").write_text("\n".join(lines))
    further = json.loads(lines[0]) | {"material_id": "unlabelled"}
    (tmp_path / "further.jsonl").write_text(json.dumps(further))
    known = ["unlabelled", *(f"m-{number}" for number in range(8))]
    numbers = [{"material_id": name, "mpe_eV": 0.4} for name in known]
    (tmp_path / "numbers.jsonl").write_text("\n".join(map(json.dumps, numbers)))
    study = write_study(
        tmp_path,
        potential='ase:ase.calculators.morse.MorsePotential?{"r0": 2.5}',
        shakes={"n_shakes": 2, "min_image_distance_A": 4.0},
        network={"n_layers": 1, "channels": 2, "l_max": 1, "cutoff_A": 3.0},
        training={"max_epochs": 2, "validation_fraction": 0.0},
        splits=["random"],
        seeds=[0],
        labels={"targets": ["log10_msd_slope", "mpe_eV"], "temperature_K": 1000.0},
        descriptors="numbers.jsonl",
        unlabelled={"crystals": ["further.jsonl"], "max_atoms": 50},
        pretraining={"crystals": ["crystals.jsonl"], "epochs": 1},
        variants=[
            {"name": "mean", "kind": "mean"},
            {"name": "held back", "training": {"validation_fraction": 0.3}},
            {
                "name": "from atoms",
                "pretrained": True,
                "unlabelled": True,
                "labels": {"activation_energy_eV": 0.2},
            },
        ],
        ensemble={"variant": "from atoms", "n_members": 1, "split": "random"},
        n_resamples=5,
    )
    page, kept = tmp_path / "page.md", tmp_path / "kept.json"
    options = ["--campaign", str(study), "--out", str(tmp_path / "out"), "--workers", "1"]
    options += ["--write", str(page), "--json", str(kept)]
    ended = CliRunner().invoke(app, options, catch_exceptions=False)
    get_settings.cache_clear()
    assert ended.exit_code == 0
    assert "| force network | 1 |" in ended.output
    assert "| from atoms | 1 |" in ended.output
    assert (tmp_path / "out" / "force_network.pt").exists()
    assert "| force network | 1 |" in page.read_text()
    assert kept.read_text() == (tmp_path / "out" / "summary.json").read_text()
    summary = json.loads(kept.read_text(), parse_constant=pytest.fail)  # no NaN
    assert summary["n_crystals"] == 8
    curves = summary["learning_curves"]
    assert [curve["variant"] for curve in curves] == 2 * ["force network"] + 2 * ["held back"]
    assert [curve["fold"] for curve in curves] == [0, 1, 0, 1]
    for curve in curves:
        assert [epoch["epoch"] for epoch in curve["epochs"]] == [0, 1]
        held_back = curve["variant"] == "held back"
        assert all((e["validation_loss"] is not None) is held_back for e in curve["epochs"])
        assert all(epoch["train_loss"] > 0 for epoch in curve["epochs"])
    assert [fold["fold"] for fold in summary["folds"]] == [0, 1]
    assert str(tmp_path) not in json.dumps(summary)
    file = tmp_path / "out" / "force_network.pt"
    card = (tmp_path / "out" / "README.md").read_text()
    assert hashlib.sha256(file.read_bytes()).hexdigest() in card
    assert "8 crystals of labels.jsonl" in card
    assert "squared displacement at 1000 K, in A^2/ps" in card
    assert "| labels | molecular dynamics at 1000 K with ase (9 of another potential than" in card
    assert "Labels are those of ase (9 of another" in card
    assert "of small cells and of 14 ps at most" in card
    assert "Warning: 8 labels are not of ase:ase.calculators.morse" in ended.output
    assert summary["labels"] == {
        "potentials": {"ase": 8},
        "n_of_other_potential": 8,
        "longest_ps": 14.0,
    }
    assert "| further targets | `mpe_eV` |" in card
    assert (
        "| crystals for training only | 1 without a label at 1000 K (melted), by their slope "
        "at a lower temperature, taken up with an activation energy of 0.2 eV; 1 without any "
        "label, by their further targets; hash"
    ) in card
    row = next(r for r in summary["models"] if r["variant"] == "from atoms")
    error = row["metrics"]["0.0001"]["mean_absolute_error"]["value"]
    assert f"| {error:.2f} [" in next(x for x in card.splitlines() if "**this network**" in x)
    assert "| mean | at random |" in card
    ensemble = Ensemble.load(file)
    assert ensemble.header.calibration is None  # eight errors support no interval
    assert ensemble.header.n_crystals == 8
    assert ensemble.header.n_unlabelled == 2
