"""Compiled gated layers: first and second derivatives are those of torch in double precision."""

import numpy as np
import pytest
import torch
from torch import Tensor

from superionic.potentials.chgnet.gated_kernels import gate_sum, gather_silu

N, EDGES = 5, 40


def inputs(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return numbers, some of them far out, and rows."""
    rng = np.random.default_rng(seed)
    shapes = {"x": (N, 128), "y": (N, 128), "z": (N, 128), "dense": (EDGES, 128)}
    numbers = {k: rng.normal(scale=2.0, size=shape) for k, shape in shapes.items()}
    numbers["x"][0, ::3] -= 90.0
    numbers["pre"] = rng.normal(size=(2, EDGES, 64))
    numbers["norm"] = rng.normal(size=(4, 64))
    numbers["weight"] = rng.normal(size=(N, 64))
    rows = {k: torch.as_tensor(rng.integers(N, size=EDGES)) for k in ("ix", "iy", "iz")}
    return {k: torch.as_tensor(v) for k, v in numbers.items()}, rows


def energy(v: dict[str, Tensor], rows: dict[str, Tensor], plain: bool) -> Tensor:
    """Return a number that depends on both layers, with and without what can be left out."""
    ix, iy, iz = rows.values()
    hidden = gather_silu(v["x"], v["y"], v["z"], None if plain else v["dense"], ix, iy, iz)
    pre = v["pre"] + 0.1 * hidden
    pre = pre - pre.mean(dim=2, keepdim=True)  # as the linear layer before it does
    weight = None if plain else v["weight"]
    out = gate_sum(pre, v["norm"], 1e-5, weight, iy, iz, N)
    return (out * torch.linspace(-1, 1, 64, dtype=out.dtype)).sum() + out.square().sum()


def derivatives(
    numbers: dict[str, Tensor], rows: dict[str, Tensor], plain: bool
) -> dict[str, Tensor]:
    """Return the derivatives of forces on all but the norms, and of the energy itself."""
    leaves = {k: t.clone().requires_grad_() for k, t in numbers.items()}
    value = energy(leaves, rows, plain)
    moved = [t for k, t in leaves.items() if k in ("x", "y", "pre", "weight")[: 3 if plain else 4]]
    forces = torch.autograd.grad(value, moved, create_graph=True)
    total = value + sum(force.square().sum() for force in forces)
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    named = dict(zip(leaves, found, strict=True))
    return {"energy": value.detach()} | {k: t for k, t in named.items() if t is not None}


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_second_derivatives(seed, plain):
    numbers, rows = inputs(seed)
    right = derivatives(numbers, rows, plain)
    found = derivatives({k: t.float() for k, t in numbers.items()}, rows, plain)
    assert found.keys() == right.keys()
    assert len(found) == (6 if plain else 8)
    for name, expected in right.items():
        scale = float(expected.abs().max())
        np.testing.assert_allclose(found[name], expected, atol=2e-5 * scale, err_msg=name)
