"""CHGNet for dynamics: forces only, with a Verlet list and without the work that MD never uses.

The network is that of Deng et al., Nat. Mach. Intell. 5, 1031 (2023), as the package ``chgnet``
implements it; energies and forces agree with it to single precision. What is left out or done
differently:

* no stress, no magnetic moments, no graph of the gradient, and not the last angle update, whose
  result nothing reads;
* neighbours come from a Verlet list and the graph is a handful of array operations on it, in place
  of Python objects for every edge;
* the first linear layer of each gated MLP acts on concatenated features [a_i, b_ij, a_j]; it is
  applied to atoms and bonds before they are gathered, W [a_i, b, a_j] = W1 a_i + W2 b + W3 a_j;
* what lies between the matrix products is compiled (:mod:`superionic.diffusion.gated_kernels`);
* bonds that take no part in angles are not updated;
* the gradient is taken with respect to the pair vectors, and forces are summed in double precision
  from them, so that they add up to zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.diffusion.neighbours import Angles, IntArray, Pairs, VerletList
from superionic.errors import PotentialError, UnknownElementError

if TYPE_CHECKING:
    from torch import Tensor

FloatArray = NDArray[np.float64]

DEFAULT_SKIN_A = 1.0
_N_ELEMENTS = 94


class CHGNetForceField:
    """CHGNet bound to a list of crystals.

    Parameters
    ----------
    systems : sequence of Atoms
        The crystals; their cells stay fixed. Several are evaluated as one disconnected graph.
    model : chgnet.model.CHGNet or None
        The network; the default checkpoint when None. It is not changed.
    label : str
        What identifies the weights.
    skin_A : float
        Skin of the Verlet list in A.
    device : str
        Torch device.

    Raises
    ------
    UnknownElementError
        For elements beyond Pu.
    PotentialError
        When the network's architecture is not the published one.
    """

    def __init__(
        self,
        systems: Sequence[Atoms],
        model: Any = None,
        *,
        label: str = "chgnet:default",
        skin_A: float = DEFAULT_SKIN_A,
        device: str = "cpu",
    ) -> None:
        import torch

        self.label = label
        self._device = torch.device(device)
        self._numbers = np.concatenate([atoms.numbers for atoms in systems])
        if self._numbers.max() > _N_ELEMENTS:
            raise UnknownElementError(
                f"CHGNet knows elements up to Z = {_N_ELEMENTS}, not Z = {self._numbers.max()}.",
                hint="Choose another potential.",
            )
        self._network = _Network(_load_default() if model is None else model, self._device)
        self._verlet = [
            VerletList(
                atoms.cell.array, self._network.pair_cutoff, self._network.bond_cutoff, skin_A
            )
            for atoms in systems
        ]
        self._offsets = np.cumsum([0] + [len(atoms) for atoms in systems])
        reference = self._network.reference_energies[self._numbers - 1]
        self._reference_energy = np.add.reduceat(reference, self._offsets[:-1])
        self._species = torch.as_tensor(self._numbers - 1, device=self._device)

    @property
    def n_searches(self) -> int:
        """Return how often neighbours were searched for, over all crystals."""
        return sum(verlet.n_searches for verlet in self._verlet)

    def evaluate(self, positions_A: Sequence[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        """Return energies in eV, shape (n_crystals,), and forces in eV/A of each crystal."""
        graphs = [v.graph(p) for v, p in zip(self._verlet, positions_A, strict=True)]
        pairs, vectors, bonds, angles = (
            graphs[0] if len(graphs) == 1 else _join(graphs, self._offsets)
        )
        site_energies, gradient = self._network.energies_and_gradient(
            self._species, pairs, vectors, bonds, angles
        )
        forces = np.zeros((len(self._numbers), 3))
        for axis in range(3):
            forces[:, axis] = np.bincount(
                pairs.second, gradient[:, axis], minlength=len(forces)
            ) - np.bincount(pairs.first, gradient[:, axis], minlength=len(forces))
        energies = np.add.reduceat(site_energies, self._offsets[:-1]) + self._reference_energy
        return energies, np.split(forces, self._offsets[1:-1])


def _load_default() -> Any:
    from contextlib import redirect_stdout
    from io import StringIO

    from chgnet.model import CHGNet

    with redirect_stdout(StringIO()):  # it prints its number of parameters
        return CHGNet.load(use_device="cpu", verbose=False)


def _join(
    graphs: Sequence[tuple[Pairs, FloatArray, IntArray, Angles]], offsets: IntArray
) -> tuple[Pairs, FloatArray, IntArray, Angles]:
    pair_offsets = np.cumsum([0] + [len(graph[0]) for graph in graphs])
    bond_offsets = np.cumsum([0] + [len(graph[2]) for graph in graphs])
    return (
        Pairs(
            np.concatenate([g[0].first + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[0].second + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[0].shift_A for g in graphs]),
        ),
        np.concatenate([g[1] for g in graphs]),
        np.concatenate([g[2] + o for g, o in zip(graphs, pair_offsets, strict=False)]),
        Angles(
            np.concatenate([g[3].centre + o for g, o in zip(graphs, offsets, strict=False)]),
            np.concatenate([g[3].bond_a + o for g, o in zip(graphs, bond_offsets, strict=False)]),
            np.concatenate([g[3].bond_b + o for g, o in zip(graphs, bond_offsets, strict=False)]),
            np.concatenate([g[3].sign for g in graphs]),
        ),
    )


class _GatedMLP:
    """Weights of a gated MLP, its first layer split by the blocks of its input."""

    def __init__(self, module: Any, n_blocks: int) -> None:
        import torch
        from torch import nn

        core = [layer for layer in module.mlp_core.layers if isinstance(layer, nn.Linear)]
        gate = [layer for layer in module.mlp_gate.layers if isinstance(layer, nn.Linear)]
        # A layer norm follows the last linear layer; the mean that it removes is taken out here.
        weights: Any = [[layer.weight for layer in layers] for layers in (core, gate)]
        biases: Any = [[layer.bias for layer in layers] for layers in (core, gate)]
        for part in range(2):
            weights[part][-1] = weights[part][-1] - weights[part][-1].mean(dim=0)
            biases[part][-1] = biases[part][-1] - biases[part][-1].mean()
        weight = torch.cat([weights[0][0], weights[1][0]])
        self.first = [w.t().contiguous() for w in weight.chunk(n_blocks, dim=1)]
        self.bias = torch.cat([biases[0][0], biases[1][0]])
        if len(core) == 2:
            self.second = torch.stack([weights[0][1].t(), weights[1][1].t()])
            self.second_bias = torch.stack([biases[0][1], biases[1][1]])[:, None, :]
        one, two = module.bn1, module.bn2
        self.norm = torch.stack([one.weight, one.bias, two.weight, two.bias])
        self.eps = one.eps


class _Network:
    """The weights of a CHGNet, rearranged."""

    def __init__(self, model: Any, device: Any) -> None:
        import copy

        _require_published_architecture(model)
        model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
        self.pair_cutoff = float(model.graph_converter.atom_graph_cutoff)
        self.bond_cutoff = float(model.graph_converter.bond_graph_cutoff)
        self.reference_energies = (
            model.composition_model.fc.weight.detach().cpu().numpy()[0].astype(np.float64)
        )
        self._model = model
        self._embedding = model.atom_embedding.embedding.weight
        basis = model.bond_basis_expansion
        self._pair_basis, self._bond_basis = basis.rbf_expansion_ag, basis.rbf_expansion_bg
        self._atom_layers = [
            (_GatedMLP(layer.twoBody_atom, 3), layer.mlp_out.layers[-1])
            for layer in model.atom_conv_layers
        ]
        # Only bonds within angles are ever updated: the others go from basis to hidden at once.
        self._basis_to_hidden = [
            model.bond_embedding.weight.t() @ gated.first[1] for gated, _ in self._atom_layers
        ]
        self._bond_layers = [
            (_GatedMLP(layer.twoBody_bond, 4), layer.mlp_out.layers[-1])
            for layer in model.bond_conv_layers
        ]
        self._angle_layers = [_GatedMLP(layer.twoBody_bond, 4) for layer in model.angle_layers]
        self._dtype = self._embedding.dtype
        self._device = device

    def energies_and_gradient(
        self,
        species: "Tensor",
        pairs: Pairs,
        vectors_A: FloatArray,
        bonds: IntArray,
        angles: Angles,
    ) -> tuple[FloatArray, FloatArray]:
        """Return site energies without reference, and the gradient for the pair vectors."""
        import torch

        if len(pairs) == 0:  # all atoms isolated: nothing depends on the positions
            vectors_A = np.zeros((0, 3))
        vectors = torch.tensor(
            vectors_A, dtype=self._dtype, device=self._device, requires_grad=True
        )
        ends = torch.as_tensor(np.concatenate([pairs.first, pairs.second]), device=self._device)
        other = torch.as_tensor(np.concatenate([pairs.second, pairs.first]), device=self._device)
        graph = (
            torch.as_tensor(bonds, device=self._device),
            torch.as_tensor(np.concatenate([angles.centre, angles.centre]), device=self._device),
            torch.as_tensor(np.concatenate([angles.bond_a, angles.bond_b]), device=self._device),
            torch.as_tensor(np.concatenate([angles.bond_b, angles.bond_a]), device=self._device),
            torch.as_tensor(angles.sign, dtype=self._dtype, device=self._device),
        )
        site_energies = self._site_energies(species, vectors, ends, other, graph)
        (gradient,) = torch.autograd.grad(site_energies.sum(), vectors)
        return (
            site_energies.detach().cpu().numpy().astype(np.float64),
            gradient.cpu().numpy().astype(np.float64),
        )

    def _site_energies(
        self,
        species: "Tensor",
        vectors: "Tensor",
        ends: "Tensor",
        other: "Tensor",
        graph: tuple["Tensor", "Tensor", "Tensor", "Tensor", "Tensor"],
    ) -> "Tensor":
        import torch

        bonds, centre, bond_a, bond_b, sign = graph
        lengths = vectors.norm(dim=1)
        atoms = self._embedding.index_select(0, species)
        basis = self._pair_basis(lengths)
        weights = self._model.bond_weights_ag(basis)
        pair = torch.arange(len(vectors), device=vectors.device).repeat(2)
        has_angles = len(centre) > 0
        if has_angles:
            model = self._model
            start = short = model.bond_embedding(basis.index_select(0, bonds))
            bond_weights = model.bond_weights_bg(self._bond_basis(lengths.index_select(0, bonds)))
            half = len(sign)
            unit = (vectors / lengths[:, None]).index_select(0, bonds)
            cosine = (
                unit.index_select(0, bond_a[:half]) * unit.index_select(0, bond_b[:half])
            ).sum(dim=1)
            fourier = model.angle_basis_expansion.fourier_expansion
            cosines = fourier(torch.acos(cosine * sign * (1 - 1e-6)))
            angles = model.angle_embedding(cosines).repeat(2, 1)
            once = bond_weights.index_select(0, bond_a[:half]) * bond_weights.index_select(
                0, bond_b[:half]
            )
            triple = _Angles(once.repeat(2, 1), centre, bond_a, bond_b)
        for number, (gated, out) in enumerate(self._atom_layers):
            hidden = basis @ self._basis_to_hidden[number]
            if number > 0 and has_angles:
                hidden = hidden.index_add(0, bonds, (short - start) @ gated.first[1])
            atoms = atoms + out(_atom_messages(gated, atoms, hidden, weights, ends, other, pair))
            if number == len(self._bond_layers) or not has_angles:
                continue
            gated, out = self._bond_layers[number]
            short = short + out(_bond_messages(gated, short, angles, atoms, triple))
            if number < len(self._bond_layers) - 1:
                gated = self._angle_layers[number]
                angles = angles + _angle_update(gated, short, angles, atoms, triple)
        return self._model.mlp(self._model.readout_norm(atoms)).squeeze(1)


@dataclass(frozen=True)
class _Angles:
    """Ordered pairs of bonds: their weights and the rows of centre, first and second bond."""

    weights: "Tensor"
    centre: "Tensor"
    bond_a: "Tensor"
    bond_b: "Tensor"


def _atom_messages(
    gated: _GatedMLP,
    atoms: "Tensor",
    at_pair: "Tensor",
    weights: "Tensor",
    ends: "Tensor",
    other: "Tensor",
    pair: "Tensor",
) -> "Tensor":
    import torch

    from superionic.diffusion.gated_kernels import gate_sum, gather_silu

    w_centre, _, w_other = gated.first
    at_centre = torch.addmm(gated.bias, atoms, w_centre)
    hidden = gather_silu(at_centre, atoms @ w_other, at_pair, None, ends, other, pair)
    pre = torch.baddbmm(gated.second_bias, hidden, gated.second)
    return gate_sum(pre, gated.norm, gated.eps, weights, pair, ends, len(atoms))


def _bond_messages(
    gated: _GatedMLP, short: "Tensor", angles: "Tensor", atoms: "Tensor", triple: _Angles
) -> "Tensor":
    import torch

    from superionic.diffusion.gated_kernels import gate_sum, gather_silu

    w_a, w_b, w_angle, w_centre = gated.first
    hidden = gather_silu(
        short @ w_a,
        short @ w_b,
        torch.addmm(gated.bias, atoms, w_centre),
        angles @ w_angle,
        triple.bond_a,
        triple.bond_b,
        triple.centre,
    )
    pre = torch.baddbmm(gated.second_bias, hidden, gated.second)
    rows = torch.arange(len(angles), device=angles.device)
    return gate_sum(pre, gated.norm, gated.eps, triple.weights, rows, triple.bond_a, len(short))


def _angle_update(
    gated: _GatedMLP, short: "Tensor", angles: "Tensor", atoms: "Tensor", triple: _Angles
) -> "Tensor":
    import torch

    from superionic.diffusion.gated_kernels import gate_sum

    w_a, w_b, w_angle, w_centre = gated.first
    hidden = torch.addmm(gated.bias, angles, w_angle)
    hidden = hidden + (short @ w_a).index_select(0, triple.bond_a)
    hidden = hidden + (short @ w_b).index_select(0, triple.bond_b)
    hidden = hidden + (atoms @ w_centre).index_select(0, triple.centre)
    rows = torch.arange(len(angles), device=angles.device)
    pre = torch.stack(hidden.chunk(2, dim=1))
    return gate_sum(pre, gated.norm, gated.eps, None, rows, rows, len(angles))


def _require_published_architecture(model: Any) -> None:
    """Refuse a network that this module does not compute exactly.

    Raises
    ------
    PotentialError
        Naming what differs.
    """
    expected = {
        "gMLP_norm": "layer",
        "readout_norm": "layer",
        "non_linearity": "silu",
        "mlp_first": True,
        "is_intensive": True,
        "update_bond": True,
        "update_angle": True,
        "atom_conv_hidden_dim": 64,
        "bond_conv_hidden_dim": 64,
        "angle_layer_hidden_dim": 0,
        "mlp_out_bias": False,
    }
    faults = [
        f"{name} = {model.model_args.get(name)!r}"
        for name, value in expected.items()
        if model.model_args.get(name) != value
    ]
    if faults:
        raise PotentialError(
            f"The fast CHGNet forces do not cover this network ({', '.join(faults)}).",
            hint="Use PotentialForceField with it.",
        )
