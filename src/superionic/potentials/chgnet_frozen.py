"""CHGNet's energy as a function of the position of one ion in a frozen framework.

The framework's graph, bases and whatever of the first layers does not change are computed once; per
position only the mobile ion's bonds and angles are found and the features recomputed, in compiled
code (:mod:`superionic.potentials.chgnet_kernels`). Same energies as the model's own forward pass,
up to float32 rounding.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from superionic.errors import PotentialError
from superionic.potentials.base import FrozenFramework
from superionic.potentials.chgnet_kernels import (
    TILE,
    WIDTH,
    Float,
    Framework,
    GatedStack,
    Int,
    Weights,
    Workspace,
    atom_messages,
    energies,
)

if TYPE_CHECKING:
    from chgnet.model import CHGNet
    from chgnet.model.functions import GatedMLP

_BASIS = 32
"""Rows of basis maps: 31 functions and one of zeros."""


class ChgnetFrozenFramework(FrozenFramework):
    """Energies of one crystal as CHGNet gives them, with one ion anywhere.

    Parameters
    ----------
    model : CHGNet
        Model of the architecture of chgnet 0.3.0; its weights are copied.
    atoms : Atoms
        The crystal, periodic in three directions.
    mobile_index : int
        Index of the ion that moves. Its periodic images move along.
    batch_size : int or None
        Positions handed to a thread at a time; chosen automatically when None. Memory does not
        depend on it: positions are evaluated one by one.

    Raises
    ------
    PotentialError
        If the model is of another architecture (see :func:`supports`).

    Notes
    -----
    As many threads are used as ``torch.get_num_threads()`` says at the time of the call.
    """

    def __init__(
        self, model: "CHGNet", atoms: Atoms, mobile_index: int, *, batch_size: int | None = None
    ) -> None:
        if not supports(model):
            raise PotentialError(
                "This CHGNet model is not of the architecture of chgnet 0.3.0.",
                hint="Evaluate complete configurations instead of a frozen framework.",
            )
        self._weights = pack_weights(model)
        self._framework, template = _build(model, self._weights, atoms, mobile_index)
        self._reference_eV = _reference_energy(model, atoms)
        self._batch_size = batch_size
        self._workspaces = [template]

    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return total energies with the mobile ion at each position.

        Parameters
        ----------
        positions_A : ndarray, shape (m, 3)
            Cartesian positions of the mobile ion in A, anywhere in space.

        Returns
        -------
        ndarray, shape (m,)
            Total energies in eV; not checked for NaN.
        """
        positions = np.ascontiguousarray(positions_A, dtype=np.float64).reshape(-1, 3)
        result = np.empty(len(positions))
        n_threads = max(1, min(torch.get_num_threads(), len(positions)))
        while len(self._workspaces) < n_threads:
            self._workspaces.append(Workspace(*(a.copy() for a in self._workspaces[0])))
        size = self._batch_size or min(256, -(-len(positions) // n_threads)) or 1
        free = self._workspaces[:n_threads]

        def evaluate(start: int) -> None:
            workspace = free.pop()
            chunk = slice(start, start + size)
            energies(positions[chunk], self._weights, self._framework, workspace, result[chunk])
            free.append(workspace)

        starts = range(0, len(positions), size)
        if n_threads == 1:
            for start in starts:
                evaluate(start)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(evaluate, starts))
        return result + self._reference_eV


def supports(model: "CHGNet") -> bool:
    """Return whether a model has the architecture that the kernels are written for.

    That is chgnet 0.3.0's (its r2SCAN variant included): widths of 64, gated layers with LayerNorm
    and SiLU, no bias after aggregation, sum over atomic energies.
    """
    args = model.model_args
    wanted = {
        "atom_fea_dim": WIDTH,
        "bond_fea_dim": WIDTH,
        "angle_fea_dim": WIDTH,
        "num_radial": _BASIS - 1,
        "num_angular": _BASIS - 1,
        "atom_conv_hidden_dim": WIDTH,
        "bond_conv_hidden_dim": WIDTH,
        "angle_layer_hidden_dim": 0,
        "update_bond": True,
        "update_angle": True,
        "mlp_first": True,
        "non_linearity": "silu",
        "gMLP_norm": "layer",
        "readout_norm": "layer",
        "is_intensive": True,
    }
    unwanted = {"mlp_out_bias", "conv_norm"}
    return (
        all(args.get(key) == value for key, value in wanted.items())
        and tuple(args.get("mlp_hidden_dims", ())) == (WIDTH,) * 3
        and args.get("n_conv", 0) >= 2
        and args.get("final_mlp", "MLP") in {"normal", "MLP"}
        and not any(args.get(key) for key in unwanted)
    )


def pack_weights(model: "CHGNet") -> Weights:
    """Return a model's weights in the kernels' layout (see :class:`Weights`)."""
    atom = _stack(
        [layer.twoBody_atom for layer in model.atom_conv_layers],
        [layer.mlp_out for layer in model.atom_conv_layers],
        n_inputs=3,
    )
    bond = _stack(
        [layer.twoBody_bond for layer in model.bond_conv_layers],
        [layer.mlp_out for layer in model.bond_conv_layers],
        n_inputs=4,
    )
    angle = _stack([layer.twoBody_bond for layer in model.angle_layers], [], n_inputs=4)
    embed = np.zeros((4, _BASIS, WIDTH), np.float32)
    for k, module in enumerate(
        (model.bond_weights_ag, model.bond_embedding, model.bond_weights_bg, model.angle_embedding)
    ):
        embed[k, : _BASIS - 1] = _numpy(module.weight).T
    readout = [m for m in model.mlp.layers if isinstance(m, torch.nn.Linear)]
    radial = model.bond_basis_expansion.rbf_expansion_ag
    short = model.bond_basis_expansion.rbf_expansion_bg
    return Weights(
        atom=atom,
        bond=bond,
        angle=angle,
        radial_frequencies=_numpy(radial.frequencies),
        short_frequencies=_numpy(short.frequencies),
        angular_frequencies=_numpy(model.angle_basis_expansion.fourier_expansion.frequencies),
        embed=embed,
        radial_parts=_compose(embed[1], atom.inputs[:, 1]),
        angular_parts=_compose(embed[3], np.stack([bond.inputs[0, 2], angle.inputs[0, 2]])),
        norm=np.stack([_numpy(model.readout_norm.weight), _numpy(model.readout_norm.bias)]),
        readout=np.stack([_numpy(m.weight).T for m in readout[:-1]]),
        readout_bias=np.stack([_numpy(m.bias) for m in readout[:-1]]),
        last=_numpy(readout[-1].weight)[0],
        last_bias=float(readout[-1].bias.item()),
        cutoff_A=float(model.graph_converter.atom_graph_cutoff),
        short_cutoff_A=float(model.graph_converter.bond_graph_cutoff),
        envelope_power=float(radial.smooth_cutoff.p),
    )


def _numpy(tensor: torch.Tensor) -> Float:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)


