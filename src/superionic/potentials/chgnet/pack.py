"""Pack CHGNet's weights and a frozen framework for the compiled kernels."""

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from superionic.potentials.chgnet.compiled import WIDTH, Float
from superionic.potentials.chgnet.kernels import atom_messages
from superionic.potentials.chgnet.layout import (
    ALMOST_ONE,
    TILE,
    Framework,
    GatedStack,
    Int,
    Weights,
    Workspace,
)
from superionic.structures.neighbours import find_neighbours

if TYPE_CHECKING:
    from chgnet.model import CHGNet
    from chgnet.model.functions import GatedMLP

BASIS = 32
"""Rows of basis maps: 31 functions and one of zeros."""


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
        "num_radial": BASIS - 1,
        "num_angular": BASIS - 1,
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
        [layer.mlp_out.layers[-1] for layer in model.atom_conv_layers],
        n_inputs=3,
    )
    bond = _stack(
        [layer.twoBody_bond for layer in model.bond_conv_layers],
        [layer.mlp_out.layers[-1] for layer in model.bond_conv_layers],
        n_inputs=4,
    )
    angle = _stack([layer.twoBody_bond for layer in model.angle_layers], [], n_inputs=4)
    embed = np.zeros((4, BASIS, WIDTH), np.float32)
    for k, module in enumerate(
        (model.bond_weights_ag, model.bond_embedding, model.bond_weights_bg, model.angle_embedding)
    ):
        embed[k, : BASIS - 1] = _numpy(module.weight).T
    readout = [m for m in model.mlp.layers if isinstance(m, torch.nn.Linear)]
    radial = model.bond_basis_expansion.rbf_expansion_ag
    short = model.bond_basis_expansion.rbf_expansion_bg
    return Weights(
        atom=atom,
        bond=bond,
        angle=angle,
        radial_turns=_turns(radial.frequencies),
        short_turns=_turns(short.frequencies),
        angular_turns=_turns(model.angle_basis_expansion.fourier_expansion.frequencies),
        embed=embed,
        radial_parts=_product(embed[1], atom.inputs[:, 1]),
        angular_parts=_product(embed[3], np.stack([bond.inputs[0, 2], angle.inputs[0, 2]])),
        norm=np.stack([_numpy(model.readout_norm.weight), _numpy(model.readout_norm.bias)]),
        readout=np.ascontiguousarray(np.stack([_numpy(m.weight).T for m in readout[:-1]])),
        readout_bias=np.stack([_numpy(m.bias)[None] for m in readout[:-1]]),
        last=_numpy(readout[-1].weight)[0],
        last_bias=float(readout[-1].bias.item()),
        cutoff_A=float(model.graph_converter.atom_graph_cutoff),
        short_cutoff_A=float(model.graph_converter.bond_graph_cutoff),
        envelope_power=float(radial.smooth_cutoff.p),
    )


def _numpy(tensor: torch.Tensor) -> Float:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=np.float32)


def _turns(frequencies: torch.Tensor) -> NDArray[np.float64]:
    return _numpy(frequencies).astype(np.float64) / (2 * np.pi)


def _product(first: NDArray[Any], second: Float) -> Float:
    """Return a matrix product that is rounded once; unused rows of the second count as zero."""
    used = second[..., : first.shape[-1], :].astype(np.float64)
    return np.ascontiguousarray(first.astype(np.float64) @ used, np.float32)


