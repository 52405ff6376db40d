"""Put published landscapes and validations into the database, beside what it holds itself.

    superionic predict workflows/label_1000K_crystals.jsonl
    python benchmarks/published_rows.py datasets/screening_1000K.jsonl \\
        --validations datasets/validation_best.json

Landscapes take hours of one core and their numbers are published, predictions take minutes and
change with the network: so the report and the screenshots of the documentation are of rows that
have landscapes from the file and predictions from the database. A row that has a landscape of its
own keeps it, and the largest difference from the published one is printed.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from superionic.builders.run import run_builder
from superionic.builders.screening import ScreeningBuilder, read_rows
from superionic.query import opened
from superionic.report.export import read_rows_file
from superionic.schemas.screening import LANDSCAPE_FIELDS, PARTS, ScreeningDocument
from superionic.schemas.validation import ValidationDocument

NUMBERS = (*LANDSCAPE_FIELDS, "n_evaluations", "wall_time_s")


def with_landscape(row: ScreeningDocument, published: ScreeningDocument) -> ScreeningDocument:
    """Return a row with the numbers of a published landscape, whose documents are elsewhere."""
    present = [part for part in PARTS if part == "landscape" or part in row.present]
    warnings = {(one.code, one.text): one for one in (*published.warnings, *row.warnings)}
    copied = (*NUMBERS, "task_key", "settings", "source", "relaxed")
    return row.model_copy(
        update={name: getattr(published, name) for name in copied}
        | {
            "present": present,
            "missing": [part for part in PARTS if part not in present],
            "warnings": list(warnings.values()),
        }
    )


def difference(row: ScreeningDocument, published: ScreeningDocument) -> float:
    """Return the largest relative difference of a landscape's numbers; wall time aside."""
    pairs = [
        (float(getattr(row, name)), float(getattr(published, name)))
        for name in NUMBERS
        if name != "wall_time_s" and getattr(published, name) is not None
    ]
    return max(abs(a - b) / max(abs(b), 1e-6) for a, b in pairs)


def merge(published: Sequence[ScreeningDocument], validations: Sequence[ValidationDocument]) -> str:
    """Write rows and validations; return a line that says what was done."""
    with opened() as database:
        docs = database.job_store.docs_store
        docs.update(
            [
                {"uuid": one.job_uuid, "index": 1, "output": one.model_dump(mode="json")}
                for one in validations
            ],
            key=["uuid", "index"],
        )
        builder = ScreeningBuilder(docs, database.screening)
        run_builder(builder)
        held = {row.key: row for row in read_rows(database.screening, {})}
        pairs = [(held[one.key], one) for one in published if one.key in held]
        own = [pair for pair in pairs if pair[0].descriptors_uuid]
        merged = [with_landscape(*pair) for pair in pairs if not pair[0].descriptors_uuid]
        if merged:
            database.screening.update([row.model_dump() for row in merged], key="key")
        builder.finalize()
    largest = max((difference(*pair) for pair in own), default=np.nan)
    return (
        f"{len(merged)} rows with a published landscape, {len(own)} with their own (largest "
        f"relative difference {largest:.2g}), {len(published) - len(pairs)} not in "
        f"the database, {len(validations)} validations."
    )


def main() -> None:
    """Read the files and merge them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--validations", type=Path)
    options = parser.parse_args()
    rows = [row for path in options.rows for row in read_rows_file(path)]
    documents = json.loads(options.validations.read_text()) if options.validations else []
    print(merge(rows, [ValidationDocument.model_validate(one) for one in documents]))


if __name__ == "__main__":
    main()
