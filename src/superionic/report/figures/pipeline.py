"""How far the materials of a campaign went: the figure of the workflow with real counts.

After A. Maevskiy et al., arXiv 2411.06804, Fig. 3.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from superionic.errors import FigureError
from superionic.report.figures.simulated import simulated_of
from superionic.report.figures.style import (
    BLUE,
    GREY,
    LEGEND_ABOVE,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    count_ticks,
    plain,
    plain_name,
    plotly_axes,
    plotly_figure,
)
from superionic.schemas.document import FailureDocument
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

    from superionic.structures.selection import Selection

_X = "materials (number)"
_ROW_PX = 30


@dataclass(frozen=True)
class Loss:
    """Materials that go no further, and why.

    Parameters
    ----------
    reason : str
        Why.
    count : int
        How many.
    failed : bool
        Whether they failed; the others were not wanted.
    waiting : bool
        Whether they are not lost: nothing was computed of them so far.
    """

    reason: str
    count: int
    failed: bool = False
    waiting: bool = False


@dataclass(frozen=True)
class Stage:
    """How many materials reached a stage.

    Parameters
    ----------
    name : str
        Of the stage.
    count : int
        Materials.
    lost : tuple of Loss
        Those that did not get from the stage before to this one.
    branch : bool
        Whether it is a choice from the screened materials, so that the others are not lost.
    """

    name: str
    count: int
    lost: tuple[Loss, ...] = ()
    branch: bool = False


@dataclass(frozen=True)
class PipelineCounts:
    """All stages of a campaign, in order."""

    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)


def counts_of(
    rows: Sequence[ScreeningDocument],
    failures: Sequence[FailureDocument] = (),
    selection: "Selection | None" = None,
    labels: Sequence[LabelRow] = (),
) -> PipelineCounts:
    """Count how far materials went.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows; a material counts once, whatever its number of rows.
    failures : sequence of FailureDocument
        What could not be computed; a material that has a row by now did not fail.
    selection : Selection, optional
        What became of the crystals before; rows and failures are then those of its candidates
        alone.
    labels : sequence of LabelRow
        Labels of a data set, besides those of the rows.

    Raises
    ------
    FigureError
        When there is nothing to count.
    """
    stages: list[Stage] = []
    rows = [row for row in rows if row.duplicate_of is None]
    if selection is not None:
        stages, candidates = _before(selection)
        rows = [row for row in rows if row.material_id in candidates]
        failures = [one for one in failures if one.material_id in candidates]
    screened = {row.material_id for row in rows if "landscape" in row.present}
    known = {row.material_id for row in rows}
    by_material = {one.material_id: one.code for one in failures if one.material_id not in known}
    codes = Counter(by_material.values())
    failed = [Loss(plain_name(code), n, failed=True) for code, n in codes.most_common()]
    if not known and not by_material and selection is None:
        raise FigureError(
            "There are neither rows nor failures to count.",
            hint="'superionic screen' adds some; 'superionic build' makes them from finished jobs.",
        )
    if selection is None:
        if by_material or known != screened:
            stages.append(Stage("computed or tried", len(known | set(by_material))))
    else:
        waiting = stages[-1].count - len(known) - len(by_material)
        failed += [Loss("not computed yet", waiting, waiting=True)] if waiting > 0 else []
    only_other = len(known - screened)
    failed += [Loss("computed without a landscape", only_other)] if only_other else []
    stages.append(Stage("screened: landscape", len(screened), tuple(failed)))

    def having(part: str) -> set[str]:
        return {row.material_id for row in rows if part in row.present}

    stages.append(Stage("predicted: force network", len(having("prediction")), branch=True))
    simulated = simulated_of(rows, labels)
    labelled = {row.material_id: simulated[row.key].verdict for row in rows if row.key in simulated}
    stages.append(Stage("labelled: dynamics at 1000 K", len(labelled), branch=True))
    if labelled:
        stages.append(_verdicts(labelled, "diffusing"))
    validated = {
        row.material_id: str(row.validation_verdict) for row in rows if "validation" in row.present
    }
    stages.append(Stage("validated: several temperatures", len(validated), branch=True))
    if validated:
        stages.append(_verdicts(validated, "confirmed"))
    return PipelineCounts(tuple(stages))


def plotly(data: PipelineCounts) -> "PlotlyFigure":
    """Draw the stages, and what was lost between them, interactive."""
    bars = _bars(data)
    figure = plotly_figure("From crystals to conductors", height_px=130 + _ROW_PX * len(bars))
    for kind, (name, colour) in _KINDS.items():
        of_kind = [bar for bar in bars if bar.kind == kind]
        if of_kind:
            figure.add_bar(
                y=[plain(bar.name) for bar in of_kind],
                x=[bar.count for bar in of_kind],
                base=[bar.start for bar in of_kind],
                orientation="h",
                name=name,
                marker={"color": colour},
                text=[f"{bar.sign}{bar.count}" for bar in of_kind],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{x}<extra></extra>",
            )
    plotly_axes(figure, _X, "")
    figure.update_xaxes(**count_ticks(max(bar.start + bar.count for bar in bars)))
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[plain(bar.name) for bar in reversed(bars)],
        title=None,
    )
    figure.update_layout(
        barmode="overlay",
        bargap=0.25,
        margin={"t": 80},
        legend=LEGEND_ABOVE,
    )
    return figure


@dataclass(frozen=True)
class _Bar:
    name: str
    start: int
    count: int
    kind: str

    @property
    def sign(self) -> str:
        return "" if self.kind in ("stage", "branch", "waiting") else "\N{MINUS SIGN}"


_KINDS = {
    "stage": ("materials", BLUE),
    "branch": ("chosen from them", SKY_BLUE),
    "left out": ("left out", GREY),
    "failed": ("failed", VERMILLION),
    "waiting": ("not computed yet", PURPLE),
    "other verdict": ("other verdicts", ORANGE),
}


def _bars(data: PipelineCounts) -> list[_Bar]:
    """Return the bars of a waterfall: what is lost hangs below what was there before."""
    bars: list[_Bar] = []
    names: set[str] = set()

    def add(name: str, start: int, count: int, kind: str) -> None:
        while name in names:
            name += " "  # bars of one name would fall onto each other
        names.add(name)
        bars.append(_Bar(name, start, count, kind))

    end = 0
    for stage in data.stages:
        for loss in stage.lost:
            end -= loss.count
            add(f"   {loss.reason}", end, loss.count, _kind(stage, loss))
        end = stage.count
        add(stage.name, 0, stage.count, "branch" if stage.branch else "stage")
    return bars


def _kind(stage: Stage, loss: Loss) -> str:
    if loss.failed or loss.waiting:
        return "failed" if loss.failed else "waiting"
    return "other verdict" if stage.name in _VERDICT_STAGES else "left out"


_VERDICT_STAGES = ("diffusing", "confirmed")


def _before(selection: "Selection") -> tuple[list[Stage], set[str]]:
    """Return the stages before anything is computed, and the ids of what is computed."""
    duplicates = selection.duplicates()
    candidates = {one.material_id for one in selection.candidates} - set(duplicates)
    n_unreadable = len(selection.unreadable)
    lost = [Loss("could not be read or ordered", n_unreadable, failed=True)] if n_unreadable else []
    if selection.n_without_ion:
        lost.append(Loss("without the mobile ion", selection.n_without_ion))
    lost += [Loss(plain_name(reason), count) for reason, count in selection.removed if count]
    if duplicates:
        lost.append(Loss("the same as another", len(duplicates)))
    found = len(candidates) + sum(loss.count for loss in lost)
    return [Stage("found", found), Stage("candidates", len(candidates), tuple(lost))], candidates


def _verdicts(verdicts: Mapping[str, str], wanted: str) -> Stage:
    """Return the stage of those with a verdict, and how many have which other one."""
    counts = Counter(verdicts.values())
    lost = [Loss(plain_name(v), n) for v, n in counts.most_common() if v != wanted]
    return Stage(wanted, counts[wanted], tuple(lost))
