"""Control experiments: what can be predicted without what the force network sees.

Nothing here is shipped. The variant that sees species lives here alone, so that the network of
:mod:`superionic.network.model` stays blind.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from superionic.dynamics.supercell import make_supercell
from superionic.network import keys
from superionic.network.data import LabelledCrystal, TrainingSet
from superionic.network.model import ForceNetwork
from superionic.network.settings import TARGET, NetworkSettings
from superionic.network.shakes import Shakes

if TYPE_CHECKING:
    from superionic.network.batches import Extras

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_TREES = 300
LEAF = 3
"""Least crystals in a leaf of a tree."""

_PROPERTIES = (
    "X",
    "atomic_radius",
    "average_ionic_radius",
    "atomic_mass",
    "group",
    "row",
    "mendeleev_no",
)


class WithoutAccelerations(ForceNetwork):
    """The same network on positions alone: all accelerations are zero."""

    def node_inputs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the features of undisplaced atoms."""
        embedded: Tensor = self.embedding(torch.zeros_like(batch[keys.ACCELERATIONS]))
        return embedded


class WithSpecies(ForceNetwork):
    """The same network, told species and which ions are mobile: what blindness costs."""

    keys = keys.INPUTS | {keys.SPECIES, keys.MOBILE}

    def __init__(self, settings: NetworkSettings, targets: tuple[str, ...] = (TARGET,)) -> None:
        super().__init__(settings, targets)
        self.species = nn.Embedding(119, settings.channels)
        self.mobile = nn.Embedding(2, settings.channels)

    def node_inputs(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the blind features with what is known of the atom added to the scalars."""
        x = super().node_inputs(batch)
        known = self.species(batch[keys.SPECIES]) + self.mobile(batch[keys.MOBILE].long())
        return torch.cat([x[:, :1] + known[:, None], x[:, 1:]], dim=1)


def species_extras(training_set: TrainingSet, min_image_distance_A: float) -> "Extras":
    """Return what adds atomic numbers and the mobile mask to batches of a training set."""
    numbers, mobile = [], []
    for crystal in training_set.crystals:
        supercell, _ = make_supercell(crystal.atoms, min_image_distance_A)
        symbols = np.array(supercell.get_chemical_symbols())
        numbers.append(torch.as_tensor(supercell.numbers, dtype=torch.int64))
        mobile.append(torch.as_tensor(symbols == crystal.mobile_species))

    def extras(crystals: Sequence[int]) -> dict[str, Tensor]:
        return {
            keys.SPECIES: torch.cat([numbers[crystal] for crystal in crystals]),
            keys.MOBILE: torch.cat([mobile[crystal] for crystal in crystals]),
        }

    return extras


def mobile_fraction(crystal: LabelledCrystal) -> float:
    """Return the fraction of atoms that are of the mobile species."""
    symbols = crystal.atoms.get_chemical_symbols()
    return symbols.count(crystal.mobile_species) / len(symbols)


def volume_per_atom(crystal: LabelledCrystal) -> float:
    """Return the volume per atom in A^3."""
    return float(crystal.atoms.get_volume() / len(crystal.atoms))


def composition_features(crystal: LabelledCrystal) -> list[float]:
    """Return mean, spread, smallest and largest of elemental properties, and the mobile fraction.

    As in L. Ward et al., npj Comput. Mater. 2, 16028 (2016), with fewer properties.
    """
    from pymatgen.core import Element

    symbols = crystal.atoms.get_chemical_symbols()
    found = [mobile_fraction(crystal), float(len(set(symbols)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases have no electronegativity
        for name in _PROPERTIES:
            table = {symbol: float(getattr(Element(symbol), name) or 0) for symbol in set(symbols)}
            values = np.nan_to_num([table[symbol] for symbol in symbols])
            found += [values.mean(), values.std(), values.min(), values.max()]
    return [float(value) for value in found]


def acceleration_features(shakes: Shakes) -> list[float]:
    """Return what a blind eye reads off without a network.

    Quantiles of log10 |a| over all atoms and shakes, their spread, the mean over atoms of its
    spread from shake to shake, and the volume per atom.
    """
    magnitude = np.linalg.norm(shakes.accelerations_A_per_ps2, axis=2)
    logs = np.log10(np.maximum(magnitude, 1e-3))
    per_atom = logs.mean(axis=0)
    quantiles = np.quantile(logs, [0.05, 0.25, 0.5, 0.75, 0.95])
    atoms = np.quantile(per_atom, [0.0, 0.1, 0.5, 0.9, 1.0])
    volume = abs(float(np.linalg.det(shakes.cell_A))) / len(per_atom)
    return [*quantiles.tolist(), *atoms.tolist(), float(logs.std(axis=0).mean()), volume]


FEATURES: dict[str, Callable[[LabelledCrystal, Shakes], list[float]]] = {
    "volume per atom": lambda crystal, shakes: [volume_per_atom(crystal)],
    "lithium fraction": lambda crystal, shakes: [mobile_fraction(crystal)],
    "composition": lambda crystal, shakes: composition_features(crystal),
    "composition and volume": lambda crystal, shakes: [
        *composition_features(crystal),
        volume_per_atom(crystal),
    ],
    "acceleration statistics": lambda crystal, shakes: acceleration_features(shakes),
}
"""Features of the controls that are forests of trees; the last is as blind as the network."""


def mean_control(training_set: TrainingSet, learned: IntArray, test: IntArray) -> FloatArray:
    """Return the mean of the learned labels for every test crystal."""
    return np.full(len(test), training_set.targets[learned, 0].mean())


def forest_control(
    features: FloatArray, training_set: TrainingSet, learned: IntArray, test: IntArray, seed: int
) -> FloatArray:
    """Return predictions of a forest of regression trees.

    Parameters
    ----------
    features : ndarray, shape (n_crystals, n_features)
        Of the whole training set; NaN where unknown.
    training_set : TrainingSet
        Gives the targets.
    learned, test : ndarray of int
        Crystals that are learned (those that a network would choose its epoch by are among them)
        and predicted.
    seed : int
        Of the forest.
    """
    return forest(features[learned], training_set.targets[learned, 0], features[test], seed)


def forest(learned: FloatArray, targets: FloatArray, asked: FloatArray, seed: int) -> FloatArray:
    """Return what a forest of regression trees says of rows of features.

    Parameters
    ----------
    learned : ndarray, shape (n_learnt, n_features)
        Features that are learned; NaN where unknown.
    targets : ndarray, shape (n_learnt,)
        What they stand for.
    asked : ndarray, shape (n_asked, n_features)
        Features that are asked about.
    seed : int
        Of the forest.
    """
    from sklearn.ensemble import RandomForestRegressor

    trees = RandomForestRegressor(
        N_TREES, min_samples_leaf=LEAF, max_features=1 / 3, random_state=seed, n_jobs=1
    )
    trees.fit(learned, targets)
    found: FloatArray = trees.predict(asked)
    return found
