"""What scores are worth on a user's measured crystals, in Markdown and CSV."""

import csv
import math
from collections.abc import Sequence
from io import StringIO

from superionic.evaluation.measured import LeftOut, MeasuredEvaluation, MeasuredLine
from superionic.report.tables.evaluation import interval_text
from superionic.report.tables.text_table import markdown_table
from superionic.statistics import Interval

_MOST_NAMES = 20


def measured_markdown(found: MeasuredEvaluation, crystals: str = "CRYSTALS") -> str:
    """Return the table, and what was left out of it and why.

    Parameters
    ----------
    found : MeasuredEvaluation
        The numbers.
    crystals : str
        Files of the crystals, for the command that computes what is missing.
    """
    parts = [
        f"Mobile ion {found.mobile_species}, potential {found.potential}: {found.n_read} "
        f"measurements, {found.n_crystals} crystals in {found.n_systems} chemical systems count; "
        f"{found.n_kin} of them have the elements of a training sample of `conductivity`."
    ]
    if found.n_crystals:
        parts.append(_table(found))
        text = "In brackets: 95 % intervals, from a bootstrap that draws chemical systems."
        if found.level:
            text += (
                " MAE is in decades; of a score that is no conductivity, MAE and R2 are of a line "
                "through the measurements that `conductivity` was fitted on. Coverage is of "
                f"intervals made for {found.level:.0%}."
            )
        parts.append(text)
    else:
        parts.append("No crystal is left, so there is no table.")
    compute = (
        f"Compute them with: superionic screen {crystals} --mobile {found.mobile_species} "
        f"--potential {found.potential}"
    )
    for text, ones, hint in (
        ("Measurements that cannot be used", found.left_out, []),
        ("Crystals that 'conductivity' has learned, left out", found.learned, []),
        ("Crystals without a landscape, left out", found.lacking, [compute]),
    ):
        if ones:
            parts += [f"**{text}: {len(ones)}**", "\n".join(_names(ones)), *hint]
    return "\n\n".join(parts)


def measured_csv(found: MeasuredEvaluation) -> str:
    """Return a line for each score and threshold; what is not defined is empty."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    measures = ("roc_auc", "spearman", "mae", "r2", "coverage")
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    writer.writerow(["threshold_S_per_cm", "score", "kind", "n", "n_above", *ends])
    for threshold in found.thresholds_S_per_cm:
        for line in found.lines:
            known = (line.roc_auc[threshold], line.spearman, line.mae, line.r2, line.coverage)
            cells = [cell for one in known for cell in _cells(one)]
            start = [f"{threshold:g}", line.scorer, line.kind, line.n, line.n_above[threshold]]
            writer.writerow([*start, *cells])
    return file.getvalue()


def _table(found: MeasuredEvaluation) -> str:
    thresholds = found.thresholds_S_per_cm
    titles = [f"ROC-AUC above {one:g} S/cm" for one in thresholds]
    heads = ["score", "crystals", *titles, "Spearman", "MAE", "R2", "coverage"]
    return markdown_table(heads, [_row(line, thresholds) for line in found.lines])


def _row(line: MeasuredLine, thresholds: Sequence[float]) -> list[str]:
    name = f"`{line.scorer}`" if line.kind == "policy" else f"{line.scorer} (baseline)"
    above = ", ".join(str(line.n_above[one]) for one in thresholds)
    measures = (line.spearman, line.mae, line.r2, line.coverage)
    aucs = [interval_text(line.roc_auc[one]) for one in thresholds]
    return [name, f"{line.n} ({above})", *aucs, *map(interval_text, measures)]


def _names(ones: Sequence[LeftOut]) -> list[str]:
    shown = [f"- {one.material_id}: {one.reason}" for one in ones[:_MOST_NAMES]]
    more = len(ones) - len(shown)
    return [*shown, *([f"- and {more} more"] * bool(more))]


def _cells(one: Interval | None) -> list[str]:
    if one is None:
        return ["", "", ""]
    return [f"{x:.3f}" if math.isfinite(x) else "" for x in (one.value, one.low, one.high)]
