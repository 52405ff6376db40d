"""Trained force networks by name: a file, or the one that comes with the package."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from superionic.errors import NetworkError
from superionic.network.inference import Ensemble, shipped_ensemble
from superionic.settings import get_settings


@dataclass(frozen=True)
class NamedNetwork:
    """An ensemble with what identifies it.

    Parameters
    ----------
    name : str
        Name of its file, without the ending.
    sha256 : str
        Hash of its file.
    ensemble : Ensemble
        The networks.
    """

    name: str
    sha256: str
    ensemble: Ensemble


def network_path(network: str | None = None) -> Path:
    """Return the file of a network.

    Parameters
    ----------
    network : str or None
        A path; None means the ensemble that comes with the package.

    Raises
    ------
    NetworkError
        When there is no such file, or the package comes without one.
    """
    if network is None:
        return shipped_ensemble()
    path = Path(network).expanduser().resolve()
    if not path.is_file():
        raise NetworkError(f"There is no file {path}.", hint="Name a trained network.")
    return path


def load_network(network: str | None = None) -> NamedNetwork:
    """Load a network, once per process as long as its file does not change.

    Parameters
    ----------
    network : str or None
        A path; None means the ensemble that comes with the package.

    Raises
    ------
    NetworkError
        When there is no such file, it is none of ours, of another version, or damaged.
    """
    path = network_path(network)
    stat = path.stat()
    return _load(path, stat.st_mtime_ns, stat.st_size, get_settings().device)


@lru_cache(maxsize=4)
def _load(path: Path, modified_ns: int, size: int, device: str) -> NamedNetwork:
    from superionic.potentials.batched import resolve_device

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return NamedNetwork(path.stem, sha256, Ensemble.load(path, resolve_device(device)))
