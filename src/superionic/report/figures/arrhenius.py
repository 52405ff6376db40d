"""Conductivity against temperature, with the Arrhenius fit and its 95 % interval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.confirmation import ROOM_TEMPERATURE_K, ArrheniusPoint, Ions, arrhenius
from superionic.dynamics.slope import diffusivity
from superionic.errors import FigureError
from superionic.report.figures.style import (
    BLUE,
    ORANGE,
    VERMILLION,
    About,
    band,
    error_bars,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.report.numbers import with_error
from superionic.schemas.validation import TemperatureDocument, ValidationDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
X = "1000 / temperature (1/K)"
Y = "conductivity (S/cm)"
_TICKS_K = (300, 400, 500, 700, 1000, 1500)


@dataclass(frozen=True)
class Line:
    """The fit over temperatures: conductivities with 95 % interval, each of shape (n,)."""

    temperatures_K: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray


def fitted_line(document: ValidationDocument) -> Line | None:
    """Return the fit of a validation, from 300 K to its hottest run; None where there is none.

    Parameters
    ----------
    document : ValidationDocument
        The fit is done again, from its runs.
    """
    fit = arrhenius([_point(run) for run in document.runs])
    if fit is None:
        return None
    ions = Ions(document.n_mobile, document.volume_A3, document.charge_e)
    hottest = max(run.temperature_K for run in document.runs)
    coldest = min(ROOM_TEMPERATURE_K, *(run.temperature_K for run in document.runs))
    temperatures = 1 / np.linspace(1 / coldest, 1 / hottest, 60)
    found = [(t, fit.at(float(t))) for t in temperatures]
    value, low, high = (
        np.array([ions.conductivity(getattr(one, name), float(t)) for t, one in found])
        for name in ("value", "low", "high")
    )
    return Line(temperatures, value, low, high)


def plotly(document: ValidationDocument) -> "PlotlyFigure":
    """Draw conductivities, fit and interval, interactive."""
    _require_runs(document)
    figure = plotly_figure(_title(document))
    line = fitted_line(document)
    if line is not None:
        x = 1000 / line.temperatures_K
        figure.add_scatter(**band(x, line.low, line.high, BLUE), name="95 % interval")
        figure.add_scatter(
            x=x,
            y=line.value,
            customdata=line.temperatures_K,
            mode="lines",
            name=_fit_name(document),
            line={"color": BLUE, "width": 2},
            hovertemplate="%{customdata:.0f} K: %{y:.2g} S/cm<extra>fit</extra>",
        )
    values = [run for run in document.runs if run.evidence == "value"]
    if values:
        middle, below, above = with_errors(document, values)
        figure.add_scatter(
            x=[1000 / run.temperature_K for run in values],
            y=middle,
            error_y=error_bars(below, above, color=BLUE),
            customdata=[run.temperature_K for run in values],
            mode="markers",
            name="dynamics, 95 %",
            marker={"color": BLUE, "size": 9},
            hovertemplate="%{customdata:.0f} K: %{y:.2g} S/cm<extra></extra>",
        )
    bounds = bounds_of(document)
    if bounds:
        figure.add_scatter(
            x=[1000 / temperature for temperature, _ in bounds],
            y=[bound for _, bound in bounds],
            customdata=[temperature for temperature, _ in bounds],
            mode="markers",
            name="upper bound, 95 %",
            marker={"color": ORANGE, "size": 11, "symbol": "triangle-down-open"},
            hovertemplate="%{customdata:.0f} K: below %{y:.2g} S/cm<extra></extra>",
        )
    finish(figure, {(document.deciding_temperature_K, document.threshold_S_per_cm)}, VERMILLION)
    figure.update_layout(legend={"x": 0.02, "y": 0.02, "yanchor": "bottom"})
    return figure


def finish(figure: "PlotlyFigure", thresholds: set[tuple[float, float]], colour: str) -> None:
    """Mark thresholds, in K and S/cm; name the axes: 1000/T with T above it, and conductivities."""
    for temperature_K, threshold in sorted(thresholds):
        figure.add_scatter(
            x=[1000 / temperature_K],
            y=[threshold],
            mode="markers",
            name=f"{threshold:g} S/cm at {temperature_K:g} K",
            marker={"color": colour, "size": 12, "symbol": "x-thin", "line": {"width": 3}},
            marker_line_color=colour,
        )
    plotly_axes(figure, X, Y)
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    # An axis without data is not shown.
    nothing = {"showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=[None], y=[None], xaxis="x2", mode="markers", **nothing)
    figure.update_layout(
        margin={"t": 100},
        title={"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}},
        xaxis2={
            "overlaying": "x",
            "matches": "x",
            "side": "top",
            "title": {"text": "temperature (K)", "standoff": 5},
            "tickvals": [1000 / t for t in _TICKS_K],
            "ticktext": [str(t) for t in _TICKS_K],
            "ticks": "outside",
            "showgrid": False,
        },
    )


def _point(run: TemperatureDocument) -> ArrheniusPoint:
    """Return a run as the fit takes it."""
    bound = run.slope_upper_bound_A2_per_ps
    usable = bound is not None and bound > 0 and run.evidence != "none"
    return ArrheniusPoint(
        run.temperature_K,
        run.evidence,
        diffusivity_cm2_per_s=run.diffusivity_cm2_per_s,
        error_cm2_per_s=run.diffusivity_error_cm2_per_s,
        upper_bound_cm2_per_s=diffusivity(bound) if usable and bound is not None else None,
        degrees_of_freedom=max(run.slope.n_blocks - 1, 1) if run.slope else 1,
        melted=run.verdict == "melted",
    )


def with_errors(
    document: ValidationDocument, runs: list[TemperatureDocument]
) -> tuple[list[float], list[float], list[float]]:
    """Return conductivities and the distances to the ends of their 95 % intervals."""
    ions = Ions(document.n_mobile, document.volume_A3, document.charge_e)
    middle, below, above = [], [], []
    for run in runs:
        assert run.slope is not None, "a value has a slope"
        slope = run.slope
        low, value, high = (
            ions.conductivity(diffusivity(s), run.temperature_K)
            for s in (slope.low_A2_per_ps, slope.slope_A2_per_ps, slope.high_A2_per_ps)
        )
        middle.append(value)
        below.append(value - max(low, 1e-3 * value))  # a logarithmic axis has no zero
        above.append(high - value)
    return middle, below, above


def bounds_of(document: ValidationDocument) -> list[tuple[float, float]]:
    """Return temperatures in K and upper bounds in S/cm of runs that have nothing else."""
    return [
        (run.temperature_K, run.conductivity_upper_bound_S_per_cm)
        for run in document.runs
        if run.evidence == "bound" and run.conductivity_upper_bound_S_per_cm is not None
    ]


def _require_runs(document: ValidationDocument) -> None:
    if not any(run.evidence != "none" for run in document.runs):
        raise FigureError(
            "None of its runs says anything of the diffusion: "
            + "; ".join(f"{run.temperature_K:g} K: {run.verdict_reason}" for run in document.runs)
            + ".",
            hint="Run longer, or at other temperatures.",
            material_id=document.material_id,
        )


def _title(document: ValidationDocument) -> str:
    return f"{About.of(document).title}, {plain_name(document.verdict)}"


def _fit_name(document: ValidationDocument) -> str:
    energy, error = document.activation_energy_eV, document.activation_energy_error_eV
    if energy is None or error is None:
        return "fit"
    return f"fit, {with_error(energy, error)} eV"
