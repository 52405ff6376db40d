"""Pretraining on atoms: mass and mobility from accelerations, no labels needed.

What is learned is thrown away but for the weights up to the features of atoms, from which training
on labels starts. The network's inputs are the same: it stays blind. Crystals whose labels are
tested may be among those of the pretraining, since no label of theirs is in it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from torch import Tensor, nn

from studies.force_network.settings import PretrainingSettings
from superionic.dynamics.supercell import make_supercell
from superionic.network import keys
from superionic.network.batches import GraphTable
from superionic.network.data import TrainingSet
from superionic.network.model import ForceNetwork
from superionic.network.settings import (
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
)
from superionic.network.training import UNREADABLE, fit_network, read_weights, weights_hash

ATOM_TARGETS = ("log10_mass", "mobile")
_KEPT = ("embedding.", "layers.", "readout.")


class AtomNetwork(ForceNetwork):
    """The same network with a prediction for each atom."""

    def __init__(self, settings: NetworkSettings, targets: tuple[str, ...] = ATOM_TARGETS) -> None:
        super().__init__(settings, targets)
        self.atom_head = nn.Linear(settings.readout_hidden, len(targets))

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return targets of atoms, shape (n_atoms, n_targets), and their features."""
        nodes = self.node_features(batch)
        found = self.target_mean + self.target_std * self.atom_head(nodes)
        return {keys.TARGETS: found, keys.NODE_FEATURES: nodes}


class AtomTable(GraphTable):
    """Graphs of crystals with targets of their atoms.

    Parameters
    ----------
    training_set : TrainingSet
        Crystals and shakes; labels are not looked at.
    cutoff_A, min_image_distance_A : float
        Of neighbours, and of the supercells, in A.
    device : str
        Where batches are to be.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        cutoff_A: float,
        min_image_distance_A: float,
        device: str = "cpu",
    ) -> None:
        super().__init__(training_set, cutoff_A, device=device)
        self.of_atoms = [
            atom_targets(make_supercell(c.atoms, min_image_distance_A)[0], c.mobile_species)
            for c in training_set.crystals
        ]
        # One row a crystal sets mean and spread, and tells one run from another.
        self.targets = np.array([values[len(values) // 2] for values in self.of_atoms])

    def targets_of(self, crystals: Sequence[int]) -> Tensor:
        """Return the targets of all atoms of some crystals, one crystal after the other."""
        values = np.concatenate([self.of_atoms[crystal] for crystal in crystals])
        return torch.as_tensor(values, dtype=torch.float32, device=self.device)


def atom_targets(supercell: Atoms, mobile_species: str) -> np.ndarray:
    """Return log10 of the mass in amu and whether an atom is mobile, shape (n_atoms, 2)."""
    mobile = np.array(supercell.get_chemical_symbols()) == mobile_species
    return np.column_stack([np.log10(supercell.get_masses()), mobile.astype(float)])


def pretrain(
    training_set: TrainingSet,
    network: NetworkSettings,
    settings: PretrainingSettings,
    shakes: ShakeSettings,
    directory: Path,
    device: str = "cpu",
) -> Path:
    """Return the file of weights to start from, trained or, where that was done, there.

    Parameters
    ----------
    training_set : TrainingSet
        As :func:`read_crystals` returns it.
    network : NetworkSettings
        Shape of the network that is to be trained later.
    settings : PretrainingSettings
        How long, how fast.
    shakes : ShakeSettings
        Size of the supercells.
    directory : Path
        Where the run lives.
    device : str
        Where it is trained.
    """
    fitted = fit_network(
        AtomTable(training_set, network.cutoff_A, shakes.min_image_distance_A, device),
        np.arange(len(training_set)),
        np.empty(0, dtype=np.int64),
        network,
        TrainingSettings(
            max_epochs=settings.epochs,
            patience=0,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            seed=settings.seed,
        ),
        ATOM_TARGETS,
        directory,
        make_network=AtomNetwork,
        identity=training_set.sha256(),
        device=device,
    )
    weights = fitted.network.state_dict()
    kept = {name: value.cpu() for name, value in weights.items() if name.startswith(_KEPT)}
    path, fresh = directory / "pretrained.pt", directory / "pretrained.pt.new"
    if not _holds(path, kept):
        torch.save(kept, fresh)
        fresh.replace(path)
    return path


def _holds(path: Path, weights: Mapping[str, Tensor]) -> bool:
    """Return whether a file holds these weights; one that is damaged does not."""
    if not path.exists():
        return False
    try:
        stored = read_weights(path)
        return stored is not None and weights_hash(stored) == weights_hash(weights)
    except UNREADABLE:
        return False
