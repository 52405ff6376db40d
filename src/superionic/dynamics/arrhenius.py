"""Activation energy and extrapolation from diffusion coefficients at several temperatures.

Every run is taken as a count of independent events: a value y with standard error s stands for
n = (y / s)^2 of them, and n is Poisson-distributed with mean (n / y) f(T), f(T) = y0 exp(-E / k T).
Where n is large, this is the usual fit weighted by relative errors. It has two advantages where n
is small. Nothing is gained by a value that came out low by chance and has a small error for that
reason. And a run in which nothing hopped is a count like any other, n = 0: its likelihood is
exp(-3 f(T) / b), if b is the 95 % upper bound that it gives (three events expected, none seen).
Such a run must not be left out, since the runs that did hop at that temperature are the lucky ones,
and it must not be taken for a value.

The likelihood has one maximum, since its logarithm is concave in (ln y0, E).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from superionic.errors import DiffusionError
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]

# None seen: fewer than three were to be expected, with 95 % confidence.
EVENTS_AT_BOUND = 3.0
_MOST_STEPS = 200


@dataclass(frozen=True)
class Extrapolation:
    """A value of the fit with its 95 % interval, in the unit of what was fitted."""

    temperature_K: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ArrheniusFit:
    """Fit of ln y = ln y0 - E / (k_B T).

    Parameters
    ----------
    activation_energy_eV, activation_energy_error_eV : float
        E and its standard error.
    log_prefactor : float
        ln y0.
    covariance : ndarray, shape (2, 2)
        Covariance of (ln y0, E), inflated where the stated errors do not explain the scatter.
    reduced_chi2 : float
        Deviance per degree of freedom, upper bounds included; NaN with two temperatures. Where it
        exceeds one, the covariance is inflated by it.
    influence : ndarray, shape (2, n_values)
        What one standard error of each value does to (ln y0, E).
    degrees_of_freedom : ndarray, shape (n_values,)
        Of each stated error.
    """

    activation_energy_eV: float
    activation_energy_error_eV: float
    log_prefactor: float
    covariance: FloatArray
    reduced_chi2: float
    influence: FloatArray = field(repr=False)
    degrees_of_freedom: FloatArray = field(repr=False)

    @property
    def activation_energy_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of E."""
        reach = self._reach(np.array([0.0, 1.0]))
        return self.activation_energy_eV - reach, self.activation_energy_eV + reach

    def at(self, temperature_K: float) -> Extrapolation:
        """Return the fit at a temperature, with the interval that the spread of the fit gives."""
        row = np.array([1.0, -1.0 / (BOLTZMANN_eV_per_K * temperature_K)])
        log_value = float(row @ np.array([self.log_prefactor, self.activation_energy_eV]))
        reach = self._reach(row)
        with np.errstate(over="ignore"):
            low, value, high = (
                float(np.exp(x)) for x in (log_value - reach, log_value, log_value + reach)
            )
        return Extrapolation(temperature_K, value, low, high)

    def _reach(self, row: FloatArray) -> float:
        """Return half the 95 % interval of a linear combination of (ln y0, E).

        The stated errors are estimates themselves. How sure they are is carried over as Welch and
        Satterthwaite do: F. E. Satterthwaite, Biometrics Bulletin 2, 110 (1946).
        """
        from scipy import stats

        parts = (row @ self.influence) ** 2
        spread = float(np.sum(parts**2 / self.degrees_of_freedom))
        freedom = float(np.sum(parts)) ** 2 / spread if spread > 0.0 else np.inf
        return float(stats.t.ppf(0.975, freedom) * np.sqrt(row @ self.covariance @ row))


