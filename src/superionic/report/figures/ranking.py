"""A ranking with its uncertainties: scores, and diffusion predicted and simulated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from superionic.errors import FigureError
from superionic.ranking.policies import get_policy
from superionic.report.figures.simulated import Simulated, clipped_log10, simulated_of
from superionic.report.figures.style import (
    BLUE,
    GREY,
    LEGEND_ABOVE,
    ORANGE,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    axes,
    formula_text,
    label,
    legend_below,
    literal,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.report.ranking import rank_of
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

_QUANTITIES = {
    "xi": "Ξ (no unit)",
    "barrier": "percolation barrier (eV)",
    "network": "predicted slope (log₁₀ Å²/ps)",
    "calibrated": "probability (no unit)",
}
_SLOPE = "MSD slope at 1000 K (Å²/ps)"
_ROW_IN = 0.145
_ROW_PX = 20


@dataclass(frozen=True)
class Value:
    """A number with the ends of its 95 % interval, where they are known."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def below(self) -> float:
        """Distance to the lower end, 0 where it is not known."""
        return 0.0 if self.low is None else max(0.0, self.value - self.low)

    @property
    def above(self) -> float:
        """Distance to the upper end."""
        return 0.0 if self.high is None else max(0.0, self.high - self.value)


@dataclass(frozen=True)
class RankedMaterial:
    """One line of the ranking.

    Parameters
    ----------
    material_id, formula : str
        Of the material.
    rank : int
        By the policy.
    score : Value
        What the policy ranks by; the network's with its 95 % interval.
    orderings : tuple of float or None
        Smallest and largest value over the orderings of a disordered crystal.
    predicted, simulated : Value or None
        Decimal logarithm of the slope at the temperature of the labels, in A^2/ps.
    verdict : str or None
        Of the simulation.
    """

    material_id: str
    formula: str
    rank: int
    score: Value
    orderings: tuple[float, float] | None
    predicted: Value | None
    simulated: Value | None
    verdict: str | None

    @property
    def name(self) -> str:
        """Rank, formula and identifier."""
        return f"{self.rank}  {formula_text(self.formula)}  {self.material_id}"


@dataclass(frozen=True)
class RankingData:
    """The first materials of a ranking.

    Parameters
    ----------
    policy, summary : str
        What ranks, and what that is.
    lower_is_better : bool
        Whether the smallest score is the best.
    materials : tuple of RankedMaterial
        Best first.
    n_materials : int
        Ranked materials in all.
    """

    policy: str
    summary: str
    lower_is_better: bool
    materials: tuple[RankedMaterial, ...]
    n_materials: int

    @property
    def quantity(self) -> str:
        """What the score is, with its unit."""
        return _QUANTITIES.get(self.policy, "mean percentile (fraction)")

    @property
    def has_slopes(self) -> bool:
        """Whether any material has a prediction or a simulation."""
        return any(one.predicted or one.simulated for one in self.materials)


def ranking_data(
    rows: Sequence[ScreeningDocument],
    policy: str = "xi",
    limit: int = 25,
    labels: Sequence[LabelRow] = (),
) -> RankingData:
    """Return the best of some rows by a policy.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows of one mobile species and potential, ranked.
    policy : str
        Name of the policy.
    limit : int
        Most materials that are shown.
    labels : sequence of LabelRow
        Labels of a data set, beside those of the rows.

    Raises
    ------
    FigureError
        When no row has a score by the policy.
    """
    chosen = get_policy(policy)
    scored = [
        row
        for row in rows
        if policy in row.scores and rank_of(row, policy) and not row.duplicate_of
    ]
    if not scored:
        raise FigureError(
            f"None of {len(rows)} rows has a score by the policy '{policy}'.",
            hint="Choose another policy; 'superionic explain ID' says what a material lacks.",
        )
    scored.sort(key=lambda row: row.ranks[policy])
    shown = scored[:limit]
    simulated = simulated_of(shown, labels)
    return RankingData(
        policy=policy,
        summary=chosen.summary,
        lower_is_better=chosen.lower_is_better,
        materials=tuple(_material(row, policy, simulated.get(row.key)) for row in shown),
        n_materials=len(scored),
    )


