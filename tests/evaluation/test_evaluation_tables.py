"""Truths, scores and tables with known answers."""

import csv
import json
import math
from io import StringIO
from pathlib import Path

import pytest
from evaluation_rows import label, population, row

from superionic.errors import SettingsError
from superionic.evaluation.evaluate import EvaluationSettings, evaluate
from superionic.evaluation.measures import measure
from superionic.evaluation.readers import (
    read_bond_valence,
    read_held_out,
    read_matches,
    read_obelix,
)
from superionic.evaluation.scorers import group_of, scorers_of, with_held_out
from superionic.evaluation.tables import Task, costs_of, tables_of
from superionic.evaluation.truth import (
    Measurement,
    Truth,
    conductivities,
    label_truth,
    labels_of_rows,
    one_crystal_each,
)
from superionic.report.tables.evaluation import (
    WRITTEN_BY,
    columns_of,
    evaluation_csv,
    evaluation_markdown,
    headline_markdown,
    numbers_json,
)
from superionic.report.tables.labels import read_data_sets
from superionic.report.tables.text_table import END, begin_mark, write_page
from superionic.statistics import bootstrap_interval, roc_auc
from superionic.structures.species import anion_family

ROOT = Path(__file__).parents[2]


def test_labels_say_what_their_verdicts_allow():
    diffusing = label_truth("a", "diffusing", 0.5, 0.3, 0.7)
    assert diffusing.value == pytest.approx(math.log10(0.5))
    still = label_truth("a", "not_diffusing", 0.5, 0.3, 0.7)  # vibrations, no hop
    assert still.value == -4
    open_ = label_truth("a", "unconverged", 0.5, -0.1, 0.7)
    assert open_.value is None
    assert open_.exceeds(math.log10(0.01)) is None
    assert open_.exceeds(math.log10(1.0)) is False
    bounded = {"upper_bound_A2_per_ps": 0.7, "by_bounds": True}
    short_run = label_truth("a", "not_diffusing", 0.0, -0.1, 0.1, **bounded)
    assert short_run.exceeds(math.log10(1.0)) is False
    assert short_run.exceeds(math.log10(0.1)) is None  # the run was too short to tell
    assert label_truth("a", "not_diffusing", 0.0, -0.1, 0.1, by_bounds=True) is None
    assert label_truth("a", "diffusing", 0.5, 0.3, 0.7, **bounded) == diffusing
    assert label_truth("a", "melted", 0.5, 0.3, 0.7) is None
    assert label_truth("a", "melted", 0.5, 0.3, 0.7, melted_fails=True) == still
    assert label_truth("a", "diffusing", 0.5, 0.3, 0.7, melted_fails=True) == diffusing
    assert label_truth("a", "diffusing", None, None, None) is None


def test_the_label_of_a_row_is_that_of_the_temperature():
    rows = [
        row("a", labels=[label(1.0, "diffusing", temperature_K=800.0), label(0.1, "diffusing")]),
        row("b", labels=[label(9.0, "diffusing", seed=2), label(3.0, "diffusing", seed=1)]),
        row("c", labels=[label(2.0, "melted")]),
    ]
    values = {name: truth.value for name, truth in labels_of_rows(rows).items()}
    assert values == pytest.approx({"a": -1.0, "b": math.log10(3.0)})


def test_upper_bounds_are_below_or_open():
    bound = Truth("a", -math.inf, -8.0)
    assert bound.value is None
    assert bound.exceeds(-6) is False
    assert bound.exceeds(-8) is False
    assert bound.exceeds(-9) is None


def test_several_measurements_of_a_crystal_become_one():
    found = conductivities(
        [
            Measurement("a", "1", "matched", 1e-6, False),
            Measurement("a", "2", "matched", 1e-4, False),
            Measurement("a", "3", "matched", 1e-12, True),
            Measurement("b", "4", "matched", 1e-8, True),
            Measurement("b", "5", "matched", 1e-9, True),
        ]
    )
    assert found["a"].value == pytest.approx(-5)
    assert (found["b"].low, found["b"].high) == (-math.inf, -9)


