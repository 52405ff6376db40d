"""Reading of published labels: which rows are learned, and as what."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from superionic.dynamics.settings import planned_ps
from superionic.errors import NetworkError, SettingsError, UnreadableFileError
from superionic.network.data import LabelledCrystal, LabelSet
from superionic.network.settings import DIFFUSING, MSD, TARGET, LabelRules
from superionic.units import BOLTZMANN_eV_per_K

Descriptors = Mapping[str, Mapping[str, float]]
"""Further numbers of a crystal by its identifier and their names."""
_MSD_LAGS_PS = (1.5, 2.5)
_COLUMNS = ("material_id", "formula", "mobile_species", "verdict", "structure", "potential")


def read_labels(
    *paths: Path, rules: LabelRules | None = None, descriptors: Descriptors | None = None
) -> LabelSet:
    """Read published data sets of labels (JSON lines, see ``datasets/README.md``).

    Parameters
    ----------
    paths : Path
        The files; of several labels of a crystal the longest run counts.
    rules : LabelRules, optional
        What is learned of them.
    descriptors : mapping, optional
        Where targets that are descriptors come from.

    Raises
    ------
    SettingsError
        When a target is no descriptor of any of the crystals.
    UnreadableFileError
        When a file cannot be read or a line is no label, naming the line.
    NetworkError
        When no row is left.
    """
    labels = labels_from_rows([row for path in paths for row in _rows(path)], rules, descriptors)
    if not labels.crystals:
        names = ", ".join(str(path) for path in paths)
        left_out = ", ".join(f"{count} {name}" for name, count in labels.left_out.items())
        raise NetworkError(
            f"{names} has no label that can be learned (left out: {left_out or 'none'}).",
            hint="Label more crystals with 'superionic label', or leave fewer out.",
        )
    return labels


def _rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of labels.

    Raises
    ------
    UnreadableFileError
        When it cannot be read or a line is no label.
    """
    try:
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(
            f"The labels {path} cannot be read ({type(error).__name__}: {error}).",
            hint="Name a file that 'superionic label --export' wrote.",
        ) from error
    for number, row in enumerate(rows, start=1):
        missing = [c for c in _COLUMNS if not isinstance(row, dict) or c not in row]
        if missing:
            raise UnreadableFileError(
                f"Line {number} of {path} is no label: {', '.join(missing)} missing.",
                hint="Name a file that 'superionic label --export' wrote.",
            )
    return rows


def labels_from_rows(
    rows: Iterable[Mapping[str, Any]],
    rules: LabelRules | None = None,
    descriptors: Descriptors | None = None,
) -> LabelSet:
    """Return the labels that are learned from rows of a data set.

    Of several rows of one crystal that counts whose run was planned longest, the first of equals. A
    row without a slope, or with a verdict that the rules exclude, is left out. Rows of a lower
    temperature stand in for it where the rules give an activation energy, the hottest first.

    Raises
    ------
    SettingsError
        When a target is no descriptor of any of the crystals, or rows of several temperatures are
        given and the rules name none.
    """
    rules = rules or LabelRules()
    found: dict[str, LabelledCrystal] = {}
    train_only: dict[str, LabelledCrystal] = {}
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    own, colder, other = _by_temperature(rows, rules)
    for row in sorted(own, key=_longest_first):
        if row["material_id"] in seen:
            left_out["second label of a crystal"] += 1
            continue
        seen.add(row["material_id"])
        if reason := _unusable(row, rules):
            left_out[reason] += 1
        else:
            known = further_targets(row["material_id"], rules, descriptors)
            found[row["material_id"]] = _crystal(row, float(row["label_A2_per_ps"]), rules, known)
    for row in sorted(colder, key=lambda row: (-row["temperature_K"], _longest_first(row))):
        name = row["material_id"]
        if name not in found and name not in train_only and not _unusable(row, rules):
            known = further_targets(name, rules, descriptors)
            slope_A2_per_ps = float(row["label_A2_per_ps"]) * _arrhenius(row, rules)
            train_only[name] = _crystal(row, slope_A2_per_ps, rules, known, of_slope_alone=True)
    if other:
        left_out["of another temperature"] = other
    ordered = tuple(found[name] for name in sorted(found))
    _require_targets(ordered, rules)
    return LabelSet(ordered, tuple(train_only[name] for name in sorted(train_only)), dict(left_out))


