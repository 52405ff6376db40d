"""Energies and forces for dynamics: what an integrator asks at every step.

A potential of :mod:`superionic.potentials` answers any list of crystals; dynamics asks about the
same crystals a hundred thousand times, so a force field is bound to its crystals and keeps what
does not change: species, cell, neighbour candidates.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class ForceField(Protocol):
    """Energies and forces of a fixed list of crystals as functions of their positions."""

    @property
    def label(self) -> str:
        """Return what identifies the potential: family, name, hash of the weights."""

    def evaluate(self, positions_A: Sequence[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        """Return energies and forces.

        Parameters
        ----------
        positions_A : sequence of ndarray, shape (n_atoms, 3)
            Cartesian positions in A, one array for each crystal.

        Returns
        -------
        energies_eV : ndarray, shape (n_crystals,)
            Total energies.
        forces_eV_per_A : list of ndarray, shape (n_atoms, 3)
            Forces.
        """


class CalculatorForceField:
    """An ASE calculator as a force field.

    Parameters
    ----------
    calculator : ase Calculator
        Called for one crystal after the other.
    systems : sequence of Atoms
        The crystals.
    label : str
        What identifies the calculator; default: its class.
    """

    def __init__(
        self, calculator: Calculator, systems: Sequence[Atoms], label: str | None = None
    ) -> None:
        self.label = label or f"ase:{type(calculator).__module__}.{type(calculator).__qualname__}"
        self._systems = [atoms.copy() for atoms in systems]
        for atoms in self._systems:
            atoms.calc = calculator

    def evaluate(self, positions_A: Sequence[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        """Return energies in eV and forces in eV/A."""
        energies, forces = [], []
        for atoms, positions in zip(self._systems, positions_A, strict=True):
            atoms.positions = positions
            forces.append(np.array(atoms.get_forces(), dtype=np.float64))
            energies.append(float(atoms.get_potential_energy()))
        return np.array(energies), forces


MakeForceField: TypeAlias = Callable[[Sequence[Atoms]], ForceField]
"""Binds a potential to crystals."""
