"""Potentials as ASE calculators, for the parts of the ecosystem that want one."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from superionic.errors import NonFiniteEnergyError
from superionic.potentials.base import Potential
from superionic.potentials.force_field import ForceField, MakeForceField
from superionic.potentials.registry import load_potential


class PotentialCalculator(Calculator):
    """A potential through ASE's interface, stresses included.

    Parameters
    ----------
    potential : Potential
        Where energies and forces come from.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV), forces (eV/A) and, where asked for, stress (eV/A^3, Voigt)."""
        super().calculate(atoms, properties, system_changes)
        self.results: dict[str, Any]
        if "stress" in (properties or []):
            energy_eV, forces, stress = self.potential.energy_forces_stress(self.atoms)
            self.results = {"stress": full_3x3_to_voigt_6_stress(stress)}
        else:
            energies_eV, (forces,) = self.potential.energies_and_forces([self.atoms])
            self.results, energy_eV = {}, float(energies_eV[0])
        self.results |= {"energy": energy_eV, "forces": forces}


def potential_calculator(spec: str) -> Calculator:
    """Return the ASE calculator of a potential given by its specification.

    atomate2's Makers take it by import path: ``force_field_name={"@module":
    "superionic.potentials.calculator", "@callable": "potential_calculator"}`` with
    ``calculator_kwargs={"spec": "chgnet"}``.
    """
    return PotentialCalculator(load_potential(spec))


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
