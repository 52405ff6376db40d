"""Count the published labels, set them beside measured conductivities and beside labels made again.

    python -m studies.label_statistics [--experiment CONDUCTIVITIES.csv] [--write]

Of several runs of a crystal one is the published label (by the latest rules, then the longest),
with which the others are compared.
--experiment takes CSVs of conductivities: of OBELiX (id, obelix_id, sigma_RT_S_cm,
censored_upper_bound), and of those matched to Materials Project identifiers by formula (mp_id,
obelix_id, sigma_RT_S_cm, censored, sg_match). Labels made
again (by workflows/label_spread_*.yaml) are compared where datasets/labels_spread_*.jsonl exist.
--before takes labels of the same crystals with another potential: a table shows what changed.
--write puts each table that was made between its marks in datasets/README.md; others stay.
--suffix is added to the names of the marks: labels of another potential have their own places.
"""

import argparse
import csv
import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from superionic.report.tables.labels import read_data_set, runs_that_count
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.label import LabelRow
from superionic.statistics import Interval, bootstrap_interval, roc_auc, spearman

ROOT = Path(__file__).parents[1]
MARKS = "<!-- {name}: written by studies/label_statistics.py -->", "<!-- end of {name} -->"
FAST_S_PER_CM, POOR_S_PER_CM = 1e-5, 1e-7
FLOOR_A2_PER_PS = 1e-4
DECADES_A2_PER_PS = (-math.inf, 0.01, 0.1, 1.0, 10.0, math.inf)
N_RESAMPLES = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = ROOT / "datasets"
    parser.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        default=[data / f"labels_1000K{part}.jsonl" for part in ("", "_longer", "_melted")],
    )
    parser.add_argument(
        "--planned", type=Path, default=ROOT / "workflows" / "label_1000K_crystals.jsonl"
    )
    parser.add_argument("--experiment", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--again", type=Path, nargs="*", default=sorted(data.glob("labels_spread_*.jsonl"))
    )
    parser.add_argument("--before", type=Path, nargs="*", default=[])
    parser.add_argument("--suffix", default="")
    parser.add_argument("--card", type=Path, default=data / "README.md")
    parser.add_argument("--write", action="store_true", help="replace the tables of the card")
    options = parser.parse_args(arguments)

    every = [row for path in options.labels for row in read_data_set(path)]
    rows = runs_that_count(every)
    planned = {json.loads(line)["material_id"] for line in options.planned.open()}
    tables = {"statistics": counts(rows, planned)}
    if options.experiment:
        tables["experiment"] = against_experiment(rows, read_measured(options.experiment))
    counting = {row.material_id: row for row in rows}
    shorter, former = [], []
    kept = {row.task_key for row in rows}
    for row in every:
        if row.task_key not in kept:
            is_former = row.analysis_version < counting[row.material_id].analysis_version
            (former if is_former else shorter).append(row)
    again = {"shorter run": shorter} | {
        path.stem.removeprefix("labels_spread_"): read_data_set(path) for path in options.again
    }
    if made := {name: labels for name, labels in again.items() if labels}:
        tables["spread"] = spread(rows, made)
    if former:
        tables["rules"] = changes(runs_that_count(former), rows, ("by former rules", "today's"))
    if options.before:
        before = runs_that_count(row for path in options.before for row in read_data_set(path))
        tables["changes"] = changes(before, rows)
    print("\n\n".join(tables.values()))
    if options.write:
        text = options.card.read_text()
        for name, table in tables.items():
            text = put(text, f"{name}{options.suffix}", table)
        options.card.write_text(text)


def put(text: str, name: str, table: str) -> str:
    """Return the text with a table between the marks of its name."""
    begin, end = (mark.format(name=name) for mark in MARKS)
    if text.count(begin) != 1 or end not in text.split(begin)[1]:
        raise SystemExit(
            f"The card has no place for the table {name!r}: it needs {begin} ... {end}."
        )
    before, rest = text.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end, 1)[1]}"


# --- what there is -------------------------------------------------------------------------------


