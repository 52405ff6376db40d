"""One material in the eyes of several potentials, side by side."""

from collections.abc import Iterable, Sequence

from superionic.report.numbers import TEXT, of_row
from superionic.report.tables.text_table import text_table
from superionic.schemas.screening import ScreeningDocument


def potentials_table(rows: Iterable[ScreeningDocument]) -> str:
    """Return rows of one material as a table, one line a potential; nothing for fewer than two.

    Rows without a landscape are left out.
    """
    with_landscape = [row for row in rows if row.xi is not None]
    if len(with_landscape) < 2:
        return ""
    names = ("potential", "barrier", "1D", "2D", "3D (eV)", "Xi", "evaluations", "from", "ended")
    return text_table([(name, False) for name in names], [_cells(row) for row in with_landscape])


def refinement_table(rows: Sequence[ScreeningDocument], priors: Sequence[ScreeningDocument]) -> str:
    """Return refined rows beside those that they started from, one line a material.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows of the second potential, in their order.
    priors : sequence of ScreeningDocument
        Rows of the first.
    """
    if not rows:
        return "No materials."
    first = {row.material_id: row for row in priors}
    second = rows[0].potential
    name = next((row.potential for row in priors), "before")
    columns = [
        *(("rank", True), ("formula", False), ("id", False)),
        *((f"barrier, {name} (eV)", True), (f"{second} (eV)", True)),
        *(("3D, before", True), ("3D (eV)", True), ("Xi, before", True), ("Xi", True)),
        *(("energies", True), ("warnings", False)),
    ]
    cells = []
    for row in rows:
        before = first.get(row.material_id)
        codes = dict.fromkeys(warning.code for warning in row.warnings)
        cells.append(
            [
                str(row.rank or "-"),
                row.formula,
                row.material_id,
                *(_number(before, "mpe_eV"), _number(row, "mpe_eV")),
                *(_number(before, "barrier_3d_eV"), _number(row, "barrier_3d_eV")),
                *(_number(before, "xi"), _number(row, "xi")),
                str(row.n_evaluations),
                ", ".join(codes),
            ]
        )
    return text_table(columns, cells)


def _cells(row: ScreeningDocument) -> list[str]:
    barriers = ("mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")
    return [
        row.potential,
        *(_number(row, name) for name in barriers),
        _number(row, "xi"),
        str(row.n_evaluations),
        row.prior_potential or "-",
        row.ending or "-",
    ]


def _number(row: ScreeningDocument | None, name: str) -> str:
    return "-" if row is None else of_row(row, name, TEXT)
