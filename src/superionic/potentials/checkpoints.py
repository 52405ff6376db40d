"""Checkpoints are data: one that would run code while it is loaded is refused."""

import json
import pickle
import re
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from superionic.errors import PotentialError


def load_plain(path: str | PathLike[str], parts: Sequence[str]) -> Any:
    """Return what a file of torch holds: numbers, texts, tensors and arrays, and nothing else.

    Parameters
    ----------
    path : str or path-like
        A checkpoint, as ``torch.save`` writes it.
    parts : sequence of str
        What the potential is made from; the hint says how to keep these alone.

    Raises
    ------
    PotentialError
        When it holds objects, which torch would make by running their code.
    pickle.UnpicklingError, RuntimeError, OSError
        When it cannot be read.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_array_types()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if (foreign := _foreign(error)) is None:
            raise
        kept = ", ".join(repr(part) for part in parts)
        raise PotentialError(
            f"{path} holds more than numbers, and would run code while it is loaded ({foreign}).",
            hint="If you trust whoever made it, write its weights anew, in Python: "
            "c = torch.load(OLD, weights_only=False); "
            f"torch.save({{k: c[k] for k in ({kept},)}}, NEW). Then name NEW.",
        ) from None


def require_package(model_json: Path, model_pt: Path, package: str) -> None:
    """Refuse a model whose files name classes outside the package that reads it.

    Parameters
    ----------
    model_json, model_pt : Path
        The files that say which classes it is made of.
    package : str
        The package.

    Raises
    ------
    PotentialError
        With the foreign module.
    """
    described = json.loads(model_json.read_text())
    for module in _modules([described, load_plain(model_pt, ())]):
        if module != package and not module.startswith(f"{package}."):
            raise PotentialError(
                f"{model_json.parent} would run code of the module {module!r} while it is loaded.",
                hint=f"A model of {package} names classes of {package} alone: do not use this one.",
            )


def _modules(value: Any) -> Iterator[str]:
    """Yield the modules that are named at any depth."""
    if isinstance(value, dict):
        if "@module" in value:
            yield str(value["@module"])
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _modules(one)


def _array_types() -> list[Any]:
    """Return what arrays of NumPy are written with, under their old names, too."""
    rebuild = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    names = [(one, f"numpy.core.multiarray.{one.__name__}") for one in (rebuild, scalar)]
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")]
    return [np.ndarray, np.dtype, rebuild, scalar, *names, *kinds]


def _foreign(error: Exception) -> str | None:
    """Return the function or class that torch refuses to load, from its long message."""
    found = re.search(r"GLOBAL ([\w.]+\w)", str(error))
    return found[1] if found else None
