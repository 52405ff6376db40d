"""Predictions for folders: nothing is computed twice, and bad crystals do not stop the rest."""

import json

import pytest
from campaign_fixtures import TOY, rock_salt, write_crystals
from jobflow import run_locally
from tiny_network import NEAR, write_network
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.potentials.registry import load_potential
from superionic.store.builders.screening import read_rows
from superionic.structures import read_candidates
from superionic.workflows.makers.predict import PredictMaker


def kinds(database) -> dict[str, int]:
    rows = database.job_store.docs_store.query({}, properties=["output.kind"])
    found = [row["output"]["kind"] for row in rows]
    return {kind: found.count(kind) for kind in ("prepared", "shakes", "prediction")}


@pytest.mark.process
def test_predictions_are_kept_and_another_network_reads_the_same_shakes(tmp_path, database):
    folder = tmp_path / "crystals"
    names = write_crystals(folder, 2)
    info = load_potential(TOY).info
    one = PredictMaker(potential=TOY, network=str(write_network(tmp_path / "one.pt", info)))
    for candidate in list(read_candidates([folder])):
        run_locally(
            one.make(candidate), log=False, store=database.job_store, raise_immediately=True
        )
    assert kinds(database) == {"prepared": 2, "shakes": 2, "prediction": 2}
    sodium = rock_salt("Cl", 5.1).replace_species({"Li": "Na"})
    sodium.to(filename=str(folder / "sodium.cif"))
    rock_salt("F", 4.3).to(filename=str(folder / "twin.cif"))
    rock_salt("I", 6.1).to(filename=str(folder / "new.cif"))
    (folder / "broken.cif").write_text("nothing")

    def predict(network, code):
        out = tmp_path / "predictions.json"
        arguments = ["predict", str(folder), "--network", str(network), "-w", "1", "-p", TOY]
        result = CliRunner().invoke(app, [*arguments, "--json", str(out)])
        assert result.exit_code == code, result.output
        return result, {row["material_id"]: row for row in json.loads(out.read_text())}

    # Another network: shakes that are there are not made again.
    two = write_network(tmp_path / "two.pt", info, seed=1)
    first, rows = predict(two, code=3)
    assert "3 of 3 crystals predicted, 3 now, 2 of them from parts that were there" in first.stderr
    assert "-1 without the mobile ion" in first.stderr
    assert "broken" in first.output
    assert sorted(rows) == ["new", *names, "twin"]
    assert kinds(database) == {"prepared": 3, "shakes": 3, "prediction": 5}
    for row in rows.values():
        width = row["log10_msd_slope_high"] - row["log10_msd_slope_low"]
        assert width == pytest.approx(2 * NEAR.half_width_95)
        assert row["network"] == "two"
    assert rows["twin"]["flags"] == ["same_crystal"]
    assert rows["new"]["flags"] == []
    assert rows["twin"]["log10_msd_slope"] == rows["salt-00"]["log10_msd_slope"]
    header, *lines = first.stdout.splitlines()
    assert header.split()[:4] == ["id", "formula", "log10", "slope"]
    slopes = [float(line.split()[2]) for line in lines[:4]]
    assert slopes == sorted(slopes, reverse=True)

    # The same file elsewhere: nothing to compute.
    (folder / "sodium.cif").unlink()
    (folder / "broken.cif").unlink()
    again, same = predict(two.rename(tmp_path / "moved.pt"), code=0)
    assert "0 to compute" in again.stderr
    assert same == rows
    assert kinds(database)["prediction"] == 5
    stored = {row.material_id: row for row in read_rows(database.screening, {})}
    assert sorted(stored) == ["new", *names, "twin"]
    assert stored["twin"].duplicate_of == "salt-00"
    assert stored["salt-00"].network == "two"
    assert stored["salt-00"].present == ["prediction"]
