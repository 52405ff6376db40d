"""Tables of benchmarks: each is on a page, as its command wrote it."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
INCLUDED = re.compile(r"```\{include\} \.\./(benchmarks/results/\S+\.md)\n```")


def test_each_table_is_on_a_page_and_on_no_other():
    pages = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    included = [name for page in pages for name in INCLUDED.findall(page)]
    tables = [f"benchmarks/results/{path.name}" for path in RESULTS.glob("*.md")]
    assert sorted(included) == sorted(tables)


def test_the_speed_of_the_page_is_the_measured_one(load_benchmark):
    pytest.importorskip("psutil")
    module = load_benchmark("serve_speed")
    measured = json.loads((RESULTS / "serve_speed.json").read_text())
    assert measured["n_rows"] == 100_000
    assert (RESULTS / "serve_speed.md").read_text() == f"{module.table(measured['results'])}\n"
