"""A trajectory on disk: one folder, a few compressed chunks, each of which is also a checkpoint.

``run.json`` says what is run. ``chunk_00000.npz``, ``chunk_00001.npz``, ... hold the frames of one
checkpoint interval each, and with them the complete state at its end (positions, velocities,
forces, thermostat, random generator) in double precision. A chunk is written whole: to a temporary
file, flushed to disk, renamed. So whatever happens, the folder holds an unbroken row of whole
chunks, and the last good one says where to go on: no frame can be missing or doubled. Every array
in a chunk has a CRC-32 (that of the zip format), checked before a chunk is believed.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.integrators import State
from superionic.errors import DiffusionError
from superionic.files import write_whole

FloatArray = NDArray[np.float64]

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Frames:
    """Frames of a trajectory.

    Parameters
    ----------
    steps : ndarray of int, shape (n_frames,)
        Step of each frame.
    positions_A : ndarray of float32, shape (n_frames, n_atoms, 3)
        Unwrapped Cartesian positions in A.
    energies_eV : ndarray, shape (n_frames,)
        Potential energies.
    temperatures_K : ndarray, shape (n_frames,)
        Kinetic temperatures.
    forces_eV_per_A : ndarray of float32, shape (n_frames, n_atoms, 3), or None
        Forces, where the run kept them.
    """

    steps: NDArray[np.int64]
    positions_A: NDArray[np.float32]
    energies_eV: FloatArray
    temperatures_K: FloatArray
    forces_eV_per_A: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def since(self, step: int) -> "Frames":
        """Return the frames at and after a step."""
        keep = self.steps >= step
        forces = self.forces_eV_per_A
        return Frames(
            self.steps[keep], self.positions_A[keep], self.energies_eV[keep],
            self.temperatures_K[keep], None if forces is None else forces[keep],
        )  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """Frames and the state at their end.

    Parameters
    ----------
    frames : Frames
        The frames, possibly none.
    state : State
        State after the last step of the chunk.
    rng_state : dict
        State of the random generator.
    """

    frames: Frames
    state: State
    rng_state: dict[str, Any]


def chunk_path(directory: Path, index: int) -> Path:
    """Return the path of a chunk."""
    return directory / f"chunk_{index:05d}.npz"


def write_chunk(directory: Path, index: int, chunk: Chunk) -> None:
    """Write one chunk.

    Raises
    ------
    UnwritableFileError
        When the disk does not take it.
    """
    state, forces = chunk.state, chunk.frames.forces_eV_per_A
    optional: dict[str, Any] = (
        {} if forces is None else {"forces_eV_per_A": forces.astype(np.float32)}
    )
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        index=index,
        steps=chunk.frames.steps,
        positions_A=chunk.frames.positions_A.astype(np.float32),
        energies_eV=chunk.frames.energies_eV,
        temperatures_K=chunk.frames.temperatures_K,
        state_step=state.step,
        state_positions_A=state.positions_A,
        state_velocities=state.velocities,
        state_forces_eV_per_A=state.forces_eV_per_A,
        state_energy_eV=state.energy_eV,
        state_thermostat=state.thermostat,
        rng_state=np.array(json.dumps(chunk.rng_state)),
        **optional,
    )
    write_whole(chunk_path(directory, index), buffer.getvalue())


def read_chunk(directory: Path, index: int) -> Chunk | None:
    """Read one chunk; None when it is missing, truncated or damaged."""
    try:
        content = chunk_path(directory, index).read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            if int(data["index"]) != index:
                return None
            frames = Frames(
                data["steps"], data["positions_A"], data["energies_eV"], data["temperatures_K"],
                data.get("forces_eV_per_A"),
            )  # fmt: skip
            state = State(
                step=int(data["state_step"]),
                positions_A=data["state_positions_A"],
                velocities=data["state_velocities"],
                forces_eV_per_A=data["state_forces_eV_per_A"],
                energy_eV=float(data["state_energy_eV"]),
                thermostat=data["state_thermostat"],
            )
            return Chunk(frames, state, json.loads(str(data["rng_state"])))
    except FileNotFoundError:
        return None
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, NotImplementedError):
        return None
    except Exception as error:  # zlib.error and what a flipped bit in a header may raise
        if type(error).__module__ in {"zlib", "struct"}:
            return None
        raise


def iterate_chunks(directory: Path) -> Iterator[Chunk]:
    """Yield the unbroken row of good chunks."""
    index = 0
    while (chunk := read_chunk(directory, index)) is not None:
        yield chunk
        index += 1


def recover(directory: Path) -> tuple[int, Chunk | None, list[str]]:
    """Find the last good chunk and remove what lies beyond it.

    Returns
    -------
    n_chunks : int
        Number of good chunks.
    last : Chunk or None
        The last of them.
    warnings : list of str
        What was removed: damaged chunks and those after them.
    """
    n_chunks, last = 0, None
    for chunk in iterate_chunks(directory):
        n_chunks, last = n_chunks + 1, chunk
    warnings = []
    for path in sorted(directory.glob("chunk_*.npz")):
        if int(path.stem.removeprefix("chunk_")) >= n_chunks:
            path.unlink()
            warnings.append(f"{path.name} was damaged or followed a damaged chunk; computed again.")
    for path in directory.glob(".*.tmp*"):
        path.unlink(missing_ok=True)
    return n_chunks, last, warnings


def join(parts: Sequence[Frames]) -> Frames:
    """Concatenate frames; forces are there when all parts have them."""
    forces = [part.forces_eV_per_A for part in parts if part.forces_eV_per_A is not None]
    return Frames(
        np.concatenate([part.steps for part in parts]),
        np.concatenate([part.positions_A for part in parts]),
        np.concatenate([part.energies_eV for part in parts]),
        np.concatenate([part.temperatures_K for part in parts]),
        np.concatenate(forces) if len(forces) == len(parts) else None,
    )


def read_frames(directory: Path) -> Frames:
    """Read all frames of a run.

    Raises
    ------
    DiffusionError
        When the folder holds no good chunk.
    """
    parts = [chunk.frames for chunk in iterate_chunks(directory)]
    if not parts:
        raise DiffusionError(
            f"{directory} holds no readable chunk of a trajectory.",
            hint="Start the run again with the same directory.",
        )
    return join(parts)


def read_run(directory: Path) -> dict[str, Any] | None:
    """Return the content of ``run.json``; None when there is none.

    Raises
    ------
    DiffusionError
        When it is not JSON.
    """
    path = directory / RUN_FILE
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DiffusionError(
            f"{path} is not valid JSON.", hint="Remove the folder and start the run again."
        ) from error


def write_run(directory: Path, content: dict[str, Any]) -> None:
    """Write ``run.json``."""
    write_whole(directory / RUN_FILE, json.dumps(content, indent=1) + "\n")
