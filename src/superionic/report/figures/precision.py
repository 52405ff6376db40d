"""Conductors among the first N materials by each score, with chance level and intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import FigureError, SettingsError
from superionic.evaluation import resampling
from superionic.evaluation.evaluate import EvaluationSettings, conductors_of, label_truths
from superionic.evaluation.scorers import Scorer, group_of, scorers_of
from superionic.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LEGEND_BELOW,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    band,
    count_ticks,
    error_bars,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import precision_at

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
DEFAULT_SCORES = ("xi", "mpe_eV", "free_volume", "consensus", "calibrated", "network")
SCORE_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY_BLUE)
MOST_FIRST = 50
SCORE_NAMES = {"xi": "Ξ", "mpe_eV": "percolation barrier", "network": "force network"}
_DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
_X, _Y = "first N materials by score (number)", "conductors among them (fraction)"


@dataclass(frozen=True)
class PrecisionCurve:
    """Precision of one score.

    Parameters
    ----------
    score : str
        Its name.
    first : ndarray of int, shape (m,)
        How many materials are looked at.
    value, low, high : ndarray, shape (m,)
        Fraction of conductors among them, with the 95 % bootstrap interval over chemical systems.
    """

    score: str
    first: NDArray[np.int64]
    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class PrecisionCurves:
    """Precision of several scores on the same materials.

    Parameters
    ----------
    task : str
        What counts as a conductor.
    n, n_positive : int
        Materials, and conductors.
    curves : tuple of PrecisionCurve
        One for each score.
    """

    task: str
    n: int
    n_positive: int
    curves: tuple[PrecisionCurve, ...]

    @property
    def chance(self) -> float:
        """Precision of a score that says nothing."""
        return self.n_positive / self.n

    @property
    def title(self) -> str:
        """What it is, with the numbers of materials."""
        return f"{self.task}: {self.n_positive} of {self.n}"

    def chance_interval(self, first: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the central 95 % of the precision among the first N in random order."""
        from scipy.stats import hypergeom

        ends = [hypergeom.ppf(q, self.n, self.n_positive, first) / first for q in (0.025, 0.975)]
        return np.asarray(ends[0]), np.asarray(ends[1])


def of_rows(
    rows: Sequence[ScreeningDocument],
    labels: Sequence[LabelRow] = (),
    *,
    scores: Sequence[str] | None = None,
    settings: EvaluationSettings | None = None,
) -> PrecisionCurves:
    """Return the precision of scores on the rows that have a label.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows; their own labels count.
    labels : sequence of LabelRow
        Labels of a data set.
    scores : sequence of str, optional
        Names of scores, as 'superionic evaluate' shows them; materials that lack one of them are
        left out. By default descriptors and policies, and those that need more only where every
        labelled material has them.
    settings : EvaluationSettings, optional
        Its first slope makes a conductor; number and seed of the resamples.

    Raises
    ------
    FigureError
        When there is no label, or conductors or others are missing.
    """
    settings = settings or EvaluationSettings()
    try:
        group = group_of(rows)
    except SettingsError as error:
        raise FigureError(error.message, hint=error.hint) from None
    threshold = settings.slopes_A2_per_ps[0]
    conductors = conductors_of(label_truths(group, labels, settings.temperature_K), threshold)
    conductors = {name: known for name, known in conductors.items() if name in group.names}
    found = scorers_of(group, conductors, None, settings.fit)
    chosen, names = _common(found, sorted(conductors), scores)
    positive = np.array([conductors[name] for name in names], dtype=bool)
    if not positive.any() or positive.all():
        raise FigureError(
            f"Of {len(names)} labelled materials {int(positive.sum())} conduct: there is nothing "
            "to tell apart.",
            hint="Label more materials ('superionic label'), or name a data set of labels.",
        )
    systems = group.systems()
    counts = resampling.draw_counts(
        [systems[name] for name in names], settings.n_resamples, settings.seed
    )
    first = np.arange(1, min(len(names), MOST_FIRST) + 1)
    curves = []
    for scorer in chosen:
        score = np.array([scorer.scores[name] for name in names])
        several = [
            resampling.interval(
                precision_at(positive, score, int(n)),
                resampling.precision_at(positive, score, counts, int(n)),
            )
            for n in first
        ]
        value, low, high = (
            np.array([getattr(one, end) for one in several]) for end in ("value", "low", "high")
        )
        curves.append(PrecisionCurve(scorer.name, first, value, low, high))
    task = f"diffusing above {threshold:g} Å²/ps at {settings.temperature_K:g} K"
    return PrecisionCurves(task, len(names), int(positive.sum()), tuple(curves))


