"""Landscapes from a fraction of their energies: sparse first, then where it is low.

1. A sparse sample: points at least ``coarse_spacing_A`` apart.
2. An interpolation through all known energies (local cubic splines of a compressed energy)
   says where the landscape may lie below ``refine_below_eV``; these points are evaluated.
3. From every point that does lie below, neighbours are evaluated until all neighbours of low points
   are known: below ``refine_below_eV`` the map is then that of the exact mode, but for pockets
   narrower than the sparse sample that the interpolation does not see.
4. Percolation paths on the map, known and interpolated, are evaluated until they are known; where
   the barrier is low, so is everything connected below it.

What is left is interpolated, and marked.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from superionic.landscape.grid import Grid
from superionic.landscape.levels import minimum_percolation_energy, neighbour_offsets
from superionic.landscape.percolation import percolation_barriers, percolation_path
from superionic.landscape.results import OrbitLandscape
from superionic.landscape.settings import AdaptiveSettings
from superionic.landscape.symmetry import SiteOrbit

ENERGY_SCALE_eV = 0.5
"""Energies enter the interpolation as log(1 + E / scale): walls must not ring into valleys."""

N_NEIGHBOURS = 28
"""Known points that each interpolated energy is taken from."""

PADDING_A = 2.5
"""How far the known points are continued beyond the cell."""

OPTIMISM = 0.85
"""Factor on interpolated energies in the search for paths, so that it looks behind them."""

LEVEL_STEP_eV = 0.1
"""Step in which the level of a lazy flood rises."""

MAX_ROUNDS = 40
"""Percolation paths that are evaluated for one ion at the most."""


class Sampler:
    """Energies of one ion's grid, known or not, on the irreducible points.

    Parameters
    ----------
    grid : Grid
        The grid.
    irreducible : ndarray of int, shape (n,)
        Flat indices of the irreducible points.
    inverse : ndarray of int, shape (n_points,)
        For each grid point the position of its own irreducible point.
    allowed : ndarray of bool, shape (n,)
        Irreducible points that are not excluded.
    evaluate : callable
        Returns total energies in eV of points given by their flat index.
    """

    def __init__(
        self,
        grid: Grid,
        irreducible: NDArray[np.int64],
        inverse: NDArray[np.int64],
        allowed: NDArray[np.bool_],
        evaluate: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    ) -> None:
        self.grid = grid
        self.irreducible = irreducible
        self.inverse = inverse
        self.allowed = allowed
        self._evaluate = evaluate
        self.known = np.zeros(len(irreducible), dtype=bool)
        self.totals_eV = np.full(len(irreducible), np.nan)
        self._interpolated: NDArray[np.float64] | None = None

    @property
    def minimum_eV(self) -> float:
        """Return the smallest known total energy."""
        return float(np.nanmin(self.totals_eV))

    def learn(self, wanted: NDArray[np.bool_]) -> int:
        """Evaluate wanted irreducible points that are allowed and unknown; return how many."""
        new = wanted & self.allowed & ~self.known
        n_new = int(new.sum())
        if n_new:
            self.totals_eV[new] = self._evaluate(self.irreducible[new])
            self.known |= new
            self._interpolated = None
        return n_new

    def interpolate(self) -> NDArray[np.float64]:
        """Return energies relative to the minimum: known ones, else interpolated, else infinite.

        Returns
        -------
        ndarray, shape (n,)
            For each irreducible point; infinite where it is excluded.
        """
        if self._interpolated is not None:
            return self._interpolated
        relative = self.totals_eV - self.minimum_eV
        unknown = self.allowed & ~self.known
        if unknown.any():
            points, values = self._continued(np.log1p(relative / ENERGY_SCALE_eV))
            wrapped = self.grid.fractional(self.irreducible[unknown]) % 1.0
            compressed = _spline(points, values, wrapped @ self.grid.lattice)
            compressed = np.clip(compressed, 0.0, values.max())
            relative[unknown] = ENERGY_SCALE_eV * np.expm1(compressed)
        relative[~self.allowed] = np.inf
        self._interpolated = relative
        return relative

    def place(self, orbit: SiteOrbit, energies_eV: NDArray[np.float64]) -> OrbitLandscape:
        """Return the map on the whole grid from relative energies of the irreducible points."""
        return OrbitLandscape(
            orbit,
            energies_eV[self.inverse].reshape(self.grid.shape),
            self.known[self.inverse].reshape(self.grid.shape),
            self.minimum_eV,
        )

    def _continued(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return Cartesian coordinates and values of the known points in the cell and round it."""
        flat = np.flatnonzero(self.known[self.inverse])
        fractional = self.grid.fractional(flat) % 1.0
        of_point = values[self.inverse[flat]]
        reach = PADDING_A * np.linalg.norm(np.linalg.inv(self.grid.lattice), axis=0)
        images = np.ceil(reach).astype(int)
        coordinates, continued = [], []
        for shift in np.ndindex(*(2 * images + 1)):
            moved = fractional + shift - images
            near = np.all((moved > -reach) & (moved < 1 + reach), axis=1)
            coordinates.append(moved[near] @ self.grid.lattice)
            continued.append(of_point[near])
        return np.concatenate(coordinates), np.concatenate(continued)


