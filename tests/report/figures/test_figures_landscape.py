"""Figures of landscapes: drawn data are the documents' data."""

import json
import subprocess
import sys

import numpy as np
import pytest
from figure_documents import (
    BARRIER_eV,
    CHANNEL_eV,
    assert_well_drawn,
    channel,
    landscape_document,
    licl,
)
from pymatgen.core import Lattice, Structure

from superionic.errors import FigureError
from superionic.landscape.grid import Grid
from superionic.report.figures import landscape, path, style, volume
from superionic.report.figures.isosurface import surface
from superionic.report.figures.scene import scene_of, scene_of_landscape
from superionic.report.figures.wrapping import wrapped
from superionic.report.figures.write import plotly_json

PUBLISHED_BARRIER_eV = 0.22191810607910156
PUBLISHED_FREE_VOLUME = 0.14564302884615385


@pytest.fixture(scope="module")
def published():
    return scene_of(licl())


@pytest.fixture(scope="module")
def easy():
    return scene_of(channel())


def test_scene_has_the_published_numbers(published):
    """Barrier and free volume of LiCl as the authors' code gives them."""
    assert published.path.highest_eV == pytest.approx(PUBLISHED_BARRIER_eV, abs=1e-6)
    threshold, fraction, _ = published.volume.marked[0]
    assert (threshold, fraction) == (0.5, pytest.approx(PUBLISHED_FREE_VOLUME, abs=1e-9))


def test_scene_of_a_known_channel(easy):
    assert easy.barriers_eV == pytest.approx((BARRIER_eV, CHANNEL_eV, CHANNEL_eV), abs=1e-9)
    found = easy.path
    assert found.highest_eV == pytest.approx(BARRIER_eV)
    assert found.energies_eV[0] == pytest.approx(0.0, abs=1e-12)
    assert abs(found.fractional[-1] - found.fractional[0]) == pytest.approx([1, 0, 0], abs=1e-9)
    assert found.distances_A[-1] == pytest.approx(5.0)
    # The energy is that of the field at the points of the path.
    expected = BARRIER_eV * np.sin(np.pi * found.fractional[:, 0]) ** 2
    assert found.energies_eV == pytest.approx(expected, abs=1e-9)


def test_path_knows_the_origin_of_the_grid():
    found = scene_of(channel(origin=(0.025, 0.0, 0.0))).path
    expected = BARRIER_eV * (np.sin(np.pi * found.fractional[:, 0]) ** 2 - np.sin(np.pi / 40) ** 2)
    assert found.energies_eV == pytest.approx(expected, abs=1e-9)


def test_landscape_figure(published):
    interactive = landscape.plotly(published, [0.1, 0.5])
    assert_well_drawn(landscape.static(published, [0.1, 0.5]), interactive)
    meshes = [trace for trace in interactive.data if trace.type == "mesh3d"]
    assert [mesh.name for mesh in meshes] == ["0.10 eV", "0.50 eV"]
    block = landscape.block_of(published)
    assert block == (2, 2, 1)
    expected = surface(published.shared_eV, published.lattice, 0.5, repeats=block)
    assert np.stack([meshes[1].x, meshes[1].y, meshes[1].z], 1) == pytest.approx(
        expected.vertices_A, abs=1e-5
    )
    assert np.array_equal(np.stack([meshes[1].i, meshes[1].j, meshes[1].k], 1), expected.faces)
    assert_path_is_drawn(published, interactive, block)


def drawn_path(figure):
    """Return points in A and energies in eV of the path that a figure draws."""
    line = next(trace for trace in figure.data if trace.name.startswith("percolation path"))
    return np.stack([line.x, line.y, line.z], 1), np.asarray(line.customdata)


