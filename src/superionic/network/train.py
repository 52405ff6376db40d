"""From labels to a force network that predicts: shakes, cross-validation, ensemble, card."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from superionic import __version__
from superionic.errors import SettingsError
from superionic.files import write_whole
from superionic.network.card import MEASURES, model_card
from superionic.network.crossvalidation import FoldResult, FoldTask, Split, run_fold
from superionic.network.data import LabelledCrystal, LabelSet, TrainingSet
from superionic.network.ensemble import EnsembleSettings, MemberTask, write_ensemble
from superionic.network.inference import Ensemble
from superionic.network.labels import read_labels
from superionic.network.metrics import (
    SPLIT_TEXT,
    fold_metrics,
    loss_curve,
    metric_cell,
    metrics,
    without_conductors,
)
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    TrainingSettings,
    require,
    settings_from_dict,
    settings_to_dict,
)
from superionic.network.training_data import TrainingData, TrainingReporter
from superionic.potentials.base import PotentialInfo
from superionic.potentials.batched import resolve_device
from superionic.potentials.registry import load_potential
from superionic.processes import in_processes
from superionic.yaml_file import read_yaml

MAIN = "force network"
SUMMARY_FILE = "summary.json"
TABLE_FILE = "table.md"
ENSEMBLE_FILE = "force_network.pt"
CARD_FILE = "README.md"
OF_STUDIES = ("variants", "pretraining", "unlabelled", "descriptors", "floors_A2_per_ps")
"""Fields of study files (``studies/force_network``), which hold all of this and more."""


@dataclass(frozen=True)
class TrainSettings:
    """What a file for ``superionic train`` holds.

    Parameters
    ----------
    data : str or tuple of str
        Files of labels (JSON lines), relative to the file; of several labels of a crystal the
        longest run counts.
    potential : str
        Specification of the potential that shakes; that of the labels.
    network, training, shakes, labels
        Settings of the network.
    splits, seeds, n_folds
        Divisions of the cross-validation.
    ensemble : EnsembleSettings or None
        None trains no ensemble.
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
    ensemble: EnsembleSettings | None = field(default_factory=EnsembleSettings)
    n_resamples: int = 1000

    def __post_init__(self) -> None:
        require(
            self,
            data=bool(self.data),
            splits=are_distinct(self.splits),
            seeds=seeds_are_right(self.seeds),
            n_folds=self.n_folds >= 2,
            n_resamples=self.n_resamples >= 0,
        )

    @property
    def label_files(self) -> tuple[str, ...]:
        """Return the files of labels."""
        return (self.data,) if isinstance(self.data, str) else self.data

    def with_files(self, change: Callable[[str], str]) -> Self:
        """Return the same with other names of its files."""
        return replace(self, data=tuple(change(name) for name in self.label_files))


@dataclass(frozen=True)
class TrainResult:
    """What a training gave.

    Parameters
    ----------
    summary : dict
        Measures, predictions of crystals that were not learned, and settings, as plain data.
    ensemble : Path or None
        File of the ensemble.
    directory : Path
        Where all of it lies.
    """

    summary: dict[str, Any]
    ensemble: Path | None
    directory: Path


def read_train_content(path: Path) -> dict[str, Any]:
    """Read a YAML file that names labels.

    Raises
    ------
    SettingsError
        When it cannot be read, or names none.
    """
    content = read_yaml(
        path,
        f"The file {path} cannot be read",
        "docs/howto/own_labels.md has an example.",
    )
    if not isinstance(content, dict) or "data" not in content:
        raise SettingsError(
            f"The file {path} names no labels.",
            hint="Write 'data: FILE'.",
        )
    return content


def read_train_file(path: Path) -> TrainSettings:
    """Read a file for ``superionic train``; its relative paths start at the folder of the file.

    Raises
    ------
    SettingsError
        When it cannot be read, holds an unknown or wrong field, or is that of a study.
    """
    content = read_train_content(path)
    if beyond := [name for name in OF_STUDIES if name in content]:
        raise SettingsError(
            f"The file {path} is that of a study: it has {', '.join(beyond)}.",
            hint="Studies compare networks and controls; in a checkout of superionic: "
            f"python -m studies.force_network --campaign {path}",
        )
    settings = settings_from_dict(TrainSettings, content, "")
    return settings.with_files(lambda name: str(path.parent / name))


