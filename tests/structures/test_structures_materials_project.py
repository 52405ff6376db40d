"""The Materials Project: recorded answers, and a server that misbehaves in every way we know."""

import json
import time
from datetime import UTC, datetime

import pytest

pytest.importorskip("mp_api", reason="the extra 'mp' is not installed")

from faulty_server import KEY, VERSION, Api, serving, summary_documents

from superionic.errors import FetchError, SettingsError
from superionic.structures import read_candidates
from superionic.structures.sources.download import download
from superionic.structures.sources.http import RequestPolicy, RetryingSession
from superionic.structures.sources.materials_project import (
    FIELDS,
    MaterialsProject,
    MaterialsProjectQuery,
    find_api_key,
)

DOCUMENTS = summary_documents()
QUICK = RequestPolicy(connect_s=2, read_s=0.4, attempts=4, first_wait_s=0.01, longest_wait_s=2)


def project(address, query=None, *, policy=QUICK, page_size=5, key=KEY):
    session = RetryingSession()
    session.policy = policy
    query = query or MaterialsProjectQuery()
    return MaterialsProject(query, key, endpoint=address, page_size=page_size, session=session)


def ids_of(path):
    return [json.loads(line)["material_id"] for line in path.read_text().splitlines()]


def test_the_recorded_answers_are_documents_of_the_api():
    from emmet.core.summary import SummaryDoc

    for document in DOCUMENTS:
        fields = {k: v for k, v in document.items() if k in FIELDS}
        fields |= {"last_updated": datetime(2025, 9, 20, tzinfo=UTC)}
        for name in ("symmetry", "builder_meta"):
            assert name in SummaryDoc.model_fields
            fields.pop(name)
        partial = SummaryDoc.model_construct(**fields)
        assert partial.material_id == document["material_id"]
        assert set(FIELDS) <= set(SummaryDoc.model_fields)


def test_all_pages_arrive_as_candidates_with_their_provenance(tmp_path):
    api = Api(DOCUMENTS)
    out = tmp_path / "li.jsonl"
    query = MaterialsProjectQuery(min_gap_eV=0.5, max_hull_eV_per_atom=0.09)
    with serving(api) as address:
        result = download(project(address, query, page_size=3), out)
    expected = sorted(
        d["material_id"]
        for d in DOCUMENTS
        if d["band_gap"] >= 0.5 and d["energy_above_hull"] <= 0.09
    )
    assert 3 < len(expected) < len(DOCUMENTS)
    assert ids_of(out) == expected
    assert (result.n_records, result.version) == (len(expected), VERSION)
    by_id = {d["material_id"]: d for d in DOCUMENTS}
    for candidate in read_candidates([out]):
        document = by_id[candidate.material_id]
        provenance = candidate.provenance
        assert len(candidate.structure) == document["nsites"]
        assert provenance["band_gap_eV"] == document["band_gap"]
        assert provenance["energy_above_hull_eV_per_atom"] == document["energy_above_hull"]
        assert provenance["database_version"] == VERSION
        assert provenance["licence"] == "BY-C"
        assert json.loads(provenance["query"])["min_gap_eV"] == 0.5
        assert abs(datetime.now(UTC) - datetime.fromisoformat(provenance["retrieved"])).seconds < 60
    assert sorted(p.name for p in tmp_path.iterdir()) == ["li.jsonl"]


def test_chemical_systems_and_ids_are_asked_for(tmp_path):
    api = Api(DOCUMENTS)
    systems = sorted({d["chemsys"] for d in DOCUMENTS})[:2]
    wanted = [d["material_id"] for d in DOCUMENTS[::2]]
    with serving(api) as address:
        download(
            project(address, MaterialsProjectQuery(chemical_systems=tuple(systems))),
            tmp_path / "a",
        )
        download(
            project(address, MaterialsProjectQuery(material_ids=(*wanted, "mp-1")), page_size=2),
            tmp_path / "b",
        )
    assert set(ids_of(tmp_path / "a")) == {
        d["material_id"] for d in DOCUMENTS if d["chemsys"] in systems
    }
    assert ids_of(tmp_path / "b") == wanted


# Fixed: it is part of the tests' names, which all workers have to agree on.
RETRY_AT = "Wed, 01 Jan 2025 00:00:00 GMT"


