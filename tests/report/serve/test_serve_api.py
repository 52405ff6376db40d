"""The JSON API on a real server: what it answers, and that it never writes."""

import csv
import io
from base64 import urlsafe_b64encode
from collections.abc import Iterator

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.common import VolumetricData
from pymongo import MongoClient, monitoring
from serve_fixtures import (
    FORMULA_CELL,
    HOSTILE,
    N_PLAIN,
    REAL,
    REAL_KEY,
    SEEN_BY_A_BROWSER,
    real_documents,
    store_landscape,
)

from superionic.report.serve.reading import RowCounter
from superionic.report.serve.source import for_reading
from superionic.schemas.common import PackedArray
from superionic.store.builders.rows import screening_document
from superionic.store.collection.filters import Filters
from superionic.store.collection.survey import survey
from superionic.store.database.stores import spec_from_uri

pytestmark = pytest.mark.process

READING = {
    *("hello", "ismaster", "isMaster", "ping", "find", "getMore", "aggregate", "count", "distinct"),
    *("killCursors", "endSessions", "saslStart", "saslContinue", "buildInfo", "connectionStatus"),
}
HOSTILE_KEY = f"{HOSTILE}|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"


@pytest.fixture
def api(client):
    return client()


def found(api, **asked) -> list[str]:
    answer = api.get("/api/rows", params={"limit": 200, "all_rankings": True, **asked})
    assert answer.status_code == 200, answer.text
    return [row["material_id"] for row in answer.json()["data"]]


def pages(api, **asked) -> Iterator[dict]:
    after, asked = {}, {"all_rankings": True, "policy": "xi", **asked}
    while True:
        page = api.get("/api/rows", params={**asked, **after}).json()
        yield from page["data"]
        if page["meta"]["next"] is None:
            return
        after = {"after": page["meta"]["next"]}


def test_rows_are_filtered(api):
    rows = {row["material_id"]: row for row in pages(api, limit=200)}
    assert len(rows) == N_PLAIN + 3
    plain = {name: row for name, row in rows.items() if name.startswith("mp-")}
    low = {name for name, row in rows.items() if row["mpe_eV"] is not None and row["mpe_eV"] <= 0.5}
    assert set(found(api, max_barrier_eV=0.5)) == low
    assert 0 < len(low) < len(rows)
    lis = {name for name, row in plain.items() if row["formula"] == "Li2S"}
    assert set(found(api, formula="Li4S2")) == lis != set()
    sulphides = {name for name, row in plain.items() if row["formula"].endswith("S")}
    assert set(found(api, elements="S,Li", material_id="mp-")) == sulphides
    assert set(found(api, without_elements="S", material_id="mp-")) == set(plain) - sulphides
    assert found(api, potential="ase:toy_potential.Toy") == [REAL]
    assert found(api, material_id="mp-001", sort="material_id") == [
        f"mp-{i:04d}" for i in range(10, 20)
    ]
    assert found(api, present="label") == []
    assert found(api, mobile_species="Na") == []


@pytest.mark.parametrize(
    "asked",
    [
        {"sort": "rank", "policy": "barrier", "potential": "chgnet:0.3.0"},
        {"sort": "mpe_eV"},
        {"sort": "xi", "descending": True},
        {
            "sort": "xi",
            "descending": True,
            "mobile_species": "Li",
            "potential": "chgnet:0.3.0",
        },
        {"sort": "formula", "descending": True},
    ],
)
def test_pages_hold_every_row_once_in_order(api, asked):
    rows = list(pages(api, limit=7, **asked))
    keys = [row["key"] for row in rows]
    assert len(set(keys)) == len(keys) > 40
    name = "rank" if asked["sort"] == "rank" else asked["sort"]
    values = [row[name] for row in rows]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=asked.get("descending", False))
    assert values == known + [None] * (len(values) - len(known)), "nulls come last"


