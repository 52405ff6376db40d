"""Compiled pieces of CHGNet and of its gradient: what tiles of rows go through.

A gated layer acts on ordered pairs: of atoms (atom convolution) or of bonds with a common atom
(bond convolution, angle update). Each unordered pair takes two rows, one after the other, so
that what does not depend on the order is computed once. Rows are 128 wide, core then gate.

Kept for the gradient are, per row, the slope of the first activation, the input of the layer
norms, and the norms' scales. Gradients with respect to weights are not taken.
"""

import numpy as np
from numpy.typing import NDArray

from superionic.potentials.chgnet.compiled import WIDTH, Float, linear
from superionic.potentials.chgnet.layout import ALMOST_ONE, Int
from superionic.potentials.vectors import (
    LANES,
    exact_product,
    inner,
    load,
    nearest,
    sigmoid,
    sin_cos_turns,
    splat,
    store,
    total,
)

BASIS = 32
"""Radial functions or Fourier functions of a row, the last or another of them zero."""

ROW = 2 * WIDTH

Double = NDArray[np.float64]

_ONE = np.float32(1.0)
_EPSILON = np.float32(1e-5)
_MEAN = np.float32(1.0 / WIDTH)


@inner
def padded(n: int) -> int:
    """Return the number of rows that products work on; arrays have room for it."""
    return (n + 3) // 4 * 4


@inner
def project(x: Float, w: Float, bias: Float, out: Float, n: int) -> None:
    """Set 128 columns of n rows of ``out`` to the core and gate products of rows of ``x``."""
    linear(x, 0, 0, w[0], bias, out, 0, 0, padded(n))
    linear(x, 0, 0, w[1], bias, out, 0, WIDTH, padded(n))


@inner
def clear(x: Float, n: int) -> None:
    """Set the first n numbers to zero; n is a multiple of 16."""
    zero = splat(np.float32(0.0))
    for q in range(0, n, LANES):
        store(x, q, zero)


@inner
def copy(source: Float, start: int, target: Float, place: int, n: int) -> None:
    """Copy n numbers, a multiple of 16."""
    for q in range(0, n, LANES):
        store(target, place + q, load(source, start + q))


@inner
def add(source: Float, start: int, target: Float, place: int, n: int) -> None:
    """Add n numbers, a multiple of 16."""
    for q in range(0, n, LANES):
        store(target, place + q, load(target, place + q) + load(source, start + q))


@inner
def dot(x: Float, start: int, y: Float, place: int, n: int) -> float:
    """Return the scalar product of n numbers, a multiple of 16."""
    running = splat(np.float32(0.0))
    for q in range(0, n, LANES):
        running = running + load(x, start + q) * load(y, place + q)
    return np.float64(total(running))


@inner
def sum_rows(
    ends: Int, start: int, n: int, left: Float, right: Float, part: Float, split: bool, out: Float
) -> None:
    """Set rows of ``out`` to ``left[end] + right[other end] + part``.

    ``part`` holds the rows of this tile, one per pair or, when ``split``, two.
    """
    for p in range(n):
        for side in range(2):
            i, j = ends[start + p, side] * ROW, ends[start + p, 1 - side] * ROW
            k = (2 * p + side if split else p) * ROW
            r = (2 * (start + p) + side) * ROW
            for q in range(0, ROW, LANES):
                store(out, r + q, load(left, i + q) + load(right, j + q) + load(part, k + q))


@inner
def activate_rows(
    ends: Int,
    start: int,
    n: int,
    left: Float,
    right: Float,
    part: Float,
    split: bool,
    hidden: Float,
    slope: Float,
) -> None:
    """Set rows of the tile ``hidden`` to the silu of :func:`sum_rows`; keep its slope.

    With ``s = sigmoid(x)``: ``silu(x) = x s``, and ``silu'(x) = s + x s (1 - s)``.
    """
    one = splat(_ONE)
    for p in range(n):
        for side in range(2):
            i, j = ends[start + p, side] * ROW, ends[start + p, 1 - side] * ROW
            k = (2 * p + side if split else p) * ROW
            r = (2 * p + side) * ROW
            kept = (2 * (start + p) + side) * ROW
            for q in range(0, ROW, LANES):
                x = load(left, i + q) + load(right, j + q) + load(part, k + q)
                s = sigmoid(x)
                y = x * s
                store(hidden, r + q, y)
                store(slope, kept + q, s + y * (one - s))


@inner
def activate_rows_back(
    ends: Int,
    start: int,
    n: int,
    gradient: Float,
    slope: Float,
    d_left: Float,
    d_right: Float,
    d_part: Float,
    split: bool,
) -> None:
    """Add the gradient of a tile of :func:`activate_rows` to that of its inputs; set ``d_part``."""
    for p in range(n):
        for side in range(2):
            i, j = ends[start + p, side] * ROW, ends[start + p, 1 - side] * ROW
            k = (2 * p + side if split else p) * ROW
            r = (2 * p + side) * ROW
            kept = (2 * (start + p) + side) * ROW
            for q in range(0, ROW, LANES):
                d = load(gradient, r + q) * load(slope, kept + q)
                store(d_left, i + q, load(d_left, i + q) + d)
                store(d_right, j + q, load(d_right, j + q) + d)
                if side == 1 and not split:
                    d = d + load(d_part, k + q)
                store(d_part, k + q, d)


