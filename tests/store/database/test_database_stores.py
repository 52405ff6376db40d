import os
import pickle
import shlex
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from jobflow import job, run_locally
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from superionic.cluster.diagnosis import diagnose_database
from superionic.cluster.site import launchpad_in
from superionic.errors import DatabaseError, SettingsError
from superionic.settings import SuperionicSettings
from superionic.store.database.addresses import hosts_of
from superionic.store.database.jobflow_config import EXAMPLE
from superionic.store.database.programs import find_program
from superionic.store.database.server import local_server, server_status, start_server
from superionic.store.database.stores import (
    check_connection,
    configured_database,
    ensure_indexes,
    resolve_database,
    spec_from_uri,
)

process = pytest.mark.process


@pytest.fixture
def settings(data_dir):
    return SuperionicSettings(data_dir=data_dir)


def write_jobflow_file(monkeypatch, tmp_path, content):
    path = tmp_path / "jobflow.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(path))
    return path


def mongo_job_store(docs, data):
    """A JOB_STORE of a server, given the connection of its two stores."""
    return {
        "JOB_STORE": {
            "docs_store": {"collection_name": "outputs", **docs},
            "additional_stores": {"data": {"collection_name": "outputs_blobs", **data}},
        }
    }


@job(data=["arrays"])
def make_arrays(n):
    values = np.arange(float(n)).reshape(-1, 2)
    return {"material_id": "LiCl", "kind": "landscape", "arrays": {"grid": values}}


@job
def use_arrays(document):
    return {"kind": "sum", "total": float(np.sum(document["arrays"]["grid"]))}


def count_outputs(spec):
    """What a worker process does: open its own connections."""
    with spec.open() as database:
        return database.job_store.count()


