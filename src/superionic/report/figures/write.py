"""Figures as files and as parts of pages."""

import io
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from superionic.errors import FigureError
from superionic.files import write_whole
from superionic.report.figures.style import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

INTERACTIVE_SUFFIXES = (".html",)
STATIC_SUFFIXES = (".png", ".pdf", ".svg")
_STYLE = (
    "body{margin:0 auto;max-width:1280px;font:15px/1.45 system-ui,sans-serif;color:#222}"
    "#figure{height:calc(100vh - 5em);min-height:480px}.figure-remark{margin:0 1em;color:#555}"
)


def is_interactive(path: Path) -> bool:
    """Return whether the suffix of a file asks for an interactive figure.

    Raises
    ------
    FigureError
        When figures cannot be written in its format.
    """
    suffix = path.suffix.lower()
    if suffix not in (*INTERACTIVE_SUFFIXES, *STATIC_SUFFIXES):
        raise FigureError(
            f"Figures cannot be written as '{path.suffix or path.name}'.",
            hint="Choose .html (interactive), .png, .pdf or .svg (for print).",
        )
    return suffix in INTERACTIVE_SUFFIXES


def write_figure(figure: "PlotlyFigure | Figure", path: Path, *, dpi: float = DPI) -> None:
    """Write a figure; its kind must be that which the suffix asks for.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure or matplotlib.figure.Figure
        For ``.html``, or for ``.png``, ``.pdf`` and ``.svg``.
    path : Path
        The file; it is replaced in one step.
    dpi : float
        Dots per inch of a static figure.

    Raises
    ------
    FigureError
        When the format is unknown or not that of the figure.
    """
    interactive = is_interactive(path)
    if interactive != hasattr(figure, "to_plotly_json"):
        raise FigureError(
            f"This figure cannot be written as '{path.suffix}'.",
            hint="Interactive figures are written as .html, static ones as .png, .pdf or .svg.",
        )
    if interactive:
        write_whole(path, page(figure))  # type: ignore[arg-type]
    else:
        write_whole(path, image_bytes(figure, path.suffix.lower()[1:], dpi=dpi))  # type: ignore[arg-type]


def page(figure: "PlotlyFigure") -> str:
    """Return a figure as a page that works without a network."""
    from plotly.offline import get_plotlyjs

    title = figure.layout.title.text or "superionic"
    draw = "superionicFigure.show(document.getElementById('figure'), {}, Plotly, {{fill: {}}});"
    scripts = (get_plotlyjs(), figure_js(), draw.format(plotly_json(figure), _fills(figure)))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f'<body><div id="figure"></div>{"".join(f"<script>{one}</script>" for one in scripts)}'
        "</body></html>\n"
    )


def _fills(figure: "PlotlyFigure") -> str:
    return "true" if any(trace.type == "mesh3d" for trace in figure.data) else "false"


def figure_js() -> str:
    """Return the script that all pages show figures with."""
    return (files("superionic.report.figures") / "static" / "figure.js").read_text("utf-8")


def plotly_json(figure: "PlotlyFigure") -> str:
    """Return data and layout of a figure as JSON that may stand inside a ``script``."""
    text: str = figure.to_json()
    return text.replace("<", "\\u003c")  # only strings hold one


def image_bytes(figure: "Figure", form: str = "png", *, dpi: float = DPI) -> bytes:
    """Return a static figure as a file of a form that matplotlib writes: png, pdf or svg."""
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=dpi)
    return stream.getvalue()
