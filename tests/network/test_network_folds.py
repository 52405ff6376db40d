"""Folds that keep their promises."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superionic.errors import NetworkError
from superionic.network.folds import hold_out, make_folds


@given(
    st.lists(st.sampled_from("abcdefghij"), min_size=5, max_size=60).filter(
        lambda names: len(set(names)) >= 3
    ),
    st.integers(2, 3),
    st.integers(0, 99),
)
def test_folds_hold_each_crystal_once_and_tear_no_group_apart(groups, n_folds, seed):
    for given_groups in (None, groups):
        folds = make_folds(len(groups), n_folds, seed, given_groups)
        assert sorted(np.concatenate(folds).tolist()) == list(range(len(groups)))
        assert all(len(fold) for fold in folds)
        if given_groups is None:
            assert max(map(len, folds)) - min(map(len, folds)) <= 1
        else:
            largest = max(Counter(groups).values())
            assert max(map(len, folds)) - min(map(len, folds)) <= largest
            homes = [{groups[i] for i in fold} for fold in folds]
            assert sum(map(len, homes)) == len(set(groups))
        train = np.concatenate(folds[1:])
        learned, held_out = hold_out(train, 0.2, seed, given_groups)
        assert sorted([*learned, *held_out]) == sorted(train)
        assert len(learned)
        if given_groups is not None:
            assert not {groups[i] for i in learned} & {groups[i] for i in held_out}


def test_folds_depend_on_their_seed_alone():
    first, again, other = (make_folds(40, 5, seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(first, other, strict=True))
    with pytest.raises(NetworkError, match=r"2 chemical systems .* 3 folds"):
        make_folds(4, 3, 0, ["a", "a", "b", "b"])


def test_folds_share_the_mean_of_the_labels():
    rng = np.random.default_rng(0)
    values = rng.choice([-4.0, 1.0], size=150)
    groups = [f"system {i}" for i in rng.integers(60, size=150)]
    spreads = {}
    for name, given_values in (("alike", values), ("as it comes", None)):
        found = [make_folds(150, 5, seed, groups, given_values) for seed in range(10)]
        spreads[name] = np.mean([np.ptp([values[f].mean() for f in folds]) for folds in found])
        sizes = [len(fold) for folds in found for fold in folds]
        assert max(sizes) - min(sizes) < 12
    assert spreads["alike"] < 0.4 * spreads["as it comes"]
