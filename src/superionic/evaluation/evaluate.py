"""The whole evaluation: rows and reference data in, tables out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log10

import numpy as np

from superionic.errors import SettingsError
from superionic.evaluation.fitting import FitSettings, too_few
from superionic.evaluation.scorers import Group, group_of, scorers_of
from superionic.evaluation.tables import Cost, Table, Task, costs_of, tables_of
from superionic.evaluation.truth import (
    Measurement,
    Truth,
    conductivities,
    labels_of_data_set,
    labels_of_rows,
    one_crystal_each,
)
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument

CRYSTALS = {
    "ordered": "crystals published as ordered",
    "approximant": "ordered approximants of disordered crystals",
    "matched": "crystals of other sources, matched by formula and space group",
}
"""Kinds of crystals that stand for samples."""
_PREFERENCE = ("matched", "ordered", "approximant")


@dataclass(frozen=True)
class EvaluationSettings:
    """What is asked.

    Parameters
    ----------
    slopes_A2_per_ps : tuple of float
        Thresholds of MSD slopes; the first defines a conductor for the calibrated probability.
    conductivities_S_per_cm : tuple of float
        Thresholds of conductivities.
    temperature_K : float
        Temperature of the labels in K.
    n_resamples, seed : int
        Of the bootstrap.
    fit : FitSettings
        How the calibrated probability is fitted.
    """

    slopes_A2_per_ps: tuple[float, ...] = (1e-2, 1e-1, 1.0)
    conductivities_S_per_cm: tuple[float, ...] = (1e-5, 1e-6, 1e-4)
    temperature_K: float = 1000.0
    n_resamples: int = 1000
    seed: int = 0
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Parameters
    ----------
    mobile_species, potential : str
        What was evaluated.
    labels_of : str
        Potential whose dynamics judged.
    n_rows, n_labels : int
        Materials with a landscape, and labels that say something of the crystal.
    tables : list of Table
        By task, threshold and set of materials.
    costs : list of Cost
        Of each way to look at a material.
    notes : list of str
        What was left out, and why.
    """

    mobile_species: str
    potential: str
    labels_of: str
    n_rows: int
    n_labels: int
    tables: list[Table]
    costs: list[Cost]
    notes: list[str]


def evaluate(
    rows: Sequence[ScreeningDocument],
    *,
    labels: Sequence[LabelRow] = (),
    measurements: Sequence[Measurement] = (),
    bond_valence: Mapping[str, Mapping[int, float]] | None = None,
    mobile_species: str | None = None,
    potential: str | None = None,
    labels_of: str | None = None,
    settings: EvaluationSettings | None = None,
) -> Evaluation:
    """Evaluate every score on rows of the screening collection.

    Parameters
    ----------
    rows : sequence of ScreeningDocument
        Rows; their own labels count, too.
    labels : sequence of LabelRow
        A published data set of labels.
    measurements : sequence of Measurement
        Conductivities from the literature.
    bond_valence : mapping, optional
        Bond-valence barriers in eV, by identifier and number of dimensions.
    mobile_species, potential : str, optional
        What is evaluated; by default what most rows are of.
    labels_of : str, optional
        Potential whose dynamics judge; by default that of the rows. ``calibrated`` is fitted on the
        labels of the rows' potential in any case.
    settings : EvaluationSettings, optional
        Thresholds and the like.

    Raises
    ------
    SettingsError
        When no row has a landscape, or there is no label of ``labels_of``.
    """
    settings = settings or EvaluationSettings()
    group = group_of(rows, mobile_species, potential)
    judge = labels_of or group.potential
    truths, as_failures, by_bounds, failures_by_bounds = (
        label_truths(
            group,
            labels,
            settings.temperature_K,
            potential=judge,
            melted_fails=melted_fails,
            by_bounds=bounds,
        )
        for bounds in (False, True)
        for melted_fails in (False, True)
    )
    if labels_of and not as_failures:
        raise SettingsError(
            f"There is no label of {labels_of} at {settings.temperature_K:g} K.",
            hint="Give its file with --labels, or leave --labels-of out.",
        )
    own = truths
    if judge != group.potential:
        own = label_truths(group, labels, settings.temperature_K)
    conductors = conductors_of(own, settings.slopes_A2_per_ps[0])
    scorers = scorers_of(group, conductors, bond_valence, settings.fit)
    systems = group.systems()
    tasks = [
        *_label_tasks(truths, as_failures, settings),
        *_label_tasks(by_bounds, failures_by_bounds, settings, by_bounds=True),
        *_conductivity_tasks(group, measurements, settings),
    ]
    tables = [
        table
        for task in tasks
        for table in tables_of(
            task, scorers, systems, n_resamples=settings.n_resamples, seed=settings.seed
        )
    ]
    return Evaluation(
        mobile_species=group.mobile_species,
        potential=group.potential,
        labels_of=judge,
        n_rows=sum(row.xi is not None for row in group.rows),
        n_labels=len(truths),
        tables=tables,
        costs=costs_of(group, labels),
        notes=_notes(group, {one.name for one in scorers}, conductors, settings),
    )


