"""Potentials as ASE calculators, for the parts of the ecosystem that want one."""

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential

STRAIN = 2e-3
"""Half-width of the central differences: large enough for energies in single precision."""


class PotentialCalculator(Calculator):
    """A potential through ASE's interface.

    Stresses are central differences of the energy, so that every potential has them.

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
        energies_eV, forces = self.potential.energies_and_forces([self.atoms])
        self.results: dict[str, Any] = {"energy": float(energies_eV[0]), "forces": forces[0]}
        if "stress" in (properties or []):
            self.results["stress"] = _stress(self.potential, self.atoms)


def _stress(potential: Potential, atoms: Atoms) -> NDArray[np.float64]:
    """Return dE/d(strain) / V for the six symmetric strains, in Voigt order."""
    components = [(i, j) for i in range(3) for j in range(i, 3)]
    strained = []
    for i, j in components:
        for amount in (STRAIN, -STRAIN):
            strain = np.eye(3)
            strain[i, j] += amount / 2
            strain[j, i] += amount / 2
            copy = atoms.copy()
            copy.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            strained.append(copy)
    energies_eV = potential.energies(strained)
    stress = np.empty((3, 3))
    for k, (i, j) in enumerate(components):
        slope = (energies_eV[2 * k] - energies_eV[2 * k + 1]) / (2 * STRAIN)
        stress[i, j] = stress[j, i] = slope / atoms.get_volume()
    return full_3x3_to_voigt_6_stress(stress)


def potential_calculator(spec: str) -> Calculator:
    """Return the ASE calculator of a potential given by its specification.

    atomate2's Makers take it by import path: ``force_field_name={"@module":
    "superionic.potentials.calculator", "@callable": "potential_calculator"}`` with
    ``calculator_kwargs={"spec": "chgnet"}``.
    """
    return PotentialCalculator(load_potential(spec))
