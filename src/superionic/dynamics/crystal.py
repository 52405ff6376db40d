"""What the analysis of a trajectory has to know of the crystal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Crystal:
    """What the analysis has to know of the crystal.

    Parameters
    ----------
    symbols : sequence of str, length n_atoms
        Chemical symbols.
    masses_u : ndarray, shape (n_atoms,)
        Masses in u.
    cell_A : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    positions_A : ndarray, shape (n_atoms, 3)
        Positions at the start, in A.
    mobile : str
        Symbol of the mobile element.
    """

    symbols: Sequence[str]
    masses_u: FloatArray
    cell_A: FloatArray
    positions_A: FloatArray
    mobile: str

    @property
    def is_mobile(self) -> NDArray[np.bool_]:
        """Return which atoms are mobile, shape (n_atoms,)."""
        return self.is_element(self.mobile)

    def is_element(self, symbol: str) -> NDArray[np.bool_]:
        """Return which atoms are of an element, shape (n_atoms,)."""
        return np.array([other == symbol for other in self.symbols])

    def nearest_distance(self, which: NDArray[np.bool_]) -> float:
        """Return the shortest distance between some of the atoms, periodic images included."""
        from ase.geometry import get_distances

        positions = self.positions_A[which]
        _, distances = get_distances(positions, cell=self.cell_A, pbc=True)
        np.fill_diagonal(distances, np.inf)
        own_images = np.linalg.norm(self.cell_A, axis=1).min()
        return float(min(distances.min(initial=np.inf), own_images))


def crystal_of(atoms: "Atoms", mobile: str) -> Crystal:
    """Return what the analysis has to know of a crystal."""
    return Crystal(
        symbols=atoms.get_chemical_symbols(),
        masses_u=np.asarray(atoms.get_masses(), dtype=np.float64),
        cell_A=np.array(atoms.cell.array),
        positions_A=np.array(atoms.positions),
        mobile=mobile,
    )
