"""Fitting the calibrated probability, and predicting what the fit has not seen."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from superionic import __version__
from superionic.errors import SettingsError
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import average_precision, bootstrap_interval, roc_auc
from superionic.store.ranking.calibration import Calibration, LogisticModel
from superionic.store.ranking.features import FEATURES

FloatArray = NDArray[np.float64]

DESCRIPTORS = (
    *("log10_fv_disconnected_2eV", "log10_free_volume_2eV_A3_per_ion"),
    *("log10_fv_connected", "mpe_eV", "barrier_3d_eV"),
)
FEATURE_SETS: tuple[tuple[str, ...], ...] = (
    (*DESCRIPTORS, "predicted_log10_msd_slope"),
    DESCRIPTORS,
)
"""Features of the models, the richest first."""


@dataclass(frozen=True)
class FitSettings:
    """How the calibrated probability is fitted.

    Parameters
    ----------
    penalty : float
        Of the squared standardised coefficients, in units of one training row's loss.
    n_folds : int
        Folds of the cross-validation.
    seed : int
        Of the assignment of chemical systems to folds.
    min_rows, min_of_each : int
        Labels without which no model is fitted: in all, and of conductors as of the others.
    """

    penalty: float = 1.0
    n_folds: int = 10
    seed: int = 0
    min_rows: int = 40
    min_of_each: int = 10


def fit_logistic(x: FloatArray, y: NDArray[np.bool_], penalty: float) -> tuple[FloatArray, float]:
    """Return the coefficients and the intercept of a logistic regression with a ridge penalty.

    Newton's method on the sum of logistic losses plus ``penalty / 2`` times the squared
    coefficients; the intercept is not penalised.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        Standardised features.
    y : ndarray of bool, shape (n,)
        Classes; both must occur.
    penalty : float
        Positive, so that separable classes have a finite solution.

    Raises
    ------
    ValueError
        When one of the classes is missing or the penalty is not positive.
    """
    if penalty <= 0 or y.all() or not y.any():
        raise ValueError("A logistic regression needs both classes and a positive penalty.")
    design = np.column_stack([np.ones(len(x)), x])
    ridge = np.diag([0.0, *[penalty] * x.shape[1]])
    weights = np.zeros(design.shape[1])
    weights[0] = np.log(y.mean() / (1 - y.mean()))

    def loss(w: FloatArray) -> float:
        odds = design @ w
        return float(np.sum(np.logaddexp(0, odds) - y * odds) + 0.5 * w @ ridge @ w)

    for _ in range(100):
        found = expit(design @ weights)
        gradient = design.T @ (found - y) + ridge @ weights
        hessian = (design * (found * (1 - found))[:, None]).T @ design + ridge
        step = np.linalg.solve(hessian + 1e-12 * np.eye(len(weights)), gradient)
        # A full step may overshoot where classes are nearly separable.
        length = 1.0
        while loss(weights - length * step) > loss(weights) and length > 1e-8:
            length /= 2
        weights = weights - length * step
        if np.abs(length * step).max() < 1e-10:
            break
    return weights[1:], float(weights[0])


def standardisation(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the standard deviation of each column; 1 for a constant one."""
    scales = x.std(axis=0)
    return x.mean(axis=0), np.where(scales > 0, scales, 1.0)


def fold_of_each(groups: Sequence[str], n_folds: int, seed: int) -> dict[str, int]:
    """Assign groups to folds at random, evenly; all rows of a group share a fold."""
    names = sorted(set(groups))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[place]: i % n_folds for i, place in enumerate(order)}


def held_out_probabilities(
    x: FloatArray,
    y: NDArray[np.bool_],
    groups: Sequence[str],
    targets: FloatArray,
    target_groups: Sequence[str],
    settings: FitSettings,
) -> FloatArray:
    """Return probabilities for rows of groups that the model has not seen.

    For each fold of groups a model, its standardisation included, is fitted on the training rows of
    all other groups, and applied to the targets of that fold.

    Parameters
    ----------
    x, y, groups : array of shape (n, k), array of shape (n,), sequence of n str
        Features, classes and groups of the training rows.
    targets, target_groups : array of shape (m, k), sequence of m str
        Features and groups of the rows that are predicted; training rows may be among them.
    settings : FitSettings
        Folds and penalty.

    Returns
    -------
    ndarray, shape (m,)
        NaN where the other folds hold one class only.
    """
    folds = fold_of_each([*groups, *target_groups], settings.n_folds, settings.seed)
    of_row = np.array([folds[group] for group in groups])
    of_target = np.array([folds[group] for group in target_groups])
    found = np.full(len(targets), np.nan)
    for fold in np.unique(of_target):
        seen, asked = of_row != fold, of_target == fold
        if not y[seen].any() or y[seen].all():
            continue
        means, scales = standardisation(x[seen])
        weights, intercept = fit_logistic((x[seen] - means) / scales, y[seen], settings.penalty)
        found[asked] = expit(((targets[asked] - means) / scales) @ weights + intercept)
    return found


def feature_matrix(
    rows: Sequence[ScreeningDocument], features: Sequence[str]
) -> tuple[list[ScreeningDocument], FloatArray]:
    """Return the rows that have all features, and their values, shape (n, k)."""
    complete, values = [], []
    for row in rows:
        found = [FEATURES[name].of(row) for name in features]
        if all(value is not None for value in found):
            complete.append(row)
            values.append(found)
    return complete, np.array(values, dtype=np.float64).reshape(len(complete), len(features))


