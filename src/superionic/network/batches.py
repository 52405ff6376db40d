"""Which shakes of which crystals make a batch; the same for the same seed and epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.network.data import TrainingSet
from superionic.network.graphs import CrystalGraph, collate, shake_graphs

if TYPE_CHECKING:
    from torch import Tensor

IntArray = NDArray[np.int64]
Extras = Callable[[Sequence[int]], "dict[str, Tensor]"]
"""What a control experiment adds to a batch, from the number of the crystal of each graph."""


class GraphTable:
    """Graphs of all shakes of a training set, and batches of them.

    Parameters
    ----------
    training_set : TrainingSet
        Crystals and shakes.
    cutoff_A : float
        Of neighbours, in A.
    extras : callable, optional
        Adds tensors to each batch; for control experiments alone.
    device : str
        Where batches are to be.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        cutoff_A: float,
        *,
        extras: Extras | None = None,
        device: str = "cpu",
    ) -> None:
        self.graphs: list[list[CrystalGraph]] = [
            shake_graphs(shakes, cutoff_A) for shakes in training_set.shakes
        ]
        self.targets = training_set.targets
        self._extras = extras
        self.device = device

    def mean_neighbours(self, crystals: IntArray) -> float:
        """Return the mean number of neighbours of the atoms of some crystals."""
        chosen = [graph for crystal in crystals for graph in self.graphs[crystal]]
        n_edges = sum(graph.edge_index.shape[1] for graph in chosen)
        return max(1.0, n_edges / sum(len(graph) for graph in chosen))

    def batch(self, pairs: "Sequence[tuple[int, int]]") -> "dict[str, Tensor]":
        """Return the batch of some pairs of crystal and shake."""
        inputs = collate([self.graphs[c][s] for c, s in pairs], device=self.device)
        if self._extras is not None:
            added = self._extras([crystal for crystal, _ in pairs])
            inputs |= {name: value.to(self.device) for name, value in added.items()}
        return inputs

    def targets_of(self, crystals: Sequence[int]) -> "Tensor":
        """Return targets, shape (n_crystals, n_targets)."""
        import torch

        values = self.targets[list(crystals)]
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)

    def epoch(
        self, crystals: IntArray, epoch: int, *, seed: int, batch_size: int, n_shakes: int
    ) -> "list[tuple[dict[str, Tensor], Tensor]]":
        """Return the batches of an epoch with their targets.

        Each crystal comes with ``n_shakes`` of its shakes, chosen at random.
        """
        rng = np.random.default_rng([seed, epoch])
        pairs = [
            (int(crystal), int(shake))
            for crystal in crystals
            for shake in rng.permutation(len(self.graphs[crystal]))[:n_shakes]
        ]
        order = rng.permutation(len(pairs))
        shuffled = [pairs[i] for i in order]
        chunks = [shuffled[i : i + batch_size] for i in range(0, len(shuffled), batch_size)]
        return [(self.batch(chunk), self.targets_of([c for c, _ in chunk])) for chunk in chunks]

    def shakes_of(self, crystal: int, max_shakes: int | None = None) -> list[tuple[int, int]]:
        """Return the pairs of a crystal and its (first) shakes, as batches are made of them."""
        return [(crystal, shake) for shake in range(len(self.graphs[crystal][:max_shakes]))]

    def by_crystal(
        self, crystals: IntArray, max_shakes: int | None = None
    ) -> "Iterator[tuple[dict[str, Tensor], Tensor]]":
        """Yield for each crystal a batch of its (first) shakes, and its targets, (1, n_targets)."""
        for crystal in crystals.tolist():
            yield self.batch(self.shakes_of(crystal, max_shakes)), self.targets_of([crystal])
