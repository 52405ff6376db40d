"""From the stores to what is shown: one reader for the report, the page and the figures.

A row or document that cannot be read is named and stops nothing.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from pymatgen.core import Structure

from superionic import defaults
from superionic.errors import FigureError
from superionic.report.tables.ranking import rank_of
from superionic.schemas.common import MaterialDocument
from superionic.schemas.document import FailureDocument, without_monty
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.prediction import PredictionDocument
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument, PreparedDocument
from superionic.schemas.screening import ROW_VERSION, LabelSummary, ScreeningDocument
from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import read_document

if TYPE_CHECKING:
    from superionic.store.database.stores import Database


@dataclass(frozen=True)
class Problem:
    """Something that cannot be shown.

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


class MaterialDocuments:
    """The documents behind one row, each read when it is first wanted.

    Parameters
    ----------
    row : ScreeningDocument
        The row.
    database : Database, optional
        Where they are, connected; without it there are those that are :meth:`put`.
    """

    def __init__(self, row: ScreeningDocument, database: "Database | None" = None) -> None:
        self.row = row
        self.database = database
        self.published: list[LabelRow] = []
        """Labels of a data set, where the row has none of its own."""
        self.problems: list[Problem] = []
        """What cannot be read."""
        self._known: dict[str, Any] = {}

    def put(self, document: MaterialDocument) -> None:
        """Take a document in place of that of the database."""
        if isinstance(document, DiffusionDocument):
            self.labels.append(document)
        else:
            self._known[str(getattr(document, "kind", ""))] = document

    def has(self, kind: str) -> bool:
        """Return whether the row names a document of a kind, or it was put."""
        return kind in self._known or getattr(self.row, f"{kind}_uuid") is not None

    def label(self, summary: LabelSummary) -> DiffusionDocument | LabelRow:
        """Return the run of dynamics that a row sums up.

        Raises
        ------
        FigureError
            When it is not there, or cannot be read.
        """
        known: list[Any] = self.published if self.database else self.all_labels
        for one in known:
            if (one.temperature_K, one.seed) == (summary.temperature_K, summary.seed):
                return cast("DiffusionDocument | LabelRow", one)
        found: DiffusionDocument = self.need("diffusion", summary.job_uuid)
        return found

    def need(self, kind: str, uuid: str | None = None) -> Any:
        """Return the document of a kind; of dynamics that of a job.

        Raises
        ------
        FigureError
            When there is none, or it cannot be read.
        """
        name = f"{kind} {uuid}" if uuid else kind
        if name not in self._known:
            try:
                self._known[name] = self._read(kind, uuid)
            except FigureError as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, FigureError):
            raise found
        return found

    def _read(self, kind: str, uuid: str | None) -> MaterialDocument:
        uuid = uuid or getattr(self.row, "label_uuid" if kind == "diffusion" else f"{kind}_uuid")
        lacks, hint = _LACKS[kind]
        if uuid is None or self.database is None:
            raise FigureError(lacks, hint=hint, material_id=self.row.material_id)
        return read_output(self.database, kind, uuid, self.row.material_id)

    def _seen(self, kind: str, uuid: str | None = None) -> Any:
        """Return a document that the row names; where it cannot be read, say so once."""
        try:
            return self.need(kind, uuid)
        except FigureError as error:
            name = f"{kind} {uuid or getattr(self.row, f'{kind}_uuid', None) or ''}".strip()
            named = uuid or getattr(self.row, f"{kind}_uuid", None)
            if named and self.database is not None and name not in {f.what for f in self.problems}:
                self.problems.append(Problem(name, error.message, error.hint or ""))
            return None

    @property
    def landscape(self) -> LandscapeDocument | None:
        """The landscape with its arrays."""
        return cast("LandscapeDocument | None", self._seen("landscape"))

    @property
    def descriptors(self) -> DescriptorsDocument | None:
        """What the landscape was summed up in."""
        return cast("DescriptorsDocument | None", self._seen("descriptors"))

    @property
    def prediction(self) -> PredictionDocument | None:
        """What the force network predicts."""
        return cast("PredictionDocument | None", self._seen("prediction"))

    @property
    def validation(self) -> ValidationDocument | None:
        """Dynamics at several temperatures."""
        return cast("ValidationDocument | None", self._seen("validation"))

    @cached_property
    def labels(self) -> list[DiffusionDocument]:
        """Molecular dynamics at each temperature and seed, hottest first."""
        uuids = [one.job_uuid for one in self.row.labels if one.job_uuid is not None]
        if self.database is None:
            return []
        return [one for uuid in uuids if (one := self._seen("diffusion", uuid)) is not None]

    @cached_property
    def prepared(self) -> PreparedDocument | None:
        """The crystal as it was made ready."""
        if self.database is None:
            return None
        criteria = {"output.task_key": self.row.task_key, "output.kind": "prepared"}
        stored = self.database.job_store.docs_store.query_one(criteria, properties=["uuid"])
        return None if stored is None else self._seen("prepared", stored["uuid"])

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

    @cached_property
    def others(self) -> list[ScreeningDocument]:
        """Rows of the same material and mobile ion by other potentials, or other weights."""
        if self.database is None:
            return []
        stored = self.database.screening.query(
            {"material_id": self.row.material_id, "mobile_species": self.row.mobile_species}
        )
        return [one for one in read_rows(list(stored))[0] if one.key != self.row.key]


