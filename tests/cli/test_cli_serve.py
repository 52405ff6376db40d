"""``superionic serve`` as a user starts it."""

import os
import signal
import stat

import pytest
import requests
from campaign_fixtures import wait_until
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import SettingsError

TOKEN = "a-token-of-the-command-tests"


@pytest.mark.process
def test_serve_shows_the_local_database_and_ends(start, data_dir):
    command = start("serve", "--port", "0")
    wait_until(lambda: "http://" in command.out or command.process.poll() is not None, "it serves")
    url = command.out.split()[0]
    assert url.startswith("http://127.0.0.1:")
    answer = requests.get(url + "/api/rows", timeout=30)
    assert answer.status_code == 503
    assert "superionic screen" in answer.json()["error"]["hint"]
    assert requests.get(url, timeout=30).status_code == 200
    refused = requests.get(url, headers={"Host": "evil.example"}, timeout=30)
    assert refused.status_code == 400
    os.kill(command.process.pid, signal.SIGTERM)
    command.wait(30)
    assert "Traceback" not in command.err
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


@pytest.mark.process
def test_for_a_network_a_token_is_made_and_not_told(start, data_dir, monkeypatch):
    monkeypatch.setenv("SUPERIONIC_DATABASE_URI", "mongodb://127.0.0.1:9/")
    command = start("serve", "--host", "0.0.0.0", "--port", "0")
    wait_until(lambda: "token" in command.out or command.process.poll() is not None, "it serves")
    path = data_dir / "serve_token"
    assert str(path) in command.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text().strip()
    port = command.out.split()[0].rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/openapi.json"
    assert requests.get(url, timeout=30).status_code == 401
    right = {"Authorization": f"Bearer {token}"}
    assert requests.get(url, headers=right, timeout=30).status_code == 200
    os.kill(command.process.pid, signal.SIGINT)
    command.wait(30)
    assert token not in command.out + command.err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--port", "70000"], "--port"),
        (["--token-file", "not-there"], "not-there"),
        (["--webgui-url", "javascript:alert(1)"], "web view"),
        (["--allow-host", "http://name"], "host name"),
        (["--host", "192.0.2.1", "--token-file", "{token}"], "192.0.2.1"),
        (["--launchpad", "not-there.yaml"], "not-there.yaml"),
    ],
)
def test_wrong_options_are_named(arguments, fault, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    monkeypatch.setenv("SUPERIONIC_DATABASE_URI", "mongodb://127.0.0.1:9/")
    filled = [one.replace("{token}", str(token)) for one in arguments]
    result = CliRunner().invoke(app, ["serve", "--port", "0", *filled])
    assert result.exit_code != 0
    said = result.output + str(result.exception)
    assert fault in said
    assert TOKEN not in said


def test_missing_packages_are_named(monkeypatch):
    import importlib.util

    plain = importlib.util.find_spec

    def without_fastapi(name, *arguments):
        return None if name == "fastapi" else plain(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", without_fastapi)
    result = CliRunner().invoke(app, ["serve"])
    assert isinstance(result.exception, SettingsError)
    assert "fastapi" in result.exception.message
    assert "pip install 'superionic[serve]'" in result.exception.hint
