"""Compiled kernels of CHGNet's gated layers, forward and backward, for one processor core.

They serve single precision on a processor; on other devices torch does the same.

Between the matrix products of a gated layer lie some twenty elementwise passes over (edges x 128)
numbers: gathers, activations, layer norms, weights, sums over edges, and their derivatives. Here
they are two passes forward and two backward. The products themselves stay with torch.

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
    """1 / (1 + exp(-x)) in single precision, without calls, so that loops become vector code."""
    t = np.float32(-1.4426950408889634) * x
    t = t if t < np.float32(126.0) else np.float32(126.0)
    t = t if t > np.float32(-126.0) else np.float32(-126.0)
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
    x: Float, y: Float, z: Float, dense: Float, ix: Int, iy: Int, iz: Int, out: Float, slope: Float
) -> None:
    # h = x[ix] + y[iy] + z[iz] + dense;  out = silu(h), slope = silu'(h) = s + h s (1 - s)
    has_dense = dense.shape[0] > 0
    for e in range(len(ix)):
        a, b, c = x[ix[e]], y[iy[e]], z[iz[e]]
        for part in range(2):
            row, tangent = out[part, e], slope[part, e]
            base = part * _WIDTH
            if has_dense:
                d = dense[e]
                for k in range(_WIDTH):
                    h = a[base + k] + b[base + k] + c[base + k] + d[base + k]
                    s = _sigmoid(h)
                    row[k] = h * s
                    tangent[k] = s * (np.float32(1.0) + h * (np.float32(1.0) - s))
            else:
                for k in range(_WIDTH):
                    h = a[base + k] + b[base + k] + c[base + k]
                    s = _sigmoid(h)
                    row[k] = h * s
                    tangent[k] = s * (np.float32(1.0) + h * (np.float32(1.0) - s))


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _gather_backward(
    grad: Float, slope: Float, ix: Int, iy: Int, iz: Int, dx: Float, dy: Float, dz: Float, dd: Float
) -> None:
    # dE/dh = grad * slope goes to each of the rows that h was the sum of
    has_dense = dd.shape[0] > 0
    for e in range(len(ix)):
        a, b, c = dx[ix[e]], dy[iy[e]], dz[iz[e]]
        for part in range(2):
            g_row, s_row = grad[part, e], slope[part, e]
            base = part * _WIDTH
            for k in range(_WIDTH):
                a[base + k] += g_row[k] * s_row[k]
            for k in range(_WIDTH):
                b[base + k] += g_row[k] * s_row[k]
            for k in range(_WIDTH):
                c[base + k] += g_row[k] * s_row[k]
            if has_dense:
                d = dd[e]
                for k in range(_WIDTH):
                    d[base + k] = g_row[k] * s_row[k]


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
    dweight: Float,
) -> None:
    # With y = n0 u + n1, u = p core, p = (mean(core^2) + eps)^(-1/2), v likewise of the gate, and g
    # the gradient of the owner's sum:
    #   dE/dw = g silu(y) sigmoid(v),  dE/du = g w sigmoid(v) silu'(y) n0,
    #   dE/dcore = p (dE/du - u mean(u dE/du))
    up, vp = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    one, share = np.float32(1.0), np.float32(1.0 / _WIDTH)
    has_weight = weight.shape[0] > 0
    for e in range(pre.shape[1]):
        core, gate = pre[0, e], pre[1, e]
        p, q = _inverse_deviation(core, eps), _inverse_deviation(gate, eps)
        g = grad[owner[e]]
        dot_u, dot_v = np.float32(0.0), np.float32(0.0)
        if has_weight:
            w, dw = weight[iw[e]], dweight[iw[e]]
            for k in range(_WIDTH):
                y = core[k] * p * norm[0, k] + norm[1, k]
                v = gate[k] * q * norm[2, k] + norm[3, k]
                s, t = _sigmoid(y), _sigmoid(v)
                message = y * s * t
                dw[k] += g[k] * message
                scaled = g[k] * w[k]
                up[k] = scaled * t * s * (one + y * (one - s)) * norm[0, k]
                vp[k] = scaled * message * (one - t) * norm[2, k]
        else:
            for k in range(_WIDTH):
                y = core[k] * p * norm[0, k] + norm[1, k]
                v = gate[k] * q * norm[2, k] + norm[3, k]
                s, t = _sigmoid(y), _sigmoid(v)
                up[k] = g[k] * t * s * (one + y * (one - s)) * norm[0, k]
                vp[k] = g[k] * y * s * t * (one - t) * norm[2, k]
        for k in range(_WIDTH):
            dot_u += up[k] * core[k]
            dot_v += vp[k] * gate[k]
        dot_u, dot_v = dot_u * p * p * share, dot_v * q * q * share
        d_core, d_gate = dpre[0, e], dpre[1, e]
        for k in range(_WIDTH):
            d_core[k] = p * (up[k] - core[k] * dot_u)
            d_gate[k] = q * (vp[k] - gate[k] * dot_v)


with torch.inference_mode(False):  # whoever loads this module first, gradients are computed later
    _NONE = torch.zeros((0, 2 * _WIDTH))


class GatherSilu(torch.autograd.Function):
    """silu(x[ix] + y[iy] + z[iz] + dense), shape (2, n_edges, 64)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        y: Tensor,
        z: Tensor,
        dense: Tensor | None,
        ix: Tensor,
        iy: Tensor,
        iz: Tensor,
    ) -> Tensor:
        """Gather, add, activate."""
        out = torch.empty((2, len(ix), _WIDTH))
        slope = torch.empty_like(out)
        rows = _NONE if dense is None else dense
        _gather_forward(
            *(t.detach().contiguous().numpy() for t in (x, y, z, rows, ix, iy, iz, out, slope))
        )
        ctx.save_for_backward(slope, ix, iy, iz)
        ctx.shapes = x.shape, y.shape, z.shape, None if dense is None else dense.shape
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of x, y, z and dense."""
        slope, ix, iy, iz = ctx.saved_tensors
        *shapes, dense_shape = ctx.shapes
        out = [torch.zeros(shape) for shape in shapes]
        dense = _NONE if dense_shape is None else torch.empty(dense_shape)
        arrays = (grads[0].contiguous(), slope, ix, iy, iz, *out, dense)
        _gather_backward(*(t.numpy() for t in arrays))
        return *out, None if dense_shape is None else dense, None, None, None


class GateSum(torch.autograd.Function):
    """Sum over the edges of an owner of silu(LN(core)) sigmoid(LN(gate)) weight."""

    @staticmethod
    def forward(
        ctx: Any,
        pre: Tensor,
        norm: Tensor,
        eps: float,
        weight: Tensor | None,
        iw: Tensor,
        owner: Tensor,
        n_owners: int,
    ) -> Tensor:
        """Normalise, activate, multiply, sum; shape (n_owners, 64)."""
        out = torch.zeros((n_owners, _WIDTH))
        rows = _NONE if weight is None else weight.detach().contiguous()
        pre = pre.detach().contiguous()
        _gate_forward(
            pre.numpy(), norm.numpy(), np.float32(eps), rows.numpy(), iw.numpy(), owner.numpy(),
            out.numpy(),
        )  # fmt: skip
        ctx.save_for_backward(pre, norm, rows, iw, owner)
        ctx.eps, ctx.has_weight = eps, weight is not None
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Return the gradients of the pre-activations and the weights."""
        pre, norm, rows, iw, owner = ctx.saved_tensors
        d_pre, d_weight = torch.empty_like(pre), torch.zeros_like(rows)
        _gate_backward(
            grads[0].contiguous().numpy(), pre.numpy(), norm.numpy(), np.float32(ctx.eps),
            rows.numpy(), iw.numpy(), owner.numpy(), d_pre.numpy(), d_weight.numpy(),
        )  # fmt: skip
        return d_pre, None, None, d_weight if ctx.has_weight else None, None, None, None


