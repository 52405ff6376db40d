"""CHGNet's energy as a function of the position of one ion in a frozen framework.

The framework's graph, bases and whatever of the first layers does not change are computed once; per
position only the mobile ion's bonds and angles are found and the features recomputed, in compiled
code (:mod:`superionic.potentials.chgnet.kernels`). Same energies as the model's own forward pass,
up to float32 rounding.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import PotentialError
from superionic.potentials.base import FrozenFramework
from superionic.potentials.chgnet.kernels import energies
from superionic.potentials.chgnet.pack import (
    build_framework,
    copy_workspace,
    pack_weights,
    supports,
)

if TYPE_CHECKING:
    from chgnet.model import CHGNet

__all__ = ["ChgnetFrozenFramework", "supports"]


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
        mobile = range(len(atoms))[mobile_index]
        self._framework, workspace = build_framework(model, self._weights, atoms, mobile)
        self._reference_eV = _reference_energy(model, atoms)
        self._batch_size = batch_size
        self._workspaces = [workspace]

    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return total energies with the mobile ion at each position."""
        positions = np.ascontiguousarray(positions_A, dtype=np.float64).reshape(-1, 3)
        result = np.empty(len(positions))
        n_threads = max(1, min(torch.get_num_threads(), len(positions)))
        while len(self._workspaces) < n_threads:
            self._workspaces.append(copy_workspace(self._workspaces[0]))
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


def _reference_energy(model: "CHGNet", atoms: Atoms) -> float:
    """Return the sum of the atomic reference energies in eV."""
    if model.composition_model is None:
        return 0.0
    per_element = model.composition_model.fc.weight[0].detach().cpu().numpy().astype(np.float64)
    return float(per_element[atoms.numbers - 1].sum())
