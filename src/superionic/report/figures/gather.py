"""From the stores to what figures are drawn from: one place for the report, the page, the command.

Every function says with a hint what is missing where a material or a campaign lacks the data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from superionic.errors import FigureError
from superionic.report.documents import MaterialDocuments, read_failures
from superionic.report.figures import parity, precision
from superionic.report.figures.kinds import KINDS, Request
from superionic.report.figures.msd import MSDCurve, curve_of
from superionic.report.figures.pipeline import counts_of
from superionic.report.figures.ranking import ranking_data
from superionic.report.figures.scene import LandscapeScene, PathProfile, scene_of
from superionic.report.figures.simulated import refuse_strangers
from superionic.report.figures.volume import VolumeCurve, curve_of_descriptors
from superionic.schemas.document import FailureDocument
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import LabelSummary, ScreeningDocument
from superionic.store.collection.rows import find_ranking, query_screening

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

    from superionic.store.database.stores import Database
    from superionic.structures.selection import Selection


def gather(
    database: "Database",
    request: Request,
    labels: Sequence[LabelRow] = (),
    selection: "Selection | None" = None,
) -> Any:
    """Return what a figure is drawn from: what the function ``plotly`` of its kind takes.

    Parameters
    ----------
    database : Database
        Open.
    request : Request
        Which figure.
    labels : sequence of LabelRow
        Labels of a data set, besides those of the database.
    selection : Selection, optional
        What became of the crystals before they were computed (pipeline).

    Raises
    ------
    FigureError
        When there is no such material, it lacks the data, or labels are of no row.
    """
    of: dict[str, Any] = {"mobile_species": request.mobile_species, "potential": request.potential}
    if request.material_id is not None:
        row = row_of(database, request.material_id, **of)
        return data_of(MaterialDocuments(row, database), request.kind, request.temperature_K)
    if request.kind == "learning_curves":
        raise FigureError(
            "Learning curves are not in the database.",
            hint="Name the summary.json that 'superionic train' wrote: --data FILE.",
        )
    rows = query_screening(database.screening, **of, sort="key")
    if request.kind == "conductivities":
        some = [MaterialDocuments(row, database) for row in one_group(rows) if row.validation_uuid]
        return [one.need("validation") for one in some]
    failures, _ = read_failures(list(database.failures.query({})))
    return of_rows(request, rows, labels, failures, selection)


def of_rows(
    request: Request,
    rows: Sequence[ScreeningDocument],
    labels: Sequence[LabelRow],
    failures: Sequence[FailureDocument] = (),
    selection: "Selection | None" = None,
) -> Any:
    """Return what a figure of many materials is drawn from, whether a file or a database has them.

    Raises
    ------
    FigureError
        When there are no rows, or labels are of none of them.
    """
    refuse_strangers(rows, labels)
    if request.kind == "pipeline":
        return counts_of(rows, failures, selection, labels)
    rows = one_group(rows)
    if request.kind == "ranking":
        return ranking_data(rows, request.policy, request.limit, labels)
    return (parity if request.kind == "parity" else precision).of_rows(rows, labels)


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


def data_of(found: MaterialDocuments, kind: str, temperature_K: float | None = None) -> Any:
    """Return what a figure of one material is drawn from.

    Parameters
    ----------
    found : MaterialDocuments
        Its documents.
    kind : str
        Name of the kind.
    temperature_K : float, optional
        Of the dynamics (msd); by default that which the row's label is from.

    Raises
    ------
    FigureError
        When it lacks the data.
    """
    if kind == "msd":
        row = found.row
        uuids = [one.job_uuid for one in row.labels if temperature_K in (None, one.temperature_K)]
        if not uuids:
            at = "" if temperature_K is None else f" at {temperature_K:g} K"
            raise FigureError(
                f"There is no molecular dynamics of it{at}.",
                hint="'superionic label' runs it.",
                material_id=row.material_id,
            )
        return curve_of(found.need("diffusion", uuids[0] if temperature_K else row.label_uuid))
    if kind == "arrhenius":
        return found.need("validation")
    if kind == "volume":
        return _volume(found, lambda: scene_of(found.need("landscape")))
    scene = scene_of(found.need("landscape"))
    return path_of_scene(scene) if kind == "path" else scene


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


def landscape_version(database: "Database", row: ScreeningDocument) -> str:
    """Return a text that is another one when the landscape of a row, or one array, is replaced."""
    stored = database.job_store.docs_store.query_one(
        {"uuid": row.landscape_uuid, "output.kind": "landscape"},
        properties=["output"],
        sort={"index": -1},
    )
    # Arrays are named by identifiers of their own.
    return str(None if stored is None else stored["output"])


@dataclass(frozen=True)
class MaterialFigure:
    """A figure of a material, for the report and the page.

    Parameters
    ----------
    name : str
        Identifier among the figures of the material.
    title : str
        What it shows.
    draw : callable
        Returns it; takes the options of the painter.
    """

    name: str
    title: str
    draw: "Callable[..., PlotlyFigure]"


def figures_of(
    found: MaterialDocuments, scene: Callable[[], LandscapeScene] | None = None
) -> list[MaterialFigure]:
    """Return the figures that a material has data for; each reads them when it is drawn.

    Parameters
    ----------
    found : MaterialDocuments
        Its documents.
    scene : callable, optional
        Returns its landscape, where that is kept.
    """
    row = found.row
    kept = scene or cache(lambda: scene_of(found.need("landscape")))
    figures: list[MaterialFigure] = []

    def add(name: str, kind: str, title: str, data: Callable[[], Any]) -> None:
        figures.append(MaterialFigure(name, title, lambda **o: KINDS[kind].plotly(data(), **o)))

    if found.has("landscape"):
        title = "Crystal with its landscape, and energy along the percolation path"
        add("landscape", "landscape", title, kept)
        add("volume", "volume", "Volume below an energy", lambda: _volume(found, kept))
    elif found.has("descriptors"):
        add("volume", "volume", "Volume below an energy", lambda: _volume(found, kept))
    for number, label in enumerate(row.labels):
        title = f"Mean squared displacement at {label.temperature_K:g} K, seed {label.seed}"
        add(f"msd-{number}", "msd", title, partial(_curve, found, label))
    if found.has("validation"):
        title = "Conductivity against temperature"
        add("arrhenius", "arrhenius", title, lambda: found.need("validation"))
    return figures


def _curve(found: MaterialDocuments, label: LabelSummary) -> MSDCurve:
    return curve_of(found.label(label))


def _volume(found: MaterialDocuments, scene: Callable[[], LandscapeScene]) -> VolumeCurve:
    try:
        return scene().volume
    except FigureError:
        if not found.has("descriptors"):
            raise
        return curve_of_descriptors(found.need("descriptors"))


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
