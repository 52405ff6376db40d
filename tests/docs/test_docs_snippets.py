"""What pages show and do not run: commands have these options, files these settings."""

import ast
import importlib
import re
import shlex
from importlib.util import find_spec

import pytest
import yaml
from docs_pages import PAGES, ROOT, blocks, commands
from superionic_docs.commands import commands as all_commands

from studies.force_network.settings import read_study
from superionic.distillation.distill import settings_of as distill_settings
from superionic.errors import SettingsError
from superionic.network.train import read_train_file
from superionic.settings import get_settings
from superionic.structures.filters import parse_filters
from superionic.workflows.campaign.definition import read_campaign

OPTIONS = {
    command.name: {name: one for one in command.parameters for name in one.names}
    for command in all_commands()
}
COMMANDS = [(path, line) for path in PAGES for line in commands(path)]
BLOCKS = [block for path in PAGES for block in blocks(path)]
YAML = [block for block in BLOCKS if block.language == "yaml"]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def parse(line: str) -> None:
    """Parse a call of ``superionic`` without running it.

    Raises
    ------
    ValueError
        When there is no such command, option or choice.
    """
    words = shlex.split(line, comments=True)
    end = next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))
    words = words[:end]
    if words == ["superionic", "--help"] or words[1] == "COMMAND":
        return
    name = next((n for n in (2, 3) if " ".join(words[:n]) in OPTIONS), None)
    if name is None:
        raise ValueError("there is no such command")
    options, rest = OPTIONS[" ".join(words[:name])], words[name:]
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            continue
        if word == "--help":
            return
        if word not in options:
            raise ValueError(f"there is no option {word}")
        if options[word].value:
            if not rest:
                raise ValueError(f"{word} has no value")
            value = rest.pop(0)
            if options[word].choices and value not in options[word].choices:
                raise ValueError(f"{word} is none of {', '.join(options[word].choices)}")


def test_there_is_something_to_look_at():
    assert len(COMMANDS) > 60
    assert len(YAML) > 8
    assert len(PYTHON) > 10


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_have_these_options(path):
    for line in commands(path):
        try:
            parse(line)
        except ValueError as error:
            pytest.fail(f"{path.relative_to(ROOT)}: {line}: {error}")


def test_a_wrong_command_is_noticed():
    for line in ("superionic scren x", "superionic screen x --stepp 3", "superionic query -f cvs"):
        with pytest.raises(ValueError, match=r"."):
            parse(line)
    parse("superionic fetch mp --out x.jsonl")


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.name)
def test_files_have_these_settings(block, tmp_path, monkeypatch):
    # The pages say that the site has to name the calculators that start programs.
    monkeypatch.setattr(get_settings(), "calculators", ("ase.calculators.cp2k",))
    _install_flows(ROOT / block.page, tmp_path, monkeypatch)
    content = yaml.safe_load(block.text)
    if list(content) == ["filters"]:
        assert parse_filters(content["filters"], block.name)
        return
    path = tmp_path / "shown.yaml"
    path.write_text(block.text)
    if "data" in content:
        (read_study if "variants" in content else read_train_file)(path)
        return
    campaign = read_campaign(path)
    if any(name.startswith("student.") for name in campaign.settings):
        assert distill_settings(campaign.settings)
        return
    campaign.maker("chgnet")


def _install_flows(path, folder, monkeypatch):
    """Do what a page says that adds a flow."""
    named = re.search(r"SUPERIONIC_FLOWS=(\S+)", path.read_text())
    if named is None:
        return
    for block in blocks(path):
        if block.file is not None:
            (folder / block.file).write_text(block.text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(get_settings(), "flows", (named[1],))


def test_a_wrong_setting_is_noticed(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text("crystals: [x]\nsettings: {landscape_maker.settings.step_A: 0.3}\n")
    with pytest.raises(SettingsError):
        read_campaign(path).maker("chgnet")


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.name)
def test_what_snippets_import_is_there(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("superionic"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                there = hasattr(module, alias.name) or (
                    hasattr(module, "__path__") and find_spec(f"{node.module}.{alias.name}")
                )
                assert there, f"{node.module} has no {alias.name}"
