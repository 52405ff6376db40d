"""How good predictions of crystals that were not learned are: measures with their intervals."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.network.data import LabelledCrystal
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
