"""The figures of a report: whose they are, and which documents they need."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from superionic.report.figures import style
from superionic.report.figures.kinds import KINDS
from superionic.report.html.agreement import METHODS, Distribution
from superionic.report.html.payload import Payloads, Slot
from superionic.report.html.reading import MaterialDocuments
from superionic.report.html.scope import Scope
from superionic.schemas.failure import FailureDocument
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.screening import ScreeningDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from superionic.report.figures.scene import LandscapeScene

RANKING_ROWS = 25
_TITLES = {
    "landscape": "Landscape and percolation path",
    "path": "Energy along the percolation path",
    "volume": "Volume below an energy",
}


def campaign_figures(
    payloads: Payloads,
    rows: Sequence[ScreeningDocument],
    failures: Sequence[FailureDocument],
    scope: Scope | None,
    policy: str,
) -> list[Slot]:
    """Return the figures of a whole campaign: its pipeline with counts, and the best.

    Parameters
    ----------
    payloads : Payloads
        Takes their data.
    rows, failures : sequences
        The rows, best first, and the failures.
    scope : Scope, optional
        The campaign.
    policy : str
        Ranking policy.
    """
    selection = None if scope is None else scope.selection

    def pipeline() -> "Figure":
        from superionic.report.figures.pipeline import counts_of

        return KINDS["pipeline"].plotly(counts_of(rows, failures, selection))

    def best() -> "Figure":
        from superionic.report.figures.ranking import ranking_data

        return KINDS["ranking"].plotly(ranking_data(rows, policy, RANKING_ROWS))

    text = f"The first {min(RANKING_ROWS, len(rows))} by the policy {policy}"
    return [
        payloads.slot("pipeline", "What became of the crystals", pipeline),
        payloads.slot("ranking", text, best),
    ]


def distribution_figures(payloads: Payloads, found: Sequence[Distribution]) -> list[Slot]:
    """Return a histogram of each number."""

    def draw(one: Distribution) -> "Figure":
        figure = style.plotly_figure(height_px=260)
        figure.add_histogram(x=one.values, nbinsx=30, marker={"color": style.BLUE})
        style.plotly_axes(figure, one.text, "materials (number)")
        # As many bins as plotly.js makes at most: it may join some, so that more fall into one.
        figure.update_yaxes(**style.count_ticks(np.histogram(one.values, bins=30)[0].max()))
        figure.update_layout(bargap=0.05, showlegend=False)
        return figure

    slots = []
    for one in found:
        low, median, high = one.quartiles
        missing = f", {one.n_missing} without" if one.n_missing else ""
        caption = f"n = {len(one.values)}{missing}; median {median:.3g} [{low:.3g}, {high:.3g}]"
        key = f"dist-{one.name}"
        slots.append(payloads.slot(key, one.text, partial(draw, one), caption))
    return slots


def agreement_data(rows: Sequence[ScreeningDocument]) -> dict[str, Any]:
    """Return what the scatter plot of two methods is drawn from, in the browser.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows of one mobile species and potential.
    """
    computed = [row for row in rows if row.duplicate_of is None]
    methods = []
    for method in METHODS:
        values = [method.of(row) for row in computed]
        if any(value is not None for value in values):
            methods.append({"name": method.name, "text": method.text, "values": values})
    names = [
        f"{style.plain(style.formula_text(row.formula))} ({style.plain(row.material_id)})"
        for row in computed
    ]
    figure = style.plotly_figure(height_px=420)
    style.plotly_axes(figure, "", "")
    figure.update_layout(
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, margin={"t": 60}
    )
    layout = figure.to_plotly_json()["layout"]
    layout.pop("template", None)
    verdicts = [row.label_verdict or "no dynamics" for row in computed]
    colours = {**style.VERDICT_COLOURS, "no dynamics": style.GREY}
    symbols = {name: marks[1] for name, marks in style.VERDICT_SYMBOLS.items()}
    return {
        "methods": methods,
        "names": names,
        "verdicts": verdicts,
        "colours": colours,
        "symbols": {**symbols, "no dynamics": "circle-open"},
        "layout": layout,
    }


def material_figures(payloads: Payloads, found: MaterialDocuments, anchor: str) -> list[Slot]:
    """Return the figures of one material; what cannot be drawn leaves its reason.

    Parameters
    ----------
    payloads : Payloads
        Takes their data.
    found : MaterialDocuments
        The documents of the material.
    anchor : str
        Identifier of its section.
    """
    slots = _landscape_figures(payloads, found, anchor)
    for index, label in enumerate(found.all_labels):
        title = f"Mean squared displacement at {label.temperature_K:g} K, seed {label.seed}"
        slots.append(payloads.slot(f"{anchor}-msd-{index}", title, partial(_msd, label)))
    if found.validation is not None:
        title = "Conductivity against temperature"
        draw = partial(KINDS["arrhenius"].plotly, found.validation)
        slots.append(payloads.slot(f"{anchor}-arrhenius", title, draw))
    return slots


def _landscape(scene: "LandscapeScene") -> "Figure":
    figure = KINDS["landscape"].plotly(scene, compact=True)
    for slider in figure.layout.sliders:
        slider.update(x=0.06, len=0.86, pad={"t": 20, "b": 40})  # labels inside a narrow figure
    return figure


def _msd(label: DiffusionDocument | LabelRow) -> "Figure":
    from superionic.report.figures.msd import curve_of

    return KINDS["msd"].plotly(curve_of(label))


def _landscape_figures(payloads: Payloads, found: MaterialDocuments, anchor: str) -> list[Slot]:
    from superionic.report.figures.scene import scene_of

    if found.landscape is None:
        return _volume_alone(payloads, found, anchor)
    try:
        scene = scene_of(found.landscape)
    except Exception as error:  # one odd landscape must not stop the report of all others
        message = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        return [
            Slot(_TITLES["landscape"], reason=str(message)),
            *_volume_alone(payloads, found, anchor),
        ]
    slots = [
        payloads.slot(
            f"{anchor}-landscape",
            _TITLES["landscape"],
            partial(_landscape, scene),
            "Turn it with the mouse; the slider chooses the energy of the surface.",
        )
    ]
    if scene.path is None:
        slots.append(Slot(_TITLES["path"], reason="No ion percolates: there is no path."))
    else:
        draw = partial(KINDS["path"].plotly, scene.path)
        slots.append(payloads.slot(f"{anchor}-path", _TITLES["path"], draw))
    draw = partial(KINDS["volume"].plotly, scene.volume)
    slots.append(payloads.slot(f"{anchor}-volume", _TITLES["volume"], draw))
    return slots


def _volume_alone(payloads: Payloads, found: MaterialDocuments, anchor: str) -> list[Slot]:
    """Return the curve of volumes at the thresholds of the descriptors, without the landscape."""
    descriptors = found.descriptors
    if descriptors is None:
        return []

    def draw() -> "Figure":
        from superionic.report.figures.volume import curve_of_descriptors

        return KINDS["volume"].plotly(curve_of_descriptors(descriptors))

    return [payloads.slot(f"{anchor}-volume", _TITLES["volume"], draw)]
