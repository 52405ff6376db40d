"""How a network learns: loss by epoch, and quality by the number of crystals learnt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superionic.errors import FigureError
from superionic.report.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    axes,
    faded,
    label,
    legend,
    plotly_axes,
    plotly_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as PlotlyFigure

FloatArray = NDArray[np.float64]
METRICS = {
    "roc_auc": ("ROC-AUC (no unit)", 0.5),
    "spearman": ("rank correlation (no unit)", 0.0),
    "r_squared": ("R² (no unit)", 0.0),
}
"""Measures that can be shown, with their axis and what a model that knows nothing has."""
_EPOCH, _LOSS, _CRYSTALS = "epoch (number)", "loss (no unit)", "crystals learnt (number)"


@dataclass(frozen=True)
class LossCurve:
    """Losses of one fold by epoch."""

    split: str
    seed: int
    fold: int
    epochs: FloatArray
    train: FloatArray
    validation: FloatArray


@dataclass(frozen=True)
class Quality:
    """A measure with its 95 % interval, of a network that learnt a number of crystals."""

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
        One for each fold.
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
    losses = []
    for one in summary.get("learning_curves") or []:
        epochs = one["epochs"]
        losses.append(
            LossCurve(
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
    qualities = _qualities(summary, metric)
    if not losses and not qualities:
        raise FigureError(
            "The study has no learning curves.",
            hint="Name the summary.json that 'superionic train' wrote after it was finished.",
        )
    return LearningCurves(tuple(losses), tuple(qualities), metric)


def plotly(data: LearningCurves) -> "PlotlyFigure":
    """Draw the curves, interactive."""
    figure = plotly_figure("Learning curves of the force network")
    for number, one in enumerate(data.losses):
        for name, values, colour in (
            ("learnt", one.train, GREY),
            ("validation", one.validation, BLUE),
        ):
            figure.add_scatter(
                x=one.epochs,
                y=values,
                mode="lines",
                line={"color": faded(colour, 0.5), "width": 1},
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                hovertemplate=f"{one.split} fold {one.fold}, seed {one.seed}: %{{y:.3f}}"
                "<extra></extra>",
            )
    plotly_axes(figure, _EPOCH, _LOSS)
    shown = _shown(data)
    if shown:
        axis, chance = METRICS[data.metric]
        if data.losses:
            figure.update_layout(xaxis={"domain": [0, 0.44]})
        place = "2" if data.losses else ""
        for split, colour in zip(
            dict.fromkeys(q.split for q in shown), (BLUE, ORANGE), strict=False
        ):
            several = [q for q in shown if q.split == split]
            figure.add_scatter(
                x=[q.n_crystals for q in several],
                y=[q.value for q in several],
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [q.high - q.value for q in several],
                    "arrayminus": [q.value - q.low for q in several],
                },
                mode="lines+markers",
                line={"color": colour},
                name=split.replace("_", " "),
                xaxis=f"x{place}",
                yaxis=f"y{place}",
            )
        style = {
            "showline": True,
            "linecolor": "#444444",
            "gridcolor": "#E8E8E8",
            "zeroline": False,
        }
        figure.update_layout(
            {
                f"xaxis{place}": {
                    "title": {"text": _CRYSTALS},
                    "domain": [0.56, 1] if data.losses else [0, 1],
                    "rangemode": "tozero",
                    **style,
                },
                f"yaxis{place}": {"title": {"text": axis}, "anchor": f"x{place}", **style},
            }
        )
        figure.add_shape(
            type="line",
            xref=f"x{place} domain",
            yref=f"y{place}",
            x0=0,
            x1=1,
            y0=chance,
            y1=chance,
            line={"color": GREY, "dash": "dash", "width": 1},
        )
    return figure


def static(data: LearningCurves) -> "Figure":
    """Draw the curves for print."""
    shown = _shown(data)
    both = bool(data.losses) and bool(shown)
    figure, panels = axes(height_in=3.8 if both else 2.4, rows=2 if both else 1)
    if data.losses:
        panel = panels[0]
        for number, one in enumerate(data.losses):
            names = ("learnt", "validation") if number == 0 else (None, None)
            panel.plot(one.epochs, one.train, color=GREY, lw=0.6, alpha=0.6, label=names[0])
            panel.plot(one.epochs, one.validation, color=BLUE, lw=0.6, alpha=0.6, label=names[1])
        label(panel, _EPOCH, _LOSS, f"force network, {len(data.losses)} trainings")
        legend(panel)
    if shown:
        axis, chance = METRICS[data.metric]
        panel = panels[-1]
        panel.axhline(chance, color=GREY, lw=0.7, ls="--")
        for split, colour in zip(
            dict.fromkeys(q.split for q in shown), (BLUE, ORANGE), strict=False
        ):
            several = [q for q in shown if q.split == split]
            values = np.array([q.value for q in several])
            errors = np.array(
                [[q.value - q.low for q in several], [q.high - q.value for q in several]]
            )
            panel.errorbar(
                [q.n_crystals for q in several],
                values,
                yerr=errors,
                fmt="o-",
                ms=3.5,
                lw=1,
                color=colour,
                label=split.replace("_", " "),
            )
        panel.set_xlim(left=0)
        label(panel, _CRYSTALS, axis)
        legend(panel)
    return figure


def _shown(data: LearningCurves) -> list[Quality]:
    """Return qualities in order; one number of crystals alone makes no curve."""
    if len({one.n_crystals for one in data.qualities}) < 2:
        return []
    return sorted(data.qualities, key=lambda one: (one.split, one.n_crystals))


def _splits(shown: list[Quality]) -> list[str]:
    return list(dict.fromkeys(one.split for one in shown))


def _qualities(summary: Mapping[str, Any], metric: str) -> list[Quality]:
    """Return the main network's quality, and that of variants that differ by the number learnt."""
    settings = summary.get("settings") or {}
    floors = settings.get("floors_A2_per_ps") or []
    n_folds = settings.get("n_folds", 5)
    learnt = {
        variant["name"]: variant["n_learnt"]
        for variant in settings.get("variants") or []
        if variant.get("n_learnt") and set(variant) <= {"name", "n_learnt", "splits", "seeds"}
    }
    everything = round(summary.get("n_crystals", 0) * (n_folds - 1) / n_folds)
    found = []
    for row in summary.get("models") or []:
        n = everything if row["variant"] == "force network" else learnt.get(row["variant"])
        if n is None or not floors:
            continue
        measure = row["metrics"][f"{floors[0]:g}"][metric]
        if measure["value"] is not None:
            low = measure["value"] if measure["low"] is None else measure["low"]
            high = measure["value"] if measure["high"] is None else measure["high"]
            found.append(Quality(n, row["split"], measure["value"], low, high))
    return found
