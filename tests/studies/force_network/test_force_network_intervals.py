"""Intervals of the network that follow the crystal."""

import numpy as np
import pytest

from studies.force_network.intervals import RESULT, fitted, interval_score, table


def test_a_miss_costs_forty_times_what_it_misses_by():
    errors, half = np.array([0.1, 1.5]), np.array([1.0, 1.0])
    assert interval_score(errors, half) == pytest.approx([2.0, 2.0 + 40 * 0.5])


def test_a_scale_finds_what_errors_grow_with_and_nothing_shrinks_them():
    rng = np.random.default_rng(0)
    helps, harms = rng.uniform(0.1, 1, size=(2, 400))
    errors = np.abs(rng.normal(size=400)) * helps * (1.5 - harms)
    weights, factor = fitted(np.column_stack([np.ones(400), helps, harms]), errors)
    assert weights[1] > 5 * weights[0]
    assert weights[2] == 0
    half = factor * (weights[0] + weights[1] * helps)
    assert np.mean(errors <= half) == pytest.approx(0.95, abs=0.01)


def test_the_page_has_the_table_of_the_published_data():
    assert RESULT.read_text() == table()
