"""Rows of the screening collection by criteria, in order."""

import sys
from pathlib import Path

import pytest

from superionic.store.builders.screening import ScreeningBuilder, run_builder
from superionic.store.collection.rows import iter_screening, query_screening

sys.path.insert(0, str(Path(__file__).parents[1] / "builders"))

from screening_helpers import descriptors, outputs_store, screening_store


def build(outputs, screening):
    run_builder(ScreeningBuilder(outputs, screening))


def test_query_filters_sorts_and_limits():
    outputs = outputs_store(
        descriptors("a", xi=0.9, mpe_eV=0.3, formula="LiCl", elements=["Cl", "Li"]),
        descriptors("b", xi=0.5, mpe_eV=0.1, formula="Li2S", elements=["Li", "S"]),
        descriptors("c", xi=0.7, mpe_eV=None, formula="Li3PS4", elements=["Li", "P", "S"]),
        descriptors("d", xi=0.8, mobile_species="Na", formula="Na2S", elements=["Na", "S"]),
    )
    screening = screening_store()
    build(outputs, screening)

    def ids(**filters):
        return [row.material_id for row in query_screening(screening, **filters)]

    assert ids(mobile_species="Li") == ["a", "c", "b"]
    assert ids(max_barrier_eV=0.3, mobile_species="Li") == ["a", "b"]
    assert ids(max_barrier_eV=0.2) == ["b"]
    assert ids(formula="Li2S") == ["b"]
    assert ids(elements=["S", "Li"]) == ["c", "b"]
    assert ids(sort="-xi", limit=2) == ["a", "d"]
    assert ids(sort="mpe_eV", mobile_species="Li", max_barrier_eV=9) == ["b", "a"]
    assert ids(potential="nequip:x") == []


@pytest.mark.parametrize("rank", ["rank", "ranks.barrier"])
def test_the_first_rows_are_those_of_a_full_sort(rank):
    barriers = [0.1 * (7 * i % 40) for i in range(40)]
    documents = [
        descriptors(f"m{i:02d}", xi=i / 40, mpe_eV=barrier, elements=["Li", "SO"[i % 2]])
        for i, barrier in enumerate(barriers)
    ]
    documents += [descriptors(f"na{i}", xi=0.5, mobile_species="Na") for i in range(5)]
    screening = screening_store()
    build(outputs_store(*documents), screening)
    # A row that was removed leaves a gap, one that was just written has no rank.
    screening.remove_docs({"material_id": "m20"})
    screening._collection.update_one(
        {"material_id": "m21"}, {"$set": {"rank": None}, "$unset": {"ranks": 1}}
    )
    for filters in (
        {},
        {"mobile_species": "Li"},
        {"elements": ["S"]},
        {"max_barrier_eV": 0.5},
        {"present": ["landscape"]},
        {"present": ["label"]},
        {"present": ["prediction", "landscape"]},
        {"mobile_species": "Na", "potential": "chgnet:0.3.0"},
        {"mobile_species": "K"},
    ):
        everything = query_screening(screening, sort=rank, **filters)
        nulls = [row for row in everything if not row.ranks]
        full = [row.key for row in everything if row.ranks] + [row.key for row in nulls]
        for limit in (1, 2, 7, 100):
            found = query_screening(screening, sort=rank, limit=limit, **filters)
            assert [row.key for row in found] == full[:limit]


def test_fields_that_ranks_order_are_sorted_by_them():
    documents = [
        descriptors(f"m{i}", xi=xi, mpe_eV=mpe_eV)
        for i, (xi, mpe_eV) in enumerate([(0.2, 0.5), (0.9, None), (0.5, 0.1), (0.4, 0.3)])
    ]
    screening = screening_store()
    build(outputs_store(*documents), screening)
    group = {"mobile_species": "Li", "potential": "chgnet:0.3.0", "limit": 3}
    assert [r.xi for r in query_screening(screening, sort="-xi", **group)] == [0.9, 0.5, 0.4]
    barriers = [row.mpe_eV for row in query_screening(screening, sort="mpe_eV", **group)]
    assert barriers == [0.1, 0.3, 0.5]


def test_a_potential_is_found_by_its_family_and_nulls_come_last():
    documents = [
        descriptors(f"m{i}", xi=i / 10, mpe_eV=None if i == 0 else 0.1 * i, potential=potential)
        for i, potential in enumerate(["chgnet:0.3.0", "chgnet:0.2.0", "chgnetic:1", "sevennet:0"])
    ]
    screening = screening_store()
    build(outputs_store(*documents), screening)

    def ids(**filters):
        return [row.material_id for row in query_screening(screening, **filters)]

    assert ids(potential="chgnet", sort="material_id") == ["m0", "m1"]
    assert ids(potential="chgnet:0.3.0") == ["m0"]
    assert ids(potential="chgnet:0.3") == []
    assert ids(sort="mpe_eV") == ["m1", "m2", "m3", "m0"]
    assert ids(sort="-mpe_eV") == ["m3", "m2", "m1", "m0"]
    assert ids(sort="-mpe_eV", material_ids=["m0", "m2", "m3"]) == ["m3", "m2", "m0"]
    assert ids(sort="chemical_system", limit=3) == ["m0", "m1", "m2"]  # no index, text


def test_the_first_rows_come_before_the_others_are_read(monkeypatch):
    screening = screening_store()
    build(outputs_store(*(descriptors(f"m{i:03d}", xi=i / 999) for i in range(140))), screening)
    limits, find = [], screening._collection.find
    monkeypatch.setattr(
        screening._collection, "find", lambda *a, **k: limits.append(a[0]) or find(*a, **k)
    )
    rows = iter_screening(screening, sort="-xi", mobile_species="Li", potential="chgnet")
    assert next(rows).material_id == "m139"
    n_asked = len(limits)
    rest = [row.material_id for row in rows]
    assert rest == [f"m{i:03d}" for i in range(138, -1, -1)]
    assert len(limits) > n_asked
