"""Figures from files: which file is what, and what is drawn from it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from superionic.errors import FigureError
from superionic.report.figures.kinds import Request, get_kind
from superionic.report.figures.style import About
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.schemas.validation import ValidationDocument

if TYPE_CHECKING:
    from superionic.store.database.stores import Database
    from superionic.structures.selection import Selection

D = TypeVar("D", ScreeningDocument, ValidationDocument)

_SORTS = {
    "labels": "labels",
    "rows": "rows of the screening collection",
    "study": "the summary of a study",
    "evaluation": "an evaluation",
    "validations": "validations",
    "campaign": "a campaign file",
}
_ONE_ALONE = ("study", "evaluation", "campaign")
_HINT = (
    "Name labels or rows (.jsonl), the JSON of 'superionic train', 'superionic evaluate' or "
    "'superionic validate', or a campaign file (.yaml)."
)


@dataclass
class Sources:
    """What files hold.

    Parameters
    ----------
    labels : list of LabelRow
        Labels of data sets.
    rows : list of ScreeningDocument
        Rows of the screening collection.
    study, evaluation : dict or None
        The JSON of ``superionic train`` and of ``superionic evaluate``.
    validations : list of ValidationDocument
        What ``superionic validate --json`` wrote.
    campaign : Path or None
        A campaign file.
    files : list of tuple
        Every file with its sort: labels, rows, study, evaluation, validations or campaign.
    select : callable, optional
        Returns the selection of a campaign file.
    """

    labels: list[LabelRow] = field(default_factory=list)
    rows: list[ScreeningDocument] = field(default_factory=list)
    study: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    validations: list[ValidationDocument] = field(default_factory=list)
    campaign: Path | None = None
    files: list[tuple[Path, str]] = field(default_factory=list)
    select: "Callable[[Path], Selection] | None" = None

    def without_database(self, request: Request) -> Any | None:
        """Return what a figure is drawn from, None where the files do not have it.

        Raises
        ------
        FigureError
            When a file is not of a sort that the figure is drawn from, or lacks the data.
        """
        from superionic.report.figures import gather, learning_curves, msd, parity, precision

        kind = request.kind
        self._refuse_unused(kind)
        if kind == "msd" and self.labels:
            return msd.curve_of(self._one_of(self.labels, request))
        if kind == "arrhenius" and self.validations:
            return self._one_of(self.validations, request)
        if kind == "conductivities" and self.validations:
            return _wanted(self.validations, request)
        if kind == "learning_curves" and self.study is not None:
            return learning_curves.of_study(self.study)
        if kind == "parity" and self.study is not None:
            return parity.of_study(self.study)
        if kind == "precision" and self.evaluation is not None:
            return precision.of_evaluation(self.evaluation)
        if not self.rows or kind not in ("ranking", "parity", "precision", "pipeline"):
            return None
        rows = _wanted(self.rows, request)
        selection = self.selection() if kind == "pipeline" else None
        return gather.of_rows(request, rows, self.labels, selection=selection)

    def with_database(self, request: Request, database: "Database") -> Any:
        """Return what a figure is drawn from, with the files beside an open database.

        Raises
        ------
        FigureError
            When data are missing.
        """
        from superionic.report.figures import gather

        selection = self.selection() if request.kind == "pipeline" else None
        return gather.gather(database, request, self.labels, selection)

    def _refuse_unused(self, kind: str) -> None:
        """Refuse files that the figure is not drawn from: their content would be missed in it."""
        given = {sort for _, sort in self.files}
        sorts = get_kind(kind).sorts
        if not given or any(given <= together for together in sorts):
            return
        most = max(sorts, key=lambda together: len(given & together), default=frozenset())
        path, sort = next((path, sort) for path, sort in self.files if sort not in most)
        files = get_kind(kind).files
        raise FigureError(
            f"{path} ({_SORTS[sort]}) would not be used: a figure of the kind '{kind}' is not "
            f"drawn from it{' beside the others' if given & most else ''}.",
            hint=f"It is drawn from {files or 'the database alone'}: leave the file out.",
        )

    def selection(self) -> "Selection | None":
        """Return what became of a campaign's crystals before they were computed.

        They are read and filtered again: the database does not keep what was not wanted.
        """
        if self.campaign is None or self.select is None:
            return None
        return self.select(self.campaign)

    def _one_of(self, documents: Sequence[Any], request: Request) -> Any:
        """Return the first label or validation that is asked for."""
        found = [
            one
            for one in documents
            if one.material_id == request.material_id
            and request.mobile_species in (None, one.mobile_species)
            and request.potential in (None, About.of(one).potential)
            and request.temperature_K in (None, getattr(one, "temperature_K", None))
        ]
        if not found:
            raise FigureError(
                f"None of {len(documents)} documents of the file is of it.",
                hint="Choose an identifier, mobile ion, potential and temperature of the file.",
                material_id=request.material_id,
            )
        return found[0]


def read_sources(
    paths: Sequence[Path], select: "Callable[[Path], Selection] | None" = None
) -> Sources:
    """Read files of any sort that figures are drawn from.

    Parameters
    ----------
    paths : sequence of Path
        Labels or rows as JSON lines, the JSON of a study or an evaluation, a campaign file.
    select : callable, optional
        Returns the selection of a campaign file; without it nothing is known of what was left out.

    Raises
    ------
    FigureError
        When a file is none of them.
    SettingsError
        When a line is broken.
    """
    found = Sources(select=select)
    for path in paths:
        sort = _add(found, path)
        if sort in _ONE_ALONE and any(sort == other for _, other in found.files):
            raise FigureError(
                f"{path} is not the only file that is {_SORTS[sort]}.", hint="Name one of them."
            )
        found.files.append((path, sort))
    return found


def _add(found: Sources, path: Path) -> str:
    """Add what a file holds, and return its sort."""
    if path.suffix.lower() in (".yaml", ".yml"):
        found.campaign = path
        return "campaign"
    content = _content(path)
    if isinstance(content, list):
        found.validations += _validations(content, path)
        return "validations"
    if "msd" in content and "verdict" in content:
        from superionic.report.tables.labels import read_data_set, runs_that_count

        found.labels = runs_that_count([*found.labels, *read_data_set(path)])
        return "labels"
    if "key" in content and "material_id" in content:
        from superionic.report.tables.export import read_rows_file

        found.rows += read_rows_file(path)
        return "rows"
    if "models" in content and "parity" in content:
        found.study = dict(content)
        return "study"
    if "tables" in content and "costs" in content:
        found.evaluation = dict(content)
        return "evaluation"
    raise FigureError(f"No figure is drawn from {path}.", hint=_HINT)


def _validations(content: list[Any], path: Path) -> list[ValidationDocument]:
    try:
        return [ValidationDocument.model_validate(one) for one in content]
    except ValidationError as error:
        raise FigureError(
            f"{path} is no list of validations: {error.errors()[0]['msg']}.",
            hint="Name what 'superionic validate --json FILE' wrote.",
        ) from None


def _content(path: Path) -> Mapping[str, Any] | list[Any]:
    """Return a JSON file, or the first line of a file of JSON lines."""
    try:
        text = path.read_text()
        try:
            content = json.loads(text)
        except json.JSONDecodeError:
            content = json.loads(text.partition("\n")[0])
    except (OSError, ValueError, RecursionError) as error:
        raise FigureError(
            f"The file {path} cannot be read ({type(error).__name__}).", hint=_HINT
        ) from None
    return content if isinstance(content, dict | list) else {}


def _wanted(documents: Sequence[D], request: Request) -> list[D]:
    return [
        one
        for one in documents
        if request.mobile_species in (None, one.mobile_species)
        and request.potential in (None, About.of(one).potential)
    ]
