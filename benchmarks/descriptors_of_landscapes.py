"""Frozen-framework descriptors of crystals with and without labels, for the force network.

    python benchmarks/descriptors_of_landscapes.py datasets/screening_1000K.jsonl \\
        datasets/screening_obelix.jsonl

Reads rows of the screening collection (``superionic query --format jsonl``) and keeps the numbers
of the landscape alone: a row may hold labels and predictions, too, which neither a control nor a
network must see.
"""

import argparse
import json
from pathlib import Path

from superionic.report.tables.export import read_rows_file
from superionic.store.ranking.features import FEATURES

DESCRIPTORS = (
    *("xi", "mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV"),
    *("log10_fv_connected", "log10_fv_disconnected", "log10_free_volume_A3_per_ion"),
    *("log10_fv_disconnected_2eV", "log10_free_volume_2eV_A3_per_ion"),
    *("log10_diffusivity_ratio_1000K", "log10_diffusivity_ratio_min_1000K"),
)
DATASETS = Path(__file__).parents[1] / "datasets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=DATASETS / "descriptors_1000K.jsonl")
    options = parser.parse_args()
    rows = [row for path in options.rows for row in read_rows_file(path)]
    lines = []
    for row in sorted(rows, key=lambda row: row.material_id):
        if row.xi is not None:
            numbers = {name: FEATURES[name].of(row) for name in DESCRIPTORS}
            lines.append(json.dumps({"material_id": row.material_id, **numbers}))
    options.out.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} crystals in {options.out.name}")


if __name__ == "__main__":
    main()
