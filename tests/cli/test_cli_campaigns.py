"""Options of the commands for many crystals: they go before a campaign file, or are refused."""

import inspect
from functools import reduce
from pathlib import Path

import pytest
import yaml
from campaign_fixtures import write_crystals
from typer.testing import CliRunner

from superionic.cli import campaigns, candidates, compute, submit
from superionic.cli.app import app
from superionic.errors import PotentialNotFoundError, SettingsError
from superionic.landscape.settings import LearnedSettings
from superionic.workflows.campaign.definition import Best, campaign_of
from superionic.workflows.makers.table import FLOWS

COMMANDS = {
    **{flow: getattr(compute, flow) for flow in FLOWS if hasattr(compute, flow)},
    "refine": compute.refine,
    "run": compute.run,
    "submit": submit.submit,
    "candidates": candidates.candidates,
}
SAMPLER = "landscape_maker.settings"
OF_FLOWS = [
    # Flow, option, its value, what the file says, and what is to be in the Maker: also where the
    # value is the option's default.
    ("screen", "step", "0.25", {f"{SAMPLER}.grid_step_A": 0.3}, f"{SAMPLER}.grid_step_A", 0.25),
    ("screen", "learned", None, {}, f"{SAMPLER}.learned", LearnedSettings()),
    (
        *("screen", "max_energies", "50", {f"{SAMPLER}.learned": {"max_energies": 9}}),
        *(f"{SAMPLER}.learned.max_energies", 50),
    ),
    ("screen", "relax", "never", {}, "relax_maker.max_force_eV_per_A", None),
    (
        *("screen", "min_width", "8", {"prepare_maker.settings.supercell_min_width_A": 6}),
        *("prepare_maker.settings.supercell_min_width_A", 8.0),
    ),
    (
        *("screen", "exclusion_radius", "1.2", {f"{SAMPLER}.exclusion_radius_A": 1.5}),
        *(f"{SAMPLER}.exclusion_radius_A", 1.2),
    ),
    (
        *("screen", "carrier", "vacancy", {f"{SAMPLER}.carrier": "interstitial"}),
        *(f"{SAMPLER}.carrier", "vacancy"),
    ),
    ("label", "temperature", "1000", {"md_maker.temperature": 700}, "md_maker.temperature", 1000.0),
    # The time step is that of the file.
    ("label", "length", "10", {"md_maker.time_step": 1.0}, "md_maker.n_steps", 10_000),
    ("label", "seed", "0", {"md_maker.mb_velocity_seed": 3}, "md_maker.mb_velocity_seed", 0),
    ("label", "relax", "cell", {"relax_maker": None}, "relax_maker.relax_cell", True),
    ("predict", "network", "b.pt", {"network": "a.pt"}, "network", "b.pt"),
    ("predict", "shakes", "3", {"n_shakes": 4}, "n_shakes", 3),
    ("predict", "relax", "never", {}, "relax_maker", None),
    ("validate", "temperatures", "500 700,900", {}, "temperatures_K", (500.0, 700.0, 900.0)),
    (
        *("validate", "length", "30", {"supercell_maker.production_ps": 2}),
        *("supercell_maker.production_ps", 30.0),
    ),
    (
        "validate",
        "engine",
        "ase",
        {"engine.checkpoint_interval": 7},
        "engine.checkpoint_interval",
        7,
    ),
    ("validate", "calculator", "sevennet", {}, "engine.potential", "sevennet"),
    ("validate", "seed", "0", {"seed": 4}, "seed", 0),
    ("validate", "relax", "auto", {"relax_maker": None}, "relax_maker.max_force_eV_per_A", 0.1),
    ("refine", "prior", "sevennet", {}, "prior", "sevennet"),
    ("refine", "max_energies", "20", {}, "refine_maker.settings.max_energies", 20),
    ("refine", "engine", "ase", {}, "refine_maker.engine.__class__.__name__", "AsePointMaker"),
]
OF_ALL = {
    # Option, its value, the field of the campaign, and what is to be there.
    "potential": ("chgnet", "potential", "chgnet"),
    "mobile": ("Li,Na", "mobile_species", "Li,Na"),
    "orderings": ("1", "orderings", 1),
    "every_copy": (None, "every_copy", True),
    "filters": ("filters.yaml", "filters", 0),
    "top": ("3", "best", Best(top=3)),
    "ids": ("mp-1", "best", Best(top=0, ids=("mp-1",))),
    "priority": ("0", "priority", 0),
}
OWN = {
    *("context", "paths", "campaign", "flow", "policy", "database", "launchpad", "dry_run"),
    *("workers", "known", "export", "collect", "write", "json_file", "out", "reasons", "show"),
    "adaptive",
}
"""What belongs to a command and not to the campaign, or is refused."""


