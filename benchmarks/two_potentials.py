"""Do the landscapes of two potentials together find conductors better than those of one?

    python benchmarks/two_potentials.py datasets/screening_obelix.jsonl \
        datasets/screening_obelix_tensornet.jsonl --obelix FILE.csv --obelix-match FILE.csv

For the crystals that both files have, against measured conductivities: the ROC-AUC of a descriptor
by the first potential, by the second, and of the mean of both ranks, with bootstrap intervals over
chemical systems, and the rank correlation between the two.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from superionic.evaluation.evaluate import conductors_of
from superionic.evaluation.readers import read_matches, read_obelix
from superionic.evaluation.scorers import Scorer
from superionic.evaluation.tables import Task, tables_of
from superionic.evaluation.truth import conductivities
from superionic.report.tables.export import read_rows_file
from superionic.statistics import spearman
from superionic.store.ranking.features import FEATURES

DESCRIPTORS = ("fv_disconnected_2eV", "xi", "barrier_3d_eV", "barrier_2d_eV", "barrier_1d_eV")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--obelix", type=Path, required=True)
    parser.add_argument("--obelix-match", type=Path, required=True)
    parser.add_argument("--threshold-S-per-cm", type=float, default=1e-5)
    options = parser.parse_args()
    first, second = (
        {row.material_id: row for row in read_rows_file(path) if row.xi is not None}
        for path in (options.first, options.second)
    )
    known = conductivities([*read_obelix(options.obelix), *read_matches(options.obelix_match)])
    above = conductors_of(known, options.threshold_S_per_cm)
    both = [name for name in sorted(first) if name in second and name in above]
    task = Task("measured conductivity", "measured", known, [options.threshold_S_per_cm], "S/cm")
    systems = {name: first[name].chemical_system for name in both}
    labels = [next(iter(rows.values())).potential for rows in (first, second)]
    n_above = sum(above[name] for name in both)
    print(f"{len(both)} crystals, {n_above} above {options.threshold_S_per_cm:g} S/cm\n")
    print(f"| descriptor | {labels[0]} | {labels[1]} | mean of both ranks | Spearman of the two |")
    print("| --- | --- | --- | --- | --- |")
    for name in DESCRIPTORS:
        one, other = (
            np.array([FEATURES[name].oriented(rows[material]) for material in both], dtype=float)
            for rows in (first, second)
        )
        ranks = rankdata(one) + rankdata(other)
        scorers = [
            Scorer(title, title, "descriptor", "landscape", dict(zip(both, scores, strict=True)))
            for title, scores in zip(
                (*labels, "mean of both ranks"), (one, other, ranks), strict=True
            )
        ]
        (table,) = tables_of(task, scorers, systems)
        found = [line.measures.roc_auc for line in table.lines]
        cells = [f"{one:.2f}" for one in found]
        print(f"| `{name}` | {' | '.join(cells)} | {spearman(one, other):.2f} |")


if __name__ == "__main__":
    main()
