"""Orderings of one parent, and several names of one crystal, in the screening collection."""

import pytest
from screening_helpers import add, descriptors, outputs_store, screening_store

from superionic.store.builders.screening import (
    ScreeningBuilder,
    link_duplicates,
    read_rows,
    run_builder,
)


def ordering(index, **fields):
    lineage = {"parent_id": "p", "ordering_index": index, "ordering_energy_eV": 0.01 * (index - 1)}
    return descriptors(f"p-o{index}", **lineage, **fields)


def rows_of(screening):
    return {row.material_id: row for row in read_rows(screening, {})}


def test_orderings_carry_best_mean_and_spread():
    outputs = outputs_store(
        ordering(2, xi=0.2, mpe_eV=0.9),
        ordering(1, xi=0.5, mpe_eV=0.6),
        ordering(3, xi=0.8, mpe_eV=None),
        descriptors("other", xi=0.9, mpe_eV=0.1),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    rows = rows_of(screening)
    assert rows["other"].orderings is None
    for name in ("p-o1", "p-o2", "p-o3"):
        summary = rows[name].orderings
        assert summary.n_orderings == 3
        assert summary.material_ids == ["p-o1", "p-o2", "p-o3"]
        assert (summary.xi.n, summary.xi.best) == (3, 0.8)
        assert summary.xi.mean == pytest.approx(0.5)
        assert summary.xi.spread == pytest.approx(0.6)
        assert (summary.mpe_eV.n, summary.mpe_eV.best) == (2, 0.6)
        assert summary.mpe_eV.spread == pytest.approx(0.3)
        assert summary.barrier_3d_eV is None
        (warning,) = [one for one in rows[name].warnings if one.code == "ordering_spread"]
        assert "barrier 0.60 to 0.90 eV, Xi 0.20 to 0.80 over 3 of them" in warning.text
    assert "ordering_spread" not in [one.code for one in rows["other"].warnings]


def test_orderings_that_hardly_differ_carry_no_warning():
    outputs = outputs_store(ordering(1, xi=0.5, mpe_eV=0.6), ordering(2, xi=0.55, mpe_eV=0.65))
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    assert all(not row.warnings for row in rows_of(screening).values())
    add(outputs, ordering(3, xi=0.9, mpe_eV=0.6, minutes=5))
    run_builder(ScreeningBuilder(outputs, screening))
    codes = [[one.code for one in row.warnings] for row in rows_of(screening).values()]
    assert codes == [["ordering_spread"]] * 3


def test_a_further_ordering_changes_the_summary_of_all():
    outputs = outputs_store(ordering(1, xi=0.5), ordering(2, xi=0.7))
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    add(outputs, ordering(3, xi=0.9, minutes=5))
    run_builder(ScreeningBuilder(outputs, screening))
    assert {row.orderings.xi.best for row in rows_of(screening).values()} == {0.9}
    before = screening.n_written
    run_builder(ScreeningBuilder(outputs, screening))
    assert screening.n_written == before


def test_orderings_of_other_ions_and_potentials_stay_apart():
    outputs = outputs_store(
        ordering(1, xi=0.1),
        ordering(2, xi=0.2),
        ordering(3, xi=0.9, mobile_species="Na"),
        ordering(4, xi=0.8, potential="sevennet:0"),
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    rows = rows_of(screening)
    assert rows["p-o1"].orderings.n_orderings == 2
    assert rows["p-o3"].orderings.n_orderings == rows["p-o4"].orderings.n_orderings == 1


def test_aliases_get_rows_that_say_so_and_share_the_rank():
    outputs = outputs_store(
        descriptors("a", xi=0.9, aliases=["a2", "a3"]), descriptors("b", xi=0.5)
    )
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    rows = rows_of(screening)
    assert set(rows) == {"a", "a2", "a3", "b"}
    assert rows["a2"].duplicate_of == rows["a3"].duplicate_of == "a"
    assert [rows[name].rank for name in ("a", "a2", "a3", "b")] == [1, 1, 1, 2]
    assert rows["a2"].xi == 0.9
    assert "duplicate" in {warning.code for warning in rows["a2"].warnings}
    assert rows["a"].duplicate_of is None


def test_rows_of_duplicates_follow_the_crystal_that_was_computed():
    outputs = outputs_store(descriptors("a", xi=0.9), descriptors("b", xi=0.5))
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    link_duplicates(screening, rows_of(screening)["a"], ["twin"])
    add(outputs, descriptors("a", xi=0.1, mpe_eV=2.0, minutes=5))
    run_builder(ScreeningBuilder(outputs, screening))
    rows = rows_of(screening)
    assert (rows["twin"].xi, rows["twin"].mpe_eV, rows["twin"].rank) == (0.1, 2.0, 2)
    assert rows["b"].rank == 1


def test_what_was_computed_by_itself_is_not_overwritten():
    outputs = outputs_store(descriptors("a", xi=0.9), descriptors("b", xi=0.5))
    screening = screening_store()
    run_builder(ScreeningBuilder(outputs, screening))
    link_duplicates(screening, rows_of(screening)["a"], ["b"])
    assert rows_of(screening)["b"].xi == 0.5
    assert rows_of(screening)["b"].duplicate_of is None
