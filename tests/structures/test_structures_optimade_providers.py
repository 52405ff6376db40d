"""OPTIMADE's providers: from a name by the registry and the provider's index to a database."""

import json
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from faulty_server import EXAMPLES, Api, serving
from pymatgen.core import Structure

pytest.importorskip("optimade.client", reason="the extra 'optimade' is not installed")
pytest.importorskip("uvicorn", reason="the server of optimade-python-tools is not installed")

from typer.testing import CliRunner

from superionic.cli.fetch import app
from superionic.errors import FetchError
from superionic.structures.sources import optimade
from superionic.structures.sources.http import RequestPolicy
from superionic.structures.sources.optimade import provider_databases

QUICK = RequestPolicy(connect_s=2, read_s=5, attempts=2, first_wait_s=0.01, longest_wait_s=0.1)
# The consortium's list of providers as it was served, which the reference implementation brings.
RECORDED = Path(find_spec("optimade").origin).parent / "server" / "data" / "providers.json"


class Registry(Api):
    """The recorded list of providers, with some that lead to servers of ours."""

    def __init__(self, **ours):
        super().__init__([])
        self.content = json.loads(RECORDED.read_text())
        for name, address in ours.items():
            attributes = {"name": name, "description": name, "base_url": address}
            attributes |= {"homepage": None, "link_type": "external"}
            entry = {"type": "links", "id": name, "attributes": attributes}
            self.content["data"].append(entry)

    def answer(self, path, parameters, headers):
        return 200, self.content


