"""An evaluation in short tables for pages, and with all its numbers as CSV and JSON."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

from superionic.errors import SettingsError
from superionic.evaluation.evaluate import Evaluation
from superionic.evaluation.measured import MeasuredEvaluation
from superionic.evaluation.tables import Cost, Line, Table
from superionic.report.tables.text_table import markdown_table
from superionic.statistics import Interval

WRITTEN_BY = "superionic evaluate"
"""What the mark of the tables' place names."""
HEADLINE = ("free_volume", "calibrated", "consensus", "network", "barrier_3d_eV", "xi")
"""Scores of the short tables; the baselines follow them."""
FEW = 10
"""Among so few materials the first ten are all of them."""
_MEASURES = (
    *("roc_auc", "average_precision", "precision_first_10", "precision_first_tenth"),
    *("spearman", "spearman_above"),
)


@dataclass(frozen=True)
class Column:
    """One question in a short table.

    Parameters
    ----------
    table : Table
        All materials with a landscape.
    with_network : Table or None
        Those of them that the network may be asked of.
    """

    table: Table
    with_network: Table | None

    @property
    def title(self) -> str:
        """What the truth is, and the threshold."""
        return f"{self.table.short}, above {self.table.threshold:g} {self.table.unit}"

    @property
    def count(self) -> str:
        """Materials, and those above."""
        return f"{self.table.n} ({self.table.n_positive})"

    def cell(self, scorer: str, measure: str) -> str:
        """Return the value of a measure with its interval."""
        if measure == "precision_first_10" and self.table.n <= FEW:
            return "-"
        own = self._line(self.table, scorer)
        if own is not None:
            return interval_text(_of(own, measure))
        other = self._line(self.with_network, scorer)
        if other is None:
            return "-"
        found = interval_text(_of(other, measure))
        same = other.measures.n == self.table.n
        return found if same else f"{found} (of {other.measures.n})"

    @staticmethod
    def _line(table: Table | None, scorer: str) -> Line | None:
        return next((one for one in table.lines if one.scorer == scorer), None) if table else None


