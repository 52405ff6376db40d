"""Batches that fit into the memory of a device."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

CPU_MEMORY_PER_BATCH = 128_000_000
"""Bytes of a batch on a processor, where larger ones gain nothing."""

CPU_ATOMS_PER_BATCH = 64
"""Atoms of a batch on a processor.

Larger batches of energies gain nothing there and those of forces lose time, since their memory is
handed back to the system and fetched again.
"""

_BYTES_PER_ATOM = 8_000_000
"""What the layers of a network keep for the forces on one atom with some seventy neighbours."""

_SHARE = 0.4
"""Part of a GPU's free memory that a batch may take by estimate; other processes use it, too."""


def memory_per_batch(device: "torch.device") -> int:
    """Return how many bytes the arrays of one batch may take on a device."""
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(_SHARE * free)
    return CPU_MEMORY_PER_BATCH


def atoms_per_batch(device: "torch.device") -> int:
    """Return how many atoms complete configurations that are evaluated together may hold."""
    if device.type == "cuda":
        return max(1, memory_per_batch(device) // _BYTES_PER_ATOM)
    return CPU_ATOMS_PER_BATCH


def in_batches(
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    positions_A: NDArray[np.float64],
    batch_size: int,
) -> NDArray[np.float64]:
    """Evaluate positions in batches; one for which the GPU lacks memory is split.

    Parameters
    ----------
    evaluate : callable
        Takes positions, shape (m, 3), and returns energies, shape (m,).
    positions_A : ndarray, shape (n, 3)
        Positions in A.
    batch_size : int
        Positions to evaluate together.

    Returns
    -------
    ndarray, shape (n,)
        Energies in eV.

    Raises
    ------
    MemoryError, torch.OutOfMemoryError
        When there is no memory for a single position.
    """
    result = np.empty(len(positions_A))
    start, size = 0, max(1, batch_size)
    while start < len(positions_A):
        chunk = slice(start, start + size)
        try:
            result[chunk] = evaluate(positions_A[chunk])
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size = (min(size, len(positions_A) - start) + 1) // 2
            free_device_memory()
            continue
        start += size
    return result


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out: torch has no one class for that.

    The error is read and torch is not asked, since a potential that does not use torch should not
    have to load it.
    """
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "outofmemory", "allocate memory")
    )


def free_device_memory() -> None:
    """Hand the memory that torch keeps on a GPU back, if torch was loaded at all."""
    if "torch" in sys.modules:
        import torch

        torch.cuda.empty_cache()
