"""One fold of a cross-validation, of any kind of model, as a result on disk."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from superionic.files import write_whole
from superionic.network.data import TrainingSet
from superionic.network.folds import hold_out, make_folds
from superionic.network.settings import NetworkSettings, ShakeSettings, TrainingSettings

if TYPE_CHECKING:
    from superionic.network.batches import Extras, GraphTable
    from superionic.network.model import ForceNetwork

logger = logging.getLogger(__name__)

Split = Literal["random", "chemical_system"]
Learn = Callable[..., dict[str, Any]]
TRAINED_ON_SEED = 1000
"""Folds are drawn with the seed, networks with this times the seed plus the fold."""


@dataclass(frozen=True)
class FoldTask:
    """What is learned and predicted.

    Parameters
    ----------
    kind : str
        ``network``; studies have others, to compare with.
    split : {"random", "chemical_system"}
        How crystals are divided.
    seed, fold, n_folds : int
        Which division, and which part of it is predicted.
    network, training, shakes
        Settings of networks.
    n_learnt : int or None
        Crystals that are used of those outside the fold, for learning curves; None for all. Of
        those for training only, the same share is.
    pretrained : str
        Hash of the weights that a network starts from; empty for weights drawn at random.
    train_only : str
        Hash of the crystals that are learned, too, and that are never tested; empty for none.
    """

    kind: str
    split: Split
    seed: int
    fold: int
    n_folds: int
    network: NetworkSettings
    training: TrainingSettings
    shakes: ShakeSettings
    n_learnt: int | None = None
    pretrained: str = ""
    train_only: str = ""


@dataclass(frozen=True)
class FoldResult:
    """Predictions for the crystals of one fold.

    Parameters
    ----------
    material_ids : list of str
        Crystals of the fold.
    predictions : list of list of float
        For each crystal the prediction of each shake (one, for a control).
    novelty : list of float
        Distance from the crystals that were learned; empty for a control.
    n_learnt : int
        Crystals that were learned, those that chose the epoch included.
    best_epoch : int or None
        Of a network.
    wall_time_s : float
        Time of training and prediction.
    """

    material_ids: list[str]
    predictions: list[list[float]]
    novelty: list[float]
    n_learnt: int
    best_epoch: int | None
    wall_time_s: float


def run_fold(
    task: FoldTask,
    training_set: TrainingSet,
    directory: Path,
    initial: Path | None = None,
    train_only: TrainingSet | None = None,
    *,
    device: str = "cpu",
    learn: Learn | None = None,
) -> FoldResult:
    """Run one fold, or return its result if it is there and can be read.

    Parameters
    ----------
    task : FoldTask
        What to do.
    training_set : TrainingSet
        All crystals.
    directory : Path
        Where this fold lives; a training that was stopped goes on from there.
    initial : Path, optional
        File of the weights that networks start from.
    train_only : TrainingSet, optional
        Crystals that are learned besides those that are tested; by controls, where their slope is
        known. Those of a chemical system of the fold are left out, however crystals are divided.
    device : str
        Where networks are trained.
    learn : callable, optional
        What learns and predicts, where it is not the force network.
    """
    path = directory / "result.json"
    if (done := _read_result(path)) is not None:
        return done
    start = time.perf_counter()
    train, test, train_only = divide(task, training_set, train_only)
    if learn is None and task.kind != "network":
        raise ValueError(f"{task.kind!r} is a kind of studies, which say how it learns.")
    found = (learn or network_fold)(
        task, training_set, train, test, directory, initial, train_only, device
    )
    result = FoldResult(
        material_ids=[training_set.crystals[i].material_id for i in test],
        n_learnt=len(train),
        wall_time_s=time.perf_counter() - start,
        **found,
    )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(vars(result)) + "\n")
    return result


def divide(
    task: FoldTask, training_set: TrainingSet, train_only: TrainingSet | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64], TrainingSet | None]:
    """Return which crystals are learned, which are tested, and those for training only.

    Parameters
    ----------
    task : FoldTask
        Which division, and how many are learned.
    training_set, train_only : TrainingSet
        As for :func:`run_fold`.
    """
    groups = training_set.groups if task.split == "chemical_system" else None
    # By the published label, so that variants with another floor have the same folds.
    slopes = np.log10([crystal.slope_A2_per_ps for crystal in training_set.crystals])
    folds = make_folds(len(training_set), task.n_folds, task.seed, groups, slopes)
    train = np.concatenate([fold for k, fold in enumerate(folds) if k != task.fold])
    if task.n_learnt is not None:
        rng = np.random.default_rng([task.seed, task.fold, 5])
        share = min(1.0, task.n_learnt / len(train))
        train = rng.permutation(np.sort(train))[: task.n_learnt]
        if train_only is not None:
            train_only = train_only.subset(_share_of(len(train_only), share, rng))
    return np.sort(train), folds[task.fold], train_only


def _read_result(path: Path) -> FoldResult | None:
    """Return the result of a fold; None, with a warning, where it cannot be read."""
    if not path.exists():
        return None
    try:
        found = FoldResult(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        logger.warning("%s cannot be read (%s): this fold is run again.", path, error)
        return None
    return found


def _share_of(n_crystals: int, share: float, rng: np.random.Generator) -> list[int]:
    """Return a random share of some crystals, one at least, in their order."""
    chosen = rng.permutation(n_crystals)[: max(1, round(share * n_crystals))]
    return sorted(chosen.tolist())


def fit_fold(
    task: FoldTask,
    training_set: TrainingSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    directory: Path,
    initial: Path | None = None,
    train_only: TrainingSet | None = None,
    *,
    device: str = "cpu",
    make_network: "Callable[[NetworkSettings, tuple[str, ...]], ForceNetwork] | None" = None,
    extras: "Callable[[TrainingSet], Extras] | None" = None,
) -> "tuple[ForceNetwork, GraphTable, int]":
    """Train the network of a fold, or read it if it is there.

    Parameters
    ----------
    train, test : ndarray of int
        As :func:`divide` gives them.
    task, training_set, directory, initial, train_only, device
        As for :func:`run_fold`.
    make_network : callable, optional
        Another network than the force network.
    extras : callable, optional
        What that network sees besides.

    Returns
    -------
    network : ForceNetwork
        In evaluation mode.
    table : GraphTable
        Graphs of the labelled crystals, in their order, and of those for training only.
    best_epoch : int
        Counted from 0.
    """
    from superionic.network.batches import GraphTable
    from superionic.network.model import ForceNetwork
    from superionic.network.training import fit_network, read_weights

    groups = training_set.groups if task.split == "chemical_system" else None
    seed = task.training.seed + TRAINED_ON_SEED * task.seed + task.fold
    training = replace(task.training, seed=seed)
    learned, held_out = hold_out(train, training.validation_fraction, seed, groups)
    everything, others = with_train_only(training_set, train_only, [*test, *held_out])
    seen = None if extras is None else extras(everything)
    table = GraphTable(everything, task.network.cutoff_A, extras=seen, device=device)
    fitted = fit_network(
        table,
        np.concatenate([learned, others]),
        held_out,
        task.network,
        training,
        training_set.rules.targets,
        directory / "training",
        make_network=make_network or ForceNetwork,
        initial=read_weights(initial),
        identity=training_set.sha256() + task.train_only,
        device=device,
    )
    return fitted.network, table, fitted.best_epoch


def network_fold(
    task: FoldTask,
    training_set: TrainingSet,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    directory: Path,
    initial: Path | None,
    train_only: TrainingSet | None,
    device: str,
    **seen: Any,
) -> dict[str, Any]:
    """Train the network of a fold and let it predict the fold's crystals.

    Parameters
    ----------
    task, training_set, train, test, directory, initial, train_only, device
        As for :func:`fit_fold`.
    **seen
        ``make_network`` and ``extras`` of another network.
    """
    from superionic.network.inference import feature_distance, feature_scale
    from superionic.network.training import predict_crystals

    network, table, best_epoch = fit_fold(
        task, training_set, train, test, directory, initial, train_only, device=device, **seen
    )
    values, features = predict_crystals(network, table, test)
    _, reference = predict_crystals(network, table, train)
    novelty = feature_distance(features, reference) / feature_scale(reference)
    return {
        "predictions": [value[:, 0].tolist() for value in values],
        "novelty": novelty.tolist(),
        "best_epoch": best_epoch,
    }


def with_train_only(
    training_set: TrainingSet, train_only: TrainingSet | None, unseen: Sequence[int] = ()
) -> tuple[TrainingSet, NDArray[np.int64]]:
    """Return labelled crystals and those for training only as one set; which of these are learned.

    Parameters
    ----------
    training_set : TrainingSet
        Labelled crystals; they keep their numbers.
    train_only : TrainingSet or None
        The others.
    unseen : sequence of int
        Labelled crystals that are held back: others of their chemical systems are, too.
    """
    if train_only is None:
        return training_set, np.empty(0, dtype=np.int64)
    hidden = {training_set.groups[i] for i in unseen}
    learned = [
        len(training_set) + number
        for number, system in enumerate(train_only.groups)
        if system not in hidden
    ]
    return training_set.joined(train_only), np.array(learned, dtype=np.int64)
