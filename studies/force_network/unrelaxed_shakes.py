r"""What the relaxation before the shakes is worth to the force network.

    superionic predict workflows/obelix_crystals.jsonl --relax never --json FILE
    python -m studies.force_network.unrelaxed_shakes --directory RESULTS --workers 2 \
        --further FILE --write

Networks of the study, which learn relaxed crystals, predict those of their fold twice: relaxed, and
as they were given, the force of the undisplaced crystal subtracted from the answers either way. The
folds are those by chemical system of the campaign file; what the study has left in RESULTS is not
trained again. Of further crystals, from experiment, the predictions as given are compared with
the published ones, of the same network and of relaxed crystals.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from studies.force_network.data import StudyData
from studies.force_network.plan import Run, plan, run_all
from studies.force_network.settings import StudySettings, read_study
from studies.force_network.summary import difference
from superionic.cli.bars import TrainingProgress
from superionic.errors import SuperionicError
from superionic.network.batches import GraphTable
from superionic.network.crossvalidation import divide, fit_fold
from superionic.network.data import LabelledCrystal, LabelSet, TrainingSet
from superionic.network.labels import read_labels
from superionic.network.metrics import metric_cell, metrics
from superionic.network.settings import LabelRules, ShakeSettings
from superionic.network.shakes import atoms_of
from superionic.network.train import MAIN
from superionic.network.training import predict_crystals
from superionic.network.training_data import TrainingReporter, shake_all
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential
from superionic.processes import usable_cores
from superionic.structures import Candidate, read_candidates

ROOT = Path(__file__).parents[2]
SHAKES = (1, 4, 16)
FORCES_eV_PER_A = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, np.inf)
PUBLISHED = ROOT / "datasets/screening_obelix.jsonl"
SLOPE = "predicted_log10_msd_slope"
Predictions = dict[int, dict[str, float]]


@dataclass(frozen=True)
class Pair:
    """The predictions of one crystal by one network, a number for each shake."""

    seed: int
    material_id: str
    relaxed: NDArray[np.float64]
    given: NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--campaign", type=Path, default=ROOT / "workflows/train_force_network.yaml"
    )
    parser.add_argument(
        "--crystals", type=Path, default=ROOT / "workflows/label_1000K_crystals.jsonl"
    )
    parser.add_argument("--directory", type=Path, required=True, help="results of the study")
    parser.add_argument("--shakes-directory", type=Path, help="shakes that are there already")
    parser.add_argument("--further", type=Path, help="predictions of OBELiX's crystals as given")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--write", action="store_true", help="keep the tables, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = read_study(options.campaign)
    shaken = options.shakes_directory or options.directory / "shakes"
    potential = load_potential(study.potential)
    with TrainingProgress() as reporter:
        runs = planned(study, potential, options.directory, shaken, reporter)
        run_all(
            runs,
            options.workers,
            lambda done, run, result: reporter.step("folds", done, len(runs)),
        )
    given, displaced_A = as_given(
        runs[0].training_set, options.crystals, potential, study.shakes, shaken
    )
    pairs = [pair for run in runs for pair in predicted(run, given)]
    text = tables(pairs, given, displaced_A, study.labels.floor_A2_per_ps, study.n_resamples)
    if options.further:
        text = f"{text}\n\n{further_table(options.further)}"
    print(text)
    if options.write:
        (ROOT / "benchmarks/results/unrelaxed_shakes.md").write_text(f"{text}\n")


def planned(
    study: StudySettings,
    potential: Potential,
    directory: Path,
    shaken: Path,
    reporter: TrainingReporter,
) -> list[Run]:
    """Return the runs of the main network on folds by chemical system."""
    files = [Path(name) for name in study.label_files]

    def labels_of(rules: LabelRules) -> LabelSet:
        return read_labels(*files, rules=rules)

    data = StudyData(labels_of, potential, shaken, reporter, study)
    only = replace(study, splits=("chemical_system",))
    return plan(only, data.training_set, directory, only=[MAIN], train_only_of=data.train_only)


def as_given(
    relaxed: TrainingSet, crystals: Path, potential: Potential, shakes: ShakeSettings, shaken: Path
) -> tuple[TrainingSet, dict[str, float]]:
    """Return the training set with crystals as they were given, and the largest displacements.

    Raises
    ------
    ValueError
        When a crystal is not there, or is another one.
    """
    given = {c.material_id: c for c in read_candidates([crystals]) if isinstance(c, Candidate)}
    changed, displaced_A = [], {}
    for crystal in relaxed.crystals:
        atoms = atoms_of(given[crystal.material_id].structure)
        same_cell = np.allclose(atoms.cell.array, crystal.atoms.cell.array, atol=1e-3)
        same_atoms = np.array_equal(atoms.numbers, crystal.atoms.numbers)
        if not (same_atoms and same_cell):
            raise ValueError(f"{crystal.material_id} of {crystals} is another crystal.")
        displaced_A[crystal.material_id] = largest_displacement_A(crystal.atoms, atoms)
        changed.append(replace(crystal, atoms=atoms))
    found = shake_all([one.atoms for one in changed], potential, shakes, shaken)
    for error in found:
        if isinstance(error, SuperionicError):
            raise error
    return TrainingSet(tuple(changed), tuple(found), relaxed.rules), displaced_A  # type: ignore[arg-type]


def largest_displacement_A(one: Atoms, other: Atoms) -> float:
    """Return how far an atom is from where it is in the other crystal, of the same cell."""
    return float(find_mic(one.positions - other.positions, one.cell)[1].max())


def predicted(run: Run, given: TrainingSet) -> list[Pair]:
    """Return what the network of a fold, which is there, says of the crystals of the fold."""
    train, test, train_only = divide(run.task, run.training_set, run.train_only)
    network, table, _ = fit_fold(
        run.task, run.training_set, train, test, run.directory, run.initial, train_only
    )
    relaxed, _ = predict_crystals(network, table, test)
    answers, _ = predict_crystals(network, GraphTable(given, run.task.network.cutoff_A), test)
    return [
        Pair(run.task.seed, given.crystals[i].material_id, one[:, 0], other[:, 0])
        for i, one, other in zip(test, relaxed, answers, strict=True)
    ]


def tables(
    pairs: Sequence[Pair],
    given: TrainingSet,
    displaced_A: Mapping[str, float],
    floor_A2_per_ps: float,
    n_resamples: int,
) -> str:
    """Return quality by the number of shakes, and changes by the residual force."""
    lines = [
        "| shakes | R^2, relaxed | R^2, as given | gain of the relaxation | ROC-AUC, relaxed "
        "| ROC-AUC, as given | change (decades, root mean square) |",
        f"|{' --- |' * 7}",
    ]
    for n in SHAKES:
        relaxed, plain = by_seed(pairs, "relaxed", n), by_seed(pairs, "given", n)
        crystals = given.crystals
        one, other = (metrics(p, crystals, floor_A2_per_ps, n_resamples) for p in (relaxed, plain))
        gain = difference(relaxed, plain, crystals, floor_A2_per_ps, n_resamples)["r_squared"]
        change = np.concatenate([changes(pairs, crystal.material_id, n) for crystal in crystals])
        cells = [
            str(n),
            metric_cell(one["r_squared"]),
            metric_cell(other["r_squared"]),
            metric_cell(gain),
            metric_cell(one["roc_auc"]),
            metric_cell(other["roc_auc"]),
            f"{np.sqrt(np.mean(change**2)):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| largest force as given (eV/A) | crystals | largest displacement by the relaxation "
        "(A, median) | change (decades, root mean square) | largest change |",
        f"|{' --- |' * 5}",
    ]
    for low, high in pairwise(FORCES_eV_PER_A):
        within = [
            crystal
            for crystal, shakes in zip(given.crystals, given.shakes, strict=True)
            if low <= shakes.residual_force_eV_per_A < high
        ]
        if not within:
            continue
        lines.append(band(low, high, within, pairs, displaced_A))
    largest = max(shakes.residual_force_eV_per_A for shakes in given.shakes)
    return "\n".join([*lines, "", f"The largest force is {largest:.2f} eV/A."])


def band(
    low: float,
    high: float,
    within: Sequence[LabelledCrystal],
    pairs: Sequence[Pair],
    displaced_A: Mapping[str, float],
) -> str:
    """Return the line of the crystals whose largest force is between two."""
    names = [crystal.material_id for crystal in within]
    change = np.concatenate([changes(pairs, name, max(SHAKES)) for name in names])
    return (
        f"| {low:g} to {high:g} | {len(names)} | {np.median([displaced_A[n] for n in names]):.3f} "
        f"| {np.sqrt(np.mean(change**2)):.3f} | {np.abs(change).max():.2f} |"
    )


def further_table(path: Path) -> str:
    """Return changes by residual force, of crystals that have a published prediction.

    Raises
    ------
    ValueError
        When a prediction is of a relaxed crystal.
    """
    rows = (json.loads(line) for line in PUBLISHED.read_text().splitlines())
    relaxed = {row["material_id"]: row[SLOPE] for row in rows if row[SLOPE] is not None}
    predictions = json.loads(path.read_text())
    if any(one["relaxed"] for one in predictions):
        raise ValueError(f"{path} has relaxed crystals: predict with --relax never.")
    seen = [
        (one["residual_force_eV_per_A"], one["log10_msd_slope"] - relaxed[one["material_id"]])
        for one in predictions
        if one["material_id"] in relaxed and "same_crystal" not in one["flags"]
    ]
    forces, change = np.array(seen).T
    lines = [
        "| largest force as given (eV/A) | crystals | change (decades, root mean square) "
        "| largest change |",
        f"|{' --- |' * 4}",
    ]
    for low, high in pairwise(FORCES_eV_PER_A):
        within = change[(low <= forces) & (forces < high)]
        if len(within):
            rms, largest = np.sqrt(np.mean(within**2)), np.abs(within).max()
            lines.append(f"| {low:g} to {high:g} | {len(within)} | {rms:.3f} | {largest:.2f} |")
    return "\n".join([*lines, "", f"The largest force is {forces.max():.1f} eV/A."])


def by_seed(pairs: Sequence[Pair], kind: str, n_shakes: int) -> Predictions:
    """Return the predictions from the first shakes, by seed and material."""
    found: Predictions = {}
    for pair in pairs:
        value = float(getattr(pair, kind)[:n_shakes].mean())
        found.setdefault(pair.seed, {})[pair.material_id] = value
    return found


def changes(pairs: Sequence[Pair], name: str, n_shakes: int) -> NDArray[np.float64]:
    """Return by how much the predictions of a crystal differ, for each network."""
    return np.array(
        [
            (pair.given[:n_shakes] - pair.relaxed[:n_shakes]).mean()
            for pair in pairs
            if pair.material_id == name
        ]
    )


if __name__ == "__main__":
    main()
