"""Labels of several files: the longest run of a crystal counts."""

from pathlib import Path

import pytest

from superionic.report.tables.labels import (
    read_data_set,
    read_data_sets,
    runs_that_count,
    write_data_set,
)

DATA = Path(__file__).parents[3] / "datasets" / "labels_1000K.jsonl"


@pytest.fixture(scope="module")
def template():
    return read_data_set(DATA)[0]


def test_the_latest_rules_count_then_the_longest_run_then_the_first(template):
    def run(n_steps, slope, **changes):
        settings = template.settings | {"n_steps": n_steps}
        changes |= {"settings": settings, "msd_slope_A2_per_ps": slope}
        return template.model_copy(update=changes)

    short, long, other = run(5000, 1.0), run(15000, 2.0), run(15000, 3.0)
    # Where a run ended does not count: a melt ends it early.
    melted = run(20000, 4.0, verdict="melted", production_ps=3.0)
    assert runs_that_count([short, long, other]) == [long]
    assert runs_that_count([long, short, melted]) == [melted]
    # It was judged by rules that have changed since.
    again = run(5000, 5.0, analysis_version=template.analysis_version + 1)
    assert runs_that_count([long, again, melted]) == [again]
    different = [
        run(5000, 5.0, **change)
        for change in (
            {"material_id": "another"},
            {"mobile_species": "Na"},
            {"potential": "sevennet:0"},
            {"potential_weights_sha256": "0" * 64},
            {"temperature_K": 900.0},
            {"seed": 7},
        )
    ]
    assert runs_that_count([long, *different]) == [long, *different]


def test_data_sets_are_read_together(template, tmp_path):
    longer = template.model_copy(
        update={"settings": template.settings | {"n_steps": 15000}, "task_key": "longer"}
    )
    write_data_set([longer], tmp_path / "longer.jsonl")
    together = read_data_sets([DATA, tmp_path / "longer.jsonl"])
    assert len(together) == len(read_data_set(DATA))
    assert [one.task_key for one in together if one.material_id == template.material_id] == [
        "longer"
    ]
    assert read_data_sets([]) == []
