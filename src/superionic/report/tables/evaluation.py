"""An evaluation as Markdown and JSON, and the page of the documentation that shows it."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from superionic.errors import SettingsError
from superionic.evaluation.evaluate import Evaluation
from superionic.evaluation.tables import Cost, Table
from superionic.statistics import Interval

WRITTEN_BY = "superionic evaluate"
"""What the mark of the tables' place names."""
HEADLINE = ("calibrated", "free_volume", "consensus", "xi", "barrier_3d_eV", "network")
"""Scores of the short table; the baselines follow them."""
FEW = 10
"""Among so few materials the first ten are all of them."""


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return all tables as Markdown."""
    parts = [
        f"Mobile ion {evaluation.mobile_species}, potential {evaluation.potential}: "
        f"{evaluation.n_rows} materials with a landscape, {evaluation.n_labels} with a label.",
        *evaluation.notes,
    ]
    task = None
    for table in evaluation.tables:
        if table.task != task:
            task = table.task
            parts.append(f"### Against {task}")
        parts.append(_table(table))
    if evaluation.costs:
        parts += ["### Cost of a material", _costs(evaluation.costs)]
    legend = {line.scorer: line.text for table in evaluation.tables for line in table.lines}
    if legend:
        lines = [f"- `{name}`: {text}" for name, text in legend.items()]
        parts += ["### What the scores are", "\n".join(lines)]
    return "\n\n".join(parts)


def headline_markdown(evaluation: Evaluation) -> str:
    """Return the scores that matter most, for the first task that has the network among them.

    Raises
    ------
    SettingsError
        When no table compares the network with the landscape.
    """
    having = [t for t in evaluation.tables if any(line.scorer == "network" for line in t.lines)]
    if not having:
        raise SettingsError(
            "There is no table with landscapes and the network for a headline.",
            hint="Give rows with predictions and labels of chemical systems that the network has "
            "not seen (--held-out).",
        )
    table = having[0]
    lines = [line for name in HEADLINE for line in table.lines if line.scorer == name]
    lines += [line for line in table.lines if line.kind == "baseline"]
    rows = [
        "| score | ROC-AUC | conductors among the first 10 |",
        "| --- | --- | --- |",
    ]
    for line in lines:
        name = f"{line.text} (baseline)" if line.kind == "baseline" else f"`{line.scorer}`"
        found = line.measures
        rows.append(
            f"| {name} | {_interval(found.roc_auc)} | {_interval(found.precision_first_10)} |"
        )
    costs = "; ".join(f"{cost.name} {cost.core_s_median:.3g}" for cost in evaluation.costs[:3])
    parts = [
        f"{table.n} materials with an answer, of which {table.n_positive} are above "
        f"{table.threshold:g} {table.unit} ({evaluation.mobile_species}, {evaluation.potential}):",
        "\n".join(rows),
    ]
    if costs:
        parts.append(f"Core-seconds of a material, median: {costs}.")
    return "\n\n".join(parts)


def evaluation_json(evaluation: Evaluation) -> str:
    """Return all numbers as JSON; what is not defined is null."""
    return json.dumps(_plain(asdict(evaluation)), indent=2, allow_nan=False)


def _table(table: Table) -> str:
    head = (
        f"**Above {table.threshold:g} {table.unit}; materials {table.materials}**: "
        f"n = {table.n}, above {table.n_positive}"
    )
    if table.n_open:
        head += f"; {table.n_open} left out, whose interval or bound leaves it open"
    if not table.lines:
        return f"{head}. Nothing to tell apart."
    values = {line.measures.n_values for line in table.lines}
    head += f". Spearman over the {values.pop()} with a number."
    columns = (
        "ROC-AUC",
        "average precision",
        "first 10",
        "first 10 %",
        "Spearman",
        "of those above",
    )
    rows = [
        f"| score | {' | '.join(columns)} |",
        f"| --- |{' --- |' * len(columns)}",
    ]
    for line in table.lines:
        name = f"{line.scorer} (baseline)" if line.kind == "baseline" else line.scorer
        found = line.measures
        cells = [
            found.roc_auc,
            found.average_precision,
            found.precision_first_10 if table.n > FEW else None,
            found.precision_first_tenth,
            found.spearman,
            found.spearman_above if table.n_positive > FEW else None,
        ]
        rows.append(f"| {name} | {' | '.join(_interval(cell) for cell in cells)} |")
    return head + "\n\n" + "\n".join(rows)


def _costs(costs: Sequence[Cost]) -> str:
    rows = [
        "| | materials | evaluations, median | core-seconds, median | mean | in all (h) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for cost in costs:
        rows.append(
            f"| {cost.name} | {cost.n} | {cost.evaluations_median:.0f} | "
            f"{cost.core_s_median:.3g} | {cost.core_s_mean:.3g} | "
            f"{cost.core_s_total / 3600:.2f} |"
        )
    return "\n".join(rows)


def _interval(found: Interval | None) -> str:
    if found is None or not math.isfinite(found.value):
        return "-"
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
