"""The second panel of a ranking: diffusion at 1000 K, predicted and simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superionic.report.figures.ranked import RankedMaterial, RankingData, Value
from superionic.report.figures.style import (
    GREY,
    ORANGE,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    error_bars,
    plain_name,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

_SLOPE = "MSD slope at<br>1000 K (Å²/ps)"
_LEFT, _RIGHT = (0.0, 0.42), (0.5, 1.0)
LEARNED = "chemical system learned"
"""What is said of a prediction by a network that has learned crystals of the same elements."""
_EDGE = 0.97
"""Where along the panel, from 0 to 1, what has no slope is marked."""


@dataclass(frozen=True)
class Marks:
    """Materials of one mark in the panel.

    Parameters
    ----------
    name : str
        What it means.
    colour, symbol : str
        Of mark and interval.
    places : tuple of int
        Which materials, by their place in the figure.
    values : tuple of Value
        Their slopes in A^2/ps, none where there are none.
    """

    name: str
    colour: str
    symbol: str
    places: tuple[int, ...]
    values: tuple[Value, ...]


def marks_of(materials: Sequence[RankedMaterial]) -> list[Marks]:
    """Return what the panel shows: predictions, slopes by verdict, and what has no slope.

    Parameters
    ----------
    materials : sequence of RankedMaterial
        In the order of the figure.
    """
    found = []
    for learned in (False, True):
        of = {i: one.predicted for i, one in enumerate(materials) if one.learned is learned}
        what = f", {LEARNED}" if learned else ""
        symbol = "square-open" if learned else "square"
        found.append(_marks(f"force network{what}", ORANGE, symbol, of))
    for verdict in dict.fromkeys(one.verdict for one in materials if one.verdict is not None):
        colour = VERDICT_COLOURS.get(verdict, GREY)
        symbol = VERDICT_SYMBOLS.get(verdict, "circle")
        of = {i: one.simulated for i, one in enumerate(materials) if one.verdict == verdict}
        name = f"dynamics, {plain_name(verdict)}"
        found.append(_marks(name, colour, symbol, of))
        nothing = tuple(place for place, value in of.items() if value is None)
        found.append(Marks(f"{name} (no slope)", colour, symbol, nothing, ()))
    return [one for one in found if one.places]


def add_slopes(figure: "PlotlyFigure", data: RankingData, names: Sequence[str]) -> None:
    """Add predicted and simulated slopes on a second horizontal axis, logarithmic.

    What has no slope is marked at the right edge, on an axis that is not shown.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        With the scores.
    data : RankingData
        The ranking.
    names : sequence of str
        Of the materials on the vertical axis.
    """
    marks = marks_of(data.materials)
    for one in marks:
        x = [value.value for value in one.values] or [_EDGE] * len(one.places)
        figure.add_scatter(
            x=x,
            y=[names[place] for place in one.places],
            xaxis="x2" if one.values else "x3",
            mode="markers",
            name=one.name,
            marker={"color": one.colour, "size": 9, "symbol": one.symbol},
            error_x=bars(one.values, one.colour) if one.values else None,
        )
    figure.update_layout(
        xaxis={"domain": _LEFT},
        xaxis2={
            "domain": _RIGHT,
            "type": "log",
            "title": {"text": _SLOPE},
            "exponentformat": "power",
            "dtick": 1,
            "showline": True,
            "linecolor": "#444444",
            "gridcolor": "#E8E8E8",
        },
    )
    if any(not one.values for one in marks):
        figure.update_layout(
            xaxis3={
                "overlaying": "x2",
                "range": [0, 1],
                "fixedrange": True,
                "visible": False,
            }
        )
        if not any(one.values for one in marks):  # an axis without data would not be shown
            figure.add_scatter(x=[None], y=[names[0]], xaxis="x2", showlegend=False)


def bars(values: Sequence[Value], colour: str) -> dict[str, Any]:
    """Return the intervals of values as plotly's error bars."""
    below, above = [one.below for one in values], [one.above for one in values]
    return error_bars(below, above, color=colour)


def _marks(name: str, colour: str, symbol: str, of: Mapping[int, Value | None]) -> Marks:
    """Return the marks of materials that have a value, given as its decimal logarithm."""
    there = {place: _linear(value) for place, value in of.items() if value is not None}
    return Marks(name, colour, symbol, tuple(there), tuple(there.values()))


def _linear(value: Value) -> Value:
    low, high = (None if end is None else 10**end for end in (value.low, value.high))
    return Value(10**value.value, low, high)
