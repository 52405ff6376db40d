"""How the results of a flow are shown: as text, JSON, HTML and a pandas table."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superionic import defaults
from superionic.report.tables.text_table import html_table, text_table
from superionic.workflows.makers.table import FlowKind, imported

if TYPE_CHECKING:
    import pandas as pd

Cells = tuple[Sequence[tuple[str, bool]], Sequence[Sequence[str]]]
"""Head of each column and whether it holds numbers; rows of cells."""


@dataclass(frozen=True)
class View:
    """How the results of a flow are shown.

    Parameters
    ----------
    columns : tuple of str
        Fields of the results that a table shows, where there are no ``cells``.
    cells : callable, optional
        Returns head and cells of a table of results in their order.
    order : callable, optional
        Returns what results are sorted by; without it they stay in their order.
    verdict : str, optional
        Field by whose values results are counted.

    Examples
    --------
    >>> from superionic.schemas.document import FailureDocument
    >>> one = {"key": "k", "source": "s", "message": "m", "hint": "h", "last_updated": ""}
    >>> rows = [FailureDocument(material_id="LiI", code="disorder", **one)]
    >>> print(View(("material_id", "code")).table(rows))
    material_id  code
    LiI          disorder
    """

    columns: tuple[str, ...] = ()
    cells: Callable[[Sequence[Any]], Cells] | None = None
    order: Callable[[Any], Any] | None = None
    verdict: str | None = None

    def table(self, rows: Sequence[Any], policy: str = defaults.POLICY) -> str:
        """Return results as text, one line each."""
        return text_table(*self._table(rows)) if rows else "No results."

    def json(self, rows: Sequence[Any], policy: str = defaults.POLICY) -> str:
        """Return results as a JSON list."""
        records = [one.model_dump(mode="json") for one in self._ordered(rows)]
        return json.dumps(records, indent=2, allow_nan=False)

    def note(self, rows: Sequence[Any], policy: str = defaults.POLICY) -> str:
        """Return what is said below a table; nothing here."""
        return ""

    def html(self, rows: Sequence[Any]) -> str:
        """Return results as a table for a notebook."""
        return html_table(*self._table(rows))

    def frame(self, rows: Sequence[Any]) -> "pd.DataFrame":
        """Return the plain fields of results as a pandas table, and the codes of warnings."""
        import pandas as pd

        return pd.DataFrame([_record(one) for one in rows]).set_index("material_id")

    def counts(self, rows: Sequence[Any]) -> str:
        """Return how many results have which verdict, in words."""
        if self.verdict is None:
            return ""
        found = Counter(str(getattr(one, self.verdict)) for one in rows)
        return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(found.items()))

    def _ordered(self, rows: Sequence[Any]) -> Sequence[Any]:
        return rows if self.order is None else sorted(rows, key=self.order)

    def _table(self, rows: Sequence[Any]) -> Cells:
        if self.cells is not None:
            return self.cells(self._ordered(rows))
        values = [[getattr(one, name) for name in self.columns] for one in self._ordered(rows)]
        numeric = [
            any(isinstance(row[i], int | float) for row in values) for i in range(len(self.columns))
        ]
        cells = [[_text(value) for value in row] for row in values]
        return list(zip(self.columns, numeric, strict=True)), cells


def view_of(kind: FlowKind) -> View:
    """Return how the results of a flow are shown: as its entry says, or its columns alone."""
    found: View = View(kind.columns) if kind.view is None else imported(kind.view)
    return found


def _record(result: Any) -> dict[str, Any]:
    """Return the fields of a result that fit into a table."""
    found: dict[str, Any] = {}
    for name in type(result).model_fields:
        value = getattr(result, name)
        if name == "potential":
            found[name] = getattr(value, "label", value)
        elif value is None or isinstance(value, str | int | float):
            found[name] = value
        elif isinstance(value, list) and name in ("flags", "warnings"):
            found[name] = ";".join(str(getattr(one, "code", one)) for one in value)
    return found


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
