"""Predicted against simulated diffusion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import FigureError
from superionic.report.figures.simulated import clipped_log10, simulated_of
from superionic.report.figures.style import (
    GREY,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    error_bars,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import mean_absolute_error, r_squared, spearman

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
SPLITS = {"random": "folds at random", "chemical_system": "unseen chemical systems"}
_X = "simulated slope at 1000 K (log₁₀ Å²/ps)"
_Y = "predicted slope (log₁₀ Å²/ps)"


@dataclass(frozen=True)
class ParityData:
    """Labels and predictions of the same crystals, decimal logarithms of slopes in A^2/ps.

    Parameters
    ----------
    title : str
        Where the predictions are from.
    material_ids, verdicts : tuple of str
        Of each crystal, and of its simulation.
    simulated, predicted : ndarray, shape (n,)
        Both.
    low, high : ndarray, shape (n,)
        95 % interval of the prediction; NaN where it is not known.
    floor : float
        At which labels were clipped from below.
    """

    title: str
    material_ids: tuple[str, ...]
    verdicts: tuple[str, ...]
    simulated: FloatArray
    predicted: FloatArray
    low: FloatArray
    high: FloatArray
    floor: float = clipped_log10(0.0)

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """Which labels are at the floor: their crystals diffuse at most that fast."""
        return self.simulated <= self.floor + 1e-9

    def groups(self) -> Iterator[tuple[str, bool, NDArray[np.bool_]]]:
        """Yield verdict, whether labels are clipped, and which crystals have both."""
        for verdict in dict.fromkeys(self.verdicts):
            rows = np.array([one == verdict for one in self.verdicts])
            for clipped in (False, True):
                chosen = rows & (self.clipped == clipped)
                if chosen.any():
                    yield verdict, clipped, chosen

    @property
    def measures(self) -> str:
        """Number of crystals, R^2, mean absolute error and rank correlation."""
        y, p = self.simulated, self.predicted
        return (
            f"n = {len(y)}, R² = {r_squared(y, p):.2f}, MAE = {mean_absolute_error(y, p):.2f}, "
            f"Spearman = {spearman(y, p):.2f}"
        )


def of_study(summary: Mapping[str, Any], split: str | None = None) -> ParityData:
    """Return the predictions of a study for crystals that were not learned.

    Parameters
    ----------
    summary : mapping
        ``summary.json`` of ``superionic train``.
    split : str, optional
        random or chemical_system; by default the harder one of those that there are.

    Raises
    ------
    FigureError
        When it has no predictions of that split.
    """
    known = summary.get("parity") or {}
    chosen = split or next((name for name in ("chemical_system", "random") if name in known), "")
    if chosen not in known:
        raise FigureError(
            f"The study has no predictions of the division '{split or 'chemical_system'}'.",
            hint=f"It has: {', '.join(known) or 'none'}.",
        )
    part = known[chosen]
    nothing = np.full(len(part["predicted"]), np.nan)
    return ParityData(
        title=f"Force network, {SPLITS.get(chosen, chosen)}",
        material_ids=tuple(part["material_id"]),
        verdicts=tuple(part["verdict"]),
        simulated=np.array(part["log10_label"], dtype=np.float64),
        predicted=np.array(part["predicted"], dtype=np.float64),
        low=nothing,
        high=nothing,
        floor=part.get("log10_floor", clipped_log10(0.0)),
    )


def of_rows(rows: Sequence[ScreeningDocument], labels: Sequence[LabelRow] = ()) -> ParityData:
    """Return predictions and labels of rows that have both, unless the network had learned them.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        With predictions.
    labels : sequence of LabelRow
        Labels of a data set; those of the rows go first.

    Raises
    ------
    FigureError
        When no row has both.
    """
    simulated = simulated_of(rows, labels)
    found = []
    for row in rows:
        if row.predicted_log10_msd_slope is None or row.prediction_in_training or row.duplicate_of:
            continue
        one = simulated.get(row.key)
        if one is not None and one.log10_slope is not None:
            found.append((row, one.log10_slope, one.verdict))
    if not found:
        raise FigureError(
            f"None of {len(rows)} rows has a label and a prediction by a network that had not "
            "learned it.",
            hint="Run 'superionic predict' and 'superionic label', or name the summary.json of "
            "'superionic train'.",
        )
    low, high = (
        [getattr(row, f"predicted_log10_msd_slope_{end}") for row, _, _ in found]
        for end in ("low", "high")
    )
    return ParityData(
        title="Force network, rows of the screening collection",
        material_ids=tuple(row.material_id for row, _, _ in found),
        verdicts=tuple(verdict for _, _, verdict in found),
        simulated=np.array([value for _, value, _ in found]),
        predicted=np.array([row.predicted_log10_msd_slope for row, _, _ in found]),
        low=np.array(low, dtype=np.float64),
        high=np.array(high, dtype=np.float64),
    )


def plotly(data: ParityData) -> "PlotlyFigure":
    """Draw predictions against labels, interactive."""
    figure = plotly_figure(f"{data.title}: {data.measures}", height_px=520)
    low, high = _range(data)
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": GREY, "dash": "dash", "width": 1},
        name="equal",
        hoverinfo="skip",
    )
    for verdict, clipped, rows in data.groups():
        above, below = data.high[rows] - data.predicted[rows], data.predicted[rows] - data.low[rows]
        colour = VERDICT_COLOURS.get(verdict, GREY)
        figure.add_scatter(
            x=data.simulated[rows],
            y=data.predicted[rows],
            error_y=error_bars(np.nan_to_num(below), np.nan_to_num(above), color=colour),
            text=[plain(m) for m, r in zip(data.material_ids, rows, strict=True) if r],
            mode="markers",
            name=_name(verdict, clipped),
            marker={
                "color": colour,
                "size": 8,
                "symbol": VERDICT_SYMBOLS.get(verdict, "circle") + "-open" * clipped,
            },
            hovertemplate="%{text}: simulated %{x:.2f}, predicted %{y:.2f}<extra></extra>",
        )
    plotly_axes(figure, _X, _Y)
    figure.update_xaxes(range=[low, high])
    figure.update_yaxes(range=[low, high], scaleanchor="x")
    return figure


def _name(verdict: str, clipped: bool) -> str:
    return plain_name(verdict) + ", label clipped" * clipped


def _range(data: ParityData) -> tuple[float, float]:
    every = np.concatenate([data.simulated, data.predicted, data.low, data.high])
    return float(np.nanmin(every)) - 0.3, float(np.nanmax(every)) + 0.3