class HeardError(Exception):
    """What a command was about to do."""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return what asks for a campaign with a campaign file, and gives the campaign."""
    (tmp_path / "crystals").mkdir()
    (tmp_path / "filters.yaml").write_text("filters: [{filter: toxic}]\n")
    monkeypatch.chdir(tmp_path)
    heard = []

    def hear(context, flow, original=campaigns.campaign_asked):
        heard.append(original(context, flow))
        raise HeardError

    for module in (campaigns, submit, candidates):
        monkeypatch.setattr(module, "campaign_asked", hear)

    def ask(command, flow, *options, **fields):
        content = {"crystals": ["crystals"], "flow": flow, "potential": "sevennet", **fields}
        file = tmp_path / f"{flow}.yaml"
        file.write_text(yaml.safe_dump({"mobile_species": "Na", "orderings": 4, **content}))
        result = CliRunner().invoke(
            app, [command, "--campaign", str(file), *options], env={"COLUMNS": "200"}
        )
        return result, heard.pop() if heard else None

    ask.heard = heard
    return ask


def option(name: str, value: str | None) -> list[str]:
    flag = f"--{name.replace('_', '-')}".replace("--ids", "--id")
    return [flag] if value is None else [flag, value]


def parameters(command: str) -> set[str]:
    return set(inspect.signature(COMMANDS[command]).parameters)


def test_each_option_of_each_command_is_tried_here():
    tried = {(flow, name) for flow, name, *_ in OF_FLOWS}
    for flow in COMMANDS.keys() & FLOWS.keys():
        names = {name for one, name in tried if one == flow}
        assert parameters(flow) - OWN - OF_ALL.keys() == names
        assert {campaigns.OPTIONS[name] for name in names} <= set(FLOWS[flow].option_names())
    assert parameters("submit") - OWN - OF_ALL.keys() == {name for _, name in tried}
    assert parameters("candidates") | parameters("run") <= OWN | OF_ALL.keys()
    for command in COMMANDS.keys() - {"run"}:
        assert {"paths", "campaign"} < parameters(command)


@pytest.mark.parametrize(("flow", "name", "value", "settings", "path", "expected"), OF_FLOWS)
def test_options_of_a_flow_go_before_its_settings(
    asked, flow, name, value, settings, path, expected
):
    for command in {flow, "submit"} & COMMANDS.keys():
        result, campaign = asked(command, flow, *option(name, value), settings=settings)
        assert isinstance(result.exception, HeardError), result.output
        found = reduce(getattr, path.split("."), campaign.maker("chgnet"))
        assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("flow", FLOWS)
def test_options_of_another_flow_are_refused_by_name(asked, flow):
    every = OF_FLOWS
    own = {name for one, name, *_ in every if one == flow}
    values = {name: value for _, name, value, *_ in every if name not in own}
    assert values
    for name, value in values.items():
        result, campaign = asked("submit", flow, *option(name, value))
        assert (result.exit_code, campaign) == (2, None)
        assert option(name, None)[0] in result.output
        assert f"flow '{flow}'" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_campaign_go_before_the_file(asked, command):
    flow = command if command in FLOWS else "label"
    fields = {"priority": 3, "filters": [{"filter": "radioactive"}]}
    _, plain = asked(command, flow, **fields)
    assert (plain.mobile_species, plain.potential, plain.orderings) == ("Na", "sevennet", 4)
    tried = parameters(command) & OF_ALL.keys()
    assert "mobile" in tried
    for name in tried:
        value, field, expected = OF_ALL[name]
        _, campaign = asked(command, flow, *option(name, value), **fields)
        found = getattr(campaign, field)
        assert found != getattr(plain, field)
        if field == "filters":
            assert [one.filter for one in found] == ["toxic"]
        else:
            assert found == expected
        assert campaign.model_copy(update={field: getattr(plain, field)}) == plain


@pytest.mark.parametrize("command", ["screen", "label", "predict", "validate", "refine", "submit"])
def test_either_crystals_or_a_campaign_file(asked, command, tmp_path):
    flow = command if command in FLOWS else "screen"
    both, _ = asked(command, flow, str(tmp_path / "crystals"))
    neither = CliRunner().invoke(app, [command])
    for result in (both, neither):
        assert result.exit_code == 2
        assert "--campaign" in result.output
    if command != "submit":
        result, _ = asked(command, "label" if flow != "label" else "screen")
        assert isinstance(result.exception, SettingsError)
        assert f"Write 'flow: {flow}'" in str(result.exception)


def test_crystals_and_a_flow_are_a_campaign(asked, tmp_path):
    crystals = str(tmp_path / "crystals")
    for command in (["predict"], ["submit", "--flow", "predict"]):
        arguments = [*command, crystals, "--mobile", "Ag", "--shakes", "2"]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, HeardError), result.output
        campaign = asked.heard.pop()
        assert (campaign.flow, campaign.mobile_species) == ("predict", "Ag")
        assert (campaign.crystals, campaign.options) == ([Path(crystals)], {"n_shakes": 2})
    result = CliRunner().invoke(app, ["submit", crystals, "--flow", "nothing"])
    assert "There is no flow 'nothing'" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["validate", "crystals", "--top", "3", "--id", "mp-1"], "exclude"),
        (["validate", "crystals", "--policy", "xi"], "--top"),
        (["validate", "crystals", "--temperatures", "warm"], "list of numbers"),
        (["validate", "crystals", "--engine", "vasp", "--calculator", "sevennet"], "--calculator"),
        (["validate", "crystals", "--engine", "siesta"], "no engine 'siesta'"),
        (["validate", "crystals", "--policy", "luck"], "luck"),
        (["validate"], "--top"),
        (["predict", "crystals", "--shakes", "0"], "--shakes"),
        (["predict", "crystals", "--json", "no/folder/x.json"], "no directory"),
        (["refine", "crystals", "--top", "3", "--id", "mp-1"], "exclude"),
        (["refine"], "--top"),
        (["run"], "--campaign"),
    ],
)
def test_wrong_options_are_explained(arguments, word, tmp_path, monkeypatch, data_dir):
    write_crystals(tmp_path / "crystals", 1)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code in (1, 2)
    assert word in result.output + str(result.exception)
    assert not data_dir.exists(), "a database was started for nothing"


def test_engines_and_calculators_are_bound():
    def engine(**options):
        campaign = campaign_of({"flow": "validate", "options": options})
        return campaign.maker("chgnet").bound_engine()

    assert engine(calculator="sevennet").potential == "sevennet:7net-0"
    assert engine(temperatures_K="500").potential == "chgnet:0.3.0"
    assert type(engine(engine="vasp")).__name__ == "VaspEngine"
    with pytest.raises(PotentialNotFoundError):
        engine(calculator="nonsense")


def test_options_may_stand_in_a_campaign_file(asked):
    _, campaign = asked(
        "screen", "screen", "--step", "0.3", options={"step_A": 0.5, "relax": "cell"}
    )
    maker = campaign.maker("chgnet")
    assert maker.landscape_maker.settings.grid_step_A == 0.3
    assert maker.relax_maker.relax_cell
    with pytest.raises(SettingsError, match=r"no option 'steps'.*step_A"):
        campaign_of({"options": {"steps": 1}}).maker("chgnet")