def _spline(
    points: NDArray[np.float64], values: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate by local cubic splines; by linear ones where known points lie in a plane."""
    n_neighbours = min(N_NEIGHBOURS, len(points))
    try:
        return np.asarray(RBFInterpolator(points, values, n_neighbours, kernel="cubic")(at))
    except np.linalg.LinAlgError:
        linear = RBFInterpolator(points, values, n_neighbours, kernel="linear", degree=0)
        return np.asarray(linear(at))


def sample_adaptively(
    sampler: Sampler,
    start: int,
    permutations: list[NDArray[np.int64]],
    settings: AdaptiveSettings,
) -> None:
    """Evaluate a landscape where it is low, and along the ions' percolation paths.

    Parameters
    ----------
    sampler : Sampler
        The ion's grid; nothing is known yet.
    start : int
        Flat index of the grid point next to the ion's own site.
    permutations : list of ndarray of int, shape (n_points,)
        For each equivalent ion the image of each grid point; their percolation paths are evaluated.
    settings : AdaptiveSettings
        Where to evaluate.

    """
    shape = sampler.grid.shape
    offsets = neighbour_offsets(sampler.grid.lattice, shape)
    coarse = _sparse_sample(sampler, settings.coarse_spacing_A)
    coarse[sampler.inverse[start]] = True
    sampler.learn(coarse)
    limit_eV = settings.refine_below_eV
    while True:
        estimate = sampler.interpolate()
        sampler.learn(estimate < limit_eV + settings.refine_margin_eV)
        _grow(sampler, offsets, limit_eV)
        estimate = sampler.interpolate()
        if not np.any((estimate < limit_eV) & ~sampler.known):
            break
    best_eV = _percolate(sampler, permutations, settings)
    if best_eV < settings.exact_barrier_below_eV:
        # A path that was found bounds the barrier from above; a lower one would lie below it.
        _grow(sampler, offsets, best_eV)
        _percolate(sampler, permutations, settings)


def _percolate(
    sampler: Sampler, permutations: list[NDArray[np.int64]], settings: AdaptiveSettings
) -> float:
    """Evaluate the percolation paths of equivalent ions; return the lowest barrier in eV."""
    estimate = sampler.interpolate()
    best_eV = np.inf
    for permutation in permutations:
        best_eV = min(best_eV, _refine_path(sampler, estimate, permutation, best_eV, settings))
    return best_eV


def flood(
    sampler: Sampler,
    start: int,
    permutations: list[NDArray[np.int64]],
    up_to_eV: float,
    best_eV: float = np.inf,
) -> float:
    """Evaluate only what can be reached from the ion's own site, up to a level.

    The level rises in steps; below it everything that is connected to the site is known, so that a
    barrier that is found is exact. Whatever is not reached stays unknown.

    Parameters
    ----------
    sampler : Sampler
        The ion's grid; nothing is known yet.
    start : int
        Flat index of the grid point next to the ion's own site.
    permutations : list of ndarray of int, shape (n_points,)
        For each equivalent ion the image of each grid point.
    up_to_eV : float
        Where the flood ends, above the smallest energy that it meets.
    best_eV : float
        A barrier that another ion has: the flood ends when this one cannot beat it.

    Returns
    -------
    float
        The smallest percolation barrier of the equivalent ions in eV; infinite when it lies above
        both ``up_to_eV`` and what was flooded.
    """
    grid = sampler.grid
    offsets = neighbour_offsets(grid.lattice, grid.shape)
    backs = [np.argsort(permutation) for permutation in permutations]
    wanted = np.zeros(len(sampler.irreducible), dtype=bool)
    around = np.mod(np.array(np.unravel_index(start, grid.shape)) + offsets, grid.shape)
    wanted[sampler.inverse[np.ravel_multi_index(around.T, grid.shape)]] = True
    wanted[sampler.inverse[start]] = True
    sampler.learn(wanted)
    level_eV = min(LEVEL_STEP_eV, up_to_eV)
    while True:
        _grow(sampler, offsets, level_eV)
        known = np.where(sampler.known, sampler.totals_eV - sampler.minimum_eV, np.inf)
        barrier_eV = min(
            minimum_percolation_energy(
                known[sampler.inverse][back].reshape(grid.shape), grid.lattice
            )
            for back in backs
        )
        # Above the level something unknown may be lower.
        if barrier_eV < level_eV:
            return barrier_eV
        if level_eV >= min(up_to_eV, best_eV):
            return np.inf
        level_eV = min(level_eV + LEVEL_STEP_eV, up_to_eV)


def optimistic(sampler: Sampler, estimate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return known energies above the minimum and, where unknown, somewhat less than estimated.

    Parameters
    ----------
    sampler : Sampler
        What is known now.
    estimate : ndarray, shape (n,)
        An earlier interpolation; infinite where excluded.
    """
    known = sampler.totals_eV - sampler.minimum_eV
    return np.where(sampler.known, known, OPTIMISM * estimate)


def _sparse_sample(sampler: Sampler, spacing_A: float) -> NDArray[np.bool_]:
    """Return allowed irreducible points no two images of which are closer than a distance."""
    grid = sampler.grid
    reach = spacing_A * np.linalg.norm(np.linalg.inv(grid.lattice), axis=0) * grid.shape
    half = np.ceil(reach).astype(int)
    box = np.stack(
        np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), axis=-1
    ).reshape(-1, 3)
    near = box[np.linalg.norm((box / grid.shape) @ grid.lattice, axis=1) < spacing_A]
    order = np.argsort(sampler.inverse, kind="stable")
    ends = np.searchsorted(sampler.inverse[order], np.arange(len(sampler.irreducible) + 1))
    chosen = _choose(np.array(grid.shape), near, order, ends, sampler.allowed)
    return np.asarray(chosen)


