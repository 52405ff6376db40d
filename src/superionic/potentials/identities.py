"""Identities of potentials that were loaded before: found again without loading them.

Loading a potential takes seconds, and its hash is that of its parameters. The files that they come
from say whether they are still the same: an identity is kept in ``cache_dir`` of the settings by
the paths, sizes and times of these files and the version of the package.
"""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from superionic.files import cache_file, keep
from superionic.potentials.base import PotentialInfo, package_version

IDENTITY_VERSION: Final = 1
"""To be raised whenever parameters are hashed in another way."""

_MOST_FILES = 20


def known_identity(
    spec: str, package: str, files: Sequence[Path], load: Callable[[], PotentialInfo]
) -> PotentialInfo:
    """Return the identity of a potential, that of the last time while its files are the same.

    Parameters
    ----------
    spec : str
        The canonical specification.
    package : str
        Module that evaluates it.
    files : sequence of Path
        All files that its parameters come from; without any, it is loaded.
    load : callable
        Loads it and returns its identity.
    """
    path = _cache_path(spec, package, files)
    if path is None:
        return load()
    try:
        return PotentialInfo(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # no file, no text, or no identity
        pass
    info = load()
    keep(path, json.dumps(asdict(info)))
    return info


def files_of(name: str, package: str, folder: str) -> list[Path]:
    """Return the files that a model is loaded from, nothing where they cannot be told.

    Parameters
    ----------
    name : str
        Path of a checkpoint or of a folder with one; or a model of the package.
    package : str
        Module whose package has models of its own.
    folder : str
        Where in the package this one lies, or anywhere; empty for none.
    """
    path = Path(name)
    if not path.exists():
        found = importlib.util.find_spec(package) if folder else None
        if found is None or found.origin is None:
            return []
        path = Path(found.origin).parent / folder
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return files if len(files) <= _MOST_FILES else []


def _cache_path(spec: str, package: str, files: Sequence[Path]) -> Path | None:
    try:
        stats = [(str(file), (known := file.stat()).st_size, known.st_mtime_ns) for file in files]
    except OSError:
        return None
    if not stats:
        return None
    key = json.dumps([IDENTITY_VERSION, spec, package_version(package), stats])
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    return cache_file("identities", f"{name}.json")
