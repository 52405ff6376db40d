"""Molecular dynamics of one or several crystals, restartable at any moment."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.dynamics import trajectory as disk
from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.integrators import (
    State,
    kinetic_temperature,
    make_integrator,
    thermal_velocities,
)
from superionic.dynamics.settings import MDSettings
from superionic.dynamics.stopping import StopCode, StopRules, run_away, settled
from superionic.errors import DiffusionError
from superionic.potentials.force_field import ForceField

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MDTask:
    """One run.

    Parameters
    ----------
    atoms : Atoms
        The crystal, with its supercell; cell fixed.
    mobile : str
        Symbol of the mobile element.
    settings : MDSettings
        What is run.
    directory : Path
        Its own folder; made when missing.
    stop : StopRules
        When it ends before its time.
    keep_forces : bool
        Whether frames hold forces, too; the analysis does not need them.
    """

    atoms: Atoms
    mobile: str
    settings: MDSettings
    directory: Path
    stop: StopRules = field(default_factory=StopRules)
    keep_forces: bool = False


@dataclass(frozen=True)
class MDResult:
    """How a run ended.

    Parameters
    ----------
    directory : Path
        Folder of the trajectory.
    status : str
        ``completed``, ``settled_diffusing``, ``settled_not_diffusing``, ``melted``, ``run_away``.
    reason : str
        In words, with numbers.
    n_steps_done : int
        Steps, equilibration included.
    n_force_evaluations : int
        Force evaluations of this call (those of earlier, interrupted calls are not counted).
    wall_time_s : float
        Wall time of this call.
    warnings : list of str
        What was recovered.
    """

    directory: Path
    status: StopCode
    reason: str
    n_steps_done: int
    n_force_evaluations: int
    wall_time_s: float
    warnings: list[str]

    def production(self, settings: MDSettings) -> disk.Frames:
        """Read the frames after the equilibration."""
        return disk.read_frames(self.directory).since(settings.n_equilibration_steps)


class _Run:
    """One run in progress: its state, and the frames not yet on disk."""

    def __init__(self, task: MDTask, label: str) -> None:
        self.task = task
        self.settings = task.settings
        self.directory = Path(task.directory)
        self.masses = np.asarray(task.atoms.get_masses(), dtype=np.float64)
        self.integrator = make_integrator(
            self.settings.thermostat,
            self.masses,
            self.settings.timestep_fs,
            self.settings.temperature_K,
            self.settings.thermostat_time_fs,
        )
        self.crystal = crystal_of(task.atoms, task.mobile)
        if not self.crystal.is_mobile.any():
            raise DiffusionError(
                f"{task.atoms.get_chemical_formula()} holds no {task.mobile}.",
                hint="Name a mobile element that the crystal holds.",
            )
        self.rng = np.random.default_rng(self.settings.seed)
        self.n_evaluations = 0
        self.started = time.perf_counter()
        self.reference_energy: float | None = None
        self._pending: list[tuple[int, NDArray[np.float32], float, float, NDArray[np.float32]]] = []
        self._open(label)

    def _open(self, label: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        _identify(self.directory, self.task, label)
        self.n_chunks, last, self.warnings = disk.recover(self.directory)
        stored = disk.read_run(self.directory) or {}
        self.reference_energy = stored.get("initial_energy_eV")
        self.outcome: tuple[StopCode, str] | None = None
        if last is None:
            self.state = State(
                step=0,
                positions_A=np.array(self.task.atoms.positions, dtype=np.float64),
                velocities=thermal_velocities(self.masses, self.settings.temperature_K, self.rng),
                forces_eV_per_A=np.zeros((len(self.masses), 3)),
                energy_eV=float("nan"),
            )
            self.fresh = True
            return
        self.state = last.state
        self.rng.bit_generator.state = last.rng_state
        self.fresh = False
        self.outcome = self._check()

    def set_initial_forces(self, energy_eV: float, forces: FloatArray) -> None:
        """Take the forces at the starting positions and keep the first frame."""
        self.n_evaluations += 1
        self.state.energy_eV, self.state.forces_eV_per_A = energy_eV, np.array(forces)
        self.fresh = False
        self._record()
        self.outcome = self._run_away()
        stored = disk.read_run(self.directory) or {}
        disk.write_run(self.directory, stored | {"initial_energy_eV": _finite(energy_eV)})
        self.reference_energy = _finite(energy_eV)
        if self.outcome:
            self._checkpoint()

    def begin_step(self) -> FloatArray:
        """Return the positions at which forces are needed."""
        self.integrator.first_half(self.state, self.rng)
        return self.state.positions_A

    def finish_step(self, energy_eV: float, forces: FloatArray) -> None:
        """Take the forces and do what is due: frame, checkpoint, stop rules."""
        self.n_evaluations += 1
        self.state.energy_eV, self.state.forces_eV_per_A = energy_eV, np.array(forces)
        self.integrator.second_half(self.state, self.rng)
        self.state.step += 1
        if self.state.step % self.settings.stride == 0:
            self._record()
        self.outcome = self._run_away()
        last = self.state.step >= self.settings.last_step
        if self.outcome or last or self.state.step % self.settings.checkpoint_interval == 0:
            self._checkpoint()
            self.outcome = self.outcome or self._check()

    def _record(self) -> None:
        state = self.state
        self._pending.append(
            (
                state.step,
                state.positions_A.astype(np.float32),
                state.energy_eV,
                kinetic_temperature(state.velocities, self.masses),
                state.forces_eV_per_A.astype(np.float32),
            )
        )

    def _checkpoint(self) -> None:
        shape = (-1, len(self.masses), 3)
        forces = np.array([frame[4] for frame in self._pending], dtype=np.float32).reshape(shape)
        frames = disk.Frames(
            np.array([frame[0] for frame in self._pending], dtype=np.int64),
            np.array([frame[1] for frame in self._pending], dtype=np.float32).reshape(shape),
            np.array([frame[2] for frame in self._pending], dtype=np.float64),
            np.array([frame[3] for frame in self._pending], dtype=np.float64),
            forces if self.task.keep_forces else None,
        )
        chunk = disk.Chunk(frames, self.state, dict(self.rng.bit_generator.state))
        disk.write_chunk(self.directory, self.n_chunks, chunk)
        self.n_chunks += 1
        self._pending.clear()

    def _run_away(self) -> tuple[StopCode, str] | None:
        return run_away(
            self.state,
            kinetic_temperature(self.state.velocities, self.masses),
            self.settings.temperature_K,
            self.reference_energy,
            self.task.stop,
        )

    def _check(self) -> tuple[StopCode, str] | None:
        """Apply the rules that need the trajectory; at checkpoints only."""
        if outcome := self._run_away():
            return outcome
        step = self.state.step
        if step >= self.settings.n_equilibration_steps and self.task.stop.early:
            frames = disk.read_frames(self.directory).since(self.settings.n_equilibration_steps)
            outcome = settled(
                frames.positions_A, self.settings.frame_interval_ps, self.crystal, self.task.stop
            )
            if outcome:
                return outcome
        if step >= self.settings.last_step:
            return "completed", f"{step} steps"
        return None

    def close(self) -> MDResult:
        """Write how the run ended."""
        if self.outcome is None:
            raise DiffusionError("The run has not ended.")
        status, reason = self.outcome
        wall_time = time.perf_counter() - self.started
        stored = disk.read_run(self.directory) or {}
        disk.write_run(
            self.directory,
            stored | {"status": status, "reason": reason, "n_steps_done": self.state.step},
        )
        return MDResult(
            directory=self.directory,
            status=status,
            reason=reason,
            n_steps_done=self.state.step,
            n_force_evaluations=self.n_evaluations,
            wall_time_s=wall_time,
            warnings=self.warnings,
        )


def run_md(task: MDTask, make_force_field: Callable[[Sequence[Atoms]], ForceField]) -> MDResult:
    """Run one crystal, or go on with it; see :func:`run_md_batch`."""
    return run_md_batch([task], make_force_field)[0]


def run_md_batch(
    tasks: Sequence[MDTask], make_force_field: Callable[[Sequence[Atoms]], ForceField]
) -> list[MDResult]:
    """Run several crystals with one force evaluation for all of them at each step.

    A directory that holds a run of the same task is gone on with, from its last checkpoint; one
    whose run has ended is returned at once. Runs that end leave the batch.

    Parameters
    ----------
    tasks : sequence of MDTask
        The runs, each with a directory of its own.
    make_force_field : callable
        Makes the force field of a list of crystals, such as ``CHGNetForceField``.

    Returns
    -------
    list of MDResult
        In the order of the tasks.

    Raises
    ------
    DiffusionError
        When a directory holds another run or cannot be written. What was written before stays.
    """
    force_field = make_force_field([task.atoms for task in tasks])
    runs = [_Run(task, force_field.label) for task in tasks]
    active = [run for run in runs if run.outcome is None]
    n_bound = len(runs)
    while active:
        if len(active) != n_bound:
            force_field = make_force_field([run.task.atoms for run in active])
            n_bound = len(active)
        fresh = [run for run in active if run.fresh]
        if fresh:
            energies, forces = force_field.evaluate([run.state.positions_A for run in active])
            for run, energy, force in zip(active, energies, forces, strict=True):
                if run.fresh:
                    run.set_initial_forces(float(energy), force)
        while all(run.outcome is None for run in active):
            positions = [run.begin_step() for run in active]
            energies, forces = force_field.evaluate(positions)
            for run, energy, force in zip(active, energies, forces, strict=True):
                run.finish_step(float(energy), force)
        active = [run for run in active if run.outcome is None]
    return [run.close() for run in runs]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _identify(directory: Path, task: MDTask, label: str) -> None:
    """Write ``run.json``, or compare it with the task.

    Raises
    ------
    DiffusionError
        When the directory holds another run.
    """
    settings = asdict(task.settings)
    content: dict[str, Any] = {
        "format": 1,
        "potential": label,
        "mobile": task.mobile,
        "settings": settings,
        "symbols": task.atoms.get_chemical_symbols(),
        "masses_u": task.atoms.get_masses().tolist(),
        "cell_A": task.atoms.cell.array.tolist(),
        "positions_A": task.atoms.positions.tolist(),
    }
    stored = disk.read_run(directory)
    if stored is None:
        disk.write_run(directory, content)
        return
    differing = [
        name
        for name in ("format", "potential", "mobile", "symbols")
        if stored.get(name) != content[name]
    ]
    # What a run of an older version does not say was as its default is.
    defaults = {field.name: field.default for field in fields(MDSettings)}
    old = {**defaults, **stored.get("settings", {})}
    differing += [
        f"settings.{name}"
        for name, value in settings.items()
        if name != "n_steps" and old.get(name) != value
    ]
    if "symbols" not in differing:
        differing += [
            name
            for name in ("masses_u", "cell_A", "positions_A")
            if not np.allclose(stored[name], content[name], rtol=0.0, atol=1e-6)
        ]
    if differing:
        raise DiffusionError(
            f"{directory} holds another run: {', '.join(differing)} differ.",
            hint="Choose an empty directory, or remove the old run.",
        )
    if old["n_steps"] != settings["n_steps"]:
        ended = {"status", "reason", "n_steps_done"}
        kept = {name: value for name, value in stored.items() if name not in ended}
        disk.write_run(directory, kept | {"settings": settings})
