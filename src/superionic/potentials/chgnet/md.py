"""Energies and forces of CHGNet on one processor core, for many configurations of a crystal.

Weights are packed once, work takes place in buffers that grow when a crystal needs more, and
nothing else is allocated: :mod:`superionic.potentials.chgnet.md_network` does the work.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from superionic.potentials.chgnet import pack as chgnet_pack
from superionic.potentials.chgnet.compiled import WIDTH, Float
from superionic.potentials.chgnet.layout import GatedStack, Int
from superionic.potentials.chgnet.md_layout import (
    TILE,
    Bases,
    Double,
    Features,
    MdWeights,
    MdWorkspace,
    NeighbourGraph,
    Parts,
    Readout,
    Rows,
    SavedActivations,
    Transposed,
)
from superionic.potentials.chgnet.md_network import energy_and_forces, find_graph

if TYPE_CHECKING:
    from chgnet.model import CHGNet

_GROWTH = 1.2


def supports(model: "CHGNet") -> bool:
    """Return whether the compiled code computes this network, where it is and as it is."""
    parameter = next(model.parameters())
    return (
        parameter.dtype == torch.float32
        and parameter.device.type == "cpu"
        and chgnet_pack.supports(model)
    )


def pack(model: "CHGNet") -> MdWeights:
    """Return a model's weights in the layout of the compiled code."""
    weights = chgnet_pack.pack_weights(model)
    embed = weights.embed.copy()
    sines = len(weights.angular_turns)
    # cosines first, from that of zero on, then sines; norms of the basis in the weights
    fourier, scale = np.zeros_like(embed[3]), 1.0 / math.sqrt(math.pi)
    fourier[0] = embed[3][0] * math.sqrt(0.5)
    fourier[1 : 1 + sines] = embed[3][1 + sines : 1 + 2 * sines]
    fourier[17 : 17 + sines] = embed[3][1 : 1 + sines]
    embed[3] = scale * fourier
    angular = np.concatenate([[0.0], weights.angular_turns])
    return MdWeights(
        atom=weights.atom,
        bond=weights.bond,
        angle=weights.angle,
        atom_back=_transpose(weights.atom),
        bond_back=_transpose(weights.bond),
        angle_back=_transpose(weights.angle),
        bases=Bases(
            embedding=model.atom_embedding.embedding.weight.detach().numpy().astype(np.float32),
            turns=np.stack(
                [_split(t) for t in (weights.radial_turns, weights.short_turns, angular)]
            ),
            embed=embed,
            no_bias=np.zeros((1, 2 * WIDTH), np.float32),
            cutoff_A=weights.cutoff_A,
            short_cutoff_A=weights.short_cutoff_A,
            envelope_power=weights.envelope_power,
        ),
        radial_parts=weights.radial_parts,
        readout=Readout(
            norm=weights.norm,
            hidden=weights.readout,
            hidden_back=_swap(weights.readout),
            bias=weights.readout_bias,
            last=weights.last[None],
            last_bias=weights.last_bias,
        ),
        ones=np.ones((1, WIDTH), np.float32),
    )


def _swap(matrices: Float) -> Float:
    return np.ascontiguousarray(np.swapaxes(matrices, -1, -2))


def _transpose(stack: GatedStack) -> Transposed:
    inputs = _swap(stack.inputs)
    return Transposed(
        inputs.reshape(*inputs.shape[:2], 2 * WIDTH, WIDTH), _swap(stack.second), _swap(stack.out)
    )


def _split(turns: NDArray[np.float64]) -> Float:
    padded = np.zeros(chgnet_pack.BASIS)
    padded[: len(turns)] = turns
    high = padded.astype(np.float32)
    return np.stack([high, (padded - high).astype(np.float32), (2 * np.pi * padded).astype("f4")])


class Candidates(NamedTuple):
    """A crystal's atoms, and the pairs and angles that may lie within the cutoffs.

    Parameters
    ----------
    species : ndarray of int32, shape (n_atoms,)
        Atomic numbers less one.
    ends, shifts_A : ndarray, shapes (n, 2) and (n, 3)
        Pairs, each once, and the lattice vectors that are added to their second atoms.
    centre, bond_pairs, sign : ndarray, shapes (m,), (m, 2) and (m,)
        Angles: common atom, numbers of two pairs, and -1 where exactly one of the two vectors has
        to be reversed, else 1.
    """

    species: Int
    ends: Int
    shifts_A: Double
    centre: Int
    bond_pairs: Int
    sign: Double


