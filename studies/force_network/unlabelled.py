"""Crystals without labels: for pretraining, and to be learned beside those with labels."""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from studies.force_network.settings import UnlabelledSettings
from superionic.errors import DisorderError, InputError, NetworkError, SuperionicError
from superionic.network.data import LabelledCrystal, TrainingSet
from superionic.network.labels import Descriptors, further_targets
from superionic.network.settings import (
    OF_LABELS,
    LabelRules,
    ShakeSettings,
)
from superionic.network.shakes import Shakes, atoms_of
from superionic.network.training_data import cached_shakes
from superionic.potentials.base import Potential
from superionic.structures.readers import read_candidates


def read_crystals(
    settings: UnlabelledSettings,
    shakes: ShakeSettings,
    potential: Potential,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    rules: LabelRules | None = None,
    descriptors: Descriptors | None = None,
    leave_out: Collection[str] = (),
    failed: Callable[[str, SuperionicError], object] = lambda name, error: None,
) -> TrainingSet:
    """Read crystals and shake them; their slopes are unknown (NaN).

    Crystals that cannot be used (unreadable, disordered, too large, unknown elements, forces that
    are no numbers) are left out, and ``failed`` hears of each. So are those without the mobile ion,
    and those of which no further target is known, where there are any: these were not asked for.

    Parameters
    ----------
    settings : UnlabelledSettings
        Which crystals; paths are relative to the current directory.
    shakes : ShakeSettings
        Of the labelled crystals.
    potential : Potential
        Gives the forces.
    directory : Path
        Where shakes are kept.
    progress : callable
        Called with the numbers of crystals done and of all.
    rules : LabelRules, optional
        Name the further targets.
    descriptors : mapping, optional
        Where these come from.
    leave_out : collection of str
        Identifiers of crystals that are left out, since they have labels.
    failed : callable
        Called with the name of a crystal that cannot be used, and its error.

    Raises
    ------
    NetworkError
        When no crystal is left.
    """
    rules = rules or LabelRules()
    chosen = replace(shakes, n_shakes=settings.n_shakes, max_atoms=settings.max_atoms)
    read = list(read_candidates([Path(path) for path in settings.crystals]))
    crystals: list[LabelledCrystal] = []
    shaken: list[Shakes] = []
    for number, candidate in enumerate(read, start=1):
        progress(number, len(read))
        if isinstance(candidate, InputError):
            failed(candidate.material_id or "a crystal", candidate)
            continue
        further = further_targets(candidate.material_id, rules, descriptors)
        unknown = bool(further) and not any(math.isfinite(value) for value in further.values())
        if unknown or candidate.material_id in leave_out:
            continue
        structure = candidate.structure
        if settings.mobile_species not in {one.symbol for one in structure.elements}:
            continue
        if not structure.is_ordered:
            failed(
                candidate.material_id,
                DisorderError("It has partial occupancies.", hint="Order it first."),
            )
            continue
        atoms = atoms_of(structure)
        try:
            found = cached_shakes(atoms, potential, chosen, directory)
        except SuperionicError as error:
            failed(candidate.material_id, error)
            continue
        crystals.append(
            LabelledCrystal(
                material_id=candidate.material_id,
                formula=structure.composition.reduced_formula,
                atoms=atoms,
                mobile_species=settings.mobile_species,
                verdict="unknown",
                slope_A2_per_ps=math.nan,
                targets=dict.fromkeys(OF_LABELS, math.nan) | further,
                potential=potential.info.label,
                potential_weights_sha256=potential.info.weights_sha256,
            )
        )
        shaken.append(found)
    if not crystals:
        raise NetworkError(
            f"No crystal of {', '.join(Path(path).name for path in settings.crystals)} is left.",
            hint="Name ordered crystals that hold the mobile ion; where descriptors are learned, "
            "some that have them.",
        )
    return TrainingSet(tuple(crystals), tuple(shaken), rules)
