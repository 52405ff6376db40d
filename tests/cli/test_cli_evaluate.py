"""``superionic evaluate`` on rows from a file."""

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
    assert "| calibrated |" in page.read_text()
    assert Calibration.from_json(coefficients.read_text()).models[0].n_rows == 60
    tables = json.loads(numbers.read_text())["tables"]
    assert [table["threshold"] for table in tables] == [0.01]


def test_the_short_table_has_numbers_of_the_long_one_and_needs_predictions(rows_file, tmp_path):
    long, short = tmp_path / "long.md", tmp_path / "short.md"
    arguments = [
        "evaluate",
        "--rows",
        str(rows_file),
        "--resamples",
        "20",
        "--headline",
        str(short),
    ]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SettingsError)
    assert "no table with landscapes and the network" in result.exception.message
    predictions = tmp_path / "predictions.csv"
    known = {row.material_id for row in population(60)}
    lines = [f"{name},{-1 + 0.1 * (i % 7)}" for i, name in enumerate(sorted(known))]
    predictions.write_text("\n".join(["material_id,log10_msd_slope", *lines]) + "\n")
    more = ["--held-out", str(predictions), "--write", str(long)]
    result = CliRunner().invoke(app, arguments + more)
    assert result.exit_code == 0, result.output
    rows = [line for line in short.read_text().splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} >= {"xi", "network", "consensus"}
    table = long.read_text().split("with a prediction of the network, too**")[1]
    for row in rows:
        assert row.split(" | ")[1] in table


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


def test_the_headline_of_the_readme_is_that_of_the_tables():
    """The long run that writes both would take minutes; that they agree is read off."""
    root = Path(__file__).parents[2]
    pages = [(root / name).read_text() for name in ("README.md", "docs/evaluation.md")]
    readme, tables = (page.split("written by superionic evaluate -->")[1] for page in pages)
    table = tables.split("with a prediction of the network, too**")[1].split("**Above")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    known = {row[0].strip("| ").split(" (")[0]: (row[1], row[3]) for row in rows}
    ours = [line.strip("| ").split(" | ") for line in readme.splitlines() if line[:3] == "| `"]
    assert len(ours) >= 5
    for name, auc, first in ours:
        assert known[name.strip("`")] == (auc, first)


def test_too_few_labels_for_a_calibration_end_with_an_error(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_jsonl(population(12)))
    arguments = ["evaluate", "--rows", str(file), "--fit-calibrated", str(tmp_path / "fit.json")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SettingsError)
    assert "12 labelled rows" in result.exception.message
    assert not (tmp_path / "fit.json").exists()
