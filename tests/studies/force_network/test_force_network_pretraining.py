"""Pretraining on atoms: blind all the same, and training starts from its weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from studies.force_network.pretraining import AtomNetwork, AtomTable, pretrain
from studies.force_network.settings import PretrainingSettings
from studies.force_network.unlabelled import read_crystals
from superionic.errors import NetworkError
from superionic.network.data import TrainingSet
from superionic.network.model import ForceNetwork
from superionic.network.settings import NetworkSettings, ShakeSettings
from superionic.network.training import read_history, read_weights, weights_hash

NETWORK = NetworkSettings(cutoff_A=3.5, l_max=1, n_layers=1, channels=6)
SHAKES = ShakeSettings(min_image_distance_A=4.0)


@pytest.fixture
def crystals(tmp_path, springs) -> TrainingSet:
    rows = []
    for number, (a, anion) in enumerate([(4.0, "F"), (5.1, "Cl"), (5.5, "Br"), (4.6, "H")]):
        for light in ("Li", "K"):
            rows.append(
                {
                    "material_id": f"{light}{anion}-{number}",
                    "structure": {
                        "lattice": [[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]],
                        "species": [light, anion],
                        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
                    },
                }
            )
    path = tmp_path / "crystals.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    settings = PretrainingSettings(crystals=(str(path),), n_shakes=2)
    return read_crystals(settings, SHAKES, springs, tmp_path / "shakes")


def test_only_crystals_with_the_ion_and_all_of_their_atoms(crystals):
    assert [c.formula for c in crystals.crystals] == ["LiF", "LiCl", "LiBr", "LiH"]
    table = AtomTable(crystals, NETWORK.cutoff_A, SHAKES.min_image_distance_A)
    for shakes, targets in zip(crystals.shakes, table.of_atoms, strict=True):
        assert len(targets) == shakes.positions_A.shape[1]
        assert targets[:, 1].mean() == 0.5
        np.testing.assert_allclose(10 ** targets[targets[:, 1] == 1, 0], 6.94)
    batch = table.batch([(0, 0), (1, 1)])
    assert len(table.targets_of([0, 1])) == len(batch["accelerations_A_per_ps2"])


def test_weights_go_from_atoms_to_labels(crystals, tmp_path):
    settings = PretrainingSettings(crystals=("x",), epochs=15, learning_rate=1e-2)
    path = pretrain(crystals, NETWORK, settings, SHAKES, tmp_path / "pre")
    weights = read_weights(path)
    plain = ForceNetwork(NETWORK).state_dict()
    assert {"head", "attention"}.isdisjoint(name.split(".")[0] for name in weights)
    assert all(plain[name].shape == value.shape for name, value in weights.items())
    history = read_history(tmp_path / "pre" / "metrics.csv")
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    modified = path.stat().st_mtime_ns
    assert pretrain(crystals, NETWORK, settings, SHAKES, tmp_path / "pre") == path
    assert path.stat().st_mtime_ns == modified
    path.write_bytes(path.read_bytes()[:100])  # cut off
    again = read_weights(pretrain(crystals, NETWORK, settings, SHAKES, tmp_path / "pre"))
    assert weights_hash(again) == weights_hash(weights)


def test_it_is_as_blind_as_the_network(crystals):
    table = AtomTable(crystals, NETWORK.cutoff_A, SHAKES.min_image_distance_A)
    batch = table.batch([(0, 0)])
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="species"):
        AtomNetwork(NETWORK)(batch | {"species": batch["graph_index"]})


def test_no_crystal_left(tmp_path, springs):
    path = tmp_path / "crystals.jsonl"
    structure = {
        "lattice": (np.eye(3) * 4).tolist(),
        "species": ["Na"],
        "frac_coords": [[0, 0, 0]],
    }
    path.write_text(json.dumps({"material_id": "a", "structure": structure}))
    settings = PretrainingSettings(crystals=(str(path),))
    with pytest.raises(NetworkError, match=r"No crystal of crystals\.jsonl is left"):
        read_crystals(settings, SHAKES, springs, tmp_path)
    sodium = replace(settings, mobile_species="Na")
    assert len(read_crystals(sodium, SHAKES, springs, tmp_path)) == 1