def held_out_scores(
    rows: Sequence[ScreeningDocument],
    conductors: Mapping[str, bool],
    settings: FitSettings | None = None,
) -> dict[str, float]:
    """Return for each material the probability by a model that has not seen its chemical system.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        All rows that are to be predicted, those with labels among them.
    conductors : mapping of str to bool
        For each labelled material whether it is a conductor.
    settings : FitSettings, optional
        Folds, penalty and what is enough.

    Returns
    -------
    dict of str to float
        By the richest model for which the row has the features and enough labels have them.

    Notes
    -----
    Features are taken as they are. Where the network's prediction is one of them, those of the
    training rows come from networks that left out the training row's chemical system, but may have
    learned the labels of the one that is predicted here: that feature is not cross-validated twice.
    """
    settings = settings or FitSettings()
    found: dict[str, float] = {}
    for features in FEATURE_SETS:
        targets, values = feature_matrix(rows, features)
        labelled = [i for i, row in enumerate(targets) if row.material_id in conductors]
        y = np.array([conductors[targets[i].material_id] for i in labelled], dtype=bool)
        if too_few(y, settings) is not None:
            continue
        systems = [row.chemical_system for row in targets]
        probabilities = held_out_probabilities(
            values[labelled], y, [systems[i] for i in labelled], values, systems, settings
        )
        for row, probability in zip(targets, probabilities, strict=True):
            if np.isfinite(probability):
                found.setdefault(row.material_id, float(probability))
    return found


def fit_calibration(
    rows: Sequence[ScreeningDocument],
    conductors: Mapping[str, bool],
    *,
    threshold_A2_per_ps: float,
    labels: str,
    temperature_K: float = 1000.0,
    settings: FitSettings | None = None,
) -> Calibration:
    """Fit the calibrated probability on labelled rows of one species and potential.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows; those without a label are passed over.
    conductors : mapping of str to bool
        For each labelled material whether it is a conductor.
    threshold_A2_per_ps : float
        MSD slope above which it is.
    labels : str
        Where the labels are from, for the record.
    temperature_K : float
        Temperature of the labels in K.
    settings : FitSettings, optional
        Folds, penalty and what is enough.

    Raises
    ------
    SettingsError
        When there are too few labels.
    """
    settings = settings or FitSettings()
    labelled = [row for row in rows if row.material_id in conductors]
    models = []
    for features in FEATURE_SETS:
        complete, x = feature_matrix(labelled, features)
        y = np.array([conductors[row.material_id] for row in complete], dtype=bool)
        if too_few(y, settings) is None:
            models.append(_fit(features, complete, x, y, settings))
    if not models:
        y = np.array([conductors[row.material_id] for row in labelled], dtype=bool)
        raise SettingsError(
            f"No calibration is fitted: {too_few(y, settings) or 'features are missing'}.",
            hint="Label more crystals ('superionic label'), and compute their landscapes.",
        )
    return Calibration(
        mobile_species=labelled[0].mobile_species,
        potential=labelled[0].potential,
        conductor=(
            f"MSD slope above {threshold_A2_per_ps:g} A^2/ps at {temperature_K:g} K in molecular "
            f"dynamics with {labelled[0].potential}"
        ),
        temperature_K=temperature_K,
        threshold_A2_per_ps=threshold_A2_per_ps,
        models=models,
        labels=labels,
        fitted_with=__version__,
    )


def too_few(y: NDArray[np.bool_], settings: FitSettings) -> str | None:
    """Return why classes are too few for a fit, or None if they are enough."""
    n_positive = int(y.sum())
    n_other = y.size - n_positive
    if y.size >= settings.min_rows and min(n_positive, n_other) >= settings.min_of_each:
        return None
    return (
        f"{y.size} labelled rows, {n_positive} of them conductors; it takes {settings.min_rows}, "
        f"and {settings.min_of_each} of either class"
    )


def _fit(
    features: Sequence[str],
    rows: Sequence[ScreeningDocument],
    x: FloatArray,
    y: NDArray[np.bool_],
    settings: FitSettings,
) -> LogisticModel:
    means, scales = standardisation(x)
    weights, intercept = fit_logistic((x - means) / scales, y, settings.penalty)
    ids = sorted(row.material_id for row in rows)
    return LogisticModel(
        features=list(features),
        means=[_rounded(value) for value in means],
        scales=[_rounded(value) for value in scales],
        coefficients=[_rounded(value) for value in weights],
        intercept=_rounded(intercept),
        n_rows=len(rows),
        n_positive=int(y.sum()),
        training_sha256=hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        cross_validation=_cross_validation(rows, x, y, settings),
    )


def _cross_validation(
    rows: Sequence[ScreeningDocument], x: FloatArray, y: NDArray[np.bool_], settings: FitSettings
) -> dict[str, Any]:
    systems = [row.chemical_system for row in rows]
    found = held_out_probabilities(x, y, systems, x, systems, settings)
    known = np.isfinite(found)
    groups = np.array(systems)[known]
    measures: dict[str, Any] = {}
    for name, measure in (("roc_auc", roc_auc), ("average_precision", average_precision)):
        interval = bootstrap_interval(measure, [y[known], found[known]], groups=groups)
        ends = (interval.value, interval.low, interval.high)
        measures[name] = [None if not np.isfinite(end) else round(end, 4) for end in ends]
    measures["brier"] = round(float(np.mean((found[known] - y[known]) ** 2)), 4)
    measures["brier_of_the_mean"] = round(float(y.mean() * (1 - y.mean())), 4)
    by = f"{settings.n_folds} folds of chemical systems, seed {settings.seed}"
    return {"folds": by, "n_systems": len(set(systems)), "penalty": settings.penalty} | measures


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")
