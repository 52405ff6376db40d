"""Trajectories of other programs as the analysis needs them: unwrapped, one cell, evenly spaced.

Read are trajectories of ASE (``.traj``, extended XYZ), VASP (XDATCAR, vasprun.xml), LAMMPS (text
dumps), CP2K (XYZ), and our own runs. What the analysis would get wrong is refused in words: cells
that change, frames that are missing, repeated or unevenly spaced, atoms that move so far from frame
to frame that their path is not known, files without a cell or with a single frame.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.dynamics import trajectory
from superionic.errors import DiffusionError

FloatArray = NDArray[np.float64]

# From frame to frame an atom may move by this part of the cell. By half of it nothing tells where
# it went; what comes near has come from afar.
_MAX_STEP = 0.4
_SAME_CELL_A = 1e-3
_EVENLY = 1e-6
_CP2K = re.compile(r"\bi\s*=\s*(\d+),\s*time\s*=\s*([-+.\dEe]+)")
_POTIM = re.compile(r'<i name="POTIM">\s*([-+.\dEe]+)')
_HEAD_BYTES = 200_000

FORMATS = (
    "ASE .traj, extended XYZ, XDATCAR, vasprun.xml, a text dump of LAMMPS, XYZ of CP2K, or the "
    "folder of a run of ours"
)


@dataclass(frozen=True)
class FileTrajectory:
    """A trajectory that was read.

    Parameters
    ----------
    atoms : Atoms
        The first frame.
    positions_A : ndarray, shape (n_frames, n_atoms, 3)
        Unwrapped positions.
    frame_interval_ps : float
        Time between frames in ps.
    """

    atoms: Atoms
    positions_A: FloatArray
    frame_interval_ps: float

    def since(self, time_ps: float) -> "FileTrajectory":
        """Return the frames at and after a time."""
        first = int(np.ceil(time_ps / self.frame_interval_ps - _EVENLY))
        return FileTrajectory(self.atoms, self.positions_A[first:], self.frame_interval_ps)


def read_trajectory(
    path: Path, *, timestep_fs: float | None = None, structure: Atoms | None = None
) -> FileTrajectory:
    """Read a trajectory.

    Parameters
    ----------
    path : Path
        The file, or the folder of a run of ours.
    timestep_fs : float, optional
        Time between frames of the file in fs; vasprun.xml, CP2K and our runs say it themselves.
    structure : Atoms, optional
        The crystal, for files that say no cell (CP2K) or no elements (LAMMPS); atoms in the order
        of the file, or of the identifiers in it.

    Raises
    ------
    DiffusionError
        When the file cannot be read or analysed, with what is wrong.
    """
    if path.is_dir():
        return _own_run(path)
    frames, known_fs = _frames(path, structure)
    if len(frames) < 2:
        raise DiffusionError(
            f"{path.name} holds {len(frames)} frame{'s' * (len(frames) != 1)}; an analysis needs a "
            "trajectory.",
            hint="Name the file of the trajectory, not that of its last frame.",
        )
    interval_fs = timestep_fs if timestep_fs is not None else known_fs
    if interval_fs is None or interval_fs <= 0.0:
        raise DiffusionError(
            f"{path.name} does not say how much time is between its frames.",
            hint="Give it in fs (--timestep, timestep_fs): time step times the stride of frames.",
        )
    first = frames[0]
    _check_frames(path, frames)
    scaled = np.array([frame.positions for frame in frames]) @ np.linalg.inv(first.cell.array)
    unwrapped = unwrap(scaled, path.name) @ first.cell.array
    return FileTrajectory(first, unwrapped, 1e-3 * interval_fs)


def unwrap(scaled: FloatArray, name: str = "The trajectory") -> FloatArray:
    """Undo that atoms were moved back into the cell, by the nearest image from frame to frame.

    Parameters
    ----------
    scaled : ndarray, shape (n_frames, n_atoms, 3)
        Positions in units of the lattice vectors.
    name : str
        How errors name the trajectory.

    Raises
    ------
    DiffusionError
        When an atom moved by so much of a cell between two frames that its path is not known.
    """
    steps = np.diff(scaled, axis=0)
    steps -= np.round(steps)
    far = np.abs(steps).max(axis=2)
    if far.size and far.max() > _MAX_STEP:
        frame, atom = np.unravel_index(int(far.argmax()), far.shape)
        raise DiffusionError(
            f"{name}: atom {atom} moves by {far.max():.2f} of the cell from frame {frame} to frame "
            f"{frame + 1}; beyond half of it nothing says which way it went.",
            hint="Frames are missing or too far apart: write them more often.",
        )
    return np.concatenate([scaled[:1], scaled[:1] + np.cumsum(steps, axis=0)])


def _check_frames(path: Path, frames: list[Atoms]) -> None:
    first = frames[0]
    symbols = first.get_chemical_symbols()
    if abs(np.linalg.det(first.cell.array)) < 1e-6:
        raise DiffusionError(
            f"{path.name} says no cell.",
            hint="Name a file of the crystal with --structure (structure=...).",
        )
    for number, frame in enumerate(frames):
        if len(frame) != len(first) or frame.get_chemical_symbols() != symbols:
            raise DiffusionError(
                f"{path.name}: frame {number} holds other atoms, or in another order, than the "
                "first.",
                hint="Write all atoms in every frame, in one order.",
            )
        if not np.isfinite(frame.positions).all():
            raise DiffusionError(
                f"{path.name}: a position in frame {number} is not a finite number.",
                hint="The run has failed before; cut the file there.",
            )
        if np.abs(frame.cell.array - first.cell.array).max() > _SAME_CELL_A:
            raise DiffusionError(
                f"{path.name}: the cell changes (frame {number}).",
                hint="Displacements are analysed in one cell: run at constant volume.",
            )


def _frames(path: Path, structure: Atoms | None) -> tuple[list[Atoms], float | None]:
    """Return the frames, and the time between them in fs where the file says it."""
    name = path.name.lower()
    if not path.exists():
        raise DiffusionError(f"There is no file {path}.", hint="Look at the name.")
    if name.startswith("xdatcar"):
        return _by_ase(path, "vasp-xdatcar"), None
    if "vasprun" in name:
        with path.open(errors="replace") as stream:
            found = _POTIM.search(stream.read(_HEAD_BYTES))
        return _by_ase(path, "vasp-xml"), float(found[1]) if found else None
    if name.endswith(".traj"):
        return _by_ase(path, "traj"), None
    if name.endswith((".lammpstrj", ".dump")) or name.startswith("dump"):
        return _of_lammps(path, structure), None
    if name.endswith((".xyz", ".extxyz")):
        return _of_xyz(path, structure)
    raise DiffusionError(
        f"{path.name} is no trajectory that is known by its name.", hint=f"Known are {FORMATS}."
    )


def _by_ase(path: Path, form: str, **options: Any) -> list[Atoms]:
    from ase.io import read

    try:
        found = read(path, index=":", format=form, **options)
    except Exception as error:  # readers raise whatever they meet
        raise DiffusionError(
            f"{path.name} cannot be read as {form} ({type(error).__name__}: {error}).",
            hint="Is it complete, and is its name that of its format?",
        ) from error
    return list(found)


def _of_lammps(path: Path, structure: Atoms | None) -> list[Atoms]:
    steps, columns = [], ""
    with path.open(errors="replace") as stream:
        for line in stream:
            if line.startswith("ITEM: TIMESTEP"):
                steps.append(_whole(next(stream, "")))
            elif line.startswith("ITEM: ATOMS") and not columns:
                columns = line
    _check_steps(path, steps)
    frames = _by_ase(path, "lammps-dump-text")
    if "element" in columns.split():
        return frames
    if structure is None:
        raise DiffusionError(
            f"{path.name} says types of atoms and no elements.",
            hint="Write the column 'element', or name a file of the crystal with --structure.",
        )
    return [_with_elements(path, frame, structure) for frame in frames]


def _of_xyz(path: Path, structure: Atoms | None) -> tuple[list[Atoms], float | None]:
    comments = list(_comments(path))
    if comments and "Lattice=" in comments[0]:
        return _by_ase(path, "extxyz"), None
    times = [_CP2K.search(comment) for comment in comments]
    interval_fs = None
    if times and all(times):
        _check_steps(path, [int(found[1]) for found in times if found])
        ends = [float(found[2]) for found in times if found]
        interval_fs = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
    frames = _by_ase(path, "xyz")
    if structure is not None:
        for frame in frames:
            frame.set_cell(structure.cell)
    return frames, interval_fs


def _comments(path: Path) -> Iterator[str]:
    """Yield the second line of each frame of an XYZ file."""
    with path.open(errors="replace") as stream:
        while (head := stream.readline()).strip():
            n_atoms = _whole(head)
            yield stream.readline()
            for _ in range(n_atoms):
                stream.readline()


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _check_steps(path: Path, steps: list[int]) -> None:
    """Refuse steps that are not evenly spaced."""
    gaps = np.diff(steps)
    if len(gaps) == 0 or (np.all(gaps == gaps[0]) and gaps[0] > 0):
        return
    usual = int(np.median(gaps))
    at = int(np.argmax(gaps != usual)) if usual > 0 else int(np.argmax(gaps <= 0))
    before, after = steps[at], steps[at + 1]
    if after <= before:
        text, hint = "repeats or goes back", "Remove what a restart wrote twice."
    elif usual > 0 and (after - before) % usual == 0 and np.sum(gaps != usual) < len(gaps) / 4:
        text, hint = "leaves frames out", "Analyse the part before or after."
    else:
        text, hint = "changes the time between frames", "Analyse each part by itself."
    raise DiffusionError(
        f"{path.name} {text}: step {before} is followed by {after}, the others are {usual} apart.",
        hint=hint,
    )


def _with_elements(path: Path, frame: Atoms, structure: Atoms) -> Atoms:
    if len(frame) != len(structure):
        raise DiffusionError(
            f"{path.name} holds {len(frame)} atoms, the structure {len(structure)}.",
            hint="Give the supercell of the run, with its atoms in the order of the dump.",
        )
    found = structure.copy()
    found.set_cell(frame.cell)
    found.positions = frame.positions
    return found


def _own_run(folder: Path) -> FileTrajectory:
    record = trajectory.read_run(folder)
    if record is None:
        raise DiffusionError(f"{folder} is a folder without a run.", hint=f"Known are {FORMATS}.")
    settings = record["settings"]
    frames = trajectory.read_frames(folder).since(settings["n_equilibration_steps"])
    atoms = Atoms(
        record["symbols"], positions=record["positions_A"], cell=record["cell_A"], pbc=True
    )
    interval_ps = 1e-3 * settings["stride"] * settings["timestep_fs"]
    return FileTrajectory(atoms, frames.positions_A.astype(np.float64), interval_ps)
