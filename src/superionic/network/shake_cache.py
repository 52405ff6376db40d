"""Shakes kept on disk: forces are computed once."""

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from superionic.errors import SuperionicError
from superionic.network.settings import ShakeSettings
from superionic.network.shakes import Shakes, shake_crystal, shakes_key
from superionic.potentials.base import Potential


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
    # Two studies at once may shake the same crystal.
    fresh = path.with_suffix(f".{os.getpid()}.new.npz")
    np.savez_compressed(fresh, **shakes.to_arrays())  # type: ignore[arg-type]
    fresh.replace(path)
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
