"""One factor between barriers, where it is known."""

import json

import numpy as np
import pytest

from studies.hops.barriers import METHODS, RESULTS
from studies.hops.softening import factor, held_out_factors, softening_table


def test_a_factor_is_found_in_spite_of_outliers():
    rng = np.random.default_rng(0)
    found = rng.uniform(0.2, 1.0, 60)
    truth = 1.3 * found * rng.uniform(0.98, 1.02, 60)
    truth[:5] = 9.0
    found[5] = 0.0
    for weighted in (True, False):
        assert factor(found, truth, weighted=weighted) == pytest.approx(1.3, abs=0.02)
    # One band of 18 eV moves the first alone.
    found[6], truth[6] = 60.0, 6.0
    assert factor(found, truth, weighted=True) == pytest.approx(0.1)
    assert factor(found, truth, weighted=False) == pytest.approx(1.3, abs=0.02)


def test_least_absolute_deviations_are_least():
    rng = np.random.default_rng(1)
    found, truth = rng.uniform(0.2, 2.0, (2, 31))
    best = factor(found, truth, weighted=True)
    grid = np.linspace(0.1, 4.0, 4001)
    sums = np.abs(truth - grid[:, None] * found).sum(axis=1)
    assert np.abs(truth - best * found).sum() <= sums.min() + 1e-9


def test_a_hop_is_judged_by_other_systems():
    found = np.ones(6)
    truth = np.array([5.0, 5.0, 5.0, 5.0, 2.0, 2.0])
    systems = ["Li-O"] * 4 + ["Li-S"] * 2
    np.testing.assert_array_equal(
        held_out_factors(found, truth, systems, weighted=False), [2, 2, 2, 2, 5, 5]
    )


def test_the_table_says_what_a_perfect_factor_does():
    rows = [
        {"formula": f"Li{k}{'OSFN'[k % 4]}", "literature_eV": 0.21 + 0.1 * k, "x": 0.105 + 0.05 * k}
        for k in range(1, 13)
    ]
    lines = softening_table(rows, {"x": "half"}, n_resamples=20).splitlines()[2:]
    # One ion: its own factors alone, and what needs no calculation.
    assert [line.split(" | ")[1] for line in lines] == [
        "half",
        "half; Li, deviations in eV",
        "half; Li, median ratio",
        "median of the literature, Li",
    ]
    assert lines[0].startswith("| Li | half | 12 | - | 0.43 | - | 0.43 | 58% | 50% |")
    assert "2.00 (2.00 to 2.00) | 0.00 | +0.43" in lines[1]
    assert lines[1].endswith("| 0.00 | 100% | 100% |")


def test_the_table_is_that_of_the_published_numbers():
    lines = (RESULTS / "hop_barriers.jsonl").read_text().splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    file = RESULTS / "hop_barriers_softening.md"
    assert file.read_text() == softening_table(list(rows.values()), METHODS)