def _compose(first: Float, second: Float) -> Float:
    """Return the product of a linear map and each of a stack, in float64 on the way."""
    return np.ascontiguousarray(first.astype(np.float64) @ second.astype(np.float64), np.float32)


def _stack(
    mlps: Sequence["GatedMLP"], outs: Sequence[torch.nn.Module], n_inputs: int
) -> GatedStack:
    """Pack gated layers; see :class:`GatedStack`."""
    inputs, bias, second, second_bias = [], [], [], []
    for mlp in mlps:
        halves = []
        for half in (mlp.mlp_core, mlp.mlp_gate):
            linear = [m for m in half.layers if isinstance(m, torch.nn.Linear)]
            maps = [
                (_numpy(m.weight).T.astype(np.float64), _numpy(m.bias).astype(np.float64))
                for m in linear
            ]
            # LayerNorm follows the last map: take the mean over its outputs out.
            w, b = maps[-1]
            maps[-1] = (w - w.mean(axis=1, keepdims=True), b - b.mean())
            if len(maps) == 1:
                maps.append((np.zeros((WIDTH, WIDTH)), np.zeros(WIDTH)))
            halves.append(maps)
        inputs.append(
            np.stack([maps[0][0].reshape(n_inputs, WIDTH, WIDTH) for maps in halves], axis=1)
        )
        bias.append(np.concatenate([maps[0][1] for maps in halves]))
        second.append(np.stack([maps[1][0] for maps in halves]))
        second_bias.append(np.concatenate([maps[1][1] for maps in halves]))
    out = [_numpy(m.layers[-1].weight).T for m in outs] or [np.zeros((WIDTH, WIDTH))] * len(mlps)
    arrays = (
        inputs,
        bias,
        second,
        second_bias,
        [np.concatenate([_numpy(m.bn1.weight), _numpy(m.bn2.weight)]) for m in mlps],
        [np.concatenate([_numpy(m.bn1.bias), _numpy(m.bn2.bias)]) for m in mlps],
        out,
    )
    return GatedStack(*(np.ascontiguousarray(np.stack(a), dtype=np.float32) for a in arrays))


def _reference_energy(model: "CHGNet", atoms: Atoms) -> float:
    """Return the sum of the atomic reference energies in eV."""
    if model.composition_model is None:
        return 0.0
    per_element = _numpy(model.composition_model.fc.weight)[0].astype(np.float64)
    return float(per_element[atoms.numbers - 1].sum())


