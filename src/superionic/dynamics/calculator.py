"""Force fields of dynamics as ASE calculators, for optimisers at a cell that stays as it is."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from superionic.errors import NonFiniteEnergyError
from superionic.potentials.force_field import ForceField, MakeForceField
from superionic.potentials.registry import load_potential


class ForceFieldCalculator(Calculator):
    """An ASE calculator for one crystal, on a force field that keeps its neighbours.

    It has no stress: atomate2's relaxations ask every calculator that has one for it at each step,
    and central differences of it cost ten times the forces.

    Parameters
    ----------
    make_force_field : callable
        Binds the potential to a crystal. It is called again when elements or cell are others.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, make_force_field: MakeForceField) -> None:
        super().__init__()
        self._make_force_field = make_force_field
        self._force_field: ForceField | None = None
        self.n_evaluations = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate energy and forces.

        Raises
        ------
        NonFiniteEnergyError
            When one is NaN: an optimiser would be lost to it without a word.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        if self._force_field is None or not {"positions"}.issuperset(system_changes):
            self._force_field = self._make_force_field([self.atoms])
        energies, forces = self._force_field.evaluate([self.atoms.positions])
        if not (np.isfinite(energies).all() and np.isfinite(forces[0]).all()):
            raise NonFiniteEnergyError(
                "The potential gave NaN or infinity while positions were optimised.",
                hint="Check the crystal for unphysical distances, or use another potential.",
            )
        self.results: dict[str, Any] = {"energy": float(energies[0]), "forces": forces[0]}
        self.n_evaluations += 1


def fixed_cell_calculator(spec: str) -> Calculator:
    """Return the ASE calculator of a potential for relaxations of positions.

    As :func:`superionic.potentials.calculator.potential_calculator`, without stress and with the
    forces of dynamics.
    """
    return ForceFieldCalculator(load_potential(spec).force_field)
