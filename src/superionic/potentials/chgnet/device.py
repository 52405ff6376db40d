"""CHGNet's energy as a function of the position of one ion, in large batches on a GPU.

Pairs among framework atoms are found once and copied on the device; per position only the pairs of
the mobile ion are found there, for all positions of a batch at once, and the layers run over the
batch as one disconnected graph. On a processor the compiled path
(:mod:`superionic.potentials.chgnet.frozen`) is many times faster, but this one runs there, too.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from superionic.potentials.base import FrozenFramework
from superionic.potentials.batched import in_batches, memory_per_batch
from superionic.potentials.chgnet.network import Bonds, ChgnetNetwork
from superionic.potentials.frozen_graph import FrozenGraph

if TYPE_CHECKING:
    from chgnet.model import CHGNet

_BYTES_PER_PAIR = 6_000
"""Largest memory of the layers for one pair: two directions, core and gate of 64 numbers each."""

_BYTES_PER_ANGLE = 8_000
"""The same for one angle, whose rows are twice as many and have more inputs."""

_BYTES_PER_IMAGE = 64
"""What the search for pairs takes for each image of a framework atom."""

_TRIAL = 16
"""Positions with which the number of pairs and angles is estimated."""


class ChgnetDeviceFramework(FrozenFramework):
    """Energies of one crystal as CHGNet gives them, with one ion anywhere, on any torch device.

    Parameters
    ----------
    model : chgnet.model.CHGNet
        The network; it computes on the device where it is.
    atoms : Atoms
        The crystal, periodic in three directions.
    mobile_index : int
        Index of the ion that moves. Its periodic images move along.
    batch_size : int or None
        Positions evaluated together; by the free memory of the device when None.

    Raises
    ------
    PotentialError
        When the architecture is not the published one.
    """

    def __init__(
        self, model: "CHGNet", atoms: Atoms, mobile_index: int, *, batch_size: int | None = None
    ) -> None:
        network = ChgnetNetwork(model, next(model.parameters()).device)
        graph = FrozenGraph(atoms, mobile_index, network.pair_cutoff)
        self._network = network
        self._n_atoms = len(atoms)
        self._mobile = range(len(atoms))[mobile_index]
        self._reference_eV = float(network.reference_energies[atoms.numbers - 1].sum())
        self._batch_size = batch_size
        self._species = self._indices(atoms.numbers - 1)
        first, second, vectors_A = graph.fixed_pairs()
        self._first, self._second = self._indices(first), self._indices(second)
        self._vectors = self._reals(vectors_A)
        self._cell = self._reals(atoms.cell.array)
        self._images = self._reals(graph.images_A)
        self._owner = self._indices(graph.image_owner)

    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return total energies, NaN where a position is not finite."""
        positions = np.asarray(positions_A, dtype=np.float64).reshape(-1, 3)
        result = np.full(len(positions), np.nan)
        finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
        if len(finite):
            if self._batch_size is None:
                self._batch_size = self._fitting(positions[finite[:_TRIAL]])
            energies = in_batches(self._evaluate, positions[finite], self._batch_size)
            result[finite] = energies + self._reference_eV
        return result

    def _fitting(self, positions_A: NDArray[np.float64]) -> int:
        """Return how many positions fit into the memory, from the graphs of a few of them."""
        vectors, _, _, bonds = self._graph(positions_A)
        total = len(vectors) * _BYTES_PER_PAIR + len(bonds.centre) * _BYTES_PER_ANGLE
        per_position = total // len(positions_A) + len(self._images) * _BYTES_PER_IMAGE
        return max(1, memory_per_batch(self._network.device) // per_position)

    def _evaluate(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        with torch.inference_mode():
            vectors, first, second, bonds = self._graph(positions_A)
            per_atom = self._network.site_energies(
                self._species.repeat(len(positions_A)),
                vectors,
                torch.cat([first, second]),
                torch.cat([second, first]),
                bonds,
            )
            total = per_atom.reshape(len(positions_A), self._n_atoms).double().sum(dim=1)
        return total.cpu().numpy()

    def _graph(
        self, positions_A: NDArray[np.float64]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Bonds]:
        """Return vectors, first and second atoms of all pairs, and the bonds among them."""
        n_graphs = len(positions_A)
        ion = torch.linalg.solve(self._cell.T, self._reals(positions_A).T).T
        ion = (ion - ion.floor()) @ self._cell
        to_images = self._images - ion[:, None, :]
        near = to_images.square().sum(dim=2) < self._network.pair_cutoff**2
        where, image = near.nonzero(as_tuple=True)
        offsets = torch.arange(n_graphs, device=self._network.device) * self._n_atoms
        first = torch.cat(
            [(self._first + offsets[:, None]).reshape(-1), offsets[where] + self._mobile]
        )
        second = torch.cat(
            [(self._second + offsets[:, None]).reshape(-1), offsets[where] + self._owner[image]]
        )
        vectors = torch.cat([self._vectors.repeat(n_graphs, 1), -to_images[where, image]])
        bonds = find_bonds(
            vectors, first, second, self._network.bond_cutoff, n_graphs * self._n_atoms
        )
        dtype = self._network.dtype
        signed = Bonds(bonds.pairs, bonds.centre, bonds.bond_a, bonds.bond_b, bonds.sign.to(dtype))
        return vectors.to(dtype), first, second, signed

    def _indices(self, values: NDArray[np.int64]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.int64, device=self._network.device)

    def _reals(self, values: NDArray[np.float64]) -> torch.Tensor:
        # Distances decide what is a pair: single precision would not be theirs.
        return torch.as_tensor(values, dtype=torch.float64, device=self._network.device)


def find_bonds(
    vectors_A: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    cutoff_A: float,
    n_atoms: int,
) -> Bonds:
    """Find the short pairs and the angles between them, on the device.

    Parameters
    ----------
    vectors_A : Tensor, shape (n_pairs, 3)
        First minus second atom of each pair in A.
    first, second : Tensor of int64, shape (n_pairs,)
        The atoms.
    cutoff_A : float
        Longest bond in A.
    n_atoms : int
        Number of atoms.

    Returns
    -------
    Bonds
        Each unordered pair of ends of bonds once for each atom in which they meet.
    """
    pairs = (vectors_A.square().sum(dim=1) < cutoff_A**2).nonzero(as_tuple=True)[0]
    bond = torch.arange(len(pairs), device=pairs.device)
    centre, order = torch.sort(torch.cat([first[pairs], second[pairs]]), stable=True)
    bond = torch.cat([bond, bond])[order]
    sign = torch.ones(len(order), dtype=vectors_A.dtype, device=pairs.device)
    sign[order >= len(pairs)] = -1
    # The ends that meet in an atom lie in a row; each is coupled with all that follow it there.
    end_of_atom = torch.bincount(centre, minlength=n_atoms).cumsum(0)
    number = torch.arange(len(centre), device=pairs.device)
    n_following = end_of_atom[centre] - number - 1
    a = number.repeat_interleave(n_following)
    start = n_following.cumsum(0) - n_following
    b = a + 1 + torch.arange(len(a), device=pairs.device) - start[a]
    return Bonds(pairs, centre[a], bond[a], bond[b], sign[a] * sign[b])
