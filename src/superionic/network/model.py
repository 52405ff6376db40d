"""The network: E(3)-equivariant message passing over accelerations.

Features of an atom are real spherical tensors of orders 0 to l_max with natural parity (-1)^l, as
those of a polar vector have; harmonics and coupling coefficients are e3nn's (Geiger & Smidt, arXiv
2207.09453). An array of features has shape (n_atoms, (l_max + 1)^2, channels): the orders one after
the other, the channels last, so that each order is mixed by one matrix.

A round of message passing has two parts. Along edges, cheap: neighbours send their tensors, and
their scalars times the harmonics of the edge, each with weights that depend on the distance; and
the scalar products of their tensors with the harmonics. On atoms, where there are thirty times
fewer: products of all pairs of orders between what arrived and what was there (compare PaiNN, arXiv
2102.03150, and MACE, arXiv 2206.07697). The work on edges is then a fifth of that of a full tensor
product on each of them.

All is a mean over neighbours with a fixed denominator, and over the atoms of a crystal, so that a
repeated cell has the same features as the cell.
"""

from collections.abc import Mapping

import torch
from e3nn import o3
from torch import Tensor, nn

from superionic.network import keys
from superionic.network.messages import edge_messages, supports
from superionic.network.settings import TARGET, NetworkSettings


