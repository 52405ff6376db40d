"""The ranking as a table, CSV and JSON, and the list of failures."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any

from superionic import defaults
from superionic.report.numbers import TEXT, XI_TEXT, formatted, interval_columns, of_row
from superionic.report.tables.columns import COLUMNS
from superionic.report.tables.text_table import html_table, text_table
from superionic.report.tables.view import View
from superionic.schemas.document import FailureDocument, Spread
from superionic.schemas.screening import INTERVAL_FIELDS, Part, ScreeningDocument
from superionic.store.collection.ranking import ranking_name
from superionic.store.ranking.conductivity import estimate_conductivity
from superionic.text import csv_lines

_FIRST_PART, _PART = 50, 500
_Shown = tuple[str, bool, Callable[[ScreeningDocument], str]]
JSON_FIELDS = (
    "material_id",
    "formula",
    "mobile_species",
    "potential",
    "ranking_settings",
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
    "estimated_log10_conductivity_300K",
    "estimated_log10_conductivity_300K_low",
    "estimated_log10_conductivity_300K_high",
    "estimated_from",
    *(f"{name}_{end}" for name in INTERVAL_FIELDS for end in ("low", "high")),
)
"""Fields of the machine-readable ranking."""


def ranking_records(
    rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY
) -> list[dict[str, Any]]:
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
        record |= conductivity_columns(row)
        records.append({name: record[name] for name in JSON_FIELDS})
    return records


def conductivity_columns(row: ScreeningDocument) -> dict[str, float | str | None]:
    """Return the conductivity that is to be expected of a row, with its interval."""
    found = estimate_conductivity(row)
    name = "estimated_log10_conductivity_300K"
    if found is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None, "estimated_from": None}
    ends = {f"{name}_low": round(found.low, 3), f"{name}_high": round(found.high, 3)}
    return {name: round(found.log10_S_per_cm, 3), **ends, "estimated_from": found.model}


def rank_of(row: ScreeningDocument, policy: str) -> int | None:
    """Return the rank of a row by a policy; None if it was not ranked since it was written."""
    return row.ranks.get(policy, row.rank if policy == "xi" else None)


def ranking_json(rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY) -> str:
    """Return the ranking as a JSON list of objects with :data:`JSON_FIELDS`."""
    return json.dumps(ranking_records(rows, policy), indent=2, allow_nan=False)


def ranking_csv(rows: Iterable[ScreeningDocument], policy: str = defaults.POLICY) -> str:
    """Return the ranking as CSV; warnings as codes separated by semicolons."""
    return "".join(ranking_csv_lines(rows, policy)).rstrip("\n")


def ranking_csv_lines(
    rows: Iterable[ScreeningDocument], policy: str = defaults.POLICY
) -> Iterator[str]:
    """Yield the lines of :func:`ranking_csv`, with their ends, as rows come."""
    records = (record for row in rows for record in ranking_records([row], policy))
    yield from csv_lines(
        JSON_FIELDS,
        (
            record | {"warnings": [warning["code"] for warning in record["warnings"]]}
            for record in records
        ),
    )


def ranking_table(rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY) -> str:
    """Return the ranking as text, one line a material.

    The network, labels and validation have columns where a row has them.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        The rows.
    policy : str
        Whose rank and score are shown.
    """
    return "\n".join(ranking_tables(rows, policy))


def ranking_tables(
    rows: Iterable[ScreeningDocument], policy: str = defaults.POLICY, *, several: bool = False
) -> Iterator[str]:
    """Yield the table of :func:`ranking_table` in parts, as rows come.

    A part has heads of its own where its rows have what none before had. With ``several``, each
    row says which ranking it is of.
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
        columns = _columns(policy, parts, potentials, several=several)
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


class RankingView(View):
    """Rows of the screening collection, in the order of a policy."""

    def table(self, rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY) -> str:
        """Return the ranking as text, and what orderings of one crystal say together."""
        tables = [ranking_table(rows, policy)]
        if any(row.orderings for row in rows):
            tables.append(orderings_table(rows))
        return "\n".join(tables)

    def note(self, rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY) -> str:
        """Return which ranking the table is."""
        return f"Ranking of {ranking_of(rows[0])}, by {policy}." if rows else ""

    def json(self, rows: Sequence[ScreeningDocument], policy: str = defaults.POLICY) -> str:
        """Return the ranking as a JSON list."""
        return ranking_json(rows, policy)


