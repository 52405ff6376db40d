"""How well scores rank, beside the default policy on the same crystals, and what they gain."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superionic.evaluation.evaluate import conductors_of, label_truths
from superionic.evaluation.readers import read_matches, read_obelix
from superionic.evaluation.scorers import Group, group_of, scorers_of
from superionic.evaluation.truth import Measurement, Truth, conductivities, one_crystal_each
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.label import LabelRow
from superionic.statistics import bootstrap_interval, roc_auc, spearman
from superionic.store.ranking.policies import percentiles

FloatArray = NDArray[np.float64]

DATASETS = Path(__file__).parents[1] / "datasets"

SETS = ("screening_1000K", "screening_obelix")
LABELS = ("labels_1000K", "labels_1000K_longer", "labels_1000K_melted")
"""Files of the rows that are ranked, and of their dynamics."""

BASE = "free_volume"
"""The score that gains are counted from."""
FAST_A2_PER_PS = 1.0
CONDUCTS_S_PER_CM = 1e-5


@dataclass(frozen=True)
class Published:
    """What the files of datasets say of the crystals that are ranked with each other.

    Parameters
    ----------
    group : Group
        Their rows.
    labels : list of LabelRow
        Their dynamics.
    scores : dict
        By name of a score and identifier.
    """

    group: Group
    labels: list[LabelRow]
    scores: dict[str, Mapping[str, float]]


def published(sets: Sequence[str] = SETS, labels: Sequence[str] = LABELS) -> Published:
    """Return what files of rows and of labels say, by their names without ending."""
    rows = [row for name in sets for row in read_rows_file(DATASETS / f"{name}.jsonl")]
    found = read_data_sets([DATASETS / f"{name}.jsonl" for name in labels])
    group = group_of(rows)
    conductors = conductors_of(label_truths(group, found), 1e-2)
    scores = {one.name: one.scores for one in scorers_of(group, conductors)}
    return Published(group, found, scores)


def with_base(own: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    """Return the sum of the percentiles of two scores, among the crystals of the first."""
    both = percentiles(np.array(list(own.values())))
    both += percentiles(np.array([base[name] for name in own]))
    return dict(zip(own, both.tolist(), strict=True))


def of_dynamics(
    names: Sequence[str], group: Group, labels: Sequence[LabelRow]
) -> dict[str, dict[str, bool]]:
    """Return which crystals diffuse at 1000 K, molten ones left out, and as failures."""
    return {
        title: answers_of(
            names,
            label_truths(group, labels, by_bounds=True, melted_fails=fails),
            np.log10(FAST_A2_PER_PS),
        )
        for title, fails in (
            (f"dynamics above {FAST_A2_PER_PS:g} A^2/ps", False),
            ("the same, melted as failures", True),
        )
    }


def of_experiment(names: Sequence[str], data: Path) -> dict[str, dict[str, bool]]:
    """Return which crystals conduct as measured, for the parts of :func:`parts_of`."""
    file = data / "labels_obelix_conductivity.csv"
    measured = [*read_obelix(file), *read_matches(data / "labels_obelix_to_mp_match.csv")]
    return {
        f"{title} above {CONDUCTS_S_PER_CM:g} S/cm": answers_of(
            names, conductivities(part), np.log10(CONDUCTS_S_PER_CM)
        )
        for title, part in parts_of(measured, set(names)).items()
    }


def parts_of(measured: Sequence[Measurement], known: set[str]) -> dict[str, list[Measurement]]:
    """Return the measurements of one crystal a sample: all, by what is known of order."""
    own = [one for one in measured if one.material_id in known]
    chosen = one_crystal_each(own, ("matched", "ordered", "approximant"))
    return {
        "one crystal a sample": chosen,
        "ordered and matched": [one for one in chosen if one.crystal != "approximant"],
        "approximants": [one for one in chosen if one.crystal == "approximant"],
    }


def answers_of(
    names: Sequence[str], truths: Mapping[str, Truth], threshold: float
) -> dict[str, bool]:
    """Return for crystals whether they are above a threshold, where that is known."""
    found = {name: truths[name].exceeds(threshold) for name in names if name in truths}
    return {name: answer for name, answer in found.items() if answer is not None}


def comparison(
    scores: Mapping[str, Mapping[str, float]],
    questions: Mapping[str, Mapping[str, bool]],
    systems: Mapping[str, str],
) -> str:
    """Return ROC-AUC of scores in several questions that have both answers, with gains."""
    heads, lines = ["score"], [[name] for name in scores]
    for title, answers in questions.items():
        names = list(answers)
        truth = np.array([answers[name] for name in names])
        if len(set(answers.values())) < 2:
            continue
        drawn = [systems[name] for name in names]
        base = np.array([scores[BASE][name] for name in names])
        heads += [f"{title}: {len(names)} ({truth.sum()})", "gain"]
        for line, values in zip(lines, scores.values(), strict=True):
            own = np.array([values[name] for name in names])
            line.append(_interval(roc_auc, [truth, own], drawn))
            gain = _interval(_auc_gain, [truth, own, base], drawn, "+")
            line.append("-" if line[0] == BASE else gain)
    return markdown_table(heads, lines)


def ranks(
    heads: Sequence[str],
    scores: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    truth: FloatArray,
    systems: Mapping[str, str],
) -> str:
    """Return rank correlations of scores with a truth, with gains."""
    drawn = [systems[name] for name in names]
    base = np.array([scores[BASE][name] for name in names])
    lines = []
    for title, values in scores.items():
        own = np.array([values[name] for name in names])
        gain = _interval(_spearman_gain, [truth, own, base], drawn, "+")
        lines.append(
            [title, _interval(spearman, [truth, own], drawn), "-" if title == BASE else gain]
        )
    return markdown_table(heads, lines)


def comparisons(
    scores: Mapping[str, Mapping[str, float]], names: Sequence[str], known: Published, data: Path
) -> str:
    """Return tables of some crystals: of their dynamics, as measured, and of known conductors."""
    questions = of_dynamics(names, known.group, known.labels), of_experiment(names, data)
    systems = known.group.systems()
    tables = [comparison(scores, one, systems) for one in questions]
    return "\n\n".join([*tables, standing(scores, names, champion_roles())]) + "\n"


def champion_roles() -> dict[str, str]:
    """Return 'conductor' or 'poor' of the lithium crystals of datasets/champions.csv."""
    with (DATASETS / "champions.csv").open(newline="") as stream:
        lines = [line for line in csv.DictReader(stream) if line["mobile_species"] == "Li"]
    return {line["material_id"]: line["role"] for line in lines}


def standing(
    scores: Mapping[str, Mapping[str, float]], names: Sequence[str], roles: Mapping[str, str]
) -> str:
    """Return where well measured conductors and poor ones stand among some crystals, by score.

    Parameters
    ----------
    scores : mapping
        Of all these crystals, larger is better.
    names : sequence of str
        The crystals.
    roles : mapping
        What :func:`champion_roles` returns; crystals without a role are those between.
    """
    own = [roles.get(name) for name in names]
    kinds = {kind: np.array([one == kind for one in own]) for kind in ("conductor", "poor")}
    heads = [f"{kind}, median percentile: {where.sum()}" for kind, where in kinds.items()]
    lines = []
    for title, values in scores.items():
        percent = 100 * percentiles([values[name] for name in names])
        cells = [
            f"{np.median(percent[where]):.0f}" if where.any() else "-" for where in kinds.values()
        ]
        lines.append([title, *cells])
    return markdown_table([f"score, of {len(names)} crystals", *heads], lines)


def _auc_gain(truth: FloatArray, one: FloatArray, other: FloatArray) -> float:
    return roc_auc(truth, one) - roc_auc(truth, other)


def _spearman_gain(truth: FloatArray, one: FloatArray, other: FloatArray) -> float:
    return spearman(truth, one) - spearman(truth, other)


def _interval(
    measure: Any, arrays: Sequence[NDArray[Any]], drawn: Sequence[str], sign: str = ""
) -> str:
    return f"{bootstrap_interval(measure, arrays, groups=drawn):{sign}.2f}"
