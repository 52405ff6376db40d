"""Labels read by stated rules, folds that keep their promises."""

import json
import math
from dataclasses import replace

import pytest
from synthetic import synthetic_set

from superionic.errors import NetworkError, SettingsError, UnreadableFileError
from superionic.network.data import TrainingSet
from superionic.network.labels import labels_from_rows, read_labels
from superionic.network.settings import DIFFUSING, MSD, TARGET, LabelRules


def row(name, verdict="diffusing", label=1.0, **changes):
    structure = {
        "lattice": [[4.0, 0, 0], [0, 4.0, 0], [0, 0, 4.0]],
        "species": ["Li", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    }
    return {
        "material_id": name,
        "formula": "LiCl",
        "mobile_species": "Li",
        "verdict": verdict,
        "label_A2_per_ps": label,
        "structure": structure,
        "potential": "chgnet:0.3.0",
        "potential_weights_sha256": "abc",
    } | changes


def test_what_melts_is_learned_beside_by_its_diffusion_in_the_cold():
    rows = [
        row("a", temperature_K=1000.0, label=2.0),
        row("a", temperature_K=700.0, label=0.5),
        row("b", "melted", temperature_K=1000.0, label=9.0),
        row("b", temperature_K=500.0, label=0.1),
        row("b", temperature_K=700.0, label=0.5),
        row("c", "melted", temperature_K=1000.0, label=9.0),
        row("c", "melted", temperature_K=700.0, label=5.0),
        row("d", "not_diffusing", temperature_K=700.0, label=1e-4),
        row("e", temperature_K=1200.0, label=1.0),
    ]
    rules = LabelRules(
        floor_A2_per_ps=0.05,
        targets=(TARGET, DIFFUSING),
        temperature_K=1000.0,
        activation_energy_eV=0.2,
    )
    labels = labels_from_rows(rows, rules)
    assert {c.material_id: c.slope_A2_per_ps for c in labels.crystals} == {"a": 2.0}
    assert labels.left_out == {"melted": 2, "of another temperature": 1}
    # D ~ exp(-E / kT): exp(0.2 eV / k * (1/700 K - 1/1000 K)) = 2.7038
    train_only = {c.material_id: c for c in labels.train_only}
    assert train_only.keys() == {"b", "d"}
    assert train_only["b"].slope_A2_per_ps == pytest.approx(0.5 * 2.7038, rel=1e-4)
    assert train_only["b"].targets[TARGET] == pytest.approx(math.log10(0.5 * 2.7038), abs=1e-4)
    assert train_only["d"].targets[TARGET] == math.log10(0.05)
    assert math.isnan(train_only["b"].targets[DIFFUSING])
    # Without an activation energy they are rows of another temperature and nothing more.
    alone = labels_from_rows(rows, LabelRules(temperature_K=1000.0))
    assert (len(alone.crystals), alone.train_only) == (1, ())
    assert alone.left_out == {"melted": 2, "of another temperature": 6}


def test_temperatures_are_not_mixed_unsaid():
    rows = [row("a", temperature_K=1000.0), row("b", temperature_K=700.0)]
    with pytest.raises(SettingsError, match=r"several temperatures \(700\.0, 1000\.0 K\)"):
        labels_from_rows(rows)
    with pytest.raises(SettingsError, match="temperature_K"):
        LabelRules(activation_energy_eV=0.2)


def test_of_several_runs_of_a_crystal_the_longest_counts():
    def run(n_steps, name="a", **changes):
        return row(name, settings={"n_steps": n_steps, "timestep_fs": 2.0}, **changes)

    rows = [run(5000, label=0.1), run(15000, label=2.0), run(15000, label=3.0), row("a", label=4.0)]
    labels = labels_from_rows(rows)
    assert [crystal.slope_A2_per_ps for crystal in labels.crystals] == [2.0]
    assert labels.left_out == {"second label of a crystal": 3}
    # A longer run that melted says that the shorter one is no label either.
    melted = [run(5000, label=0.1), run(15000, verdict="melted"), run(5000, "b")]
    assert [one.material_id for one in labels_from_rows(melted).crystals] == ["b"]


def test_several_files_are_one_set(tmp_path):
    for name, label in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).write_text(json.dumps(row(name, label=label)))
    labels = read_labels(tmp_path / "a", tmp_path / "b")
    assert [crystal.slope_A2_per_ps for crystal in labels.crystals] == [1.0, 2.0]


def test_the_displacement_at_two_picoseconds_may_be_learned():
    lags = [0.0, 1.0, 1.6, 2.0, 2.4, 3.0]
    curves = {"a": [0, 1, 8, 10, 12, 90], "b": [0, 0, 0.1, 0.1, 0.1, 0], "c": [0, 0, 0, 0, 0, 9]}
    rows = [row(name, msd={"lags_ps": lags, "mobile_A2": curve}) for name, curve in curves.items()]
    rows += [row("d", msd={"lags_ps": [0.0, 1.0], "mobile_A2": [0, 5]}), row("e")]
    labels = labels_from_rows(rows, LabelRules(targets=(TARGET, MSD)))
    found = [crystal.targets[MSD] for crystal in labels.crystals]
    assert found == pytest.approx([1.0, -1.0, *3 * [math.nan]], nan_ok=True)


