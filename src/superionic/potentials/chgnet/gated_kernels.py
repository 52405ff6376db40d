"""Compiled kernels of CHGNet's gated layers, forward and backward, for one processor core.

They serve single precision on a processor; on other devices torch does the same.

Between the matrix products of a gated layer lie some twenty elementwise passes over (edges x 128)
numbers: gathers, activations, layer norms, weights, sums over edges, and their derivatives. Here
they are two passes forward, two backward, and two more where forces are differentiated by the
network's parameters. The products themselves stay with torch.

Arrays of edges have the layout [core or gate, edge, feature]. What a layer norm acts on comes
without mean: the linear layer before it has the mean over its outputs taken out.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

Float = NDArray[np.float32]
Int = NDArray[np.int64]

# The error model is numpy's: a check for division by zero would keep loops from becoming vector
# code. NaN and infinity keep their meaning; sums may be reordered and fused.
_FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}
_WIDTH = 64


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(-x)) in single precision, without calls, so that loops become vector code.

    For x clipped to [-30, 30], which keeps subnormal numbers out of the products that follow
    (:func:`superionic.potentials.vectors.sigmoid`).
    """
    t = np.float32(-1.4426950408889634) * x
    limit = np.float32(30.0 * 1.4426950408889634)
    t = t if t < limit else limit
    t = t if t > -limit else -limit
    biased = np.int32(t + np.float32(127.5))  # positive, so that truncation rounds down
    f = (t - np.float32(np.int32(biased - 127))) * np.float32(0.6931471805599453)
    p = np.float32(1.0 / 5040.0)
    p = p * f + np.float32(1.0 / 720.0)
    p = p * f + np.float32(1.0 / 120.0)
    p = p * f + np.float32(1.0 / 24.0)
    p = p * f + np.float32(1.0 / 6.0)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1.0)
    p = p * f + np.float32(1.0)
    scale = np.int32(biased << np.int32(23)).view(np.float32)  # 2 to the rounded power
    return np.float32(1.0) / (np.float32(1.0) + p * scale)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gather_forward(
    x: Float, y: Float, z: Float, dense: Float, ix: Int, iy: Int, iz: Int, out: Float
) -> None:
    # h = x[ix] + y[iy] + z[iz] + dense;  out = silu(h) = h s, s = sigmoid(h)
    hidden = np.empty(2 * _WIDTH, np.float32)
    for e in range(len(ix)):
        _hidden(x[ix[e]], y[iy[e]], z[iz[e]], dense, e, hidden)
        for part in range(2):
            row, h = out[part, e], hidden[part * _WIDTH : (part + 1) * _WIDTH]
            for k in range(_WIDTH):
                row[k] = h[k] * _sigmoid(h[k])


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _hidden(a: Float, b: Float, c: Float, dense: Float, e: int, hidden: Float) -> None:
    if dense.shape[0] > 0:
        d = dense[e]
        for k in range(2 * _WIDTH):
            hidden[k] = a[k] + b[k] + c[k] + d[k]
    else:
        for k in range(2 * _WIDTH):
            hidden[k] = a[k] + b[k] + c[k]


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _give(row: Float, e: int, a: Float, b: Float, c: Float, dense: Float) -> None:
    """Add what belongs to a sum to each of the rows that it was the sum of."""
    for k in range(2 * _WIDTH):
        a[k] += row[k]
    for k in range(2 * _WIDTH):
        b[k] += row[k]
    for k in range(2 * _WIDTH):
        c[k] += row[k]
    if dense.shape[0] > 0:
        dense[e] = row


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gather_backward(
    grad: Float,
    x: Float,
    y: Float,
    z: Float,
    dense: Float,
    ix: Int,
    iy: Int,
    iz: Int,
    dx: Float,
    dy: Float,
    dz: Float,
    dd: Float,
) -> None:
    # dE/dh = grad silu'(h), silu' = s (1 + h (1 - s))
    one = np.float32(1.0)
    hidden, row = np.empty(2 * _WIDTH, np.float32), np.empty(2 * _WIDTH, np.float32)
    for e in range(len(ix)):
        _hidden(x[ix[e]], y[iy[e]], z[iz[e]], dense, e, hidden)
        for part in range(2):
            g, base = grad[part, e], part * _WIDTH
            for k in range(_WIDTH):
                h = hidden[base + k]
                s = _sigmoid(h)
                row[base + k] = g[k] * s * (one + h * (one - s))
        _give(row, e, dx[ix[e]], dy[iy[e]], dz[iz[e]], dd)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gather_second(
    grad: Float,
    x: Float,
    y: Float,
    z: Float,
    dense: Float,
    ix: Int,
    iy: Int,
    iz: Int,
    ax: Float,
    ay: Float,
    az: Float,
    ad: Float,
    dgrad: Float,
    dx: Float,
    dy: Float,
    dz: Float,
    dd: Float,
) -> None:
    # Of sum(a dE/dh) with a = ax[ix] + ay[iy] + az[iz] + ad:  by grad a silu'(h), and by h
    # a grad silu''(h), silu'' = s (1 - s) (2 + h (1 - 2 s))
    one, two = np.float32(1.0), np.float32(2.0)
    hidden, row = np.empty(2 * _WIDTH, np.float32), np.empty(2 * _WIDTH, np.float32)
    along = np.empty(2 * _WIDTH, np.float32)
    for e in range(len(ix)):
        _hidden(x[ix[e]], y[iy[e]], z[iz[e]], dense, e, hidden)
        _hidden(ax[ix[e]], ay[iy[e]], az[iz[e]], ad, e, along)
        for part in range(2):
            g, d_g, base = grad[part, e], dgrad[part, e], part * _WIDTH
            for k in range(_WIDTH):
                h, a = hidden[base + k], along[base + k]
                s = _sigmoid(h)
                d_g[k] = a * s * (one + h * (one - s))
                row[base + k] = a * g[k] * s * (one - s) * (two + h * (one - two * s))
        _give(row, e, dx[ix[e]], dy[iy[e]], dz[iz[e]], dd)


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _inverse_deviation(row: Float, eps: np.float32) -> np.float32:
    """Return the scale of a layer norm whose input has no mean."""
    squares = np.float32(0.0)
    for k in range(_WIDTH):
        squares += row[k] * row[k]
    return np.float32(1.0) / np.sqrt(squares * np.float32(1.0 / _WIDTH) + eps)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gate_forward(
    pre: Float, norm: Float, eps: np.float32, weight: Float, iw: Int, owner: Int, out: Float
) -> None:
    # out[owner] += silu(norm(core)) * sigmoid(norm(gate)) * weight[iw]
    has_weight = weight.shape[0] > 0
    for e in range(pre.shape[1]):
        core, gate = pre[0, e], pre[1, e]
        p, q = _inverse_deviation(core, eps), _inverse_deviation(gate, eps)
        total = out[owner[e]]
        if has_weight:
            w = weight[iw[e]]
            for k in range(_WIDTH):
                y = core[k] * p * norm[0, k] + norm[1, k]
                v = gate[k] * q * norm[2, k] + norm[3, k]
                total[k] += y * _sigmoid(y) * _sigmoid(v) * w[k]
        else:
            for k in range(_WIDTH):
                y = core[k] * p * norm[0, k] + norm[1, k]
                v = gate[k] * q * norm[2, k] + norm[3, k]
                total[k] += y * _sigmoid(y) * _sigmoid(v)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gate_backward(
    grad: Float,
    pre: Float,
    norm: Float,
    eps: np.float32,
    weight: Float,
    iw: Int,
    owner: Int,
    dpre: Float,
    dnorm: Float,
    dweight: Float,
) -> None:
    # With y = n0 u + n1, u = p core, p = (mean(core^2) + eps)^(-1/2), v = n2 r + n3 likewise of the
    # gate, and g the gradient of the owner's sum:
    #   dE/dw = g silu(y) sigmoid(v),  dE/dy = g w sigmoid(v) silu'(y),  dE/du = n0 dE/dy,
    #   dE/dcore = p (dE/du - u mean(u dE/du))
    up, vp = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    ones = np.ones(_WIDTH, np.float32)
    unused = np.empty(_WIDTH, np.float32)
    one, share = np.float32(1.0), np.float32(1.0 / _WIDTH)
    has_weight, has_norm = weight.shape[0] > 0, dnorm.shape[0] > 0
    for e in range(pre.shape[1]):
        core, gate = pre[0, e], pre[1, e]
        p, q = _inverse_deviation(core, eps), _inverse_deviation(gate, eps)
        g = grad[owner[e]]
        dot_u, dot_v = np.float32(0.0), np.float32(0.0)
        w = weight[iw[e]] if has_weight else ones
        dw = dweight[iw[e]] if has_weight else unused
        for k in range(_WIDTH):
            y = core[k] * p * norm[0, k] + norm[1, k]
            v = gate[k] * q * norm[2, k] + norm[3, k]
            s, t = _sigmoid(y), _sigmoid(v)
            message = y * s * t
            dw[k] += g[k] * message
            scaled = g[k] * w[k]
            up[k] = scaled * t * s * (one + y * (one - s))
            vp[k] = scaled * message * (one - t)
        if has_norm:
            for k in range(_WIDTH):
                dnorm[0, k] += up[k] * core[k] * p
                dnorm[1, k] += up[k]
                dnorm[2, k] += vp[k] * gate[k] * q
                dnorm[3, k] += vp[k]
        for k in range(_WIDTH):
            up[k] *= norm[0, k]
            vp[k] *= norm[2, k]
            dot_u += up[k] * core[k]
            dot_v += vp[k] * gate[k]
        dot_u, dot_v = dot_u * p * p * share, dot_v * q * q * share
        d_core, d_gate = dpre[0, e], dpre[1, e]
        for k in range(_WIDTH):
            d_core[k] = p * (up[k] - core[k] * dot_u)
            d_gate[k] = q * (vp[k] - gate[k] * dot_v)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gate_second(
    grad: Float,
    pre: Float,
    norm: Float,
    eps: np.float32,
    weight: Float,
    iw: Int,
    owner: Int,
    apre: Float,
    aweight: Float,
    dgrad: Float,
    dpre: Float,
    dnorm: Float,
    dweight: Float,
) -> None:
    # Of sum(apre dE/dpre) + sum(aweight dE/dw), which is the change of E along (apre, aweight):
    #   sum(g m'),  m' = w (t S' y' + S t' v') + w' S t,  S = silu(y), t = sigmoid(v), and along
    #   y' = n0 u',  u' = p (a - u mean(u a)),  w' = aweight.
    # With U the gradient by u', and F that by u at fixed u':
    #   by u   F + n0 dm'/dy - p mean(u a) U - p a mean(U u)
    #   by p   P = sum(U (a - u mean(u a))) + sum((by u) core),   by core  p (by u) - p^3 core P / n
    one, two, share = np.float32(1.0), np.float32(2.0), np.float32(1.0 / _WIDTH)
    ones, none = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)
    unused = np.empty(_WIDTH, np.float32)
    u, r = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    du, dr = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    by_y, by_v = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    by_dy, by_dv = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    has_weight = weight.shape[0] > 0
    for e in range(pre.shape[1]):
        core, gate, a, b = pre[0, e], pre[1, e], apre[0, e], apre[1, e]
        p, q = _inverse_deviation(core, eps), _inverse_deviation(gate, eps)
        g, d_g = grad[owner[e]], dgrad[owner[e]]
        w = weight[iw[e]] if has_weight else ones
        along_w = aweight[iw[e]] if has_weight else none
        dw = dweight[iw[e]] if has_weight else unused
        mean_u, mean_v = np.float32(0.0), np.float32(0.0)
        for k in range(_WIDTH):
            u[k], r[k] = p * core[k], q * gate[k]
            mean_u += u[k] * a[k]
            mean_v += r[k] * b[k]
        mean_u, mean_v = mean_u * share, mean_v * share
        for k in range(_WIDTH):
            du[k], dr[k] = p * (a[k] - u[k] * mean_u), q * (b[k] - r[k] * mean_v)
            y, v = norm[0, k] * u[k] + norm[1, k], norm[2, k] * r[k] + norm[3, k]
            dy, dv = norm[0, k] * du[k], norm[2, k] * dr[k]
            s, t = _sigmoid(y), _sigmoid(v)
            silu, slope = y * s, s * (one + y * (one - s))
            bend = s * (one - s) * (two + y * (one - two * s))
            t_slope = t * (one - t)
            t_bend = t_slope * (one - two * t)
            inner = t * slope * dy + silu * t_slope * dv
            d_g[k] += w[k] * inner + along_w[k] * silu * t
            dw[k] += g[k] * inner
            gw, ga = g[k] * w[k], g[k] * along_w[k]
            by_y[k] = gw * (t * bend * dy + slope * t_slope * dv) + ga * slope * t
            by_v[k] = gw * (t_slope * slope * dy + silu * t_bend * dv) + ga * silu * t_slope
            by_dy[k], by_dv[k] = gw * t * slope, gw * silu * t_slope
        for k in range(_WIDTH):
            dnorm[0, k] += by_y[k] * u[k] + by_dy[k] * du[k]
            dnorm[1, k] += by_y[k]
            dnorm[2, k] += by_v[k] * r[k] + by_dv[k] * dr[k]
            dnorm[3, k] += by_v[k]
            by_y[k], by_dy[k] = norm[0, k] * by_y[k], norm[0, k] * by_dy[k]
            by_v[k], by_dv[k] = norm[2, k] * by_v[k], norm[2, k] * by_dv[k]
        _through_norm(core, a, u, p, mean_u, by_y, by_dy, dpre[0, e])
        _through_norm(gate, b, r, q, mean_v, by_v, by_dv, dpre[1, e])