def columns_of(evaluation: Evaluation) -> list[Column]:
    """Return the questions of the short tables.

    Of dynamics the first threshold, and the last one where upper bounds support the answers; of
    measurements the first one, of the last task, which has one crystal for each sample.
    """
    tasks: dict[str, list[Table]] = {}
    for table in evaluation.tables:
        tasks.setdefault(table.task, []).append(table)
    chosen = []
    for name, tables in tasks.items():
        if tables[0].short != "measured" or name == list(tasks)[-1]:
            chosen.append((name, tables[0].threshold))
    found = []
    for name, threshold in chosen:
        own = [table for table in tasks[name] if table.threshold == threshold]
        network = [t for t in own if any(line.scorer == "network" for line in t.lines)]
        found.append(Column(own[0], network[0] if network else None))
    return found


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return the short tables, the cost and what the scores are, as Markdown."""
    columns = [column for column in columns_of(evaluation) if column.table.lines]
    other = evaluation.labels_of != evaluation.potential
    judge = f" by dynamics with {evaluation.labels_of}" if other else ""
    parts = [
        f"Mobile ion {evaluation.mobile_species}, potential {evaluation.potential}: "
        f"{evaluation.n_rows} materials with a landscape, "
        f"{evaluation.n_labels} with a label{judge}.",
        *evaluation.notes,
    ]
    if columns:
        parts += ["**ROC-AUC**", _short(columns, "roc_auc")]
        parts.append("**The same, with intervals from a bootstrap over families of anions**")
        parts.append(_short(_headline(columns), "roc_auc_by_family"))
        parts += ["**Conductors among the first ten**", _short(columns, "precision_first_10")]
        legend = {line.scorer: line.text for line in _lines(columns)}
        parts.append("\n".join(f"- `{name}`: {text}" for name, text in legend.items()))
    if evaluation.costs:
        parts += ["**Cost of a material**", _costs(evaluation.costs)]
    return "\n\n".join(parts)


def headline_markdown(evaluation: Evaluation) -> str:
    """Return the scores that matter most: of dynamics where upper bounds support the answers.

    Raises
    ------
    SettingsError
        When no label says which materials conduct.
    """
    columns = [column for column in columns_of(evaluation) if column.table.lines]
    shown = _headline(columns)
    if all(column.table.short == "measured" for column in shown):
        raise SettingsError(
            "There is no table of labels for a headline.",
            hint="Give rows with labels, or --labels; conductors and others must be among them.",
        )
    text = f"{evaluation.mobile_species}, {evaluation.potential}."
    costs = "; ".join(f"{cost.name} {cost.core_s_median:.3g}" for cost in evaluation.costs[:3])
    if costs:
        text += f" Core-seconds of a material, median: {costs}."
    return f"{_short(shown, 'roc_auc')}\n\n{text}"


def _headline(columns: Sequence[Column]) -> list[Column]:
    """Return the questions that matter most."""
    supported = [column for column in columns if "by bounds" in column.table.short]
    dynamics = supported or [one for one in columns if one.table.short.startswith("dynamics")]
    return dynamics + [column for column in columns if column.table.short == "measured"]


def evaluation_csv(evaluation: Evaluation) -> str:
    """Return all tables as one CSV: a line for each score, question and set of materials."""
    names = [f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high")]
    head = ["task", "threshold", "unit", "materials", "n", "n_above", "n_open", "score", "kind"]
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    by_family = ("roc_auc_by_family_low", "roc_auc_by_family_high")
    writer.writerow([*head, "n_spearman", *names, *by_family])
    for table in evaluation.tables:
        of_table = [table.task, f"{table.threshold:g}", table.unit, table.materials]
        counts = [table.n, table.n_positive, table.n_open]
        for line in table.lines:
            found = [getattr(line.measures, name) for name in _MEASURES]
            numbers = [x for one in found for x in (one.value, one.low, one.high)]
            numbers += [line.roc_auc_by_family.low, line.roc_auc_by_family.high]
            cells = [f"{x:.3f}" if math.isfinite(x) else "" for x in numbers]
            of_line = [line.scorer, line.kind, line.measures.n_values]
            writer.writerow([*of_table, *counts, *of_line, *cells])
    return file.getvalue()


def numbers_json(evaluation: Evaluation | MeasuredEvaluation) -> str:
    """Return all numbers as JSON; what is not defined is null."""
    return json.dumps(_plain(asdict(evaluation)), indent=2, allow_nan=False)


def _lines(columns: Sequence[Column]) -> list[Line]:
    """Return a line of each score of the short tables, in their order."""
    known = {
        line.scorer: line
        for column in columns
        for table in (column.table, column.with_network)
        if table is not None
        for line in table.lines
    }
    baselines = [line for line in known.values() if line.kind == "baseline"]
    return [known[name] for name in HEADLINE if name in known] + baselines


def _short(columns: Sequence[Column], measure: str) -> str:
    rows = [["materials (above)", *(column.count for column in columns)]]
    for line in _lines(columns):
        name = f"{line.text} (baseline)" if line.kind == "baseline" else f"`{line.scorer}`"
        rows.append([name, *(column.cell(line.scorer, measure) for column in columns)])
    return markdown_table(["score", *(column.title for column in columns)], rows)


def _of(line: Line, measure: str) -> Interval:
    own = line.roc_auc_by_family
    found: Interval = own if measure == "roc_auc_by_family" else getattr(line.measures, measure)
    return found


def _costs(costs: Sequence[Cost]) -> str:
    heads = ["materials", "evaluations, median", "core-seconds, median", "mean", "in all (h)"]
    rows = [
        [
            *(cost.name, str(cost.n), f"{cost.evaluations_median:.0f}"),
            *(f"{cost.core_s_median:.3g}", f"{cost.core_s_mean:.3g}"),
            f"{cost.core_s_total / 3600:.2f}",
        ]
        for cost in costs
    ]
    return markdown_table(["", *heads], rows)


def interval_text(found: Interval | None, missing: str = "-") -> str:
    """Return a measure with its interval, or what stands where it is not defined."""
    if found is None or not math.isfinite(found.value):
        return missing
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{found.value:.2f}"
    return f"{found:.2f}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
