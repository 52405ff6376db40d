"""Tables: every score against one truth, on the same materials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log10
from statistics import mean, median

from superionic.evaluation import resampling
from superionic.evaluation.measures import Measures, measure
from superionic.evaluation.scorers import Group, Need, Scorer
from superionic.evaluation.truth import Truth
from superionic.schemas.label import LabelRow
from superionic.statistics import Interval
from superionic.structures.species import anion_family

SETS: tuple[tuple[str, frozenset[Need]], ...] = (
    ("with a landscape", frozenset({"landscape"})),
    ("with a prediction of the network, too", frozenset({"landscape", "network"})),
    ("with a bond-valence barrier, too", frozenset({"landscape", "bond valence"})),
)
"""Which materials a table is of, and so which scores it compares."""


@dataclass(frozen=True)
class Task:
    """A question that scores are to answer: which materials lie above a threshold.

    Parameters
    ----------
    name, short : str
        What the truth is, and the same in two or three words.
    truths : mapping of str to Truth
        Decimal logarithms, by identifier.
    thresholds : sequence of float
        Values, not logarithms.
    unit : str
        Of the values.
    """

    name: str
    short: str
    truths: Mapping[str, Truth]
    thresholds: Sequence[float]
    unit: str


@dataclass(frozen=True)
class Line:
    """One score in a table.

    Parameters
    ----------
    scorer, text, kind : str
        The score.
    measures : Measures
        With intervals from a bootstrap over chemical systems.
    roc_auc_by_family : Interval
        The first of them, from a bootstrap over families of anions.
    """

    scorer: str
    text: str
    kind: str
    measures: Measures
    roc_auc_by_family: Interval


@dataclass(frozen=True)
class Table:
    """All scores for one task, threshold and set of materials.

    Parameters
    ----------
    task, short, unit, materials : str
        Name of the task, its short name, unit of the threshold, and which materials.
    threshold : float
        Value above which a material counts.
    n, n_positive : int
        Materials, and those above.
    n_open : int
        Materials left out since their truth is an interval that holds the threshold.
    lines : list of Line
        One for each score.
    """

    task: str
    short: str
    unit: str
    materials: str
    threshold: float
    n: int
    n_positive: int
    n_open: int
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Cost:
    """What one way to look at a material costs.

    Parameters
    ----------
    name : str
        landscape, network or molecular dynamics.
    n : int
        Materials.
    evaluations_median : float
        Energy or force evaluations a material.
    core_s_median, core_s_mean, core_s_total : float
        Wall time of one core in s.
    """

    name: str
    n: int
    evaluations_median: float
    core_s_median: float
    core_s_mean: float
    core_s_total: float


def tables_of(
    task: Task,
    scorers: Sequence[Scorer],
    systems: Mapping[str, str],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[Table]:
    """Return the tables of one task: at each threshold, one for each set of materials.

    Parameters
    ----------
    task : Task
        The question.
    scorers : sequence of Scorer
        The scores.
    systems : mapping of str to str
        Chemical system of each material.
    n_resamples, seed : int
        Of the bootstrap.
    """
    found = []
    for threshold in task.thresholds:
        for materials, needs in SETS:
            used = [scorer for scorer in scorers if scorer.needs in needs]
            if {scorer.needs for scorer in used} != needs:
                continue
            found.append(
                _table(task, threshold, materials, used, systems, n_resamples, seed),
            )
    return found


def costs_of(group: Group, labels: Sequence[LabelRow] = ()) -> list[Cost]:
    """Return what landscapes, predictions and molecular dynamics cost a material.

    Parameters
    ----------
    group : Group
        Rows with the numbers of their runs.
    labels : sequence of LabelRow
        Labels from elsewhere; a row's own one, of its highest temperature, goes before.
    """
    landscapes = {
        row.material_id: (row.n_evaluations, row.wall_time_s)
        for row in group.rows
        if row.xi is not None
    }
    predictions = {
        row.material_id: (run.n_evaluations, run.wall_time_s)
        for row in group.rows
        for run in row.runs
        if run.used and run.kind == "prediction"
    }
    dynamics = {
        label.material_id: (steps_of(label), label.wall_time_s)
        for label in labels
        if (label.mobile_species, label.potential) == (group.mobile_species, group.potential)
    }
    for row in group.rows:
        if row.labels:
            first = row.labels[0]
            dynamics[row.material_id] = (first.n_evaluations, first.wall_time_s)
    both = landscapes.keys() & dynamics.keys()
    named = {
        "landscape": landscapes,
        "network": predictions,
        "molecular dynamics at one temperature": dynamics,
        "landscape, of materials that have both": {name: landscapes[name] for name in both},
        "molecular dynamics, of the same": {name: dynamics[name] for name in both},
    }
    return [_cost(name, list(pairs.values())) for name, pairs in named.items() if pairs]


def _table(
    task: Task,
    threshold: float,
    materials: str,
    scorers: Sequence[Scorer],
    systems: Mapping[str, str],
    n_resamples: int,
    seed: int,
) -> Table:
    names = [
        name
        for name in sorted(task.truths)
        if name in systems and all(name in scorer.scores for scorer in scorers)
    ]
    answers = {name: task.truths[name].exceeds(log10(threshold)) for name in names}
    decided = [name for name in names if answers[name] is not None]
    positive = [bool(answers[name]) for name in decided]
    table = Table(
        task=task.name,
        short=task.short,
        unit=task.unit,
        materials=materials,
        threshold=threshold,
        n=len(decided),
        n_positive=sum(positive),
        n_open=len(names) - len(decided),
    )
    if not 0 < table.n_positive < table.n:
        return table
    families = [anion_family(systems[name].split("-")) for name in decided]
    drawn = resampling.draw_counts(families, n_resamples, seed)
    for scorer in scorers:
        scores = [scorer.scores[name] for name in decided]
        measures = measure(
            positive,
            scores,
            [task.truths[name].value for name in decided],
            [systems[name] for name in decided],
            n_resamples=n_resamples,
            seed=seed,
        )
        by_family = resampling.interval(
            measures.roc_auc.value, resampling.roc_auc(positive, scores, drawn)
        )
        table.lines.append(Line(scorer.name, scorer.text, scorer.kind, measures, by_family))
    return table


def steps_of(label: LabelRow) -> int:
    """Return the force evaluations of a label: its steps, equilibration included."""
    timestep_ps = float(label.settings["timestep_fs"]) * 1e-3
    equilibration = int(label.settings.get("n_equilibration_steps", 0))
    return equilibration + round(label.production_ps / timestep_ps)


def _cost(name: str, pairs: Sequence[tuple[int, float]]) -> Cost:
    seconds = [time_s for _, time_s in pairs]
    return Cost(
        name=name,
        n=len(pairs),
        evaluations_median=median(count for count, _ in pairs),
        core_s_median=median(seconds),
        core_s_mean=mean(seconds),
        core_s_total=sum(seconds),
    )