def test_one_crystal_stands_for_a_sample():
    several = [
        Measurement("approximant", "1", "approximant", 1.0, False),
        Measurement("clean", "1", "matched", 1.0, False),
        Measurement("noisy", "1", "ordered", 1.0, False),
        Measurement("alone", "2", "approximant", 1.0, False),
    ]
    chosen = one_crystal_each(several, ("matched", "ordered", "approximant"))
    assert [one.material_id for one in chosen] == ["clean", "alone"]


def test_measures_of_a_perfect_and_of_a_reversed_score():
    positive = [True] * 12 + [False] * 28
    values = [float(-i) for i in range(40)]
    groups = [f"s{i % 8}" for i in range(40)]
    perfect = measure(positive, values, values, groups, n_resamples=50)
    assert (perfect.n, perfect.n_positive, perfect.n_values) == (40, 12, 40)
    assert perfect.roc_auc.value == perfect.average_precision.value == 1.0
    assert perfect.precision_first_10.value == perfect.precision_first_tenth.value == 1.0
    assert perfect.spearman.value == pytest.approx(1.0)
    assert (perfect.roc_auc.low, perfect.roc_auc.high) == (1.0, 1.0)
    reverse = measure(positive, [-v for v in values], [None, *values[1:]], groups, n_resamples=50)
    assert reverse.roc_auc.value == 0.0
    assert reverse.precision_first_10.value == 0.0
    assert reverse.spearman.value == pytest.approx(-1.0)
    assert reverse.n_values == 39


def test_the_group_is_the_biggest_and_leaves_out_what_the_network_knows():
    rows = [
        row("a", predicted_log10_msd_slope=1.0, prediction_in_training=True),
        row("b", predicted_log10_msd_slope=0.5, prediction_in_training=False),
        row("twin", predicted_log10_msd_slope=0.5, duplicate_of="b"),
        row("c", key="c", mobile_species="Na"),
        row("d", landscape=False),
    ]
    group = group_of(rows)
    assert (group.mobile_species, group.potential) == ("Li", "chgnet:0.3.0")
    assert [one.material_id for one in group.rows] == ["a", "b", "d"]
    assert group.n_trained == 1
    by_name = {one.name: one.scores for one in scorers_of(group, {})}
    assert by_name["network"] == {"b": 0.5, "twin": 0.5}
    assert set(by_name["xi"]) == {"a", "b", "twin"}
    assert group_of(rows, mobile_species="Na").rows[0].material_id == "c"
    with pytest.raises(SettingsError, match="no row with a landscape"):
        group_of(rows, mobile_species="K")


