"""What the comparison of relaxed crystals with those as they were given says of known numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from synthetic import synthetic_set

from superionic.network.data import TrainingSet


@pytest.fixture(scope="module")
def script(load_benchmark):
    return load_benchmark("unrelaxed_shakes", "studies/force_network")


def rows(text: str) -> list[list[str]]:
    return [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]


def test_displacements_go_the_short_way_round(script):
    one = Atoms("LiCl", scaled_positions=[[0.99, 0, 0], [0.5, 0.5, 0.5]], cell=[5, 6, 7], pbc=True)
    other = one.copy()
    other.set_scaled_positions([[0.01, 0, 0], [0.5, 0.5, 0.49]])
    assert script.largest_displacement_A(one, other) == pytest.approx(0.1)


def test_changes_and_gains_are_those_of_the_predictions(script):
    data = synthetic_set(24)
    forces = np.where(np.arange(24) < 12, 0.05, 0.6)
    given = TrainingSet(
        data.crystals,
        tuple(
            replace(shakes, residual_force_eV_per_A=force)
            for shakes, force in zip(data.shakes, forces, strict=True)
        ),
        data.rules,
    )
    pairs = []
    for number, crystal in enumerate(data.crystals):
        truth = np.full(16, max(np.log10(crystal.slope_A2_per_ps), -3.0))
        off = 0.0 if number < 12 else 0.3
        pairs += [script.Pair(s, crystal.material_id, truth, truth + off) for s in (1, 2)]
    displaced_A = {crystal.material_id: 0.2 for crystal in data.crystals}
    text = script.tables(pairs, given, displaced_A, 1e-3, 50)
    by_shakes, bands = rows(text)[2:5], rows(text)[7:]
    assert [row[0] for row in by_shakes] == ["1", "4", "16"]
    for row in by_shakes:
        assert row[1].startswith("1.00")
        assert 0 < float(row[2].split()[0]) < 1
        assert float(row[3].split()[0]) == pytest.approx(1 - float(row[2].split()[0]), abs=0.011)
        assert row[6] == f"{0.3 / np.sqrt(2):.3f}"
    assert bands == [
        ["0 to 0.1", "12", "0.200", "0.000", "0.00"],
        ["0.5 to 1", "12", "0.200", "0.300", "0.30"],
    ]
    assert "The largest force is 0.60 eV/A." in text


def test_further_predictions_are_of_crystals_as_they_were_given(script, tmp_path):
    published = [json.loads(line) for line in script.PUBLISHED.read_text().splitlines()]
    predictions = [
        {
            "material_id": row["material_id"],
            "residual_force_eV_per_A": 1.5,
            "log10_msd_slope": row[script.SLOPE] + 0.1,
            "flags": [],
            "relaxed": False,
        }
        for row in published[:3]
    ]
    predictions[2]["flags"] = ["same_crystal"]
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps(predictions))
    text = script.further_table(file)
    assert rows(text)[2:] == [["1 to 2", "2", "0.100", "0.10"]]
    predictions[0]["relaxed"] = True
    file.write_text(json.dumps(predictions))
    with pytest.raises(ValueError, match="--relax never"):
        script.further_table(file)