def _build(
    model: "CHGNet", weights: Weights, atoms: Atoms, mobile_index: int
) -> tuple[Framework, Workspace]:
    """Build the framework and a workspace that holds its rows."""
    n_atoms = len(atoms)
    mobile = range(n_atoms)[mobile_index]
    centre, neighbour, bond, unit, distance = _framework_edges(atoms, mobile, weights.cutoff_A)
    is_short = distance < weights.short_cutoff_A
    # Long bonds first, each kind numbered in order of appearance.
    lengths = np.zeros(bond.max(initial=-1) + 1)
    lengths[bond] = distance
    order = np.argsort(lengths < weights.short_cutoff_A, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    bond, lengths = number[bond], lengths[order]
    n_short = int((lengths < weights.short_cutoff_A).sum())
    n_long = len(lengths) - n_short

    with torch.no_grad():
        device = next(model.parameters()).device
        length = torch.tensor(lengths, dtype=torch.float32, device=device)
        basis = model.bond_basis_expansion.rbf_expansion_ag(length)
        short_basis = model.bond_basis_expansion.rbf_expansion_bg(length[n_long:])
        features = _numpy(model.bond_embedding(basis))
        bond_weight = _numpy(model.bond_weights_ag(basis))
        short_weight = _numpy(model.bond_weights_bg(short_basis))
        embedding = _numpy(model.atom_embedding(torch.tensor(atoms.numbers - 1, device=device)))

    # Angles: ordered pairs of distinct short edges with a common centre.
    short_start = np.searchsorted(centre[is_short], np.arange(n_atoms + 1)).astype(np.int32)
    short_bond = (bond[is_short] - n_long).astype(np.int32)
    short_unit = np.ascontiguousarray(unit[is_short])
    pairs = [
        (atom, i, j)
        for atom in range(n_atoms)
        for i in range(short_start[atom], short_start[atom + 1])
        for j in range(short_start[atom], short_start[atom + 1])
        if i != j
    ]
    c, i, j = np.array(pairs, dtype=int).reshape(-1, 3).T
    with torch.no_grad():
        fourier = model.angle_basis_expansion(
            *(torch.tensor(short_unit[k], dtype=torch.float32, device=device) for k in (i, j))
        )
        angle_features = _numpy(model.angle_embedding(fourier))

    first = weights.atom.inputs[0]
    bias = weights.atom.bias[0]
    images, image_atoms = _images(atoms, mobile, weights.cutoff_A)
    framework = Framework(
        lattice=np.ascontiguousarray(atoms.cell.array, dtype=np.float64),
        inverse_lattice=np.ascontiguousarray(np.linalg.inv(atoms.cell.array)),
        image_positions_A=images,
        image_atoms=image_atoms,
        mobile_index=mobile,
        n_long=n_long,
        n_short=n_short,
        n_edges=len(centre),
        n_angles=len(c),
        short_start=short_start,
        short_bond=short_bond,
        short_unit=short_unit,
        embedding=embedding,
        first_centre=_parts(embedding, first[0], bias),
        first_neighbour=_parts(embedding, first[2]),
        first_sum=np.zeros((n_atoms, WIDTH), np.float32),
    )
    n_layers = len(weights.atom.bias)
    # Atoms in a ball lie within its diameter of each other.
    crowd = _largest_crowd(images, 2 * weights.short_cutoff_A)
    most_short = int(np.diff(short_start).max(initial=0))
    ws = _workspace(
        n_layers=n_layers,
        n_atoms=n_atoms,
        n_images=len(images),
        n_bonds=len(lengths) + len(images),
        n_short=n_short + crowd,
        n_edges=len(centre) + 2 * len(images),
        n_angles=len(c) + crowd * (4 * most_short + 2 * crowd),
    )
    ws.edge[:, : len(centre)] = centre, neighbour, bond
    ws.triple[:, : len(c)] = c, short_bond[i], short_bond[j]
    ws.bond_weight[: len(lengths)] = bond_weight
    ws.short_weight[:n_short] = short_weight
    ws.bonds[0, :n_short] = features[n_long:]
    ws.angles[0, : len(c)] = angle_features
    for layer in range(n_layers):
        ws.bond_part[layer, : len(lengths)] = _parts(features, weights.atom.inputs[layer, 1])
    for k in range(2):
        ws.first_bond_parts[k, :n_short] = _parts(features[n_long:], weights.bond.inputs[0, k])
    for k, stack in enumerate((weights.bond, weights.angle)):
        ws.first_angle_parts[k, : len(c)] = _parts(angle_features, stack.inputs[0, 2])
    atom_messages(
        weights.atom, 0, framework.first_centre, framework.first_neighbour, ws, 0, len(centre)
    )
    return framework._replace(first_sum=ws.sums[:n_atoms].copy()), ws


def _workspace(
    *,
    n_layers: int,
    n_atoms: int,
    n_images: int,
    n_bonds: int,
    n_short: int,
    n_edges: int,
    n_angles: int,
) -> Workspace:
    """Return zeroed buffers of these capacities."""

    def floats(*shape: int) -> Float:
        return np.zeros(shape, np.float32)

    return Workspace(
        edge=np.zeros((3, n_edges), np.int32),
        triple=np.zeros((3, n_angles), np.int32),
        bond_part=floats(n_layers, n_bonds, 2 * WIDTH),
        bond_weight=floats(n_bonds, WIDTH),
        short_weight=floats(n_short, WIDTH),
        bonds=floats(n_layers, n_short, WIDTH),
        angles=floats(n_layers - 1, n_angles, WIDTH),
        first_bond_parts=floats(2, n_short, 2 * WIDTH),
        first_angle_parts=floats(2, n_angles, 2 * WIDTH),
        bond_parts=floats(2, n_short, 2 * WIDTH),
        atoms=floats(n_atoms, WIDTH),
        atom_parts=floats(2, n_atoms, 2 * WIDTH),
        sums=floats(max(n_atoms, n_short), WIDTH),
        tile=floats(3, TILE, 2 * WIDTH),
        found=np.zeros(n_images + 1, np.int32),
        geometry=np.zeros((n_images + 1, 4)),
        basis=floats(3, max(n_images, n_angles), _BASIS),
        cosines=np.zeros(n_angles),
    )


def _parts(features: Float, blocks: Float, bias: Float | None = None) -> Float:
    """Return features times the core and gate blocks of a first linear layer, 128 wide."""
    product = np.concatenate([features @ blocks[0], features @ blocks[1]], axis=1)
    return np.ascontiguousarray(product if bias is None else product + bias, dtype=np.float32)


def _framework_edges(
    atoms: Atoms, mobile: int, cutoff_A: float
) -> tuple[Int, Int, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return directed edges that do not change: those of the framework and mobile to own image.

    Returns
    -------
    centre, neighbour, bond : ndarray, shape (n,)
        Atoms and undirected bonds of the edges, sorted by centre. An edge and its reverse share a
        bond.
    unit : ndarray, shape (n, 3)
        Unit vectors from the centre.
    distance : ndarray, shape (n,)
        Lengths in A.
    """
    centre, neighbour, image, vector = neighbor_list("ijSD", atoms, cutoff_A)
    fixed = (centre == mobile) == (neighbour == mobile)
    order = np.argsort(centre[fixed], kind="stable")
    centre, neighbour, image, vector = (a[fixed][order] for a in (centre, neighbour, image, vector))
    forward = np.column_stack([centre, neighbour, image])
    backward = np.column_stack([neighbour, centre, -image])
    # The same name for an edge and its reverse: the smaller of the two.
    swap = [tuple(f) > tuple(b) for f, b in zip(forward, backward, strict=True)]
    names = np.where(np.array(swap, dtype=bool)[:, None], backward, forward)
    _, bond = np.unique(names, axis=0, return_inverse=True)
    distance = np.linalg.norm(vector, axis=1)
    unit = vector / distance[:, None]
    return centre.astype(np.int32), neighbour.astype(np.int32), bond.reshape(-1), unit, distance


def _images(atoms: Atoms, mobile: int, cutoff_A: float) -> tuple[NDArray[np.float64], Int]:
    """Return framework atoms and images within the cutoff of the home cell, with their indices."""
    cell = atoms.cell.array
    # How far the cutoff reaches in fractional coordinates.
    reach = cutoff_A * np.linalg.norm(np.linalg.inv(cell), axis=0)
    fractional = atoms.get_scaled_positions(wrap=False)
    fractional -= np.floor(fractional)
    n = np.ceil(reach).astype(int)
    shifts = np.stack(
        np.meshgrid(*(np.arange(-k, k + 1) for k in n), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    index = np.delete(np.arange(len(atoms)), mobile)
    images = (fractional[index][:, None, :] + shifts).reshape(-1, 3)
    owners = np.repeat(index, len(shifts))
    near = ((images >= -reach) & (images <= 1 + reach)).all(axis=1)
    return np.ascontiguousarray(images[near] @ cell), owners[near].astype(np.int32)


def _largest_crowd(points_A: NDArray[np.float64], radius_A: float) -> int:
    """Return the largest number of points (itself included) within the radius of one of them."""
    if not len(points_A):
        return 0
    tree = cKDTree(points_A)
    return int(tree.query_ball_point(points_A, radius_A, return_length=True).max())
