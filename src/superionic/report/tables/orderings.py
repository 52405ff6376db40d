"""What several orderings of a disordered crystal say together, as text."""

from collections.abc import Sequence

from superionic.report.tables.text_table import text_table
from superionic.schemas.orderings import Spread
from superionic.schemas.screening import ScreeningDocument


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
