"""Exact minimax levels of one mobile ion, and its minimum percolation energy.

The level of a point is the smallest energy at which the ion, starting from its minimum, can reach
it: the minimum over paths of the largest energy on the path (Maevskiy et al., arXiv 2411.06804).
Levels live on a window of ``2 n + 1`` points along each axis, centred on the minimum and not
periodic: at its faces the ion has moved by one lattice vector.
"""

from itertools import product
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from superionic.errors import LandscapeError
from superionic.landscape.stencils import step_vectors

TIE_eV = 1e-4
"""Energies closer than this are equal: single precision does not tell them apart."""

STEP_TOLERANCE: Final[float] = 1e-5
"""Relative excess of a step over the longest one allowed that still counts as equal."""

BORDER: Final[int] = int(np.iinfo(np.int32).min)
"""Mark of the layer of points round a padded window."""


def neighbour_offsets(lattice: ArrayLike, shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return the steps of a path ("sqrt3" connectivity).

    Of the 26 steps to adjacent grid points those are allowed that are no longer than
    ``sqrt(|a1/n1|^2 + |a2/n2|^2 + |a3/n3|^2)``; in a cell with right angles these are all, of a
    skewed cell's diagonals only the shorter ones. The set is closed under inversion.

    Parameters
    ----------
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    shape : tuple of int
        Grid points along each lattice vector.

    Returns
    -------
    ndarray, shape (m, 3)
        Integer steps along the three axes, 6 <= m <= 26.
    """
    vectors = step_vectors(lattice, shape)
    steps = np.array([s for s in product((-1, 0, 1), repeat=3) if any(s)], dtype=np.int64)
    longest = np.sqrt(np.sum(vectors**2))
    return steps[np.linalg.norm(steps @ vectors, axis=1) <= longest * (1 + STEP_TOLERANCE)]


def minimum_percolation_energy(energies_eV: ArrayLike, lattice: ArrayLike) -> float:
    """Return the minimum percolation energy of one ion: the lowest level on a face of its window.

    Parameters
    ----------
    energies_eV : array_like, shape (n1, n2, n3)
        Energies of the mobile ion in eV; ``inf`` where it may not go.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.

    Returns
    -------
    float
        Energy in eV, on the energies' own zero; ``inf`` if no face can be reached.

    Raises
    ------
    LandscapeError
        When the array is not three-dimensional or holds NaN or no finite energy.
    """
    energies = checked_energies(energies_eV)
    offsets = neighbour_offsets(lattice, energies.shape)
    return lowest_face(energies, minimum_index(energies), offsets)


def lowest_face(
    energies_eV: NDArray[np.float64],
    minimum: tuple[int, int, int],
    offsets: NDArray[np.int64],
    below_eV: float = np.inf,
) -> float:
    """Return the minimum percolation energy of one ion where it is below a bound, else infinity.

    Parameters
    ----------
    energies_eV : ndarray, shape (n1, n2, n3)
        The ion's map.
    minimum : tuple of int
        Grid index of its minimum.
    offsets : ndarray, shape (m, 3)
        Steps of a path.
    below_eV : float
        Points from here on are closed.
    """
    flat = energies_eV.ravel()
    open_ = np.flatnonzero(flat < below_eV)
    order = open_[np.argsort(flat[open_])]
    ranks = np.full(flat.size, len(order), dtype=np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    rank = flood_window(ranks, np.array(energies_eV.shape), minimum, offsets, len(order), None)
    return float(flat[order[rank]]) if rank >= 0 else np.inf


def checked_energies(energies_eV: ArrayLike) -> NDArray[np.float64]:
    """Return the energies as a contiguous array of floats, shape (n1, n2, n3), in eV.

    Raises
    ------
    LandscapeError
        When the array is not three-dimensional or holds NaN, minus infinity or nothing finite.
    """
    energies = np.ascontiguousarray(energies_eV, dtype=np.float64)
    if energies.ndim != 3 or energies.size == 0:
        raise LandscapeError(
            f"A landscape has three axes, not the shape {energies.shape}.",
            hint="Pass the map of one mobile ion.",
        )
    wrong = int(np.count_nonzero(np.isnan(energies) | np.isneginf(energies)))
    if wrong or not np.isfinite(energies.min()):
        raise LandscapeError(
            f"{wrong} of {energies.size} energies of a landscape are NaN or minus infinity."
            if wrong
            else f"None of {energies.size} energies of a landscape is finite.",
            hint="Fill points that were not evaluated with the largest evaluated energy or inf.",
        )
    return energies


def minimum_index(energies_eV: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the grid index of the first point of lowest energy.

    Symmetry often makes several minima equal but for rounding; within ``TIE_eV`` the first in array
    order counts, so that rounding does not decide where the window stands.
    """
    lowest = energies_eV <= energies_eV.min() + TIE_eV
    i, j, k = np.unravel_index(int(np.argmax(lowest)), energies_eV.shape)
    return int(i), int(j), int(k)


def rank_energies(
    energies_eV: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return integer ranks, shape (n1, n2, n3), and the energies in ascending order.

    ``ascending[ranks]`` gives the energies back; equal energies share the lowest of their ranks.
    """
    flat = energies_eV.ravel()
    order = np.argsort(flat)
    ascending = flat[order]
    first = np.ones(flat.size, dtype=bool)
    first[1:] = ascending[1:] != ascending[:-1]
    ranks = np.empty(flat.size, dtype=np.int32)
    ranks[order] = np.maximum.accumulate(np.where(first, np.arange(flat.size), 0))
    return ranks.reshape(energies_eV.shape), ascending


@njit(cache=True, nogil=True)
def tile_window(ranks: NDArray[np.int32], minimum: tuple[int, int, int]) -> NDArray[np.int32]:
    """Return the ranks on the window round the minimum, within one layer of ``BORDER``.

    The layer spares the flood every bounds check and tells it when it stands on a face.
    """
    n1, n2, n3 = ranks.shape
    window = np.full((2 * n1 + 3, 2 * n2 + 3, 2 * n3 + 3), BORDER, dtype=np.int32)
    for w1 in range(2 * n1 + 1):
        i = (minimum[0] + w1 + n1) % n1
        for w2 in range(2 * n2 + 1):
            j = (minimum[1] + w2 + n2) % n2
            k = minimum[2]
            for w3 in range(2 * n3 + 1):
                window[w1 + 1, w2 + 1, w3 + 1] = ranks[i, j, k]
                k += 1
                if k == n3:
                    k = 0
    return window


@njit(cache=True, nogil=True)
def flood_window(
    ranks: NDArray[np.integer],
    shape: NDArray[np.int64],
    minimum: tuple[int, int, int],
    offsets: NDArray[np.int64],
    n_ranks: int,
    folded: tuple | None,
) -> int:
    """Flood an ion's window from its minimum, level by level, without laying it out.

    Parameters
    ----------
    ranks : ndarray of int, shape (n_points,)
        For each grid point the level below which it is closed; closed for good from ``n_ranks`` on.
    shape : ndarray of int, shape (3,)
        Grid points along each axis.
    minimum : tuple of int
        Grid index of the minimum.
    offsets : ndarray, shape (m, 3)
        Steps of a path.
    n_ranks : int
        Levels.
    folded : tuple of three arrays, or None
        The ion's window in two cells along each axis, periodic, as the crystal lies: the level of
        each point, shape (2 n1 * 2 n2 * 2 n3,), which begin at ``n_ranks``; points in the order in
        which they are reached; and the number of points at every level, the last one the rest. With
        None the flood ends at the first face.

    Returns
    -------
    int
        Level at which the first face is reached, or -1.
    """
    n1, n2, n3 = shape
    m1, m2, m3 = 2 * n1 + 1, 2 * n2 + 1, 2 * n3 + 1
    # Where a coordinate of the window lies on the grid.
    first = np.array([(minimum[0] + x) % n1 * n2 * n3 for x in range(m1)])
    second = np.array([(minimum[1] + x) % n2 * n3 for x in range(m2)])
    third = np.array([(minimum[2] + x) % n3 for x in range(m3)])
    seen = np.zeros(m1 * m2 * m3, dtype=np.bool_)
    bucket = np.full(n_ranks, -1, dtype=np.int32)
    after = np.empty(m1 * m2 * m3, dtype=np.int32)  # next point in the same bucket
    straight = (offsets[:, 0] * m2 + offsets[:, 1]) * m3 + offsets[:, 2]
    centre = (n1 * m2 + n2) * m3 + n3
    seen[centre] = True
    lowest = ranks[first[n1] + second[n2] + third[n3]]
    if lowest >= n_ranks:
        return -1
    after[centre] = -1
    bucket[lowest] = centre
    face = -1
    for level in range(lowest, n_ranks):
        while bucket[level] >= 0:
            point = bucket[level]
            bucket[level] = after[point]
            x, y, z = point // (m2 * m3), point // m3 % m2, point % m3
            inside = 0 < x < m1 - 1 and 0 < y < m2 - 1 and 0 < z < m3 - 1
            if not inside and face < 0:
                face = level
            if folded is not None:
                at = (minimum[0] + x) % (2 * n1) * 2 * n2 + (minimum[1] + y) % (2 * n2)
                at = at * 2 * n3 + (minimum[2] + z) % (2 * n3)
                # Levels only rise: the first that comes to a point is its own.
                if folded[0][at] == n_ranks:
                    folded[0][at] = level
                    folded[1][folded[0].size - folded[2][n_ranks]] = at
                    folded[2][level] += 1
                    folded[2][n_ranks] -= 1
            elif face >= 0:
                return face
            for s in range(len(offsets)):
                a, b, c = x + offsets[s, 0], y + offsets[s, 1], z + offsets[s, 2]
                if not inside and (a < 0 or b < 0 or c < 0 or a >= m1 or b >= m2 or c >= m3):
                    continue
                to = point + straight[s]
                if seen[to]:
                    continue
                seen[to] = True
                rank = max(level, ranks[first[a] + second[b] + third[c]])
                if rank < n_ranks:
                    after[to] = bucket[rank]
                    bucket[rank] = to
    return face


@njit(cache=True, nogil=True)
def unite_window(
    united: tuple,
    own: tuple,
    shape: NDArray[np.int64],
    matrix: NDArray[np.int64],
    here: tuple,
    there: tuple,
) -> None:
    """Lower a union of windows to the image of one.

    Parameters
    ----------
    united, own : tuples of arrays
        Levels, points and numbers, as ``folded`` of :func:`flood_window`; of the union points are
        left alone.
    shape : ndarray of int, shape (3,)
        Grid points along each axis.
    matrix : ndarray of int, shape (3, 3)
        A permutation of the axes, with signs.
    here, there : tuples of int
        Grid indices of the window's minimum, and of its image.
    """
    m1, m2, m3 = 2 * shape
    last = len(own[2]) - 1
    for place in range(own[0].size - own[2][last]):
        point = own[1][place]
        x, y, z = point // (m2 * m3), point // m3 % m2, point % m3
        x, y, z = x - here[0] - shape[0], y - here[1] - shape[1], z - here[2] - shape[2]
        a = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + there[0] + shape[0]
        b = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + there[1] + shape[1]
        c = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + there[2] + shape[2]
        at = (a % m1 * m2 + b % m2) * m3 + c % m3
        level = own[0][point]
        if level < united[0][at]:
            united[2][united[0][at]] -= 1
            united[2][level] += 1
            united[0][at] = level
