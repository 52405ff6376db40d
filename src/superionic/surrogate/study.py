"""The study of the force network: which runs there are, and how they are run.

A study file (YAML) names labels, settings and variants. All runs are independent of each other:
each fold is one task with a directory of its own, several processes share them, and what was
stopped goes on.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from superionic.errors import SettingsError
from superionic.surrogate.crossvalidation import (
    NETWORKS,
    FoldResult,
    FoldTask,
    Kind,
    Split,
    run_fold,
    with_beside,
)
from superionic.surrogate.data import TrainingSet
from superionic.surrogate.descriptors import Descriptors, descriptor_columns
from superionic.surrogate.processes import in_processes
from superionic.surrogate.settings import (
    LabelRules,
    NetworkSettings,
    PretrainingSettings,
    ShakeSettings,
    TrainingSettings,
    UnlabelledSettings,
    settings_from_dict,
    settings_to_dict,
)

MAIN = "force network"


@dataclass(frozen=True)
class Variant:
    """A model that is compared with the main one; what is not named is as there.

    Parameters
    ----------
    name : str
        Shown in tables.
    kind : str
        The network, a variant of it, or a control.
    network, training, shakes, labels : dict
        Settings that differ.
    n_learnt : int or None
        Crystals learnt in each fold, for learning curves.
    pretrained : bool
        Start from the study's pretraining.
    unlabelled : bool
        Learn the study's crystals without a label, too, for their further targets.
    splits, seeds
        Divisions; those of the study where not named.
    """

    name: str
    kind: Kind = "network"
    network: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    shakes: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    n_learnt: int | None = None
    pretrained: bool = False
    unlabelled: bool = False
    splits: tuple[Split, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True)
class EnsembleSettings:
    """The ensemble that is kept.

    Parameters
    ----------
    variant : str
        Name of the variant whose settings it has; its cross-validation calibrates it.
    n_members : int
        Networks, each with a seed and a validation part of its own.
    split : {"random", "chemical_system"}
        Which cross-validation calibrates; by chemical system, it is of unseen chemistry.
    """

    variant: str = MAIN
    n_members: int = 5
    split: Split = "chemical_system"


@dataclass(frozen=True)
class StudySettings:
    """What a study file holds.

    Parameters
    ----------
    data : str or tuple of str
        Files of labels (JSON lines), relative to the study file; of several labels of a crystal
        the longest run counts.
    potential : str
        Specification of the potential that shakes; that of the labels.
    network, training, shakes, labels
        Settings of the main network.
    splits, seeds, n_folds
        Divisions of the main network and the controls.
    variants : tuple of Variant
        What is compared.
    ensemble : EnsembleSettings or None
        None trains no ensemble.
    pretraining : PretrainingSettings or None
        For the variants that are pretrained.
    unlabelled : UnlabelledSettings or None
        For the variants that learn such crystals.
    descriptors : str or None
        JSON lines with ``material_id`` and numbers (frozen-framework descriptors), for the kind
        ``descriptors`` and for further targets.
    floors_A2_per_ps : tuple of float
        Metrics are given for labels clipped from below at each of these.
    n_resamples : int
        Of the bootstrap.
    """

    data: str | tuple[str, ...]
    potential: str = "chgnet"
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    shakes: ShakeSettings = field(default_factory=ShakeSettings)
    labels: LabelRules = field(default_factory=LabelRules)
    splits: tuple[Split, ...] = ("random", "chemical_system")
    seeds: tuple[int, ...] = (0, 1, 2)
    n_folds: int = 5
    variants: tuple[dict[str, Any], ...] = ()
    ensemble: EnsembleSettings | None = field(default_factory=EnsembleSettings)
    pretraining: PretrainingSettings | None = None
    unlabelled: UnlabelledSettings | None = None
    descriptors: str | None = None
    floors_A2_per_ps: tuple[float, ...] = (1e-4, 0.05)
    n_resamples: int = 1000

    @property
    def label_files(self) -> tuple[str, ...]:
        """Return the files of labels."""
        return (self.data,) if isinstance(self.data, str) else self.data

    def all_variants(self) -> list[Variant]:
        """Return the main network and the variants.

        Raises
        ------
        SettingsError
            When a variant is wrong or a name is used twice.
        """
        found = [Variant(MAIN)]
        for number, content in enumerate(self.variants):
            found.append(settings_from_dict(Variant, content, f"variants.{number}"))
        names = [variant.name for variant in found]
        if len(set(names)) < len(names):
            raise SettingsError(
                f"Two variants have one name ({', '.join(sorted(names))}).",
                hint=f"Name each differently, and none '{MAIN}'.",
            )
        for variant in found:
            self.resolved(variant)
            if variant.pretrained and self.pretraining is None:
                raise SettingsError(
                    f"The variant '{variant.name}' is pretrained, but there is no pretraining.",
                    hint="Add 'pretraining: {crystals: [FILE]}'.",
                )
            if variant.unlabelled and self.unlabelled is None:
                raise SettingsError(
                    f"The variant '{variant.name}' learns unlabelled crystals, but there are none.",
                    hint="Add 'unlabelled: {crystals: [FILE]}'.",
                )
        return found

    def resolved(self, variant: Variant) -> "Resolved":
        """Return all settings of a variant."""
        return Resolved(
            variant,
            network=_changed(self.network, variant.network, variant.name),
            training=_changed(self.training, variant.training, variant.name),
            shakes=_changed(self.shakes, variant.shakes, variant.name),
            labels=_changed(self.labels, variant.labels, variant.name),
            splits=self.splits if variant.splits is None else variant.splits,
            seeds=self.seeds if variant.seeds is None else variant.seeds,
        )


@dataclass(frozen=True)
class Resolved:
    """A variant with all of its settings."""

    variant: Variant
    network: NetworkSettings
    training: TrainingSettings
    shakes: ShakeSettings
    labels: LabelRules
    splits: tuple[Split, ...]
    seeds: tuple[int, ...]

    def tasks(self, n_folds: int, pretrained: str = "", beside: str = "") -> Iterator[FoldTask]:
        """Yield the folds of all divisions.

        Parameters
        ----------
        n_folds : int
            Folds of each division.
        pretrained, beside : str
            Hashes of the weights to start from, and of the crystals learnt beside.
        """
        for split in self.splits:
            for seed in self.seeds:
                for fold in range(n_folds):
                    yield FoldTask(
                        kind=self.variant.kind,
                        split=split,
                        seed=seed,
                        fold=fold,
                        n_folds=n_folds,
                        network=self.network,
                        training=self.training,
                        shakes=self.shakes,
                        n_learnt=self.variant.n_learnt,
                        pretrained=pretrained,
                        beside=beside,
                    )


@dataclass(frozen=True)
class Run:
    """A task with its data and directory."""

    variant: str
    task: FoldTask
    training_set: TrainingSet
    directory: Path
    descriptors: Descriptors | None = None
    initial: Path | None = None
    beside: TrainingSet | None = None
    device: str = "cpu"


def read_study(path: Path) -> StudySettings:
    """Read a study file; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, or holds an unknown or wrong field.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"The study file {path} cannot be read ({type(error).__name__}).",
            hint="See workflows/train_force_network.yaml for an example.",
        ) from error
    if not isinstance(content, dict) or "data" not in content:
        raise SettingsError(
            f"The study file {path} names no labels.",
            hint="Write 'data: FILE'; see workflows/train_force_network.yaml.",
        )
    study = settings_from_dict(StudySettings, content, "")
    study.all_variants()
    folder = path.parent

    def within(name: str) -> str:
        return str(folder / name)

    return replace(
        study,
        data=tuple(within(name) for name in study.label_files),
        descriptors=study.descriptors and within(study.descriptors),
        pretraining=study.pretraining and study.pretraining.with_files(within),
        unlabelled=study.unlabelled and study.unlabelled.with_files(within),
    )


