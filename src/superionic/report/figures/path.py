"""Energy along the percolation path."""

from typing import TYPE_CHECKING

import numpy as np

from superionic.report.figures.scene import PathProfile
from superionic.report.figures.style import (
    GREY,
    VERMILLION,
    axes,
    label,
    legend,
    plotly_axes,
    plotly_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

_DISTANCE = "distance along the path (Å)"
_ENERGY = "energy above the minimum (eV)"


def plotly(profile: PathProfile) -> "PlotlyFigure":
    """Draw the energy along the path, interactive; its highest point is marked."""
    figure = plotly_figure(f"Percolation path in {profile.about.title}")
    figure.add_scatter(
        x=profile.distances_A,
        y=profile.energies_eV,
        mode="lines+markers",
        name=f"{profile.about.mobile_species} at site {profile.site}",
        line={"color": VERMILLION, "width": 2},
        marker={"size": 6},
        hovertemplate="%{x:.2f} Å: %{y:.3f} eV<extra></extra>",
    )
    figure.add_hline(
        y=profile.highest_eV,
        line={"color": GREY, "width": 1, "dash": "dash"},
        annotation={"text": f"barrier {profile.highest_eV:.3f} eV", "yshift": 2},
        annotation_position="top left",
    )
    plotly_axes(figure, _DISTANCE, _ENERGY)
    figure.update_yaxes(rangemode="tozero")
    return figure


def static(profile: PathProfile) -> "Figure":
    """Draw the energy along the path for print."""
    figure, (panel,) = axes(height_in=2.3)
    panel.axhline(profile.highest_eV, color=GREY, lw=0.7, ls="--", zorder=0)
    panel.plot(
        profile.distances_A,
        profile.energies_eV,
        "o-",
        color=VERMILLION,
        ms=2.5,
        lw=1.1,
        label=f"{profile.about.mobile_species} at site {profile.site}",
    )
    highest = int(np.argmax(profile.energies_eV))
    panel.annotate(
        f"{profile.highest_eV:.2f} eV",
        (float(profile.distances_A[highest]), profile.highest_eV),
        xytext=(0, 3),
        textcoords="offset points",
        fontsize=7,
        ha="center",
    )
    panel.set_ylim(0, 1.15 * max(profile.highest_eV, 0.01))
    panel.set_xlim(0, float(profile.distances_A[-1]))
    label(panel, _DISTANCE, _ENERGY, profile.about.title)
    legend(panel)
    return figure
