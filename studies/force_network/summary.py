"""From the folds of a study to metrics with intervals, and to a table."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.force_network.plan import Run
from superionic.network.crossvalidation import FoldResult
from superionic.network.data import LabelledCrystal
from superionic.network.metrics import (
    SPLIT_TEXT,
    metric_cell,
    metrics,
    of_labels,
    plain,
)
from superionic.network.train import MAIN, parity
from superionic.statistics import (
    bootstrap_interval,
    r_squared,
    roc_auc,
    spearman,
)

FloatArray = NDArray[np.float64]
CEILING_DRAWS = 200


def out_of_fold(
    runs: Sequence[Run], results: Sequence[FoldResult], n_shakes: int | None = None
) -> dict[tuple[str, str], dict[int, dict[str, float]]]:
    """Return predictions of crystals that were not learned.

    Parameters
    ----------
    runs, results
        Tasks and what came of them.
    n_shakes : int, optional
        Average the first of the shakes only.

    Returns
    -------
    dict
        By variant and split, then by seed, then by material: the mean over shakes.
    """
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for run, result in zip(runs, results, strict=True):
        by_material = found[run.variant, run.task.split][run.task.seed]
        for name, values in zip(result.material_ids, result.predictions, strict=True):
            by_material[name] = float(np.mean(values[:n_shakes]))
    return found


def difference_of_common_seeds(
    main: dict[int, dict[str, float]],
    other: dict[int, dict[str, float]],
    crystals: Sequence[LabelledCrystal],
    floor_A2_per_ps: float,
    n_resamples: int,
) -> dict[str, Any] | None:
    """Return how much better the main model is on the folds that both models have.

    Of a seed that both have, both have the same folds; and a mean over three networks is better
    than one network, whatever they are. Parameters are those of :func:`difference`.

    Returns
    -------
    dict or None
        What :func:`difference` returns, with the common ``seeds``; None without any.
    """
    seeds = sorted(main.keys() & other.keys())
    if not seeds:
        return None
    a, b = ({seed: model[seed] for seed in seeds} for model in (main, other))
    return {"seeds": seeds} | difference(a, b, crystals, floor_A2_per_ps, n_resamples)


def difference(
    main: dict[int, dict[str, float]],
    other: dict[int, dict[str, float]],
    crystals: Sequence[LabelledCrystal],
    floor_A2_per_ps: float,
    n_resamples: int,
) -> dict[str, Any]:
    """Return how much better the main model is than another one on the same crystals.

    Each is taken as the mean over its seeds. Resamples are paired: an interval that lies above zero
    is a difference that the choice of crystals does not explain.

    Parameters
    ----------
    main, other : dict
        Predictions by seed and material.
    crystals : sequence of LabelledCrystal
        Labels.
    floor_A2_per_ps : float
        Labels are clipped from below at this.
    n_resamples : int
        Of the bootstrap.

    Returns
    -------
    dict
        Differences of ``r_squared`` and ``roc_auc`` with their intervals.
    """
    names = [c.material_id for c in crystals]
    a, b = (np.mean([[p[n] for n in names] for p in m.values()], axis=0) for m in (main, other))
    truth, groups, decided, positive = of_labels(crystals, floor_A2_per_ps)

    def gain(function: Callable[..., float]) -> Callable[..., float]:
        return lambda y, p, q: function(y, p) - function(y, q)

    return {
        "r_squared": plain(
            bootstrap_interval(gain(r_squared), [truth, a, b], n_resamples, 0, groups)
        ),
        "roc_auc": plain(
            bootstrap_interval(
                gain(roc_auc),
                [positive[decided], a[decided], b[decided]],
                n_resamples,
                0,
                groups[decided],
            )
        ),
    }


def repeatability(crystals: Sequence[LabelledCrystal], floor_A2_per_ps: float) -> float | None:
    """Return the R^2 that a perfect model could reach, as far as errors of the labels limit it.

    The labels' own values are taken as true, noise of their standard errors is added, and the
    noisy labels, clipped, are compared with the clipped true ones. None without standard errors.
    """
    known = [
        c for c in crystals if np.isfinite([c.raw_slope_A2_per_ps, c.slope_error_A2_per_ps]).all()
    ]
    if len(known) < 2:
        return None
    slope = np.array([c.raw_slope_A2_per_ps for c in known])
    error = np.array([c.slope_error_A2_per_ps for c in known])
    rng = np.random.default_rng(0)
    true = np.log10(np.maximum(slope, floor_A2_per_ps))
    drawn = [
        r_squared(
            np.log10(np.maximum(slope + error * rng.normal(size=len(known)), floor_A2_per_ps)), true
        )
        for _ in range(CEILING_DRAWS)
    ]
    return float(np.nanmean(drawn))


def summarise(
    runs: Sequence[Run],
    results: Sequence[FoldResult],
    floors_A2_per_ps: Sequence[float],
    n_resamples: int,
) -> dict[str, Any]:
    """Return everything that tables and figures need, as plain data.

    Crystals are those of the main network's training set; a model that has not predicted all of
    them (of other labels) is left out.
    """
    crystals = next(run.training_set.crystals for run in runs if run.variant == MAIN)
    names = {crystal.material_id for crystal in crystals}
    predictions = out_of_fold(runs, results)
    complete = {
        key: by_seed
        for key, by_seed in predictions.items()
        if all(names <= by_material.keys() for by_material in by_seed.values())
    }
    kind_of = {run.variant: run.task.kind for run in runs}
    floor_of = {run.variant: run.training_set.rules.floor_A2_per_ps for run in runs}
    references = {f"{floor:g}": _reference(runs, floor) for floor in floors_A2_per_ps}
    wall: dict[tuple[str, str], float] = defaultdict(float)
    for run, result in zip(runs, results, strict=True):
        wall[run.variant, run.task.split] += result.wall_time_s
    rows = []
    for (variant, split), by_seed in complete.items():
        rows.append(
            {
                "variant": variant,
                "kind": kind_of[variant],
                "split": split,
                "seeds": sorted(by_seed),
                "wall_time_s": round(wall[variant, split], 1),
                "metrics": {
                    f"{floor:g}": metrics(by_seed, crystals, floor, n_resamples)
                    for floor in floors_A2_per_ps
                },
                "floor_A2_per_ps": floor_of[variant],
                "gain_of_reference": {
                    key: gain
                    for key, reference in references.items()
                    if reference not in (None, variant)
                    and (reference, split) in complete
                    and (
                        gain := difference_of_common_seeds(
                            complete[reference, split], by_seed, crystals, float(key), n_resamples
                        )
                    )
                },
            }
        )
    learned = next(run.training_set for run in runs if run.variant == MAIN)
    learned_floor = learned.rules.floor_A2_per_ps
    by_shakes = [
        {
            "n_shakes": n,
            "split": split,
            "metrics": {
                f"{floor:g}": metrics(by_seed, crystals, floor, n_resamples)
                for floor in floors_A2_per_ps
            },
        }
        for n in _powers_of_two(len(learned.shakes[0]))
        for (variant, split), by_seed in out_of_fold(runs, results, n).items()
        if variant == MAIN
    ]
    return {
        "training_set_sha256": runs[0].training_set.sha256(),
        "n_crystals": len(crystals),
        "n_chemical_systems": len({c.chemical_system for c in crystals}),
        "repeatability": {f"{f:g}": repeatability(crystals, f) for f in floors_A2_per_ps},
        "references": references,
        "models": rows,
        "by_number_of_shakes": by_shakes,
        "parity": {
            split: parity(crystals, learned_floor, by_seed)
            for (variant, split), by_seed in complete.items()
            if variant == MAIN
        },
    }


def among_the_diffusing(parity: dict[str, Any]) -> dict[str, float] | None:
    """Return how well a model orders and predicts crystals that diffuse, apart from finding them.

    Most of the variance of all labels lies between crystals that diffuse and the others: a model
    that knows only which do, and predicts the mean of either, has ``r_squared_of_yes_or_no`` over
    all of them.

    Parameters
    ----------
    parity : dict
        Labels and predictions of a kind of split, as :func:`summarise` returns them.

    Returns
    -------
    dict or None
        None where all crystals diffuse, or none does.

    Examples
    --------
    >>> found = among_the_diffusing(
    ...     {
    ...         "log10_label": [-1.0, -1.0, 0.0, 1.0],
    ...         "predicted": [-1.0, -1.0, 0.0, 0.5],
    ...         "verdict": ["not_diffusing"] * 2 + ["diffusing"] * 2,
    ...     }
    ... )
    >>> found["n"], found["r_squared"], found["bias"]
    (2, 0.5, -0.25)
    """
    label = np.array(parity["log10_label"])
    predicted = np.array(parity["predicted"])
    diffuses = np.array(parity["verdict"]) == "diffusing"
    if diffuses.all() or not diffuses.any():
        return None
    yes_or_no = np.where(diffuses, label[diffuses].mean(), label[~diffuses].mean())
    error = predicted[diffuses] - label[diffuses]
    return {
        "n": int(diffuses.sum()),
        "r_squared": float(r_squared(label[diffuses], predicted[diffuses])),
        "spearman": float(spearman(label[diffuses], predicted[diffuses])),
        "bias": float(error.mean()),
        "r_squared_of_yes_or_no": float(r_squared(label, yes_or_no)),
    }


def _reference(runs: Sequence[Run], floor_A2_per_ps: float) -> str | None:
    """Return the first network that has learned all crystals with labels clipped at a floor."""
    for run in runs:
        task, rules = run.task, run.training_set.rules
        if (task.kind, task.n_learnt) == ("network", None) and math.isclose(
            rules.floor_A2_per_ps, floor_A2_per_ps
        ):
            return run.variant
    return None


def markdown(summary: dict[str, Any], floor_A2_per_ps: float) -> str:
    """Return the comparison of all models that have learned labels with a floor.

    One table for each kind of split; with labels clipped elsewhere a model predicts something else,
    and its errors say nothing.
    """
    key = f"{floor_A2_per_ps:g}"
    reference = summary["references"][key]
    models = [row for row in summary["models"] if math.isclose(row["floor_A2_per_ps"], float(key))]
    lines = [
        f"**Labels clipped at {key} A^2/ps.** {summary['n_crystals']} crystals of "
        f"{summary['n_chemical_systems']} chemical systems."
        + _ceiling(summary["repeatability"].get(key)),
        "",
    ]
    for split in dict.fromkeys(row["split"] for row in models):
        rows = [row for row in models if row["split"] == split]
        lines += [
            f"Folds {SPLIT_TEXT[split]}, labels clipped at {key} A^2/ps:",
            "",
            f"| model | seeds | R^2 | R^2 of one seed | R^2 of '{reference}' less this | MAE "
            "| Spearman | ROC-AUC | first 10 % |",
            f"|{' --- |' * 9}",
        ]
        lines += [f"| {' | '.join(_model_cells(row, key))} |" for row in rows] + [""]
        pairs = summary["parity"].get(split) if reference == MAIN else None
        if pairs is not None and (found := among_the_diffusing(pairs)) is not None:
            lines += [
                f"The force network among the {found['n']} that diffuse: R^2 "
                f"{found['r_squared']:.2f}, Spearman {found['spearman']:.2f}, predicted less label "
                f"{found['bias']:+.2f} decades in the mean. To know only which diffuse, and to "
                f"predict the mean of either, has R^2 {found['r_squared_of_yes_or_no']:.2f} over "
                "all crystals.",
                "",
            ]
    by_shakes = summary["by_number_of_shakes"] if reference == MAIN else []
    for split in dict.fromkeys(row["split"] for row in by_shakes):
        lines += [
            f"The force network by the number of shakes averaged, folds {SPLIT_TEXT[split]}, "
            f"labels clipped at {key} A^2/ps:",
            "",
            "| shakes | R^2 | Spearman | ROC-AUC |",
            f"|{' --- |' * 4}",
        ]
        for row in (row for row in by_shakes if row["split"] == split):
            m = row["metrics"][key]
            cells = [metric_cell(m[name]) for name in ("r_squared", "spearman", "roc_auc")]
            lines.append(f"| {row['n_shakes']} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _model_cells(row: dict[str, Any], key: str) -> list[str]:
    m = row["metrics"][key]
    one = [value for value in m["r_squared"]["per_seed"] if value is not None]
    gain = row["gain_of_reference"].get(key)
    return [
        row["variant"],
        str(len(row["seeds"])),
        metric_cell(m["r_squared"]),
        f"{np.mean(one):.2f}" if one else "-",
        metric_cell(gain["r_squared"]) if gain else "",
        metric_cell(m["mean_absolute_error"]),
        metric_cell(m["spearman"]),
        metric_cell(m["roc_auc"]),
        metric_cell(m["precision_at_tenth"]),
    ]


def _ceiling(repeatability: float | None) -> str:
    if repeatability is None:
        return ""
    return f" By the errors of the labels a perfect model would reach R^2 = {repeatability:.2f}."


def _powers_of_two(largest: int) -> list[int]:
    return [2**k for k in range(largest.bit_length()) if 2**k <= largest]
