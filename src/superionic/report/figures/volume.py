"""Volume below an energy: the curve from which free volumes are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.settings import DescriptorSettings
from superionic.report.figures.about import About
from superionic.report.figures.style import (
    BLUE,
    GREY,
    VERMILLION,
    axes,
    label,
    legend,
    plotly_axes,
    plotly_figure,
)
from superionic.schemas.screen import DescriptorsDocument

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
HIGHEST_eV = 4.0
STEP_eV = 0.02
MARKED_eV = (DescriptorSettings().xi_threshold_eV, 2.0)
"""Thresholds of the published descriptor Xi, and of the policy ``free_volume``."""
_ENERGY = "energy above the minimum (eV)"
_FRACTION = "volume below it (fraction of the cell)"
_PER_ION = "per mobile ion ({cube})"


@dataclass(frozen=True)
class VolumeCurve:
    """Volume with an energy below a threshold, against the threshold.

    Parameters
    ----------
    about : About
        Of which material.
    energies_eV : ndarray, shape (n,)
        Thresholds, ascending; where the landscape is known many, else those of the descriptors.
    fraction : ndarray, shape (n,)
        Fraction of the cell that any ion reaches below them (union).
    per_ion_A3 : ndarray, shape (n,)
        Volume in A^3, mean over the mobile ions.
    marked : tuple of (float, float, float)
        Thresholds that descriptors are read at, with both volumes there.
    continuous : bool
        Whether the curve is known between its points.
    """

    about: About
    energies_eV: FloatArray
    fraction: FloatArray
    per_ion_A3: FloatArray
    marked: tuple[tuple[float, float, float], ...]
    continuous: bool


def curve_of_maps(
    about: About,
    shared_eV: FloatArray,
    maps_eV: Iterable[FloatArray],
    cell_volume_A3: float,
) -> VolumeCurve:
    """Return the curve of a landscape.

    Parameters
    ----------
    about : About
        Of which material.
    shared_eV : ndarray
        Smallest energy of any mobile ion at each point.
    maps_eV : iterable of ndarray
        The map of each mobile ion, relative to its minimum.
    cell_volume_A3 : float
        Volume of the cell in A^3.
    """
    thresholds = np.arange(STEP_eV, HIGHEST_eV + STEP_eV / 2, STEP_eV).round(6)
    offsets = DescriptorSettings().threshold_offsets_eV
    ends = np.add.outer(MARKED_eV, offsets)
    curve, at = np.zeros(thresholds.size), np.zeros(ends.shape)
    n_ions = 0
    for energies in maps_eV:
        curve += _below(energies, thresholds)
        at += _below(energies, ends)
        n_ions += 1
    each = cell_volume_A3 / max(n_ions, 1)
    # A free volume is the mean over thresholds close to the one it is named by.
    marked = zip(
        MARKED_eV, _below(shared_eV, ends).mean(axis=1), each * at.mean(axis=1), strict=True
    )
    return VolumeCurve(
        about=about,
        energies_eV=thresholds,
        fraction=_below(shared_eV, thresholds),
        per_ion_A3=each * curve,
        marked=tuple((float(e), float(f), float(v)) for e, f, v in marked),
        continuous=True,
    )


def curve_of_descriptors(document: DescriptorsDocument) -> VolumeCurve:
    """Return the points of the curve that descriptors hold, where the landscape is gone."""
    keep = [i for i, e in enumerate(document.thresholds_eV) if e <= HIGHEST_eV]
    keep.sort(key=lambda i: document.thresholds_eV[i])
    energies = [document.thresholds_eV[i] for i in keep]
    fraction = [document.fv_disconnected_union[i] for i in keep]
    volume = [document.free_volume_A3_per_ion[i] for i in keep]
    points = zip(energies, fraction, volume, strict=True)
    return VolumeCurve(
        about=About.of(document),
        energies_eV=np.array(energies),
        fraction=np.array(fraction),
        per_ion_A3=np.array(volume),
        marked=tuple(point for point in points if point[0] in MARKED_eV),
        continuous=False,
    )


def plotly(curve: VolumeCurve) -> "PlotlyFigure":
    """Draw the curve, interactive; logarithmic, with the thresholds of descriptors marked."""
    figure = plotly_figure(f"Free volume of {curve.about.title}")
    mode = "lines" if curve.continuous else "lines+markers"
    seen = curve.fraction > 0
    figure.add_scatter(
        x=curve.energies_eV[seen].astype(np.float32),
        y=curve.fraction[seen].astype(np.float32),
        customdata=curve.per_ion_A3[seen].astype(np.float32),
        mode=mode,
        name="any ion (union)",
        line={"color": BLUE, "width": 2.5},
        hovertemplate="below %{x:.2f} eV: %{y:.4f} of the cell, %{customdata:.3g} Å³ per ion"
        "<extra></extra>",
    )
    for energy, fraction, volume in curve.marked:
        figure.add_vline(x=energy, line={"color": GREY, "width": 1, "dash": "dash"})
        if fraction > 0:
            figure.add_scatter(
                x=[energy],
                y=[fraction],
                mode="markers+text",
                name=f"free volume at {energy:g} eV",
                marker={"color": VERMILLION, "size": 10, "symbol": "diamond"},
                text=[f"{fraction:.3g}"],
                textposition="bottom right",
                hovertemplate=f"at {energy:g} eV: {fraction:.4g} of the cell, {volume:.3g} Å³ per "
                "ion<extra></extra>",
            )
    plotly_axes(figure, _ENERGY, _FRACTION)
    figure.update_xaxes(range=[0, HIGHEST_eV])
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    figure.update_layout(legend={"x": 0.98, "xanchor": "right", "y": 0.02, "yanchor": "bottom"})
    return figure


def static(curve: VolumeCurve) -> "Figure":
    """Draw the curve for print: fraction of the cell, and volume per mobile ion."""
    figure, panels = axes(height_in=3.6, rows=2, sharex=True)
    points = (0, 1)
    for panel, values, place in zip(
        panels, (curve.fraction, curve.per_ion_A3), points, strict=True
    ):
        seen = values > 0
        style = "-" if curve.continuous else "o-"
        panel.plot(curve.energies_eV[seen], values[seen], style, color=BLUE, lw=1.3, ms=3)
        for energy, *at in curve.marked:
            panel.axvline(energy, color=GREY, lw=0.6, ls="--", zorder=0)
            if at[place] > 0:
                name = f"at {energy:g} eV: {at[place]:.3g}"
                panel.plot(energy, at[place], "D", color=VERMILLION, ms=4, label=name)
        panel.set(yscale="log", xlim=(0, HIGHEST_eV))
        legend(panel, where="lower right")
    label(panels[0], "", "volume below it\n(fraction of the cell)", curve.about.title)
    label(panels[1], _ENERGY, f"volume below it\n{_PER_ION.format(cube='Å$^3$')}")
    return figure


def _below(values: FloatArray, cuts: FloatArray) -> FloatArray:
    """Return the fraction of values strictly below each cut."""
    ascending = np.sort(values, axis=None)
    found: FloatArray = np.searchsorted(ascending, cuts, side="left") / ascending.size
    return found
