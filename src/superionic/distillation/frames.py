"""Frames for a student: configurations that a search for conductors meets, labelled by a teacher.

Of each crystal: as it is, mobile ions put anywhere in their cell, shaken ions in strained cells,
and dynamics heated from 300 to 1500 K. Dynamics is driven by the explorer, which is fast; the
student of a first round is the explorer of the second. One file a crystal, written when all its
frames are labelled, so that whatever ends a run costs one crystal at most.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.units import fs, kB
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import TrainingError
from superionic.files import whole_file
from superionic.potentials.ase_calculator import AsePotential
from superionic.potentials.base import Potential

logger = logging.getLogger(__name__)

FORMAT: Final = 1


@dataclass(frozen=True)
class FrameSettings:
    """Which frames are made of a crystal.

    Parameters
    ----------
    n_displaced : int
        Frames with one mobile ion anywhere, at least ``displaced_distance_A`` from others.
    displaced_distance_A : float
        That distance.
    shakes_A : tuple of float
        Root mean square displacements of the shaken frames.
    strain : float
        Standard deviation of the components of their strains.
    temperatures_K : tuple of float
        Where heating starts and ends.
    n_steps, every : int
        Steps of dynamics, and how many lie between two frames.
    time_step_fs : float
        Its time step; half of it with hydrogen.
    min_atoms, max_atoms : int
        Smaller cells are repeated along their shortest vectors; larger ones are left out.
    max_force_eV_per_A, min_distance_A : float
        A frame with a larger force or a shorter distance has exploded, and is left out.
    n_substituted : int
        Further crystals that are made of each, with other elements of the same kinds
        (:data:`LIKE`), in cells of a volume that suits them: chemistry that the crystals lack.
    seed : int
        Of all that is random, beside the crystal itself.
    """

    n_displaced: int = 3
    displaced_distance_A: float = 1.4
    shakes_A: tuple[float, ...] = (0.05, 0.15, 0.25)
    strain: float = 0.02
    temperatures_K: tuple[float, float] = (300.0, 1500.0)
    n_steps: int = 700
    every: int = 100
    time_step_fs: float = 2.0
    min_atoms: int = 12
    max_atoms: int = 48
    max_force_eV_per_A: float = 60.0
    min_distance_A: float = 0.6
    n_substituted: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Crystal:
    """A crystal whose frames are made.

    Parameters
    ----------
    name : str
        Identifier.
    ion : str
        Element of its mobile ion.
    structure : pymatgen.core.Structure
        Ordered.
    source : str
        Where it came from.
    """

    name: str
    ion: str
    structure: Structure
    source: str = ""


LIKE: Final = (
    ("F", "Cl", "Br", "I"),
    ("O", "S", "Se", "Te"),
    ("Li", "Na", "K", "Ag", "Cu"),
    ("P", "As", "Sb", "V"),
    ("Si", "Ge", "Sn", "Ti"),
    ("B", "Al", "Ga", "In", "Sc", "Y", "La"),
    ("Mg", "Zn", "Ca", "Cd", "Sr", "Ba"),
    ("Zr", "Hf"),
    ("Nb", "Ta"),
    ("Fe", "Mn", "Co", "Ni"),
)
"""Elements that take each other's places."""

_SHARE_SUBSTITUTED: Final = 0.7

Configuration = tuple[str, float, Atoms]
"""Kind of frame, how far or hot, and the atoms."""


