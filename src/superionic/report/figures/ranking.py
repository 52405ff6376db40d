"""A ranking with its uncertainties: scores, and diffusion predicted and simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import TYPE_CHECKING, Any, NamedTuple

from superionic import defaults
from superionic.errors import FigureError
from superionic.report.figures.simulated import Simulated, clipped_log10, simulated_of
from superionic.report.figures.style import (
    BLUE,
    GREY,
    LEGEND_ABOVE,
    ORANGE,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    error_bars,
    formula_text,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.report.numbers import interval_of
from superionic.report.tables.ranking import rank_of
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.store.ranking.policies import get_policy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure


_QUANTITIES = {
    "xi": "Ξ (no unit)",
    "barrier": "percolation barrier (eV)",
    "network": "predicted slope (log₁₀ Å²/ps)",
    "calibrated": "probability (no unit)",
    "conductivity": "conductivity at 300 K (log₁₀ S/cm)",
}
_LOGARITHMIC = "xi"
"""The policy whose scores have a logarithmic axis: half of all Xi are below 0.001."""
SMALLEST = 1e-8
"""Smaller scores are drawn here on a logarithmic axis, which ends a decade below."""


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
        Decimal logarithm of the slope at the temperature of the labels, in A^2/ps; a melt has none.
    verdict : str or None
        Of the simulation; None where there was none.
    learned : bool
        Whether the network that predicts has learned a crystal of this chemical system.
    """

    material_id: str
    formula: str
    rank: int
    score: Value
    orderings: tuple[float, float] | None
    predicted: Value | None
    simulated: Value | None
    verdict: str | None
    learned: bool

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
    def is_logarithmic(self) -> bool:
        """Whether scores are drawn on a logarithmic axis."""
        return self.policy == _LOGARITHMIC

    @property
    def smallest(self) -> float:
        """Where a logarithmic axis begins."""
        scores = [max(one.score.value, SMALLEST) for one in self.materials]
        return 10 ** (floor(log10(min(scores))) - 0.3)

    @property
    def has_slopes(self) -> bool:
        """Whether any material has a prediction or a simulation, a melt included."""
        return any(one.predicted or one.verdict for one in self.materials)


_FIELDS = {"xi": "xi", "barrier": "mpe_eV", "network": "predicted_log10_msd_slope"}
"""Numbers of rows that policies rank by themselves."""
_ROW_PX = 20
_ABOVE_PX = 150
"""Height of title and legend, which has a row for each entry on the width of a phone."""


