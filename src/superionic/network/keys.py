"""What a network may see: every tensor of a batch, with its shape.

A batch has no place for species, masses, a mask of the mobile ions or displacements, and
:func:`require_keys` refuses a batch with anything more. Displacements by the mass
(``ShakeSettings.mass_exponent``) inform the network of masses nevertheless, by the distances.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

EDGE_VECTORS: Final = "edge_vectors_A"
"""(n_edges, 3), floating point: from receiving to sending atom, periodic images included, in A."""

EDGE_INDEX: Final = "edge_index"
"""(2, n_edges), int64: receiving and sending atom."""

ACCELERATIONS: Final = "accelerations_A_per_ps2"
"""(n_atoms, 3), floating point: force over mass of each atom, in A/ps^2."""

GRAPH_INDEX: Final = "graph_index"
"""(n_atoms,), int64: crystal of each atom, ascending, 0 to n_graphs - 1."""

INPUTS: Final = frozenset({EDGE_VECTORS, EDGE_INDEX, ACCELERATIONS, GRAPH_INDEX})
"""All that the network of this package is given."""

NODE_FEATURES: Final = "node_features"
"""(n_atoms, readout_hidden): invariants of each atom after the last round."""

GRAPH_FEATURES: Final = "graph_features"
"""(n_graphs, 2 * readout_hidden): their mean and their attention-weighted mean over a crystal."""

TARGETS: Final = "targets"
"""(n_graphs, n_targets): predictions in the units of the targets."""

SPECIES: Final = "species"
"""(n_atoms,), int64: atomic numbers; only in a control experiment."""

MOBILE: Final = "mobile"
"""(n_atoms,), bool: whether an atom is of the mobile species; only in a control experiment."""

_WIDTHS: Final = {EDGE_VECTORS: (3,), ACCELERATIONS: (3,), GRAPH_INDEX: (), SPECIES: (), MOBILE: ()}


def require_keys(batch: "Mapping[str, Tensor]", allowed: frozenset[str] = INPUTS) -> None:
    """Refuse a batch that has more or less than the network may see, or wrong shapes.

    Parameters
    ----------
    batch : mapping of str to Tensor
        What is to be computed.
    allowed : frozenset of str
        Exactly these keys.

    Raises
    ------
    ValueError
        Naming the keys or the shape.
    """
    if batch.keys() != allowed:
        extra, missing = sorted(batch.keys() - allowed), sorted(allowed - batch.keys())
        raise ValueError(f"A batch has exactly {sorted(allowed)}; {extra=}, {missing=}.")
    n_atoms = len(batch[GRAPH_INDEX])
    n_edges = len(batch[EDGE_VECTORS])
    for key, tensor in batch.items():
        rows = n_edges if key == EDGE_VECTORS else n_atoms
        expected = (2, n_edges) if key == EDGE_INDEX else (rows, *_WIDTHS[key])
        if tuple(tensor.shape) != expected:
            raise ValueError(f"{key} has shape {tuple(tensor.shape)}, expected {expected}.")
