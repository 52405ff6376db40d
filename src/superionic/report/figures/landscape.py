"""A crystal with its landscape as surfaces of equal energy, and the percolation path in it."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.report.figures.isosurface import Surface, simplified, surface
from superionic.report.figures.scene import LandscapeScene, PathProfile
from superionic.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    SMALLEST_PT,
    TICK_PT,
    VERMILLION,
    YELLOW,
    literal,
    plain,
    plotly_figure,
)
from superionic.report.figures.wrapping import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
Block = tuple[int, int, int]

COMPACT_VERTICES = 800
"""Most corners of a surface in the compact form."""
XI_THRESHOLD_eV = 0.5
ABOVE_BARRIER_eV = 0.02
HIGHEST_LEVEL_eV = 4.0
SHORTEST_BLOCK_A = 6.0
CAMERA = {"projection": {"type": "orthographic"}, "eye": {"x": 0.75, "y": -1.55, "z": 0.6}}
FILLED, MARGIN_A = 1.38, 0.3
LEVEL_COLOURS = (SKY_BLUE, BLUE, PURPLE, GREEN)
ATOM_COLOURS = (GREEN, PURPLE, YELLOW, BLACK, BLUE, GREY)
_SYMBOLS = (("circle", "o"), ("square", "s"), ("diamond", "D"))


def default_levels(scene: LandscapeScene) -> list[float]:
    """Return levels that show something: just above each barrier, and the threshold of Xi.

    Parameters
    ----------
    scene : LandscapeScene
        The landscape.

    Returns
    -------
    list of float
        Levels in eV, ascending, the first just above the lowest percolation barrier if there is
        one below 4 eV.
    """
    barriers = [b for b in scene.barriers_eV if 0 < b <= HIGHEST_LEVEL_eV]
    wanted = {round(b + ABOVE_BARRIER_eV, 2) for b in barriers} | {XI_THRESHOLD_eV}
    levels: list[float] = []
    for level in sorted(wanted):
        if not levels or level - levels[-1] > ABOVE_BARRIER_eV:
            levels.append(level)
    return levels


def percolating_level(scene: LandscapeScene) -> float:
    """Return the level that is shown first: just above the barrier in one dimension."""
    barrier = scene.barriers_eV[0]
    return round(barrier + ABOVE_BARRIER_eV, 2) if barrier <= HIGHEST_LEVEL_eV else XI_THRESHOLD_eV


def block_of(scene: LandscapeScene) -> Block:
    """Return how often a cell is repeated so that its shortest edges are not too short to see."""
    lengths = np.linalg.norm(scene.lattice, axis=1)
    repeats = np.ceil(SHORTEST_BLOCK_A / lengths - 1e-6).astype(int)
    return int(repeats[0]), int(repeats[1]), int(repeats[2])


def plotly(
    scene: LandscapeScene,
    levels_eV: Sequence[float] | None = None,
    *,
    compact: bool = False,
    repeats: Block | None = None,
) -> "PlotlyFigure":
    """Draw a landscape to be turned; a slider chooses the level.

    Parameters
    ----------
    scene : LandscapeScene
        The landscape.
    levels_eV : sequence of float, optional
        Levels of the slider; see :func:`default_levels`.
    compact : bool
        Draw one cell, surfaces with at most :data:`COMPACT_VERTICES` corners: for files that hold
        many landscapes.
    repeats : tuple of int, optional
        Cells along each lattice vector.

    Raises
    ------
    FigureError
        When a level is not above zero, or a package is missing.
    """
    figure = plotly_figure(f"Landscape of {scene.about.title}", height_px=560)
    levels = sorted(default_levels(scene) if levels_eV is None else levels_eV)
    block = repeats or ((1, 1, 1) if compact else block_of(scene))
    first = percolating_level(scene)
    shown = min(range(len(levels)), key=lambda i: abs(levels[i] - first)) if levels else 0
    for place, level in enumerate(levels):
        found = _surface(scene, level, block, COMPACT_VERTICES if compact else None)
        colour = LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
        figure.add_mesh3d(**_mesh(found, level, colour), visible=place == shown)
    for symbol, mark in _atoms(scene, block).items():
        x, y, z = mark["positions_A"].T
        figure.add_scatter3d(
            x=_short(x),
            y=_short(y),
            z=_short(z),
            mode="markers",
            name=plain(symbol),
            marker={
                "size": mark["size"],
                "color": mark["colour"],
                "symbol": mark["symbol"][0],
                "line": {"color": "#444444", "width": 1},
            },
            hovertemplate=f"{plain(symbol)} (%{{x:.2f}}, %{{y:.2f}}, %{{z:.2f}}) Å<extra></extra>",
        )
    x, y, z = _edges(scene.lattice, block).T
    figure.add_scatter3d(
        x=_short(x),
        y=_short(y),
        z=_short(z),
        mode="lines",
        line={"color": "#666666", "width": 2},
        name="cell",
        hoverinfo="skip",
        showlegend=False,
    )
    if scene.path is not None:
        line_A, energies_eV = _path(scene.path, scene.lattice, block)
        x, y, z = line_A.T
        figure.add_scatter3d(
            x=_short(x),
            y=_short(y),
            z=_short(z),
            customdata=_short(energies_eV),
            mode="lines",
            line={"color": VERMILLION, "width": 9},
            name=f"percolation path, {scene.path.highest_eV:.2f} eV",
            hovertemplate="%{customdata:.3f} eV<extra>path</extra>",
        )
    figure.update_layout(
        scene=_view(scene, block),
        margin={"l": 10, "r": 10, "t": 50, "b": 20},
        legend={"x": 0.01, "y": 0.99, "itemsizing": "constant"},
        sliders=[_slider(levels, shown)] if len(levels) > 1 else [],
    )
    return figure


def static(
    scene: LandscapeScene,
    levels_eV: Sequence[float] | None = None,
    *,
    repeats: Block | None = None,
    elevation_deg: float = 16.0,
    azimuth_deg: float = -72.0,
) -> "Figure":
    """Draw a landscape for print, one surface within the other.

    Parameters
    ----------
    scene : LandscapeScene
        The landscape.
    levels_eV : sequence of float, optional
        Levels of the surfaces; by default one, just above the barrier in one dimension.
    repeats : tuple of int, optional
        Cells along each lattice vector.
    elevation_deg, azimuth_deg : float
        Where it is seen from.

    Raises
    ------
    FigureError
        When a level is not above zero, or a package is missing.
    """
    from superionic.report.figures.style import COLUMN_WIDTH_IN, DPI, require

    require("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(COLUMN_WIDTH_IN, 3.3), dpi=DPI)
    panel: Any = figure.add_axes((0.02, 0.12, 0.92, 0.84), projection="3d", computed_zorder=False)
    block = repeats or block_of(scene)
    levels = sorted([percolating_level(scene)] if levels_eV is None else levels_eV)
    for place, level in enumerate(levels):
        colour = LEVEL_COLOURS[place % len(LEVEL_COLOURS)]
        alpha = 0.55 / (1 + place)
        _shaded(panel, _surface(scene, level, block, None), colour, alpha, f"{level:.2f} eV")
    edges = _edges(scene.lattice, block)
    panel.plot(*edges.T, color="0.4", lw=0.6, zorder=1)
    for symbol, mark in _atoms(scene, block).items():
        panel.scatter(
            *mark["positions_A"].T,
            s=1.2 * mark["size"] ** 1.4,
            color=mark["colour"],
            marker=mark["symbol"][1],
            edgecolor="0.25",
            linewidth=0.3,
            depthshade=False,
            label=symbol,
            zorder=3,
        )
    if scene.path is not None:
        name = f"path, {scene.path.highest_eV:.2f} eV"
        line_A, _ = _path(scene.path, scene.lattice, block)
        panel.plot(*line_A.T, color=VERMILLION, lw=2, label=name, zorder=4)
    low, high = np.nanmin(edges, axis=0), np.nanmax(edges, axis=0)
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    panel.set_box_aspect(tuple(high - low), zoom=1.05)
    panel.view_init(elev=elevation_deg, azim=azimuth_deg)
    _dress_3d(panel)
    handles, names = panel.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="lower center",
        ncols=5,
        fontsize=TICK_PT - 0.5,
        frameon=False,
        handlelength=1.2,
        columnspacing=0.9,
        handletextpad=0.5,
    )
    figure.text(0.02, 0.97, literal(scene.about.title), fontsize=8, va="top")
    return figure


def _surface(
    scene: LandscapeScene, level_eV: float, block: Block, max_vertices: int | None
) -> Surface:
    found = surface(
        scene.shared_eV, scene.lattice, level_eV, origin=scene.grid.origin, repeats=block
    )
    return found if max_vertices is None else simplified(found, scene.lattice, max_vertices)


def _mesh(found: Surface, level_eV: float, colour: str) -> dict[str, Any]:
    """Return a surface as plotly's mesh, with the smallest types that hold it."""
    x, y, z = np.ascontiguousarray(found.vertices_A.T)
    index = np.uint16 if len(found.vertices_A) < 2**16 else np.uint32
    i, j, k = np.ascontiguousarray(found.faces.T.astype(index))
    nothing = "" if len(found.faces) else ": nothing"
    return {
        "x": x,
        "y": y,
        "z": z,
        "i": i,
        "j": j,
        "k": k,
        "color": colour,
        "opacity": 0.5,
        "name": f"{level_eV:.2f} eV{nothing}",
        "showlegend": True,
        "hoverinfo": "skip",
        "lighting": {"ambient": 0.6, "diffuse": 0.7, "specular": 0.1},
    }


