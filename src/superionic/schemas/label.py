"""Documents of the labelling flow: what molecular dynamics says of one crystal."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from superionic.schemas.common import Crystal, Document, MaterialDocument, PotentialDocument

if TYPE_CHECKING:
    from superionic.dynamics.slope import Slope
    from superionic.dynamics.verdict import DiffusionAnalysis

CURVE_POINTS = 60


class SlopeDocument(Document):
    """Slope of the mobile species' mean squared displacement."""

    slope_A2_per_ps: float = Field(description="Slope in A^2/ps, not clipped; may be negative.")
    error_A2_per_ps: float = Field(description="Standard error in A^2/ps.")
    low_A2_per_ps: float = Field(description="Lower end of the 95 % interval in A^2/ps.")
    high_A2_per_ps: float = Field(description="Upper end of the 95 % interval in A^2/ps.")
    direction_slopes_A2_per_ps: list[float] = Field(description="Slopes along x, y and z.")
    direction_errors_A2_per_ps: list[float] = Field(description="Their standard errors.")
    window_ps: list[float] = Field(description="First and last lag of the fit in ps.")
    n_blocks: int = Field(description="Blocks of the production that share no frame.")

    @classmethod
    def from_slope(cls, slope: "Slope") -> "SlopeDocument":
        """Return the document of a fitted slope."""
        return cls(
            slope_A2_per_ps=slope.slope_A2_per_ps,
            error_A2_per_ps=slope.error_A2_per_ps,
            low_A2_per_ps=slope.low_A2_per_ps,
            high_A2_per_ps=slope.high_A2_per_ps,
            direction_slopes_A2_per_ps=slope.direction_slopes_A2_per_ps.tolist(),
            direction_errors_A2_per_ps=slope.direction_errors_A2_per_ps.tolist(),
            window_ps=list(slope.window_ps),
            n_blocks=slope.n_blocks,
        )


class MSDDocument(Document):
    """Mean squared displacements, thinned to at most 60 lags."""

    lags_ps: list[float] = Field(description="Lags in ps.")
    mobile_A2: list[float] = Field(description="MSD of the mobile species in A^2.")
    mobile_xyz_A2: list[list[float]] = Field(description="The same along x, y and z.")
    framework_A2: dict[str, list[float]] = Field(description="MSD of each framework element.")

    @classmethod
    def from_analysis(cls, found: "DiffusionAnalysis") -> "MSDDocument":
        """Return the curves of an analysis, at evenly spaced lags, the first and last included."""
        n_lags = len(found.lags_ps)
        keep = np.unique(np.linspace(0, n_lags - 1, min(n_lags, CURVE_POINTS)).round().astype(int))

        def thinned(curve: Any) -> list[float]:
            return [round(float(value), 6) for value in curve[keep]]

        return cls(
            lags_ps=thinned(found.lags_ps),
            mobile_A2=thinned(found.mobile_msd_A2.sum(axis=1)),
            mobile_xyz_A2=[thinned(found.mobile_msd_A2[:, axis]) for axis in range(3)],
            framework_A2={name: thinned(c) for name, c in found.framework_msd_A2.items()},
        )


