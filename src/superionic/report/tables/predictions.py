"""Predictions of the force network as a table."""

from collections.abc import Sequence

from superionic.report.numbers import between, formatted
from superionic.report.tables.view import Cells, View
from superionic.schemas.prediction import PredictionDocument

_NUMERIC = ("log10 slope", "95 %", "over shakes", "over networks")


def prediction_cells(documents: Sequence[PredictionDocument]) -> Cells:
    """Return head and cells of a table of predictions.

    Slopes are decimal logarithms of A^2/ps; spreads are standard deviations of the same.
    """
    names = ("id", "formula", *_NUMERIC, "flags")
    cells = [
        (
            one.material_id,
            one.formula,
            f"{one.log10_msd_slope:.2f}",
            "-"
            if one.log10_msd_slope_low is None
            else between(one.log10_msd_slope_low, one.log10_msd_slope_high, "{:.2f}".format),
            f"{one.spread_shakes:.2f}" if one.n_shakes > 1 else "-",
            formatted(one.spread_ensemble, ".2f"),
            ", ".join(one.flags),
        )
        for one in documents
    ]
    return [(name, name in _NUMERIC) for name in names], cells


VIEW = View(cells=prediction_cells, order=lambda one: (-one.log10_msd_slope, one.material_id))
"""Predictions, fastest first."""
