"""Frames that a teacher has labelled: files, the split by chemical system, batches.

One file holds the frames of one crystal. Numbers in it: ``numbers`` (n_atoms), ``cell`` (n, 3, 3)
in A, ``pos`` (n, n_atoms, 3) in A, ``energy`` (n) in eV, ``forces`` (n, n_atoms, 3) in eV/A,
``stress`` (n, 6) in eV/A^3 (Voigt order, NaN where the teacher gives none), ``kind`` (n) and
``par`` (n; how far or how hot); texts: ``name``, ``source``, ``ion``, and ``teacher`` (JSON).
"""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from superionic.errors import TrainingError
from superionic.potentials.chgnet.neighbours import find_angles, find_pairs
from superionic.potentials.chgnet.network import Bonds
from superionic.structures.species import anion_family

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

_UP_TO: Final = {"train": 0.8, "validation": 0.9, "test": 1.0}


@dataclass(frozen=True)
class Frame:
    """One configuration with what the teacher says of it.

    Parameters
    ----------
    crystal : str
        Name of the crystal.
    kind, parameter : str and float
        How it was made (``md``, ``shaken``, ``displaced``, ``given``), and how hot (K) or far (A).
    numbers : ndarray, shape (n_atoms,)
        Atomic numbers.
    cell_A, positions_A : ndarray
        In A; lattice vectors in rows.
    energy_eV : float
        In the teacher's own convention.
    forces_eV_per_A : ndarray, shape (n_atoms, 3)
        Forces.
    stress_eV_per_A3 : ndarray, shape (3, 3)
        Stress; NaN where it is not known.
    """

    crystal: str
    kind: str
    parameter: float
    numbers: NDArray[np.int64]
    cell_A: FloatArray
    positions_A: FloatArray
    energy_eV: float
    forces_eV_per_A: FloatArray
    stress_eV_per_A3: FloatArray

    @property
    def system(self) -> str:
        """Return the chemical system, such as ``Cl-Li``."""
        return "-".join(sorted({chemical_symbols[z] for z in self.numbers}))

    @property
    def family(self) -> str:
        """Return its name by its first anion, oxygen before others."""
        return anion_family(self.system.split("-"))

    def __len__(self) -> int:
        return len(self.numbers)


