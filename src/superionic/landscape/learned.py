"""Landscapes from about a hundred energies, with an interval on every descriptor.

1. A first design: the ions' own sites; then points far from each other in feature space among those
   with room for an ion, no closer to any species than 0.85 times the shortest such distance of an
   ion on its site; then a few among all.
2. A Gaussian process on the surroundings of the points of all mobile ions learns the logarithm of
   1 + E / 0.5 eV (:mod:`~superionic.landscape.posterior`).
3. Maps drawn from it go through the exact percolation, volumes and Xi. While the 95 % interval of
   one of these is wider than its tolerance, a batch of energies is evaluated that tells most of
   the wide ones (:mod:`~superionic.landscape.acquisition`).
4. When all are narrow, a larger and fresh set of draws has to agree, and what the descriptors hang
   on has to be evaluated: the passes of the most probable map, its minima, and the points that may
   lie below these. Last, a batch of points at random has to lie where the process expects it.

Where another potential's landscape of the crystal is known, its energies are one more feature and a
known function of the process: only the difference is learned. The design then is made of sites, of
that landscape's passes, and of points far from each other among its low ones. The process goes back
to the features alone as soon as those explain the energies better.

The draws are kept with the landscape: every descriptor of it, now or later, has its interval.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.acquisition import choose
from superionic.landscape.interpolation import expanded
from superionic.landscape.points import NAMES, IrreduciblePoints, Reading
from superionic.landscape.posterior import (
    Draws,
    MapPosterior,
    RELEVANT_eV,
    UP_TO_eV,
    compress,
)
from superionic.landscape.results import DrawnMaps, OrbitLandscape
from superionic.landscape.settings import LearnedSettings
from superionic.landscape.surroundings import Seen, principal_components

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Ending = Literal["settled", "budget", "exhausted"]
"""All intervals narrow enough; no energy left to spend; every point evaluated."""

N_DESIGN = 16
ROOM = 0.85
"""Smallest distance to a species, relative to that of an ion on its site, of points with room."""

N_PRIOR_DESIGN = 4
"""Points beside sites and passes where another potential's landscape is known."""
PRIOR_BELOW_eV = 2.5
"""They are among those that lie below this there."""

N_LOOKS = 12
"""Maps that are drawn in each round, and of which Xi is read at the most."""

MARGIN = 1.15
"""At the end they are drawn this many times as high as the highest barrier, if that is more."""

MIN_VOLUME = 0.001
"""Tolerance of a volume as a fraction of the cell, where that is more than the relative one."""

PROPORTIONAL_ABOVE_eV = 2.0
"""Barriers above this have their tolerance in proportion."""

OF_XI = (4, 7)
"""Places of the volumes at the threshold of Xi among :attr:`Reading.values`."""

CAUTION = 2.0
"""Standard deviations by which points may lie below a minimum that are evaluated at the end."""

SAMPLED_FROM = 10
"""Points for each one of a random sample, where a batch would be more."""
MOST_SAMPLES = 3
"""Random samples that are drawn, at most, before a landscape is taken as settled."""

DECISIVE = 0.1
"""Derivative of a barrier from which on a point has to be evaluated at the end."""

UNREACHED_eV = 1e3
"""Stands for an infinite barrier in intervals."""


