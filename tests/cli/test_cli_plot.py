"""``superionic plot``: figures from the database and from files."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import FigureError
from superionic.report.figures.kinds import KINDS
from superionic.report.tables.export import rows_jsonl
from superionic.report.tables.labels import write_data_set
from superionic.report.tables.validation import VIEW
from superionic.schemas.label import LabelRow

sys.path.insert(0, str(Path(__file__).parents[1] / "report" / "figures"))

from figure_documents import arrhenius_validation, channel, document, labelled, rows

DATA_SET = Path(__file__).parents[2] / "datasets" / "labels_1000K.jsonl"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, surroundings):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plot(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, ["plot", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: str) -> FigureError:
    result = CliRunner().invoke(app, ["plot", *map(str, arguments)])
    assert isinstance(result.exception, FigureError), result.output
    return result.exception


def test_list_names_every_kind_and_what_it_needs():
    text = plot("--list").output
    for kind in KINDS.values():
        assert f"\n{kind.name}" in f"\n{text}"
        assert kind.needs in text
    assert plot().output == text


def test_msd_from_a_data_set_needs_no_database(folder):
    first = json.loads(DATA_SET.read_text().partition("\n")[0])["material_id"]
    out = folder / "msd.svg"
    plot("msd", first, "--data", DATA_SET, "--out", out)
    assert out.read_text().startswith("<?xml")
    plot("msd", first, "--data", DATA_SET)
    page = (folder / f"msd-{first}.html").read_text()
    assert "mean squared displacement" in page
    assert 'src="http' not in page  # it works without a network
    assert "None of" in refused("msd", "mp-none", "--data", DATA_SET).message


def test_rows_of_a_file_are_ranked(folder):
    file = folder / "rows.jsonl"
    file.write_text(rows_jsonl(rows()) + "\n")
    out = folder / "ranking.pdf"
    plot("ranking", "--data", file, "--policy", "barrier", "--top", "2", "--out", out)
    assert out.read_bytes().startswith(b"%PDF")
    one_row = folder / "one.jsonl"
    one_row.write_text(rows_jsonl(rows()[:1]) + "\n")
    assert "nothing to tell apart" in refused("precision", "--data", one_row).message


def test_held_out_predictions_give_the_network_a_curve(folder):
    datasets = DATA_SET.parent
    study = datasets.parent / "benchmarks" / "results" / "force_network.json"
    files = (datasets / "screening_1000K.jsonl", DATA_SET, datasets / "labels_1000K_longer.jsonl")
    given = [argument for file in files for argument in ("--data", file)]
    plot("precision", *given, "--out", "own.html")
    plot("precision", *given, "--held-out", study, "--out", "held-out.html")
    own, held_out = (folder / name for name in ("own.html", "held-out.html"))
    assert '"name":"force network"' not in own.read_text()
    assert '"name":"force network"' in held_out.read_text()
    error = refused("precision", "--data", DATA_SET, "--held-out", study)
    assert "rows of --data" in error.message
    assert "rows of --data" in refused("msd", "m-1", *given, "--held-out", study).message


def test_arrhenius_from_validations(folder):
    file = folder / "verdicts.json"
    file.write_text(VIEW.json([arrhenius_validation()]))
    plot("arrhenius", "m-1", "--data", file, "--out", "arrhenius.svg")
    assert (folder / "arrhenius.svg").stat().st_size > 10_000
    assert "None of 1 documents" in refused("arrhenius", "m-2", "--data", file).message
    file.write_text("[1]")
    assert "no list of validations" in refused("arrhenius", "m-1", "--data", file).message


def test_conductivities_of_several_validations(folder):
    file = folder / "verdicts.json"
    two = [arrhenius_validation(), arrhenius_validation((600.0, 900.0), bound_K=None)]
    file.write_text(VIEW.json(two))
    plot("conductivities", "--data", file, "--out", "all.png")
    assert (folder / "all.png").stat().st_size > 10_000
    assert "None of 0 validations" in refused("conductivities", "--data", file, "-m", "Na").message


def test_study_and_evaluation_files(folder):
    study = folder / "summary.json"
    curve = {"split": "random", "seed": 0, "fold": 0}
    epochs = [{"epoch": e, "train_loss": 1.0, "validation_loss": 2.0} for e in range(3)]
    pairs = {
        "material_id": ["a", "b"],
        "log10_label": [-1, 1],
        "verdict": ["diffusing"] * 2,
        "predicted": [-0.5, 0.5],
    }
    content = {
        "models": [],
        "parity": {"random": pairs},
        "learning_curves": [curve | {"epochs": epochs}],
    }
    study.write_text(json.dumps(content, indent=1))
    plot("learning_curves", "--data", study, "--out", "curves.svg")
    plot("parity", "--data", study, "--out", "parity.png")
    assert (folder / "parity.png").read_bytes().startswith(b"\x89PNG")
    other = folder / "other.json"
    other.write_text("{}")
    assert "No figure is drawn from" in refused("parity", "--data", other).message
    assert "not in the database" in refused("learning_curves").message


def test_what_does_not_fit_is_refused_before_anything_is_read():
    assert ".html (interactive)" in refused("landscape", "m-1", "--out", "a.gif").hint
    assert "of one material" in refused("msd").message
    assert "of all materials" in refused("ranking", "m-1").message
    assert "no figure 'pie'" in refused("pie").message
    options = ("ranking", "--data", DATA_SET, "--level-eV", "0.5")
    assert "no isosurfaces" in refused(*options).message
    assert plot("msd", "m-1", "--out", "nowhere/a.html", code=2)


def drawn_bars(page: Path) -> dict[str, int]:
    """Return name and number of every bar of an interactive figure of the pipeline."""
    text = page.read_text()
    start = text.index("{", text.index("getElementById('figure'), "))
    traces = json.JSONDecoder().raw_decode(text[start:])[0]["data"]
    numbers = {}
    for trace in traces:
        assert isinstance(trace["x"], list)
        numbers |= {n.strip(): x for n, x in zip(trace["y"], trace["x"], strict=True)}
    return numbers


def campaign_file(folder: Path, n: int = 5) -> Path:
    """Return a campaign of crystals m-1 and so on, of which the last has two filtered elements."""
    from pymatgen.core import Lattice, Structure

    crystals = folder / "crystals"
    crystals.mkdir(parents=True)
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    for i in range(n):
        anion = ["Cl", "Br", "I", "H", "F"][i]
        salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5), ["Li", anion], sites)
        salt.to(filename=str(crystals / f"m-{i + 1}.cif"))
    campaign = folder / "campaign.yaml"
    campaign.write_text(
        "crystals: [crystals]\nfilters: [{filter: elements, exclude: [F]}]\nmobile_species: Li\n"
    )
    return campaign


def test_pipeline_counts_rows_and_labels_of_files(folder):
    campaign = campaign_file(folder)
    file, labels = folder / "rows.jsonl", folder / "labels.jsonl"
    found = [
        one.model_copy(update={"label_verdict": None, "label_temperature_K": None})
        for one in rows()
        if one.material_id != "m-3"
    ]
    file.write_text(rows_jsonl(found) + "\n")
    write_data_set([LabelRow.from_document(document(labelled("m-2", 2.0)))], labels)
    plot("pipeline", *(x for path in (campaign, file, labels) for x in ("--data", path)))
    assert drawn_bars(folder / "pipeline.html") == {
        "found": 5,
        "elements exclude F": 1,
        "candidates": 4,
        "not computed yet": 1,
        "screened: landscape": 3,
        "predicted: force network": 2,
        "labelled: dynamics at 1000 K": 1,
        "diffusing": 1,
        "validated: several temperatures": 1,
        "confirmed": 1,
    }


def test_a_file_that_would_not_be_used_is_refused(folder):
    file, labels, campaign = folder / "rows.jsonl", folder / "labels.jsonl", campaign_file(folder)
    file.write_text(rows_jsonl(rows()) + "\n")
    write_data_set([LabelRow.from_document(document(labelled("m-9")))], labels)
    for kind in ("ranking", "precision", "parity", "conductivities", "learning_curves"):
        caught = refused(kind, "--data", campaign)
        assert f"{campaign} (a campaign file) would not be used" in caught.message
    for kind in ("landscape", "path", "volume", "arrhenius", "msd"):
        caught = refused(kind, "m-1", "--data", file)
        assert f"{file} (rows of the screening collection) would not be used" in caught.message
    assert "It is drawn from the database alone" in refused("path", "m-1", "--data", file).hint
    evaluation = folder / "evaluation.json"
    evaluation.write_text('{"tables": [], "costs": []}')
    caught = refused("precision", "--data", file, "--data", evaluation, "--data", labels)
    assert f"{evaluation} (an evaluation) would not be used" in caught.message
    assert "beside the others" in caught.message
    assert "not the only file" in refused("pipeline", *("--data", campaign) * 2).message
    for kind in ("pipeline", "ranking"):  # labels of other materials
        caught = refused(kind, "--data", file, "--data", labels)
        assert "None of 1 labels is of one of 4 rows" in caught.message


@pytest.mark.process
def test_a_campaign_in_an_empty_database_has_nothing_lost(database, folder):
    plot("pipeline", "--data", campaign_file(folder))
    bars = drawn_bars(folder / "pipeline.html")
    assert (bars["candidates"], bars["not computed yet"], bars["screened: landscape"]) == (4, 4, 0)
    text = (folder / "pipeline.html").read_text()
    assert "\N{MINUS SIGN}4" not in text
    assert "\\u22124" not in text
    caught = refused("pipeline", "--data", campaign_file(folder / "x"), "--data", DATA_SET)
    assert "None of 220 labels is of one of 0 rows" in caught.message


@pytest.mark.process
def test_figures_of_the_database(database, folder):
    """With a real job store, whose arrays are in the additional store."""
    from jobflow import Flow, job, run_locally

    document = channel()

    @job(data=["arrays"])
    def landscape():
        return document

    flow = Flow([landscape()])
    run_locally(flow, store=database.job_store, create_folders=False)
    uuid = flow.jobs[0].uuid
    found = [one.model_copy(update={"landscape_uuid": uuid}) for one in rows()]
    database.screening.update([one.model_dump() for one in found], key="key")

    plot("landscape", "m-1", "--level-eV", "0.42", "--level-eV", "1.6", "--compact")
    page = (folder / "landscape-m-1.html").read_text()
    assert "0.42 eV" in page
    assert "1.60 eV" in page
    assert "path: 0.40 eV" in page
    plot("volume", "m-1", "--out", "volume.svg")
    plot("pipeline", "--out", "pipeline.svg")
    assert "no row of it" in refused("path", "mp-none").message
