"""Percolation on the periodic crystal in one, two and three dimensions, and the path itself."""

import heapq
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.errors import LandscapeError
from superionic.landscape.interpolation import CEILING_eV, compressed, doubled, expanded
from superionic.landscape.levels import (
    BORDER,
    checked_energies,
    minimum_index,
    minimum_percolation_energy,
    neighbour_offsets,
    rank_energies,
    tile_window,
)
from superionic.landscape.stencils import step_vectors, voronoi_steps


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


READING_STEP_A = 0.13
"""Barriers of the shared map are read on points no farther apart than this along an axis."""
MOST_DOUBLINGS = 2
"""What lies between points half an angstrom apart is not known better on still finer grids."""
MOST_VALUES = 2 * 10**8
"""That is 1.6 GB; a cell of 200 ions in 3,000 A^3 is read as its grid is."""
KNOWN_BELOW_eV = 0.9 * CEILING_eV
"""Those above are read on the grid as it is: energies end at the ceiling between its points."""


def shared_barriers(
    energies_eV: ArrayLike, lattice: ArrayLike, *, step_A: float = READING_STEP_A
) -> tuple[float, float, float]:
    """Return the percolation barriers of the map that all ions share, read between grid points.

    The shared map is the smallest energy of any ion, each above its own minimum. Where the map of
    one ion gives way to that of its neighbour it has a sharp ridge, which grid points miss. Here
    each ion's map, which is smooth, is taken onto a finer grid by itself
    (:func:`~superionic.landscape.interpolation.doubled`), and a step from a point where one ion is
    lowest to one where another is goes over the height at which their energies cross between them.

    Parameters
    ----------
    energies_eV : array_like, shape (n_ions, n1, n2, n3)
        Map of each ion in eV.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    step_A : float
        Grids with points farther apart than this are doubled until they are not, at most twice
        and to ``MOST_VALUES`` values of all maps; infinity reads the grid as it is.

    Returns
    -------
    tuple of float
        As :func:`percolation_barriers`.

    Raises
    ------
    LandscapeError
        When a map holds NaN or no finite energy.
    """
    maps = [checked_energies(one) for one in np.asarray(energies_eV)]
    z = np.array([compressed(one - one.min()) for one in maps])
    highest = compressed(np.array(KNOWN_BELOW_eV))
    levels = _levels(z, lattice)
    finer = between_points(z, lattice, step_A)
    if finer.shape != z.shape:
        found = _levels(finer, lattice)
        levels = np.maximum.accumulate(np.where(found < highest, found, levels))
    one, two, three = expanded(levels).tolist()
    return one, two, three


def between_points(
    z: NDArray[np.float64], lattice: ArrayLike, step_A: float = READING_STEP_A
) -> NDArray[np.float64]:
    """Return maps up to ``CEILING_eV`` on the finer grid on which barriers are read.

    Parameters
    ----------
    z : ndarray, shape (n_ions, n1, n2, n3)
        Maps in :func:`~superionic.landscape.interpolation.compressed` energies.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    step_A : float
        As in :func:`shared_barriers`.
    """
    finer = np.minimum(z, compressed(np.array(CEILING_eV)))
    for _ in range(MOST_DOUBLINGS):
        is_coarse = np.linalg.norm(step_vectors(lattice, finer.shape[1:]), axis=1).max() > step_A
        if is_coarse and 8 * finer.size <= MOST_VALUES:
            finer = doubled(finer, lattice)
    return finer


def _levels(maps: NDArray[np.float64], lattice: ArrayLike) -> NDArray[np.float64]:
    shape = maps.shape[1:]
    steps = voronoi_steps(step_vectors(lattice, shape))
    return percolate(maps.reshape(len(maps), -1), shape, steps).levels


