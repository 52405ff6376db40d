"""A landscape made ready to be drawn: crystal, shared map, percolation path, volumes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from superionic.landscape.grid import Grid
from superionic.landscape.landscape import Landscape
from superionic.landscape.levels import minimum_percolation_energy
from superionic.landscape.percolation import percolation_path, shared_barriers
from superionic.report.figures.crystal import Crystal
from superionic.report.figures.style import About
from superionic.report.figures.volume import VolumeCurve, curve_of_maps
from superionic.schemas.screen import LandscapeDocument

FloatArray = NDArray[np.float64]

DIFFERENT_eV = 0.05
"""From here on the barriers of surfaces and path are said to differ."""


@dataclass(frozen=True)
class PathProfile:
    """The percolation path of the ion that percolates most easily.

    Parameters
    ----------
    about : About
        Of which material.
    site : int
        Site index of the ion.
    fractional : ndarray, shape (m, 3)
        Points in fractional coordinates of the cell, unwrapped.
    distances_A : ndarray, shape (m,)
        Length of the path up to each point.
    energies_eV : ndarray, shape (m,)
        Energies above the ion's minimum.
    highest_eV : float
        Largest of them: the published percolation barrier.
    """

    about: About
    site: int
    fractional: FloatArray
    distances_A: FloatArray
    energies_eV: FloatArray
    highest_eV: float


@dataclass(frozen=True)
class LandscapeScene:
    """What figures of a landscape are drawn from.

    Parameters
    ----------
    about : About
        Of which material.
    structure : pymatgen.core.Structure
        The crystal.
    shared_eV : ndarray, shape (n1, n2, n3)
        Smallest energy of any mobile ion at each point, each above the ion's own minimum.
    grid : Grid
        Where the points lie.
    path : PathProfile or None
        None where no ion leaves its cell over the energies that were evaluated.
    barriers_eV : tuple of float
        Percolation barriers of the shared map in one, two and three dimensions; ``inf`` for none.
    volume : VolumeCurve
        Volume below an energy.
    """

    about: About
    structure: Structure
    shared_eV: FloatArray
    grid: Grid
    path: PathProfile | None
    barriers_eV: tuple[float, float, float]
    volume: VolumeCurve

    @property
    def lattice(self) -> FloatArray:
        """Lattice vectors as rows, in A."""
        return self.grid.lattice

    @cached_property
    def crystal(self) -> Crystal:
        """The crystal with the bonds of its framework."""
        return Crystal.of(self.structure, self.about.mobile_species)

    @property
    def remark(self) -> str:
        """What the surfaces and the path are of, and why their barriers may differ."""
        one_d = self.barriers_eV[0]
        surfaces = (
            f"Surfaces: where any {self.about.mobile_species} ion has less energy than the level; "
            + (
                f"they percolate from {one_d:.2f} eV on."
                if np.isfinite(one_d)
                else "none percolates."
            )
        )
        if self.path is None:
            return f"{surfaces} No ion leaves its cell over the energies that were evaluated."
        path = (
            f" Path: of one ion, all others held at their sites; its barrier, as published, is "
            f"{self.path.highest_eV:.2f} eV."
        )
        if self.path.highest_eV - one_d > DIFFERENT_eV:
            path += " It is the higher one, as the ion must pass sites that its neighbours hold."
        return surfaces + path


def scene_of(document: LandscapeDocument) -> LandscapeScene:
    """Return what the figures of a landscape need.

    Parameters
    ----------
    document : LandscapeDocument
        With its arrays.
    """
    return scene_of_landscape(document.landscape(), About.of(document))


def scene_of_landscape(landscape: Landscape, about: About) -> LandscapeScene:
    """Return what the figures of a landscape need, of one that was just computed.

    Parameters
    ----------
    landscape : Landscape
        The landscapes of all mobile ions.
    about : About
        Of which material it is.
    """
    shared: FloatArray | None = None
    for _, energies in landscape.maps():
        shared = energies if shared is None else np.minimum(shared, energies)
    assert shared is not None, "a landscape has a mobile ion"
    volume = curve_of_maps(
        about,
        shared,
        (energies for _, energies in landscape.maps()),
        float(abs(np.linalg.det(landscape.grid.lattice))),
    )
    return LandscapeScene(
        about=about,
        structure=landscape.structure,
        shared_eV=shared,
        grid=landscape.grid,
        path=_best_path(about, landscape),
        barriers_eV=shared_barriers(landscape.ion_maps(), landscape.grid.lattice),
        volume=volume,
    )


def _best_path(about: About, landscape: Landscape) -> PathProfile | None:
    """Return the path of the first ion of the orbit whose barrier is lowest."""
    lattice = landscape.grid.lattice
    barriers = [
        minimum_percolation_energy(one.energies_eV, lattice) - float(one.energies_eV.min())
        for one in landscape.orbits
    ]
    best = landscape.orbits[int(np.argmin(barriers))]
    if not np.isfinite(min(barriers)):
        return None
    path = percolation_path(best.energies_eV - best.energies_eV.min(), lattice)
    return PathProfile(
        about=about,
        site=best.orbit.representative,
        fractional=path.fractional + np.array(landscape.grid.origin),
        distances_A=path.distances_A,
        energies_eV=path.energies_eV,
        highest_eV=path.highest_eV,
    )