@inner
def sum_rows_back(
    ends: Int,
    start: int,
    n: int,
    gradient: Float,
    d_left: Float,
    d_right: Float,
    d_part: Float,
    split: bool,
) -> None:
    """Add the gradient of a tile of :func:`sum_rows` to that of its inputs; set ``d_part``."""
    for p in range(n):
        for side in range(2):
            i, j = ends[start + p, side] * ROW, ends[start + p, 1 - side] * ROW
            k = (2 * p + side if split else p) * ROW
            r = (2 * p + side) * ROW
            for q in range(0, ROW, LANES):
                d = load(gradient, r + q)
                store(d_left, i + q, load(d_left, i + q) + d)
                store(d_right, j + q, load(d_right, j + q) + d)
                if side == 1 and not split:
                    d = d + load(d_part, k + q)
                store(d_part, k + q, d)


@inner
def _inverse_deviation(x: Float, start: int) -> np.float32:
    """Return the scale of a layer norm whose input has no mean."""
    return _ONE / np.sqrt(np.float32(dot(x, start, x, start, WIDTH)) * _MEAN + _EPSILON)


@inner
def gate_rows(
    owners: Int,
    start: int,
    n: int,
    inputs: Float,
    gamma: Float,
    beta: Float,
    weight: Float,
    step: int,
    sums: Float,
    scale: Float,
) -> None:
    """Add ``silu(norm(core)) * sigmoid(norm(gate)) * weight`` to the sums of a tile's owners.

    Pairs follow each other in ``weight`` by ``step`` numbers. ``scale`` keeps those of the norms.
    """
    for p in range(n):
        w = (start + p) * step
        for side in range(2):
            r = 2 * (start + p) + side
            target = owners[start + p, side] * WIDTH
            scale[r, 0] = _inverse_deviation(inputs, r * ROW)
            scale[r, 1] = _inverse_deviation(inputs, r * ROW + WIDTH)
            core, gate = splat(scale[r, 0]), splat(scale[r, 1])
            for q in range(0, WIDTH, LANES):
                x = load(inputs, r * ROW + q) * core
                y = load(inputs, r * ROW + WIDTH + q) * gate
                x = x * load(gamma, q) + load(beta, q)
                y = y * load(gamma, WIDTH + q) + load(beta, WIDTH + q)
                message = x * sigmoid(x) * sigmoid(y) * load(weight, w + q)
                store(sums, target + q, load(sums, target + q) + message)


@inner
def gate_rows_back(
    owners: Int,
    start: int,
    n: int,
    inputs: Float,
    gamma: Float,
    beta: Float,
    weight: Float,
    step: int,
    d_sums: Float,
    scale: Float,
    d_weight: Float,
    out: Float,
) -> None:
    """Set a tile of ``out`` to the gradient of :func:`gate_rows`; add that of the weights.

    With ``x = gamma u + beta``, ``u = r core`` and ``r = (mean(core^2) + eps)^(-1/2)``, likewise
    ``y`` of the gate, and ``g`` the gradient of the owner's sum::

        dE/dw    = g silu(x) sigmoid(y)
        dE/du    = g w sigmoid(y) silu'(x) gamma
        dE/dcore = r (dE/du - u mean(u dE/du))
    """
    one = splat(_ONE)
    for p in range(n):
        w = (start + p) * step
        for side in range(2):
            r = 2 * (start + p) + side
            t = (2 * p + side) * ROW
            target = owners[start + p, side] * WIDTH
            core, gate = splat(scale[r, 0]), splat(scale[r, 1])
            along_core, along_gate = splat(np.float32(0.0)), splat(np.float32(0.0))
            for q in range(0, WIDTH, LANES):
                u = load(inputs, r * ROW + q) * core
                v = load(inputs, r * ROW + WIDTH + q) * gate
                x = u * load(gamma, q) + load(beta, q)
                y = v * load(gamma, WIDTH + q) + load(beta, WIDTH + q)
                a, b = sigmoid(x), sigmoid(y)
                xa = x * a
                message = xa * b
                g = load(d_sums, target + q)
                store(d_weight, w + q, load(d_weight, w + q) + g * message)
                g = g * load(weight, w + q)
                du = g * b * (a + xa * (one - a)) * load(gamma, q)
                dv = g * message * (one - b) * load(gamma, WIDTH + q)
                along_core = along_core + du * u
                along_gate = along_gate + dv * v
                store(out, t + q, du)
                store(out, t + WIDTH + q, dv)
            # What changes the norm changes the scale; the change of the mean is in the weights.
            along_core = splat(total(along_core) * _MEAN * scale[r, 0]) * core
            along_gate = splat(total(along_gate) * _MEAN * scale[r, 1]) * gate
            for q in range(0, WIDTH, LANES):
                u, v = load(inputs, r * ROW + q), load(inputs, r * ROW + WIDTH + q)
                store(out, t + q, load(out, t + q) * core - u * along_core)
                store(out, t + WIDTH + q, load(out, t + WIDTH + q) * gate - v * along_gate)


