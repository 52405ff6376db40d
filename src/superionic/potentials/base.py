"""The interface that every universal interatomic potential implements.

Configurations are :class:`ase.Atoms` with three periodic directions; energies are total energies in
eV, forces in eV/A. Calls are batched: an implementation evaluates the whole list at once where it
can.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.errors import IsolatedAtomsError, NonFiniteEnergyError, UnknownElementError
from superionic.potentials.force_field import FloatArray, ForceField

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class PotentialInfo:
    """What identifies a potential, stored with every result.

    Parameters
    ----------
    family : str
        ``chgnet``, ``sevennet``, ``matgl`` or ``ase``.
    name : str
        Model name within the family, such as ``0.3.0`` or ``7net-0``.
    package_version : str
        Package and version that evaluates it, such as ``chgnet 0.4.2``.
    weights_sha256 : str
        Hash of the parameters (names, shapes, bytes); for an ASE calculator of its import path, the
        source of its module, its settings, and the files and folders that they name.
    """

    family: str
    name: str
    package_version: str
    weights_sha256: str

    @property
    def label(self) -> str:
        """Return the short name shown in tables, ``family:name``."""
        return f"{self.family}:{self.name}"


def package_version(package: str) -> str:
    """Return ``package version``, or ``package unknown`` for a module that is not installed.

    A module whose package has another name, as ``mace`` of mace-torch, is found, too.
    """
    with suppress(PackageNotFoundError):
        return f"{package} {version(package)}"
    # As importlib.metadata.packages_distributions, which parses all that is installed (0.7 s).
    for found in distributions():
        modules = found.read_text("top_level.txt")
        record = "" if modules else "\n" + (found.read_text("RECORD") or "")
        if package in (modules or "").split() or any(
            f"\n{package}{end}" in record for end in ("/", ".py,")
        ):
            return f"{found.metadata['Name']} {found.version}"
    return f"{package} unknown"


def release(package_version: str) -> str:
    """Return a package and the part of its version that its conventions may change with.

    Parameters
    ----------
    package_version : str
        As :attr:`PotentialInfo.package_version`.

    Returns
    -------
    str
        ``matgl 4`` for ``matgl 4.1.2``, ``chgnet 0.4`` for ``chgnet 0.4.2``, the name alone where
        the version is not known.

    Examples
    --------
    >>> release("matgl 4.1.2"), release("chgnet 0.4.2"), release("my_module unknown")
    ('matgl 4', 'chgnet 0.4', 'my_module')
    """
    package, _, version = package_version.rpartition(" ")
    numbers = re.match(r"(0\.\d+|[1-9]\d*)", version)
    return f"{package} {numbers[0]}" if numbers and package else (package or version)


def same_release(one: str, other: str) -> bool:
    """Say whether two package versions may give the same numbers from the same weights.

    A version that is not known may be any.
    """
    releases = [release(one), release(other)]
    return releases[0] == releases[1] or not all(" " in name for name in releases)


STRAIN = 2e-3
"""Half-width of the central differences: large enough for energies in single precision."""


class FrozenFramework(ABC):
    """Energies of one crystal as a function of the position of one of its ions."""

    @abstractmethod
    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return total energies with the mobile ion at each position.

        Parameters
        ----------
        positions_A : ndarray, shape (m, 3)
            Cartesian positions of the mobile ion in A, anywhere in space.

        Returns
        -------
        ndarray, shape (m,)
            Total energies in eV; not checked for NaN.
        """


