"""``superionic init``: files that work together, tried with the servers that are there."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from campaign_fixtures import TOY, write_crystals
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from superionic.cluster.site_files import SiteOptions, site_files
from superionic.store.database.server import server_status, stop_server

BIN = Path(sys.executable).parent
PASSWORD = "not-a-real-password"


@pytest.mark.parametrize("host", ["mongo.example.org", "10.0.0.7", "127.0.0.1", "localhost"])
@pytest.mark.parametrize("tls", [True, False])
def test_the_server_of_the_compose_file_is_that_of_the_other_files(host, tls):
    options = SiteOptions(host=host, port=27100, tls=tls, user="somebody", database="results")
    text = {file.name: file.text for file in site_files(options, PASSWORD)}
    files = {name: yaml.safe_load(one) for name, one in text.items() if name.endswith(".yaml")}
    launchpad, compose = files["my_launchpad.yaml"], files["compose.yaml"]
    docs = files["jobflow.yaml"]["JOB_STORE"]["docs_store"]
    server = compose["services"]["mongo"]
    for client in (launchpad, docs):
        assert (client["host"], client["port"]) == (host, 27100)
        assert client["mongoclient_kwargs"].get("tls", False) == tls
    assert ("requireTLS" in server["command"]) == tls
    is_here = host in ("127.0.0.1", "localhost")
    assert server["ports"] == ["127.0.0.1:27100:27017" if is_here else "27100:27017"]
    assert set(server["secrets"]) == set(compose["secrets"])
    assert 'createUser({user: "somebody"' in text["compose.yaml"]
    assert 'db: "results"' in text["compose.yaml"]
    assert ("openssl" in text["compose.yaml"]) == tls


@pytest.fixture
def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def shell(script, folder, **environment):
    """Run a script in bash with the programs of this installation on the path."""
    own = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment}
    return subprocess.run(
        ["bash", "-ec", script], cwd=folder, env=own, capture_output=True, text=True, timeout=300
    )


@contextmanager
def running(command, folder, port, **options):
    """Run a server, and yield a client that it answers."""
    client = MongoClient(
        "127.0.0.1", port, serverSelectionTimeoutMS=1000, directConnection=True, **options
    )
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.superionic.anything.find_one({})
                break
            except PyMongoError:
                assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
                time.sleep(0.2)
        yield client
    finally:
        client.close()
        process.kill()
        process.wait()


@pytest.mark.process
def test_lpad_works_with_the_local_server(tmp_path, data_dir):
    write_crystals(tmp_path / "crystals", 1)
    try:
        done = shell(
            "superionic init site --local\n"
            "source site/environment.sh\n"
            f"superionic submit crystals --potential '{TOY}'\n"
            "lpad get_wflows\n",
            tmp_path,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"state": "READY"' in done.stdout
        port = server_status(data_dir).server.port
        stop_server(data_dir)
        assert server_status(data_dir).server is None
        # In another shell, later: the server is started on the port that the files name.
        again = shell("source site/environment.sh\nlpad get_wflows -d count\n", tmp_path)
        assert again.returncode == 0, again.stdout + again.stderr
        assert again.stdout.splitlines()[-1] == "1"
        assert server_status(data_dir).server.port == port
    finally:
        stop_server(data_dir, force=True)


@pytest.mark.process
def test_files_for_tls_reach_a_server_that_takes_nothing_else(tmp_path, free_port):
    if shutil.which("openssl") is None or not (BIN / "secantusd-py").exists():
        pytest.skip("openssl makes the certificate, and SecantusDB is the server.")
    certificate = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
        "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem"
    )
    assert shell(certificate, tmp_path).returncode == 0
    plain = [
        *(str(BIN / "secantusd-py"), "--host", "127.0.0.1", "--port", str(free_port)),
        *("--storage-path", str(tmp_path / "storage"), "--standalone", "--sync-on-commit"),
        *("--tls-cert-file", "ca.pem", "--tls-key-file", "key.pem"),
    ]
    options = {"tls": True, "tlsCAFile": str(tmp_path / "ca.pem")}
    with running(plain, tmp_path, free_port, **options) as client:
        roles = [{"role": "readWrite", "db": "superionic"}]
        client.admin.command("createUser", "superionic", pwd=PASSWORD, roles=roles)
    login = {"username": "superionic", "password": PASSWORD}
    with running([*plain, "--auth"], tmp_path, free_port, **options, **login):
        done = shell(
            f"superionic init site --host 127.0.0.1 --port {free_port} --user superionic "
            "--tls --tls-ca-file $PWD/ca.pem\n"
            "source site/environment.sh\n"
            f"superionic doctor --potential '{TOY}'\n",
            tmp_path,
            SUPERIONIC_MONGO_PASSWORD=PASSWORD,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "launchpad connection: " in done.stdout
        refused = shell(
            f"superionic init open --host 127.0.0.1 --port {free_port} --user superionic\n"
            "source open/environment.sh\n"
            f"superionic doctor --potential '{TOY}'\n",
            tmp_path,
            SUPERIONIC_MONGO_PASSWORD=PASSWORD,
        )
        assert refused.returncode == 1
        assert "BAD  launchpad connection" in refused.stdout
