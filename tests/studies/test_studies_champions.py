"""The list of conductors and poor conductors, and the groups of similar samples."""

import csv
import json
from collections import Counter

from studies.champions import (
    DIAGNOSIS,
    FAST,
    LIST,
    POOR,
    RESULT,
    ROOT,
    by_hand,
    champions,
    diagnosis,
    moved_A,
    percentiles,
    ranked_rows,
    table,
)
from studies.obelix_splits import joined


def test_the_list_is_what_the_rule_gives_and_the_table_what_the_rows_give(shared):
    rows = ranked_rows()
    with LIST.open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    assert [*champions(shared / "data", rows), *by_hand()] == listed
    assert table(listed, rows) == RESULT.read_text()
    assert diagnosis(listed, rows) == DIAGNOSIS.read_text()


def test_every_crystal_of_the_list_has_a_source_a_structure_and_its_role():
    with LIST.open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    roles = Counter(line["role"] for line in listed)
    assert roles["conductor"] >= 25
    assert roles["poor"] >= 40
    files = ("obelix_crystals", "obelix_crystals_larger", "label_1000K_crystals")
    known = {
        json.loads(line)["material_id"]
        for name in files
        for line in (ROOT / "workflows" / f"{name}.jsonl").read_text().splitlines()
    }
    other_ions = {path.stem for path in (ROOT / "workflows" / "other_ions").glob("*.cif")}
    for line in listed:
        value = float(line["conductivity_S_per_cm"])
        if line["mobile_species"] != "Li":
            assert line["material_id"] in other_ions
            assert line["sample"]
        assert value >= FAST if line["role"] == "conductor" else value <= POOR
        assert line["material_id"] in known | other_ions
        assert line["licence"] in ("CC BY 4.0", "BSD-3-Clause")
    assert sum(bool(line["doi"]) for line in listed) > 0.9 * len(listed)
    assert len({line["formula"] for line in listed}) == len(listed)
    assert {line["mobile_species"] for line in listed} == {"Li", "Na", "Ag", "F", "O"}


def test_a_percentile_counts_those_below_among_the_rows_of_the_ion():
    rows = [row for row in ranked_rows() if row.mobile_species == "Ag"]
    found = percentiles(rows)
    assert set(found) == {"xi", "barrier", "free_volume", "consensus"}
    best = max(rows, key=lambda row: row.xi)
    # A fifth of five steps of a quarter.
    assert sorted(found["xi"].values()) == [0, 25, 50, 75, 100]
    assert found["xi"][best.material_id] == 100


def test_samples_that_share_a_key_are_one_group_however_long_the_chain():
    assert joined([["a"], ["b"], ["c", "a"], ["c", "b"], ["d"]]) == [0, 0, 0, 0, 4]
    assert joined([["a"], ["b"], ["a", "c"], ["c"]]) == [0, 1, 0, 0]
    assert joined([[], []]) == [0, 1]


def test_what_may_hold_a_conductor_back_is_said_by_the_rules():
    rows = ranked_rows()
    with LIST.open(newline="") as stream:
        listed = list(csv.DictReader(stream))
    text = diagnosis(listed, rows)
    cells_of = [line.split("|")[1:-1] for line in text.splitlines()]
    of_id = {cells[1].strip(): cells for cells in cells_of}
    nitride = of_id["mp-2251"]
    assert [cell.strip() for cell in nitride[-4:]] == ["1.99", "0.46", "-0.26", "neighbours, order"]
    (argyrodite,) = (row for row in rows if row.material_id == "obelixapprox-122")
    assert moved_A(argyrodite) == 0.68
    assert "moved" in of_id["obelixapprox-122"][-1]
    of_lithium = [one for one in listed if one["mobile_species"] == "Li"]
    assert len(of_id) == sum(one["role"] == "conductor" for one in of_lithium) + 2  # head and rule
