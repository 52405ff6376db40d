"""Carriers that are made on purpose: an ion that moves into a vacancy, or one more ion.

A crystal whose sites are all filled, or all empty, conducts only with what is not in its formula.
Its landscape with a carrier is one of the crystal that has one, in the frozen framework as always:

- **vacancy**: while an ion moves, the mobile ion that is nearest to it is missing. So the maps of
  all ions together hold every hop of an ion into a vacancy next to it, and what percolates on the
  map that they share is the vacancy. Two maps agree between two sites: of both ions there is one.
- **interstitial**: one more ion moves among all others. There is one map, and it has the whole
  symmetry of the crystal. The ions do not push each other along (interstitialcy).

Energies are relative to each map's lowest one: what a carrier costs is in no barrier.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from ase.geometry import get_distances
from numpy.typing import NDArray

from superionic.landscape.grid import Grid, plain_shape
from superionic.landscape.surroundings import Surroundings, SurroundingsSettings
from superionic.potentials.base import FrozenFramework

FloatArray = NDArray[np.float64]
T = TypeVar("T")

EQUAL_A = 0.01
"""Distances that differ by less are equal."""
VOID_STEP_A = 0.5
BLOCK = 2048
"""Points whose distances are in memory at once."""

ABOUT = {
    "vacancy": "The ion nearest to the one that moves is missing; what making a vacancy costs is "
    "in no barrier.",
    "interstitial": "One ion more than the crystal has moves in it; what adding it costs is in no "
    "barrier.",
}
"""What the user of a landscape with a carrier should know."""


class NearestVacancy:
    """Says which mobile ion is missing when another one is somewhere: the nearest one.

    Of several that are equally near it is the one nearest to the home of the ion that moves, so
    that the choice has the symmetry of that home.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    fractional : ndarray, shape (n, 3)
        Fractional coordinates of all sites.
    mobile : sequence of int
        The sites of mobile ions.
    moving : int
        That of the one that moves.

    Examples
    --------
    >>> homes = np.array([[0.0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0]])
    >>> nearest = NearestVacancy(8.0 * np.eye(3), homes, [0, 1, 2], moving=0)
    >>> nearest(np.array([[1.0, 0, 0], [5.0, 3.0, 0], [4.0, 2.0, 0]])).tolist()
    [1, 2, 1]
    """

    def __init__(
        self, lattice: FloatArray, fractional: FloatArray, mobile: Sequence[int], moving: int
    ) -> None:
        self._lattice = lattice
        self._others = np.array([site for site in mobile if site != moving])
        self._homes_A = fractional[self._others] @ lattice
        (from_home,) = _distances(fractional[[moving]] @ lattice, self._homes_A, lattice)
        self._from_home = from_home[0]

    def __call__(self, positions_A: FloatArray) -> NDArray[np.int64]:
        """Return for positions, shape (m, 3), whose site is empty, shape (m,)."""
        found = [np.empty(0, dtype=np.int64)]
        for away in _distances(positions_A, self._homes_A, self._lattice):
            near = away < away.min(axis=1, keepdims=True) + EQUAL_A
            home = np.where(near, self._from_home, np.inf)
            found.append(np.argmax(home < home.min(axis=1, keepdims=True) + EQUAL_A, axis=1))
        sites: NDArray[np.int64] = self._others[np.concatenate(found)]
        return sites


class _ByVacancy(Generic[T]):
    """For each vacancy something of its own."""

    def __init__(self, nearest: NearestVacancy, make: Callable[[int], T]) -> None:
        self._nearest, self._make = nearest, make

    def at(self, positions_A: FloatArray, of: Callable[[T, FloatArray], Any]) -> Any:
        """Return values at positions, each of what belongs to its vacancy."""
        missing = self._nearest(positions_A)
        parts = []
        for one in np.unique(missing).tolist():
            own = np.flatnonzero(missing == one)
            parts.append((own, of(self._make(one), positions_A[own])))
        result = np.empty((len(positions_A), *parts[0][1].shape[1:]), dtype=parts[0][1].dtype)
        for own, values in parts:
            result[own] = values
        return result


class VacancyFramework(FrozenFramework):
    """Energies of an ion that moves while the mobile ion nearest to it is missing.

    Parameters
    ----------
    nearest : NearestVacancy
        Says which one is missing.
    without : callable
        Returns the frozen framework without that ion.
    """

    def __init__(self, nearest: NearestVacancy, without: Callable[[int], FrozenFramework]) -> None:
        self._frameworks = _ByVacancy(nearest, without)

    def energies(self, positions_A: FloatArray) -> FloatArray:
        """Return total energies in eV, shape (m,)."""
        if not len(positions_A):
            return np.empty(0)
        energies_eV: FloatArray = self._frameworks.at(positions_A, lambda one, at: one.energies(at))
        return energies_eV


class VacancySurroundings:
    """What an ion sees that moves while the mobile ion nearest to it is missing.

    Parameters
    ----------
    nearest : NearestVacancy
        Says which one is missing.
    without : callable
        Returns the surroundings without that ion.
    settings : SurroundingsSettings
        Those of all of them.
    """

    def __init__(
        self,
        nearest: NearestVacancy,
        without: Callable[[int], Surroundings],
        settings: SurroundingsSettings,
    ) -> None:
        self.settings = settings
        self._surroundings = _ByVacancy(nearest, without)

    def features(self, positions_A: FloatArray) -> NDArray[np.float32]:
        """Return the power spectrum at Cartesian positions, shape (m, n_features)."""
        features: NDArray[np.float32] = self._surroundings.at(
            positions_A, lambda one, at: one.features(at)
        )
        return features

    def distances(self, positions_A: FloatArray) -> FloatArray:
        """Return the distance in A to the nearest ion of each species, shape (m, n_species)."""
        distances: FloatArray = self._surroundings.at(
            positions_A, lambda one, at: one.distances(at)
        )
        return distances


def widest_void(lattice: FloatArray, fractional: FloatArray) -> FloatArray:
    """Return the point farthest from all ions, on a grid of 0.5 A, in fractional coordinates.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    fractional : ndarray, shape (n, 3)
        The ions.
    """
    grid = Grid(lattice, plain_shape(lattice, VOID_STEP_A))
    points = grid.cartesian(np.arange(grid.n_points))
    blocks = _distances(points, fractional @ lattice, lattice)
    nearest = np.concatenate([away.min(axis=1) for away in blocks])
    place: FloatArray = points[int(np.argmax(nearest.round(6)))] @ np.linalg.inv(lattice)
    return place


def _distances(
    positions_A: FloatArray, ions_A: FloatArray, lattice: FloatArray
) -> Iterator[FloatArray]:
    """Yield the distances of positions from ions, a block of positions at a time."""
    for first in range(0, len(positions_A), BLOCK):
        yield get_distances(positions_A[first : first + BLOCK], ions_A, lattice, True)[1]