def counts(rows: Sequence[LabelRow], planned: set[str]) -> str:
    """Return how many labels there are, by verdict."""
    done = {row.material_id for row in rows} & planned
    lines = [f"**State.** {len(done)} of {len(planned)} planned crystals are labelled."]
    if not rows:
        return lines[0]
    lines += [
        "",
        "| verdict | crystals | slope (A^2/ps): median | smallest to largest |",
        "| --- | --- | --- | --- |",
    ]
    for verdict, count in Counter(row.verdict for row in rows).most_common():
        slopes = sorted(
            row.msd_slope_A2_per_ps
            for row in rows
            if row.verdict == verdict and row.msd_slope_A2_per_ps is not None
        )
        middle = f"{statistics.median(slopes):.4f}" if slopes else "-"
        reach = f"{slopes[0]:.3f} to {slopes[-1]:.3f}" if slopes else "-"
        lines.append(f"| {verdict} | {count} | {middle} | {reach} |")
    lines += ["", f"Slopes of those not melted (A^2/ps): {distribution(rows)}."]
    bounds = [
        row.msd_slope_upper_bound_A2_per_ps
        for row in rows
        if row.verdict == "not_diffusing" and row.msd_slope_upper_bound_A2_per_ps is not None
    ]
    if bounds:
        lines[-1] += (
            f" Upper bounds (95 %) of those that do not diffuse: {min(bounds):.2f} to "
            f"{max(bounds):.2f}, median {statistics.median(bounds):.2f}."
        )
    ends = ", ".join(f"{n} {name}" for name, n in Counter(r.status for r in rows).most_common())
    hours = sum(row.wall_time_s for row in rows) / 3600
    return "\n".join(
        [*lines, "", f"Runs ended as: {ends}. They took {hours:.1f} h of one core, where known."]
    )


def distribution(rows: Sequence[LabelRow]) -> str:
    """Return how many slopes lie in each decade, in words."""
    slopes = [
        row.msd_slope_A2_per_ps
        for row in rows
        if row.verdict != "melted" and row.msd_slope_A2_per_ps is not None
    ]
    parts = []
    for low, high in pairwise(DECADES_A2_PER_PS):
        where = f"from {low:g} to {high:g}"
        if math.isinf(low) or math.isinf(high):
            where = f"below {high:g}" if math.isinf(low) else f"above {low:g}"
        parts.append(f"{sum(low <= slope < high for slope in slopes)} {where}")
    return ", ".join(parts)


# --- against experiment --------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """Room-temperature conductivities of one crystal."""

    values_S_per_cm: tuple[float, ...]
    censored: bool  # all of them are upper bounds
    same_spacegroup: bool

    @property
    def median_S_per_cm(self) -> float:
        """Return the median of the logarithms; upper bounds count as they are."""
        return 10.0 ** statistics.median(math.log10(value) for value in self.values_S_per_cm)

    def text(self) -> str:
        values = sorted(self.values_S_per_cm)
        reach = f" ({values[0]:.0e} to {values[-1]:.0e}, {len(values)})" if len(values) > 1 else ""
        return f"{'< ' if self.censored else ''}{self.median_S_per_cm:.1e}{reach}"


def read_measured(paths: Iterable[Path]) -> dict[str, Measured]:
    """Return what was measured of each crystal: of its space group, else of its formula.

    Files have one crystal a line: of OBELiX, with its ``id`` and ``censored_upper_bound``, or one
    that was matched with it, with ``mp_id``, ``sg_match`` and ``censored``.
    """
    found: dict[str, dict[str, dict[str, str]]] = {}
    for path in paths:
        with path.open(newline="") as stream:
            for line in csv.DictReader(stream):
                name = line.get("mp_id") or line["id"]
                found.setdefault(name, {})[line["obelix_id"]] = line
    measured = {}
    for name, of_each in found.items():
        mine = list(of_each.values())
        matching = [line for line in mine if line.get("sg_match", "True") == "True"]
        taken = matching or mine
        measured[name] = Measured(
            tuple(float(line["sigma_RT_S_cm"]) for line in taken),
            all(
                "True" in (line.get("censored"), line.get("censored_upper_bound")) for line in taken
            ),
            bool(matching),
        )
    return measured


