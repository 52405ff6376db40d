"""Figures of landscapes: drawn data are the documents' data."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace

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
from superionic.report.figures.crystal import Crystal, ball, blocks_of, repeated, tube
from superionic.report.figures.isosurface import surface
from superionic.report.figures.path import wrapped
from superionic.report.figures.printed import printed
from superionic.report.figures.scene import scene_of, scene_of_landscape
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


def computed(scene, repeats=(1, 1, 1)):
    """Return the block of the cell as it was computed."""
    return repeated(blocks_of(scene.structure, one_cell=True)[-1], repeats)


def by_name(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def points_of(trace):
    return np.stack([trace.x, trace.y, trace.z], 1)


def test_landscape_figure(published):
    block = computed(published)
    interactive = landscape.plotly(published, [0.1, 0.5], blocks=[block])
    assert_well_drawn(printed(interactive), interactive)
    # Wurtzite is computed in its conventional cell: there is none to choose.
    assert not interactive.layout.updatemenus
    assert [block.name for block in blocks_of(published.structure)] == ["computed cell"]
    levels = [trace for trace in interactive.data if "<i>E</i>" in (trace.name or "")]
    assert [trace.name for trace in levels] == [
        "<i>E</i> &lt; 0.10 eV",
        "<i>E</i> &lt; 0.50 eV (2D)",
    ]
    expected = surface(published.shared_eV, block, 0.5)
    assert points_of(levels[1]) == pytest.approx(expected.vertices_A, abs=1e-5)
    assert np.array_equal(np.stack([levels[1].i, levels[1].j, levels[1].k], 1), expected.faces)
    names = by_name(interactive)
    assert names["Li (mobile)"].color == "#86DF73"  # as VESTA has it, whatever else is there
    assert names["Cl"].color == "#31FC02"
    energy = next(trace for trace in interactive.data if (trace.meta or {}).get("role") == "energy")
    assert energy.y == pytest.approx(published.path.energies_eV)


def test_the_conventional_cell_is_shown_first_and_the_computed_one_by_a_button():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    grid = Grid(np.array(salt.lattice.matrix), (8, 8, 8))
    x, y, z = grid.fractional(np.arange(grid.n_points)).T
    energies = sum(np.sin(np.pi * f) ** 2 for f in (x, y, z)).reshape(grid.shape)
    scene = scene_of(landscape_document([energies], salt, grid))
    conventional, cell = blocks_of(salt)
    assert (conventional.name, cell.name) == ("conventional cell", "computed cell")
    assert conventional.edges_A == pytest.approx(5.1 * np.eye(3), abs=1e-6)
    assert abs(np.linalg.det(conventional.rows)) == pytest.approx(4)
    # Corners and centres of faces, or edges and the centre of the body: the cube of rock salt.
    sites = {name: len(found) for name, found in atoms_of(scene, conventional).items()}
    assert sorted(sites.values()) == [13, 14]
    figure = landscape.plotly(scene, [0.5])
    first, second = figure.layout.updatemenus[0].buttons
    assert (first.label, second.label) == ("conventional cell", "computed cell")
    shown = [trace.visible is not False for trace in figure.data]
    assert [bool(v) for v in first.args[0]["visible"]] == shown
    swapped = [bool(v) for v in second.args[0]["visible"]]
    energy = [(trace.meta or {}).get("role", "").startswith("energy") for trace in figure.data]
    flat = [trace.type == "scatter" for trace in figure.data]
    assert any(energy)
    for one, other, always in zip(shown, swapped, flat, strict=True):
        assert (one and other) if always else (one != other)


def atoms_of(scene, block) -> dict[str, list]:
    """Return the drawn places of each element, those that complete polyhedra included."""
    found: dict[str, list] = {}
    for site, cell in scene.crystal.drawn(block):
        at = block.inside(scene.structure.frac_coords[site] + cell)
        found.setdefault(scene.crystal.symbol(site), []).append(at)
    return found


def test_polyhedra_stand_around_cations_of_the_framework_and_are_complete():
    """BO3 has three neighbours in a plane; PO4 a tetrahedron, all of whose corners are drawn."""
    phosphate = Structure.from_spacegroup(
        "Pnma",
        Lattice.orthorhombic(10.3, 6.0, 4.7),
        ["Li", "Fe", "P", "O", "O", "O"],
        [[0, 0, 0], [0.28, 0.25, 0.97], [0.09, 0.25, 0.42], [0.1, 0.25, 0.74],
         [0.46, 0.25, 0.21], [0.17, 0.05, 0.28]],
    )  # fmt: skip
    crystal = Crystal.of(phosphate, "Li")
    (block,) = blocks_of(phosphate)
    hulls = crystal.polyhedra(block)
    assert "Li" not in hulls
    assert len(hulls["P"].faces) % 4 == 0
    assert len(hulls["P"].vertices_A) == len(hulls["P"].faces)  # tetrahedra: four of both
    drawn = {(site, *cell) for site, cell in crystal.drawn(block)}
    for site, cell in crystal.drawn(block):
        inside = block.inside(phosphate.frac_coords[site] + cell)
        if crystal.symbol(site) == "P" and abs(inside - 0.5).max() < 0.5:
            assert {(other, *(cell + image)) for other, image in crystal.bonds[site]} <= drawn
    bonded = {crystal.symbol(k) for k, near in enumerate(crystal.bonds) if near}
    assert bonded == {"Fe", "P", "O"}, "the mobile ion's bonds are not drawn"


def test_meshes_are_closed_and_of_their_size():
    sphere = ball(2.0, np.array([1.0, 2.0, 3.0]))
    radii = np.linalg.norm(sphere.vertices_A - [1.0, 2.0, 3.0], axis=1)
    assert radii == pytest.approx(2.0, abs=1e-5)
    assert sphere.area_A2 == pytest.approx(16 * np.pi, rel=0.03)
    bent = tube(np.array([[0.0, 0, 0], [3, 0, 0], [3, 4, 0]]), 0.1, 6)
    assert len(bent.vertices_A) == 3 * 6
    assert bent.area_A2 == pytest.approx(7 * 6 * 0.1, rel=0.15)  # its six sides


def drawn(path, block):
    """Return points in A and energies in eV of the path that is drawn in a block."""
    points, along = landscape.drawn_path(path, block)
    return points, np.interp(along, path.distances_A, path.energies_eV)


def assert_path_is_drawn(scene, block) -> None:
    """Check that the pieces of the drawn path make the path, in the block, on the landscape."""
    points, energies = drawn(scene.path, block)
    broken = np.isnan(points).any(axis=1)
    assert np.array_equal(broken, np.isnan(energies))
    inside = points[~broken] @ np.linalg.inv(block.edges_A)
    assert inside.min() > -1e-5
    assert inside.max() < 1 + 1e-5
    joined = ~broken[1:] & ~broken[:-1]
    lengths = np.linalg.norm(np.diff(points, axis=0)[joined], axis=1)
    assert lengths.sum() == pytest.approx(scene.path.distances_A[-1], abs=1e-4)
    # Every point of the path is drawn, at an image of where it is, with its energy.
    at = inside @ block.rows + block.origin
    for point, energy in zip(scene.path.fractional, scene.path.energies_eV, strict=True):
        away = abs(at - point - np.rint(at - point)).max(axis=1)
        assert away.min() < 1e-4
        assert energies[~broken][away.argmin()] == pytest.approx(energy, abs=1e-5)


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
    for repeats in ((1, 1, 1), (2, 1, 1)):
        assert_path_is_drawn(scene, computed(scene, repeats))
    points, _ = drawn(scene.path, computed(scene))
    assert np.isnan(points).any()  # it does leave a cell
    # The tube is there, with a ring for each point; scripts find every point of the energy in it.
    figure = landscape.plotly(scene, [0.5], blocks=[computed(scene)])
    path_trace = next(t for t in figure.data if (t.meta or {}).get("role") == "path")
    assert len(path_trace.x) % landscape.TUBE_SIDES == 0
    at = np.array(path_trace.meta["points"])
    assert len(at) == len(scene.path.energies_eV)
    inside = at @ np.linalg.inv(computed(scene).edges_A)
    away = inside - scene.path.fractional
    assert away == pytest.approx(np.rint(away), abs=1e-3)
    saddle = by_name(figure)["its saddle"]
    centre = points_of(saddle).mean(axis=0)
    assert centre == pytest.approx(at[np.argmax(scene.path.energies_eV)], abs=0.01)


def test_path_in_a_narrow_window_is_drawn_in_one_cell(published):
    """A report shows one cell, of which most of this path lies outside."""
    assert_path_is_drawn(published, computed(published))


def test_view_holds_all_that_is_drawn(published):
    for figure in (landscape.plotly(published), landscape.plotly(published, compact=True)):
        axes = figure.layout.scene
        for trace in figure.data:
            if trace.type != "mesh3d":
                continue
            for axis, values in zip(
                (axes.xaxis, axes.yaxis, axes.zaxis), points_of(trace).T, strict=True
            ):
                assert axis.range[0] < values.min()
                assert axis.range[1] > values.max()


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
    found = atoms_of(easy, computed(easy, (2, 1, 1)))
    assert len(found["Li"]) == 3 * 2 * 2  # the corners of two cells
    assert sorted(float(at[0]) for at in found["Cl"]) == pytest.approx([0.25, 0.75])
    assert sorted({round(float(at[0]), 4) for at in found["Li"]}) == [0.0, 0.5, 1.0]


def test_two_levels_are_shown_the_others_wait_in_the_legend(easy):
    assert landscape.default_levels(easy) == [0.42, 0.21, 0.5, 1.52]
    figure = landscape.plotly(easy)
    levels = {t.name: t.visible for t in figure.data if "<i>E</i>" in (t.name or "")}
    assert levels == {
        "<i>E</i> &lt; 0.42 eV (1D)": True,
        "<i>E</i> &lt; 0.21 eV": True,
        "<i>E</i> &lt; 0.50 eV (1D)": "legendonly",
        "<i>E</i> &lt; 1.52 eV (3D)": "legendonly",
    }
    given = landscape.plotly(easy, [0.5, 0.3])
    shown = [t.name for t in given.data if "<i>E</i>" in (t.name or "") and t.visible is True]
    assert shown == ["<i>E</i> &lt; 0.30 eV", "<i>E</i> &lt; 0.50 eV (1D)"]


def test_barriers_of_surfaces_and_path_are_named_where_they_differ(easy):
    """Two ions side by side: each alone must pass the other's site, together they do not."""
    remark = landscape.plotly(easy).layout.meta["remark"]
    assert "percolate from 0.40 eV on" in remark
    assert "as published, is 0.40 eV" in remark
    assert "higher" not in remark
    apart = replace(easy, barriers_eV=(0.1, 1.5, 1.5))
    remark = apart.remark
    assert "percolate from 0.10 eV on" in remark
    assert "It is the higher one" in remark


