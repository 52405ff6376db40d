"""Dynamics of the teacher beside those of its student and of CHGNet, on chemistry not learned.

    python -m studies.teacher_dynamics choose > workflows/label_1000K_teacher_crystals.jsonl
    superionic label --campaign workflows/label_1000K_teacher.yaml --potential 'ase:...' \
        --export datasets/labels_1000K_teacher.jsonl
    python -m studies.teacher_dynamics table

Of the crystals with a label by ``chgnet:oam``, of at most 32 atoms, whose chemical system is in the
test part of the distillation: the three that diffuse and the three that do not whose cells of
dynamics have the fewest atoms, because each step of the teacher takes about a second. They are
printed in the order of these cells. No label of the teacher is looked at.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from pymatgen.core import Composition

from superionic.distillation.dataset import part_of
from superionic.report.tables.labels import read_data_sets
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.label import LabelRow

ROOT = Path(__file__).parents[1]
DATA, WORKFLOWS = ROOT / "datasets", ROOT / "workflows"
RESULT = ROOT / "benchmarks" / "results" / "teacher_dynamics.md"
TEACHER = DATA / "labels_1000K_teacher.jsonl"
OF_STUDENT = [f"labels_1000K{name}_oam.jsonl" for name in ("", "_untouched", "_unlearned")]
OF_CHGNET = [f"labels_1000K{name}.jsonl" for name in ("", "_longer", "_melted", "_untouched")]
CRYSTALS = [f"label_1000K{name}_crystals.jsonl" for name in ("", "_untouched", "_unlearned")]
MOST_ATOMS, N_OF_A_KIND = 32, 3


def labels(names: Sequence[str]) -> dict[str, LabelRow]:
    """Return the labels of data sets by crystal."""
    return {row.material_id: row for row in read_data_sets([DATA / name for name in names])}


def chosen() -> list[str]:
    """Return identifiers by the rule."""
    pool = [
        row
        for row in labels(OF_STUDENT).values()
        if row.structure is not None
        and len(row.structure["species"]) <= MOST_ATOMS
        and part_of(Composition(row.formula).chemical_system) == "test"
    ]
    pool.sort(key=lambda row: (row.n_atoms, row.material_id))
    kinds = ("diffusing", "not_diffusing")
    found = [[row for row in pool if row.verdict == kind][:N_OF_A_KIND] for kind in kinds]
    return [row.material_id for row in sorted(chain(*found), key=lambda row: row.n_atoms)]


def cell_of(row: LabelRow | None) -> str:
    """Return verdict, slope with its error, and length of a run."""
    if row is None:
        return "-"
    slope = f"{row.msd_slope_A2_per_ps:.2f} +- {row.msd_slope_error_A2_per_ps:.2f}"
    return f"{row.verdict}, {slope} ({row.production_ps:.0f} ps)"


def table() -> str:
    """Return the dynamics of three potentials side by side."""
    by = [labels(OF_CHGNET), labels(OF_STUDENT), labels([TEACHER.name])]
    lines = [
        [f"{row.formula} ({name})", str(row.n_atoms), *(cell_of(one.get(name)) for one in by)]
        for name, row in by[-1].items()
    ]
    lines.sort(key=lambda line: int(line[1]))
    titles = ["crystal", "atoms", "CHGNet 0.3.0", "chgnet:oam", "nequix-oam-1, the teacher"]
    return f"MSD slopes at 1000 K in A^2/ps:\n\n{markdown_table(titles, lines)}\n"


def main() -> None:
    """Choose crystals, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["choose", "table"])
    if parser.parse_args().command == "table":
        RESULT.write_text(table())
        return
    lines = chain(*((WORKFLOWS / name).read_text().splitlines() for name in CRYSTALS))
    line_of = {json.loads(line)["material_id"]: line for line in lines}
    for name in chosen():
        print(line_of[name])


if __name__ == "__main__":
    main()
