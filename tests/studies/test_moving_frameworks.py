"""Crystals whose whole framework moves, and what the ranking owes to them."""

from pathlib import Path

import pytest

from studies.moving_frameworks import RESULT, moves_as_a_whole, table
from superionic.report.tables.labels import read_data_set

ROOT = Path(__file__).parents[2]


def test_the_table_is_what_the_labels_give():
    assert RESULT.read_text() == table()


@pytest.mark.parametrize(
    ("moved", "whole"),
    [([], False), (["Br"], False), (["Br", "Ga"], True), (["Br", "Ga", "Li"], True)],
)
def test_all_elements_but_the_mobile_one_have_to_move(moved, whole):
    rows = read_data_set(ROOT / "datasets" / "labels_1000K_oam.jsonl")
    row = next(row for row in rows if row.formula == "LiGaBr4")
    assert moves_as_a_whole(row.model_copy(update={"diffusing_framework": moved})) is whole
