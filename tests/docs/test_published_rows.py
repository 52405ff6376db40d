"""Published rows: where they come from, whose predictions they have, what was validated."""

import hashlib
import json
from pathlib import Path

import pytest

import superionic.network
from superionic.report.tables.export import read_rows_file

ROOT = Path(__file__).parents[2]
N_ROWS = {
    "screening_carriers.jsonl": 88,
    "screening_champions.jsonl": 34,
    "screening_1000K.jsonl": 220,
    "screening_liion.jsonl": 22,
    "screening_obelix.jsonl": 166,
    "screening_obelix_tensornet.jsonl": 37,
    "screening_untouched.jsonl": 30,
}


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("screening_*.jsonl")))
def test_sources_are_not_folders_of_one_machine(path):
    rows = read_rows_file(path)
    assert len(rows) == N_ROWS[path.name]
    assert [row.source for row in rows if Path(row.source).is_absolute()] == []


@pytest.mark.parametrize(
    "name", ["screening_1000K.jsonl", "screening_obelix.jsonl", "screening_untouched.jsonl"]
)
def test_predictions_are_those_of_the_network_of_the_package(name):
    network = Path(superionic.network.__file__).parent / "models" / "force_network.pt"
    digest = hashlib.sha256(network.read_bytes()).hexdigest()
    rows = read_rows_file(ROOT / "datasets" / name)
    assert {row.network_sha256 for row in rows} == {digest}


def test_nine_of_the_validated_ones_are_still_among_the_ten_best():
    rows = read_rows_file(ROOT / "datasets/screening_1000K.jsonl")
    validated = json.loads((ROOT / "datasets/validation_best.json").read_text())
    best = sorted(rows, key=lambda row: row.ranks["consensus"])[:10]
    verdicts = {one["material_id"]: one["verdict"] for one in validated}
    assert len({row.material_id for row in best} & set(verdicts)) == 9
    found = {row.material_id: row.validation_verdict for row in rows if row.validation_verdict}
    assert found == verdicts
