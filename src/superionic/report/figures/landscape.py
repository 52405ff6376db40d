"""A crystal with its landscape as surfaces of equal energy, and the percolation path in it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.report.figures.crystal import (
    Block,
    Mesh,
    ball,
    blocks_of,
    cell_edges,
    colour_of,
    joined,
    tube,
)
from superionic.report.figures.isosurface import simplified, surface
from superionic.report.figures.path import add_profile, wrapped
from superionic.report.figures.scene import LandscapeScene, PathProfile
from superionic.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    LEGEND_BELOW,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    YELLOW,
    plain,
    plotly_figure,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]

MOST_VERTICES, COMPACT_VERTICES = 20_000, 700
"""Most corners of a surface; the compact form is for files that hold many landscapes."""
XI_THRESHOLD_eV = 0.5
ABOVE_BARRIER_eV = 0.02
HIGHEST_LEVEL_eV = 4.0
SMALLEST_LEVEL_eV = 0.02
TUBE_RADIUS_A, TUBE_SIDES = 0.16, 8
SADDLE_RADIUS_A, SITE_RADIUS_A = 0.36, 0.27
EYE = np.array([0.62, -1.9, 0.5])
LONG, WIDEST, MARGIN_A, LETTER_A = 1.3, 1.5, 0.5, 0.9
"""Cells this much longer than wide lie on their side; widest shape of what is drawn; room around
it; distance of the names of the edges from the corners."""
_PACKED = 64
HEIGHT_PX, PANEL, SCENE = 680, (0.0, 0.16), (0.235, 1.0)
LEVEL_COLOURS = (SKY_BLUE, BLUE, PURPLE, GREEN)
_LIGHT = {"ambient": 0.62, "diffuse": 0.62, "specular": 0.2, "roughness": 0.5, "fresnel": 0.05}
_SMOOTH = {"ambient": 0.64, "diffuse": 0.6, "specular": 0.05}
_LAMP = {"x": 3e4, "y": 1e5, "z": -8e4}


def default_levels(scene: LandscapeScene) -> list[float]:
    """Return levels that show something, in eV: those shown first, then the others, ascending.

    Parameters
    ----------
    scene : LandscapeScene
        The landscape.

    Returns
    -------
    list of float
        Just above the lowest percolation barrier if there is one below 4 eV, and half of that; then
        just above the other barriers, and the threshold of Xi.
    """
    first = percolating_level(scene)
    levels = [first, max(round(first / 2, 2), SMALLEST_LEVEL_eV)]
    barriers = [b for b in scene.barriers_eV if 0 < b <= HIGHEST_LEVEL_eV]
    others = {round(b + ABOVE_BARRIER_eV, 2) for b in barriers} | {XI_THRESHOLD_eV}
    for level in sorted(others):
        if all(abs(level - one) > ABOVE_BARRIER_eV for one in levels):
            levels.append(level)
    return levels


def percolating_level(scene: LandscapeScene) -> float:
    """Return the level that is shown first: just above the barrier in one dimension."""
    barrier = scene.barriers_eV[0]
    return round(barrier + ABOVE_BARRIER_eV, 2) if barrier <= HIGHEST_LEVEL_eV else XI_THRESHOLD_eV


def plotly(
    scene: LandscapeScene,
    levels_eV: Sequence[float] | None = None,
    *,
    compact: bool = False,
    blocks: Sequence[Block] | None = None,
) -> "PlotlyFigure":
    """Draw a crystal with its landscape, and the energy along the path below it.

    Buttons choose the cell; the legend shows and hides surfaces, elements and the path.

    Parameters
    ----------
    scene : LandscapeScene
        The landscape.
    levels_eV : sequence of float, optional
        Levels of the surfaces, all shown; by default those of :func:`default_levels`, of which the
        first two are shown.
    compact : bool
        Draw one cell with fewer triangles: for files that hold many landscapes.
    blocks : sequence of Block, optional
        Cells to choose from; see :func:`~superionic.report.figures.crystal.blocks_of`.

    Raises
    ------
    FigureError
        When a level is not above zero, or a package is missing.
    """
    figure = plotly_figure(f"Landscape of {scene.about.title}", height_px=HEIGHT_PX)
    blocks = blocks or blocks_of(scene.structure, one_cell=compact)
    levels = default_levels(scene) if levels_eV is None else sorted(levels_eV)
    n_shown = 2 if levels_eV is None else len(levels)
    numbers, views = [], []
    for block in blocks:
        drawn = _traces(scene, block, levels, n_shown, compact)
        views.append(_view(block, drawn))
        numbers.append(range(len(figure.data), len(figure.data) + len(drawn)))
        figure.add_traces(drawn)
    seen = [True if trace.visible is None else trace.visible for trace in figure.data]
    for number in [k for some in numbers[1:] for k in some]:
        figure.data[number].visible = False
    profile = range(len(figure.data), len(figure.data))
    if scene.path is not None:
        add_profile(figure, scene.path, xaxis="x", yaxis="y")
        profile = range(profile.start, len(figure.data))
        figure.update_layout(xaxis={"domain": [0.09, 0.97]}, yaxis={"domain": list(PANEL)})
    else:
        figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
    where = {"x": [0, 1], "y": list(SCENE) if scene.path is not None else [0, 1]}
    meta = {
        "remark": scene.remark,
        "wide": [view.pop("wide") for view in views],
        "level_eV": levels[0],
        "highest_eV": round(float(scene.shared_eV[np.isfinite(scene.shared_eV)].max()), 2),
    }
    figure.update_layout(
        meta=meta,
        scene=views[0] | {"domain": where, "dragmode": "orbit"},
        margin={"l": 8, "r": 8, "t": 72 if len(blocks) > 1 else 36, "b": 44},
        title={"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 8}},
        legend={
            **LEGEND_BELOW,
            "x": 0,
            "entrywidth": 0.24,
            "entrywidthmode": "fraction",
            "itemsizing": "constant",
            "tracegroupgap": 0,
            "font": {"size": 12},
        },
    )
    if len(blocks) > 1:
        choices = []
        for number, (block, view) in enumerate(zip(blocks, views, strict=True)):
            visible = [seen[k] if k in numbers[number] else False for k in range(len(seen))] + [
                True
            ] * len(profile)
            ranges = {f"scene.{a}axis.range": view[f"{a}axis"]["range"] for a in "xyz"}
            layout = ranges | {f"scene.{k}": view[k] for k in ("aspectratio", "camera")}
            choices.append(
                {"label": block.name, "method": "update", "args": [{"visible": visible}, layout]}
            )
        figure.update_layout(updatemenus=[_buttons(choices)])
    return figure


def _buttons(choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": "buttons",
        "direction": "right",
        "buttons": choices,
        "showactive": True,
        "x": 0.0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "pad": {"l": 2, "b": 2},
        "font": {"size": 12},
        "bgcolor": "#FFFFFF",
        "bordercolor": "#BBBBBB",
    }


def _traces(
    scene: LandscapeScene, block: Block, levels: Sequence[float], n_shown: int, compact: bool
) -> list[Any]:
    """Return all that is drawn of one block."""
    from plotly import graph_objects as go

    crystal, traces = scene.crystal, []
    most = COMPACT_VERTICES if compact else MOST_VERTICES
    for number, level in enumerate(levels):
        found = surface(scene.shared_eV, block, level, origin=scene.grid.origin)
        found = simplified(found, block.edges_A, most)
        colour = LEVEL_COLOURS[number % len(LEVEL_COLOURS)]
        trace = mesh3d(found, colour, _level_name(scene, level, found), lighting=_SMOOTH)
        trace.opacity = 0.35 if number == 0 and n_shown > 1 else 0.6
        trace.visible = True if number < n_shown else "legendonly"
        traces.append(trace)
    for symbol, found in crystal.polyhedra(block).items():
        name = f"{symbol} polyhedra"
        trace = mesh3d(found, colour_of(symbol), name, flatshading=True)
        trace.opacity = 0.22
        traces.append(trace)
    for symbol, found in crystal.meshes(block, 1 if compact else 2).items():
        mobile = symbol == scene.about.mobile_species
        name = f"{symbol} (mobile)" if mobile else symbol
        trace = mesh3d(found, colour_of(symbol), plain(name))
        trace.hoverinfo = "name"
        traces.append(trace)
    for trace in traces if compact else []:  # short numbers, which are packed well
        trace.x, trace.y, trace.z = (
            np.round(_PACKED * values) / np.float32(_PACKED)
            for values in (trace.x, trace.y, trace.z)
        )
    lines = np.concatenate([[*ends, [np.nan] * 3] for ends in cell_edges(block)])
    x, y, z = lines.T
    style: dict[str, Any] = {"hoverinfo": "skip", "showlegend": False}
    traces.append(
        go.Scatter3d(
            x=_short(x),
            y=_short(y),
            z=_short(z),
            mode="lines",
            name="cell",
            **style,
            line={"color": "#555555", "width": 2},
        )
    )
    lengths = np.linalg.norm(block.edges_A, axis=1, keepdims=True)
    x, y, z = (block.edges_A * (1 + LETTER_A / lengths)).T
    traces.append(
        go.Scatter3d(
            x=_short(x),
            y=_short(y),
            z=_short(z),
            mode="text",
            name="axes",
            **style,
            text=["a", "b", "c"],
            textfont={"size": 14, "color": "#333333"},
        )
    )
    if scene.path is not None:
        traces += _path_traces(scene.path, block)
    return traces


def _path_traces(path: PathProfile, block: Block) -> list[Any]:
    """Return tube, saddle and sites of the path, and the mark of the point that is looked at.

    ``meta`` says to scripts which point of the energy below each vertex of the tube is.
    """
    from plotly import graph_objects as go

    points, at_A = drawn_path(path, block)
    pieces = _pieces(points)
    found = joined([tube(points[piece], TUBE_RADIUS_A, TUBE_SIDES) for piece in pieces])
    rings = np.concatenate([at_A[piece] for piece in pieces])
    name = f"path: {path.highest_eV:.2f} eV"
    group = {"legendgroup": "path"}
    tube_ = mesh3d(found, VERMILLION, plain(name), **group)
    nearest = np.abs(np.subtract.outer(rings, path.distances_A)).argmin(axis=1)
    tube_.hovertext = [f"{path.energies_eV[k]:.3f} eV" for k in np.repeat(nearest, TUBE_SIDES)]
    tube_.hoverinfo = "text"
    where = {int(k): points[np.nanargmin(np.abs(at_A - d))] for k, d in enumerate(path.distances_A)}
    tube_.meta = {
        "role": "path",
        "points": [[round(float(c), 3) for c in where[k]] for k in sorted(where)],
    }
    saddle = int(np.argmax(path.energies_eV))
    sites = [k for k in minima(path.energies_eV) if k != saddle]
    balls = joined([ball(SITE_RADIUS_A, where[k]) for k in sites])
    sites_ = mesh3d(balls, VERMILLION, "its sites", showlegend=False, **group)
    marked = mesh3d(
        ball(SADDLE_RADIUS_A, where[saddle]), BLACK, "its saddle", showlegend=False, **group
    )
    cursor = go.Scatter3d(
        x=[None],
        y=[None],
        z=[None],
        mode="markers",
        name="point",
        hoverinfo="skip",
        showlegend=False,
        meta={"role": "cursor"},
        marker={"size": 26, "color": YELLOW, "line": {"color": BLACK, "width": 2}},
    )
    return [tube_, sites_, marked, cursor]


def minima(energies_eV: FloatArray) -> list[int]:
    """Return the points of a path that lie lower than their neighbours: sites of the ion."""
    padded = np.concatenate([[np.inf], energies_eV, [np.inf]])
    left, right = padded[1:-1] < padded[:-2], padded[1:-1] <= padded[2:]
    found = [int(k) for k in np.flatnonzero(left & right)]
    return [k for k in found if energies_eV[k] < energies_eV.max() / 2] or found[:1]


def drawn_path(path: PathProfile, block: Block) -> tuple[FloatArray, FloatArray]:
    """Return the path in A, within the block, and the distance along it; NaN where it breaks.

    It is moved by whole cells to the middle of the block; what sticks out comes in again at the
    opposite face.
    """
    middle = block.origin + block.rows.sum(axis=0) / 2
    moved = path.fractional - np.rint(path.fractional.mean(axis=0) - middle)
    points, along = wrapped(block.inside(moved), path.distances_A, (1, 1, 1))
    return points @ block.edges_A, along


def _pieces(points: FloatArray) -> list[slice]:
    breaks = np.flatnonzero(np.isnan(points[:, 0]))
    ends = [-1, *breaks, len(points)]
    return [slice(a + 1, b) for a, b in pairwise(ends) if b - a > 2]


def mesh3d(found: Mesh, colour: str, name: str, **options: Any) -> Any:
    """Return triangles as plotly's mesh, with the smallest types that hold it."""
    from plotly import graph_objects as go

    x, y, z = np.ascontiguousarray(found.vertices_A.T)
    index = np.uint16 if len(found.vertices_A) < 2**16 else np.uint32
    i, j, k = np.ascontiguousarray(found.faces.T.astype(index))
    settings = {
        "hoverinfo": "skip",
        "showlegend": True,
        "lighting": _LIGHT,
        "lightposition": _LAMP,
    } | options
    return go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, color=colour, name=name, visible=True, **settings
    )


