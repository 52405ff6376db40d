"""The study of the force network: which runs there are, and how they are run.

All runs are independent of each other: each fold is one task with a directory of its own, several
processes share them, and what was stopped goes on.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from studies.force_network.descriptors import descriptor_columns
from studies.force_network.kinds import NETWORKS, learn
from studies.force_network.settings import StudySettings
from superionic.network.crossvalidation import (
    FoldResult,
    FoldTask,
    run_fold,
    with_train_only,
)
from superionic.network.data import TrainingSet
from superionic.network.labels import Descriptors
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    settings_to_dict,
)
from superionic.processes import in_processes


@dataclass(frozen=True)
class Run:
    """A task with its data and directory."""

    variant: str
    task: FoldTask
    training_set: TrainingSet
    directory: Path
    descriptors: Descriptors | None = None
    initial: Path | None = None
    train_only: TrainingSet | None = None
    device: str = "cpu"


def plan(
    study: StudySettings,
    training_set_of: Callable[[ShakeSettings, LabelRules], TrainingSet],
    directory: Path,
    descriptors: Descriptors | None = None,
    only: Sequence[str] = (),
    pretrain: Callable[[NetworkSettings, ShakeSettings], tuple[Path, str]] | None = None,
    train_only_of: Callable[[ShakeSettings, LabelRules, bool], TrainingSet | None] | None = None,
    device: str = "cpu",
) -> list[Run]:
    """Return all runs of a study, the main network's first.

    Parameters
    ----------
    study : StudySettings
        What there is.
    training_set_of : callable
        Gives the training set for settings of shakes and labels; called once for each pair.
    directory : Path
        Results; a run is found again by the hash of its data and settings.
    descriptors : mapping, optional
        Numbers of the crystals; without them variants of that kind are left out.
    only : sequence of str
        Names of the variants that are run; all by default.
    pretrain : callable, optional
        Gives the file and the hash of the weights that pretrained networks start from.
    train_only_of : callable, optional
        Gives the crystals that are learned beside the labelled ones, those without a label among
        them or not (controls learn none of those); called once for each settings of shakes and
        labels, and either.
    device : str
        Where networks are trained.
    """
    runs = []
    sets: dict[tuple[ShakeSettings, LabelRules], TrainingSet] = {}
    others: dict[tuple[ShakeSettings, LabelRules, bool], TrainingSet | None] = {}
    for variant in study.all_variants():
        if (only and variant.name not in only) or (
            variant.kind == "descriptors" and descriptors is None
        ):
            continue
        resolved = study.resolved(variant)
        key = (resolved.shakes, resolved.labels)
        if key not in sets:
            sets[key] = training_set_of(*key)
        initial, pretrained = None, ""
        if variant.pretrained and pretrain is not None:
            initial, pretrained = pretrain(resolved.network, resolved.shakes)
        train_only = None
        if train_only_of is not None:
            wanted = (*key, variant.unlabelled and variant.kind in NETWORKS)
            if wanted not in others:
                others[wanted] = train_only_of(*wanted)
            train_only = others[wanted]
        digest = "" if train_only is None else train_only.sha256()
        for task in resolved.tasks(study.n_folds, pretrained, digest):
            n_outside = len(sets[key]) * (study.n_folds - 1) / study.n_folds
            if task.n_learnt is not None and task.n_learnt > n_outside:
                continue
            name = f"{_slug(variant.name)}-{task_hash(task, sets[key], descriptors, train_only)}"
            place = directory / "runs" / f"{name}-{task.split}-{task.seed}-{task.fold}"
            runs.append(
                Run(
                    variant.name,
                    task,
                    sets[key],
                    place,
                    descriptors,
                    initial,
                    train_only,
                    device,
                )
            )
    return runs


def run_all(
    runs: Sequence[Run],
    n_workers: int,
    report: Callable[[int, Run, FoldResult], None] = lambda done, run, result: None,
) -> list[FoldResult]:
    """Run tasks in several processes, one thread each; results in the order of the runs.

    Parameters
    ----------
    runs : sequence of Run
        What there is to do; what is done is read.
    n_workers : int
        Processes; one works in this process.
    report : callable
        Called after each run with the number done.
    """
    return in_processes(_run, runs, n_workers, report)


def _run(run: Run) -> FoldResult:
    return run_fold(
        run.task,
        run.training_set,
        run.directory,
        run.initial,
        run.train_only,
        device=run.device,
        learn=partial(learn, descriptors=run.descriptors),
    )


def task_hash(
    task: FoldTask,
    training_set: TrainingSet,
    descriptors: Descriptors | None,
    train_only: TrainingSet | None,
) -> str:
    """Return what tells the run of a fold from others in the name of its directory."""
    plain = settings_to_dict(task)
    plain["beside"] = plain.pop("train_only")  # its former name, by which finished runs are found
    content = [plain, training_set.sha256()]
    if task.kind == "descriptors" and descriptors is not None:
        everything, _ = with_train_only(training_set, train_only)
        columns = descriptor_columns(descriptors, [c.material_id for c in everything.crystals])
        content.append(hashlib.sha256(columns.tobytes()).hexdigest())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())
