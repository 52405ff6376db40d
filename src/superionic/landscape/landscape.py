"""Frozen-framework landscape of a crystal: one ion moves, all others stay.

The protocol is that of Maevskiy et al., arXiv:2411.06804: for each mobile ion in turn, the total
energy on a regular grid over the cell while every other ion, the other mobile ones included, stays
at its equilibrium position.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import DisorderError, LandscapeError, NoMobileIonError
from superionic.landscape.adaptive import Sampler, refine_shared_map, sample_adaptively
from superionic.landscape.grid import Grid, plain_shape, symmetric_grid
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
from superionic.landscape.symmetry import (
    IDENTITY,
    Operation,
    SiteOrbit,
    SpaceGroup,
    site_orbits,
    space_group,
)
from superionic.potentials.base import FrozenFramework, Potential, require_finite
from superionic.structures.remark import Remark

ProgressCallback = Callable[[int, int], None]
"""Called with the number of energies evaluated so far and the number planned."""

CHUNK = 2048
"""Energies between two calls of the progress callback."""


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


def compute_landscape(
    structure: Structure,
    mobile_species: str,
    potential: Potential,
    settings: LandscapeSettings | None = None,
    *,
    progress: ProgressCallback | None = None,
) -> Landscape:
    """Compute the frozen-framework landscape of every mobile ion.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        An ordered crystal at equilibrium.
    mobile_species : str
        Element symbol of the mobile ions.
    potential : Potential
        Where energies come from.
    settings : LandscapeSettings, optional
        Grid, symmetry, exclusion radius.
    progress : callable, optional
        Called now and then with (done, planned) numbers of energies.

    Raises
    ------
    DisorderError
        When a site is partially occupied.
    NoMobileIonError
        When the crystal does not hold the mobile species.
    UnknownElementError
        When the potential does not know an element.
    NonFiniteEnergyError
        When an energy is NaN or infinite.
    LandscapeError
        When no grid point can be evaluated.
    """
    settings = settings or LandscapeSettings()
    if not structure.is_ordered:
        raise DisorderError(
            f"{structure.composition.reduced_formula} has partially occupied sites.",
            hint="Order the crystal first (superionic.structures.prepare).",
        )
    start = time.perf_counter()
    sites = [i for i, site in enumerate(structure) if site.specie.symbol == mobile_species]
    if not sites:
        raise NoMobileIonError(
            f"{structure.composition.reduced_formula} holds no {mobile_species}.",
            hint="Name the mobile ion (--mobile) or leave the material out.",
        )
    potential.check_elements(AseAtomsAdaptor.get_atoms(structure))
    run = _Run(structure, sites, potential, settings, progress)
    remarks: list[Remark] = []
    group = SpaceGroup(1, "P1", [IDENTITY], [(0.0, 0.0, 0.0)])
    lattice = np.array(structure.lattice.matrix)
    grid, operations = Grid(lattice, plain_shape(lattice, settings.grid_step_A)), [IDENTITY]
    if settings.symmetry:
        group = space_group(structure, settings.symprec_A)
        grid, operations = symmetric_grid(
            lattice,
            group.operations,
            group.origins,
            settings.grid_step_A,
            tolerance_A=settings.symprec_A,
            max_growth=settings.max_grid_growth,
        )
        difference_eV = run.symmetry_violation(grid, operations)
        if difference_eV > settings.symmetry_tolerance_eV:
            remarks.append(
                Remark(
                    "symmetry_broken",
                    f"Points equivalent in {group.symbol} differ by {difference_eV:.4f} eV; "
                    "all ions and points were evaluated without symmetry.",
                )
            )
            grid, operations = Grid(lattice, plain_shape(lattice, settings.grid_step_A)), [IDENTITY]
    orbits = run.orbits(grid, operations)
    return Landscape(
        structure=structure,
        mobile_species=mobile_species,
        grid=grid,
        orbits=run.evaluate(grid, orbits),
        space_group=group,
        n_operations=len(operations),
        n_evaluations=run.n_evaluations,
        wall_time_s=time.perf_counter() - start,
        remarks=remarks,
    )


class _Run:
    """Evaluation of one crystal: counts energies and reports progress."""

    def __init__(
        self,
        structure: Structure,
        sites: list[int],
        potential: Potential,
        settings: LandscapeSettings,
        progress: ProgressCallback | None,
    ) -> None:
        self.fractional = np.array(structure.frac_coords)
        self.lattice = np.array(structure.lattice.matrix)
        self.atoms = AseAtomsAdaptor.get_atoms(structure)
        self.sites = sites
        self.potential = potential
        self.settings = settings
        self.progress = progress
        self.n_evaluations = 0

    def framework(self, site: int) -> FrozenFramework:
        if self.settings.fast:
            return self.potential.frozen_framework(self.atoms, site)
        return Potential.frozen_framework(self.potential, self.atoms, site)

    def energies(self, framework: FrozenFramework, positions_A: NDArray) -> NDArray[np.float64]:
        energies_eV = framework.energies(positions_A)
        require_finite(energies_eV, self.potential)
        self.n_evaluations += len(positions_A)
        return energies_eV

    def orbits(self, grid: Grid, operations: list[Operation]) -> list[SiteOrbit]:
        return site_orbits(
            grid.lattice, self.fractional, self.sites, operations, 2 * self.settings.symprec_A
        )

    def crowding(self, grid: Grid) -> NDArray[np.int32]:
        return grid.crowding(self.fractional, self.settings.exclusion_radius_A)

    def allowed(self, grid: Grid, crowding: NDArray[np.int32], site: int) -> NDArray[np.bool_]:
        """Return a flat mask of the points that lie far enough from all other ions."""
        own = grid.near(self.fractional[[site]], self.settings.exclusion_radius_A)
        return (crowding == own).ravel()

    def symmetry_violation(self, grid: Grid, operations: list[Operation]) -> float:
        """Return the largest difference in eV between equivalent points of a random sample.

        Compared are the grid points that the maps will take as equal: the images under random
        operations of the ion's stabiliser, and those in the map of one other ion of its orbit.
        High on the repulsive wall the same displacement costs more, so differences are taken
        relative to the energy above the ion's own site where that exceeds 1 eV.
        """
        rng = np.random.default_rng(self.settings.seed)
        crowding = self.crowding(grid)
        largest = 0.0
        for orbit in self.orbits(grid, operations):
            points = np.flatnonzero(self.allowed(grid, crowding, orbit.representative))
            n_checks = min(self.settings.n_symmetry_checks, len(points))
            turns = [op for op in orbit.stabiliser if (op.rotation != IDENTITY.rotation).any()]
            if n_checks == 0 or not (turns or len(orbit.members) > 1):
                continue
            chosen = rng.choice(points, n_checks, replace=False)
            here = self.fractional[[orbit.representative]] @ grid.lattice
            first = self.framework(orbit.representative)
            reference = self.energies(first, np.vstack([here, grid.cartesian(chosen)]))
            site_eV, reference = reference[0], reference[1:]
            scale = np.maximum(1.0, np.abs(reference - site_eV))
            equivalent: list[tuple[FrozenFramework, NDArray[np.int64]]] = []
            if turns:
                picked = rng.integers(len(turns), size=n_checks)
                images = [grid.permutation(turns[k])[chosen[i]] for i, k in enumerate(picked)]
                equivalent.append((first, np.array(images)))
            if len(orbit.members) > 1:
                k = int(rng.integers(1, len(orbit.members)))
                other = self.framework(orbit.members[k])
                equivalent.append((other, grid.permutation(orbit.generators[k])[chosen]))
            for framework, image in equivalent:
                energies_eV = self.energies(framework, grid.cartesian(image))
                largest = max(largest, float(np.max(np.abs(energies_eV - reference) / scale)))
        return largest

    def evaluate(self, grid: Grid, orbits: list[SiteOrbit]) -> list[OrbitLandscape]:
        crowding = self.crowding(grid)
        # Counted beforehand and not kept: with many ions the indices would outweigh the maps.
        counts = [len(self.plan(grid, crowding, orbit)[0]) for orbit in orbits]
        if 0 in counts:
            raise LandscapeError(
                f"Every grid point is closer than {self.settings.exclusion_radius_A} A "
                "to another ion.",
                hint="Check the cell, or choose a smaller exclusion radius.",
            )
        if self.settings.adaptive is not None:
            return self.evaluate_adaptively(grid, crowding, orbits, self.settings.adaptive)
        planned = self.n_evaluations + sum(counts)
        return [self.evaluate_orbit(grid, crowding, orbit, planned) for orbit in orbits]

    def plan(
        self, grid: Grid, crowding: NDArray[np.int32], orbit: SiteOrbit
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return the points to be evaluated and what places them on the grid.

        Returns
        -------
        todo : ndarray, shape (m,)
            Flat indices of the irreducible points that are far enough from all other ions.
        inverse : ndarray, shape (n_points,)
            For each grid point, the position of its own among the irreducible points.
        allowed : ndarray of bool, shape (n_irreducible,)
            Which of the irreducible points are in ``todo``.
        """
        irreducible, inverse = _irreducible(grid, orbit.stabiliser)
        allowed = self.allowed(grid, crowding, orbit.representative)[irreducible]
        return irreducible[allowed], inverse, allowed

    def evaluate_orbit(
        self, grid: Grid, crowding: NDArray[np.int32], orbit: SiteOrbit, planned: int
    ) -> OrbitLandscape:
        todo, inverse, allowed = self.plan(grid, crowding, orbit)
        framework = self.framework(orbit.representative)
        evaluated = self.in_chunks(framework, grid, todo, planned)
        minimum_eV = float(evaluated.min())
        values = np.full(len(allowed), evaluated.max() - minimum_eV)
        values[allowed] = evaluated - minimum_eV
        return OrbitLandscape(
            orbit,
            values[inverse].reshape(grid.shape),
            allowed[inverse].reshape(grid.shape),
            minimum_eV,
        )

    def in_chunks(
        self, framework: FrozenFramework, grid: Grid, points: NDArray[np.int64], planned: int
    ) -> NDArray[np.float64]:
        """Return total energies at grid points, and tell of the progress."""
        energies_eV = np.empty(len(points))
        for first in range(0, len(points), CHUNK):
            part = slice(first, first + CHUNK)
            energies_eV[part] = self.energies(framework, grid.cartesian(points[part]))
            if self.progress is not None:
                self.progress(self.n_evaluations, max(planned, self.n_evaluations))
        return energies_eV

    def evaluate_adaptively(
        self,
        grid: Grid,
        crowding: NDArray[np.int32],
        orbits: list[SiteOrbit],
        settings: AdaptiveSettings,
    ) -> list[OrbitLandscape]:
        permutations = [[grid.permutation(op) for op in orbit.generators] for orbit in orbits]
        samplers = []
        for orbit in orbits:
            irreducible, inverse = _irreducible(grid, orbit.stabiliser)
            allowed = self.allowed(grid, crowding, orbit.representative)[irreducible]
            framework = self.framework(orbit.representative)
            # How many energies it will take is not known beforehand; a tenth is common.
            planned = self.n_evaluations + int(allowed.sum()) // 10
            evaluate = partial(self.in_chunks, framework, grid, planned=planned)
            samplers.append(Sampler(grid, irreducible, inverse, allowed, evaluate))
        for orbit, sampler, images in zip(orbits, samplers, permutations, strict=True):
            site = self.fractional[orbit.representative] - grid.origin
            nearest = np.mod(np.rint(site * grid.shape).astype(int), grid.shape)
            start = int(np.ravel_multi_index(nearest, grid.shape))
            sample_adaptively(sampler, start, images, settings)
        refine_shared_map(samplers, permutations)
        results = []
        for orbit, sampler in zip(orbits, samplers, strict=True):
            values = sampler.interpolate().copy()
            values[~sampler.allowed] = values[sampler.allowed].max()
            results.append(
                OrbitLandscape(
                    orbit,
                    values[sampler.inverse].reshape(grid.shape),
                    sampler.known[sampler.inverse].reshape(grid.shape),
                    sampler.minimum_eV,
                )
            )
        return results


def _irreducible(
    grid: Grid, stabiliser: list[Operation]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the irreducible points and, for each grid point, the position of its own in them."""
    smallest = np.arange(grid.n_points)
    if len(stabiliser) == 1:
        return smallest, smallest
    for operation in stabiliser:
        np.minimum(smallest, grid.permutation(operation), out=smallest)
    irreducible, inverse = np.unique(smallest, return_inverse=True)
    return irreducible, inverse
