"""Intervals of the force network whose width depends on the crystal, and when it answers.

    python -m studies.force_network.intervals

Errors are those of cross-validation by chemical system (``benchmarks/results/force_network.json``).
The width of a crystal's interval is proportional to a scale, sum of c_k x_k with c_k >= 0, fitted
to the absolute errors of other chemical systems; the factor is the conformal quantile of error over
scale (Lei et al., J. Am. Stat. Assoc. 113, 1094, 2018). What x may hold was fixed before: a
constant, the height of the prediction above the floor of the labels, its spread over shakes, its
spread over networks, and how far the composition is from all that was learned. The set with the
smallest interval score (Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359, 2007) in ten folds by
chemical system is chosen, and judged once on the thirty untouched crystals.

The rule: ``predict`` answers where the interval lies on one side of 1 A^2/ps; where it does not, it
refers to the landscape.

Spreads are of the networks of the package, which have learned these crystals (there are none of the
cross-validation's): they are too small on them, and may look worse here than they are.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from superionic.evaluation.fitting import fold_of_each
from superionic.network.inference import error_scale
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import conformal_rank

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "benchmarks" / "results" / "force_network.json"
RESULT = ROOT / "benchmarks" / "results" / "force_network_intervals.md"
LEVEL = 0.95
SETS: dict[str, tuple[str, ...]] = {
    "one width for all": (),
    "height": ("height",),
    "spread over shakes": ("shakes",),
    "spread over networks": ("networks",),
    "distance of the composition": ("distance",),
    "height and both spreads": ("height", "shakes", "networks"),
    "all four": ("height", "shakes", "networks", "distance"),
}


def columns(
    rows: Sequence[ScreeningDocument], predicted: FloatArray, floor: float, learned: Sequence[str]
) -> dict[str, FloatArray]:
    """Return what a scale may hold, for each crystal.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The crystals.
    predicted : ndarray, shape (n,)
        Decimal logarithms of slopes.
    floor : float
        That of the labels.
    learned : sequence of str
        Chemical systems that were learned; a crystal's own does not count.
    """
    systems = [set(system.split("-")) for system in learned]
    distance = []
    for row in rows:
        own = set(row.elements)
        kin = max(len(own & one) / len(own | one) for one in systems if one != own)
        distance.append(1.0 - kin)
    return {
        "height": np.maximum(predicted - floor, 0.0),
        "shakes": np.array([row.prediction_spread_shakes or 0.0 for row in rows]),
        "networks": np.array([row.prediction_spread_ensemble or 0.0 for row in rows]),
        "distance": np.array(distance),
    }


def fitted(x: FloatArray, errors: FloatArray) -> tuple[FloatArray, float]:
    """Return coefficients of the scale and the conformal factor.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        A column of ones first.
    errors : ndarray, shape (n,)
        Absolute errors.
    """
    weights = error_scale(x, errors)
    ratios = np.sort(errors / (x @ weights))
    return weights, float(ratios[min(conformal_rank(len(ratios), LEVEL), len(ratios)) - 1])


def interval_score(errors: FloatArray, half: FloatArray) -> FloatArray:
    """Return width plus what is missed, times 2 / (1 - level): lower is better."""
    return 2 * half + 2 / (1 - LEVEL) * np.maximum(errors - half, 0.0)


def table() -> str:
    """Return the tables as Markdown."""
    study = json.loads(STUDY.read_text())
    parity = study["parity"]["chemical_system"]
    floor = parity["log10_floor"]
    rows = {r.material_id: r for r in read_rows_file(ROOT / "datasets/screening_1000K.jsonl")}
    own = [rows[name] for name in parity["material_id"]]
    predicted, truth = np.array(parity["predicted"]), np.array(parity["log10_label"])
    systems = [row.chemical_system for row in own]
    folds = fold_of_each(systems, 10, seed=0)
    fold = np.array([folds[system] for system in systems])
    errors = np.abs(predicted - truth)
    halves = {name: np.empty(len(own)) for name in SETS}
    for one in np.unique(fold):
        seen, asked = fold != one, fold == one
        learned = [system for system, s in zip(systems, seen, strict=True) if s]
        found = columns(own, predicted, floor, learned)
        for name, features in SETS.items():
            x = np.column_stack([np.ones(len(own)), *(found[feature] for feature in features)])
            weights, factor = fitted(x[seen], errors[seen])
            halves[name][asked] = factor * (x[asked] @ weights)
    scores = {name: interval_score(errors, half).mean() for name, half in halves.items()}
    chosen = min(scores, key=lambda name: scores[name])
    text = [
        f"{len(own)} crystals of cross-validation by chemical system, 95 % intervals. Chosen: "
        f"{chosen}. Predicted high: above 0.1 A^2/ps.",
        "",
        *_heading("scale"),
    ]
    for name, half in halves.items():
        text.append(_line(name, predicted, truth, half))
    untouched, names = _untouched()
    found = columns(own, predicted, floor, systems)
    text += [
        "",
        "The untouched crystals that have a label and did not melt (looked at before, for other "
        "questions), with what all crystals above give:",
        "",
        *_heading("scale"),
    ]
    theirs = columns(untouched, names["predicted"], floor, systems)
    notes = []
    for name in dict.fromkeys(["one width for all", chosen]):
        x = np.column_stack([np.ones(len(own)), *(found[feature] for feature in SETS[name])])
        weights, factor = fitted(x, errors)
        asked = np.column_stack(
            [np.ones(len(untouched)), *(theirs[feature] for feature in SETS[name])]
        )
        half = factor * (asked @ weights)
        text.append(_line(name, names["predicted"], names["truth"], half))
        terms = " + ".join(
            f"{factor * weight:.2f}" + (f" x {feature}" if feature else "")
            for weight, feature in zip(weights, ("", *SETS[name]), strict=True)
        )
        notes += ["", f"Half width, {name} (decades): {terms}."]
    return "\n".join([*text, *notes]) + "\n"


def _untouched() -> tuple[list[ScreeningDocument], Mapping[str, FloatArray]]:
    rows = {r.material_id: r for r in read_rows_file(ROOT / "datasets/screening_untouched.jsonl")}
    file = ROOT / "benchmarks/results/untouched_30_predictions.json"
    stored = json.loads(file.read_text())
    floor = math.log10(stored["labels"]["floor_A2_per_ps"])
    said = {one["material_id"]: one["log10_msd_slope"] for one in stored["predictions"]}
    labels = read_data_sets([ROOT / "datasets" / "labels_1000K_untouched.jsonl"])
    known = [one for one in labels if one.verdict != "melted" and one.material_id in said]
    truth = [max(math.log10(max(one.msd_slope_A2_per_ps or 0.0, 1e-12)), floor) for one in known]
    return [rows[one.material_id] for one in known], {
        "predicted": np.array([said[one.material_id] for one in known]),
        "truth": np.array(truth),
    }


def _heading(first: str) -> list[str]:
    return [
        f"| {first} | hold the label | of those predicted high | of the rest | mean width "
        "(decades) | predicted high | the rest | interval score | answered | conducts, right | "
        "does not, right |",
        "| --- |" + " --- |" * 10,
    ]


def _line(name: str, predicted: FloatArray, truth: FloatArray, half: FloatArray) -> str:
    errors = np.abs(predicted - truth)
    held = errors <= half
    high = predicted > -1.0
    answered = np.abs(predicted) > half  # 1 A^2/ps is not in the interval
    faster, slower = answered & (predicted > 0), answered & (predicted < 0)
    cells = [_share(held), _share(held[high]), _share(held[~high])]
    cells += [f"{2 * half[where].mean():.2f}" for where in (high | True, high, ~high)]
    cells.append(f"{interval_score(errors, half).mean():.2f}")
    cells += [_share(answered), _share(truth[faster] > 0), _share(truth[slower] <= 0)]
    return f"| {name} | {' | '.join(cells)} |"


def _share(what: NDArray[np.bool_]) -> str:
    return f"{what.mean():.0%} ({what.sum()} of {what.size})" if what.size else "-"


def main() -> None:
    """Write the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    RESULT.write_text(table())


if __name__ == "__main__":
    main()
