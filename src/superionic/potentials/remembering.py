"""Energies of an unfinished landscape, kept on disk as they come.

A process that computes a landscape for hours may be stopped or killed. What it asks for follows
from the crystal and the settings alone, so the next one asks the same questions in the same order,
and finds the answers that are there.
"""

import hashlib
import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from superionic.potentials.base import FrozenFramework, Potential

if TYPE_CHECKING:
    from ase import Atoms

_log = logging.getLogger(__name__)
_KEY_BYTES = 32
_COUNT = struct.Struct("<I")


class RememberingPotential(Potential):
    """A potential whose frozen frameworks write down each answer, and look there first.

    Parameters
    ----------
    potential : Potential
        Where energies come from.
    path : Path
        The file; what an earlier process has written is read, but for a record that is cut short.
    """

    def __init__(self, potential: Potential, path: Path) -> None:
        self.potential = potential
        self.info, self.elements = potential.info, potential.elements
        self.cutoff_A = potential.cutoff_A
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._file: BinaryIO = path.open("r+b", buffering=0)
        self._full = False
        self._known = dict(_records(self._file))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def energies(self, configurations: "Sequence[Atoms]") -> NDArray[np.float64]:
        """Return total energies in eV."""
        return self.potential.energies(configurations)

    def energies_and_forces(
        self, configurations: "Sequence[Atoms]"
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return total energies in eV and forces in eV/A."""
        return self.potential.energies_and_forces(configurations)

    def check_crystal(self, atoms: "Atoms") -> None:
        """Refuse a crystal of which the potential knows nothing."""
        self.potential.check_crystal(atoms)

    def frozen_framework(self, atoms: "Atoms", mobile_index: int) -> FrozenFramework:
        """Return the energy as a function of the position of one ion, remembered."""
        return _RememberingFramework(self, atoms, mobile_index)

    def find(self, key: bytes) -> NDArray[np.float64] | None:
        """Return the answer to a question that was asked before."""
        return self._known.get(key)

    def keep(self, key: bytes, energies_eV: NDArray[np.float64]) -> None:
        """Write an answer down; on a full disk nothing more is remembered, and the work goes on."""
        if self._full:
            return
        try:
            self._file.write(key + _COUNT.pack(len(energies_eV)) + energies_eV.tobytes())
        except OSError as error:  # a record that is cut short ends what is read again
            self._full = True
            _log.warning("Unfinished landscapes are not kept: %s", error)


class _RememberingFramework(FrozenFramework):
    def __init__(self, potential: RememberingPotential, atoms: "Atoms", mobile_index: int) -> None:
        self._potential = potential
        self._crystal = atoms, mobile_index
        self._framework: FrozenFramework | None = None

    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        positions_A = np.ascontiguousarray(positions_A, dtype=np.float64)
        digest = hashlib.sha256(str(self._crystal[1]).encode())
        digest.update(positions_A.tobytes())
        key = digest.digest()
        known = self._potential.find(key)
        if known is not None:
            return known
        if self._framework is None:
            self._framework = self._potential.potential.frozen_framework(*self._crystal)
        energies_eV = np.asarray(self._framework.energies(positions_A), dtype=np.float64)
        self._potential.keep(key, energies_eV)
        return energies_eV


@contextmanager
def remembering(potential: Potential, path: Path) -> Iterator[Potential]:
    """Use a potential that remembers, until the work is done.

    The file stays when the process is killed or interrupted; it goes when the work is finished, or
    fails for a reason of its own.
    """
    try:
        found = RememberingPotential(potential, path)
    except OSError:  # no place to write: nothing is remembered
        yield potential
        return
    try:
        yield found
    except Exception:
        path.unlink(missing_ok=True)
        raise
    finally:
        found.close()
    path.unlink(missing_ok=True)


def _records(file: BinaryIO) -> Iterator[tuple[bytes, NDArray[np.float64]]]:
    """Yield what a file holds, and leave it at the end of the last complete record."""
    end = 0
    while True:
        head = file.read(_KEY_BYTES + _COUNT.size)
        if len(head) < _KEY_BYTES + _COUNT.size:
            break
        (count,) = _COUNT.unpack(head[_KEY_BYTES:])
        content = file.read(8 * count)
        if len(content) < 8 * count:
            break
        end = file.tell()
        yield head[:_KEY_BYTES], np.frombuffer(content, dtype=np.float64).copy()
    file.seek(end)
    file.truncate()
