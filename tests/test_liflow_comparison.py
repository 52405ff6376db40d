"""The comparison with LiFlow: which crystals, which rows of its table, which scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_numbers

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def comparison(load_benchmark):
    return load_benchmark("liflow")


@pytest.fixture(scope="module")
def crystals(comparison):
    lines = (ROOT / "datasets" / "labels_1000K.jsonl").read_text().splitlines()
    return comparison.chosen(map(json.loads, lines))


def test_the_rows_that_training_moved_leave_no_choice_up_to_germanium(comparison):
    rows = comparison.element_rows([1, 12, 13, 28])
    assert [rows[atomic_numbers[one]] for one in ("H", "Li", "O", "P", "S", "Cl", "Ge")] == [
        *(0, 1, 6, 12, 13, 14, 28)
    ]
    assert sorted(rows.values()) == list(range(38))
    assert not {2, 10, 18, 36} & rows.keys()
    with pytest.raises(ValueError, match="another"):
        comparison.element_rows([1, 12, 13, 29])


def test_certain_crystals_come_first_and_heavy_ones_never(comparison, crystals):
    heaviest = [comparison.heaviest_of(one["structure"]["species"]) for one in crystals]
    beyond = [z > atomic_numbers["Ge"] for z in heaviest]
    assert beyond == sorted(beyond)
    assert atomic_numbers["Br"] < max(heaviest) <= atomic_numbers["Mo"]
    assert (len(crystals), sum(beyond)) == (118, 60)
    assert comparison.heaviest_of(["Li", "Xe"]) > atomic_numbers["Mo"]


def test_supercells_are_those_of_the_labels(comparison, crystals):
    for label in crystals[::10]:
        atoms = comparison.supercell_of(label)
        assert len(atoms) == label["n_atoms"]
        assert atoms.get_volume() == pytest.approx(
            abs(np.linalg.det(label["structure"]["lattice"]))
            * abs(np.linalg.det(label["supercell_matrix"]))
        )


def test_the_slope_of_a_walk_in_a_framework_that_drifts(comparison):
    rng = np.random.default_rng(0)
    steps = np.zeros((26, 2000, 3))
    steps[1:, :1900] = rng.normal(0.0, 0.5, (25, 1900, 3))
    drift = 0.3 * np.arange(26)[:, None, None]
    mobile = np.arange(2000) < 1900
    found = comparison.msd_A2(np.cumsum(steps, axis=0) + drift, np.ones(2000), mobile)
    assert comparison.slope_A2_per_ps(found) == pytest.approx(3 * 0.5**2, rel=0.05)
    # Vibrations have no slope, wherever they end.
    assert comparison.slope_A2_per_ps([0.0, *[0.2] * 25]) == pytest.approx(0.0, abs=1e-12)


def test_scores_are_of_runs_that_ended_well(comparison):
    ramp = [0.1 * k for k in range(26)]
    flat = [0.0, *[0.3] * 25]
    lines = [
        {"material_id": "fast", "method": "liflow", "msd_A2": ramp},
        {"material_id": "slow", "method": "liflow", "msd_A2": ramp},
        {"material_id": "lost", "method": "liflow", "error": "ValueError: diverged"},
        {"material_id": "fast", "method": "liflow_small_prior", "msd_A2": flat},
        {"material_id": "slow", "method": "liflow_small_prior", "msd_A2": flat},
        {"material_id": "slow", "method": "bond_valence", "barriers_eV": [0.1, 0.2, 0.3]},
    ]
    found = comparison.liflow_scores(lines, {"fast": 0.5, "slow": 0.02, "lost": 1.0})
    assert found["liflow"] == pytest.approx({"fast": 0.1, "slow": 0.1})
    assert found["liflow_25ps"] == pytest.approx({"fast": 0.1, "slow": 0.1})
    assert found["liflow_small_prior"] == pytest.approx({"fast": 0.0, "slow": 0.0})
    assert found["liflow_told"] == pytest.approx({"fast": 0.1, "slow": 0.0})
