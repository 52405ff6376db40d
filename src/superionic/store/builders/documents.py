"""Stored outputs of jobs as documents: which rows they belong to, and how they are read."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from superionic.schemas.common import MaterialDocument
from superionic.schemas.document import without_monty
from superionic.schemas.label import DiffusionDocument
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument, PreparedDocument
from superionic.schemas.settings_label import STEPS, settings_label
from superionic.schemas.validation import ValidationDocument

MODELS: dict[str, type[MaterialDocument]] = {
    "descriptors": DescriptorsDocument,
    "prediction": PredictionDocument,
    "diffusion": DiffusionDocument,
    "validation": ValidationDocument,
}
"""Kinds of documents that rows are made from."""

_OTHERS: dict[str, type[MaterialDocument]] = {
    "prepared": PreparedDocument,
    "landscape": LandscapeDocument,
}

OF_ROWS: dict[str, Any] = {"output.kind": {"$in": sorted(MODELS)}}
"""Criteria of their outputs."""

IDENTITY = {
    "output.kind": 1,
    **{f"output.settings.{step}": 1 for step in STEPS},
    "output.material_id": 1,
    "output.mobile_species": 1,
    "output.potential.family": 1,
    "output.potential.name": 1,
    "output.potential.weights_sha256": 1,
    "output.job_uuid": 1,
    "output.last_updated": 1,
}
"""What of an output tells where it belongs."""


_DIGITS = 16
"""Digits of the hash of weights in the key of a row."""


class RunVersion(NamedTuple):
    """Which run of a job wrote a document, and when (ISO 8601, UTC)."""

    last_updated: str
    job_uuid: str | None


class RowIdentity(NamedTuple):
    """What a row is of; no other row is of the same."""

    material_id: str
    mobile_species: str
    potential: str
    potential_weights_sha256: str
    settings_label: str = ""

    @property
    def key(self) -> str:
        """Return the unique key of the row, one text."""
        parts = [*self[:3], self.potential_weights_sha256[:_DIGITS]]
        return joined([*parts, self.settings_label] if self.settings_label else parts)

    @property
    def without_settings(self) -> "RowIdentity":
        """Return the same without settings of a landscape, as other parts than that have it."""
        return self._replace(settings_label="")


def joined(parts: Iterable[str]) -> str:
    """Return texts as one, joined by ``|``; other texts give another one, whatever they hold."""
    return "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)


def identity_and_version(output: Mapping[str, Any]) -> tuple[RowIdentity, RunVersion]:
    """Return the row that an output belongs to, and its version.

    What is no landscape belongs to all rows of its material, ion and potential, and is given the
    row without settings.

    Raises
    ------
    KeyError, TypeError, ValueError
        When the output does not say.
    """
    potential = output["potential"]
    label, weights = f"{potential['family']}:{potential['name']}", potential["weights_sha256"]
    species = output["mobile_species"]
    of_landscape = output.get("kind") == "descriptors"
    settings = settings_label(output["settings"], species) if of_landscape else ""
    row = RowIdentity(output["material_id"], species, label, weights, settings)
    return row, RunVersion(utc(output["last_updated"]).isoformat(), output["job_uuid"])


def read_document(output: Mapping[str, Any]) -> MaterialDocument:
    """Return a stored output, arrays included where it has any, as the document of its kind.

    Raises
    ------
    KeyError, TypeError, ValueError
        When it is none, or does not fit its schema.
    """
    plain = without_monty(output)
    return (MODELS | _OTHERS)[plain["kind"]].model_validate(plain)


def utc(value: datetime | str | dict) -> datetime:
    """Return a time as stored by MongoDB (naive UTC), jobflow (monty dictionary) or JSON."""
    plain = value["string"] if isinstance(value, dict) else value
    moment = datetime.fromisoformat(plain) if isinstance(plain, str) else plain
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
