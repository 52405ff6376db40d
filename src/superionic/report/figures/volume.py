"""Volume below an energy: the curve from which free volumes are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from superionic.landscape.settings import DescriptorSettings
from superionic.report.figures.style import (
    BLUE,
    GREY,
    VERMILLION,
    About,
    plotly_axes,
    plotly_figure,
)
from superionic.schemas.screen import DescriptorsDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
HIGHEST_eV = 4.0
STEP_eV = 0.02
MARKED_eV = (DescriptorSettings().xi_threshold_eV, 2.0)
"""Thresholds of the published descriptor Xi, and of the policy ``free_volume``."""
_ENERGY = "energy above the minimum (eV)"
_FRACTION = "volume below it<br>(fraction of the cell)"
_PER_ION = "volume below it<br>per mobile ion (Å³)"


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
    """Draw fraction of the cell and volume per ion, logarithmic, with the thresholds marked."""
    figure = plotly_figure(f"Free volume of {curve.about.title}", height_px=560)
    figure.set_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    panels = (
        (curve.fraction, "of the cell", _FRACTION),
        (curve.per_ion_A3, "Å³ per ion", _PER_ION),
    )
    for row, (values, unit, title) in enumerate(panels, start=1):
        seen = values > 0
        figure.add_scatter(
            x=curve.energies_eV[seen].astype(np.float32),
            y=values[seen].astype(np.float32),
            mode="lines" if curve.continuous else "lines+markers",
            name="volume",
            showlegend=False,
            line={"color": BLUE, "width": 2.5},
            hovertemplate=f"below %{{x:.2f}} eV: %{{y:.4g}} {unit}<extra></extra>",
            row=row,
            col=1,
        )
        for energy, *at in curve.marked:
            line = {"color": GREY, "width": 1, "dash": "dash"}
            figure.add_vline(x=energy, line=line, row=row, col=1)
            value = at[row - 1]
            if value > 0:
                figure.add_scatter(
                    x=[energy],
                    y=[value],
                    mode="markers+text",
                    name=f"free volume at {energy:g} eV",
                    showlegend=False,
                    marker={"color": VERMILLION, "size": 10, "symbol": "diamond"},
                    text=[f"{value:.3g}"],
                    textposition="bottom right",
                    hovertemplate=f"at {energy:g} eV: {value:.4g} {unit}<extra></extra>",
                    row=row,
                    col=1,
                )
        plotly_axes(figure, _ENERGY if row == 2 else "", title, row=row, col=1)
    figure.update_xaxes(range=[0, HIGHEST_eV])
    figure.update_yaxes(type="log", exponentformat="power", dtick=1)
    return figure


def _below(values: FloatArray, cuts: FloatArray) -> FloatArray:
    """Return the fraction of values strictly below each cut."""
    ascending = np.sort(values, axis=None)
    found: FloatArray = np.searchsorted(ascending, cuts, side="left") / ascending.size
    return found