def train(
    settings: TrainSettings,
    directory: Path,
    shake_directory: Path,
    reporter: TrainingReporter,
    *,
    n_workers: int = 1,
    device: str = "cpu",
) -> TrainResult:
    """Train a force network and say how good it is; what is done already is not done again.

    Parameters
    ----------
    settings : TrainSettings
        What there is to do.
    directory : Path
        Where results go.
    shake_directory : Path
        Where shakes are kept.
    reporter : TrainingReporter
        Hears how far it is.
    n_workers : int
        Training processes.
    device : str
        Where the potential evaluates forces and networks are trained.

    Raises
    ------
    NetworkError
        When there are too few labels.
    """
    device = resolve_device(device)
    potential = load_potential(settings.potential, device=device)

    @cache
    def labels_of(rules: LabelRules) -> LabelSet:
        return read_labels(*map(Path, settings.label_files), rules=rules)

    say_labels(labels_of(settings.labels), potential.info, reporter)
    data = TrainingData(labels_of, potential, shake_directory, reporter)
    training_set = data.training_set(settings.shakes, settings.labels)
    train_only = data.train_only(settings.shakes, settings.labels)
    runs = [
        _Run(task, training_set, train_only, directory / "runs", device)
        for task in _tasks(settings, "" if train_only is None else train_only.sha256())
    ]
    results = in_processes(
        _run,
        runs,
        n_workers,
        lambda done, run, result: reporter.step("folds", done, len(runs), fold_text(run.task)),
    )
    folds = [(run.task, result) for run, result in zip(runs, results, strict=True)]
    measured = fold_metrics(training_set, folds)
    if (line := without_conductors(measured)) is not None:
        reporter.say(line)
    curves = [(run, loss_curve(run.task, run.directory)) for run in runs]
    summary = {
        **provenance(settings, potential.info, data.learned(settings.shakes, settings.labels)),
        **_measures(settings, training_set, folds),
        "folds": measured,
        "learning_curves": [{"variant": MAIN} | curve for _, curve in curves if curve],
    }
    ensemble = None
    if settings.ensemble is not None:
        n_members = settings.ensemble.n_members
        ensemble = directory / ENSEMBLE_FILE
        place = directory / "members" / runs[0].name
        write_ensemble(
            ensemble,
            training_set,
            folds,
            settings.ensemble,
            MemberTask(
                training_set,
                settings.network,
                settings.training,
                place,
                train_only=train_only,
                device=device,
            ),
            settings.shakes,
            n_workers,
            lambda done: reporter.step("ensemble", done, n_members),
        )
    table = _table(summary)
    return write_results(settings, directory, summary, table, ensemble, data.learned, MAIN)


def say_labels(labels: LabelSet, potential: PotentialInfo, reporter: TrainingReporter) -> None:
    """Say how many labels there are, what is left out, and whether they are of the potential."""
    left_out = ", ".join(f"{count} {name}" for name, count in labels.left_out.items())
    text = f" ({left_out} left out)" if left_out else ""
    reporter.say(f"{len(labels)} labelled crystals{text}.")
    if n_other := labels.n_not_of(potential.weights_sha256):
        reporter.say(
            f"Warning: {n_other} labels are not of {potential.label}, which shakes the "
            f"crystals, but of {' and '.join(sorted(labels.potentials))}."
        )


def provenance(
    settings: TrainSettings, potential: PotentialInfo, learned: LabelSet
) -> dict[str, Any]:
    """Return versions, settings and labels, without the folders of this machine."""
    return {
        "superionic_version": __version__,
        "potential": vars(potential),
        "settings": settings_to_dict(settings.with_files(lambda name: Path(name).name)),
        "left_out": learned.left_out,
        "labels": {
            "potentials": learned.potentials,
            "n_of_other_potential": learned.n_not_of(potential.weights_sha256),
            "longest_ps": learned.longest_ps,
        },
    }


def write_results(
    settings: TrainSettings,
    directory: Path,
    summary: dict[str, Any],
    tables: str,
    ensemble: Path | None,
    labels_of: Callable[[ShakeSettings, LabelRules], LabelSet],
    variant: str,
) -> TrainResult:
    """Write the summary, the tables, and the card of the ensemble.

    Parameters
    ----------
    settings : TrainSettings
        What was done.
    directory : Path
        Where files go.
    summary : dict
        What was found.
    tables : str
        The same for people.
    ensemble : Path or None
        File of the ensemble.
    labels_of : callable
        Gives the labels that were learned, for settings of shakes and labels.
    variant : str
        Which of the models the ensemble is of.
    """
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / SUMMARY_FILE, json.dumps(summary, allow_nan=False) + "\n")
    if ensemble is not None:
        header = Ensemble.load(ensemble).header
        digest = hashlib.sha256(ensemble.read_bytes()).hexdigest()
        source = " and ".join(Path(name).name for name in settings.label_files)
        learned = labels_of(header.shakes, header.labels)
        card = model_card(header, summary, variant, digest, source, learned)
        write_whole(directory / CARD_FILE, card)
    write_whole(directory / TABLE_FILE, tables)
    return TrainResult(summary, ensemble, directory)


