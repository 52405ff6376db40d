"""The screening collection: incremental, never worse than before, ranked."""

import itertools
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screening_helpers import add, descriptors, outputs_store, screening_store

from superionic.schemas.screen import DescriptorsDocument
from superionic.store.builders.rows import screening_document
from superionic.store.builders.screening import ScreeningBuilder, rows_of_tasks, run_builder
from superionic.store.ranking.policies import ranked


def build(outputs, screening):
    run_builder(ScreeningBuilder(outputs, screening))
    rows = list(screening.query({}))
    return {row["key"]: row for row in rows}


def ranks(rows):
    return {row["material_id"]: row["rank"] for row in rows.values()}


def test_ranks_go_by_xi_then_barrier_then_name():
    outputs = outputs_store(
        descriptors("low", xi=0.1),
        descriptors("tie-high-barrier", xi=0.9, mpe_eV=0.8),
        descriptors("tie-never-leaves", xi=0.9, mpe_eV=None),
        descriptors("tie-low-barrier", xi=0.9, mpe_eV=0.2),
        descriptors("tie-b", xi=0.9, mpe_eV=0.3),
        descriptors("tie-a", xi=0.9, mpe_eV=0.3),
    )
    assert ranks(build(outputs, screening_store())) == {
        "tie-low-barrier": 1,
        "tie-a": 2,
        "tie-b": 3,
        "tie-high-barrier": 4,
        "tie-never-leaves": 5,
        "low": 6,
    }


def test_a_second_run_writes_nothing():
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    first = build(outputs, screening)
    assert screening.n_written == 2
    assert build(outputs, screening) == first
    assert screening.n_written == 2


def test_only_materials_with_news_are_written_and_all_are_ranked():
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    build(outputs, screening)
    add(outputs, descriptors("c", xi=0.3))
    rows = build(outputs, screening)
    assert screening.n_written == 3
    assert ranks(rows) == {"c": 1, "b": 2, "a": 3}


def test_a_newer_run_replaces_an_older_one_and_not_the_reverse():
    outputs = outputs_store(descriptors("a", xi=0.1, minutes=5))
    screening = screening_store()
    build(outputs, screening)
    add(outputs, descriptors("a", xi=0.7, minutes=9, formula="Li2Cl2"))
    (row,) = build(outputs, screening).values()
    assert (row["xi"], row["formula"], row["n_runs"]) == (0.7, "Li2Cl2", 2)
    add(outputs, descriptors("a", xi=0.3, minutes=2))  # arrives late
    (row,) = build(outputs, screening).values()
    assert (row["xi"], row["n_runs"], row["rank"]) == (0.7, 3, 1)


def test_species_and_potentials_are_ranked_apart():
    outputs = outputs_store(
        descriptors("a", xi=0.1),
        descriptors("b", xi=0.2),
        descriptors("a", xi=0.4, mobile_species="Na", minutes=1),
        descriptors("a", xi=0.5, potential="sevennet:7net-0", minutes=2),
        descriptors("b", xi=0.6, potential="sevennet:7net-0", minutes=3),
    )
    rows = build(outputs, screening_store())
    assert {key: row["rank"] for key, row in rows.items()} == {
        "a|Li|chgnet:0.3.0|weights of chgne|0.25 A exact": 2,
        "b|Li|chgnet:0.3.0|weights of chgne|0.25 A exact": 1,
        "a|Na|chgnet:0.3.0|weights of chgne|0.25 A exact": 1,
        "a|Li|sevennet:7net-0|weights of seven|0.25 A exact": 2,
        "b|Li|sevennet:7net-0|weights of seven|0.25 A exact": 1,
    }