def read_output(database: "Database", kind: str, uuid: str, material_id: str) -> MaterialDocument:
    """Return the newest output of a job as its document, a landscape with its arrays.

    Raises
    ------
    FigureError
        When it is not there, is of another kind, or does not fit its schema.
    """
    store = database.job_store if kind == "landscape" else database.job_store.docs_store
    options = {"load": True} if kind == "landscape" else {}
    try:
        stored = store.query_one(
            {"uuid": uuid, "output.kind": kind},
            properties=["output"],
            sort={"index": -1},
            **options,
        )
        if stored is not None:
            return read_document(stored["output"])
    except KeyError:  # the document names arrays that the store no longer has
        pass
    except Exception as error:
        raise FigureError(
            f"A stored document cannot be read. {_reason(error)}",
            hint="It may be of another version of superionic: compute the material again.",
            material_id=material_id,
        ) from None
    text, hint = _LACKS["landscape"] if kind == "landscape" else ("", "")
    raise FigureError(
        text or f"The document '{kind}' that the row was made from is not in the database.",
        hint=hint or "'superionic build' brings rows up to date; or compute it again.",
        material_id=material_id,
    )


_LACKS = {
    "landscape": (
        "Its landscape is not in the database.",
        "'superionic screen' computes it; 'superionic explain' says what is there.",
    ),
    "descriptors": ("It has no descriptors.", "'superionic screen' computes them."),
    "prediction": ("There is no prediction of it.", "'superionic predict' makes it."),
    "diffusion": ("There is no molecular dynamics of it.", "'superionic label' runs it."),
    "validation": (
        "There is no molecular dynamics of it at several temperatures.",
        "'superionic validate' runs it.",
    ),
    "prepared": ("Its preparation is not in the database.", "'superionic screen' makes it."),
}
"""What is said of a row without the document, and what to do."""


def read_rows(
    stored: Sequence[Mapping[str, Any]], policy: str = defaults.POLICY
) -> tuple[list[ScreeningDocument], list[Problem]]:
    """Return rows as the database holds them, and those that cannot be read.

    Those of the largest ranking come first, best first.

    Parameters
    ----------
    stored : sequence of mapping
        Documents of the screening collection.
    policy : str
        Ranking policy that orders them; rows without a rank come last.
    """
    rows: list[ScreeningDocument] = []
    problems: list[Problem] = []
    for one in stored:
        name = f"row {one.get('key') or one.get('material_id') or one.get('_id')}"
        try:
            row = ScreeningDocument.model_validate(without_monty(one))
        except (ValidationError, TypeError, ValueError) as error:
            problems.append(Problem(name, _reason(error), "'superionic build' writes rows anew."))
            continue
        if row.lacks_numbers:
            text = f"It is of version {row.schema_version} of the schema, not {ROW_VERSION}."
            problems.append(Problem(name, text, "'superionic build' writes it anew."))
        rows.append(row)
    sizes = Counter(row.ranked_among for row in rows)
    largest_first = sorted(sizes, key=lambda group: (-sizes[group], group))
    order = {group: index for index, group in enumerate(largest_first)}

    def place(row: ScreeningDocument) -> tuple[int, float, bool, str]:
        rank = rank_of(row, policy)
        group = order[row.ranked_among]
        return (
            group,
            float("inf") if rank is None else rank,
            row.duplicate_of is not None,
            row.material_id,
        )

    return sorted(rows, key=place), problems


def read_failures(
    stored: Sequence[Mapping[str, Any]],
) -> tuple[list[FailureDocument], list[Problem]]:
    """Return failures as the database holds them, and those that cannot be read."""
    failures, problems = [], []
    for one in stored:
        try:
            failures.append(FailureDocument.model_validate(without_monty(one)))
        except (ValidationError, TypeError, ValueError) as error:
            problems.append(Problem(f"failure {one.get('key')}", _reason(error)))
    return sorted(failures, key=lambda one: (one.code, one.material_id)), problems


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problems = [
            f"{'.'.join(map(str, one['loc'])) or 'document'}: {one['msg']}"
            for one in error.errors(include_input=False)[:3]
        ]
        more = f" and {error.error_count() - 3} more" if error.error_count() > 3 else ""
        return f"It does not fit its schema: {'; '.join(problems)}{more}."
    return f"{type(error).__name__}: {error}"


_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80


def file_name(*parts: str, suffix: str) -> str:
    """Return a name of letters, digits, points and hyphens, made from any text."""
    words = [_UNSAFE.sub("_", part).strip("._-") for part in parts]
    stem = "_".join(word for word in words if word)[:_LONGEST_NAME]
    return f"{stem or 'crystal'}{suffix}"


def cif_text(structure: Structure) -> str:
    """Return a crystal as CIF, in the cell that was computed, without symmetry."""
    from pymatgen.io.cif import CifWriter

    return str(CifWriter(structure, significant_figures=12))


_MATERIALS_PROJECT_ID = re.compile(r"(mp|mvc)-\d+")


def material_url(material_id: str) -> str | None:
    """Return the page of a material of the Materials Project; None for others.

    Examples
    --------
    >>> material_url("mp-22899")
    'https://next-gen.materialsproject.org/materials/mp-22899'
    >>> material_url("my crystal") is None
    True
    """
    if not _MATERIALS_PROJECT_ID.fullmatch(material_id):
        return None
    return f"https://next-gen.materialsproject.org/materials/{material_id}"
