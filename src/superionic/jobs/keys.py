"""The key under which work is found again."""

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from superionic.schemas.common import SCHEMA_VERSION

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def task_key(
    material_id: str,
    structure_hash: str,
    mobile_species: str,
    potential: str,
    maker: "DataclassInstance",
) -> str:
    """Return a key that is equal when crystal, species, potential and all settings are equal.

    Parameters
    ----------
    material_id : str
        Identifier under which the result is wanted.
    structure_hash : str
        Hash of the crystal as it was read.
    mobile_species : str
        Element symbol.
    potential : str
        Specification of the potential; its weights hash is compared beside the key.
    maker : dataclass
        The Maker of the flow with its nested settings.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    settings = asdict(maker)
    content = [SCHEMA_VERSION, material_id, structure_hash, mobile_species, potential, settings]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
