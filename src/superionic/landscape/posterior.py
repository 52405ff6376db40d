"""What is known of all maps of a crystal after some of their energies, and how surely.

The energy above the lowest one that is known enters as z = log(1 + E / 0.5 eV), at most that of
``CEILING_eV``: the repulsive wall must not ring into the valleys. One Gaussian process holds for
the points of all mobile ions, since their features are alike where their surroundings are.

The process's standard deviations are multiplied by the root mean square of its standardised
leave-one-out residuals below ``RELEVANT_eV`` where that exceeds 1, and by ``SAFETY``: points are
evaluated where the process doubts, so that they say too little of where it is wrong without doubt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.gaussian_process import (
    N_FIT,
    GaussianProcess,
    Hyperparameters,
    KeptPoints,
    Whitened,
    choose_hyperparameters,
)
from superionic.landscape.interpolation import CEILING_eV, compressed, expanded
from superionic.landscape.points import IrreduciblePoints

FloatArray = NDArray[np.float64]

FLOOR_eV = -0.3
"""No energy is expected this far below the lowest known one."""
RELEVANT_eV = 4.0
"""Energies and barriers above this need not be known closely."""
SAFETY = 1.25
"""From the crystals that the sampler was made with: between 0.6 and 1.5 standard deviations were
the errors at points below 1 eV."""
WIDEST = 3.0
"""Largest factor that the residuals give."""
REFIT_GROWTH = 1.5
LATE_REFIT_GROWTH = 2.0
"""Lengths and noise are chosen anew when the data have grown by this factor; the second holds once
there are more data than are used for it."""
UP_TO_eV = 1.1 * RELEVANT_eV
"""Maps are drawn and read up to here: barriers that are wide about ``RELEVANT_eV`` are seen to be.
It is above 4.04 eV, the largest energy that a descriptor asks for by default."""
CERTAIN = 3.0
"""Standard deviations by which a point must lie above that to be left out of draws; until lengths
and noise are chosen anew, it is taken to stay there."""


def compress(energies_eV: FloatArray) -> FloatArray:
    """Return z = log(1 + E / 0.5 eV) of energies above the lowest, at most at the ceiling."""
    return compressed(np.clip(energies_eV, FLOOR_eV, CEILING_eV))


@dataclass(frozen=True)
class Draws:
    """Maps drawn from the posterior at the points that are not certain.

    Parameters
    ----------
    points : ndarray of int, shape (m,)
        The irreducible points.
    z : ndarray, shape (m, n_draws)
        Their compressed energies.
    """

    points: NDArray[np.int64]
    z: FloatArray

    @property
    def n_draws(self) -> int:
        """Return the number of maps."""
        return self.z.shape[1]


class MapPosterior:
    """The maps of all mobile ions, as far as some energies tell.

    Parameters
    ----------
    points : IrreduciblePoints
        All points.
    features : ndarray of float32, shape (n, d)
        Their features.
    prior_eV : ndarray, shape (n,), optional
        Energies of another potential at all points, on a common zero. They enter as a known
        function and as one more feature, as long as the process explains the data better with
        them than without.
    """

    def __init__(
        self,
        points: IrreduciblePoints,
        features: NDArray[np.float32],
        prior_eV: FloatArray | None = None,
    ) -> None:
        self.points = points
        self.features = features
        self.prior = None if prior_eV is None else compress(prior_eV - prior_eV.min())
        self.known = np.zeros(points.n, dtype=bool)
        self.failed = np.zeros(points.n, dtype=bool)
        self.totals_eV = np.full(points.n, np.nan)
        self.uses_prior = self.prior is not None
        self.zero_eV = np.nan
        self.process: GaussianProcess
        # In the order in which they came: what is computed of the first ones stays.
        self._where = np.empty(0, dtype=np.int64)
        self._n_fitted = 0
        self._doubt = 1.0
        self._start: dict[bool, Hyperparameters] = {}
        self._prior_functions: dict[int, tuple[object, NDArray[np.float32]]] = {}

    @property
    def n_known(self) -> int:
        """Return the number of energies that are known."""
        return int(self.known.sum())

    @property
    def open(self) -> NDArray[np.bool_]:
        """Return a mask of the points that can still be evaluated."""
        return ~self.known & ~self.failed

    def learn(self, points: NDArray[np.int64], totals_eV: FloatArray) -> None:
        """Take in total energies in eV; NaN where there is none and never will be."""
        bad = ~np.isfinite(totals_eV)
        self.failed[points[bad]] = True
        self.totals_eV[points[~bad]] = totals_eV[~bad]
        fresh = np.unique(points[~bad & ~self.known[points]])
        self.known[fresh] = True
        self._where = np.concatenate([self._where, fresh])

    def compressed(self, points: NDArray[np.int64]) -> FloatArray:
        """Return z of points, NaN where the energy is not known."""
        return compress(self.totals_eV[points] - self.zero_eV)

    def doubt(self, standardised: FloatArray) -> bool:
        """Widen all standard deviations if points at random lie too far from their expectation.

        Parameters
        ----------
        standardised : ndarray
            Deviations of energies that were not chosen by the process, over its standard
            deviations.

        Returns
        -------
        bool
            Whether they were too far.
        """
        far = float(np.sqrt(np.mean(standardised**2))) if len(standardised) else 0.0
        if far > 1.0:
            self._doubt *= min(far, WIDEST)
        return far > 1.0

    def update(self, up_to_eV: float | None = None) -> None:
        """Make the posterior follow from all energies that are known.

        Parameters
        ----------
        up_to_eV : float, optional
            Make it follow at all points, and keep those that may lie below this for draws. By
            default only points that may lie below ``UP_TO_eV`` follow, as a rule.
        """
        where = self._where
        before_eV, self.zero_eV = self.zero_eV, float(self.totals_eV[where].min())
        data = compress(self.totals_eV[where] - self.zero_eV)
        growth = REFIT_GROWTH if len(where) <= N_FIT else LATE_REFIT_GROWTH
        renew = len(where) >= growth * self._n_fitted
        if renew:
            self._n_fitted = len(where)
            process = self._process(data, self.uses_prior)
            if self.prior is not None:
                other = self._process(data, not self.uses_prior)
                if other.log_evidence > process.log_evidence:
                    process, self.uses_prior = other, not self.uses_prior
        else:
            x, trend = self._inputs(where)
            old = self.process
            process = GaussianProcess(x, data, trend, old.hyperparameters, old.blocks, old)
        self.process = process
        residuals, sds = process.leave_one_out()
        relevant = data < compress(np.array(RELEVANT_eV))
        ratios = residuals[relevant] / sds[relevant]
        spread = float(np.clip(np.sqrt(np.mean(ratios**2)), 1.0, WIDEST))
        self.spread = SAFETY * self._doubt * spread
        if renew:
            self._kept = KeptPoints(*self._inputs(slice(None)))
        if renew or up_to_eV is not None or self.zero_eV != before_eV:
            cut = compress(np.array(UP_TO_eV if up_to_eV is None else up_to_eV))
            self._kept.renew(process, lambda m, sd: m - CERTAIN * self._widened(sd) < cut)
        else:
            self._kept.follow(process)
        lowest, highest = compress(np.array([FLOOR_eV, CEILING_eV]))
        self.mean = np.clip(self._kept.mean, lowest, highest)
        self.sd = self._widened(self._kept.sd)
        self.mean[where], self.sd[where] = data, 0.0

    def _widened(self, sd: FloatArray) -> FloatArray:
        """Return standard deviations of z, noise included, from those of the process."""
        return self.spread * np.sqrt(sd**2 + self._noise_sd**2)

    def _process(self, data: FloatArray, with_prior: bool) -> GaussianProcess:
        x, trend = self._inputs(self._where, with_prior)
        blocks = (self.features.shape[1], 1) if with_prior else (x.shape[1],)
        start = choose_hyperparameters(x, data, trend, blocks, self._start.get(with_prior))
        self._start[with_prior] = start
        return GaussianProcess(x, data, trend, start, blocks)

    def _inputs(
        self,
        where: NDArray[np.int64] | slice,
        with_prior: bool | None = None,
    ) -> tuple[NDArray[np.float32], FloatArray]:
        x = self.features[where]
        trend = np.ones((len(x), 1))
        if (self.uses_prior if with_prior is None else with_prior) and self.prior is not None:
            prior = self.prior[where][:, None]
            return np.hstack([x, prior.astype(np.float32)]), np.hstack([trend, prior])
        return x, trend

    def whitened(self, points: NDArray[np.int64]) -> Whitened:
        """Return what :meth:`covariance` needs of some points."""
        return self.process.whitened(*self._inputs(points))

    def covariance(self, one: Whitened, other: Whitened) -> FloatArray:
        """Return the covariance of z between two lists of points, shape (m, p)."""
        return self.spread**2 * self.process.covariance(one, other)

    def variance(self, points: Whitened) -> FloatArray:
        """Return the variance of energies in z at some points, noise included, shape (m,)."""
        return self.spread**2 * self.process.variance(points) + self.least_variance

    @property
    def least_variance(self) -> float:
        """Return the variance of z of an energy that all others leave."""
        return max((self.spread * self._noise_sd) ** 2, 1e-12)

    @property
    def _noise_sd(self) -> float:
        """Return the standard deviation in z of an energy about the smooth map."""
        return self.process.amplitude * self.process.hyperparameters.noise

    def energies_eV(self) -> FloatArray:
        """Return all energies above the lowest known one: known, or the posterior's median."""
        energies_eV = expanded(self.mean)
        energies_eV[self.known] = self.totals_eV[self.known] - self.zero_eV
        return energies_eV

    def draws(self, n_draws: int, up_to_eV: float, seed: int) -> Draws:
        """Return maps drawn from the posterior.

        Parameters
        ----------
        n_draws : int
            Number of maps.
        up_to_eV : float
            Points that lie above this for certain are left out.
        seed : int
            Of the maps.
        """
        follow = np.zeros(self.points.n, dtype=bool)
        follow[self._kept.kept] = True
        low = self.mean - CERTAIN * self.sd < compress(np.array(up_to_eV))
        points = np.flatnonzero(~self.known & low & follow)
        prior = self._prior_at(np.concatenate([points, self._where]), n_draws, seed)
        at_points, at_data = prior[: len(points)], prior[len(points) :]
        z = self._kept.draws(points, at_points, at_data, seed, self.spread)
        # What the features do not tell is in the energies of the points all the same.
        noise = np.random.default_rng((seed, 2)).standard_normal(z.shape, dtype=np.float32)
        z += self.spread * self._noise_sd * noise
        lowest, highest = compress(np.array([FLOOR_eV, CEILING_eV]))
        return Draws(points, np.clip(z, lowest, highest, out=z))

    def _prior_at(self, points: NDArray[np.int64], n_draws: int, seed: int) -> NDArray[np.float32]:
        """Return the prior's functions at points; kept as long as lengths are the same."""
        key = (n_draws, seed, self.uses_prior, self.process.hyperparameters.lengths)
        kept = self._prior_functions.get(n_draws)
        if kept is None or kept[0] != key:
            kept = key, np.full((self.points.n, n_draws), np.nan, dtype=np.float32)
            self._prior_functions[n_draws] = kept
        values = kept[1]
        fresh = points[np.isnan(values[points, 0])]
        if len(fresh):
            functions = self.process.functions(n_draws, seed)
            values[fresh] = functions.at(*self._inputs(fresh))
        result: NDArray[np.float32] = values[points]
        return result
