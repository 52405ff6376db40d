"""What all figures share: colours, sizes, texts, and where their packages come from.

Colours are those of M. Okabe and K. Ito (2008), which most people with colour-blindness tell apart.
Figures for print are as wide as the column of a journal and never touch pyplot's state.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from superionic.errors import FigureError

if TYPE_CHECKING:
    from matplotlib.ticker import Locator
    from plotly.graph_objects import Figure as PlotlyFigure

    from superionic.schemas.label import AnalysisDocument, DiffusionDocument, LabelRow
    from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
    from superionic.schemas.screening import ScreeningDocument
    from superionic.schemas.validation import ValidationDocument

    Simulation: TypeAlias = LabelRow | DiffusionDocument | AnalysisDocument | ValidationDocument
    Of: TypeAlias = ScreeningDocument | DescriptorsDocument | LandscapeDocument | Simulation


@dataclass(frozen=True)
class About:
    """Name of a material, and under which potential which ion moves.

    Parameters
    ----------
    material_id, formula, mobile_species : str
        Of the material.
    potential : str
        Family and name.
    """

    material_id: str
    formula: str
    mobile_species: str
    potential: str

    @property
    def title(self) -> str:
        """Formula and identifier, as text without markup."""
        return f"{formula_text(self.formula)} ({self.material_id})"

    @classmethod
    def of(cls, document: "Of") -> "About":
        """Return what a document says of its material."""
        potential = document.potential
        return cls(
            material_id=document.material_id,
            formula=document.formula,
            mobile_species=document.mobile_species,
            potential=potential if isinstance(potential, str) else potential.label,
        )


ORANGE, SKY_BLUE, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
GREY = "#7F7F7F"

PALETTE: tuple[str, ...] = (
    *(BLUE, VERMILLION, GREEN, ORANGE, SKY_BLUE, PURPLE, YELLOW, BLACK),
    GREY,
)
"""Okabe and Ito's colours, and a grey for what is not important."""

VERDICT_COLOURS: Mapping[str, str] = {
    "diffusing": BLUE,
    "unconverged": ORANGE,
    "not_diffusing": GREY,
    "melted": VERMILLION,
    "confirmed": BLUE,
    "undecided": ORANGE,
    "not_confirmed": GREY,
    "melts": VERMILLION,
}
VERDICT_SYMBOLS: Mapping[str, str] = {
    "diffusing": "circle",
    "unconverged": "square",
    "not_diffusing": "triangle-down",
    "melted": "x",
    "confirmed": "circle",
    "undecided": "square",
    "not_confirmed": "triangle-down",
    "melts": "x",
}
"""Marks of verdicts: none is told by its colour alone."""

LEGEND_ABOVE: Mapping[str, Any] = {"orientation": "h", "y": 1.0, "yanchor": "bottom"}
"""Place of the legend of figures with many rows."""

LEGEND_BELOW: Mapping[str, Any] = {
    "orientation": "h",
    "yref": "container",
    "y": 0.0,
    "yanchor": "bottom",
}
"""Place of the legend below all panels."""

COLUMN_WIDTH_IN = 3.37
"""Width of one column of a journal: 86 mm."""
LABEL_PT, TICK_PT, SMALLEST_PT = 8.0, 7.0, 6.0
DPI = 300
_PACKAGES = {"plotly": "plotly", "matplotlib": "matplotlib", "skimage": "scikit-image"}
_SUBSCRIPTS = str.maketrans("0123456789.", "₀₁₂₃₄₅₆₇₈₉.")
_FEW = 8
_FONT = "system-ui, 'Helvetica Neue', Arial, sans-serif"


def require(package: str) -> None:
    """Say what to install where a package of the figures is missing.

    Raises
    ------
    FigureError
        When it is.
    """
    if find_spec(package) is None:
        raise FigureError(
            f"Figures need {_PACKAGES.get(package, package)}, which this installation does not "
            "have.",
            hint="Install it: pip install 'superionic[report]'",
        )


def formula_text(formula: str) -> str:
    """Return a formula with its numbers as subscripts."""
    return re.sub(r"(?<=[A-Za-z)\]])[\d.]+", lambda m: m[0].translate(_SUBSCRIPTS), formula)


def plain(text: str) -> str:
    """Return a text as plotly shows it literally: it would read markup in it."""
    return html.escape(text, quote=False)


def plain_name(name: str) -> str:
    """Return the name of a verdict or field as words."""
    return name.replace("_", " ")


def plotly_figure(title: str = "", *, height_px: int = 420) -> "PlotlyFigure":
    """Return an empty interactive figure.

    It has no template: with one, every figure of a report would carry 7 kB more.

    Raises
    ------
    FigureError
        When plotly is missing.
    """
    require("plotly")
    from plotly import graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        template=go.layout.Template(),
        title={"text": plain(title), "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        font={"family": _FONT, "size": 13, "color": "#222222"},
        colorway=list(PALETTE),
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=height_px,
        margin={"l": 70, "r": 20, "t": 50 if title else 20, "b": 60},
        legend={"bgcolor": "rgba(255,255,255,0.7)"},
        hoverlabel={"font": {"family": _FONT}},
    )
    return figure


def plotly_axes(
    figure: "PlotlyFigure", x: str, y: str, *, row: int | None = None, col: int | None = None
) -> None:
    """Name the axes of an interactive figure, with units."""
    common = {
        "showline": True,
        "linecolor": "#444444",
        "ticks": "outside",
        "gridcolor": "#E8E8E8",
        "zeroline": False,
        "automargin": True,
    }
    figure.update_xaxes(title={"text": x}, row=row, col=col, **common)
    figure.update_yaxes(title={"text": y}, row=row, col=col, **common)


def count_ticks(largest: float) -> dict[str, Any]:
    """Return ticks of an interactive axis that counts: whole numbers, however few there are."""
    return {"dtick": 1} if largest <= _FEW else {"tickformat": ",d"}


def count_locator() -> "Locator":
    """Return ticks of an axis for print that counts: whole numbers."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True)


def error_bars(
    below: Sequence[float] | NDArray[Any], above: Sequence[float] | NDArray[Any], **style: Any
) -> dict[str, Any]:
    """Return distances to the ends of intervals as plotly's error bars; not seen if all are 0."""
    seen = bool(np.any(np.nan_to_num(below)) or np.any(np.nan_to_num(above)))
    ends = {"array": above, "arrayminus": below, "visible": seen}
    return {"type": "data", "symmetric": False, "thickness": 1.2, "width": 3} | ends | style


def faded(colour: str, opacity: float) -> str:
    """Return a colour of the palette as plotly writes it with an opacity."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def band(
    x: NDArray[Any],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    colour: str,
    opacity: float = 0.15,
) -> dict[str, Any]:
    """Return what plotly's ``add_scatter`` takes for the area between two curves."""
    return {
        "x": np.concatenate([x, x[::-1]]),
        "y": np.concatenate([high, low[::-1]]),
        "fill": "toself",
        "fillcolor": faded(colour, opacity),
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