@pytest.mark.parametrize(
    "fault",
    [
        "late",
        "cut",
        "mute",
        (429, {"Retry-After": "0"}),
        (429, {"Retry-After": RETRY_AT}),
        (429, {}),
        (500, {}),
        (502, {}),
        (503, {"Retry-After": "soon"}),
    ],
    ids=str,
)
@pytest.mark.parametrize("at", [0, 1, 2, 3], ids="request{}".format)
def test_a_fault_at_any_request_changes_nothing(tmp_path, fault, at):
    api = Api(DOCUMENTS, late_s=0.8)
    api.faults = [None] * at + [fault]
    out = tmp_path / "li.jsonl"
    with serving(api) as address:
        download(project(address), out)
    assert ids_of(out) == sorted(d["material_id"] for d in DOCUMENTS)
    assert len(api.requests) == 5  # heartbeat, three pages, one repeated


def test_the_wait_that_the_server_asks_for_is_kept(tmp_path):
    api = Api(DOCUMENTS)
    api.faults = [None, (429, {"Retry-After": "1"})]
    start = time.monotonic()
    with serving(api) as address:
        download(project(address), tmp_path / "li.jsonl")
    assert time.monotonic() - start >= 1.0


def test_a_server_that_asks_for_too_long_a_pause_is_given_up_at_once(tmp_path):
    api = Api(DOCUMENTS)
    api.faults = [None, (429, {"Retry-After": "3600"})]
    with serving(api) as address, pytest.raises(FetchError, match="3600 s"):
        download(project(address), tmp_path / "li.jsonl")
    assert len(api.requests) == 2


def test_an_interrupted_download_goes_on_where_it_was(tmp_path):
    api = Api(DOCUMENTS)
    out = tmp_path / "li.jsonl"
    api.faults = [None, None] + [(500, {})] * 4
    with serving(api) as address:
        with pytest.raises(FetchError, match=r"500 .* kept"):
            download(project(address), out)
        assert not out.exists()
        # The process died while it wrote the second page.
        with (tmp_path / "li.jsonl.part").open("a") as stream:
            stream.write('{"material_id": "mp-half", "struct')
        api.requests.clear()
        result = download(project(address), out)
    assert result.n_resumed == 5
    assert ids_of(out) == sorted(d["material_id"] for d in DOCUMENTS)
    assert sum("_page=1" in request for request in api.requests) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["li.jsonl"]


def test_another_query_or_version_does_not_go_on(tmp_path):
    api = Api(DOCUMENTS)
    out = tmp_path / "li.jsonl"
    api.faults = [None, None] + [(500, {})] * 4
    with serving(api) as address:
        with pytest.raises(FetchError):
            download(project(address), out)
        other = project(address, MaterialsProjectQuery(min_gap_eV=1.0))
        with pytest.raises(SettingsError, match="something else"):
            download(other, out)
        api.version = "2026.01.01"
        with pytest.raises(FetchError, match=r"2025\.09\.25 to 2026\.01\.01"):
            download(project(address), out)
        assert download(project(address), out, restart=True).version == "2026.01.01"
        with pytest.raises(SettingsError, match="already"):
            download(project(address), out)


def test_an_answer_that_is_short_of_what_was_announced_is_an_error(tmp_path):
    class Forgetful(Api):
        def summaries(self, parameters):
            status, content = super().summaries(parameters)
            if parameters["_page"] == "3":
                content["data"] = []
            return status, content

    out = tmp_path / "li.jsonl"
    with serving(Forgetful(DOCUMENTS)) as address, pytest.raises(FetchError, match="announced 12"):
        download(project(address), out)
    assert not out.exists()


def test_a_wrong_key_is_said_so_and_never_shown(tmp_path):
    wrong = "w" * 32
    with serving(Api(DOCUMENTS)) as address:
        with pytest.raises(FetchError, match="does not accept the key") as caught:
            download(project(address, key=wrong), tmp_path / "li.jsonl")
        assert wrong not in str(caught.value)
    with pytest.raises(SettingsError, match="16 characters"):
        project("http://127.0.0.1:9/", key="o" * 16)


def test_nobody_listens(tmp_path):
    with serving(Api([])) as address:
        pass
    with pytest.raises(FetchError, match="connection failed"):
        download(project(address), tmp_path / "li.jsonl")


def test_the_key_is_found_in_the_environment_or_pymatgens_settings(monkeypatch):
    import pymatgen.core

    monkeypatch.delenv("MP_API_KEY", raising=False)
    monkeypatch.delenv("PMG_MAPI_KEY", raising=False)
    monkeypatch.setattr(pymatgen.core, "SETTINGS", {})
    with pytest.raises(SettingsError, match=r"https://materialsproject\.org/api"):
        find_api_key()
    monkeypatch.setattr(pymatgen.core, "SETTINGS", {"PMG_MAPI_KEY": "from settings"})
    assert find_api_key() == "from settings"
    monkeypatch.setenv("MP_API_KEY", "from environment")
    assert find_api_key() == "from environment"
