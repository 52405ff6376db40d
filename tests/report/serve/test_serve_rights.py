"""A database user who may only read is enough for everything that is shown."""

import socket
import subprocess

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from serve_fixtures import REAL_KEY, fill, submit
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import DatabaseError
from superionic.settings import get_settings
from superionic.store.database.programs import find_program
from superionic.store.database.server import local_server
from superionic.store.database.stores import check_connection, ensure_indexes, spec_from_uri

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """Return a filled database on a server that wants a password, for a user with role read."""
    path = tmp_path_factory.mktemp("guarded")
    with local_server(path) as uri, spec_from_uri(uri, "guarded", source="test").open() as filled:
        ensure_indexes(filled)
        fill(filled)
        submit(filled)
        roles = [{"role": "read", "db": "guarded"}]
        with MongoClient(uri) as owner:
            owner.admin.command("createUser", "reader", pwd="only-reads", roles=roles)
    engine = find_program(path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([*engine.command(port), "--auth"], stderr=subprocess.DEVNULL)
    try:
        uri = f"mongodb://reader:only-reads@127.0.0.1:{port}/?authSource=admin"
        spec = spec_from_uri(uri, "guarded", source="test")
        check_connection(spec, timeout_s=30)
        yield spec, uri
    finally:
        server.kill()  # with --auth it now and then outlives SIGTERM by more than half a minute
        server.wait()


def test_a_user_who_may_only_read_sees_everything(read_only, client):
    spec, uri = read_only
    with MongoClient(uri) as reader, pytest.raises(OperationFailure):
        reader["guarded"]["screening"].insert_one({"key": "written"})
    api = client(spec, connection_timeout_s=5)
    for path in (
        *("/api/about", "/api/rows?sort=mpe_eV", "/api/count", "/api/rows.csv", "/api/campaign"),
        "/api/failures",
        *(f"/api/material{rest}?key={REAL_KEY}" for rest in ("", "/standings", "/cif", "/cube")),
        f"/api/material/figure?kind=landscape&key={REAL_KEY}",
    ):
        answer = api.get(path)
        assert answer.status_code == 200, (path, answer.text)
    assert api.get("/api/campaign").json()["jobs"]["FIZZLED"] == 1


def test_the_commands_that_read_need_no_more(read_only, tmp_path, monkeypatch):
    _, uri = read_only
    monkeypatch.setenv("SUPERIONIC_DATABASE_URI", uri)
    monkeypatch.setenv("SUPERIONIC_DATABASE_NAME", "guarded")
    get_settings.cache_clear()
    for arguments in (
        *(["query", "-f", form] for form in ("table", "csv", "json", "jsonl", "optimade")),
        ["query", "--sort", "mpe_eV", "--top", "3"],
        ["explain", "licl"],
        ["report", "--out", str(tmp_path / "report.html"), "--top", "1"],
        ["plot", "landscape", "licl", "--out", str(tmp_path / "licl.html")],
        ["status"],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)
    with MongoClient(uri) as reader:
        names = reader["guarded"].list_collection_names()
    assert not {"builders", "names"} & set(names)
    # What writes says which right it lacks.
    done = CliRunner().invoke(app, ["build"])
    assert isinstance(done.exception, DatabaseError)
    assert "readWrite" in done.exception.hint
