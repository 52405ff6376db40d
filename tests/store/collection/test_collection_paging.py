"""Pages of rows against a plain sort in Python, and the survey that puts the questions."""

from base64 import urlsafe_b64encode
from typing import Any

import mongomock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from superionic.report.serve.errors import answer_of
from superionic.schemas.indexes import PolicyName, SortField
from superionic.schemas.screening import element_sets
from superionic.store.collection import paging
from superionic.store.collection.filters import Filters, Order, order_of
from superionic.store.collection.paging import Position, PositionError, read_page
from superionic.store.collection.survey import Survey, largest_with, meets, survey, value_at

ELEMENTS = ("Li", "S", "O", "P")
PARTS_OF_ROWS = (
    {"present": ["label"], "label_verdict": "melted", "xi": None},
    {"present": ["landscape"], "xi": 0.25},
    {"present": ["landscape"], "xi": 0.75},
    {"present": ["landscape", "label"], "label_verdict": "diffusing", "xi": 0.5},
)
numbers = st.none() | st.integers(0, 6).map(lambda n: n / 4)


@st.composite
def collections(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw rows as the builder leaves them: dense ranks in each group, some rows without."""
    rows = []
    for group in range(draw(st.integers(1, 2))):
        n = draw(st.integers(0, 25))
        for i in range(n):
            ranked = draw(st.booleans()) or i < n - 3
            elements = draw(st.sets(st.sampled_from(ELEMENTS), min_size=1))
            rows.append(
                {
                    "key": f"{draw(st.integers(0, 99)):02d}-{group}-{i}",
                    "material_id": f"mp-{draw(st.integers(0, 30))}",
                    "formula": draw(st.sampled_from(["LiS", "Li2O", "Li3P"])),
                    "mobile_species": "Li",
                    "potential": f"potential {group}",
                    "elements": sorted(elements),
                    "element_sets": element_sets(elements),
                    **draw(st.sampled_from(PARTS_OF_ROWS)),
                    "mpe_eV": draw(numbers),
                    "rank": i + 1 if ranked else None,
                    "ranks": {"barrier": n - i} if ranked else {},
                }
            )
    return rows


filters = st.builds(
    Filters,
    formula=st.none() | st.sampled_from(["LiS", "Li2O"]),
    elements=st.none() | st.sampled_from(["Li", "S,Li", "O,P", "S,P,Li", "Li,O,P,S", "O,O"]),
    without_elements=st.none() | st.just("P"),
    material_id=st.none() | st.sampled_from(["mp-1", "mp-2", "mp-29"]),
    min_barrier_eV=st.none() | st.sampled_from([0.25, 0.5]),
    max_barrier_eV=st.none() | st.sampled_from([0.5, 1.0]),
    min_xi=st.none() | st.just(0.5),
    present=st.sampled_from([[], ["label"], ["label", "landscape"]]),
    label_verdict=st.none() | st.just("melted"),
    potential=st.none() | st.just("potential 0"),
)
orders = st.builds(
    Order,
    st.sampled_from(["rank", "ranks.barrier", "mpe_eV", "xi", "formula", "material_id"]),
    st.booleans(),
)


def expected(rows: list[dict], asked: Filters, order: Order) -> list[str]:
    """Return keys as the documentation says: by the field, nulls last, then by key."""
    met = sorted((row for row in rows if meets(row, asked.criteria())), key=lambda row: row["key"])
    valued = [row for row in met if value_at(row, order.field) is not None]
    valued.sort(key=lambda row: value_at(row, order.field), reverse=order.descending)
    return [row["key"] for row in valued] + [row["key"] for row in met if row not in valued]


@settings(max_examples=40)
@given(collections(), filters, orders, st.integers(1, 9))
def test_pages_together_are_the_sorted_rows(rows, asked, order, limit):
    collection = mongomock.MongoClient().db.screening
    if rows:
        collection.insert_many([dict(row) for row in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "_SMALLEST_WINDOW", 2)
        known = survey(collection)
        found: list[str] = []
        after = None
        while True:
            page = read_page(
                collection,
                asked.criteria(by_element_sets=known.has_element_sets),
                order,
                limit,
                survey=known,
                properties=["ranks", "material_id"],
                after=after,
            )
            found += [row["key"] for row in page]
            if len(page) < limit:
                break
            word = Position.of(page[-1], order).encode()
            after = Position.decode(word, order)
    assert found == expected(rows, asked, order)


@settings(max_examples=30)
@given(collections(), filters)
def test_criteria_are_understood_as_the_database_does(rows, asked):
    collection = mongomock.MongoClient().db.screening
    if rows:
        collection.insert_many([dict(row) for row in rows])
    for criteria in (asked.criteria(), asked.criteria(by_element_sets=True)):
        by_database = {row["key"] for row in collection.find(criteria)}
        assert by_database == {row["key"] for row in rows if meets(row, asked.criteria())}


def test_several_elements_are_asked_for_by_their_set():
    both = Filters(elements="S,P,Li", without_elements="Cl", mobile_species="Li")
    assert list(both.criteria(by_element_sets=True).items()) == [
        ("element_sets", "Li-P-S"),
        ("mobile_species", "Li"),
        ("elements", {"$nin": ["Cl"]}),
    ]
    five = Filters(elements="Li,P,S,Cl,Br").criteria(by_element_sets=True)
    assert five == {"element_sets": "Li-P-S", "elements": {"$all": ["Cl", "Br"]}}
    one = {"elements": "Li"}
    assert Filters(elements="Li").criteria(by_element_sets=True) == one


def test_rows_of_old_versions_are_not_asked_for_sets_of_elements():
    collection = mongomock.MongoClient().db.screening
    old = {"mobile_species": "Li", "potential": "p", "elements": ["Li", "S"]}
    collection.insert_one(old | {"key": "a", "rank": 1, "element_sets": ["Li-S"]})
    assert survey(collection).has_element_sets
    collection.insert_one(old | {"key": "b", "rank": 2})
    assert not survey(collection).has_element_sets
    assert not Survey((), ()).has_element_sets


def test_a_survey_tells_groups_and_how_rare_a_filter_is():
    collection = mongomock.MongoClient().db.screening
    for species, n in (("Na", 300), ("Li", 1000)):
        collection.insert_many(
            {
                "key": f"{species}{i}",
                "mobile_species": species,
                "potential": "p",
                "rank": i + 1,
                "elements": [species, "S" if i % 4 == 0 else "O"],
            }
            for i in range(n)
        )
    known = survey(collection)
    assert [(group.mobile_species, group.n_rows) for group in known.groups] == [
        ("Li", 1000),
        ("Na", 300),
    ]
    assert 0.15 < known.fraction({"elements": {"$all": ["Li", "S"]}}) < 0.25
    assert known.fraction({"elements": "Xe"}) < 0.01


def test_an_empty_collection_has_an_empty_survey():
    assert survey(mongomock.MongoClient().db.screening) == Survey((), ())


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_halving_finds_the_largest_number(n):
    asked = []

    def holds(number: int) -> bool:
        asked.append(number)
        return number <= n

    assert largest_with(holds) == n
    assert len(asked) <= 30


def test_few_rows_are_read_where_ranges_hold_them():
    """The local server reads all that a condition leaves over: so the conditions must be narrow."""
    collection = mongomock.MongoClient().db.screening
    n = 3000
    collection.insert_many(
        {
            "key": f"{i:05d}",
            "mobile_species": "Li",
            "potential": "p",
            "rank": i + 1,
            "mpe_eV": i / n,
            "elements": ["Li", "S" if i % 3 else "O"],
            "present": ["landscape"] + ["label"] * (i % 100 == 0),
        }
        for i in range(n)
    )
    known = survey(collection)
    met: list[int] = []

    class Watched:
        def find(self, criteria, projection):
            # What the local server reads: all that its first clause with an index leaves over.
            assert not any(name.startswith("$") for name in criteria), "it would use no index"
            first = next(iter(criteria))
            met.append(collection.count_documents({first: criteria[first]}))
            return collection.find(criteria, projection)

    for asked, order in (
        ({}, Order("rank")),
        ({}, Order("mpe_eV", descending=True)),
        ({"elements": "O"}, Order("rank")),
        ({"elements": {"$all": ["Li", "O"]}}, Order("rank")),
        ({"present": "label"}, Order("mpe_eV")),
        ({"mpe_eV": {"$lte": 0.01}}, Order("rank")),
        ({"mpe_eV": {"$gte": 0.5}}, Order("mpe_eV")),
    ):
        met.clear()
        page = read_page(Watched(), asked, order, 20, survey=known, properties=[])
        assert len(page) == 20
        assert sum(met) < n / 5, (asked, order, met)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "nonsense",
        "WyJyYW5rIl0",
        "eyIkZ3QiOiAxfQ",
        Position("mpe_eV", 1.0, "key").encode(),
        Position("rank", "text", "key").encode(),
        Position("rank", True, "key").encode(),
        Position("rank", {"$gt": 0}, "key").encode(),
        Position("rank", float("nan"), "key").encode(),
        Position("rank", 10**400, "key").encode(),
        Position("rank", 1, {"$ne": 1}).encode(),
        urlsafe_b64encode(b'["rank",1,"\\ud800"]').decode(),
        "A" * 3000,
        "é",
    ],
)
def test_a_position_that_is_none_is_refused(word):
    with pytest.raises(PositionError) as caught:
        Position.decode(word, Order("rank"))
    assert answer_of(caught.value).status == 422


@pytest.mark.parametrize(
    "asked",
    [
        {"formula": {"$ne": 1}},
        {"formula": "no formula"},
        {"formula": "Li1e999"},
        {"elements": "Li,Xx"},
        {"elements": ["Li"]},
        {"mobile_species": "$ne"},
        {"potential": {"$regex": ".*"}},
        {"max_barrier_eV": float("nan")},
        {"max_barrier_eV": -1},
        {"present": ["settings"]},
        {"label_verdict": "any"},
        {"$where": "1"},
    ],
)
def test_filters_take_nothing_but_their_types(asked):
    with pytest.raises(ValidationError):
        Filters.model_validate(asked)


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=20))
def test_the_beginning_of_an_identifier_is_no_expression(text):
    collection = mongomock.MongoClient().db.screening
    collection.insert_many([{"material_id": text + "tail"}, {"material_id": "." + text}])
    found = collection.find(Filters(material_id=text).criteria())
    assert {row["material_id"] for row in found} >= {text + "tail"}
    assert all(
        row["material_id"].startswith(text)
        for row in collection.find(Filters(material_id=text).criteria())
    )


def test_ranks_stand_for_fields_within_one_group_only():
    xi = SortField.xi
    policy = PolicyName.barrier
    assert order_of(xi, policy, descending=True, grouped=True) == Order("rank")
    assert order_of(xi, policy, descending=True, grouped=False) == Order("xi", descending=True)
    assert order_of(xi, policy, descending=False, grouped=True) == Order("xi")
    assert order_of(SortField.rank, policy, descending=False, grouped=False) == Order(
        "ranks.barrier"
    )
