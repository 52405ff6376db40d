"""Tables, CSV and JSON of a ranking."""

import csv
import io
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "store" / "builders"))

from screening_helpers import descriptors

from superionic.report.numbers import TEXT, of_row
from superionic.report.tables.export import rows_frame
from superionic.report.tables.ranking import (
    JSON_FIELDS,
    failures_table,
    ranking_csv,
    ranking_json,
    ranking_table,
    ranking_tables,
)
from superionic.schemas.document import FailureDocument, Interval
from superionic.schemas.screen import DescriptorsDocument
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked

WARNINGS = [
    {"code": "relaxed", "text": "One."},
    {"code": "relaxed", "text": "Two, with a comma; and more."},
    {"code": "ordered", "text": "Three."},
]


def rows():
    outputs = [
        descriptors("a", xi=0.25, mpe_eV=None, warnings=WARNINGS),
        descriptors("[b]", xi=0.5, mpe_eV=0.125, formula="Li6PS5Cl"),
    ]
    found = [screening_document([DescriptorsDocument.model_validate(o)]) for o in outputs]
    return ranked(found, "xi")


def test_json_has_the_documented_fields_in_order():
    best, other = json.loads(ranking_json(rows(), "xi"))
    assert tuple(best) == JSON_FIELDS
    assert (best["material_id"], best["rank"], best["mpe_eV"], best["xi"]) == ("[b]", 1, 0.125, 0.5)
    assert other["mpe_eV"] is None
    assert other["warnings"] == WARNINGS


def test_csv_can_be_read_back():
    best, other = csv.DictReader(io.StringIO(ranking_csv(rows(), "xi")))
    assert (best["formula"], float(best["mpe_eV"])) == ("Li6PS5Cl", 0.125)
    assert (other["mpe_eV"], other["warnings"]) == ("", "relaxed;relaxed;ordered")


def learned_rows():
    exact, learned = rows()
    bounds = {
        "mpe_eV": Interval(low=0.4, high=0.449),
        "xi": Interval(low=0.9, high=0.95),
        "barrier_1d_eV": Interval(low=0.4, high=0.4),
        "barrier_3d_eV": Interval(low=1.25, high=None),
    }
    changes = {"intervals": bounds, "mpe_eV": 0.421, "barrier_1d_eV": 0.4, "xi": 0.92}
    return exact, learned.model_copy(update=changes | {"ending": "budget"})


def test_learned_numbers_have_their_intervals_beside_them():
    exact, learned = learned_rows()
    table = ranking_table([exact, learned])
    assert "0.42 [0.40, 0.45]" in table
    assert "0.92 [0.90, 0.95]" in table
    assert "0.125" in table
    assert table.count("[0.") == 2
    first, second = csv.DictReader(io.StringIO(ranking_csv([exact, learned])))
    assert (second["mpe_eV_low"], second["mpe_eV_high"], second["ending"]) == (
        "0.4",
        "0.449",
        "budget",
    )
    assert (second["barrier_3d_eV_low"], second["barrier_3d_eV_high"]) == ("1.25", "")
    assert first["mpe_eV_low"] == first["ending"] == ""
    frame = rows_frame([exact, learned])
    assert frame["xi_high"].tolist()[1] == 0.95
    assert "intervals" not in frame


def test_a_bound_that_is_not_known_is_said_so():
    _, learned = learned_rows()
    shown = {
        name: of_row(learned, name, TEXT)
        for name in ("barrier_1d_eV", "barrier_3d_eV", "fv_connected")
    }
    assert shown["barrier_1d_eV"] == "0.400"  # known: its interval has no width
    assert shown["barrier_3d_eV"] == "none [1.25, ?]"
    assert shown["fv_connected"] == "0.100"


def test_names_are_neither_formulas_nor_commands():
    formula, command = "=HYPERLINK(A1)", "\x1b[2J\u202eb"
    outputs = [descriptors(name, xi=0.5, mpe_eV=-0.5) for name in (formula, command)]
    found = ranked(screening_document([DescriptorsDocument.model_validate(o)]) for o in outputs)
    read = list(csv.DictReader(io.StringIO(ranking_csv(found))))
    assert {row["material_id"] for row in read} == {f"'{formula}", r"\x1b[2J\u202eb"}
    assert {row["mpe_eV"] for row in read} == {"-0.5"}
    table = ranking_table(found)
    assert all(line.isprintable() for line in table.splitlines())
    assert formula in table


def test_a_table_comes_in_parts_that_go_on_below_each_other():
    """The first rows are there before the others; a column that comes later has its head then."""
    (row,) = rows()[:1]
    many = [row.model_copy(update={"material_id": f"m{i}"}) for i in range(700)]
    many[600] = many[600].model_copy(update={"present": ["label"], "label_verdict": "melted"})
    taken = []
    parts = ranking_tables(taken.append(one) or one for one in many)
    first = next(parts).splitlines()
    assert len(taken) <= 100
    second, third = (part.splitlines() for part in parts)
    assert len(first) + len(second) + len(third) == 700 + 2
    assert first[0].split()[:3] == ["rank", "formula", "id"]
    assert second[0].index("m50") == first[1].index("m0")
    assert "dynamics" in third[0]
    assert "melted" in third[51]


def test_table_shows_each_warning_once_and_no_markup():
    head, first, second = ranking_table(rows(), "xi").splitlines()
    assert head.split()[:3] == ["rank", "formula", "id"]
    assert first.split()[:4] == ["1", "Li6PS5Cl", "[b]", "0.125"]
    assert second.split()[:4] == ["2", "LiCl", "a", "none"]
    assert second.endswith("relaxed, ordered")


def test_nothing_to_show_is_said():
    assert ranking_table([]) == "No materials."
    assert json.loads(ranking_json([])) == []
    assert ranking_csv([]).split(",")[0] == JSON_FIELDS[0]


def test_failures_are_listed_with_what_to_do():
    failure = FailureDocument(
        key="k",
        material_id="half.cif",
        source="half.cif",
        code="unreadable_file",
        message="It is cut.",
        hint="Copy it again.",
        last_updated="now",
    )
    text = failures_table([failure])
    assert "1 could not be computed" in text
    assert "half.cif [unreadable_file]: It is cut. Copy it again." in text
