"""Options and errors of ``superionic predict``, without computing anything."""

import pytest
import torch
from campaign_fixtures import write_crystals
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import NetworkError
from superionic.network import inference


@pytest.fixture
def predict(tmp_path):
    write_crystals(tmp_path / "crystals", 1)

    def invoke(*arguments):
        command = ["predict", str(tmp_path / "crystals"), *map(str, arguments)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return invoke


def test_without_a_network_it_says_how_to_get_one(predict, tmp_path, monkeypatch, data_dir):
    monkeypatch.setattr(inference, "files", lambda package: tmp_path)
    result = predict()
    assert isinstance(result.exception, NetworkError)
    assert "without a trained force network" in str(result.exception)
    assert not data_dir.exists(), "a database was started for nothing"


def test_files_that_are_no_network_of_this_version(predict, tmp_path):
    file = tmp_path / "network.pt"
    assert "There is no file" in str(predict("--network", file).exception)
    assert "There is no file" in str(predict("--network", tmp_path).exception)
    file.write_text("not a checkpoint")
    assert "cannot be read as a force network" in str(predict("--network", file).exception)
    torch.save({"format": "superionic force network", "version": 99}, file)
    result = predict("--network", file)
    assert isinstance(result.exception, NetworkError)
    assert "format version 99" in str(result.exception)