def test_compact_landscape_is_small_and_in_one_cell(published):
    """A report of 200 materials stays below 30 MB with 150 kB for each."""
    full = plotly_json(landscape.plotly(published))
    compact = landscape.plotly(published, compact=True)
    text = plotly_json(compact)
    assert len(zlib.compress(text.encode())) * 4 / 3 < 150_000
    assert len(text) <= len(full)
    block = computed(published)
    for trace in compact.data:
        if "<i>E</i>" in (trace.name or ""):
            assert 0 < len(trace.x) <= landscape.COMPACT_VERTICES
            corner = points_of(trace) @ np.linalg.inv(block.edges_A)
            assert corner.min() > -0.01
            assert corner.max() < 1.01
    mesh = next(t for t in json.loads(text)["data"] if t["type"] == "mesh3d")
    assert {mesh["i"]["dtype"], mesh["x"]["dtype"]} == {"u2", "f4"}


def test_level_with_nothing_below_says_so(easy):
    figure = landscape.plotly(replace(easy, shared_eV=easy.shared_eV + 1.0), [0.5])
    assert figure.data[0].name == "<i>E</i> &lt; 0.50 eV: nothing"
    assert printed(figure).axes
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
    assert landscape.default_levels(scene) == [0.5, 0.25]
    figure = landscape.plotly(scene)
    assert not any("path" in (t.name or "") for t in figure.data)
    assert "No ion leaves its cell" in figure.layout.meta["remark"]
    assert printed(figure).axes


