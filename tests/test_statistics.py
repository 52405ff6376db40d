"""Measures against scikit-learn's definitions, by hand, and by what they must not depend on."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superionic.statistics import (
    average_precision,
    bootstrap_interval,
    mean_absolute_error,
    precision_at,
    r_squared,
    roc_auc,
    spearman,
)

cases = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.integers(-3, 3), min_size=n, max_size=n),
    )
)


@given(cases)
def test_roc_auc_counts_pairs(case):
    positive, score = case
    yes = [s for p, s in zip(positive, score, strict=True) if p]
    no = [s for p, s in zip(positive, score, strict=True) if not p]
    if not yes or not no:
        assert np.isnan(roc_auc(positive, score))
        return
    wins = [1.0 if y > n else 0.5 if y == n else 0.0 for y in yes for n in no]
    assert roc_auc(positive, score) == pytest.approx(np.mean(wins))


@given(cases)
def test_average_precision_as_in_scikit_learn(case):
    metrics = pytest.importorskip("sklearn.metrics")
    positive, score = case
    if any(positive):
        expected = metrics.average_precision_score(positive, score)
        assert average_precision(positive, score) == pytest.approx(expected)
    else:
        assert np.isnan(average_precision(positive, score))


@given(cases, st.integers(1, 6))
def test_precision_at_is_the_mean_over_orders_of_ties(case, k):
    positive, score = (np.array(part) for part in case)
    if len(positive) > 6:
        positive, score = positive[:6], score[:6]
    found = []
    for order in itertools.permutations(range(len(positive))):
        ranked = sorted(order, key=lambda i: -score[i])  # stable: ties in the order drawn
        found.append(np.mean(positive[ranked[:k]]))
    assert precision_at(positive, score, k) == pytest.approx(np.mean(found))


def test_precision_at_a_fraction():
    positive = [True, True, False, False, False, False, False, False, False, True]
    score = np.arange(10)[::-1]
    assert precision_at(positive, score, 0.1) == 1.0
    assert precision_at(positive, score, 0.3) == pytest.approx(2 / 3)
    assert precision_at(positive, score, 1.0) == pytest.approx(0.3)
    assert precision_at(positive, score, 50) == pytest.approx(0.3)
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match="fraction"):
            precision_at(positive, score, wrong)


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=20))
def test_spearman_as_in_scipy_and_blind_to_scale(pairs):
    from scipy import stats

    a, b = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(spearman(a, b))
        return
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert spearman(np.exp(a), b) == pytest.approx(spearman(a, b))


def test_r_squared_of_perfect_mean_and_worse():
    truth = np.array([1.0, 2.0, 4.0])
    assert r_squared(truth, truth) == 1.0
    assert r_squared(truth, np.full(3, truth.mean())) == pytest.approx(0.0)
    assert r_squared(truth, -truth) < 0
    assert np.isnan(r_squared([1.0, 1.0], [1.0, 2.0]))
    assert np.isnan(r_squared([], []))


def test_mean_absolute_error():
    assert mean_absolute_error([1.0, 2.0], [2.0, 4.0]) == 1.5


@pytest.mark.parametrize("measure", [roc_auc, average_precision, spearman, r_squared])
def test_nan_and_unequal_lengths_are_refused(measure):
    with pytest.raises(ValueError, match="NaN"):
        measure([0.0, 1.0], [np.nan, 1.0])
    with pytest.raises(ValueError, match="shape"):
        measure([0.0, 1.0], [1.0])


def test_truth_that_is_not_yes_or_no_is_refused():
    with pytest.raises(ValueError, match="boolean"):
        roc_auc([0.2, 1.0], [0.0, 1.0])


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        sample = rng.normal(size=40)
        found = bootstrap_interval(np.mean, [sample], 200, seed=trial)
        covered += found.low <= 0.0 <= found.high
    assert 0.88 <= covered / 200 <= 0.98


def test_groups_widen_the_interval_of_repeated_rows():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=20), 10)
    groups = np.repeat([f"system {i}" for i in range(20)], 10)
    alone = bootstrap_interval(np.mean, [values], 500, seed=1)
    grouped = bootstrap_interval(np.mean, [values], 500, seed=1, groups=groups)
    assert grouped.value == alone.value
    assert (grouped.high - grouped.low) > 2 * (alone.high - alone.low)


def test_bootstrap_is_seeded_and_says_how_many_resamples_count():
    positive, score = np.array([True, False, False]), np.array([2.0, 1.0, 0.0])
    found = bootstrap_interval(roc_auc, [positive, score], 300, seed=5)
    assert found == bootstrap_interval(roc_auc, [positive, score], 300, seed=5)
    assert 0 < found.n_resamples < 300  # some draw one class only
    nothing = bootstrap_interval(roc_auc, [[True, True], [0.0, 1.0]], 10, seed=0)
    assert nothing.n_resamples == 0
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
