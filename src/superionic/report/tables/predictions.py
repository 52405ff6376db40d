"""Predictions of the force network as a table and JSON."""

import json
from collections.abc import Sequence

from superionic.report.tables.text_table import text_table
from superionic.schemas.prediction import PredictionDocument

_NUMERIC = ("log10 slope", "95 %", "over shakes", "over networks")


def prediction_table(documents: Sequence[PredictionDocument]) -> str:
    """Return predictions as text, one line a material, fastest first.

    Slopes are decimal logarithms of A^2/ps; spreads are standard deviations of the same.
    """
    return text_table(*prediction_cells(documents)) if documents else "No predictions."


def prediction_cells(
    documents: Sequence[PredictionDocument],
) -> tuple[list[tuple[str, bool]], Sequence[Sequence[str]]]:
    """Return head and cells of the predictions as a table; whether a column holds numbers."""
    names = ("id", "formula", *_NUMERIC, "flags")
    cells = [
        (
            one.material_id,
            one.formula,
            f"{one.log10_msd_slope:.2f}",
            _interval(one),
            f"{one.spread_shakes:.2f}" if one.n_shakes > 1 else "-",
            "-" if one.spread_ensemble is None else f"{one.spread_ensemble:.2f}",
            ", ".join(one.flags),
        )
        for one in _fastest_first(documents)
    ]
    return [(name, name in _NUMERIC) for name in names], cells


def predictions_json(documents: Sequence[PredictionDocument]) -> str:
    """Return predictions as a JSON list, one object a material, fastest first."""
    ordered = [one.model_dump(mode="json") for one in _fastest_first(documents)]
    return json.dumps(ordered, indent=2, allow_nan=False)


def _fastest_first(documents: Sequence[PredictionDocument]) -> list[PredictionDocument]:
    return sorted(documents, key=lambda one: (-one.log10_msd_slope, one.material_id))


def _interval(one: PredictionDocument) -> str:
    low, high = one.log10_msd_slope_low, one.log10_msd_slope_high
    return "-" if low is None or high is None else f"[{low:.2f}, {high:.2f}]"
