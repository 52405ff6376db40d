r"""A Gaussian process: what a few values of a smooth function say of all others, and how surely.

Rasmussen & Williams, "Gaussian Processes for Machine Learning" (MIT Press, 2006). A function of
features x is a sum of known functions h(x) with uncertain weights and of a stationary process,

    f(x) = h(x) . w + g(x),   w ~ N(0, s^2 B^2),   g ~ GP(0, s^2 k),
    k(x, x') = (1 + a + a^2 / 3) exp(-a),   a = sqrt(5) |x - x'|_L          (Matern, nu = 5/2),
    |x|_L^2 = sum over blocks b of |x_b|^2 / L_b^2,

and is seen as y = f(x) + s t e, e ~ N(0, 1). With K = k(X, X) + B^2 H H^T + t^2 1 the posterior is

    mean(x) = q(x) . K^-1 y,     cov(x, x') = s^2 [k(x, x') + B^2 h(x) . h(x') - q(x) K^-1 q(x')],
    q(x) = k(x, X) + B^2 h(x) H^T.

Lengths L and noise t maximise the marginal likelihood times broad log-normal priors (R&W eq. 5.8);
s^2 = y K^-1 y / n does so exactly. Draws of the whole function come by Matheron's rule (Wilson *et
al.*, ICML 2020): a draw of the prior, made of random Fourier features (Rahimi & Recht, NIPS 2007;
the frequencies of this kernel are Student's t with five degrees of freedom), is corrected by what
it misses at the data,

    f(.) | y  =  f_prior(.) + q(.) K^-1 (y - f_prior(X) - s t e).

Residuals with one value left out follow from K^-1 alone (R&W eq. 5.12),

    y_i - mean_-i = [K^-1 y]_i / [K^-1]_ii,     var_-i = s^2 / [K^-1]_ii.

| symbol | name here | meaning |
| --- | --- | --- |
| X, y | ``x``, ``y`` | features and values of the data |
| h, H | ``trend`` | known functions: 1, and where there is one another potential's values |
| L | ``lengths`` | for each block of features the distance over which f changes |
| t | ``noise`` | noise relative to s |
| s | ``amplitude`` | size of f |
| B | ``TREND_WIDTH`` | width of the weights of the known functions relative to s |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import gamma, gammaincinv

FloatArray = NDArray[np.float64]

TREND_WIDTH = 10.0
"""Wide enough to leave the weights to the data, narrow enough for double precision."""

NOISE_BOUNDS = (1e-4, 0.3)
NOISE_PRIOR = (np.log(1e-3), 2.0)
"""Mean and width of log t."""

LENGTH_BOUNDS = (0.1, 100.0)
"""In units of the median distance between data."""
LENGTH_PRIOR = (np.log(3.0), 1.5)
"""Mean and width of log L, in the same units."""

N_FREQUENCIES = 1024
"""Random Fourier features of a draw of the prior."""

TAIL = 1.5
"""Degrees of freedom of the chi-square from which they are drawn."""

BLOCK = 1024
"""Rows of a kernel matrix that are in memory at once."""


@dataclass(frozen=True)
class Hyperparameters:
    """What the marginal likelihood chooses.

    Parameters
    ----------
    lengths : tuple of float
        For each block of features the distance over which the function changes.
    noise : float
        Noise relative to the amplitude.
    """

    lengths: tuple[float, ...]
    noise: float


@dataclass(frozen=True)
class Whitened:
    """Points, with their covariance with the data divided by the root of that of the data.

    Parameters
    ----------
    scaled : ndarray, shape (m, d)
        Features in units of the lengths.
    trend : ndarray, shape (m, k)
        Known functions.
    half : ndarray, shape (n, m)
        C^-1 q^T for K = C C^T.
    """

    scaled: FloatArray
    trend: FloatArray
    half: FloatArray

    def __getitem__(self, which: NDArray[np.int64] | list[int]) -> "Whitened":
        """Return some of the points."""
        return Whitened(self.scaled[which], self.trend[which], self.half[:, which])


def matern(squared: FloatArray) -> FloatArray:
    """Return the kernel of squared distances in units of the length."""
    a = np.sqrt(5.0 * np.maximum(squared, 0.0))
    result: FloatArray = (1.0 + a + a * a / 3.0) * np.exp(-a)
    return result


def squared_distances(x: FloatArray, other: FloatArray) -> FloatArray:
    """Return the squared distances between the rows of two arrays, shape (n, m)."""
    result = -2.0 * x @ other.T
    result += np.einsum("ij,ij->i", x, x)[:, None]
    result += np.einsum("ij,ij->i", other, other)[None]
    return np.maximum(result, 0.0, out=result)


class GaussianProcess:
    """The posterior of a function from some of its values.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features of the data.
    y : ndarray, shape (n,)
        Values.
    trend : ndarray, shape (n, k)
        Known functions at the data.
    hyperparameters : Hyperparameters
        Lengths and noise.
    blocks : sequence of int
        Numbers of features in each block; all in one by default.
    """

    def __init__(
        self,
        x: FloatArray,
        y: FloatArray,
        trend: FloatArray,
        hyperparameters: Hyperparameters,
        blocks: Sequence[int] | None = None,
    ) -> None:
        self.blocks = tuple(blocks or (x.shape[1],))
        self.hyperparameters = hyperparameters
        self._scale = 1.0 / np.repeat(hyperparameters.lengths, self.blocks)
        self.x = x * self._scale
        self.trend = trend
        self.y = y
        n = len(y)
        matrix = matern(squared_distances(self.x, self.x)) + TREND_WIDTH**2 * trend @ trend.T
        matrix[np.diag_indices(n)] += hyperparameters.noise**2
        self._factor = cho_factor(matrix, lower=True)
        self.weights: FloatArray = cho_solve(self._factor, y)
        self.amplitude = float(np.sqrt(max(y @ self.weights / n, 1e-12)))

    @property
    def log_evidence(self) -> float:
        """Return the logarithm of the marginal likelihood of the data, up to a constant."""
        return -float(len(self.y) * np.log(self.amplitude) + np.log(np.diag(self._factor[0])).sum())

    def _cross(self, x: FloatArray, trend: FloatArray) -> FloatArray:
        """Return q, shape (m, n)."""
        q = matern(squared_distances(x * self._scale, self.x))
        q += TREND_WIDTH**2 * trend @ self.trend.T
        return q

    def predict(self, x: FloatArray, trend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the posterior's mean and standard deviation of f, each of shape (m,)."""
        mean, variance = np.empty(len(x)), np.empty(len(x))
        for first in range(0, len(x), BLOCK):
            part = slice(first, first + BLOCK)
            q = self._cross(x[part], trend[part])
            mean[part] = q @ self.weights
            prior = 1.0 + TREND_WIDTH**2 * np.einsum("ij,ij->i", trend[part], trend[part])
            half = _forward(self._factor, q)
            variance[part] = prior - np.einsum("ij,ij->j", half, half)
        return mean, self.amplitude * np.sqrt(np.maximum(variance, 1e-12))

    def whitened(self, x: FloatArray, trend: FloatArray) -> "Whitened":
        """Return what :meth:`covariance` needs of some points."""
        half = _forward(self._factor, self._cross(x, trend))
        return Whitened(x * self._scale, trend, half)

    def covariance(self, one: "Whitened", other: "Whitened") -> FloatArray:
        """Return the posterior's covariance of f between two sets of points, shape (m, p)."""
        prior = matern(squared_distances(one.scaled, other.scaled))
        prior += TREND_WIDTH**2 * one.trend @ other.trend.T
        covariance: FloatArray = self.amplitude**2 * (prior - one.half.T @ other.half)
        return covariance

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Return for each value the residual and the standard deviation without it."""
        inverse = cho_solve(self._factor, np.eye(len(self.y)))
        diagonal = np.diag(inverse)
        return self.weights / diagonal, self.amplitude / np.sqrt(diagonal)

    def functions(self, n_draws: int, seed: int) -> "PriorFunctions":
        """Return draws of the prior; the same seed gives the same functions."""
        return PriorFunctions(self._scale, self.trend.shape[1], n_draws, seed)

    def draws(
        self, x: FloatArray, trend: FloatArray, n_draws: int, seed: int, spread: float = 1.0
    ) -> FloatArray:
        """Return draws of f at points, shape (m, n_draws); the same seed gives the same functions.

        Parameters
        ----------
        x, trend : ndarray
            Features and known functions at the points.
        n_draws : int
            Number of functions.
        seed : int
            Of the prior's functions.
        spread : float
            Factor on the deviations from the mean.
        """
        functions = self.functions(n_draws, seed)
        at_data = functions.at(self.x / self._scale, self.trend)
        return self.corrected(x, trend, functions.at(x, trend), at_data, seed, spread)

    def corrected(
        self,
        x: FloatArray,
        trend: FloatArray,
        prior: NDArray[np.float32],
        prior_at_data: NDArray[np.float32],
        seed: int,
        spread: float = 1.0,
    ) -> FloatArray:
        """Return draws of f from those of the prior at the points and at the data."""
        rng = np.random.default_rng(seed)
        noise = self.hyperparameters.noise * rng.standard_normal(prior_at_data.shape)
        missed = cho_solve(self._factor, -prior_at_data - noise)
        result = np.empty(prior.shape)
        for first in range(0, len(x), BLOCK):
            part = slice(first, first + BLOCK)
            q = self._cross(x[part], trend[part])
            deviation = prior[part] + q @ missed
            result[part] = (q @ self.weights)[:, None] + spread * self.amplitude * deviation
        return result


class PriorFunctions:
    """Functions drawn from the prior, of unit amplitude.

    Parameters
    ----------
    scale : ndarray, shape (d,)
        Inverse lengths of the features.
    n_trend : int
        Number of known functions.
    n_draws : int
        Number of functions.
    seed : int
        Of them.
    """

    def __init__(self, scale: FloatArray, n_trend: int, n_draws: int, seed: int) -> None:
        rng = np.random.default_rng((seed, 1))
        # Student's t: a Gaussian over the root of a chi-square c. What is left between close data
        # is in its tail, so small c are drawn more often than they come, and weigh less.
        quantiles = (np.arange(N_FREQUENCIES) + rng.uniform(size=N_FREQUENCIES)) / N_FREQUENCIES
        c = 2.0 * gammaincinv(TAIL / 2.0, quantiles)
        # Ratio of the densities of chi-square with 5 and with TAIL degrees of freedom.
        importance = (c / 2.0) ** ((5.0 - TAIL) / 2.0) * gamma(TAIL / 2.0) / gamma(2.5)
        frequencies = rng.standard_normal((len(scale), N_FREQUENCIES)) * np.sqrt(5.0 / c)
        loads = rng.standard_normal((N_FREQUENCIES, n_draws))
        loads *= np.sqrt(2.0 * importance / N_FREQUENCIES)[:, None]
        self.slopes = TREND_WIDTH * rng.standard_normal((n_trend, n_draws))
        phases = rng.uniform(0.0, 2 * np.pi, N_FREQUENCIES)
        # Single precision is enough for what is drawn at random.
        self.frequencies = (scale[:, None] * frequencies).astype(np.float32)
        self.phases, self.loads = phases.astype(np.float32), loads.astype(np.float32)

    def at(self, x: FloatArray, trend: FloatArray) -> NDArray[np.float32]:
        """Return their values at points, shape (m, n_draws)."""
        result = np.empty((len(x), self.loads.shape[1]), dtype=np.float32)
        for first in range(0, len(x), BLOCK):
            part = slice(first, first + BLOCK)
            waves = x[part].astype(np.float32) @ self.frequencies
            waves += self.phases
            np.cos(waves, out=waves)
            result[part] = waves @ self.loads + trend[part] @ self.slopes
        return result


def _forward(factor: tuple[FloatArray, bool], q: FloatArray) -> FloatArray:
    """Return C^-1 q^T for K = C C^T, shape (n, m)."""
    solved: FloatArray = solve_triangular(factor[0], q.T, lower=True, check_finite=False)
    return solved


def fit(
    x: FloatArray,
    y: FloatArray,
    trend: FloatArray,
    blocks: Sequence[int] | None = None,
    start: Hyperparameters | None = None,
) -> GaussianProcess:
    """Return the process whose lengths and noise are the most probable ones.

    Parameters
    ----------
    x, y, trend, blocks
        As for :class:`GaussianProcess`.
    start : Hyperparameters, optional
        Where to begin; otherwise several beginnings are tried.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0, 6, 13)[:, None]
    >>> process = fit(x, np.sin(x[:, 0]), np.ones((13, 1)))
    >>> mean, sd = process.predict(np.array([[1.25]]), np.ones((1, 1)))
    >>> bool(abs(mean[0] - np.sin(1.25)) < 0.01)
    True
    """
    blocks = tuple(blocks or (x.shape[1],))
    ends = np.cumsum((0, *blocks))
    n = len(y)
    squares = [squared_distances(x[:, a:b], x[:, a:b]) for a, b in pairwise(ends)]
    upper = np.triu_indices(n, 1)
    typical = np.array(
        [np.sqrt(max(np.median(one[upper]) if n > 1 else 0.0, 1e-12)) for one in squares]
    )
    linear = TREND_WIDTH**2 * trend @ trend.T

    def cost(parameters: FloatArray) -> tuple[float, FloatArray]:
        lengths, noise = typical * np.exp(parameters[:-1]), np.exp(parameters[-1])
        scaled = [one / length**2 for one, length in zip(squares, lengths, strict=True)]
        a = np.sqrt(5.0 * sum(scaled))
        decay = np.exp(-a)
        matrix = (1.0 + a + a * a / 3.0) * decay + linear
        matrix[np.diag_indices(n)] += noise**2
        try:
            factor = cho_factor(matrix, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(parameters)
        inverse = cho_solve(factor, np.eye(n), check_finite=False)
        weights = inverse @ y
        squared_amplitude = max(y @ weights / n, 1e-300)
        value = 0.5 * n * np.log(squared_amplitude) + np.log(np.diag(factor[0])).sum()
        # d value / d theta = tr[(K^-1 - w w^T / s^2) dK / d theta] / 2
        pull = inverse - np.outer(weights, weights) / squared_amplitude
        gradient = np.empty_like(parameters)
        slope = (5.0 / 3.0) * (1.0 + a) * decay
        for k, one in enumerate(scaled):
            gradient[k] = 0.5 * np.sum(pull * slope * one)
        gradient[-1] = np.trace(pull) * noise**2
        mean = np.full(len(parameters), LENGTH_PRIOR[0])
        width = np.full(len(parameters), LENGTH_PRIOR[1])
        mean[-1], width[-1] = NOISE_PRIOR
        off = (parameters - mean) / width
        return value + 0.5 * off @ off, gradient + off / width

    bounds = [tuple(np.log(LENGTH_BOUNDS))] * len(blocks) + [tuple(np.log(NOISE_BOUNDS))]
    if start is not None:
        beginnings = [np.append(np.log(np.array(start.lengths) / typical), np.log(start.noise))]
    else:
        beginnings = [np.array([np.log(f)] * len(blocks) + [np.log(1e-3)]) for f in (1.0, 4.0)]
    found = [
        minimize(
            cost,
            np.clip(one, *np.array(bounds).T),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 40},
        )
        for one in beginnings
    ]
    best = min(found, key=lambda one: one.fun).x
    lengths = typical * np.exp(best[:-1])
    chosen = Hyperparameters(tuple(lengths.tolist()), float(np.exp(best[-1])))
    return GaussianProcess(x, y, trend, chosen, blocks)