def test_the_end_is_known(api):
    every = {"all_rankings": True}
    whole = api.get("/api/rows", params={"limit": 200, **every}).json()
    assert whole["meta"]["next"] is None
    assert whole["meta"]["n"] == len(whole["data"]) == N_PLAIN + 3
    assert api.get("/api/count", params=every).json() == {"n": N_PLAIN + 3, "exact": True}
    part = api.get("/api/count", params={"potential": "sevennet:0"}).json()
    assert part == {"n": N_PLAIN // 7, "exact": True}


def test_a_count_that_takes_too_long_is_an_estimate(spec):
    with spec.open() as database:
        known = survey(database.screening._collection)
        quick, slow = RowCounter(), RowCounter(timeout_s=1e-9)
        few = Filters(potential="sevennet:0")
        assert quick.count(database, known, few).exact
        estimate = slow.count(database, known, few)
        assert not estimate.exact
        assert estimate.n == pytest.approx(N_PLAIN // 7, abs=2)
        assert slow.count(database, known, Filters(all_rankings=True)).n == N_PLAIN + 3


def test_one_ranking_is_shown_and_what_it_left_out_is_said(api):
    page = api.get("/api/rows", params={"limit": 200}).json()
    n_largest = N_PLAIN - N_PLAIN // 7 + 2
    assert {row["potential"] for row in page["data"]} == {"chgnet:0.3.0"}
    assert [row["rank"] for row in page["data"]] == list(range(1, n_largest + 1))
    assert page["meta"]["notes"] == [
        f"Ranking of Li with chgnet:0.3.0, 0.25 A exact: {n_largest} rows.",
        "Left out: 10 rows of Li with sevennet:0, 0.25 A exact; 1 row of Li with "
        "ase:toy_potential.Toy.",
    ]
    assert api.get("/api/count").json() == {"n": n_largest, "exact": True}
    other = api.get("/api/rows", params={"settings": "0.25 A", "potential": "sevennet"}).json()
    assert len(other["data"]) == N_PLAIN // 7
    assert api.get("/api/rows", params={"settings": "0.4 A"}).json()["data"] == []
    assert api.get("/api/count", params={"settings": "0.4 A"}).json()["n"] == 0


def test_a_search_that_meets_only_other_rankings_says_which(api):
    def elsewhere(**asked) -> list[str]:
        page = api.get("/api/rows", params=asked).json()
        assert page["data"] == [], asked
        return [group["potential"] for group in page["meta"]["elsewhere"]]

    assert elsewhere(material_id=REAL) == ["ase:toy_potential.Toy"]
    assert elsewhere(material_id="mp-not-there") == []
    largest = api.get("/api/rows", params={"limit": 200}).json()
    assert largest["meta"]["elsewhere"] == []
    name = largest["data"][0]["material_id"]
    assert elsewhere(material_id=name, potential="sevennet:0") == ["chgnet:0.3.0"]


def test_the_collection_is_described(api):
    about = api.get("/api/about").json()
    sizes = {(one["mobile_species"], one["potential"]): one["n_rows"] for one in about["groups"]}
    assert sizes == {
        ("Li", "chgnet:0.3.0"): N_PLAIN - N_PLAIN // 7 + 2,
        ("Li", "sevennet:0"): N_PLAIN // 7,
        ("Li", "ase:toy_potential.Toy"): 1,
    }
    assert "xi" in about["policies"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=100000",
        "sort=settings",
        "sort=$where",
        "policy=best",
        "max_barrier_eV=nan",
        "max_barrier_eV[$gt]=0",
        "formula[$ne]=1",
        "elements=Xx",
        "after=nonsense",
        "after=" + urlsafe_b64encode(b'["ranks.xi","\\ud800","\\ud800"]').decode().rstrip("="),
        "after=" + urlsafe_b64encode(b'["ranks.xi",1,"\\ud800"]').decode().rstrip("="),
        "present=everything",
        "unknown=1",
    ],
)
def test_wrong_parameters_are_named(api, query):
    answer = api.get(f"/api/rows?{query}")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith(query.partition("=")[0].split("[")[0])


def test_a_material_is_explained(api):
    answer = api.get("/api/material", params={"key": REAL_KEY}).json()
    assert answer["row"]["material_id"] == REAL
    assert [one["name"] for one in answer["figures"]] == ["landscape", "volume"]
    numbers = {one["name"]: one["value"] for group in answer["groups"] for one in group["numbers"]}
    assert (numbers["Xi"], numbers["barrier, as published"]) == ("0.970", "0.300")
    assert answer["others"] == [], "no other potential knows it"
    key = "mp-0005|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"
    standings = api.get("/api/material/standings", params={"key": key}).json()
    by_xi = next(one for one in standings if one["policy"] == "xi")
    rows = list(pages(api, limit=200, potential="chgnet:0.3.0"))
    place = [row["key"] for row in rows].index(key)
    assert by_xi["rank"] == place + 1
    assert by_xi["n_rows"] == len(rows)
    assert by_xi["above"]["key"] == rows[place - 1]["key"]
    assert by_xi["below"]["key"] == rows[place + 1]["key"]


def test_figures_are_drawn_from_arrays(api):
    def figure(**asked):
        answer = api.get("/api/material/figure", params={"key": REAL_KEY, **asked})
        assert answer.status_code == 200, answer.text
        return answer.json()

    low, high = (figure(kind="landscape", level_eV=level) for level in (0.2, 1.5))
    assert [one["layout"]["meta"]["level_eV"] for one in (low, high)] == [0.2, 1.5]
    assert low["data"] != high["data"]
    highest = max(float(one.unpack().max()) for one in real_documents()[1].arrays.energies_eV)
    assert low["layout"]["meta"]["highest_eV"] == pytest.approx(highest, abs=0.01)
    assert figure(kind="landscape")["layout"]["meta"]["level_eV"] > 0
    for kind in ("path", "volume"):
        assert figure(kind=kind)["data"]
    missing = api.get("/api/material/figure", params={"key": REAL_KEY, "kind": "msd"})
    assert missing.status_code == 404
    assert "superionic label" in missing.json()["error"]["hint"]


def test_a_landscape_that_was_replaced_is_drawn_anew(client, server_uri):
    spec = spec_from_uri(server_uri, "serve_tests_replaced", source="test")
    made, landscape = real_documents()
    try:
        with spec.open() as database:
            database.screening.update([screening_document([made]).model_dump()], key="key")
            store_landscape(database, landscape)
            asked = {"key": REAL_KEY, "kind": "landscape"}
            shown = client(spec)
            first = shown.get("/api/material/figure", params=asked).json()
            # The job runs once more under the same identifier, with another result.
            doubled = [PackedArray.pack(2 * one.unpack()) for one in landscape.arrays.energies_eV]
            arrays = landscape.arrays.model_copy(update={"energies_eV": doubled})
            store_landscape(database, landscape.model_copy(update={"arrays": arrays}))
            second = shown.get("/api/material/figure", params=asked).json()
        before, after = (one["layout"]["meta"]["highest_eV"] for one in (first, second))
        assert after == pytest.approx(2 * before, abs=0.02)
    finally:
        MongoClient(server_uri).drop_database("serve_tests_replaced")


def test_failures_of_another_potential_are_not_on_the_page_of_a_material(client, server_uri):
    spec = spec_from_uri(server_uri, "serve_tests_failures", source="test")
    made, _ = real_documents()
    failure = dict.fromkeys(("source", "code", "message", "hint", "last_updated"), "x")
    potentials = {"own": made.potential.label, "any": None, "other": "sevennet:0"}
    try:
        with spec.open() as database:
            database.screening.update([screening_document([made]).model_dump()], key="key")
            failures = [
                failure | {"key": key, "material_id": REAL, "potential": potential}
                for key, potential in potentials.items()
            ]
            database.failures.update(failures, key="key")
            answer = client(spec).get("/api/material", params={"key": REAL_KEY}).json()
        assert {one["key"] for one in answer["failures"]} == {"own", "any"}
    finally:
        MongoClient(server_uri).drop_database("serve_tests_failures")


def test_conductivities_have_intervals(api):
    asked = {"limit": 200, "policy": "conductivity"}
    rows = api.get("/api/rows", params=asked).json()["data"]
    known = [row for row in rows if row["score"] is not None]
    assert len(known) > 10
    assert all(row["score_low"] < row["score"] < row["score_high"] for row in known)
    rows = api.get("/api/rows", params=asked | {"policy": "xi"}).json()["data"]
    assert all(row["score_low"] is None for row in rows)


def test_whatever_is_listed_can_be_opened(client, server_uri):
    spec = spec_from_uri(server_uri, "serve_tests_long", source="test")
    made, _ = real_documents()
    names = ["日" * 3900 + str(n) for n in range(4)] + ["x" * 4001]
    rows = [
        screening_document([made.model_copy(update={"material_id": name})]).model_dump()
        for name in names
    ]
    try:
        with spec.open() as database:
            ranks = [row | {"rank": n, "ranks": {"xi": n}} for n, row in enumerate(rows, start=1)]
            database.screening.update(ranks, key="key")
        shown = client(spec)
        for sort in ("rank", "material_id"):
            listed = list(pages(shown, limit=1, sort=sort, material_id="日"))
            assert [row["material_id"] for row in listed] == names[:4]
        for row in listed:
            answer = shown.get("/api/material", params={"key": row["key"]})
            assert answer.json()["row"]["material_id"] == row["material_id"]
        too_long = shown.get("/api/rows", params={"limit": 200, "policy": "xi"}).json()["data"][-1]
        assert too_long["unreadable"]
    finally:
        MongoClient(server_uri).drop_database("serve_tests_long")


def test_downloads(api, tmp_path):
    cif = api.get("/api/material/cif", params={"key": REAL_KEY})
    assert cif.headers["content-disposition"] == 'attachment; filename="licl_LiCl.cif"'
    document = real_documents()[1]
    assert Structure.from_str(cif.text, fmt="cif").matches(document.structure)
    cube = api.get("/api/material/cube", params={"key": REAL_KEY})
    path = tmp_path / "landscape.cube"
    path.write_text(cube.text)
    maps = [energies for _, energies in document.landscape().maps()]
    read = VolumetricData.from_cube(str(path)).data["total"]
    assert read == pytest.approx(np.min(maps, axis=0), rel=1e-4, abs=1e-6)
    for what in ("cif", "cube"):
        gone = api.get(
            f"/api/material/{what}",
            params={"key": "mp-0001|Li|chgnet:0.3.0|weights of chgne|0.25 A exact"},
        )
        assert gone.status_code == 404
        assert gone.json()["error"]["hint"]


def test_the_filtered_table_as_csv(api, client):
    asked = {"sort": "material_id", "material_id": "mp-002", "all_rankings": True}
    answer = api.get("/api/rows.csv", params=asked)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["material_id"] for line in lines] == [f"mp-{i:04d}" for i in range(20, 30)]
    everything = list(csv.DictReader(io.StringIO(api.get("/api/rows.csv?all_rankings=1").text)))
    assert len(everything) == N_PLAIN + 3
    assert f"'{FORMULA_CELL}" in {line["material_id"] for line in everything}
    few = client(export_limit=5).get("/api/rows.csv").text
    assert len(list(csv.DictReader(io.StringIO(few)))) == 5


