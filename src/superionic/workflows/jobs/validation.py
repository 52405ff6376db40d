"""The first and the last job of a validation: the supercell, and what all temperatures say."""

import math
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from ase import Atoms
from jobflow import Maker, job
from pymatgen.io.ase import AseAtomsAdaptor

from superionic import defaults
from superionic.dynamics.confirmation import (
    CONFIRMATION_VERSION,
    ArrheniusPoint,
    ConfirmationRules,
    Evidence,
    Finding,
    Ions,
    arrhenius_point,
    confirm,
)
from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.slope import diffusivity
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.supercell import make_supercell, shortest_vector
from superionic.dynamics.verdict import DiffusionAnalysis, analyse, framework_text
from superionic.potentials.registry import load_potential
from superionic.schemas.common import PotentialDocument, Warning_, finite
from superionic.schemas.label import run_findings
from superionic.schemas.screen import PreparedDocument, RelaxedDocument
from superionic.schemas.validation import (
    CellDocument,
    TemperatureDocument,
    TrajectoryDocument,
    ValidationDocument,
)
from superionic.structures.species import charge_of
from superionic.workflows.jobs.diffusion import bare_atoms
from superionic.workflows.jobs.engines.base import require_ion
from superionic.workflows.jobs.maker import SettingsMaker

_HYDROGEN_STEP_FS = 0.5
_STEP_FS = 2.0


@dataclass
class SupercellMaker(Maker):
    """Make the supercell in which a crystal is run, and settle time step and length.

    Parameters
    ----------
    name : str
        Name of the job.
    min_image_distance_A : float
        The supercell is the smallest in which an ion is this far from its images.
    max_atoms : int
        Larger supercells are refused.
    timestep_fs : float or None
        Time step; None takes 2 fs, with hydrogen 0.5 fs.
    production_ps : float
        Longest production at each temperature.
    """

    name: str = "supercell"
    min_image_distance_A: float = 10.0
    max_atoms: int = 400
    timestep_fs: float | None = None
    production_ps: float = defaults.VALIDATION_LENGTH_ps

    @job(output_schema=CellDocument)
    def make(
        self,
        crystal: RelaxedDocument | PreparedDocument,
        prepared: PreparedDocument | None = None,
    ) -> CellDocument:
        """Make the supercell of one crystal.

        Parameters
        ----------
        crystal : RelaxedDocument or PreparedDocument
            The crystal.
        prepared : PreparedDocument, optional
            How it was prepared.

        Raises
        ------
        NoMobileIonError
            When the crystal does not hold the mobile ion.
        DiffusionError
            When the supercell is too large.
        """
        started = time.perf_counter()
        atoms, matrix = make_supercell(
            bare_atoms(crystal.structure), self.min_image_distance_A, max_atoms=self.max_atoms
        )
        symbols = atoms.get_chemical_symbols()
        require_ion(crystal.identity, symbols)
        # Atoms of one element in a row, as VASP needs them.
        first = {symbol: symbols.index(symbol) for symbol in symbols}
        atoms = atoms[sorted(range(len(atoms)), key=lambda i: first[symbols[i]])]
        timestep_fs = self.timestep_fs or (_HYDROGEN_STEP_FS if "H" in symbols else _STEP_FS)
        return CellDocument(
            **crystal.identity,
            settings={name: value for name, value in asdict(self).items() if name != "name"},
            wall_time_s=time.perf_counter() - started,
            structure=AseAtomsAdaptor.get_structure(atoms),
            supercell_matrix=matrix.tolist(),
            image_distance_A=shortest_vector(atoms.cell.array),
            n_mobile=symbols.count(crystal.mobile_species),
            timestep_fs=timestep_fs,
            n_steps=max(1, round(self.production_ps * 1e3 / timestep_fs)),
            relaxed=isinstance(crystal, RelaxedDocument) and crystal.relaxed,
            source=prepared.source if prepared else "",
            provenance=prepared.provenance if prepared else {},
        )


