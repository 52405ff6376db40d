"""Well measured conductors and poor conductors, and where each stands by each policy.

For lithium the list is a rule over OBELiX's training part: one crystal for each composition that
has a landscape, conductors of 1e-5 S/cm and more, and poor ones of 1e-7 S/cm and less. Most of
these landscapes were known before the rule was made: it is a summary, no test of anything. For
other ions it was entered by hand: phases whose conductivity, or bound, at a temperature at which
they exist is textbook knowledge, among crystals of ``workflows/other_ions``; what has no number
that we are sure of is not in it.

    python -m studies.champions DIR/data

A second table says of each lithium conductor what may hold its landscape back, by these rules:

*moved*: its relaxation moved an atom by more than 0.5 A. *neighbours*: where the other mobile ions
make way (:mod:`studies.relaxing`, in a cell at least 8 A wide), its barrier in one dimension is
lower by 0.2 eV or more than with all at rest in the same cell. *carriers*: a Frenkel pair
(:mod:`studies.frenkel`) costs more than 0.4 eV. *order*: one costs less than -0.1 eV, so that
another arrangement of the mobile ions lies lower than the one that was ordered.
"""

import argparse
import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from superionic.evaluation.readers import read_matches, read_obelix
from superionic.evaluation.truth import one_crystal_each
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.policies import policies

ROOT = Path(__file__).parents[1]
LIST = ROOT / "datasets" / "champions.csv"
RESULT = ROOT / "benchmarks" / "results" / "champions.md"
DIAGNOSIS = RESULT.with_name("champions_diagnosis.md")
PAIRS = RESULT.with_name("frenkel_pairs.jsonl")
RELAXING = [RESULT.with_name(name) for name in ("relaxing.jsonl", "relaxing_champions.jsonl")]
"""What was computed by the rule of :mod:`studies.relaxing`, and of the conductors besides."""
FAST, POOR = 1e-5, 1e-7
MOVED_A, LOWERED_eV, PAIR_eV, ORDER_eV = 0.5, 0.2, 0.4, -0.1
COLUMNS = (
    *("material_id", "formula", "mobile_species", "role", "conductivity_S_per_cm"),
    *("is_upper_bound", "temperature_K", "sample", "doi", "crystal", "licence"),
)


def ranked_rows() -> list[ScreeningDocument]:
    """Return the rows of the published sets, one for each crystal and mobile ion."""
    found: dict[tuple[str, str], ScreeningDocument] = {}
    for name in ("screening_1000K", "screening_obelix", "screening_champions"):
        for row in read_rows_file(ROOT / "datasets" / f"{name}.jsonl"):
            if row.xi is not None and row.duplicate_of is None:
                found[row.material_id, row.mobile_species] = row
    return list(found.values())


def by_hand() -> list[dict[str, str]]:
    """Return the lines of the list that no rule gives."""
    with LIST.open(newline="") as stream:
        return [line for line in csv.DictReader(stream) if line["mobile_species"] != "Li"]


def champions(data: Path, rows: Sequence[ScreeningDocument]) -> list[dict[str, str]]:
    """Return the list that the rule gives, conductors first, the best of each first."""
    names = {row.material_id: row for row in rows if row.mobile_species == "Li"}
    file = data / "labels_obelix_conductivity.csv"
    measured = [*read_obelix(file), *read_matches(data / "labels_obelix_to_mp_match.csv")]
    known = [one for one in measured if one.material_id in names]
    with file.open(newline="") as stream:
        dois = {line["obelix_id"]: line["doi"] for line in csv.DictReader(stream)}
    found: dict[str, dict[str, str]] = {}
    chosen = one_crystal_each(known, ("matched", "ordered", "approximant"))
    for one in sorted(chosen, key=lambda one: (-one.conductivity_S_per_cm, one.material_id)):
        value = one.conductivity_S_per_cm
        role = "conductor" if value >= FAST and not one.is_upper_bound else "poor"
        if role == "poor" and value > POOR:
            continue
        row = names[one.material_id]
        # Of one composition the best measurement counts: a poor sample of it proves nothing.
        found.setdefault(
            row.formula,
            dict(
                zip(
                    COLUMNS,
                    (
                        *(one.material_id, row.formula, row.mobile_species, role, f"{value:.3g}"),
                        *(str(one.is_upper_bound), "298", one.entry, dois.get(one.entry, "")),
                        *(one.crystal, "CC BY 4.0"),
                    ),
                    strict=True,
                )
            ),
        )
    return list(found.values())