def assert_path_is_drawn(scene, figure, block) -> None:
    """Check that the pieces of the drawn path make the path, in the block, on the landscape."""
    drawn, energies = drawn_path(figure)
    broken = np.isnan(drawn).any(axis=1)
    assert np.array_equal(broken, np.isnan(energies))
    fractional = drawn[~broken] @ np.linalg.inv(scene.lattice)
    assert fractional.min() > -1e-5
    assert (fractional < np.array(block) + 1e-5).all()

    # Differences within pieces, put one to the other, are those along the path.
    joined = ~broken[1:] & ~broken[:-1]
    steps = np.diff(drawn, axis=0)[joined]
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.sum() == pytest.approx(scene.path.distances_A[-1], abs=1e-4)
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    path_A = scene.path.fractional @ scene.lattice
    way = np.concatenate([[[0.0] * 3], np.cumsum(steps, axis=0)])
    for axis in range(3):
        expected = np.interp(travelled, scene.path.distances_A, path_A[:, axis] - path_A[0, axis])
        assert way[:, axis] == pytest.approx(expected, abs=1e-4)
    # Every point of the path is drawn, at an image of where it is, with its energy.
    at = np.concatenate([[0.0], np.cumsum(np.where(joined, _lengths(drawn), 0.0))])
    for distance, point, energy in zip(
        scene.path.distances_A, scene.path.fractional, scene.path.energies_eV, strict=True
    ):
        places = np.flatnonzero(~broken & (abs(at - distance) < 1e-4))
        assert energies[places] == pytest.approx(np.full(len(places), energy), abs=1e-5)
        seen = drawn[places] @ np.linalg.inv(scene.lattice)
        assert len(places)
        assert seen - point == pytest.approx(np.rint(seen - point), abs=1e-4)
        shape = np.array(scene.grid.shape)
        index = np.rint((seen - np.array(scene.grid.origin)) * shape).astype(int) % shape
        assert (scene.shared_eV[tuple(index.T)] <= scene.path.highest_eV + 1e-9).all()


def _lengths(points):
    return np.nan_to_num(np.linalg.norm(np.diff(points, axis=0), axis=1))


def winding(origin=(0.0, 0.0, 0.0)):
    """Return a crystal whose easy channel rises along y, from an ion close to a face.

    ``E = 0.4 sin^2(pi x) + 1.5 (sin^2(pi (y - x - 0.8)) + sin^2(pi (z - 0.9)))``
    """
    structure = Structure(Lattice.cubic(5.0), ["Li", "Cl"], [[0, 0.8, 0.9], [0.5, 0.3, 0.4]])
    grid = Grid(np.array(structure.lattice.matrix), (20, 20, 20), origin)
    x, y, z = grid.fractional(np.arange(grid.n_points)).T
    s = [np.sin(np.pi * f) ** 2 for f in (x, y - x - 0.8, z - 0.9)]
    energies = (BARRIER_eV * s[0] + CHANNEL_eV * (s[1] + s[2])).reshape(grid.shape)
    return landscape_document([energies], structure, grid)


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (0.025, 0.01, 0.04)])
def test_path_that_leaves_the_block_comes_in_again(origin):
    scene = scene_of(winding(origin))
    for block in ((1, 1, 1), (2, 1, 1)):
        for compact in (False, True):
            figure = landscape.plotly(scene, [0.5], repeats=block, compact=compact)
            assert_path_is_drawn(scene, figure, block)
        static = landscape.static(scene, [0.5], repeats=block).axes[0]
        name = f"path, {scene.path.highest_eV:.2f} eV"
        line = next(one for one in static.lines if one.get_label() == name)
        assert np.stack(line.get_data_3d(), 1) == pytest.approx(
            drawn_path(landscape.plotly(scene, [0.5], repeats=block))[0], abs=1e-5, nan_ok=True
        )
    drawn, _ = drawn_path(landscape.plotly(scene, [0.5], repeats=(1, 1, 1)))
    assert np.isnan(drawn).any()  # it does leave a cell


def test_path_in_a_narrow_window_is_drawn_in_one_cell(published):
    """A report shows one cell, of which most of this path lies outside."""
    compact = landscape.plotly(published, compact=True)
    assert_path_is_drawn(published, compact, (1, 1, 1))
    axes = compact.layout.scene
    corners = landscape._edges(published.lattice, (1, 1, 1))
    for axis, values in zip((axes.xaxis, axes.yaxis, axes.zaxis), corners.T, strict=True):
        ends = (np.nanmin(values) - landscape.MARGIN_A, np.nanmax(values) + landscape.MARGIN_A)
        assert axis.range == pytest.approx(ends, abs=1e-3)