def label_truths(
    group: Group,
    labels: Sequence[LabelRow],
    temperature_K: float = 1000.0,
    *,
    potential: str | None = None,
    melted_fails: bool = False,
    by_bounds: bool = False,
) -> dict[str, Truth]:
    """Return what dynamics says of a group's materials: its rows' own labels, then the data set's.

    A further name of a crystal has no label of its own, so that no crystal counts twice. Dynamics
    with another potential than that of the group is in the data set alone.
    """
    judge = potential or group.potential
    of_data_set = labels_of_data_set(
        labels,
        mobile_species=group.mobile_species,
        potential=judge,
        temperature_K=temperature_K,
        melted_fails=melted_fails,
        by_bounds=by_bounds,
    )
    # The data set may know a crystal under another of its names.
    known = {group.names.get(name, name): truth for name, truth in of_data_set.items()}
    if judge != group.potential:
        return known
    return known | labels_of_rows(
        group.rows, temperature_K, melted_fails=melted_fails, by_bounds=by_bounds
    )


def conductors_of(truths: Mapping[str, Truth], threshold: float) -> dict[str, bool]:
    """Return for each material whether it is above a threshold, where that is known."""
    answers = {name: truth.exceeds(log10(threshold)) for name, truth in truths.items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def _label_tasks(
    truths: Mapping[str, Truth],
    as_failures: Mapping[str, Truth],
    settings: EvaluationSettings,
    *,
    by_bounds: bool = False,
) -> list[Task]:
    """Return the questions that labels answer; by bounds, at the last threshold alone.

    Bounds of short runs lie far above the first thresholds.
    """
    end = ", negatives by their upper bounds" if by_bounds else ""
    short = "dynamics by bounds" if by_bounds else "dynamics"
    name = f"diffusion in molecular dynamics at {settings.temperature_K:g} K"
    thresholds = settings.slopes_A2_per_ps[-1:] if by_bounds else settings.slopes_A2_per_ps
    found = [Task(f"{name}{end}", short, truths, thresholds, "A^2/ps")] if truths else []
    if len(as_failures) > len(truths):
        melted = f"{name}, melted crystals as failures{end}"
        found.append(
            Task(melted, f"{short}, melted as failures", as_failures, thresholds, "A^2/ps")
        )
    return found


def _conductivity_tasks(
    group: Group, measurements: Sequence[Measurement], settings: EvaluationSettings
) -> list[Task]:
    known = [one for one in measurements if one.material_id in group.names]
    parts = {text: [one for one in known if one.crystal == kind] for kind, text in CRYSTALS.items()}
    if sum(bool(part) for part in parts.values()) > 1:
        parts["one crystal for each sample"] = one_crystal_each(known, _PREFERENCE)
    return [
        Task(
            f"measured conductivity at room temperature: {text}",
            "measured",
            conductivities(part),
            settings.conductivities_S_per_cm,
            "S/cm",
        )
        for text, part in parts.items()
        if part
    ]


def _notes(
    group: Group,
    scorers: set[str],
    conductors: Mapping[str, bool],
    settings: EvaluationSettings,
) -> list[str]:
    notes = []
    old = sum(row.lacks_numbers for row in group.rows)
    if old:
        notes.append(f"{old} rows are of an older version, which lacks numbers: build them again.")
    if "network" not in scorers:
        notes.append("The network is not part of it: no row has a prediction that counts.")
    if group.n_trained:
        notes.append(
            f"{group.n_trained} predictions are left out: the network was trained on their "
            "chemical systems."
        )
    unknown = sum(
        row.predicted_log10_msd_slope is not None and row.prediction_in_training is None
        for row in group.rows
    )
    if unknown:
        notes.append(f"Of {unknown} predictions it is not known what the network was trained on.")
    if "calibrated" not in scorers:
        labelled = [row for row in group.rows if row.material_id in conductors]
        y = np.array([conductors[row.material_id] for row in labelled], dtype=bool)
        notes.append(
            f"The calibrated probability is not part of it: {too_few(y, settings.fit) or 'no rows'}"
            "."
        )
    return notes
