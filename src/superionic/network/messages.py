"""Messages along edges, and their gradients, in one compiled pass over the edges.

With torch alone each term of a message is an array over all edges; most of a training step is then
memory traffic. Here an edge is read once, its terms stay in registers, and the sum goes to the
receiver at once. Sums run in the order of the edges, in one thread, so that a training repeats to
the last bit.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from superionic.potentials.vectors import LANES, load, splat, store

Kernels = tuple[Callable[..., None], Callable[..., None]]


def supports(features: Tensor, harmonics: Tensor) -> bool:
    """Say whether messages can be compiled: single precision, on a CPU, whole vectors of channels.

    Neither can gradients with respect to the harmonics be had.
    """
    return (
        features.device.type == "cpu"
        and features.dtype == torch.float32
        and features.shape[2] % LANES == 0
        and not harmonics.requires_grad
    )


def edge_messages(
    features: Tensor, harmonics: Tensor, weights: Tensor, receiver: Tensor, sender: Tensor
) -> Tensor:
    """Return the sum of the messages that each atom receives.

    A message of order l is w_l h_l + v_l h_0 Y_l, with the sender's features h and the harmonics Y
    of the edge; that of order 0 has the scalar products u_l h_l . Y_l (l > 0) besides.

    Parameters
    ----------
    features : Tensor, shape (n_atoms, (l_max + 1)^2, channels)
        Of the senders.
    harmonics : Tensor, shape (n_edges, (l_max + 1)^2)
        Of the edges; no gradient is taken with respect to them.
    weights : Tensor, shape (n_edges, 3 l_max + 2, channels)
        w of all orders, then v of all orders, then u.
    receiver, sender : Tensor of int, shape (n_edges,)
        Atoms.

    Returns
    -------
    Tensor, shape of ``features``
    """
    summed: Tensor = _EdgeMessages.apply(features, harmonics, weights, receiver, sender)  # type: ignore[no-untyped-call]
    return summed


class _EdgeMessages(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, features: Tensor, harmonics: Tensor, weights: Tensor, receiver: Any, sender: Any
    ) -> Tensor:
        arrays = [x.contiguous() for x in (features, harmonics, weights, receiver, sender)]
        ctx.save_for_backward(*arrays)
        summed = torch.zeros_like(arrays[0])
        forward, _ = _kernels(_l_max(features))
        forward(*(x.detach().numpy() for x in (*arrays, summed)))
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        arrays = ctx.saved_tensors
        of_features, of_weights = torch.zeros_like(arrays[0]), torch.empty_like(arrays[2])
        _, backward = _kernels(_l_max(arrays[0]))
        given = (*arrays, gradient.contiguous(), of_features, of_weights)
        backward(*(x.detach().numpy() for x in given))
        return of_features, None, of_weights, None, None


def _l_max(features: Tensor) -> int:
    return round(features.shape[1] ** 0.5) - 1


@cache
def _kernels(l_max: int) -> Kernels:
    """Return the loops for orders up to l_max: with it a constant, those over components unroll."""
    n_orders = l_max + 1
    n_rows = n_orders * n_orders
    n_weights = 3 * l_max + 2

    @njit(nogil=True, cache=True)
    def forward(h, y, w, receiver, sender, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        channels = h.shape[2]
        for e in range(len(receiver)):
            for q in range(0, channels, LANES):
                to = receiver[e] * n_rows * channels + q
                of = sender[e] * n_rows * channels + q
                at = e * n_weights * channels + q
                scalar = load(h, of)
                along = splat(y[e, 0]) * load(w, at + n_orders * channels)
                dots = scalar * (load(w, at) + along)
                for order in range(1, n_orders):
                    own = load(w, at + order * channels)
                    along = scalar * load(w, at + (n_orders + order) * channels)
                    dot = splat(np.float32(0.0))
                    for m in range(order * order, (order + 1) * (order + 1)):
                        place, there, here = to + m * channels, load(h, of + m * channels), y[e, m]
                        store(out, place, load(out, place) + there * own + splat(here) * along)
                        dot = dot + there * splat(here)
                    dots = dots + dot * load(w, at + (2 * n_orders + order - 1) * channels)
                store(out, to, load(out, to) + dots)

    @njit(nogil=True, cache=True)
    def backward(h, y, w, receiver, sender, g, of_h, of_w):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        channels = h.shape[2]
        for e in range(len(receiver)):
            for q in range(0, channels, LANES):
                to = receiver[e] * n_rows * channels + q
                of = sender[e] * n_rows * channels + q
                at = e * n_weights * channels + q
                scalar, top, first = load(h, of), load(g, to), splat(y[e, 0])
                store(of_w, at, top * scalar)
                store(of_w, at + n_orders * channels, top * scalar * first)
                of_scalar = top * (load(w, at) + first * load(w, at + n_orders * channels))
                for order in range(1, n_orders):
                    own = load(w, at + order * channels)
                    dotted = at + (2 * n_orders + order - 1) * channels
                    through = top * load(w, dotted)
                    same = splat(np.float32(0.0))
                    along, dot = same, same
                    for m in range(order * order, (order + 1) * (order + 1)):
                        there, back = load(h, of + m * channels), load(g, to + m * channels)
                        here, place = splat(y[e, m]), of + m * channels
                        same = same + back * there
                        along = along + back * here
                        dot = dot + there * here
                        store(of_h, place, load(of_h, place) + back * own + here * through)
                    store(of_w, at + order * channels, same)
                    sent = at + (n_orders + order) * channels
                    store(of_w, sent, along * scalar)
                    store(of_w, dotted, top * dot)
                    of_scalar = of_scalar + along * load(w, sent)
                store(of_h, of, load(of_h, of) + of_scalar)

    return forward, backward
