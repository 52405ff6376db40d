"""Rows that are published name their sources as anyone could find them."""

from pathlib import Path

import pytest

from superionic.report.export import read_rows_file

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("screening_*.jsonl")))
def test_sources_are_not_folders_of_one_machine(path):
    rows = read_rows_file(path)
    assert len(rows) >= 30
    assert [row.source for row in rows if Path(row.source).is_absolute()] == []
