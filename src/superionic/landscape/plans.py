"""Which points of the mobile ions' maps are evaluated."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.grid import Grid
from superionic.landscape.results import OrbitLandscape
from superionic.landscape.symmetry import Operation, SiteOrbit


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
    inverse: NDArray[np.int64]
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


def irreducible_points(
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
