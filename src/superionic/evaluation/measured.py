"""A user's own crystals with measured conductivities: reading them, and how well scores find them.

A measurement that cannot be trusted is left out by name; what is left is compared on crystals that
have a landscape and that the model of conductivities has not learned.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, log10
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from superionic.errors import SettingsError
from superionic.evaluation.measures import measure
from superionic.evaluation.scorers import Scorer, group_of, package_scorers
from superionic.evaluation.truth import Truth
from superionic.schemas.screening import ScreeningDocument
from superionic.statistics import Interval, bootstrap_interval
from superionic.store.ranking.conductivity import Conductivity, load_conductivity

FloatArray = NDArray[np.float64]

CONDUCTIVITIES: dict[str, Callable[[float], float]] = {
    "conductivity_S_per_cm": log10,
    "conductivity_mS_per_cm": lambda value: log10(value) - 3,
    "conductivity_S_per_m": lambda value: log10(value) - 2,
    "log10_conductivity_S_per_cm": float,
}
"""Columns that hold the measurement, with what turns them into log10 of S/cm."""
TEMPERATURES = {"temperature_K": 0.0, "temperature_C": 273.15}
NAMES = ("material_id", "id")
COLDEST_K, HOTTEST_K = 150.0, 1000.0
"""Outside, a temperature is more likely one in another unit."""
ROOM_K = (273.0, 323.0)
"""Temperatures that count as room temperature, which the tables are of."""
HIGHEST_LOG10 = 2.0
"""No ionic conductor is better, in log10 of S/cm."""
CONTRADICTION = 2.0
"""Decades between measurements of one crystal from which it is not known which is right."""
_UNDEFINED = Interval(float("nan"), float("nan"), float("nan"), 0)


@dataclass(frozen=True)
class Sample:
    """One measurement of a user's table.

    Parameters
    ----------
    material_id : str
        Crystal that was measured.
    log10_S_per_cm : float
        Conductivity, or the bound below which it is.
    is_bound : bool
        Whether it is one.
    temperature_K : float
        Temperature of the measurement.
    """

    material_id: str
    log10_S_per_cm: float
    is_bound: bool
    temperature_K: float


@dataclass(frozen=True)
class LeftOut:
    """What does not count, and why.

    Parameters
    ----------
    material_id, reason : str
        Which crystal, and a sentence.
    """

    material_id: str
    reason: str


@dataclass(frozen=True)
class MeasuredLine:
    """What one score is worth.

    Parameters
    ----------
    scorer, text, kind : str
        Its name, what it is, and policy or baseline.
    n : int
        Crystals that have it.
    n_above : dict of float to int
        Those of them above each threshold.
    roc_auc : dict of float to Interval
        For each threshold in S/cm.
    spearman : Interval
        Rank correlation with the conductivities that are no bounds.
    mae, r2 : Interval or None
        Mean absolute error in decades, and explained variance: of scores that are conductivities,
        and of others by a line through the measurements that the model was fitted on. None where
        a score depends on the other rows.
    coverage : Interval or None
        Share of the measured values in the interval, where there is one.
    """

    scorer: str
    text: str
    kind: str
    n: int
    n_above: dict[float, int]
    roc_auc: dict[float, Interval]
    spearman: Interval
    mae: Interval | None
    r2: Interval | None
    coverage: Interval | None


@dataclass(frozen=True)
class MeasuredEvaluation:
    """What scores are worth on a user's crystals.

    Parameters
    ----------
    mobile_species, potential : str
        What was evaluated.
    thresholds_S_per_cm : tuple of float
        What counts as a conductor.
    n_read : int
        Measurements in the table.
    n_crystals, n_systems, n_kin : int
        Crystals that count, their chemical systems, and crystals whose elements are those of a
        training sample of the policy ``conductivity``.
    level : float
        Coverage that its intervals were made for.
    lines : list of MeasuredLine
        One for each score.
    left_out, learned, lacking : list of LeftOut
        What does not count: measurements that cannot be used, crystals of the training set, and
        those without a landscape.
    """

    mobile_species: str
    potential: str
    thresholds_S_per_cm: tuple[float, ...]
    n_read: int
    n_crystals: int
    n_systems: int
    n_kin: int
    level: float
    lines: list[MeasuredLine] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    learned: list[LeftOut] = field(default_factory=list)
    lacking: list[LeftOut] = field(default_factory=list)


def read_measured(path: Path) -> tuple[list[Sample], list[LeftOut]]:
    """Read a table of measured conductivities, and what of it cannot be used.

    Parameters
    ----------
    path : Path
        A CSV with ``material_id``, one of :data:`CONDUCTIVITIES` and ``temperature_K`` or
        ``temperature_C``; ``is_upper_bound`` where a value is a bound, or ``<`` before it.

    Raises
    ------
    SettingsError
        When it cannot be read, has no measurement, or lacks a column or a unit.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(
            f"The table {path} cannot be read ({type(error).__name__}).", hint="Name a CSV file."
        ) from None
    name = _column(path, columns, NAMES, "names the crystal")
    value = _column(path, columns, tuple(CONDUCTIVITIES), "holds conductivities with their unit")
    heat = _column(path, columns, tuple(TEMPERATURES), "holds the temperature with its unit")
    samples: list[Sample] = []
    left_out: list[LeftOut] = []
    for number, line in enumerate(lines, start=2):
        cells = {key: (line.get(key) or "").strip() for key in columns}
        material_id = cells[name] or f"line {number}"
        try:
            if not cells[name]:
                raise ValueError(f"it has no {name}")
            log10_S_per_cm, is_bound = _conductivity(cells[value], value)
            samples.append(
                Sample(
                    material_id,
                    log10_S_per_cm,
                    is_bound or cells.get("is_upper_bound", "").lower() in ("true", "1", "yes"),
                    _temperature_K(cells[heat], heat),
                )
            )
        except ValueError as error:
            left_out.append(LeftOut(material_id, str(error)))
    if not lines:
        raise SettingsError(
            f"The table {path} holds no measurement.",
            hint="Below its first line it needs one each.",
        )
    return samples, left_out


