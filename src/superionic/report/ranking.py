"""The ranking as a table, CSV and JSON, and the list of failures."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from superionic.schemas.failure import FailureDocument
from superionic.schemas.screening import ScreeningDocument

JSON_FIELDS = (
    "material_id",
    "formula",
    "mobile_species",
    "potential",
    "mpe_eV",
    "fv_connected",
    "fv_disconnected",
    "xi",
    "rank",
    "n_evaluations",
    "wall_time_s",
    "warnings",
)
"""Fields of the machine-readable ranking."""


def ranking_records(rows: Sequence[ScreeningDocument]) -> list[dict[str, Any]]:
    """Return one flat record for each row, warnings as a list of codes with text."""
    return [row.model_dump(include=set(JSON_FIELDS)) for row in rows]


def ranking_json(rows: Sequence[ScreeningDocument]) -> str:
    """Return the ranking as a JSON list of objects with :data:`JSON_FIELDS`."""
    ordered = [{name: record[name] for name in JSON_FIELDS} for record in ranking_records(rows)]
    return json.dumps(ordered, indent=2, allow_nan=False)


def ranking_csv(rows: Sequence[ScreeningDocument]) -> str:
    """Return the ranking as CSV; warnings as codes separated by semicolons."""
    text = io.StringIO()
    writer = csv.DictWriter(text, JSON_FIELDS)
    writer.writeheader()
    for record in ranking_records(rows):
        codes = ";".join(warning["code"] for warning in record["warnings"])
        writer.writerow(record | {"warnings": codes})
    return text.getvalue().rstrip("\r\n")


def ranking_table(rows: Sequence[ScreeningDocument]) -> str:
    """Return the ranking as text, one line a material."""
    if not rows:
        return "No materials."
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("rank", "formula", "id"):
        table.add_column(name, justify="right" if name == "rank" else "left", no_wrap=True)
    for name in ("barrier (eV)", "fv conn.", "fv disc.", "Xi", "evaluations", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("warnings", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row.rank),
            row.formula,
            row.material_id,
            "none" if row.mpe_eV is None else f"{row.mpe_eV:.3f}",
            f"{row.fv_connected:.4f}",
            f"{row.fv_disconnected:.4f}",
            f"{row.xi:.3g}",
            str(row.n_evaluations),
            f"{row.wall_time_s:.1f}",
            ", ".join(dict.fromkeys(warning.code for warning in row.warnings)),
        )
    return _text(table)


def failures_table(failures: Sequence[FailureDocument]) -> str:
    """Return a list of the materials that failed, each with its reason and what to do."""
    lines = [f"{len(failures)} could not be computed:"]
    for failure in failures:
        lines.append(f"  {failure.material_id} [{failure.code}]: {failure.message} {failure.hint}")
    return "\n".join(line.rstrip() for line in lines)


def _text(table: Table) -> str:
    console = Console(file=io.StringIO(), width=250, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