@process
def test_jobs_write_and_read_arrays_on_the_local_server(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = make_arrays(300_000)  # more than one GridFS chunk
    second = use_arrays(first.output)
    with resolve_database(settings) as database:
        run_locally(
            [first, second],
            store=database.job_store,
            ensure_success=True,
            log=False,
            raise_immediately=True,
        )
        stored = database.job_store.docs_store.query_one({"uuid": first.uuid})
        assert set(stored["output"]["arrays"]) >= {"blob_uuid", "store"}  # not in the document
        assert stored["output"]["arrays"]["store"] == "data"
        loaded = database.job_store.get_output(first.uuid, load=True)
        np.testing.assert_array_equal(
            np.asarray(loaded["arrays"]["grid"]), np.arange(300_000.0).reshape(-1, 2)
        )
        total = database.job_store.get_output(second.uuid)["total"]
        assert total == pytest.approx(300_000 * 299_999 / 2)

        spec = pickle.loads(pickle.dumps(database.spec))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert pool.submit(count_outputs, spec).result(timeout=120) == 2
    assert server_status(settings.data_dir).server is None

    with resolve_database(settings) as database:  # and they are there the next time
        assert database.job_store.count({"output.material_id": "LiCl"}) == 1


@process
def test_screening_keys_are_unique_and_indexed(settings):
    with resolve_database(settings) as database:
        document = {"key": "LiCl-Li-chgnet", "elements": ["Li", "Cl"], "mpe_eV": 0.22}
        for mpe in (0.3, 0.2):
            database.screening.update(document | {"mpe_eV": mpe, "last_updated": datetime.now(UTC)})
        assert database.screening.count() == 1
        assert database.screening.query_one({"elements": "Cl"})["mpe_eV"] == 0.2
        with pytest.raises(DuplicateKeyError):
            database.screening._collection.insert_one(dict(document))
        ensure_indexes(database)  # again, with documents there
        indexes = database.screening._collection.index_information()
        assert indexes["key_1"]["unique"]
        assert {
            "rank_1_key_1",
            "ranks.network_1_key_1",
            "mpe_eV_1",
            "elements_1",
            "formula_1",
        } <= set(indexes)
        docs = database.job_store.docs_store._collection.index_information()
        assert "uuid_1_index_1" in docs
        blobs = database.job_store.additional_stores["data"]._files_collection.index_information()
        assert "metadata.blob_uuid_1" in blobs
        names = {store.collection_name for store in (database.screening, database.failures)}
        assert names == {"screening", "failures"}


@process
def test_order_of_sources(data_dir, tmp_path, monkeypatch):
    """jobflow's file before the URI before the local server; each reaches what it says."""
    with local_server(data_dir) as uri:
        port = int(uri.split(":")[2].split("/")[0])
        by_uri = SuperionicSettings(
            data_dir=tmp_path / "unused", database_uri=uri, database_name="by_uri"
        )
        with resolve_database(by_uri) as database:
            assert database.description == f"127.0.0.1:{port}/by_uri"
            assert database.spec.source == "database_uri"
        assert not (tmp_path / "unused").exists()

        place = {"host": "127.0.0.1", "port": port, "database": "by_file"}
        content = mongo_job_store({"type": "MongoStore", **place}, {"type": "GridFSStore", **place})
        path = write_jobflow_file(monkeypatch, tmp_path, content)
        with resolve_database(by_uri) as database:
            assert database.description == f"127.0.0.1:{port}/by_file"
            assert database.spec.source == str(path)
            database.screening.update({"key": "a", "last_updated": datetime.now(UTC)})
            database.failures.update({"key": "b", "last_updated": datetime.now(UTC)})
        with resolve_database(by_uri, prefer_uri=True) as database:
            assert database.spec.source == "database_uri"
        with MongoClient(uri) as client:
            assert client.by_file.screening.count_documents({}) == 1
            assert client.by_file.failures.count_documents({}) == 1

        path.write_text("LOG_FORMAT: '%(message)s'\n")  # names no store: the next source counts
        assert configured_database(by_uri).source == "database_uri"
        path.write_text("")
        assert configured_database(by_uri).source == "database_uri"
        monkeypatch.delenv("JOBFLOW_CONFIG_FILE")
        (tmp_path / "home" / ".jobflow.yaml").write_text(yaml.safe_dump(content))
        assert configured_database(by_uri).description == f"127.0.0.1:{port}/by_file"


@process
@pytest.mark.filterwarnings("ignore:.*URIStore.*")
def test_deprecated_uri_stores_survive_being_sent(data_dir, tmp_path, monkeypatch):
    """maggma 0.77 drops all arguments of MongoURIStore and GridFSURIStore in as_dict."""
    with local_server(data_dir) as uri:
        options = {"uri": uri, "database": "old", "mongoclient_kwargs": {"appname": "kept"}}
        content = mongo_job_store(
            {"type": "MongoURIStore", **options}, {"type": "GridFSURIStore", **options}
        )
        write_jobflow_file(monkeypatch, tmp_path, content)
        with resolve_database(SuperionicSettings(data_dir=data_dir)) as database:
            database.job_store.update(
                {"uuid": "u", "index": 1, "big": [1, 2]}, save={"data": "big"}
            )
            spec = pickle.loads(pickle.dumps(database.spec))
        with spec.open() as database:
            document = database.job_store.query_one({"uuid": "u"}, load=True)
            assert document["big"] == [1, 2]
            assert database.job_store.docs_store.mongoclient_kwargs == {"appname": "kept"}


def test_database_named_in_the_uri():
    uri = "mongodb://127.0.0.1:1/mine?authSource=admin"
    assert configured_database(SuperionicSettings(database_uri=uri)).description.endswith("/mine")
    on_purpose = SuperionicSettings(database_uri=uri, database_name="other")
    assert configured_database(on_purpose).description == "127.0.0.1:1/other"


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:secret@127.0.0.1:1/",
        "mongodb://user:secret@127.0.0.1:1,127.0.0.1:2/db?authSource=admin",
    ],
)
def test_unreachable_database_is_told_in_one_line_without_password(uri):
    settings = SuperionicSettings(database_uri=uri)
    spec = configured_database(settings)
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1.* does not answer") as caught:
        check_connection(spec, timeout_s=0.3)
    error = caught.value
    assert "\n" not in str(error)
    assert error.__suppress_context__
    for text in (str(error), repr(error), repr(spec), str(spec), spec.description, spec.source):
        assert "secret" not in text
        assert "user" not in text.replace("user name", "")


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:sec/ret@127.0.0.1/",
        "mongodb://user:sec@ret@127.0.0.1:port/",
        "mongodb://user:sec%ret@127.0.0.1/",
        "mongodb+srv://user:sec/ret@host.invalid/",
        "http://user:sec-ret@127.0.0.1/",
        "user:sec:ret@127.0.0.1",
    ],
)
def test_invalid_uri_is_not_repeated(uri):
    with pytest.raises(SettingsError, match="not a valid MongoDB URI") as caught:
        configured_database(SuperionicSettings(database_uri=uri))
    assert "sec" not in str(caught.value)
    assert caught.value.__suppress_context__


