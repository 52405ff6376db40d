"""Rows without documents: which they are, and which only look so."""

import pytest
from part_documents import prediction
from screening_helpers import add, descriptors, outputs_store, screening_store

from superionic.store.builders.build import orphaned_rows, remove_rows
from superionic.store.builders.documents import IDENTITY, OF_ROWS
from superionic.store.builders.screening import (
    ScreeningBuilder,
    found_runs,
    link_duplicates,
    read_rows,
    run_builder,
)


@pytest.fixture
def stores():
    """Return documents and rows of a, with a further name, of b, and of c for two species."""
    outputs = outputs_store(
        descriptors("a", xi=0.9),
        descriptors("b", xi=0.5),
        prediction("b", 0.5, minutes=1),
        descriptors("c", xi=0.1, minutes=2),
        descriptors("c", xi=0.2, minutes=3, mobile_species="Na"),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    (row,) = read_rows(screening, {"material_id": "a"})
    link_duplicates(screening, row, ["also-a"])
    return outputs, screening


def found(outputs):
    return found_runs(outputs.query(OF_ROWS, properties=IDENTITY))


def orphans(stores):
    return orphaned_rows(*stores, found(stores[0]))


def test_a_row_with_any_document_is_none(stores):
    outputs, _ = stores
    assert orphans(stores) == []
    # As a row has it whose landscape is published, and whose prediction is its own.
    outputs.remove_docs({"output.material_id": "b", "output.kind": "descriptors"})
    assert orphans(stores) == []
    outputs.remove_docs({"output.material_id": "b"})
    assert orphans(stores) == ["b|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"]


def test_species_are_told_apart_and_further_names_go_with_their_crystal(stores):
    outputs, screening = stores
    outputs.remove_docs({"output.mobile_species": "Na"})
    assert orphans(stores) == ["c|Na|chgnet:0.3.0|weights of chgne|0.25 A exact"]
    outputs.remove_docs({"output.material_id": "a"})
    both = [f"{name}|Li|chgnet:0.3.0|weights of chgne|0.25 A exact" for name in ("also-a", "a")]
    assert orphans(stores) == [*both, "c|Na|chgnet:0.3.0|weights of chgne|0.25 A exact"]
    remove_rows(screening, both[1:])
    assert orphans(stores) == [*both[:1], "c|Na|chgnet:0.3.0|weights of chgne|0.25 A exact"]


def test_what_was_written_since_and_what_does_not_say_are_none(stores):
    outputs, screening = stores
    before = found(outputs)
    add(outputs, descriptors("new", xi=0.3, minutes=5))
    run_builder(ScreeningBuilder(outputs, screening))  # another command, in between
    assert orphaned_rows(outputs, screening, before) == []
    outputs.remove_docs({"output.material_id": "b"})
    silent = descriptors("b", xi=0.5, minutes=6)
    del silent["potential"]
    add(outputs, silent)
    assert orphans(stores) == []