@inner
def _sin_cos(turns: Float, k: int, x: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Return sines and cosines of ``turns * x``, exact to single precision for many turns."""
    high = np.float32(x)
    x_high, x_low = splat(high), splat(np.float32(x - np.float64(high)))
    t_high, t_low = load(turns, k), load(turns, BASIS + k)
    product, rest = exact_product(t_high, x_high)
    return sin_cos_turns((product - nearest(product)) + (rest + t_high * x_low + t_low * x_high))


@inner
def radial(
    lengths_A: Double,
    n: int,
    cutoff_A: float,
    power: float,
    turns: Float,
    basis: Float,
    slope: Float,
) -> None:
    """Set rows to CHGNet's radial functions (Bessel times envelope) and to their derivatives.

    ``turns`` holds the frequencies in turns per cutoff, shape (3, 32): rounded, what rounding took
    off, and rounded in radians.
    """
    a, b, c = (power + 1) * (power + 2) / 2, power * (power + 2), power * (power + 1) / 2
    norm = np.sqrt(2.0 / cutoff_A)
    for p in range(n):
        r = lengths_A[p]
        x = r / cutoff_A
        envelope, steepness = 0.0, 0.0
        if not x >= 1.0:
            y = x ** (power - 1)
            envelope = 1.0 - y * x * (a - b * x + c * x * x)
            steepness = -y * (a * power - b * (power + 1) * x + c * (power + 2) * x * x)
        scale = norm * envelope / r
        of_sin = splat(np.float32(norm * steepness / (cutoff_A * r) - scale / r))
        of_cos = splat(np.float32(scale / cutoff_A))
        size = splat(np.float32(scale))
        for k in range(0, BASIS, LANES):
            sin, cos = _sin_cos(turns, k, x)
            store(basis, p * BASIS + k, size * sin)
            store(slope, p * BASIS + k, of_sin * sin + of_cos * load(turns, 2 * BASIS + k) * cos)


@inner
def fourier(cosines: Double, n: int, turns: Float, basis: Float, slope: Float) -> None:
    """Set rows to cosines, then sines, of multiples of an angle, and to derivatives by its cosine.

    ``turns`` is like that of :func:`radial`, of which the first 16 are used, in turns per radian.
    """
    for p in range(n):
        x = cosines[p] * ALMOST_ONE
        x = ALMOST_ONE if x > ALMOST_ONE else (-ALMOST_ONE if x < -ALMOST_ONE else x)
        steepness = splat(np.float32(-ALMOST_ONE / np.sqrt(1.0 - x * x)))
        sin, cos = _sin_cos(turns, 0, np.arccos(x))
        steepness = steepness * load(turns, 2 * BASIS)
        store(basis, p * BASIS, cos)
        store(basis, p * BASIS + LANES, sin)
        store(slope, p * BASIS, splat(np.float32(0.0)) - steepness * sin)
        store(slope, p * BASIS + LANES, steepness * cos)


@inner
def silu_rows(x: Float, n: int, slope: Float) -> None:
    """Replace n numbers by their silu and keep its slope."""
    one = splat(_ONE)
    for q in range(0, n, LANES):
        s = sigmoid(load(x, q))
        y = load(x, q) * s
        store(x, q, y)
        store(slope, q, s + y * (one - s))


@inner
def norm_rows(x: Float, n: int, norm: Float, unit: Float, scale: Float, out: Float) -> None:
    """Set rows of ``out`` to the layer norm of rows of ``x``; keep normalised rows and scales."""
    for r in range(n):
        row = r * WIDTH
        sums = splat(np.float32(0.0))
        for q in range(0, WIDTH, LANES):
            sums = sums + load(x, row + q)
        mean = splat(total(sums) * _MEAN)
        for q in range(0, WIDTH, LANES):
            store(unit, row + q, load(x, row + q) - mean)
        scale[r] = _inverse_deviation(unit, row)
        for q in range(0, WIDTH, LANES):
            y = load(unit, row + q) * splat(scale[r])
            store(unit, row + q, y)
            store(out, row + q, y * load(norm, q) + load(norm, WIDTH + q))


@inner
def norm_rows_back(d: Float, n: int, norm: Float, unit: Float, scale: Float, out: Float) -> None:
    """Set rows of ``out`` to the gradient of the input of :func:`norm_rows`."""
    for r in range(n):
        row = r * WIDTH
        sums, along = splat(np.float32(0.0)), splat(np.float32(0.0))
        for q in range(0, WIDTH, LANES):
            g = load(d, row + q) * load(norm, q)
            sums, along = sums + g, along + g * load(unit, row + q)
        mean, slant = splat(total(sums) * _MEAN), splat(total(along) * _MEAN)
        for q in range(0, WIDTH, LANES):
            g = load(d, row + q) * load(norm, q)
            g = g - mean - load(unit, row + q) * slant
            store(out, row + q, g * splat(scale[r]))