def _by_temperature(
    rows: Iterable[Mapping[str, Any]], rules: LabelRules
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], int]:
    """Return the rows of the temperature that is learned, colder ones, and the number of others.

    A row that does not say its temperature is taken to be of that which is learned.
    """
    rows = list(rows)
    wanted_K = rules.temperature_K
    if wanted_K is None:
        told = {row["temperature_K"] for row in rows if row.get("temperature_K") is not None}
        if len(told) > 1:
            raise SettingsError(
                f"The labels are of several temperatures ({', '.join(map(str, sorted(told)))} K).",
                hint="Say which is learned: 'labels: {temperature_K: 1000}'.",
            )
        return rows, [], 0
    own: list[Mapping[str, Any]] = []
    colder: list[Mapping[str, Any]] = []
    for row in rows:
        temperature_K = row.get("temperature_K") or wanted_K
        if math.isclose(temperature_K, wanted_K):
            own.append(row)
        elif temperature_K < wanted_K and rules.activation_energy_eV is not None:
            colder.append(row)
    return own, colder, len(rows) - len(own) - len(colder)


def _longest_first(row: Mapping[str, Any]) -> float:
    return -planned_ps(row.get("settings") or {})


def _unusable(row: Mapping[str, Any], rules: LabelRules) -> str | None:
    """Return why a row cannot be learned; None where it can."""
    slope = row.get("label_A2_per_ps")
    if row["verdict"] in rules.exclude_verdicts:
        return str(row["verdict"])
    return "without a slope" if slope is None or not math.isfinite(slope) else None


def _arrhenius(row: Mapping[str, Any], rules: LabelRules) -> float:
    """Return by what a colder row's slope is multiplied."""
    assert rules.temperature_K is not None, "there are no colder rows without it"
    assert rules.activation_energy_eV is not None, "nor without this"
    difference = 1.0 / row["temperature_K"] - 1.0 / rules.temperature_K
    return math.exp(rules.activation_energy_eV / BOLTZMANN_eV_per_K * difference)


def further_targets(
    material_id: str, rules: LabelRules, descriptors: Descriptors | None
) -> dict[str, float]:
    """Return the targets of a crystal that are descriptors; NaN where there is no number."""
    row = (descriptors or {}).get(material_id, {})
    return {name: _number(row.get(name)) for name in rules.descriptors}


def _require_targets(crystals: Sequence[LabelledCrystal], rules: LabelRules) -> None:
    """Raise where a target that is a descriptor is known of no crystal.

    Raises
    ------
    SettingsError
        Naming the target.
    """
    for name in rules.descriptors:
        if crystals and not any(math.isfinite(c.targets[name]) for c in crystals):
            raise SettingsError(
                f"The target '{name}' is no descriptor of any labelled crystal.",
                hint="Name a number of the study's file 'descriptors:', or 'diffusing'.",
            )


def _crystal(
    row: Mapping[str, Any],
    slope_A2_per_ps: float,
    rules: LabelRules,
    further: Mapping[str, float],
    *,
    of_slope_alone: bool = False,
) -> LabelledCrystal:
    structure = row["structure"]
    diffusing = {"diffusing": 1.0, "not_diffusing": 0.0}.get(row["verdict"], math.nan)
    log10_slope = math.log10(max(slope_A2_per_ps, rules.floor_A2_per_ps))
    return LabelledCrystal(
        material_id=row["material_id"],
        formula=row["formula"],
        atoms=Atoms(
            structure["species"],
            scaled_positions=structure["frac_coords"],
            cell=structure["lattice"],
            pbc=True,
        ),
        mobile_species=row["mobile_species"],
        verdict=row["verdict"],
        slope_A2_per_ps=slope_A2_per_ps,
        targets={
            TARGET: log10_slope,
            DIFFUSING: math.nan if of_slope_alone else diffusing,
            MSD: math.nan if of_slope_alone else _log10_msd(row.get("msd")),
            **further,
        },
        potential=row["potential"],
        potential_weights_sha256=row.get("potential_weights_sha256", ""),
        raw_slope_A2_per_ps=_number(row.get("msd_slope_A2_per_ps")),
        slope_error_A2_per_ps=_number(row.get("msd_slope_error_A2_per_ps")),
        production_ps=_number(row.get("production_ps")),
    )


def _log10_msd(curve: Mapping[str, Any] | None) -> float:
    """Return log10 of the displacement around 2 ps in A^2; NaN without a curve that is so long."""
    if curve is None:
        return math.nan
    low, high = _MSD_LAGS_PS
    pairs = zip(curve["lags_ps"], curve["mobile_A2"], strict=True)
    chosen = [msd for lag, msd in pairs if low <= lag <= high]
    if not chosen or not (mean := sum(chosen) / len(chosen)) > 0:
        return math.nan
    return math.log10(mean)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