def of_evaluation(evaluation: Mapping[str, Any]) -> PrecisionCurves:
    """Return the precisions that an evaluation holds: among the first ten and the first tenth.

    Parameters
    ----------
    evaluation : mapping
        The JSON of ``superionic evaluate``; its first table counts.

    Raises
    ------
    FigureError
        When there is no table with these scores.
    """
    tables = [table for table in evaluation.get("tables") or [] if table["lines"]]
    curves = []
    for line in tables[0]["lines"] if tables else []:
        if line["scorer"] not in DEFAULT_SCORES:
            continue
        measures = line["measures"]
        tenth = max(1, ceil(0.1 * measures["n"] - 1e-9))
        points = {tenth: measures["precision_first_tenth"]}
        if measures["n"] > 10:
            points[10] = measures["precision_first_10"]
        first = np.array(sorted(points))
        value, low, high = (
            np.array([points[n][end] for n in sorted(points)], dtype=np.float64)
            for end in ("value", "low", "high")
        )
        curves.append(PrecisionCurve(line["scorer"], first, value, low, high))
    if not curves:
        raise FigureError(
            f"The evaluation has no table with any of {', '.join(DEFAULT_SCORES)}.",
            hint="Name what 'superionic evaluate --json FILE' wrote, with labels.",
        )
    table = tables[0]
    task = f"{table['task']} above {table['threshold']:g} {table['unit'].replace('A^2', 'Å²')}"
    return PrecisionCurves(task, table["n"], table["n_positive"], tuple(curves))


def plotly(data: PrecisionCurves) -> "PlotlyFigure":
    """Draw the curves, interactive; intervals come and go with their curve."""
    figure = plotly_figure(data.title, height_px=480)
    span = _span(data)
    low, high = data.chance_interval(span)
    figure.add_scatter(**band(span, low, high, GREY), name="random order, 95 %")
    figure.add_scatter(
        x=span,
        y=np.full(len(span), data.chance),
        mode="lines",
        line={"color": GREY, "dash": "dash"},
        name=f"chance, {data.chance:.2f}",
    )
    for number, curve in enumerate(data.curves):
        colour = SCORE_COLOURS[number % len(SCORE_COLOURS)]
        few = len(curve.first) <= 2
        name = SCORE_NAMES.get(curve.score, plain_name(curve.score))
        if not few:
            figure.add_scatter(
                **band(curve.first, curve.low, curve.high, colour, 0.12),
                legendgroup=f"interval of {curve.score}",
                name=f"{plain(name)}, 95 %",
                visible=True if number == 0 else "legendonly",
            )
        figure.add_scatter(
            x=curve.first,
            y=curve.value,
            error_y=error_bars(curve.value - curve.low, curve.high - curve.value) if few else None,
            mode="markers" if few else "lines",
            line={"color": colour, "width": 2, "dash": _DASHES[number % len(_DASHES)]},
            marker={"color": colour, "size": 9},
            name=plain(name),
            hovertemplate="first %{x}: %{y:.2f}<extra>" + plain(curve.score) + "</extra>",
        )
    plotly_axes(figure, _X, _Y)
    figure.update_xaxes(**count_ticks(span[-1]))
    figure.update_yaxes(range=[0, 1.03])
    figure.update_layout(legend=LEGEND_BELOW)
    return figure


def _span(data: PrecisionCurves) -> NDArray[np.int64]:
    last = max(int(curve.first[-1]) for curve in data.curves)
    return np.arange(1, min(last + 1, data.n) + 1)


def _common(
    found: Sequence[Scorer], labelled: Sequence[str], wanted: Sequence[str] | None
) -> tuple[list[Scorer], list[str]]:
    """Return scores and the materials that all of them know."""
    by_name = {scorer.name: scorer for scorer in found}
    if wanted is not None:
        if unknown := [name for name in wanted if name not in by_name]:
            raise FigureError(
                f"There is no score '{unknown[0]}' of these materials.",
                hint=f"There are: {', '.join(by_name)}.",
            )
        chosen = [by_name[name] for name in wanted]
    else:
        known = [by_name[name] for name in DEFAULT_SCORES if name in by_name]
        base = [name for name in labelled if known and name in known[0].scores]
        chosen = [one for one in known if all(name in one.scores for name in base)]
    names = [name for name in labelled if all(name in one.scores for one in chosen)]
    if not chosen or not names:
        raise FigureError(
            f"None of {len(labelled)} labelled materials has all scores.",
            hint="Screen the materials that are labelled, or name a data set of labels of those "
            "that are screened.",
        )
    return chosen, names
