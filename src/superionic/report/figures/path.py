"""Energy along the percolation path."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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


FloatArray = NDArray[np.float64]

_ON_FACE = 1e-9
"""Fraction of the block within which a point lies on a face of it."""


def wrapped(
    fractional: FloatArray, values: FloatArray, block: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Return a line with what leaves a block of cells coming in again at the opposite face.

    Segments are cut at the faces of the block. The line breaks only where it leaves: a part that
    runs along a face stays on the side that it came from.

    Parameters
    ----------
    fractional : ndarray, shape (m, 3)
        Points in fractional coordinates of the cell, at least two; consecutive ones are joined.
    values : ndarray, shape (m,)
        A value at each point.
    block : sequence of int, length 3
        Cells along each lattice vector; the block begins at the origin.

    Returns
    -------
    points : ndarray, shape (n, 3)
        Fractional coordinates within the block; a row of NaN where the line breaks.
    values : ndarray, shape (n,)
        The value at each of them, interpolated linearly where a segment was cut; NaN at breaks.
    """
    cells = np.asarray(block, dtype=float)
    line = fractional / cells
    nearest = np.rint(line)
    line = np.where(np.abs(line - nearest) < _ON_FACE, nearest, line)
    ends = np.column_stack([line, values])

    drawn: list[FloatArray] = []
    image = np.full(3, np.nan)
    for start, end in pairwise(ends):
        cuts = np.concatenate([[0.0], _crossings(start[:3], end[:3]), [1.0]])[:, None]
        corners = start + cuts * (end - start)
        for one, other in pairwise(corners):
            middle = (one[:3] + other[:3]) / 2
            if not np.all((image <= middle) & (middle <= image + 1)):
                drawn += [np.full(4, np.nan)] if drawn else []
                image = np.floor(middle)
                drawn.append(_within(one, image))
            drawn.append(_within(other, image))
    found = np.array(drawn)
    return found[:, :3] * cells, found[:, 3]


def _crossings(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return where, from 0 to 1, a segment crosses a whole number along any axis, ascending."""
    found = []
    for a, b in zip(start, end, strict=True):
        low, high = min(a, b), max(a, b)
        found += [(k - a) / (b - a) for k in np.arange(np.floor(low) + 1, np.ceil(high))]
    return np.unique(found)


def _within(corner: FloatArray, image: FloatArray) -> FloatArray:
    """Return a corner of the line, seen from one image of the block."""
    return np.append(np.clip(corner[:3] - image, 0.0, 1.0), corner[3])
