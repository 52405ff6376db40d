"""What molecular dynamics says of one crystal: labels, and trajectories of other programs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from superionic import __version__
from superionic.schemas.common import (
    SCHEMA_VERSION,
    Crystal,
    Document,
    PotentialDocument,
    SourcedDocument,
    Warning_,
    finite,
)
from superionic.units import A3_TO_CM3

if TYPE_CHECKING:
    from superionic.dynamics.slope import Slope
    from superionic.dynamics.verdict import DiffusionAnalysis


CURVE_POINTS = 60
RunStatus = Literal["completed", "settled_diffusing", "settled_not_diffusing", "melted", "run_away"]


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
    converged: bool | None = Field(
        None, description="Whether longer lags confirm the slope; None by analysis version 1."
    )
    windows_ps: list[list[float]] = Field(
        default_factory=list, description="First and last lag of every window that was looked at."
    )
    window_slopes_A2_per_ps: list[float] = Field(
        default_factory=list, description="The slope in each of them."
    )

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
            converged=slope.converged,
            windows_ps=[list(window) for window in slope.windows_ps],
            window_slopes_A2_per_ps=list(slope.window_slopes_A2_per_ps),
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


class RunFindings(Document):
    """What every analysis of a run says, by itself or as one of several temperatures."""

    production_ps: float = Field(description="Time analysed in ps.")
    verdict: Literal["diffusing", "not_diffusing", "melted", "unconverged"] = Field(
        description="What the trajectory says; a run that ran away is unconverged."
    )
    verdict_reason: str = Field(description="The rule that decided, with numbers.")
    slope: SlopeDocument | None = Field(description="The slope; None where none can be fitted.")
    slope_upper_bound_A2_per_ps: float | None = Field(description="95 % upper bound of the slope.")
    diffusivity_cm2_per_s: float | None = Field(description="Slope / 6 in cm^2/s.")
    diffusivity_error_cm2_per_s: float | None = Field(description="Its standard error.")
    conductivity_S_per_cm: float | None = Field(
        description="Nernst-Einstein conductivity at the temperature in S/cm, Haven ratio one."
    )
    conductivity_error_S_per_cm: float | None = Field(description="Its standard error.")
    n_hopped: int | None = Field(description="Mobile ions that have hopped.")
    framework_rms_A: float | None = Field(
        description="Root mean squared displacement of the slowest framework element in A."
    )
    diffusing_framework: list[str] = Field(
        default_factory=list,
        description="Elements other than the mobile one that leave their places.",
    )


class DiffusionFindings(RunFindings):
    """What the analysis of a trajectory says."""

    volume_A3: float = Field(description="Volume of the supercell in A^3.")
    n_mobile: int = Field(description="Mobile ions in the supercell.")
    analysis_version: int = Field(1, description="Version of the rules of slope and verdict.")
    label_A2_per_ps: float | None = Field(
        description="The label: the slope, clipped from below at 1e-4 A^2/ps."
    )
    mobile_density_per_cm3: float | None = Field(
        None, description="Mobile ions in a cubic centimetre."
    )
    collective_slope: SlopeDocument | None = Field(
        None, description="Slope of the mean squared displacement of the sum of ions, per ion."
    )
    collective_conductivity_S_per_cm: float | None = Field(
        None, description="Conductivity by the collective slope (Einstein relation) in S/cm."
    )
    collective_conductivity_low_S_per_cm: float | None = Field(
        None, description="Lower end of its 95 % interval."
    )
    collective_conductivity_high_S_per_cm: float | None = Field(
        None, description="Upper end of its 95 % interval."
    )
    haven_ratio: float | None = Field(
        None, description="Tracer slope over collective slope; None where either is not positive."
    )
    haven_ratio_low: float | None = Field(None, description="Lower end of its interval.")
    haven_ratio_high: float | None = Field(
        None, description="Upper end; None where the collective slope may be zero."
    )
    n_jumps: int | None = Field(None, description="Their jumps, those back included.")
    jump_rate_per_ps: float | None = Field(None, description="Jumps of an ion in a ps.")
    hop_distance_A: float | None = Field(description="What counts as a hop, in A.")
    max_displacement_A: float | None = Field(
        description="Farthest that a mobile ion has been from its start, vibrations averaged, in A."
    )
    msd: MSDDocument | None = Field(description="Mean squared displacements, thinned.")


def run_findings(
    found: "DiffusionAnalysis | None", sigma: Callable[[float | None], float | None]
) -> dict[str, Any]:
    """Return the fields of :class:`RunFindings`, but for the verdict where there is none.

    Parameters
    ----------
    found : DiffusionAnalysis or None
        The analysis; None where there was nothing to analyse.
    sigma : callable
        Returns the conductivity of a slope, None of none.
    """
    from superionic.dynamics.slope import diffusivity

    slope = found.slope if found else None
    value, error = (slope.slope_A2_per_ps, slope.error_A2_per_ps) if slope else (None, None)
    fields: dict[str, Any] = {
        "production_ps": found.production_ps if found else 0.0,
        "slope": SlopeDocument.from_slope(slope) if slope else None,
        "slope_upper_bound_A2_per_ps": finite(found.slope_upper_bound_A2_per_ps) if found else None,
        "diffusivity_cm2_per_s": None if value is None else diffusivity(value),
        "diffusivity_error_cm2_per_s": None if error is None else diffusivity(error),
        "conductivity_S_per_cm": sigma(value),
        "conductivity_error_S_per_cm": sigma(error),
        "n_hopped": found.n_hopped if found else None,
        "framework_rms_A": found.framework_rms_A if found else None,
    }
    if found is not None:
        fields |= {
            "verdict": found.verdict,
            "verdict_reason": found.reason,
            "diffusing_framework": found.diffusing_framework,
        }
    return fields


def findings_of(
    found: "DiffusionAnalysis | None",
    *,
    n_mobile: int,
    volume_A3: float,
    temperature_K: float | None,
    charge_e: float,
) -> dict[str, Any]:
    """Return the fields of :class:`DiffusionFindings`, but for the verdict where there is none.

    Parameters
    ----------
    found : DiffusionAnalysis or None
        The analysis; None where there was nothing to analyse.
    n_mobile : int
        Mobile ions in the cell.
    volume_A3 : float
        Volume of the cell in A^3.
    temperature_K : float or None
        Temperature; without one there are no conductivities.
    charge_e : float
        Charge of an ion in elementary charges.
    """
    from superionic.dynamics.slope import conductivity, diffusivity
    from superionic.dynamics.transport import haven_ratio
    from superionic.dynamics.verdict import ANALYSIS_VERSION

    def sigma(slope_A2_per_ps: float | None) -> float | None:
        if slope_A2_per_ps is None or not temperature_K:
            return None
        diffusivity_cm2_per_s = diffusivity(slope_A2_per_ps)
        return conductivity(diffusivity_cm2_per_s, n_mobile, volume_A3, temperature_K, charge_e)

    fields = run_findings(found, sigma) | {
        "n_mobile": n_mobile,
        "volume_A3": volume_A3,
        "analysis_version": ANALYSIS_VERSION,
        "mobile_density_per_cm3": n_mobile / (volume_A3 * A3_TO_CM3),
    }
    if found is None:
        empty = ("label_A2_per_ps", "msd", "hop_distance_A", "max_displacement_A")
        return fields | dict.fromkeys(empty)
    slope = found.slope
    if slope is not None and (together := found.collective) is not None:
        ratio = haven_ratio(slope, together)
        fields |= {
            "collective_slope": SlopeDocument.from_slope(together),
            "collective_conductivity_S_per_cm": sigma(together.slope_A2_per_ps),
            "collective_conductivity_low_S_per_cm": sigma(together.low_A2_per_ps),
            "collective_conductivity_high_S_per_cm": sigma(together.high_A2_per_ps),
            "haven_ratio": ratio and ratio.value,
            "haven_ratio_low": ratio and ratio.low,
            "haven_ratio_high": ratio and ratio.high,
        }
    ion_ps = n_mobile * found.production_ps
    return fields | {
        "label_A2_per_ps": slope.label_A2_per_ps if slope else None,
        "n_jumps": found.n_jumps,
        "jump_rate_per_ps": found.n_jumps / ion_ps if ion_ps else None,
        "hop_distance_A": finite(found.hop_distance_A),
        "max_displacement_A": found.max_displacement_A,
        "msd": MSDDocument.from_analysis(found),
    }


class DiffusionDocument(SourcedDocument, DiffusionFindings):
    """Label of one crystal at one temperature: the result of the labelling flow."""

    kind: Literal["diffusion"] = Field("diffusion", description="Kind of document.")
    potential: PotentialDocument = Field(description="Potential that gave the forces.")
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
    image_distance_A: float = Field(description="Distance of an ion to its nearest image in A.")
    charge_e: float = Field(description="Charge of the mobile ion in elementary charges.")
    temperature_K: float = Field(description="Temperature of the thermostat in K.")
    mean_temperature_K: float | None = Field(
        description="Mean kinetic temperature of the production in K."
    )
    timestep_fs: float = Field(description="Time step in fs.")
    thermostat: str = Field(description="Thermostat.")
    seed: int = Field(description="Seed of velocities and thermostat.")
    equilibration_ps: float = Field(description="Time before the production in ps.")
    n_steps_done: int = Field(description="Steps, equilibration included.")
    status: RunStatus = Field(description="How the run ended.")
    stop_reason: str = Field(description="Why it ended, with numbers.")
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
    analysis_version: int = Field(1, description="Version of the rules of slope and verdict.")
    msd_window_ps: list[float] | None = Field(
        None, description="First and last lag of the fit; None by analysis version 1."
    )
    diffusing_framework: list[str] = Field(
        default_factory=list,
        description="Elements other than the mobile one that leave their places.",
    )
    collective_conductivity_S_per_cm: float | None = Field(
        None, description="Conductivity by the collective slope (Einstein relation)."
    )
    collective_conductivity_low_S_per_cm: float | None = Field(
        None, description="Lower end of its 95 % interval."
    )
    collective_conductivity_high_S_per_cm: float | None = Field(None, description="Upper end.")
    haven_ratio: float | None = Field(None, description="Tracer slope over collective slope.")
    haven_ratio_low: float | None = Field(None, description="Lower end of its interval.")
    haven_ratio_high: float | None = Field(None, description="Upper end.")

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
            msd_window_ps=slope and slope.window_ps,
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


class AnalysisDocument(DiffusionFindings):
    """What a trajectory of any program says of the diffusion of an ion."""

    kind: Literal["analysis"] = Field("analysis", description="Kind of document.")
    schema_version: str = Field(SCHEMA_VERSION, description="Version of the document's schema.")
    superionic_version: str = Field(__version__, description="Version of superionic.")
    material_id: str = Field(description="Name of the file or folder of the trajectory.")
    formula: str = Field(description="Reduced formula.")
    mobile_species: str = Field(description="Element symbol of the mobile ion.")
    structure: dict[str, Any] = Field(
        description="The first frame: lattice (A), species, frac_coords."
    )
    n_atoms: int = Field(description="Atoms in the cell.")
    temperature_K: float | None = Field(
        description="Temperature as given, in K; without one there are no conductivities."
    )
    charge_e: float = Field(description="Charge of the mobile ion in elementary charges.")
    n_frames: int = Field(description="Frames analysed.")
    frame_interval_ps: float = Field(description="Time between frames in ps.")
    skipped_ps: float = Field(description="Time left out at the start, in ps.")
    settings: dict[str, Any] = Field(description="Rules of slope and verdict.")
    warnings: list[Warning_] = Field(default_factory=list, description="What the user should know.")

    @property
    def potential(self) -> str:
        """What gave the forces is not known."""
        return "trajectory"

    @property
    def stop_reason(self) -> str:
        """How a run ended is not known."""
        return "not known"
