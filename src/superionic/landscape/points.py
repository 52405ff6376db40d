"""The irreducible points of all mobile ions in one list, and what maps of them say."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from superionic.landscape.descriptors import (
    DescriptorSettings,
    connected_window,
    fractions_below,
    xi,
)
from superionic.landscape.grid import Grid
from superionic.landscape.levels import level_map, minimum_percolation_energy
from superionic.landscape.percolation import percolation_barriers
from superionic.landscape.plans import OrbitPlan

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
    xi : float
        The published ranking score.
    passes : list of tuple of int or None
        For each barrier the irreducible point that is its pass, and that of the minimum from
        which it is counted; None where the barrier is infinite.
    """

    barriers_eV: FloatArray
    volumes: FloatArray
    xi: float
    passes: list[tuple[int, int] | None]

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
        self.places: list[NDArray[np.int32]] = []
        self.owners: list[int] = []
        for number, plan in enumerate(self.plans):
            own = np.full(len(plan.irreducible), self.n, dtype=np.int32)
            own[plan.allowed] = np.arange(self.ends[number], self.ends[number + 1])
            on_grid = own[plan.inverse]
            for operation in plan.orbit.generators:
                image = np.empty_like(on_grid)
                image[grid.permutation(operation)] = on_grid
                self.places.append(image)
                self.owners.append(number)
        self.windows = self._distinct_windows()
        counted = np.bincount(np.concatenate(self.places), minlength=self.n + 1)
        self.weights: FloatArray = counted[: self.n] / (grid.n_points * len(self.places))
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
        place = int(self.places[self.owners.index(orbit)][flat])
        return place if place < self.n else None

    def minima(self, energies_eV: FloatArray) -> IntArray:
        """Return for each orbit the point of its lowest energy."""
        return np.array(
            [start + int(np.argmin(energies_eV[start:end])) for start, end in pairwise(self.ends)]
        )

    def read(self, energies_eV: FloatArray, *, with_xi: bool = True) -> Reading:
        """Return what a map says, from energies of all points in eV on a common zero.

        As for a landscape that was computed: each ion's map is taken relative to its minimum, and
        excluded points hold the largest energy. Xi, which takes longer than all the rest, is NaN
        where it is not wanted.
        """
        lattice, shape = self.grid.lattice, self.grid.shape
        minima = self.minima(energies_eV)
        relative = energies_eV - energies_eV[minima][self.orbit]
        values = np.append(relative, relative.max())
        maps = [values[place].reshape(shape) for place in self.places]
        stack = np.stack([one.ravel() for one in maps])
        shared = stack.min(axis=0)
        passes: list[tuple[int, int] | None] = []

        def pass_of(ion: int, at: int) -> tuple[int, int] | None:
            point = int(self.places[ion][at])
            return (point, int(minima[self.owners[ion]])) if point < self.n else None

        barriers = list(percolation_barriers(shared.reshape(shape), lattice))
        for barrier in barriers:
            at = int(np.argmin(np.abs(shared - barrier)))
            finite = np.isfinite(barrier)
            passes.append(pass_of(int(np.argmin(stack[:, at])), at) if finite else None)
        crossings = [minimum_percolation_energy(maps[ion], lattice) for ion in self.windows]
        best = self.windows[int(np.argmin(crossings))]
        barriers.append(min(crossings))
        at = int(np.argmin(np.abs(stack[best] - barriers[-1])))
        passes.append(pass_of(best, at) if np.isfinite(barriers[-1]) else None)

        thresholds = np.array(VOLUME_THRESHOLDS_eV)[:, None]
        volumes = np.concatenate(
            [(shared < thresholds).mean(axis=1), (relative < thresholds) @ self.weights]
        )
        score = self._xi(maps, shared) if with_xi else np.nan
        return Reading(np.array(barriers), volumes, score, passes)

    def _distinct_windows(self) -> list[int]:
        """Return the ions whose windows of two cells differ by more than a relabelling of axes.

        An operation that maps the lattice vectors onto each other, with signs, maps faces of the
        window onto faces: the ions that it connects have one published barrier.
        """
        ions, chosen = 0, []
        for plan in self.plans:
            seen: list[NDArray[np.int64]] = []
            for generator in plan.orbit.generators:
                turns = [generator.rotation @ one.rotation for one in plan.orbit.stabiliser]
                relations = [turn @ inverse for turn in turns for inverse in seen]
                if not any(np.abs(one).sum() == 3 for one in relations):
                    chosen.append(ions)
                    seen.append(np.rint(np.linalg.inv(generator.rotation)).astype(np.int64))
                ions += 1
        return chosen

    def _xi(self, maps: list[FloatArray], shared: FloatArray) -> float:
        settings = DescriptorSettings()
        cuts = settings.xi_threshold_eV + np.array([settings.threshold_offsets_eV])
        disconnected = float(fractions_below(shared, cuts)[0])
        if expit(10 * (np.log10(max(disconnected, 1e-9)) + 1.15)) < NEGLIGIBLE_XI:
            return 0.0
        levels = [
            connected_window(one, level_map(one, self.grid.lattice, cuts.max())) for one in maps
        ]
        return xi(float(fractions_below(np.min(levels, axis=0), cuts)[0]), disconnected)
