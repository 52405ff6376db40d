"""Segments of a chained run: kept on disk one by one, joined to one trajectory."""

import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.errors import DiffusionError
from superionic.files import made_private, write_whole
from superionic.structures.plain import structure_from_dict
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]

_SAME_FRAME_A = 1e-4
# Within one step no ion gets this far: 0.5 A in 2 fs is a hydrogen of 100,000 K.
_LARGEST_STEP_A = 0.5


@dataclass(frozen=True)
class Segment:
    """Frames of one calculation, one for each step.

    Parameters
    ----------
    first_step : int
        Step of the first frame.
    lattice_A : ndarray, shape (3, 3)
        Lattice vectors as rows.
    fractional : ndarray, shape (n_frames, n_atoms, 3)
        Fractional coordinates, wrapped or not.
    energies_eV : ndarray, shape (n_frames,)
        Potential energies.
    forces_eV_per_A : ndarray, shape (n_frames, n_atoms, 3)
        Forces.
    temperatures_K : ndarray, shape (n_frames,), or None
        Kinetic temperatures, where they are told.
    structure_after : pymatgen.core.Structure
        Where the next segment starts, with velocities.
    uuid : str
        Job that ran it.
    version : str
        Version of the program.
    wall_time_s : float
        Its time.
    """

    first_step: int
    lattice_A: FloatArray
    fractional: FloatArray
    energies_eV: FloatArray
    forces_eV_per_A: FloatArray
    temperatures_K: FloatArray | None
    structure_after: Structure
    uuid: str = ""
    version: str = ""
    wall_time_s: float = 0.0

    def __len__(self) -> int:
        return len(self.energies_eV)


@dataclass(frozen=True)
class Joined:
    """A whole run, unwrapped; shapes as of :class:`Segment`, positions in A."""

    steps: NDArray[np.int64]
    positions_A: FloatArray
    energies_eV: FloatArray
    forces_eV_per_A: FloatArray
    temperatures_K: FloatArray | None

    def __len__(self) -> int:
        return len(self.steps)

    def every(self, stride: int) -> "Joined":
        """Return the frames whose step is a multiple of the stride."""
        keep = self.steps % stride == 0
        temperatures = self.temperatures_K
        return Joined(
            self.steps[keep],
            self.positions_A[keep],
            self.energies_eV[keep],
            self.forces_eV_per_A[keep],
            None if temperatures is None else temperatures[keep],
        )


