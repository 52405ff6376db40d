"""Read what a report shows; a document that cannot be read is named and stops nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pymatgen.core import Structure

from superionic.report.tables.ranking import rank_of
from superionic.schemas.common import MaterialDocument
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument, PreparedDocument
from superionic.schemas.screening import ROW_VERSION, ScreeningDocument
from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import read_document

if TYPE_CHECKING:
    from superionic.store.database.stores import Database


@dataclass(frozen=True)
class Fault:
    """Something that a report cannot show.

    Parameters
    ----------
    what : str
        Which document.
    reason : str
        Why, in one line.
    hint : str
        What to do about it.
    """

    what: str
    reason: str
    hint: str = ""


@dataclass
class MaterialDocuments:
    """The documents behind one row.

    Parameters
    ----------
    row : ScreeningDocument
        The row.
    prepared, landscape, descriptors, prediction, validation : document or None
        None where there is none, or it cannot be read.
    labels : list of DiffusionDocument
        Molecular dynamics at each temperature and seed, hottest first.
    published : list of LabelRow
        Labels of a data set, where the row has none of its own.
    faults : list of Fault
        What cannot be read.
    """

    row: ScreeningDocument
    prepared: PreparedDocument | None = None
    landscape: LandscapeDocument | None = None
    descriptors: DescriptorsDocument | None = None
    prediction: PredictionDocument | None = None
    validation: ValidationDocument | None = None
    labels: list[DiffusionDocument] = field(default_factory=list)
    published: list[LabelRow] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def all_labels(self) -> list[DiffusionDocument | LabelRow]:
        """Labels from the database and from a data set."""
        return [*self.labels, *self.published]

    @property
    def structure(self) -> Structure | None:
        """The crystal that was computed."""
        for one in (self.landscape, *self.labels, self.prepared):
            if one is not None:
                return one.structure
        return None


def read_rows(
    stored: Sequence[Mapping[str, Any]], policy: str
) -> tuple[list[ScreeningDocument], list[Fault]]:
    """Return rows as the database holds them, best first, and those that cannot be read.

    Parameters
    ----------
    stored : sequence of mapping
        Documents of the screening collection.
    policy : str
        Ranking policy that orders them; rows without a rank come last.
    """
    rows: list[ScreeningDocument] = []
    faults: list[Fault] = []
    for one in stored:
        name = f"row {one.get('key') or one.get('material_id') or one.get('_id')}"
        try:
            row = ScreeningDocument.model_validate(without_monty(one))
        except (ValidationError, TypeError, ValueError) as error:
            faults.append(Fault(name, _reason(error), "'superionic build' writes rows anew."))
            continue
        if row.lacks_numbers:
            text = f"It is of version {row.schema_version} of the schema, not {ROW_VERSION}."
            faults.append(Fault(name, text, "'superionic build' writes it anew."))
        rows.append(row)
    groups = {row.ranked_among for row in rows}
    order = {group: index for index, group in enumerate(sorted(groups))}

    def place(row: ScreeningDocument) -> tuple[int, float, bool, str]:
        rank = rank_of(row, policy)
        group = order[row.ranked_among]
        return (
            group,
            float("inf") if rank is None else rank,
            row.duplicate_of is not None,
            row.material_id,
        )

    return sorted(rows, key=place), faults


def read_failures(stored: Sequence[Mapping[str, Any]]) -> tuple[list[FailureDocument], list[Fault]]:
    """Return failures as the database holds them, and those that cannot be read."""
    failures, faults = [], []
    for one in stored:
        try:
            failures.append(FailureDocument.model_validate(without_monty(one)))
        except (ValidationError, TypeError, ValueError) as error:
            faults.append(Fault(f"failure {one.get('key')}", _reason(error)))
    return sorted(failures, key=lambda one: (one.code, one.material_id)), faults


def read_material(database: "Database", row: ScreeningDocument) -> MaterialDocuments:
    """Read the documents behind one row, arrays of its landscape included.

    Parameters
    ----------
    database : Database
        Where they are, connected.
    row : ScreeningDocument
        The row.
    """
    found = MaterialDocuments(row)
    names = {
        "descriptors": row.descriptors_uuid,
        "landscape": row.landscape_uuid,
        "prediction": row.prediction_uuid,
        "validation": row.validation_uuid,
    }
    for kind, uuid in names.items():
        if uuid is not None:
            setattr(found, kind, _one(database, kind, {"uuid": uuid}, found.faults))
    for label in row.labels:
        if label.job_uuid is None:
            continue
        document = _one(database, "diffusion", {"uuid": label.job_uuid}, found.faults)
        if isinstance(document, DiffusionDocument):
            found.labels.append(document)
    criteria = {"output.task_key": row.task_key, "output.kind": "prepared"}
    if database.job_store.docs_store.query_one(criteria, properties=["uuid"]) is not None:
        prepared = _one(database, "prepared", criteria, found.faults)
        found.prepared = prepared if isinstance(prepared, PreparedDocument) else None
    return found


def _one(
    database: "Database", kind: str, criteria: dict[str, Any], faults: list[Fault]
) -> MaterialDocument | None:
    name = f"{kind} {criteria.get('uuid', '')}".strip()
    hint = "Compute it again, or run 'superionic build' where jobs were removed."
    try:
        stored = database.job_store.query_one(
            criteria, properties=["output"], sort={"index": -1}, load=kind == "landscape"
        )
        if stored is None:
            faults.append(Fault(name, "Its job is not in the database.", hint))
            return None
        if (other := stored["output"]["kind"]) != kind:
            raise ValueError(f"it is of the kind '{other}'")
        return read_document(stored["output"])
    except Exception as error:
        # Whatever is wrong with one document, the report of the others goes on.
        faults.append(Fault(name, _reason(error), hint))
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        faults = [
            f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}"
            for one in error.errors(include_input=False)[:3]
        ]
        more = f" and {error.error_count() - 3} more" if error.error_count() > 3 else ""
        return f"It does not fit its schema: {'; '.join(faults)}{more}."
    return f"{type(error).__name__}: {error}"
