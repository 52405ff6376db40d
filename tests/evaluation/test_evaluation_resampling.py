"""Many resamples at once give what one after the other gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superionic import statistics
from superionic.evaluation import resampling

rows = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-5, 5),
        st.sampled_from([-1.0, 2.0]) | st.floats(-5, 5),
        st.sampled_from("abcde"),
    ),
    min_size=1,
    max_size=25,
)

MEASURES = {
    "roc_auc": (statistics.roc_auc, resampling.roc_auc, "truth"),
    "average_precision": (statistics.average_precision, resampling.average_precision, "truth"),
    "first ten": (
        lambda t, s: statistics.precision_at(t, s, 10),
        lambda t, s, c: resampling.precision_at(t, s, c, 10),
        "truth",
    ),
    "first tenth": (
        lambda t, s: statistics.precision_at(t, s, 0.1),
        lambda t, s, c: resampling.precision_at(t, s, c, 0.1),
        "truth",
    ),
    "spearman": (statistics.spearman, resampling.spearman, "values"),
}


@pytest.mark.parametrize("name", MEASURES)
@settings(max_examples=25)
@given(data=rows)
def test_each_resample_is_measured_as_its_repeated_rows(name, data):
    one, many, against = MEASURES[name]
    truth, score, values, groups = (np.array(column) for column in zip(*data, strict=True))
    first = truth if against == "truth" else values
    counts = resampling.draw_counts(list(groups), 12, seed=3)
    drawn = [np.repeat(np.arange(len(data)), row.astype(int)) for row in counts]
    expected = [one(first[r], score[r]) for r in drawn]
    np.testing.assert_allclose(many(first, score, counts), expected, atol=1e-9)


def test_draws_and_intervals_are_those_of_the_bootstrap():
    rng = np.random.default_rng(0)
    groups = rng.choice(list("abcdefgh"), 40)
    truth, score = rng.random(40) < 0.4, rng.normal(size=40)
    expected = statistics.bootstrap_interval(
        statistics.roc_auc, [truth, score], 200, seed=5, groups=groups
    )
    counts = resampling.draw_counts(list(groups), 200, seed=5)
    found = resampling.interval(
        statistics.roc_auc(truth, score), resampling.roc_auc(truth, score, counts)
    )
    assert found.n_resamples == expected.n_resamples
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_nothing_to_draw_gives_no_interval():
    counts = resampling.draw_counts([], 10, seed=0)
    found = resampling.interval(float("nan"), resampling.spearman([], [], counts))
    assert found.n_resamples == 0
    assert np.isnan(found.low)
