"""Labels and shakes, kept on disk: a bad crystal is left out by name, and the rest goes on."""

import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from ase import Atoms

from superionic.errors import NetworkError, SuperionicError
from superionic.files import whole_file
from superionic.network.data import LabelledCrystal, LabelSet, TrainingSet
from superionic.network.settings import LabelRules, ShakeSettings
from superionic.network.shakes import Shakes, shake_crystal, shakes_key
from superionic.potentials.base import Potential


class TrainingReporter(Protocol):
    """Who hears how far a training is."""

    def say(self, text: str) -> None:
        """Hear one line."""

    def step(self, name: str, done: int, total: int, text: str = "") -> None:
        """Hear how much of a step is done."""


@dataclass
class TrainingData:
    """What networks learn from: labelled crystals, and their shakes.

    Parameters
    ----------
    labels_of : callable
        Reads the labels by some rules.
    potential : Potential
        Shakes the crystals.
    directory : Path
        Where shakes are kept.
    reporter : TrainingReporter
        Hears how far it is, and who is left out.
    """

    labels_of: Callable[[LabelRules], LabelSet]
    potential: Potential
    directory: Path
    reporter: TrainingReporter
    _failed: dict[tuple[ShakeSettings, LabelRules], dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict), init=False
    )
    _said: set[str] = field(default_factory=set, init=False)

    def training_set(self, shakes: ShakeSettings, rules: LabelRules) -> TrainingSet:
        """Return the labelled crystals that can be shaken.

        Raises
        ------
        NetworkError
            When none can.
        """
        crystals = self.labels_of(rules).crystals
        found = self._shaken(crystals, shakes, rules)
        if found is None:
            name, reason = next(iter(self._failed[shakes, rules].items()))
            raise NetworkError(
                f"None of {len(crystals)} labelled crystals can be shaken ({name}: {reason}).",
                hint="Check the potential, and the amplitude and max_atoms of 'shakes:'.",
            )
        return found

    def train_only(self, shakes: ShakeSettings, rules: LabelRules) -> TrainingSet | None:
        """Return the crystals that are learned and never tested; None without any."""
        return self._shaken(self.labels_of(rules).train_only, shakes, rules)

    def learned(self, shakes: ShakeSettings, rules: LabelRules) -> LabelSet:
        """Return the labels that are learned: those of crystals that could be shaken.

        Those that could not are among ``left_out``; it knows of those whose training set was made.
        """
        labels = self.labels_of(rules)
        failed = self._failed.get((shakes, rules), {})
        return replace(
            labels,
            crystals=tuple(c for c in labels.crystals if c.material_id not in failed),
            train_only=tuple(c for c in labels.train_only if c.material_id not in failed),
            left_out=dict(Counter(labels.left_out) + Counter(failed.values())),
        )

    def _shaken(
        self, crystals: Sequence[LabelledCrystal], shakes: ShakeSettings, rules: LabelRules
    ) -> TrainingSet | None:
        found = shake_all(
            [crystal.atoms for crystal in crystals],
            self.potential,
            shakes,
            self.directory,
            self.step_of(f"shakes of {_amplitudes(shakes)} A"),
        )
        kept = []
        for crystal, one in zip(crystals, found, strict=True):
            if isinstance(one, SuperionicError):
                self._failed[shakes, rules][crystal.material_id] = self.leave_out(
                    crystal.material_id, one
                )
            else:
                kept.append((crystal, one))
        if not kept:
            return None
        return TrainingSet(tuple(c for c, _ in kept), tuple(s for _, s in kept), rules)

    def leave_out(self, name: str, error: SuperionicError) -> str:
        """Say who is left out and why, once; return the reason in few words."""
        text = f"{name} is left out: {error.message}"
        if text not in self._said:
            self._said.add(text)
            self.reporter.say(text)
        return error.code.replace("_", " ")

    def step_of(self, name: str) -> Callable[[int, int], None]:
        """Return what hears how much of a step is done."""
        return lambda done, total: self.reporter.step(name, done, total)


def _amplitudes(shakes: ShakeSettings) -> str:
    return ", ".join(f"{amplitude:g}" for amplitude in shakes.amplitudes_A)


def cached_shakes(
    atoms: Atoms, potential: Potential, settings: ShakeSettings, directory: Path
) -> Shakes:
    """Return the shakes of a crystal, from the directory if they are there.

    Parameters
    ----------
    atoms, potential, settings
        As for :func:`superionic.network.shakes.shake_crystal`.
    directory : Path
        Where files are; made if it is not there. A damaged file is computed again.
    """
    path = directory / f"{shakes_key(atoms, potential.info, settings)}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Shakes.from_arrays(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    shakes = shake_crystal(atoms, potential, settings)
    directory.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as fresh:  # two studies at once may shake the same crystal
        np.savez_compressed(fresh, **shakes.to_arrays())  # type: ignore[arg-type]
    return shakes


def shake_all(
    crystals: Sequence[Atoms],
    potential: Potential,
    settings: ShakeSettings,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Shakes | SuperionicError]:
    """Return the shakes of several crystals, or for one that cannot be shaken its error.

    Parameters
    ----------
    crystals : sequence of Atoms
        At equilibrium.
    potential, settings, directory
        As for :func:`cached_shakes`.
    progress : callable
        Called with the numbers of crystals done and of all.
    """
    found: list[Shakes | SuperionicError] = []
    for number, atoms in enumerate(crystals, start=1):
        try:
            found.append(cached_shakes(atoms, potential, settings, directory))
        except SuperionicError as error:
            found.append(error)
        progress(number, len(crystals))
    return found
