"""The job that labels a crystal by molecular dynamics: atomate2's Maker with our runner."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ase import Atoms, units
from atomate2.ase.md import MDEnsemble
from atomate2.forcefields.md import ForceFieldMDMaker
from atomate2.forcefields.utils import _DEFAULT_CALCULATOR_KWARGS, MLFF
from jobflow import job
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic import defaults
from superionic.dynamics import trajectory
from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.files import read_trajectory
from superionic.dynamics.integrators import Thermostat
from superionic.dynamics.runner import MDResult, MDTask, run_md
from superionic.dynamics.settings import MDSettings
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.supercell import make_supercell, shortest_vector
from superionic.dynamics.verdict import ANALYSIS_VERSION, DiffusionAnalysis, analyse, framework_text
from superionic.errors import NoMobileIonError, SettingsError
from superionic.fields import rebuilt
from superionic.files import made_private
from superionic.potentials.force_field import CalculatorForceField, ForceField, MakeForceField
from superionic.potentials.registry import load_potential
from superionic.progress import report_progress, report_stage
from superionic.schemas.common import PotentialDocument, Warning_, finite
from superionic.schemas.document import digest
from superionic.schemas.label import DiffusionDocument, findings_of
from superionic.schemas.screen import PreparedDocument, RelaxedDocument
from superionic.settings import get_settings
from superionic.structures.species import charge_of
from superionic.workflows.jobs.given import about_structure
from superionic.workflows.jobs.maker import rebuild_settings
from superionic.workflows.keys import PARTS, key_fields

Crystal: TypeAlias = Structure | RelaxedDocument | PreparedDocument

_THERMOSTATS: dict[str, Thermostat] = {
    "bussi": "bussi",
    "langevin": "langevin",
    "nose-hoover": "nose_hoover",
    "nose-hoover-chain": "nose_hoover",
    "nose_hoover": "nose_hoover",
}
_SAME_START_A = 0.05
_PROGRESS_STEPS = 20


@dataclass
class DiffusionMDMaker(ForceFieldMDMaker):
    """Run molecular dynamics and read the diffusion of one species from it.

    A :class:`atomate2.forcefields.md.ForceFieldMDMaker` with another engine: forces only, cells
    fixed, trajectories in compressed chunks on disk from which a killed run goes on, and an end
    before ``n_steps`` when the answer is settled. Its fields keep their meaning, with these
    differences: ``n_steps`` counts the production alone; ``traj_interval`` is the stride of the
    stored frames; ``dynamics`` is ``bussi`` (the default), ``langevin`` or ``nose_hoover``;
    ``ase_md_kwargs`` takes ``friction``, ``taut`` or ``tdamp``; ``mb_velocity_seed`` seeds the
    thermostat, too. What the engine cannot do (pressures, temperature ramps, other dynamics) is
    refused. The result is a :class:`~superionic.schemas.label.DiffusionDocument`; fields that say
    what atomate2's own document holds, and in which format trajectories are, are ignored.

    Parameters
    ----------
    time_step : float or None
        Time step in fs; None takes 2 fs, with hydrogen 0.5 fs.
    n_steps : int
        Steps of the production at most.
    ensemble : MDEnsemble
        ``nvt``, or ``nve`` without a thermostat.
    dynamics : str or None
        Thermostat: ``bussi``, ``langevin`` or ``nose_hoover``; None takes ``bussi``.
    temperature : float
        Temperature in K.
    traj_interval : int
        Steps between stored frames.
    mb_velocity_seed : int or None
        Seed of velocities and thermostat.
    force_field_name : str
        Potential by atomate2's names, where ``potential`` is not given.
    potential : str or None
        Specification of one of our potentials, such as ``chgnet``; it wins over
        ``force_field_name``.
    mobile_species : str
        Element of the mobile ions, where the crystal does not say.
    n_equilibration_steps : int
        Steps before the production.
    checkpoint_interval : int
        Steps between checkpoints.
    thermostat_time_fs : float
        Relaxation time of the thermostat.
    min_image_distance_A : float
        The supercell is the smallest in which an ion is this far from its images.
    max_atoms : int
        Larger supercells are refused.
    charge_e : float or None
        Charge of the ion; None takes the usual one.
    stop : StopRules
        When a run ends before its time; how slope and verdict are found.
    """

    name: str = "diffusion MD"
    force_field_name: str | MLFF | dict = MLFF.CHGNet
    time_step: float | None = None
    n_steps: int = 5000
    ensemble: MDEnsemble = MDEnsemble.nvt
    dynamics: str | None = None
    temperature: float = defaults.TEMPERATURE_K
    traj_interval: int = 10
    mb_velocity_seed: int | None = defaults.SEED
    potential: str | None = None
    mobile_species: str = "Li"
    n_equilibration_steps: int = 1000
    checkpoint_interval: int = 500
    thermostat_time_fs: float = 100.0
    min_image_distance_A: float = 8.0
    max_atoms: int = 400
    charge_e: float | None = None
    stop: StopRules = field(default_factory=StopRules)

    def __post_init__(self) -> None:
        """Rebuild what serialisation has turned into dictionaries."""
        super().__post_init__()
        rebuild_settings(self)

    def md_settings(self, *, has_hydrogen: bool = False) -> MDSettings:
        """Return what the engine is told.

        Parameters
        ----------
        has_hydrogen : bool
            Whether the default time step is 0.5 fs instead of 2 fs.

        Raises
        ------
        SettingsError
            When a field asks for what the engine cannot do.
        DiffusionError
            When a number makes no sense.
        """
        faults = []
        if not isinstance(self.temperature, int | float):
            faults.append(f"temperature = {self.temperature!r}")
        if self.ensemble not in (MDEnsemble.nvt, MDEnsemble.nve):
            faults.append(f"ensemble = {self.ensemble!r}")
        if self.pressure is not None and not _is_nan(self.pressure):
            faults.append(f"pressure = {self.pressure!r}")
        thermostat = _THERMOSTATS.get(str(self.dynamics or "bussi").lower())
        if thermostat is None:
            faults.append(f"dynamics = {self.dynamics!r}")
        time_fs = self._thermostat_time_fs(faults)
        if faults or thermostat is None:
            raise SettingsError(
                f"DiffusionMDMaker cannot run {', '.join(faults)}.",
                hint="It runs one temperature at constant volume with bussi, langevin, nose_hoover "
                "or ensemble nve; use ForceFieldMDMaker for the rest.",
            )
        return MDSettings(
            temperature_K=float(self.temperature),
            timestep_fs=self.time_step or (0.5 if has_hydrogen else 2.0),
            thermostat="nve" if self.ensemble == MDEnsemble.nve else thermostat,
            thermostat_time_fs=time_fs,
            n_equilibration_steps=self.n_equilibration_steps,
            n_steps=self.n_steps,
            stride=self.traj_interval,
            checkpoint_interval=self.checkpoint_interval,
            seed=self.mb_velocity_seed or 0,
        )

    def _thermostat_time_fs(self, faults: list[str]) -> float:
        time_fs = self.thermostat_time_fs
        for name, value in (self.ase_md_kwargs or {}).items():
            if name == "friction":  # ASE's unit is the inverse of its time
                time_fs = 1.0 / value / units.fs
            elif name in ("taut", "tdamp"):
                time_fs = value / units.fs
            else:
                faults.append(f"ase_md_kwargs[{name!r}]")
        return time_fs

    def identity(self) -> dict[str, Any]:
        """Return all that changes numbers, in plain types: the settings of the document."""
        return self._described(asdict)

    def key_content(self) -> dict[str, Any]:
        """Return all that changes numbers as keys hold it; see :mod:`superionic.workflows.keys`."""
        version = PARTS["superionic.workflows.jobs.diffusion.DiffusionMDMaker"].version
        return self._described(key_fields) | ({} if version == 1 else {"version": version})

    def _described(self, describe: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {
            **describe(self.md_settings()),
            "timestep_fs": self.time_step or "2.0, with hydrogen 0.5",
            "potential": self.specification() or [self.force_field_name, self.calculator_kwargs],
            "min_image_distance_A": self.min_image_distance_A,
            "max_atoms": self.max_atoms,
            "charge_e": self.charge_e,
            "stop": describe(self.stop),
        }

    def specification(self) -> str | None:
        """Return the specification of our own potential, None where atomate2's has to be used."""
        if self.potential is not None:
            return self.potential
        arguments = dict(self.calculator_kwargs)
        if self.calculator_meta == "superionic.potentials.calculator.potential_calculator":
            return str(arguments.get("spec", "chgnet"))
        mlff = self.mlff
        if mlff is MLFF.CHGNet and arguments == _DEFAULT_CALCULATOR_KWARGS[mlff]:
            return "chgnet"
        if mlff is MLFF.SevenNet and set(arguments) == {"model"}:
            return f"sevennet:{str(arguments['model']).lower()}"
        return None

    def force_field(self) -> tuple[MakeForceField, PotentialDocument]:
        """Return what binds the potential to crystals, and the potential's identity.

        Raises
        ------
        PotentialError
            When it cannot be loaded.
        """
        spec = self.specification()
        if spec is not None:
            loaded = load_potential(spec)
            return loaded.force_field, PotentialDocument.from_info(loaded.info)
        calculator = self._get_calculator()
        weights = digest([str(self.calculator_meta), self.calculator_kwargs])
        module = type(calculator).__module__
        label = f"atomate2:{self.calculator_meta}:{weights}"
        identity = PotentialDocument(
            family="atomate2",
            name=str(self.calculator_meta),
            package_version=module.partition(".")[0],
            weights_sha256=weights,
        )
        return lambda systems: CalculatorForceField(calculator, systems, label), identity

    # Without output_schema: atomate2's update_kwargs and subclasses expect a plain job.
    @job
    def make(
        self,
        structure: Crystal,
        prev_dir: str | Path | None = None,
        prepared: PreparedDocument | None = None,
    ) -> DiffusionDocument:
        """Run one crystal, or go on with it, and read its label.

        Parameters
        ----------
        structure : pymatgen.core.Structure, RelaxedDocument or PreparedDocument
            The crystal, near equilibrium.
        prev_dir : str, Path or None
            Folder of the trajectory: a run that it holds is gone on with. By default a folder of
            the data directory, found again by the key of the work.
        prepared : PreparedDocument, optional
            How the crystal was prepared.

        Raises
        ------
        NoMobileIonError, UnknownElementError
            When the crystal does not suit ion or potential.
        DiffusionError
            When the supercell is too large, or the folder holds another run or cannot be written.
        """
        report_stage("molecular dynamics")
        make_force_field, potential = self.force_field()
        about = _about(structure, prepared, self)
        crystal = structure if isinstance(structure, Structure) else structure.structure
        atoms, matrix = make_supercell(
            bare_atoms(crystal), self.min_image_distance_A, max_atoms=self.max_atoms
        )
        mobile = about["mobile_species"]
        if mobile not in atoms.get_chemical_symbols():
            raise NoMobileIonError(
                f"{about['formula']} holds no {mobile}.",
                hint="Name another mobile ion, or leave the crystal out.",
                material_id=about["material_id"],
            )
        folder = f"{about['task_key'][:32]}-{potential.weights_sha256[:8]}"
        directory = (
            Path(prev_dir) if prev_dir else made_private(get_settings().data_dir) / "md" / folder
        )
        atoms = as_started(atoms, directory)
        settings = self.md_settings(has_hydrogen="H" in atoms.get_chemical_symbols())
        task = MDTask(atoms, mobile, settings, directory, self.stop)
        result = run_md(task, with_progress(make_force_field, task))
        return DiffusionDocument(
            **about,
            settings=self.identity() | {"timestep_fs": settings.timestep_fs},
            wall_time_s=result.wall_time_s,
            n_evaluations=result.n_steps_done + 1,
            n_force_evaluations=result.n_force_evaluations,
            potential=potential,
            structure=crystal,
            elements=sorted(element.symbol for element in crystal.composition.elements),
            chemical_system=crystal.composition.chemical_system,
            supercell_matrix=matrix.tolist(),
            n_atoms=len(atoms),
            image_distance_A=shortest_vector(atoms.cell.array),
            trajectory=directory.name,
            **_findings(task, result, charge_of(self.charge_e, mobile)),
        )