@njit(inline="always", fastmath=_FAST, error_model="numpy")
def _through_norm(
    row: Float,
    a: Float,
    u: Float,
    p: np.float32,
    mean: np.float32,
    by_u: Float,
    by_du: Float,
    out: Float,
) -> None:
    share = np.float32(1.0 / _WIDTH)
    dot, by_p = np.float32(0.0), np.float32(0.0)
    for k in range(_WIDTH):
        dot += by_du[k] * u[k]
        by_p += by_du[k] * (a[k] - u[k] * mean)
    dot = dot * share
    for k in range(_WIDTH):
        by_u[k] -= p * (mean * by_du[k] + dot * a[k])
        by_p += by_u[k] * row[k]
    by_p = by_p * p * p * p * share
    for k in range(_WIDTH):
        out[k] = p * by_u[k] - by_p * row[k]


with torch.inference_mode(False):  # whoever loads this module first, gradients are computed later
    _NONE = torch.zeros((0, 2 * _WIDTH))


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


class GatherSilu(torch.autograd.Function):
    """silu(x[ix] + y[iy] + z[iz] + dense), shape (2, n_edges, 64)."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        """Gather, add, activate; inputs are x, y, z, dense, ix, iy, iz."""
        out = torch.empty((2, len(inputs[4]), _WIDTH))
        _gather_forward(*_arrays(*inputs, out))
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of x, y, z and dense."""
        return *_GatherSiluGradient.apply(grads[0], *ctx.saved_tensors), None, None, None


