"""Arrhenius fits of synthetic runs whose answer is known, runs without a hop among them."""

import numpy as np
import pytest

from superionic.dynamics.arrhenius import bound_at, fit_arrhenius
from superionic.errors import DiffusionError

K_B = 8.617333262e-5
TEMPERATURES_K = np.array([500.0, 600.0, 700.0, 800.0, 1000.0])
N_TRIALS = 200


def line(temperatures_K, energy_eV, at_500K):
    return at_500K * np.exp(-energy_eV / K_B * (1 / np.asarray(temperatures_K) - 1 / 500.0))


def runs(rng, energy_eV, hops_at_500K, n_blocks):
    """Simulate runs whose hops are rare and independent, evaluated in blocks as slopes are.

    One hop is the unit; a run without any gives the bound that the rule of three gives.

    Runs of which fewer than two temperatures hopped allow no fit and are drawn again.
    """
    measured, bounds = [], []
    for temperature, mean in zip(
        TEMPERATURES_K, line(TEMPERATURES_K, energy_eV, hops_at_500K), strict=True
    ):
        blocks = rng.poisson(mean / n_blocks, n_blocks)
        if blocks.sum() == 0:
            bounds.append((temperature, 3.0))
            continue
        error = blocks.std(ddof=1) * np.sqrt(n_blocks)
        measured.append((temperature, blocks.sum(), error or blocks.sum()))
    if len(measured) < 2:
        return runs(rng, energy_eV, hops_at_500K, n_blocks)
    return np.array(measured).T, np.array(bounds).reshape(-1, 2).T


@pytest.mark.parametrize(
    ("energy_eV", "hops_at_500K", "n_blocks", "often_censored"),
    [
        (0.3, 20.0, 8, False),
        (0.3, 0.5, 8, True),
        (0.5, 0.05, 5, True),
        (0.2, 2.0, 5, True),
    ],
)
def test_intervals_cover_the_truth(energy_eV, hops_at_500K, n_blocks, often_censored):
    rng = np.random.default_rng(0)
    hits, energy_hits, n_censored, room = 0, 0, 0, []
    truth = line(300.0, energy_eV, hops_at_500K)
    for _ in range(N_TRIALS):
        (temperatures, values, errors), bounds = runs(rng, energy_eV, hops_at_500K, n_blocks)
        fit = fit_arrhenius(
            temperatures,
            values,
            errors,
            degrees_of_freedom=[n_blocks - 1] * len(values),
            bound_temperatures_K=bounds[0],
            bounds=bounds[1],
        )
        n_censored += bounds.shape[1] > 0
        found = fit.at(300.0)
        assert found.low < found.value < found.high
        hits += found.low <= truth <= found.high
        room.append(np.log(found.value / truth))
        low, high = fit.activation_energy_interval
        energy_hits += low <= energy_eV <= high
    assert 0.90 <= hits / N_TRIALS <= 0.98
    assert 0.90 <= energy_hits / N_TRIALS <= 0.98
    assert (n_censored > 0.1 * N_TRIALS) == often_censored
    # Not far off to one side either: a small part of the scatter of a single fit.
    assert abs(np.median(room)) < 0.4 * np.std(room)


def test_leaving_out_the_runs_without_a_hop_would_mislead():
    """What a fit of the lucky runs alone makes of the activation energy, against all runs."""
    rng = np.random.default_rng(5)
    lucky, honest = [], []
    for _ in range(N_TRIALS):
        (temperatures, values, errors), bounds = runs(rng, 0.3, 0.3, 8)
        bounded = {"bound_temperatures_K": bounds[0], "bounds": bounds[1]}
        honest.append(fit_arrhenius(temperatures, values, errors, **bounded).activation_energy_eV)
        lucky.append(fit_arrhenius(temperatures, values, errors).activation_energy_eV)
    assert abs(np.median(honest) - 0.3) < 0.015
    assert np.median(lucky) < np.median(honest) - 0.01


def test_exactly_known_errors_give_the_interval_of_a_normal_distribution():
    temperatures = np.array([600.0, 700.0, 800.0, 1000.0])
    truth = line(temperatures, 0.35, 1e-6)
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(N_TRIALS):
        errors = 0.1 * truth
        fit = fit_arrhenius(temperatures, rng.normal(truth, errors), errors)
        room = fit.at(300.0)
        hits += room.low <= line(300.0, 0.35, 1e-6) <= room.high
    assert 0.90 <= hits / N_TRIALS <= 0.98