@example(scheme="mongodb+srv", password="@1/?")
@given(
    scheme=st.sampled_from(["mongodb", "mongodb+srv"]),
    password=st.text(alphabet="12/?@:%#&=[],", max_size=8),
)
def test_no_part_of_an_unescaped_password_is_taken_for_a_host(scheme, password):
    try:
        hosts = hosts_of(f"{scheme}://user:{password}@host.example/")
    except SettingsError:
        return
    assert hosts in ("host.example", "host.example:27017")


def test_secrets_do_not_reach_a_traceback(tmp_path):
    """A whole program that fails, with everything that Python prints."""
    program = (
        "from superionic.store.database.stores import check_connection, configured_database\n"
        "from superionic.settings import get_settings\n"
        "spec = configured_database(get_settings())\n"
        "check_connection(spec, timeout_s=0.3)\n"
    )
    environment = os.environ | {"SUPERIONIC_DATABASE_URI": "mongodb://user:secret@127.0.0.1:1/"}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert "DatabaseError" in ended.stderr
    assert "secret" not in ended.stderr + ended.stdout


@process
def test_refused_password(data_dir, tmp_path):
    """A server with --auth and a user made before."""
    with local_server(data_dir) as uri, MongoClient(uri) as client:
        client.admin.command("createUser", "ann", pwd="right", roles=["root"])
    engine = find_program(data_dir)
    if engine.name != "SecantusDB":
        pytest.skip("written for the command line of SecantusDB")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        shlex.split(f"{shlex.join(engine.command(port))} --auth"), stderr=subprocess.DEVNULL
    )
    try:

        def spec(user):
            return spec_from_uri(
                f"mongodb://{user}127.0.0.1:{port}/?authSource=admin", "db", source="test"
            )

        check_connection(spec("ann:right@"), timeout_s=30)
        for user in ("ann:wrongsecret@", ""):
            with pytest.raises(DatabaseError, match="refuses the user name or password") as caught:
                check_connection(spec(user))
            assert "wrongsecret" not in str(caught.value)
            assert "\n" not in str(caught.value)
    finally:
        server.kill()  # with --auth it now and then outlives SIGTERM by more than half a minute
        server.wait()


MONGO = {"type": "MongoStore", "database": "d", "host": "127.0.0.1", "password": "secret"}
GRID = {"type": "GridFSStore"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (mongo_job_store({"type": "MemoryStore"}, {"type": "MemoryStore"}), "MemoryStore"),
        (
            {"JOB_STORE": {"docs_store": {"type": "JSONStore", "paths": "results.json"}}},
            "JSONStore",
        ),
        (
            {"JOB_STORE": {"docs_store": {**MONGO, "collection_name": "outputs"}}},
            "no additional store 'data'",
        ),
        (mongo_job_store(MONGO, {"type": "MemoryStore"}), "no additional store 'data'"),
        (mongo_job_store({**MONGO, "type": "MongoStor"}, MONGO), "cannot be read"),
        (mongo_job_store({**MONGO, "secret": 1}, MONGO), "cannot be read"),
        (mongo_job_store({**MONGO, "port": "secret"}, MONGO | GRID), "is no number"),
        ({"JOB_STORE": ["secret"]}, "cannot be read"),
        ({"JOB_STORE": None}, "cannot be read"),
        ("- secret\n", "not a mapping"),
        ("JOB_STORE: {secret", "cannot be read"),
    ],
)
def test_refused_jobflow_files(content, message, tmp_path, monkeypatch):
    path = write_jobflow_file(monkeypatch, tmp_path, content)
    with pytest.raises(SettingsError, match=message) as caught:
        configured_database(SuperionicSettings())
    assert str(path) in caught.value.message
    assert "secret" not in str(caught.value)
    assert "GridFSStore" in caught.value.hint  # what to write instead


def test_the_example_of_the_hint_is_accepted(tmp_path, monkeypatch):
    write_jobflow_file(monkeypatch, tmp_path, EXAMPLE)
    assert configured_database(SuperionicSettings()).description == "HOST:27017/superionic"


