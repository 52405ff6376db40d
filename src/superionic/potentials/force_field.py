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

from superionic.errors import PotentialError, UnknownElementError
from superionic.potentials.base import Potential

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


class PotentialForceField:
    """Any :class:`superionic.potentials.base.Potential` as a force field."""

    def __init__(self, potential: Potential, systems: Sequence[Atoms]) -> None:
        self._potential = potential
        self._systems = [atoms.copy() for atoms in systems]
        for atoms in self._systems:
            potential.check_crystal(atoms)

    @property
    def label(self) -> str:
        """Return family, name and weights hash."""
        return f"{self._potential.info.label}:{self._potential.info.weights_sha256}"

    def evaluate(self, positions_A: Sequence[FloatArray]) -> tuple[FloatArray, list[FloatArray]]:
        """Return energies in eV and forces in eV/A."""
        for atoms, positions in zip(self._systems, positions_A, strict=True):
            atoms.positions = positions
        return self._potential.energies_and_forces(self._systems)


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


def force_field_maker(potential: Potential) -> MakeForceField:
    """Return what binds a potential to crystals, the fastest way that this package has for it.

    Parameters
    ----------
    potential : Potential
        CHGNet goes to :class:`superionic.potentials.chgnet.force_field.CHGNetForceField` (unless
        its architecture is not covered); everything else to :class:`PotentialForceField`.
    """

    def make(systems: Sequence[Atoms]) -> ForceField:
        model = getattr(potential, "model", None)
        if potential.info.family != "chgnet" or model is None:
            return PotentialForceField(potential, systems)
        from superionic.potentials.chgnet.force_field import CHGNetForceField

        for atoms in systems:
            potential.check_crystal(atoms)
        label = f"{potential.info.label}:{potential.info.weights_sha256}"
        device = str(next(model.parameters()).device)
        try:
            return CHGNetForceField(systems, model, label=label, device=device)
        except PotentialError as error:
            if isinstance(error, UnknownElementError):
                raise
            return PotentialForceField(potential, systems)

    return make
