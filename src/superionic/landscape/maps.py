"""The maps of all mobile ions of a crystal, of which one of each orbit is kept.

An operation g that maps ion i onto ion j takes the map of one to that of the other,
``E_j(g r) = E_i(r)``, so that what is asked of all maps is answered by those of the orbits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.errors import LandscapeError
from superionic.landscape.grid import Grid, GridOperation, Shape
from superionic.landscape.levels import checked_energies
from superionic.landscape.quotient import Quotient, quotient
from superionic.landscape.symmetry import IDENTITY, SiteOrbit

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class MapSymmetry:
    """How the maps of all mobile ions follow from those of their orbits.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors in A, as rows.
    shape : tuple of int
        Grid points along each of them.
    generators : list of lists of GridOperation
        For each orbit and each of its ions an operation that maps the first of them onto it.
    fixing : list of lists of GridOperation
        For each orbit the operations that its first ion's map has; none where they are not known.
    """

    lattice: FloatArray
    shape: Shape
    generators: list[list[GridOperation]]
    fixing: list[list[GridOperation]]

    @classmethod
    def of_orbits(cls, grid: Grid, orbits: Iterable[SiteOrbit]) -> "MapSymmetry":
        """Return the symmetry of maps on a grid."""
        orbits = list(orbits)
        return cls(
            grid.lattice,
            grid.shape,
            [[grid.operation(one) for one in orbit.generators] for orbit in orbits],
            [[grid.operation(one) for one in orbit.stabiliser] for orbit in orbits],
        )

    @property
    def n_points(self) -> int:
        """Return the number of grid points in the cell."""
        return int(np.prod(self.shape))

    @property
    def _identity(self) -> GridOperation:
        return GridOperation(np.eye(3, dtype=np.int64), np.zeros(3, dtype=np.int64))

    @cached_property
    def owners(self) -> list[int]:
        """Return the orbit of each ion."""
        return [number for number, orbit in enumerate(self.generators) for _ in orbit]

    @cached_property
    def table(self) -> NDArray[np.int32]:
        """Return where an ion's energy at a point is among the maps of the orbits.

        Returns
        -------
        ndarray, shape (n_ions, n_points)
            Places in the maps of the orbits, one after the other and each flat.
        """
        n = self.n_points
        table = np.empty((len(self.owners), n), dtype=np.int32)
        operations = [one for orbit in self.generators for one in orbit]
        for row, owner, operation in zip(table, self.owners, operations, strict=True):
            row[:] = operation.inverse.images(self.shape) + owner * n
        return table

    @cached_property
    def quotient(self) -> Quotient:
        """Return the points up to the symmetry of all maps together."""
        # Every operation maps the first ion onto one of its orbit.
        operations = [g.after(s) for g in self.generators[0] for s in self.fixing[0]]
        return quotient(self.shape, operations or [self._identity])

    @cached_property
    def turns(self) -> list[tuple[int, GridOperation]]:
        """Return for each ion another one, and an operation from that one's window to its own.

        The window of an ion is two cells along each axis: the operation permutes axes, and may turn
        them round. An ion to which none leads has itself and the identity.
        """
        found: list[tuple[int, GridOperation]] = []
        for generators, fixing in zip(self.generators, self.fixing, strict=True):
            leaders: list[tuple[int, GridOperation]] = []
            for generator in generators:
                own = len(found), self._identity
                ways = (
                    (leader, generator.after(one).after(back))
                    for leader, back in leaders
                    for one in fixing or [self._identity]
                )
                found.append(next((way for way in ways if np.abs(way[1].matrix).sum() == 3), own))
                if found[-1] is own:
                    leaders.append((own[0], generator.inverse))
        return found

    @cached_property
    def doubled(self) -> "MapSymmetry":
        """Return the same on a grid with twice as many points along each axis."""
        n1, n2, n3 = self.shape

        def finer(orbits: list[list[GridOperation]]) -> list[list[GridOperation]]:
            return [[GridOperation(one.matrix, 2 * one.shift) for one in own] for own in orbits]

        shape = (2 * n1, 2 * n2, 2 * n3)
        return MapSymmetry(self.lattice, shape, finer(self.generators), finer(self.fixing))


@dataclass(frozen=True)
class IonMaps:
    """The maps of all mobile ions; iterating yields each, of shape (n1, n2, n3).

    Parameters
    ----------
    of_orbits : ndarray, shape (n_orbits, n1, n2, n3)
        One for each orbit.
    symmetry : MapSymmetry
        How those of the ions follow from them.

    Examples
    --------
    >>> maps = IonMaps.unrelated([np.zeros((2, 2, 2)), np.ones((2, 2, 2))], 3.0 * np.eye(3))
    >>> [float(one.max()) for one in maps]
    [0.0, 1.0]
    """

    of_orbits: FloatArray
    symmetry: MapSymmetry

    @classmethod
    def unrelated(cls, energies_eV: Iterable[ArrayLike], lattice: ArrayLike) -> "IonMaps":
        """Return maps of ions that no symmetry relates.

        Parameters
        ----------
        energies_eV : iterable of array_like, each of shape (n1, n2, n3)
            Map of each ion in eV.
        lattice : array_like, shape (3, 3)
            Lattice vectors in A, as rows.

        Raises
        ------
        LandscapeError
            When there is no map, the maps differ in shape, or one holds NaN or no finite energy.
        """
        maps = [checked_energies(one) for one in energies_eV]
        if not maps:
            raise LandscapeError(
                "There is no energy map to describe.", hint="Evaluate at least one mobile ion."
            )
        shape = maps[0].shape
        for one in maps:
            if one.shape != shape:
                raise LandscapeError(
                    f"The maps of the mobile ions have different shapes, {shape} and {one.shape}.",
                    hint="All mobile ions of a crystal are evaluated on the same grid.",
                )
        grid = Grid(np.asarray(lattice, dtype=float), shape)
        alone = [SiteOrbit(n, [IDENTITY], [n], [IDENTITY]) for n in range(len(maps))]
        return cls(np.stack(maps), MapSymmetry.of_orbits(grid, alone))

    @property
    def values(self) -> FloatArray:
        """Return the maps of the orbits one after the other, as ``symmetry.table`` counts them."""
        return self.of_orbits.ravel()

    def __iter__(self) -> Iterator[FloatArray]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, ion: int) -> FloatArray:
        return self.values[self.symmetry.table[ion]].reshape(self.symmetry.shape)

    def __len__(self) -> int:
        return len(self.symmetry.owners)


def as_ion_maps(maps: "IonMaps | Iterable[ArrayLike]", lattice: ArrayLike) -> IonMaps:
    """Return maps as they are, or those of ions that no symmetry relates."""
    return maps if isinstance(maps, IonMaps) else IonMaps.unrelated(maps, lattice)
