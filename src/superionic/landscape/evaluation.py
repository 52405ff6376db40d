"""How the energies of a landscape are obtained: which grid, which points, how often."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from ase import Atom
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import DisorderError, LandscapeError, PotentialError, Remark, SettingsError
from superionic.landscape.carriers import (
    ABOUT,
    NearestVacancy,
    VacancyFramework,
    VacancySurroundings,
    widest_void,
)
from superionic.landscape.grid import Grid, carries, plain_shape, symmetric_grid
from superionic.landscape.learned import LandscapeSampler, LearnedMaps, learn_maps
from superionic.landscape.points import IrreduciblePoints, OrbitPlan
from superionic.landscape.quotient import quotient
from superionic.landscape.results import Landscape, OrbitLandscape
from superionic.landscape.settings import LandscapeSettings, LearnedSettings, refuse_former_modes
from superionic.landscape.surroundings import Seen, Surroundings, SurroundingsSettings
from superionic.landscape.symmetry import (
    IDENTITY,
    Operation,
    SiteOrbit,
    SpaceGroup,
    site_orbits,
    space_group,
)
from superionic.potentials.base import FrozenFramework, Potential, require_finite
from superionic.structures.checks import check_ions

ProgressCallback = Callable[[int, int], None]
"""Called with the number of energies evaluated so far and the number planned."""

KEPT_FRAMEWORKS = 24
"""Of ions, and of their vacancies: of 200 atoms CHGNet's compiled path keeps 60 MB for each."""
CHUNK = 2048
"""Energies between two calls of the progress callback."""
TYPICAL_ENERGIES = 100
"""What learned mode takes of one crystal, about (median 83 of 64 crystals of 4 to 60 atoms)."""

SYMMETRY_BROKEN = "symmetry_broken"
"""Code of the remark that the symmetry of the crystal is not the potential's."""

N_LEARNED_CHECKS = 1
"""Random points at which the symmetry is checked where a landscape takes a hundred energies."""


@dataclass(frozen=True)
class Sampling:
    """The grid of a landscape and the symmetry that is used on it.

    Parameters
    ----------
    grid : Grid
        The grid that all maps share.
    orbits : list of SiteOrbit
        Mobile ions by symmetry.
    space_group : SpaceGroup
        Symmetry that was found, or P1.
    n_operations : int
        Operations that are used.
    remarks : list of Remark
        What the user should know.
    """

    grid: Grid
    orbits: list[SiteOrbit]
    space_group: SpaceGroup
    n_operations: int
    remarks: list[Remark] = field(default_factory=list)


