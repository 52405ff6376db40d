"""Graphs of shaken crystals, and the batches that a network is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.network import keys
from superionic.network.shakes import Shakes
from superionic.structures.neighbours import find_neighbours

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class CrystalGraph:
    """One configuration as a network sees it.

    Parameters
    ----------
    edge_vectors_A : ndarray, shape (n_edges, 3)
        From receiving to sending atom, periodic images included, in A.
    edge_index : ndarray of int, shape (2, n_edges)
        Receiving and sending atom, sorted by receiver.
    accelerations_A_per_ps2 : ndarray, shape (n_atoms, 3)
        Accelerations in A/ps^2.
    """

    edge_vectors_A: NDArray[np.float64]
    edge_index: NDArray[np.int64]
    accelerations_A_per_ps2: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.accelerations_A_per_ps2)


def periodic_edges(
    positions_A: FloatArray, cell_A: FloatArray, cutoff_A: float
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return all pairs of neighbours, each from both ends.

    Parameters
    ----------
    positions_A : ndarray, shape (n_atoms, 3)
        Cartesian positions in A; they need not lie inside the cell.
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    cutoff_A : float
        As for :func:`~superionic.structures.neighbours.find_neighbours`.

    Returns
    -------
    vectors_A : ndarray, shape (n_edges, 3)
        From receiving to sending atom.
    index : ndarray of int, shape (2, n_edges)
        Receiving and sending atom.
    """
    cell = np.asarray(cell_A, dtype=np.float64)
    fractional = np.asarray(positions_A, dtype=np.float64) @ np.linalg.inv(cell)
    positions = (fractional - np.floor(fractional)) @ cell
    found = find_neighbours(positions, cell, cutoff_A)
    return found.vectors_A, np.stack([found.first, found.second])


def make_graph(
    positions_A: FloatArray, cell_A: FloatArray, accelerations_A_per_ps2: ArrayLike, cutoff_A: float
) -> CrystalGraph:
    """Return the graph of one configuration; see :class:`CrystalGraph` for shapes and units."""
    vectors, index = periodic_edges(positions_A, cell_A, cutoff_A)
    return CrystalGraph(vectors, index, np.asarray(accelerations_A_per_ps2, dtype=np.float64))


def shake_graphs(shakes: Shakes, cutoff_A: float) -> list[CrystalGraph]:
    """Return one graph for each shake."""
    return [
        make_graph(positions, shakes.cell_A, accelerations, cutoff_A)
        for positions, accelerations in zip(
            shakes.positions_A, shakes.accelerations_A_per_ps2, strict=True
        )
    ]


def collate(
    graphs: Sequence[CrystalGraph], dtype: "torch.dtype | None" = None, device: str = "cpu"
) -> "dict[str, Tensor]":
    """Join graphs into one batch, with the keys of :data:`superionic.network.keys.INPUTS`.

    Parameters
    ----------
    graphs : sequence of CrystalGraph
        At least one.
    dtype : torch.dtype, optional
        Of vectors and accelerations; float32 by default.
    device : str
        Where the batch is to be.
    """
    import torch

    starts = np.cumsum([0, *(len(graph) for graph in graphs)])
    index = [g.edge_index + start for g, start in zip(graphs, starts[:-1], strict=True)]
    owner = np.repeat(np.arange(len(graphs)), np.diff(starts))
    real = {
        keys.EDGE_VECTORS: np.concatenate([graph.edge_vectors_A for graph in graphs]),
        keys.ACCELERATIONS: np.concatenate([graph.accelerations_A_per_ps2 for graph in graphs]),
    }
    whole = {keys.EDGE_INDEX: np.concatenate(index, axis=1), keys.GRAPH_INDEX: owner}
    return {
        name: torch.as_tensor(value, dtype=dtype or torch.float32, device=device)
        for name, value in real.items()
    } | {
        name: torch.as_tensor(value, dtype=torch.int64, device=device)
        for name, value in whole.items()
    }
