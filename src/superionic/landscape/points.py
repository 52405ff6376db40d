"""The irreducible points of all mobile ions in one list, and what maps of them say."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.descriptors import ConnectedWindows, Cuts, DescriptorSettings, xi
from superionic.landscape.grid import Grid
from superionic.landscape.interpolation import ENERGY_SCALE_eV, compressed, expanded
from superionic.landscape.levels import TIE_eV, flood_window, neighbour_offsets
from superionic.landscape.maps import MapSymmetry
from superionic.landscape.percolation import crossing, lowest_of, percolate
from superionic.landscape.results import OrbitLandscape
from superionic.landscape.stencils import step_vectors, voronoi_steps
from superionic.landscape.symmetry import SiteOrbit


@dataclass(frozen=True)
class OrbitPlan:
    """Which points of one orbit's map are evaluated.

    Parameters
    ----------
    orbit : SiteOrbit
        The ions.
    irreducible : ndarray of int, shape (n,)
        Flat indices of the irreducible points.
    inverse : ndarray of int, shape (n_points,)
        For each grid point the position of its own among the irreducible points.
    allowed : ndarray of bool, shape (n,)
        Irreducible points that are far enough from all other ions.
    """

    orbit: SiteOrbit
    irreducible: NDArray[np.int64]
    inverse: NDArray[np.int32]
    allowed: NDArray[np.bool_]

    @property
    def points(self) -> NDArray[np.int64]:
        """Return the flat indices of the points that are evaluated."""
        return self.irreducible[self.allowed]

    def place(self, grid: Grid, energies_eV: NDArray[np.float64]) -> OrbitLandscape:
        """Return the map on the whole grid from the total energies at :attr:`points`."""
        minimum_eV = float(energies_eV.min())
        evaluated = self.allowed[self.inverse].reshape(grid.shape)
        return OrbitLandscape(
            self.orbit, self.spread(energies_eV - minimum_eV, grid), evaluated, minimum_eV
        )

    def spread(
        self, values: NDArray[Any], grid: Grid, outside: float | None = None
    ) -> NDArray[Any]:
        """Return values at :attr:`points` on the whole grid.

        Parameters
        ----------
        values : ndarray, shape (len(points),)
            One for each point.
        grid : Grid
            The grid.
        outside : float, optional
            Value of the excluded points; the largest of the others by default.
        """
        full = np.full(len(self.allowed), values.max() if outside is None else outside)
        full = full.astype(values.dtype)
        full[self.allowed] = values
        return full[self.inverse].reshape(grid.shape)


FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

VOLUME_THRESHOLDS_eV = (0.5, 1.5, 2.0)
"""Thresholds of the free volumes that a landscape is asked for."""

BARRIERS = ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV")
"""Names of the barriers, in the order of :attr:`Reading.barriers_eV`."""

NAMES = (
    *BARRIERS,
    *(f"fv_disconnected_union at {t} eV" for t in VOLUME_THRESHOLDS_eV),
    *(f"fv_disconnected_sum at {t} eV" for t in VOLUME_THRESHOLDS_eV),
    "xi",
)
"""Names of :attr:`Reading.values`."""

NEGLIGIBLE_XI = 1e-3
"""Where the disconnected volume alone keeps Xi below this, the connected one is not computed."""


@dataclass(frozen=True)
class Reading:
    """What one map says of the quantities that a landscape is asked for.

    Parameters
    ----------
    barriers_eV : ndarray, shape (4,)
        Percolation barriers in one, two and three dimensions, and the published one.
    volumes : ndarray, shape (6,)
        Fractions of the cell below each of ``VOLUME_THRESHOLDS_eV``: of any ion, then the mean of
        the ions.
    passes : list of dict of int to float, or None
        For each barrier its derivatives with respect to the energies of irreducible points: those
        of its pass, up to four where it lies between points, and of the minima from which they are
        counted; None where the barrier is infinite.
    xi : float
        The published ranking score; NaN where it was not asked for.
    """

    barriers_eV: FloatArray
    volumes: FloatArray
    passes: list[dict[int, float] | None]
    xi: float = np.nan

    @property
    def values(self) -> FloatArray:
        """Return all quantities in one array, shape (11,)."""
        return np.concatenate([self.barriers_eV, self.volumes, [self.xi]])


class IrreduciblePoints:
    """The points of all orbits that are not excluded, one after the other.

    Parameters
    ----------
    grid : Grid
        The grid that all maps share.
    plans : sequence of OrbitPlan
        One for each orbit.
    """

    def __init__(self, grid: Grid, plans: Sequence[OrbitPlan]) -> None:
        self.grid = grid
        self.plans = list(plans)
        counts = [len(plan.points) for plan in self.plans]
        self.ends = np.concatenate([[0], np.cumsum(counts)])
        self.n = int(self.ends[-1])
        self.orbit = np.repeat(np.arange(len(self.plans)), counts)
        # For each ion and each grid point the irreducible point; n where it is excluded.
        own = np.full((len(self.plans), grid.n_points), self.n, dtype=np.int32)
        for number, plan in enumerate(self.plans):
            of_class = np.full(len(plan.irreducible), self.n, dtype=np.int32)
            of_class[plan.allowed] = np.arange(self.ends[number], self.ends[number + 1])
            own[number] = of_class[plan.inverse]
        self.symmetry = MapSymmetry.of_orbits(grid, [plan.orbit for plan in self.plans])
        self._table = own.ravel()[self.symmetry.table]
        self._offsets = neighbour_offsets(grid.lattice, grid.shape)
        self._steps = voronoi_steps(step_vectors(grid.lattice, grid.shape))
        # An operation that maps windows onto each other relates ions of one published barrier. The
        # ion that had the lowest one of the last map comes first: the others end there.
        self._windows = sorted({leader for leader, _ in self.symmetry.turns})
        counted = np.bincount(self._table.ravel(), minlength=self.n + 1)
        self.weights: FloatArray = counted[: self.n] / self._table.size
        """Share of each point in the mean over the ions of a fraction of the cell."""

    def part(self, orbit: int) -> slice:
        """Return where an orbit's points are."""
        return slice(int(self.ends[orbit]), int(self.ends[orbit + 1]))

    def cartesian(self) -> FloatArray:
        """Return the positions of all points in A, shape (n, 3)."""
        return np.vstack([self.grid.cartesian(plan.points) for plan in self.plans])

    def nearest(self, orbit: int, fractional: FloatArray) -> int | None:
        """Return the irreducible point of the grid point next to a position; None if excluded."""
        steps = np.rint((fractional - self.grid.origin) * self.grid.shape).astype(int)
        flat = np.ravel_multi_index(tuple(np.mod(steps, self.grid.shape)), self.grid.shape)
        place = int(self._table[self.symmetry.owners.index(orbit), flat])
        return place if place < self.n else None

    def minima(self, energies_eV: FloatArray) -> IntArray:
        """Return for each orbit the point of its lowest energy."""
        return np.array(
            [start + int(np.argmin(energies_eV[start:end])) for start, end in pairwise(self.ends)]
        )

    def read(self, energies_eV: FloatArray, below_eV: float = np.inf) -> Reading:
        """Return what a map says, from energies of all points in eV on a common zero.

        As for a landscape that was computed: each ion's map is taken relative to its minimum, and
        excluded points hold the largest energy. Barriers from a bound on are infinite. Xi, which
        takes longer than all the rest, is left out (:meth:`xi`).
        """
        minima, relative = self._relative(energies_eV)
        values = np.append(relative, relative.max())
        # All that follows is asked of ranks, so that energies are sorted once and not on the grid.
        low = np.flatnonzero(values < below_eV)
        order = low[np.argsort(values[low])]
        ascending = values[order]
        ranks = np.full(self.n + 1, len(order), dtype=np.int32)
        ranks[order] = np.arange(len(order), dtype=np.int32)
        z = compressed(values)
        bound = float(compressed(np.array(below_eV)))
        begins = percolate(z, self.symmetry, self._steps, bound, self._table)
        barriers = expanded(begins.levels).tolist()
        passes = [
            self._pass(values, z, here, there, minima) for here, there in begins.passes.tolist()
        ]
        shape = np.array(self.grid.shape)
        lowest, best = len(order), 0
        equal = np.searchsorted(ascending, TIE_eV, side="right")
        for ion in self._windows:
            own = ranks[self._table[ion]]
            first = np.unravel_index(int(np.argmax(own < equal)), self.grid.shape)
            crossed = flood_window(own, shape, first, self._offsets, lowest, None)
            if crossed >= 0:
                lowest, best = crossed, ion
        self._windows.sort(key=lambda ion: (ion != best, ion))
        reached = lowest < len(order)
        barriers.append(float(ascending[lowest]) if reached else np.inf)
        passes.append(
            {int(order[lowest]): 1.0, int(minima[self.symmetry.owners[best]]): -1.0}
            if reached and order[lowest] < self.n
            else None
        )

        thresholds = np.array(VOLUME_THRESHOLDS_eV)
        below = (relative < thresholds[:, None]) @ self.weights
        classes = self.symmetry.quotient
        shared, _ = lowest_of(ranks, self._table, classes.points)
        cuts = np.searchsorted(ascending, thresholds)[:, None]
        union = (shared < cuts) @ classes.sizes / self.grid.n_points
        volumes = np.concatenate([union, below])
        return Reading(np.array(barriers), volumes, passes)

    def _pass(
        self, values: FloatArray, z: FloatArray, here: int, there: int, minima: IntArray
    ) -> dict[int, float] | None:
        """Return the derivatives of a barrier whose pass is at one grid point or between two."""
        if here < 0:
            return None
        (lowest,) = lowest_of(z, self._table, np.array([here]))[1].tolist()
        ends, shares = [here], {lowest: [1.0]}
        if there >= 0:
            level, at, rising, falling = crossing(z, self._table, lowest, here, there)
            ends = [here, there]
            up, down = (
                z[self._table[ion, end]] - z[self._table[ion, begin]]
                for ion, begin, end in ((rising, here, there), (falling, there, here))
            )
            ratio = up / (up + down) if rising != falling else 0.0
            shares = {rising: [(1 - ratio) * (1 - at), (1 - ratio) * at]}
            if rising != falling:
                shares[falling] = [ratio * (1 - at), ratio * at]
            height_eV = float(expanded(level))
        else:
            height_eV = float(values[self._table[lowest, here]])
        found: dict[int, float] = {}
        for ion, weights in shares.items():
            for end, weight in zip(ends, weights, strict=True):
                point = int(self._table[ion, end])
                if point < self.n:
                    weight *= (height_eV + ENERGY_SCALE_eV) / (values[point] + ENERGY_SCALE_eV)
                    minimum = int(minima[self.symmetry.owners[ion]])
                    found[point] = found.get(point, 0.0) + weight
                    found[minimum] = found.get(minimum, 0.0) - weight
        return found or None

    def xi(self, energies_eV: FloatArray) -> float:
        """Return the published ranking score of a map, from energies as for :meth:`read`."""
        settings = DescriptorSettings()
        cuts = Cuts(np.add.outer([settings.xi_threshold_eV], settings.threshold_offsets_eV))
        _, relative = self._relative(energies_eV)
        values = np.append(relative, relative.max())
        levels = cuts.levels(values)
        n_levels = len(cuts.ascending_eV) + 1
        classes = self.symmetry.quotient
        shared, _ = lowest_of(levels, self._table, classes.points)
        counts = np.bincount(shared, classes.sizes, n_levels)
        disconnected = float(cuts.fractions(counts)[0])
        if xi(1.0, disconnected) < NEGLIGIBLE_XI:
            return 0.0
        windows = ConnectedWindows(self.symmetry, cuts)
        windows.unite(values, self._table)
        return xi(float(cuts.fractions(windows.counts)[0]), disconnected)

    def _relative(self, energies_eV: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return each orbit's minimum, and the energies above it."""
        minima = self.minima(energies_eV)
        return minima, energies_eV - energies_eV[minima][self.orbit]
