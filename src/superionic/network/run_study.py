"""The study from labels to files: shakes, folds, ensemble, summary."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from superionic import __version__
from superionic.errors import SettingsError
from superionic.network.card import model_card
from superionic.network.checkpoint import save_ensemble
from superionic.network.crossvalidation import FoldResult
from superionic.network.data import LabelSet
from superionic.network.descriptors import read_descriptors
from superionic.network.ensemble import calibration_of, train_ensemble
from superionic.network.fold_metrics import fold_metrics, without_conductors
from superionic.network.inference import Ensemble
from superionic.network.labels import read_labels
from superionic.network.settings import (
    LabelRules,
    NetworkSettings,
    ShakeSettings,
    settings_to_dict,
)
from superionic.network.study import Run, plan, run_all
from superionic.network.study_data import StudyData, StudyReporter
from superionic.network.study_settings import MAIN, StudySettings
from superionic.network.summary import markdown, summarise
from superionic.potentials.batched import resolve_device
from superionic.potentials.registry import load_potential

SUMMARY_FILE = "summary.json"
TABLE_FILE = "table.md"
ENSEMBLE_FILE = "force_network.pt"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class StudyResult:
    """What a study gave.

    Parameters
    ----------
    summary : dict
        As :func:`superionic.network.summary.summarise` returns it, with the settings.
    ensemble : Path or None
        File of the ensemble.
    directory : Path
        Where all of it lies.
    """

    summary: dict[str, Any]
    ensemble: Path | None
    directory: Path


def run_study(
    study: StudySettings,
    directory: Path,
    shake_directory: Path,
    reporter: StudyReporter,
    *,
    n_workers: int = 1,
    only: Sequence[str] = (),
    device: str = "cpu",
) -> StudyResult:
    """Run a study; what is done already is not done again.

    Parameters
    ----------
    study : StudySettings
        What there is to do.
    directory : Path
        Where results go.
    shake_directory : Path
        Where shakes are kept.
    reporter : StudyReporter
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

    labels = labels_of(study.labels)
    reporter.say(_label_line(labels))
    device = resolve_device(device)
    potential = load_potential(study.potential, device=device)
    n_other = labels.n_not_of(potential.info.weights_sha256)
    if n_other:
        reporter.say(
            f"Warning: {n_other} labels are not of {potential.info.label}, which shakes the "
            f"crystals, but of {' and '.join(sorted(labels.potentials))}."
        )
    data = StudyData(study, labels_of, known, potential, shake_directory, reporter)

    def pretrained(network: NetworkSettings, shakes: ShakeSettings) -> tuple[Path, str]:
        from superionic.network.pretraining import pretrain
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
        data.beside,
        device,
    )
    results = run_all(
        runs,
        n_workers,
        lambda done, run, result: reporter.step("folds", done, len(runs), _fold_line(run, result)),
    )
    learnt = data.learnt(study.shakes, study.labels)
    folds = fold_metrics(runs, results)
    if (line := without_conductors(folds)) is not None:
        reporter.say(line)
    summary = {
        "superionic_version": __version__,
        "potential": vars(potential.info),
        "settings": _published(study),
        "left_out": learnt.left_out,
        "labels": {
            "potentials": learnt.potentials,
            "n_of_other_potential": learnt.n_not_of(potential.info.weights_sha256),
            "longest_ps": learnt.longest_ps,
        },
        **summarise(runs, results, study.floors_A2_per_ps, study.n_resamples),
        "folds": folds,
        "learning_curves": _learning_curves(runs),
    }
    directory.mkdir(parents=True, exist_ok=True)
    ensemble = None
    if study.ensemble is not None:
        ensemble = _ensemble(study, runs, results, directory, reporter, n_workers)
    _write(directory / SUMMARY_FILE, json.dumps(summary, allow_nan=False) + "\n")
    if ensemble is not None and study.ensemble is not None:
        header = Ensemble.load(ensemble).header
        digest = hashlib.sha256(ensemble.read_bytes()).hexdigest()
        source = " and ".join(file.name for file in files)
        of_ensemble = data.learnt(header.shakes, header.labels)
        card = model_card(header, summary, study.ensemble.variant, digest, source, of_ensemble)
        _write(directory / CARD_FILE, card)
    tables = [markdown(summary, floor) for floor in study.floors_A2_per_ps]
    _write(directory / TABLE_FILE, "\n".join(tables))
    return StudyResult(summary, ensemble, directory)


def _ensemble(
    study: StudySettings,
    runs: Sequence[Run],
    results: Sequence[FoldResult],
    directory: Path,
    reporter: StudyReporter,
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
    training_set = chosen[0][0].training_set
    by_seed: dict[int, list[FoldResult]] = defaultdict(list)
    for run, result in chosen:
        if run.task.split == wanted.split:
            by_seed[run.task.seed].append(result)
    calibration = None
    if by_seed:
        calibration = calibration_of(training_set, list(by_seed.values()), wanted.split)
    resolved = study.resolved(variant)
    place = directory / "members" / training_set.sha256()[:10] / chosen[0][0].directory.name
    ensemble = train_ensemble(
        training_set,
        resolved.network,
        resolved.training,
        resolved.shakes,
        wanted.n_members,
        place,
        calibration,
        n_workers,
        chosen[0][0].initial,
        chosen[0][0].beside,
        chosen[0][0].device,
        lambda done: reporter.step("ensemble", done, wanted.n_members),
    )
    path = directory / ENSEMBLE_FILE
    save_ensemble(path, ensemble.members, ensemble.header)
    return path


def _published(study: StudySettings) -> dict[str, Any]:
    """Return the settings without the folders of this machine."""

    def bare(name: str) -> str:
        return Path(name).name

    return settings_to_dict(
        replace(
            study,
            data=tuple(bare(name) for name in study.label_files),
            descriptors=study.descriptors and bare(study.descriptors),
            pretraining=study.pretraining and study.pretraining.with_files(bare),
            unlabelled=study.unlabelled and study.unlabelled.with_files(bare),
        )
    )


def _learning_curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the losses of each epoch: of the main network's folds, and of all with a validation.

    Losses that are not there are null.
    """
    from superionic.network.training import read_history

    curves = []
    for run in runs:
        path = run.directory / "training" / "metrics.csv"
        history = read_history(path) if path.exists() else []
        validated = any(math.isfinite(epoch["validation_loss"]) for epoch in history)
        if validated or (run.variant == MAIN and history):
            task = run.task
            epochs = [
                {name: value if math.isfinite(value) else None for name, value in epoch.items()}
                for epoch in history
            ]
            place = {"split": task.split, "seed": task.seed, "fold": task.fold}
            curves.append({"variant": run.variant} | place | {"epochs": epochs})
    return curves


def _label_line(labels: LabelSet) -> str:
    left_out = ", ".join(f"{count} {name}" for name, count in labels.left_out.items())
    return f"{len(labels)} labelled crystals" + (f" ({left_out} left out)." if left_out else ".")


def _fold_line(run: Run, result: FoldResult) -> str:
    task = run.task
    epoch = "" if result.best_epoch is None else f", best epoch {result.best_epoch}"
    return f"{run.variant}: {task.split} fold {task.fold} of seed {task.seed}{epoch}"


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)
