"""The building blocks of compiled layers against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from superionic.potentials.chgnet.compiled import (
    WIDTH,
    exp_minus,
    linear,
    multiply_add,
    sin_turns,
    sum_of_squares,
)


@njit
def exp_minus_of(x):
    return np.array([exp_minus(v) for v in x])


@njit
def sin_turns_of(x):
    return np.array([sin_turns(v) for v in x])


@njit
def squares(row, start):
    return sum_of_squares(row, start)


@given(
    n=st.integers(0, 11),
    x_row=st.integers(0, 3),
    x_column=st.sampled_from([0, 5, 64]),
    row=st.integers(0, 3),
    column=st.sampled_from([0, 64]),
    depth=st.sampled_from([4, 32, 64]),
    seed=st.integers(0, 2**16),
)
def test_products(n, x_row, x_column, row, column, depth, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((14, 128)).astype(np.float32)
    w = rng.standard_normal((depth, WIDTH)).astype(np.float32)
    bias = rng.standard_normal((1, 128)).astype(np.float32)
    out = rng.standard_normal((14, 128)).astype(np.float32)
    product = x[x_row : x_row + n, x_column : x_column + depth].astype(float) @ w
    region = slice(row, row + n), slice(column, column + WIDTH)

    expected = out.astype(float)
    expected[region] += product
    added = out.copy()
    multiply_add(x, x_row, x_column, w, added, row, column, n)
    assert added == pytest.approx(expected, abs=2e-5)

    expected[region] = product + bias[0, column : column + WIDTH]
    set_ = out.copy()
    linear(x, x_row, x_column, w, bias, set_, row, column, n)
    assert set_ == pytest.approx(expected, abs=2e-5)


def test_products_refuse_strided_arrays():
    x = np.zeros((4, 128), np.float32)
    with pytest.raises(Exception, match=r"No implementation|Invalid use"):
        multiply_add(x[:, ::2], 0, 0, np.zeros((64, 64), np.float32), x, 0, 0, 4)


def test_exponential():
    x = np.linspace(-41, 41, 100_001).astype(np.float32)
    assert exp_minus_of(x) == pytest.approx(np.exp(-x.astype(float)), rel=4e-6)


def test_exponential_is_clipped():
    far = exp_minus_of(np.array([1e30, 41, -41, -1e30, np.inf, -np.inf], np.float32))
    assert np.isfinite(far).all()
    assert far[0] == far[1] == far[4]
    assert far[2] == far[3] == far[5]


def test_sine():
    turns = np.concatenate([np.linspace(-20, 20, 100_001), np.arange(-40, 41) / 4])
    assert sin_turns_of(turns) == pytest.approx(np.sin(2 * np.pi * turns), abs=1e-6)


def test_sum_of_squares():
    row = np.random.default_rng(0).standard_normal(128).astype(np.float32)
    assert squares(row, 64) == pytest.approx((row[64:].astype(float) ** 2).sum(), rel=1e-6)