def _findings(task: MDTask, result: MDResult, charge_e: float) -> dict[str, Any]:
    """Return the fields of the document that the trajectory decides."""
    settings, rules = task.settings, task.stop
    frames = result.production(settings)
    found: DiffusionAnalysis | None = None
    if result.status != "run_away" and len(frames) > 1:
        found = analyse(
            frames.positions_A,
            settings.frame_interval_ps,
            crystal_of(task.atoms, task.mobile),
            rules.slope,
            rules.verdict,
        )
    warnings = [Warning_(code="recovered", text=text) for text in result.warnings]
    if result.status == "run_away":
        warnings.append(Warning_(code="run_away", text=f"The run was stopped: {result.reason}."))
    warnings += _of_framework(found)
    about_ions = findings_of(
        found,
        n_mobile=task.atoms.get_chemical_symbols().count(task.mobile),
        volume_A3=float(task.atoms.get_volume()),
        temperature_K=settings.temperature_K,
        charge_e=charge_e,
    )
    temperatures = frames.temperatures_K
    return {
        "verdict": "unconverged",
        "verdict_reason": result.reason,
        "warnings": warnings,
        "charge_e": charge_e,
        "temperature_K": settings.temperature_K,
        "mean_temperature_K": finite(float(temperatures.mean())) if len(temperatures) else None,
        "timestep_fs": settings.timestep_fs,
        "thermostat": settings.thermostat,
        "seed": settings.seed,
        "equilibration_ps": settings.n_equilibration_steps * settings.timestep_fs * 1e-3,
        "n_steps_done": result.n_steps_done,
        "status": result.status,
        "stop_reason": result.reason,
        **about_ions,
    }