@dataclass
class ConfirmMaker(SettingsMaker):
    """Say what the runs at several temperatures say together.

    Parameters
    ----------
    name : str
        Name of the job.
    rules : ConfirmationRules
        Numbers of the verdict.
    stop : StopRules
        How slopes and the verdicts of single runs are found.
    charge_e : float or None
        Charge of the ion; None takes the usual one.
    settings : dict
        Settings of the flow, for the document.
    """

    name: str = "confirm"
    rules: ConfirmationRules = field(default_factory=ConfirmationRules)
    stop: StopRules = field(default_factory=StopRules)
    charge_e: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @job(output_schema=ValidationDocument)
    def make(
        self,
        cell: CellDocument,
        trajectories: list[TrajectoryDocument],
        potential: PotentialDocument | str,
    ) -> ValidationDocument:
        """Judge one material.

        Parameters
        ----------
        cell : CellDocument
            The supercell.
        trajectories : list of TrajectoryDocument
            Runs of it at several temperatures.
        potential : PotentialDocument or str
            Potential of the flow, or its specification.

        Raises
        ------
        PotentialError
            When it cannot be loaded.
        """
        started = time.perf_counter()
        runs = sorted(trajectories, key=lambda run: run.temperature_K)
        charge_e = charge_of(self.charge_e, cell.mobile_species)
        ions = Ions(cell.n_mobile, float(cell.structure.volume), charge_e)
        analyses = [_analysis(run, self.stop) for run in runs]
        points = [
            arrhenius_point(run.temperature_K, found, run.status)
            for run, found in zip(runs, analyses, strict=True)
        ]
        finding = confirm(points, ions, self.rules)
        if isinstance(potential, str):
            potential = PotentialDocument.from_info(load_potential(potential).info)
        return ValidationDocument(
            **cell.identity,
            settings=self.settings or asdict(self),
            wall_time_s=time.perf_counter() - started,
            n_evaluations=sum(run.n_evaluations for run in runs),
            warnings=_warnings(runs, analyses, points, finding, self.rules),
            analysis_version=CONFIRMATION_VERSION,
            potential=potential,
            engine=runs[0].engine,
            dynamics=runs[0].potential,
            source=cell.source,
            provenance=cell.provenance,
            elements=sorted(set(runs[0].symbols)),
            chemical_system=cell.structure.composition.chemical_system,
            relaxed=cell.relaxed,
            supercell_matrix=cell.supercell_matrix,
            n_atoms=len(cell.structure),
            n_mobile=cell.n_mobile,
            image_distance_A=cell.image_distance_A,
            volume_A3=ions.volume_A3,
            charge_e=charge_e,
            timestep_fs=cell.timestep_fs,
            equilibration_ps=runs[0].n_equilibration_steps * cell.timestep_fs * 1e-3,
            temperatures_K=[run.temperature_K for run in runs],
            seeds=[run.seed for run in runs],
            runs=[
                _temperature(run, found, one.evidence, ions)
                for run, found, one in zip(runs, analyses, points, strict=True)
            ],
            total_wall_time_s=sum(run.wall_time_s for run in runs),
            **_findings(finding, points, self.rules),
        )


@dataclass
class ConfirmForFlowMaker(Maker):
    """Judge the runs as the last job of a flow, by the settings that the flow has then.

    Parameters
    ----------
    name : str
        Name of the job.
    flow : Maker
        Maker of the flow; its ``confirm_maker()`` judges.
    """

    name: str = "confirm"
    flow: Any = None

    @job(output_schema=ValidationDocument)
    def make(
        self,
        cell: CellDocument,
        trajectories: list[TrajectoryDocument],
        potential: PotentialDocument | str,
    ) -> ValidationDocument:
        """Judge one material; see :meth:`ConfirmMaker.make`."""
        maker = self.flow.confirm_maker()
        return type(maker).make.original(maker, cell, trajectories, potential)


def _analysis(run: TrajectoryDocument, rules: StopRules) -> DiffusionAnalysis | None:
    """Analyse a run; None when there is nothing to analyse."""
    positions = run.production()
    if run.status == "run_away" or len(positions) < 2:
        return None
    start = Atoms(run.symbols, positions=run.start_positions_A, cell=run.lattice_A, pbc=True)
    return analyse(
        positions,
        run.frame_interval_ps,
        crystal_of(start, run.mobile_species),
        rules.slope,
        rules.verdict,
    )


