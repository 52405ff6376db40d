"""Mean squared displacement with the window of the fit, the slope and its error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.dynamics.slope import SlopeSettings, fit_window
from superionic.errors import DiffusionError, FigureError
from superionic.report.figures.style import (
    BLACK,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERDICT_COLOURS,
    YELLOW,
    About,
    band,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.report.numbers import with_error
from superionic.schemas.label import AnalysisDocument, DiffusionDocument, LabelRow

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
FRAMEWORK_COLOURS = (GREEN, PURPLE, SKY_BLUE, ORANGE, YELLOW, GREY)
_HEADROOM = 1.4


@dataclass(frozen=True)
class MSDCurve:
    """Mean squared displacements of a run, and the slope that its label is.

    Parameters
    ----------
    about : About
        Of which material.
    temperature_K : float or None
        Of the run, where it is known.
    verdict : str
        diffusing, not_diffusing, melted or unconverged.
    lags_ps, mobile_A2 : ndarray, shape (n,)
        MSD of the mobile ions.
    framework_A2 : dict of str to ndarray
        MSD of each element of the framework.
    slope_A2_per_ps, error_A2_per_ps : float or None
        Slope and its standard error; None where none could be fitted.
    window_ps : tuple of float or None
        First and last lag of the fit.
    """

    about: About
    temperature_K: float | None
    verdict: str
    lags_ps: FloatArray
    mobile_A2: FloatArray
    framework_A2: dict[str, FloatArray]
    slope_A2_per_ps: float | None
    error_A2_per_ps: float | None
    window_ps: tuple[float, float] | None

    @property
    def title(self) -> str:
        """Material, temperature and verdict."""
        at = "" if self.temperature_K is None else f", {self.temperature_K:g} K"
        return f"{self.about.title}{at}, {plain_name(self.verdict)}"

    @property
    def slope_text(self) -> str:
        """The slope with its standard error, as a legend has it."""
        assert self.slope_A2_per_ps is not None
        assert self.error_A2_per_ps is not None
        return f"slope {with_error(self.slope_A2_per_ps, self.error_A2_per_ps)} Å²/ps"

    @property
    def fitted(self) -> bool:
        """Whether there is a slope to draw."""
        return None not in (self.slope_A2_per_ps, self.error_A2_per_ps, self.window_ps)

    def line(self, lags_ps: FloatArray, errors: float = 0.0) -> FloatArray:
        """Return the fitted line, moved by some standard errors of its slope, in A^2.

        The slope is a mean over blocks of the run that share no frame, the curve an average over
        the whole run: the line goes through the curve's mean over the window of the fit.
        """
        slope, error, window = self.slope_A2_per_ps, self.error_A2_per_ps, self.window_ps
        assert slope is not None
        assert error is not None
        assert window is not None
        grid = np.linspace(*window, 101)
        middle = np.interp(grid, self.lags_ps, self.mobile_A2).mean()
        found: FloatArray = middle + (slope + errors * error) * (lags_ps - sum(window) / 2)
        return found


def curve_of(document: DiffusionDocument | LabelRow | AnalysisDocument) -> MSDCurve:
    """Return what a label says of the displacements.

    Parameters
    ----------
    document : DiffusionDocument, LabelRow or AnalysisDocument
        A label from the database, a line of a data set, or the analysis of a trajectory.

    Raises
    ------
    FigureError
        When the label holds no curve, as that of a run that ended before its production.
    """
    if document.msd is None:
        raise FigureError(
            f"The run at {document.temperature_K or 0:g} K holds no mean squared displacement: "
            f"{document.stop_reason}.",
            hint="Only runs with a production have one.",
            material_id=document.material_id,
        )
    if isinstance(document, LabelRow):
        slope, error = document.msd_slope_A2_per_ps, document.msd_slope_error_A2_per_ps
        window = None if slope is None else _window_of_row(document)
    else:
        slope, error, window = None, None, None
        if (found := document.slope) is not None:
            slope, error = found.slope_A2_per_ps, found.error_A2_per_ps
            window = (found.window_ps[0], found.window_ps[1])
    return MSDCurve(
        about=About.of(document),
        temperature_K=document.temperature_K,
        verdict=document.verdict,
        lags_ps=np.array(document.msd.lags_ps),
        mobile_A2=np.array(document.msd.mobile_A2),
        framework_A2={name: np.array(c) for name, c in sorted(document.msd.framework_A2.items())},
        slope_A2_per_ps=slope,
        error_A2_per_ps=error,
        window_ps=window,
    )


def plotly(curve: MSDCurve) -> "PlotlyFigure":
    """Draw the curves, interactive."""
    figure = plotly_figure(curve.title)
    for (name, values), colour in zip(_framework(curve), FRAMEWORK_COLOURS, strict=False):
        figure.add_scatter(
            x=curve.lags_ps,
            y=values,
            mode="lines",
            name=plain(name),
            line={"color": colour, "width": 1.5, "dash": "dot"},
        )
    figure.add_scatter(
        x=curve.lags_ps,
        y=curve.mobile_A2,
        mode="lines",
        name=plain(curve.about.mobile_species),
        line={"color": VERDICT_COLOURS.get(curve.verdict, GREY), "width": 3},
    )
    if curve.fitted and curve.window_ps is not None:
        start, end = curve.window_ps
        figure.add_vrect(x0=start, x1=end, fillcolor=GREY, opacity=0.12, line_width=0)
        low, high = curve.line(curve.lags_ps, -1), curve.line(curve.lags_ps, 1)
        figure.add_scatter(**band(curve.lags_ps, low, high, BLACK, 0.12), name="standard error")
        window = np.array([start, end])
        figure.add_scatter(
            x=window,
            y=curve.line(window),
            mode="lines",
            name=curve.slope_text,
            line={"color": BLACK, "width": 3},
        )
    plotly_axes(figure, "lag (ps)", "mean squared displacement (Å²)")
    figure.update_yaxes(range=[0, _top(curve)])
    figure.update_layout(legend={"x": 0.02, "y": 0.98})
    return figure


def _framework(curve: MSDCurve) -> list[tuple[str, FloatArray]]:
    return list(curve.framework_A2.items())[: len(FRAMEWORK_COLOURS)]


def _top(curve: MSDCurve) -> float:
    every = [curve.mobile_A2, *curve.framework_A2.values()]
    return _HEADROOM * max(float(values.max()) for values in every if values.size)


def _window_of_row(row: LabelRow) -> tuple[float, float] | None:
    """Return the window of the fit; of analysis version 1, data sets hold it as settings."""
    if row.msd_window_ps is not None:
        return row.msd_window_ps[0], row.msd_window_ps[1]
    try:
        interval_ps = row.settings["stride"] * row.settings["timestep_fs"] * 1e-3
        settings = SlopeSettings(**row.settings["stop"]["slope"])
        n_frames = round(row.production_ps / interval_ps) + 1
        _, _, first, last = fit_window(n_frames, interval_ps, settings)
    except (KeyError, TypeError, DiffusionError):
        return None
    return first * interval_ps, last * interval_ps
