"""Percolation on the periodic crystal in one, two and three dimensions, and the path itself."""

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.errors import LandscapeError
from superionic.landscape.levels import (
    BORDER,
    checked_energies,
    minimum_index,
    minimum_percolation_energy,
    neighbour_offsets,
    rank_energies,
    tile_window,
)


@dataclass(frozen=True)
class Path:
    """A percolation path of one mobile ion, from its minimum to a face of its window.

    Parameters
    ----------
    fractional : ndarray, shape (m, 3)
        Points in fractional coordinates of the cell, unwrapped: consecutive points are neighbours.
    energies_eV : ndarray, shape (m,)
        Energies of the points, on the landscape's own zero.
    distances_A : ndarray, shape (m,)
        Length of the path up to each point, from 0.
    length_A : float
        Length of the whole path.
    highest_eV : float
        Largest energy on the path: the minimum percolation energy.
    """

    fractional: NDArray[np.float64]
    energies_eV: NDArray[np.float64]
    distances_A: NDArray[np.float64]
    length_A: float
    highest_eV: float


def percolation_barriers(energies_eV: ArrayLike, lattice: ArrayLike) -> tuple[float, float, float]:
    """Return the percolation barriers in at least one, two and three dimensions.

    The barrier in k dimensions is the lowest energy above the minimum of the map at which the
    points of no larger energy, on the periodic grid, hold one connected cluster that comes back to
    itself along k linearly independent lattice translations. Points join a union-find in order of
    their energy; it carries for each point the cell in which its cluster holds it, so that a
    closed loop shows its lattice translation.

    Parameters
    ----------
    energies_eV : array_like, shape (n1, n2, n3)
        Energies in eV, usually the smallest over all mobile ions at each point; ``inf`` where no
        ion may go.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.

    Returns
    -------
    tuple of float
        Barriers in eV in one, two and three dimensions, each no lower than the one before; ``inf``
        where finite energies do not percolate.

    Raises
    ------
    LandscapeError
        When the array is not three-dimensional or holds NaN or no finite energy.
    """
    energies = checked_energies(energies_eV)
    offsets = neighbour_offsets(lattice, energies.shape)
    passes = percolation_passes(energies, offsets)
    lowest_eV = energies.min()
    one, two, three = (
        float(energies.flat[at] - lowest_eV) if at >= 0 else np.inf for at in passes.tolist()
    )
    return one, two, three