@njit(cache=True, nogil=True)
def _choose(
    shape: NDArray[np.int64],
    near: NDArray[np.int64],
    order: NDArray[np.int64],
    ends: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Choose irreducible points greedily; all images of a chosen one block what is near them."""
    blocked = np.zeros(shape[0] * shape[1] * shape[2], dtype=np.bool_)
    chosen = np.zeros(len(allowed), dtype=np.bool_)
    for point in range(len(allowed)):
        if not allowed[point] or blocked[order[ends[point]]]:
            continue
        chosen[point] = True
        for image in order[ends[point] : ends[point + 1]]:
            i = image // (shape[1] * shape[2])
            j = image // shape[2] % shape[1]
            k = image % shape[2]
            for m in range(len(near)):
                a = (i + near[m, 0]) % shape[0]
                b = (j + near[m, 1]) % shape[1]
                c = (k + near[m, 2]) % shape[2]
                blocked[(a * shape[1] + b) * shape[2] + c] = True
    return chosen


def _grow(sampler: Sampler, offsets: NDArray[np.int64], limit_eV: float) -> None:
    """Evaluate neighbours of low points until all of them are known."""
    shape = sampler.grid.shape
    while True:
        low = sampler.known & (sampler.totals_eV - sampler.minimum_eV < limit_eV)
        on_grid = low[sampler.inverse].reshape(shape)
        wanted = np.zeros(len(sampler.irreducible), dtype=bool)
        for offset in offsets:
            neighbour = np.roll(on_grid, tuple(offset), axis=(0, 1, 2)).ravel()
            wanted[sampler.inverse[neighbour]] = True
        if not sampler.learn(wanted):
            return


def _refine_path(
    sampler: Sampler,
    estimate: NDArray[np.float64],
    permutation: NDArray[np.int64],
    best_eV: float,
    settings: AdaptiveSettings,
) -> float:
    """Evaluate one ion's percolation path until all of it is known; return its barrier in eV."""
    shape = sampler.grid.shape
    back = np.argsort(permutation)
    barrier_eV = np.inf
    for _ in range(MAX_ROUNDS):
        energies = optimistic(sampler, estimate)[sampler.inverse][back].reshape(shape)
        barrier_eV = minimum_percolation_energy(energies, sampler.grid.lattice)
        if not barrier_eV <= best_eV + settings.percolation_tolerance_eV:
            return barrier_eV
        path = percolation_path(energies, sampler.grid.lattice)
        points = np.rint(path.fractional * shape).astype(int) % shape
        wanted = np.zeros(len(sampler.irreducible), dtype=bool)
        wanted[sampler.inverse[back[np.ravel_multi_index(points.T, shape)]]] = True
        if not sampler.learn(wanted):
            return barrier_eV
    return barrier_eV


def refine_shared_map(
    samplers: Sequence[Sampler], permutations: Sequence[list[NDArray[np.int64]]]
) -> None:
    """Evaluate the points at which the map that all ions share begins to percolate.

    Parameters
    ----------
    samplers : sequence of Sampler
        One for each orbit, already sampled; all on one grid.
    permutations : sequence of list of ndarray of int
        For each orbit and each of its ions the image of each grid point.
    """
    grid = samplers[0].grid
    estimates = [sampler.interpolate() for sampler in samplers]
    backs = [[np.argsort(one) for one in of_orbit] for of_orbit in permutations]
    offsets = neighbour_offsets(grid.lattice, grid.shape)
    for _ in range(MAX_ROUNDS):
        fields = [
            optimistic(sampler, estimate)[sampler.inverse]
            for sampler, estimate in zip(samplers, estimates, strict=True)
        ]
        images = [field[back] for field, of in zip(fields, backs, strict=True) for back in of]
        owners = [(i, back) for i, of in enumerate(backs) for back in of]
        best = np.argmin(images, axis=0)
        shared = np.min(images, axis=0)
        barriers = percolation_barriers(shared.reshape(grid.shape), grid.lattice)
        critical = np.isin(shared - shared.min(), barriers)
        near = critical.reshape(grid.shape)
        around = np.any([np.roll(near, tuple(step), axis=(0, 1, 2)) for step in offsets], axis=0)
        flat = np.flatnonzero(critical | around.ravel())
        n_new, at_critical = 0, 0
        wanted = [np.zeros(len(sampler.irreducible), dtype=bool) for sampler in samplers]
        for point in flat:
            orbit, back = owners[best[point]]
            own = samplers[orbit].inverse[back[point]]
            at_critical += bool(critical[point] and not samplers[orbit].known[own])
            wanted[orbit][own] = True
        if not at_critical:
            return
        for sampler, mask in zip(samplers, wanted, strict=True):
            n_new += sampler.learn(mask)
        if not n_new:
            return
