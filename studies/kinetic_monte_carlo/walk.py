"""Ions that hop between sites, of which each holds one: rejection-free kinetic Monte Carlo."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from pymatgen.core import Lattice
from scipy.stats import t as student

from studies.kinetic_monte_carlo.sites import SiteNetwork
from superionic.structures.checks import cell_widths
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ATTEMPTS_THz = 10.0
"""Attempts in 1/ps of every hop: 1e13 per second."""
WIDTH_A = 15.0
HOME_eV = 0.1
FARTHEST_A = 4.0


@dataclass(frozen=True)
class WalkSettings:
    """How long ions walk.

    Parameters
    ----------
    n_walks : int
        Independent walks, whose scatter gives intervals.
    n_hops : int
        Hops of each that count; a fifth as many go before.
    n_samples : int
        Positions of each that are kept, at equal numbers of hops.
    lag : int
        Displacements are those over this many samples, and over twice as many.
    seed : int
        Of the random numbers.
    """

    n_walks: int = 8
    n_hops: int = 50_000
    n_samples: int = 32
    lag: int = 2
    seed: int = 0


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_found(self) -> bool:
        """Return whether the interval is above zero."""
        return self.low > 0


@dataclass(frozen=True)
class Diffusion:
    """What came out of walks at one temperature.

    Parameters
    ----------
    tracer_A2_per_ps : Estimate
        Diffusion coefficient of an ion, mean squared displacement over six times the time.
    collective_A2_per_ps : Estimate
        The same of the displacement of all ions together, over their number.
    haven : Estimate
        The first over the second.
    bound_A2_per_ps : float
        What the first is below, with 95 % confidence.
    time_ps : float
        Time that all walks took together; infinite where no ion can hop at all.
    share_home : float
        Share of ions, in the mean, that are at sites of the crystal at rest.
    """

    tracer_A2_per_ps: Estimate
    collective_A2_per_ps: Estimate
    haven: Estimate
    bound_A2_per_ps: float
    time_ps: float
    share_home: float


@dataclass(frozen=True)
class Supercell:
    """Sites of a supercell with the hops that leave each, in compressed rows.

    Parameters
    ----------
    ions : ndarray of int, shape (n_ions,)
        Site of each ion at the beginning.
    home : ndarray of bool, shape (n_sites,)
        Sites at which displacements are taken.
    start, target, barrier_eV, vector, towards_near : ndarray
        Hops of site ``s`` are ``start[s]`` to ``start[s + 1]``: where to, over what, by which of
        ``vectors_A``, and whether the site left is one of those too near to the target.
    near_start, near : ndarray of int
        For each site those that cannot be taken at the same time.
    source_start, source : ndarray of int
        For each site those from which a hop leads to it.
    vectors_A : ndarray, shape (k, 3)
    nearest_A : float
        Distance between the nearest sites of ions, at most 4 A.
    """

    ions: IntArray
    home: NDArray[np.bool_]
    start: IntArray
    target: IntArray
    barrier_eV: FloatArray
    vector: IntArray
    towards_near: NDArray[np.bool_]
    near_start: IntArray
    near: IntArray
    source_start: IntArray
    source: IntArray
    vectors_A: FloatArray
    nearest_A: float


def repeats_of(lattice: FloatArray, width_A: float = WIDTH_A) -> IntArray:
    """Return the cells along each axis of the smallest supercell that is as wide."""
    return np.ceil(width_A / cell_widths(Lattice(lattice)) - 1e-6).astype(np.int64)


def supercell_of(network: SiteNetwork, repeats: IntArray) -> Supercell:
    """Return a supercell, each own site with its ion."""
    shape = tuple(int(n) for n in repeats)
    n_cells, n_sites = int(np.prod(shape)), len(network.energies_eV)
    cells = np.stack(np.unravel_index(np.arange(n_cells), shape), axis=1)

    def spread(ends: IntArray, way: IntArray) -> tuple[IntArray, IntArray]:
        """Return both sites of each pair in each cell."""
        first = np.arange(n_cells)[:, None] * n_sites + ends[None, :, 0]
        there = np.ravel_multi_index(
            tuple(np.moveaxis((cells[:, None] + way[None]) % repeats, -1, 0)), shape
        )
        return first.ravel(), (there * n_sites + ends[None, :, 1]).ravel()

    ends = np.concatenate([network.ends, network.ends[:, ::-1]])
    way = np.concatenate([network.cells, -network.cells])
    vectors = np.concatenate([network.vectors_A, -network.vectors_A])
    passes = np.concatenate([network.passes_eV] * 2)
    barriers = np.maximum(passes - network.energies_eV[ends[:, 0]], 0.0)
    first, second = spread(ends, way)
    kind = np.tile(np.arange(len(ends)), n_cells)
    order = np.argsort(first, kind="stable")
    first, second, kind = first[order], second[order], kind[order]
    near_of, near_to = spread(*network.too_near())
    order = np.argsort(near_of, kind="stable")
    near_of, near_to = near_of[order], near_to[order]
    pairs = set(zip(near_of.tolist(), near_to.tolist(), strict=True))
    sources = np.unique(np.stack([second, first], axis=1), axis=0)
    total = n_cells * n_sites

    def starts(rows: IntArray) -> IntArray:
        return np.searchsorted(rows, np.arange(total + 1))

    ions = np.flatnonzero(np.tile(network.occupied, n_cells))
    # Where ions are at rest: as many sites as there are ions, and those hardly above.
    deepest = np.sort(network.energies_eV)[network.n_ions - 1]
    home = np.tile(network.energies_eV <= deepest + HOME_eV, n_cells)
    return Supercell(
        *(ions, home, starts(first), second, barriers[kind], kind),
        np.array([pair in pairs for pair in zip(first.tolist(), second.tolist(), strict=True)]),
        *(starts(near_of), near_to, starts(sources[:, 0]), sources[:, 1].copy(), vectors),
        network.nearest_ions_A(FARTHEST_A),
    )


def diffusion(
    supercell: Supercell, temperature_K: float, settings: WalkSettings | None = None
) -> Diffusion:
    """Return the diffusion of the ions of a supercell.

    Displacements are those between homes, the site at rest that an ion was at last: who goes aside
    and comes back has not moved. The mean squared displacement counts by its growth from one lag to
    twice that lag, so that ions in cages do not diffuse however often they hop. Lags are in hops,
    and time is the mean time of as many. Intervals: jackknife over walks.
    """
    settings = settings or WalkSettings()
    rates = ATTEMPTS_THz * np.exp(-supercell.barrier_eV / (BOLTZMANN_eV_per_K * temperature_K))
    n_ions, every = len(supercell.ions), max(1, settings.n_hops // settings.n_samples)
    sums = np.zeros((settings.n_walks, 3))  # tracer, collective, time
    total_ps, moved, share = 0.0, False, 1.0
    lag = settings.lag
    for number in range(settings.n_walks):
        homes, times, share_home = _walk(
            *(supercell.ions, supercell.home, supercell.start, supercell.target, rates),
            *(supercell.vector, supercell.towards_near, supercell.near_start, supercell.near),
            *(supercell.source_start, supercell.source, supercell.vectors_A),
            *(settings.n_samples, every, settings.n_hops // 5),
            np.random.default_rng([settings.seed, number]),
        )
        if not np.isfinite(times[-1]):
            nothing = Estimate(0.0, 0.0, 0.0)
            unknown = Estimate(np.nan, np.nan, np.nan)
            return Diffusion(nothing, nothing, unknown, 0.0, np.inf, share)
        share = share_home if number == 0 else share + share_home
        total_ps += float(times[-1] - times[0])
        moved |= bool(np.ptp(homes, axis=0).max() > 0)
        for sign, steps in ((1, 2 * lag), (-1, lag)):
            away = homes[steps:] - homes[:-steps]
            together = away.sum(axis=1)
            sums[number, 0] += sign * np.square(away).sum(axis=(1, 2)).mean() / n_ions
            sums[number, 1] += sign * np.square(together).sum(axis=1).mean() / n_ions
            sums[number, 2] += sign * (times[steps:] - times[:-steps]).mean()
    tracer = _jackknife(sums[:, 0] / 6.0, sums[:, 2])
    collective = _jackknife(sums[:, 1] / 6.0, sums[:, 2])
    haven = _jackknife(sums[:, 0], sums[:, 1])
    # Fewer than three hops were to be expected: rule of three.
    bound = supercell.nearest_A**2 / (2.0 * n_ions * total_ps)
    if moved:
        bound = max(bound, tracer.high)
    return Diffusion(tracer, collective, haven, bound, total_ps, share / settings.n_walks)


def _jackknife(above: FloatArray, below: FloatArray) -> Estimate:
    """Return a ratio of sums with its interval."""
    n = len(above)
    if not below.sum() > 0:
        return Estimate(np.nan, np.nan, np.nan)
    value = above.sum() / below.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (above.sum() - above) / (below.sum() - below)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    half = float(student.ppf(0.975, n - 1) * error)
    return Estimate(float(value), float(value) - half, float(value) + half)


@njit(cache=True, nogil=True)
def _walk(
    ions: IntArray,
    home: NDArray[np.bool_],
    start: IntArray,
    target: IntArray,
    rates: FloatArray,
    vector: IntArray,
    towards_near: NDArray[np.bool_],
    near_start: IntArray,
    near: IntArray,
    source_start: IntArray,
    source: IntArray,
    vectors: FloatArray,
    n_samples: int,
    every: int,
    n_before: int,
    rng: np.random.Generator,
) -> tuple:
    """Return homes of ions at samples, shape (n_samples + 1, n_ions, 3), times, share at home.

    Times are infinite where no ion can hop. The rates of sites are leaves of a binary tree of sums.
    """
    n_sites, n_ions = len(start) - 1, len(ions)
    holds = np.full(n_sites, -1, dtype=np.int64)
    crowd = np.zeros(n_sites, dtype=np.int64)  # ions too near to each site
    for ion in range(n_ions):
        site = ions[ion]
        holds[site] = ion
        for x in range(near_start[site], near_start[site + 1]):
            crowd[near[x]] += 1
    size = 1
    while size < n_sites:
        size *= 2
    tree = np.zeros(2 * size)
    for site in range(n_sites):
        tree[size + site] = _rate(site, holds, crowd, start, target, rates, towards_near)
    for node in range(size - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]
    position, at_home = np.zeros((n_ions, 3)), np.zeros((n_ions, 3))
    homes, times = np.zeros((n_samples + 1, n_ions, 3)), np.zeros(n_samples + 1)
    seen = np.full(n_sites, -1, dtype=np.int64)
    n_home, time, share, sample = 0, 0.0, 0.0, 0
    for ion in range(n_ions):
        n_home += home[ions[ion]]
    for turn in range(n_before + n_samples * every + 1):
        if turn >= n_before and (turn - n_before) % every == 0:
            homes[sample] = at_home
            times[sample] = time
            sample += 1
            if sample > n_samples:
                break
        total = tree[1]
        if total <= 0.0:
            times[:] = np.inf
            break
        time += 1.0 / total
        share += n_home / n_ions / total
        draw, node = rng.random() * total, 1
        while node < size:
            node *= 2
            if draw >= tree[node] and tree[node + 1] > 0.0:
                draw -= tree[node]
                node += 1
        here = node - size
        chosen = np.int64(-1)
        for hop in range(start[here], start[here + 1]):
            to = target[hop]
            if holds[to] >= 0 or crowd[to] > towards_near[hop]:
                continue
            chosen = hop
            draw -= rates[hop]
            if draw < 0.0:
                break
        there, ion = target[chosen], holds[here]
        holds[here], holds[there] = -1, ion
        n_home += np.int64(home[there]) - np.int64(home[here])
        for axis in range(3):
            position[ion, axis] += vectors[vector[chosen], axis]
        if home[there]:
            at_home[ion] = position[ion]
        for x in range(near_start[here], near_start[here + 1]):
            crowd[near[x]] -= 1
        for x in range(near_start[there], near_start[there + 1]):
            crowd[near[x]] += 1
        # Rates change of both sites, and of those from which hops lead to what was freed or shut.
        for end in (here, there):
            _update(end, turn, seen, tree, size, holds, crowd, start, target, rates, towards_near)
            for x in range(near_start[end] - 1, near_start[end + 1]):
                changed = end if x < near_start[end] else near[x]
                for y in range(source_start[changed], source_start[changed + 1]):
                    site = source[y]
                    _update(
                        site,
                        turn,
                        seen,
                        tree,
                        size,
                        holds,
                        crowd,
                        start,
                        target,
                        rates,
                        towards_near,
                    )
    return homes, times, share / max(time, 1e-300)


@njit(cache=True, nogil=True)
def _rate(
    site: int,
    holds: IntArray,
    crowd: IntArray,
    start: IntArray,
    target: IntArray,
    rates: FloatArray,
    towards_near: NDArray[np.bool_],
) -> float:
    """Return the rate at which the ion of a site leaves it."""
    total = 0.0
    if holds[site] >= 0:
        for hop in range(start[site], start[site + 1]):
            to = target[hop]
            if holds[to] < 0 and crowd[to] <= towards_near[hop]:
                total += rates[hop]
    return total


@njit(cache=True, nogil=True)
def _update(
    site: int,
    turn: int,
    seen: IntArray,
    tree: FloatArray,
    size: int,
    holds: IntArray,
    crowd: IntArray,
    start: IntArray,
    target: IntArray,
    rates: FloatArray,
    towards_near: NDArray[np.bool_],
) -> None:
    """Bring a leaf up to date, once a turn, and the sums above it."""
    if seen[site] == turn:
        return
    seen[site] = turn
    rate = _rate(site, holds, crowd, start, target, rates, towards_near)
    node = size + site
    if tree[node] == rate:
        return
    tree[node] = rate
    while node > 1:
        node //= 2
        tree[node] = tree[2 * node] + tree[2 * node + 1]
