"""A force network of a few weights, never trained: what predictions do with one can be tested."""

from dataclasses import replace
from pathlib import Path

import torch

from superionic.network.checkpoint import IntervalCalibration, Member, NetworkHeader, save_ensemble
from superionic.network.model import ForceNetwork
from superionic.network.settings import (
    TARGET,
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
)
from superionic.potentials.base import PotentialInfo

SHAPE = NetworkSettings(cutoff_A=3.0, n_layers=1, channels=2, readout_hidden=4)
SHAKES = ShakeSettings(amplitudes_A=(0.1, 0.2), n_shakes=3, min_image_distance_A=4.0)
NEAR = IntervalCalibration(0.01, 1e9, 40, "chemical_system")
FAR = replace(NEAR, novelty_threshold=1e-9)


def write_network(
    path: Path,
    potential: PotentialInfo,
    *,
    seed: int = 0,
    n_members: int = 2,
    calibration: IntervalCalibration | None = NEAR,
    chemical_systems: tuple[str, ...] | None = None,
    labels: LabelRules | None = None,
) -> Path:
    """Write an ensemble whose weights and reference features are random."""
    members = []
    for number in range(n_members):
        torch.manual_seed(100 * seed + number)
        network = ForceNetwork(SHAPE, (TARGET,)).eval()
        members.append(Member(network, torch.randn(20, 2 * SHAPE.readout_hidden)))
    header = NetworkHeader(
        network=SHAPE,
        shakes=SHAKES,
        training=TrainingSettings(),
        labels=labels or LabelRules(),
        potential=potential,
        training_set_sha256="t" * 64,
        n_crystals=20,
        calibration=calibration,
        chemical_systems=chemical_systems,
    )
    save_ensemble(path, members, header)
    return path
