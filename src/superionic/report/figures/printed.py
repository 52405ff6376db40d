"""Interactive figures drawn for print: matplotlib reads what plotly is told.

A figure is described once, as plotly's; PDF and SVG need neither a browser nor a network. What is
translated is what our figures use: lines, marks with errors, bands, bars, lines and areas across a
panel, panels by their domains, categories, logarithms, a second axis on top, and scenes of
triangles. :data:`PX_PER_IN` pixels are an inch.
"""

import html
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from superionic.report.figures.style import (
    COLUMN_WIDTH_IN,
    DPI,
    LABEL_PT,
    SMALLEST_PT,
    TICK_PT,
    count_locator,
    require,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]

PX_PER_IN = 150.0
_LINE_PT, _MARK_PT = 0.5, 0.4
_LONGEST_LINE = 62
_LEGEND_COLUMNS = 3
_DASHES = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (5, 1)),
    "longdashdot": (0, (5, 1, 1, 1)),
}
_MARKS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "x": "X",
    "x-thin": "x",
    "cross": "P",
    "star": "*",
    "triangle-up": "^",
    "triangle-down": "v",
    "star-triangle-down": "v",
}
_FILLS = {"": "full", "-open": "none", "-open-dot": "bottom"}
_TOWARDS_LIGHT = np.array([-0.35, 0.55, 0.76])


def printed(figure: "PlotlyFigure") -> "Figure":
    """Return a figure for print, as wide as the column of a journal.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        The interactive figure.

    Raises
    ------
    FigureError
        When matplotlib is missing.
    """
    require("matplotlib")
    from matplotlib.figure import Figure

    size = (COLUMN_WIDTH_IN, figure.layout.height / PX_PER_IN)
    made = Figure(figsize=size, layout="constrained", dpi=DPI)
    seen = [trace for trace in figure.data if trace.visible in (None, True)]
    flat = [trace for trace in seen if trace.type in ("scatter", "bar")]
    solid = [trace for trace in seen if trace.type in ("mesh3d", "scatter3d")]
    places = _Places(made, figure, flat, with_scene=bool(solid))
    handles: dict[str, Any] = {}
    top = None
    if solid:
        top = made.add_subplot(places.of_scene())
        handles |= _scene(top, figure.layout.scene, solid)
    panels: dict[tuple[str, str], Axes] = {}
    for pair in places.pairs:
        panels[pair] = made.add_subplot(places.of(pair))
        handles |= _panel(panels[pair], figure, pair, [t for t in flat if _pair(t) == pair])
    for (x, y), panel in panels.items():
        for overlay in places.overlays(x):
            own = [t for t in flat if _pair(t) == (overlay, y)]
            handles |= _overlay(panel, figure, overlay, y, own)
    _titles(made, figure, top, panels, places)
    _legend(made, figure, list(panels.values()), handles)
    return made


class _Places:
    """Where the panels lie: rows and columns by the domains of their axes."""

    def __init__(
        self, made: "Figure", figure: "PlotlyFigure", traces: list[Any], *, with_scene: bool
    ) -> None:
        self._layout = figure.layout
        self._scene: tuple[float, ...] = tuple(figure.layout.scene.domain.y) if with_scene else ()
        pairs = list(dict.fromkeys(map(_pair, traces)))
        self.pairs = [pair for pair in pairs if not self._layout[_axis(pair[0])].overlaying]
        spans = {span for pair in self.pairs for span in [self.domain(pair[1])]}
        self._rows = sorted(spans | ({self._scene} if with_scene else set()))[::-1]
        self._columns = sorted({self.domain(x) for x, _ in self.pairs} or {(0.0, 1.0)})
        self._grid = made.add_gridspec(
            len(self._rows),
            len(self._columns),
            height_ratios=[b - a for a, b in self._rows],
            width_ratios=[b - a for a, b in self._columns],
        )

    def domain(self, axis: str) -> tuple[float, float]:
        found = self._layout[_axis(axis)].domain or (0.0, 1.0)
        return float(found[0]), float(found[1])

    def of_scene(self) -> Any:
        return self._grid[self._rows.index(self._scene), :]

    def of(self, pair: tuple[str, str]) -> Any:
        x, y = map(self.domain, pair)
        return self._grid[self._rows.index(y), self._columns.index(x)]

    def overlays(self, axis: str) -> Iterator[str]:
        for name in self._layout:
            if name.startswith("xaxis") and self._layout[name].overlaying == axis:
                yield name.replace("axis", "")


