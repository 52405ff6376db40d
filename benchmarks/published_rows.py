"""Put published landscapes, labels and validations into the database, beside what it holds.

    superionic predict workflows/label_1000K_crystals.jsonl
    python benchmarks/published_rows.py datasets/screening_1000K.jsonl \\
        --validations datasets/validation_best.json

Landscapes take hours of one core and their numbers are published, predictions take minutes and
change with the network: so the report and the screenshots of the documentation are of rows that
have landscapes from the file and predictions from the database. A row that has a landscape of its
own keeps it, and the largest difference from the published one is printed. ``--labels`` puts labels
into the rows, too (a report that is given their files shows more of them, so it comes before).

``--renew`` writes published rows again, with the landscapes and predictions that the database has
now and the ranks that follow. Of several landscapes of a crystal it takes the one with the usual
settings.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from superionic.report.html.published import with_published
from superionic.report.tables.export import read_rows_file
from superionic.report.tables.labels import read_data_sets
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import LANDSCAPE_FIELDS, PARTS, Part, ScreeningDocument
from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import RowIdentity
from superionic.store.builders.screening import ScreeningBuilder, read_rows, run_builder
from superionic.store.collection.query import opened
from superionic.store.ranking.policies import ranked

OF_PARTS: dict[Part, tuple[str, ...]] = {
    "prediction": ("predict", "network"),
    "validation": ("validation", "conductivity_", "activation_energy"),
}
"""How the fields of a part begin."""

USUAL = "0.25 A learned"
"""Label of the settings that ``superionic screen`` takes when nothing is said."""

NUMBERS = (*LANDSCAPE_FIELDS, "n_evaluations", "wall_time_s")


def identity(row: ScreeningDocument, label: str = "") -> RowIdentity:
    """Return what a row is of; files of 0.1 have keys of another form."""
    named = row.material_id, row.mobile_species, row.potential, row.potential_weights_sha256
    return RowIdentity(*named, label)


def with_landscape(row: ScreeningDocument, published: ScreeningDocument) -> ScreeningDocument:
    """Return a row with the numbers of a published landscape, whose documents are elsewhere."""
    present = [part for part in PARTS if part == "landscape" or part in row.present]
    warnings = {(one.code, one.text): one for one in (*published.warnings, *row.warnings)}
    copied = (*NUMBERS, "task_key", "settings", "settings_label", "source", "relaxed")
    return row.model_copy(
        update={name: getattr(published, name) for name in copied}
        | {
            "key": identity(row, published.settings_label).key,
            "ranking_settings": published.settings_label,
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


def with_part(row: ScreeningDocument, other: ScreeningDocument, part: Part) -> ScreeningDocument:
    """Return a row with the prediction, or the validation, of another row of the same key."""
    names = [name for name in ScreeningDocument.model_fields if name.startswith(OF_PARTS[part])]
    # Flags are of predictions; a validation has none.
    stale, codes = (one.prediction_flags if part == "prediction" else [] for one in (row, other))
    kept = [one for one in row.warnings if one.code not in stale]
    # The last of a code is the row's own, should a published one have been merged into it.
    fresh = {one.code: one for one in other.warnings if one.code in codes}
    runs = [run for run in row.runs if run.kind != part]
    runs += [run for run in other.runs if run.kind == part and run.used]
    present = [one for one in PARTS if one == part or one in row.present]
    return row.model_copy(
        update={name: getattr(other, name) for name in names}
        | {
            "present": present,
            "missing": [one for one in PARTS if one not in present],
            "warnings": [*kept, *fresh.values()],
            "runs": sorted(runs, key=lambda run: (run.last_updated, run.job_uuid or "")),
            "n_runs": len(runs),
            "last_updated": max(row.last_updated, other.last_updated),
        }
    )


def renewed(published: ScreeningDocument, held: ScreeningDocument) -> ScreeningDocument:
    """Return a row of the database with what only the published one has, and its source."""
    found = held
    for part in OF_PARTS:
        if part in published.present and part not in held.present:
            found = with_part(found, published, part)
    return found.model_copy(update={"source": published.source})


def renew(path: Path) -> str:
    """Write a file of rows again with what the database holds; return what was done."""
    published = read_rows_file(path)
    with opened() as database:
        held = read_rows(database.screening, {})
    predicted = {identity(row): row for row in held if "prediction" in row.present}
    landscapes = {
        identity(row): row
        for row in held
        if "landscape" in row.present and row.settings_label == USUAL
    }
    groups: dict[tuple[str, str], list[ScreeningDocument]] = defaultdict(list)
    fresh: list[str] = []
    for row in published:
        of = identity(row)
        if of in landscapes:
            row = renewed(row, landscapes[of])
        if of in predicted:
            fresh_version = {"superionic_version": predicted[of].superionic_version}
            row = with_part(row, predicted[of], "prediction").model_copy(update=fresh_version)
        groups[row.mobile_species, row.potential].append(row)
        fresh.append(row.key)
    complete = {row.key: row for group in groups.values() for row in ranked(group)}
    path.write_text("".join(complete[key].model_dump_json() + "\n" for key in fresh))
    n_landscapes = sum(identity(row) in landscapes for row in published)
    n_predicted = sum(identity(row) in predicted for row in published)
    return (
        f"{path}: of {len(published)} rows {n_landscapes} with the landscapes and {n_predicted} "
        "with the predictions of the database."
    )


def merge(
    published: Sequence[ScreeningDocument],
    labels: Sequence[LabelRow],
    validations: Sequence[ValidationDocument],
) -> str:
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
        held = {identity(row, row.settings_label): row for row in read_rows(database.screening, {})}
        pairs = []
        for one in published:  # its own landscape, else what is known beside landscapes
            for of in (identity(one, one.settings_label), identity(one)):
                if of in held:
                    pairs.append((held[of], one))
                    break
        own = [pair for pair in pairs if pair[0].descriptors_uuid]
        merged = [with_landscape(*pair) for pair in pairs if not pair[0].descriptors_uuid]
        fresh = [*merged, *(row for row, _ in own)]
        fresh, used, _ = with_published(fresh, labels)
        if fresh:
            database.screening.update([row.model_dump() for row in fresh], key="key")
        builder.finalize()
    largest = max((difference(*pair) for pair in own), default=np.nan)
    return (
        f"{len(merged)} rows with a published landscape, {len(own)} with their own (largest "
        f"relative difference {largest:.2g}), {len(published) - len(pairs)} not in "
        f"the database, {len(used)} labels, {len(validations)} validations."
    )


def main() -> None:
    """Read the files and merge them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--labels", type=Path, nargs="*", default=[])
    parser.add_argument("--validations", type=Path)
    parser.add_argument("--renew", action="store_true", help="write the files again")
    options = parser.parse_args()
    if options.renew:
        print("\n".join(renew(path) for path in options.rows))
        return
    rows = [row for path in options.rows for row in read_rows_file(path)]
    documents = json.loads(options.validations.read_text()) if options.validations else []
    validations = [ValidationDocument.model_validate(one) for one in documents]
    print(merge(rows, read_data_sets(options.labels), validations))


if __name__ == "__main__":
    main()
