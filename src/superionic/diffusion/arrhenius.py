"""Activation energy and extrapolation from diffusion coefficients at several temperatures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from superionic.errors import DiffusionError
from superionic.units import BOLTZMANN_eV_per_K

FloatArray = NDArray[np.float64]


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
        Covariance of (ln y0, E).
    quantile : float
        Multiple of the standard error that makes a 95 % interval.
    reduced_chi2 : float
        Sum of squared residuals over errors, per degree of freedom; NaN with two temperatures.
        Where it exceeds one, the stated errors do not explain the scatter and the covariance is
        inflated by it.
    """

    activation_energy_eV: float
    activation_energy_error_eV: float
    log_prefactor: float
    covariance: FloatArray
    quantile: float
    reduced_chi2: float

    @property
    def activation_energy_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of E."""
        reach = self.quantile * self.activation_energy_error_eV
        return self.activation_energy_eV - reach, self.activation_energy_eV + reach

    def at(self, temperature_K: float) -> Extrapolation:
        """Return the fit at a temperature, with the interval that the spread of the fit gives."""
        row = np.array([1.0, -1.0 / (BOLTZMANN_eV_per_K * temperature_K)])
        log_value = float(row @ np.array([self.log_prefactor, self.activation_energy_eV]))
        reach = self.quantile * float(np.sqrt(row @ self.covariance @ row))
        low, value, high = (
            float(np.exp(x)) for x in (log_value - reach, log_value, log_value + reach)
        )
        return Extrapolation(temperature_K, value, low, high)


def fit_arrhenius(
    temperatures_K: Sequence[float], values: Sequence[float], errors: Sequence[float]
) -> ArrheniusFit:
    """Fit an Arrhenius line, weighted by the relative errors.

    Parameters
    ----------
    temperatures_K : sequence of float
        At least two different temperatures in K.
    values, errors : sequence of float
        Diffusion coefficients (or conductivities times temperature) and their standard errors, in
        one unit; all positive.

    Returns
    -------
    ArrheniusFit
        Intervals use Student's t with n - 2 degrees of freedom, the normal distribution for n = 2.

    Raises
    ------
    DiffusionError
        For fewer than two temperatures, or values or errors that are not positive.
    """
    from scipy import stats

    temperatures, y, dy = (
        np.asarray(a, dtype=np.float64) for a in (temperatures_K, values, errors)
    )
    if len(np.unique(temperatures)) < 2:
        raise DiffusionError(
            f"An Arrhenius fit needs two temperatures, not {len(np.unique(temperatures))}.",
            hint="Run at other temperatures too.",
        )
    if not (np.all(y > 0.0) and np.all(dy > 0.0) and np.all(np.isfinite(y + dy))):
        raise DiffusionError(
            "An Arrhenius fit needs positive values with positive errors.",
            hint="Leave out the temperatures at which nothing diffused.",
        )
    design = np.column_stack([np.ones_like(y), -1.0 / (BOLTZMANN_eV_per_K * temperatures)])
    weights = (y / dy) ** 2
    normal = design.T @ (weights[:, None] * design)
    covariance = np.linalg.inv(normal)
    parameters = covariance @ (design.T @ (weights * np.log(y)))
    degrees = len(y) - 2
    if degrees > 0:
        residuals = np.log(y) - design @ parameters
        reduced = float(np.sum(weights * residuals**2) / degrees)
        covariance = covariance * max(1.0, reduced)
        quantile = float(stats.t.ppf(0.975, degrees))
    else:
        reduced, quantile = float("nan"), float(stats.norm.ppf(0.975))
    return ArrheniusFit(
        activation_energy_eV=float(parameters[1]),
        activation_energy_error_eV=float(np.sqrt(covariance[1, 1])),
        log_prefactor=float(parameters[0]),
        covariance=np.asarray(covariance, dtype=np.float64),
        quantile=quantile,
        reduced_chi2=reduced,
    )