def test_markup_stays_text(api):
    answer = api.get("/api/material", params={"key": HOSTILE_KEY})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["row"]["material_id"] == HOSTILE
    page = api.get("/material", params={"key": HOSTILE_KEY})
    assert "<img" not in page.text
    unknown = api.get("/<script>alert(1)</script>", headers=SEEN_BY_A_BROWSER)
    assert "<script>alert" not in unknown.text
    failures = api.get("/api/failures").json()["data"]
    assert failures[0]["source"] == "<i>broken.cif</i>"
    assert api.get("/api/failures?code=other").json()["data"] == []


def test_the_campaign(client):
    campaign = client(webgui_url="http://viewer.example:5000").get("/api/campaign").json()
    assert campaign["jobs"] == {"READY": 1, "COMPLETED": 1, "FIZZLED": 1}
    assert campaign["materials"] == {"screen": {"FIZZLED": 1}}
    (group,) = campaign["failures"]
    assert (group["cause"], group["fw_ids"], group["n_jobs"]) == ("disorder", [2], 1)
    assert group["example_material"] == HOSTILE
    assert campaign["webgui_url"] == "http://viewer.example:5000"


def test_an_empty_database_says_what_to_do(client, server_uri):
    empty = client(spec_from_uri(server_uri, "never_filled", source="test"))
    for path in ("/api/rows", "/api/about", "/api/count", "/api/rows.csv"):
        answer = empty.get(path)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "empty_collection"
        assert "superionic build" in answer.json()["error"]["hint"]
    assert empty.get("/api/material?key=a").status_code == 404
    assert empty.get("/api/campaign").json()["jobs"] == {}


