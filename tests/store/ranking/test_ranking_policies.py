"""Ranking policies: order, ties, what is missing, and explanations."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from screening_rows import row
from superionic.errors import SettingsError
from superionic.schemas.indexes import POLICY_NAMES, SCREENING_INDEXES
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.calibration import (
    Calibration,
    LogisticModel,
    load_calibration,
)
from superionic.store.ranking.explain import explain_row, explain_standing
from superionic.store.ranking.policies import (
    CalibratedPolicy,
    Policy,
    get_policy,
    percentiles,
    policies,
    ranked,
)


def order(policy: str | Policy, rows) -> list[str]:
    chosen = get_policy(policy) if isinstance(policy, str) else policy
    return [place.row.material_id for place in chosen.places(rows)]


def test_names_policies_and_indexes_agree():
    assert tuple(policies()) == POLICY_NAMES
    assert all(policy.name == name for name, policy in policies().items())
    for name in POLICY_NAMES:
        field = "rank" if name == "xi" else f"ranks.{name}"
        assert (field, "key") in SCREENING_INDEXES
    with pytest.raises(SettingsError, match="beauty") as error:
        get_policy("beauty")
    assert "consensus" in error.value.hint


def test_xi_is_the_published_order():
    rows = [
        row("c", xi=0.5, mpe_eV=None),
        row("b", xi=0.5, mpe_eV=0.3),
        row("a", xi=0.5, mpe_eV=0.3),
        row("top", xi=0.9, mpe_eV=9.0),
        row("none"),
    ]
    assert order("xi", rows) == ["top", "a", "b", "c", "none"]


def test_barrier_puts_the_lowest_first_and_the_infinite_before_the_unknown():
    rows = [
        row("unknown"),
        row("never", xi=0.1, mpe_eV=None),
        row("tie-3d", xi=0.1, mpe_eV=0.4, barrier_3d_eV=0.5),
        row("tie-flat", xi=0.1, mpe_eV=0.4, barrier_3d_eV=None),
        row("low", xi=0.0, mpe_eV=0.1),
    ]
    assert order("barrier", rows) == ["low", "tie-3d", "tie-flat", "never", "unknown"]
    places = get_policy("barrier").places(rows)
    assert [place.rank for place in places] == [1, 2, 3, 4, 5]
    assert places[-1].reason == "no landscape"
    assert [place.reason for place in places[:-1]] == [None] * 4
    scores = {one.material_id: one.scores for one in ranked(rows)}
    assert "barrier" not in scores["never"]  # infinity is no JSON


def test_network_orders_ties_by_the_lower_end():
    rows = [
        row("wide", predicted_log10_msd_slope=1.0, predicted_log10_msd_slope_low=-2.0),
        row("narrow", predicted_log10_msd_slope=1.0, predicted_log10_msd_slope_low=0.5),
        row("slow", predicted_log10_msd_slope=-3.0, predicted_log10_msd_slope_low=-3.5),
        row("landscape", xi=1.0),
    ]
    assert order("network", rows) == ["narrow", "wide", "slow", "landscape"]


def volumes(material_id, of_cell, per_ion, **fields):
    both = {"fv_disconnected_2eV": of_cell, "free_volume_2eV_A3_per_ion": per_ion}
    return row(material_id, **({"xi": 0.5} | both | fields))


def test_free_volume_is_the_sum_of_two_ranks():
    # Ranks (1 is the smallest): cell 1 2 3 4, ion 4 3 1 2; sums 5, 5, 4, 6.
    rows = [
        volumes("a", 0.1, 40.0),
        volumes("b", 0.2, 30.0),
        volumes("c", 0.3, 1.0),
        volumes("d", 0.4, 20.0),
        row("other threshold", xi=0.9),
    ]
    assert order("free_volume", rows) == ["d", "a", "b", "c", "other threshold"]
    places = {p.row.material_id: p for p in get_policy("free_volume").places(rows)}
    assert places["d"].score == pytest.approx(((4 - 0.5) / 4 + (2 - 0.5) / 4) / 2)
    assert places["a"].score == places["b"].score
    assert "2 eV" in places["other threshold"].reason


def test_consensus_averages_percentiles_and_takes_the_network_where_it_is():
    rows = [
        volumes("good", 0.4, 40.0, xi=0.9, mpe_eV=0.1),
        volumes("bad", 0.1, 10.0, xi=0.1, mpe_eV=2.0),
        volumes("middle", 0.2, 20.0, xi=0.5, mpe_eV=0.5),
    ]
    assert order("consensus", rows) == ["good", "middle", "bad"]
    scores = get_policy("consensus").scores(rows)
    assert scores == pytest.approx([5 / 6, 1 / 6, 1 / 2])
    fast = {"predicted_log10_msd_slope": 1.0}
    slow = {"predicted_log10_msd_slope": -1.0}
    rows = [rows[0].model_copy(update=slow), rows[1].model_copy(update=fast), rows[2]]
    # Two predictions: percentiles 1/4 and 3/4, a fourth member for these two rows alone.
    assert get_policy("consensus").scores(rows) == pytest.approx(
        [(3 * 5 / 6 + 1 / 4) / 4, (3 * 1 / 6 + 3 / 4) / 4, 1 / 2]
    )


def calibration(**fields) -> Calibration:
    def model(features, weights):
        n = len(features)
        return LogisticModel(features, [0.5] * n, [0.1] * n, weights, 0.0, 50, 20, "s", {})

    with_network = model(["xi", "predicted_log10_msd_slope"], [0.0, 1.0])
    values = {
        "mobile_species": "Li",
        "potential": "chgnet:0.3.0",
        "conductor": "slope above 0.01",
        "temperature_K": 1000.0,
        "threshold_A2_per_ps": 0.01,
        "models": [with_network, model(["xi"], [1.0])],
        "labels": "labels",
        "fitted_with": "1",
    }
    return Calibration(**(values | fields))


def test_calibrated_says_that_there_is_no_calibration():
    (place,) = CalibratedPolicy(load=lambda: None).places([row("a", xi=0.5)])
    assert place.score is None
    assert "--fit-calibrated" in place.reason


def test_calibrated_takes_the_model_that_the_row_has_the_features_for():
    policy = CalibratedPolicy(load=calibration)
    rows = [
        row("landscape", xi=0.7),  # odds (0.7 - 0.5) / 0.1 = 2
        row("both", xi=0.0, predicted_log10_msd_slope=0.8),  # odds 3
        row("network", predicted_log10_msd_slope=9.0),
        row("sodium", xi=0.7, mobile_species="Na"),
    ]
    places = {place.row.material_id: place for place in policy.places(rows)}
    assert [place.row.material_id for place in policy.places(rows)][:2] == ["both", "landscape"]
    assert places["landscape"].score == pytest.approx(0.8807970779778823)
    assert places["both"].score == pytest.approx(0.9525741268224334)
    assert places["network"].reason == "no xi"
    assert "Li and chgnet:0.3.0 only" in places["sodium"].reason


def test_calibrations_survive_json_and_damaged_ones_are_refused():
    assert Calibration.from_json(calibration().to_json()) == calibration()
    text = calibration().to_json()
    damaged = ["{}", "[1]", text.replace('"xi"', '"beauty"'), text.replace('"format": 1', "")]
    shorter = text.replace('"means": [\n        0.5\n      ]', '"means": []')
    assert shorter != text
    for bad in [*damaged, shorter]:
        with pytest.raises(SettingsError, match="no calibration"):
            Calibration.from_json(bad)


def test_the_calibration_of_the_package_is_one_that_was_fitted():
    found = load_calibration()
    assert found is not None
    for model in found.models:
        assert model.n_rows >= 40
        assert min(model.n_positive, model.n_rows - model.n_positive) >= 10
        assert model.cross_validation["roc_auc"][0] > 0.5


numbers = st.none() | st.floats(0, 1) | st.sampled_from([0.0, 0.5])


@settings(max_examples=40)
@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=10), st.randoms())
def test_ranks_are_stable_whatever_the_order_of_the_rows(found, shuffle: random.Random):
    rows = [
        volumes(f"m{i}", cell, cell, xi=xi, mpe_eV=barrier, predicted_log10_msd_slope=slope)
        for i, (xi, barrier, slope, cell) in enumerate(found)
    ]
    again = list(rows)
    shuffle.shuffle(again)
    first = {one.key: (one.ranks, one.scores) for one in ranked(rows)}
    assert {one.key: (one.ranks, one.scores) for one in ranked(again)} == first
    for name, policy in policies().items():
        places = policy.places(rows)
        assert [place.rank for place in places] == list(range(1, len(rows) + 1))
        lacking = [place.reason is not None for place in places]
        assert lacking == sorted(lacking)
        scores = [place.score for place in places if place.score is not None]
        assert scores == sorted(scores, reverse=not policy.lower_is_better), name


def test_percentiles_count_ties_half():
    assert percentiles([1.0, 2.0, 2.0, 3.0]).tolist() == [1 / 8, 1 / 2, 1 / 2, 7 / 8]
    assert percentiles([]).size == 0


def test_an_explanation_names_neighbours_ties_and_what_is_missing():
    rows = ranked(
        [
            row("a", xi=0.9, mpe_eV=0.1),
            row("b", xi=0.5, mpe_eV=0.2),
            row("c", xi=0.5, mpe_eV=0.3),
            row("d"),
        ]
    )
    by_id = {one.material_id: one for one in rows}
    standing = explain_standing(get_policy("xi"), by_id["b"], 4, by_id["a"], by_id["c"])
    assert (standing.rank, standing.n_rows, standing.score) == (2, 4, 0.5)
    assert standing.percentile == pytest.approx(200 / 3)
    assert "c" in standing.tie
    assert "barrier" in standing.tie
    assert "same as a" not in standing.tie
    last = explain_standing(get_policy("xi"), by_id["d"], 4, by_id["c"], None)
    assert (last.rank, last.reason, last.percentile, last.tie) == (4, "no landscape", None, None)
    everything = explain_row(by_id["a"], 4, {})
    assert [one.policy for one in everything] == list(POLICY_NAMES)
    assert {one.policy for one in everything if one.reason} >= {"network", "free_volume"}


def some_rows() -> list[ScreeningDocument]:
    """Return rows with landscapes, every third without a prediction, and one that has nothing."""
    found = [
        row(
            f"m{i}",
            xi=0.1 * i,
            mpe_eV=None if i == 4 else 0.2 + 0.1 * ((7 * i) % 5),
            barrier_3d_eV=0.9,
            fv_connected=0.01 * i,
            fv_disconnected_2eV=0.02 * ((5 * i) % 9),
            free_volume_2eV_A3_per_ion=1.0 + (i % 3),
            predicted_log10_msd_slope=None if i % 3 == 0 else -2 + 0.5 * i,
        )
        for i in range(9)
    ]
    return [*found, row("nothing")]


def test_parts_of_a_score_add_up_to_it():
    rows = ranked(some_rows())
    n_members = set()
    for one in rows:
        for standing in explain_row(one, len(rows), {}):
            shares = [part.share for part in standing.parts]
            if standing.policy == "calibrated" and standing.reason is None:
                assert standing.parts[0].name == "intercept"
                odds = np.log(standing.score / (1 - standing.score))
                assert sum(shares) == pytest.approx(odds, abs=1e-4)
            elif standing.policy in ("free_volume", "consensus") and standing.reason is None:
                assert sum(shares) == pytest.approx(standing.score, abs=1e-5)
                assert all(0 < part.relative < 1 for part in standing.parts)
                n_members.add((standing.policy, len(shares)))
            else:
                assert standing.parts == ()
    assert n_members == {("free_volume", 2), ("consensus", 3), ("consensus", 4)}


def test_parts_name_what_is_summed_and_how():
    rows = ranked(some_rows())
    by_id = {one.material_id: one for one in rows}
    best = max(rows, key=lambda one: one.xi or 0.0)
    found = {one.policy: one.parts for one in explain_row(best, len(rows), {})}
    xi, barrier, free_volume, network = found["consensus"]
    assert (xi.name, xi.value, xi.relative, xi.weight) == (
        "xi",
        pytest.approx(best.xi),
        1 - 0.5 / 9,
        0.25,
    )
    assert (barrier.name, barrier.value) == ("barrier", pytest.approx(best.mpe_eV))
    assert network.value == pytest.approx(best.predicted_log10_msd_slope)
    assert free_volume.value == pytest.approx(best.scores["free_volume"], abs=1e-6)
    lowest = min(rows, key=lambda one: one.mpe_eV or 9.0)
    highest = {one.policy: one.parts for one in explain_row(lowest, 10, {})}["consensus"][1]
    assert highest.relative > 0.7  # a low barrier stands above the others
    never = {one.policy: one.parts for one in explain_row(by_id["m4"], 10, {})}
    assert never["consensus"][1].value is None
    assert never["consensus"][1].relative == 0.5 / 9
    # Percentiles are those of the ranking; the log odds need none.
    unranked = best.model_copy(update={"percentiles": {}})
    alone = {one.policy: one.parts for one in explain_row(unranked, len(rows), {})}
    assert alone["consensus"] == alone["free_volume"] == ()
    assert alone["calibrated"] == found["calibrated"] != ()


def test_equal_sums_of_ranks_are_ties():
    # 0.1 + 0.2 is not 0.3: percentiles that add up to the same must not differ by rounding.
    n = 30
    rows = [volumes(f"m{i:02d}", i + 1.0, n - i + 0.0) for i in range(n)]
    assert set(get_policy("free_volume").scores(rows)) == {0.5}
    assert order("free_volume", rows) == [f"m{i:02d}" for i in range(n)]
