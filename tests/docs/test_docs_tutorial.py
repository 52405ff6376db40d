"""The pages that say what to type are typed, and print what they show."""

import re
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_pages import ROOT, difference, finish, page, run_page

from superionic.store.database.server import stop_server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder like that of the repository, with a database and a home of its own."""
    data_dir, home, folder = tmp_path / "data", tmp_path / "home", tmp_path / "superionic"
    home.mkdir()
    folder.mkdir()
    for name in ("workflows", "datasets"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("JOBFLOW_CONFIG_FILE", "FW_CONFIG_FILE", "SUPERIONIC_DATABASE_URI", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SUPERIONIC_CONFIG_FILE", str(home / "superionic.yaml"))
    monkeypatch.setenv("SUPERIONIC_DATA_DIR", str(data_dir))
    yield folder
    if data_dir.exists():
        stop_server(data_dir, force=True)


@pytest.mark.process
@pytest.mark.real_potential
def test_tutorial_and_the_page_that_goes_on_from_it(folder):
    # One server for all commands: that each starts and stops its own is tested elsewhere.
    finish(["superionic", "db", "start"], folder, "the server")
    before = cpu_time_s()
    run_page("tutorial.md", folder)
    taken_s = cpu_time_s() - before
    said = re.search(r"take\s(\d+) s of one core", page("tutorial.md").read_text())
    assert 0.3 * int(said[1]) < taken_s < 3 * int(said[1])
    run_page("howto/python.md", folder)


def cpu_time_s() -> float:
    """Return what processes that have ended took, which others on the machine change little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.process
@pytest.mark.parametrize(
    "name", ["cluster", "own_potential", "own_mobile_ion", "own_labels", "add_a_flow"], ids=str
)
def test_how_to(folder, name):
    run_page(f"howto/{name}.md", folder)


def test_what_a_page_shows_is_compared():
    table = [
        "id  evaluations    s  warnings",
        "a           100  0.1  relaxed",
        "b            20  9.5",
    ]
    assert (
        difference(table, [table[0], "a           100  7.1  relaxed", "b            20  0.5"])
        is None
    )
    assert difference(table, [table[0], "a           150  0.1  relaxed", table[2]])
    assert difference(table, [table[0], "a           100  0.1", table[2]])
    assert difference(table, table[:2])
    assert difference(table[:2], table)
    assert difference([table[0], "...", table[2]], table) is None
    assert difference([table[0], "..."], table) is None
    assert difference(["Xi 0.500"], ["Xi 0.503"]) is None
    assert difference(["Xi 0.500"], ["Xi 0.51"])
