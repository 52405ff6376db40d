"""Count the published labels, and set them beside measured conductivities.

    python benchmarks/label_statistics.py [--write] [--experiment CONDUCTIVITIES.csv]

--write replaces the statistics in datasets/README.md. The experiments are a CSV with columns mp_id,
sigma_RT_S_cm and censored (OBELiX matched to Materials Project identifiers); rows whose space group
does not match (sg_match) are passed over.
"""

import argparse
import csv
import json
import statistics
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = (
    "<!-- statistics: written by benchmarks/label_statistics.py -->",
    ("<!-- end of statistics -->"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=Path, default=ROOT / "datasets" / "labels_1000K.jsonl")
    parser.add_argument(
        "--planned", type=Path, default=ROOT / "workflows" / "label_1000K_crystals.jsonl"
    )
    parser.add_argument("--experiment", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()

    from superionic.report.labels import read_data_set

    rows = read_data_set(options.labels)
    planned = {json.loads(line)["material_id"] for line in options.planned.open()}
    text = counts(rows, planned)
    if options.experiment:
        text += "\n\n" + comparison(rows, options.experiment)
    print(text)
    if options.write:
        card = ROOT / "datasets" / "README.md"
        before, rest = card.read_text().split(BEGIN)
        after = rest.split(END)[1]
        card.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def counts(rows: list, planned: set[str]) -> str:
    done = {row.material_id for row in rows} & planned
    lines = [f"**State.** {len(done)} of {len(planned)} planned crystals are labelled."]
    if not rows:
        return lines[0]
    lines += ["", "| verdict | crystals | median slope (A^2/ps) |", "| --- | --- | --- |"]
    for verdict, count in Counter(row.verdict for row in rows).most_common():
        slopes = [
            row.msd_slope_A2_per_ps
            for row in rows
            if row.verdict == verdict and row.msd_slope_A2_per_ps is not None
        ]
        middle = f"{statistics.median(slopes):.4f}" if slopes else "-"
        lines.append(f"| {verdict} | {count} | {middle} |")
    ends = ", ".join(f"{n} {name}" for name, n in Counter(r.status for r in rows).most_common())
    hours = sum(row.wall_time_s for row in rows) / 3600
    lines += ["", f"Runs ended as: {ends}. They took {hours:.2f} h of one core, where known."]
    return "\n".join(lines)


def comparison(rows: list, path: Path) -> str:
    labels = {row.material_id: row for row in rows}
    lines = [
        "| id | formula | measured, room temperature (S/cm) | slope (A^2/ps) | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    with path.open() as stream:
        measured = [
            line
            for line in csv.DictReader(stream)
            if line["mp_id"] in labels and line["sg_match"] == "True"
        ]
    for line in sorted(measured, key=lambda one: -float(one["sigma_RT_S_cm"])):
        row = labels[line["mp_id"]]
        slope = row.msd_slope_A2_per_ps
        bound = "< " if line["censored"] == "True" else ""
        lines.append(
            f"| {row.material_id} | {row.formula} | {bound}{float(line['sigma_RT_S_cm']):.1e} | "
            f"{'-' if slope is None else format(slope, '.4f')} | {row.verdict} |"
        )
    return "\n".join(lines) if measured else "No measured conductivity of these crystals is known."


if __name__ == "__main__":
    main()
