"""Rows that are published name their sources as anyone could find them."""

from pathlib import Path

import pytest

from superionic.report.export import read_rows_file

ROOT = Path(__file__).parents[2]
N_ROWS = {
    "screening_1000K.jsonl": 220,
    "screening_obelix.jsonl": 166,
    "screening_obelix_tensornet.jsonl": 37,
    "screening_untouched.jsonl": 30,
}


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("screening_*.jsonl")))
def test_sources_are_not_folders_of_one_machine(path):
    rows = read_rows_file(path)
    assert len(rows) == N_ROWS[path.name]
    assert [row.source for row in rows if Path(row.source).is_absolute()] == []
