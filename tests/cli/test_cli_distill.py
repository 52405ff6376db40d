"""``superionic distill``: as its how-to says, in small, with a real teacher."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.distillation.distill import settings_of
from superionic.errors import SettingsError
from superionic.potentials.registry import load_potential
from superionic.settings import get_settings

ROOT = Path(__file__).parents[2]
TEACHER = "chgnet:r2scan"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SUPERIONIC_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    (tmp_path / "crystals").mkdir()
    for anion, a in (("Br", 5.5), ("Cl", 5.1)):
        crystal = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(a), ["Li", anion], [[0] * 3, [0.5] * 3]
        )
        crystal.to(filename=str(tmp_path / "crystals" / f"Li{anion}.cif"))
    (tmp_path / "crystals" / "broken.cif").write_text("data_x\nloop_\n")
    page = (ROOT / "docs" / "howto" / "distill_a_potential.md").read_text()
    content = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    small = {
        "frames.n_steps": 4,
        "frames.every": 4,
        "frames.min_atoms": 4,
        "frames.shakes_A": [0.1],
    }
    content["settings"] |= small | {"frames.n_displaced": 1, "student.epochs": 1}
    (tmp_path / "distill.yaml").write_text(yaml.safe_dump(content | {"crystals": ["crystals"]}))
    yield tmp_path
    get_settings.cache_clear()


def invoke(folder, *options):
    places = ("-c", str(folder / "distill.yaml"), "-o", str(folder / "out"))
    return CliRunner().invoke(app, ["distill", "-t", TEACHER, *places, *options])


def test_from_crystals_to_a_potential_with_a_card(folder):
    ended = invoke(folder)
    assert ended.exit_code == 0, ended.output
    assert "broken" in ended.output
    card = json.loads((folder / "out" / "card.json").read_text())
    assert card["teacher"]["name"] == "r2scan"
    assert card["licence"] == "weights: MIT; crystals: CC-BY-4.0"
    assert sum(card["n_frames"].values()) == sum(card["frames_by_kind"].values()) >= 6
    assert card["self_check"] == "passed"
    student = load_potential(f"chgnet:{folder / 'out' / 'training' / 'student.pt'}")
    assert student.info.weights_sha256 == card["student"]["weights_sha256"]
    with np.load(next((folder / "out" / "frames").glob("*.npz"))) as found:
        assert json.loads(str(found["teacher"]))["teacher"] == card["teacher"]

    # The same command again makes nothing anew, and gives what it gave.
    again = invoke(folder, "--json", str(folder / "card.json"))
    assert again.exit_code == 0
    assert json.loads((folder / "card.json").read_text()) == card
    assert "frames of" not in again.stderr.split("# Card")[0]

    # A second round learns the frames of the first one, too; and they can be learned alone.
    frames = str(folder / "out" / "frames")
    both = CliRunner().invoke(
        app,
        [
            "distill",
            "--frames",
            frames,
            "-c",
            str(folder / "distill.yaml"),
            "-o",
            str(folder / "b"),
        ],
    )
    assert both.exit_code == 0, both.output
    second = json.loads((folder / "b" / "card.json").read_text())
    assert second["frames_by_kind"] == card["frames_by_kind"]
    assert second["self_check"] == "passed"
    assert second["teacher"] == card["teacher"]
    assert second["explorer"] is None
    third = CliRunner().invoke(
        app,
        ["distill", "-t", "chgnet", "--frames", frames, "-c", str(folder / "distill.yaml"),
         "-o", str(folder / "c")],
    )  # fmt: skip
    assert "different teachers" in str(third.exception)


def test_without_a_teacher_or_frames_it_is_said_what_to_give():
    for options in (["distill"], ["distill", "-t", TEACHER]):
        ended = CliRunner().invoke(app, options)
        assert isinstance(ended.exception, SettingsError)
        assert "--frames" in ended.exception.hint


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"student.epoch": 3}, "student.epoch"),
        ({"student.epochs": "many"}, "many"),
        ({"frames.shakes_A": 0.1}, "frames.shakes_A"),
        ({"relax_maker.steps": 3}, "relax_maker"),
    ],
)
def test_wrong_settings_are_named(values, word):
    with pytest.raises(SettingsError, match=word):
        settings_of(values)


def test_settings_have_the_type_of_their_defaults():
    found = settings_of({"student.epochs": 3, "frames.strain": 0, "frames.shakes_A": [1]})
    assert found.student.epochs == 3
    assert isinstance(found.frames.strain, float)
    assert found.frames.shakes_A == (1.0,)
