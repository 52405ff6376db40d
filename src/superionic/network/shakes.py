"""Shakes: random displacements of a crystal's atoms, and the accelerations that answer.

A crystal at equilibrium is repeated to a supercell of a comparable size for all crystals, all of
its atoms are displaced at random, and the potential gives the forces. From each force the residual
force of the undisplaced crystal is subtracted: a crystal is never quite at its minimum, and what is
left there is an error of the relaxation, not an answer to the shake.

No acceleration is too large to be kept: two atoms that meet in a shake are part of what a crystal
is like. The network compresses magnitudes; only NaN and infinity are refused.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.dynamics.supercell import make_supercell
from superionic.errors import (
    CellTooLargeError,
    DiffusionError,
    NonFiniteEnergyError,
    SuperionicError,
)
from superionic.network.settings import ShakeSettings, settings_to_dict
from superionic.potentials.base import Potential, PotentialInfo
from superionic.potentials.batched import is_out_of_memory
from superionic.potentials.force_field import ForceField
from superionic.units import EV_PER_A_AMU_TO_A_PER_PS2

if TYPE_CHECKING:
    from pymatgen.core import Structure

FloatArray = NDArray[np.float64]

ATOMS_PER_CALL = 256
"""Most atoms in one call of the potential; a larger supercell is a call of its own."""

REFERENCE_MASS_U = 7.0
"""Mass of an atom that is displaced by the stated amplitude, in u, whatever the exponent."""


@dataclass(frozen=True)
class Shakes:
    """A shaken crystal.

    Parameters
    ----------
    cell_A : ndarray, shape (3, 3)
        Vectors of the supercell as rows, in A.
    positions_A : ndarray, shape (n_shakes, n_atoms, 3)
        Displaced positions in A.
    accelerations_A_per_ps2 : ndarray, shape (n_shakes, n_atoms, 3)
        Force over mass, the residual of the undisplaced crystal subtracted, in A/ps^2.
    amplitudes_A : ndarray, shape (n_shakes,)
        Root mean square length of the displacement of an atom in each shake, in A; of one of
        ``REFERENCE_MASS_U``, where it depends on the mass.
    mass_exponent : float
        Displacements are proportional to mass ** -mass_exponent.
    residual_force_eV_per_A : float
        Largest force on an atom of the undisplaced crystal, in eV/A.
    n_evaluations : int
        Force evaluations.
    seed : int
        Of the displacements.
    potential : PotentialInfo
        What gave the forces.
    """

    cell_A: FloatArray
    positions_A: FloatArray
    accelerations_A_per_ps2: FloatArray
    amplitudes_A: FloatArray
    mass_exponent: float
    residual_force_eV_per_A: float
    n_evaluations: int
    seed: int
    potential: PotentialInfo

    def __len__(self) -> int:
        return len(self.positions_A)

    def first(self, n_shakes: int) -> "Shakes":
        """Return the first of the shakes."""
        return Shakes(
            self.cell_A,
            self.positions_A[:n_shakes],
            self.accelerations_A_per_ps2[:n_shakes],
            self.amplitudes_A[:n_shakes],
            self.mass_exponent,
            self.residual_force_eV_per_A,
            self.n_evaluations,
            self.seed,
            self.potential,
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays, without loss: for ``numpy.savez`` or a store."""
        scalars = {
            "mass_exponent": self.mass_exponent,
            "residual_force_eV_per_A": self.residual_force_eV_per_A,
            "n_evaluations": self.n_evaluations,
            "seed": self.seed,
            "potential": asdict(self.potential),
        }
        return {
            "cell_A": self.cell_A,
            "positions_A": self.positions_A,
            "accelerations_A_per_ps2": self.accelerations_A_per_ps2,
            "amplitudes_A": self.amplitudes_A,
            "scalars": np.array(json.dumps(scalars)),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the shakes that :meth:`to_arrays` took apart."""
        scalars = json.loads(str(arrays["scalars"]))
        names = ("cell_A", "positions_A", "accelerations_A_per_ps2", "amplitudes_A")
        return cls(
            **{name: np.array(arrays[name], dtype=np.float64) for name in names},
            mass_exponent=float(scalars["mass_exponent"]),
            residual_force_eV_per_A=float(scalars["residual_force_eV_per_A"]),
            n_evaluations=int(scalars["n_evaluations"]),
            seed=int(scalars["seed"]),
            potential=PotentialInfo(**scalars["potential"]),
        )


def displacements(masses_u: FloatArray, shake: int, settings: ShakeSettings) -> FloatArray:
    """Return the displacements of one shake in A, shape (n_atoms, 3).

    They depend on the seed, the number of the shake and the atoms alone, not on how many shakes
    there are.

    Parameters
    ----------
    masses_u : ndarray, shape (n_atoms,)
        Masses in u; they count where ``mass_exponent`` is not 0.
    shake : int
        Its number, from 0.
    settings : ShakeSettings
        Amplitudes, exponent of the mass, distribution, seed.
    """
    rng = np.random.default_rng([settings.seed, shake])
    amplitude = settings.amplitudes_A[shake % len(settings.amplitudes_A)]
    rms = amplitude * (REFERENCE_MASS_U / masses_u[:, None]) ** settings.mass_exponent
    n_atoms = len(masses_u)
    normal = rng.normal(size=(n_atoms, 3))
    if settings.distribution == "gaussian":
        return normal * rms / np.sqrt(3.0)
    # Uniform in a ball of radius R: <r^2> = 3/5 R^2.
    radius = rms * np.sqrt(5.0 / 3.0) * rng.uniform(size=(n_atoms, 1)) ** (1.0 / 3.0)
    return radius * normal / np.linalg.norm(normal, axis=1, keepdims=True)


def atoms_of(structure: "Structure") -> Atoms:
    """Return an ASE crystal with nothing but elements, positions and cell."""
    symbols = [site.specie.symbol for site in structure]
    return Atoms(symbols, positions=structure.cart_coords, cell=structure.lattice.matrix, pbc=True)


def shake_crystal(
    atoms: Atoms, potential: Potential, settings: ShakeSettings | None = None
) -> Shakes:
    """Shake a crystal and evaluate the forces.

    Parameters
    ----------
    atoms : Atoms
        The crystal, its atoms at equilibrium under the potential or near it.
    potential : Potential
        Gives the forces, ``n_shakes + 1`` evaluations.
    settings : ShakeSettings, optional
        Amplitude, number, seed, size of the supercell.

    Returns
    -------
    Shakes
        Positions and accelerations.

    Raises
    ------
    CellTooLargeError
        When the supercell has more than ``max_atoms`` atoms, or one shake does not fit in memory.
    NonFiniteEnergyError
        When a force is NaN or infinite.
    UnknownElementError
        When the potential does not know an element.
    """
    settings = settings or ShakeSettings()
    try:
        supercell, _ = make_supercell(
            atoms, settings.min_image_distance_A, max_atoms=settings.max_atoms
        )
    except DiffusionError as error:
        raise CellTooLargeError(error.message, hint=error.hint) from None
    potential.check_crystal(supercell)
    rest, masses = supercell.get_positions(), supercell.get_masses()
    moved = [rest + displacements(masses, shake, settings) for shake in range(settings.n_shakes)]
    forces = _forces(supercell, [rest, *moved], potential)
    accelerations = (forces[1:] - forces[0]) / masses[:, None]
    repeats = -(-settings.n_shakes // len(settings.amplitudes_A))
    return Shakes(
        cell_A=supercell.cell.array.copy(),
        positions_A=np.array(moved),
        accelerations_A_per_ps2=accelerations * EV_PER_A_AMU_TO_A_PER_PS2,
        amplitudes_A=np.tile(settings.amplitudes_A, repeats)[: settings.n_shakes].astype(float),
        mass_exponent=settings.mass_exponent,
        residual_force_eV_per_A=float(np.linalg.norm(forces[0], axis=1).max()),
        n_evaluations=len(forces),
        seed=settings.seed,
        potential=potential.info,
    )


def shakes_key(atoms: Atoms, info: PotentialInfo, settings: ShakeSettings) -> str:
    """Return the hash of crystal, potential and settings: the same key means the same shakes."""
    content = {
        "cell": np.round(atoms.cell.array, 6).tolist(),
        "positions": np.round(atoms.get_positions(), 5).tolist(),
        "numbers": atoms.numbers.tolist(),
        "potential": info.weights_sha256,
        "settings": settings_to_dict(settings),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _forces(
    supercell: Atoms, positions_A: Sequence[FloatArray], potential: Potential
) -> FloatArray:
    """Return forces in eV/A of one supercell at several positions, (n, n_atoms, 3)."""
    make = potential.force_field
    fields: dict[int, ForceField] = {}
    per_call = max(1, ATOMS_PER_CALL // len(supercell))
    found: list[FloatArray] = []
    while len(found) < len(positions_A):
        batch = positions_A[len(found) : len(found) + per_call]
        try:
            if len(batch) not in fields:
                fields[len(batch)] = make([supercell] * len(batch))
            forces = fields[len(batch)].evaluate(batch)[1]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(batch) == 1:
                raise CellTooLargeError(
                    f"The forces of a supercell of {len(supercell)} atoms do not fit in memory.",
                    hint="Lower min_image_distance_A or max_atoms, or use a larger machine.",
                ) from error
            fields.clear()
            per_call = len(batch) // 2
            continue
        except NonFiniteEnergyError as error:
            raise _not_finite(error.message) from None
        found += list(forces)
        bad = [k for k, force in enumerate(found) if not np.isfinite(force).all()]
        if bad:
            which = "the undisplaced crystal" if bad[0] == 0 else f"shake {bad[0] - 1}"
            raise _not_finite(f"{potential.info.label} gave NaN or infinite forces for {which}.")
    return np.array(found)


def _not_finite(message: str) -> SuperionicError:
    return NonFiniteEnergyError(
        message,
        hint="Shake less (a smaller amplitude), check the crystal for unphysical distances, or use "
        "another potential.",
    )