def evaluate_measured(
    samples: Sequence[Sample],
    rows: Sequence[ScreeningDocument],
    *,
    formulas: Mapping[str, str] | None = None,
    bond_valence: Mapping[str, Mapping[int, float]] | None = None,
    mobile_species: str | None = None,
    potential: str | None = None,
    thresholds_S_per_cm: Sequence[float] = (1e-5, 1e-4),
    n_resamples: int = 1000,
    left_out: Sequence[LeftOut] = (),
    unreadable: Mapping[str, str] | None = None,
) -> MeasuredEvaluation:
    """Say what every policy, and baselines, are worth on measured crystals.

    Parameters
    ----------
    samples : sequence of Sample
        Measurements.
    rows : sequence of ScreeningDocument
        Rows that ``screen`` computed; policies rank all of them.
    formulas : mapping of str to str, optional
        Composition of each crystal as it was published, where it is known.
    bond_valence : mapping, optional
        Bond-valence barriers in eV, by identifier and number of dimensions.
    mobile_species, potential : str, optional
        What is evaluated; by default what most rows are of.
    thresholds_S_per_cm : sequence of float
        What counts as a conductor.
    n_resamples : int
        Resamples of the bootstrap, which draws chemical systems.
    left_out : sequence of LeftOut
        Measurements that were left out before.
    unreadable : mapping of str to str, optional
        Crystals that could not be read, by identifier, and why.

    Raises
    ------
    SettingsError
        When no row has a landscape.
    """
    group = group_of(rows, mobile_species, potential)
    model = load_conductivity()
    if model is not None and model.mobile_species != group.mobile_species:
        model = None  # it says nothing of them, and has learned none
    # A crystal that has several names is one crystal.
    of_name = {row.material_id: row for row in group.rows}
    same = [
        Sample(group.names.get(one.material_id, one.material_id), *_numbers(one)) for one in samples
    ]
    at_room = [one for one in same if ROOM_K[0] <= one.temperature_K <= ROOM_K[1]]
    gone = [*left_out, *(_elsewhere(one) for one in same if one not in at_room)]
    truths, contradictory = _one_each(at_room)
    learned, lacking = [], []
    counted: dict[str, Truth] = {}
    names: dict[str, set[str]] = {}
    for one in samples:
        names.setdefault(group.names.get(one.material_id, one.material_id), set()).add(
            one.material_id
        )
    for name, truth in truths.items():
        row = of_name.get(name)
        known = [(formulas or {}).get(own, "") for own in (name, *sorted(names[name]))]
        known.append("" if row is None else row.formula)
        reasons = (model and model.knows(own, *known) for own in (name, *sorted(names[name])))
        why = next((reason for reason in reasons if reason), None)
        if why is not None:
            learned.append(LeftOut(name, f"in the training set of 'conductivity', {why}"))
        elif row is None:
            absent = f"no row of {group.mobile_species}, {group.potential}"
            lacking.append(LeftOut(name, (unreadable or {}).get(name, absent)))
        elif row.xi is None:
            lacking.append(LeftOut(name, "a row without a landscape"))
        else:
            counted[name] = truth
    systems = {name: of_name[name].chemical_system for name in counted}
    scorers = package_scorers(group, model, bond_valence)
    thresholds = tuple(thresholds_S_per_cm)
    lines = [
        _line(
            one,
            counted,
            systems,
            thresholds,
            n_resamples,
            _conductivities(one, model),
            _half_widths(one, of_name, model),
        )
        for one in scorers
    ]
    return MeasuredEvaluation(
        mobile_species=group.mobile_species,
        potential=group.potential,
        thresholds_S_per_cm=thresholds,
        n_read=len(samples) + len(left_out),
        n_crystals=len(counted),
        n_systems=len(set(systems.values())),
        n_kin=0 if model is None else sum(map(model.kin, systems.values())),
        level=0.0 if model is None else model.level,
        lines=[line for line in lines if line.n],
        left_out=[*gone, *contradictory],
        learned=learned,
        lacking=lacking,
    )