def test_tables_compare_scores_on_the_same_materials():
    rows = [
        row(f"m{i}", system=f"Li-{i}", xi=i / 10, mpe_eV=1 - i / 10, mobile_fraction=0.5 - i / 100)
        for i in range(8)
    ]
    rows[7] = rows[7].model_copy(update={"fv_disconnected_2eV": None})  # cannot be compared
    group = group_of(rows)
    bond_valence = {f"m{i}": {1: 0.1 * i, 2: 0.2, 3: 0.3} for i in range(4)}
    scorers = scorers_of(group, {}, bond_valence)
    truths = {f"m{i}": Truth(f"m{i}", i - 3.5, i - 3.5) for i in range(8)}
    truths["m0"] = Truth("m0", -math.inf, 2.0)
    truths["elsewhere"] = Truth("elsewhere", 1.0, 1.0)
    task = Task("made-up", "made-up", truths, [10**-1.0, 1e9, 10**-2.0], "units")
    first, second, third, fourth, *last = tables_of(task, scorers, group.systems(), n_resamples=20)
    assert (first.n, first.n_positive, first.n_open) == (6, 4, 1)
    aucs = {line.scorer: line.measures.roc_auc.value for line in first.lines}
    assert aucs["xi"] == aucs["mpe_eV"] == 1.0  # barriers: lower is better
    assert aucs["mobile_fraction"] == 0.0
    assert aucs["fv_connected"] == 0.5
    assert "bond_valence_1d_eV" not in aucs
    assert {line.measures.n for line in first.lines} == {6}
    assert "bond-valence" in second.materials
    assert (second.n, second.n_positive) == (3, 1)
    assert {line.scorer: line.measures.roc_auc.value for line in second.lines}[
        "bond_valence_1d_eV"
    ] == 0.0
    assert (third.threshold, third.n_positive, third.lines) == (1e9, 0, [])
    assert (fourth.threshold, fourth.n, fourth.lines) == (1e9, 4, [])
    # The sets of materials are the same at every threshold, the answers are not.
    assert [(one.threshold, one.materials) for one in last] == [
        (0.01, first.materials),
        (0.01, second.materials),
    ]
    assert (last[1].n, last[1].n_positive, last[1].n_open) == (3, 2, 1)
    assert "bond_valence_1d_eV" in {line.scorer for line in last[1].lines}


def test_costs_count_each_material_once():
    rows = [row("a", labels=[label(1.0, "diffusing"), label(1.0, "diffusing", seed=1)]), row("b")]
    costs = {cost.name: cost for cost in costs_of(group_of(rows))}
    assert (costs["landscape"].n, costs["landscape"].evaluations_median) == (2, 1000)
    dynamics = costs["molecular dynamics at one temperature"]
    assert (dynamics.n, dynamics.evaluations_median, dynamics.core_s_total) == (1, 6000, 60.0)
    assert costs["landscape, of materials that have both"].n == 1


def test_the_whole_evaluation_and_its_page(tmp_path):
    rows = population(60)
    measurements = [
        Measurement(f"m{i:03d}", str(i), "ordered", 10.0**-i, False) for i in range(3, 9)
    ]
    settings = EvaluationSettings(n_resamples=20)
    found = evaluate(rows, measurements=measurements, settings=settings)
    assert found.n_rows == found.n_labels == 60
    assert [(t.threshold, t.n, t.n_positive) for t in found.tables[:1]] == [(0.01, 60, 20)]
    lines = {line.scorer: line.measures.roc_auc.value for line in found.tables[0].lines}
    assert lines["free_volume_2eV_A3_per_ion"] > 0.9
    assert 0.8 < lines["calibrated"] <= 1.0
    assert len([table for table in found.tables if table.unit == "S/cm"]) == 3
    assert any("network" in note for note in found.notes)
    page = tmp_path / "page.md"
    short = evaluation_markdown(found)
    assert (
        "dynamics, above 0.01 A^2/ps | dynamics by bounds, above 1 A^2/ps | measured, above"
        in short
    )
    write_page(page, short, WRITTEN_BY)
    page.write_text("# Words\n\n" + page.read_text() + "\nMore words.\n")
    write_page(page, "fresh", WRITTEN_BY)
    text = page.read_text()
    assert text.startswith("# Words")
    assert text.endswith("More words.\n")
    assert "ROC-AUC" not in text
    assert "fresh" in text[text.index(begin_mark(WRITTEN_BY)) : text.index(END)]
    page.write_text("no marks")
    with pytest.raises(SettingsError, match="no place"):
        write_page(page, "x", WRITTEN_BY)
    assert "NaN" not in numbers_json(found)


