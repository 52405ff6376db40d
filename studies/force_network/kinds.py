"""What a study compares: the force network, networks that see more or less, and controls."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studies.force_network.descriptors import descriptor_columns
from superionic.network.crossvalidation import FoldTask, network_fold, with_train_only
from superionic.network.data import TrainingSet
from superionic.network.labels import Descriptors

FloatArray = NDArray[np.float64]
Kind = Literal[
    "network",
    "network without accelerations",
    "network with species",
    "mean",
    "volume per atom",
    "lithium fraction",
    "composition",
    "composition and volume",
    "acceleration statistics",
    "descriptors",
]
NETWORKS = ("network", "network without accelerations", "network with species")


def learn(
    task: FoldTask,
    training_set: TrainingSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    directory: Path,
    initial: Path | None,
    train_only: TrainingSet | None,
    device: str,
    *,
    descriptors: Descriptors | None = None,
) -> dict[str, Any]:
    """Learn the crystals of a fold and predict the others, as the kind of the task says.

    Parameters
    ----------
    task, training_set, train, test, directory, initial, train_only, device
        As for :func:`superionic.network.crossvalidation.fit_fold`.
    descriptors : mapping, optional
        Numbers of the crystals, for the kind ``descriptors``.
    """
    place = (task, training_set, train, test, directory, initial, train_only, device)
    if task.kind == "network":
        return network_fold(*place)
    if task.kind == "network without accelerations":
        from studies.force_network.controls import WithoutAccelerations

        return network_fold(*place, make_network=WithoutAccelerations)
    if task.kind == "network with species":
        from studies.force_network.controls import WithSpecies, species_extras

        distance_A = task.shakes.min_image_distance_A
        extras = partial(species_extras, min_image_distance_A=distance_A)
        return network_fold(*place, make_network=WithSpecies, extras=extras)
    found = _control(task, training_set, train, test, descriptors, train_only)
    return {"predictions": found.tolist(), "novelty": [], "best_epoch": None}


def _control(
    task: FoldTask,
    training_set: TrainingSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    descriptors: Descriptors | None,
    train_only: TrainingSet | None,
) -> FloatArray:
    """Return predictions, shape (n_test, 1), of what learns the same slopes as a network."""
    from studies.force_network.controls import FEATURES, forest_control, mean_control

    everything, others = with_train_only(training_set, train_only, test.tolist())
    known = np.isfinite(everything.targets[others, 0])
    learned = np.concatenate([train, others[known]])
    if task.kind == "mean":
        return mean_control(everything, learned, test)[:, None]
    if task.kind == "descriptors":
        assert descriptors is not None, "the study checks that they are there"
        features = descriptor_columns(descriptors, [c.material_id for c in everything.crystals])
    else:
        pairs = zip(everything.crystals, everything.shakes, strict=True)
        features = np.array([FEATURES[task.kind](*pair) for pair in pairs])
    return forest_control(features, everything, learned, test, task.seed)[:, None]