@pytest.mark.parametrize("damage", ["lost field", "wrong type", "no potential", "not a document"])
def test_a_run_that_cannot_be_read_never_replaces_a_good_row(damage, caplog):
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    before = build(outputs, screening)
    bad = descriptors("a", xi=0.9, minutes=5)
    if damage == "lost field":
        del bad["xi"]
    elif damage == "wrong type":
        bad["xi"] = "high"
    elif damage == "no potential":
        del bad["potential"]
    else:
        bad = {"kind": "descriptors", "job_uuid": "x"}
    add(outputs, bad)
    with caplog.at_level(logging.WARNING):
        after = build(outputs, screening)
    assert "left out" in caplog.text
    assert {k: (r["xi"], r["rank"]) for k, r in after.items()} == {
        k: (r["xi"], r["rank"]) for k, r in before.items()
    }


def test_a_material_without_any_readable_run_has_no_row():
    bad = descriptors("a", xi=0.9)
    del bad["xi"]
    assert build(outputs_store(bad), screening_store()) == {}


def test_a_row_keeps_its_rank_until_all_are_ranked_anew():
    outputs = outputs_store(descriptors("a", xi=0.1), descriptors("b", xi=0.2))
    screening = screening_store()
    build(outputs, screening)
    add(outputs, descriptors("a", xi=0.9, minutes=5), descriptors("c", xi=0.3))
    builder = ScreeningBuilder(outputs, screening, chunk_size=1)
    builder.connect()
    for item in builder.get_items():  # killed before it ranks
        builder.update_targets([builder.process_item(item)])
    assert {row["material_id"]: row["rank"] for row in screening.query({})} == {
        "a": 2,
        "b": 1,
        "c": None,
    }
    assert ranks(build(outputs, screening)) == {"a": 1, "c": 2, "b": 3}


class KilledError(BaseException):
    """Stands for a kill between two chunks."""


def test_a_build_that_is_killed_is_completed_by_the_next():
    everything = [descriptors(f"m{i}", xi=i / 10) for i in range(7)]
    outputs, screening = outputs_store(*everything), screening_store()
    builder = ScreeningBuilder(outputs, screening, chunk_size=2)
    write = builder.update_targets

    def write_once(items):
        write(items)
        raise KilledError

    builder.update_targets = write_once
    with pytest.raises(KilledError):
        run_builder(builder)
    assert screening.count() == 2
    rows = build(outputs, screening)
    assert screening.n_written == 7
    assert ranks(rows) == {f"m{i}": 7 - i for i in range(7)}


values = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])


@settings(max_examples=30)
@given(st.lists(st.tuples(values, values | st.none()), min_size=1, max_size=12))
def test_ranks_are_a_permutation_in_order_of_xi(found):
    documents = [
        descriptors(f"m{i:02d}", xi=xi, mpe_eV=mpe_eV) for i, (xi, mpe_eV) in enumerate(found)
    ]
    rows = build(outputs_store(*documents), screening_store()).values()
    in_order = sorted(rows, key=lambda row: row["rank"])
    assert [row["rank"] for row in in_order] == list(range(1, len(found) + 1))
    for better, worse in itertools.pairwise(in_order):
        assert better["xi"] >= worse["xi"]
        if better["xi"] == worse["xi"] and worse["mpe_eV"] is not None:
            assert better["mpe_eV"] is not None
            assert better["mpe_eV"] <= worse["mpe_eV"]
    alone = [
        screening_document([DescriptorsDocument.model_validate(output)]) for output in documents
    ]
    again = ranked(alone, "xi")
    assert [row.material_id for row in again] == [row["material_id"] for row in in_order]


def test_rows_of_tasks_are_ranked_among_each_other_with_the_same_weights():
    outputs = outputs_store(
        descriptors("a", xi=0.1),
        descriptors("b", xi=0.2),
        descriptors("c", xi=0.3),
        descriptors("a", xi=0.9, potential="sevennet:7net-0", minutes=1),
    )
    keys = ["key of a", "key of b", "key of b"]
    found = rows_of_tasks(outputs, keys, "weights of chgnet", "xi")
    assert [(row.material_id, row.rank, row.xi) for row in found] == [("b", 1, 0.2), ("a", 2, 0.1)]
