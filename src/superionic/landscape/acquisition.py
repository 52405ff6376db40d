r"""Which energies to ask for next: those that tell most of what is asked.

What is asked are numbers D of the map z: barriers, volumes. How such a number varies with the
energy of one more point q follows from Stein's lemma (C. Stein, Ann. Statist. 9, 1135, 1981): for a
Gaussian map

    cov(D, z_q) = sum_p h_p cov(z_p, z_q),        h_p = < d D / d z_p >,

the mean over the posterior. A barrier depends on its pass and on the minimum below it,
h = <dE/dz> there with the signs + and -, averaged over drawn maps, each of which has its pass where
it may be; the volume below t on the points that may lie on either side of it,
h_p = -w_p phi((t - m_p) / s_p) / s_p. Knowing z_q takes

    cov(D, z_q)^2 / var z_q

from the variance of D, where the variance of z_q is that of an energy, noise included. Points are
taken one after the other, each time the one that takes the largest share of the variances of all
numbers that are not yet settled, and the covariances are conditioned on it, so that a batch does
not ask the same twice.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.interpolation import ENERGY_SCALE_eV, expanded
from superionic.landscape.points import Reading, VOLUME_THRESHOLDS_eV
from superionic.landscape.posterior import Draws, MapPosterior, compress

FloatArray = NDArray[np.float64]

N_SUPPORT = 150
"""Points that stand for a number: those on which it depends most."""
N_OTHERS = 1000
"""Further points, the least certain ones, that may be asked for."""


def barrier_sensitivity(
    posterior: MapPosterior, draws: Draws, readings: Sequence[Reading], which: int
) -> FloatArray:
    """Return the mean derivative of a barrier with respect to z, for each point."""
    sensitivity = np.zeros(posterior.points.n)
    column = np.full(posterior.points.n, -1)
    column[draws.points] = np.arange(len(draws.points))
    for k, reading in enumerate(readings):
        for point, derivative in (reading.passes[which] or {}).items():
            if column[point] >= 0:
                energy_eV = expanded(draws.z[column[point], k])
                sensitivity[point] += derivative * (energy_eV + ENERGY_SCALE_eV) / draws.n_draws
    return sensitivity


def volume_sensitivity(posterior: MapPosterior, threshold_eV: float) -> FloatArray:
    """Return the mean derivative of the mean volume below a threshold, for each point."""
    points = posterior.points
    mean, sd = posterior.mean, posterior.sd
    lowest_eV = expanded(mean[points.minima(mean)])
    cut = compress(lowest_eV + threshold_eV)[points.orbit]
    sensitivity = np.zeros(points.n)
    open_ = sd > 0
    scaled = (cut[open_] - mean[open_]) / sd[open_]
    density = np.exp(-0.5 * scaled**2) / np.sqrt(2.0 * np.pi)
    sensitivity[open_] = -points.weights[open_] * density / sd[open_]
    return sensitivity


def choose(
    posterior: MapPosterior,
    draws: Draws,
    readings: Sequence[Reading],
    unsettled: NDArray[np.bool_],
    n_wanted: int,
) -> NDArray[np.int64]:
    """Return the points whose energies tell most of the numbers that are not settled.

    Parameters
    ----------
    posterior : MapPosterior
        What is known.
    draws : Draws
        Maps drawn from it.
    readings : sequence of Reading
        What each of them says.
    unsettled : ndarray of bool, shape (11,)
        Which of :attr:`Reading.values` are asked for.
    n_wanted : int
        Points to return; fewer when there are no more.
    """
    wanted = [
        barrier_sensitivity(posterior, draws, readings, which)
        for which in np.flatnonzero(unsettled[:4]).tolist()
    ]
    # Xi is made of volumes at the first threshold.
    volumes = unsettled[4:7] | unsettled[7:10] | (unsettled[10] & np.array([True, False, False]))
    wanted += [
        volume_sensitivity(posterior, VOLUME_THRESHOLDS_eV[k]) for k in np.flatnonzero(volumes)
    ]
    support = _support(wanted, posterior.sd)
    may_be_low = draws.points[posterior.open[draws.points]]
    others = may_be_low[_largest(posterior.sd[may_be_low], N_OTHERS)]
    both = np.union1d(support, others)
    asked = np.flatnonzero(posterior.open[both])
    candidates = both[asked]
    if not len(support) or not len(candidates):
        open_ = np.flatnonzero(posterior.open)
        return open_[_largest(posterior.sd[open_], n_wanted)]
    sensitivities = np.array([one[support] for one in wanted])
    at_both = posterior.whitened(both)
    at_candidates = at_both[asked]
    within = np.searchsorted(both, support)
    covariances = sensitivities @ posterior.covariance(at_both[within], at_both)
    told = covariances[:, asked]
    total = np.einsum("kp,kp->k", covariances[:, within], sensitivities)
    variance = posterior.variance(at_candidates)
    chosen: list[int] = []
    factors: list[FloatArray] = []
    for _ in range(min(n_wanted, len(candidates))):
        share = told**2 / variance / np.maximum(total, 1e-300)[:, None]
        gain = share.sum(axis=0)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        # Condition on it: one more column of a Cholesky factor.
        column = posterior.covariance(at_candidates, at_candidates[[best]])[:, 0]
        for factor in factors:
            column -= factor * factor[best]
        factor = column / np.sqrt(variance[best])
        factors.append(factor)
        of_numbers = told[:, best] / np.sqrt(variance[best])
        told -= np.outer(of_numbers, factor)
        # A number that is all but known keeps a little of its weight.
        total = np.maximum(total - of_numbers**2, 0.02 * total)
        variance = np.maximum(variance - factor**2, posterior.least_variance)
    return candidates[chosen]


def _support(wanted: Sequence[FloatArray], sd: FloatArray) -> NDArray[np.int64]:
    """Return the points on which the numbers depend most."""
    found = [np.empty(0, dtype=np.int64)]
    for sensitivity in wanted:
        some = np.flatnonzero(sensitivity)
        weight = np.abs(sensitivity[some]) * sd[some]
        first = _largest(weight, N_SUPPORT)
        found.append(some[first[weight[first] > 0]])
    return np.unique(np.concatenate(found))


def _largest(values: FloatArray, n: int) -> NDArray[np.int64]:
    """Return the places of up to n values, the largest first."""
    n = min(n, len(values))
    places = np.argpartition(-values, n - 1)[:n] if n < len(values) else np.arange(n)
    result: NDArray[np.int64] = places[np.argsort(-values[places], kind="stable")]
    return result
