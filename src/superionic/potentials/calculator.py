"""Potentials as ASE calculators, for the parts of the ecosystem that want one."""

from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential


class PotentialCalculator(Calculator):
    """Energy and forces of a potential through ASE's interface.

    Parameters
    ----------
    potential : Potential
        Where they come from.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute energy (eV) and forces (eV/A)."""
        super().calculate(atoms, properties, system_changes)
        energies_eV, forces = self.potential.energies_and_forces([self.atoms])
        self.results: dict[str, Any] = {"energy": float(energies_eV[0]), "forces": forces[0]}


def potential_calculator(spec: str) -> Calculator:
    """Return the ASE calculator of a potential given by its specification.

    atomate2's Makers take it by import path: ``force_field_name={"@module":
    "superionic.potentials.calculator", "@callable": "potential_calculator"}`` with
    ``calculator_kwargs={"spec": "chgnet"}``.
    """
    potential = load_potential(spec)
    return potential.calculator() or PotentialCalculator(potential)
