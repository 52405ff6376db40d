"""``superionic report`` on a real server."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import FigureError
from superionic.report.html import page as page_module
from superionic.schemas.document import FailureDocument
from superionic.schemas.screen import DescriptorsDocument
from superionic.store.builders.rows import screening_document
from superionic.store.ranking.policies import ranked

sys.path.insert(0, str(Path(__file__).parents[1] / "store" / "builders"))

from campaign_fixtures import write_crystals
from screening_helpers import descriptors

pytest.importorskip("plotly", reason="plotly is not installed (extra report)")
pytest.importorskip("jinja2", reason="jinja2 is not installed (extra report)")


def report(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def filled(database):
    """Return a database with rows, one of them broken, a failure, and a document of one row."""
    outputs = [
        descriptors(f"salt-{i:02d}", xi=0.9 - 0.2 * i, landscape_uuid=None) for i in range(3)
    ]
    rows = ranked(screening_document([DescriptorsDocument.model_validate(o)]) for o in outputs)
    stored = [row.model_dump() for row in rows]
    stored[2] = {**stored[2], "key": "broken", "n_atoms": "many"}
    database.screening.update(stored, key="key")
    kept = [{"uuid": o["job_uuid"], "index": 1, "output": o} for o in outputs[:1]]
    database.job_store.docs_store.update(kept, key=["uuid", "index"])
    failure = FailureDocument(
        key="other",
        material_id="other",
        source="other.cif",
        code="disorder",
        message="It is disordered.",
        hint="Order it.",
        last_updated="2026-01-01T00:00:00+00:00",
    )
    database.failures.update([failure.model_dump()], key="key")
    return database


@pytest.mark.process
def test_a_report_is_written_whatever_is_missing(filled, tmp_path):
    path = tmp_path / "here.html"
    said = report("--out", str(path), "--policy", "consensus", "--top", "2")
    assert "2 materials, 2 with figures" in said
    html = path.read_text()
    assert "It is disordered." in html
    assert "row broken" in html  # it cannot be read
    lost = "The document 'descriptors' that the row was made from is not in the database."
    assert lost.replace("'", "&#39;") in html  # of the second row
    assert 'id="data-m1-volume"' in html  # those of the first one are there
    assert "policy <code>consensus</code>" in html


@pytest.mark.process
def test_failed_jobs_of_the_launchpad_are_counted(filled, tmp_path):
    collections = filled.screening._collection.database
    jobs = [
        {
            "fw_id": number,
            "name": "landscape",
            "state": state,
            "spec": {"material_id": f"lost-{number}"},
        }
        for number, state in ((1, "FIZZLED"), (2, "FIZZLED"), (3, "COMPLETED"))
    ]
    collections["fireworks"].insert_many([{**job, "launches": []} for job in jobs])
    path = tmp_path / "report.html"
    report("--out", str(path), "--top", "0")
    html = path.read_text()
    assert "Failed jobs in the launchpad" in html
    assert "for example lost-1, landscape" in html
    assert '<td class="number">2</td><td><code>unknown</code></td>' in html


@pytest.mark.process
def test_a_campaign_file_says_what_was_read_filtered_and_is_still_to_be_done(filled, tmp_path):
    write_crystals(tmp_path / "crystals", 4)
    (tmp_path / "crystals" / "broken.cif").write_text("data_nothing\n")
    campaign = {
        "name": "four <salts>",
        "crystals": ["crystals"],
        "potential": "chgnet",
        "filters": [{"filter": "elements", "exclude": ["F"]}],
    }
    (tmp_path / "salts.yaml").write_text(json.dumps(campaign))
    path = tmp_path / "report.html"
    report("--campaign", str(tmp_path / "salts.yaml"), "--out", str(path))
    html = path.read_text()
    assert "<h1>four &lt;salts&gt;</h1>" in html
    # salt-00 is LiF, which is filtered; of the others salt-01 has a row and salt-02 a broken one.
    assert "removed by elements exclude F" in html
    assert "broken.cif" in html
    assert "2 not computed yet" in html
    assert "salt-02, salt-03" in html
    assert "It is disordered." not in html  # the failure of another campaign


def test_missing_packages_are_named_before_anything_is_read(monkeypatch, tmp_path):
    monkeypatch.setattr(page_module, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "r.html")])
    assert isinstance(result.exception, FigureError)
    assert "pip install 'superionic[report]'" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [("--policy", "beauty"), ("--top", "-1"), ("--out", "nowhere/r.html"), ("--campaign", "none")],
)
def test_wrong_options_of_a_report_are_named(arguments):
    assert arguments[0] in report(*arguments, code=2)