def _pair(trace: Any) -> tuple[str, str]:
    return trace.xaxis or "x", trace.yaxis or "y"


def _axis(short: str) -> str:
    return f"{short[0]}axis{short[1:]}"


def words(text: str | None) -> str:
    """Return a text of plotly, whose markup is HTML, as matplotlib shows it."""
    plain = html.unescape(re.sub(r"<br>", "\n", text or ""))
    return re.sub(r"</?(i|b|sub|sup)>", "", plain).replace("$", r"\$")


def _colour(colour: Any) -> Any:
    """Return a colour of plotly as matplotlib takes it."""
    if isinstance(colour, str) and colour.startswith("rgba"):
        *rgb, alpha = (float(part) for part in colour[5:-1].split(","))
        return (*(one / 255 for one in rgb), alpha)
    return colour


def _panel(
    panel: "Axes", figure: "PlotlyFigure", pair: tuple[str, str], traces: list[Any]
) -> dict[str, Any]:
    """Draw one panel and return what its legend shows."""
    axes = [figure.layout[_axis(one)] for one in pair]
    panel.tick_params(labelsize=TICK_PT, width=0.6, length=2.5)
    for side, spine in panel.spines.items():
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))
    every = [t for t in figure.data if t.type in ("scatter", "bar") and _pair(t)[1] == pair[1]]
    names = [
        _categories(axes[0], [t.x for t in traces]),
        _categories(axes[1], [t.y for t in every]),
    ]
    handles = _draw(panel, figure, traces, names)
    for shape in figure.layout.shapes:
        _across(panel, shape, pair)
    _dress(panel, axes, names)
    if pair[1] == "y" and _pair(traces[0])[0] != "x" and names[1]:
        panel.set_yticklabels([])
    return handles


def _categories(axis: Any, values: list[Any]) -> list[str]:
    """Return the names that an axis is divided by, none where it has numbers."""
    if axis.categoryarray is not None:
        return list(axis.categoryarray)
    texts = [one for some in values if some is not None for one in some if isinstance(one, str)]
    return list(dict.fromkeys(texts))


def _numbers(values: Any, names: list[str]) -> FloatArray:
    places = {name: place for place, name in enumerate(names)}
    some = [np.nan if one is None else places.get(one, one) for one in values]
    return np.array(some, dtype=np.float64)


def _draw(
    panel: "Axes", figure: "PlotlyFigure", traces: list[Any], names: list[list[str]]
) -> dict[str, Any]:
    handles: dict[str, Any] = {}
    colours = itertools.cycle(figure.layout.colorway)
    for trace in traces:
        x, y = _numbers(trace.x, names[0]), _numbers(trace.y, names[1])
        handle = _bars(panel, trace, x, y) if trace.type == "bar" else None
        if trace.type == "scatter" and trace.fill == "toself":
            fill = _colour(trace.fillcolor)
            (handle,) = panel.fill(x, y, facecolor=fill, lw=0, label=words(trace.name))
        elif trace.type == "scatter":
            handle = _marks(panel, trace, x, y, next(colours))
        if trace.name and trace.showlegend is not False and handle is not None:
            handles.setdefault(words(trace.name), handle)
    return handles


