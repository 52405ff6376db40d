"""The grid that the mobile ion visits, and the symmetry operations that map it onto itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from superionic.landscape.stencils import obtuse_superbase, step_vectors
from superionic.landscape.symmetry import Operation

Shape = tuple[int, int, int]
Origin = tuple[float, float, float]

_SAME_A2 = 1e-3
"""Sums of squared distances that differ by less are the same: positions are known to 1e-3 A."""


class GridOperation(NamedTuple):
    """An operation ``k -> W k + w`` that takes grid points to grid points.

    Parameters
    ----------
    matrix : ndarray of int, shape (3, 3)
        W.
    shift : ndarray of int, shape (3,)
        w.
    """

    matrix: NDArray[np.int64]
    shift: NDArray[np.int64]

    def after(self, other: "GridOperation") -> "GridOperation":
        """Return the operation that does the other one first."""
        return GridOperation(self.matrix @ other.matrix, self.matrix @ other.shift + self.shift)

    @property
    def inverse(self) -> "GridOperation":
        """Return the operation that undoes this one."""
        matrix = np.rint(np.linalg.inv(self.matrix)).astype(np.int64)
        return GridOperation(matrix, -matrix @ self.shift)

    def images(self, shape: Shape) -> NDArray[np.int64]:
        """Return the flat index onto which each point of a grid is mapped, shape (n_points,)."""
        return _images(self.matrix, self.shift, np.array(shape))


@njit(cache=True, nogil=True)
def _images(
    w: NDArray[np.int64], shift: NDArray[np.int64], shape: NDArray[np.int64]
) -> NDArray[np.int64]:
    n1, n2, n3 = shape
    images = np.empty(n1 * n2 * n3, dtype=np.int64)
    n = 0
    for i in range(n1):
        for j in range(n2):
            x = w[0, 0] * i + w[0, 1] * j + shift[0]
            y = w[1, 0] * i + w[1, 1] * j + shift[1]
            z = w[2, 0] * i + w[2, 1] * j + shift[2]
            for _ in range(n3):
                images[n] = (x % n1 * n2 + y % n2) * n3 + z % n3
                x, y, z = x + w[0, 2], y + w[1, 2], z + w[2, 2]
                n += 1
    return images


@dataclass(frozen=True)
class Grid:
    """A regular grid over one cell: fractional coordinates ``origin + k / shape``.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    shape : tuple of int
        Points along each lattice vector.
    origin : tuple of float
        Fractional coordinates of the point (0, 0, 0).
    """

    lattice: NDArray[np.float64]
    shape: Shape
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def n_points(self) -> int:
        """Return the number of points in the cell."""
        return int(np.prod(self.shape))

    def fractional(self, flat: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return fractional coordinates of points given by their flat index, shape (m, 3)."""
        return np.stack(np.unravel_index(flat, self.shape), axis=-1) / self.shape + self.origin

    def cartesian(self, flat: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return Cartesian coordinates in A of points given by their flat index, shape (m, 3)."""
        return self.fractional(flat) @ self.lattice

    def permutation(self, operation: Operation) -> NDArray[np.int64]:
        """Return the flat index onto which each point is mapped by a compatible operation.

        Returns
        -------
        ndarray, shape (n_points,)
            ``permutation[k]`` is the image of point ``k``.
        """
        return self.operation(operation).images(self.shape)

    def operation(self, operation: Operation) -> "GridOperation":
        """Return a compatible operation in units of grid points."""
        matrix, shift = _integer_form(operation, self.shape, self.origin)
        return GridOperation(np.rint(matrix).astype(np.int64), np.rint(shift).astype(np.int64))

    def near(self, fractional: NDArray[np.float64], radius_A: float) -> NDArray[np.bool_]:
        """Return a mask of the points closer than a radius to any of some positions.

        Parameters
        ----------
        fractional : ndarray, shape (n, 3)
            Fractional coordinates of the positions; their periodic images count too.
        radius_A : float
            Radius in A; the comparison is strict.

        Returns
        -------
        ndarray of bool, shape ``self.shape``
        """
        return self.count_ions_within(fractional, radius_A) > 0

    def count_ions_within(
        self, fractional: NDArray[np.float64], radius_A: float
    ) -> NDArray[np.int32]:
        """Return for each point how many of some positions are closer than a radius.

        Parameters
        ----------
        fractional : ndarray, shape (n, 3)
            Fractional coordinates of the positions. One that is close together with its periodic
            images counts once.
        radius_A : float
            Radius in A; the comparison is strict.

        Returns
        -------
        ndarray of int, shape ``self.shape``
        """
        count = np.zeros(self.n_points, dtype=np.int32)
        shape = np.array(self.shape)
        # A sphere of radius r reaches r |b_k| along axis k, b_k the reciprocal vectors.
        reach = radius_A * np.linalg.norm(np.linalg.inv(self.lattice), axis=0) * shape
        half = np.ceil(reach).astype(int) + 1
        box = np.stack(
            np.meshgrid(*(np.arange(-h, h + 1) for h in half), indexing="ij"), axis=-1
        ).reshape(-1, 3)
        for position in fractional:
            centre = (position - self.origin) * shape
            points = np.floor(centre).astype(int) + box
            distance = np.linalg.norm(((points - centre) / shape) @ self.lattice, axis=1)
            # A grid through the sites has points at round distances: rounding must not decide.
            close = np.mod(points[distance < radius_A - 1e-10], shape)
            count[np.unique(np.ravel_multi_index(tuple(close.T), self.shape))] += 1
        return count.reshape(self.shape)


def plain_shape(lattice: NDArray[np.float64], grid_step_A: float) -> Shape:
    """Return the published grid, ``n_k = ceil(|a_k| / step)``.

    A length that exceeds a multiple of the step by rounding alone (1e-9 steps) is taken as that
    multiple, so that the grid does not depend on how the lattice is turned in space.
    """
    steps = np.linalg.norm(lattice, axis=1) / grid_step_A
    n = np.maximum(np.ceil(steps - 1e-9), 1).astype(int)
    return int(n[0]), int(n[1]), int(n[2])


def _integer_form(
    operation: Operation, shape: Sequence[int], origin: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return M and tau of ``k -> M k + tau``, the operation in units of grid points.

    With r = s + k/N, the image R r + t is on the grid when M_ij = N_i R_ij / N_j and
    tau_i = N_i (t + R s - s)_i are integers.
    """
    n = np.asarray(shape, dtype=float)
    rotation = operation.rotation
    matrix = n[:, None] * rotation / n[None, :]
    offset = operation.translation + rotation @ np.asarray(origin) - np.asarray(origin)
    return matrix, n * offset


def carries(
    operation: Operation,
    lattice: NDArray[np.float64],
    shape: Sequence[int],
    origin: Sequence[float],
    tolerance_A: float,
) -> bool:
    """Return whether an operation maps the grid onto itself, within a distance in A."""
    matrix, shift = _integer_form(operation, shape, origin)
    if np.abs(matrix - np.rint(matrix)).max() > 1e-9:
        return False
    miss = (shift - np.rint(shift)) / np.asarray(shape)
    return bool(np.linalg.norm(miss @ lattice) <= tolerance_A)


def symmetric_grid(
    lattice: NDArray[np.float64],
    operations: Sequence[Operation],
    standard: tuple[float, float, float],
    sites: Sequence[NDArray[np.float64]],
    grid_step_A: float,
    *,
    tolerance_A: float,
    max_growth: float,
) -> tuple[Grid, list[Operation]]:
    """Return the smallest grid that carries a crystal's symmetry, and the operations it carries.

    Grids no coarser than the published one are tried in the order of their number of points. Where
    a grid carries the operations with several origins, half a step apart or anywhere along a polar
    axis, that one is taken whose points come closest to the sites, so that the grid goes with the
    crystal and not with the origin that it was given by. When none within ``max_growth`` carries
    all operations, the one with the fewest points per operation is taken with the subgroup that it
    carries.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors as rows, in A.
    operations : sequence of Operation
        The space group, in fractional coordinates of this cell.
    standard : tuple of float
        An origin with respect to which translations are simple fractions.
    sites : sequence of ndarray, each of shape (n, 3)
        Fractional coordinates of the mobile ions, then of the atoms of other kinds; the first that
        tell origins apart decide.
    grid_step_A : float
        Largest step in A.
    tolerance_A : float
        How far an operation may map a grid point off the grid, in A.
    max_growth : float
        Largest ratio of the number of points to that of the published grid.
    """
    least = np.array(plain_shape(lattice, grid_step_A))
    limit = max_growth * np.prod(least)
    axes = [np.arange(n, int(np.floor(n * max_growth)) + 1) for n in least]
    shapes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    shapes = shapes[np.prod(shapes, axis=1) <= limit]
    # Rotations couple axes whatever the origin: sort out most shapes with integer arithmetic.
    coupled = np.ones(len(shapes), dtype=bool)
    for i, j in np.argwhere(~np.eye(3, dtype=bool)):
        for element in {abs(int(op.rotation[i, j])) for op in operations} - {0}:
            coupled &= shapes[:, i] * element % shapes[:, j] == 0

    def all_carry(shape: Shape, origin: Origin, some: Sequence[Operation]) -> bool:
        return all(carries(op, lattice, shape, origin, tolerance_A) for op in some)

    def closest(shape: Shape, some: Sequence[Operation]) -> Origin | None:
        found = carrying_origins(shape, some, sites[0])
        return _closest(
            [one for one in found if all_carry(shape, one, some)], lattice, shape, sites
        )

    for shape in _smallest_first(shapes[coupled]):
        if (origin := closest(shape, operations)) is not None:
            return Grid(lattice, shape, origin), list(operations)

    def subgroup(shape: Shape) -> list[Operation]:
        return [op for op in operations if carries(op, lattice, shape, standard, tolerance_A)]

    trials = [(shape, subgroup(shape)) for shape in _smallest_first(shapes)[:200]]
    shape, kept = min(trials, key=lambda trial: np.prod(trial[0]) / len(trial[1]))
    return Grid(lattice, shape, closest(shape, kept) or standard), kept


def carrying_origins(
    shape: Shape, operations: Sequence[Operation], sites: NDArray[np.float64]
) -> list[Origin]:
    """Return all origins, up to whole steps, with which a grid may carry operations.

    With x the origin in steps, k -> M k + tau maps points onto points where (M - 1) x + n t is
    integer: rows of a matrix of integers, brought to echelon form, of which each pivot d allows d
    values. A coordinate without a pivot is free, and takes those of the sites.

    Parameters
    ----------
    shape : tuple of int
        Grid points along each axis.
    operations : sequence of Operation
        Operations whose rotations map whole steps onto whole steps.
    sites : ndarray, shape (n, 3)
        Fractional coordinates of places that the grid may be put through.
    """
    n = np.array(shape, dtype=float)
    rows = []
    for operation in operations:
        matrix, shift = _integer_form(operation, shape, (0.0, 0.0, 0.0))
        rows += [(*row, -b) for row, b in zip(matrix - np.eye(3), shift, strict=True)]
    left = np.unique(np.round(rows, 6), axis=0)
    pivots: dict[int, NDArray[np.float64]] = {}
    for column in range(3):
        while np.count_nonzero(np.rint(left[:, column])) > 1:
            sizes = np.where(np.rint(left[:, column]) != 0, np.abs(left[:, column]), np.inf)
            smallest = int(np.argmin(sizes))
            times = np.rint(left[:, column] / left[smallest, column] - 1e-9)
            times[smallest] = 0
            left = left - times[:, None] * left[smallest]
            left[:, 3] -= np.rint(left[:, 3])
            left = np.unique(np.round(left, 6), axis=0)
        for last in np.flatnonzero(np.rint(left[:, column])).tolist():
            pivots[column] = left[last]
            left = np.delete(left, last, axis=0)
    found: list[Origin] = []
    free = [column for column in range(3) if column not in pivots]
    for site in sites if free else sites[:1]:
        some = [np.where(np.isin(np.arange(3), free), np.mod(site, 1.0) * n, 0.0)]
        for column in sorted(pivots, reverse=True):
            row = pivots[column]
            divisor = abs(int(np.rint(row[column])))
            some = [
                np.where(
                    np.arange(3) == column,
                    np.mod((row[3] + k - row[:3] @ x + row[column] * x[column]) / row[column], 1.0),
                    x,
                )
                for x in some
                for k in range(divisor)
            ]
        found += [tuple((x / n).tolist()) for x in some]
    return found


def _closest(
    origins: Sequence[Origin],
    lattice: NDArray[np.float64],
    shape: Shape,
    sites: Sequence[NDArray[np.float64]],
) -> Origin | None:
    """Return the origin of the grid whose points come closest to sites."""
    vectors = step_vectors(lattice, shape)
    base = obtuse_superbase(vectors @ vectors.T)[:3]
    around = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    reduced, cells = base @ vectors, around @ (base @ vectors)
    left = np.array(origins)
    for some in sites:
        if len(left) < 2:
            break
        apart = (some[None] - left[:, None]) * np.array(shape) @ np.linalg.inv(base)
        apart = (apart - np.rint(apart)) @ reduced
        squares = np.min(np.sum((apart[:, :, None] + cells) ** 2, axis=-1), axis=-1).sum(axis=1)
        left = left[squares <= squares.min() + _SAME_A2]
    return tuple(left[0].tolist()) if len(left) else None


def _smallest_first(shapes: NDArray[np.int64]) -> list[Shape]:
    ordered = shapes[np.argsort(np.prod(shapes, axis=1), kind="stable")]
    return [(int(a), int(b), int(c)) for a, b, c in ordered]