def judged_again(document: DiffusionDocument, folder: Path) -> DiffusionDocument:
    """Return a label judged by the analysis of today, where its trajectory is there.

    Parameters
    ----------
    document : DiffusionDocument
        The label. One that today's analysis has judged, or whose run ran away, stays as it is.
    folder : Path
        Where trajectories are, the folder ``md`` of the data directory.
    """
    directory = folder / document.trajectory
    if document.analysis_version >= ANALYSIS_VERSION or document.status == "run_away":
        return document
    if trajectory.read_run(directory) is None:
        return document
    run = read_trajectory(directory)
    if len(run.positions_A) < 2:
        return document
    rules = rebuilt(StopRules, document.settings["stop"], "stop")
    found = analyse(
        run.positions_A,
        run.frame_interval_ps,
        crystal_of(run.atoms, document.mobile_species),
        rules.slope,
        rules.verdict,
    )
    fields = findings_of(
        found,
        n_mobile=document.n_mobile,
        volume_A3=document.volume_A3,
        temperature_K=document.temperature_K,
        charge_e=document.charge_e,
    )
    warnings = document.warnings + _of_framework(found)
    return document.model_copy(update={**fields, "warnings": warnings})


def _of_framework(found: DiffusionAnalysis | None) -> list[Warning_]:
    if found is None or not found.diffusing_framework:
        return []
    return [Warning_(code="framework_diffuses", text=framework_text(found))]