def test_line_along_a_face_stays_on_its_side():
    line = np.array([[0.5, 0.5, 0.5], [1.0, 0.5, 0.5], [1.0, 0.8, 0.5], [1.2, 0.8, 0.5]])
    points, values = wrapped(line, np.array([0.0, 1.0, 2.0, 3.0]), (1, 1, 1))
    nothing = [np.nan] * 3
    expected = [*line[:3], nothing, [0.0, 0.8, 0.5], [0.2, 0.8, 0.5]]
    assert points == pytest.approx(np.array(expected), nan_ok=True)
    assert values == pytest.approx([0, 1, 2, np.nan, 2, 3], nan_ok=True)
    # A segment over an edge is cut at both faces, its value interpolated.
    points, values = wrapped(
        np.array([[0.5, 0.5, 0], [2.5, 1.25, 0]]), np.array([0.0, 4.0]), (2, 1, 1)
    )
    assert values == pytest.approx([0, 8 / 3, np.nan, 8 / 3, 3, np.nan, 3, 4], nan_ok=True)
    ends = [[0.5, 0.5, 0], [11 / 6, 1, 0], nothing, [11 / 6, 0, 0], [2, 0.0625, 0]]
    ends += [nothing, [0, 0.0625, 0], [0.5, 0.25, 0]]
    assert points == pytest.approx(np.array(ends), nan_ok=True)


def test_all_atoms_of_the_block_are_drawn(easy):
    traces = {t.name: t for t in landscape.plotly(easy, [0.5], repeats=(2, 1, 1)).data}
    assert len(traces["Li"].x) == 3 * 2 * 2  # the corners of two cells
    assert sorted(traces["Cl"].x) == pytest.approx([2.5, 7.5])
    assert sorted(set(np.round(traces["Li"].x, 4))) == [0.0, 5.0, 10.0]


def test_slider_shows_one_level_at_a_time_first_the_percolating_one(easy):
    figure = landscape.plotly(easy)
    levels = landscape.default_levels(easy)
    assert levels == [0.42, 0.5, 1.52]
    meshes = [i for i, trace in enumerate(figure.data) if trace.type == "mesh3d"]
    assert [figure.data[i].visible for i in meshes] == [True, False, False]
    steps = figure.layout.sliders[0].steps
    assert [step.label for step in steps] == ["0.42 eV", "0.50 eV", "1.52 eV"]
    for place, step in enumerate(steps):
        visible, which = step.args
        assert list(which) == meshes
        assert [bool(v) for v in visible["visible"]] == [i == place for i in range(3)]


def test_compact_landscape_is_small_and_in_one_cell(published):
    """A report of 200 materials stays below 30 MB with 100 kB for each."""
    full = plotly_json(landscape.plotly(published, repeats=(1, 1, 1)))
    compact = landscape.plotly(published, compact=True)
    text = plotly_json(compact)
    assert len(text) < 100_000
    assert len(text) <= len(full)
    for trace in compact.data:
        if trace.type == "mesh3d":
            assert 0 < len(trace.x) <= landscape.COMPACT_VERTICES
            corner = np.stack([trace.x, trace.y, trace.z], 1) @ np.linalg.inv(published.lattice)
            assert corner.min() > -1e-4
            assert corner.max() < 1 + 1e-4
    mesh = next(t for t in json.loads(text)["data"] if t["type"] == "mesh3d")
    assert {mesh["i"]["dtype"], mesh["x"]["dtype"]} == {"u2", "f4"}


def test_level_with_nothing_below_says_so(easy):
    figure = landscape.plotly(easy, [50.0])
    assert figure.data[0].name == "50.00 eV: nothing"
    landscape.static(easy, [50.0])
    with pytest.raises(FigureError, match="no surface"):
        landscape.plotly(easy, [-1.0])