def _view(scene: LandscapeScene, block: Block) -> dict[str, Any]:
    """Return axes, shape and camera of the scene, so that the block fills the figure."""
    edges = _edges(scene.lattice, block)
    low, high = np.nanmin(edges, axis=0) - MARGIN_A, np.nanmax(edges, axis=0) + MARGIN_A
    ratio = FILLED * (high - low) / (high - low).max()
    style = {"backgroundcolor": "white", "gridcolor": "#E8E8E8", "showspikes": False}
    axes = {
        f"{name}axis": {
            "title": {"text": f"{name} (Å)"},
            "range": [round(float(low[i]), 3), round(float(high[i]), 3)],
            **style,
        }
        for i, name in enumerate("xyz")
    }
    shape = dict(zip("xyz", ratio.round(4).tolist(), strict=True))
    return axes | {"aspectmode": "manual", "aspectratio": shape, "camera": CAMERA}


def _slider(levels: Sequence[float], shown: int) -> dict[str, Any]:
    everyone = list(range(len(levels)))
    steps = [
        {
            "method": "restyle",
            "label": f"{level:.2f} eV",
            "args": [{"visible": [i == place for i in everyone]}, everyone],
        }
        for place, level in enumerate(levels)
    ]
    return {
        "active": shown,
        "steps": steps,
        "currentvalue": {"prefix": "surface at "},
        "len": 0.9,
        "x": 0.05,
        "pad": {"b": 40},
    }


