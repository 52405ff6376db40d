"""What every stored document carries."""

import base64
import math
import zlib
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
from jobflow import CURRENT_JOB
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, field_validator
from pymatgen.core import Structure

from superionic import __version__
from superionic.errors import InputError
from superionic.potentials.base import PotentialInfo
from superionic.schemas.document import (
    LABEL_TEMPERATURE_K,
    SCHEMA_VERSION,
    Document,
    Warning_,
    utc_now,
)
from superionic.structures.plain import structure_from_dict

__all__ = [
    "LABEL_TEMPERATURE_K",
    "SCHEMA_VERSION",
    "Crystal",
    "Document",
    "MaterialDocument",
    "PackedArray",
    "PotentialDocument",
    "SourcedDocument",
    "Warning_",
    "current_job_uuid",
    "finite",
    "utc_now",
]


def finite(value: float) -> float | None:
    """Return a number, or None for an infinite one, which MongoDB queries and JSON do not share."""
    return value if math.isfinite(value) else None


def current_job_uuid() -> str | None:
    """Return the uuid of the jobflow job that is running, None outside a job."""
    job = CURRENT_JOB.job
    return job.uuid if job is not None else None


def _crystal(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return structure_from_dict(value)
    except InputError as error:
        raise ValueError(str(error)) from None


Crystal = Annotated[Structure, BeforeValidator(_crystal)]
"""A crystal in a document: read by its keys, so that a document imports nothing."""


class PotentialDocument(Document):
    """Identity of the potential that gave the energies."""

    family: str = Field(description="chgnet, sevennet, matgl or ase.")
    name: str = Field(description="Model name within the family.")
    package_version: str = Field(description="Package and version that evaluated it.")
    weights_sha256: str = Field(description="SHA-256 of the parameters.")

    @property
    def label(self) -> str:
        """Return the short name shown in tables."""
        return f"{self.family}:{self.name}"

    @classmethod
    def from_info(cls, info: PotentialInfo) -> "PotentialDocument":
        """Return the identity of a loaded potential."""
        return cls(
            family=info.family,
            name=info.name,
            package_version=info.package_version,
            weights_sha256=info.weights_sha256,
        )


class PackedArray(Document):
    """An array as compressed bytes, for the additional store ``data``."""

    dtype: str = Field(description="NumPy dtype, byte order included.")
    shape: list[int] = Field(description="Shape of the array.")
    zlib_base64: str = Field(description="Bytes in C order, zlib-compressed, base64-encoded.")

    @classmethod
    def pack(cls, array: NDArray[Any]) -> "PackedArray":
        """Pack an array without loss."""
        array = np.ascontiguousarray(array)
        packed = base64.b64encode(zlib.compress(array.tobytes(), level=3)).decode("ascii")
        return cls(dtype=array.dtype.str, shape=list(array.shape), zlib_base64=packed)

    def unpack(self) -> NDArray[Any]:
        """Return the array."""
        data = zlib.decompress(base64.b64decode(self.zlib_base64))
        return np.frombuffer(data, dtype=self.dtype).reshape(self.shape).copy()


class MaterialDocument(Document):
    """Base of the documents that jobs return."""

    kind: str = Field(description="Kind of document.")
    schema_version: str = Field(SCHEMA_VERSION, description="Version of the document's schema.")
    superionic_version: str = Field(__version__, description="Version of superionic.")
    material_id: str = Field(description="Identifier of the material.")
    formula: str = Field(description="Reduced formula.")
    mobile_species: str = Field(description="Element symbol of the mobile ion.")
    task_key: str = Field(
        description="Hash of the crystal as it was read, the mobile species, the potential's name "
        "and all settings; the same key means the same work."
    )
    settings: dict[str, Any] = Field(description="Settings of the job that change numbers.")
    wall_time_s: float = Field(description="Wall time of the job in s.")
    n_evaluations: int = Field(0, description="Number of energy or force evaluations.")
    warnings: list[Warning_] = Field(default_factory=list, description="What the user should know.")
    job_uuid: str | None = Field(
        default_factory=current_job_uuid, description="uuid of the jobflow job."
    )
    last_updated: datetime = Field(default_factory=utc_now, description="Time of writing, in UTC.")

    @property
    def identity(self) -> dict[str, str]:
        """The fields by which documents of the same material and work know each other."""
        names = ("material_id", "formula", "mobile_species", "task_key")
        return {name: getattr(self, name) for name in names}

    @field_validator("last_updated")
    @classmethod
    def _with_time_zone(cls, value: datetime) -> datetime:
        """Take a time without a zone, as MongoDB returns it, as UTC."""
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SourcedDocument(MaterialDocument):
    """Base of the documents that say where their crystal came from."""

    source: str = Field("", description="File or database that the crystal came from.")
    provenance: dict[str, Any] = Field(
        default_factory=dict,
        description="What is known of its origin (licence, record keys, parent, aliases).",
    )