VIEW = RankingView(cells=ranking_cells)


def _columns(
    policy: str, parts: Collection[Part], potentials: Collection[str], *, several: bool = False
) -> list[_Shown]:
    """Return the head of each column, whether it holds numbers, and what it shows of a row."""
    columns = [
        _shared("rank", lambda row: str(rank_of(row, policy))),
        _shared("formula", lambda row: row.formula),
        ("id", False, lambda row: row.material_id),
    ]
    if several:
        columns.append(("ranking", False, ranking_of))
    elif len(potentials) > 1:
        columns.append(_shared("potential", lambda row: row.potential))
    if policy == "conductivity":
        columns.append(("log10 S/cm, 300 K", True, conductivity_text))
    elif policy not in ("xi", "barrier", "network"):
        columns.append((policy, True, lambda row: formatted(row.scores.get(policy), ".3f")))
    columns += [
        _shared("mpe_eV", lambda row: of_row(row, "mpe_eV", TEXT)),
        _shared("fv_connected", lambda row: formatted(row.fv_connected, ".4f")),
        _shared("fv_disconnected", lambda row: formatted(row.fv_disconnected, ".4f")),
        _shared("xi", lambda row: of_row(row, "xi", XI_TEXT)),
    ]
    if policy == "network" or "prediction" in parts:
        field = "predicted_log10_msd_slope"
        columns.append(_shared(field, lambda row: formatted(row.predicted_log10_msd_slope, ".2f")))
    if "label" in parts:
        columns.append(_shared("label_verdict", lambda row: row.label_verdict or "-"))
    if "validation" in parts:
        columns.append(_shared("validation_verdict", lambda row: row.validation_verdict or "-"))
    codes = _shared("warnings", lambda row: ", ".join(dict.fromkeys(w.code for w in row.warnings)))
    return [
        *columns,
        ("evaluations", True, lambda row: str(row.n_evaluations)),
        ("s", True, lambda row: f"{row.wall_time_s:.1f}"),
        codes,
    ]


def _shared(key: str, show: Callable[[ScreeningDocument], str]) -> _Shown:
    """Return a column that is called as on pages."""
    return COLUMNS[key].title, COLUMNS[key].is_number, show


def conductivity_text(row: ScreeningDocument) -> str:
    """Return the logarithm of the conductivity that is to be expected, with its interval."""
    found = estimate_conductivity(row)
    if found is None:
        return "-"
    return f"{found.log10_S_per_cm:.1f} [{found.low:.1f}, {found.high:.1f}]"


def ranking_of(row: ScreeningDocument) -> str:
    """Return in words which ranking a row is of."""
    return ranking_name(row.mobile_species, row.potential, row.ranking_settings)


def notes_html(notes: Sequence[str]) -> str:
    """Return notes on a table as HTML."""
    return "".join(f"<p>{escape(note)}</p>" for note in notes)


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


def orderings_table(rows: Sequence[ScreeningDocument]) -> str:
    """Return one line for each disordered crystal: best, mean and spread over its orderings.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Those without orderings are passed over.
    """
    names = ("n", "barrier (eV)", "3D barrier (eV)", "Xi: best / mean / spread")
    summaries = {row.parent_id: row.orderings for row in rows if row.orderings is not None}
    cells = [
        (
            str(parent),
            str(summary.n_orderings),
            _numbers(summary.mpe_eV),
            _numbers(summary.barrier_3d_eV),
            _numbers(summary.xi),
        )
        for parent, summary in summaries.items()
    ]
    return text_table([("orderings of", False), *((name, True) for name in names)], cells)


def _numbers(spread: Spread | None) -> str:
    if spread is None:
        return "none"
    return f"{spread.best:.3g} / {spread.mean:.3g} / {spread.spread:.2g}"