class ChgnetMachine:
    """CHGNet, packed, with the buffers that it works in; for one thread at a time.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        A network that :func:`supports` accepts.
    """

    def __init__(self, model: "CHGNet") -> None:
        self.weights = pack(model)
        self._n_candidates = (-1, -1)
        self._room: tuple[int, ...] = (-1, -1, -1, -1)
        self._number: Int
        self._n_pairs = 0
        self._graph: NeighbourGraph
        self._workspace: MdWorkspace

    def evaluate(self, positions_A: Double, candidates: Candidates) -> tuple[float, Double]:
        """Return energy in eV, without atomic references, and forces in eV/A of a crystal.

        Parameters
        ----------
        positions_A : ndarray, shape (n_atoms, 3)
            Cartesian positions.
        candidates : Candidates
            What may lie within the cutoffs there.
        """
        species, ends, shifts_A, centre, bond_pairs, sign = candidates
        if len(ends) > self._n_candidates[0] or len(centre) > self._n_candidates[1]:
            n, m = self._n_candidates
            self._n_candidates = max(n, len(ends)), max(m, len(centre))
            self._number = np.zeros(self._n_candidates[0], np.int32)
            self._graph = _graph(*self._n_candidates)
        w = self.weights
        n_pairs, n_bonds, n_angles = find_graph(
            np.ascontiguousarray(positions_A),
            ends,
            shifts_A,
            centre,
            bond_pairs,
            sign,
            w.bases.cutoff_A,
            w.bases.short_cutoff_A,
            self._number,
            self._graph,
        )
        needed = len(species), n_pairs, n_bonds, n_angles
        if any(n > room for n, room in zip(needed, self._room, strict=True)):
            self._room = tuple(
                room if n <= room else int(_GROWTH * n)
                for n, room in zip(needed, self._room, strict=True)
            )
            self._workspace = _workspace(len(w.atom.bias), *self._room)
        forces = np.empty((len(species), 3))
        energy = energy_and_forces(
            species, n_pairs, n_bonds, n_angles, w, self._graph, self._workspace, forces
        )
        self._n_pairs = n_pairs
        return energy, forces

    @property
    def pairs(self) -> tuple[Double, Double]:
        """Return the vectors of the last crystal's pairs in A, and the gradients for them."""
        n, graph = self._n_pairs, self._graph
        return graph.unit[:n] * graph.length_A[:n, None], graph.gradient[:n]


def _graph(n_pairs: int, n_angles: int) -> NeighbourGraph:
    return NeighbourGraph(
        ends=np.zeros((n_pairs, 2), np.int32),
        unit=np.zeros((n_pairs, 3)),
        length_A=np.zeros(n_pairs),
        bond_of_pair=np.zeros(n_pairs, np.int32),
        pair_of_bond=np.zeros(n_pairs, np.int32),
        bond_length_A=np.zeros(n_pairs),
        bonds=np.zeros((n_angles, 2), np.int32),
        centre=np.zeros(n_angles, np.int32),
        sign=np.zeros(n_angles),
        cosine=np.zeros(n_angles),
        rows=np.arange(2 * n_angles, dtype=np.int32).reshape(-1, 2),
        gradient=np.zeros((n_pairs, 3)),
    )


def _workspace(
    n_layers: int, n_atoms: int, n_pairs: int, n_bonds: int, n_angles: int
) -> MdWorkspace:
    """Return zeroed buffers; products write up to three rows more than there are."""

    def floats(*shape: int) -> Float:
        *front, rows, columns = shape
        return np.zeros((*front, rows + 4, columns), np.float32)

    def kept(n: int, rows: int) -> SavedActivations:
        n = max(n, 1)
        return SavedActivations(
            floats(n, rows, 2 * WIDTH), floats(n, rows, 2 * WIDTH), floats(n, rows, 2)
        )

    def features() -> Features:
        return Features(*(floats(n, WIDTH) for n in (n_atoms, n_bonds, 2 * n_angles, n_angles)))

    def parts() -> Parts:
        return Parts(*(floats(n, 2 * WIDTH) for n in (most, most, n_atoms, n_bonds)))

    def weights() -> Rows:
        return Rows(*(floats(n, WIDTH) for n in (n_pairs, n_bonds, n_angles)))

    most = max(n_atoms, n_bonds)
    basis = chgnet_pack.BASIS
    return MdWorkspace(
        atom=kept(n_layers, 2 * n_pairs),
        bond=kept(n_layers - 1, 2 * n_angles),
        angle=kept(n_layers - 2, 2 * n_angles),
        tile=np.zeros((3, TILE, 2 * WIDTH), np.float32),
        tangent=np.zeros((TILE, WIDTH), np.float32),
        x=features(),
        d_x=features(),
        parts=parts(),
        d_parts=parts(),
        basis=Rows(
            floats(2, n_pairs, basis), floats(4, n_bonds, basis), floats(2, n_angles, basis)
        ),
        weight=weights(),
        d_weight=weights(),
        sums=floats(most, WIDTH),
        d_sums=floats(most, WIDTH),
        readout=floats(5, n_atoms, WIDTH),
        readout_scale=np.zeros(n_atoms + 4, np.float32),
        d_length=np.zeros(n_pairs),
    )
