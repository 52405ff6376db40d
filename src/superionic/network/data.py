"""Labelled crystals, and what is learned of them."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from superionic.errors import NetworkError
from superionic.network.settings import DIFFUSING, TARGET, LabelRules, settings_to_dict
from superionic.network.shakes import Shakes


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
        What is learned; NaN where unknown.
    potential, potential_weights_sha256 : str
        What gave the label.
    production_ps : float
        Length of the run that gave the label, in ps; NaN where unknown.
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
    production_ps: float = math.nan

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
    """Labels that are learned, and how many were left out.

    Parameters
    ----------
    crystals : tuple of LabelledCrystal
        In the order of their identifiers.
    train_only : tuple of LabelledCrystal
        Crystals that are learned by a label of a lower temperature and never tested.
    left_out : dict of str to int
        Rows left out, by reason.
    """

    crystals: tuple[LabelledCrystal, ...]
    train_only: tuple[LabelledCrystal, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.crystals)

    @property
    def potentials(self) -> dict[str, int]:
        """Number of labels that each potential gave, those for training only included."""
        return dict(Counter(c.potential for c in (*self.crystals, *self.train_only)))

    def n_not_of(self, weights_sha256: str) -> int:
        """Return how many labels another potential gave, those for training only included."""
        everything = (*self.crystals, *self.train_only)
        return sum(c.potential_weights_sha256 != weights_sha256 for c in everything)

    @property
    def longest_ps(self) -> float | None:
        """Length of the longest run that gave a label, in ps; None where none says its length."""
        known = [
            c.production_ps
            for c in (*self.crystals, *self.train_only)
            if math.isfinite(c.production_ps)
        ]
        return max(known, default=None)


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
