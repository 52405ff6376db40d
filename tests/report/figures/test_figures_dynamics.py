"""Figures of molecular dynamics."""

import json

import numpy as np
import pytest
from figure_documents import (
    IONS,
    TESTS,
    ENERGY_eV,
    arrhenius_validation,
    assert_well_drawn,
    d_of,
    document,
    labelled,
)

from superionic.dynamics.confirmation import ArrheniusPoint, confirm
from superionic.errors import FigureError
from superionic.report.figures import arrhenius, conductivities, msd
from superionic.report.figures.printed import printed
from superionic.report.tables.labels import read_data_set
from superionic.schemas.label import LabelRow

DATA_SET = TESTS.parent / "datasets" / "labels_1000K.jsonl"


def test_msd_figure_draws_the_slope_of_the_label():
    curve = msd.curve_of(document(labelled(slope=3.0)))
    interactive = msd.plotly(curve)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    fitted = next(line for line in static.axes[0].lines if "slope" in str(line.get_label()))
    assert fitted.get_label() == "slope 3.00 ± 0.30 Å²/ps"
    x, y = fitted.get_data()
    assert list(x) == [1.0, 2.0]  # the window of the fit
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(3.0)
    assert y == pytest.approx([3.7, 6.7])  # the curve is a line of that slope: it lies on it
    window = next(s for s in interactive.layout.shapes if s.type == "rect")
    assert (window.x0, window.x1) == (1.0, 2.0)
    drawn = {trace.name: trace for trace in interactive.data}
    assert drawn["Li"].y == pytest.approx(0.7 + 3.0 * np.asarray(drawn["Li"].x))
    assert drawn["Cl"].y == pytest.approx(0.2)
    band = drawn["standard error"]
    n = len(drawn["Li"].x)
    assert band.y[:n][-1] - band.y[n:][0] == pytest.approx(2 * 0.3 * (4.0 - 1.5))


def test_msd_of_a_data_set_has_the_window_of_the_analysis():
    """A row holds no window but the settings of the fit; the document of the same run holds it."""
    rows = [row for row in read_data_set(DATA_SET) if row.msd and row.msd_slope_A2_per_ps]
    for row in rows[:3]:
        curve = msd.curve_of(row)
        assert curve.slope_A2_per_ps == row.msd_slope_A2_per_ps
        start, end = curve.window_ps
        assert 0.5 <= start < end <= curve.lags_ps[-1]
        block_ps = row.production_ps / max(3, min(8, int(row.production_ps / 2)))
        assert end == pytest.approx(0.7 * block_ps, abs=0.05)
        printed(msd.plotly(curve))


def test_label_without_a_curve_says_why():
    nothing = document(labelled() | {"msd": None, "stop_reason": "it melted"})
    with pytest.raises(FigureError, match=r"m-1: .*it melted"):
        msd.curve_of(nothing)


def test_label_without_a_slope_is_drawn_without_fit():
    curve = msd.curve_of(document(labelled() | {"slope": None, "verdict": "melted"}))
    assert not curve.fitted
    names = [trace.name for trace in msd.plotly(curve).data]
    assert names == ["Cl", "Li"]
    printed(msd.plotly(curve))


def test_row_and_document_draw_the_same():
    one = document(labelled())
    row = LabelRow.from_document(one)
    a, b = msd.curve_of(one), msd.curve_of(row)
    assert (a.slope_A2_per_ps, a.error_A2_per_ps) == (b.slope_A2_per_ps, b.error_A2_per_ps)
    assert a.about == b.about


def test_arrhenius_figure_is_the_line_of_the_runs():
    validation = arrhenius_validation(bound_K=None)
    line = arrhenius.fitted_line(validation)
    for temperature, value in zip(line.temperatures_K, line.value, strict=True):
        expected = IONS.conductivity(d_of(float(temperature)), float(temperature))
        assert value == pytest.approx(expected, rel=1e-3)
    assert (line.low < line.value).all()
    assert (line.value < line.high).all()
    assert line.temperatures_K[0] == pytest.approx(300.0)
    assert line.temperatures_K[-1] == pytest.approx(1000.0)
    interactive = arrhenius.plotly(validation)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    drawn = {trace.name: trace for trace in interactive.data}
    points = drawn["dynamics, 95 %"]
    assert points.x == pytest.approx([2.0, 1000 / 700, 1.0])
    expected = [IONS.conductivity(d_of(t), t) for t in (500.0, 700.0, 1000.0)]
    assert points.y == pytest.approx(expected)
    assert points.error_y.array == pytest.approx([0.3 * y for y in expected])
    mark = drawn["0.01 S/cm at 500 K"]
    assert (mark.x[0], mark.y[0]) == (2.0, 0.01)
    fit = drawn["fit"]
    # d ln(sigma T) / d(1/T) = -E / k_B
    x = np.asarray(fit.x) / 1000
    slope = np.polyfit(x, np.log(np.asarray(fit.y) / x), 1)[0]
    assert slope * -8.617333262e-5 == pytest.approx(ENERGY_eV, rel=1e-3)