def test_landscape_without_a_way_out_is_drawn_without_path():
    """Evaluated below a level alone, an ion may never reach a face."""
    structure = Structure(Lattice.cubic(5.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    energies = np.full((8, 8, 8), np.inf)
    energies[0, 0, 0], energies[1, 0, 0] = 0.0, 0.3
    grid = Grid(np.array(structure.lattice.matrix), (8, 8, 8))
    scene = scene_of(landscape_document([energies], structure, grid))
    assert scene.path is None
    assert scene.barriers_eV == (np.inf,) * 3
    assert landscape.default_levels(scene) == [0.5]
    assert not any("path" in t.name for t in landscape.plotly(scene).data)
    landscape.static(scene)


def test_path_ends_at_a_face_of_the_window_not_at_a_minimum(published):
    """Along one vector it moved by a whole cell; along the others it need not have."""
    found = published.path
    assert found.energies_eV[0] == pytest.approx(0, abs=1e-12)
    assert found.energies_eV[-1] > 0.1
    moved = found.fractional[-1] - found.fractional[0]
    assert abs(moved).max() == pytest.approx(1)
    assert not np.allclose(moved, np.rint(moved), atol=0.01)


def test_path_figure(published):
    static, interactive = path.static(published.path), path.plotly(published.path)
    assert_well_drawn(static, interactive)
    line = max(static.axes[0].lines, key=lambda one: len(one.get_xdata()))
    assert line.get_xdata() == pytest.approx(published.path.distances_A)
    assert line.get_ydata() == pytest.approx(published.path.energies_eV)
    assert interactive.data[0].y == pytest.approx(published.path.energies_eV)
    assert max(line.get_ydata()) == pytest.approx(PUBLISHED_BARRIER_eV, abs=1e-6)
    assert "0.222 eV" in interactive.layout.annotations[0].text
    assert interactive.layout.shapes[0].y0 == pytest.approx(PUBLISHED_BARRIER_eV, abs=1e-6)


def test_volume_figure(published):
    curve = published.volume
    static, interactive = volume.static(curve), volume.plotly(curve)
    assert_well_drawn(static, interactive)
    fraction, per_ion = (panel.lines[0] for panel in static.axes)
    # The volume below 0.5 eV, counted point by point.
    at = np.argmin(abs(fraction.get_xdata() - 0.5))
    assert fraction.get_ydata()[at] == pytest.approx((published.shared_eV < 0.5).mean())
    maps = [e - e.min() for e in map(np.asarray, _maps(licl()))]
    cell = abs(np.linalg.det(published.lattice))
    assert per_ion.get_ydata()[at] == pytest.approx(
        np.mean([(m < 0.5).mean() for m in maps]) * cell
    )
    marks = [t for t in interactive.data if t.name.startswith("free volume at")]
    assert [(m.x[0], m.y[0]) for m in marks] == [pytest.approx(m[:2]) for m in curve.marked]
    assert [shape.x0 for shape in interactive.layout.shapes] == [0.5, 2.0]


def _maps(document):
    return [energies for _, energies in document.landscape().maps()]


def test_landscape_that_was_just_computed_gives_the_same_scene(easy):
    one = scene_of_landscape(channel().landscape(), easy.about)
    assert np.array_equal(one.shared_eV, easy.shared_eV)
    assert one.about == easy.about


def test_missing_package_is_said(easy, monkeypatch):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    for draw in (landscape.plotly, landscape.static):
        with pytest.raises(FigureError) as caught:
            draw(easy)
        assert "pip install 'superionic[report]'" in caught.value.hint


def test_nothing_heavy_is_imported_before_a_figure_is_drawn():
    code = (
        "import sys, superionic.cli.app, superionic.report.figures.kinds;"
        "print({'plotly', 'matplotlib', 'skimage', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr


def test_titles_show_markup_as_text():
    document = channel().model_copy(update={"material_id": "<b>x</b>$a_b$"})
    scene = scene_of(document)
    assert "&lt;b&gt;x&lt;/b&gt;" in landscape.plotly(scene).layout.title.text
    assert "<b>" not in plotly_json(landscape.plotly(scene))
    from superionic.report.figures.write import image_bytes

    assert image_bytes(path.static(scene.path), "svg")