def plotly(data: RankingData) -> "PlotlyFigure":
    """Draw the ranking, interactive: scores, and slopes where there are any."""
    figure = plotly_figure(
        f"Ranking by {plain_name(data.policy)}: {len(data.materials)} of {data.n_materials}",
        height_px=140 + _ROW_PX * len(data.materials),
    )
    names = [plain(one.name) for one in data.materials]
    figure.add_scatter(
        x=[one.score.value for one in data.materials],
        y=names,
        mode="markers",
        name=plain_name(data.policy),
        marker={"color": BLUE, "size": 9, "symbol": "diamond"},
        error_x=_bars([one.score for one in data.materials], BLUE),
    )
    spans = [(n, one.orderings) for n, one in zip(names, data.materials, strict=True)]
    if any(span for _, span in spans):
        figure.add_scatter(
            x=[x for _, span in spans if span for x in (*span, None)],
            y=[y for name, span in spans if span for y in (name, name, None)],
            mode="lines",
            name="over orderings",
            line={"color": GREY, "width": 3},
        )
    if data.has_slopes:
        _add_slopes(figure, data, names)
    plotly_axes(figure, data.quantity, "material (rank)")
    figure.update_yaxes(autorange="reversed", title=None, tickfont={"size": 11})
    if data.lower_is_better:
        figure.update_xaxes(rangemode="tozero")
    if data.has_slopes:
        figure.update_layout(
            xaxis={"domain": [0, 0.42]},
            xaxis2={
                "domain": [0.5, 1.0],
                "type": "log",
                "title": {"text": _SLOPE},
                "exponentformat": "power",
                "dtick": 1,
                "showline": True,
                "linecolor": "#444444",
                "gridcolor": "#E8E8E8",
            },
        )
    figure.update_layout(margin={"t": 80}, legend=LEGEND_ABOVE)
    return figure


def static(data: RankingData) -> "Figure":
    """Draw the ranking for print."""
    n = len(data.materials)
    height = (1.05 if data.has_slopes else 0.8) + _ROW_IN * n
    figure, panels = axes(height_in=height, columns=2 if data.has_slopes else 1)
    places = np.arange(n)
    scores = [one.score for one in data.materials]
    panels[0].errorbar(
        [one.value for one in scores],
        places,
        xerr=np.array([[one.below for one in scores], [one.above for one in scores]]),
        fmt="D",
        ms=3,
        lw=0.8,
        color=BLUE,
    )
    for place, one in enumerate(data.materials):
        if one.orderings:
            panels[0].plot(one.orderings, [place, place], color=GREY, lw=2, zorder=0)
    panels[0].set_yticks(places, [literal(_short(one)) for one in data.materials])
    panels[0].tick_params(axis="y", labelsize=5.5)
    title = f"{plain_name(data.policy)}, {n} of {data.n_materials}"
    label(panels[0], data.quantity, "material (rank)", title)
    if data.has_slopes:
        _draw_slopes(panels[1], data)
        legend_below(figure, panels[1])
    for panel in panels:
        panel.set_ylim(n - 0.5, -0.5)
        panel.grid(axis="y", lw=0.3, color="0.9")
        panel.set_axisbelow(True)
    return figure


def _add_slopes(figure: "PlotlyFigure", data: RankingData, names: list[str]) -> None:
    """Add predicted and simulated slopes on a second horizontal axis, logarithmic."""
    pairs = list(zip(names, data.materials, strict=True))
    found = [(name, _linear(one.predicted)) for name, one in pairs if one.predicted]
    if found:
        figure.add_scatter(
            x=[value.value for _, value in found],
            y=[name for name, _ in found],
            xaxis="x2",
            mode="markers",
            name="force network",
            marker={"color": ORANGE, "size": 8, "symbol": "square-open"},
            error_x=_bars([value for _, value in found], ORANGE),
        )
    for verdict in dict.fromkeys(one.verdict for _, one in pairs if one.simulated):
        of_verdict = [
            (name, _linear(one.simulated))
            for name, one in pairs
            if one.simulated and one.verdict == verdict
        ]
        colour = VERDICT_COLOURS.get(str(verdict), GREY)
        figure.add_scatter(
            x=[value.value for _, value in of_verdict],
            y=[name for name, _ in of_verdict],
            xaxis="x2",
            mode="markers",
            name=f"dynamics, {plain_name(str(verdict))}",
            marker={
                "color": colour,
                "size": 9,
                "symbol": VERDICT_SYMBOLS.get(str(verdict), ("o", "circle"))[1],
            },
            error_x=_bars([value for _, value in of_verdict], colour),
        )