def table(listed: Sequence[dict[str, str]], rows: Sequence[ScreeningDocument]) -> str:
    """Return where the listed crystals stand among those of their ion, by each policy."""
    lithium = [row for row in rows if row.mobile_species == "Li"]
    percent = percentiles(lithium)
    text = [
        f"Among {len(lithium)} lithium crystals. Percentile: percentage of the others that stand "
        "below. `conductivity` has learned these measurements, `network` the dynamics of some.",
        "",
        "| | crystals | " + " | ".join(f"`{name}`" for name in percent) + " |",
        "| --- | --- |" + " --- |" * len(percent),
    ]
    of_lithium = [line for line in listed if line["mobile_species"] == "Li"]
    for role in ("conductor", "poor"):
        own = [line["material_id"] for line in of_lithium if line["role"] == role]
        cells = [f"{median(found[n] for n in own if n in found):.0f}" for found in percent.values()]
        text.append(f"| {role}, median | {len(own)} | {' | '.join(cells)} |")
    text += ["", *_lines(of_lithium, percent)]
    others = [line["role"] for line in listed if line["mobile_species"] != "Li"]
    text += [
        "",
        f"Other ions: {others.count('conductor')} conductors and {others.count('poor')} poor ones, "
        "entered by hand, with literature coordinates. Percentiles among so few crystals are "
        "coarse. The policies `conductivity` and `network` know lithium only.",
    ]
    for ion in dict.fromkeys(line["mobile_species"] for line in listed):
        if ion != "Li":
            own_rows = [row for row in rows if row.mobile_species == ion]
            own_lines = [line for line in listed if line["mobile_species"] == ion]
            text += ["", f"Among {len(own_rows)} crystals of {ion}:", ""]
            text += _lines(own_lines, percentiles(own_rows))
    return "\n".join(text) + "\n"


def percentiles(rows: Sequence[ScreeningDocument]) -> dict[str, dict[str, float]]:
    """Return for each policy the percentile of each row that it ranks, by identifier."""
    found: dict[str, dict[str, float]] = {}
    for name, policy in policies().items():
        places = [one for one in policy.places(rows) if one.score is not None]
        if len(places) > 1:
            found[name] = {
                one.row.material_id: 100 * (len(places) - one.rank) / (len(places) - 1)
                for one in places
            }
    return found


def diagnosis(listed: Sequence[dict[str, str]], rows: Sequence[ScreeningDocument]) -> str:
    """Return what may hold back the landscape of each lithium conductor of the list."""
    lithium = {row.material_id: row for row in rows if row.mobile_species == "Li"}
    percent = percentiles(list(lithium.values()))["free_volume"]
    pairs = {name: (one["pair"] or {}).get("energy_eV") for name, one in _computed(PAIRS).items()}
    relaxing = {name: one for path in RELAXING for name, one in _computed(path).items()}
    heads = ["formula", "id", "crystal", "`free_volume`, percentile", "moved by relaxing (A)"]
    heads += ["published barrier (eV)", "1D", "1D, wide cell", "1D, neighbours make way"]
    heads += ["Frenkel pair (eV)", "may be held back by"]
    text = []
    for line in listed:
        name = line["material_id"]
        if line["mobile_species"] != "Li" or line["role"] != "conductor":
            continue
        row, pair = lithium[name], pairs.get(name)
        wide, way = (
            relaxing.get(name, {}).get(mode, {}).get("barrier_1d_eV")
            for mode in ("frozen", "relaxing")
        )
        moved = moved_A(row)
        causes = {
            "moved": moved is not None and moved > MOVED_A,
            "neighbours": None not in (wide, way) and wide - way >= LOWERED_eV,
            "carriers": pair is not None and pair > PAIR_eV,
            "order": pair is not None and pair < ORDER_eV,
        }
        numbers = [percent.get(name), moved, row.mpe_eV, row.barrier_1d_eV, wide, way, pair]
        formats = ("{:.0f}", *["{:.2f}"] * 6)
        cells = [
            "-" if one is None else shape.format(one)
            for shape, one in zip(formats, numbers, strict=True)
        ]
        said = ", ".join(cause for cause, holds in causes.items() if holds)
        text.append([row.formula, name, line["crystal"], *cells, said or "-"])
    return markdown_table(heads, text) + "\n"


def moved_A(row: ScreeningDocument) -> float | None:
    """Return by how much a relaxation moved an atom at most, None without one."""
    for one in row.warnings:
        found = re.search(r"atoms moved by up to ([\d.]+) A", one.text)
        if found:
            return float(found[1])
    return None


def _computed(path: Path) -> dict[str, dict[str, Any]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {one["material_id"]: one for one in map(json.loads, lines)}


def _lines(listed: Sequence[dict[str, str]], percent: dict[str, dict[str, float]]) -> list[str]:
    names = " | ".join(f"`{name}`" for name in percent)
    text = [
        f"| formula | id | role | S/cm | K | {names} |",
        "| --- | --- | --- | --- | --- |" + " --- |" * len(percent),
    ]
    for line in listed:
        cells = [
            f"{found[line['material_id']]:.0f}" if line["material_id"] in found else "-"
            for found in percent.values()
        ]
        bound = "< " if line["is_upper_bound"] == "True" else ""
        text.append(
            f"| {line['formula']} | {line['material_id']} | {line['role']} | {bound}"
            f"{line['conductivity_S_per_cm']} | {line['temperature_K']} | {' | '.join(cells)} |"
        )
    return text


def main() -> None:
    """Write the list and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the reference tables")
    rows = ranked_rows()
    listed = [*champions(parser.parse_args().data, rows), *by_hand()]
    with LIST.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
    RESULT.write_text(table(listed, rows))
    DIAGNOSIS.write_text(diagnosis(listed, rows))


if __name__ == "__main__":
    main()