def test_melted_crystals_stand_as_failures_beside_those_that_leave_them_out():
    rows = population(60)
    best = max(rows, key=lambda one: one.fv_disconnected_2eV)
    melted = best.model_copy(update={"labels": [label(9.0, "melted")]})
    rows = [melted if one is best else one for one in rows]
    found = evaluate(rows, settings=EvaluationSettings(n_resamples=10))
    left_out, failures, bounds, failures_by_bounds = columns_of(found)
    assert failures.title == "dynamics, melted as failures, above 0.01 A^2/ps"
    assert failures.table.n == left_out.table.n + 1
    assert failures.table.n_positive == left_out.table.n_positive
    aucs = [
        next(line for line in column.table.lines if line.scorer == "free_volume").measures.roc_auc
        for column in (left_out, failures)
    ]
    assert aucs[1].value < aucs[0].value
    headline = headline_markdown(found)
    # The headline is where upper bounds support the answers.
    assert "0.01" not in headline.splitlines()[0]
    assert headline.count("above 1 A^2/ps") == 2
    assert (bounds.table.n_open, failures_by_bounds.table.n) == (0, bounds.table.n + 1)
    rows_of_csv = list(csv.DictReader(StringIO(evaluation_csv(found))))
    assert len(rows_of_csv) == sum(len(table.lines) for table in found.tables)
    one = next(
        row
        for row in rows_of_csv
        if (row["task"], row["threshold"], row["score"])
        == (failures.table.task, "0.01", "free_volume")
    )
    assert float(one["roc_auc"]) == pytest.approx(aucs[1].value, abs=1e-3)


def test_rows_of_an_older_version_are_noted():
    rows = [row("a", schema_version="1.0", fv_disconnected_2eV=None), row("b")]
    notes = evaluate(rows, settings=EvaluationSettings(n_resamples=10)).notes
    assert any(note.startswith("1 rows are of an older version") for note in notes)


def test_the_same_numbers_come_out_twice_and_in_any_order():
    rows = population(45)
    settings = EvaluationSettings(n_resamples=20)
    first = numbers_json(evaluate(rows, settings=settings))
    assert numbers_json(evaluate(rows[::-1], settings=settings)) == first


def test_reference_tables_are_read_and_wrong_ones_named(tmp_path):
    obelix = tmp_path / "obelix.csv"
    obelix.write_text(
        "id,obelix_id,sigma_RT_S_cm,censored_upper_bound,ordered_cif\n"
        "o-1,1,1e-5,False,True\no-2,2,1e-9,True,False\n,3,1e-3,False,True\n"
    )
    assert read_obelix(obelix) == [
        Measurement("o-1", "1", "ordered", 1e-5, False),
        Measurement("o-2", "2", "approximant", 1e-9, True),
    ]
    matches = tmp_path / "matches.csv"
    matches.write_text(
        "mp_id,obelix_id,sigma_RT_S_cm,censored,sg_match\nmp-1,1,1e-5,False,True\n"
        "mp-2,2,1e-5,False,False\n"
    )
    assert [one.material_id for one in read_matches(matches)] == ["mp-1"]
    barriers = tmp_path / "barriers.csv"
    barriers.write_text("id,E_1D_eV,E_2D_eV,E_3D_eV\na,0.5,1.5,inf\n")
    assert read_bond_valence(barriers) == {"a": {1: 0.5, 2: 1.5, 3: 10.0}}
    others = tmp_path / "others.csv"
    others.write_text("id,E_1D_eV,E_2D_eV,E_3D_eV,source\na,1,1,1,x\nb,2,3,inf,x\n")
    both = {"a": {1: 1.0, 2: 1.0, 3: 1.0}, "b": {1: 2.0, 2: 3.0, 3: 10.0}}
    assert read_bond_valence(barriers, others) == both
    with pytest.raises(SettingsError, match="no column"):
        read_obelix(barriers)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_matches(tmp_path / "nothing")