def part_of(system: str, seed: int = 0) -> Part:
    """Return where a chemical system belongs: 80 % are learned, 10 % choose, 10 % test.

    The hash of seed and system decides and nothing else, so that a system stays where it is when
    frames are added.

    Examples
    --------
    >>> part_of("Cl-Li"), part_of("I-Li")
    ('train', 'train')
    """
    digest = hashlib.sha256(f"{seed}:{system}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return next(part for part in PARTS if place < _UP_TO[part])


def read_frames(paths: Iterable[Path]) -> list[Frame]:
    """Read the frames of files, or of all files of folders, in the order of their names.

    A file that cannot be read is said and passed over; frames with numbers that are not finite are
    passed over.
    """
    frames: list[Frame] = []
    for file in _files(paths):
        try:
            frames += _read(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s holds no frames that can be read (%s).", file, error)
    return frames


def teacher_of(paths: Iterable[Path]) -> dict[str, Any] | None:
    """Return who labelled the frames of files or folders, None where none of them says it.

    Raises
    ------
    TrainingError
        When they have different teachers.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in _files(paths):
        try:
            with np.load(file) as content:
                known = json.loads(str(content["teacher"]))["teacher"]
            found[known["weights_sha256"]] = known
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue
    if len(found) > 1:
        names = sorted(f"{one['name']} ({key[:12]})" for key, one in found.items())
        raise TrainingError(
            f"The frames have different teachers: {', '.join(names)}.",
            hint="A student has one teacher: its energies and forces belong together.",
        )
    return next(iter(found.values()), None)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
        # A name that begins with a dot is that of a file that is not yet whole.
        yield from (file for file in files if not file.name.startswith("."))


def _read(file: Path) -> list[Frame]:
    with np.load(file) as found:
        data = {key: found[key] for key in found.files}
    if "crystal" in data:
        return [frame for one in _unpacked(data) for frame in _frames(one)]
    return list(_frames(data))


def _frames(data: dict[str, NDArray[np.generic]]) -> Iterator[Frame]:
    n = len(data["energy"])
    stress = np.asarray(data.get("stress", np.full((n, 6), np.nan)), dtype=np.float64)
    for k in range(n):
        frame = Frame(
            crystal=str(data["name"]),
            kind=str(data["kind"][k]),
            parameter=float(data["par"][k]),  # type: ignore[arg-type]
            numbers=np.asarray(data["numbers"], dtype=np.int64),
            cell_A=np.asarray(data["cell"][k], dtype=np.float64),
            positions_A=np.asarray(data["pos"][k], dtype=np.float64),
            energy_eV=float(data["energy"][k]),  # type: ignore[arg-type]
            forces_eV_per_A=np.asarray(data["forces"][k], dtype=np.float64),
            stress_eV_per_A3=stress[k][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]],
        )
        if np.isfinite(frame.energy_eV) and np.isfinite(frame.forces_eV_per_A).all():
            yield frame


def pack_frames(files: Sequence[Path], path: Path) -> int:
    """Write the frames of many crystals into one file, and return their number.

    Positions and forces lie one after the other; everything is single precision but energies.

    Raises
    ------
    TrainingError
        When there are none, or they have different teachers.
    """
    teacher = teacher_of(files)
    rows: dict[str, list[NDArray[np.generic]]] = {}
    for file in files:
        with np.load(file) as found:
            n, n_atoms = len(found["energy"]), len(found["numbers"])
            if n == 0:
                continue
            stress = found["stress"] if "stress" in found.files else np.full((n, 6), np.nan)
            texts = {"name": str(found["name"]), "ion": str(found["ion"])}
            parts = {
                "numbers": found["numbers"].astype(np.uint8),
                "pos": found["pos"].reshape(-1, 3).astype(np.float32),
                "forces": found["forces"].reshape(-1, 3).astype(np.float32),
                "cell": found["cell"].astype(np.float32),
                "stress": stress.astype(np.float32),
                "energy": found["energy"].astype(np.float64),
                "kind": found["kind"].astype("U12"),
                "par": found["par"].astype(np.float32),
                "crystal": np.array([[n, n_atoms]], dtype=np.int32),
                **{key: np.array([value]) for key, value in texts.items()},
            }
        for key, value in parts.items():
            rows.setdefault(key, []).append(value)
    if not rows:
        raise TrainingError("There are no frames to pack.", hint="Make frames first.")
    packed: dict[str, Any] = {key: np.concatenate(value) for key, value in rows.items()}
    if teacher:
        packed["teacher"] = json.dumps({"teacher": teacher})
    np.savez_compressed(path, **packed)
    return int(packed["crystal"][:, 0].sum())


def _unpacked(data: dict[str, NDArray[np.generic]]) -> Iterator[dict[str, NDArray[np.generic]]]:
    """Yield the crystals of a packed file."""
    of_atoms = of_frames = of_rows = 0
    for k, (n, n_atoms) in enumerate(np.asarray(data["crystal"], dtype=np.int64).tolist()):
        rows = slice(of_rows, of_rows + n * n_atoms)
        frames = slice(of_frames, of_frames + n)
        yield {
            "name": data["name"][k],
            "numbers": data["numbers"][of_atoms : of_atoms + n_atoms],
            **{key: data[key][rows].reshape(n, n_atoms, 3) for key in ("pos", "forces")},
            **{key: data[key][frames] for key in ("cell", "stress", "energy", "kind", "par")},
        }
        of_atoms, of_rows, of_frames = of_atoms + n_atoms, rows.stop, frames.stop


@dataclass(frozen=True)
class Batch:
    """Frames as one disconnected graph, with what is to be learned of them.

    Parameters
    ----------
    species, owner : Tensor of int64, shape (n_atoms,)
        Atomic numbers less one, and frames.
    first, second : Tensor of int64, shape (n_pairs,)
        Atoms of the pairs, each pair once.
    vectors : Tensor, shape (n_pairs, 3)
        First minus second atom in A.
    bonds : Bonds
        Short pairs and their angles.
    volumes, counts : Tensor, shape (n_frames,)
        In A^3, and atoms of each frame.
    energies, forces, stresses : Tensor
        Of the teacher, energies per atom and with a reference taken off.
    """

    species: Tensor
    owner: Tensor
    first: Tensor
    second: Tensor
    vectors: Tensor
    bonds: Bonds
    volumes: Tensor
    counts: Tensor
    energies: Tensor
    forces: Tensor
    stresses: Tensor

    @property
    def n_frames(self) -> int:
        """Return the number of frames."""
        return len(self.counts)


def batch(
    frames: Sequence[Frame], reference_eV: FloatArray, pair_cutoff_A: float, bond_cutoff_A: float
) -> Batch:
    """Return frames as one graph.

    The search for neighbours takes less than a hundredth of a training step: it is not kept.

    Parameters
    ----------
    frames : sequence of Frame
        Frames of any crystals.
    reference_eV : ndarray, shape (94,)
        Energy by element that is taken off, Z = 1 first.
    pair_cutoff_A, bond_cutoff_A : float
        Cutoffs of the network.
    """
    species, owner, first, second, vectors = [], [], [], [], []
    pairs_of, centre, bond_a, bond_b, sign, energies = [], [], [], [], [], []
    n_atoms = n_pairs = n_bonds = 0
    for number, frame in enumerate(frames):
        pairs = find_pairs(frame.positions_A, frame.cell_A, pair_cutoff_A)
        vector = pairs.vectors(frame.positions_A)
        short = np.einsum("ij,ij->i", vector, vector) < bond_cutoff_A**2
        angles = find_angles(pairs, short, len(frame))
        bond_number = np.cumsum(short) - 1
        species.append(frame.numbers - 1)
        owner.append(np.full(len(frame), number))
        first.append(pairs.first + n_atoms)
        second.append(pairs.second + n_atoms)
        vectors.append(vector)
        pairs_of.append(np.flatnonzero(short) + n_pairs)
        centre.append(angles.centre + n_atoms)
        bond_a.append(bond_number[angles.bond_a] + n_bonds)
        bond_b.append(bond_number[angles.bond_b] + n_bonds)
        sign.append(angles.sign)
        reference = reference_eV[frame.numbers - 1].sum()
        energies.append((frame.energy_eV - reference) / len(frame))
        n_atoms, n_pairs, n_bonds = (
            n_atoms + len(frame),
            n_pairs + len(pairs),
            n_bonds + short.sum(),
        )
    bonds = Bonds(
        _indices(pairs_of), _indices(centre), _indices(bond_a), _indices(bond_b), _reals(sign)
    )
    return Batch(
        species=_indices(species),
        owner=_indices(owner),
        first=_indices(first),
        second=_indices(second),
        vectors=_reals(vectors),
        bonds=bonds,
        volumes=_reals([[abs(np.linalg.det(frame.cell_A)) for frame in frames]]),
        counts=_reals([[len(frame) for frame in frames]]),
        energies=_reals([energies]),
        forces=_reals([frame.forces_eV_per_A for frame in frames]),
        stresses=_reals([frame.stress_eV_per_A3[None] for frame in frames]),
    )


def _indices(parts: Sequence[NDArray[np.int64]]) -> Tensor:
    return torch.as_tensor(np.concatenate(parts), dtype=torch.int64)


def _reals(parts: Sequence[object]) -> Tensor:
    return torch.as_tensor(
        np.concatenate([np.asarray(part) for part in parts]), dtype=torch.float32
    )


def groups_of(frames: Sequence[Frame], order: Sequence[int], max_atoms: int) -> list[list[int]]:
    """Divide frames, in an order, into batches of at most that many atoms, or of one frame."""
    groups: list[list[int]] = []
    n_atoms = max_atoms + 1
    for index in order:
        if n_atoms + len(frames[index]) > max_atoms:
            groups.append([])
            n_atoms = 0
        groups[-1].append(index)
        n_atoms += len(frames[index])
    return groups
