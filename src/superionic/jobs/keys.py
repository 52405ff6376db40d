"""The key under which work is found again."""

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

from jobflow import Maker

from superionic.schemas.common import SCHEMA_VERSION


def task_key(material_id: str, structure_hash: str, maker: Maker) -> str:
    """Return a key that is equal when the crystal and all that can change numbers are equal.

    Parameters
    ----------
    material_id : str
        Identifier under which the result is wanted.
    structure_hash : str
        Hash of the crystal as it was read.
    maker : Maker
        The Maker of the flow with its nested Makers and settings, the mobile species and the
        canonical specification of the potential among them. The hash of the potential's weights
        is compared beside the key.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    content = [SCHEMA_VERSION, material_id, structure_hash, _settings(maker)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _settings(value: Any) -> Any:
    """Return what can change numbers: the classes and fields of Makers, but not their names."""
    if not is_dataclass(value):
        return value
    named = {"name"} if isinstance(value, Maker) else set()
    content = {
        field.name: _settings(getattr(value, field.name))
        for field in fields(value)
        if field.name not in named
    }
    return {"class": type(value).__qualname__, **content}
