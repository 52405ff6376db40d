"""``superionic evaluate`` on rows from a file."""

import csv
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.errors import SettingsError
from superionic.report.tables.export import rows_jsonl
from superionic.store.ranking.calibration import Calibration, load_calibration

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

from evaluation_rows import population


@pytest.fixture
def rows_file(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_jsonl(population(60)) + "\n")
    return file


def test_tables_page_and_calibration_are_written(rows_file, tmp_path):
    page, coefficients, numbers = (tmp_path / n for n in ("page.md", "fit.json", "all.json"))
    arguments = ["evaluate", "--rows", str(rows_file), "--resamples", "20", "--slope", "0.01"]
    outputs = ["--write", str(page), "--fit-calibrated", str(coefficients), "--json", str(numbers)]
    result = CliRunner().invoke(app, arguments + outputs)
    assert result.exit_code == 0, result.output
    assert "60 materials with a landscape" in result.stdout
    assert "| `calibrated` |" in page.read_text()
    assert Calibration.from_json(coefficients.read_text()).models[0].n_rows == 60
    tables = json.loads(numbers.read_text())["tables"]
    # Both the verdicts and the upper bounds are asked there.
    assert [table["threshold"] for table in tables] == [0.01, 0.01]
    assert "upper bounds" in tables[1]["task"]


def test_the_headline_has_numbers_of_all_tables_and_needs_labels(rows_file, tmp_path):
    short, everything = tmp_path / "short.md", tmp_path / "all.csv"
    unlabelled = tmp_path / "unlabelled.jsonl"
    bare = [row.model_copy(update={"labels": []}) for row in population(60)]
    unlabelled.write_text(rows_jsonl(bare) + "\n")
    options = ["--resamples", "20", "--headline", str(short)]
    result = CliRunner().invoke(app, ["evaluate", "--rows", str(unlabelled), *options])
    assert isinstance(result.exception, SettingsError)
    assert "no table of labels" in result.exception.message
    predictions = tmp_path / "predictions.csv"
    known = {row.material_id for row in population(60)}
    lines = [f"{name},{-1 + 0.1 * (i % 7)}" for i, name in enumerate(sorted(known))]
    predictions.write_text("\n".join(["material_id,log10_msd_slope", *lines]) + "\n")
    more = ["--rows", str(rows_file), "--held-out", str(predictions), "--csv", str(everything)]
    result = CliRunner().invoke(app, ["evaluate", *options, *more])
    assert result.exit_code == 0, result.output
    rows = [line for line in short.read_text().splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} >= {"xi", "network", "consensus"}
    table = {
        row["score"]: row
        for row in csv.DictReader(everything.read_text().splitlines())
        if row["threshold"] == "1" and "bounds" in row["task"] and "network" in row["materials"]
    }
    for row in rows:
        auc = float(row.split(" | ")[1].split(" [")[0])
        assert auc == pytest.approx(float(table[row.split("`")[1]]["roc_auc"]), abs=0.006)


def test_the_calibration_of_the_package_is_the_fit_of_the_published_data(tmp_path):
    root = Path(__file__).parents[2]
    arguments = ["evaluate", "--rows", str(root / "datasets/screening_1000K.jsonl")]
    for name in ("labels_1000K", "labels_1000K_longer"):
        arguments += ["--labels", str(root / f"datasets/{name}.jsonl")]
    arguments += ["--held-out", str(root / "benchmarks/results/force_network.json")]
    arguments += ["--fit-calibrated", str(tmp_path / "fit.json"), "--resamples", "10"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found, shipped = Calibration.from_json((tmp_path / "fit.json").read_text()), load_calibration()
    assert (found.conductor, found.labels) == (shipped.conductor, shipped.labels)
    assert [model.features for model in found.models] == [m.features for m in shipped.models]
    for ours, theirs in zip(found.models, shipped.models, strict=True):
        assert ours.training_sha256 == theirs.training_sha256
        assert ours.coefficients == pytest.approx(theirs.coefficients, rel=1e-5)
        assert ours.intercept == pytest.approx(theirs.intercept, rel=1e-5)
        # What the documentation says of it is what cross-validation gave.
        assert ours.cross_validation["roc_auc"][0] == theirs.cross_validation["roc_auc"][0]


def test_the_headline_of_the_readme_is_that_of_the_page():
    """The long run that writes both would take minutes; that they agree is read off."""
    root = Path(__file__).parents[2]
    pages = [(root / name).read_text() for name in ("README.md", "docs/evaluation.md")]
    readme, page = (text.split("written by superionic evaluate -->")[1] for text in pages)
    columns = [cells(line) for line in page.split("**Conductors")[0].splitlines()]
    ours = [cells(line) for line in readme.splitlines()]
    titles, *known = [line for line in columns if len(line) > 1 and "---" not in line]
    ours_titles, *rows = [line for line in ours if len(line) > 1 and "---" not in line]
    assert len(rows) >= 6
    for row in rows:
        name, *found = row
        whole = next(line for line in known if line[0] == name)
        assert found == [whole[titles.index(title)] for title in ours_titles[1:]]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_too_few_labels_for_a_calibration_end_with_an_error(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_jsonl(population(12)))
    arguments = ["evaluate", "--rows", str(file), "--fit-calibrated", str(tmp_path / "fit.json")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SettingsError)
    assert "12 labelled rows" in result.exception.message
    assert not (tmp_path / "fit.json").exists()


def test_a_users_own_measurements(tmp_path):
    """The example of the how-to: a contradiction, a wrong unit, other temperatures, an overlap."""
    root = Path(__file__).parents[2]
    table, numbers = tmp_path / "table.csv", tmp_path / "all.json"
    broken = tmp_path / "mp-985582.cif"
    broken.write_text("no crystal")
    arguments = ["evaluate", "--rows", str(root / "datasets/screening_1000K.jsonl")]
    arguments += ["--conductivities", str(root / "tests/data/measured_conductivities.csv")]
    arguments += [str(root / "workflows/example_crystals"), str(broken)]
    outputs = ["--csv", str(table), "--json", str(numbers), "--resamples", "20"]
    result = CliRunner().invoke(app, arguments + outputs)
    assert result.exit_code == 0, result.output
    assert "11 measurements, 5 crystals" in result.stdout
    for said in (
        "- mp-18640: measured values from 1e-09 to 0.0001 S/cm, 5.0 decades apart",
        "- mp-985582: temperature_K is 25, outside 150 to 1000 K",
        "- mp-22983: measured at 573 K",
        "- mp-736: in the training set of 'conductivity', by its identifier",
    ):
        assert said in result.stdout
    lines = {(one["threshold_S_per_cm"], one["score"]): one for one in csv.DictReader(table.open())}
    assert lines["1e-05", "free_volume"]["roc_auc"]
    assert lines["0.0001", "composition"]["mae"]
    assert json.loads(numbers.read_text())["n_crystals"] == 5


def test_crystals_without_measurements_to_compare_with_are_refused(rows_file):
    root = Path(__file__).parents[2]
    arguments = ["evaluate", "--rows", str(rows_file), str(root / "workflows/example_crystals")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SettingsError)
    assert "--conductivities" in result.exception.hint
