"""The calibrated probability: its fit, and that it has not seen what it predicts."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_rows import population, row

from superionic.errors import SettingsError
from superionic.evaluation.evaluate import conductors_of
from superionic.evaluation.fitting import (
    FitSettings,
    feature_matrix,
    fit_calibration,
    fit_logistic,
    fold_of_each,
    held_out_probabilities,
    held_out_scores,
)
from superionic.evaluation.truth import labels_of_rows
from superionic.statistics import roc_auc
from superionic.store.ranking.calibration import Calibration
from superionic.store.ranking.policies import CalibratedPolicy


def test_the_fit_of_two_groups_gives_their_odds():
    x = np.repeat([[0.0], [1.0]], [40, 20], axis=0)
    y = np.array([True] * 10 + [False] * 30 + [True] * 15 + [False] * 5)
    weights, intercept = fit_logistic(x, y, 1e-9)
    assert intercept == pytest.approx(np.log(10 / 30), abs=1e-6)
    assert weights[0] == pytest.approx(np.log(15 / 5) - np.log(10 / 30), abs=1e-6)


def test_the_fit_is_at_the_minimum_of_the_penalised_loss():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 3))
    y = x[:, 0] + rng.normal(size=50) > 0

    def loss(w):
        odds = x @ w[1:] + w[0]
        return np.sum(np.log1p(np.exp(odds)) - y * odds) + 0.5 * 2.0 * np.sum(w[1:] ** 2)

    weights, intercept = fit_logistic(x, y, 2.0)
    best = np.array([intercept, *weights])
    for _ in range(50):
        assert loss(best + 1e-3 * rng.normal(size=4)) > loss(best)


def test_separable_classes_have_a_finite_solution_and_one_class_has_none():
    x = np.linspace(-1, 1, 20)[:, None]
    weights, _ = fit_logistic(x, x[:, 0] > 0, 1.0)
    assert 0 < weights[0] < 100
    with pytest.raises(ValueError, match="both classes"):
        fit_logistic(x, np.ones(20, dtype=bool), 1.0)


def test_folds_keep_groups_together_and_are_even():
    groups = [f"s{i}" for i in range(23)]
    folds = fold_of_each(groups * 3, 10, seed=1)
    assert sorted(folds) == sorted(groups)
    counts = np.bincount(list(folds.values()))
    assert counts.max() - counts.min() == 1
    assert fold_of_each(reversed(groups), 10, seed=1) == folds
    assert fold_of_each(groups, 10, seed=2) != folds


SETTINGS = FitSettings(n_folds=5)


def held_out(x, y, groups):
    return held_out_probabilities(x, y, groups, x, groups, SETTINGS)


def test_nothing_of_a_fold_reaches_the_model_that_predicts_it():
    rng = np.random.default_rng(0)
    groups = [f"s{i % 12}" for i in range(60)]
    x = rng.normal(size=(60, 2))
    y = rng.random(60) < 0.4
    before = held_out(x, y, groups)
    folds = fold_of_each(groups, SETTINGS.n_folds, SETTINGS.seed)
    fold = np.array([folds[group] for group in groups])
    for one in range(SETTINGS.n_folds):
        inside = fold == one
        after = held_out(x, np.where(inside, ~y, y), groups)
        np.testing.assert_array_equal(after[inside], before[inside])
        assert not np.allclose(after[~inside], before[~inside])
        # Features of one row of the fold would move means and scales, if they were taken over all.
        wild = x.copy()
        first = np.flatnonzero(inside)[0]
        wild[first] = 1e3
        others = inside & (np.arange(60) != first)
        np.testing.assert_array_equal(held_out(wild, y, groups)[others], before[others])


def test_a_feature_that_names_the_chemical_system_does_not_help():
    """Rows of a system share feature and class: only a split by rows would seem to predict."""
    rng = np.random.default_rng(1)
    systems = [f"s{i}" for i in range(30)]
    codes, classes = rng.normal(size=(30, 12)), rng.permutation(30) < 15
    members = np.repeat(np.arange(30), 6)
    x, y = codes[members], classes[members]
    by_system = roc_auc(y, held_out(x, y, [systems[i] for i in members]))
    by_row = roc_auc(y, held_out(x, y, [f"row {i}" for i in range(len(members))]))
    assert by_row > 0.8
    assert by_system < 0.65


def rows_that_name_their_system(*, own_system: bool = False, n_systems: int = 24, seed: int = 1):
    """Return six rows of each system, alike in every feature and class, and their classes.

    With ``own_system`` the same rows, each called a system of its own.
    """
    rng = np.random.default_rng(seed)
    codes, classes = rng.normal(size=(n_systems, 5)), rng.permutation(n_systems) < n_systems // 2
    rows, conductors = [], {}
    for system, (volume, per_ion, connected, published, barrier) in enumerate(codes):
        for copy in range(6):
            one = row(
                f"{system:02d}-{copy}",
                system=f"Li-X{system:02d}" + f"-Y{copy}" * own_system,
                fv_disconnected_2eV=float(10**volume),
                free_volume_2eV_A3_per_ion=float(10**per_ion),
                fv_connected=float(10**connected),
                mpe_eV=float(5 + published),
                barrier_3d_eV=float(5 + barrier),
            )
            rows.append(one)
            conductors[one.material_id] = bool(classes[system])
    return rows, conductors


def auc_of_scores(rows, conductors):
    scores = held_out_scores(rows, conductors)
    assert set(scores) == set(conductors)
    return roc_auc([conductors[name] for name in scores], list(scores.values()))


def test_scores_are_held_out_by_chemical_system_and_not_by_material():
    assert auc_of_scores(*rows_that_name_their_system()) < 0.65
    assert auc_of_scores(*rows_that_name_their_system(own_system=True)) > 0.8


def test_labels_of_a_chemical_system_do_not_reach_its_own_scores():
    rows, conductors = rows_that_name_their_system()
    before = held_out_scores(rows, conductors)
    for system in ("Li-X00", "Li-X07"):
        own = {one.material_id for one in rows if one.chemical_system == system}
        flipped = {name: value != (name in own) for name, value in conductors.items()}
        after = held_out_scores(rows, flipped)
        assert {name for name in own if after[name] == before[name]} == own
        assert sum(after[name] != before[name] for name in before) > len(before) / 2


def truth(rows):
    return conductors_of(labels_of_rows(rows), 1e-2)


def test_held_out_scores_find_what_carries_information():
    rows = population(90)
    conductors = truth(rows)
    scores = held_out_scores(rows, conductors)
    assert set(scores) == set(conductors)
    names = sorted(scores)
    auc = roc_auc([conductors[n] for n in names], [scores[n] for n in names])
    assert 0.85 < auc < 1.0
    shuffled = dict(
        zip(names, np.random.default_rng(0).permutation(list(conductors.values())), strict=True)
    )
    noise = held_out_scores(rows, {name: bool(value) for name, value in shuffled.items()})
    found = roc_auc([shuffled[n] for n in names], [noise[n] for n in names])
    assert 0.25 < found < 0.7


def test_a_calibration_says_what_it_was_made_from_and_ranks():
    rows = population(90)
    unlabelled = row("new", system="F-Li", free_volume_2eV_A3_per_ion=80.0)
    calibration = fit_calibration(
        [*rows, unlabelled], truth(rows), threshold_A2_per_ps=1e-2, labels="test"
    )
    (model,) = calibration.models  # no row has a prediction
    assert (model.n_rows, model.n_positive) == (90, 30)
    assert len(model.training_sha256) == 64
    value, low, high = model.cross_validation["roc_auc"]
    assert low < value < high
    assert model.cross_validation["brier"] < model.cross_validation["brier_of_the_mean"]
    again = Calibration.from_json(calibration.to_json())
    policy = CalibratedPolicy(load=lambda: again)
    places = policy.places([row("small", free_volume_2eV_A3_per_ion=2.0), unlabelled])
    assert [place.row.material_id for place in places] == ["new", "small"]
    assert 0 < places[1].score < 0.3 < 0.7 < places[0].score < 1
    other = fit_calibration(rows[1:], truth(rows), threshold_A2_per_ps=1e-2, labels="test")
    assert other.models[0].training_sha256 != model.training_sha256


def test_a_model_with_the_network_needs_enough_predictions():
    rows = population(90)
    rng = np.random.default_rng(0)
    with_network = [
        one.model_copy(update={"predicted_log10_msd_slope": float(rng.normal())})
        for one in rows[:60]
    ]
    calibration = fit_calibration(
        [*with_network, *rows[60:]], truth(rows), threshold_A2_per_ps=1e-2, labels="test"
    )
    assert [model.n_rows for model in calibration.models] == [60, 90]
    assert "predicted_log10_msd_slope" in calibration.models[0].features
    few = [*with_network[:20], *rows[20:]]
    alone = fit_calibration(few, truth(rows), threshold_A2_per_ps=1e-2, labels="test")
    assert [model.n_rows for model in alone.models] == [90]


def test_too_few_labels_are_refused_with_numbers():
    rows = population(30)
    with pytest.raises(SettingsError, match="30 labelled rows, 10 of them") as error:
        fit_calibration(rows, truth(rows), threshold_A2_per_ps=1e-2, labels="test")
    assert "superionic label" in error.value.hint
    assert held_out_scores(rows, truth(rows)) == {}
    enough = replace(FitSettings(), min_rows=30)
    assert fit_calibration(
        rows, truth(rows), threshold_A2_per_ps=1e-2, labels="test", settings=enough
    )


def test_rows_without_a_feature_are_left_out_of_a_matrix():
    rows = [row("a", fv_disconnected_2eV=0.1), row("b", fv_disconnected_2eV=None)]
    complete, values = feature_matrix(rows, ["log10_fv_disconnected_2eV", "mpe_eV"])
    assert [one.material_id for one in complete] == ["a"]
    np.testing.assert_allclose(values, [[-1.0, 0.5]])
    never = row("c", mpe_eV=None)
    assert feature_matrix([never], ["mpe_eV"])[1].tolist() == [[10.0]]