def _bars(panel: "Axes", trace: Any, x: FloatArray, y: FloatArray) -> Any:
    start = np.array(trace.base, dtype=float)
    drawn = panel.barh(y, x, left=start, height=0.72, color=trace.marker.color)
    for end, place, text in zip(start + x, y, trace.text, strict=True):
        panel.annotate(
            words(text),
            (end, place),
            xytext=(2, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALLEST_PT + 0.5,
        )
    panel.margins(x=0.1)
    return drawn


def _marks(panel: "Axes", trace: Any, x: FloatArray, y: FloatArray, fresh: str) -> Any:
    """Draw a line, or marks with their errors, and return it."""
    mode = trace.mode or "lines"
    has_line, has_marks = "lines" in mode, "markers" in mode
    colour = trace.line.color if has_line else trace.marker.color
    colour = _colour(colour or trace.marker.color or fresh)
    symbols = trace.marker.symbol if has_marks else None
    several = symbols if isinstance(symbols, list | tuple) else [symbols] * len(x)
    style = {
        "color": colour,
        "ls": _DASHES.get(trace.line.dash or "solid", "-") if has_line else "none",
        "lw": max(0.5, _LINE_PT * (trace.line.width or 2)),
        "alpha": trace.opacity,
    }
    handle = None
    for symbol in dict.fromkeys(several):
        chosen = np.array([one == symbol for one in several], dtype=bool)
        mark = _mark(trace, symbol, colour) if has_marks else {}
        (drawn,) = panel.plot(x[chosen], y[chosen], **(style | mark), label=words(trace.name))
        handle = handle or drawn
    for axis, error in (("xerr", trace.error_x), ("yerr", trace.error_y)):
        if error.array is not None and error.visible is not False:
            below = error.array if error.arrayminus is None else error.arrayminus
            ends = np.array([below, error.array], dtype=float)
            own = {axis: np.nan_to_num(ends), "ecolor": _colour(error.color) or colour}
            panel.errorbar(x, y, fmt="none", elinewidth=0.7, **own)
    for place, text in enumerate(trace.text or () if "text" in mode else ()):
        where = trace.textposition or "top center"
        panel.annotate(
            words(text),
            (x[place], y[place]),
            xytext=({"left": -3, "right": 3}.get(where.split()[1], 0), 3 if "top" in where else -3),
            textcoords="offset points",
            ha={"left": "right", "right": "left"}.get(where.split()[1], "center"),
            va="bottom" if "top" in where else "top",
            fontsize=TICK_PT,
        )
    return handle


def _mark(trace: Any, symbol: str | None, colour: Any) -> dict[str, Any]:
    """Return how marks of a symbol of plotly are drawn."""
    found = re.fullmatch(r"(.*?)(-open-dot|-open|)", symbol or "circle")
    assert found is not None
    base, how = found.groups()
    fill = "left" if base == "star-triangle-down" else _FILLS[how]
    own = _colour(trace.marker.color or colour)
    size = _MARK_PT * (trace.marker.size or 6)
    mark: dict[str, Any] = {"marker": _MARKS[base], "ms": size, "mec": own, "fillstyle": fill}
    mark["mew"] = 1.4 if base == "x-thin" else 0.7
    if fill != "none":
        mark |= {"mfc": own, "markerfacecoloralt": "white"}
    return mark


def _across(panel: "Axes", shape: Any, pair: tuple[str, str]) -> None:
    """Draw a line or an area across the panel."""
    x, y = ((one or default).split() for one, default in ((shape.xref, "x"), (shape.yref, "y")))
    if (x[0], y[0]) != pair:
        return
    style = {"color": _colour(shape.line.color), "lw": 0.7, "zorder": 0}
    style["ls"] = _DASHES[shape.line.dash or "solid"]
    if shape.type == "rect":
        panel.axvspan(shape.x0, shape.x1, color=shape.fillcolor, alpha=shape.opacity, lw=0)
    elif len(x) > 1:
        panel.axhline(shape.y0, **style)
    else:
        panel.axvline(shape.x0, **style)


def _dress(panel: "Axes", axes: list[Any], names: list[list[str]]) -> None:
    """Set scales, limits, ticks and names of the axes of a panel."""
    for way, axis, categories in zip("xy", axes, names, strict=True):
        own = panel.xaxis if way == "x" else panel.yaxis
        own.set_label_text(words(axis.title.text), fontsize=LABEL_PT)
        if categories:
            panel.set(**{f"{way}ticks": range(len(categories))})
            small = SMALLEST_PT if len(categories) > 4 else TICK_PT
            panel.set(**{f"{way}ticklabels": [_short(words(one)) for one in categories]})
            own.set_tick_params(labelsize=small, length=0)
            panel.set(**{f"{way}lim": (-0.6, len(categories) - 0.4)})
            if axis.autorange == "reversed":
                own.grid(lw=0.3, color="0.9")
                panel.set_axisbelow(True)
        if axis.type == "log":
            panel.set(**{f"{way}scale": "log"})
        if axis.range is not None:
            ends = [10**end for end in axis.range] if axis.type == "log" else axis.range
            panel.set(**{f"{way}lim": tuple(ends)})
        elif axis.rangemode == "tozero":
            panel.set(**{f"{way}lim": (0, None)})
        if axis.autorange == "reversed":
            own.set_inverted(True)
        if axis.type != "log" and (axis.tickformat == ",d" or axis.dtick == 1):
            own.set_major_locator(count_locator())
        if axis.showticklabels is False:
            own.set_tick_params(labelbottom=way != "x", labelleft=way == "x")
        if axis.scaleanchor:
            panel.set_aspect("equal")


def _short(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


def _overlay(
    panel: "Axes", figure: "PlotlyFigure", overlay: str, y: str, traces: list[Any]
) -> dict[str, Any]:
    """Draw what has another horizontal axis in the same panel: on top, or one that is not seen."""
    axis = figure.layout[_axis(overlay)]
    if axis.side == "top":
        top = panel.secondary_xaxis("top")
        ends = sorted(panel.get_xlim())
        pairs = zip(axis.tickvals, axis.ticktext, strict=True)
        shown = [(at, text) for at, text in pairs if ends[0] <= at <= ends[1]]
        top.set_xticks([at for at, _ in shown], [text for _, text in shown])
        top.tick_params(labelsize=TICK_PT, width=0.6, length=2.5)
        top.set_xlabel(words(axis.title.text), fontsize=TICK_PT)
        return {}
    twin = panel.twiny()
    twin.set_xlim(*axis.range)
    twin.axis("off")
    every = [t for t in figure.data if t.type in ("scatter", "bar") and _pair(t)[1] == y]
    return _draw(
        twin, figure, traces, [[], _categories(figure.layout[_axis(y)], [t.y for t in every])]
    )


def _titles(
    made: "Figure",
    figure: "PlotlyFigure",
    top: "Axes | None",
    panels: Mapping[tuple[str, str], "Axes"],
    places: _Places,
) -> None:
    lines = textwrap.wrap(words(figure.layout.title.text), _LONGEST_LINE)
    for note in figure.layout.annotations:
        for pair, panel in panels.items():
            if abs(places.domain(pair[1])[1] - note.y) < 1e-6:
                panel.set_title(words(note.text), fontsize=TICK_PT, loc="left")
    first = top or next(iter(panels.values()))
    if lines and first.get_title(loc="left"):
        made.suptitle("\n".join(lines), fontsize=LABEL_PT, x=0.02, ha="left")
    elif lines:
        first.set_title("\n".join(lines), fontsize=LABEL_PT, loc="left")


def _legend(
    made: "Figure", figure: "PlotlyFigure", panels: list["Axes"], handles: dict[str, Any]
) -> None:
    """Show the legend where the interactive figure has it: below, or within the panel."""
    where = figure.layout.legend
    wanted = len(handles) > 1 or any(trace.showlegend for trace in figure.data)
    if not handles or not wanted:
        return
    style: dict[str, Any] = {"fontsize": TICK_PT - 0.5, "frameon": False, "handlelength": 1.6}
    style["columnspacing"] = 1.0
    if where.orientation == "h" or len(panels) > 1 or not panels:
        longest = max(map(len, handles))
        columns = _LEGEND_COLUMNS if longest < 22 else 2 if longest < 36 else 1
        made.legend(handles.values(), handles, loc="outside lower center", ncols=columns, **style)
        return
    loc: Any = "best"
    if where.x is not None and where.y is not None:
        loc = f"{'upper' if where.y > 0.5 else 'lower'} {'right' if where.x > 0.5 else 'left'}"
    panels[0].legend(handles.values(), handles, loc=loc, **style)


def _scene(panel: "Axes", scene: Any, traces: list[Any]) -> dict[str, Any]:
    """Draw triangles and lines, the farthest first, as seen along the camera."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    eye, up = (np.array([one.x, one.y, one.z]) for one in (scene.camera.eye, scene.camera.up))
    right = np.cross(-eye, up)
    over = np.cross(right, -eye)
    view = np.stack([one / np.linalg.norm(one) for one in (right, over, eye)], axis=1)
    shapes: list[FloatArray] = []
    depths, colours, edges = [], [], []
    handles: dict[str, Any] = {}
    for trace in traces:
        seen = _short_xyz(trace) @ view
        if trace.type == "mesh3d" and len(seen):
            corners = seen[np.stack([trace.i, trace.j, trace.k], axis=1)]
            normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
            light = (0.62 + 0.42 * np.abs(normals @ _TOWARDS_LIGHT))[:, None]
            alpha = np.full((len(corners), 1), trace.opacity or 1.0)
            rgb = np.clip(np.array(to_rgb(trace.color)) * light, 0, 1)
            shapes.append(corners[:, :, :2])
            depths.append(corners[:, :, 2].mean(axis=1))
            colours.append(np.hstack([rgb, alpha]))
            edges.append(np.hstack([rgb, np.where(alpha < 1, 0, alpha)]))
            if trace.showlegend is not False:
                style = {"color": trace.color, "marker": "s", "ls": "", "ms": 4}
                handles[words(trace.name)] = Line2D([], [], **style)
        elif trace.type == "scatter3d" and trace.mode == "lines":
            both = [seen[k : k + 2] for k in range(0, len(seen), 3)]
            for a, b in both:  # in pieces, so that each is before or behind what it passes
                ways = np.linspace(0, 1, 25)[:, None]
                line = a + ways * (b - a)
                shapes.append(np.stack([line[:-1, :2], line[1:, :2], line[1:, :2]], axis=1))
                depths.append((line[1:, 2] + line[:-1, 2]) / 2)
                colours.append(np.zeros((24, 4)))
                edges.append(np.tile([0.35, 0.35, 0.35, 1.0], (24, 1)))
        elif trace.type == "scatter3d" and trace.mode == "text":
            for (x, y, _), text in zip(seen, trace.text, strict=True):
                panel.text(x, y, text, fontsize=LABEL_PT, style="italic", ha="center", va="center")
    order = np.argsort(np.concatenate(depths))
    polygons: Any = np.concatenate(shapes)[order]
    drawn = PolyCollection(
        polygons,
        facecolors=np.concatenate(colours)[order],
        edgecolors=np.concatenate(edges)[order],
        linewidths=0.35,
        rasterized=True,
    )
    panel.add_collection(drawn)
    panel.autoscale_view()
    panel.set_aspect("equal")
    panel.axis("off")
    return handles


def _short_xyz(trace: Any) -> FloatArray:
    values: list[ArrayLike] = [trace.x, trace.y, trace.z]
    if trace.x is None or not len(trace.x) or trace.x[0] is None:
        return np.zeros((0, 3))
    return np.stack([np.asarray(one, dtype=float) for one in values], axis=1)
