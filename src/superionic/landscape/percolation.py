"""Percolation on the periodic crystal in one, two and three dimensions, and the path itself."""

import heapq
from dataclasses import dataclass

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
    order = np.argsort(energies, axis=None, kind="stable")
    first = _percolation_points(order, energies.ravel(), np.array(energies.shape), offsets)
    ascending = np.append(energies.ravel()[order], np.inf)
    one, two, three = (ascending[first] - ascending[0]).tolist()
    return one, two, three


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


@njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], cell: NDArray[np.int32], point: int) -> tuple:
    """Return the root of a point and the point's cell in the root's frame, halving the way."""
    c1, c2, c3 = 0, 0, 0
    while parent[point] != point:
        above = parent[point]
        for axis in range(3):
            cell[point, axis] += cell[above, axis]  # a root's own cell is 0
        parent[point] = parent[above]
        c1 += cell[point, 0]
        c2 += cell[point, 1]
        c3 += cell[point, 2]
        point = parent[point]
    return point, c1, c2, c3


@njit(cache=True, nogil=True)
def _add_translation(
    basis: NDArray[np.int32], rank: NDArray[np.int8], root: int, c1: int, c2: int, c3: int
) -> None:
    """Add a lattice translation to those of a cluster if it is independent of them."""
    b = basis[root]
    known = rank[root]
    if known == 3 or (c1 == 0 and c2 == 0 and c3 == 0):
        return
    x = b[0, 1] * c3 - b[0, 2] * c2
    y = b[0, 2] * c1 - b[0, 0] * c3
    z = b[0, 0] * c2 - b[0, 1] * c1
    if known == 1 and x == 0 and y == 0 and z == 0:
        return
    if known == 2 and b[1, 0] * x + b[1, 1] * y + b[1, 2] * z == 0:
        return
    b[known, 0] = c1
    b[known, 1] = c2
    b[known, 2] = c3
    rank[root] += 1


@njit(cache=True, nogil=True)
def _percolation_points(
    order: NDArray[np.int64],
    energies: NDArray[np.float64],
    shape: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the place in ``order`` of the point that completes each dimension (or its size)."""
    n1, n2, n3 = shape
    size = order.size
    parent = np.full(size, -1, dtype=np.int32)
    cell = np.zeros((size, 3), dtype=np.int32)
    members = np.ones(size, dtype=np.int32)
    basis = np.zeros((size, 3, 3), dtype=np.int32)
    rank = np.zeros(size, dtype=np.int8)
    first = np.full(3, size, dtype=np.int64)
    reached = 0
    for place in range(size):
        point = order[place]
        if energies[point] == np.inf:
            break
        parent[point] = point
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        for step in range(offsets.shape[0]):
            x, y, z = i + offsets[step, 0], j + offsets[step, 1], k + offsets[step, 2]
            w1, w2, w3 = x // n1, y // n2, z // n3  # cell that the step leads to
            neighbour = ((x - w1 * n1) * n2 + (y - w2 * n2)) * n3 + (z - w3 * n3)
            if parent[neighbour] < 0:
                continue
            root, p1, p2, p3 = _find(parent, cell, point)
            other, q1, q2, q3 = _find(parent, cell, neighbour)
            # The other frame's cell 0, seen from this frame; round a loop, its translation.
            d1, d2, d3 = p1 + w1 - q1, p2 + w2 - q2, p3 + w3 - q3
            if root == other:
                _add_translation(basis, rank, root, d1, d2, d3)
            else:
                if members[root] < members[other]:
                    root, other = other, root
                    d1, d2, d3 = -d1, -d2, -d3
                parent[other] = root
                cell[other, 0] = d1
                cell[other, 1] = d2
                cell[other, 2] = d3
                members[root] += members[other]
                for b in basis[other, : rank[other]]:
                    _add_translation(basis, rank, root, b[0], b[1], b[2])
            while reached < rank[root]:
                first[reached] = place
                reached += 1
            if reached == 3:
                return first
    return first


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
