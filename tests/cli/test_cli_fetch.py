"""The commands ``fetch`` and ``candidates``, as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "structures"))

from faulty_server import KEY, Api, serving, summary_documents

PROGRAM = Path(sys.executable).parent / "superionic"


def command(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in ("MP_API_KEY", "PMG_MAPI_KEY")}
    return {
        "args": [str(PROGRAM), *map(str, arguments)],
        "env": environment | variables,
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }


def run(*arguments, **variables):
    return subprocess.run(**command(*arguments, **variables), timeout=300, check=False)


def test_without_a_key_one_line_says_how_to_get_one(tmp_path):
    found = run("fetch", "mp", "--out", tmp_path / "x.jsonl", HOME=str(tmp_path))
    assert found.returncode == 1
    assert len(found.stderr.strip().splitlines()) == 1
    assert "https://materialsproject.org/api" in found.stderr
    assert "MP_API_KEY" in found.stderr


@pytest.mark.process
def test_a_killed_download_goes_on_and_is_read_by_candidates(tmp_path):
    pytest.importorskip("mp_api", reason="the extra 'mp' is not installed")
    api = Api(summary_documents(), late_s=30)
    api.paths = ("/materials/summary/",)
    api.faults = [None, None, "late"]
    out = tmp_path / "li.jsonl"
    with serving(api) as address:
        asked = ["fetch", "mp", "--out", out, "--page-size", 3, "--endpoint", address]
        asked += ["--min-gap", 0.25, "--max-hull", 0.1]
        process = subprocess.Popen(**command(*asked, MP_API_KEY=KEY))
        deadline = time.monotonic() + 120
        while sum("summary" in path for path in api.requests) < 3:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()
        found = run(*asked, MP_API_KEY=KEY)
        assert found.returncode == 0, found.stderr
        assert "6 of them were fetched by an earlier run" in found.stdout
        assert KEY not in found.stdout + found.stderr
    wanted = {
        d["material_id"]
        for d in api.documents
        if d["band_gap"] >= 0.25 and d["energy_above_hull"] <= 0.1
    }
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["material_id"] for line in lines} == wanted
    assert len(lines) == len(wanted)

    filters = tmp_path / "filters.yaml"
    filters.write_text("filters:\n  - {filter: band_gap, min_eV: 1.0}\n")
    chosen = tmp_path / "chosen.jsonl"
    found = run("candidates", out, "--filters", filters, "--out", chosen, "--reasons")
    assert found.returncode == 0, found.stderr
    kept = {d["material_id"] for d in api.documents if d["band_gap"] >= 1.0} & wanted
    assert {json.loads(line)["material_id"] for line in chosen.open()} == kept
    assert f"{-(len(wanted) - len(kept)):6} removed by band_gap" in found.stdout


def test_a_database_of_optimade_must_be_named(tmp_path):
    pytest.importorskip("optimade", reason="the extra 'optimade' is not installed")
    found = run("fetch", "optimade", "--out", tmp_path / "x.jsonl")
    assert found.returncode == 1
    assert "--provider or --url" in found.stderr