class Potential(ABC):
    """A universal interatomic potential.

    Attributes
    ----------
    info : PotentialInfo
        Identity and provenance.
    elements : frozenset of str or None
        Elements that it was trained on; None when unknown.
    cutoff_A : float or None
        Atoms farther apart than this, in A, do not interact directly; None when unknown.
    """

    info: PotentialInfo
    elements: frozenset[str] | None
    cutoff_A: float | None = None

    @abstractmethod
    def energies(self, configurations: "Sequence[Atoms]") -> NDArray[np.float64]:
        """Return total energies in eV, shape (n_configurations,)."""

    @abstractmethod
    def energies_and_forces(
        self, configurations: "Sequence[Atoms]"
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return total energies in eV and, for each configuration, forces in eV/A, (n_atoms, 3)."""

    def energy_forces_stress(
        self, atoms: "Atoms"
    ) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
        """Return energy in eV, forces in eV/A and stress in eV/A^3, shape (3, 3).

        The stress is dE/d(strain) / V: positive where the crystal would shrink. The base
        implementation takes central differences of the energy; a family overrides it where it has
        something faster.
        """
        energies_eV, forces = self.energies_and_forces([atoms])
        return float(energies_eV[0]), forces[0], self._stress_by_differences(atoms)

    def _stress_by_differences(self, atoms: "Atoms") -> NDArray[np.float64]:
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
        energies_eV = self.energies(strained)
        stress = np.empty((3, 3))
        for k, (i, j) in enumerate(components):
            slope = (energies_eV[2 * k] - energies_eV[2 * k + 1]) / (2 * STRAIN)
            stress[i, j] = stress[j, i] = slope / atoms.get_volume()
        return stress

    def frozen_framework(self, atoms: "Atoms", mobile_index: int) -> FrozenFramework:
        """Return the energy of ``atoms`` as a function of the position of one ion.

        The base implementation evaluates complete configurations; a family overrides it where it
        has something faster.
        """
        return _FullConfigurations(self, atoms, mobile_index)

    def force_field(self, systems: "Sequence[Atoms]") -> ForceField:
        """Return energies and forces of some crystals, for dynamics.

        The base implementation evaluates complete configurations; a family overrides it where it
        has something faster.

        Raises
        ------
        UnknownElementError, IsolatedAtomsError
            As :meth:`check_crystal`.
        """
        return PotentialForceField(self, systems)

    def check_elements(self, atoms: "Atoms") -> None:
        """Refuse a crystal that holds elements that the potential does not know.

        Raises
        ------
        UnknownElementError
            Naming the elements.
        """
        if self.elements is None:
            return
        unknown = sorted(set(atoms.get_chemical_symbols()) - self.elements)
        if unknown:
            raise UnknownElementError(
                f"{self.info.label} was not trained on {', '.join(unknown)}.",
                hint="Choose another potential (--potential) or leave the material out.",
            )

    def check_crystal(self, atoms: "Atoms") -> None:
        """Refuse a crystal of which the potential knows nothing, be it an element or an atom.

        Raises
        ------
        UnknownElementError
            Naming the elements.
        IsolatedAtomsError
            When an atom has no other within the cutoff: it would feel no force anywhere.
        """
        self.check_elements(atoms)
        if self.cutoff_A is None:
            return
        # With it comes pymatgen, which takes long.
        from superionic.structures.neighbours import find_neighbours

        found = find_neighbours(atoms.positions, atoms.cell.array, self.cutoff_A)
        alone = np.setdiff1d(np.arange(len(atoms)), found.first)
        if alone.size:
            symbol = atoms.get_chemical_symbols()[alone[0]]
            raise IsolatedAtomsError(
                f"{alone.size} of {len(atoms)} atoms, the first {symbol}{alone[0] + 1}, have no"
                f" neighbour within {self.cutoff_A:g} A, the cutoff of {self.info.label}.",
                hint="Check the size of the cell, or choose a potential that reaches farther"
                " (--potential).",
            )


class _FullConfigurations(FrozenFramework):
    def __init__(self, potential: Potential, atoms: "Atoms", mobile_index: int) -> None:
        self._potential = potential
        self._atoms = atoms.copy()
        self._mobile_index = mobile_index

    def energies(self, positions_A: NDArray[np.float64]) -> NDArray[np.float64]:
        configurations = []
        for position in np.asarray(positions_A):
            atoms = self._atoms.copy()
            atoms.positions[self._mobile_index] = position
            configurations.append(atoms)
        return self._potential.energies(configurations)


class PotentialForceField:
    """Any potential as a force field."""

    def __init__(self, potential: Potential, systems: "Sequence[Atoms]") -> None:
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


def require_finite(energies_eV: NDArray[np.float64], potential: Potential) -> None:
    """Raise when any energy is NaN or infinite.

    Raises
    ------
    NonFiniteEnergyError
        With the number of such energies.
    """
    bad = int(np.count_nonzero(~np.isfinite(energies_eV)))
    if bad:
        raise NonFiniteEnergyError(
            f"{potential.info.label} gave {bad} of {energies_eV.size} energies as NaN or infinity.",
            hint="Check the crystal for unphysical distances, or use another potential.",
        )
