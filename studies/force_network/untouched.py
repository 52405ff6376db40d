"""Test predictions that were written down before there were labels.

    superionic predict CRYSTALS --json FILE      # before the crystals are labelled
    python -m studies.force_network.untouched TEST --keep FILE   # predictions, to be committed
    superionic label ...
    python -m studies.force_network.untouched TEST --write   # tables of docs/force_network.md
        [--measured CONDUCTIVITIES.csv ...]   # of the last two tests, against experiment, too

There are four tests: ``untouched_40``, of crystals that are learned by now, ``untouched_30``, of
crystals that no network learns, and two of chemistry that none learns
(:mod:`studies.force_network.unlearned`): ``unlearned_40`` by the dynamics of ``chgnet:oam``, with
the network of workflows/train_force_network_oam.yaml, and ``unlearned_40_chgnet`` by those of
CHGNet 0.3.0, with the package's. The controls learn what the network had learned: the
published labels by its rules, without the crystals of the test. What neither has seen, by chemical
system, stands in a table of its own, and so do rankings that learn nothing of it.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from studies.force_network.controls import FEATURES, forest
from studies.force_network.descriptors import (
    descriptor_columns,
    descriptors_of_rows,
    read_descriptors,
)
from studies.force_network.summary import difference
from studies.gains import published
from studies.label_statistics import (
    FAST_S_PER_CM,
    POOR_S_PER_CM,
    Measured,
    order,
    rank_value,
    read_measured,
)
from superionic.network.data import LabelledCrystal, LabelSet
from superionic.network.inference import ANSWER_A2_PER_PS, Ensemble, shipped_ensemble
from superionic.network.labels import read_labels
from superionic.network.metrics import metric_cell, metrics
from superionic.network.settings import LabelRules, settings_from_dict, settings_to_dict
from superionic.report.tables.evaluation import interval_text
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_set, runs_that_count

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DATA = ROOT / "datasets"


@dataclass(frozen=True)
class Test:
    """What a test is made of.

    Parameters
    ----------
    learned : tuple of str
        Labels in datasets/ that are learned.
    further : str
        Those that are tested and never learned.
    rows : tuple of str
        Published rows of all of them; without, descriptors are those of the first studies.
    """

    learned: tuple[str, ...]
    further: str
    rows: tuple[str, ...] = ()


FIRST = Test(
    ("labels_1000K.jsonl", "labels_1000K_longer.jsonl", "labels_700K.jsonl"),
    "labels_1000K_untouched.jsonl",
)
ROWS = ("screening_1000K", "screening_obelix", "screening_liion")
TESTS = {
    "untouched_40": FIRST,
    "untouched_30": FIRST,
    "unlearned_40": Test(
        ("labels_1000K_oam.jsonl",),
        "labels_1000K_unlearned_oam.jsonl",
        ROWS,
    ),
    "unlearned_40_chgnet": Test(FIRST.learned, "labels_1000K_unlearned.jsonl", ROWS),
}
RANKINGS = ("free_volume", "barrier_1d_eV", "xi")
NETWORK = "force network"
TREES = ("volume per atom", "lithium fraction", "composition", "composition and volume")
SEEDS = (1, 2, 3)
N_RESAMPLES = 2000
SLOPE = "log10_msd_slope"
FIELDS = ("material_id", "formula", SLOPE, f"{SLOPE}_low", f"{SLOPE}_high")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("--keep", type=Path, help="what 'superionic predict --json' wrote")
    parser.add_argument(
        "--network", type=Path, default=shipped_ensemble(), help="with which, if not the package's"
    )
    parser.add_argument(
        "--measured",
        type=Path,
        nargs="*",
        default=[],
        help="conductivities, as studies/label_statistics.py takes them",
    )
    parser.add_argument("--write", action="store_true", help="keep the tables, too")
    options = parser.parse_args(arguments)
    path = RESULTS / f"{options.test}_predictions.json"
    if options.keep:
        labels = Ensemble.load(options.network).header.labels
        digest = hashlib.sha256(options.network.read_bytes()).hexdigest()
        predictions = kept(json.loads(options.keep.read_text()), labels, digest)
        path.write_text(json.dumps(predictions, indent=1) + "\n")
        return
    predictions = json.loads(path.read_text())
    rules = settings_from_dict(LabelRules, predictions["labels"], "labels")
    test = TESTS[options.test]
    learned = read_labels(*(DATA / name for name in test.learned), rules=rules)
    further = read_labels(DATA / test.further, rules=rules)
    descriptors = read_descriptors(DATA / "descriptors_1000K.jsonl")
    if test.rows:
        rows = [row for name in test.rows for row in read_rows_file(DATA / f"{name}.jsonl")]
        descriptors = descriptors_of_rows(rows)
    text = compare(learned, further.crystals, predictions, descriptors, rules)
    if test.rows:
        scores = published(test.rows).scores
        text += rankings({name: scores[name] for name in RANKINGS}, further.crystals, rules)
        if options.measured:
            named = {row["material_id"]: row[SLOPE] for row in predictions["predictions"]}
            slopes = {
                c.material_id: rank_value(c)
                for c in runs_that_count(read_data_set(DATA / test.further))
            }
            of_each = {"slope in dynamics": slopes, NETWORK: named} | {
                n: scores[n] for n in RANKINGS
            }
            text += against_measured(of_each, read_measured(options.measured))
    print(text)
    if options.write:
        (RESULTS / f"{options.test}.md").write_text(f"{text}\n")


def kept(
    documents: Sequence[dict[str, Any]], labels: LabelRules, network_sha256: str
) -> dict[str, Any]:
    """Return what a test needs of predictions: numbers, flags, and what made them.

    Raises
    ------
    ValueError
        When one is not of this network.
    """
    if {d["settings"]["network"] for d in documents} != {network_sha256}:
        raise ValueError("A prediction is of another network than the one that was named.")
    (weights,) = {d["potential"]["weights_sha256"] for d in documents}
    rows = [
        {name: d[name] for name in FIELDS} | {"flags": d["flags"]}
        for d in sorted(documents, key=lambda d: d["material_id"])
    ]
    return {
        "network_sha256": network_sha256,
        "potential_weights_sha256": weights,
        "labels": settings_to_dict(labels),
        "predictions": rows,
    }


def compare(
    labels: LabelSet,
    further: Sequence[LabelledCrystal],
    predictions: dict[str, Any],
    descriptors: dict[str, dict[str, float]],
    rules: LabelRules,
) -> str:
    """Return the tables: all labelled crystals of the test, and those of unlearned chemistry.

    Parameters
    ----------
    labels : LabelSet
        What may be learned; what is tested may be among it.
    further : sequence of LabelledCrystal
        What is tested and never learned.
    predictions : dict
        What :func:`kept` returned.
    descriptors : dict
        Numbers of the landscape.
    rules : LabelRules
        By which labels were read.
    """
    rows = {row["material_id"]: row for row in predictions["predictions"]}
    tested = [c for c in (*labels.crystals, *further) if c.material_id in rows]
    learned = [c for c in labels.crystals if c.material_id not in rows]
    train_only = [c for c in labels.train_only if c.material_id not in rows]
    models = {NETWORK: {0: {c.material_id: rows[c.material_id][SLOPE] for c in tested}}}
    models |= control_predictions([*learned, *train_only], tested, descriptors)
    known = {c.chemical_system for c in (*learned, *train_only)}
    new = [c for c in tested if c.chemical_system not in known]
    inside = [
        rows[c.material_id][f"{SLOPE}_low"]
        <= math.log10(max(c.slope_A2_per_ps, rules.floor_A2_per_ps))
        <= rows[c.material_id][f"{SLOPE}_high"]
        for c in tested
    ]
    molten = f" and {len(train_only)} slopes of molten crystals" if train_only else ""
    return "\n\n".join(
        [
            f"Network {predictions['network_sha256'][:12]}; all models learned {len(learned)} "
            f"labels{molten}. {len(rows)} crystals were predicted, {len(tested)} of them have a "
            f"label and did not melt; {sum(inside)} of these lie in their 95 % interval.",
            answers(tested, rows),
            "All of them:",
            table(models, tested, rules),
            "Those whose chemical system was not learned:",
            table(models, new, rules),
        ]
    )


def answers(crystals: Sequence[LabelledCrystal], rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how often the network answers, and how often it is right then.

    It answers where its interval lies on one side of
    :data:`~superionic.network.inference.ANSWER_A2_PER_PS`; elsewhere it refers to the landscape.

    Parameters
    ----------
    crystals : sequence of LabelledCrystal
        Those with a label, of which the slope counts and not its interval.
    rows : mapping
        Predictions, by identifier.
    """
    height = math.log10(ANSWER_A2_PER_PS)
    lines = []
    for above, kind in ((True, "that it conducts"), (False, "that it does not")):
        bound = f"{SLOPE}_low" if above else f"{SLOPE}_high"
        sign = 1 if above else -1
        said = [c for c in crystals if sign * (rows[c.material_id][bound] - height) > 0]
        wrong = [c for c in said if (c.slope_A2_per_ps > ANSWER_A2_PER_PS) != above]
        names = ", ".join(f"{c.formula} {c.slope_A2_per_ps:.1f}" for c in wrong)
        but = f" (wrong: {names} A^2/ps)" if wrong else ""
        lines.append(f"of {len(said)} {kind}, right in {len(said) - len(wrong)}{but}")
    return (
        f"With 95 % on one side of {ANSWER_A2_PER_PS:g} A^2/ps it says {'; '.join(lines)}. The "
        "others it refers to the landscape."
    )


