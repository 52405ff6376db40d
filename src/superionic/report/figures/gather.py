"""From the stores to what figures are drawn from: one place for the report, the page, the command.

Every function says with a hint what is missing where a material or a campaign lacks the data.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from superionic import defaults
from superionic.errors import FigureError
from superionic.report.figures import parity, precision
from superionic.report.figures.kinds import MATERIAL_KINDS, get_kind
from superionic.report.figures.msd import MSDCurve, curve_of
from superionic.report.figures.pipeline import PipelineCounts, counts_of
from superionic.report.figures.ranking import ranking_data
from superionic.report.figures.scene import LandscapeScene, PathProfile, scene_of
from superionic.report.figures.simulated import refuse_strangers
from superionic.report.figures.volume import VolumeCurve, curve_of_descriptors
from superionic.schemas.common import MaterialDocument
from superionic.schemas.document import without_monty
from superionic.schemas.failure import FailureDocument
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.schemas.screen import DescriptorsDocument, LandscapeDocument
from superionic.schemas.screening import ScreeningDocument
from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import read_document
from superionic.store.collection.rows import find_ranking, query_screening

if TYPE_CHECKING:
    from superionic.store.database.stores import Database
    from superionic.workflows.campaign.selection import Selection

D = TypeVar("D", bound=MaterialDocument)


def gather(
    database: "Database",
    kind: str,
    material_id: str | None = None,
    *,
    mobile_species: str | None = None,
    potential: str | None = None,
    policy: str = defaults.POLICY,
    limit: int = 25,
    labels: Sequence[LabelRow] = (),
    selection: "Selection | None" = None,
) -> Any:
    """Return what a figure of one kind is drawn from.

    Parameters
    ----------
    database : Database
        Open.
    kind : str
        Name of the kind.
    material_id : str, optional
        Which material; kinds of a campaign take none.
    mobile_species, potential : str, optional
        Which of its rows; the first by its key by default.
    policy : str
        What ranks.
    limit : int
        Most materials of a ranking.
    labels : sequence of LabelRow
        Labels of a data set, beside those of the database.
    selection : Selection, optional
        What became of the crystals before they were computed (pipeline).

    Returns
    -------
    object
        What the functions ``plotly`` and ``static`` of the kind take.

    Raises
    ------
    FigureError
        When there is no such kind or material, it lacks the data, or labels are of no row.
    """
    scope = get_kind(kind).scope
    if scope == "material":
        if material_id is None:
            raise FigureError(
                f"A figure of the kind '{kind}' is of one material.", hint="Name its identifier."
            )
        row = row_of(database, material_id, mobile_species, potential)
        return OF_ROW[kind](database, row)
    rows = query_screening(
        database.screening, mobile_species=mobile_species, potential=potential, sort="key"
    )
    if kind == "learning_curves":
        raise FigureError(
            "Learning curves are not in the database.",
            hint="Name the summary.json that 'superionic train' wrote.",
        )
    refuse_strangers(rows, labels)
    if kind == "pipeline":
        return pipeline_counts(database, rows, selection, labels)
    rows = one_group(rows)
    if kind == "conductivities":
        return [arrhenius_of_row(database, row) for row in rows if row.validation_uuid]
    if kind == "ranking":
        return ranking_data(rows, policy, limit, labels)
    return parity.of_rows(rows, labels) if kind == "parity" else precision.of_rows(rows, labels)


def row_of(
    database: "Database",
    material_id: str,
    mobile_species: str | None = None,
    potential: str | None = None,
) -> ScreeningDocument:
    """Return the row of a material; of several, that of the ranking with the most rows.

    Raises
    ------
    FigureError
        When it has none; its failures are named.
    """
    rows = query_screening(
        database.screening,
        mobile_species=mobile_species,
        potential=potential,
        material_ids=[material_id],
        sort="key",
    )
    if len(rows) > 1:
        ranking = find_ranking(
            database.screening, mobile_species=mobile_species, potential=potential
        )
        return next((row for row in rows if ranking.holds(row)), rows[0])
    if rows:
        return rows[0]
    failures = database.failures.query({"material_id": material_id})
    said = "".join(f" It failed [{one['code']}]: {one['message']}" for one in failures)
    raise FigureError(
        f"The screening collection has no row of it.{said}",
        hint="See 'superionic query' for what it has; 'superionic screen' adds to it.",
        material_id=material_id,
    )


def available(row: ScreeningDocument) -> list[str]:
    """Return the kinds of figures of a material for which its row names data."""
    has = {
        "landscape": row.landscape_uuid is not None,
        "path": row.landscape_uuid is not None,
        "volume": row.landscape_uuid is not None or row.descriptors_uuid is not None,
        "msd": row.label_uuid is not None,
        "arrhenius": row.validation_uuid is not None,
    }
    return [kind for kind in MATERIAL_KINDS if has[kind]]


def landscape_document(database: "Database", row: ScreeningDocument) -> LandscapeDocument:
    """Return the landscape of a row with its arrays.

    Raises
    ------
    FigureError
        When there is none, or its arrays are gone.
    """
    lacks = FigureError(
        "Its landscape is not in the database.",
        hint="'superionic screen' computes it; 'superionic explain' says what is there.",
        material_id=row.material_id,
    )
    if row.landscape_uuid is None:
        raise lacks
    try:
        stored = database.job_store.query_one(
            _landscape_of(row), properties=["output"], sort={"index": -1}, load=True
        )
    except KeyError:  # the document names arrays that the store no longer has
        stored = None
    if stored is None:
        raise lacks
    return _document(stored["output"], LandscapeDocument, row)


def landscape_version(database: "Database", row: ScreeningDocument) -> str:
    """Return a text that is another one when the landscape of a row, or one array, is replaced."""
    stored = database.job_store.docs_store.query_one(
        _landscape_of(row), properties=["output"], sort={"index": -1}
    )
    # Arrays are named by identifiers of their own.
    return str(None if stored is None else stored["output"])


def _landscape_of(row: ScreeningDocument) -> dict[str, Any]:
    return {"uuid": row.landscape_uuid, "output.kind": "landscape"}


def scene_of_row(database: "Database", row: ScreeningDocument) -> LandscapeScene:
    """Return what figures of a landscape are drawn from.

    Raises
    ------
    FigureError
        When there is no landscape.
    """
    return scene_of(landscape_document(database, row))


def path_of_row(database: "Database", row: ScreeningDocument) -> PathProfile:
    """Return the percolation path of a row.

    Raises
    ------
    FigureError
        When there is no landscape, or no path in it.
    """
    return path_of_scene(scene_of_row(database, row))


def path_of_scene(scene: LandscapeScene) -> PathProfile:
    """Return the percolation path of a landscape.

    Raises
    ------
    FigureError
        When no ion leaves its cell.
    """
    if scene.path is None:
        raise FigureError(
            "No ion leaves its cell over the energies that were evaluated.",
            hint="Evaluate the landscape up to a higher energy.",
            material_id=scene.about.material_id,
        )
    return scene.path


def volume_of_row(database: "Database", row: ScreeningDocument) -> VolumeCurve:
    """Return the volume below an energy: of the landscape, else at the descriptors' thresholds.

    Raises
    ------
    FigureError
        When there is neither.
    """
    try:
        return scene_of_row(database, row).volume
    except FigureError:
        if row.descriptors_uuid is None:
            raise
    return curve_of_descriptors(
        _output(database, row.descriptors_uuid, "descriptors", DescriptorsDocument, row)
    )


def msd_of_row(
    database: "Database", row: ScreeningDocument, temperature_K: float | None = None
) -> MSDCurve:
    """Return the mean squared displacement of a row.

    Parameters
    ----------
    database : Database
        Open.
    row : ScreeningDocument
        The row.
    temperature_K : float, optional
        Of which run; by default the one that the row's label is from.

    Raises
    ------
    FigureError
        When there is no label, or it holds no curve.
    """
    uuids = [one.job_uuid for one in row.labels if temperature_K in (None, one.temperature_K)]
    uuid = row.label_uuid if temperature_K is None else next(iter(uuids), None)
    if uuid is None:
        at = "" if temperature_K is None else f" at {temperature_K:g} K"
        raise FigureError(
            f"There is no molecular dynamics of it{at}.",
            hint="'superionic label' runs it.",
            material_id=row.material_id,
        )
    return curve_of(_output(database, uuid, "diffusion", DiffusionDocument, row))


def arrhenius_of_row(database: "Database", row: ScreeningDocument) -> ValidationDocument:
    """Return the validation of a row.

    Raises
    ------
    FigureError
        When there is none.
    """
    if row.validation_uuid is None:
        raise FigureError(
            "There is no molecular dynamics of it at several temperatures.",
            hint="'superionic validate' runs it.",
            material_id=row.material_id,
        )
    return _output(database, row.validation_uuid, "validation", ValidationDocument, row)


def one_group(rows: Sequence[ScreeningDocument]) -> list[ScreeningDocument]:
    """Return the rows of one ranking, that with the most of them.

    Raises
    ------
    FigureError
        When there are no rows.
    """
    if not rows:
        raise FigureError(
            "The screening collection has no rows.",
            hint="'superionic screen' adds some; 'superionic build' makes them from finished jobs.",
        )
    groups: dict[tuple[str, ...], list[ScreeningDocument]] = {}
    for row in rows:
        groups.setdefault(row.ranked_among, []).append(row)
    return max(groups.values(), key=len)


def pipeline_counts(
    database: "Database",
    rows: Sequence[ScreeningDocument],
    selection: "Selection | None" = None,
    labels: Sequence[LabelRow] = (),
) -> PipelineCounts:
    """Return how many materials went how far."""
    failures = [
        FailureDocument.model_validate(without_monty(one)) for one in database.failures.query({})
    ]
    return counts_of(rows, failures, selection, labels)


OF_ROW: dict[str, Callable[["Database", ScreeningDocument], Any]] = {
    "landscape": scene_of_row,
    "path": path_of_row,
    "volume": volume_of_row,
    "msd": msd_of_row,
    "arrhenius": arrhenius_of_row,
}
"""For each kind of a material what gathers its data, given its row."""


def _output(
    database: "Database", uuid: str, kind: str, model: type[D], row: ScreeningDocument
) -> D:
    """Return the newest output of a job as its document."""
    stored = database.job_store.docs_store.query_one(
        {"uuid": uuid, "output.kind": kind}, properties=["output"], sort={"index": -1}
    )
    if stored is None:
        raise FigureError(
            f"The document '{kind}' that the row was made from is not in the database.",
            hint="'superionic build' brings rows up to date.",
            material_id=row.material_id,
        )
    return _document(stored["output"], model, row)


def _document(output: dict[str, Any], model: type[D], row: ScreeningDocument) -> D:
    try:
        found = read_document(output)
        assert isinstance(found, model), "the query asked for this kind"
        return found
    except ValidationError as error:
        first = error.errors()[0]
        raise FigureError(
            f"A stored document does not fit its schema: {'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}.",
            hint="It may be of another version of superionic: compute the material again.",
            material_id=row.material_id,
        ) from None
