"""Options beside a campaign file: they go before what it says, or are refused; never ignored."""

import pytest
import yaml
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.workflows.campaign.definition import Campaign

FLOWS = {
    "label": "superionic.workflows.campaign.labelling.label_paths",
    "predict": "superionic.workflows.campaign.predicting.predict_paths",
    "validate": "superionic.workflows.campaign.validating.validate_materials",
}


class HeardError(Exception):
    """What a command was about to compute."""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "crystals").mkdir()

    def write(flow: str, **fields: object) -> str:
        path = tmp_path / f"{flow}.yaml"
        content = {"flow": flow, "crystals": ["crystals"], "mobile_species": "Na", "orderings": 4}
        path.write_text(yaml.safe_dump({**content, "potential": "sevennet", **fields}))
        return str(path)

    return write


@pytest.mark.parametrize("flow", FLOWS)
def test_what_is_given_goes_before_the_file(flow, file, monkeypatch):
    heard = []

    def hear(*args, **kwargs):
        heard.append((next(one for one in args if hasattr(one, "potential")), kwargs["selection"]))
        raise HeardError

    monkeypatch.setattr(FLOWS[flow], hear)
    path = file(flow)
    for options, expected in (
        ([], ("Na", "sevennet")),
        (["-p", "chgnet"], ("Na", "chgnet")),
        (["--mobile", "Li"], ("Li", "sevennet")),  # the option's default, but given
    ):
        result = CliRunner().invoke(app, [flow, "--campaign", path, *options])
        assert isinstance(result.exception, HeardError), result.output
        maker, selection = heard[-1]
        named = (maker.mobile_species, str(maker.potential).partition(":")[0])
        assert named == expected
        assert selection.n_orderings == 4


@pytest.mark.parametrize(
    ("flow", "option", "value"),
    [
        ("label", "--temperature", "800"),
        ("label", "--length", "5"),
        ("label", "--seed", "0"),
        ("validate", "--temperatures", "500"),
        ("validate", "--engine", "ase"),
        ("validate", "--calculator", "chgnet"),
    ],
)
def test_what_belongs_to_the_settings_of_the_file_is_refused(flow, option, value, file):
    result = CliRunner().invoke(app, [flow, "--campaign", file(flow), option, value])
    assert result.exit_code == 2
    assert "settings" in result.output
    assert option in result.output


def test_submit_takes_each_of_its_options(file, monkeypatch):
    heard: list[Campaign] = []

    def maker(self, default):
        heard.append(self)
        raise HeardError

    monkeypatch.setattr(Campaign, "maker", maker)
    path = file("label", priority=3)
    fields = ("flow", "mobile_species", "potential", "priority", "orderings", "every_copy")
    for options, expected in (
        ([], ("label", "Na", "sevennet", 3, 4, False)),
        (["--flow", "label", "-p", "chgnet"], ("label", "Na", "chgnet", 3, 4, False)),
        (["--mobile", "Li", "--priority", "0"], ("label", "Li", "sevennet", 0, 4, False)),
        (["--orderings", "1", "--every-copy"], ("label", "Na", "sevennet", 3, 1, True)),
    ):
        result = CliRunner().invoke(app, ["submit", "-c", path, *options])
        assert isinstance(result.exception, HeardError), result.output
        assert tuple(getattr(heard[-1], name) for name in fields) == expected
    # The settings of a file are of its flow.
    result = CliRunner().invoke(app, ["submit", "-c", path, "--flow", "screen"])
    assert "flow 'label'" in str(result.exception)
    crystals = path.replace("label.yaml", "crystals")
    CliRunner().invoke(app, ["submit", crystals, "--flow", "predict", "--mobile", "Ag"])
    assert (heard[-1].flow, heard[-1].mobile_species) == ("predict", "Ag")
