"""Rows for other programs: JSON lines, pandas and OPTIMADE."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "store" / "builders"))

from part_documents import CRYSTAL, prediction
from pymatgen.core import Lattice, Structure
from screening_helpers import descriptors

from superionic.errors import SettingsError
from superionic.report.tables.export import (
    optimade_resource,
    optimade_response,
    read_rows_file,
    rows_frame,
    rows_jsonl,
)
from superionic.store.builders.documents import read_document
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked


def rows():
    warnings = [{"code": "relaxed", "text": "One."}]
    return ranked(
        [
            screening_document([read_document(descriptors("a", xi=0.2, warnings=warnings))]),
            screening_document([read_document(prediction("b", 0.5))]),
        ]
    )


def test_json_lines_come_back_whole(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_jsonl(rows()) + "\n")
    assert read_rows_file(file) == rows()
    file.write_text(file.read_text() + '{"key": 1}\n')
    with pytest.raises(SettingsError, match="Line 3"):
        read_rows_file(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_rows_file(tmp_path / "nothing")


def test_rows_of_an_older_version_get_the_keys_of_today(tmp_path):
    file = tmp_path / "rows.jsonl"
    old = rows()[0].model_copy(update={"key": "of 2.2", "schema_version": "2.2"})
    file.write_text(old.model_dump_json() + "\n")
    assert [row.key for row in read_rows_file(file)] == [rows()[0].key]


def test_a_frame_has_one_row_a_material_and_flat_columns():
    frame = rows_frame(rows()).set_index("material_id")
    assert frame.loc["a", "xi"] == 0.2
    assert frame.loc["b", "rank_network"] == 1
    assert frame.loc["b", "score_network"] == 0.5
    assert frame.loc["a", "warnings"] == "relaxed"
    assert frame["xi"].isna().tolist() == [False, True]
    assert "xi" in rows_frame([]).columns


def test_optimade_accepts_the_response():
    models = pytest.importorskip("optimade.models")
    found = rows()
    response = optimade_response(found, {row.key: CRYSTAL for row in found[:1]})
    parsed = models.StructureResponseMany.model_validate(json.loads(json.dumps(response)))
    assert parsed.meta.data_returned == len(parsed.data) == 1
    attributes = parsed.data[0].attributes
    assert attributes.chemical_formula_reduced == "ClLi"
    assert attributes.nsites == 2
    own = response["data"][0]["attributes"]
    assert own["_superionic_xi"] == 0.2
    assert own["_superionic_rank_xi"] == 1
    assert all(name == name.lower() for name in own)


def test_optimade_formulas_of_a_bigger_cell():
    models = pytest.importorskip("optimade.models")
    species = ["Li"] * 6 + ["P"] * 2 + ["O"] * 8
    crystal = Structure(Lattice.cubic(6), species, [[i / 16, 0, 0] for i in range(16)])
    resource = optimade_resource(rows()[0], crystal)
    parsed = models.StructureResource.model_validate(resource)
    assert parsed.attributes.chemical_formula_reduced == "Li3O4P"
    assert parsed.attributes.chemical_formula_anonymous == "A4B3C"
    assert parsed.attributes.elements_ratios == [0.375, 0.5, 0.125]