def test_two_exact_points_lie_on_the_line():
    fit = fit_arrhenius([500.0, 1000.0], [1e-6, 1e-4], [1e-7, 1e-5])
    assert fit.at(500.0).value == pytest.approx(1e-6)
    assert fit.at(1000.0).value == pytest.approx(1e-4)
    assert fit.activation_energy_eV == pytest.approx(K_B * np.log(100) / (1 / 500 - 1 / 1000))
    width = [np.log(fit.at(T).high / fit.at(T).low) for T in (1000.0, 500.0, 300.0)]
    assert width[2] > width[1] > 0


def test_errors_that_are_known_less_surely_make_wider_intervals():
    values = line(TEMPERATURES_K, 0.3, 1.0)
    sure = fit_arrhenius(TEMPERATURES_K, values, 0.1 * values)
    unsure = fit_arrhenius(TEMPERATURES_K, values, 0.1 * values, degrees_of_freedom=[2] * 5)
    assert unsure.at(300.0).value == pytest.approx(sure.at(300.0).value)
    assert unsure.at(300.0).high > 1.1 * sure.at(300.0).high


def test_a_bound_far_above_the_line_says_nothing_and_one_below_it_pulls():
    temperatures, values = [800.0, 1000.0], line([800.0, 1000.0], 0.3, 1.0)
    free = fit_arrhenius(temperatures, values, 0.2 * values)

    def bounded(bound):
        return fit_arrhenius(
            temperatures, values, 0.2 * values, bound_temperatures_K=[500.0], bounds=[bound]
        )

    assert bounded(1e9).activation_energy_eV == pytest.approx(free.activation_energy_eV, abs=1e-6)
    assert bounded(0.01).activation_energy_eV > free.activation_energy_eV + 0.02
    assert bounded(0.01).at(500.0).value < 0.5 * free.at(500.0).value


def test_scatter_that_the_errors_do_not_explain_widens_the_interval():
    values = line(TEMPERATURES_K, 0.3, 1.0) * np.array([1.0, 2.0, 0.5, 2.0, 0.5])
    fit = fit_arrhenius(TEMPERATURES_K, values, 0.05 * values)
    assert fit.reduced_chi2 > 20
    room = fit.at(300.0)
    assert np.log(room.high / room.low) > 2.0


def test_the_unit_does_not_matter():
    values = line(TEMPERATURES_K, 0.3, 1.0)
    wide = {"bound_temperatures_K": [400.0], "degrees_of_freedom": [7] * 5}
    one = fit_arrhenius(TEMPERATURES_K, values, 0.1 * values, bounds=[0.1], **wide)
    other = fit_arrhenius(TEMPERATURES_K, 1e-9 * values, 1e-10 * values, bounds=[1e-10], **wide)
    assert other.at(300.0).high == pytest.approx(1e-9 * one.at(300.0).high, rel=1e-6)


@pytest.mark.parametrize(
    ("temperatures", "values", "errors", "bounds"),
    [
        ([500.0], [1.0], [0.1], []),
        ([500.0, 500.0], [1.0, 1.1], [0.1, 0.1], []),
        ([500.0], [1.0], [0.1], [1.0]),
        ([500.0, 600.0], [0.0, 1.0], [0.1, 0.1], []),
        ([500.0, 600.0], [1.0, 1.0], [0.0, 0.1], []),
        ([500.0, 600.0], [1.0, np.nan], [0.1, 0.1], []),
        ([500.0, 600.0], [1.0, 1.0], [0.1, 0.1], [0.0]),
    ],
)
def test_what_cannot_be_fitted_is_refused(temperatures, values, errors, bounds):
    with pytest.raises(DiffusionError):
        fit_arrhenius(
            temperatures,
            values,
            errors,
            bound_temperatures_K=[400.0] * len(bounds),
            bounds=bounds,
        )


def test_bounds_hold_at_lower_temperatures_only():
    assert bound_at(500.0, [500.0, 700.0, 1000.0], [3.0, 1.0, 2.0]) == 1.0
    assert bound_at(800.0, [500.0, 700.0, 1000.0], [3.0, 1.0, 2.0]) == 2.0
    assert bound_at(1100.0, [500.0, 700.0], [3.0, 1.0]) is None
