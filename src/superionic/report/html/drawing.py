"""The figures of a report: whose they are, and which documents they need."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from superionic.report.documents import MaterialDocuments
from superionic.report.figures import style
from superionic.report.figures.gather import figures_of
from superionic.report.figures.kinds import KINDS
from superionic.report.html.agreement import METHODS, Distribution
from superionic.report.html.payload import Payloads, Slot
from superionic.report.html.scope import Scope
from superionic.schemas.document import FailureDocument
from superionic.schemas.screening import ScreeningDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

RANKING_ROWS = 25


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
    return {
        "methods": methods,
        "names": names,
        "verdicts": verdicts,
        "colours": colours,
        "symbols": {**style.VERDICT_SYMBOLS, "no dynamics": "circle-open"},
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
    return [
        payloads.slot(
            f"{anchor}-{one.name}",
            one.title,
            partial(one.draw, **({"compact": True} if one.name == "landscape" else {})),
        )
        for one in figures_of(found)
    ]
