"""Features of every order turn with the crystal: a layer's against Wigner's matrices of e3nn."""

import pytest
import torch
from e3nn import o3

from superionic.network.messages import edge_messages, supports
from superionic.network.model import _Embedding, _Layer
from superionic.network.settings import NetworkSettings

CHANNELS = 16
PRECISIONS = [(torch.float32, 2e-4), (torch.float64, 1e-10)]


def turns() -> dict[str, torch.Tensor]:
    """Return a rotation, the inversion, and a reflection, in float64."""
    generator = torch.Generator().manual_seed(5)
    angles = 3.0 * torch.rand(3, generator=generator, dtype=torch.float64)
    rotation = o3.angles_to_matrix(*angles)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    return {
        "rotation": rotation,
        "inversion": -torch.eye(3, dtype=torch.float64),
        "reflection": rotation @ mirror @ rotation.T,
    }


def wigner(l_max: int, turn: torch.Tensor) -> torch.Tensor:
    """Return what turns features of natural parity, ((l_max + 1)^2, (l_max + 1)^2)."""
    irreps = o3.Irreps([(1, (order, (-1) ** order)) for order in range(l_max + 1)])
    return irreps.D_from_matrix(turn)


@pytest.fixture(autouse=True)
def exact():
    """Let e3nn make its matrices in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Problem:
    """Five atoms with features of all orders, and the vectors between them."""

    def __init__(self, l_max: int) -> None:
        generator = torch.Generator().manual_seed(l_max)
        settings = NetworkSettings(l_max=l_max, channels=CHANNELS)
        torch.manual_seed(l_max)
        self.embedding, self.layer = _Embedding(settings), _Layer(settings)
        self.features = torch.randn(5, (l_max + 1) ** 2, CHANNELS, generator=generator)
        self.vectors = torch.randn(40, 3, generator=generator)
        self.radial = torch.randn(40, settings.n_radial, generator=generator)
        self.ends = torch.randint(0, 5, (2, 40), generator=generator)
        self.scale = torch.tensor(0.4)

    def layer_of(self, features, vectors, dtype):
        """Return the features after one layer; its messages are compiled in single precision."""
        layer, harmonics = self.layer.to(dtype), self.embedding.harmonics(vectors.to(dtype))
        assert supports(features.to(dtype), harmonics) is (dtype == torch.float32)
        given = (features.to(dtype), harmonics, self.radial.to(dtype), *self.ends)
        with torch.no_grad():
            return layer(*given, self.scale.to(dtype)).double()


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("kind", ["rotation", "inversion", "reflection"])
@pytest.mark.parametrize("l_max", [1, 2, 3, 4])
def test_a_layer_turns_its_output_as_its_input(l_max, kind, dtype, tolerance):
    turn, problem = turns()[kind], Problem(l_max)
    matrix = wigner(l_max, turn)
    before = problem.layer_of(problem.features, problem.vectors, dtype)
    turned = problem.layer_of(matrix @ problem.features, problem.vectors @ turn.T, dtype)
    torch.testing.assert_close(turned, matrix @ before, rtol=tolerance, atol=tolerance)
    # Each order has something to turn, and turns.
    for order in range(l_max + 1):
        rows = slice(order**2, (order + 1) ** 2)
        changed = (turned[:, rows] - before[:, rows]).abs().max()
        assert bool(changed > 0.1) is (order % 2 == 1 if kind == "inversion" else order > 0)
        assert (before - problem.features)[:, rows].abs().max() > 0.1


@pytest.mark.parametrize("l_max", [1, 2, 3, 4])
def test_compiled_messages_turn(l_max):
    turn, problem = turns()["reflection"], Problem(l_max)
    matrix = wigner(l_max, turn)
    weights = torch.randn(40, 3 * l_max + 2, CHANNELS)

    def messages(features, vectors):
        harmonics = problem.embedding.harmonics(vectors).float()
        given = (features.float(), harmonics, weights.float(), *problem.ends)
        return edge_messages(*given).double()

    before = messages(problem.features, problem.vectors)
    turned = messages(matrix @ problem.features, problem.vectors @ turn.T)
    torch.testing.assert_close(turned, matrix @ before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("kind", ["rotation", "inversion", "reflection"])
@pytest.mark.parametrize("l_max", [1, 2, 3, 4])
def test_the_first_features_turn_with_the_accelerations(l_max, kind, dtype, tolerance):
    turn, problem = turns()[kind], Problem(l_max)
    accelerations = problem.vectors * 500.0
    embedding = problem.embedding.to(dtype)
    with torch.no_grad():
        before = embedding(accelerations.to(dtype)).double()
        turned = embedding((accelerations @ turn.T).to(dtype)).double()
    torch.testing.assert_close(turned, wigner(l_max, turn) @ before, rtol=tolerance, atol=tolerance)