def _level_name(scene: LandscapeScene, level_eV: float, found: Mesh) -> str:
    if not len(found.faces):
        return f"<i>E</i> &lt; {level_eV:.2f} eV: nothing"
    dimensions = sum(barrier < level_eV for barrier in scene.barriers_eV)
    return f"<i>E</i> &lt; {level_eV:.2f} eV" + (f" ({dimensions}D)" if dimensions else "")


def _view(block: Block, traces: Sequence[Any]) -> dict[str, Any]:
    """Return axes, shape and camera of the scene, so that what is drawn fills its part.

    A long cell lies on its side. The height of a scene shows as many units as its eye is away.
    """
    every = np.concatenate(
        [
            np.stack([one.x, one.y, one.z], axis=1)
            for one in traces
            if len(one.x) and one.x[0] is not None
        ]
    ).astype(float)
    every = every[np.isfinite(every[:, 0])]
    low, high = every.min(axis=0) - MARGIN_A, every.max(axis=0) + MARGIN_A
    extent = high - low
    lying = np.linalg.norm(block.edges_A, axis=1).argmax() == 2 and extent[2] > LONG * extent[0]
    eye, up = (EYE[::-1] * [1, -1, 1], [1.0, 0.0, 0.0]) if lying else (EYE, [0.0, 0.0, 1.0])
    right = np.cross(-eye, up)
    right /= np.linalg.norm(right)
    over = np.cross(right, -eye / np.linalg.norm(eye))
    wide, tall = (float(np.ptp(every @ one)) + 2 * MARGIN_A for one in (right, over))
    ratio = np.linalg.norm(eye) / max(tall, wide / WIDEST) * extent
    hidden = {"visible": False, "showspikes": False}
    axes = {
        f"{name}axis": {"range": [round(float(a), 3), round(float(b), 3)], **hidden}
        for name, a, b in zip("xyz", low, high, strict=True)
    }
    camera = {"projection": {"type": "orthographic"}, "eye": _xyz(eye), "up": _xyz(up)}
    shape = {"aspectmode": "manual", "aspectratio": _xyz(ratio), "camera": camera}
    return axes | shape | {"wide": round(min(wide / tall, WIDEST), 3)}


def _xyz(values: Sequence[float] | FloatArray) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip("xyz", values, strict=True)}


def _short(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
