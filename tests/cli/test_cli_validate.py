"""Options of ``superionic validate``, without running anything."""

from pathlib import Path

import pytest
from campaign_fixtures import write_crystals
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.cli.validate import _maker
from superionic.errors import PotentialNotFoundError, SettingsError
from superionic.report.tables.validation import validation_table, validations_json, verdict_counts

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--top"),
        (["--top", "3", "--id", "mp-1"], "exclude"),
        (["crystals", "--campaign", str(WORKFLOWS / "validate_best.yaml")], "not both"),
        (["crystals", "--temperatures", "warm"], "list of numbers"),
        (["crystals", "--engine", "vasp", "--calculator", "sevennet"], "--calculator"),
        (["crystals", "--policy", "luck"], "luck"),
    ],
)
def test_wrong_options_are_explained(arguments, word, tmp_path, monkeypatch):
    write_crystals(tmp_path / "crystals", 1)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["validate", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert word in result.output


def test_a_campaign_of_another_flow_and_an_unknown_engine_are_refused(tmp_path):
    runner = CliRunner()
    result = runner.invoke(app, ["validate", "--campaign", str(WORKFLOWS / "label_1000K.yaml")])
    assert isinstance(result.exception, SettingsError)
    assert "flow 'label'" in str(result.exception)
    write_crystals(tmp_path / "crystals", 1)
    result = runner.invoke(app, ["validate", str(tmp_path / "crystals"), "--engine", "siesta"])
    assert "no engine 'siesta'" in str(result.exception)


def test_options_reach_the_maker():
    maker = _maker("chgnet", "Na", "500 700,900", 12.0, "ase", "sevennet", 4)
    assert maker.temperatures_K == (500.0, 700.0, 900.0)
    assert (maker.mobile_species, maker.seed) == ("Na", 4)
    assert maker.supercell_maker.production_ps == 12.0
    assert maker.bound_engine().potential == "sevennet:7net-0"
    maker = _maker("chgnet", "Li", "500", 12.0, "ase", None, 0)
    assert maker.bound_engine().potential == "chgnet:0.3.0"
    with pytest.raises(PotentialNotFoundError):
        _maker("chgnet", "Li", "500", 12.0, "ase", "nonsense", 0).bound_engine()


def test_no_verdicts_are_shown_as_such():
    assert validation_table([]) == "No verdicts."
    assert validations_json([]) == "[]"
    assert verdict_counts([]) == {}