def fit_arrhenius(
    temperatures_K: Sequence[float],
    values: Sequence[float],
    errors: Sequence[float],
    *,
    degrees_of_freedom: Sequence[float] | None = None,
    bound_temperatures_K: Sequence[float] = (),
    bounds: Sequence[float] = (),
) -> ArrheniusFit:
    """Fit an Arrhenius line to values and upper bounds, by maximum likelihood.

    Parameters
    ----------
    temperatures_K : sequence of float
        At least two different temperatures in K.
    values, errors : sequence of float
        Diffusion coefficients (or conductivities times temperature) and their standard errors, in
        one unit; all positive.
    degrees_of_freedom : sequence of float, optional
        Of each error: with n blocks, n - 1. Without it, errors are taken as known exactly.
    bound_temperatures_K, bounds : sequence of float
        Temperatures at which nothing was seen to diffuse, and the 95 % upper bounds there.

    Raises
    ------
    DiffusionError
        For fewer than two temperatures with values, or numbers that are not positive.
    """
    temperatures, y, dy, bound_T, bound = (
        np.asarray(a, dtype=np.float64)
        for a in (temperatures_K, values, errors, bound_temperatures_K, bounds)
    )
    freedom = np.full(len(y), np.inf) if degrees_of_freedom is None else degrees_of_freedom
    freedom = np.asarray(freedom, dtype=np.float64)
    if len(np.unique(temperatures)) < 2:
        raise DiffusionError(
            f"An Arrhenius fit needs two temperatures, not {len(np.unique(temperatures))}.",
            hint="Run at other temperatures too.",
        )
    positive = (temperatures, y, dy, bound_T, bound)
    if not all(np.all((a > 0.0) & np.isfinite(a)) for a in positive) or np.any(freedom <= 0.0):
        raise DiffusionError(
            "An Arrhenius fit needs positive values with positive errors.",
            hint="Give temperatures at which nothing diffused as upper bounds.",
        )
    # The largest value as unit of the fit: exponents stay small.
    unit = float(y.max())
    counts = np.concatenate([(y / dy) ** 2, np.zeros(len(bound))])
    events = np.concatenate([counts[: len(y)] / (y / unit), EVENTS_AT_BOUND / (bound / unit)])
    inverse = -1.0 / (BOLTZMANN_eV_per_K * np.concatenate([temperatures, bound_T]))
    design = np.column_stack([np.ones_like(inverse), inverse])
    parameters = _maximum(design, counts, events, _line(design, counts, y / unit))
    expected = events * np.exp(design @ parameters)
    covariance = np.linalg.inv(design.T @ (expected[:, None] * design))
    influence = (covariance @ design.T * np.sqrt(expected))[:, : len(y)]
    reduced = float("nan")
    if len(counts) > 2:
        reduced = _deviance(counts, expected) / (len(counts) - 2)
        covariance = covariance * max(1.0, reduced)
    return ArrheniusFit(
        activation_energy_eV=float(parameters[1]),
        activation_energy_error_eV=float(np.sqrt(covariance[1, 1])),
        log_prefactor=float(parameters[0] + np.log(unit)),
        covariance=np.asarray(covariance, dtype=np.float64),
        reduced_chi2=reduced,
        influence=np.asarray(influence, dtype=np.float64),
        degrees_of_freedom=freedom,
    )


def bound_at(
    temperature_K: float, temperatures_K: Sequence[float], bounds: Sequence[float]
) -> float | None:
    """Return the upper bound at a temperature that bounds at the same and higher ones imply.

    Nothing is assumed but that diffusion does not slow down with temperature: the smallest bound
    at this temperature or above holds. None when there is none.
    """
    known = [
        bound
        for temperature, bound in zip(temperatures_K, bounds, strict=True)
        if temperature >= temperature_K
    ]
    return min(known, default=None)


def _line(design: FloatArray, counts: FloatArray, y: FloatArray) -> FloatArray:
    """Return the line through the logarithms of the values, weighted: where the search starts."""
    root = np.sqrt(counts[: len(y)])
    found = np.linalg.lstsq(design[: len(y)] * root[:, None], root * np.log(y), rcond=None)[0]
    return np.asarray(found, dtype=np.float64)


def _maximum(
    design: FloatArray, counts: FloatArray, events: FloatArray, start: FloatArray
) -> FloatArray:
    """Return the parameters of the largest likelihood, by Newton's method with halved steps."""

    def loss(parameters: FloatArray) -> float:
        exponents = design @ parameters
        if exponents.max() > 600.0:
            return np.inf
        return float(np.sum(events * np.exp(exponents) - counts * exponents))

    parameters = start
    while loss(parameters) == np.inf:  # a bound far above the line through the values
        parameters = parameters * 0.5
    for _ in range(_MOST_STEPS):
        expected = events * np.exp(design @ parameters)
        slope = design.T @ (expected - counts)
        step = np.linalg.solve(design.T @ (expected[:, None] * design), slope)
        size, here = 1.0, loss(parameters)
        while loss(parameters - size * step) > here - 1e-4 * size * float(slope @ step):
            size *= 0.5
            if size < 1e-12:
                return parameters
        parameters = parameters - size * step
        if abs(float(slope @ step)) < 1e-12:
            break
    return parameters


def _deviance(counts: FloatArray, expected: FloatArray) -> float:
    """Return twice the logarithm of the likelihood that is missing to a perfect fit."""
    seen = counts > 0.0
    terms = np.array(expected - counts)
    terms[seen] += counts[seen] * np.log(counts[seen] / expected[seen])
    return float(2.0 * terms.sum())
