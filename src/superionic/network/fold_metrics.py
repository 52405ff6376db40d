"""What each fold of a network holds: one without a conductor has no ROC-AUC of its own."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from superionic.network.crossvalidation import FoldResult, FoldTask
from superionic.network.data import TrainingSet
from superionic.statistics import mean_absolute_error, roc_auc


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