def percolation_barriers(energies_eV: ArrayLike, lattice: ArrayLike) -> tuple[float, float, float]:
    """Return the percolation barriers in at least one, two and three dimensions of one map.

    The barrier in k dimensions is the lowest energy above the minimum of the map at which the
    points of no larger energy, on the periodic grid, hold one connected cluster that comes back to
    itself along k linearly independent lattice translations. Points are neighbours where their
    Voronoi cells touch. Points join a union-find in order of their energy; it carries for each
    point the cell in which its cluster holds it, so that a closed loop shows its lattice
    translation.

    Parameters
    ----------
    energies_eV : array_like, shape (n1, n2, n3)
        Energies in eV; ``inf`` where no ion may go.
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
    levels = _levels(energies[None], lattice)
    one, two, three = (levels - energies.min()).tolist()
    return one, two, three


@dataclass(frozen=True)
class Percolation:
    """Where percolation in one, two and three dimensions begins.

    Parameters
    ----------
    levels : ndarray, shape (3,)
        The smallest values at which it does; ``inf`` where it does not.
    passes : ndarray of int, shape (3, 2)
        The point that completes it and -1, or two points between which maps cross at that level;
        -1 twice where it does not begin.
    """

    levels: NDArray[np.float64]
    passes: NDArray[np.int64]


def percolate(
    maps: NDArray[np.floating],
    shape: tuple[int, ...],
    steps: NDArray[np.int64],
    below: float = np.inf,
) -> Percolation:
    """Return where percolation begins on the smallest of some maps.

    Parameters
    ----------
    maps : ndarray, shape (n_maps, n_points)
        Values on the periodic grid; ``inf`` where no ion may go.
    shape : tuple of int
        Grid points along each axis.
    steps : ndarray of int, shape (m, 3)
        Steps of a path, with each its opposite. Between points where different maps are smallest
        a step passes the largest of the smallest of all maps, each taken as linear between them.
    below : float
        Levels from here on are not looked for.
    """
    shared, owners = lowest_of(maps)
    low = np.flatnonzero(shared < below)
    order = low[np.argsort(shared[low])]
    levels, passes = _percolate(maps, shared, owners, order, np.array(shape), steps, below)
    return Percolation(levels, passes)


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
    vectors = step_vectors(lattice, energies.shape)
    lengths = np.linalg.norm(offsets @ vectors, axis=1)

    ranks, ascending = rank_energies(energies)
    window = tile_window(ranks, minimum_index(energies))
    allowed = int(np.searchsorted(ascending, highest, side="right"))
    # A flat landscape would cost nothing anywhere: a small weight on length decides there.
    cost = ascending - ascending[0] + 1e-3
    visited = np.array(_cheapest_path(window, cost, offsets, lengths, allowed)[::-1])

    points = np.stack(np.unravel_index(visited, window.shape), axis=1) - 1 + minimum - shape
    steps = np.diff(points, axis=0) @ vectors
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
def lowest_of(maps: NDArray[np.floating]) -> tuple:
    """Return the smallest value of some maps at each point, and which map has it."""
    shared, owners = maps[0].copy(), np.zeros(maps.shape[1], dtype=np.int32)
    for number in range(1, len(maps)):
        for point in range(maps.shape[1]):
            if maps[number, point] < shared[point]:
                shared[point], owners[point] = maps[number, point], number
    return shared, owners


@njit(cache=True, nogil=True)
def crossing(maps: NDArray[np.floating], owner: int, here: int, there: int) -> tuple:
    """Return the largest value of the smallest of maps between two points.

    Maps are linear between them, so that their smallest is concave: from the map that is smallest
    here one changes to the next one that crosses it, as long as values rise.

    Returns
    -------
    level : float
    at : float
        Where, from 0 to 1.
    rising, falling : int
        The maps that cross there; both the same where it is at an end.
    """
    at, rising = 0.0, owner
    while True:
        slope = maps[rising, there] - maps[rising, here]
        if slope <= 0:
            return maps[rising, here] + at * slope, at, rising, rising
        following, meet = -1, 1.0
        for other in range(len(maps)):
            less = slope - (maps[other, there] - maps[other, here])
            if less > 0:
                where = (maps[other, here] - maps[rising, here]) / less
                if at <= where < meet:
                    following, meet = other, where
        if following < 0:
            return maps[rising, there], 1.0, rising, rising
        if maps[following, there] <= maps[following, here]:
            return maps[rising, here] + meet * slope, meet, rising, following
        at, rising = meet, following


@njit(cache=True, nogil=True)
def _join(
    parent: NDArray[np.int32],
    cell: NDArray[np.int64],
    members: NDArray[np.int32],
    basis: NDArray[np.int64],
    rank: NDArray[np.int8],
    point: int,
    neighbour: int,
    w: int,
) -> int:
    """Join the clusters of a point and of its neighbour in another cell; return their rank."""
    root, p = _find(parent, cell, point)
    other, q = _find(parent, cell, neighbour)
    # The other frame's cell 0, seen from this frame; round a loop, its translation.
    d = p + w - q
    if root == other:
        if d != 0:
            _add_translation(basis, rank, root, d)
        return rank[root]
    kept, gone = root, other
    if members[root] < members[other]:
        kept, gone = other, root
        d = -d
    parent[gone] = kept
    cell[gone] = d
    members[kept] += members[gone]
    for b in range(rank[gone]):
        _add_translation(basis, rank, kept, basis[gone, b])
    return rank[kept]


@njit(cache=True, nogil=True)
def _percolate(
    maps: NDArray[np.floating],
    shared: NDArray[np.floating],
    owners: NDArray[np.int32],
    order: NDArray[np.int64],
    shape: NDArray[np.int64],
    steps: NDArray[np.int64],
    below: float,
) -> tuple:
    """Return levels and passes of :class:`Percolation`; points are taken in their order."""
    n1, n2, n3 = shape
    size = n1 * n2 * n3
    n_steps = steps.shape[0]
    straight = (steps[:, 0] * n2 + steps[:, 1]) * n3 + steps[:, 2]
    reach = np.array([np.abs(steps[:, axis]).max() for axis in range(3)])
    parent = np.full(size, -1, dtype=np.int32)
    # Of points that have joined; nothing else is read.
    cell = np.empty(size, dtype=np.int64)
    members = np.empty(size, dtype=np.int32)
    basis = np.empty((size, 3), dtype=np.int64)
    rank = np.zeros(size, dtype=np.int8)
    levels = np.full(3, np.inf)
    passes = np.full((3, 2), -1, dtype=np.int64)
    reached = 0
    # Links that open later than both of their ends.
    waiting = [(np.inf, np.int64(-1), np.int64(-1), np.int64(0))]
    for turn in range(len(order) + 1):
        level = float(shared[order[turn]]) if turn < len(order) else below
        while waiting[0][0] <= level and waiting[0][0] < below:
            opens, end, neighbour, w = heapq.heappop(waiting)
            found = _join(parent, cell, members, basis, rank, end, neighbour, w)
            while reached < found:
                levels[reached] = opens
                passes[reached, 0], passes[reached, 1] = end, neighbour
                reached += 1
        if turn == len(order) or reached == 3:
            return levels, passes
        point = order[turn]
        parent[point] = point
        cell[point] = 0
        members[point] = 1
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        inside = (
            reach[0] <= i < n1 - reach[0]
            and reach[1] <= j < n2 - reach[1]
            and reach[2] <= k < n3 - reach[2]
        )
        for step in range(n_steps):
            w = np.int64(0)  # cell that the step leads to
            if inside:
                neighbour = point + straight[step]
                if parent[neighbour] < 0:
                    continue
            else:
                x, y, z = i + steps[step, 0], j + steps[step, 1], k + steps[step, 2]
                w1, w2, w3 = x // n1, y // n2, z // n3
                neighbour = ((x - w1 * n1) * n2 + (y - w2 * n2)) * n3 + (z - w3 * n3)
                if parent[neighbour] < 0:
                    continue
                w = w1 + (w2 + w3 * _DIGIT) * _DIGIT
            if owners[point] != owners[neighbour]:
                root, p = _find(parent, cell, point)
                other, q = _find(parent, cell, neighbour)
                if root == other and p + w == q:
                    continue
                opens = float(crossing(maps, owners[point], point, neighbour)[0])
                if opens > level:
                    if opens < below:
                        heapq.heappush(waiting, (opens, point, neighbour, w))
                    continue
            found = _join(parent, cell, members, basis, rank, point, neighbour, w)
            while reached < found:
                levels[reached] = level
                passes[reached, 0] = point
                reached += 1
            if reached == 3:
                return levels, passes
    return levels, passes


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