class _GatherSiluGradient(torch.autograd.Function):
    """Gradients of :class:`GatherSilu`, which can be differentiated once more."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Any:
        out = [torch.zeros(t.shape) for t in inputs[1:4]] + [torch.empty(inputs[4].shape)]
        _gather_backward(*_arrays(*inputs, *out))
        ctx.save_for_backward(*inputs)
        return tuple(out)

    @staticmethod
    def backward(ctx: Any, *along: Tensor) -> Any:
        inputs = ctx.saved_tensors
        grad, dense = torch.empty(inputs[0].shape), torch.empty(inputs[4].shape)
        out = [torch.zeros(t.shape) for t in inputs[1:4]]
        _gather_second(*_arrays(*inputs, *along, grad, *out, dense))
        return grad, *out, dense, None, None, None


class GateSum(torch.autograd.Function):
    """Sum over the edges of an owner of silu(LN(core)) sigmoid(LN(gate)) weight."""

    @staticmethod
    def forward(
        ctx: Any,
        pre: Tensor,
        norm: Tensor,
        eps: float,
        weight: Tensor,
        iw: Tensor,
        owner: Tensor,
        n_owners: int,
    ) -> Tensor:
        """Normalise, activate, multiply, sum; shape (n_owners, 64)."""
        out = torch.zeros((n_owners, _WIDTH))
        rows, scales, *others = _arrays(pre, norm, weight, iw, owner, out)
        _gate_forward(rows, scales, np.float32(eps), *others)
        ctx.save_for_backward(pre, norm, weight, iw, owner)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of the pre-activations, the norms and the weights."""
        out = _GateSumGradient.apply(grads[0], *ctx.saved_tensors, ctx.eps)
        return out[0], out[1], None, out[2], None, None, None


