"""What the families share: batches, checks of what goes in and comes out, hashes, devices."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import NonFiniteEnergyError, PotentialError
from superionic.potentials.base import Potential, package_version, require_finite
from superionic.potentials.batch_size import free_device_memory, is_out_of_memory

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