class ForceNetwork(nn.Module):
    """Targets of a crystal from accelerations and edge vectors, and nothing else.

    Parameters
    ----------
    settings : NetworkSettings
        Its shape.
    targets : tuple of str
        Names of what it predicts; the first is the slope.

    Attributes
    ----------
    target_mean, target_std : Tensor, shape (n_targets,)
        Of the training set; predictions are in the targets' own units.
    mean_neighbours : Tensor, shape ()
        Of the training set.
    """

    keys = keys.INPUTS
    target_mean: Tensor
    target_std: Tensor
    mean_neighbours: Tensor

    def __init__(self, settings: NetworkSettings, targets: tuple[str, ...] = (TARGET,)) -> None:
        super().__init__()
        self.settings = settings
        self.targets = targets
        self.register_buffer("target_mean", torch.zeros(len(targets)))
        self.register_buffer("target_std", torch.ones(len(targets)))
        self.register_buffer("mean_neighbours", torch.tensor(30.0))
        width = settings.readout_hidden
        self.embedding = _Embedding(settings)
        self.layers = nn.ModuleList([_Layer(settings) for _ in range(settings.n_layers)])
        self.readout = nn.Sequential(
            nn.Linear(settings.channels * (settings.n_layers + 1), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.attention = nn.Linear(width, 1)
        self.head = nn.Sequential(
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, len(targets))
        )

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return predictions and features.

        Parameters
        ----------
        batch : mapping of str to Tensor
            Exactly the keys of :data:`superionic.network.keys.INPUTS`.

        Returns
        -------
        dict of str to Tensor
            ``targets``, ``graph_features`` and ``node_features``, with the shapes that
            :mod:`superionic.network.keys` states.

        Raises
        ------
        ValueError
            When the batch holds anything else, or shapes are wrong.
        """
        nodes = self.node_features(batch)
        graphs = self.pool(nodes, batch[keys.GRAPH_INDEX])
        standardised = self.head(graphs)
        return {
            keys.TARGETS: self.target_mean + self.target_std * standardised,
            keys.GRAPH_FEATURES: graphs,
            keys.NODE_FEATURES: nodes,
        }

    def node_features(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the invariants of each atom, shape (n_atoms, readout_hidden)."""
        keys.require_keys(batch, self.keys)
        vectors = batch[keys.EDGE_VECTORS]
        receiver, sender = batch[keys.EDGE_INDEX]
        lengths = vectors.norm(dim=1)
        harmonics = self.embedding.harmonics(vectors)
        radial = radial_basis(lengths, self.settings.cutoff_A, self.settings.n_radial)
        scale = self.mean_neighbours.rsqrt()
        x = self.node_inputs(batch)
        scalars = [x[:, 0]]
        for layer in self.layers:
            x = layer(x, harmonics, radial, receiver, sender, scale)
            scalars.append(x[:, 0])
        nodes: Tensor = self.readout(torch.cat(scalars, dim=1))
        return nodes

    def node_inputs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the first features of the atoms; control experiments replace this."""
        embedded: Tensor = self.embedding(batch[keys.ACCELERATIONS])
        return embedded

    def pool(self, nodes: Tensor, graph_index: Tensor) -> Tensor:
        """Return the mean and the attention-weighted mean over the atoms of each crystal.

        Mobile ions are a part of a crystal, which a mean dilutes; softmax weights find them. Both
        are intensive: each copy of an atom counts in numerator and denominator.
        """
        n_graphs = int(graph_index[-1]) + 1
        logits = self.attention(nodes)[:, 0]
        highest = logits.new_full((n_graphs,), -torch.inf)
        highest = highest.scatter_reduce(0, graph_index, logits.detach(), "amax")
        weight = (logits - highest[graph_index]).exp()
        total = weight.new_zeros(n_graphs).index_add(0, graph_index, weight)
        count = weight.new_zeros(n_graphs).index_add(0, graph_index, torch.ones_like(weight))
        empty = nodes.new_zeros(n_graphs, nodes.shape[1])
        attended = empty.index_add(0, graph_index, nodes * weight[:, None]) / total[:, None]
        mean = empty.index_add(0, graph_index, nodes) / count[:, None]
        return torch.cat([mean, attended], dim=1)


class _Embedding(nn.Module):
    """Accelerations as the first features of atoms."""

    order_of_row: Tensor

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.scale = settings.acceleration_scale_A_per_ps2
        self.orders = list(range(settings.l_max + 1))
        self.n_magnitude = settings.n_magnitude
        self.top = settings.max_compressed
        self.scalars = nn.Linear(settings.n_magnitude + 1, settings.channels)
        self.tensors = nn.Parameter(torch.randn(settings.l_max, settings.channels))
        self.register_buffer("order_of_row", torch.tensor(_rows(settings.l_max)), persistent=False)

    def harmonics(self, vectors: Tensor) -> Tensor:
        """Return real spherical harmonics, component-normalised; of a zero vector, zero for l>0."""
        lengths = vectors.norm(dim=1, keepdim=True)
        unit = vectors / lengths.clamp_min(torch.finfo(vectors.dtype).tiny)
        found: Tensor = o3.spherical_harmonics(self.orders, unit, False, "component")
        return found

    def forward(self, accelerations: Tensor) -> Tensor:
        magnitude = accelerations.norm(dim=1)
        compressed = torch.log1p(magnitude / self.scale)
        centres = torch.linspace(0.0, self.top, self.n_magnitude).to(compressed)
        spacing = self.top / (self.n_magnitude - 1)
        bumps = torch.exp(-(((compressed[:, None] - centres) / spacing) ** 2))
        scalars = self.scalars(torch.cat([bumps, compressed[:, None] / self.top], dim=1))
        # Order l takes the l-th harmonics of the direction: for l = 1, the compressed vector.
        weights = self.tensors[self.order_of_row[1:] - 1]
        tensors = (self.harmonics(accelerations)[:, 1:] * compressed[:, None])[:, :, None] * weights
        return torch.cat([scalars[:, None], tensors], dim=1)


class _Layer(nn.Module):
    """One round: messages along edges, products on atoms, a gated update."""

    order_of_row: Tensor

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        l_max, channels = settings.l_max, settings.channels
        self.l_max, self.channels = l_max, channels
        self.sizes = [2 * order + 1 for order in range(l_max + 1)]
        self.register_buffer("order_of_row", torch.tensor(_rows(l_max)), persistent=False)
        self.n_weights = 3 * l_max + 2  # a tensor, a harmonic (l >= 0); a scalar product (l >= 1)
        self.radial = nn.Sequential(
            nn.Linear(settings.n_radial, settings.radial_hidden, bias=False),
            nn.SiLU(),
            nn.Linear(settings.radial_hidden, self.n_weights * channels, bias=False),
        )
        self.norm = nn.LayerNorm(channels)
        self.before = _Mix(l_max, channels)
        self.product = _Product(l_max, channels)
        self.after = _Mix(l_max, channels)
        self.message = _Mix(l_max, channels)
        self.gate = nn.Linear(channels, channels * (l_max + 1))

    def forward(
        self,
        x: Tensor,
        harmonics: Tensor,
        radial: Tensor,
        receiver: Tensor,
        sender: Tensor,
        scale: Tensor,
    ) -> Tensor:
        h = torch.cat([self.norm(x[:, :1]), x[:, 1:]], dim=1)
        arrived = self._messages(h, harmonics, radial, receiver, sender) * scale
        update = self.message(arrived) + self.after(self.product(self.before(h) + arrived, arrived))
        gates = self.gate(update[:, 0]).view(len(x), self.l_max + 1, self.channels)
        scalars = nn.functional.silu(gates[:, :1])
        tensors = update[:, 1:] * torch.sigmoid(gates[:, 1:])[:, self.order_of_row[1:] - 1]
        return x + torch.cat([scalars, tensors], dim=1)

    def _messages(
        self, h: Tensor, harmonics: Tensor, radial: Tensor, receiver: Tensor, sender: Tensor
    ) -> Tensor:
        weights = self.radial(radial).unflatten(1, (self.n_weights, -1))
        if supports(h, harmonics):
            return edge_messages(h, harmonics, weights, receiver, sender)
        return self.torch_messages(h, harmonics, weights, receiver, sender)

    def torch_messages(
        self, h: Tensor, harmonics: Tensor, weights: Tensor, receiver: Tensor, sender: Tensor
    ) -> Tensor:
        """Return what :func:`superionic.network.messages.edge_messages` does, on any device."""
        # split and unbind, not slices: the gradient of a slice is a whole array of zeros.
        each = weights[:, :, None].unbind(1)
        sent = h.index_select(0, sender).split(self.sizes, dim=1)
        directions = harmonics[:, :, None].split(self.sizes, dim=1)
        n_orders = self.l_max + 1
        parts = []
        dots = torch.zeros_like(sent[0])
        for order, (tensor, direction) in enumerate(zip(sent, directions, strict=True)):
            along = direction * (sent[0] * each[n_orders + order])
            parts.append(tensor * each[order] + along)
            if order > 0:
                dot = (tensor * direction).sum(dim=1, keepdim=True)
                dots = dots + dot * each[2 * n_orders + order - 1]
        message = torch.cat([parts[0] + dots, *parts[1:]], dim=1)
        return torch.zeros_like(h).index_add(0, receiver, message)


class _Mix(nn.Module):
    """Each order's channels mixed by a matrix; the same for all components of an order."""

    order_of_row: Tensor

    def __init__(self, l_max: int, channels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(l_max + 1, channels, channels) / channels**0.5)
        self.register_buffer("order_of_row", torch.tensor(_rows(l_max)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # (rows, atoms, channels) @ (rows, channels, channels)
        return torch.bmm(x.transpose(0, 1), self.weights[self.order_of_row]).transpose(0, 1)


class _Product(nn.Module):
    """Products of two sets of tensors, channel by channel, all pairs of orders that parity allows.

    (x y)_l3 = sum over l1, l2 of w[l1, l2, l3] C(l1, l2, l3) x_l1 y_l2, with e3nn's real Wigner 3j
    symbols as C and l1 + l2 + l3 even.
    """

    def __init__(self, l_max: int, channels: int) -> None:
        super().__init__()
        orders = range(l_max + 1)
        self.paths = [
            (a, b, c)
            for a in orders
            for b in orders
            for c in orders
            if abs(a - b) <= c <= a + b and (a + b + c) % 2 == 0
        ]
        self.sizes = [2 * order + 1 for order in orders]
        self.weights = nn.Parameter(torch.randn(len(self.paths), channels))
        for path in self.paths:
            number = sum(1 for other in self.paths if other[2] == path[2])
            coupling = o3.wigner_3j(*path) * ((2 * path[2] + 1) / number) ** 0.5
            self.register_buffer(_name(path), coupling, persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        left, right = x.split(self.sizes, dim=1), y.split(self.sizes, dim=1)
        parts: list[Tensor | None] = [None] * len(self.sizes)
        for path, weight in zip(self.paths, self.weights.unbind(0), strict=True):
            a, b, c = path
            pairs = (left[a][:, :, None] * right[b][:, None]).flatten(1, 2)
            coupling = getattr(self, _name(path)).reshape(-1, 2 * c + 1).T
            term = (coupling @ pairs) * weight
            parts[c] = term if parts[c] is None else parts[c] + term
        return torch.cat([part for part in parts if part is not None], dim=1)


def radial_basis(lengths_A: Tensor, cutoff_A: float, n_radial: int) -> Tensor:
    """Return Bessel functions times a smooth cutoff, shape (n_edges, n_radial).

    sqrt(2/c) sin(n pi r/c) / r times 1 - 28 u^6 + 48 u^7 - 21 u^8 with u = r/c (Gasteiger et al.,
    arXiv 2003.03123): value and two derivatives vanish at the cutoff.
    """
    u = (lengths_A / cutoff_A).clamp(max=1.0)[:, None]
    sine, twice_cosine = torch.sin(torch.pi * u), 2 * torch.cos(torch.pi * u)
    sines = [torch.zeros_like(sine), sine]
    for _ in range(n_radial - 1):  # sin (n + 1) x = 2 cos x sin n x - sin (n - 1) x
        sines.append(twice_cosine * sines[-1] - sines[-2])
    bessel = (2.0 / cutoff_A) ** 0.5 * torch.cat(sines[1:], dim=1) / (u * cutoff_A).clamp_min(1e-3)
    return bessel * (1 - 28 * u**6 + 48 * u**7 - 21 * u**8)


def _rows(l_max: int) -> list[int]:
    """Return the order of each of the (l_max + 1)^2 components."""
    return [order for order in range(l_max + 1) for _ in range(2 * order + 1)]


def _name(path: tuple[int, int, int]) -> str:
    return "coupling_{}_{}_{}".format(*path)
