"""Conductivities of several materials against temperature, with their Arrhenius fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superionic.errors import FigureError
from superionic.report.figures.arrhenius import (
    bounds_of,
    finish,
    fitted_line,
    with_errors,
)
from superionic.report.figures.style import (
    BLACK,
    LEGEND_BELOW,
    PALETTE,
    YELLOW,
    error_bars,
    formula_text,
    plain,
    plain_name,
    plotly_figure,
)
from superionic.schemas.validation import ValidationDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

_COLOURS = [colour for colour in PALETTE if colour not in (YELLOW, BLACK)]
_MARKS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star")
_ROUNDS = (
    ("solid", "triangle-down-open"),
    ("dash", "triangle-down-open-dot"),
    ("dot", "star-triangle-down-open"),
)
"""Line, and triangle of an upper bound, once all colours are taken."""
_SPREAD = 0.03
"""How far marks of materials are moved at most, in 1000/K: 7 K at 500 K."""


@dataclass(frozen=True)
class Style:
    """How a material is drawn: colour, mark of its values, line of its fit, mark of its bounds."""

    colour: str
    mark: str
    line: str
    bound: str


def style_of(number: int) -> Style:
    """Return how the material of a number is drawn; the first 21 all differ without colour, too."""
    turn, place = divmod(number, len(_COLOURS))
    line, bound = _ROUNDS[turn % len(_ROUNDS)]
    return Style(_COLOURS[place], _MARKS[(place + turn) % len(_MARKS)], line, bound)


def shift_of(number: int, n: int) -> float:
    """Return by how much 1000/T of one of n materials is moved, so that intervals do not overlap.

    Parameters
    ----------
    number, n : int
        Which material, of how many.
    """
    return 0.0 if n == 1 else _SPREAD * (2 * number / (n - 1) - 1)


def plotly(documents: Sequence[ValidationDocument]) -> "PlotlyFigure":
    """Draw conductivities with errors, and fits as lines, interactive.

    Raises
    ------
    FigureError
        When there are no validations, or none of their runs says anything.
    """
    figure = plotly_figure(height_px=440 + 10 * len(documents))
    drawn = _with_something(documents)
    for number, one in enumerate(drawn):
        style, shift = style_of(number), shift_of(number, len(drawn))
        name = plain(_name(one))
        line = fitted_line(one)
        if line is not None:
            figure.add_scatter(
                x=1000 / line.temperatures_K,
                y=line.value,
                mode="lines",
                line={"color": style.colour, "width": 1.5, "dash": style.line},
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            )
        values = [run for run in one.runs if run.evidence == "value"]
        middle, below, above = with_errors(one, values)
        bounds = bounds_of(one)
        figure.add_scatter(
            x=[
                1000 / temperature + shift
                for temperature in [run.temperature_K for run in values] + [t for t, _ in bounds]
            ],
            y=middle + [bound for _, bound in bounds],
            error_y=error_bars(below + [0.0] * len(bounds), above + [0.0] * len(bounds)),
            customdata=[f"{run.temperature_K:g} K" for run in values]
            + [f"{t:g} K, upper bound" for t, _ in bounds],
            mode="markers",
            name=name,
            legendgroup=name,
            marker={
                "color": style.colour,
                "size": 8,
                "symbol": [style.mark] * len(values) + [style.bound] * len(bounds),
            },
            hovertemplate="%{customdata}: %{y:.2g} S/cm",
        )
    finish(figure, {(d.deciding_temperature_K, d.threshold_S_per_cm) for d in documents}, BLACK)
    figure.update_layout(legend=LEGEND_BELOW)
    return figure


def _with_something(documents: Sequence[ValidationDocument]) -> list[ValidationDocument]:
    found = [one for one in documents if any(run.evidence != "none" for run in one.runs)]
    if not found:
        raise FigureError(
            f"None of {len(documents)} validations has a run that says anything of the diffusion.",
            hint="'superionic validate' runs dynamics at several temperatures.",
        )
    return found


def _name(one: ValidationDocument) -> str:
    return f"{formula_text(one.formula)}, {plain_name(one.verdict)}"
