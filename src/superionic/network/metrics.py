"""How good predictions of crystals that were not learned are: measures with their intervals."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.network.crossvalidation import FoldResult, FoldTask
from superionic.network.data import LabelledCrystal, TrainingSet
from superionic.statistics import (
    Interval,
    bootstrap_interval,
    mean_absolute_error,
    precision_at,
    r_squared,
    roc_auc,
    spearman,
)

FloatArray = NDArray[np.float64]
TOP = 0.1
"""Share of the crystals of which the precision is told."""
SPLIT_TEXT = {"random": "at random", "chemical_system": "by chemical system"}


def metrics(
    by_seed: dict[int, dict[str, float]],
    crystals: Sequence[LabelledCrystal],
    floor_A2_per_ps: float,
    n_resamples: int,
) -> dict[str, Any]:
    """Return the metrics of one model on one kind of split.

    Values and intervals (bootstrap over chemical systems) are those of the mean prediction of the
    seeds, each of which has predicted every crystal without having learned it; beside them stand
    the values of each seed by itself.

    Parameters
    ----------
    by_seed : dict
        Predictions by seed and material.
    crystals : sequence of LabelledCrystal
        Labels.
    floor_A2_per_ps : float
        Labels are clipped from below at this.
    n_resamples : int
        Of the bootstrap.
    """
    names = [c.material_id for c in crystals]
    every = np.array([[predictions[name] for name in names] for predictions in by_seed.values()])
    truth, groups, decided, positive = of_labels(crystals, floor_A2_per_ps)

    def measure(
        function: Callable[..., float], label: FloatArray, rows: NDArray[np.bool_]
    ) -> dict[str, Any]:
        mean = every.mean(axis=0)
        interval = bootstrap_interval(
            function, [label[rows], mean[rows]], n_resamples, 0, groups[rows]
        )
        per_seed = [function(label[rows], one[rows]) for one in every]
        return plain(interval) | {"per_seed": [number(value) for value in per_seed]}

    all_rows = np.ones(len(names), dtype=bool)
    return {
        "n_crystals": len(names),
        "n_decided": int(decided.sum()),
        "n_diffusing": int(positive.sum()),
        "r_squared": measure(r_squared, truth, all_rows),
        "mean_absolute_error": measure(mean_absolute_error, truth, all_rows),
        "spearman": measure(spearman, truth, all_rows),
        "roc_auc": measure(roc_auc, positive, decided),
        "precision_at_tenth": measure(lambda p, s: precision_at(p, s, TOP), positive, decided),
    }


def of_labels(
    crystals: Sequence[LabelledCrystal], floor_A2_per_ps: float
) -> tuple[FloatArray, NDArray[np.str_], NDArray[np.bool_], NDArray[Any]]:
    """Return clipped logarithms, chemical systems, which are decided, and which are diffusing."""
    return (
        np.array([math.log10(max(c.slope_A2_per_ps, floor_A2_per_ps)) for c in crystals]),
        np.array([c.chemical_system for c in crystals]),
        np.array([c.diffusing is not None for c in crystals]),
        np.array([bool(c.diffusing) for c in crystals]),
    )


def metric_cell(measure: dict[str, Any]) -> str:
    """Return a measure with its interval, a dash where there is none."""
    if measure["value"] is None:
        return "-"
    text = f"{measure['value']:.2f}"
    if measure["low"] is None:
        return text
    return f"{text} [{measure['low']:.2f}, {measure['high']:.2f}]"


def plain(interval: Interval) -> dict[str, Any]:
    """Return an interval as plain data."""
    return {
        "value": number(interval.value),
        "low": number(interval.low),
        "high": number(interval.high),
    }


def number(value: float) -> float | None:
    """Return a number, None where it is none."""
    return float(value) if math.isfinite(value) else None


def fold_metrics(
    training_set: TrainingSet, folds: Iterable[tuple[FoldTask, FoldResult]]
) -> list[dict[str, Any]]:
    """Return crystals and measures of each fold, as plain data.

    Parameters
    ----------
    training_set : TrainingSet
        All crystals.
    folds : iterable of (FoldTask, FoldResult)
        Tasks and what came of them.

    Returns
    -------
    list of dict
        For each fold ``split``, ``seed``, ``fold``, ``n_crystals``, ``n_decided``, ``n_diffusing``,
        ``mean_absolute_error`` in decades, and ``roc_auc``: null where the fold holds crystals of
        one verdict alone.
    """
    found = []
    numbers = {c.material_id: i for i, c in enumerate(training_set.crystals)}
    for task, result in folds:
        rows = [numbers[name] for name in result.material_ids]
        predicted = np.array([np.mean(values) for values in result.predictions])
        verdicts = [training_set.crystals[row].diffusing for row in rows]
        decided = np.array([verdict is not None for verdict in verdicts])
        positive = np.array([bool(verdict) for verdict in verdicts])
        area = roc_auc(positive[decided], predicted[decided])
        found.append(
            {
                "split": task.split,
                "seed": task.seed,
                "fold": task.fold,
                "n_crystals": len(rows),
                "n_decided": int(decided.sum()),
                "n_diffusing": int(positive.sum()),
                "mean_absolute_error": mean_absolute_error(
                    training_set.targets[rows, 0], predicted
                ),
                "roc_auc": area if math.isfinite(area) else None,
            }
        )
    return found


def without_conductors(folds: Sequence[dict[str, Any]]) -> str | None:
    """Return a line that names the folds without a diffusing crystal; None where all have one.

    Parameters
    ----------
    folds : sequence of dict
        As :func:`fold_metrics` returns them.
    """
    bare = [fold for fold in folds if fold["n_diffusing"] == 0]
    if not bare:
        return None
    if len(bare) == len(folds):
        return "No crystal is diffusing: the ROC-AUC of all models is null."
    names = ", ".join(f"{f['split']} fold {f['fold']} of seed {f['seed']}" for f in bare)
    return (
        f"Without a diffusing crystal: {names}. These have no ROC-AUC of their own; the tables' is "
        "of all folds together."
    )


def loss_curve(task: FoldTask, directory: Path) -> dict[str, Any] | None:
    """Return the losses of each epoch of a fold, null where there are none; None without epochs.

    Parameters
    ----------
    task : FoldTask
        The fold.
    directory : Path
        Where it was run.
    """
    from superionic.network.training import read_history

    path = directory / "training" / "metrics.csv"
    history = read_history(path) if path.exists() else []
    if not history:
        return None
    epochs = [
        {name: value if math.isfinite(value) else None for name, value in epoch.items()}
        for epoch in history
    ]
    return {"split": task.split, "seed": task.seed, "fold": task.fold, "epochs": epochs}