def make_frames(
    crystals: Iterable[Crystal],
    teacher: Potential,
    explorer: Potential,
    directory: Path,
    settings: FrameSettings,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[Path], dict[str, str]]:
    """Make the frames of crystals that are not there yet.

    Parameters
    ----------
    crystals : iterable of Crystal
        The crystals. One that fails is named and does not stop the others.
    teacher, explorer : Potential
        What labels, and what drives dynamics.
    directory : Path
        Of the files; made if it is not there.
    settings : FrameSettings
        Which frames.
    say : callable
        Hears a line about each crystal.

    Returns
    -------
    files : list of Path
        One for each crystal that has frames, made now or before.
    failed : dict of str to str
        What is wrong with the others, by name.

    Raises
    ------
    TrainingError
        When no crystal has a frame.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    failed: dict[str, str] = {}
    for given in crystals:
        for number in range(1 + settings.n_substituted):
            name = f"{given.name}~{number}" if number else given.name
            try:
                crystal = substituted(given, number, settings.seed) if number else given
                key = _key(crystal, teacher, explorer, settings)
                path = directory / f"{key}.npz"
                if not path.exists():
                    say(f"{name}: {_make(crystal, teacher, explorer, path, settings)}")
                files.append(path)
            except Exception as error:  # a teacher is anybody's code
                failed[name] = f"{type(error).__name__}: {error}"
                logger.warning("%s has no frames (%s).", name, error)
    if not files:
        raise TrainingError(
            f"None of {len(failed)} crystals has a frame; the first: "
            f"{next(iter(failed.values()), '')}",
            hint="Look at what the teacher says of one of them.",
        )
    return files, failed


def substituted(crystal: Crystal, number: int, seed: int) -> Crystal:
    """Return a crystal with other elements of the same kinds, in a cell of a volume that suits.

    The volume is predicted from the distances between neighbours (pymatgen's DLSVolumePredictor).

    Parameters
    ----------
    crystal : Crystal
        The crystal, which is not changed.
    number, seed : int
        Which of its substitutes.
    """
    from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor

    rng = _random(f"{seed}:{crystal.name}:{number}")
    change: dict[str, str] = {}
    for symbol in sorted({site.specie.symbol for site in crystal.structure}):
        like = next((group for group in LIKE if symbol in group), (symbol,))
        if rng.random() < _SHARE_SUBSTITUTED:
            change[symbol] = str(rng.choice(like))
    structure = crystal.structure.copy()
    structure.remove_oxidation_states()
    structure.replace_species(change)
    return Crystal(
        f"{crystal.name}~{number}",
        change.get(crystal.ion, crystal.ion),
        DLSVolumePredictor().get_predicted_structure(structure),
        crystal.source,
    )


def configurations(
    crystal: Crystal, explorer: Potential, settings: FrameSettings
) -> Iterator[Configuration]:
    """Yield the configurations of a crystal.

    Raises
    ------
    TrainingError
        When the crystal is too large.
    """
    atoms = _supercell(crystal, settings)
    rng = _random(f"{settings.seed}:{crystal.name}:{atoms.symbols}")
    yield "given", 0.0, atoms.copy()
    yield from _displaced(atoms, crystal.ion, rng, settings)
    yield from _shaken(atoms, rng, settings)
    yield from _heated(atoms, explorer, rng, settings)


def label(
    teacher: Potential, atoms: Atoms
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return energy (eV), forces (eV/A) and stress (eV/A^3, Voigt; NaN where there is none)."""
    unknown = np.full(6, np.nan)
    if not isinstance(teacher, AsePotential):
        energies, forces = teacher.energies_and_forces([atoms])
        return float(energies[0]), forces[0], unknown
    with teacher.attached(atoms) as copy:
        energy, force = float(copy.get_potential_energy()), np.array(copy.get_forces())
        has_stress = "stress" in copy.calc.implemented_properties
        stress = np.array(copy.get_stress()) if has_stress else unknown
    return energy, force, stress


def _make(
    crystal: Crystal, teacher: Potential, explorer: Potential, path: Path, settings: FrameSettings
) -> str:
    """Write the frames of a crystal, and say how many there are and what was left out."""
    rows: list[tuple[Any, ...]] = []
    left_out: Counter[str] = Counter()
    numbers = None
    for kind, parameter, atoms in configurations(crystal, explorer, settings):
        numbers = atoms.numbers
        if not np.isfinite(atoms.positions).all() or _closest(atoms) < settings.min_distance_A:
            left_out["atoms too close"] += 1
            continue
        try:
            energy, forces, stress = label(teacher, atoms)
        except Exception as error:  # a teacher is anybody's code
            left_out[f"teacher failed ({type(error).__name__})"] += 1
            logger.warning("%s, %s: the teacher failed (%s).", crystal.name, kind, error)
            continue
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            left_out["not finite"] += 1
        elif np.abs(forces).max() > settings.max_force_eV_per_A:
            left_out["force too large"] += 1
        else:
            rows.append(
                (kind, parameter, atoms.cell.array, atoms.positions, energy, forces, stress)
            )
    if not rows:
        reasons = ", ".join(f"{n} {reason}" for reason, n in left_out.items())
        raise TrainingError(f"No frame is left ({reasons}).")
    columns = list(zip(*rows, strict=True))
    with whole_file(path) as fresh:
        np.savez(
            fresh,
            name=crystal.name,
            source=crystal.source,
            ion=crystal.ion,
            teacher=json.dumps(
                {
                    "format": FORMAT,
                    "teacher": asdict(teacher.info),
                    "explorer": asdict(explorer.info),
                    "settings": asdict(settings),
                    "left_out": left_out,
                }
            ),
            numbers=np.asarray(numbers),
            kind=np.array(columns[0]),
            par=np.array(columns[1]),
            cell=np.array(columns[2], dtype=np.float32),
            pos=np.array(columns[3], dtype=np.float32),
            energy=np.array(columns[4]),
            forces=np.array(columns[5], dtype=np.float32),
            stress=np.array(columns[6], dtype=np.float32),
        )
    out = "".join(f", {n} left out: {reason}" for reason, n in left_out.items())
    return f"{len(rows)} frames of {len(numbers) if numbers is not None else 0} atoms{out}"


def _key(crystal: Crystal, teacher: Potential, explorer: Potential, settings: FrameSettings) -> str:
    content = {
        "format": FORMAT,
        "name": crystal.name,
        "ion": crystal.ion,
        "numbers": [int(z) for z in crystal.structure.atomic_numbers],
        "lattice": np.round(crystal.structure.lattice.matrix, 6).tolist(),
        "positions": np.round(crystal.structure.cart_coords, 6).tolist(),
        "teacher": [teacher.info.label, teacher.info.weights_sha256],
        "explorer": [explorer.info.label, explorer.info.weights_sha256],
        # Which substitutes there are says nothing of the frames of one crystal.
        "settings": {k: v for k, v in asdict(settings).items() if k != "n_substituted"},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def _random(text: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()[:8]))


def _supercell(crystal: Crystal, settings: FrameSettings) -> Atoms:
    structure = crystal.structure.copy()
    if len(structure) > settings.max_atoms:
        raise TrainingError(
            f"It has {len(structure)} atoms, more than {settings.max_atoms}.",
            hint="Raise max_atoms.",
            material_id=crystal.name,
        )
    while len(structure) < settings.min_atoms:
        shortest = int(np.argmin(structure.lattice.abc))
        structure.make_supercell([2 if k == shortest else 1 for k in range(3)])
    atoms: Atoms = AseAtomsAdaptor.get_atoms(structure)
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)


