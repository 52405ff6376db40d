"""CHGNet's layers, rearranged for speed, on any torch device.

The network is that of Deng et al., Nat. Mach. Intell. 5, 1031 (2023), as the package ``chgnet``
implements it; site energies agree with it to single precision. What is done differently:

* the first linear layer of each gated MLP acts on concatenated features [a_i, b_ij, a_j]; it is
  applied to atoms and bonds before they are gathered, W [a_i, b, a_j] = W1 a_i + W2 b + W3 a_j;
* on a processor what lies between the matrix products is compiled
  (:mod:`superionic.potentials.chgnet.gated_kernels`);
* bonds that take no part in angles are not updated, and the last angle update, whose result nothing
  reads, is left out.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import PotentialError

if TYPE_CHECKING:
    from torch import Tensor


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


@dataclass(frozen=True)
class Bonds:
    """Short pairs, and the angles between those that meet in an atom.

    Parameters
    ----------
    pairs : Tensor of int64, shape (n_bonds,)
        Which pairs are bonds.
    centre : Tensor of int64, shape (n_angles,)
        Atom in which two bonds meet; each unordered pair of ends once.
    bond_a, bond_b : Tensor of int64, shape (n_angles,)
        The bonds, counted among the bonds.
    sign : Tensor, shape (n_angles,)
        -1 where exactly one of the two vectors has to be reversed, else 1.
    """

    pairs: "Tensor"
    centre: "Tensor"
    bond_a: "Tensor"
    bond_b: "Tensor"
    sign: "Tensor"


def cutoffs_A(model: Any) -> tuple[float, float]:
    """Return a CHGNet's longest pair, and longest bond that takes part in angles, in A."""
    converter = model.graph_converter
    return float(converter.atom_graph_cutoff), float(converter.bond_graph_cutoff)


def reference_energies_eV(model: Any) -> NDArray[np.float64]:
    """Return the energy that an atom has by its element alone, shape (94,), Z = 1 first."""
    weight = model.composition_model.fc.weight.detach().cpu().numpy()
    return np.asarray(weight[0], dtype=np.float64)


class ChgnetNetwork:
    """The weights of a CHGNet, rearranged.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        The network; it is not changed.
    device : str or torch.device
        Where to compute.
    trainable : bool
        Whether energies and forces are differentiated by the network's own parameters, as they
        are now. It has to be on the device.

    Attributes
    ----------
    pair_cutoff, bond_cutoff : float
        Longest pair, and longest bond that takes part in angles, in A.
    reference_energies : ndarray, shape (94,)
        Energy in eV that an atom has by its element alone, Z = 1 first.

    Raises
    ------
    PotentialError
        When the architecture is not the published one.
    """

    def __init__(self, model: Any, device: Any, *, trainable: bool = False) -> None:
        import copy

        import torch

        require_published_architecture(model)
        if not trainable:
            model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
        self.pair_cutoff, self.bond_cutoff = cutoffs_A(model)
        self.reference_energies = reference_energies_eV(model)
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
        self.dtype = self._embedding.dtype
        self.device = torch.device(device)

    def site_energies(
        self, species: "Tensor", vectors: "Tensor", ends: "Tensor", other: "Tensor", bonds: Bonds
    ) -> "Tensor":
        """Return the energies of atoms without reference energies.

        Parameters
        ----------
        species : Tensor of int64, shape (n_atoms,)
            Atomic numbers less one.
        vectors : Tensor, shape (n_pairs, 3)
            First minus second atom of each pair within the pair cutoff, each pair once, in A.
        ends, other : Tensor of int64, shape (2 * n_pairs,)
            First then second atoms; second then first atoms.
        bonds : Bonds
            Pairs within the bond cutoff and the angles between them.

        Returns
        -------
        Tensor, shape (n_atoms,)
            Energies in eV.
        """
        import torch

        lengths = vectors.norm(dim=1)
        atoms = self._embedding.index_select(0, species)
        basis = self._pair_basis(lengths)
        weights = self._model.bond_weights_ag(basis)
        pair = torch.arange(len(vectors), device=vectors.device).repeat(2)
        has_angles = len(bonds.centre) > 0
        if has_angles:
            model = self._model
            start = short = model.bond_embedding(basis.index_select(0, bonds.pairs))
            length = lengths.index_select(0, bonds.pairs)
            bond_weights = model.bond_weights_bg(self._bond_basis(length))
            unit = (vectors / lengths[:, None]).index_select(0, bonds.pairs)
            a, b = bonds.bond_a, bonds.bond_b
            cosine = (unit.index_select(0, a) * unit.index_select(0, b)).sum(dim=1)
            fourier = model.angle_basis_expansion.fourier_expansion
            cosines = fourier(torch.acos(cosine * bonds.sign * (1 - 1e-6)))
            angles = model.angle_embedding(cosines).repeat(2, 1)
            once = bond_weights.index_select(0, a) * bond_weights.index_select(0, b)
            triple = _Angles(
                once.repeat(2, 1), bonds.centre.repeat(2), torch.cat([a, b]), torch.cat([b, a])
            )
        for number, (gated, out) in enumerate(self._atom_layers):
            hidden = basis @ self._basis_to_hidden[number]
            if number > 0 and has_angles:
                hidden = hidden.index_add(0, bonds.pairs, (short - start) @ gated.first[1])
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

    from superionic.potentials.chgnet.gated_kernels import gate_sum, gather_silu

    w_centre, _, w_other = gated.first
    at_centre = torch.addmm(gated.bias, atoms, w_centre)
    hidden = gather_silu(at_centre, atoms @ w_other, at_pair, None, ends, other, pair)
    pre = torch.baddbmm(gated.second_bias, hidden, gated.second)
    return gate_sum(pre, gated.norm, gated.eps, weights, pair, ends, len(atoms))


def _bond_messages(
    gated: _GatedMLP, short: "Tensor", angles: "Tensor", atoms: "Tensor", triple: _Angles
) -> "Tensor":
    import torch

    from superionic.potentials.chgnet.gated_kernels import gate_sum, gather_silu

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

    from superionic.potentials.chgnet.gated_kernels import gate_sum

    w_a, w_b, w_angle, w_centre = gated.first
    hidden = torch.addmm(gated.bias, angles, w_angle)
    hidden = hidden + (short @ w_a).index_select(0, triple.bond_a)
    hidden = hidden + (short @ w_b).index_select(0, triple.bond_b)
    hidden = hidden + (atoms @ w_centre).index_select(0, triple.centre)
    rows = torch.arange(len(angles), device=angles.device)
    pre = torch.stack(hidden.chunk(2, dim=1))
    return gate_sum(pre, gated.norm, gated.eps, None, rows, rows, len(angles))


def require_published_architecture(model: Any) -> None:
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
            f"The fast evaluation of CHGNet does not cover this network ({', '.join(faults)}).",
            hint="Evaluate complete configurations with the package itself.",
        )