def test_a_row_that_cannot_be_read_breaks_nothing(client, server_uri):
    spec = spec_from_uri(server_uri, "serve_tests_odd", source="test")
    collection = MongoClient(server_uri)["serve_tests_odd"]["screening"]
    good = {"material_id": "good", "formula": "LiCl", "mobile_species": "Li", "potential": "p"}
    collection.insert_many(
        [
            {"key": "a", "rank": 1, "ranks": {"xi": 1}, **good},
            {"key": "b", "rank": 2, "ranks": "no", "material_id": {"$x": 1}, "warnings": 3},
            {"key": "c", "rank": "third", "formula": ["LiCl"]},
            {"key": "d", "rank": float("inf"), "xi": float("nan"), **good},
            {"key": "e", "scores": {"conductivity": -3.0}, "volume_A3_per_atom": -1.0}
            | {"mobile_fraction": 0.5, **good},
        ]
    )
    try:
        odd = client(spec)
        answer = odd.get("/api/rows?all_rankings=1&policy=xi")
        assert answer.status_code == 200
        rows = {row["key"]: row for row in answer.json()["data"]}
        assert rows["a"]["rank"] == 1
        assert rows["b"]["unreadable"]
        other = odd.get("/api/rows?all_rankings=1&policy=conductivity").json()["data"]
        unreadable = {row["key"] for row in other if row["unreadable"]}
        assert unreadable == {"b", "c", "d", "e"}
        for key in "abcd":
            assert odd.get("/api/material", params={"key": key}).status_code == 404
        for sort in ("xi", "formula", "material_id"):
            assert odd.get("/api/rows", params={"sort": sort}).status_code == 200
    finally:
        collection.database.client.drop_database("serve_tests_odd")


