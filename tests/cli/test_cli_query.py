"""``superionic query`` on a real server."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from campaign_fixtures import modules_and_seconds
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.schemas.screen import DescriptorsDocument
from superionic.settings import get_settings
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked

sys.path.insert(0, str(Path(__file__).parents[1] / "store" / "builders"))

from screening_helpers import descriptors

pytestmark = pytest.mark.process


@pytest.fixture
def filled(database):
    """Return a database with four ranked rows."""
    outputs = [
        descriptors("mp-1", xi=0.9, mpe_eV=0.3, formula="LiCl", elements=["Cl", "Li"]),
        descriptors("mp-2", xi=0.5, mpe_eV=0.1, formula="Li2S", elements=["Li", "S"]),
        descriptors("mp-3", xi=0.7, mpe_eV=None, formula="Li3PS4", elements=["Li", "P", "S"]),
    ]
    rows = ranked(screening_document([DescriptorsDocument.model_validate(o)]) for o in outputs)
    database.screening.update([row.model_dump() for row in rows], key="key")
    return database


def query(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["query", *arguments])
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def found(*arguments: str) -> list[str]:
    return [row["material_id"] for row in json.loads(query(*arguments, "--format", "json"))]


def test_filters_order_and_limit(filled):
    assert found("--policy", "xi") == ["mp-1", "mp-3", "mp-2"]
    assert found("--max-barrier", "0.2") == ["mp-2"]
    assert found("--formula", "Li2Cl2") == ["mp-1"]
    assert found("--elements", "S,Li") == found("--elements", "Li-S") == ["mp-2", "mp-3"]
    assert found("--mobile", "Li+", "--top", "2", "--policy", "xi") == ["mp-1", "mp-3"]
    assert found("--mobile", "Na") == []
    assert found("--potential", "chgnet:0.3.0", "--sort", "xi") == ["mp-2", "mp-3", "mp-1"]
    assert found("--sort", "formula", "--descending") == ["mp-1", "mp-3", "mp-2"]


def test_formats_hold_the_same_rows(filled):
    rows = json.loads(query("--format", "json"))
    table = csv.DictReader(io.StringIO(query("--format", "csv")))
    for row, line in zip(rows, table, strict=True):
        assert set(row) == set(line)
        assert float(line["xi"]) == row["xi"]
        assert line["mpe_eV"] == ("" if row["mpe_eV"] is None else str(row["mpe_eV"]))
    lines = query("--policy", "xi").splitlines()
    assert lines[0].split()[:3] == ["rank", "formula", "id"]
    assert [line.split()[2] for line in lines[1:]] == ["mp-1", "mp-3", "mp-2"]
    assert " none " in lines[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--formula", "no formula"),
        ("--elements", "Li,Unobtainium"),
        ("--elements", ","),
        ("--sort", "beauty"),
        ("--top", "-1"),
        ("--format", "xml"),
    ],
)
def test_wrong_options_are_named(arguments, filled):
    assert arguments[0] in query(*arguments, code=2)


def test_a_ranking_is_of_one_potential_ion_and_set_of_settings_and_says_so(filled):
    for others in (
        [descriptors("mp-1", xi=0.4, potential="sevennet:0")],
        [descriptors(f"mp-{i}", xi=0.1 * i, step_A=0.4) for i in (1, 2)],
        [descriptors("mp-9", xi=0.3, mobile_species="Na", elements=["Cl", "Na"])],
    ):
        rows = ranked(screening_document([DescriptorsDocument.model_validate(o)]) for o in others)
        filled.screening.update([row.model_dump() for row in rows], key="key")

    def asked(*arguments):
        result = CliRunner().invoke(app, ["query", "--format", "json", *arguments])
        rows = json.loads(result.stdout)
        return [(row["material_id"], row["ranking_settings"]) for row in rows], result.stderr

    fine, coarse = "0.25 A exact", "0.4 A exact"
    usual = [(f"mp-{i}", fine) for i in (1, 2, 3)]
    rows, said = asked()
    assert rows == usual
    assert said.splitlines() == [
        "Ranking of Li with chgnet:0.3.0, 0.25 A exact: 3 rows.",
        "Left out: 2 rows of Li with chgnet:0.3.0, 0.4 A exact; 1 row of Li with sevennet:0, "
        "0.25 A exact; 1 row of Na with chgnet:0.3.0, 0.25 A exact.",
        "--mobile, --potential and --settings choose another; --all shows every row.",
    ]
    assert asked("-p", "chgnet")[0] == asked("-p", "chgnet:0.3.0", "-m", "Li")[0] == usual
    assert asked("-p", "sevennet")[0] == [("mp-1", fine)]
    assert asked("--settings", "0.4 A")[0] == [("mp-1", coarse), ("mp-2", coarse)]
    assert asked("--settings", "0.4")[0] == asked("--settings", coarse)[0]
    assert asked("-m", "Na")[0] == [("mp-9", fine)]
    rows, said = asked("-m", "Na", "--settings", "0.4 A")
    assert not rows
    assert said.startswith("There is no such ranking.\nLeft out: 3 rows of Li with chgnet")
    rows, said = asked("--max-barrier", "0.2", "--formula", "Li3PS4")
    assert not rows
    assert "Found in" not in said
    rows, said = asked("--elements", "Na")
    assert not rows
    assert "Found in other rankings: Na with chgnet:0.3.0, 0.25 A exact.\n" in said
    rows, said = asked("--all")
    assert len(rows) == 7
    assert not said
    table = query("--all", "--sort", "formula")
    assert "Li with sevennet:0, 0.25 A exact" in table
    assert table.splitlines()[0].split()[3] == "ranking"


def test_an_empty_answer_is_no_error(database):
    assert json.loads(query("--format", "json")) == []
    assert "No material" in query()


def test_the_setting_names_the_database_unless_the_option_does(filled, monkeypatch, server_uri):
    assert len(found()) == 3
    monkeypatch.setenv("SUPERIONIC_DATABASE_URI", "mongodb://127.0.0.1:1/")
    get_settings.cache_clear()
    assert len(found("--database", server_uri)) == 3


def test_a_query_needs_no_package_of_physics(filled, data_dir):
    asked = ("query", "--max-barrier", "0.2", "--format", "csv")
    output, modules, seconds = modules_and_seconds(*asked)
    assert output.splitlines()[1].startswith("mp-2,Li2S,Li,")
    physics = {"torch", "chgnet", "pymatgen", "ase", "numba", "scipy", "pandas"}
    assert not modules & {*physics, "jobflow", "maggma", "matplotlib", "plotly"}
    assert seconds < 2
