"""Frozen-framework descriptors of crystals with and without labels, for the force network.

    python -m benchmarks.descriptors_of_landscapes datasets/screening_1000K.jsonl \\
        datasets/screening_obelix.jsonl

Reads rows of the screening collection (``superionic query --format jsonl``) and keeps the numbers
of the landscape alone.
"""

import argparse
import json
from pathlib import Path

from studies.force_network.descriptors import descriptors_of_rows
from superionic.report.tables.export import read_rows_file

DATASETS = Path(__file__).parents[1] / "datasets"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=DATASETS / "descriptors_1000K.jsonl")
    options = parser.parse_args()
    rows = [row for path in options.rows for row in read_rows_file(path)]
    found = sorted(descriptors_of_rows(rows).items())
    lines = [json.dumps({"material_id": name, **numbers}) for name, numbers in found]
    options.out.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} crystals in {options.out.name}")


if __name__ == "__main__":
    main()
