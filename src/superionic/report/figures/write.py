"""Figures as files and as parts of pages."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superionic.errors import FigureError
from superionic.report.figures.style import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

INTERACTIVE_SUFFIXES = (".html",)
STATIC_SUFFIXES = (".png", ".pdf", ".svg")
CONFIG: dict[str, Any] = {"responsive": True, "displaylogo": False}
"""Configuration that plotly's figures are shown with."""


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
    fresh = path.with_name(f"{path.name}.new")
    if interactive:
        fresh.write_text(page(figure))  # type: ignore[arg-type]
    else:
        fresh.write_bytes(image_bytes(figure, path.suffix.lower()[1:], dpi=dpi))  # type: ignore[arg-type]
    fresh.replace(path)


def page(figure: "PlotlyFigure") -> str:
    """Return a figure as a page that works without a network."""
    title = figure.layout.title.text or "superionic"
    part = plotly_html(figure, include_js=True)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title></head><body>{part}</body></html>\n"
    )


def plotly_html(
    figure: "PlotlyFigure", *, include_js: bool = False, div_id: str | None = None
) -> str:
    """Return a figure as a ``div`` with the script that fills it.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        The figure.
    include_js : bool
        Whether plotly.js itself (some 5 MB) is part of it; otherwise the page holds it already.
    div_id : str, optional
        Identifier of the ``div``; a random one by default.
    """
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=include_js, div_id=div_id, config=CONFIG
    )
    return html


def plotly_json(figure: "PlotlyFigure") -> str:
    """Return data and layout of a figure as JSON that may stand inside a ``script``."""
    text: str = figure.to_json()
    return text.replace("<", "\\u003c")  # only strings hold one


def image_bytes(figure: "Figure", form: str = "png", *, dpi: float = DPI) -> bytes:
    """Return a static figure as a file of a form that matplotlib writes: png, pdf or svg."""
    stream = io.BytesIO()
    figure.savefig(stream, format=form, dpi=dpi)
    return stream.getvalue()
