"""What each fold of the main network holds: one without a conductor has no ROC-AUC of its own."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from superionic.network.crossvalidation import FoldResult
from superionic.network.study import Run
from superionic.network.study_settings import MAIN
from superionic.statistics import mean_absolute_error, roc_auc


def fold_metrics(runs: Sequence[Run], results: Sequence[FoldResult]) -> list[dict[str, Any]]:
    """Return crystals and measures of each fold of the main network, as plain data.

    Parameters
    ----------
    runs, results
        Tasks and what came of them.

    Returns
    -------
    list of dict
        For each fold ``split``, ``seed``, ``fold``, ``n_crystals``, ``n_decided``, ``n_diffusing``,
        ``mean_absolute_error`` in decades, and ``roc_auc``: null where the fold holds crystals of
        one verdict alone.
    """
    found = []
    for run, result in zip(runs, results, strict=True):
        if run.variant != MAIN:
            continue
        numbers = {c.material_id: i for i, c in enumerate(run.training_set.crystals)}
        rows = [numbers[name] for name in result.material_ids]
        predicted = np.array([np.mean(values) for values in result.predictions])
        verdicts = [run.training_set.crystals[row].diffusing for row in rows]
        decided = np.array([verdict is not None for verdict in verdicts])
        positive = np.array([bool(verdict) for verdict in verdicts])
        area = roc_auc(positive[decided], predicted[decided])
        found.append(
            {
                "split": run.task.split,
                "seed": run.task.seed,
                "fold": run.task.fold,
                "n_crystals": len(rows),
                "n_decided": int(decided.sum()),
                "n_diffusing": int(positive.sum()),
                "mean_absolute_error": mean_absolute_error(
                    run.training_set.targets[rows, 0], predicted
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
