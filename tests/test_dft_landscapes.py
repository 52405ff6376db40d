"""The benchmark against density functional theory, with a toy in its place."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "workflows" / "campaign"))

from campaign_fixtures import TOY, rock_salt, surroundings

__all__ = ["surroundings"]


@pytest.fixture
def script(load_benchmark, monkeypatch):
    module = load_benchmark("dft_landscapes")
    monkeypatch.setattr(module, "N_HELD_OUT", 3)
    monkeypatch.setattr(module, "CONDUCTS_BELOW_eV", 100.0)
    return module


def record(name, crystal):
    structure = {
        "lattice": crystal.lattice.matrix.tolist(),
        "species": [site.specie.symbol for site in crystal],
        "frac_coords": crystal.frac_coords.tolist(),
    }
    return json.dumps({"id": name, "structure": structure})


def test_it_goes_on_where_it_was_stopped_and_compares_potentials(surroundings, script, monkeypatch):
    iron = rock_salt("F", 4.1)
    iron.replace(0, "Fe")
    lines = [record("salt", rock_salt("F", 4.1)), record("with an open shell", iron)]
    crystals = surroundings / "crystals.jsonl"
    crystals.write_text("\n".join(lines))
    out = surroundings / "results"
    points = out / "points.jsonl"

    def run(command, *options):
        files = ["--structures", str(crystals), "--out", str(out), "--points", str(points)]
        monkeypatch.setattr(sys, "argv", ["dft_landscapes", command, *files, *options])
        script.main()

    run("compute", "--n", "1", "--calculator", TOY)
    energies = points.read_text()
    (row,) = json.loads((out / "dft_landscapes.json").read_text())
    assert row["id"] == "salt"  # iron may have spin
    n_points = len(energies.splitlines())
    assert len(row["held_out"]) == 3 < n_points <= 33

    # A potential is right about itself, and is asked once.
    run("compare", "--potential", TOY, "--potential", "chgnet")
    own, other = map(json.loads, (out / "dft_landscapes_potentials.jsonl").read_text().splitlines())
    assert own["errors_eV"] == pytest.approx([0.0] * len(own["errors_eV"]), abs=1e-5)
    assert own["values"]["mpe_eV"] == pytest.approx(row["values"]["mpe_eV"], abs=0.03)
    assert other["potential"] in (out / "dft_landscapes.md").read_text()
    run("compare", "--potential", TOY)
    assert len((out / "dft_landscapes_potentials.jsonl").read_text().splitlines()) == 2

    # Again: nothing is computed that is there; what is lost is computed again.
    points.write_text("\n".join(energies.splitlines()[:-1]) + "\n")
    run("compute", "--n", "1", "--calculator", TOY)
    again = points.read_text().splitlines()
    assert again[:-1] == energies.splitlines()[:-1]
    assert len(again) == n_points