def fold_text(task: FoldTask) -> str:
    """Return which fold a task is, for people."""
    return f"{task.split} fold {task.fold} of seed {task.seed}"


def parity(
    crystals: Sequence[LabelledCrystal],
    floor_A2_per_ps: float,
    by_seed: dict[int, dict[str, float]],
) -> dict[str, Any]:
    """Return labels and predictions, the means over seeds, as plain data.

    Parameters
    ----------
    crystals : sequence of LabelledCrystal
        Labels.
    floor_A2_per_ps : float
        What labels are clipped at from below.
    by_seed : dict
        Predictions by seed and material.
    """
    return {
        "material_id": [c.material_id for c in crystals],
        "log10_floor": math.log10(floor_A2_per_ps),
        "log10_label": [math.log10(max(c.slope_A2_per_ps, floor_A2_per_ps)) for c in crystals],
        "clipped": [c.raw_slope_A2_per_ps <= floor_A2_per_ps for c in crystals],
        "verdict": [c.verdict for c in crystals],
        "predicted": np.mean(
            [[one[c.material_id] for c in crystals] for one in by_seed.values()], axis=0
        ).tolist(),
    }


def are_distinct(values: Sequence[Any]) -> bool:
    """Return whether there are values, none of them twice."""
    return 0 < len(values) == len(set(values))


def seeds_are_right(seeds: Sequence[int]) -> bool:
    """Return whether there are seeds, none of them twice or below zero."""
    return are_distinct(seeds) and min(seeds) >= 0


@dataclass(frozen=True)
class _Run:
    """A fold with its data; it is found again by the hash of data and settings."""

    task: FoldTask
    training_set: TrainingSet
    train_only: TrainingSet | None
    runs: Path
    device: str

    @property
    def name(self) -> str:
        content = [
            {k: v for k, v in settings_to_dict(self.task).items() if k not in _DIVISION},
            self.training_set.sha256(),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]

    @property
    def directory(self) -> Path:
        task = self.task
        return self.runs / f"{self.name}-{task.split}-{task.seed}-{task.fold}-of-{task.n_folds}"


_DIVISION = ("split", "seed", "fold", "n_folds")


def _run(run: _Run) -> FoldResult:
    return run_fold(
        run.task, run.training_set, run.directory, train_only=run.train_only, device=run.device
    )


def _tasks(settings: TrainSettings, train_only: str) -> list[FoldTask]:
    return [
        FoldTask(
            kind="network",
            split=split,
            seed=seed,
            fold=fold,
            n_folds=settings.n_folds,
            network=settings.network,
            training=settings.training,
            shakes=settings.shakes,
            train_only=train_only,
        )
        for split in settings.splits
        for seed in settings.seeds
        for fold in range(settings.n_folds)
    ]


def _measures(
    settings: TrainSettings,
    training_set: TrainingSet,
    folds: Sequence[tuple[FoldTask, FoldResult]],
) -> dict[str, Any]:
    """Return how good predictions of crystals are that were not learned."""
    crystals = training_set.crystals
    floor = settings.labels.floor_A2_per_ps
    predicted: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    wall_time_s: dict[str, float] = defaultdict(float)
    for task, result in folds:
        wall_time_s[task.split] += result.wall_time_s
        for name, values in zip(result.material_ids, result.predictions, strict=True):
            predicted[task.split][task.seed][name] = float(np.mean(values))
    return {
        "training_set_sha256": training_set.sha256(),
        "n_crystals": len(crystals),
        "n_chemical_systems": len({c.chemical_system for c in crystals}),
        "models": [
            {
                "variant": MAIN,
                "kind": "network",
                "split": split,
                "seeds": sorted(by_seed),
                "wall_time_s": round(wall_time_s[split], 1),
                "metrics": {f"{floor:g}": metrics(by_seed, crystals, floor, settings.n_resamples)},
                "floor_A2_per_ps": floor,
            }
            for split, by_seed in predicted.items()
        ],
        "parity": {split: parity(crystals, floor, by_seed) for split, by_seed in predicted.items()},
    }


def _table(summary: dict[str, Any]) -> str:
    """Return the measures as Markdown."""
    lines = [
        f"| folds | {' | '.join(MEASURES.values())} |",
        f"| --- |{' --- |' * len(MEASURES)}",
    ]
    for row in summary["models"]:
        (measured,) = row["metrics"].values()
        cells = [metric_cell(measured[name]) for name in MEASURES]
        lines.append(f"| {SPLIT_TEXT[row['split']]} | {' | '.join(cells)} |")
    lines += ["", "Intervals: 95 %, bootstrap over chemical systems."]
    return "\n".join(lines) + "\n"