def _displaced(
    atoms: Atoms, ion: str, rng: np.random.Generator, settings: FrameSettings
) -> Iterator[Configuration]:
    ions = [k for k, symbol in enumerate(atoms.get_chemical_symbols()) if symbol == ion]
    for _ in range(settings.n_displaced if ions and len(atoms) > 1 else 0):
        for _attempt in range(30):
            moved, chosen = atoms.copy(), int(rng.choice(ions))
            moved.positions[chosen] = rng.random(3) @ moved.cell.array
            others = [k for k in range(len(moved)) if k != chosen]
            distance = float(moved.get_distances(chosen, others, mic=True).min())
            if distance > settings.displaced_distance_A:
                moved.positions += rng.normal(scale=0.03, size=moved.positions.shape)
                yield "displaced", distance, moved
                break


def _shaken(
    atoms: Atoms, rng: np.random.Generator, settings: FrameSettings
) -> Iterator[Configuration]:
    for amplitude in settings.shakes_A:
        moved = atoms.copy()
        strain = rng.normal(scale=settings.strain, size=(3, 3))
        cell = moved.cell.array @ (np.eye(3) + 0.5 * (strain + strain.T))
        moved.set_cell(cell, scale_atoms=True)
        moved.positions += rng.normal(scale=amplitude / np.sqrt(3), size=moved.positions.shape)
        yield "shaken", amplitude, moved


def _heated(
    atoms: Atoms, explorer: Potential, rng: np.random.Generator, settings: FrameSettings
) -> Iterator[Configuration]:
    """Yield frames of Langevin dynamics (BAOAB) under a rising temperature."""
    field = explorer.force_field([atoms])
    masses = atoms.get_masses()[:, None]
    positions = atoms.positions.copy()
    step = settings.time_step_fs * fs * (0.5 if (atoms.numbers == 1).any() else 1.0)
    kept = np.exp(-step / (100 * fs))
    low_K, high_K = settings.temperatures_K
    velocities = rng.normal(size=positions.shape) * np.sqrt(kB * low_K / masses)
    forces = field.evaluate([positions])[1][0]
    for number in range(1, settings.n_steps + 1):
        temperature_K = low_K + (high_K - low_K) * number / settings.n_steps
        velocities += 0.5 * step * forces / masses
        positions = positions + 0.5 * step * velocities
        noise = np.sqrt((1 - kept**2) * kB * temperature_K / masses)
        velocities = kept * velocities + noise * rng.normal(size=positions.shape)
        positions = positions + 0.5 * step * velocities
        if not np.isfinite(positions).all():
            return
        forces = field.evaluate([positions])[1][0]
        velocities += 0.5 * step * forces / masses
        if number % settings.every == 0:
            moved = atoms.copy()
            moved.positions = positions
            yield "md", temperature_K, moved


def _closest(atoms: Atoms) -> float:
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    return float(distances.min())