def test_path_ends_at_a_face_of_the_window_not_at_a_minimum(published):
    """Along one vector it moved by a whole cell; along the others it need not have."""
    found = published.path
    assert found.energies_eV[0] == pytest.approx(0, abs=1e-12)
    assert found.energies_eV[-1] > 0.1
    moved = found.fractional[-1] - found.fractional[0]
    assert abs(moved).max() == pytest.approx(1)
    assert not np.allclose(moved, np.rint(moved), atol=0.01)


def test_path_figure(published):
    interactive = path.plotly(published.path)
    static = printed(interactive)
    assert_well_drawn(static, interactive)
    line = max(static.axes[0].lines, key=lambda one: len(one.get_xdata()))
    assert line.get_xdata() == pytest.approx(published.path.distances_A)
    assert line.get_ydata() == pytest.approx(published.path.energies_eV)
    assert interactive.data[0].y == pytest.approx(published.path.energies_eV)
    assert max(line.get_ydata()) == pytest.approx(PUBLISHED_BARRIER_eV, abs=1e-6)
    assert interactive.data[1].text == ("0.222 eV",)
    assert interactive.layout.shapes[0].y0 == pytest.approx(PUBLISHED_BARRIER_eV, abs=1e-6)


def test_volume_figure(published):
    curve = published.volume
    interactive = volume.plotly(curve)
    static = printed(interactive)
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
    expected = [(m[0], m[row]) for row in (1, 2) for m in curve.marked]
    assert [(m.x[0], m.y[0]) for m in marks] == [pytest.approx(one) for one in expected]
    assert [shape.x0 for shape in interactive.layout.shapes] == [0.5, 2.0] * 2


def _maps(document):
    return [energies for _, energies in document.landscape().maps()]


def test_landscape_that_was_just_computed_gives_the_same_scene(easy):
    one = scene_of_landscape(channel().landscape(), easy.about)
    assert np.array_equal(one.shared_eV, easy.shared_eV)
    assert one.about == easy.about


def test_missing_package_is_said(easy, monkeypatch):
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    for draw in (lambda: landscape.plotly(easy), lambda: printed(None)):
        with pytest.raises(FigureError) as caught:
            draw()
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

    assert image_bytes(printed(path.plotly(scene.path)), "svg")