def _atoms(scene: LandscapeScene, block: Block) -> dict[str, dict[str, Any]]:
    """Return for each element its positions in the block and its mark, the mobile ion first.

    Atoms on a face of the block are shown on the opposite one, too.
    """
    structure = scene.structure
    symbols = [site.specie.symbol for site in structure]
    names = sorted(set(symbols), key=lambda name: (name != scene.about.mobile_species, name))
    found = {}
    for place, name in enumerate(names):
        mobile = name == scene.about.mobile_species
        fractional = np.array(
            [f for f, s in zip(structure.frac_coords, symbols, strict=True) if s == name]
        )
        style = place - 1
        found[name] = {
            "positions_A": _in_block(fractional, block) @ scene.lattice,
            "size": 6.0 if mobile else 9.0,
            "colour": ORANGE if mobile else ATOM_COLOURS[style % len(ATOM_COLOURS)],
            "symbol": _SYMBOLS[0 if mobile else style // len(ATOM_COLOURS) % len(_SYMBOLS)],
        }
    return found


def _in_block(fractional: FloatArray, block: Block) -> FloatArray:
    inside = fractional % 1.0
    inside[inside > 1 - 1e-4] = 0.0
    cells = np.array(list(np.ndindex(*(n + 1 for n in block))))
    every = (inside[None] + cells[:, None]).reshape(-1, 3)
    kept: FloatArray = every[np.all(every <= np.array(block) + 1e-3, axis=1)]
    return kept


def _path(path: PathProfile, lattice: FloatArray, block: Block) -> tuple[FloatArray, FloatArray]:
    """Return the path in A, within the block, and its energies in eV; NaN where it breaks.

    It is moved by whole cells to the middle of the block; what sticks out comes in again at the
    opposite face.
    """
    middle = path.fractional.mean(axis=0) - np.array(block) / 2
    moved = path.fractional - np.rint(middle)
    points, energies_eV = wrapped(moved, path.energies_eV, block)
    return points @ lattice, energies_eV


def _edges(lattice: FloatArray, block: Block) -> FloatArray:
    """Return the edges of the block as one line, broken by NaN."""
    line = []
    for start in product((0, 1), repeat=3):
        for axis in range(3):
            if start[axis] == 0:
                end = [*start]
                end[axis] = 1
                line += [start, tuple(end), (np.nan,) * 3]
    edges: FloatArray = (np.array(line) * np.array(block)) @ lattice
    return edges


def _shaded(panel: Any, found: Surface, colour: str, alpha: float, name: str) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

    if len(found.faces):
        triangles = found.vertices_A[found.faces].astype(np.float64)
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        light = np.abs(normals @ np.array([0.35, -0.6, 0.72]))[:, None]
        colours = np.clip(np.array([to_rgb(colour)]) * (0.6 + 0.5 * light), 0, 1)
        mesh = Poly3DCollection(triangles, facecolors=colours, alpha=alpha, linewidth=0, zorder=2)
        mesh.set_rasterized(True)
        panel.add_collection3d(mesh)
    mark = Line2D([], [], color=colour, marker="s", ls="", ms=5, label=name)
    panel.add_line(mark)


def _dress_3d(panel: Any) -> None:
    for name, axis in (("x", panel.xaxis), ("y", panel.yaxis), ("z", panel.zaxis)):
        axis.pane.set_visible(False)
        axis.set_label_text(f"{name} (Å)", fontsize=TICK_PT)
        axis.labelpad = -10
        axis.set_tick_params(labelsize=SMALLEST_PT, pad=-4)
    panel.grid(False)


def _short(values: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
