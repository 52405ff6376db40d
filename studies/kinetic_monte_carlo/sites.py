"""Sites and passes of a landscape: the minima of the shared map, and what lies between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit, types
from numba.typed import Dict
from numpy.typing import ArrayLike, NDArray
from pymatgen.core import Lattice

from superionic.errors import LandscapeError
from superionic.landscape.interpolation import compressed, expanded
from superionic.landscape.maps import IonMaps
from superionic.landscape.percolation import between_points, crossing, lowest_of
from superionic.landscape.stencils import step_vectors, voronoi_steps
from superionic.landscape.transport import HIGHEST_eV
from superionic.structures.checks import cell_widths

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEAREST_A = 1.8
"""Two ions of lithium are nowhere nearer to each other than about this."""
SHALLOW_eV = 0.1
"""About k_B T at 1000 K: a minimum beside a site, with a lower pass to it, is part of that site."""


@dataclass(frozen=True)
class SiteNetwork:
    """Sites of one cell and the passes between them.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Lattice vectors in A, as rows.
    positions_A : ndarray, shape (m, 3)
        Where the sites of cell (0, 0, 0) lie.
    energies_eV : ndarray, shape (m,)
        Of an ion at each.
    occupied : ndarray of bool, shape (m,)
        The ions' own sites, of which each holds one.
    ends : ndarray of int, shape (k, 2)
        The two sites of each pass; once for both directions.
    cells : ndarray of int, shape (k, 3)
        In which cell the second lies when the first is in (0, 0, 0).
    passes_eV : ndarray, shape (k,)
        Energy of the lowest point between the two.
    """

    lattice: FloatArray
    positions_A: FloatArray
    energies_eV: FloatArray
    occupied: BoolArray
    ends: IntArray
    cells: IntArray
    passes_eV: FloatArray

    @property
    def n_ions(self) -> int:
        """Return the ions of a cell."""
        return int(self.occupied.sum())

    @property
    def vectors_A(self) -> FloatArray:
        """Return the vector from the first to the second site of each pass."""
        first, second = self.ends.T
        found: FloatArray = (
            self.positions_A[second] + self.cells @ self.lattice - self.positions_A[first]
        )
        return found

    def dimensions(self) -> int:
        """Return in how many dimensions passes lead on without end."""
        neighbours: list[list[tuple[int, IntArray]]] = [[] for _ in self.energies_eV]
        for (first, second), cell in zip(self.ends, self.cells, strict=True):
            neighbours[first].append((second, cell))
            neighbours[second].append((first, -cell))
        seen: dict[int, IntArray] = {}
        best = 0
        for begin in range(len(neighbours)):
            if begin in seen:
                continue
            seen[begin] = np.zeros(3, dtype=np.int64)
            waiting, loops = [begin], [np.zeros(3, dtype=np.int64)]
            while waiting:
                site = waiting.pop()
                for other, cell in neighbours[site]:
                    there = seen[site] + cell
                    if other not in seen:
                        seen[other] = there
                        waiting.append(other)
                    elif (seen[other] != there).any():
                        loops.append(there - seen[other])
            best = max(best, int(np.linalg.matrix_rank(np.unique(loops, axis=0))))
        return best

    def nearest_ions_A(self, at_most_A: float) -> float:
        """Return the distance between the nearest ions, at most what is given."""
        own = self.positions_A[self.occupied]
        found = at_most_A
        for _, distances in _images(self.lattice, own, at_most_A):
            found = min(found, float(distances[distances > 1e-6].min(initial=found)))
        return found

    def too_near(self, nearest_A: float = NEAREST_A) -> tuple[IntArray, IntArray]:
        """Return pairs of sites that cannot both be taken, and the cell of the second.

        Both directions of each pair. The ions' own sites are as near to each other as they are.
        """
        found, cells = [], []
        for cell, distances in _images(self.lattice, self.positions_A, nearest_A):
            near = (distances < nearest_A) & ~np.logical_and.outer(self.occupied, self.occupied)
            if not any(cell):
                np.fill_diagonal(near, False)
            for pair in np.argwhere(near):
                found.append(pair)
                cells.append(cell)
        return np.array(found, np.int64).reshape(-1, 2), np.array(cells, np.int64).reshape(-1, 3)


def site_network(
    energies_eV: ArrayLike,
    lattice: ArrayLike,
    ions: ArrayLike,
    *,
    nearest_A: float = NEAREST_A,
    shallow_eV: float = SHALLOW_eV,
) -> SiteNetwork:
    """Return the sites and passes of the map that ions share, up to ``HIGHEST_eV``.

    Parameters
    ----------
    energies_eV : array_like, shape (n_ions, n1, n2, n3)
        Map of each ion in eV; each counts from its own minimum.
    lattice : array_like, shape (3, 3)
        Lattice vectors in A, as rows.
    ions : array_like, shape (n_ions, 3)
        Where the ions are, in fractional coordinates from the grid's first point.
    nearest_A, shallow_eV : float
        A minimum that is nearer than the one to a deeper site, or to an ion's own, and has a pass
        to it of less than the other above itself, is part of that site.

    Raises
    ------
    LandscapeError
        When two ions are in one basin of the map, or an ion above ``HIGHEST_eV``.
    """
    cell = np.asarray(lattice, dtype=float)
    maps = IonMaps.unrelated(energies_eV, cell)
    above = maps.of_orbits - maps.of_orbits.min(axis=(1, 2, 3), keepdims=True)
    z = between_points(IonMaps(compressed(above), maps.symmetry))
    shape = np.array(z.symmetry.shape)
    flat = z.values, z.symmetry.table
    shared, owners = lowest_of(*flat, np.arange(z.symmetry.n_points))
    steps = voronoi_steps(step_vectors(cell, z.symmetry.shape))
    low = np.flatnonzero(shared < compressed(np.array(HIGHEST_eV)))
    order = low[np.argsort(shared[low], kind="stable")]
    basin, cells, minima = _flood(flat, shared, owners, order, shape, steps)
    links = _links(flat, shared, owners, order, shape, steps, basin, cells)
    keys = np.array([*links.keys()], np.int64).reshape(-1, 5)
    passes = expanded(np.array([*links.values()]))

    own = np.round(np.asarray(ions, dtype=float) * shape).astype(np.int64) % shape
    of_ion = basin[np.ravel_multi_index(tuple(own.T), tuple(shape))]
    if (of_ion < 0).any() or len(set(of_ion)) < len(of_ion):
        raise LandscapeError(
            "Two ions are in one basin of the shared map, or one is nowhere below "
            f"{HIGHEST_eV:g} eV.",
            hint="Relax the crystal, or compute its landscape on a finer grid.",
        )
    positions = np.stack(np.unravel_index(minima, tuple(shape)), axis=1) / shape @ cell
    energies = expanded(shared[minima])
    occupied = np.zeros(len(minima), dtype=bool)
    occupied[of_ion] = True
    ends, between = keys[:, :2], keys[:, 2:]
    raw = SiteNetwork(cell, positions, energies, occupied, ends, between, passes)
    return _without_shallow(raw, nearest_A, shallow_eV)


def _without_shallow(raw: SiteNetwork, nearest_A: float, shallow_eV: float) -> SiteNetwork:
    """Return a network in which shallow minima beside sites are part of these."""
    neighbours: list[list[tuple[int, IntArray, float]]] = [[] for _ in raw.energies_eV]
    for (first, second), cell, level in zip(raw.ends, raw.cells, raw.passes_eV, strict=True):
        neighbours[first].append((second, cell, level))
        neighbours[second].append((first, -cell, level))
    root = np.full(len(neighbours), -1)
    offset = np.zeros((len(neighbours), 3), dtype=np.int64)  # cell, when the root's is (0, 0, 0)
    for site in np.lexsort((raw.energies_eV, ~raw.occupied)):
        root[site] = site
        if raw.occupied[site]:
            continue
        for other, cell, level in sorted(neighbours[site], key=lambda one: one[2]):
            if root[other] < 0 or level >= raw.energies_eV[site] + shallow_eV:
                continue
            at = cell - offset[other]  # the cell of its root
            way = raw.positions_A[root[other]] + at @ raw.lattice - raw.positions_A[site]
            if root[other] != site and np.linalg.norm(way) < nearest_A:
                root[site], offset[site] = root[other], -at
                break
    kept = np.unique(root)
    energies = raw.energies_eV.copy()
    np.minimum.at(energies, root, raw.energies_eV)
    number = {int(one): k for k, one in enumerate(kept)}
    lowest: dict[tuple[int, ...], float] = {}
    for (first, second), cell, level in zip(raw.ends, raw.cells, raw.passes_eV, strict=True):
        a, b = number[root[first]], number[root[second]]
        way = offset[first] + cell - offset[second]
        if a == b and not way.any():
            continue
        if a > b or (a == b and tuple(way) < (0, 0, 0)):
            a, b, way = b, a, -way
        key = (a, b, *way.tolist())
        lowest[key] = min(lowest.get(key, np.inf), level)
    keys = np.array([*lowest], np.int64).reshape(-1, 5)
    return SiteNetwork(
        *(raw.lattice, raw.positions_A[kept], energies[kept], raw.occupied[kept]),
        *(keys[:, :2], keys[:, 2:], np.array([*lowest.values()])),
    )


def _images(
    lattice: FloatArray, positions_A: FloatArray, reach_A: float
) -> Iterable[tuple[tuple[int, ...], FloatArray]]:
    """Yield cells with the distances of their sites (columns) from those of the first (rows)."""
    fractional = positions_A @ np.linalg.inv(lattice)
    spread = np.ptp(fractional, axis=0) if len(fractional) else np.zeros(3)
    reach = np.ceil(reach_A / cell_widths(Lattice(lattice)) + spread).astype(int)
    for cell in product(*(range(-r, r + 1) for r in reach)):
        offset = np.array(cell) @ lattice
        yield cell, np.linalg.norm(positions_A[None] + offset - positions_A[:, None], axis=2)


@njit(cache=True, nogil=True)
def _flood(
    maps: tuple,
    shared: FloatArray,
    owners: NDArray[np.int32],
    order: IntArray,
    shape: IntArray,
    steps: IntArray,
) -> tuple:
    """Return the basin of each point (-1: none), the point's cell in it, and the minima.

    In the order of energies a point joins the basin of its lowest neighbour to which no ridge
    leads, and is a minimum where there is none. A minimum is in cell (0, 0, 0) of its basin.
    """
    n1, n2, n3 = shape
    basin = np.full(len(shared), -1, dtype=np.int32)
    cells = np.zeros((len(shared), 3), dtype=np.int16)
    minima = []
    for point in order:
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        best, lowest, step_of_best = np.int64(-1), np.inf, 0
        for s in range(len(steps)):
            x, y, z = i + steps[s, 0], j + steps[s, 1], k + steps[s, 2]
            there = ((x % n1) * n2 + y % n2) * n3 + z % n3
            if basin[there] < 0 or shared[there] >= lowest:
                continue
            ridge = owners[there] != owners[point]
            if ridge and crossing(*maps, owners[point], point, there)[0] > shared[point]:
                continue
            best, lowest, step_of_best = there, shared[there], s
        if best < 0:
            basin[point] = len(minima)
            minima.append(point)
            continue
        basin[point] = basin[best]
        s = step_of_best
        cells[point, 0] = cells[best, 0] - (i + steps[s, 0]) // n1
        cells[point, 1] = cells[best, 1] - (j + steps[s, 1]) // n2
        cells[point, 2] = cells[best, 2] - (k + steps[s, 2]) // n3
    return basin, cells, np.array(minima)


_KEY = types.UniTuple(types.int64, 5)


@njit(cache=True, nogil=True)
def _links(
    maps: tuple,
    shared: FloatArray,
    owners: NDArray[np.int32],
    order: IntArray,
    shape: IntArray,
    steps: IntArray,
    basin: NDArray[np.int32],
    cells: NDArray[np.int16],
) -> Dict:
    """Return the lowest level between each two basins, by both and the cell of the second."""
    found = Dict.empty(_KEY, types.float64)
    n1, n2, n3 = shape
    for point in order:
        i, j, k = point // (n2 * n3), (point // n3) % n2, point % n3
        for s in range(len(steps)):
            x, y, z = i + steps[s, 0], j + steps[s, 1], k + steps[s, 2]
            there = ((x % n1) * n2 + y % n2) * n3 + z % n3
            a, b = np.int64(basin[point]), np.int64(basin[there])
            if b < a:  # seen from the other side, or nowhere
                continue
            w1 = np.int64(cells[point, 0] + x // n1 - cells[there, 0])
            w2 = np.int64(cells[point, 1] + y // n2 - cells[there, 1])
            w3 = np.int64(cells[point, 2] + z // n3 - cells[there, 2])
            # Links of a basin with itself are seen from both sides: one of the two counts.
            if a == b and (w1 < 0 or (w1 == 0 and (w2 < 0 or (w2 == 0 and w3 <= 0)))):
                continue
            level = max(shared[point], shared[there])
            key = (a, b, w1, w2, w3)
            if key in found and found[key] <= level:
                continue
            if owners[point] != owners[there]:
                level = max(level, crossing(*maps, owners[point], point, there)[0])
                if key in found and found[key] <= level:
                    continue
            found[key] = level
    return found
