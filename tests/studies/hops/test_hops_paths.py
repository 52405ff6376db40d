"""The comparison of barriers with the literature, on rows with known answers."""

import json

import pytest

from studies.hops.paths import (
    barrier_quality,
    clearance_of_line,
    ion_table,
    is_broken,
    methods_of,
    quality_table,
    read_paths,
)
from superionic.errors import InputError

ROW = {
    "id": "a",
    "formula": "LiCl",
    "structure_ini": {
        "lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
        "species": ["Li", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
    },
    "li_start": [0, 0, 0],
    "li_end": [0.5, 0, 0],
    "barrier_eV": 0.4,
    "mace_relax_eV": 0.3,
    "mace_norelax_eV": None,
}


def test_hops_are_read_with_what_others_found(tmp_path):
    file = tmp_path / "paths.jsonl"
    file.write_text(json.dumps(ROW) + "\n\n")
    (path,) = read_paths(file)
    assert path.structure.composition.formula == "Li1 Cl1"
    assert (path.start, path.end, path.barrier_eV) == ([0, 0, 0], [0.5, 0, 0], 0.4)
    assert path.others_eV == {"mace_relax": 0.3}
    assert methods_of([path], {"a": {"frozen": 0.7}}) == {
        "frozen": {"a": 0.7},
        "mace_relax": {"a": 0.3},
    }
    assert methods_of([path], {}) == {}


def of_sodium(**changes):
    """Return the row as the file of other ions has it."""
    row = {key: value for key, value in ROW.items() if not key.startswith("li_")}
    cell = ROW["structure_ini"] | {"species": ["Na", "Cl"]}
    moved = {"ion": "Na", "start": [0, 0, 0], "end": [0.5, 0, 0], "structure_ini": cell}
    return row | moved | changes


def paths_of(tmp_path, *rows):
    file = tmp_path / "others.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return read_paths(file)


def test_hops_of_other_ions_are_read_with_their_ion(tmp_path):
    lithium, sodium = paths_of(tmp_path, ROW, of_sodium(id="b"))
    assert (lithium.ion, sodium.ion) == ("Li", "Na")
    assert sodium.end == [0.5, 0, 0]


def test_a_line_through_an_ion_and_a_cell_with_two_ions_in_one_place_are_told(tmp_path):
    through = ROW["structure_ini"] | {"frac_coords": [[0, 0, 0], [0.75, 0.02, 0]]}
    double = ROW["structure_ini"] | {"frac_coords": [[0, 0, 0], [0, 0.1, 0]]}
    free, crossed, broken = paths_of(
        tmp_path,
        of_sodium(),
        # The shorter way to the end leads through the boundary of the cell.
        of_sodium(id="b", structure_ini=through | {"species": ["Na", "Ru"]}, end=[0.6, 0, 0]),
        of_sodium(id="c", structure_ini=double),
    )
    assert clearance_of_line(crossed) == (0.08, "Ru")
    distance, element = clearance_of_line(free)
    assert (distance, element) == (2.83, "Cl")
    assert [is_broken(path) for path in (free, crossed, broken)] == [False, False, True]


def test_the_table_of_an_ion_counts_what_is_right_and_sets_outliers_apart(tmp_path):
    barriers = {"a": 0.4, "b": 0.6, "c": 0.3, "d": 7.0}
    rows = [of_sodium(id=name, barrier_eV=value) for name, value in barriers.items()]
    methods = {
        "ours": {"a": 0.45, "b": 0.55, "c": 0.63, "d": 2.0, "x": 1.0},
        "MACE": {"a": 0.4, "b": 0.4, "c": 0.3, "d": 0.4},
    }
    ours, theirs = ion_table(
        [*paths_of(tmp_path, *rows), *paths_of(tmp_path, ROW | {"id": "only literature"})],
        methods,
        {"a": 10.0, "b": 30.0},
    ).splitlines()[2:]
    # Right at 0.5 eV: a, b, d; at 0.65 eV all. Errors 0.05, 0.05, 0.33, and an outlier of 5.
    assert ours == "| Na | ours | 4 | 75% | 100% | 0.19 | 1.36 | 0.14, 1 | 20 |"
    assert theirs == "| Na | MACE | 4 | 50% | 75% | 0.10 | 1.70 | 0.07, 1 | - |"


def test_a_broken_line_is_named(tmp_path):
    file = tmp_path / "paths.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + json.dumps({"id": "b"}) + "\n")
    with pytest.raises(InputError, match="Line 2"):
        read_paths(file)


def test_measures_of_known_barriers():
    literature = {"a": 0.1, "b": 0.3, "c": 0.6, "d": 1.0, "only here": 2.0}
    methods = {
        "exact": {"a": 0.1, "b": 0.3, "c": 0.6, "d": 1.0},
        "shifted": {"a": 0.4, "b": 0.6, "c": 0.9, "d": 1.3, "only there": 0.0},
        "reversed": {"a": 1.0, "b": 0.6, "c": 0.3, "d": 0.1},
    }
    exact, shifted, upside_down = barrier_quality(methods, literature, n_resamples=50)
    assert (exact.n, exact.n_below) == (4, 2)
    assert exact.mean_error_eV.value == 0
    assert shifted.mean_error_eV.value == pytest.approx(0.3)
    assert shifted.median_error_eV.value == pytest.approx(0.3)
    assert (shifted.spearman.value, shifted.auc.value) == (pytest.approx(1), 1)
    assert (upside_down.spearman.value, upside_down.auc.value) == (pytest.approx(-1), 0)
    assert quality_table([exact]).count("\n") == 3


def test_hops_of_one_crystal_are_drawn_together():
    literature = {f"{name}{k}": 0.3 for name in "abcd" for k in range(10)}
    errors = dict(zip("abcd", (0.0, 0.1, 0.2, 0.3), strict=True))
    methods = {"ours": {path: value + errors[path[0]] for path, value in literature.items()}}
    groups = {path: path[0] for path in literature}
    (alone,) = barrier_quality(methods, literature, n_resamples=400)
    (together,) = barrier_quality(methods, literature, groups=groups, n_resamples=400)
    widths = [q.mean_error_eV.high - q.mean_error_eV.low for q in (alone, together)]
    assert alone.mean_error_eV.value == together.mean_error_eV.value == pytest.approx(0.15)
    # Ten copies of a hop say no more than one: the interval is that of four numbers.
    assert widths[1] > 2.5 * widths[0]
