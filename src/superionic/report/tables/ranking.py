"""The ranking as a table, CSV and JSON, and the list of failures."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from superionic import defaults
from superionic.report.tables.intervals import interval_columns, with_interval
from superionic.report.tables.text_table import html_table, text_table
from superionic.schemas.failure import FailureDocument
from superionic.schemas.screening import INTERVAL_FIELDS, Part, ScreeningDocument
from superionic.text import csv_lines

_FIRST_PART, _PART = 50, 500
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
    "policy",
    "score",
    "chemical_system",
    "barrier_1d_eV",
    "barrier_2d_eV",
    "barrier_3d_eV",
    "fv_disconnected_2eV",
    "free_volume_A3_per_ion",
    "free_volume_2eV_A3_per_ion",
    "predicted_log10_msd_slope",
    "predicted_log10_msd_slope_low",
    "predicted_log10_msd_slope_high",
    "label_verdict",
    "label_temperature_K",
    "msd_slope_A2_per_ps",
    "msd_slope_low_A2_per_ps",
    "msd_slope_high_A2_per_ps",
    "validation_verdict",
    "validation_temperature_K",
    "conductivity_S_per_cm",
    "conductivity_low_S_per_cm",
    "conductivity_high_S_per_cm",
    "activation_energy_eV",
    "conductivity_300K_S_per_cm",
    "duplicate_of",
    "ending",
    "prior_potential",
    *(f"{name}_{end}" for name in INTERVAL_FIELDS for end in ("low", "high")),
)
"""Fields of the machine-readable ranking."""


class RankedGroups:
    """What rows are ranked among, and whether their numbers can be compared at all."""

    def __init__(self) -> None:
        self._settings: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)

    def of(self, rows: Iterable[ScreeningDocument]) -> Iterator[ScreeningDocument]:
        """Yield rows, and look at each."""
        for row in rows:
            settings = row.settings.get("landscape") if row.xi is not None else None
            text = json.dumps(settings, sort_keys=True, default=str) if settings else ""
            self._settings[row.ranked_among][text] += 1
            yield row

    def notes(self) -> list[str]:
        """Return what whoever reads the ranks should know, in words."""
        n_of_name = Counter(group[:2] for group in self._settings)
        names = {
            (ion, potential, weights): f"{ion} with {potential}"
            + (f" (weights {weights[:8]})" if n_of_name[ion, potential] > 1 else "")
            for ion, potential, weights in sorted(self._settings)
        }
        notes = []
        if len(names) > 1:
            choice = "; --mobile and --potential name one" if len(n_of_name) > 1 else ""
            notes.append(f"Ranks are within each of {', '.join(names.values())}{choice}.")
        for group, name in names.items():
            known = Counter({text: n for text, n in self._settings[group].items() if text})
            if len(known) < 2:
                continue
            (usual, n_usual), *others = known.most_common()
            ways = [f"{_differences(text, usual)} ({n})" for text, n in others]
            notes.append(
                f"Of {name}, {known.total() - n_usual} rows are of landscapes made with other "
                f"settings than most: {'; '.join(ways)}. Their numbers and ranks do not compare "
                "with those of the others."
            )
        return notes


def _differences(text: str, usual: str) -> str:
    """Return in which settings one set differs from the usual one."""
    one, most = json.loads(text), json.loads(usual)
    return ", ".join(
        f"{name} {one.get(name)} and not {most.get(name)}"
        for name in sorted({*one, *most})
        if one.get(name) != most.get(name)
    )


def ranking_records(rows: Sequence[ScreeningDocument], policy: str = "xi") -> list[dict[str, Any]]:
    """Return one flat record for each row, warnings as a list of codes with text.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows.
    policy : str
        Whose rank and score they show.
    """
    records = []
    for row in rows:
        own = {"policy": policy, "score": row.scores.get(policy), "rank": rank_of(row, policy)}
        record = row.model_dump(include=set(JSON_FIELDS)) | own | interval_columns(row)
        records.append({name: record[name] for name in JSON_FIELDS})
    return records


def rank_of(row: ScreeningDocument, policy: str) -> int | None:
    """Return the rank of a row by a policy; None if it was not ranked since it was written."""
    return row.ranks.get(policy, row.rank if policy == "xi" else None)


def ranking_json(rows: Sequence[ScreeningDocument], policy: str = "xi") -> str:
    """Return the ranking as a JSON list of objects with :data:`JSON_FIELDS`."""
    return json.dumps(ranking_records(rows, policy), indent=2, allow_nan=False)


def ranking_csv(rows: Iterable[ScreeningDocument], policy: str = "xi") -> str:
    """Return the ranking as CSV; warnings as codes separated by semicolons."""
    return "".join(ranking_csv_lines(rows, policy)).rstrip("\n")


def ranking_csv_lines(rows: Iterable[ScreeningDocument], policy: str = "xi") -> Iterator[str]:
    """Yield the lines of :func:`ranking_csv`, with their ends, as rows come."""
    records = (record for row in rows for record in ranking_records([row], policy))
    yield from csv_lines(
        JSON_FIELDS,
        (
            record | {"warnings": [warning["code"] for warning in record["warnings"]]}
            for record in records
        ),
    )


def ranking_table(rows: Sequence[ScreeningDocument], policy: str = "xi") -> str:
    """Return the ranking as text, one line a material.

    The network, labels and validation have columns where a row has them.
    """
    return "\n".join(ranking_tables(rows, policy))


def ranking_tables(rows: Iterable[ScreeningDocument], policy: str = "xi") -> Iterator[str]:
    """Yield the table of :func:`ranking_table` in parts, as rows come.

    A part has heads of its own where its rows have what none before had.
    """
    iterator = iter(rows)
    parts: set[Part] = set()
    potentials: set[str] = set()
    shown: list[str] = []
    widths: list[int] = []
    size = _FIRST_PART
    while portion := list(islice(iterator, size)):
        parts |= {part for row in portion for part in row.present}
        potentials |= {row.potential for row in portion}
        columns = _columns(policy, parts, potentials)
        heads = [name for name, _, _ in columns]
        cells = [[show(row) for _, _, show in columns] for row in portion]
        if heads != shown:
            widths = [len(head) for head in heads]
        widths = [max(width, *(len(row[i]) for row in cells)) for i, width in enumerate(widths)]
        yield text_table(
            [(name, is_number) for name, is_number, _ in columns],
            cells,
            head=heads != shown,
            least_widths=widths,
        )
        shown, size = heads, _PART
    if not shown:
        yield "No materials."


def ranking_cells(
    rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY
) -> tuple[list[tuple[str, bool]], list[list[str]]]:
    """Return head and cells of the ranking as one table; whether a column holds numbers."""
    parts = {part for row in rows for part in row.present}
    columns = _columns(policy, parts, {row.potential for row in rows})
    head = [(name, is_number) for name, is_number, _ in columns]
    return head, [[show(row) for _, _, show in columns] for row in rows]


def _columns(
    policy: str, parts: Collection[Part], potentials: Collection[str]
) -> list[tuple[str, bool, Callable[[ScreeningDocument], str]]]:
    """Return the head of each column, whether it holds numbers, and what it shows of a row."""
    columns: list[tuple[str, bool, Callable[[ScreeningDocument], str]]] = [
        ("rank", True, lambda row: str(rank_of(row, policy))),
        ("formula", False, lambda row: row.formula),
        ("id", False, lambda row: row.material_id),
    ]
    if len(potentials) > 1:
        columns.append(("potential", False, lambda row: row.potential))
    if policy not in ("xi", "barrier", "network"):
        columns.append((policy, True, lambda row: _number(row.scores.get(policy), ".3f")))
    columns += [
        ("barrier (eV)", True, lambda row: with_interval(row, "mpe_eV", digits=2, exact=3)),
        ("fv conn.", True, lambda row: _number(row.fv_connected, ".4f")),
        ("fv disc.", True, lambda row: _number(row.fv_disconnected, ".4f")),
        ("Xi", True, _xi),
    ]
    if policy == "network" or "prediction" in parts:
        columns.append(("network", True, lambda row: _number(row.predicted_log10_msd_slope, ".2f")))
    if "label" in parts:
        columns.append(("dynamics", False, lambda row: row.label_verdict or "-"))
    if "validation" in parts:
        columns.append(("validated", False, lambda row: row.validation_verdict or "-"))
    columns += [
        ("evaluations", True, lambda row: str(row.n_evaluations)),
        ("s", True, lambda row: f"{row.wall_time_s:.1f}"),
        ("warnings", False, lambda row: ", ".join(dict.fromkeys(w.code for w in row.warnings))),
    ]
    return columns


def _xi(row: ScreeningDocument) -> str:
    if "xi" in row.intervals:
        return with_interval(row, "xi", digits=2, exact=3)
    return _number(row.xi, ".3g")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def failures_table(failures: Sequence[FailureDocument]) -> str:
    """Return a list of the materials that failed, each with its reason and what to do."""
    lines = [f"{len(failures)} could not be computed:"]
    for failure in failures:
        lines.append(f"  {failure.material_id} [{failure.code}]: {failure.message} {failure.hint}")
    return "\n".join(line.rstrip() for line in lines)


def failures_html(failures: Sequence[FailureDocument]) -> str:
    """Return the crystals that could not be computed as a table, nothing where there are none."""
    if not failures:
        return ""
    cells = [(one.material_id, one.code, f"{one.message} {one.hint}".strip()) for one in failures]
    return html_table([("could not be computed", False), ("", False), ("", False)], cells)
