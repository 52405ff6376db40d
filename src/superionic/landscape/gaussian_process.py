r"""A Gaussian process: what a few values of a smooth function say of all others, and how surely.

Rasmussen & Williams, "Gaussian Processes for Machine Learning" (MIT Press, 2006). A function of
features x is a sum of known functions h(x) with uncertain weights and of a stationary process,

    f(x) = h(x) . w + g(x),   w ~ N(0, s^2 B^2),   g ~ GP(0, s^2 k),
    k(x, x') = (1 + a + a^2 / 3) exp(-a),   a = sqrt(5) |x - x'|_L          (Matern, nu = 5/2),
    |x|_L^2 = sum over blocks b of |x_b|^2 / L_b^2,

and is seen as y = f(x) + s t e, e ~ N(0, 1). With K = k(X, X) + t^2 1 = C C^T, whitened by C,

    v(x) = C^-1 k(X, x),   z = C^-1 y,   G = C^-1 H,   A = B^-2 1 + G^T G,   b = A^-1 G^T z,
    r(x) = h(x) - G^T v(x),

the posterior is (R&W eq. 2.41 and 2.42)

    mean(x) = h(x) . b + v(x) . (z - G b),
    cov(x, x') = s^2 [k(x, x') - v(x) . v(x') + r(x) A^-1 r(x')].

More data add rows to C and to v and leave the others as they are: what is kept of points costs
with m more data the share m / n of what it costs anew (:class:`KeptPoints`).

Lengths L and noise t maximise the marginal likelihood times broad log-normal priors (R&W eq. 5.8);
s^2 = z . (z - G b) / n does so exactly. Draws of the whole function come by Matheron's rule (Wilson
*et al.*, ICML 2020): a draw of the prior, made of random Fourier features (Rahimi & Recht, NIPS
2007; the frequencies of this kernel are Student's t with five degrees of freedom), is corrected by
the posterior's mean for what it misses at the data,

    f(.) | y  =  f_prior(.) + mean(. | y - f_prior(X) - s t e).

Residuals with one value left out follow from the inverse of K + B^2 H H^T alone (R&W eq. 5.12),

    y_i - mean_-i = [K^-1 y]_i / [K^-1]_ii,     var_-i = s^2 / [K^-1]_ii.

| symbol | name here | meaning |
| --- | --- | --- |
| X, y | ``x``, ``y`` | features and values of the data |
| h, H | ``trend`` | known functions: 1, and where there is one another potential's values |
| v | ``half`` | covariance with the data, whitened |
| L | ``lengths`` | for each block of features the distance over which f changes |
| t | ``noise`` | noise relative to s |
| s | ``amplitude`` | size of f |
| B | ``TREND_WIDTH`` | width of the weights of the known functions relative to s |
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.linalg.blas import dtrmm
from scipy.optimize import minimize
from scipy.special import gamma, gammaincinv

FloatArray = NDArray[np.float64]
SingleArray = NDArray[np.float32]
Features = NDArray[np.floating]
"""In either precision; what is computed of them is double."""

TREND_WIDTH = 10.0
"""Wide enough to leave the weights to the data, narrow enough for double precision."""

NOISE_BOUNDS = (1e-4, 0.3)
NOISE_PRIOR = (np.log(1e-3), 2.0)
"""Mean and width of log t."""

LENGTH_BOUNDS = (0.1, 100.0)
"""In units of the median distance between data."""
LENGTH_PRIOR = (np.log(3.0), 1.5)
"""Mean and width of log L, in the same units."""

N_FIT = 400
"""Data from which lengths and noise are chosen: more of them tell hardly more of so few numbers."""

N_FREQUENCIES = 1024
"""Random Fourier features of a draw of the prior."""

TAIL = 1.5
"""Degrees of freedom of the chi-square from which they are drawn."""

BLOCK = 2048
"""Points that are looked at at once."""

KEPT_BYTES = 2**30
"""Whitened covariances of points are kept up to here; beyond they are computed when asked for."""

KEPT = np.float32
"""They are at most 1, so that this is off by 6e-8: what follows is off by less than the noise."""


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
    half : ndarray, shape (n, m)
        C^-1 k(X, x).
    left : ndarray, shape (m, k)
        r(x) times the inverse root of A.
    """

    scaled: FloatArray
    half: FloatArray
    left: FloatArray

    def __getitem__(self, which: NDArray[np.int64] | list[int]) -> "Whitened":
        """Return some of the points."""
        return Whitened(self.scaled[which], self.half[:, which], self.left[which])


def matern(squared: FloatArray) -> FloatArray:
    """Return the kernel of squared distances in units of the length."""
    a: FloatArray = np.sqrt(5.0 * squared)
    result: FloatArray = a / 3.0
    result += 1.0
    result *= a
    result += 1.0
    np.negative(a, out=a)
    result *= np.exp(a, out=a)
    return result


