"""Tables that are published are those that the published data give."""

import argparse
import csv
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studies.hops.paths import read_paths
from superionic.cli.app import app
from superionic.report.tables.evaluation import WRITTEN_BY as EVALUATE
from superionic.report.tables.text_table import END, begin_mark
from superionic.report.tables.validation import WRITTEN_BY as VALIDATE
from superionic.report.tables.validation import validations_markdown
from superionic.schemas.validation import ValidationDocument

ROOT = Path(__file__).parents[2]
INTERVAL = re.compile(r" \[-?\d+\.\d+, -?\d+\.\d+\]")


def tables(page: Path, command: str) -> str:
    return page.read_text().split(begin_mark(command))[1].split(END)[0].strip()


def values(page: Path) -> list[str]:
    """Return the lines of a page's tables without their intervals, which few resamples move."""
    return INTERVAL.sub("", tables(page, EVALUATE)).splitlines()


def command_of(target: str, **variables: str) -> list[str]:
    """Return the last command of a target of the Makefile, without the program's path."""
    if shutil.which("make") is None:
        pytest.skip("there is no make on PATH")
    settings = [f"{name}={value}" for name, value in variables.items()]
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    # A line that goes on in the next one ends in a backslash.
    return shlex.split(said.stdout.replace("\\\n", " ").splitlines()[-1])[1:]


def test_the_evaluation_is_that_of_the_published_rows_and_labels(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = command_of("evaluate", SHARED=str(shared))
    places = [arguments.index(option) + 1 for option in ("--write", "--headline", "--csv")]
    published = [ROOT / arguments[place] for place in places]
    copies = [tmp_path / page.name for page in published]
    for place, page, copy in zip(places, published, copies, strict=True):
        shutil.copy(page, copy)
        arguments[place] = str(copy)
    result = CliRunner().invoke(app, [*arguments, "--resamples", "10"])
    assert result.exit_code == 0, result.output
    for page, copy in zip(published[:2], copies, strict=False):
        assert values(copy) == values(page)
        assert tables(copy, EVALUATE) != tables(page, EVALUATE)  # it was written
    written, table = (without_intervals(path) for path in (copies[2], published[2]))
    assert written == table
    assert len(table) > 500


def without_intervals(path: Path) -> list[dict[str, str]]:
    """Return the lines of a CSV without the intervals, which few resamples move."""
    with path.open() as file:
        return [
            {name: cell for name, cell in row.items() if not name.endswith(("_low", "_high"))}
            for row in csv.DictReader(file)
        ]


def test_the_evaluation_is_not_run_without_the_reference_data():
    if shutil.which("make") is None:
        pytest.skip("there is no make on PATH")
    said = subprocess.run(
        ["make", "--dry-run", "evaluate", "SHARED="], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode != 0
    assert "SHARED=DIR is missing" in said.stderr


def test_the_barriers_of_hops_are_those_of_the_published_rows(shared, tmp_path, load_benchmark):
    script = load_benchmark("barriers", "studies/hops")
    results = ROOT / "benchmarks" / "results"
    lines = map(json.loads, (results / "hop_barriers.jsonl").read_text().splitlines())
    rows = {row["id"]: row for row in lines}
    lithium = read_paths(shared / "data" / "em_li_paths.jsonl")
    others = read_paths(shared / "data" / "em_other_ions_paths.jsonl")
    options = argparse.Namespace(out=tmp_path)
    script.write_table(lithium, rows, options)
    script.write_ions([*lithium, *others], rows, options)
    for name in ("hop_barriers.md", "hop_barriers_by_ion.md"):
        assert (tmp_path / name).read_text() == (results / name).read_text()


def test_the_verdicts_are_those_of_the_published_validations():
    stored = json.loads((ROOT / "datasets" / "validation_best.json").read_text())
    documents = [ValidationDocument.model_validate(one) for one in stored]
    assert tables(ROOT / "docs" / "validation.md", VALIDATE) == validations_markdown(documents)
