"""The Gaussian process against its own definition, and against refits without each datum."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern

from superionic.landscape import gaussian_process
from superionic.landscape.gaussian_process import (
    TREND_WIDTH,
    GaussianProcess,
    Hyperparameters,
    KeptPoints,
    fit,
    matern,
    squared_distances,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5))
NEW = RNG.normal(size=(25, 5))
LENGTHS = (2.0, 5.0)
SCALE = np.repeat(LENGTHS, (3, 2))


def values(x):
    return np.sin(x[:, 0]) + 0.3 * x[:, 1] ** 2 + 0.1 * x[:, 4]


def ones(x):
    return np.ones((len(x), 1))


def process(noise=0.01):
    return GaussianProcess(X, values(X), ones(X), Hyperparameters(LENGTHS, noise), (3, 2))


def test_kernel_is_the_matern_kernel_of_scikit_learn():
    theirs = Matern(length_scale=SCALE, nu=2.5)(NEW, X)
    np.testing.assert_allclose(matern(squared_distances(NEW / SCALE, X / SCALE)), theirs, atol=1e-9)


def test_posterior_is_the_textbook_formula():
    gp = process(noise=0.05)

    def kernel(a, b):
        return Matern(length_scale=SCALE, nu=2.5)(a, b) + TREND_WIDTH**2

    y = values(X)
    inverse = np.linalg.inv(kernel(X, X) + 0.05**2 * np.eye(len(X)))
    cross = kernel(NEW, X)
    amplitude2 = y @ inverse @ y / len(y)
    covariance = amplitude2 * (kernel(NEW, NEW) - cross @ inverse @ cross.T)
    mean, sd = gp.predict(NEW, ones(NEW))
    np.testing.assert_allclose(mean, cross @ inverse @ y, atol=1e-6)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=1e-5)
    at = gp.whitened(NEW, ones(NEW))
    np.testing.assert_allclose(gp.covariance(at, at), covariance, atol=1e-6)
    np.testing.assert_allclose(gp.variance(at), np.diag(covariance), rtol=1e-5)
    few = np.array([2, 0])
    np.testing.assert_allclose(gp.covariance(at[few], at), covariance[few], atol=1e-6)


def test_residuals_without_a_datum_are_those_of_a_refit():
    gp = process(noise=0.05)
    residuals, sds = gp.leave_one_out()
    for i in (0, 7, 31):
        rest = np.delete(np.arange(len(X)), i)
        other = GaussianProcess(X[rest], values(X)[rest], ones(X)[rest], gp.hyperparameters, (3, 2))
        mean, sd = other.predict(X[[i]], ones(X)[[i]])
        assert residuals[i] == pytest.approx(values(X)[i] - mean[0], abs=1e-8)
        # One variance is of the function, the other of a datum; amplitudes are their own.
        expected = np.sqrt((sd[0] / other.amplitude) ** 2 + 0.05**2) * gp.amplitude
        assert sds[i] == pytest.approx(expected, rel=1e-6)


def test_draws_have_the_mean_and_covariance_of_the_posterior():
    gp = process()
    draws = gp.draws(NEW, ones(NEW), 3000, seed=3)
    mean, sd = gp.predict(NEW, ones(NEW))
    np.testing.assert_allclose(draws.mean(axis=1), mean, atol=5 * sd.max() / np.sqrt(3000))
    np.testing.assert_allclose(draws.std(axis=1), sd, rtol=0.2)
    at = gp.whitened(NEW, ones(NEW))
    theirs = gp.covariance(at, at) / np.outer(sd, sd)
    assert np.abs(np.corrcoef(draws) - theirs).mean() < 0.1


def test_draws_agree_with_the_data_and_repeat_with_the_seed():
    gp = process(noise=1e-4)
    at_data = gp.draws(X, ones(X), 8, seed=1)
    np.testing.assert_allclose(at_data, np.repeat(values(X)[:, None], 8, axis=1), atol=5e-3)
    one = gp.draws(NEW, ones(NEW), 8, seed=1)
    np.testing.assert_array_equal(one, gp.draws(NEW, ones(NEW), 8, seed=1))
    assert np.abs(one - gp.draws(NEW, ones(NEW), 8, seed=2)).max() > 0
    wide = gp.draws(NEW, ones(NEW), 8, seed=1, spread=2.0)
    mean, _ = gp.predict(NEW, ones(NEW))
    np.testing.assert_allclose(wide - mean[:, None], 2 * (one - mean[:, None]), atol=1e-5)


def trended(x):
    return np.hstack([ones(x), x[:, :1]])


def test_a_process_of_more_data_is_the_one_of_all_data():
    whole = GaussianProcess(X, values(X), trended(X), Hyperparameters(LENGTHS, 0.01), (3, 2))
    grown = None
    for n in (12, 13, 30, 40):
        at = X[:n]
        # Values may change, as they do where the zero of energy moves; features may not.
        grown = GaussianProcess(
            at, values(at) + n - 40, trended(at), whole.hyperparameters, (3, 2), grown
        )
    for mine, theirs in zip(
        (*grown.predict(NEW, trended(NEW)), *grown.leave_one_out(), grown.log_evidence),
        (*whole.predict(NEW, trended(NEW)), *whole.leave_one_out(), whole.log_evidence),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kept_bytes", [2**28, 3000, 0])
def test_points_that_are_kept_follow_as_if_all_were_computed_anew(monkeypatch, kept_bytes):
    monkeypatch.setattr(gaussian_process, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(gaussian_process, "BLOCK", 7)
    points = KeptPoints(NEW.astype(np.float32), trended(NEW))
    gp, wanted = None, np.arange(len(NEW)) % 3 > 0
    for n in (12, 25, 40):
        gp = GaussianProcess(
            X[:n], values(X[:n]), trended(X[:n]), Hyperparameters(LENGTHS, 0.01), (3, 2), gp
        )
        if n == 12:
            points.renew(gp, lambda mean, _: wanted[np.isin(points.mean, mean)])
            first, _ = gp.predict(NEW, trended(NEW))
        else:
            points.follow(gp)
    mean, sd = gp.predict(NEW, trended(NEW))
    np.testing.assert_array_equal(points.kept, np.flatnonzero(wanted))
    np.testing.assert_allclose(points.mean[wanted], mean[wanted], atol=1e-6)
    np.testing.assert_allclose(points.sd[wanted], sd[wanted], rtol=1e-6)
    np.testing.assert_allclose(points.mean[~wanted], first[~wanted], atol=1e-6)
    functions = gp.functions(8, seed=5)
    prior = functions.at(NEW[wanted], trended(NEW[wanted]))
    at_data = functions.at(X, trended(X))
    drawn = points.draws(np.flatnonzero(wanted), prior, at_data, 5)
    anew = gp.draws(NEW[wanted], trended(NEW[wanted]), 8, seed=5)
    np.testing.assert_allclose(drawn, anew, atol=1e-4)


def test_fit_finds_what_does_not_matter_and_predicts():
    x = np.random.default_rng(4).normal(size=(90, 3))
    y, true = (np.sin(2 * one[:, 0]) for one in (x[:60], x[60:]))
    gp = fit(x[:60], y, ones(y), (1, 2))
    assert gp.hyperparameters.lengths[1] > 5 * gp.hyperparameters.lengths[0]
    mean, _ = gp.predict(x[60:], ones(true))
    assert np.std(mean - true) < 0.1 * np.std(true)
    other = GaussianProcess(x[:60], y, ones(y), Hyperparameters((1.0, 1.0), 0.1), (1, 2))
    assert gp.log_evidence > other.log_evidence


def test_known_functions_are_followed_far_from_the_data():
    far = NEW + 100.0
    trend, trend_far = (np.stack([np.ones(len(x)), x[:, 0]], axis=1) for x in (X, far))
    gp = fit(X, 2.0 + 3.0 * X[:, 0], trend)
    mean, _ = gp.predict(far, trend_far)
    np.testing.assert_allclose(mean, 2.0 + 3.0 * far[:, 0], rtol=0.01)


def test_noise_is_seen_as_noise():
    x = np.linspace(0, 9, 60)[:, None]
    y, noise = np.sin(x[:, 0]), 0.1 * np.random.default_rng(1).normal(size=60)
    loud, quiet = fit(x, y + noise, ones(x)), fit(x, y, ones(x))
    assert loud.amplitude * loud.hyperparameters.noise == pytest.approx(0.1, rel=0.4)
    assert quiet.amplitude * quiet.hyperparameters.noise < 0.005
    mean, sd = loud.predict(x, ones(x))
    assert 0.3 < np.sqrt(np.mean(((mean - y) / sd) ** 2)) < 2


def test_one_datum_and_equal_data_do_not_fail():
    assert np.isfinite(fit(X[:1], np.array([1.0]), ones(X[:1])).predict(NEW, ones(NEW))[1]).all()
    same = np.repeat(X[:1], 5, axis=0)
    gp = fit(same, np.zeros(5), ones(same))
    assert np.isfinite(gp.predict(NEW, ones(NEW))[0]).all()