def test_the_hash_tells_learned_displacements_apart():
    def training_set(msd: float, rules: LabelRules) -> TrainingSet:
        data = synthetic_set(1)
        crystal = replace(data.crystals[0], targets=data.crystals[0].targets | {MSD: msd})
        return TrainingSet((crystal,), data.shakes, rules)

    alone, further = LabelRules(), LabelRules(targets=(TARGET, MSD))
    assert training_set(1.0, alone).sha256() == training_set(2.0, alone).sha256()
    assert training_set(1.0, further).sha256() != training_set(2.0, further).sha256()


def test_rules_decide_what_is_learned():
    rows = [
        row("b", label=100.0),
        row("a", "not_diffusing", 1e-4),
        row("c", "melted", 9.0),
        row("d", "unconverged", 0.1),
        row("e", "unconverged", None),
        row("a", "diffusing", 5.0),
    ]
    labels = labels_from_rows(rows)
    assert [crystal.material_id for crystal in labels.crystals] == ["a", "b", "d"]
    assert labels.left_out == {"melted": 1, "without a slope": 1, "second label of a crystal": 1}
    assert [crystal.targets[TARGET] for crystal in labels.crystals] == pytest.approx([-4, 2, -1])
    assert [crystal.diffusing for crystal in labels.crystals] == [False, True, None]
    assert math.isnan(labels.crystals[2].targets[DIFFUSING])
    assert labels.crystals[0].chemical_system == "Cl-Li"
    floored = labels_from_rows(rows, LabelRules(floor_A2_per_ps=0.1, exclude_verdicts=()))
    assert [crystal.targets[TARGET] for crystal in floored.crystals[:2]] == pytest.approx([-1, 2])
    assert len(floored) == 4
    with pytest.raises(SettingsError, match="targets"):
        LabelRules(targets=("speed",))
    with pytest.raises(SettingsError, match="targets"):
        LabelRules(targets=(TARGET, "mpe_eV", "mpe_eV"))


def test_descriptors_as_further_targets():
    rules = LabelRules(targets=(TARGET, "mpe_eV"))
    known = {"a": {"mpe_eV": 0.3, "xi": 0.1}, "c": {"mpe_eV": 0.5}}
    labels = labels_from_rows([row("a"), row("b")], rules, known)
    assert labels.crystals[0].targets["mpe_eV"] == 0.3
    assert math.isnan(labels.crystals[1].targets["mpe_eV"])
    assert "xi" not in labels.crystals[0].targets
    with pytest.raises(SettingsError, match="'mpe_eV' is no descriptor"):
        labels_from_rows([row("b")], rules, known)
    with pytest.raises(SettingsError, match="'mpe_eV' is no descriptor"):
        labels_from_rows([row("a")], rules)


def test_further_targets_are_part_of_the_hash():
    data = synthetic_set(2)
    rules = LabelRules(targets=(TARGET, "mpe_eV"))

    def digest(value):
        crystals = tuple(
            replace(crystal, targets=crystal.targets | {"mpe_eV": value})
            for crystal in data.crystals
        )
        return TrainingSet(crystals, data.shakes, rules).sha256()

    assert digest(0.3) == digest(0.3)
    assert len({digest(0.3), digest(0.4), digest(math.nan), data.sha256()}) == 4


def test_published_labels_can_be_read(pytestconfig):
    labels = read_labels(pytestconfig.rootpath / "datasets" / "labels_1000K.jsonl")
    assert len(labels) > 5
    for crystal in labels.crystals:
        assert crystal.mobile_species in crystal.atoms.get_chemical_symbols()
        assert -4.0 <= crystal.targets[TARGET] < 3.0


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", UnreadableFileError, "cannot be read"),
        ('{"material_id": "a"}', UnreadableFileError, "Line 1 .* verdict"),
        ("[]", UnreadableFileError, "Line 1"),
        ("", NetworkError, "no label"),
        (json.dumps(row("a", "melted")), NetworkError, "1 melted"),
    ],
)
def test_files_that_are_no_labels(tmp_path, text, error, message):
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(error, match=message):
        read_labels(path)
    with pytest.raises(UnreadableFileError):
        read_labels(tmp_path / "not there")


def test_hash_of_the_training_set():
    whole = synthetic_set(6)
    turned = whole.subset(reversed(range(6)))
    assert whole.sha256() == turned.sha256()
    others = {whole.subset(range(5)).sha256(), synthetic_set(6, seed=1).sha256()}
    others.add(TrainingSet(whole.crystals, whole.shakes, LabelRules(floor_A2_per_ps=0.01)).sha256())
    others.add(TrainingSet(whole.crystals, tuple(s.first(2) for s in whole.shakes)).sha256())
    assert len(others | {whole.sha256()}) == 5
    with pytest.raises(NetworkError, match="no labelled crystal"):
        whole.subset([])
    with pytest.raises(NetworkError, match="6 labelled crystals with 5"):
        TrainingSet(whole.crystals, whole.shakes[:5])