class _GateSumGradient(torch.autograd.Function):
    """Gradients of :class:`GateSum`; those of pre-activations and weights once more."""

    @staticmethod
    def forward(
        ctx: Any,
        grad: Tensor,
        pre: Tensor,
        norm: Tensor,
        weight: Tensor,
        iw: Tensor,
        owner: Tensor,
        eps: float,
    ) -> Any:
        learned = norm.requires_grad
        d_norm = torch.zeros(norm.shape if learned else (0, _WIDTH))
        out = torch.empty(pre.shape), d_norm, torch.zeros(weight.shape)
        g, rows, scales, *others = _arrays(grad, pre, norm, weight, iw, owner, *out)
        _gate_backward(g, rows, scales, np.float32(eps), *others)
        ctx.save_for_backward(grad, pre, norm, weight, iw, owner)
        ctx.eps = eps
        ctx.mark_non_differentiable(d_norm)
        return out[0], d_norm if learned else None, out[2]

    @staticmethod
    def backward(ctx: Any, *along: Tensor) -> Any:
        grad, pre, norm, weight, iw, owner = ctx.saved_tensors
        out = [torch.zeros(grad.shape), torch.empty(pre.shape)]
        out += [torch.zeros(norm.shape), torch.zeros(weight.shape)]
        g, rows, scales, *others = _arrays(
            grad, pre, norm, weight, iw, owner, along[0], along[2], *out
        )
        _gate_second(g, rows, scales, np.float32(ctx.eps), *others)
        return *out, None, None, None