def test_held_out_predictions_go_before_those_of_rows(tmp_path):
    fold, table = tmp_path / "result.json", tmp_path / "more.csv"
    fold.write_text('{"material_ids": ["a", "b"], "predictions": [[1.0, 2.0], [0.5]]}')
    table.write_text("material_id,log10_msd_slope\nb,1.5\nc,-2\n")
    study = tmp_path / "study.json"
    parity = {"random": {"material_id": ["c"], "predicted": [9.0]}}
    parity["chemical_system"] = {"material_id": ["c"], "predicted": [0.5]}
    study.write_text(json.dumps({"parity": parity}))
    assert read_held_out([study]) == {"c": 0.5}
    found = read_held_out([fold, table])
    assert found == {"a": 1.5, "b": 1.0, "c": -2.0}
    trained = {"predicted_log10_msd_slope": 9.0, "prediction_in_training": True}
    rows = with_held_out([row("a", **trained), row("d", **trained)], found)
    by_name = {one.name: one.scores for one in scorers_of(group_of(rows), {})}
    assert by_name["network"] == {"a": 1.5}
    fold.write_text("[]")
    with pytest.raises(SettingsError, match="no result of a fold"):
        read_held_out([fold])


def test_the_headline_has_intervals_by_family_of_anions_too():
    found = evaluate(population(60), settings=EvaluationSettings(n_resamples=200))
    table = next(one for one in found.tables if one.lines and "bounds" in one.task)
    line = next(one for one in table.lines if one.scorer == "free_volume")
    by_family = line.roc_auc_by_family
    assert by_family.value == line.measures.roc_auc.value
    rows = {row.material_id: row for row in population(60)}
    scores = {one.name: one.scores for one in scorers_of(group_of(list(rows.values())), {})}
    truths = {
        name: truth.exceeds(math.log10(table.threshold))
        for name, truth in labels_of_rows(rows.values(), by_bounds=True).items()
    }
    names = [name for name in sorted(truths) if truths[name] is not None]
    families = [anion_family(rows[name].elements) for name in names]
    assert set(families) == {"oxides", "sulphides"}
    expected = bootstrap_interval(
        roc_auc,
        [[truths[n] for n in names], [scores["free_volume"][n] for n in names]],
        200,
        groups=families,
    )
    assert (by_family.low, by_family.high) == pytest.approx((expected.low, expected.high))
    text = evaluation_markdown(found)
    place = text.index("families of anions")
    assert f"{by_family.value:.2f} [{by_family.low:.2f}, {by_family.high:.2f}]" in text[place:]
    cells = list(csv.DictReader(StringIO(evaluation_csv(found))))
    assert f"{by_family.low:.3f}" in {one["roc_auc_by_family_low"] for one in cells}


def test_dynamics_of_another_potential_judge_alone():
    rows = population(60)
    published = read_data_sets([ROOT / "datasets/labels_1000K.jsonl"])
    fast = next(
        one for one in published if one.verdict == "diffusing" and one.msd_slope_A2_per_ps > 1
    )
    still = next(one for one in published if one.verdict == "not_diffusing")
    judged = [  # the other way round than the rows' own labels
        (still if i % 3 == 0 else fast).model_copy(
            update={"material_id": one.material_id, "potential": "other:1"}
        )
        for i, one in enumerate(rows)
    ]
    settings = EvaluationSettings(n_resamples=10)

    def auc(**options):
        table = evaluate(rows, labels=judged, settings=settings, **options).tables[0]
        return {line.scorer: line.measures.roc_auc for line in table.lines}

    own, other = auc(), auc(labels_of="other:1")
    assert other["free_volume"].value == pytest.approx(1 - own["free_volume"].value, abs=1e-9)
    # It was fitted on the labels of the rows' potential, and not on those that judge.
    assert other["calibrated"].value < 0.5 < own["calibrated"].value
    with pytest.raises(SettingsError, match="no label of third:1"):
        evaluate(rows, labels=judged, settings=settings, labels_of="third:1")
    page = evaluation_markdown(
        evaluate(rows, labels=judged, settings=settings, labels_of="other:1")
    )
    assert "with a label by dynamics with other:1" in page
