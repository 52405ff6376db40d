"""The test of predictions that were there before the labels: nothing of it is learned."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from studies.force_network.descriptors import read_descriptors
from superionic.network.data import LabelSet
from superionic.network.labels import read_labels
from superionic.network.settings import LabelRules

ROOT = Path(__file__).parents[3]
RULES = LabelRules(floor_A2_per_ps=0.05, exclude_verdicts=("melted",), temperature_K=1000.0)


@pytest.fixture(scope="module")
def script(load_benchmark):
    module = load_benchmark("untouched", "studies/force_network")
    module.SEEDS, module.N_RESAMPLES = (1,), 50
    return module


@pytest.fixture(scope="module")
def crystals():
    return read_labels(ROOT / "datasets" / "labels_1000K.jsonl", rules=RULES).crystals[:60]


@pytest.fixture(scope="module")
def descriptors():
    return read_descriptors(ROOT / "datasets" / "descriptors_1000K.jsonl")


def predicted(crystals, shift=0.0):
    """Predictions that are right but for a shift in decades, each half a decade wide."""
    rows = [
        {
            "material_id": c.material_id,
            "formula": c.formula,
            "log10_msd_slope": c.targets["log10_msd_slope"] + shift,
            "log10_msd_slope_low": c.targets["log10_msd_slope"] + shift - 0.25,
            "log10_msd_slope_high": c.targets["log10_msd_slope"] + shift + 0.25,
            "flags": [],
        }
        for c in crystals
    ]
    return {"network_sha256": "0" * 64, "potential_weights_sha256": "", "predictions": rows}


def test_controls_learn_nothing_of_the_tested_labels(script, crystals, descriptors):
    learned, tested = crystals[:40], crystals[40:]
    other = [
        replace(c, slope_A2_per_ps=7.0, targets={**c.targets, "log10_msd_slope": math.log10(7.0)})
        for c in tested
    ]
    found = script.control_predictions(learned, tested, descriptors)
    assert found == script.control_predictions(learned, other, descriptors)
    # They do learn from the others.
    assert found != script.control_predictions(learned[:30], tested, descriptors)
    assert set(found["mean"][0]) == {c.material_id for c in tested}


def test_right_predictions_are_found_right_and_wrong_ones_wrong(script, crystals, descriptors):
    labels, tested = LabelSet(crystals), crystals[40:]
    right = script.compare(labels, (), predicted(tested), descriptors, RULES)
    wrong = script.compare(labels, (), predicted(tested, shift=1.0), descriptors, RULES)
    assert "all models learned 40 labels" in right
    assert "20 crystals were predicted, 20 of them have a label" in right
    assert "20 of these lie in their" in right
    assert "; 0 of these lie in their" in wrong
    assert "| force network | 1.00 [1.00, 1.00] |" in right
    assert "| force network | 1.00 [1.00, 1.00] |" not in wrong


def test_answers_are_counted_on_both_sides_and_wrong_ones_are_named(script, crystals):
    slopes = {"fast": 10.0, "slow": 0.1, "open": 1.2, "wrong": 5.0}
    tested = [
        replace(c, material_id=name, formula=name, slope_A2_per_ps=slope)
        for c, (name, slope) in zip(crystals, slopes.items(), strict=False)
    ]
    bounds = {"fast": (0.2, 1.5), "slow": (-1.5, -0.2), "open": (-0.5, 0.5), "wrong": (-2, -0.1)}
    rows = {
        n: {f"{script.SLOPE}_low": a, f"{script.SLOPE}_high": b} for n, (a, b) in bounds.items()
    }
    text = script.answers(tested, rows)
    assert "of 1 that it conducts, right in 1;" in text
    assert "of 2 that it does not, right in 1 (wrong: wrong 5.0 A^2/ps)." in text


def test_crystals_without_a_label_are_counted_and_not_tested(script, crystals, descriptors):
    labels = LabelSet(crystals[:55])
    text = script.compare(labels, (), predicted(crystals[40:]), descriptors, RULES)
    assert "20 crystals were predicted, 15 of them have a label" in text


def test_what_no_network_learns_is_tested_and_not_learned(script, crystals, descriptors):
    labels, tested = LabelSet(crystals[:40], train_only=crystals[40:50]), crystals[50:]
    text = script.compare(labels, tested, predicted(tested), descriptors, RULES)
    assert "all models learned 40 labels and 10 slopes of molten crystals" in text
    assert "10 crystals were predicted, 10 of them have a label" in text
    both = LabelSet(crystals[:50] + tested)
    as_learned = script.compare(both, (), predicted(tested), descriptors, RULES)
    assert as_learned.split("interval.")[1] == text.split("interval.")[1]


def test_predictions_of_another_network_are_not_kept(script):
    document = {
        "material_id": "a",
        "formula": "LiCl",
        "log10_msd_slope": 0.0,
        "log10_msd_slope_low": -1.0,
        "log10_msd_slope_high": 1.0,
        "flags": [],
        "settings": {"network": "1" * 64},
        "potential": {"weights_sha256": "2" * 64},
    }
    found = script.kept([document], RULES, "1" * 64)
    assert [row["material_id"] for row in found["predictions"]] == ["a"]
    assert found["labels"]["floor_A2_per_ps"] == 0.05
    with pytest.raises(ValueError, match="another network"):
        script.kept([document], RULES, "3" * 64)


def test_scores_stand_beside_what_was_measured(script):
    sigmas = {f"m-{i}": 10.0 ** -(3 + i) for i in range(8)}
    measured = {name: script.Measured((value,), False, True) for name, value in sigmas.items()}
    right = {name: float(-i) for i, name in enumerate(sigmas)} | {"unmeasured": 9.0}
    wrong = {name: -value for name, value in right.items()}
    text = script.against_measured({"dynamics": right, script.NETWORK: wrong}, measured)
    assert "(8 crystals; 3 of 1e-05 S/cm or more, 4 of 1e-07 S/cm or less" in text
    assert "| dynamics | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in text
    assert "| force network | -1.00 [-1.00, -1.00] | 0.00 [0.00, 0.00] |" in text
