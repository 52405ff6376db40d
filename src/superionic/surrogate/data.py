"""Labelled crystals, and what is learnt of them."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.diffusion.md_settings import planned_ps
from superionic.errors import NetworkError, SettingsError, UnreadableFileError
from superionic.surrogate.descriptors import Descriptors
from superionic.surrogate.settings import DIFFUSING, MSD, TARGET, LabelRules, settings_to_dict
from superionic.surrogate.shakes import Shakes

_MSD_LAGS_PS = (1.5, 2.5)
_COLUMNS = ("material_id", "formula", "mobile_species", "verdict", "structure", "potential")


@dataclass(frozen=True)
class LabelledCrystal:
    """A crystal at equilibrium with what dynamics says of it.

    Parameters
    ----------
    material_id, formula : str
        What it is.
    atoms : Atoms
        The crystal before the supercell.
    mobile_species : str
        The mobile ion; for controls and reports, never for the network.
    verdict : str
        ``diffusing``, ``not_diffusing``, ``melted`` or ``unconverged``.
    slope_A2_per_ps : float
        The slope of the data set, clipped from below at 1e-4 A^2/ps.
    raw_slope_A2_per_ps, slope_error_A2_per_ps : float
        The slope as fitted, which may be negative, and its standard error; NaN where unknown.
    targets : dict of str to float
        What is learnt; NaN where unknown.
    potential, potential_weights_sha256 : str
        What gave the label.
    """

    material_id: str
    formula: str
    atoms: Atoms
    mobile_species: str
    verdict: str
    slope_A2_per_ps: float
    targets: dict[str, float]
    potential: str
    potential_weights_sha256: str
    raw_slope_A2_per_ps: float = math.nan
    slope_error_A2_per_ps: float = math.nan

    @property
    def chemical_system(self) -> str:
        """Return the elements in alphabetical order, joined by hyphens."""
        return "-".join(sorted(set(self.atoms.get_chemical_symbols())))

    @property
    def diffusing(self) -> bool | None:
        """Return the verdict as yes or no; None where it is neither."""
        return {"diffusing": True, "not_diffusing": False}.get(self.verdict)

    @property
    def digest(self) -> str:
        """Return the hash of crystal and label."""
        content = [
            self.material_id,
            np.round(self.atoms.cell.array, 6).tolist(),
            np.round(self.atoms.get_positions(), 5).tolist(),
            self.atoms.numbers.tolist(),
            self.verdict,
            round(self.slope_A2_per_ps, 8),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class LabelSet:
    """Labels that are learnt, and how many were left out.

    Parameters
    ----------
    crystals : tuple of LabelledCrystal
        In the order of their identifiers.
    left_out : dict of str to int
        Rows left out, by reason.
    """

    crystals: tuple[LabelledCrystal, ...]
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.crystals)


@dataclass(frozen=True)
class TrainingSet:
    """Labelled crystals with their shakes, in one order.

    Parameters
    ----------
    crystals : tuple of LabelledCrystal
        At least one.
    shakes : tuple of Shakes
        One for each crystal.
    rules : LabelRules
        What made targets of the labels.

    Raises
    ------
    NetworkError
        When it is empty, or the lengths differ.
    """

    crystals: tuple[LabelledCrystal, ...]
    shakes: tuple[Shakes, ...]
    rules: LabelRules = field(default_factory=LabelRules)

    def __post_init__(self) -> None:
        if not self.crystals:
            raise NetworkError(
                "There is no labelled crystal to learn from.",
                hint="Label crystals with 'superionic label', or leave fewer out.",
            )
        if len(self.crystals) != len(self.shakes):
            raise NetworkError(
                f"{len(self.crystals)} labelled crystals with {len(self.shakes)} sets of shakes.",
                hint="Shake every crystal.",
            )

    def __len__(self) -> int:
        return len(self.crystals)

    @cached_property
    def targets(self) -> NDArray[np.float64]:
        """Targets, shape (n_crystals, n_targets); NaN where unknown."""
        return np.array([[c.targets[name] for name in self.rules.targets] for c in self.crystals])

    @property
    def groups(self) -> list[str]:
        """Chemical system of each crystal."""
        return [crystal.chemical_system for crystal in self.crystals]

    def subset(self, indices: Iterable[int]) -> "TrainingSet":
        """Return some of the crystals."""
        chosen = list(indices)
        return TrainingSet(
            tuple(self.crystals[i] for i in chosen),
            tuple(self.shakes[i] for i in chosen),
            self.rules,
        )

    def joined(self, other: "TrainingSet") -> "TrainingSet":
        """Return the crystals of both, these first; the rules are these."""
        return TrainingSet(self.crystals + other.crystals, self.shakes + other.shakes, self.rules)

    def sha256(self) -> str:
        """Return the hash of crystals, labels, rules and shakes; their order does not matter."""
        # Slope and verdict are part of the crystal's own hash.
        further = [name for name in self.rules.targets if name not in (TARGET, DIFFUSING)]
        rows = [
            [
                crystal.digest,
                shakes.potential.weights_sha256,
                shakes.seed,
                np.round(shakes.amplitudes_A, 6).tolist(),
                shakes.mass_exponent,
                *(float(f"{crystal.targets[name]:.8g}") for name in further),
            ]
            for crystal, shakes in zip(self.crystals, self.shakes, strict=True)
        ]
        content = [sorted(rows), settings_to_dict(self.rules)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_labels(
    *paths: Path, rules: LabelRules | None = None, descriptors: Descriptors | None = None
) -> LabelSet:
    """Read published data sets of labels (JSON lines, see ``datasets/README.md``).

    Parameters
    ----------
    paths : Path
        The files; of several labels of a crystal the longest run counts.
    rules : LabelRules, optional
        What is learnt of them.
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
            f"{names} has no label that can be learnt (left out: {left_out or 'none'}).",
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
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
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
    """Return the labels that are learnt from rows of a data set.

    Of several rows of one crystal that counts whose run was planned longest, the first of equals. A
    row without a slope, or with a verdict that the rules exclude, is left out.

    Raises
    ------
    SettingsError
        When a target is no descriptor of any of the crystals.
    """
    rules = rules or LabelRules()
    found: dict[str, LabelledCrystal] = {}
    left_out: Counter[str] = Counter()
    seen: set[str] = set()
    # The sort is stable.
    for row in sorted(rows, key=lambda row: -planned_ps(row.get("settings") or {})):
        slope = row.get("label_A2_per_ps")
        if row["material_id"] in seen:
            left_out["second label of a crystal"] += 1
            continue
        seen.add(row["material_id"])
        if row["verdict"] in rules.exclude_verdicts:
            left_out[row["verdict"]] += 1
        elif slope is None or not math.isfinite(slope):
            left_out["without a slope"] += 1
        else:
            known = further_targets(row["material_id"], rules, descriptors)
            found[row["material_id"]] = _crystal(row, float(slope), rules, known)
    ordered = tuple(found[name] for name in sorted(found))
    _require_targets(ordered, rules)
    return LabelSet(ordered, dict(left_out))


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
            DIFFUSING: diffusing,
            MSD: _log10_msd(row.get("msd")),
            **further,
        },
        potential=row["potential"],
        potential_weights_sha256=row.get("potential_weights_sha256", ""),
        raw_slope_A2_per_ps=_number(row.get("msd_slope_A2_per_ps")),
        slope_error_A2_per_ps=_number(row.get("msd_slope_error_A2_per_ps")),
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