def percolation_passes(
    energies_eV: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the points at which percolation in one, two and three dimensions begins.

    Parameters
    ----------
    energies_eV : ndarray, shape (n1, n2, n3)
        Energies in eV on the periodic grid; ``inf`` where no ion may go.
    offsets : ndarray, shape (m, 3)
        Steps of a path.

    Returns
    -------
    ndarray of int, shape (3,)
        Flat indices; -1 where it does not begin over finite energies.
    """
    flat = energies_eV.ravel()
    finite = np.flatnonzero(flat < np.inf)
    order = finite[np.argsort(flat[finite])]
    passes: NDArray[np.int64] = percolation_points(order, np.array(energies_eV.shape), offsets)
    return passes


def percolation_path(energies_eV: ArrayLike, lattice: ArrayLike) -> Path:
    """Return a path that attains the minimum percolation energy of one ion.

    Of the many such paths, all below that energy, it is the one of the smallest integral of the
    energy above the minimum along the path (trapezoidal rule), so that it keeps to the valleys.

    Parameters
    ----------
    energies_eV : array_like, shape (n1, n2, n3)
        Energies of the mobile ion in eV; ``inf`` where it may not go.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.

    Returns
    -------
    Path
        Points, energies and distances.

    Raises
    ------
    LandscapeError
        When the array is not three-dimensional, holds NaN or no finite energy, or does not
        percolate.
    """
    energies = checked_energies(energies_eV)
    highest = minimum_percolation_energy(energies, lattice)
    if highest == np.inf:
        raise LandscapeError(
            "The mobile ion cannot leave its cell over the energies that were evaluated.",
            hint="Evaluate the landscape up to a higher energy.",
        )
    shape = np.array(energies.shape)
    minimum = np.array(minimum_index(energies))
    offsets = neighbour_offsets(lattice, energies.shape)
    lengths = np.linalg.norm(offsets @ (np.asarray(lattice, dtype=float) / shape[:, None]), axis=1)

    ranks, ascending = rank_energies(energies)
    window = tile_window(ranks, minimum_index(energies))
    allowed = int(np.searchsorted(ascending, highest, side="right"))
    # A flat landscape would cost nothing anywhere: a small weight on length decides there.
    cost = ascending - ascending[0] + 1e-3
    visited = np.array(_cheapest_path(window, cost, offsets, lengths, allowed)[::-1])

    points = np.stack(np.unravel_index(visited, window.shape), axis=1) - 1 + minimum - shape
    steps = np.diff(points, axis=0) @ (np.asarray(lattice, dtype=float) / shape[:, None])
    distances = np.concatenate([[0.0], np.cumsum(np.linalg.norm(steps, axis=1))])
    return Path(
        fractional=points / shape,
        energies_eV=energies[tuple((points % shape).T)],
        distances_A=distances,
        length_A=float(distances[-1]),
        highest_eV=highest,
    )


_DIGIT: Final[int] = 1 << 20
"""Cells are kept as c1 + c2 _DIGIT + c3 _DIGIT^2, which add and subtract as the cells do."""


@njit(cache=True, nogil=True)
def _unpack(cell: int) -> tuple:
    """Return the three numbers of a cell."""
    half = _DIGIT // 2
    shifted = cell + half + half * _DIGIT + half * _DIGIT * _DIGIT
    c1, c2 = shifted % _DIGIT - half, shifted // _DIGIT % _DIGIT - half
    return c1, c2, shifted // (_DIGIT * _DIGIT) - half


@njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], cell: NDArray[np.int64], point: int) -> tuple:
    """Return the root of a point and the point's cell in the root's frame, halving the way."""
    c = np.int64(0)
    while parent[point] != point:
        above = parent[point]
        cell[point] += cell[above]  # a root's own cell is 0
        parent[point] = parent[above]
        c += cell[point]
        point = parent[point]
    return point, c


@njit(cache=True, nogil=True)
def _add_translation(
    basis: NDArray[np.int64], rank: NDArray[np.int8], root: int, translation: int
) -> None:
    """Add a lattice translation to those of a cluster if it is independent of them."""
    known = rank[root]
    if known == 3 or translation == 0:
        return
    if known > 0:
        a1, a2, a3 = _unpack(basis[root, 0])
        c1, c2, c3 = _unpack(translation)
        x, y, z = a2 * c3 - a3 * c2, a3 * c1 - a1 * c3, a1 * c2 - a2 * c1
        if x == 0 and y == 0 and z == 0:
            return
        if known == 2:
            b1, b2, b3 = _unpack(basis[root, 1])
            if b1 * x + b2 * y + b3 * z == 0:
                return
    basis[root, known] = translation
    rank[root] += 1


@njit(cache=True, nogil=True)
def percolation_points(
    order: NDArray[np.int64], shape: NDArray[np.int64], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the points of an ascending list that complete each dimension, or -1.

    Parameters
    ----------
    order : ndarray of int, shape (n,)
        Flat indices of grid points in the order of their energies.
    shape : ndarray of int, shape (3,)
        Grid points along each axis.
    offsets : ndarray, shape (m, 3)
        Steps of a path.
    """
    n1, n2, n3 = shape
    size = n1 * n2 * n3
    n_steps = offsets.shape[0]
    straight = (offsets[:, 0] * n2 + offsets[:, 1]) * n3 + offsets[:, 2]
    parent = np.full(size, -1, dtype=np.int32)
    # Of points that have joined; nothing else is read.
    cell = np.empty(size, dtype=np.int64)
    members = np.empty(size, dtype=np.int32)
    basis = np.empty((size, 3), dtype=np.int64)
    rank = np.zeros(size, dtype=np.int8)
    passes = np.full(3, -1, dtype=np.int64)
    reached = 0
    for point in order:
        parent[point] = point
        cell[point] = 0
        members[point] = 1
        root, p = point, np.int64(0)
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        inside = 0 < i < n1 - 1 and 0 < j < n2 - 1 and 0 < k < n3 - 1
        for step in range(n_steps):
            w = np.int64(0)  # cell that the step leads to
            if inside:
                neighbour = point + straight[step]
                if parent[neighbour] < 0:
                    continue
            else:
                x, y, z = i + offsets[step, 0], j + offsets[step, 1], k + offsets[step, 2]
                w1, w2, w3 = x // n1, y // n2, z // n3
                neighbour = ((x - w1 * n1) * n2 + (y - w2 * n2)) * n3 + (z - w3 * n3)
                if parent[neighbour] < 0:
                    continue
                w = w1 + (w2 + w3 * _DIGIT) * _DIGIT
            other, q = _find(parent, cell, neighbour)
            # The other frame's cell 0, seen from this frame; round a loop, its translation.
            d = p + w - q
            if root == other:
                if d != 0:
                    _add_translation(basis, rank, root, d)
            else:
                kept, gone = root, other
                if members[root] < members[other]:
                    kept, gone = other, root
                    d = -d
                parent[gone] = kept
                cell[gone] = d
                members[kept] += members[gone]
                for b in range(rank[gone]):
                    _add_translation(basis, rank, kept, basis[gone, b])
                root, p = _find(parent, cell, point)
            while reached < rank[root]:
                passes[reached] = point
                reached += 1
            if reached == 3:
                return passes
    return passes


@njit(cache=True, nogil=True)
def _cheapest_path(
    window: NDArray[np.int32],
    cost: NDArray[np.float64],
    offsets: NDArray[np.int64],
    lengths: NDArray[np.float64],
    allowed: int,
) -> list:
    """Return the cheapest way from the centre to a face over ranks below ``allowed``, backwards.

    Dijkstra's algorithm; points are flat indices of the padded window.
    """
    m1, m2, m3 = window.shape
    ranks = window.reshape(-1)
    steps = (offsets[:, 0] * m2 + offsets[:, 1]) * m3 + offsets[:, 2]
    spent = np.full(ranks.size, np.inf)
    previous = np.full(ranks.size, -1, dtype=np.int64)
    centre = ((m1 // 2) * m2 + m2 // 2) * m3 + m3 // 2
    spent[centre] = 0.0
    queue = [(0.0, np.int64(centre))]
    while len(queue) > 0:
        reached_at, point = heapq.heappop(queue)
        if reached_at > spent[point]:
            continue
        at_face = False
        for s in range(steps.size):
            neighbour = point + steps[s]
            rank = ranks[neighbour]
            if rank == BORDER:
                at_face = True
            elif rank < allowed:
                price = reached_at + lengths[s] * 0.5 * (cost[ranks[point]] + cost[rank])
                if price < spent[neighbour]:
                    spent[neighbour] = price
                    previous[neighbour] = point
                    heapq.heappush(queue, (price, neighbour))
        if at_face:
            way = [point]
            while point != centre:
                point = previous[point]
                way.append(point)
            return way
    return [np.int64(centre)]
