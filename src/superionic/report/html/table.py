"""The ranking as a table of cells that a browser sorts and filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from superionic.report.numbers import NOTHING, of_row, plain, with_interval
from superionic.report.tables.columns import COLUMNS, Column
from superionic.report.tables.ranking import conductivity_text, rank_of
from superionic.schemas.screening import ScreeningDocument


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    text : str
        What it shows.
    value : float or str or None
        What it sorts by; None comes last.
    """

    text: str
    value: float | str | None


@dataclass(frozen=True)
class TableRow:
    """One row of the table.

    Parameters
    ----------
    row : ScreeningDocument
        The material.
    cells : list of Cell
        One for each column.
    anchor : str or None
        Its section, where there is one.
    search : str
        Lower-case text that the filter looks at.
    """

    row: ScreeningDocument
    cells: list[Cell]
    anchor: str | None
    search: str


@dataclass(frozen=True)
class Table:
    """The ranking.

    Parameters
    ----------
    columns : list of Column
        Its columns.
    rows : list of TableRow
        Its rows, best first.
    """

    columns: list[Column]
    rows: list[TableRow]


_Of = Callable[[ScreeningDocument], Cell]


def ranking_rows(rows: Sequence[ScreeningDocument], policy: str, anchors: dict[str, str]) -> Table:
    """Return the ranking; columns that no row has anything for are left out.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows, best first.
    policy : str
        Whose rank and score it shows.
    anchors : dict of str to str
        Section of each row that has one, by the row's key.
    """
    found = _columns(rows, policy)
    table = [
        TableRow(row, [of(row) for _, of in found], anchors.get(row.key), _search(row))
        for row in rows
    ]
    return Table([column for column, _ in found], table)


def _columns(rows: Sequence[ScreeningDocument], policy: str) -> list[tuple[Column, _Of]]:
    keys = ["rank", "formula", "material_id"]
    if len({(row.mobile_species, row.potential) for row in rows}) > 1:
        keys += ["mobile_species", "potential"]
    if policy not in ("xi", "barrier", "network"):
        keys.append("score")
    if any(row.xi is not None for row in rows):
        keys += ["xi", "mpe_eV", "barrier_3d_eV", "free_volume_2eV_A3_per_ion"]
    if any("prediction" in row.present for row in rows):
        keys.append("predicted_log10_msd_slope")
    if any("label" in row.present for row in rows):
        keys += ["label_verdict", "msd_slope_A2_per_ps"]
    if any("validation" in row.present for row in rows):
        keys += ["validation_verdict", "activation_energy_eV"]
    own: dict[str, _Of] = {
        "rank": lambda row: _rank(row, policy),
        "score": (
            _conductivity
            if policy == "conductivity"
            else lambda row: _number(row.scores.get(policy))
        ),
        "mpe_eV": lambda row: _barrier(row, "mpe_eV"),
        "barrier_3d_eV": lambda row: _barrier(row, "barrier_3d_eV"),
        "predicted_log10_msd_slope": _network,
        "msd_slope_A2_per_ps": _slope,
        "warnings": _warnings,
    }
    named = COLUMNS | {
        "rank": replace(COLUMNS["rank"], help=f"by the policy {policy}"),
        "score": replace(COLUMNS["score"], title=policy, help=f"what the policy {policy} ranks by"),
    }
    return [(named[key], own.get(key) or _field(named[key])) for key in [*keys, "warnings"]]


def _field(column: Column) -> _Of:
    """Return what shows a field as it is."""
    if column.is_number:
        return lambda row: Cell(of_row(row, column.key), getattr(row, column.key))
    return lambda row: _text(getattr(row, column.key))


def _search(row: ScreeningDocument) -> str:
    words = [row.formula, row.material_id, row.chemical_system, row.mobile_species, row.potential]
    words += [row.label_verdict or "", row.validation_verdict or "", row.duplicate_of or ""]
    words += [warning.code for warning in row.warnings]
    return " ".join(words).lower()


def _rank(row: ScreeningDocument, policy: str) -> Cell:
    rank = rank_of(row, policy)
    return Cell(NOTHING if rank is None else str(rank), rank)


def _text(text: str | None) -> Cell:
    return Cell(text or NOTHING, text or None)


def _number(value: float | None) -> Cell:
    return Cell(plain(value), value)


def _barrier(row: ScreeningDocument, field: str) -> Cell:
    value = getattr(row, field)
    if value is None and row.xi is not None:
        value = 1e9  # no percolating path: above all others, below those without a landscape
    return Cell(of_row(row, field), value)


def _network(row: ScreeningDocument) -> Cell:
    low, high = row.predicted_log10_msd_slope_low, row.predicted_log10_msd_slope_high
    value = row.predicted_log10_msd_slope
    return Cell(with_interval(value, low, high), value)


def _conductivity(row: ScreeningDocument) -> Cell:
    return Cell(conductivity_text(row), row.scores.get("conductivity"))


def _slope(row: ScreeningDocument) -> Cell:
    low, high = row.msd_slope_low_A2_per_ps, row.msd_slope_high_A2_per_ps
    return Cell(with_interval(row.msd_slope_A2_per_ps, low, high, 2), row.msd_slope_A2_per_ps)


def _warnings(row: ScreeningDocument) -> Cell:
    codes = ", ".join(dict.fromkeys(warning.code for warning in row.warnings))
    return Cell(codes, codes or None)
