"""``superionic train``: from labels to a network that predicts, without a study."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import SettingsError
from superionic.network.inference import Ensemble
from superionic.network.train import read_train_file
from superionic.report.figures import learning_curves, parity
from superionic.settings import get_settings

sys.path.insert(0, str(Path(__file__).parents[1] / "network"))

from crystal_lines import label_lines

ROOT = Path(__file__).parents[2]
CONTENT = {
    "data": "labels.jsonl",
    "potential": 'ase:ase.calculators.morse.MorsePotential?{"r0": 2.5}',
    "shakes": {"n_shakes": 2, "min_image_distance_A": 4.0},
    "network": {"n_layers": 1, "channels": 2, "l_max": 1, "cutoff_A": 3.0},
    "training": {"max_epochs": 2, "validation_fraction": 0.0},
    "splits": ["random"],
    "seeds": [0],
    "n_folds": 2,
    "ensemble": {"n_members": 1, "split": "random"},
    "n_resamples": 5,
}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("SUPERIONIC_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    lines = label_lines(8)
    colder = json.loads(lines[0]) | {"material_id": "melts", "temperature_K": 700.0}
    molten = colder | {"verdict": "melted", "temperature_K": 1000.0}
    lines += map(json.dumps, (molten, colder))
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(CONTENT | {"labels": {"temperature_K": 1000.0}}))
    yield path
    get_settings.cache_clear()


def invoke(*options):
    return CliRunner().invoke(app, ["train", *map(str, options)], catch_exceptions=False)


def test_from_labels_to_an_ensemble_and_figures_and_not_again(file, tmp_path, monkeypatch):
    options = ("--campaign", file, "--out", tmp_path / "out", "--workers", "1")
    ended = invoke(*options)
    assert ended.exit_code == 0
    assert "| at random |" in ended.output
    assert "Warning: 8 labels are not of ase:ase.calculators.morse" in ended.output
    text = (tmp_path / "out" / "summary.json").read_text()
    summary = json.loads(text, parse_constant=pytest.fail)
    assert (summary["n_crystals"], summary["left_out"]) == (
        8,
        {"melted": 1, "of another temperature": 1},
    )
    assert len(parity.of_study(summary).predicted) == 8
    assert len(learning_curves.of_study(summary).losses) == 2
    assert str(tmp_path) not in text
    ensemble = Ensemble.load(tmp_path / "out" / "force_network.pt")
    assert ensemble.header.n_crystals == 8
    card = (tmp_path / "out" / "README.md").read_text()
    assert "8 crystals of labels.jsonl" in card
    assert "**this network**" in card
    # What is done is not done again.
    results = sorted((tmp_path / "out" / "runs").glob("*/result.json"))
    assert len(results) == 2
    monkeypatch.setattr("superionic.network.training.fit_network", None)
    assert read_train_file(file).ensemble is not None
    content = CONTENT | {"labels": {"temperature_K": 1000.0}, "ensemble": None}
    file.write_text(yaml.safe_dump(content))
    assert invoke(*options).exit_code == 0
    again = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert again["parity"] == summary["parity"]


def test_a_study_file_is_told_where_to_go(file):
    study = ROOT / "workflows" / "train_force_network.yaml"
    with pytest.raises(SettingsError, match=r"variants.*python -m studies\.force_network"):
        read_train_file(study)
    assert read_train_file(file).label_files == (str(file.parent / "labels.jsonl"),)


@pytest.mark.parametrize("both", [True, False])
def test_labels_or_a_file_are_named(file, both):
    options = [file.parent / "labels.jsonl", "--campaign", file] if both else []
    ended = invoke(*options)
    assert ended.exit_code == 2
    assert "Name files of labels, or a file with --campaign" in ended.output
