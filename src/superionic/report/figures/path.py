"""Energy along the percolation path."""

from typing import TYPE_CHECKING, Any

import numpy as np

from superionic.report.figures.scene import PathProfile
from superionic.report.figures.style import (
    BLACK,
    GREY,
    VERMILLION,
    YELLOW,
    plotly_axes,
    plotly_figure,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

_DISTANCE = "distance along the path (Å)"
_ENERGY = "energy (eV)"


def plotly(profile: PathProfile) -> "PlotlyFigure":
    """Draw the energy along the path; its highest point, the saddle, is marked."""
    figure = plotly_figure(f"Percolation path in {profile.about.title}", height_px=345)
    add_profile(figure, profile)
    return figure


def add_profile(figure: "PlotlyFigure", profile: PathProfile, **axes: Any) -> None:
    """Add the energy along the path, above the ion's minimum.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        Whose axes are named.
    profile : PathProfile
        The path.
    **axes
        ``xaxis`` and ``yaxis`` of the traces.
    """
    saddle = int(np.argmax(profile.energies_eV))
    figure.add_scatter(
        x=profile.distances_A,
        y=profile.energies_eV,
        mode="lines+markers",
        name=f"{profile.about.mobile_species} at site {profile.site}",
        line={"color": VERMILLION, "width": 2},
        marker={"size": 5},
        hovertemplate="%{x:.2f} Å: %{y:.3f} eV<extra></extra>",
        showlegend=False,
        meta={"role": "energy"},
        **axes,
    )
    figure.add_scatter(
        x=[profile.distances_A[saddle]],
        y=[profile.highest_eV],
        mode="markers+text",
        marker={"color": BLACK, "size": 9},
        text=[f"{profile.highest_eV:.3f} eV"],
        textposition="top center" if 0.1 < saddle / len(profile.energies_eV) < 0.9 else "top left",
        hoverinfo="skip",
        showlegend=False,
        **axes,
    )
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"color": YELLOW, "size": 13, "line": {"color": BLACK, "width": 2}},
        hoverinfo="skip",
        showlegend=False,
        meta={"role": "energy cursor"},
        **axes,
    )
    line = {"color": GREY, "width": 1, "dash": "dash"}
    figure.add_shape(
        type="line",
        xref="x domain",
        x0=0,
        x1=1,
        y0=profile.highest_eV,
        y1=profile.highest_eV,
        line=line,
        layer="below",
    )
    plotly_axes(figure, _DISTANCE, _ENERGY)
    highest = 1.45 * max(profile.highest_eV, 0.01)
    figure.update_yaxes(range=[-0.04 * highest, highest])
