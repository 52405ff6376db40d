"""Predictions of the force network as a table and JSON."""

import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from superionic.schemas.prediction import PredictionDocument

_NUMERIC = ("log10 slope", "95 %", "over shakes", "over networks")


def prediction_table(documents: Sequence[PredictionDocument]) -> str:
    """Return predictions as text, one line a material, fastest first.

    Slopes are decimal logarithms of A^2/ps; spreads are standard deviations of the same.
    """
    if not documents:
        return "No predictions."
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "formula", *_NUMERIC, "flags"):
        justify = "right" if name in _NUMERIC else "left"
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for one in _fastest_first(documents):
        table.add_row(
            one.material_id,
            one.formula,
            f"{one.log10_msd_slope:.2f}",
            _interval(one),
            f"{one.spread_shakes:.2f}" if one.n_shakes > 1 else "-",
            "-" if one.spread_ensemble is None else f"{one.spread_ensemble:.2f}",
            ", ".join(one.flags),
        )
    console = Console(width=250, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def predictions_json(documents: Sequence[PredictionDocument]) -> str:
    """Return predictions as a JSON list, one object a material, fastest first."""
    ordered = [one.model_dump(mode="json") for one in _fastest_first(documents)]
    return json.dumps(ordered, indent=2, allow_nan=False)


def _fastest_first(documents: Sequence[PredictionDocument]) -> list[PredictionDocument]:
    return sorted(documents, key=lambda one: (-one.log10_msd_slope, one.material_id))


def _interval(one: PredictionDocument) -> str:
    low, high = one.log10_msd_slope_low, one.log10_msd_slope_high
    return "-" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"