def gather_silu(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    dense: Tensor | None,
    ix: Tensor,
    iy: Tensor,
    iz: Tensor,
) -> Tensor:
    """Return silu(x[ix] + y[iy] + z[iz] + dense).

    Parameters
    ----------
    x, y, z : Tensor, shape (n, 128)
        Rows to gather; core features, then gate features.
    dense : Tensor or None, shape (n_edges, 128)
        What each edge has for itself.
    ix, iy, iz : Tensor of int64, shape (n_edges,)
        Which rows.

    Returns
    -------
    Tensor, shape (2, n_edges, 64)
        Core, then gate.
    """
    if _compiled(x):
        return GatherSilu.apply(x, y, z, _NONE if dense is None else dense, ix, iy, iz)
    hidden = x.index_select(0, ix) + y.index_select(0, iy) + z.index_select(0, iz)
    if dense is not None:
        hidden = hidden + dense
    return torch.stack(torch.nn.functional.silu(hidden).split(_WIDTH, dim=1))


def gate_sum(
    pre: Tensor,
    norm: Tensor,
    eps: float,
    weight: Tensor | None,
    iw: Tensor,
    owner: Tensor,
    n_owners: int,
) -> Tensor:
    """Sum silu(LN(core)) sigmoid(LN(gate)) weight[iw] over the edges of each owner.

    Parameters
    ----------
    pre : Tensor, shape (2, n_edges, 64)
        Core and gate before the layer norm; each of its rows has mean zero. The gradient is that
        among such rows.
    norm : Tensor, shape (4, 64)
        Scale and shift of the core's norm, scale and shift of the gate's.
    eps : float
        What the norms add to the variance.
    weight : Tensor or None, shape (n, 64)
        Weights; one when None.
    iw, owner : Tensor of int64, shape (n_edges,)
        Which weight, and whose sum.
    n_owners : int
        Number of sums.

    Returns
    -------
    Tensor, shape (n_owners, 64)
        The sums.
    """
    if _compiled(pre):
        rows = _NONE if weight is None else weight
        return GateSum.apply(pre, norm, eps, rows, iw, owner, n_owners)
    functional = torch.nn.functional
    core = functional.layer_norm(pre[0], (_WIDTH,), norm[0], norm[1], eps)
    gate = functional.layer_norm(pre[1], (_WIDTH,), norm[2], norm[3], eps)
    message = functional.silu(core) * torch.sigmoid(gate)
    if weight is not None:
        message = message * weight.index_select(0, iw)
    return message.new_zeros((n_owners, _WIDTH)).index_add(0, owner, message)


def _compiled(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32