class Heard(monitoring.CommandListener):
    """Remembers the commands that are sent."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, str]] = []

    def started(self, event):
        stages = [next(iter(stage)) for stage in event.command.get("pipeline", [])]
        self.commands.append((event.command_name, " ".join(stages)))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def test_nothing_is_ever_written(client, monkeypatch):
    heard = Heard()
    plain_init = MongoClient.__init__

    def init(self, *arguments, **options):
        options["event_listeners"] = [heard, *options.get("event_listeners", [])]
        plain_init(self, *arguments, **options)

    monkeypatch.setattr(MongoClient, "__init__", init)
    api = client()
    paths = api.get("/openapi.json").json()["paths"]
    for path in paths:
        for asked in ({}, {"key": REAL_KEY}, {"key": REAL_KEY, "kind": "landscape"}):
            api.get(path, params=asked)
    for kind in ("path", "volume", "msd", "arrhenius"):
        api.get("/api/material/figure", params={"key": REAL_KEY, "kind": kind})
    for sort in ("mpe_eV", "formula", "msd_slope_A2_per_ps"):
        api.get("/api/rows", params={"sort": sort, "elements": "Li,S", "present": "label"})
    names = {name for name, _ in heard.commands}
    assert {"find", "aggregate"} <= names, "the listener hears"
    assert names <= READING, names - READING
    stages = " ".join(stages for _, stages in heard.commands)
    assert "$out" not in stages
    assert "$merge" not in stages


def test_clients_do_not_repeat_writes(spec):
    stores = for_reading(spec).job_store
    for store in (stores["docs_store"], stores["additional_stores"]["data"]):
        assert store["mongoclient_kwargs"]["retryWrites"] is False
    assert "retryWrites" not in (spec.job_store["docs_store"]["mongoclient_kwargs"] or {})
