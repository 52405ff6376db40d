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


class Origins(Document):
    """What ties a material to others: the crystal that it is an ordering of, and its other names.

    Empty for most materials.
    """

    parent_id: str | None = Field(
        None, description="The disordered crystal that this is an ordering of."
    )
    ordering_index: int | None = Field(
        None, description="Which of its orderings, from 1, the lowest in Ewald energy first."
    )
    ordering_energy_eV: float | None = Field(
        None, description="Ewald energy of the ordering in eV/atom, above the lowest one."
    )
    aliases: list[str] = Field(
        default_factory=list, description="Other identifiers of the same crystal."
    )

    @classmethod
    def from_provenance(cls, provenance: dict[str, Any]) -> "Origins":
        """Return what a candidate's provenance says of it; files may hold other things there."""
        parent, index, energy_eV = (
            provenance.get(name) for name in ("parent_id", "ordering_index", "ordering_energy_eV")
        )
        aliases = str(provenance.get("aliases", "")).split(",")
        return cls(
            parent_id=parent if isinstance(parent, str) else None,
            ordering_index=index if isinstance(index, int) else None,
            ordering_energy_eV=energy_eV if isinstance(energy_eV, int | float) else None,
            aliases=[name for name in aliases if name],
        )


class Spread(Document):
    """A number of several orderings of one crystal; those that have none are left out."""

    n: int = Field(description="Orderings that have the number.")
    best: float = Field(description="The best of them: lowest barrier, highest Xi or slope.")
    mean: float = Field(description="Their mean.")
    spread: float = Field(description="Largest minus smallest.")


class OrderingsSummary(Document):
    """All computed orderings of one disordered crystal."""

    n_orderings: int = Field(description="Orderings with a result.")
    material_ids: list[str] = Field(description="Their identifiers, lowest Ewald energy first.")
    mpe_eV: Spread | None = Field(description="Published percolation barrier in eV.")
    barrier_3d_eV: Spread | None = Field(description="Barrier in three dimensions in eV.")
    xi: Spread | None = Field(description="Published ranking descriptor.")
    predicted_log10_msd_slope: Spread | None = Field(
        None, description="Logarithm of the slope that the force network predicts."
    )
