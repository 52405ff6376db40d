"""Molecular dynamics with our own runner and any potential or ASE calculator."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from jobflow import job

from superionic.dynamics.integrators import Thermostat
from superionic.dynamics.runner import MDTask, run_md
from superionic.dynamics.settings import MDSettings
from superionic.dynamics.trajectory import read_frames
from superionic.errors import DiffusionError
from superionic.files import made_private
from superionic.potentials.ase_calculator import load_ase
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential, parse_spec
from superionic.schemas.common import PotentialDocument, Warning_
from superionic.schemas.validation import TrajectoryDocument
from superionic.settings import get_settings
from superionic.workflows.jobs.diffusion import as_started, with_progress
from superionic.workflows.jobs.engines.base import (
    Cell,
    EngineMaker,
    about,
    cell_and_atoms,
    folder_name,
    pack,
    require_ion,
)
from superionic.workflows.keys import key_fields


@dataclass
class AseEngine(EngineMaker):
    """Run the dynamics with a potential of ours or any ASE calculator.

    The trajectory is kept in chunks in the data directory while it runs: a killed run goes on from
    the last of them.

    Parameters
    ----------
    potential : str or None
        Specification of what gives the forces, such as ``sevennet`` or
        ``ase:ase.calculators.cp2k.CP2K?{"xc": "PBE"}``; None takes the potential of the flow.
    self_check : bool
        Whether it proves itself first. An ab initio program, for which some hundred energies are
        dear, may go without.
    thermostat : {"bussi", "langevin", "nose_hoover", "nve"}
        Thermostat.
    thermostat_time_fs : float
        Its relaxation time; for langevin the inverse friction.
    checkpoint_interval : int
        Steps between checkpoints; the stop rules are looked at there.
    """

    potential: str | None = None
    self_check: bool = True
    thermostat: Thermostat = "bussi"
    thermostat_time_fs: float = 100.0
    checkpoint_interval: int = 500

    def bound(self, potential: str, mobile_species: str) -> Self:
        """Return the engine for a mobile ion, with a potential where none is set."""
        spec = str(parse_spec(self.potential or potential))
        return replace(self, potential=spec, mobile_species=mobile_species)

    def md_settings(
        self, temperature_K: float, n_steps: int, timestep_fs: float, seed: int
    ) -> MDSettings:
        """Return what the runner is told.

        Raises
        ------
        DiffusionError
            When a number makes no sense.
        """
        return MDSettings(
            temperature_K=temperature_K,
            timestep_fs=timestep_fs,
            thermostat=self.thermostat,
            thermostat_time_fs=self.thermostat_time_fs,
            n_equilibration_steps=self.n_equilibration_steps(timestep_fs),
            n_steps=n_steps,
            stride=self.stride(timestep_fs),
            checkpoint_interval=self.checkpoint_interval,
            seed=seed,
        )

    def load(self) -> Potential:
        """Return what gives the forces.

        Raises
        ------
        PotentialError
            When it cannot be loaded, or fails its self-check.
        """
        spec = parse_spec(self.potential or get_settings().potential)
        if spec.family != "ase":
            return load_potential(str(spec), check=self.self_check)
        if self.self_check:
            load_potential(str(spec))
        # A new one for each run: a program that a calculator has started lives in one folder.
        return load_ase(spec.name, settings=spec.settings)

    @job(data=["arrays"])
    def make(
        self, structure: Cell, temperature_K: float, n_steps: int, timestep_fs: float, seed: int
    ) -> TrajectoryDocument:
        """Run one temperature, or go on with it; see :class:`Engine`.

        Raises
        ------
        NoMobileIonError, UnknownElementError
            When the crystal does not suit ion or potential.
        DiffusionError
            When a number makes no sense, or the folder holds another run or cannot be written.
        """
        potential = self.load()
        identity = PotentialDocument.from_info(potential.info)
        settings = self.md_settings(temperature_K, n_steps, timestep_fs, seed)
        own = {"engine": "ase", "potential": self.potential}
        plain: dict[str, Any] = {**asdict(settings), **own, "stop": asdict(self.stop)}
        in_key = {**key_fields(settings), **own, "stop": key_fields(self.stop)}
        document = about(structure, self.mobile_species, in_key)
        _, atoms = cell_and_atoms(structure)
        require_ion(document, atoms.get_chemical_symbols())
        directory = (
            made_private(get_settings().data_dir)
            / "md"
            / folder_name(document["task_key"], temperature_K, seed, identity.weights_sha256)
        )
        atoms = as_started(atoms, directory)
        task = MDTask(atoms, self.mobile_species, settings, directory, self.stop, keep_forces=True)
        result = run_md(task, with_progress(potential.force_field, task))
        frames = read_frames(directory)
        if frames.forces_eV_per_A is None:
            raise DiffusionError(
                f"{directory} holds a trajectory without forces.",
                hint="Remove the folder and start the run again.",
            )
        warnings = [Warning_(code="recovered", text=text) for text in result.warnings]
        if result.status == "run_away":
            warnings.append(
                Warning_(code="run_away", text=f"The run was stopped: {result.reason}.")
            )
        return TrajectoryDocument(
            **document,
            settings=plain,
            wall_time_s=result.wall_time_s,
            n_evaluations=result.n_steps_done + 1,
            warnings=warnings,
            engine="ase",
            potential=identity,
            symbols=atoms.get_chemical_symbols(),
            lattice_A=atoms.cell.array.tolist(),
            start_positions_A=atoms.positions.tolist(),
            temperature_K=temperature_K,
            timestep_fs=timestep_fs,
            stride=settings.stride,
            seed=seed,
            n_frames=len(frames),
            has_first_frame=bool(frames.steps[0] == 0),
            n_equilibration_steps=settings.n_equilibration_steps,
            n_steps_done=result.n_steps_done,
            status=result.status,
            stop_reason=result.reason,
            arrays=pack(
                frames.steps,
                frames.positions_A,
                frames.energies_eV,
                frames.forces_eV_per_A,
                frames.temperatures_K,
            ),
        )