def test_interval_of_the_line_is_that_of_the_verdict():
    """As the validation states it at 300 K, from the same runs of six blocks and the bound."""
    seen = [
        ArrheniusPoint(t, "value", d_of(t), 0.1 * d_of(t), None, 5) for t in (500.0, 700.0, 1000.0)
    ]
    bound = ArrheniusPoint(400.0, "bound", upper_bound_cm2_per_s=5 * d_of(400.0))
    room = confirm([bound, *seen], IONS).room
    line = arrhenius.fitted_line(arrhenius_validation(bound_K=400.0))
    found = (line.low[0], line.value[0], line.high[0])
    assert found == pytest.approx((room.low, room.value, room.high), rel=1e-6)


def test_bounds_are_drawn_and_take_part_in_the_fit():
    validation = arrhenius_validation(bound_K=400.0)
    names = {t.name: t for t in arrhenius.plotly(validation).data}
    bound = names["upper bound, 95 %"]
    assert bound.x == pytest.approx([2.5])
    assert bound.y[0] == pytest.approx(5 * IONS.conductivity(d_of(400.0), 400.0))
    with_bound = arrhenius.fitted_line(validation).value[0]
    assert with_bound < arrhenius.fitted_line(arrhenius_validation(bound_K=None)).value[0]
    assert_well_drawn(printed(arrhenius.plotly(validation)), arrhenius.plotly(validation))


def test_one_temperature_makes_no_line():
    validation = arrhenius_validation((1000.0,), bound_K=None)
    assert arrhenius.fitted_line(validation) is None
    assert "fit" not in {t.name for t in arrhenius.plotly(validation).data}
    printed(arrhenius.plotly(validation))


def test_validation_that_says_nothing_is_refused():
    with pytest.raises(FigureError, match="None of its runs"):
        arrhenius.plotly(arrhenius_validation((), bound_K=None))


def test_figures_are_json_without_nan():
    text = arrhenius.plotly(arrhenius_validation()).to_json()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_conductivities_of_materials_share_an_axis_and_are_told_apart_by_marks():
    several = [arrhenius_validation(bound_K=400.0 if k % 2 else None) for k in range(6)]
    interactive = conductivities.plotly(several)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    lines = [trace for trace in interactive.data if trace.mode == "lines"]
    points = [trace for trace in interactive.data if trace.error_y.array is not None]
    assert len(lines) == len(points) == 6
    seen = {(trace.marker.color, trace.marker.symbol[0]) for trace in points}
    assert len({trace.marker.color for trace in points}) == len(seen) == 6
    with_bound = points[1]
    assert with_bound.marker.symbol[-1] == "triangle-down-open"
    assert with_bound.error_y.array[-1] == 0
    expected = arrhenius.fitted_line(several[0])
    np.testing.assert_allclose(lines[0].y, expected.value)


@pytest.mark.parametrize("n", [8, 12])
def test_many_materials_all_have_marks_of_their_own(n):
    several = [arrhenius_validation(bound_K=400.0) for _ in range(n)]
    interactive = conductivities.plotly(several)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    points = [trace for trace in interactive.data if trace.error_y.array is not None]
    for which in (0, -1):  # values, and upper bounds
        marks = {(trace.marker.color, trace.marker.symbol[which]) for trace in points}
        assert len(marks) == n
    assert len({trace.marker.symbol[-1] for trace in points[:7]}) == 1
    fits = [trace for trace in interactive.data if trace.mode == "lines"]
    assert len({(trace.line.color, trace.line.dash) for trace in fits}) == n
    lines = static.axes[0].lines
    drawn = {
        (one.get_color(), one.get_marker(), one.get_fillstyle())
        for one in lines
        if one.get_marker() not in ("None", None, "", "x", "_")
    }
    assert len(drawn) == 2 * n
    dashed = [one for one in lines if one.get_linestyle() != "None" and len(one.get_xdata()) == 60]
    assert len({(one.get_color(), one.get_linestyle()) for one in dashed}) == n
    # Side by side: no two at one place, at 500 K none more than 8 K from it.
    for place, temperature in enumerate((500.0, 700.0, 1000.0)):
        x = [trace.x[place] for trace in points]
        assert len(set(x)) == n
        assert np.mean(x) == pytest.approx(1000 / temperature)
        assert max(abs(1000 / one - temperature) for one in x) < 8 * (temperature / 500) ** 2
        assert {trace.customdata[place] for trace in points} == {f"{temperature:g} K"}
    assert all(trace.x[0] != 2.0 for trace in points)


def test_a_single_material_stays_at_its_temperatures():
    (points,) = [
        trace
        for trace in conductivities.plotly([arrhenius_validation(bound_K=None)]).data
        if trace.error_y.array is not None
    ]
    assert points.x == pytest.approx([2.0, 1000 / 700, 1.0])


def test_validations_that_say_nothing_have_no_figure_of_conductivities():
    with pytest.raises(FigureError, match="None of 1 validations"):
        conductivities.plotly([arrhenius_validation((), bound_K=None)])
