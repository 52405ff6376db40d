"""Percolation on the periodic crystal in one, two and three dimensions, and the path itself."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
from superionic.landscape.maps import IonMaps, MapSymmetry, as_ion_maps
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
    energies_eV: IonMaps | Iterable[ArrayLike],
    lattice: ArrayLike,
    *,
    step_A: float = READING_STEP_A,
) -> tuple[float, float, float]:
    """Return the percolation barriers of the map that all ions share, read between grid points.

    The shared map is the smallest energy of any ion, each above its own minimum. Where the map of
    one ion gives way to that of its neighbour it has a sharp ridge, which grid points miss. Here
    each ion's map, which is smooth, is taken onto a finer grid by itself
    (:func:`~superionic.landscape.interpolation.doubled`), and a step from a point where one ion is
    lowest to one where another is goes over the height at which their energies cross between them.

    Parameters
    ----------
    energies_eV : IonMaps or array_like, shape (n_ions, n1, n2, n3)
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
    maps = as_ion_maps(energies_eV, lattice)
    lowest = maps.of_orbits.min(axis=(1, 2, 3), keepdims=True)
    z = IonMaps(compressed(maps.of_orbits - lowest), maps.symmetry)
    levels = _levels(z)
    finer = between_points(z, step_A)
    if finer is not z:
        found = _levels(finer)
        levels = np.maximum.accumulate(
            np.where(found < compressed(np.array(KNOWN_BELOW_eV)), found, levels)
        )
    one, two, three = expanded(levels).tolist()
    return one, two, three


def between_points(z: IonMaps, step_A: float = READING_STEP_A) -> IonMaps:
    """Return maps up to ``CEILING_eV`` on the finer grid on which barriers are read.

    Parameters
    ----------
    z : IonMaps
        Maps in :func:`~superionic.landscape.interpolation.compressed` energies; they come back
        where their points are near enough.
    step_A : float
        As in :func:`shared_barriers`.
    """
    finer = z
    for _ in range(MOST_DOUBLINGS):
        symmetry = finer.symmetry
        apart_A = np.linalg.norm(step_vectors(symmetry.lattice, symmetry.shape), axis=1).max()
        if apart_A > step_A and 8 * len(finer) * symmetry.n_points <= MOST_VALUES:
            of_orbits = np.minimum(finer.of_orbits, compressed(np.array(CEILING_eV)))
            finer = IonMaps(doubled(of_orbits, symmetry.lattice), symmetry.doubled)
    return finer


def _levels(maps: IonMaps) -> NDArray[np.float64]:
    symmetry = maps.symmetry
    steps = voronoi_steps(step_vectors(symmetry.lattice, symmetry.shape))
    return percolate(maps.values, symmetry, steps).levels


