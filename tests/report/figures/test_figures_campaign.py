"""Figures of campaigns: ranking, parity, learning curves, precision, pipeline."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from figure_documents import (
    assert_static_style,
    assert_well_drawn,
    descriptors,
    label,
    labelled,
    prediction,
    row,
    rows,
)
from pymatgen.core import Lattice, Structure

from superionic.cli.plot import selection_of
from superionic.errors import FigureError
from superionic.evaluation.evaluate import EvaluationSettings
from superionic.report.figures import (
    learning_curves,
    parity,
    pipeline,
    precision,
    ranking,
    style,
)
from superionic.report.figures.printed import printed
from superionic.report.figures.sources import read_sources
from superionic.report.figures.style import VERMILLION
from superionic.schemas.document import FailureDocument, Interval
from superionic.schemas.label import LabelRow
from superionic.schemas.screen import OrderingsSummary, Spread
from superionic.store.ranking.policies import ranked
from superionic.structures.selection import Selection


def failure(material_id: str, code: str) -> FailureDocument:
    values = dict.fromkeys(("key", "source", "message", "hint", "last_updated"), "x")
    return FailureDocument(material_id=material_id, code=code, **values)


def data_set(*labels: tuple[str, float]) -> list[LabelRow]:
    from figure_documents import document

    return [LabelRow.from_document(document(labelled(name, slope))) for name, slope in labels]


def test_ranking_draws_scores_and_slopes_in_order():
    data = ranking.ranking_data(rows(), "xi")
    assert [one.material_id for one in data.materials] == ["m-1", "m-2", "m-4", "m-3"]
    interactive = ranking.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    drawn = {trace.name: trace for trace in interactive.data}
    assert drawn["xi"].x == (0.9, 0.5, 0.3, 0.1)
    assert [name.split()[-1] for name in drawn["xi"].y] == ["m-1", "m-2", "m-4", "m-3"]
    network = drawn["force network"]
    assert network.x == pytest.approx([10**0.7, 0.1])
    assert network.error_x.array == pytest.approx([10**1.7 - 10**0.7, 0.9])
    assert network.error_x.arrayminus == pytest.approx([10**0.7 - 10**-0.3, 0.09])
    dynamics = drawn["dynamics, diffusing"]
    assert dynamics.x == pytest.approx([3.0])
    assert dynamics.error_x.array == pytest.approx([0.6])
    assert drawn["dynamics, not diffusing"].x == pytest.approx([1e-4])  # clipped, as labels are
    panel = static.axes[0]
    assert "Li₆PS₅Cl" in panel.get_yticklabels()[0].get_text()
    assert panel.get_ylim()[0] > panel.get_ylim()[1]  # the best is on top


def test_ranking_shows_small_values_of_xi():
    values = {"m-1": 0.9, "m-2": 3e-4, "m-3": 2e-6, "m-4": 1e-30, "m-5": 0.0}
    data = ranking.ranking_data(
        ranked([row(descriptors(name, xi=xi, mpe_eV=1.0)) for name, xi in values.items()]), "xi"
    )
    interactive = ranking.plotly(data)
    static = printed(interactive)
    axis, panel = interactive.layout.xaxis, static.axes[0]
    assert axis.type == panel.get_xscale() == "log"
    (trace, *_) = interactive.data
    assert trace.x[:3] == (0.9, 3e-4, 2e-6)
    low, high = (10**end for end in axis.range)
    assert panel.get_xlim() == pytest.approx((low, high))
    assert all(low < x < high for x in trace.x)
    assert trace.x[3] == trace.x[4] < 1e-7, "what is smaller than the axis is at its end"


def test_axes_that_count_have_whole_numbers():
    few = ranked(
        [
            row(
                descriptors(f"m-{i}", xi=0.1 * i, mpe_eV=1.0),
                labelled(f"m-{i}", 1e-3 if i % 2 else 3.0),
            )
            for i in range(1, 5)
        ]
    )
    counts = pipeline.counts_of(few, ())
    curves = precision.of_rows(few, ())
    for figure, drawn in (
        (printed(pipeline.plotly(counts)), pipeline.plotly(counts)),
        (printed(precision.plotly(curves)), precision.plotly(curves)),
    ):
        figure.draw_without_rendering()
        ticks = figure.axes[0].get_xticks()
        assert np.allclose(ticks, np.round(ticks))
        assert drawn.layout.xaxis.dtick == 1
    assert style.count_ticks(8) == {"dtick": 1}
    assert "dtick" not in style.count_ticks(500)


def test_ranking_by_the_network_has_its_intervals():
    data = ranking.ranking_data(rows(), "network")
    assert [one.material_id for one in data.materials] == ["m-1", "m-2"]
    (trace, *_) = ranking.plotly(data).data
    assert trace.error_x.array == pytest.approx([1.0, 1.0])
    assert data.quantity == "predicted slope (log₁₀ Å²/ps)"


def ranked_melt():
    """Return rows of which the second melts, and the first one's elements were learned."""
    return ranked(
        [
            row(
                descriptors("m-1", xi=0.9, mpe_eV=0.2),
                prediction("m-1", 0.7, in_training=True),
                labelled("m-1", 3.0),
            ),
            row(
                descriptors("m-2", xi=0.8, mpe_eV=0.3),
                prediction("m-2", 0.1, in_training=False),
                label("m-2", None, verdict="melted"),
            ),
            row(descriptors("m-3", xi=0.7, mpe_eV=0.4)),
        ]
    )