def _stack(
    mlps: Sequence["GatedMLP"], outs: Sequence[torch.nn.Linear], n_inputs: int
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
        bias.append(np.concatenate([maps[0][1] for maps in halves])[None])
        second.append(np.stack([maps[1][0] for maps in halves]))
        second_bias.append(np.concatenate([maps[1][1] for maps in halves])[None])
    arrays: tuple[list[NDArray[Any]], ...] = (
        inputs,
        bias,
        second,
        second_bias,
        [np.concatenate([_numpy(m.bn1.weight), _numpy(m.bn2.weight)]) for m in mlps],
        [np.concatenate([_numpy(m.bn1.bias), _numpy(m.bn2.bias)]) for m in mlps],
        [_numpy(m.weight).T for m in outs] or [np.zeros((WIDTH, WIDTH))] * len(mlps),
    )
    return GatedStack(*(np.ascontiguousarray(np.stack(a), dtype=np.float32) for a in arrays))


class _Edges(NamedTuple):
    """Directed edges that do not change, sorted by undirected bond, long bonds first.

    Parameters
    ----------
    centre, neighbour, bond : ndarray, shape (n,)
        Atoms and undirected bond of each edge; an edge and its reverse share a bond.
    unit : ndarray, shape (n, 3)
        Unit vectors from the centre.
    lengths_A : ndarray, shape (n_bonds,)
        Lengths of the undirected bonds in A.
    n_long : int
        Number of undirected bonds that are not in the bond graph.
    """

    centre: Int
    neighbour: Int
    bond: Int
    unit: NDArray[np.float64]
    lengths_A: NDArray[np.float64]
    n_long: int


class _Angles(NamedTuple):
    """Ordered pairs of distinct short edges with a common centre, and those edges by centre.

    Parameters
    ----------
    triple : ndarray, shape (3, n)
        Centre, first and second short bond.
    units : ndarray, shape (2, n, 3)
        Unit vectors from the centre along both bonds.
    start : ndarray, shape (n_atoms + 1,)
        Where each atom's short directed edges start in ``bond`` and ``unit``.
    bond : ndarray, shape (n_short_edges,)
        Short bonds of the short directed edges.
    unit : ndarray, shape (n_short_edges, 3)
        Their unit vectors.
    """

    triple: Int
    units: NDArray[np.float64]
    start: Int
    bond: Int
    unit: NDArray[np.float64]


def build_framework(
    model: "CHGNet", weights: Weights, atoms: Atoms, mobile_index: int
) -> tuple[Framework, Workspace]:
    """Compute what does not change when one ion moves, and a workspace that holds its rows.

    Parameters
    ----------
    model : CHGNet
        The model.
    weights : Weights
        Its packed weights.
    atoms : Atoms
        The crystal.
    mobile_index : int
        Index of the ion that moves, not negative.
    """
    n_atoms = len(atoms)
    edges = _framework_edges(atoms, mobile_index, weights.cutoff_A, weights.short_cutoff_A)
    angles = _framework_angles(edges, n_atoms)
    images, image_atoms = _images(atoms, mobile_index, weights.cutoff_A)
    n_bonds, n_edges, n_angles = len(edges.lengths_A), len(edges.centre), len(angles.triple[0])
    long = edges.n_long
    short = n_bonds - long
    n_layers = len(weights.atom.bias)
    # Atoms in a ball lie within its diameter of each other.
    crowd = _largest_crowd(images, 2 * weights.short_cutoff_A)
    most_short = int(np.diff(angles.start).max(initial=0))
    ws = _workspace(
        n_layers=n_layers,
        n_atoms=n_atoms,
        n_images=len(images),
        n_bonds=n_bonds + len(images),
        n_short=short + crowd,
        n_edges=n_edges + 2 * len(images),
        n_angles=n_angles + crowd * (4 * most_short + 2 * crowd),
    )
    ws.edge[:, :n_edges] = edges.centre, edges.neighbour, edges.bond
    ws.triple[:, :n_angles] = angles.triple
    basis, short_basis, fourier = _bases(model, edges.lengths_A, long, angles.units)
    bonds = _product(basis, weights.embed[1])
    ws.bond_weight[:n_bonds] = _product(basis, weights.embed[0])
    ws.short_weight[:short] = _product(short_basis, weights.embed[2])
    ws.bonds[0, :short] = bonds[long:]
    ws.angles[0, :n_angles] = _product(fourier, weights.embed[3])
    embedding = _numpy(model.atom_embedding.embedding.weight)[atoms.numbers - 1]
    for layer in range(n_layers):
        ws.bond_part[layer, :n_bonds] = _parts(bonds, weights.atom.inputs[layer, 1])
    for k in range(2):
        ws.first_bond_parts[k, :short] = _parts(bonds[long:], weights.bond.inputs[0, k])
    for k, stack in enumerate((weights.bond, weights.angle)):
        ws.first_angle_parts[k, :n_angles] = _parts(ws.angles[0, :n_angles], stack.inputs[0, 2])
    first_centre = _parts(embedding, weights.atom.inputs[0, 0]) + weights.atom.bias[0]
    first_neighbour = _parts(embedding, weights.atom.inputs[0, 2])
    atom_messages(weights.atom, 0, first_centre, first_neighbour, ws, 0, n_edges)
    framework = Framework(
        lattice=np.ascontiguousarray(atoms.cell.array, dtype=np.float64),
        inverse_lattice=np.ascontiguousarray(np.linalg.inv(atoms.cell.array)),
        image_positions_A=images,
        image_atoms=image_atoms,
        mobile_index=mobile_index,
        n_long=long,
        n_short=short,
        n_edges=n_edges,
        n_angles=n_angles,
        short_start=angles.start,
        short_bond=angles.bond,
        short_unit=angles.unit,
        embedding=embedding,
        first_centre=first_centre,
        first_neighbour=first_neighbour,
        first_sum=ws.sums[:n_atoms].copy(),
    )
    return framework, ws


def _bases(
    model: "CHGNet", lengths_A: NDArray[np.float64], n_long: int, units: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return radial bases (atom graph, bond graph) and Fourier bases in float64.

    In float32 the envelope's terms cancel to 1e-5, the same for all bonds of one length.
    """
    radial = copy.deepcopy(model.bond_basis_expansion).cpu().double()
    fourier = copy.deepcopy(model.angle_basis_expansion.fourier_expansion).cpu().double()
    lengths = torch.from_numpy(lengths_A)
    cosines = np.clip((units[0] * units[1]).sum(axis=1), -1, 1) * ALMOST_ONE
    with torch.no_grad():
        return (
            radial.rbf_expansion_ag(lengths).numpy(),
            radial.rbf_expansion_bg(lengths[n_long:]).numpy(),
            fourier(torch.from_numpy(np.arccos(cosines))).numpy(),
        )


def copy_workspace(ws: Workspace) -> Workspace:
    """Return an independent workspace with the same framework, for another thread."""
    return Workspace._make(np.copy(array) for array in ws)


def _framework_edges(atoms: Atoms, mobile: int, cutoff_A: float, short_cutoff_A: float) -> _Edges:
    """Return the edges of the framework and those of the mobile ion to its own images."""
    found = find_neighbours(atoms.positions, atoms.cell.array, cutoff_A)
    centre, neighbour, image, vector = found
    fixed = (centre == mobile) == (neighbour == mobile)
    centre, neighbour, image, vector = (a[fixed] for a in (centre, neighbour, image, vector))
    distance = np.linalg.norm(vector, axis=1)
    # An edge and its reverse get one name, the smaller of their own two, after the kind of bond.
    most = int(np.abs(image).max(initial=0))
    sizes = (len(atoms), len(atoms), *(3 * (2 * most + 1,)))
    name = np.minimum(
        np.ravel_multi_index((centre, neighbour, *(image + most).T), sizes),
        np.ravel_multi_index((neighbour, centre, *(most - image).T), sizes),
    )
    is_short = distance < short_cutoff_A
    # Rounding must not part an edge from its reverse.
    names, index, bond = np.unique(name, return_index=True, return_inverse=True)
    is_short = is_short[index]
    number = np.empty(len(names), dtype=int)
    number[np.argsort(is_short, kind="stable")] = np.arange(len(names))
    lengths = np.empty(len(names))
    lengths[number] = distance[index]
    bond = number[bond]
    order = np.argsort(bond, kind="stable")
    return _Edges(
        centre[order].astype(np.int32),
        neighbour[order].astype(np.int32),
        bond[order].astype(np.int32),
        (vector / distance[:, None])[order],
        lengths,
        int((~is_short).sum()),
    )


def _framework_angles(edges: _Edges, n_atoms: int) -> _Angles:
    short = np.flatnonzero(edges.bond >= edges.n_long)
    short = short[np.argsort(edges.centre[short], kind="stable")]
    start = np.searchsorted(edges.centre[short], np.arange(n_atoms + 1)).astype(np.int32)
    bond = (edges.bond[short] - edges.n_long).astype(np.int32)
    unit = np.ascontiguousarray(edges.unit[short])
    triple = [
        (atom, i, j)
        for atom in range(n_atoms)
        for i in range(start[atom], start[atom + 1])
        for j in range(start[atom], start[atom + 1])
        if i != j
    ]
    c, i, j = np.array(triple, dtype=np.int32).reshape(-1, 3).T
    return _Angles(np.stack([c, bond[i], bond[j]]), np.stack([unit[i], unit[j]]), start, bond, unit)


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
        basis=floats(3, max(n_images, n_angles), BASIS),
        cosines=np.zeros(n_angles),
    )


def _parts(features: Float, blocks: Float) -> Float:
    """Return features times the core and gate blocks of a first linear layer, 128 wide."""
    return np.concatenate([features @ blocks[0], features @ blocks[1]], axis=1)


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
