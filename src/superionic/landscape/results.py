"""What a landscape is once it is computed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.errors import LandscapeError
from superionic.landscape.grid import Grid
from superionic.landscape.symmetry import SiteOrbit, SpaceGroup
from superionic.structures.remark import Remark

_FLAT_eV = 1e-6


@dataclass(frozen=True)
class OrbitLandscape:
    """Landscape of one ion, standing for all ions of its orbit.

    Parameters
    ----------
    orbit : SiteOrbit
        The equivalent ions.
    energies_eV : ndarray, shape (n1, n2, n3)
        Energy relative to the minimum of this map; points too close to another ion hold the largest
        energy of the others.
    evaluated : ndarray of bool, shape (n1, n2, n3)
        False where a point is too close to another ion or, in adaptive mode, interpolated.
    minimum_eV : float
        Total energy of the minimum.
    """

    orbit: SiteOrbit
    energies_eV: NDArray[np.float64]
    evaluated: NDArray[np.bool_]
    minimum_eV: float


def refuse_flat(orbits: Sequence[OrbitLandscape]) -> None:
    """Refuse maps on which an ion has the same energy everywhere: every barrier would be 0.

    Raises
    ------
    LandscapeError
        When the grid holds one point that can be evaluated, equivalent ones not counted, or the
        potential does not see the ion move.
    """
    for one in orbits:
        if not float(one.energies_eV.max()) > _FLAT_eV:
            raise LandscapeError(
                f"The energy of ion {one.orbit.representative + 1} is the same at all"
                f" {int(one.evaluated.sum())} of {one.evaluated.size} grid points that can be"
                " evaluated: there is no landscape.",
                hint="Choose a finer grid (--step) or a wider cell (--min-width), and check that"
                " the potential sees the ion.",
            )


@dataclass(frozen=True)
class Landscape:
    """Frozen-framework landscapes of all mobile ions of a crystal.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        The crystal.
    mobile_species : str
        Element symbol of the mobile ions.
    grid : Grid
        The grid that all maps share.
    orbits : list of OrbitLandscape
        One map for each symmetry-irreducible ion.
    space_group : SpaceGroup
        Symmetry that was found, or P1.
    n_operations : int
        Operations that were used.
    n_evaluations : int
        Energies that were computed, checks included.
    wall_time_s : float
        Wall time in s.
    remarks : list of Remark
        What the user should know.
    """

    structure: Structure
    mobile_species: str
    grid: Grid
    orbits: list[OrbitLandscape]
    space_group: SpaceGroup
    n_operations: int
    n_evaluations: int
    wall_time_s: float
    remarks: list[Remark] = field(default_factory=list)

    @property
    def n_mobile(self) -> int:
        """Return the number of mobile ions in the cell."""
        return sum(len(orbit.orbit.members) for orbit in self.orbits)

    @property
    def mobile_sites(self) -> list[int]:
        """Return the site indices of all mobile ions, in the order of :meth:`maps`."""
        return [site for orbit in self.orbits for site in orbit.orbit.members]

    def maps(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield, for every mobile ion, its site index and its map.

        The maps of equivalent ions are made on the fly by symmetry: E_j(g r) = E_i(r) where the
        operation g maps ion i onto ion j.
        """
        for orbit in self.orbits:
            flat = orbit.energies_eV.ravel()
            for site, operation in zip(orbit.orbit.members, orbit.orbit.generators, strict=True):
                image = np.empty_like(flat)
                image[self.grid.permutation(operation)] = flat
                yield site, image.reshape(self.grid.shape)
