"""The base of all documents: what needs neither crystals nor arrays, so that rows are read soon."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from superionic import __version__

if TYPE_CHECKING:
    from superionic.errors import Remark


SCHEMA_VERSION = "1.0"
LABEL_TEMPERATURE_K = 1000.0
"""Temperature of the labels: of several, the one nearest to it stands for a material."""


def utc_now() -> datetime:
    """Return the time now, in UTC and in the milliseconds that MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def without_monty(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored document without the keys that MongoDB and monty add, at every depth."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: clean(v) for k, v in value.items() if k != "_id" and not k.startswith("@")}
        if isinstance(value, list):
            return [clean(entry) for entry in value]
        return value

    cleaned: dict[str, Any] = clean(document)
    return cleaned


class Document(BaseModel):
    """Base of all parts of documents: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class Interval(Document):
    """A 95 % interval, in the unit of the number that it belongs to."""

    low: float | None = Field(description="Lower bound; None if infinite.")
    high: float | None = Field(description="Upper bound; None if infinite.")


class Warning_(Document):  # noqa: N801  (Warning is a builtin)
    """Something that the user should know about a result."""

    code: str = Field(description="Short and stable name of the kind of warning.")
    text: str = Field(description="What happened, with numbers.")

    @classmethod
    def from_remarks(cls, remarks: "list[Remark] | tuple[Remark, ...]") -> "list[Warning_]":
        """Return remarks of the physics floors as parts of a document."""
        return [cls(code=remark.code, text=remark.text) for remark in remarks]


def digest(content: Any) -> str:
    """Return the SHA-256 of plain content, such as settings; the order of keys does not matter.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


class FailureDocument(Document):
    """One material that failed, and why."""

    schema_version: str = Field(SCHEMA_VERSION, description="Version of the document's schema.")
    superionic_version: str = Field(__version__, description="Version of superionic.")
    key: str = Field(description="Task key, or the file's path when nothing could be read.")
    material_id: str = Field(description="Identifier of the material, or the file's name.")
    mobile_species: str | None = Field(
        None, description="Element symbol of the mobile ion; None for a file that cannot be read."
    )
    potential: str | None = Field(
        None, description="Family and name of the potential; None for such a file."
    )
    source: str = Field(description="File or database that the crystal came from.")
    code: str = Field(description="Stable name of the cause; failures are grouped by it.")
    message: str = Field(description="What is wrong.")
    hint: str = Field(description="What to do about it.")
    traceback: str | None = Field(None, description="Python traceback of an unexpected error.")
    last_updated: str = Field(description="Time of the failure, ISO 8601, UTC.")

    def concerns(self, mobile_species: str, potential: str) -> bool:
        """Say whether it is of work with an ion and a potential; what does not say is of any."""
        same_ion = self.mobile_species in (None, mobile_species)
        return same_ion and self.potential in (None, potential)