def percolation_barriers(energies_eV: ArrayLike, lattice: ArrayLike) -> tuple[float, float, float]:
    """Return the percolation barriers in at least one, two and three dimensions of one map.

    The barrier in k dimensions is the lowest energy above the minimum of the map at which the
    points of no larger energy, on the periodic grid, hold one connected cluster that comes back to
    itself along k linearly independent lattice translations. Points are neighbours where their
    Voronoi cells touch.

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
    maps = IonMaps.unrelated([energies_eV], lattice)
    one, two, three = (_levels(maps) - maps.of_orbits.min()).tolist()
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
    values: NDArray[np.floating],
    symmetry: MapSymmetry,
    steps: NDArray[np.int64],
    below: float = np.inf,
    table: NDArray[np.int32] | None = None,
) -> Percolation:
    """Return where percolation begins on the smallest of some maps.

    Points that symmetry makes equal are one. Classes of points join a union-find in the order of
    their energy; it carries for each class the operation that takes its own point into the cluster
    of the root. A loop that closes gives an operation that maps the cluster onto itself, and so
    does every operation that fixes a point of it; together they are a group, and the cluster
    percolates in as many dimensions as the translations of this group span.

    Parameters
    ----------
    values : ndarray, shape (n_values,)
        Values of all maps; ``inf`` where no ion may go.
    symmetry : MapSymmetry
        What relates the maps.
    steps : ndarray of int, shape (m, 3)
        Steps of a path, with each its opposite. Between points where different maps are smallest
        a step passes the largest of the smallest of all maps, each taken as linear between them.
    below : float
        Levels from here on are not looked for.
    table : ndarray of int, shape (n_maps, n_points), optional
        Where among ``values`` those of each map are; that of ``symmetry`` by default.
    """
    table = symmetry.table if table is None else table
    classes = symmetry.quotient
    shared, owners = lowest_of(values, table, classes.points)
    low = np.flatnonzero(shared < below)
    order = low[np.argsort(shared[low])]
    levels, passes = _percolate(
        values,
        table,
        shared,
        owners,
        order,
        np.array(symmetry.shape),
        steps,
        below,
        classes.points,
        classes.places,
        classes.classes,
        classes.turned,
        classes.rotations,
        classes.products,
        classes.first_fixed,
        classes.fixed,
    )
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


@njit(cache=True, nogil=True)
def lowest_of(
    values: NDArray[np.floating], table: NDArray[np.int32], points: NDArray[np.int64]
) -> tuple:
    """Return the smallest value of some maps at each of some points, and which map has it."""
    shared = np.empty(len(points), dtype=values.dtype)
    owners = np.zeros(len(points), dtype=np.int32)
    for number in range(len(table)):
        row = table[number]
        for n in range(len(points)):
            value = values[row[points[n]]]
            if number == 0 or value < shared[n]:
                shared[n], owners[n] = value, number
    return shared, owners


@njit(cache=True, nogil=True)
def crossing(
    values: NDArray[np.floating], table: NDArray[np.int32], owner: int, here: int, there: int
) -> tuple:
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
        first, last = values[table[rising, here]], values[table[rising, there]]
        slope = last - first
        if slope <= 0:
            return first + at * slope, at, rising, rising
        following, meet = -1, 1.0
        for other in range(len(table)):
            begin = values[table[other, here]]
            less = slope - (values[table[other, there]] - begin)
            if less > 0:
                where = (begin - first) / less
                if at <= where < meet:
                    following, meet = other, where
        if following < 0:
            return last, 1.0, rising, rising
        if values[table[following, there]] <= values[table[following, here]]:
            return first + meet * slope, meet, rising, following
        at, rising = meet, following


class Forest(NamedTuple):
    """A union-find of classes of points, with the operations between them; arrays by their turn.

    An operation is (rotation, x, y, z): the number of its rotation, 0 the identity, and its shift.

    Parameters
    ----------
    parent : ndarray of int, shape (n,)
        The class above, a root its own.
    frames : ndarray of int, shape (n, 4)
        The operation into the frame of the parent.
    members : ndarray of int, shape (n,)
        Classes below a root.
    group : ndarray of int, shape (n, n_rotations, 4)
        For each rotation an operation that maps a root's cluster onto itself; -1 for none.
    basis, rank : ndarray of int, shapes (n, 3, 3) and (n,)
        Independent translations of this group, and their number.
    rotations, products : ndarray of int, shapes (m, 3, 3) and (m, m)
        As for :class:`~superionic.landscape.quotient.Quotient`.
    """

    parent: NDArray[np.int32]
    frames: NDArray[np.int32]
    members: NDArray[np.int32]
    group: NDArray[np.int32]
    basis: NDArray[np.int64]
    rank: NDArray[np.int8]
    rotations: NDArray[np.int64]
    products: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _operation(row: NDArray[np.int32]) -> tuple:
    return np.int64(row[0]), np.int64(row[1]), np.int64(row[2]), np.int64(row[3])


@njit(cache=True, nogil=True)
def _turned(w: NDArray[np.int64], x: int, y: int, z: int) -> tuple:
    """Return the product of a matrix and a vector."""
    return (
        w[0, 0] * x + w[0, 1] * y + w[0, 2] * z,
        w[1, 0] * x + w[1, 1] * y + w[1, 2] * z,
        w[2, 0] * x + w[2, 1] * y + w[2, 2] * z,
    )


@njit(cache=True, nogil=True)
def _wrapped(x: int, n: int) -> int:
    """Return x modulo n; x is near, and a division would take as long as all the rest."""
    while x < 0:
        x += n
    while x >= n:
        x -= n
    return x


@njit(cache=True, nogil=True)
def _after(forest: Forest, one: Any, other: Any) -> tuple:
    """Return the operation that does the other one first."""
    if one[0] == 0:
        return other[0], other[1] + one[1], other[2] + one[2], other[3] + one[3]
    x, y, z = _turned(forest.rotations[one[0]], other[1], other[2], other[3])
    return forest.products[one[0], other[0]], x + one[1], y + one[2], z + one[3]


@njit(cache=True, nogil=True)
def _inverse(forest: Forest, one: Any) -> tuple:
    """Return the operation that undoes one."""
    back = np.int64(0)
    if one[0] == 0:
        return back, -one[1], -one[2], -one[3]
    while forest.products[back, one[0]] != 0:
        back += 1
    x, y, z = _turned(forest.rotations[back], one[1], one[2], one[3])
    return back, -x, -y, -z


@njit(cache=True, nogil=True)
def _find(forest: Forest, point: int) -> tuple:
    """Return the root of a class, and the operation into the root's frame, halving the way."""
    found = (np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    while forest.parent[point] != point:
        above = forest.parent[point]
        own = _operation(forest.frames[point])
        if forest.parent[above] != above:
            own = _after(forest, _operation(forest.frames[above]), own)
            for k in range(4):
                forest.frames[point, k] = own[k]
            forest.parent[point] = forest.parent[above]
        found = _after(forest, own, found)
        point = forest.parent[point]
    return point, found


@njit(cache=True, nogil=True)
def _add_translation(forest: Forest, root: int, x: int, y: int, z: int) -> bool:
    """Add a translation to those of a cluster; return whether it is independent of them."""
    known = forest.rank[root]
    if known == 3 or (x == 0 and y == 0 and z == 0):
        return False
    if known > 0:
        a1, a2, a3 = forest.basis[root, 0]
        n1, n2, n3 = a2 * z - a3 * y, a3 * x - a1 * z, a1 * y - a2 * x
        if n1 == 0 and n2 == 0 and n3 == 0:
            return False
        if known == 2:
            b1, b2, b3 = forest.basis[root, 1]
            if b1 * n1 + b2 * n2 + b3 * n3 == 0:
                return False
    row = forest.basis[root, known]
    row[0], row[1], row[2] = x, y, z
    forest.rank[root] += 1
    return True


@njit(cache=True, nogil=True)
def _hold(forest: Forest, root: int, added: Any) -> None:
    """Hold an operation and its products with those of a cluster that are held."""
    held, todo = forest.group[root], [added]
    while len(todo) > 0 and forest.rank[root] < 3:
        one = todo.pop()
        r = one[0]
        if held[r, 0] == r:
            x, y, z = one[1] - held[r, 1], one[2] - held[r, 2], one[3] - held[r, 3]
            _add_translation(forest, root, x, y, z)
            continue
        for k in range(4):
            held[r, k] = one[k]
        for s in range(len(forest.rotations)):
            if held[s, 0] == s:
                todo.append(_after(forest, one, _operation(held[s])))
                todo.append(_after(forest, _operation(held[s]), one))


@njit(cache=True, nogil=True)
def _extend(forest: Forest, root: int, added: Any) -> None:
    """Add an operation to the group of a cluster.

    Of each rotation one operation is held. The product of two of them is held, too, or differs from
    the one that is by a translation; these and their images span the translations of the group.
    """
    held, r = forest.group[root], added[0]
    if forest.rank[root] == 3:
        return
    if held[r, 0] != r:
        _hold(forest, root, added)
    else:
        x, y, z = added[1] - held[r, 1], added[2] - held[r, 2], added[3] - held[r, 3]
        if not _add_translation(forest, root, x, y, z):
            return  # as most
    changed = True
    while changed:
        changed = False
        for s in range(1, len(forest.rotations)):
            if held[s, 0] == s:
                for v in range(forest.rank[root]):
                    a, b, c = forest.basis[root, v]
                    x, y, z = _turned(forest.rotations[s], a, b, c)
                    changed |= _add_translation(forest, root, x, y, z)


@njit(cache=True, nogil=True)
def _join(forest: Forest, point: int, other: int, image: Any) -> int:
    """Join the clusters of a class and of an operation's image of another; return their rank."""
    root, up = _find(forest, point)
    gone, back = _find(forest, other)
    through = _after(forest, up, image)
    if root == gone and through == back:
        return forest.rank[root]
    # From the other frame into this one; round a loop, of the cluster onto itself.
    across = _after(forest, through, _inverse(forest, back))
    if root == gone:
        _extend(forest, root, across)
        return forest.rank[root]
    if forest.members[root] < forest.members[gone]:
        root, gone = gone, root
        across = _inverse(forest, across)
    forest.parent[gone] = root
    for k in range(4):
        forest.frames[gone, k] = across[k]
    forest.members[root] += forest.members[gone]
    back = _inverse(forest, across)
    for s in range(1, len(forest.rotations)):
        if forest.group[gone, s, 0] == s:
            one = _after(forest, _operation(forest.group[gone, s]), back)
            one = _after(forest, across, one)
            _extend(forest, root, one)
    for v in range(forest.rank[gone]):
        a, b, c = forest.basis[gone, v]
        x, y, z = _turned(forest.rotations[across[0]], a, b, c)
        one = (np.int64(0), x, y, z)
        _extend(forest, root, one)
    return forest.rank[root]


@njit(cache=True, nogil=True)
def _percolate(
    values: NDArray[np.floating],
    table: NDArray[np.int32],
    shared: NDArray[np.floating],
    owners: NDArray[np.int32],
    order: NDArray[np.int64],
    shape: NDArray[np.int64],
    steps: NDArray[np.int64],
    below: float,
    points: NDArray[np.int64],
    places: NDArray[np.int64],
    classes: NDArray[np.int32],
    turned: NDArray[np.uint8],
    rotations: NDArray[np.int64],
    products: NDArray[np.int64],
    first_fixed: NDArray[np.int64],
    fixed: NDArray[np.uint8],
) -> tuple:
    """Return levels and passes of :class:`Percolation`; classes are taken in their order.

    The forest counts classes by their turn: most of them never have one.
    """
    n1, n2, n3 = shape
    n = len(order)
    turn_of = np.full(len(points), -1, dtype=np.int32)
    parent = np.empty(n, dtype=np.int32)
    rank = np.zeros(n, dtype=np.int8)
    frames = np.empty((n, 4), dtype=np.int32)
    members = np.empty(n, dtype=np.int32)
    group = np.empty((n, len(rotations), 4), dtype=np.int32)
    basis = np.empty((n, 3, 3), dtype=np.int64)
    forest = Forest(parent, frames, members, group, basis, rank, rotations, products)
    levels = np.full(3, np.inf)
    passes = np.full((3, 2), -1, dtype=np.int64)
    reached = 0
    # Links that open later than both of their ends: level, turn, end, turn and image there.
    none = np.int64(-1)
    waiting = [(np.inf, none, none, none, none, none, none, none)]
    for turn in np.arange(n + 1):
        level = float(shared[order[turn]]) if turn < n else below
        while waiting[0][0] <= level and waiting[0][0] < below:
            opens, first, neighbour, other, r, x, y, z = heapq.heappop(waiting)
            image = (r, x, y, z)
            found = _join(forest, first, other, image)
            while reached < found:
                levels[reached] = opens
                passes[reached, 0], passes[reached, 1] = points[order[first]], neighbour
                reached += 1
        if turn == n or reached == 3:
            return levels, passes
        own = order[turn]
        turn_of[own] = turn
        parent[turn] = turn
        members[turn] = 1
        group[turn, :, 0] = -1
        group[turn, 0] = 0
        point = points[own]
        i, j, k = places[own]
        root, up = _find(forest, turn)
        found = reached
        for step in range(len(steps)):
            x, y, z = i + steps[step, 0], j + steps[step, 1], k + steps[step, 2]
            neighbour = (_wrapped(x, n1) * n2 + _wrapped(y, n2)) * n3 + _wrapped(z, n3)
            there = classes[neighbour]
            other = np.int64(turn_of[there])
            if other < 0:
                continue
            # The operation that takes the other class's own point onto the neighbour.
            r = np.int64(turned[neighbour])
            a, b, c = _turned(rotations[r], places[there, 0], places[there, 1], places[there, 2])
            image = (r, x - a, y - b, z - c)
            second, back = _find(forest, other)
            if root == second and _after(forest, up, image) == back:
                continue
            if values[table[owners[own], neighbour]] > shared[there]:
                opens = float(crossing(values, table, owners[own], point, neighbour)[0])
                if opens > level:
                    if opens < below:
                        heapq.heappush(waiting, (opens, turn, neighbour, other, *image))
                    continue
            found = max(found, _join(forest, turn, other, image))
            root, up = _find(forest, turn)
        # Operations that fix the point map its cluster onto itself.
        for f in range(first_fixed[own], first_fixed[own + 1]):
            a, b, c = _turned(rotations[fixed[f]], i, j, k)
            image = (np.int64(fixed[f]), i - a, j - b, k - c)
            found = max(found, _join(forest, turn, turn, image))
        while reached < found:
            levels[reached], passes[reached, 0] = level, point
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
