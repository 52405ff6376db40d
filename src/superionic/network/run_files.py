"""Files of a training on disk: what cannot be read is said, put aside, and computed again.

A file may have been cut off, or be of another version; neither is worth more than a warning, since
all of it can be made again.
"""

import json
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from superionic.errors import NetworkError
from superionic.files import write_whole

logger = logging.getLogger(__name__)

FORMAT = 1
"""Of the directory of a training; one without a number is of the first format."""

RUN = "run.json"
STATE = "last.ckpt"
WEIGHTS = "network.pt"
METRICS = "metrics.csv"

# What torch and Python raise on files that are cut off, of another kind, or of other content.
UNREADABLE = (
    *(OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    pickle.PickleError,
)


def claim(directory: Path, content: Mapping[str, Any]) -> None:
    """Write what a training is into its directory, or check that it is the same one.

    Parameters
    ----------
    directory : Path
        Of the training; made if it is not there. What another version wrote, or cannot be read, is
        put aside.
    content : mapping
        Settings and data, as plain as JSON.

    Raises
    ------
    NetworkError
        When the directory holds another training.
    """
    path = directory / RUN
    if path.exists():
        stored = _stored(path)
        if stored is None:
            start_again(directory, f"{path} cannot be read")
        elif stored["format"] != FORMAT:
            start_again(directory, f"{path} is of format {stored['format']}, not {FORMAT}")
        elif stored == {"format": FORMAT, **content}:
            return
        else:
            raise NetworkError(
                f"{directory} holds a training with other settings or data.",
                hint="Use another directory, or remove it.",
            )
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"format": FORMAT, **content}) + "\n")


def start_again(directory: Path, reason: str) -> None:
    """Warn, and put aside (``.unreadable``) what a training has left in its directory."""
    logger.warning("%s: this training starts again.", reason)
    for name in (STATE, WEIGHTS, METRICS):
        path = directory / name
        if path.exists():
            path.replace(path.with_name(f"{name}.unreadable"))


def check_state(path: Path, expected: Mapping[str, torch.Tensor], own: frozenset[str]) -> None:
    """Check that a state can be gone on from.

    Parameters
    ----------
    path : Path
        What was written after an epoch.
    expected : mapping of str to Tensor
        Weights that it must have.
    own : frozenset of str
        What it must hold besides lightning's own.

    Raises
    ------
    Exception
        One of :data:`UNREADABLE`, when it cannot be read or is of something else.
    """
    state = torch.load(path, weights_only=True, map_location="cpu")
    shapes = {name: value.shape for name, value in state["state_dict"].items()}
    if shapes != {name: value.shape for name, value in expected.items()}:
        raise ValueError("other weights")
    if state["superionic"].keys() != own:
        raise ValueError("another state")


def _stored(path: Path) -> dict[str, Any] | None:
    """Return what a directory says it is of; None where that cannot be read."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return {"format": 1, **stored} if isinstance(stored, dict) else None