def rank_value(row: LabelRow) -> float:
    """Return what a label is ranked by: its slope; zero where the run shows no diffusion.

    Slopes of crystals that do not diffuse are noise about zero: they are tied.
    """
    if row.verdict == "not_diffusing" or row.msd_slope_A2_per_ps is None:
        return 0.0
    return max(row.msd_slope_A2_per_ps, FLOOR_A2_PER_PS)


def against_experiment(rows: Iterable[LabelRow], measured: dict[str, Measured]) -> str:
    """Return labels beside measured conductivities, and whether they go the same way."""
    both = [(row, measured[row.material_id]) for row in rows if row.material_id in measured]
    if not both:
        return "No measured conductivity of the labelled crystals is known."
    both.sort(key=lambda pair: -pair[1].median_S_per_cm)
    lines = [
        "| id | formula | measured, room temperature (S/cm) | slope (A^2/ps) | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row, found in both:
        other = "" if found.same_spacegroup else ", other space group"
        lines.append(
            f"| {row.material_id} | {row.formula} | {found.text()}{other} | "
            f"{slope_text(row)} | {row.verdict} |"
        )
    solid = [(row, found) for row, found in both if row.verdict != "melted"]
    same = [(row, found) for row, found in solid if found.same_spacegroup]
    lines += ["", summary("Same space group", same), summary("All", solid)]
    return "\n".join(lines)


def summary(name: str, pairs: Sequence[tuple[LabelRow, Measured]]) -> str:
    """Return rank correlation and the order of fast and poor conductors, melted crystals aside."""
    slopes = [rank_value(row) for row, _ in pairs]
    found = order([(slope, one) for slope, (_, one) in zip(slopes, pairs, strict=True)])
    return (
        f"{name} ({len(pairs)} crystals, melted ones aside): Spearman correlation of slope and "
        f"conductivity {interval_text(found.correlation)}; a fast conductor "
        f"({FAST_S_PER_CM:g} S/cm or more: {found.n_fast}) has the larger slope than a poor one "
        f"({POOR_S_PER_CM:g} or less: {found.n_poor}) with probability "
        f"{interval_text(found.area)}."
    )


@dataclass(frozen=True)
class Order:
    """How well a score orders crystals by their conductivity: a rank correlation, and how often a
    fast conductor comes before a poor one."""

    correlation: Interval
    area: Interval
    n_fast: int
    n_poor: int


def order(pairs: Sequence[tuple[float, Measured]]) -> Order:
    """Return how well a score orders crystals by their conductivity."""
    scores, sigmas = [score for score, _ in pairs], [one.median_S_per_cm for _, one in pairs]
    correlation = bootstrap_interval(spearman, [scores, sigmas], N_RESAMPLES)
    clear = [
        (score, sigma >= FAST_S_PER_CM)
        for score, sigma in zip(scores, sigmas, strict=True)
        if sigma >= FAST_S_PER_CM or sigma <= POOR_S_PER_CM
    ]
    fast = [yes for _, yes in clear]
    area = bootstrap_interval(roc_auc, [fast, [score for score, _ in clear]], N_RESAMPLES)
    return Order(correlation, area, sum(fast), len(fast) - sum(fast))


# --- labels made again ---------------------------------------------------------------------------


def spread(rows: Iterable[LabelRow], again: dict[str, list[LabelRow]]) -> str:
    """Return labels beside those of another seed or potential, and how far they are apart."""
    first = {row.material_id: row for row in rows}
    others = {name: {row.material_id: row for row in labels} for name, labels in again.items()}
    ids = [name for name in first if any(name in labels for labels in others.values())]
    if not ids:
        return "None of the labels made again has a published counterpart yet."
    lines = [
        f"| id | formula | published | {' | '.join(others)} |",
        f"| --- | --- | --- |{' --- |' * len(others)}",
    ]
    for name in ids:
        cells = [label_text(labels.get(name)) for labels in (first, *others.values())]
        lines.append(f"| {name} | {first[name].formula} | {' | '.join(cells)} |")
    lines.append("")
    for other, labels in others.items():
        pairs = [(first[name], labels[name]) for name in ids if name in labels]
        lines.append(f"{other}: {apart(pairs)}")
    return "\n".join(lines)


def apart(pairs: Sequence[tuple[LabelRow, LabelRow]]) -> str:
    """Return how far pairs of labels are apart, in words."""
    same = sum(a.verdict == b.verdict for a, b in pairs)
    text = f"{same} of {len(pairs)} verdicts are the same"
    sizes = [
        abs(a.msd_slope_A2_per_ps - b.msd_slope_A2_per_ps)
        / math.hypot(a.msd_slope_error_A2_per_ps or 0.0, b.msd_slope_error_A2_per_ps or 0.0)
        for a, b in pairs
        if a.msd_slope_A2_per_ps is not None
        and b.msd_slope_A2_per_ps is not None
        and (a.msd_slope_error_A2_per_ps or b.msd_slope_error_A2_per_ps)
    ]
    if sizes:
        within = sum(size <= 2.0 for size in sizes)
        text += f"; {within} of {len(sizes)} slopes differ by at most two joint standard errors"
    ratios = [
        abs(math.log10(rank_value(a) / rank_value(b)))
        for a, b in pairs
        if a.verdict == b.verdict == "diffusing"
    ]
    if ratios:
        text += (
            f"; where both diffuse ({len(ratios)}), they differ by a factor of "
            f"{10 ** statistics.median(ratios):.2f} in the median, at most {10 ** max(ratios):.2f}"
        )
    return text + "."


# --- labels of another potential ------------------------------------------------------------------


def changes(
    before: Iterable[LabelRow], rows: Iterable[LabelRow], titles: Sequence[str] = ()
) -> str:
    """Return what became of the verdicts, and whether slopes have the same order.

    Without titles the two sides are named by their potentials.
    """
    old = {row.material_id: row for row in before}
    pairs = [(old[row.material_id], row) for row in rows if row.material_id in old]
    verdicts = sorted({row.verdict for pair in pairs for row in pair})
    counted = Counter((a.verdict, b.verdict) for a, b in pairs)
    names = titles or [
        " and ".join(sorted({one.potential for one in side})) for side in zip(*pairs, strict=True)
    ]
    known = sorted({before.verdict for before, _ in pairs})
    counts_by_row = {a: [counted[a, b] for b in verdicts] for a in known}
    counts_by_row["all"] = [sum(column) for column in zip(*counts_by_row.values(), strict=True)]
    table = markdown_table(
        [f"{names[0]} \\ {names[1]}", *verdicts, "all"],
        [[a, *map(str, found), str(sum(found))] for a, found in counts_by_row.items()],
    )
    solid = [(a, b) for a, b in pairs if "melted" not in (a.verdict, b.verdict)]
    if not solid:
        return table
    slopes = [[rank_value(row) for row in side] for side in zip(*solid, strict=True)]
    order = interval_text(bootstrap_interval(spearman, slopes, N_RESAMPLES))
    both = [
        math.log10(rank_value(b) / rank_value(a))
        for a, b in solid
        if a.verdict == b.verdict == "diffusing"
    ]
    text = f"Spearman correlation of slopes, where neither melted ({len(solid)}): {order}."
    if both:
        text += (
            f" Where both diffuse ({len(both)}), the slope changes by a factor of "
            f"{10 ** statistics.median(both):.2f} in the median."
        )
    return f"{table}\n\n{text}"


# --- text ----------------------------------------------------------------------------------------


def slope_text(row: LabelRow) -> str:
    if row.msd_slope_A2_per_ps is None:
        return "-"
    error = row.msd_slope_error_A2_per_ps
    return f"{row.msd_slope_A2_per_ps:.3f}" + ("" if error is None else f" +- {error:.3f}")


def label_text(row: LabelRow | None) -> str:
    return "-" if row is None else f"{slope_text(row)}, {row.verdict}"


def interval_text(found: Interval) -> str:
    if not math.isfinite(found.value):
        return "not defined"
    if not found.n_resamples:
        return f"{found.value:.2f}"
    return f"{found:.2f}"


if __name__ == "__main__":
    main()
