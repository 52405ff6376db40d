"""Training of the ensemble that is kept: every member learns all crystals but a validation part."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from superionic.network.checkpoint import IntervalCalibration, Member, NetworkHeader, save_ensemble
from superionic.network.crossvalidation import FoldResult, FoldTask, Split, with_train_only
from superionic.network.data import TrainingSet
from superionic.network.folds import hold_out
from superionic.network.inference import Ensemble, calibrate
from superionic.network.settings import NetworkSettings, ShakeSettings, TrainingSettings, require
from superionic.processes import in_processes

if TYPE_CHECKING:
    from superionic.network.training import FittedNetwork


@dataclass(frozen=True)
class EnsembleSettings:
    """The ensemble that is kept.

    Parameters
    ----------
    n_members : int
        Networks, each with a seed and a validation part of its own.
    split : {"random", "chemical_system"}
        Which cross-validation calibrates; by chemical system, it is of unseen chemistry.
    """

    n_members: int = 5
    split: Split = "chemical_system"

    def __post_init__(self) -> None:
        require(self, n_members=self.n_members >= 1)


@dataclass(frozen=True)
class MemberTask:
    """One member that is trained.

    Parameters
    ----------
    training_set : TrainingSet
        All crystals.
    network, training
        Settings; the seed is that of the member.
    directory : Path
        Where it is trained.
    initial : Path or None
        File of the weights that it starts from.
    train_only : TrainingSet or None
        Crystals that it learns, too.
    device : str
        Where it is trained.
    """

    training_set: TrainingSet
    network: NetworkSettings
    training: TrainingSettings
    directory: Path
    initial: Path | None = None
    train_only: TrainingSet | None = None
    device: str = "cpu"


def train_ensemble(
    training_set: TrainingSet,
    network: NetworkSettings,
    training: TrainingSettings,
    shakes: ShakeSettings,
    n_members: int,
    directory: Path,
    calibration: IntervalCalibration | None = None,
    n_workers: int = 1,
    initial: Path | None = None,
    train_only: TrainingSet | None = None,
    device: str = "cpu",
    report: Callable[[int], None] = lambda done: None,
) -> Ensemble:
    """Train an ensemble on all crystals, or go on where that was stopped.

    Parameters
    ----------
    training_set : TrainingSet
        What is learned.
    network, training, shakes
        Settings; member ``k`` has the seed ``training.seed + k``, and with it its own weights,
        order and validation part.
    n_members : int
        Members.
    directory : Path
        Where members are trained, each in a folder of its own.
    calibration : IntervalCalibration, optional
        From cross-validation with the same settings.
    n_workers : int
        Processes.
    initial : Path, optional
        File of the weights that members start from.
    train_only : TrainingSet, optional
        Crystals that members learn besides those that have a label.
    device : str
        Where they are trained.
    report : callable
        Called with the number of members trained.
    """
    tasks = [
        MemberTask(
            training_set,
            network,
            replace(training, seed=training.seed + k),
            directory / f"member-{k}",
            initial,
            train_only,
            device,
        )
        for k in range(n_members)
    ]
    in_processes(_train, tasks, n_workers, lambda done, task, result: report(done))
    others = [] if train_only is None else train_only.groups
    header = NetworkHeader(
        network=network,
        shakes=shakes,
        training=training,
        labels=training_set.rules,
        potential=training_set.shakes[0].potential,
        training_set_sha256=training_set.sha256(),
        n_crystals=len(training_set),
        targets=training_set.rules.targets,
        calibration=calibration,
        chemical_systems=tuple(sorted({*training_set.groups, *others})),
        n_unlabelled=0 if train_only is None else len(train_only),
        unlabelled_sha256="" if train_only is None else train_only.sha256(),
    )
    return Ensemble([_member(task) for task in tasks], header)


def calibration_of(
    training_set: TrainingSet, results_by_seed: Sequence[Sequence[FoldResult]], folds: str
) -> IntervalCalibration | None:
    """Return the calibration that cross-validation supports.

    Predictions and distances of a crystal are means over the seeds, whose networks together are the
    nearest thing to an ensemble that has not learned it; so are the spreads with which intervals
    grow, where there are several seeds and shakes.

    Parameters
    ----------
    training_set : TrainingSet
        What was learned.
    results_by_seed : sequence of sequence of FoldResult
        All folds of each seed.
    folds : str
        How crystals were divided.
    """
    predicted, novelty = [], []
    for results in results_by_seed:
        one: dict[str, list[float]] = {}
        far: dict[str, float] = {}
        for result in results:
            one |= dict(zip(result.material_ids, result.predictions, strict=True))
            far |= dict(zip(result.material_ids, result.novelty, strict=True))
        predicted.append([one[c.material_id] for c in training_set.crystals])
        novelty.append([far[c.material_id] for c in training_set.crystals])
    every = np.array(predicted)  # (seed, crystal, shake)
    errors = every.mean(axis=(0, 2)) - training_set.targets[:, 0]
    spreads = None
    if every.shape[0] > 1 and every.shape[2] > 1:
        over_shakes = every.mean(axis=0).std(axis=1, ddof=1)
        over_networks = every.mean(axis=2).std(axis=0, ddof=1)
        spreads = np.column_stack([over_shakes, over_networks])
    return calibrate(errors, np.mean(novelty, axis=0), folds, spreads)


def _train(task: MemberTask) -> None:
    _fit(task)


def _fit(task: MemberTask) -> "FittedNetwork":
    from superionic.network.batches import GraphTable
    from superionic.network.training import fit_network, read_weights

    everything = np.arange(len(task.training_set))
    training = task.training
    learned, held_out = hold_out(
        everything, training.validation_fraction, training.seed, task.training_set.groups
    )
    train_only = task.train_only
    table_set, others = with_train_only(task.training_set, train_only, held_out.tolist())
    return fit_network(
        GraphTable(table_set, task.network.cutoff_A, device=task.device),
        np.concatenate([learned, others]),
        held_out,
        task.network,
        training,
        task.training_set.rules.targets,
        task.directory,
        initial=read_weights(task.initial),
        identity=task.training_set.sha256() + ("" if train_only is None else train_only.sha256()),
        device=task.device,
    )


def _member(task: MemberTask) -> Member:
    """Return a member that is trained, with its features of the training crystals."""
    import torch

    from superionic.network.batches import GraphTable
    from superionic.network.training import predict_crystals

    fitted = _fit(task)
    table = GraphTable(task.training_set, task.network.cutoff_A, device=task.device)
    _, features = predict_crystals(fitted.network, table, np.arange(len(task.training_set)))
    return Member(fitted.network, torch.as_tensor(features, dtype=torch.float32))


def write_ensemble(
    path: Path,
    training_set: TrainingSet,
    folds: Sequence[tuple[FoldTask, FoldResult]],
    wanted: EnsembleSettings,
    task: MemberTask,
    shakes: ShakeSettings,
    n_workers: int = 1,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Train an ensemble, calibrate it by the cross-validation of its settings, and write its file.

    Parameters
    ----------
    path : Path
        The file.
    training_set : TrainingSet
        What is learned.
    folds : sequence of (FoldTask, FoldResult)
        The cross-validation.
    wanted : EnsembleSettings
        How many members, and which division calibrates.
    task : MemberTask
        Settings of the members; its directory is where they are trained.
    shakes, n_workers, report
        As for :func:`train_ensemble`.
    """
    by_seed: dict[int, list[FoldResult]] = defaultdict(list)
    for fold, result in folds:
        if fold.split == wanted.split:
            by_seed[fold.seed].append(result)
    calibration = None
    if by_seed:
        calibration = calibration_of(training_set, list(by_seed.values()), wanted.split)
    ensemble = train_ensemble(
        training_set,
        task.network,
        task.training,
        shakes,
        wanted.n_members,
        task.directory,
        calibration,
        n_workers,
        task.initial,
        task.train_only,
        task.device,
        report,
    )
    save_ensemble(path, ensemble.members, ensemble.header)