class DiffusionDocument(MaterialDocument):
    """Label of one crystal at one temperature: the result of the labelling flow."""

    kind: Literal["diffusion"] = Field("diffusion", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the forces.")
    source: str = Field("", description="File or database that the crystal came from.")
    provenance: dict = Field(
        default_factory=dict, description="What is known of its origin (licence, record keys)."
    )
    structure: Crystal = Field(description="Crystal from which the supercell was made.")
    spacegroup_number: int | None = Field(None, description="Space group as prepared.")
    spacegroup_symbol: str | None = Field(None, description="Its international symbol.")
    relaxed: bool = Field(False, description="Whether the crystal was relaxed before.")
    elements: list[str] = Field(description="Elements of the crystal.")
    chemical_system: str = Field(description="Elements in alphabetical order, joined by hyphens.")
    supercell_matrix: list[list[int]] = Field(
        description="Rows of this matrix times the cell are the vectors of the supercell."
    )
    n_atoms: int = Field(description="Atoms in the supercell.")
    n_mobile: int = Field(description="Mobile ions in the supercell.")
    image_distance_A: float = Field(description="Distance of an ion to its nearest image in A.")
    volume_A3: float = Field(description="Volume of the supercell in A^3.")
    temperature_K: float = Field(description="Temperature of the thermostat in K.")
    mean_temperature_K: float | None = Field(
        description="Mean kinetic temperature of the production in K."
    )
    timestep_fs: float = Field(description="Time step in fs.")
    thermostat: str = Field(description="Thermostat.")
    seed: int = Field(description="Seed of velocities and thermostat.")
    equilibration_ps: float = Field(description="Time before the production in ps.")
    production_ps: float = Field(description="Time analysed in ps.")
    n_steps_done: int = Field(description="Steps, equilibration included.")
    status: Literal[
        "completed", "settled_diffusing", "settled_not_diffusing", "melted", "run_away"
    ] = Field(description="How the run ended.")
    stop_reason: str = Field(description="Why it ended, with numbers.")
    verdict: Literal["diffusing", "not_diffusing", "melted", "unconverged"] = Field(
        description="What the trajectory says; a run that ran away is unconverged."
    )
    verdict_reason: str = Field(description="The rule that decided, with numbers.")
    slope: SlopeDocument | None = Field(description="The slope; None where none can be fitted.")
    label_A2_per_ps: float | None = Field(
        description="The label: the slope, clipped from below at 1e-4 A^2/ps."
    )
    slope_upper_bound_A2_per_ps: float | None = Field(description="95 % upper bound of the slope.")
    diffusivity_cm2_per_s: float | None = Field(description="Slope / 6 in cm^2/s.")
    diffusivity_error_cm2_per_s: float | None = Field(description="Its standard error.")
    charge_e: float = Field(description="Charge of the mobile ion in elementary charges.")
    conductivity_S_per_cm: float | None = Field(
        description="Nernst-Einstein conductivity at the temperature in S/cm, Haven ratio one."
    )
    conductivity_error_S_per_cm: float | None = Field(description="Its standard error.")
    n_hopped: int | None = Field(description="Mobile ions that have hopped.")
    hop_distance_A: float | None = Field(description="What counts as a hop, in A.")
    max_displacement_A: float | None = Field(
        description="Farthest that a mobile ion has been from its start, vibrations averaged, in A."
    )
    framework_rms_A: float | None = Field(
        description="Root mean squared displacement of the slowest framework element in A."
    )
    msd: MSDDocument | None = Field(description="Mean squared displacements, thinned.")
    n_force_evaluations: int = Field(
        description="Force evaluations of the last call; n_evaluations counts those of interrupted "
        "calls, too."
    )
    trajectory: str = Field(
        description="Folder of the trajectory below the folder 'md' of the data directory."
    )


class LabelRow(Document):
    """One row of a published data set of labels."""

    material_id: str = Field(description="Identifier of the crystal.")
    formula: str = Field(description="Reduced formula.")
    spacegroup_number: int | None = Field(description="Space group.")
    mobile_species: str = Field(description="The mobile ion.")
    temperature_K: float = Field(description="Temperature in K.")
    msd_slope_A2_per_ps: float | None = Field(description="Slope of the MSD in A^2/ps.")
    msd_slope_error_A2_per_ps: float | None = Field(description="Its standard error.")
    msd_slope_low_A2_per_ps: float | None = Field(description="Lower end of the 95 % interval.")
    msd_slope_high_A2_per_ps: float | None = Field(description="Upper end of the 95 % interval.")
    msd_slope_upper_bound_A2_per_ps: float | None = Field(
        description="95 % upper bound; where no ion hopped, by the rule of three."
    )
    label_A2_per_ps: float | None = Field(description="Slope clipped from below at 1e-4 A^2/ps.")
    verdict: str = Field(description="diffusing, not_diffusing, melted or unconverged.")
    verdict_reason: str = Field(description="The rule that decided, with numbers.")
    status: str = Field(description="How the run ended.")
    stop_reason: str = Field(description="Why it ended, with numbers.")
    diffusivity_cm2_per_s: float | None = Field(description="Slope / 6 in cm^2/s.")
    conductivity_S_per_cm: float | None = Field(description="Nernst-Einstein conductivity.")
    n_atoms: int = Field(description="Atoms in the supercell.")
    n_mobile: int = Field(description="Mobile ions in the supercell.")
    n_hopped: int | None = Field(description="Mobile ions that have hopped.")
    framework_rms_A: float | None = Field(description="Displacement of the framework in A.")
    production_ps: float = Field(description="Time analysed in ps.")
    potential: str = Field(description="Family and name of the potential.")
    potential_weights_sha256: str = Field(description="SHA-256 of its parameters.")
    seed: int = Field(description="Seed of velocities and thermostat.")
    task_key: str = Field(description="Key of the work: the same key means the same work.")
    superionic_version: str = Field(description="Version of superionic.")
    wall_time_s: float = Field(description="Wall time of the last call in s.")
    licence: str | None = Field(description="Licence of the crystal.")
    settings: dict[str, Any] = Field(description="Settings of the run that change numbers.")
    supercell_matrix: list[list[int]] = Field(description="Matrix of the supercell.")
    structure: dict[str, Any] = Field(
        description="The crystal before the supercell: lattice (A), species, frac_coords."
    )
    msd: MSDDocument | None = Field(description="MSD curves, thinned.")

    @classmethod
    def from_document(cls, document: DiffusionDocument) -> "LabelRow":
        """Return the row of a label."""
        slope = document.slope
        crystal = document.structure
        same = set(cls.model_fields) & set(DiffusionDocument.model_fields)
        fields = {name: getattr(document, name) for name in same - {"structure", "potential"}}
        return cls(
            **fields,
            msd_slope_A2_per_ps=slope and slope.slope_A2_per_ps,
            msd_slope_error_A2_per_ps=slope and slope.error_A2_per_ps,
            msd_slope_low_A2_per_ps=slope and slope.low_A2_per_ps,
            msd_slope_high_A2_per_ps=slope and slope.high_A2_per_ps,
            msd_slope_upper_bound_A2_per_ps=document.slope_upper_bound_A2_per_ps,
            potential=document.potential.label,
            potential_weights_sha256=document.potential.weights_sha256,
            licence=document.provenance.get("licence"),
            structure={
                "lattice": np.round(crystal.lattice.matrix, 6).tolist(),
                "species": [site.specie.symbol for site in crystal],
                "frac_coords": np.round(crystal.frac_coords, 6).tolist(),
            },
        )