@dataclass(frozen=True)
class LearnedMaps:
    """What the sampler ends with.

    Parameters
    ----------
    posterior : MapPosterior
        What is known of all maps.
    draws : Draws
        Maps drawn from it.
    ending : str
        Why it ended.
    unsettled : ndarray of bool, shape (11,)
        Which of :attr:`Reading.values` are less certain than asked for.
    n_rounds : int
        Batches that were evaluated.
    """

    posterior: MapPosterior
    draws: Draws
    ending: Ending
    unsettled: NDArray[np.bool_]
    n_rounds: int

    @property
    def unsettled_names(self) -> list[str]:
        """Return the names of the quantities that are less certain than asked for."""
        return [name for name, wide in zip(NAMES, self.unsettled, strict=True) if wide]

    def landscapes(self) -> list[OrbitLandscape]:
        """Return the maps of all orbits on the whole grid, with the drawn ones."""
        posterior, points = self.posterior, self.posterior.points
        energies_eV = posterior.energies_eV()
        minima = points.minima(energies_eV)
        column = np.full(points.n, -1, dtype=np.int32)
        column[self.draws.points] = np.arange(len(self.draws.points))
        drawn_eV = expanded(self.draws.z).T.astype(np.float32)
        result = []
        for number, plan in enumerate(points.plans):
            part = points.part(number)
            lowest = energies_eV[minima[number]]
            own = column[part]
            first = int(np.argmax(own >= 0)) if np.any(own >= 0) else 0
            start = int(own[first]) if len(own) and own[first] >= 0 else 0
            count = int(np.sum(own >= 0))
            result.append(
                OrbitLandscape(
                    plan.orbit,
                    plan.spread(energies_eV[part] - lowest, points.grid),
                    plan.spread(posterior.known[part], points.grid, outside=False),
                    posterior.zero_eV + float(lowest),
                    DrawnMaps(
                        plan.spread(np.where(own >= 0, own - start, -1), points.grid, outside=-1),
                        drawn_eV[:, start : start + count] - np.float32(lowest),
                    ),
                )
            )
        return result


