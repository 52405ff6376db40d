"""``superionic explain`` and the policies of ``superionic query`` on a real server."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superionic.api.rows import query
from superionic.cli.app import app
from superionic.errors import SettingsError
from superionic.store.builders.build import build_screening
from superionic.store.builders.screening import ScreeningBuilder, run_builder

sys.path.insert(0, str(Path(__file__).parents[1] / "store" / "builders"))

from part_documents import CRYSTAL, label, prediction, validation
from screening_helpers import descriptors

pytestmark = pytest.mark.process


@pytest.fixture
def filled(database):
    """Return a database with documents of three materials, built."""
    outputs = [
        descriptors("mp-1", xi=0.9, mpe_eV=0.3),
        descriptors("mp-2", xi=0.5, mpe_eV=0.1, formula="Li2S", elements=["Li", "S"]),
        prediction("mp-2", 0.5, minutes=1),
        prediction("mp-1", -1.5, minutes=1),
        label("mp-3", 2.0),
    ]
    rows = [{"uuid": one["job_uuid"], "index": 1, "output": one} for one in outputs]
    for row in rows:  # plain values, as jobflow stores them
        potential = row["output"]["potential"]
        row["output"]["potential"] = dict(potential)
    database.job_store.docs_store.update(rows, key=["uuid", "index"])
    run_builder(ScreeningBuilder(database.job_store.docs_store, database.screening))
    failure = {
        "key": "k",
        "material_id": "mp-3",
        "source": "",
        "code": "no_memory",
        "message": "It was too big.",
        "hint": "Use less.",
        "last_updated": "now",
    }
    other = {"key": "m", "message": "Another one.", "potential": "sevennet:0"}
    elsewhere = {"key": "l", "material_id": "mp-4"}
    database.failures.update([failure, failure | elsewhere, failure | other], key="key")
    return database


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output if code else result.stdout


def test_policies_order_the_rows(filled):
    def found(*arguments):
        rows = json.loads(run("query", "--format", "json", *arguments))
        return [(row["material_id"], row["rank"]) for row in rows]

    assert found("--policy", "xi") == [("mp-1", 1), ("mp-2", 2), ("mp-3", 3)]
    assert found("--policy", "barrier") == [("mp-2", 1), ("mp-1", 2), ("mp-3", 3)]
    assert found("--policy", "network", "--top", "1") == [("mp-2", 1)]
    assert found("--with", "label") == [("mp-3", 3)]
    assert "xi" in run("query", "--policy", "beauty", code=2)
    assert [row.material_id for row in query(policy="network", limit=2)] == ["mp-2", "mp-1"]
    with pytest.raises(SettingsError, match="no part"):
        query(present=["soul"])


def test_the_table_shows_parts_that_are_there(filled):
    head, *lines = run("query", "--policy", "consensus").splitlines()
    assert "network" in head
    assert "dynamics" in head
    assert "diffusing" in lines[2]


def test_complete_rows_and_optimade_can_be_written(filled):
    lines = run("query", "--format", "jsonl").splitlines()
    assert [json.loads(line)["material_id"] for line in lines] == ["mp-1", "mp-2", "mp-3"]
    response = json.loads(run("query", "--format", "optimade", "--with", "label"))
    (resource,) = response["data"]
    positions = resource["attributes"]["cartesian_site_positions"]
    assert positions == CRYSTAL.cart_coords.tolist()


def test_explanations_name_neighbours_and_what_is_missing(filled):
    text = run("explain", "mp-2")
    assert "There: landscape, prediction. Missing: label, validation." in text
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert "2 of 3" in lines["xi"]
    assert "mp-1" in lines["xi"]
    assert "mp-3" in lines["xi"]
    assert "1 of 3" in lines["network"]
    assert "no free volumes at 2 eV" in lines["free_volume"]
    alone = run("explain", "mp-3")
    assert "no landscape" in alone
    assert "1000 K" in alone
    assert "It was too big." in alone
    assert "Another one." not in alone  # with a potential that is not this row's


def test_explanations_as_json(filled):
    (one,) = json.loads(run("explain", "mp-1", "--json"))
    by_policy = {standing["policy"]: standing for standing in one["standings"]}
    assert by_policy["network"]["rank"] == 2
    assert by_policy["network"]["above"]["material_id"] == "mp-2"
    assert one["row"]["xi"] == 0.9


def test_explanations_show_what_scores_are_made_of(filled):
    volumes = {"mp-1": (0.5, 3.0), "mp-2": (0.2, 9.0)}
    for name, (of_cell, of_ion) in volumes.items():
        fresh = {"fv_disconnected_2eV": of_cell, "free_volume_2eV_A3_per_ion": of_ion}
        filled.screening._collection.update_one({"material_id": name}, {"$set": fresh})
    ScreeningBuilder(filled.job_store.docs_store, filled.screening).finalize()
    lines = run("explain", "mp-1").splitlines()
    said = next(line for line in lines if line.startswith("free_volume: "))
    assert said == (
        "free_volume: 0.500, the mean of the percentiles of fv_disconnected_2eV 0.750 (0.5), "
        "free_volume_2eV_A3_per_ion 0.250 (3)."
    )
    said = next(line for line in lines if line.startswith("calibrated: "))
    assert "log odds" in said
    assert "log10_free_volume_2eV_A3_per_ion (0.4771: " in said
    (one,) = json.loads(run("explain", "mp-2", "--json"))
    parts = {standing["policy"]: standing["parts"] for standing in one["standings"]}
    assert [part["name"] for part in parts["consensus"]] == [
        *("xi", "barrier", "free_volume", "network")
    ]
    score = next(s["score"] for s in one["standings"] if s["policy"] == "calibrated")
    odds = sum(part["share"] for part in parts["calibrated"])
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(score, rel=1e-4)


def test_the_build_command_takes_in_every_part(filled):
    assert "0 rows written" in run("build")
    news = [validation("mp-1", "confirmed", minutes=9), prediction("mp-3", 0.1, minutes=9)]
    rows = [{"uuid": one["job_uuid"], "index": 1, "output": one} for one in news]
    filled.job_store.docs_store.update(rows, key=["uuid", "index"])
    assert "2 rows written" in run("build")
    found = {row.material_id: row.present for row in query()}
    assert found["mp-1"] == ["landscape", "prediction", "validation"]
    assert found["mp-3"] == ["prediction", "label"]
    assert [row.material_id for row in query(present=["validation"], limit=5)] == ["mp-1"]
    assert "0 rows written" in run("build")


def test_rows_without_documents_are_named_and_removed_on_request(filled):
    filled.job_store.docs_store.remove_docs({"output.material_id": "mp-1"})
    said = run("build")
    assert "1 rows without any document stay" in said
    assert "mp-1|Li|chgnet:0.3.0|weights of chgne" in said
    assert {row.material_id: row.rank for row in query()} == {"mp-1": 1, "mp-2": 2, "mp-3": 3}
    newest = build_screening(filled).newest
    incremental = build_screening(filled, after=newest, prune=True)
    assert (incremental.orphans, incremental.pruned) == ((), False)
    assert "1 rows without any document were removed" in run("build", "--prune")
    assert {row.material_id: row.rank for row in query()} == {"mp-2": 1, "mp-3": 2}
    assert run("build", "--prune") == "0 rows written.\n"


def test_a_material_without_a_row_is_said_to_have_failed(filled):
    result = CliRunner().invoke(app, ["explain", "mp-4"])
    assert isinstance(result.exception, SettingsError)
    assert "It was too big." in result.exception.message


def test_the_recipes_of_the_documentation_run(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "query.md").read_text()
    commands = [line.split(" > ")[0].split() for line in re.findall(r"    superionic (.+)", page)]
    commands = [words for words in commands if words[0] == "query"]
    assert len(commands) >= 4
    for words in commands:
        run(*words)
    recipes = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(recipes) == 4
    for recipe in recipes[:3]:  # the last one needs the grids of a landscape
        exec(compile(recipe, "recipe", "exec"), {})
    assert "consensus" in (tmp_path / "rows.csv").read_text()
    compile(recipes[3], "recipe", "exec")
