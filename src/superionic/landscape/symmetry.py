"""Space-group operations of a crystal in its own cell, and what they make equivalent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from numpy.typing import NDArray
from pymatgen.core import Structure


@dataclass(frozen=True)
class Operation:
    """A space-group operation ``r -> R r + t`` in fractional coordinates.

    Parameters
    ----------
    rotation : ndarray of int, shape (3, 3)
        R.
    translation : ndarray, shape (3,)
        t.
    """

    rotation: NDArray[np.int64]
    translation: NDArray[np.float64]

    def __call__(self, fractional: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the images of positions, shape (..., 3)."""
        return fractional @ self.rotation.T + self.translation


IDENTITY = Operation(np.eye(3, dtype=np.int64), np.zeros(3))


@dataclass(frozen=True)
class SpaceGroup:
    """The symmetry of a crystal.

    Parameters
    ----------
    number : int
        International number.
    symbol : str
        International short symbol.
    operations : list of Operation
        All operations of the cell as it is given, pure translations of a centred cell included.
    origin : tuple of float
        That of the standard setting, where translations are simple fractions.
    """

    number: int
    symbol: str
    operations: list[Operation]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


def space_group(structure: Structure, symprec_A: float) -> SpaceGroup:
    """Find the space group with spglib.

    A crystal in which spglib finds no symmetry at this tolerance is treated as P1.
    """
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=symprec_A)
    if dataset is None:
        return SpaceGroup(1, "P1", [IDENTITY])
    operations = [
        Operation(np.array(rotation, dtype=np.int64), np.array(translation))
        for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True)
    ]
    standard = np.linalg.solve(dataset.transformation_matrix, -np.array(dataset.origin_shift))
    standard -= np.floor(standard + 1e-9)
    origin = (float(standard[0]), float(standard[1]), float(standard[2]))
    return SpaceGroup(dataset.number, dataset.international, operations, origin)


@dataclass(frozen=True)
class SiteOrbit:
    """Mobile ions that symmetry makes equivalent.

    Parameters
    ----------
    representative : int
        Site index of the ion whose landscape is evaluated.
    stabiliser : list of Operation
        Operations that leave the representative where it is (modulo the lattice).
    members : list of int
        Site indices of all ions of the orbit, the representative first.
    generators : list of Operation
        For each member an operation that maps the representative onto it.
    """

    representative: int
    stabiliser: list[Operation]
    members: list[int]
    generators: list[Operation]


def site_orbits(
    lattice: NDArray[np.float64],
    fractional: NDArray[np.float64],
    sites: Sequence[int],
    operations: Sequence[Operation],
    tolerance_A: float,
) -> list[SiteOrbit]:
    """Reduce ions to orbits under a group of operations.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    fractional : ndarray, shape (n_sites, 3)
        Fractional coordinates of all sites of the crystal.
    sites : sequence of int
        Indices of the mobile ions, all of one species.
    operations : sequence of Operation
        A group.
    tolerance_A : float
        Distance in A within which an image is that ion.
    """
    left = list(sites)
    orbits = []
    while left:
        representative = left[0]
        members: dict[int, Operation] = {}
        stabiliser = []
        for operation in operations:
            delta = fractional[left] - operation(fractional[representative])
            delta -= np.rint(delta)
            distance = np.linalg.norm(delta @ lattice, axis=1)
            nearest = int(np.argmin(distance))
            if distance[nearest] > tolerance_A:
                continue
            site = left[nearest]
            members.setdefault(site, operation)
            if site == representative:
                stabiliser.append(operation)
        members[representative] = IDENTITY
        ordered = sorted(members, key=lambda site: (site != representative, site))
        orbits.append(
            SiteOrbit(representative, stabiliser, ordered, [members[site] for site in ordered])
        )
        left = [site for site in left if site not in members]
    return orbits
