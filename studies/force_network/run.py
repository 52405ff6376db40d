"""The study from labels to files: shakes, folds, ensemble, summary."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from studies.force_network.data import StudyData
from studies.force_network.descriptors import read_descriptors
from studies.force_network.plan import Run, plan, run_all
from studies.force_network.settings import StudySettings
from studies.force_network.summary import markdown, summarise
from superionic.errors import SettingsError
from superionic.network.crossvalidation import FoldResult
from superionic.network.data import LabelSet
from superionic.network.ensemble import MemberTask, write_ensemble
from superionic.network.labels import read_labels
from superionic.network.metrics import fold_metrics, loss_curve, without_conductors
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    settings_to_dict,
)
from superionic.network.train import (
    ENSEMBLE_FILE,
    MAIN,
    TrainResult,
    fold_text,
    provenance,
    say_labels,
    write_results,
)
from superionic.network.training_data import TrainingReporter
from superionic.potentials.batched import resolve_device
from superionic.potentials.registry import load_potential


def run_study(
    study: StudySettings,
    directory: Path,
    shake_directory: Path,
    reporter: TrainingReporter,
    *,
    n_workers: int = 1,
    only: Sequence[str] = (),
    device: str = "cpu",
) -> TrainResult:
    """Run a study; what is done already is not done again.

    Parameters
    ----------
    study : StudySettings
        What there is to do.
    directory : Path
        Where results go.
    shake_directory : Path
        Where shakes are kept.
    reporter : TrainingReporter
        Hears how far it is.
    n_workers : int
        Training processes.
    only : sequence of str
        Names of variants that are run (the main network always is); all by default.
    device : str
        Where the potential evaluates forces and networks are trained.

    Raises
    ------
    SettingsError
        When a name is not that of a variant.
    NetworkError
        When there are too few labels.
    """
    names = [variant.name for variant in study.all_variants()]
    if unknown := sorted(set(only) - set(names)):
        raise SettingsError(
            f"The study has no variant {', '.join(unknown)}.", hint=f"It has {', '.join(names)}."
        )
    known = None if study.descriptors is None else read_descriptors(Path(study.descriptors))
    files = [Path(name) for name in study.label_files]

    @cache
    def labels_of(rules: LabelRules) -> LabelSet:
        return read_labels(*files, rules=rules, descriptors=known)

    device = resolve_device(device)
    potential = load_potential(study.potential, device=device)
    say_labels(labels_of(study.labels), potential.info, reporter)
    data = StudyData(labels_of, potential, shake_directory, reporter, study, known)

    def pretrained(network: NetworkSettings, shakes: ShakeSettings) -> tuple[Path, str]:
        from studies.force_network.pretraining import pretrain
        from superionic.network.training import read_weights, weights_hash

        assert study.pretraining is not None, "checked when the file was read"
        crystals = data.for_pretraining(shakes)
        content = [
            crystals.sha256(),
            settings_to_dict(network),
            settings_to_dict(replace(study.pretraining, crystals=("",))),
        ]
        name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
        reporter.say(f"Pretraining on {len(crystals)} crystals.")
        place = directory / "pretraining" / name
        path = pretrain(crystals, network, study.pretraining, shakes, place, device)
        return path, weights_hash(read_weights(path) or {})

    wanted = [MAIN, *only] if only else []
    runs = plan(
        study,
        data.training_set,
        directory,
        known,
        wanted,
        pretrained,
        data.train_only,
        device,
    )
    results = run_all(
        runs,
        n_workers,
        lambda done, run, result: reporter.step("folds", done, len(runs), _fold_line(run, result)),
    )
    learned = data.learned(study.shakes, study.labels)
    folds = main_folds(runs, results)
    if (line := without_conductors(folds)) is not None:
        reporter.say(line)
    summary = {
        **provenance(study, potential.info, learned),
        **summarise(runs, results, study.floors_A2_per_ps, study.n_resamples),
        "folds": folds,
        "learning_curves": _learning_curves(runs),
    }
    directory.mkdir(parents=True, exist_ok=True)
    ensemble = None
    if study.ensemble is not None:
        ensemble = _ensemble(study, runs, results, directory, reporter, n_workers)
    tables = "\n".join(markdown(summary, floor) for floor in study.floors_A2_per_ps)
    name = MAIN if study.ensemble is None else study.ensemble.variant
    return write_results(study, directory, summary, tables, ensemble, data.learned, name)


def _ensemble(
    study: StudySettings,
    runs: Sequence[Run],
    results: Sequence[FoldResult],
    directory: Path,
    reporter: TrainingReporter,
    n_workers: int,
) -> Path | None:
    wanted = study.ensemble
    assert wanted is not None
    variant = study.ensemble_variant()
    assert variant is not None
    chosen = [
        (run, result)
        for run, result in zip(runs, results, strict=True)
        if run.variant == wanted.variant
    ]
    if not chosen:
        reporter.say(f"No ensemble: the variant '{wanted.variant}' was not run.")
        return None
    first = chosen[0][0]
    training_set = first.training_set
    resolved = study.resolved(variant)
    path = directory / ENSEMBLE_FILE
    write_ensemble(
        path,
        training_set,
        [(run.task, result) for run, result in chosen],
        wanted,
        MemberTask(
            training_set,
            resolved.network,
            resolved.training,
            directory / "members" / training_set.sha256()[:10] / first.directory.name,
            first.initial,
            first.train_only,
            first.device,
        ),
        resolved.shakes,
        n_workers,
        lambda done: reporter.step("ensemble", done, wanted.n_members),
    )
    return path


def main_folds(runs: Sequence[Run], results: Sequence[FoldResult]) -> list[dict[str, Any]]:
    """Return crystals and measures of each fold of the main network, as plain data."""
    chosen = [pair for pair in zip(runs, results, strict=True) if pair[0].variant == MAIN]
    training_set = chosen[0][0].training_set
    return fold_metrics(training_set, [(run.task, result) for run, result in chosen])


def _learning_curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the losses of the main network's folds, and of all that have a validation."""
    curves = []
    for run in runs:
        curve = loss_curve(run.task, run.directory)
        if curve is None:
            continue
        validated = any(epoch["validation_loss"] is not None for epoch in curve["epochs"])
        if validated or run.variant == MAIN:
            curves.append({"variant": run.variant} | curve)
    return curves


def _fold_line(run: Run, result: FoldResult) -> str:
    epoch = "" if result.best_epoch is None else f", best epoch {result.best_epoch}"
    return f"{run.variant}: {fold_text(run.task)}{epoch}"
