"""Compiled messages against the same sums by torch in double precision, and their gradients."""

import pytest
import torch

from superionic.network.messages import edge_messages, supports
from superionic.network.model import _Layer
from superionic.network.settings import NetworkSettings


def problem(l_max: int, channels: int, dtype=torch.float32):
    random = torch.Generator().manual_seed(l_max)
    n_atoms, n_edges = 7, 60
    features = torch.randn(n_atoms, (l_max + 1) ** 2, channels, generator=random)
    harmonics = torch.randn(n_edges, (l_max + 1) ** 2, generator=random)
    weights = torch.randn(n_edges, 3 * l_max + 2, channels, generator=random)
    # Atom 0 receives nothing, and some edges join an atom to itself.
    receiver = torch.randint(1, n_atoms, (n_edges,), generator=random)
    sender = torch.randint(0, n_atoms, (n_edges,), generator=random)
    features, weights = (x.to(dtype).requires_grad_() for x in (features, weights))
    return features, harmonics.to(dtype), weights, receiver, sender


@pytest.mark.parametrize(("l_max", "channels"), [(1, 16), (2, 16), (2, 32), (3, 16)])
def test_messages_and_gradients_are_those_of_torch(l_max, channels):
    layer = _Layer(NetworkSettings(l_max=l_max, channels=channels))
    exact = problem(l_max, channels, torch.float64)
    fast = problem(l_max, channels)
    assert supports(fast[0], fast[1])
    expected, found = layer.torch_messages(*exact), edge_messages(*fast)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert (found[0] == 0).all()
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected.backward(direction.double())
    found.backward(direction)
    for one, other in zip(fast, exact, strict=True):
        if other.requires_grad:
            torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-5, atol=1e-4)
    again = problem(l_max, channels)
    repeated = edge_messages(*again)
    repeated.backward(direction)
    assert torch.equal(repeated, found)
    assert torch.equal(again[0].grad, fast[0].grad)
    assert torch.equal(again[2].grad, fast[2].grad)


def test_other_precisions_widths_and_gradients_are_left_to_torch():
    features, harmonics, *_ = problem(1, 16)
    assert not supports(features.double(), harmonics.double())
    assert not supports(features[:, :, :8], harmonics)
    assert not supports(features, harmonics.requires_grad_())


def test_the_network_is_the_same_with_both(monkeypatch):
    layer = _Layer(NetworkSettings(l_max=2, channels=16))
    features, harmonics, _, receiver, sender = problem(2, 16)
    radial = torch.randn(len(receiver), layer.radial[0].in_features)
    scale = torch.tensor(0.2)
    compiled = layer(features, harmonics, radial, receiver, sender, scale)
    monkeypatch.setattr("superionic.network.model.supports", lambda *_: False)
    plain = layer(features, harmonics, radial, receiver, sender, scale)
    assert not torch.equal(compiled, torch.zeros_like(compiled))
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-4)