def test_ranking_marks_what_melted_apart_from_what_was_not_simulated():
    data = ranking.ranking_data(ranked_melt(), "xi")
    interactive = ranking.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    melts = next(t for t in interactive.data if t.name == "dynamics, melted (no slope)")
    assert [name.split()[-1] for name in melts.y] == ["m-2"]
    assert (melts.marker.symbol, melts.marker.color) == ("x", VERMILLION)
    axis = interactive.layout[f"xaxis{melts.xaxis[1:]}"]
    assert axis.range[0] < 0.9 < melts.x[0] < axis.range[1]  # at the edge, whatever the slopes
    assert axis.overlaying == "x2"
    assert interactive.layout.xaxis.title.text == "Ξ<br>(no unit)"
    assert interactive.layout.xaxis2.title.text == "MSD slope at<br>1000 K (Å²/ps)"
    drawn = [y for t in interactive.data if t.xaxis in ("x2", "x3") for y in t.y]
    assert not any(name.endswith("m-3") for name in drawn)
    name = "dynamics, melted (no slope)"
    edge = static.axes[2]  # over the panel of slopes
    line = next(one for one in edge.lines if one.get_label() == name)
    assert line.get_marker() == "X"
    assert 0.9 < line.get_xdata()[0] < 1
    assert abs(line.get_ydata()[0] - 1) < 0.5
    static.canvas.draw()
    x, _ = static.axes[1].transAxes.inverted().transform(line.get_transform().transform((0.97, 1)))
    assert x == pytest.approx(0.97)
    assert name in legend_texts(static)
    nothing = replace(data, materials=data.materials[2:])
    assert len(printed(ranking.plotly(nothing)).axes) == 1
    # Melts alone make a panel, too.
    only = [one for one in data.materials if one.verdict == "melted"]
    alone = replace(data, materials=(replace(only[0], predicted=None),))
    assert alone.has_slopes
    assert name in legend_texts(printed(ranking.plotly(alone)))
    assert {t.xaxis for t in ranking.plotly(alone).data} == {None, "x2", "x3"}


