"""The wheel: all files of the package, its extras, its version."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOR_DEVELOPERS = {"all", "dev", "docs", "kinisi"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel of a copy of the sources, without an environment of its own."""
    pytest.importorskip("setuptools", minversion="77")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", source / "src", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    code = (
        "import os, sys; from setuptools import build_meta; os.chdir(sys.argv[1]); "
        "print(build_meta.build_wheel(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(source), str(out)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_file_of_the_package(wheel):
    source = ROOT / "src"
    there = {
        str(path.relative_to(source))
        for path in (source / "superionic").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if name.startswith("superionic/")}
    assert packed == there
    # Those that are no modules, so that an empty list of package data would be noticed.
    data = {name for name in packed if not name.endswith(".py")}
    assert {"superionic/py.typed", "superionic/network/models/force_network.pt"} <= data
    assert any(name.startswith("superionic/report/serve/templates/") for name in data)


def test_its_metadata_say_version_extras_and_command(wheel):
    name = next(one for one in wheel.namelist() if one.endswith("METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Version"] == PROJECT["version"]
    assert set(metadata.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    entry = next(one for one in wheel.namelist() if one.endswith("entry_points.txt"))
    assert "superionic = superionic.cli:main" in wheel.read(entry).decode()


def test_all_names_every_extra_that_users_have_commands_for():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.fullmatch(r"superionic\[(.*)\]", everything)[1].split(","))
    assert named == set(extras) - FOR_DEVELOPERS


def test_hints_and_pages_name_extras_that_there_are():
    texts = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    texts += [path.read_text() for path in (ROOT / "docs").rglob("*.md")]
    texts.append((ROOT / "README.md").read_text())
    named = {
        extra.strip()
        for text in texts
        for names in re.findall(r"(?:superionic|pip install[^\n]{0,60}\.)\[([a-z, ]+)\]", text)
        for extra in names.split(",")
    }
    assert len(named) > 6
    assert named <= set(PROJECT["optional-dependencies"])


def test_the_page_of_the_installation_names_this_version_and_every_extra():
    page = (ROOT / "docs/installation.md").read_text()
    assert f"superionic-{PROJECT['version']}-py3-none-any.whl" in page
    for extra in PROJECT["optional-dependencies"]:
        assert f"`{extra}`" in page, extra


def test_the_changelog_has_this_version():
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_readme_names_completion_in_the_shell():
    assert "superionic --install-completion" in (ROOT / "README.md").read_text()
