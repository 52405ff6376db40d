"""The ranking as a table of cells that a browser sorts and filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from superionic.report.numbers import (
    NOTHING,
    of_row,
    plain,
    with_interval,
)
from superionic.report.tables.ranking import rank_of
from superionic.schemas.screening import ScreeningDocument


@dataclass(frozen=True)
class Column:
    """One column of the ranking.

    Parameters
    ----------
    key, title, help : str
        Short name, heading with its unit, and what it is.
    is_number : bool
        Whether it sorts as a number.
    is_minor : bool
        Whether narrow screens leave it out.
    """

    key: str
    title: str
    help: str
    is_number: bool = True
    is_minor: bool = False


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
    found: list[tuple[Column, _Of]] = [
        (Column("rank", "rank", f"by the policy {policy}"), lambda row: _rank(row, policy)),
        (Column("formula", "formula", "reduced formula", False), lambda row: _text(row.formula)),
        (Column("id", "identifier", "of the material", False), lambda row: _text(row.material_id)),
    ]
    if len({(row.mobile_species, row.potential) for row in rows}) > 1:
        ion = Column("ion", "ion", "the mobile ion", False)
        potential = Column("potential", "potential", "that gave the energies", False, is_minor=True)
        found.append((ion, lambda row: _text(row.mobile_species)))
        found.append((potential, lambda row: _text(row.potential)))
    if policy not in ("xi", "barrier", "network"):
        column = Column("score", policy, f"what the policy {policy} ranks by")
        found.append((column, lambda row: _number(row.scores.get(policy))))
    if any(row.xi is not None for row in rows):
        found += [
            (
                Column("xi", "Xi", "published descriptor, 0 to 1"),
                lambda row: Cell(of_row(row, "xi"), row.xi),
            ),
            (
                Column("barrier", "barrier (eV)", "published percolation barrier"),
                lambda row: _barrier(row, "mpe_eV"),
            ),
            (
                Column("barrier_3d", "3D barrier (eV)", "in three dimensions", is_minor=True),
                lambda row: _barrier(row, "barrier_3d_eV"),
            ),
            (
                Column(
                    *("free_volume", "free volume (Å³/ion)", "below 2 eV, per mobile ion"),
                    is_minor=True,
                ),
                lambda row: Cell(
                    of_row(row, "free_volume_2eV_A3_per_ion"), row.free_volume_2eV_A3_per_ion
                ),
            ),
        ]
    if any("prediction" in row.present for row in rows):
        text = "log10 of the MSD slope at 1000 K in Å²/ps that the force network predicts, 95 %"
        found.append((Column("network", "network", text), _network))
    if any("label" in row.present for row in rows):
        verdict = Column("dynamics", "dynamics", "verdict of molecular dynamics", False)
        slope = Column(
            "slope", "MSD slope (Å²/ps)", "of the run nearest to 1000 K, 95 %", is_minor=True
        )
        found.append((verdict, lambda row: _text(row.label_verdict)))
        found.append((slope, _slope))
    if any("validation" in row.present for row in rows):
        verdict = Column("validated", "validated", "verdict of the validation", False)
        energy = Column("energy", "Eₐ (eV)", "activation energy", is_minor=True)
        found.append((verdict, lambda row: _text(row.validation_verdict)))
        found.append((energy, lambda row: _number(row.activation_energy_eV)))
    found.append((Column("warnings", "warnings", "their codes", False, is_minor=True), _warnings))
    return found


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


def _slope(row: ScreeningDocument) -> Cell:
    low, high = row.msd_slope_low_A2_per_ps, row.msd_slope_high_A2_per_ps
    return Cell(with_interval(row.msd_slope_A2_per_ps, low, high, 2), row.msd_slope_A2_per_ps)


def _warnings(row: ScreeningDocument) -> Cell:
    codes = ", ".join(dict.fromkeys(warning.code for warning in row.warnings))
    return Cell(codes, codes or None)
