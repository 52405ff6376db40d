"""What several orderings of a disordered crystal say together, as text."""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from superionic.schemas.screen import Spread
from superionic.schemas.screening import ScreeningDocument


def orderings_table(rows: Sequence[ScreeningDocument]) -> str:
    """Return one line for each disordered crystal: best, mean and spread over its orderings.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Those without orderings are passed over.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("orderings of", no_wrap=True)
    names = ("n", "barrier (eV)", "3D barrier (eV)", "Xi: best / mean / spread")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    summaries = {row.parent_id: row.orderings for row in rows if row.orderings is not None}
    for parent, summary in summaries.items():
        table.add_row(
            str(parent),
            str(summary.n_orderings),
            _numbers(summary.mpe_eV),
            _numbers(summary.barrier_3d_eV),
            _numbers(summary.xi),
        )
    console = Console(file=io.StringIO(), width=250)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _numbers(spread: Spread | None) -> str:
    if spread is None:
        return "none"
    return f"{spread.best:.3g} / {spread.mean:.3g} / {spread.spread:.2g}"