def test_host_that_is_a_uri_hides_its_password(tmp_path, monkeypatch):
    place = {"host": "mongodb+srv://user:secret@cluster.example/", "database": "d"}
    content = mongo_job_store({"type": "MongoStore", **place}, {"type": "GridFSStore", **place})
    write_jobflow_file(monkeypatch, tmp_path, content)
    assert configured_database(SuperionicSettings()).description == "cluster.example/d"


def in_quotes(place):
    return {**place, "port": str(place["port"]), "username": "", "password": ""}


@process
def test_job_stores_as_others_write_them(data_dir, tmp_path, monkeypatch):
    """Ports in quotes and empty names, as templates fill them in; other stores for the arrays."""
    with local_server(data_dir) as uri, MongoClient(uri) as client:
        place = {"database": "d", "host": "127.0.0.1", "port": client.address[1]}
        docs, data = {"type": "MongoStore", **place}, {"type": "GridFSStore", **place}
        write_jobflow_file(monkeypatch, tmp_path, mongo_job_store(in_quotes(docs), in_quotes(data)))
        with resolve_database(SuperionicSettings()) as database:
            assert database.job_store.count() == 0
        index = {**in_quotes(docs), "collection_name": "outputs_blobs", "key": "blob_uuid"}
        bucket = {"type": "S3Store", "index": index, "bucket": "b", "key": "blob_uuid"}
        content = mongo_job_store(docs, {**bucket, "endpoint_url": "https://127.0.0.1:9"})
        del content["JOB_STORE"]["additional_stores"]["data"]["collection_name"]
        write_jobflow_file(monkeypatch, tmp_path, content)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        with (
            pytest.raises(DatabaseError, match="cannot be opened") as caught,
            resolve_database(SuperionicSettings()),
        ):
            pass
        assert "NoCredentialsError" in caught.value.message


def test_an_ssh_tunnel_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    tunnel = {
        "@module": "maggma.stores.ssh_tunnel",
        "@class": "SSHTunnel",
        "tunnel_server_address": "127.0.0.1:1",
        "username": "me",
        "password": "secret",
        "remote_server_address": "mongo.example:27017",
    }
    path = write_jobflow_file(
        monkeypatch, tmp_path, mongo_job_store({**MONGO, "ssh_tunnel": tunnel}, MONGO | GRID)
    )
    spec = configured_database(SuperionicSettings())
    assert spec.description == "mongo.example:27017/d, through an SSH tunnel over 127.0.0.1:1"
    with pytest.raises(DatabaseError, match="the tunnel cannot be opened") as caught:
        check_connection(spec)
    assert "secret" not in str(caught.value)
    assert str(path) in caught.value.message
    with pytest.raises(SettingsError, match="which FireWorks cannot use"):
        launchpad_in(spec)


def test_named_jobflow_file_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(SettingsError, match=r"nowhere\.yaml"):
        configured_database(SuperionicSettings())
    findings = diagnose_database(SuperionicSettings())
    assert [f.subject for f in findings if f.ok is False] == ["jobflow configuration", "database"]


@process
def test_diagnosis_of_the_local_server(settings):
    before = diagnose_database(settings)
    assert before[-1].ok
    assert "a command that needs it starts" in before[-1].text
    assert not settings.data_dir.exists()
    server = start_server(settings.data_dir)
    after = diagnose_database(settings)
    assert after[-1].ok
    assert str(server.port) in after[-1].text
    assert "answers" in after[-1].text


def test_diagnosis_without_any_engine(settings, monkeypatch):
    monkeypatch.setattr("superionic.store.database.programs._executable", lambda name: None)
    fault = diagnose_database(settings)[-1]
    assert fault.ok is False
    assert "superionic[server]" in fault.hint


def test_diagnosis_of_an_unreachable_database():
    settings = SuperionicSettings(database_uri="mongodb://user:secret@127.0.0.1:1/")
    findings = diagnose_database(settings, timeout_s=0.3)
    assert "secret" not in repr(findings)
    assert findings[-2].text.startswith("127.0.0.1:1/superionic")
    assert findings[-1].subject == "connection"
    assert findings[-1].ok is False
    assert findings[-1].hint