def _numbers(one: Sample) -> tuple[float, bool, float]:
    return one.log10_S_per_cm, one.is_bound, one.temperature_K


def _column(path: Path, columns: Sequence[str], wanted: Sequence[str], role: str) -> str:
    found = [name for name in columns if name in wanted]
    if len(found) == 1:
        return found[0]
    raise SettingsError(
        f"The table {path} has {'no column' if not found else 'more than one column'} that {role}"
        + (f": {', '.join(found)}." if found else f"; it has {', '.join(columns) or 'none'}."),
        hint=f"Name one column {' or '.join(wanted)}.",
    )


def _conductivity(text: str, column: str) -> tuple[float, bool]:
    is_bound = text.startswith("<")
    try:
        value = float(text.lstrip("<≤= "))
    except ValueError:
        raise ValueError(f"{column} is {text!r}, which is not a number") from None
    if not isfinite(value):
        raise ValueError(f"{column} is {text}, which is not finite")
    if column.startswith("log10"):
        found = value
    elif value <= 0:
        raise ValueError(
            f"{column} is {text}, which is not positive: if it is a logarithm, name the column "
            "log10_conductivity_S_per_cm"
        )
    else:
        found = CONDUCTIVITIES[column](value)
    if found > HIGHEST_LOG10:
        raise ValueError(f"{column} is {text}, more than any ionic conductor has: look at its unit")
    return found, is_bound


def _temperature_K(text: str, column: str) -> float:
    try:
        value = float(text) + TEMPERATURES[column]
    except ValueError:
        raise ValueError(f"{column} is {text!r}, which is not a number") from None
    if COLDEST_K <= value <= HOTTEST_K:
        return value
    other = "temperature_C" if column == "temperature_K" else "temperature_K"
    raise ValueError(
        f"{column} is {text}, outside {COLDEST_K:g} to {HOTTEST_K:g} K: if it is in another unit, "
        f"name the column {other}"
    )


def _elsewhere(one: Sample) -> LeftOut:
    celsius = one.temperature_K - TEMPERATURES["temperature_C"]
    text = f"measured at {one.temperature_K:g} K ({celsius:g} C), not at room temperature"
    if ROOM_K[0] <= celsius <= ROOM_K[1]:
        text += f"; if {celsius:g} is in K, name the column temperature_K"
    return LeftOut(one.material_id, text)


