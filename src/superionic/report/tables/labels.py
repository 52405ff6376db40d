"""Labels as a table, CSV and JSON lines."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from superionic.dynamics.settings import planned_ps
from superionic.errors import SettingsError
from superionic.files import write_whole
from superionic.report.numbers import formatted
from superionic.report.tables.view import Cells, View
from superionic.schemas.label import LabelRow
from superionic.text import csv_text

_ONLY_IN_JSON = frozenset(
    {"settings", "supercell_matrix", "structure", "msd", "msd_window_ps", "diffusing_framework"}
    | {name for name in LabelRow.model_fields if name.startswith(("collective_", "haven_"))}
)
_ABSOLUTE = re.compile(r"(?<![\w./])/(?:[^/\"]+/)*([^/\"]+)")
"""An absolute path, up to the end of a text or of a string of JSON; its last name."""
CSV_FIELDS = tuple(name for name in LabelRow.model_fields if name not in _ONLY_IN_JSON)
"""Columns of the table as CSV."""


def label_order(row: LabelRow) -> tuple[float, str]:
    """Return the sort key of tables: fastest first, those without a slope last."""
    slope = row.msd_slope_A2_per_ps
    return (float("inf") if slope is None else -slope, row.material_id)


def label_cells(rows: Sequence[LabelRow]) -> Cells:
    """Return head and cells of the labels as a table; whether a column holds numbers."""
    numeric = ("slope A^2/ps", "error", "S/cm", "ps", "atoms")
    names = ("id", "formula", "verdict", *numeric, "end")
    cells = [
        (
            row.material_id,
            row.formula,
            row.verdict,
            formatted(row.msd_slope_A2_per_ps, ".4f"),
            formatted(row.msd_slope_error_A2_per_ps, ".4f"),
            formatted(row.conductivity_S_per_cm, ".2g"),
            formatted(row.production_ps, ".1f"),
            str(row.n_atoms),
            row.status,
        )
        for row in rows
    ]
    return [(name, name in numeric) for name in names], cells


VIEW = View(cells=label_cells, order=label_order, verdict="verdict")
"""Labels, fastest first."""


def write_data_set(rows: Iterable[LabelRow], path: Path) -> None:
    """Write labels as JSON lines, and beside them as CSV without structures and curves.

    Rows are ordered by identifier, temperature and key, so that a data set that grows differs by
    lines added. Each file is replaced in one step. Of a potential that was read from a folder, the
    folder's name is written and not where it lies.

    Parameters
    ----------
    rows : iterable of LabelRow
        The labels.
    path : Path
        The file of JSON lines; that of the CSV has the suffix ``.csv``.
    """
    ordered = sorted(rows, key=lambda row: (row.material_id, row.temperature_K, row.task_key))
    contents = [_published(row) for row in ordered]
    lines = [json.dumps(content, allow_nan=False) for content in contents]
    write_whole(path, "".join(f"{line}\n" for line in lines))
    records = ({name: content[name] for name in CSV_FIELDS} for content in contents)
    write_whole(path.with_suffix(".csv"), csv_text(CSV_FIELDS, records))


def read_data_sets(paths: Iterable[Path]) -> list[LabelRow]:
    """Read several data sets; of several runs of a crystal one counts (:func:`runs_that_count`).

    Raises
    ------
    SettingsError
        When a file is not there, or a line is no label.
    """
    return runs_that_count(row for path in paths for row in read_data_set(path))


def runs_that_count(rows: Iterable[LabelRow]) -> list[LabelRow]:
    """Return one label of each crystal, mobile species, potential, temperature and seed.

    Of its runs the one judged by the latest rules counts (former ones ended runs early as molten);
    of these the one that was planned longest, wherever it ended: a melt ends it early. The first of
    equals stays.
    """
    counts: dict[tuple[Any, ...], LabelRow] = {}
    for row in rows:
        key = (
            *(row.material_id, row.mobile_species, row.potential),
            *(row.potential_weights_sha256, row.temperature_K, row.seed),
        )
        if key not in counts or _precedence(row) > _precedence(counts[key]):
            counts[key] = row
    return list(counts.values())


def _precedence(row: LabelRow) -> tuple[int, float]:
    return row.analysis_version, planned_ps(row.settings)


def read_data_set(path: Path) -> list[LabelRow]:
    """Read labels that :func:`write_data_set` wrote.

    Raises
    ------
    SettingsError
        When the file is not there, or a line is no label.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The labels {path} cannot be read ({type(error).__name__}).",
            hint="Name a file of JSON lines that 'superionic label --export' wrote.",
        ) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(LabelRow.model_validate_json(line))
        except ValidationError as error:
            raise SettingsError(
                f"Line {number} of {path} is no label: {error.errors()[0]['msg']}.",
                hint="Name a file of JSON lines that 'superionic label --export' wrote.",
            ) from None
    return rows


def _published(row: LabelRow) -> dict[str, Any]:
    """Return a row without the folders of this machine, which a specification may hold anywhere."""
    content = row.model_dump(mode="json")
    for part in (content, content["settings"]):
        if "potential" in part:
            part["potential"] = _ABSOLUTE.sub(r"\1", str(part["potential"]))
    return content