def squared_distances(x: FloatArray, other: FloatArray) -> FloatArray:
    """Return the squared distances between the rows of two arrays, shape (n, m)."""
    result: FloatArray = x @ other.T
    result *= -2.0
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
    before : GaussianProcess, optional
        One with the same lengths and noise, whose features are the first of these: only what is
        new is computed.
    """

    def __init__(
        self,
        x: Features,
        y: FloatArray,
        trend: FloatArray,
        hyperparameters: Hyperparameters,
        blocks: Sequence[int] | None = None,
        before: "GaussianProcess | None" = None,
    ) -> None:
        self.blocks = tuple(blocks or (x.shape[1],))
        self.hyperparameters = hyperparameters
        self.scale = 1.0 / np.repeat(hyperparameters.lengths, self.blocks)
        self.x: FloatArray = x * self.scale
        self.trend = trend
        self.y = y
        n, n_old = len(y), len(before.y) if before is not None else 0
        fresh = self.x[n_old:]
        matrix = matern(squared_distances(fresh, fresh))
        matrix[np.diag_indices(n - n_old)] += hyperparameters.noise**2
        #: C^-1, shape (n, n): lower triangular.
        self.whitening: FloatArray = np.zeros((n, n))
        #: Rows of C that are new, below the others.
        self.cross = np.empty((n - n_old, 0))
        self._log_determinant = 0.0
        if before is not None:
            self._log_determinant = before._log_determinant
            self.whitening[:n_old, :n_old] = before.whitening
            self.cross = matern(squared_distances(fresh, before.x)) @ before.whitening.T
            matrix -= self.cross @ self.cross.T
        corner = cholesky(matrix, lower=True, check_finite=False)
        inverse = solve_triangular(corner, np.eye(n - n_old), lower=True, check_finite=False)
        self.whitening[n_old:, n_old:] = inverse
        if before is not None:
            self.whitening[n_old:, :n_old] = -inverse @ self.cross @ before.whitening
        self._log_determinant += 2.0 * float(np.log(np.diag(corner)).sum())
        #: G
        self.of_trend: FloatArray = self.whitening @ trend
        inner = self.of_trend.T @ self.of_trend
        inner[np.diag_indices(len(inner))] += TREND_WIDTH**-2
        self._root = cholesky(inner, lower=True, check_finite=False)
        self.trend_weights, self.half_weights = self.weigh(y)
        squared = float(self.half_weights @ (self.whitening @ y)) / n
        self.amplitude = float(np.sqrt(max(squared, 1e-12)))

    def weigh(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what values at the data put on known functions and on whitened covariances.

        Parameters
        ----------
        y : ndarray, shape (n,) or (n, p)
            Values.

        Returns
        -------
        of_trend : ndarray, shape (k,) or (k, p)
            b.
        of_half : ndarray, shape (n,) or (n, p)
            z - G b.
        """
        z = self.whitening @ y
        of_trend: FloatArray = cho_solve(
            (self._root, True), self.of_trend.T @ z, check_finite=False
        )
        return of_trend, z - self.of_trend @ of_trend

    @property
    def log_evidence(self) -> float:
        """Return the logarithm of the marginal likelihood of the data, up to a constant."""
        of_trend = float(np.log(TREND_WIDTH * np.diag(self._root)).sum())
        return -float(len(self.y) * np.log(self.amplitude) + 0.5 * self._log_determinant + of_trend)

    def left(self, rest: FloatArray) -> FloatArray:
        """Return r(x) times the inverse root of A, shape (m, k)."""
        left: FloatArray = solve_triangular(self._root, rest.T, lower=True, check_finite=False).T
        return left

    def predict(self, x: Features, trend: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the posterior's mean and standard deviation of f, each of shape (m,)."""
        at = self.whitened(x, trend)
        mean = trend @ self.trend_weights + at.half.T @ self.half_weights
        return mean, np.sqrt(self.variance(at))

    def whitened(self, x: Features, trend: FloatArray) -> Whitened:
        """Return what :meth:`covariance` needs of some points."""
        scaled = x * self.scale
        half = self.whitening @ matern(squared_distances(self.x, scaled))
        return Whitened(scaled, half, self.left(trend - half.T @ self.of_trend))

    def covariance(self, one: Whitened, other: Whitened) -> FloatArray:
        """Return the posterior's covariance of f between two sets of points, shape (m, p)."""
        result = matern(squared_distances(one.scaled, other.scaled)) - one.half.T @ other.half
        covariance: FloatArray = self.amplitude**2 * (result + one.left @ other.left.T)
        return covariance

    def variance(self, at: Whitened) -> FloatArray:
        """Return the posterior's variance of f at points, shape (m,)."""
        told = np.einsum("ij,ij->j", at.half, at.half) - np.einsum("ij,ij->i", at.left, at.left)
        variance: FloatArray = self.amplitude**2 * np.maximum(1.0 - told, 1e-12)
        return variance

    def leave_one_out(self) -> tuple[FloatArray, FloatArray]:
        """Return for each value the residual and the standard deviation without it."""
        weights = self.half_weights @ self.whitening
        diagonal = np.einsum("ij,ij->j", self.whitening, self.whitening)
        of_trend = solve_triangular(
            self._root, self.of_trend.T @ self.whitening, lower=True, check_finite=False
        )
        diagonal -= np.einsum("ij,ij->j", of_trend, of_trend)
        return weights / diagonal, self.amplitude / np.sqrt(diagonal)

    def functions(self, n_draws: int, seed: int) -> "PriorFunctions":
        """Return draws of the prior; the same seed gives the same functions."""
        return PriorFunctions(self.scale, self.trend.shape[1], n_draws, seed)

    def draws(
        self, x: Features, trend: FloatArray, n_draws: int, seed: int, spread: float = 1.0
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
        at_data = functions.at(self.x / self.scale, self.trend)
        kept = KeptPoints(x, trend)
        kept.renew(self)
        return kept.draws(np.arange(len(x)), functions.at(x, trend), at_data, seed, spread)


class KeptPoints:
    """What processes of more and more data say of the same points.

    Parameters
    ----------
    x : ndarray, shape (m, d)
        Features of the points.
    trend : ndarray, shape (m, k)
        Known functions.
    """

    def __init__(self, x: Features, trend: FloatArray) -> None:
        self.x, self.trend = x, trend
        self.mean, self.sd = np.zeros(len(x)), np.zeros(len(x))
        #: The points that follow more data.
        self.kept = np.arange(len(x))
        self._column = self.kept
        self._told = np.zeros(len(x))
        # Whitened covariances with the data, of the points that are kept; None where they are many.
        self._chunks: list[SingleArray] | None = None

    def renew(
        self,
        process: GaussianProcess,
        keep: Callable[[FloatArray, FloatArray], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Let all points follow from a process.

        Parameters
        ----------
        process : GaussianProcess
            The process.
        keep : callable, optional
            Says from means and standard deviations which points are to follow more data; all do
            without it.
        """
        self.process = process
        wanted, told = np.ones(len(self.x), dtype=bool), np.empty(len(self.x))
        found: list[SingleArray] = []
        size = 0
        for points in _blocks(np.arange(len(self.x))):
            half = self._anew(points)
            told[points] = _squares(half)
            self._predict(points, [half], told[points])
            if keep is not None:
                wanted[points] = keep(self.mean[points], self.sd[points])
            size += _bytes(len(half), int(wanted[points].sum()))
            if size <= KEPT_BYTES:
                found.append(half[:, wanted[points]].astype(KEPT))
        self.kept, self._column = np.flatnonzero(wanted), np.cumsum(wanted) - 1
        self._told = told[wanted]
        self._chunks = [np.hstack(found)] if size <= KEPT_BYTES else None

    def follow(self, process: GaussianProcess) -> None:
        """Let the points that are kept follow from the process before with more data."""
        n, n_new = len(process.y), len(process.cross)
        self.process = process
        if _bytes(n, len(self.kept)) > KEPT_BYTES:
            self._chunks = None
        if self._chunks is not None:
            fresh = np.empty((n_new, len(self.kept)), dtype=KEPT)
            x, cross = process.x[n - n_new :], process.cross
            corner = process.whitening[n - n_new :, n - n_new :]
            for points in _blocks(self.kept):
                part = self._column[points]
                rows = matern(squared_distances(x, self._scaled(points)))
                for first, chunk in _counted(self._chunks):
                    rows -= cross[:, first : first + len(chunk)] @ chunk[:, part]
                rows = corner @ rows
                self._told[part] += _squares(rows)
                fresh[:, part] = rows
            self._chunks.append(fresh)
        for points in _blocks(self.kept):
            part = self._column[points]
            half = self._half(points)
            if self._chunks is None:
                self._told[part] = _squares(half[0])
            self._predict(points, half, self._told[part])

    def draws(
        self,
        points: NDArray[np.int64],
        prior: SingleArray,
        prior_at_data: SingleArray,
        seed: int,
        spread: float = 1.0,
    ) -> FloatArray:
        """Return draws of f at points that are kept from those of the prior there and at the data.

        Parameters
        ----------
        points : ndarray of int, shape (m,)
            The points.
        prior : ndarray, shape (m, n_draws)
            Functions drawn from the prior.
        prior_at_data : ndarray, shape (n, n_draws)
            The same at the data.
        seed : int
            Of the noise of the data.
        spread : float
            Factor on the deviations from the mean.
        """
        process = self.process
        rng = np.random.default_rng(seed)
        noise = process.hyperparameters.noise * rng.standard_normal(prior_at_data.shape)
        of_trend, of_half = process.weigh(-prior_at_data - noise)
        result = np.empty(prior.shape)
        for part in _blocks(np.arange(len(points))):
            at = points[part]
            deviation = prior[part] + self.trend[at] @ of_trend
            for first, chunk in _counted(self._half(at)):
                deviation += chunk.T @ of_half[first : first + len(chunk)]
            result[part] = self.mean[at][:, None] + spread * process.amplitude * deviation
        return result

    def _scaled(self, points: NDArray[np.int64]) -> FloatArray:
        scaled: FloatArray = self.x[points] * self.process.scale
        return scaled

    def _anew(self, points: NDArray[np.int64]) -> FloatArray:
        """Return whitened covariances with the data, shape (n, m)."""
        process = self.process
        half = matern(squared_distances(process.x, self._scaled(points)))
        # Half the work of a product that does not know of the triangle. BLAS has columns first.
        dtrmm(1.0, process.whitening.T, half.T, side=1, overwrite_b=1)
        return half

    def _half(self, points: NDArray[np.int64]) -> Sequence[Features]:
        """Return the same by rows, from what is kept where it is."""
        if self._chunks is None:
            return [self._anew(points)]
        columns = self._column[points]
        if len(points) and columns[-1] - columns[0] == len(points) - 1:
            # Not copied.
            return [chunk[:, columns[0] : columns[-1] + 1] for chunk in self._chunks]
        return [chunk[:, columns] for chunk in self._chunks]

    def _left(self, half: Sequence[Features], points: NDArray[np.int64]) -> FloatArray:
        told = sum(
            chunk.T @ self.process.of_trend[first : first + len(chunk)]
            for first, chunk in _counted(half)
        )
        return self.process.left(self.trend[points] - told)

    def _predict(
        self, points: NDArray[np.int64], half: Sequence[Features], told: FloatArray
    ) -> None:
        process = self.process
        mean = self.trend[points] @ process.trend_weights
        for first, chunk in _counted(half):
            mean += chunk.T @ process.half_weights[first : first + len(chunk)]
        left = self._left(half, points)
        variance = 1.0 - told + np.einsum("ij,ij->i", left, left)
        self.mean[points] = mean
        self.sd[points] = process.amplitude * np.sqrt(np.maximum(variance, 1e-12))


def _blocks(points: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(points), BLOCK):
        yield points[first : first + BLOCK]


def _bytes(n: int, m: int) -> int:
    return np.dtype(KEPT).itemsize * n * m


def _counted(chunks: Sequence[Features]) -> Iterator[tuple[int, Features]]:
    """Yield each of some arrays with the number of rows before it."""
    first = 0
    for chunk in chunks:
        yield first, chunk
        first += len(chunk)


def _squares(half: Features) -> FloatArray:
    """Return the sum of the squares of each column."""
    squares: FloatArray = np.einsum("ij,ij->j", half, half)
    return squares


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

    def at(self, x: Features, trend: FloatArray) -> SingleArray:
        """Return their values at points, shape (m, n_draws)."""
        result = np.empty((len(x), self.loads.shape[1]), dtype=np.float32)
        for first in range(0, len(x), BLOCK):
            part = slice(first, first + BLOCK)
            waves = x[part].astype(np.float32, copy=False) @ self.frequencies
            waves += self.phases
            np.cos(waves, out=waves)
            result[part] = waves @ self.loads + trend[part] @ self.slopes
        return result


def fit(
    x: Features,
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
    chosen = choose_hyperparameters(x, y, trend, blocks, start)
    return GaussianProcess(x, y, trend, chosen, blocks)


def choose_hyperparameters(
    x: Features,
    y: FloatArray,
    trend: FloatArray,
    blocks: Sequence[int],
    start: Hyperparameters | None = None,
) -> Hyperparameters:
    """Return the most probable lengths and noise, from ``N_FIT`` of the data at the most."""
    if len(y) > N_FIT:
        some = np.linspace(0, len(y) - 1, N_FIT).astype(int)
        x, y, trend = x[some], y[some], trend[some]
    ends = np.cumsum((0, *blocks))
    n = len(y)
    parts = [x[:, a:b].astype(float) for a, b in pairwise(ends)]
    squares = [squared_distances(part, part) for part in parts]
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
    return Hyperparameters(tuple(lengths.tolist()), float(np.exp(best[-1])))
