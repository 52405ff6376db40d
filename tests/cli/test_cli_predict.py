"""Options and errors of ``superionic predict``, without computing anything."""

from dataclasses import replace

import pytest
import torch
from campaign_fixtures import write_crystals
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import NetworkError
from superionic.network import inference
from superionic.report.tables.predictions import prediction_table, predictions_json
from superionic.workflows.campaign import predicting
from superionic.workflows.makers.predict import PredictMaker


@pytest.fixture
def predict(tmp_path):
    write_crystals(tmp_path / "crystals", 1)

    def invoke(*arguments):
        command = ["predict", str(tmp_path / "crystals"), *map(str, arguments)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return invoke


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--shakes", "0"], "--shakes"), (["--json", "no/folder/x.json"], "no directory")],
)
def test_wrong_options_are_explained(predict, arguments, word):
    result = predict(*arguments)
    assert result.exit_code == 2
    assert word in result.output


def test_campaign_files_and_options_reach_the_maker(tmp_path, monkeypatch):
    write_crystals(tmp_path / "crystals", 1)
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "flow: predict\ncrystals: [crystals]\nmobile_species: Na\npotential: sevennet\n"
        "orderings: 2\nsettings: {n_shakes: 4, network: a.pt, relax_maker: null}\n"
    )
    asked = []

    def predict_paths(paths, maker, settings, reporter, **rest):
        asked.append((paths, maker, rest["selection"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(predicting, "predict_paths", predict_paths)
    result = CliRunner().invoke(app, ["predict", "--campaign", str(file), "--network", "b.pt"])
    assert result.exit_code == 130
    ((paths, maker, selection),) = asked
    assert paths == [tmp_path / "crystals"]
    assert maker == PredictMaker(
        mobile_species="Na", potential="sevennet", network="b.pt", n_shakes=4, relax_maker=None
    )
    assert selection.n_orderings == 2
    for arguments in ([], [str(tmp_path / "crystals"), "--campaign", str(file)]):
        assert CliRunner().invoke(app, ["predict", *arguments]).exit_code == 2
    usual = PredictMaker().relax_maker
    for word, expected in (
        ("auto", usual),
        ("cell", replace(usual, relax_cell=True)),
        ("never", None),
    ):
        for what in (["--campaign", str(file)], [str(tmp_path / "crystals")]):
            CliRunner().invoke(app, ["predict", *what, "--relax", word])
            assert asked[-1][1].relax_maker == expected
    CliRunner().invoke(app, ["predict", str(tmp_path / "crystals")])
    assert asked[-1][1].relax_maker == usual
    file.write_text("flow: label\ncrystals: [crystals]\n")
    result = CliRunner().invoke(app, ["predict", "--campaign", str(file)])
    assert "flow 'label'" in str(result.exception)


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


def test_no_predictions_are_shown_as_such():
    assert prediction_table([]) == "No predictions."
    assert predictions_json([]) == "[]"