def plan(
    study: StudySettings,
    training_set_of: Callable[[ShakeSettings, LabelRules], TrainingSet],
    directory: Path,
    descriptors: Descriptors | None = None,
    only: Sequence[str] = (),
    pretrain: Callable[[NetworkSettings, ShakeSettings], tuple[Path, str]] | None = None,
    beside_of: Callable[[ShakeSettings, LabelRules, bool], TrainingSet | None] | None = None,
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
    beside_of : callable, optional
        Gives the crystals that are learnt beside the labelled ones, those without a label among
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
        beside = None
        if beside_of is not None:
            wanted = (*key, variant.unlabelled and variant.kind in NETWORKS)
            if wanted not in others:
                others[wanted] = beside_of(*wanted)
            beside = others[wanted]
        digest = "" if beside is None else beside.sha256()
        for task in resolved.tasks(study.n_folds, pretrained, digest):
            n_outside = len(sets[key]) * (study.n_folds - 1) / study.n_folds
            if task.n_learnt is not None and task.n_learnt > n_outside:
                continue
            name = f"{_slug(variant.name)}-{_task_hash(task, sets[key], descriptors, beside)}"
            place = directory / "runs" / f"{name}-{task.split}-{task.seed}-{task.fold}"
            runs.append(
                Run(
                    variant.name,
                    task,
                    sets[key],
                    place,
                    descriptors,
                    initial,
                    beside,
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
        run.descriptors,
        run.initial,
        run.beside,
        device=run.device,
    )


def _task_hash(
    task: FoldTask,
    training_set: TrainingSet,
    descriptors: Descriptors | None,
    beside: TrainingSet | None,
) -> str:
    content = [settings_to_dict(task), training_set.sha256()]
    if task.kind == "descriptors" and descriptors is not None:
        everything, _ = with_beside(training_set, beside)
        columns = descriptor_columns(descriptors, [c.material_id for c in everything.crystals])
        content.append(hashlib.sha256(columns.tobytes()).hexdigest())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def _changed(settings: Any, changes: dict[str, Any], where: str) -> Any:
    """Return settings with some fields replaced, checked as those of a file."""
    merged = settings_to_dict(settings) | changes
    return settings_from_dict(type(settings), merged, where)