def _temperature(
    run: TrajectoryDocument, found: DiffusionAnalysis | None, evidence: Evidence, ions: Ions
) -> TemperatureDocument:
    """Return what the document keeps of one run."""

    def sigma(slope_A2_per_ps: float | None) -> float | None:
        if slope_A2_per_ps is None:
            return None
        return ions.conductivity(diffusivity(slope_A2_per_ps), run.temperature_K)

    temperatures = run.arrays.temperatures_K
    production = run.arrays.steps.unpack() >= run.n_equilibration_steps
    mean_K = None
    if temperatures is not None and production.any():
        mean_K = finite(float(temperatures.unpack()[production].mean()))
    # Where there is nothing to analyse, how the run ended is the verdict.
    verdict = "melted" if run.status == "melted" else "unconverged"
    said: dict[str, Any] = {
        "verdict": verdict,
        "verdict_reason": run.stop_reason,
        **run_findings(found, sigma),
    }
    return TemperatureDocument(
        **said,
        temperature_K=run.temperature_K,
        mean_temperature_K=mean_K,
        seed=run.seed,
        status=run.status,
        stop_reason=run.stop_reason,
        evidence=evidence,
        n_steps_done=run.n_steps_done,
        conductivity_upper_bound_S_per_cm=sigma(said["slope_upper_bound_A2_per_ps"]),
        n_evaluations=run.n_evaluations,
        wall_time_s=run.wall_time_s,
        trajectory_uuid=run.job_uuid,
    )


def _findings(
    finding: Finding, points: list[ArrheniusPoint], rules: ConfirmationRules
) -> dict[str, Any]:
    """Return the fields of the document that all temperatures together decide."""
    fit = finding.fit
    low, high = fit.activation_energy_interval if fit else (None, None)
    chi2 = finite(fit.reduced_chi2) if fit else None
    return {
        "verdict": finding.verdict,
        "verdict_reason": finding.reason,
        "deciding_temperature_K": rules.deciding_temperature_K,
        "threshold_S_per_cm": rules.threshold_S_per_cm,
        "conductivity_S_per_cm": finding.deciding.value,
        "conductivity_low_S_per_cm": finding.deciding.low,
        "conductivity_high_S_per_cm": finding.deciding.high,
        "conductivity_300K_S_per_cm": finding.room.value,
        "conductivity_300K_low_S_per_cm": finding.room.low,
        "conductivity_300K_high_S_per_cm": finding.room.high,
        "activation_energy_eV": fit.activation_energy_eV if fit else None,
        "activation_energy_error_eV": fit.activation_energy_error_eV if fit else None,
        "activation_energy_low_eV": low,
        "activation_energy_high_eV": high,
        "log10_prefactor_cm2_per_s": fit.log_prefactor / math.log(10.0) if fit else None,
        "fit_reduced_chi2": chi2,
        "n_values": sum(one.evidence == "value" for one in points),
        "n_bounds": sum(one.evidence == "bound" for one in points),
        "melting_temperature_K": finding.melting_temperature_K,
    }


def _warnings(
    runs: list[TrajectoryDocument],
    analyses: list[DiffusionAnalysis | None],
    points: list[ArrheniusPoint],
    finding: Finding,
    rules: ConfirmationRules,
) -> list[Warning_]:
    """Return what the reader of the verdict should know."""
    found = [
        Warning_(code=one.code, text=f"{run.temperature_K:g} K: {one.text}")
        for run in runs
        for one in run.warnings
    ]
    found += [
        Warning_(
            code="framework_diffuses", text=f"{run.temperature_K:g} K: {framework_text(analysis)}"
        )
        for run, analysis in zip(runs, analyses, strict=True)
        if analysis is not None and analysis.diffusing_framework
    ]
    values = [one.temperature_K for one in points if one.evidence == "value"]
    if finding.fit is not None and rules.deciding_temperature_K < min(values):
        found.append(
            Warning_(
                code="extrapolated",
                text=f"The conductivity at {rules.deciding_temperature_K:g} K is extrapolated: the "
                f"lowest temperature with diffusion is {min(values):g} K.",
            )
        )
    if finding.melting_temperature_K is not None:
        melted = ", ".join(f"{one.temperature_K:g}" for one in points if one.melted)
        found.append(
            Warning_(
                code="melted",
                text=f"The framework melted at {melted} K; these runs are left out of the fit.",
            )
        )
    return found