def legend_texts(figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def test_ranking_tells_predictions_of_what_the_network_has_learned():
    data = ranking.ranking_data(ranked_melt(), "xi")
    drawn = {trace.name: trace for trace in ranking.plotly(data).data}
    learned = drawn["force network, chemical system learned"]
    assert (learned.x, learned.marker.symbol) == (pytest.approx([10**0.7]), "square-open")
    other = drawn["force network"]
    assert (other.x, other.marker.symbol) == (pytest.approx([10**0.1]), "square")
    texts = legend_texts(printed(ranking.plotly(data)))
    assert {"force network", "force network, chemical system learned"} < set(texts)
    data = ranking.ranking_data(ranked_melt(), "network")
    drawn = {trace.name: trace for trace in ranking.plotly(data).data}
    assert drawn["network, chemical system learned"].marker.symbol == "diamond-open"
    assert drawn["network"].x == pytest.approx([0.1])
    texts = legend_texts(printed(ranking.plotly(data)))
    melted = "dynamics, melted (no slope)"
    assert {"network", "network, chemical system learned", melted} < set(texts)


def test_ranking_takes_labels_of_a_data_set_and_the_first_only():
    data = ranking.ranking_data(rows(), "xi", 2, data_set(("m-2", 0.5), ("m-1", 99.0)))
    assert [one.simulated.value for one in data.materials] == pytest.approx(
        np.log10([3.0, 0.5])  # the row's own label goes first
    )
    assert data.n_materials == 4


def test_ranking_shows_the_span_of_orderings():
    spread = Spread(n=3, best=0.9, mean=0.7, spread=0.5)
    summary = OrderingsSummary(
        n_orderings=3, material_ids=["m-1"], mpe_eV=None, barrier_3d_eV=None, xi=spread
    )
    found = [one.model_copy(update={"orderings": summary}) for one in rows()[:1]]
    data = ranking.ranking_data(found, "xi")
    assert data.materials[0].orderings == pytest.approx((0.4, 0.9))
    trace = next(t for t in ranking.plotly(data).data if t.name == "over orderings")
    assert trace.x[:2] == pytest.approx((0.4, 0.9))
    printed(ranking.plotly(data))


def test_ranking_shows_the_intervals_of_learned_landscapes():
    bounds = {"mpe_eV": Interval(low=0.15, high=0.3)}
    learned = [one.model_copy(update={"intervals": bounds}) for one in rows()[:1]]
    (trace, *_) = ranking.plotly(ranking.ranking_data(learned, "barrier")).data
    assert trace.x == (0.2,)
    assert trace.error_x.arrayminus == pytest.approx([0.05])
    assert trace.error_x.array == pytest.approx([0.1])
    unknown = {"mpe_eV": Interval(low=0.15, high=None)}
    learned = [one.model_copy(update={"intervals": unknown}) for one in learned]
    (trace, *_) = ranking.plotly(ranking.ranking_data(learned, "barrier")).data
    assert trace.error_x.array == (0.0,), "an end that is not known is not drawn"


def test_ranking_without_scores_is_refused():
    with pytest.raises(FigureError, match="None of 4 rows has a score by the policy 'calibrated'"):
        ranking.ranking_data(rows(), "calibrated")


STUDY = {
    "n_crystals": 10,
    "settings": {
        "floors_A2_per_ps": [1e-4],
        "n_folds": 5,
        "variants": [
            {"name": "4 crystals", "n_learnt": 4, "splits": ["chemical_system"], "seeds": [0]},
            {"name": "wide", "network": {"channels": 64}, "n_learnt": 2},
        ],
    },
    "models": [
        {
            "variant": name,
            "split": "chemical_system",
            "metrics": {"0.0001": {"roc_auc": {"value": value, "low": 0.5, "high": 0.95}}},
        }
        for name, value in (("force network", 0.8), ("4 crystals", 0.7), ("wide", 0.9))
    ],
    "parity": {
        "random": {"material_id": ["x"], "log10_label": [1], "verdict": ["d"], "predicted": [9]},
        "chemical_system": {
            "material_id": ["a", "b", "c"],
            "log10_label": [-4.0, 0.0, 1.0],
            "verdict": ["not_diffusing", "unconverged", "diffusing"],
            "predicted": [-3.0, 0.5, 0.5],
        },
    },
    "learning_curves": [
        {
            "split": "chemical_system",
            "seed": 0,
            "fold": fold,
            "epochs": [
                {"epoch": e, "train_loss": 1 / (e + 1), "validation_loss": 1.5 / (e + 1)}
                for e in range(4)
            ],
        }
        for fold in range(2)
    ],
}


def test_parity_of_a_study_draws_its_pairs():
    data = parity.of_study(STUDY)
    interactive = parity.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    drawn = {trace.name: trace for trace in interactive.data}
    clipped = drawn["not diffusing, label clipped"]
    assert (clipped.x, clipped.y, clipped.marker.symbol[-5:]) == ([-4.0], [-3.0], "-open")
    assert drawn["diffusing"].marker.symbol[-5:] != "-open"
    # MAE of 1, 0.5 and 0.5; R^2 from squares 1.5 of 14.
    assert "MAE = 0.67" in interactive.layout.title.text
    assert "R² = 0.89" in interactive.layout.title.text
    assert parity.of_study(STUDY, "random").material_ids == ("x",)
    with pytest.raises(FigureError, match="no predictions of the division 'by space group'"):
        parity.of_study(STUDY, "by space group")


def test_parity_of_rows_leaves_out_what_the_network_had_learned():
    data = parity.of_rows(rows(), data_set(("m-2", 0.5)))
    assert data.material_ids == ("m-1", "m-2")
    assert data.simulated == pytest.approx(np.log10([3.0, 0.5]))
    assert data.predicted == pytest.approx([0.7, -1.0])
    assert (data.low[0], data.high[0]) == pytest.approx((-0.3, 1.7))
    assert_well_drawn(printed(parity.plotly(data)), parity.plotly(data))
    learned = [one.model_copy(update={"prediction_in_training": True}) for one in rows()]
    with pytest.raises(FigureError, match="None of 4 rows"):
        parity.of_rows(learned)


def test_learning_curves_of_a_study():
    data = learning_curves.of_study(STUDY)
    # A variant that differs in more than the number of crystals is no point of the curve.
    assert [(q.n_crystals, q.value) for q in data.qualities] == [(8, 0.8), (4, 0.7)]
    interactive = learning_curves.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    losses = [t for t in interactive.data if t.name == "validation"]
    assert len(losses) == 2
    assert losses[0].y == pytest.approx([1.5, 0.75, 0.5, 0.375])
    quality = next(t for t in interactive.data if t.name == "chemical system")
    assert (quality.x, quality.y) == ((4, 8), (0.7, 0.8))
    assert quality.error_y.array == pytest.approx([0.25, 0.15])
    assert len(static.axes) == 2
    with pytest.raises(FigureError, match="no learning curves"):
        learning_curves.of_study({"models": [], "learning_curves": []})
    with pytest.raises(FigureError, match="no measure 'accuracy'"):
        learning_curves.of_study(STUDY, "accuracy")


HELD_BACK = "epoch chosen by crystals held back"


def loss_curves(variant: str | None, learned: float, validation: float | None, **fields):
    """Return a training of three epochs as studies keep it, older ones without its variant."""
    epochs = [
        {"epoch": e, "train_loss": learned, "validation_loss": validation, "learning_rate": 0.1}
        for e in range(3)
    ]
    named = {} if variant is None else {"variant": variant}
    return {"split": "random", "seed": 0, "fold": 0, "epochs": epochs} | named | fields


def lines_of(figure) -> dict[str, list]:
    """Return the lines of the panels of losses by their names, however often they come."""
    found: dict[str, list] = {}
    for trace in figure.data:
        found.setdefault(trace.name, []).append(trace)
    return found


def test_losses_that_are_not_there_have_no_legend_entry():
    curves = [loss_curves(None, 0.5, None), loss_curves(None, 0.6, None, fold=1)]
    data = learning_curves.of_study({"models": [], "learning_curves": curves})
    interactive = learning_curves.plotly(data)
    static = printed(interactive)
    assert list(lines_of(interactive)) == ["learned"]
    assert legend_texts(static) == ["learned"]
    assert len(static.axes[0].lines) == 2


def test_losses_of_a_variant_with_crystals_held_back_are_drawn_by_themselves():
    curves = [
        loss_curves(None, 0.5, None),
        loss_curves("force network", 0.4, None, split="chemical_system"),
        loss_curves(HELD_BACK, 0.7, 0.8),
        loss_curves(HELD_BACK, 0.6, 0.9, split="chemical_system"),
        loss_curves("30 crystals", 0.1, None),
    ]
    data = learning_curves.of_study({"models": [], "learning_curves": curves})
    interactive = learning_curves.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    drawn = lines_of(interactive)
    expected = {
        "learned": [0.5, 0.4],
        f"learned, {HELD_BACK}": [0.7, 0.6],
        f"validation, {HELD_BACK}": [0.8, 0.9],
    }
    assert {name: [t.y[0] for t in traces] for name, traces in drawn.items()} == expected
    for traces in drawn.values():  # one panel a split, one entry of the legend for both
        assert [t.xaxis for t in traces] == ["x", "x2"]
        assert [t.showlegend for t in traces] == [True, False]
    assert len({traces[0].line.color for traces in drawn.values()}) == 3
    assert sorted(legend_texts(static)) == sorted(expected)
    assert [panel.get_title(loc="left") for panel in static.axes] == [
        "random: force network, 1 training",
        "chemical system: force network, 1 training",
    ]
    shown = [[line.get_ydata()[0] for line in panel.lines] for panel in static.axes]
    assert shown == [[0.5, 0.7, 0.8], [0.4, 0.6, 0.9]]


def labelled_rows(n: int = 12):
    """Return rows whose Xi finds the four conductors first, all but one."""
    found = []
    for i in range(n):
        conducts = i in (0, 1, 3, 4)
        verdict = {"verdict": "diffusing" if conducts else "not_diffusing"}
        found.append(
            row(
                descriptors(
                    f"m-{i}",
                    xi=1 - 0.05 * i,
                    mpe_eV=0.1 * (n - i),
                    chemical_system=f"Li-{i}",
                ),
                label(f"m-{i}", 1.0 if conducts else 1e-3, **verdict),
            )
        )
    return ranked(found)


def test_precision_is_counted():
    settings = EvaluationSettings(n_resamples=50)
    data = precision.of_rows(labelled_rows(), scores=["xi", "mpe_eV"], settings=settings)
    assert (data.n, data.n_positive, data.chance) == (12, 4, pytest.approx(1 / 3))
    xi, barrier = data.curves
    assert xi.value[:6] == pytest.approx([1, 1, 2 / 3, 3 / 4, 4 / 5, 4 / 6])
    assert barrier.value[:6] == pytest.approx([0] * 6)  # it has them last
    assert (xi.value[-1], barrier.value[-1]) == pytest.approx((1 / 3, 1 / 3))
    assert (xi.low <= xi.value).all()
    assert (xi.value <= xi.high).all()
    interactive = precision.plotly(data)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    drawn = {trace.name: trace for trace in interactive.data}
    assert drawn["Ξ"].y == pytest.approx(xi.value)
    assert drawn["chance, 0.33"].y == pytest.approx([1 / 3] * 12)
    # Four of twelve: the first is one with probability 1/3, the first four all with 1/495.
    low, high = data.chance_interval(np.array([1, 4, 12]))
    assert list(low) == pytest.approx([0, 0, 1 / 3])
    assert list(high) == pytest.approx([1, 3 / 4, 1 / 3])


def test_precision_of_an_evaluation_has_its_two_points():
    def measures(first_10, first_tenth):
        ends = {"low": 0.1, "high": 0.95}
        return {
            "n": 40,
            "precision_first_10": {"value": first_10, **ends},
            "precision_first_tenth": {"value": first_tenth, **ends},
        }

    table = {
        "task": "diffusion",
        "unit": "A^2/ps",
        "materials": "all",
        "threshold": 0.01,
        "n": 40,
        "n_positive": 8,
        "lines": [
            {"scorer": "xi", "measures": measures(0.6, 0.75)},
            {"scorer": "odd", "measures": measures(0.5, 0.5)},
        ],
    }
    data = precision.of_evaluation({"tables": [table | {"lines": []}, table]})
    (curve,) = data.curves
    assert (list(curve.first), list(curve.value)) == ([4, 10], [0.75, 0.6])
    assert data.chance == 0.2
    assert_well_drawn(printed(precision.plotly(data)), precision.plotly(data))
    with pytest.raises(FigureError, match="no table"):
        precision.of_evaluation({"tables": []})


def test_precision_needs_labels_of_both_kinds():
    with pytest.raises(FigureError, match="Of 4 labelled materials 4 conduct"):
        precision.of_rows([one for one in labelled_rows() if one.label_verdict == "diffusing"])
    with pytest.raises(FigureError, match="no score 'magic'"):
        precision.of_rows(labelled_rows(), scores=["magic"])
    with pytest.raises(FigureError, match="no row with a landscape"):
        precision.of_rows([])


def campaign_selection() -> Selection:
    names = [f"m-{i}" for i in range(1, 9)]
    return Selection(
        candidates=[SimpleNamespace(material_id=name) for name in names],
        first=[0, 1, 2, 3, 4, 5, 6, 0],  # the last one is the first again
        unreadable=[SimpleNamespace()] * 2,
        n_read=20,
        n_without_ion=5,
        removed=[("at most 50 atoms", 7), ("no radioactive elements", 0)],
    )


def test_pipeline_counts_every_material_once():
    failures = [failure(f"m-{i}", code) for i, code in ((5, "overlapping_atoms"), (6, "disorder"))]
    failures += [failure("m-1", "disorder"), failure("other", "disorder")]
    data = pipeline.counts_of(rows(), failures, campaign_selection())
    counts = {stage.name: stage.count for stage in data.stages}
    # 8 candidates less one duplicate, 7 filtered, 5 without the ion, 2 unreadable.
    assert counts["found"] == 22
    assert counts["candidates"] == 7
    # m-1 has a row by now, 'other' is of another campaign; m-7 was not computed.
    screened = data.stage("screened: landscape")
    assert screened.count == 4
    assert {loss.reason: loss.count for loss in screened.lost} == {
        "overlapping atoms": 1,
        "disorder": 1,
        "not computed yet": 1,
    }
    assert counts["predicted: force network"] == 2
    assert counts["labelled: dynamics at 1000 K"] == 2
    assert (counts["diffusing"], counts["confirmed"]) == (1, 1)
    for before, stage in zip(data.stages, data.stages[1:], strict=False):
        if not stage.branch:
            assert before.count - sum(loss.count for loss in stage.lost) == stage.count


def test_pipeline_figure_draws_its_counts():
    data = pipeline.counts_of(rows(), [failure("m-9", "disorder")])
    interactive = pipeline.plotly(data)
    static = printed(interactive)
    assert_well_drawn_bars(static, interactive)
    drawn = {
        name: (x, base)
        for t in interactive.data
        for name, x, base in zip(t.y, t.x, t.base, strict=True)
    }
    assert drawn["computed or tried"] == (5, 0)
    assert drawn["   disorder"] == (1, 4)  # it hangs below what was there
    assert drawn["screened: landscape"] == (4, 0)
    patches = sorted(static.axes[0].patches, key=lambda one: -one.get_y())
    assert [patch.get_width() for patch in patches[:3]] == [5, 1, 4]
    texts = sorted(static.axes[0].texts, key=lambda one: -one.xy[1])
    assert [text.get_text() for text in texts[:3]] == ["5", "\N{MINUS SIGN}1", "4"]


def assert_well_drawn_bars(static, interactive) -> None:
    """The stages are named by themselves: only the number of materials has an axis."""
    assert_static_style(static)
    assert static.axes[0].get_xlabel() == "materials (number)"
    assert interactive.layout.xaxis.title.text == "materials (number)"


def test_check_of_figures_sees_strange_colours_and_small_print():
    """Of patches and collections, too."""
    data = pipeline.counts_of(rows(), [failure("m-9", "disorder")])
    panel = (figure := printed(pipeline.plotly(data))).axes[0]
    panel.patches[0].set_facecolor("#123456")
    with pytest.raises(AssertionError, match="123456"):
        assert_static_style(figure)
    panel = (figure := printed(pipeline.plotly(data))).axes[0]
    panel.fill_between([0, 1], [0, 1], color="#654321")
    with pytest.raises(AssertionError, match="654321"):
        assert_static_style(figure)
    panel = (figure := printed(pipeline.plotly(data))).axes[0]
    panel.get_yticklabels()[0].set_fontsize(5.5)
    with pytest.raises(AssertionError, match="confirmed"):
        assert_static_style(figure)


def test_pipeline_of_nothing_is_refused():
    with pytest.raises(FigureError, match="neither rows nor failures"):
        pipeline.counts_of([], [])


def test_what_is_not_computed_yet_is_not_lost():
    """A campaign that was not begun has no negative number: nothing of it is lost."""
    data = pipeline.counts_of([], [], campaign_selection())
    assert data.stage("screened: landscape").count == 0
    interactive = pipeline.plotly(data)
    static = printed(interactive)
    waiting = next(t for t in interactive.data if t.name == "not computed yet")
    assert (waiting.x, waiting.base, waiting.text) == ((7,), (0,), ("7",))
    assert "7" in [text.get_text() for text in static.axes[0].texts]
    for some in (data, pipeline.counts_of(rows(), [failure("m-5", "x")], campaign_selection())):
        assert all(stage.count >= 0 for stage in some.stages)
        assert all(loss.count >= 0 for stage in some.stages for loss in stage.lost)
        for trace in pipeline.plotly(some).data:
            assert min(trace.base) >= 0


def test_rows_with_predictions_alone_are_not_screened():
    data = pipeline.counts_of([row(prediction("p-1", 1.0)), *rows()])
    assert data.stage("screened: landscape").count == 4
    assert [loss.reason for loss in data.stage("screened: landscape").lost] == [
        "computed without a landscape"
    ]


def test_crystals_of_a_campaign_file_are_counted_again(tmp_path):
    crystals = tmp_path / "crystals"
    crystals.mkdir()
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    for i, (cation, anion) in enumerate([("Li", "Cl"), ("Li", "Br"), ("Li", "F"), ("Na", "Cl")]):
        salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5), [cation, anion], sites)
        salt.to(filename=str(crystals / f"m-{i + 1}.cif"))
    (crystals / "broken.cif").write_text("data_")
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(
        "crystals: [crystals]\nfilters: [{filter: elements, exclude: [F]}]\nmobile_species: Li\n"
    )
    data = pipeline.counts_of(rows(), [], read_sources([campaign], selection_of).selection())
    found, candidates, screened = data.stages[:3]
    assert (found.count, candidates.count, screened.count) == (5, 2, 2)
    assert sorted(loss.count for loss in candidates.lost) == [1, 1, 1]
    assert printed(pipeline.plotly(data)).axes