def ranking_data(
    rows: Sequence[ScreeningDocument],
    policy: str = defaults.POLICY,
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
        Labels of a data set, besides those of the rows.

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
        height_px=_ABOVE_PX + 60 + _ROW_PX * len(data.materials),
    )
    names = [plain(one.name) for one in data.materials]
    for name, learned, places in _scores(data):
        scores = [data.materials[place].score for place in places]
        figure.add_scatter(
            x=[one.value for one in scores],
            y=[names[place] for place in places],
            mode="markers",
            name=name,
            marker={"color": BLUE, "size": 9, "symbol": "diamond-open" if learned else "diamond"},
            error_x=bars(scores, BLUE),
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
    plotly_axes(figure, data.quantity.replace(" (", "<br>("), "material (rank)")
    figure.update_yaxes(autorange="reversed", title=None, tickfont={"size": 11})
    if data.lower_is_better:
        figure.update_xaxes(rangemode="tozero")
    if data.is_logarithmic:
        figure.update_xaxes(
            type="log", range=[log10(data.smallest), log10(1.3)], dtick=1, exponentformat="power"
        )
    if data.has_slopes:
        add_slopes(figure, data, names)
    top = {"y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 12}}
    figure.update_layout(margin={"t": _ABOVE_PX}, title=top, legend=LEGEND_ABOVE)
    return figure


def _scores(data: RankingData) -> list[tuple[str, bool, list[int]]]:
    """Return name, whether the network has learned the like, and places of the scores' marks.

    Scores of other policies than the network's are all of one mark.
    """
    places = range(len(data.materials))
    if data.policy != "network":
        return [(plain_name(data.policy), False, list(places))]
    learned = [place for place in places if data.materials[place].learned]
    others = [place for place in places if not data.materials[place].learned]
    both = (("network", False, others), (f"network, {LEARNED}", True, learned))
    return [one for one in both if one[2]]


def _material(row: ScreeningDocument, policy: str, simulated: Simulated | None) -> RankedMaterial:
    score = Value(_shown(row.scores[policy], policy))
    if (ends := interval_of(row, _FIELDS.get(policy, ""))) is not None:
        low, high = (_shown(end, policy) if isfinite(end) else None for end in ends)
        score = Value(score.value, low, high)
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
        learned=bool(row.prediction_in_training),
    )


def _orderings(row: ScreeningDocument, policy: str) -> tuple[float, float] | None:
    """Return the span over all orderings of the parent, best to best plus or minus spread."""
    if row.orderings is None or policy not in _FIELDS:
        return None
    spread = getattr(row.orderings, _FIELDS[policy])
    if spread is None:
        return None
    other = spread.best + (spread.spread if policy == "barrier" else -spread.spread)
    low, high = sorted((spread.best, other))
    return _shown(low, policy), _shown(high, policy)


def _shown(value: float, policy: str) -> float:
    return max(value, SMALLEST) if policy == _LOGARITHMIC else value


def _logarithms(one: Simulated | None) -> Value | None:
    """Return the logarithm of a simulated slope with its interval, clipped as labels are."""
    if one is None or one.log10_slope is None:
        return None
    ends = (one.low_A2_per_ps, one.high_A2_per_ps)
    low, high = (None if end is None else clipped_log10(end) for end in ends)
    return Value(one.log10_slope, low, high)


_SLOPE = "MSD slope at<br>1000 K (Å²/ps)"
_LEFT, _RIGHT = (0.0, 0.42), (0.5, 1.0)
LEARNED = "chemical system learned"
"""What is said of a prediction by a network that has learned crystals of the same elements."""
_EDGE = 0.97
"""Where along the panel, from 0 to 1, what has no slope is marked."""


class _Marks(NamedTuple):
    """Marks of one kind, and the slope by the place of each material; None at the edge."""

    name: str
    colour: str
    symbol: str
    slopes: Mapping[int, Value | None]


def marks_of(materials: Sequence[RankedMaterial]) -> list[_Marks]:
    """Return what the panel shows: predictions, slopes by verdict, and what has no slope."""
    every = list(enumerate(materials))
    found: list[_Marks] = []
    for learned, symbol in ((False, "square"), (True, "square-open")):
        of = {i: one.predicted for i, one in every if one.learned is learned}
        name = f"force network{f', {LEARNED}' * learned}"
        found.append(_Marks(name, ORANGE, symbol, {i: value for i, value in of.items() if value}))
    for verdict in dict.fromkeys(one.verdict for one in materials if one.verdict is not None):
        style = VERDICT_COLOURS.get(verdict, GREY), VERDICT_SYMBOLS.get(verdict, "circle")
        of = {i: one.simulated for i, one in every if one.verdict == verdict}
        name = f"dynamics, {plain_name(verdict)}"
        there = {i: value for i, value in of.items() if value is not None}
        found.append(_Marks(name, *style, there))
        nothing = {i: None for i, value in of.items() if value is None}
        found.append(_Marks(f"{name} (no slope)", *style, nothing))
    return [one for one in found if one.slopes]


def add_slopes(figure: "PlotlyFigure", data: RankingData, names: Sequence[str]) -> None:
    """Add predicted and simulated slopes on a second horizontal axis, logarithmic.

    What has no slope is marked at the right edge, on an axis that is not shown.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        With the scores.
    data : RankingData
        The ranking.
    names : sequence of str
        Of the materials on the vertical axis.
    """
    has_slopes, has_edge = False, False
    for marks in marks_of(data.materials):
        slopes = [_linear(value) for value in marks.slopes.values() if value is not None]
        has_slopes, has_edge = has_slopes or bool(slopes), has_edge or not slopes
        figure.add_scatter(
            x=[one.value for one in slopes] or [_EDGE] * len(marks.slopes),
            y=[names[place] for place in marks.slopes],
            xaxis="x2" if slopes else "x3",
            mode="markers",
            name=marks.name,
            marker={"color": marks.colour, "size": 9, "symbol": marks.symbol},
            error_x=bars(slopes, marks.colour) if slopes else None,
        )
    figure.update_layout(
        xaxis={"domain": _LEFT},
        xaxis2={
            "domain": _RIGHT,
            "type": "log",
            "title": {"text": _SLOPE},
            "exponentformat": "power",
            "dtick": 1,
            "showline": True,
            "linecolor": "#444444",
            "gridcolor": "#E8E8E8",
        },
    )
    if has_edge:
        figure.update_layout(
            xaxis3={
                "overlaying": "x2",
                "range": [0, 1],
                "fixedrange": True,
                "visible": False,
            }
        )
        if not has_slopes:  # an axis without data would not be shown
            figure.add_scatter(x=[None], y=[names[0]], xaxis="x2", showlegend=False)


def bars(values: Sequence[Value], colour: str) -> dict[str, Any]:
    """Return the intervals of values as plotly's error bars."""
    below, above = [one.below for one in values], [one.above for one in values]
    return error_bars(below, above, color=colour)


def _linear(value: Value) -> Value:
    low, high = (None if end is None else 10**end for end in (value.low, value.high))
    return Value(10**value.value, low, high)
