"""What a landscape is once it is computed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.errors import LandscapeError, Remark
from superionic.landscape.grid import Grid
from superionic.landscape.maps import IonMaps, MapSymmetry
from superionic.landscape.symmetry import SiteOrbit, SpaceGroup

_FLAT_eV = 1e-6


@dataclass(frozen=True)
class DrawnMaps:
    """Maps of one ion drawn from the posterior, where its energies are not known.

    Parameters
    ----------
    column : ndarray of int, shape (n1, n2, n3)
        For each grid point its column in ``energies_eV``; -1 where all draws have the energy of the
        landscape itself.
    energies_eV : ndarray, shape (n_draws, m)
        Energies in eV on the zero of the landscape.
    """

    column: NDArray[np.int32]
    energies_eV: NDArray[np.float32]


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
        False where a point is too close to another ion, or its energy is interpolated or learned.
    minimum_eV : float
        Total energy of the minimum.
    drawn : DrawnMaps or None
        How else the map may look, where it is learned.
    """

    orbit: SiteOrbit
    energies_eV: NDArray[np.float64]
    evaluated: NDArray[np.bool_]
    minimum_eV: float
    drawn: DrawnMaps | None = None

    def draw(self, number: int) -> NDArray[np.float64]:
        """Return one of the maps that were drawn, on the zero of the landscape."""
        if self.drawn is None:
            return self.energies_eV
        values = np.append(self.drawn.energies_eV[number].astype(float), 0.0)
        return np.where(self.drawn.column < 0, self.energies_eV, values[self.drawn.column])


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
    ending : str or None
        Why a learned landscape took no more energies: ``settled``, ``budget`` or ``exhausted``
        (every point is evaluated); None for others.
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
    ending: str | None = None

    @property
    def n_mobile(self) -> int:
        """Return the number of mobile ions in the cell, which a carrier is not counted among."""
        return len(self.structure.indices_from_symbol(self.mobile_species))

    @property
    def mobile_sites(self) -> list[int]:
        """Return the site indices of all ions that move, in the order of :meth:`maps`.

        An interstitial ion comes after all sites of the structure.
        """
        return [site for orbit in self.orbits for site in orbit.orbit.members]

    def maps(self) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Yield, for every mobile ion, its site index and its map."""
        yield from zip(self.mobile_sites, self.ion_maps(), strict=True)

    def ion_maps(self) -> IonMaps:
        """Return the maps of all mobile ions, in the order of :attr:`mobile_sites`."""
        return IonMaps(np.array([one.energies_eV for one in self.orbits]), self._symmetry)

    @property
    def n_draws(self) -> int:
        """Return how many maps were drawn from the posterior; 0 when every point is certain."""
        return max(
            (len(one.drawn.energies_eV) for one in self.orbits if one.drawn is not None), default=0
        )

    def drawn_maps(self, number: int) -> IonMaps:
        """Return the maps of all mobile ions in one draw from the posterior."""
        return IonMaps(np.array([one.draw(number) for one in self.orbits]), self._symmetry)

    @cached_property
    def _symmetry(self) -> MapSymmetry:
        return MapSymmetry.of_orbits(self.grid, [one.orbit for one in self.orbits])