def link(name, address, kind="child", aggregate="ok"):
    return {
        "id": name,
        "type": "links",
        "name": name,
        "description": f"The database {name}",
        "base_url": address,
        "homepage": None,
        "link_type": kind,
        "aggregate": aggregate,
    }


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Serve an index meta-database, as providers do, with the reference implementation."""
    import uvicorn
    from optimade.server.config import ServerConfig
    from optimade.server.create_app import create_app

    folder = tmp_path_factory.mktemp("index")
    links = [
        link("index", "http://127.0.0.1:9", kind="root"),
        link("crystals", "http://127.0.0.1:9/crystals"),
        link("molecules", "http://127.0.0.1:9/molecules/"),
        link("private", "http://127.0.0.1:9/private", aggregate="no"),
        link("friends", "http://127.0.0.1:9/friends", kind="external"),
    ]
    (folder / "links.json").write_text(json.dumps(links))
    config = ServerConfig(
        insert_test_data=True,
        index_links_path=folder / "links.json",
        provider={"prefix": "ours", "name": "Ours", "description": "Two databases"},
        log_dir=folder / "log",
    )
    application = create_app(config, index=True, logger_tag="index")
    server = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=0, log_level="critical")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (port,) = {socket.getsockname()[1] for one in server.servers for socket in one.sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def look_up():
    """Look a provider up in a registry of ours."""

    def look(registry, name):
        with serving(registry) as address:
            return provider_databases(name, QUICK, registries=[address])

    return look


def test_the_databases_of_a_provider_are_those_its_index_offers(index, look_up):
    found = look_up(Registry(ours=index), "ours")
    assert found == ["http://127.0.0.1:9/crystals", "http://127.0.0.1:9/molecules"]
    assert look_up(Registry(ours=f"{index}/"), "ours") == found


def test_an_unknown_provider_is_told_which_there_are(look_up):
    with pytest.raises(FetchError, match="no provider 'nobody'") as caught:
        look_up(Registry(), "nobody")
    assert "alexandria" in caught.value.hint
    assert "mp," in caught.value.hint


def test_a_provider_without_databases_says_so(look_up):
    with pytest.raises(FetchError, match="aiida has no databases yet"):  # as recorded
        look_up(Registry(), "aiida")


def test_a_registry_that_is_away_is_replaced_by_its_copy_or_named(index):
    away = "http://127.0.0.1:9/v1/links"
    with serving(Registry(ours=index)) as copy:
        found = provider_databases("ours", QUICK, registries=[away, copy])
        assert len(found) == 2
    with pytest.raises(FetchError, match="registry of providers cannot be read") as caught:
        provider_databases("ours", QUICK, registries=[away, f"{away}/copy"])
    assert caught.value.message.count("127.0.0.1:9 could not be read in 2 attempts") == 2
    assert "--url" in caught.value.hint


@pytest.mark.parametrize("fault", ["cut", "mute", (503, {})], ids=str)
def test_a_registry_that_stumbles_is_asked_again(index, look_up, fault):
    registry = Registry(ours=index)
    registry.faults = [fault]
    assert len(look_up(registry, "ours")) == 2
    assert len(registry.requests) == 2


class Nonsense(Api):
    """Answers every request alike."""

    def __init__(self, status, content):
        super().__init__([])
        self.reply = (status, content)

    def answer(self, path, parameters, headers):
        return self.reply


@pytest.mark.parametrize("reply", [(404, {}), (200, {"errors": []}), (200, {"data": "none"})])
def test_a_registry_that_answers_nonsense_is_named(reply):
    with (
        serving(Nonsense(*reply)) as address,
        pytest.raises(FetchError, match="did not answer with a list of providers"),
    ):
        provider_databases("ours", QUICK, registries=[address])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((404, {"detail": "Not Found"}), "Invalid response"),
        ((200, {"data": [{"id": "x"}]}), "Did not understand"),
        ((200, {"data": []}), "no databases that may be asked"),
        ((503, {}), "could not be read in 2 attempts"),
    ],
    ids=str,
)
def test_an_index_that_answers_nonsense_is_named(look_up, reply, said):
    with serving(Nonsense(*reply)) as index, pytest.raises(FetchError, match=said) as caught:
        look_up(Registry(ours=index), "ours")
    assert "ours" in caught.value.message
    assert "--url" in caught.value.hint


class OneDatabase(Api):
    """Index and database of a provider in one: lithium iodide, in OPTIMADE's form."""

    def answer(self, path, parameters, headers):
        from optimade.adapters.structures.pymatgen import from_pymatgen

        meta = {"api_version": "1.1.0", "data_returned": 1, "more_data_available": False}
        if path.endswith("/links"):
            plain = link("lithium", self.address.rstrip("/"))
            attributes = {k: v for k, v in plain.items() if k not in ("id", "type")}
            entry = {"id": "lithium", "type": "links", "attributes": attributes}
            return 200, {"data": [entry], "meta": meta}
        if path.endswith("/info"):
            return 200, {"data": {"attributes": {"api_version": "1.1.0"}}, "meta": meta}
        crystal = from_pymatgen(Structure.from_file(EXAMPLES / "mp-22899.cif"))
        attributes = crystal.model_dump(mode="json", exclude_none=True)
        entry = {"id": "mp-22899", "type": "structures", "attributes": attributes}
        return 200, {"data": [entry], "meta": meta, "links": {"next": None}}


def test_the_command_fetches_from_a_provider_by_name(index, tmp_path, monkeypatch):
    run = CliRunner().invoke
    database = OneDatabase([])
    out = tmp_path / "li.jsonl"
    with serving(database) as address:
        database.address = address
        with serving(Registry(one=address, ours=index)) as registry:
            monkeypatch.setattr(optimade, "REGISTRIES", (registry,))
            done = run(app, ["optimade", "--provider", "one", "--out", str(out)])
            assert done.exit_code == 0, done.output
            several = run(app, ["optimade", "--provider", "ours", "--out", str(out)])
    (record,) = map(json.loads, out.read_text().splitlines())
    assert record["material_id"] == "mp-22899"
    assert record["database"] == f"OPTIMADE {address.rstrip('/')}"
    assert several.exit_code == 1
    assert "has 2 databases" in several.exception.message
    assert "http://127.0.0.1:9/crystals" in several.exception.hint