class Evaluation:
    """Evaluation of one crystal: counts energies and reports progress.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        An ordered crystal at equilibrium.
    mobile_species : str
        Element symbol of the mobile ions.
    potential : Potential
        Where energies come from.
    settings : LandscapeSettings
        Grid, symmetry, exclusion radius.
    progress : callable, optional
        Called now and then with (done, planned) numbers of energies.
    prior : Landscape, optional
        Another potential's landscape, from which a learned one starts.

    Raises
    ------
    DisorderError
        When sites are partially occupied.
    NoMobileIonError
        When the crystal does not hold the mobile species.
    NoFrameworkError
        When it holds nothing else.
    UnknownElementError
        When the potential does not know an element.
    """

    def __init__(
        self,
        structure: Structure,
        mobile_species: str,
        potential: Potential,
        settings: LandscapeSettings,
        progress: ProgressCallback | None = None,
        prior: Landscape | None = None,
    ) -> None:
        if not structure.is_ordered:
            raise DisorderError(
                f"{structure.composition.reduced_formula} has partially occupied sites.",
                hint="Order the crystal first (superionic.structures.prepare).",
            )
        refuse_former_modes(settings)
        if prior is not None and settings.learned is None:
            raise SettingsError(
                "Only a learned landscape starts from another potential's.",
                hint="Choose the learned mode.",
            )
        self.sites = list(check_ions(structure, mobile_species))
        self.structure = structure
        self.atoms = AseAtomsAdaptor.get_atoms(structure)
        self.fractional = np.array(structure.frac_coords)
        if settings.carrier == "interstitial":
            place = widest_void(np.array(structure.lattice.matrix), self.fractional)
            self.atoms.append(Atom(mobile_species, place @ structure.lattice.matrix))
            self.fractional = np.vstack([self.fractional, place])
        if settings.carrier == "vacancy" and len(self.sites) == 1:
            raise LandscapeError(
                f"The cell holds one {mobile_species}: no other one can be missing beside it.",
                hint="Choose a wider cell (--min-width).",
            )
        potential.check_crystal(self.atoms)
        self.potential = potential
        self.settings = settings
        self.progress = progress
        self.prior = prior
        self._frameworks = lru_cache(KEPT_FRAMEWORKS)(self._framework)
        self.n_evaluations = 0
        self.n_failed = 0
        self.first_failure = ""
        self.ending: str | None = None
        self.uses_prior = False

    def sampling(self) -> Sampling:
        """Choose the grid, and check on a random sample that the symmetry is the potential's, too.

        When it is not, the plain grid without symmetry is chosen and a remark says so.
        """
        lattice = np.array(self.structure.lattice.matrix)
        plain = Grid(lattice, plain_shape(lattice, self.settings.grid_step_A))
        if self.prior is not None:  # without symmetry, any grid will do: that of the prior
            plain = self.prior.grid
            if not np.allclose(plain.lattice, lattice):
                raise LandscapeError(
                    "The other potential's landscape has another grid than this one.",
                    hint="Compute both of one crystal, in one cell.",
                )
        if not self.settings.symmetry:
            group = SpaceGroup(1, "P1", [IDENTITY])
            return Sampling(plain, self.orbits(plain, [IDENTITY]), group, 1, self._about())
        group = space_group(self.structure, self.settings.symprec_A)
        if self.prior is None:
            grid, operations = symmetric_grid(
                lattice,
                group.operations,
                group.origin,
                self._kinds_of_sites(),
                self.settings.grid_step_A,
                tolerance_A=self.settings.symprec_A,
                max_growth=self.settings.max_grid_growth,
            )
        else:  # of whatever version it is
            grid, tolerance_A = plain, self.settings.symprec_A
            operations = [
                one
                for one in group.operations
                if carries(one, lattice, grid.shape, grid.origin, tolerance_A)
            ]
        orbits = self.orbits(grid, operations)
        difference_eV = self.symmetry_violation(grid, orbits)
        tolerance_eV = self.settings.symmetry_tolerance_eV
        if self.settings.learned is not None:  # a noisy potential may be learned all the same
            tolerance_eV = max(tolerance_eV, self.settings.learned.barrier_tolerance_eV / 2)
        if difference_eV <= tolerance_eV:
            return Sampling(grid, orbits, group, len(operations), self._about())
        remark = Remark(
            SYMMETRY_BROKEN,
            f"Points equivalent in {group.symbol} differ by {difference_eV:.4f} eV; "
            "all ions and points were evaluated without symmetry.",
        )
        return Sampling(plain, self.orbits(plain, [IDENTITY]), group, 1, [remark, *self._about()])

    def _about(self) -> list[Remark]:
        carrier = self.settings.carrier
        return [] if carrier is None else [Remark("carrier", ABOUT[carrier])]

    def _kinds_of_sites(self) -> list[NDArray[np.float64]]:
        """Return the fractional coordinates of the mobile ions, then of each other element."""
        numbers = np.array(self.structure.atomic_numbers)
        numbers[self.sites] = 0
        fractional = self.fractional[: len(numbers)]
        return [fractional[numbers == kind] for kind in np.unique(numbers)]

    def orbits(self, grid: Grid, operations: list[Operation]) -> list[SiteOrbit]:
        """Return the ions that move by symmetry; an interstitial one is the same everywhere."""
        if self.settings.carrier == "interstitial":
            added = len(self.structure)
            return [SiteOrbit(added, operations, [added], [IDENTITY])]
        return site_orbits(
            grid.lattice, self.fractional, self.sites, operations, 2 * self.settings.symprec_A
        )

    def framework(self, site: int) -> FrozenFramework:
        """Return the energy as a function of the position of one ion."""
        if self.settings.carrier != "vacancy":
            return self._frameworks(site, None)
        return VacancyFramework(
            self._nearest_vacancy(site), lambda missing: self._frameworks(site, missing)
        )

    def _framework(self, site: int, missing: int | None) -> FrozenFramework:
        atoms = self.atoms
        if missing is not None:
            atoms, site = atoms[np.arange(len(atoms)) != missing], site - (missing < site)
        if self.settings.fast:
            return self.potential.frozen_framework(atoms, site)
        return Potential.frozen_framework(self.potential, atoms, site)

    def _nearest_vacancy(self, site: int) -> NearestVacancy:
        lattice = np.array(self.structure.lattice.matrix)
        return NearestVacancy(lattice, self.fractional, self.sites, site)

    def energies(self, framework: FrozenFramework, positions_A: NDArray) -> NDArray[np.float64]:
        """Return total energies in eV, counted and checked."""
        energies_eV = framework.energies(positions_A)
        require_finite(energies_eV, self.potential)
        self.n_evaluations += len(positions_A)
        return energies_eV

    def attempts(self, framework: FrozenFramework, positions_A: NDArray) -> NDArray[np.float64]:
        """Return total energies in eV, counted; NaN where the potential fails.

        A batch that raises is halved until the positions that do so stand alone.
        """
        try:
            energies_eV = framework.energies(positions_A)
        except Exception as error:
            if len(positions_A) > 1:
                half = len(positions_A) // 2
                return np.concatenate(
                    [
                        self.attempts(framework, positions_A[:half]),
                        self.attempts(framework, positions_A[half:]),
                    ]
                )
            energies_eV = np.full(1, np.nan)
            self.first_failure = self.first_failure or f"{type(error).__name__}: {error}"
        self.n_evaluations += len(positions_A)
        bad = ~np.isfinite(energies_eV)
        self.n_failed += int(bad.sum())
        return np.where(bad, np.nan, energies_eV)

    def count_ions(self, grid: Grid) -> NDArray[np.int32]:
        """Return for each grid point how many ions are too close to it."""
        return grid.count_ions_within(self.fractional, self.settings.exclusion_radius_A)

    def allowed(self, grid: Grid, n_ions: NDArray[np.int32], site: int) -> NDArray[np.bool_]:
        """Return a flat mask of the points that lie far enough from all other ions."""
        radius_A = self.settings.exclusion_radius_A
        n_missing = grid.near(self.fractional[[site]], radius_A).astype(n_ions.dtype)
        if self.settings.carrier == "vacancy":
            others = [other for other in self.sites if other != site]
            n_missing += grid.near(self.fractional[others], radius_A)
        return (n_ions == n_missing).ravel()

    def symmetry_violation(self, grid: Grid, orbits: list[SiteOrbit]) -> float:
        """Return the largest difference in eV between equivalent points of a random sample.

        Compared are the grid points that the maps will take as equal: the images under random
        operations of the ion's stabiliser, and those in the map of one other ion of its orbit.
        High on the repulsive wall the same displacement costs more, so differences are taken
        relative to the energy above the ion's own site where that exceeds 1 eV. A learned
        landscape does without points where the potential fails, here, too.
        """
        evaluate = self.energies if self.settings.learned is None else self.attempts
        rng = np.random.default_rng(self.settings.seed)
        n_ions = self.count_ions(grid)
        largest = 0.0
        for orbit in orbits:
            points = np.flatnonzero(self.allowed(grid, n_ions, orbit.representative))
            n_checks = min(self.settings.n_symmetry_checks, len(points))
            if self.settings.learned is not None:
                n_checks = min(n_checks, N_LEARNED_CHECKS)
            turns = [op for op in orbit.stabiliser if (op.rotation != IDENTITY.rotation).any()]
            if n_checks == 0 or not (turns or len(orbit.members) > 1):
                continue
            chosen = rng.choice(points, n_checks, replace=False)
            here = self.fractional[[orbit.representative]] @ grid.lattice
            first = self.framework(orbit.representative)
            reference = evaluate(first, np.vstack([here, grid.cartesian(chosen)]))
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
                energies_eV = evaluate(framework, grid.cartesian(image))
                differences = np.abs(energies_eV - reference) / scale
                known = differences[np.isfinite(differences)]
                largest = max(largest, float(np.max(known, initial=0.0)))
        return largest

    def evaluate(self, sampling: Sampling) -> list[OrbitLandscape]:
        """Return the maps of all orbits.

        Raises
        ------
        LandscapeError
            When every grid point of an ion is too close to another ion.
        NonFiniteEnergyError
            When an energy is NaN or infinite.
        """
        if self.settings.learned is not None:
            return self._learn(sampling, self.settings.learned)
        planned = self.n_evaluations + self.count(sampling)
        return [
            plan.place(sampling.grid, self.at_points(sampling.grid, plan, plan.points, planned))
            for plan in self.plans(sampling)
        ]

    def plans(self, sampling: Sampling) -> Iterator[OrbitPlan]:
        """Yield, for each orbit, which points are evaluated.

        Raises
        ------
        LandscapeError
            When there is none.
        """
        n_ions = self.count_ions(sampling.grid)
        for orbit in sampling.orbits:
            operations = [sampling.grid.operation(one) for one in orbit.stabiliser]
            classes = quotient(sampling.grid.shape, operations)
            allowed = self.allowed(sampling.grid, n_ions, orbit.representative)[classes.points]
            if not allowed.any():
                raise LandscapeError(
                    f"Every grid point is closer than {self.settings.exclusion_radius_A} A "
                    "to another ion.",
                    hint="Check the cell, or choose a smaller exclusion radius.",
                )
            yield OrbitPlan(orbit, classes.points, classes.classes, allowed)

    def count(self, sampling: Sampling) -> int:
        """Return the number of energies of all orbits.

        Plans are made twice and not kept: with many ions their indices would outweigh the maps.
        """
        return sum(int(plan.allowed.sum()) for plan in self.plans(sampling))

    def at_points(
        self, grid: Grid, plan: OrbitPlan, points: NDArray[np.int64], planned: int
    ) -> NDArray[np.float64]:
        """Return total energies in eV at grid points of one orbit, and tell of the progress."""
        if not len(points):
            return np.empty(0)
        framework = self.framework(plan.orbit.representative)
        energies_eV = np.empty(len(points))
        for first in range(0, len(points), CHUNK):
            part = slice(first, first + CHUNK)
            energies_eV[part] = self.energies(framework, grid.cartesian(points[part]))
            if self.progress is not None:
                self.progress(self.n_evaluations, max(planned, self.n_evaluations))
        self._frameworks.cache_clear()  # the ion is done with
        return energies_eV

    def _learn(self, sampling: Sampling, settings: LearnedSettings) -> list[OrbitLandscape]:
        sampler = self.sampler(sampling, settings)

        def evaluate(wanted: NDArray[np.int64]) -> NDArray[np.float64]:
            totals_eV = np.empty(len(wanted))
            ions, positions_A = moved_ions(sampler.points, wanted)
            for ion in np.unique(ions).tolist():
                own = ions == ion
                totals_eV[own] = self.attempts(self.framework(ion), positions_A[own])
            if self.progress is not None:
                n = self.n_evaluations
                # Nobody knows when it will settle; the budget is far more than most crystals take.
                expected = min(max(TYPICAL_ENERGIES, n + n // 4), settings.max_energies)
                self.progress(n, max(expected, n))
            self.require_some(sampler, totals_eV)
            return totals_eV

        maps = learn_maps(sampler, evaluate)
        self._frameworks.cache_clear()
        return self.learned(sampling, maps)

    def sampler(self, sampling: Sampling, settings: LearnedSettings) -> LandscapeSampler:
        """Return what asks for the energies of a learned landscape."""
        points = IrreduciblePoints(sampling.grid, list(self.plans(sampling)))
        representatives = [orbit.representative for orbit in sampling.orbits]
        # What the check of the symmetry took counts.
        left = max(1, settings.max_energies - self.n_evaluations)
        return LandscapeSampler(
            points,
            [self._surroundings(one) for one in representatives],
            self.fractional[representatives],
            replace(settings, max_energies=left),
            self.settings.seed,
            self._prior_energies(points),
        )

    def require_some(self, sampler: LandscapeSampler, totals_eV: NDArray[np.float64]) -> None:
        """Refuse to go on when none of the first energies is there.

        Raises
        ------
        PotentialError
            With the reason of the first failure.
        """
        if np.isnan(totals_eV).all() and not sampler.posterior.n_known:
            raise PotentialError(
                f"{self.potential.info.label} gave no energy at any of {len(totals_eV)} points"
                f"{f' ({self.first_failure})' if self.first_failure else ''}.",
                hint="Check the potential and the crystal.",
            )

    def learned(self, sampling: Sampling, maps: LearnedMaps) -> list[OrbitLandscape]:
        """Return the maps of all orbits as a sampler left them, and note what there is to say."""
        self.ending = maps.ending
        self.uses_prior = maps.posterior.uses_prior
        sampling.remarks.extend(self._remarks(maps))
        return maps.landscapes()

    def _prior_energies(self, points: IrreduciblePoints) -> NDArray[np.float64] | None:
        """Return another potential's energies at all points, in eV on a common zero."""
        if self.prior is None:
            return None
        minima = {site: one.minimum_eV for one in self.prior.orbits for site in one.orbit.members}
        totals = {site: energies + minima[site] for site, energies in self.prior.maps()}
        return np.concatenate(
            [totals[plan.orbit.representative].ravel()[plan.points] for plan in points.plans]
        )

    def _remarks(self, maps: LearnedMaps) -> Iterator[Remark]:
        if self.prior is not None and not maps.posterior.uses_prior:
            yield Remark(
                "prior_left_out",
                "The other potential's landscape explains the energies less well than the "
                "surroundings alone; it was left out.",
            )
        if maps.unsettled.any() or maps.ending == "budget":
            names = ", ".join(maps.unsettled_names)
            left = f"intervals wider than asked for: {names}" if names else "one more look was due"
            yield Remark(
                "not_settled",
                f"The landscape stopped after {maps.posterior.n_known} energies; {left}.",
            )
        if self.n_failed:
            reason = self.first_failure or "NaN or infinity"
            yield Remark(
                "points_left_out",
                f"{self.potential.info.label} gave no energy at {self.n_failed} points ({reason}); "
                "they were learned from the others.",
            )

    def _surroundings(self, site: int) -> Seen:
        """Return what an ion sees of the others."""
        kinds, species = np.unique(self.atoms.numbers, return_inverse=True)
        lattice = np.array(self.structure.lattice.matrix)

        def without(*gone: int) -> Surroundings:
            left = np.delete(np.arange(len(species)), gone)
            return Surroundings(lattice, self.fractional[left], species[left], len(kinds))

        if self.settings.carrier != "vacancy":
            return without(site)
        return VacancySurroundings(
            self._nearest_vacancy(site),
            lambda missing: without(site, missing),
            SurroundingsSettings(),
        )


def moved_ions(
    points: IrreduciblePoints, wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for irreducible points the site of the ion that moves, and where it is in A."""
    ions = np.array([plan.orbit.representative for plan in points.plans])
    flat = np.concatenate([plan.points for plan in points.plans])
    return ions[points.orbit[wanted]], points.grid.cartesian(flat[wanted])