def control_predictions(
    learned: Sequence[LabelledCrystal],
    tested: Sequence[LabelledCrystal],
    descriptors: dict[str, dict[str, float]],
) -> dict[str, dict[int, dict[str, float]]]:
    """Return what the mean and forests of trees predict, by model, seed and material."""
    both = [*learned, *tested]
    truth = np.array([c.targets[SLOPE] for c in learned])
    # None of these features needs shakes.
    features = {
        name: np.array([FEATURES[name](crystal, None) for crystal in both])  # type: ignore[arg-type]
        for name in TREES
    }
    features["frozen-framework descriptors"] = descriptor_columns(
        descriptors, [c.material_id for c in both]
    )
    found = {"mean": {0: {c.material_id: float(truth.mean()) for c in tested}}}
    for name, columns in features.items():
        found[name] = {}
        for seed in SEEDS:
            values = forest(columns[: len(learned)], truth, columns[len(learned) :], seed)
            found[name][seed] = {
                c.material_id: float(v) for c, v in zip(tested, values, strict=True)
            }
    return found


def table(
    models: dict[str, dict[int, dict[str, float]]],
    crystals: Sequence[LabelledCrystal],
    rules: LabelRules,
) -> str:
    """Return one line a model: measures with bootstrap intervals over chemical systems."""
    floor = rules.floor_A2_per_ps
    found = {name: metrics(model, crystals, floor, N_RESAMPLES) for name, model in models.items()}
    first = found[NETWORK]
    lines = [
        f"{first['n_crystals']} crystals; {first['n_decided']} decided, "
        f"{first['n_diffusing']} of them diffusing.",
        "",
        "| model | R^2 | R^2 of the network less this | MAE | Spearman | ROC-AUC |",
        f"|{' --- |' * 6}",
    ]
    for name, measured in found.items():
        gain = difference(models[NETWORK], models[name], crystals, floor, N_RESAMPLES)
        cells = [
            name,
            metric_cell(measured["r_squared"]),
            "" if name == NETWORK else metric_cell(gain["r_squared"]),
            *(metric_cell(measured[m]) for m in ("mean_absolute_error", "spearman", "roc_auc")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rankings(
    scores: dict[str, Mapping[str, float]], crystals: Sequence[LabelledCrystal], rules: LabelRules
) -> str:
    """Return one line for each score that has learned nothing of the crystals."""
    lines = [
        "",
        "",
        "By scores that learned nothing, of landscapes by CHGNet 0.3.0:",
        "",
        "| score | Spearman | ROC-AUC |",
        f"|{' --- |' * 3}",
    ]
    for name, score in scores.items():
        of_tested = {0: {one.material_id: score[one.material_id] for one in crystals}}
        found = metrics(of_tested, crystals, rules.floor_A2_per_ps, N_RESAMPLES)
        lines.append(
            f"| {name} | {metric_cell(found['spearman'])} | {metric_cell(found['roc_auc'])} |"
        )
    return "\n".join(lines)


def against_measured(
    scores: Mapping[str, Mapping[str, float]], measured: Mapping[str, Measured]
) -> str:
    """Return one line for each score: how it orders crystals by their measured conductivity."""
    first, *_ = scores.values()
    both = sorted(set(first) & set(measured))
    found = {
        name: order([(score[one], measured[one]) for one in both]) for name, score in scores.items()
    }
    any_ = found[NETWORK]
    lines = [
        "",
        "",
        f"Against conductivities measured at room temperature ({len(both)} crystals; {any_.n_fast} "
        f"of {FAST_S_PER_CM:g} S/cm or more, {any_.n_poor} of {POOR_S_PER_CM:g} S/cm or less, of "
        "which the ROC-AUC is):",
        "",
        "| score | Spearman | ROC-AUC |",
        f"|{' --- |' * 3}",
    ]
    lines += [
        f"| {name} | {interval_text(one.correlation)} | {interval_text(one.area)} |"
        for name, one in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
