"""The commands of ``superionic db``, on a real server."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superionic.cli.db import app
from superionic.store.database.server import local_server, server_status, stop_server

pytestmark = pytest.mark.process


@pytest.fixture
def data_dir(tmp_path: Path):
    path = tmp_path / "data"
    yield path
    if path.exists():
        stop_server(path, force=True)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_start_status_stop(data_dir):
    where = f"--data-dir={data_dir}"
    missing = run("status", where)
    assert missing.exit_code == 1
    assert "does not run" in missing.output
    assert not data_dir.exists()

    started = run("start", where)
    assert started.exit_code == 0
    record = json.loads((data_dir / "server.json").read_text())
    assert f"127.0.0.1:{record['port']}" in started.output
    again = run("start", where)
    assert again.exit_code == 0
    assert again.output == started.output

    found = run("status", where)
    assert found.exit_code == 0
    for text in (record["engine"], str(record["pid"]), f":{record['port']}/", str(data_dir), "MB"):
        assert text in found.output.replace("\n", "")
    assert "in use    no" in found.output

    with local_server(data_dir):
        assert "in use    yes" in run("status", where).output
        waiting = run("stop", where)
        assert waiting.exit_code == 0
        assert "when the last of them ends" in waiting.output
        assert server_status(data_dir).answers
    assert run("status", where).exit_code == 1

    run("start", where)
    stopped = run("stop", where)
    assert stopped.exit_code == 0
    assert "stopped" in stopped.output
    assert server_status(data_dir).server is None
    nothing = run("stop", where)
    assert nothing.exit_code == 0
    assert "No server runs" in nothing.output


def test_forced_stop(data_dir):
    where = f"--data-dir={data_dir}"
    with local_server(data_dir):
        assert "stopped" in run("stop", "--force", where).output
        assert server_status(data_dir).server is None