def _draw_slopes(panel: "Axes", data: RankingData) -> None:
    for place, one in enumerate(data.materials):
        if one.predicted:
            value = _linear(one.predicted)
            panel.errorbar(
                value.value,
                place + 0.18,
                xerr=[[value.below], [value.above]],
                fmt="s",
                mfc="none",
                ms=2.5,
                lw=0.7,
                color=ORANGE,
            )
        if one.simulated:
            value = _linear(one.simulated)
            colour = VERDICT_COLOURS.get(str(one.verdict), GREY)
            mark = VERDICT_SYMBOLS.get(str(one.verdict), ("o", ""))[0]
            panel.errorbar(
                value.value,
                place - 0.18,
                xerr=[[value.below], [value.above]],
                fmt=mark,
                ms=2.8,
                lw=0.8,
                color=colour,
            )
    if any(one.predicted for one in data.materials):
        panel.plot([], [], "s", mfc="none", ms=3, color=ORANGE, label="network")
    for verdict in dict.fromkeys(one.verdict for one in data.materials if one.simulated):
        mark = VERDICT_SYMBOLS.get(str(verdict), ("o", ""))[0]
        colour = VERDICT_COLOURS.get(str(verdict), GREY)
        panel.plot([], [], mark, ms=3, color=colour, label=plain_name(str(verdict)))
    panel.set_xscale("log")
    panel.set_yticks([])
    label(panel, "slope (Å$^2$/ps)", "", "dynamics at 1000 K")


def _material(row: ScreeningDocument, policy: str, simulated: Simulated | None) -> RankedMaterial:
    score = Value(row.scores[policy])
    predicted = None
    if row.predicted_log10_msd_slope is not None:
        predicted = Value(
            row.predicted_log10_msd_slope,
            row.predicted_log10_msd_slope_low,
            row.predicted_log10_msd_slope_high,
        )
    if policy == "network" and predicted is not None:
        score = predicted
    return RankedMaterial(
        material_id=row.material_id,
        formula=row.formula,
        rank=row.ranks[policy],
        score=score,
        orderings=_orderings(row, policy),
        predicted=None if policy == "network" else predicted,
        simulated=_logarithms(simulated),
        verdict=simulated.verdict if simulated else None,
    )


def _orderings(row: ScreeningDocument, policy: str) -> tuple[float, float] | None:
    """Return the span over all orderings of the parent, best to best plus or minus spread."""
    names = {"xi": "xi", "barrier": "mpe_eV", "network": "predicted_log10_msd_slope"}
    if row.orderings is None or policy not in names:
        return None
    spread = getattr(row.orderings, names[policy])
    if spread is None:
        return None
    other = spread.best + (spread.spread if policy == "barrier" else -spread.spread)
    return min(spread.best, other), max(spread.best, other)


def _logarithms(one: Simulated | None) -> Value | None:
    """Return the logarithm of a simulated slope with its interval, clipped as labels are."""
    if one is None or one.log10_slope is None:
        return None
    ends = (one.low_A2_per_ps, one.high_A2_per_ps)
    low, high = (None if end is None else clipped_log10(end) for end in ends)
    return Value(one.log10_slope, low, high)


def _linear(value: Value | None) -> Value:
    assert value is not None
    low, high = (None if end is None else 10**end for end in (value.low, value.high))
    return Value(10**value.value, low, high)


def _bars(values: Sequence[Value], colour: str) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.above for one in values],
        "arrayminus": [one.below for one in values],
        "color": colour,
        "thickness": 1.2,
        "width": 3,
        "visible": any(one.below or one.above for one in values),
    }


def _short(one: RankedMaterial) -> str:
    name = formula_text(one.formula)
    return f"{one.rank} {name if len(name) <= 16 else name[:15] + '…'}"
