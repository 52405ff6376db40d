"""Batched graphs of one crystal with one of its ions at many positions.

Edges among framework atoms, and of the mobile ion to its own images, are found once: they do not
change as the ion and its images move together. Per position only the edges between the ion and the
framework are found, and the arrays of a batch are written at once rather than joined from one
object a configuration. For models that take atoms and edges within a cutoff; see
:class:`~superionic.potentials.sevennet.SevennetPotential` and
:class:`~superionic.potentials.matgl.MatglPotential`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.potentials.base import FrozenFramework
from superionic.potentials.batched import in_batches, memory_per_batch
from superionic.structures.neighbours import find_neighbours

if TYPE_CHECKING:
    import torch

MAX_EDGES_PER_BATCH = 1536
"""Default size of a batch on a processor.

Larger ones lose time once single arrays, such as SevenNet's 12.5 kB of messages an edge,
pass the 32 MiB up to which the C library keeps freed memory.
"""

Int = NDArray[np.int64]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class GraphBatch:
    """Configurations that differ in the position of one ion, as one graph.

    Parameters
    ----------
    n_graphs : int
        Number of configurations, each of the same ``n_atoms`` atoms in the same order.
    numbers : ndarray, shape (n_graphs * n_atoms,)
        Atomic numbers.
    fractional : ndarray, shape (n_graphs * n_atoms, 3)
        Fractional positions.
    graph : ndarray, shape (n_graphs * n_atoms,)
        Configuration of each atom.
    edges : ndarray, shape (2, n_edges)
        Centre and neighbour of each directed edge, sorted by centre.
    shifts : ndarray, shape (n_edges, 3)
        Cell of the neighbour: ``(fractional[neighbour] + shift - fractional[centre]) @ cell`` is
        the vector of the edge.
    vectors_A : ndarray, shape (n_edges, 3)
        Vectors from centre to neighbour in A.
    """

    n_graphs: int
    numbers: Int
    fractional: Float
    graph: Int
    edges: Int
    shifts: Float
    vectors_A: Float


class FrozenGraph:
    """The graph of a crystal, one of whose ions can be anywhere.

    Parameters
    ----------
    atoms : Atoms
        The crystal, periodic in three directions.
    mobile_index : int
        Index of the ion that moves. Its periodic images move along.
    cutoff_A : float
        Longest edge in A.

    Attributes
    ----------
    edges_per_graph : int
        Number of edges to expect with the ion somewhere in the cell.
    images_A : ndarray, shape (n_images, 3)
        Framework atoms, images included, within the cutoff of any position in the home cell.
    image_owner : ndarray, shape (n_images,)
        The atoms that they are images of.
    """

    def __init__(self, atoms: Atoms, mobile_index: int, cutoff_A: float) -> None:
        self._mobile = range(len(atoms))[mobile_index]
        self._cutoff_A = cutoff_A
        self._cell = atoms.cell.array.copy()
        self._numbers = atoms.numbers.astype(np.int64)
        fractional = atoms.get_scaled_positions(wrap=False)
        self._fractional = fractional - np.floor(fractional)
        centre, neighbour, shifts, vectors = find_neighbours(
            self._fractional @ self._cell, self._cell, cutoff_A
        )
        fixed = (centre == self._mobile) == (neighbour == self._mobile)
        self._edges = np.stack([centre, neighbour])[:, fixed].astype(np.int64)
        self._shifts = shifts[fixed].astype(np.float64)
        self._vectors_A = vectors[fixed]
        self._list_images()
        per_volume = (len(atoms) - 1) / atoms.cell.volume
        to_ion = 2 * per_volume * 4 / 3 * np.pi * cutoff_A**3
        self.edges_per_graph = self._edges.shape[1] + int(to_ion) + 1

    def _list_images(self) -> None:
        """List the images of framework atoms within the cutoff of the home cell."""
        # How far the cutoff reaches in fractional coordinates.
        reach = self._cutoff_A * np.linalg.norm(np.linalg.inv(self._cell), axis=0)
        shifts = np.stack(
            np.meshgrid(*(np.arange(-k, k + 1) for k in np.ceil(reach).astype(int)), indexing="ij"),
            axis=-1,
        ).reshape(-1, 3)
        framework = np.delete(np.arange(len(self._numbers)), self._mobile)
        fractional = (self._fractional[framework][:, None, :] + shifts).reshape(-1, 3)
        near = ((fractional >= -reach - 1e-9) & (fractional <= 1 + reach + 1e-9)).all(axis=1)
        self.images_A = fractional[near] @ self._cell
        self.image_owner = np.repeat(framework, len(shifts))[near]
        self._image_shift = np.tile(shifts, (len(framework), 1))[near].astype(np.float64)

    def fixed_pairs(self) -> tuple[Int, Int, Float]:
        """Return what does not change as the ion moves, each pair once.

        Returns
        -------
        first, second : ndarray, shape (n_pairs,)
            Indices of the atoms.
        vectors_A : ndarray, shape (n_pairs, 3)
            First minus second atom in A.
        """
        first, second = self._edges
        x, y, z = self._shifts.T
        # Of an edge and its reverse, between the same atoms or an atom and its image, one is kept.
        ahead = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
        kept = (first < second) | ((first == second) & ahead)
        return first[kept], second[kept], -self._vectors_A[kept]

    def at(self, positions_A: Float) -> GraphBatch:
        """Return the graphs with the mobile ion at each position.

        Parameters
        ----------
        positions_A : ndarray, shape (n, 3)
            Cartesian positions in A, anywhere in space.
        """
        n_graphs, n_atoms = len(positions_A), len(self._numbers)
        ion = np.linalg.solve(self._cell.T, positions_A.T).T
        ion -= np.floor(ion)
        fractional = np.tile(self._fractional, (n_graphs, 1))
        fractional[self._mobile :: n_atoms] = ion

        to_images = self.images_A - (ion @ self._cell)[:, None, :]
        squared = np.einsum("pix,pix->pi", to_images, to_images)
        where, image = np.nonzero(squared <= self._cutoff_A**2)
        first = np.arange(n_graphs) * n_atoms
        ion_end, other_end = first[where] + self._mobile, first[where] + self.image_owner[image]
        vectors, shifts = to_images[where, image], self._image_shift[image]

        fixed = self._edges[:, None, :] + first[None, :, None]
        edges = np.concatenate(
            [fixed.reshape(2, -1), [ion_end, other_end], [other_end, ion_end]], axis=1
        )
        # The line graph of M3GNet wants edges by centre, and sums over them are faster.
        order = np.argsort(edges[0], kind="stable")
        return GraphBatch(
            n_graphs=n_graphs,
            numbers=np.tile(self._numbers, n_graphs),
            fractional=fractional,
            graph=np.repeat(np.arange(n_graphs), n_atoms),
            # Torch sums over edges many times slower where indices do not lie one by one.
            edges=np.ascontiguousarray(edges[:, order]),
            shifts=np.concatenate([np.tile(self._shifts, (n_graphs, 1)), shifts, -shifts])[order],
            vectors_A=np.concatenate([np.tile(self._vectors_A, (n_graphs, 1)), vectors, -vectors])[
                order
            ],
        )


class FrozenGraphFramework(FrozenFramework):
    """Energies of one crystal with one ion anywhere, from batched graphs.

    Parameters
    ----------
    graph : FrozenGraph
        The crystal.
    evaluate : callable
        Takes a :class:`GraphBatch` and returns total energies in eV, shape (n_graphs,).
    max_edges_per_batch : int
        Positions are evaluated together until they hold about this many edges, at least one; see
        :func:`edges_per_batch`.
    """

    def __init__(
        self,
        graph: FrozenGraph,
        evaluate: Callable[[GraphBatch], Float],
        *,
        max_edges_per_batch: int = MAX_EDGES_PER_BATCH,
    ) -> None:
        self._graph = graph
        self._evaluate = evaluate
        self._batch_size = max(1, max_edges_per_batch // graph.edges_per_graph)
        _keep_freed_memory()

    def energies(self, positions_A: Float) -> Float:
        """Return total energies, NaN where a position is not finite."""
        positions = np.asarray(positions_A, dtype=np.float64).reshape(-1, 3)
        result = np.full(len(positions), np.nan)
        finite = np.flatnonzero(np.isfinite(positions).all(axis=1))
        result[finite] = in_batches(
            lambda chunk: self._evaluate(self._graph.at(chunk)), positions[finite], self._batch_size
        )
        return result


def edges_per_batch(device: "torch.device", bytes_per_edge: int) -> int:
    """Return how many edges a batch may hold on a device.

    Parameters
    ----------
    device : torch.device
        Where the model runs.
    bytes_per_edge : int
        Largest memory that its layers take for an edge.
    """
    if device.type == "cuda":
        return max(1, memory_per_batch(device) // bytes_per_edge)
    return MAX_EDGES_PER_BATCH


def _keep_freed_memory() -> None:
    """Have the C library keep freed memory instead of handing it back after every layer.

    glibc raises what it keeps to twice the largest block that it has seen freed, of at most 32 MiB
    (``M_MMAP_THRESHOLD`` in mallopt(3)); so one such block is taken and freed, and never touched.
    Without it about a quarter of the time can go to fetching pages again (TensorNet and SevenNet,
    50 atoms). Elsewhere this does nothing.
    """
    np.empty(31 << 20, dtype=np.uint8)
