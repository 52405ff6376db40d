"""What the families share: batches, checks of what goes in and comes out, hashes, devices."""

import hashlib
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import NonFiniteEnergyError, PotentialError
from superionic.potentials.base import Potential, package_version, require_finite

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


__all__ = ["BatchedPotential", "hash_state_dict", "package_version", "resolve_device"]

if TYPE_CHECKING:
    import torch


class BatchedPotential(Potential):
    """A potential that evaluates configurations in batches of a bounded number of atoms.

    A family implements :meth:`_evaluate`; elements, NaN and the size of a batch are seen to here.

    Attributes
    ----------
    max_atoms_per_batch : int
        Configurations are collected until they hold this many atoms. A larger configuration is
        evaluated on its own.
    """

    max_atoms_per_batch: int

    @abstractmethod
    def _evaluate(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return energies in eV and forces in eV/A (an empty list without ``with_forces``)."""

    def energies(self, configurations: Sequence[Atoms]) -> NDArray[np.float64]:
        """Return total energies."""
        return self._run(configurations, with_forces=False)[0]

    def energies_and_forces(
        self, configurations: Sequence[Atoms]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return total energies and forces."""
        return self._run(configurations, with_forces=True)

    def _run(
        self, configurations: Sequence[Atoms], *, with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        for atoms in {
            frozenset(atoms.numbers.tolist()): atoms for atoms in configurations
        }.values():
            self.check_elements(atoms)
        energies: list[NDArray[np.float64]] = [np.empty(0)]
        forces: list[NDArray[np.float64]] = []
        for batch in split_by_atoms(configurations, self.max_atoms_per_batch):
            batch_energies, batch_forces = self._evaluate_or_split(batch, with_forces)
            energies.append(batch_energies)
            forces.extend(batch_forces)
        total = np.concatenate(energies)
        require_finite(total, self)
        bad = sum(not np.isfinite(force).all() for force in forces)
        if bad:
            raise NonFiniteEnergyError(
                f"{self.info.label} gave NaN or infinite forces for {bad} of {len(forces)} "
                "configurations.",
                hint="Check the crystal for unphysical distances, or use another potential.",
            )
        return total, forces

    def _evaluate_or_split(
        self, batch: Sequence[Atoms], with_forces: bool
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Evaluate a batch, in halves where there is no memory for all of it."""
        try:
            return self._evaluate(batch, with_forces=with_forces)
        except (MemoryError, RuntimeError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        free_device_memory()
        middle = len(batch) // 2
        first, second = (
            self._evaluate_or_split(half, with_forces) for half in (batch[:middle], batch[middle:])
        )
        return np.concatenate([first[0], second[0]]), first[1] + second[1]


def split_by_atoms(
    configurations: Sequence[Atoms], max_atoms_per_batch: int
) -> Iterator[Sequence[Atoms]]:
    """Yield consecutive slices of at most that many atoms, or of one configuration."""
    start = n_atoms = 0
    for index, atoms in enumerate(configurations):
        if index > start and n_atoms + len(atoms) > max_atoms_per_batch:
            yield configurations[start:index]
            start, n_atoms = index, 0
        n_atoms += len(atoms)
    if start < len(configurations):
        yield configurations[start:]


def hash_state_dict(state: "Mapping[str, torch.Tensor]") -> str:
    """Return the SHA-256 of parameters: name, dtype, shape and bytes, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = state[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def resolve_device(device: str) -> str:
    """Return the device to use; ``auto`` means a CUDA device where there is one.

    Raises
    ------
    PotentialError
        When the device does not exist on this machine.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise PotentialError(
            f"The device {device!r} cannot be used: {reason}.", hint="Use 'cpu' or 'auto'."
        ) from None
    return device