def _about(
    crystal: Crystal, prepared: PreparedDocument | None, maker: DiffusionMDMaker
) -> dict[str, Any]:
    """Return what the document says of the crystal's identity."""
    if isinstance(crystal, Structure):
        return about_structure(crystal, maker.mobile_species, maker.key_content())
    about: dict[str, Any] = {
        **crystal.identity,
        "relaxed": isinstance(crystal, RelaxedDocument) and crystal.relaxed,
    }
    if prepared is not None:
        about |= {
            "source": prepared.source,
            "provenance": prepared.provenance,
            "spacegroup_number": prepared.spacegroup_number,
            "spacegroup_symbol": prepared.spacegroup_symbol,
        }
    return about


def as_started(atoms: Atoms, directory: Path) -> Atoms:
    """Return the supercell that a run in the folder started from, where it is the same crystal.

    A relaxation that runs again may end a trifle away, which must not orphan the trajectory.
    """
    stored = trajectory.read_run(directory)
    if stored is None or stored.get("symbols") != atoms.get_chemical_symbols():
        return atoms
    cell, positions = np.array(stored["cell_A"]), np.array(stored["positions_A"])
    shifts = [np.abs(cell - atoms.cell.array).max(), np.abs(positions - atoms.positions).max()]
    if max(shifts) > _SAME_START_A:
        return atoms
    return Atoms(atoms.get_chemical_symbols(), positions=positions, cell=cell, pbc=True)


class _Telling:
    """A force field that says how far the run is."""

    def __init__(self, force_field: ForceField, task: MDTask, count: list[int]) -> None:
        self.label = force_field.label
        self._force_field, self._count = force_field, count
        self._planned = task.settings.last_step + 1

    def evaluate(
        self, positions_A: Sequence[NDArray[np.float64]]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        self._count[0] += 1
        if self._count[0] % _PROGRESS_STEPS == 0:
            report_progress(min(self._count[0], self._planned), self._planned)
        return self._force_field.evaluate(positions_A)


def with_progress(make_force_field: MakeForceField, task: MDTask) -> MakeForceField:
    """Return a maker of force fields that say how far the run is."""
    stored = sum(1 for _ in task.directory.glob("chunk_*.npz")) if task.directory.exists() else 0
    count = [stored * task.settings.checkpoint_interval]
    return lambda systems: _Telling(make_force_field(systems), task, count)


def bare_atoms(structure: Structure) -> Atoms:
    """Return an ASE crystal with nothing but species, positions and cell."""
    atoms = AseAtomsAdaptor.get_atoms(structure)
    return Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=True)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