def segment_of_vasprun(
    directory: Path,
    *,
    first_step: int,
    n_steps: int,
    timestep_fs: float,
    structure_after: Structure,
    uuid: str,
    wall_time_s: float,
) -> Segment:
    """Read the frames of a finished VASP calculation.

    VASP writes positions, energy and forces of step 0 to NSW - 1; CONTCAR holds step NSW, at which
    the next segment starts.

    Parameters
    ----------
    directory : Path
        Its folder, with vasprun.xml or vasprun.xml.gz.
    first_step : int
        Steps of the run before it.
    n_steps, timestep_fs
        What it was told. Custodian's handlers may change both to get a calculation through.
    structure_after : pymatgen.core.Structure
        CONTCAR, with velocities.
    uuid : str
        Its job.
    wall_time_s : float
        Its time.

    Raises
    ------
    DiffusionError
        When there is no vasprun.xml, or it is not of the steps that were asked for.
    """
    from pymatgen.io.vasp import Vasprun

    files = sorted(directory.glob("vasprun.xml*"))
    if not files:
        raise DiffusionError(
            f"{directory} holds no vasprun.xml.", hint="Look at vasp.out there for the reason."
        )
    run = Vasprun(str(files[0]), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    steps = [step for step in run.ionic_steps if step.get("structure") is not None]
    taken_fs = float(run.parameters.get("POTIM", run.incar.get("POTIM", timestep_fs)))
    if len(steps) != n_steps or abs(taken_fs - timestep_fs) > 1e-9:
        raise DiffusionError(
            f"{files[0]} holds {len(steps)} steps of {taken_fs:g} fs, not {n_steps} of "
            f"{timestep_fs:g} fs.",
            hint="Look at vasp.out and custodian.json there: custodian may have changed INCAR. "
            "Choose a shorter time step.",
        )
    degrees = max(3 * len(run.initial_structure) - 3, 1)
    kinetic = [step.get("kinetic") for step in steps]
    temperatures = None
    if all(value is not None for value in kinetic):
        temperatures = np.array(kinetic, dtype=np.float64) * 2 / (degrees * BOLTZMANN_eV_per_K)
    return Segment(
        first_step=first_step,
        lattice_A=np.array(run.initial_structure.lattice.matrix),
        fractional=np.array([step["structure"].frac_coords for step in steps]),
        energies_eV=np.array([float(step["e_fr_energy"]) for step in steps]),
        forces_eV_per_A=np.array([step["forces"] for step in steps], dtype=np.float64),
        temperatures_K=temperatures,
        structure_after=structure_after,
        uuid=uuid,
        version=str(run.vasp_version),
        wall_time_s=wall_time_s,
    )


def files_of_segment(folder: Path, index: int) -> Path:
    """Return the folder in which the files of a segment are kept."""
    return folder / f"segment_{index:05d}"


def keep_files(folder: Path, index: int, work: Path, names: Sequence[str]) -> None:
    """Copy files of a calculation, compressed or not, to where the next segment finds them.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    index : int
        Segment.
    work : Path
        Folder of the calculation.
    names : sequence of str
        Names without ``.gz``; those that are not there are passed over.

    Raises
    ------
    DiffusionError
        When they cannot be written.
    """
    target = files_of_segment(folder, index)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        made_private(fresh)
        for name in names:
            for file in (work / name, work / f"{name}.gz"):
                if file.is_file():
                    shutil.copyfile(file, fresh / file.name)
        shutil.rmtree(target, ignore_errors=True)  # of a segment that was killed just here
        fresh.rename(target)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise DiffusionError(
            f"Files of the calculation cannot be kept in {target}: {error.strerror or error}.",
            hint="Make room and run it again: it goes on after the last finished segment.",
        ) from error


def keep_segment(folder: Path, index: int, segment: Segment) -> None:
    """Write a segment, whole or not at all.

    Raises
    ------
    DiffusionError
        When it cannot be written.
    """
    made_private(folder)
    buffer = io.BytesIO()
    temperatures = segment.temperatures_K
    np.savez_compressed(
        buffer,
        first_step=segment.first_step,
        lattice_A=segment.lattice_A,
        fractional=segment.fractional,
        energies_eV=segment.energies_eV,
        forces_eV_per_A=segment.forces_eV_per_A,
        temperatures_K=np.zeros(0) if temperatures is None else temperatures,
        structure_after=np.array(segment.structure_after.to_json()),
        about=np.array(json.dumps([segment.uuid, segment.version, segment.wall_time_s])),
    )
    write_whole(_path(folder, index), buffer.getvalue())


def read_segments(folder: Path) -> list[Segment]:
    """Return the unbroken row of segments that a folder holds.

    Raises
    ------
    DiffusionError
        When one does not start where the one before ended.
    """
    segments: list[Segment] = []
    while (path := _path(folder, len(segments))).exists():
        segment = _read(path)
        expected = segments[-1].first_step + len(segments[-1]) if segments else 0
        if segment.first_step != expected:
            raise DiffusionError(
                f"{path} starts at step {segment.first_step}, not at {expected}.",
                hint="Remove it and those after it, and run again.",
            )
        segments.append(segment)
    return segments


def join_segments(segments: Sequence[Segment]) -> Joined:
    """Join segments to one trajectory, positions unwrapped.

    Between two frames every ion is taken to have gone the shorter way, which is right as long as
    it moves less than half a lattice vector in one step.

    Raises
    ------
    DiffusionError
        When there is no segment, or positions jump where two of them meet.
    """
    if not segments:
        raise DiffusionError("No segment of the run is there.", hint="Run it again.")
    lattice = segments[0].lattice_A
    for before, after in pairwise(segments):
        jump = after.fractional[0] - before.fractional[-1]
        longest = float(np.linalg.norm((jump - np.rint(jump)) @ lattice, axis=1).max())
        if not _SAME_FRAME_A < longest < _LARGEST_STEP_A:
            what = (
                "repeats the last frame of" if longest <= _SAME_FRAME_A else "does not go on from"
            )
            raise DiffusionError(
                f"The segment at step {after.first_step} {what} the one before (an atom moves by "
                f"{longest:.4f} A).",
                hint="Remove the folder of the run and run it again.",
            )
    fractional = np.concatenate([segment.fractional for segment in segments])
    moves = np.diff(fractional, axis=0)
    unwrapped = np.concatenate(
        [fractional[:1], fractional[0] + np.cumsum(moves - np.rint(moves), axis=0)]
    )
    told = [s.temperatures_K for s in segments if s.temperatures_K is not None]
    return Joined(
        steps=np.arange(len(fractional), dtype=np.int64),
        positions_A=unwrapped @ lattice,
        energies_eV=np.concatenate([segment.energies_eV for segment in segments]),
        forces_eV_per_A=np.concatenate([segment.forces_eV_per_A for segment in segments]),
        temperatures_K=np.concatenate(told) if len(told) == len(segments) else None,
    )


def _path(folder: Path, index: int) -> Path:
    return folder / f"segment_{index:05d}.npz"


def _read(path: Path) -> Segment:
    with np.load(path, allow_pickle=False) as data:
        uuid, version, wall_time_s = json.loads(str(data["about"]))
        temperatures = data["temperatures_K"]
        return Segment(
            first_step=int(data["first_step"]),
            lattice_A=data["lattice_A"],
            fractional=data["fractional"],
            energies_eV=data["energies_eV"],
            forces_eV_per_A=data["forces_eV_per_A"],
            temperatures_K=temperatures if len(temperatures) else None,
            structure_after=structure_from_dict(json.loads(str(data["structure_after"]))),
            uuid=uuid,
            version=version,
            wall_time_s=wall_time_s,
        )
