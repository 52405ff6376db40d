"""Documents of the validation flow: molecular dynamics at several temperatures, and a verdict."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from superionic.schemas.common import (
    Crystal,
    Document,
    MaterialDocument,
    PackedArray,
    PotentialDocument,
    SourcedDocument,
)
from superionic.schemas.label import RunFindings, RunStatus


class CellDocument(SourcedDocument):
    """The supercell in which a crystal is run, and how long."""

    kind: Literal["cell"] = Field("cell", description="Kind of document.")
    structure: Crystal = Field(description="The supercell; atoms of one element in a row.")
    supercell_matrix: list[list[int]] = Field(
        description="Rows of this matrix times the crystal's cell are the supercell's vectors."
    )
    image_distance_A: float = Field(description="Distance of an ion to its nearest image in A.")
    n_mobile: int = Field(description="Mobile ions in the supercell.")
    timestep_fs: float = Field(description="Time step in fs.")
    n_steps: int = Field(description="Longest production at each temperature, in steps.")
    relaxed: bool = Field(False, description="Whether the crystal was relaxed before.")


class TrajectoryArrays(Document):
    """Frames of a trajectory; kept in the additional store ``data``."""

    steps: PackedArray = Field(description="Step of each frame, shape (n_frames,).")
    positions_A: PackedArray = Field(
        description="Unwrapped Cartesian positions in A, float32, shape (n_frames, n_atoms, 3)."
    )
    energies_eV: PackedArray = Field(description="Potential energies in eV, shape (n_frames,).")
    forces_eV_per_A: PackedArray = Field(
        description="Forces in eV/A, float32, shape (n_frames, n_atoms, 3)."
    )
    temperatures_K: PackedArray | None = Field(
        description="Kinetic temperatures in K, shape (n_frames,); None where the engine says none."
    )


class TrajectoryDocument(MaterialDocument):
    """Molecular dynamics at one temperature, the same for every engine.

    Cells are fixed; positions are unwrapped: an ion that leaves the cell does not come back at the
    other side. Frames are equally spaced in time.
    """

    kind: Literal["trajectory"] = Field("trajectory", description="Kind of document.")
    engine: str = Field(description="ase or vasp.")
    potential: PotentialDocument = Field(description="What gave the forces of the dynamics.")
    symbols: list[str] = Field(description="Chemical symbols, in the order of the arrays.")
    lattice_A: list[list[float]] = Field(description="Lattice vectors as rows, in A.")
    start_positions_A: list[list[float]] = Field(description="Positions before the first step.")
    temperature_K: float = Field(description="Temperature of the thermostat in K.")
    timestep_fs: float = Field(description="Time step in fs.")
    stride: int = Field(description="Steps between frames.")
    seed: int = Field(description="Seed of velocities and thermostat.")
    n_frames: int = Field(description="Frames.")
    has_first_frame: bool = Field(
        description="Whether the first frame is the start, before any step; else the first step "
        "that is a multiple of the stride."
    )
    positions_wrapped: Literal[False] = Field(False, description="Positions are never wrapped.")
    n_equilibration_steps: int = Field(description="Steps at the start that are not analysed.")
    n_steps_done: int = Field(description="Steps, equilibration included.")
    status: RunStatus = Field(description="How the run ended.")
    stop_reason: str = Field(description="Why it ended, with numbers.")
    segments: list[str] = Field(
        default_factory=list, description="uuids of the jobs that a chained run consists of."
    )
    arrays: TrajectoryArrays = Field(description="The frames.")

    @property
    def frame_interval_ps(self) -> float:
        """Return the time between frames in ps."""
        return self.stride * self.timestep_fs * 1e-3

    def production(self) -> NDArray[np.floating]:
        """Return the positions after the equilibration, shape (n_frames, n_atoms, 3)."""
        steps = self.arrays.steps.unpack()
        positions: NDArray[np.floating] = self.arrays.positions_A.unpack()
        return positions[steps >= self.n_equilibration_steps]


class TemperatureDocument(RunFindings):
    """What the run at one temperature says."""

    temperature_K: float = Field(description="Temperature of the thermostat in K.")
    mean_temperature_K: float | None = Field(
        description="Mean kinetic temperature of the production in K."
    )
    seed: int = Field(description="Seed of velocities and thermostat.")
    status: str = Field(description="How the run ended.")
    stop_reason: str = Field(description="Why it ended, with numbers.")
    evidence: Literal["value", "bound", "none"] = Field(
        description="How the run enters the Arrhenius fit: as a value, as an upper bound, not."
    )
    n_steps_done: int = Field(description="Steps, equilibration included.")
    conductivity_upper_bound_S_per_cm: float | None = Field(description="95 % upper bound.")
    n_evaluations: int = Field(description="Force evaluations.")
    wall_time_s: float = Field(description="Wall time of the last call in s.")
    trajectory_uuid: str | None = Field(description="uuid of the job that made the trajectory.")


class ValidationDocument(SourcedDocument):
    """Is a candidate a superionic conductor: the result of the validation flow."""

    kind: Literal["validation"] = Field("validation", description="Kind of document.")
    potential: PotentialDocument = Field(
        description="Potential of the flow, under which the candidate was found."
    )
    engine: str = Field(description="Engine of the dynamics: ase or vasp.")
    dynamics: PotentialDocument = Field(description="What gave the forces of the dynamics.")
    elements: list[str] = Field(description="Elements of the crystal.")
    chemical_system: str = Field(description="Elements in alphabetical order, joined by hyphens.")
    relaxed: bool = Field(description="Whether the crystal was relaxed before.")
    supercell_matrix: list[list[int]] = Field(description="Matrix of the supercell.")
    n_atoms: int = Field(description="Atoms in the supercell.")
    n_mobile: int = Field(description="Mobile ions in the supercell.")
    image_distance_A: float = Field(description="Distance of an ion to its nearest image in A.")
    volume_A3: float = Field(description="Volume of the supercell in A^3.")
    charge_e: float = Field(description="Charge of the mobile ion in elementary charges.")
    timestep_fs: float = Field(description="Time step in fs.")
    equilibration_ps: float = Field(description="Time before each production in ps.")
    temperatures_K: list[float] = Field(description="Temperatures in K, ascending.")
    seeds: list[int] = Field(description="Seeds of velocities and thermostat, as temperatures.")
    verdict: Literal["confirmed", "not_confirmed", "melts", "undecided"] = Field(
        description="confirmed: the 95 % interval of the conductivity at the deciding temperature "
        "lies above the threshold, by runs at two temperatures or more; not_confirmed: below it; "
        "melts: the framework melts at or below 1.2 times that temperature, or wherever it was "
        "run; undecided: the rest."
    )
    analysis_version: int = Field(
        1, description="Version of the rules by which runs are judged, one by one and together."
    )
    verdict_reason: str = Field(description="The rule that decided, with numbers.")
    deciding_temperature_K: float = Field(description="Temperature of the verdict in K.")
    threshold_S_per_cm: float = Field(description="Conductivity of the verdict in S/cm.")
    conductivity_S_per_cm: float | None = Field(
        description="Conductivity at the deciding temperature by the Arrhenius fit, in S/cm; None "
        "without a fit."
    )
    conductivity_low_S_per_cm: float | None = Field(description="Lower end of its 95 % interval.")
    conductivity_high_S_per_cm: float | None = Field(
        description="Upper end of its 95 % interval, or an upper bound without a fit."
    )
    conductivity_300K_S_per_cm: float | None = Field(
        description="Conductivity at 300 K, extrapolated by the Arrhenius fit, in S/cm."
    )
    conductivity_300K_low_S_per_cm: float | None = Field(
        description="Lower end of its 95 % interval."
    )
    conductivity_300K_high_S_per_cm: float | None = Field(
        description="Upper end of its 95 % interval, or an upper bound without a fit."
    )
    activation_energy_eV: float | None = Field(
        description="Activation energy of diffusion in eV; None with fewer than two temperatures "
        "at which the ion diffuses."
    )
    activation_energy_error_eV: float | None = Field(description="Its standard error.")
    activation_energy_low_eV: float | None = Field(description="Lower end of its 95 % interval.")
    activation_energy_high_eV: float | None = Field(description="Upper end of its 95 % interval.")
    log10_prefactor_cm2_per_s: float | None = Field(
        description="log10 of the diffusivity's prefactor in cm^2/s."
    )
    fit_reduced_chi2: float | None = Field(
        description="Deviance per degree of freedom of the fit; None with two temperatures."
    )
    n_values: int = Field(description="Temperatures that entered the fit as values.")
    n_bounds: int = Field(description="Temperatures that entered it as upper bounds.")
    melting_temperature_K: float | None = Field(
        description="Lowest temperature at which the framework melted in the simulation, in K."
    )
    runs: list[TemperatureDocument] = Field(description="Each temperature, ascending.")
    total_wall_time_s: float = Field(description="Wall time of all dynamics, in s.")
