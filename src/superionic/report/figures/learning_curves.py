"""How a network learns: loss by epoch, and quality by the number of crystals learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import FigureError
from superionic.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LEGEND_BELOW,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    count_ticks,
    error_bars,
    faded,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
METRICS = {
    "roc_auc": ("ROC-AUC (no unit)", 0.5),
    "spearman": ("rank correlation (no unit)", 0.0),
    "r_squared": ("R² (no unit)", 0.0),
}
"""Measures that can be shown, with their axis and what a model that knows nothing has."""
MAIN = "force network"
"""Variant of the main network, of which studies speak where they name none."""
_COLOURS = ((GREY, BLUE), (ORANGE, VERMILLION), (SKY_BLUE, GREEN), (PURPLE, BLACK))
"""What is learned and what is held back: of the main network, then of variants."""
_EPOCH, _LOSS, _CRYSTALS = "epoch (number)", "loss (no unit)", "crystals learned (number)"


@dataclass(frozen=True)
class LossCurve:
    """Losses of one training, of one fold, by epoch; NaN where there is none."""

    variant: str
    split: str
    seed: int
    fold: int
    epochs: FloatArray
    train: FloatArray
    validation: FloatArray


@dataclass(frozen=True)
class Quality:
    """A measure with its 95 % interval, of a network that learned a number of crystals."""

    n_crystals: int
    split: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurves:
    """How a network learns.

    Parameters
    ----------
    losses : tuple of LossCurve
        One for each training of the main network, and of variants that have validation losses.
    qualities : tuple of Quality
        By number of crystals.
    metric : str
        What they measure.
    """

    losses: tuple[LossCurve, ...]
    qualities: tuple[Quality, ...]
    metric: str


def of_study(summary: Mapping[str, Any], metric: str = "roc_auc") -> LearningCurves:
    """Return the learning curves of a study.

    Parameters
    ----------
    summary : mapping
        ``summary.json`` of ``superionic train``.
    metric : str
        roc_auc, spearman or r_squared.

    Raises
    ------
    FigureError
        When it has none, or there is no such measure.
    """
    if metric not in METRICS:
        raise FigureError(
            f"There is no measure '{metric}'.", hint=f"There are: {', '.join(METRICS)}."
        )
    every = []
    for one in summary.get("learning_curves") or []:
        epochs = one["epochs"]
        every.append(
            LossCurve(
                variant=one.get("variant") or MAIN,
                split=one["split"],
                seed=one["seed"],
                fold=one["fold"],
                epochs=np.array([e["epoch"] for e in epochs], dtype=np.float64),
                train=np.array([e["train_loss"] for e in epochs], dtype=np.float64),
                validation=np.array(
                    [e.get("validation_loss", np.nan) for e in epochs], dtype=np.float64
                ),
            )
        )
    held_back = {one.variant for one in every if np.isfinite(one.validation).any()}
    losses = [one for one in every if one.variant in held_back | {MAIN}]
    qualities = _qualities(summary, metric)
    if not losses and not qualities:
        raise FigureError(
            "The study has no learning curves.",
            hint="Name the summary.json that 'superionic train' wrote after it was finished.",
        )
    return LearningCurves(tuple(losses), tuple(qualities), metric)


def plotly(data: LearningCurves) -> "PlotlyFigure":
    """Draw the losses for each way of splitting, and the quality below them."""
    splits, shown = list(dict.fromkeys(one.split for one in data.losses)), _shown(data)
    n = len(splits) + bool(shown)
    figure = plotly_figure("Learning curves of the force network", height_px=150 + 250 * n)
    titles = [_panel_title(data, split) for split in splits] + ["quality"] * bool(shown)
    figure.set_subplots(rows=n, cols=1, vertical_spacing=0.28 / n, subplot_titles=titles)
    figure.update_annotations(font={"size": 13})
    variants = sorted({one.variant for one in data.losses} - {MAIN})
    colours = {MAIN: _COLOURS[0]}
    colours |= {v: _COLOURS[1 + i % (len(_COLOURS) - 1)] for i, v in enumerate(variants)}
    named: set[str] = set()
    for row, split in enumerate(splits, start=1):
        last = 0.0
        for one in (one for one in data.losses if one.split == split):
            of = "" if one.variant == MAIN else f", {one.variant}"
            parts = (("learned", one.train), ("validation", one.validation))
            for (what, losses), colour in zip(parts, colours[one.variant], strict=True):
                there, name = np.isfinite(losses), f"{what}{of}"
                if not there.any():
                    continue
                figure.add_scatter(
                    x=one.epochs[there],
                    y=losses[there],
                    mode="lines",
                    line={"color": faded(colour, 0.6), "width": 1},
                    name=plain(name),
                    legendgroup=name,
                    showlegend=name not in named,
                    hovertemplate=f"fold {one.fold}, seed {one.seed}: %{{y:.3f}}<extra></extra>",
                    row=row,
                    col=1,
                )
                named.add(name)
                last = max(last, float(one.epochs[there][-1]))
        plotly_axes(figure, _EPOCH, _LOSS, row=row, col=1)
        figure.update_xaxes(**count_ticks(last), row=row, col=1)
    if shown:
        _add_quality(figure, data, shown, n)
    figure.update_layout(margin={"t": 90}, legend=LEGEND_BELOW)
    return figure


def _add_quality(
    figure: "PlotlyFigure", data: LearningCurves, shown: list[Quality], row: int
) -> None:
    axis, chance = METRICS[data.metric]
    for split, colour in zip(dict.fromkeys(q.split for q in shown), (BLUE, ORANGE), strict=False):
        several = [q for q in shown if q.split == split]
        below, above = [q.value - q.low for q in several], [q.high - q.value for q in several]
        figure.add_scatter(
            x=[q.n_crystals for q in several],
            y=[q.value for q in several],
            error_y=error_bars(below, above),
            mode="lines+markers",
            line={"color": colour},
            name=plain_name(split),
            row=row,
            col=1,
        )
    plotly_axes(figure, _CRYSTALS, axis, row=row, col=1)
    ticks = count_ticks(max(q.n_crystals for q in shown))
    figure.update_xaxes(rangemode="tozero", **ticks, row=row, col=1)
    line = {"color": GREY, "dash": "dash", "width": 1}
    figure.add_hline(y=chance, line=line, row=row, col=1)


def _panel_title(data: LearningCurves, split: str) -> str:
    n = sum(one.split == split and one.variant == MAIN for one in data.losses)
    return f"{plain_name(split)}: force network, {n} training{'' if n == 1 else 's'}"


def _shown(data: LearningCurves) -> list[Quality]:
    """Return qualities in order; one number of crystals alone makes no curve."""
    if len({one.n_crystals for one in data.qualities}) < 2:
        return []
    return sorted(data.qualities, key=lambda one: (one.split, one.n_crystals))


def _qualities(summary: Mapping[str, Any], metric: str) -> list[Quality]:
    """Return the main network's quality, and that of variants that differ by the number learned."""
    settings = summary.get("settings") or {}
    floors = settings.get("floors_A2_per_ps") or []
    n_folds = settings.get("n_folds", 5)
    learned = {
        variant["name"]: variant["n_learnt"]
        for variant in settings.get("variants") or []
        if variant.get("n_learnt") and set(variant) <= {"name", "n_learnt", "splits", "seeds"}
    }
    everything = round(summary.get("n_crystals", 0) * (n_folds - 1) / n_folds)
    found = []
    for row in summary.get("models") or []:
        n = everything if row["variant"] == MAIN else learned.get(row["variant"])
        if n is None or not floors:
            continue
        measure = row["metrics"][f"{floors[0]:g}"][metric]
        if measure["value"] is not None:
            low = measure["value"] if measure["low"] is None else measure["low"]
            high = measure["value"] if measure["high"] is None else measure["high"]
            found.append(Quality(n, row["split"], measure["value"], low, high))
    return found
