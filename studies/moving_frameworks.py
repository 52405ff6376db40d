"""How much of the ranking rests on crystals whose whole framework moves, and is not molten.

    python -m studies.moving_frameworks

A run is molten when every element of the framework moves on, and has left its places in both halves
of it (:mod:`superionic.dynamics.framework`). A framework that goes in the second half is not molten
by that rule; the label names what moves (``diffusing_framework``). Here such crystals, if all
elements of their framework move, count as molten ones do: as crystals that do not conduct. This was
thought of when the results of both dynamics were known.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from studies.gains import BASE, FAST_A2_PER_PS, LABELS, answers_of, published
from superionic.evaluation.evaluate import label_truths
from superionic.report.tables.text_table import markdown_table
from superionic.schemas.label import LabelRow
from superionic.statistics import bootstrap_interval, roc_auc

RESULT = Path(__file__).parents[1] / "benchmarks" / "results" / "moving_frameworks.md"
DYNAMICS = {"chgnet:0.3.0": LABELS, "chgnet:oam": ("labels_1000K_oam",)}
"""Files of labels, by the potential of their dynamics."""
N_FIRST = 10


def moves_as_a_whole(row: LabelRow) -> bool:
    """Return whether every element of the framework moves on."""
    if row.structure is None or not row.diffusing_framework:
        return False
    return set(row.diffusing_framework) >= {*row.structure["species"]} - {row.mobile_species}


def table() -> str:
    """Return counts and ROC-AUC of the default policy, by both dynamics."""
    heads = [
        "dynamics",
        "molten",
        "whole framework moves, not molten",
        "of these diffusing",
        f"of the first {N_FIRST}: molten or moving",
        "ROC-AUC, molten left out",
        "molten fail",
        "and those that move fail",
    ]
    return markdown_table(heads, [_line(*one) for one in DYNAMICS.items()]) + "\n"


def _line(potential: str, files: Sequence[str]) -> list[str]:
    known = published(labels=files)
    score, systems = known.scores[BASE], known.group.systems()
    rows = {row.material_id: row for row in known.labels if row.material_id in score}
    molten = {name for name, row in rows.items() if row.verdict == "melted"}
    moving = {name for name, row in rows.items() if moves_as_a_whole(row)} - molten
    first = sorted(rows, key=lambda name: -score[name])[:N_FIRST]
    diffusing = [name for name in moving if rows[name].verdict == "diffusing"]
    numbers = [len(molten), len(moving), len(diffusing), sum(n in molten | moving for n in first)]

    def area(answers: Mapping[str, bool]) -> str:
        truth = np.array(list(answers.values()))
        values = np.array([score[name] for name in answers])
        drawn = [systems[name] for name in answers]
        return f"{bootstrap_interval(roc_auc, [truth, values], groups=drawn):.2f}"

    left_out, failing = (
        answers_of(
            list(rows),
            label_truths(
                known.group,
                known.labels,
                potential=potential,
                by_bounds=True,
                melted_fails=fails,
            ),
            float(np.log10(FAST_A2_PER_PS)),
        )
        for fails in (False, True)
    )
    both = failing | dict.fromkeys(moving, False)
    return [potential, *map(str, numbers), *map(area, (left_out, failing, both))]


def main() -> None:
    """Write the table."""
    argparse.ArgumentParser(description=str(__doc__).splitlines()[0]).parse_args()
    RESULT.write_text(table())


if __name__ == "__main__":
    main()