def _one_each(samples: Sequence[Sample]) -> tuple[dict[str, Truth], list[LeftOut]]:
    """Return what is known of each crystal, and those whose measurements contradict each other."""
    several: dict[str, list[Sample]] = {}
    for one in samples:
        several.setdefault(one.material_id, []).append(one)
    found, contradictory = {}, []
    for name, own in several.items():
        exact = sorted(one.log10_S_per_cm for one in own if not one.is_bound)
        bound = min((one.log10_S_per_cm for one in own if one.is_bound), default=float("inf"))
        highest, lowest = (exact[-1], min(exact[0], bound)) if exact else (bound, bound)
        if highest - lowest > CONTRADICTION:
            contradictory.append(
                LeftOut(
                    name,
                    f"measured values from {10**lowest:.2g} to {10**highest:.2g} S/cm, "
                    f"{highest - lowest:.1f} decades apart: which is right is not known",
                )
            )
        elif exact:
            found[name] = Truth(name, median(exact), median(exact))
        else:
            found[name] = Truth(name, -float("inf"), bound)
    return found, contradictory


def _conductivities(scorer: Scorer, model: Conductivity | None) -> dict[str, float]:
    """Return log10 of S/cm that a score says: its own, or by a line through the training set."""
    if scorer.unit:
        return scorer.scores
    line = None if model is None else model.lines.get(scorer.name)
    if line is None:
        return {}
    return {name: line[0] + line[1] * value for name, value in scorer.scores.items()}


def _half_widths(
    scorer: Scorer, rows: Mapping[str, ScreeningDocument], model: Conductivity | None
) -> dict[str, float]:
    """Return half of each interval of a score that is a conductivity; none of others."""
    if model is None or scorer.unit != "log10 S/cm":
        return {}
    if scorer.name == "composition":
        last = model.models[-1]
        return {name: last.half_width(value) for name, value in scorer.scores.items()}
    around = {n: model.around(rows[n], v) for n, v in scorer.scores.items() if n in rows}
    return {name: (one.high - one.low) / 2 for name, one in around.items()}


def _line(
    scorer: Scorer,
    truths: Mapping[str, Truth],
    systems: Mapping[str, str],
    thresholds: Sequence[float],
    n_resamples: int,
    said: Mapping[str, float],
    half: Mapping[str, float],
) -> MeasuredLine:
    names = [name for name in sorted(truths) if name in scorer.scores]
    aucs, above = {}, {}
    correlation = _UNDEFINED
    for threshold in thresholds:
        answers = {name: truths[name].exceeds(log10(threshold)) for name in names}
        decided = [name for name in names if answers[name] is not None]
        above[threshold], aucs[threshold] = 0, _UNDEFINED
        if not decided:
            continue
        found = measure(
            [bool(answers[name]) for name in decided],
            [scorer.scores[name] for name in decided],
            [truths[name].value for name in decided],
            [systems[name] for name in decided],
            n_resamples=n_resamples,
        )
        above[threshold], aucs[threshold] = found.n_positive, found.roc_auc
        correlation = found.spearman
    errors: dict[str, Interval | None] = dict.fromkeys(("mae", "r2", "coverage"))
    groups = [systems[name] for name in names]
    y = np.array([truths[name].high for name in names])
    if said and names:
        values = np.array([said[name] for name in names])
        for measure_name, function in (("mae", _mae), ("r2", _r2)):
            errors[measure_name] = bootstrap_interval(
                function, (y, values), n_resamples, groups=groups
            )
        if half:
            width = np.array([half[name] for name in names])
            # "Below" is in an interval that reaches below the bound.
            bound = np.array([truths[name].value is None for name in names])
            inside = (values - width <= y) & ((y <= values + width) | bound)
            errors["coverage"] = bootstrap_interval(np.mean, (inside,), n_resamples, groups=groups)
    return MeasuredLine(
        scorer=scorer.name,
        text=scorer.text,
        kind=scorer.kind,
        n=len(names),
        n_above=above,
        roc_auc=aucs,
        spearman=correlation,
        **errors,
    )


def _mae(y: FloatArray, found: FloatArray) -> float:
    return float(np.mean(np.abs(y - found)))


def _r2(y: FloatArray, found: FloatArray) -> float:
    spread = float(np.sum((y - y.mean()) ** 2))
    return 1 - float(np.sum((y - found) ** 2)) / spread if spread else float("nan")