def gather_silu(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    dense: Tensor | None,
    ix: Tensor,
    iy: Tensor,
    iz: Tensor,
    compiled: bool = True,
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
    compiled : bool
        Whether compiled code may do it, which can be differentiated once only.

    Returns
    -------
    Tensor, shape (2, n_edges, 64)
        Core, then gate.
    """
    if compiled and _compiled(x):
        return GatherSilu.apply(x, y, z, dense, ix, iy, iz)
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
    compiled: bool = True,
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
    compiled : bool
        Whether compiled code may do it, which gives no gradient of the norm and can be
        differentiated once only.

    Returns
    -------
    Tensor, shape (n_owners, 64)
        The sums.
    """
    if compiled and _compiled(pre):
        return GateSum.apply(pre, norm, eps, weight, iw, owner, n_owners)
    functional = torch.nn.functional
    core = functional.layer_norm(pre[0], (_WIDTH,), norm[0], norm[1], eps)
    gate = functional.layer_norm(pre[1], (_WIDTH,), norm[2], norm[3], eps)
    message = functional.silu(core) * torch.sigmoid(gate)
    if weight is not None:
        message = message * weight.index_select(0, iw)
    return message.new_zeros((n_owners, _WIDTH)).index_add(0, owner, message)


def _compiled(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32