class LandscapeSampler:
    """Asks for energies until the descriptors are known.

    Parameters
    ----------
    points : IrreduciblePoints
        All points.
    surroundings : sequence of Seen
        For each orbit what its representative sees.
    sites : ndarray, shape (n_orbits, 3)
        Fractional coordinates of the representatives.
    settings : LearnedSettings
        Tolerances and budget.
    seed : int
        Of the draws.
    prior_eV : ndarray, shape (n,), optional
        Energies of another potential at all points.
    """

    def __init__(
        self,
        points: IrreduciblePoints,
        surroundings: list[Seen],
        sites: FloatArray,
        settings: LearnedSettings,
        seed: int = 0,
        prior_eV: FloatArray | None = None,
    ) -> None:
        self.points = points
        self.settings = settings
        self.seed = seed
        positions = [points.grid.cartesian(plan.points) for plan in points.plans]
        self.posterior = MapPosterior(
            points, principal_components(surroundings, positions), prior_eV
        )
        self.unsettled = np.ones(11, dtype=bool)
        self.n_rounds = 0
        near = [points.nearest(orbit, site) for orbit, site in enumerate(sites)]
        first = [point for point in near if point is not None]
        self._queue = np.array(
            self._design(first, surroundings, positions, sites)
            if prior_eV is None
            else self._prior_design(first, prior_eV)
        )
        self._ending: Ending | None = None
        self._sample: tuple[IntArray, FloatArray, FloatArray] | None = None
        self._n_samples = 0

    @property
    def ending(self) -> Ending | None:
        """Return why nothing more is asked for; None while something is."""
        return self._ending

    def propose(self) -> IntArray:
        """Return the points whose energies are wanted next; none when it has ended."""
        left = self.settings.max_energies - self._n_asked
        if not self.posterior.open.any():
            self._ending = "exhausted"
        elif left <= 0:
            self._ending = "budget"
        elif self._ending is None and not len(self._queue):
            self._queue = self._next_batch()
        return np.empty(0, dtype=np.int64) if self._ending is not None else self._queue[:left]

    def learn(self, points: IntArray, totals_eV: FloatArray) -> None:
        """Take in what was asked for: total energies in eV, NaN where there is none."""
        self.posterior.learn(points, totals_eV)
        self._queue = np.setdiff1d(self._queue, points)

    def result(self) -> LearnedMaps:
        """Return what is known; at least one energy must be."""
        self.posterior.update()
        barriers_eV = self.points.read(self.posterior.energies_eV()).barriers_eV
        highest_eV = float(np.max(barriers_eV[np.isfinite(barriers_eV)], initial=0.0))
        up_to_eV = max(UP_TO_eV, MARGIN * highest_eV)
        self.posterior.update(up_to_eV)
        draws = self.posterior.draws(self.settings.n_draws, up_to_eV, self.seed)
        if self._ending != "settled":
            self._look(draws)
        return LearnedMaps(
            self.posterior, draws, self._ending or "budget", self.unsettled, self.n_rounds
        )

    @property
    def _n_asked(self) -> int:
        return int((self.posterior.known | self.posterior.failed).sum())

    def _next_batch(self) -> IntArray:
        posterior = self.posterior
        self._judge_sample()
        posterior.update()
        looks = [(N_LOOKS, self.seed + 1), (self.settings.n_draws, self.seed)]
        # Where nothing was wide at the last look, the larger set decides at once.
        for n_draws, seed in looks if self.unsettled.any() else looks[1:]:
            draws = posterior.draws(n_draws, UP_TO_eV, seed)
            readings = self._look(draws)
            if self.unsettled.any():
                self.n_rounds += 1
                n_wanted = max(self.settings.batch_size, posterior.n_known // 6)
                return choose(posterior, draws, readings, self.unsettled, n_wanted)
            checks = np.union1d(self._unchecked(), self._random_sample())
            if len(checks):
                return checks
        self._ending = "settled"
        return np.empty(0, dtype=np.int64)

    def _unchecked(self) -> IntArray:
        """Return points that are not evaluated, but on which the descriptors hang."""
        posterior, points = self.posterior, self.points
        lowest = points.minima(posterior.mean)
        # Lower than the minimum, perhaps, by more than a barrier may be wrong.
        doubtful = posterior.mean - CAUTION * posterior.sd
        below = points.minima(doubtful)
        drop_eV = expanded(posterior.mean[lowest]) - expanded(doubtful[below])
        reading = points.read(posterior.energies_eV(), RELEVANT_eV)
        passes = [
            point
            for one in reading.passes
            for point, derivative in (one or {}).items()
            if derivative > DECISIVE
        ]
        wanted = [*lowest, *below[drop_eV > self.settings.barrier_tolerance_eV], *passes]
        return np.unique(np.array([one for one in wanted if posterior.open[one]], dtype=np.int64))

    def _random_sample(self) -> IntArray:
        """Return points chosen at random, once what is asked for seems to be known.

        They are the only ones that were not chosen where the process doubts.
        """
        if self._n_samples == MOST_SAMPLES:
            return np.empty(0, dtype=np.int64)
        posterior = self.posterior
        rng = np.random.default_rng((self.seed, self._n_samples))
        low = np.flatnonzero(posterior.open & (posterior.mean < compress(np.array(RELEVANT_eV))))
        share = self.points.weights[low]
        n = min(self.settings.batch_size, ceil(len(low) / SAMPLED_FROM))
        chosen = np.sort(rng.choice(low, n, replace=False, p=share / share.sum() if n else None))
        self._sample = chosen, posterior.mean[chosen], posterior.sd[chosen]
        self._n_samples += 1
        return chosen

    def _judge_sample(self) -> None:
        """Make standard deviations wider if points at random say so; otherwise take no more.

        They do if they lie farther from what the process expected than its standard deviations
        say: all that is asked for has to settle again.
        """
        if self._sample is None:
            return
        points, mean, sd = self._sample
        seen = self.posterior.known[points]
        off = (self.posterior.compressed(points) - mean)[seen] / sd[seen]
        if not self.posterior.doubt(off):
            self._n_samples = MOST_SAMPLES
        self._sample = None

    def _maps(self, draws: Draws) -> Iterator[FloatArray]:
        """Yield the energies of all points in each draw; the array is used again."""
        energies_eV = self.posterior.energies_eV()
        for z in expanded(draws.z).T:
            energies_eV[draws.points] = z
            yield energies_eV

    def _look(self, draws: Draws) -> list[Reading]:
        """Read drawn maps, and note what is not settled.

        Xi takes longer than all the rest: it is read once the volume that it is made of is known,
        and of some of the maps.
        """
        readings = [self.points.read(one, UP_TO_eV) for one in self._maps(draws)]
        self.unsettled = self._wide(readings)
        if not self.unsettled[list(OF_XI)].any():
            some = zip(readings[:N_LOOKS], self._maps(draws), strict=False)
            with_xi = [replace(reading, xi=self.points.xi(one)) for reading, one in some]
            readings = with_xi + readings[N_LOOKS:]
            self.unsettled = self._wide(readings)
        return readings

    def _wide(self, readings: list[Reading]) -> NDArray[np.bool_]:
        """Return which quantities have intervals wider than their tolerance.

        Xi is in the first ones, if at all.
        """
        values = np.array([reading.values for reading in readings])
        values[np.isposinf(values)] = UNREACHED_eV
        parts = values[:, :-1], values[:N_LOOKS, -1:]
        low, middle, high = np.hstack(
            [np.quantile(part, (0.025, 0.5, 0.975), axis=0) for part in parts]
        )
        settings = self.settings
        tolerance = np.full(len(middle), settings.xi_tolerance)
        tolerance[:4] = settings.barrier_tolerance_eV * np.maximum(
            1.0, middle[:4] / PROPORTIONAL_ABOVE_eV
        )
        tolerance[4:10] = np.maximum(settings.volume_tolerance * middle[4:10], MIN_VOLUME)
        # Barriers that no ion crosses need not be known closely.
        tolerance[:4][low[:4] > RELEVANT_eV] = np.inf
        # What was not looked at is not known.
        wide: NDArray[np.bool_] = ~((high - low) / 2 <= tolerance)
        return wide

    def _design(
        self,
        first: list[int],
        surroundings: list[Seen],
        positions: list[FloatArray],
        sites: FloatArray,
    ) -> list[int]:
        """Return the points of sites, then points with room, then any."""
        lattice = self.points.grid.lattice
        on_site = np.vstack(
            [
                one.distances(site[None] @ lattice)
                for one, site in zip(surroundings, sites, strict=True)
            ]
        )
        usual = on_site.min(axis=0)
        usual[~np.isfinite(usual)] = 0.0
        room = np.concatenate(
            [
                np.all(one.distances(at) >= ROOM * usual, axis=1)
                for one, at in zip(surroundings, positions, strict=True)
            ]
        )
        features = self.posterior.features
        n_room = 2 * N_DESIGN // 3
        first = first + farthest_points(features, first, room, n_room)
        return first + farthest_points(features, first, np.ones_like(room), N_DESIGN - n_room)

    def _prior_design(self, first: list[int], prior_eV: FloatArray) -> list[int]:
        """Return the points of sites, then the passes of another landscape, then low ones of it."""
        ends = [point for one in self.points.read(prior_eV).passes for point in one or {}]
        first = list(dict.fromkeys([*first, *ends]))
        low = prior_eV - prior_eV.min() < PRIOR_BELOW_eV
        return first + farthest_points(self.posterior.features, first, low, N_PRIOR_DESIGN)


def farthest_points(
    features: NDArray[np.float32], chosen: list[int], among: NDArray[np.bool_], n: int
) -> list[int]:
    """Return up to n points, each as far as possible from those before and from chosen ones."""
    distance = np.full(len(features), np.inf)
    lengths = np.einsum("ij,ij->i", features, features)
    found: list[int] = []

    def take(point: int) -> None:
        away = lengths - 2.0 * features @ features[point] + lengths[point]
        np.minimum(distance, np.maximum(away, 0.0), out=distance)
        distance[point] = -1.0

    for point in chosen:
        take(point)
    for _ in range(n):
        best = int(np.argmax(np.where(among, distance, -1.0)))
        if not among[best] or distance[best] < 0:
            break
        found.append(best)
        take(best)
    return found


def learn_maps(
    sampler: LandscapeSampler, evaluate: Callable[[IntArray], FloatArray]
) -> LearnedMaps:
    """Ask for energies until the sampler ends.

    Parameters
    ----------
    sampler : LandscapeSampler
        What asks.
    evaluate : callable
        Returns total energies in eV of irreducible points; NaN where there is none.
    """
    while len(batch := sampler.propose()):
        sampler.learn(batch, evaluate(batch))
    return sampler.result()
