"""The interface of the engines, and what they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from ase import Atoms
from jobflow import Job
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.dynamics.stopping import StopRules
from superionic.errors import NoMobileIonError
from superionic.schemas.common import PackedArray
from superionic.schemas.validation import CellDocument, TrajectoryArrays
from superionic.workflows.jobs.diffusion import bare_atoms
from superionic.workflows.jobs.given import about_structure
from superionic.workflows.jobs.maker import SettingsMaker

Cell: TypeAlias = Structure | CellDocument
FloatArray: TypeAlias = NDArray[np.float64]


class Engine(Protocol):
    """Something that runs molecular dynamics at one temperature in a fixed cell."""

    mobile_species: str
    equilibration_ps: float
    stop: StopRules

    def bound(self, potential: str, mobile_species: str) -> "Engine":
        """Return the engine for a mobile ion, with a potential where none is set."""

    def make(
        self, structure: Cell, temperature_K: float, n_steps: int, timestep_fs: float, seed: int
    ) -> Job:
        """Return the job of a run.

        Parameters
        ----------
        structure : pymatgen.core.Structure or CellDocument
            The cell that is run, as it is. Any of the arguments may be an output reference.
        temperature_K : float
            Temperature of the thermostat.
        n_steps : int
            Longest production, after the equilibration.
        timestep_fs : float
            Time step.
        seed : int
            Of velocities and thermostat.

        Returns
        -------
        jobflow.Job
            Its output is a :class:`~superionic.schemas.validation.TrajectoryDocument`, whatever the
            engine: unwrapped positions, one lattice, energies, forces, temperatures or None.
        """


@dataclass
class EngineMaker(SettingsMaker):
    """What all engines are told.

    Parameters
    ----------
    name : str
        Name of the job.
    mobile_species : str
        Element of the mobile ions.
    equilibration_ps : float
        Time before the production.
    frame_interval_fs : float
        Time between stored frames; a whole number of steps near it is taken.
    stop : StopRules
        When a run ends before its time, where the engine can; how slope and verdict are found.
    """

    name: str = "dynamics"
    mobile_species: str = "Li"
    equilibration_ps: float = 2.0
    frame_interval_fs: float = 20.0
    stop: StopRules = field(default_factory=StopRules)

    def bound(self, potential: str, mobile_species: str) -> Self:
        """Return the engine for a mobile ion."""
        return replace(self, mobile_species=mobile_species)

    def stride(self, timestep_fs: float) -> int:
        """Return the steps between frames."""
        return max(1, round(self.frame_interval_fs / timestep_fs))

    def n_equilibration_steps(self, timestep_fs: float) -> int:
        """Return the steps before the production: whole frames."""
        stride = self.stride(timestep_fs)
        return round(self.equilibration_ps * 1e3 / timestep_fs / stride) * stride


def cell_and_atoms(cell: Cell) -> tuple[Structure, Atoms]:
    """Return the structure of a cell, and the same for ASE."""
    structure = cell if isinstance(cell, Structure) else cell.structure
    return structure, bare_atoms(structure)


def about(cell: Cell, mobile_species: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says of the identity of the material and the work.

    The settings are as keys hold them.
    """
    if isinstance(cell, CellDocument):
        return cell.identity
    return about_structure(cell, mobile_species, settings)


def require_ion(document: dict[str, Any], symbols: Sequence[str]) -> None:
    """Refuse a crystal that does not hold the mobile ion.

    Raises
    ------
    NoMobileIonError
        With the name of the material.
    """
    if document["mobile_species"] not in symbols:
        raise NoMobileIonError(
            f"{document['formula']} holds no {document['mobile_species']}.",
            hint="Name another mobile ion, or leave the crystal out.",
            material_id=document["material_id"],
        )


def folder_name(task_key: str, temperature_K: float, seed: int, weights_sha256: str) -> str:
    """Return the name of the folder in which a run is found again."""
    return f"{task_key[:32]}-{temperature_K:g}K-{seed}-{weights_sha256[:8]}"


def pack(
    steps: NDArray[np.int64],
    positions_A: NDArray[np.floating],
    energies_eV: FloatArray,
    forces_eV_per_A: NDArray[np.floating],
    temperatures_K: FloatArray | None,
) -> TrajectoryArrays:
    """Return the arrays of a document.

    Parameters
    ----------
    steps : ndarray of int, shape (n_frames,)
        Step of each frame.
    positions_A, forces_eV_per_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions and forces; kept in single precision.
    energies_eV : ndarray, shape (n_frames,)
        Potential energies.
    temperatures_K : ndarray, shape (n_frames,), or None
        Kinetic temperatures, where the engine tells them.
    """
    return TrajectoryArrays(
        steps=PackedArray.pack(steps.astype(np.int64)),
        positions_A=PackedArray.pack(positions_A.astype(np.float32)),
        energies_eV=PackedArray.pack(energies_eV.astype(np.float64)),
        forces_eV_per_A=PackedArray.pack(forces_eV_per_A.astype(np.float32)),
        temperatures_K=None if temperatures_K is None else PackedArray.pack(temperatures_K),
    )
