"""The JSON API, described at ``/openapi.json``.

Its shape, ``data`` beside ``meta``, and its operators, from typed parameters to criteria, are those
of ``maggma.api``. Its ``ReadOnlyResource`` itself is not used: maggma deprecates the module; it
counts all rows for every page, skips over those of the pages before, drops an unknown sort field
without a word, and answers 500 where a database is away.
"""

from collections import Counter
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from superionic import __version__, defaults
from superionic.report.documents import (
    MaterialDocuments,
    cif_text,
    file_name,
    material_url,
)
from superionic.report.figures.gather import figures_of
from superionic.report.html.material import number_groups, same_by_others
from superionic.report.serve import reading
from superionic.report.serve.downloads import attachment, cube_text, rows_csv
from superionic.report.serve.errors import RESPONSES
from superionic.report.serve.jobs import Campaign
from superionic.report.serve.material import Scenes, figure_json, structure_of
from superionic.report.serve.models import (
    About,
    CampaignAnswer,
    Count,
    FailuresQuery,
    FigureInfo,
    GroupSize,
    MaterialAnswer,
    Page,
    PageQuery,
    StandingAnswer,
    TableQuery,
    TableRow,
)
from superionic.report.serve.settings import ServeSettings
from superionic.report.serve.source import Source
from superionic.schemas.document import FailureDocument
from superionic.store.collection.filters import Filters, Key
from superionic.store.collection.query import failures_of
from superionic.store.ranking.policies import policies

FigureName = Annotated[
    str, Query(pattern=r"^(landscape|path|volume|msd|msd-\d{1,3}|arrhenius)$", max_length=16)
]
Level = Annotated[
    float | None,
    Query(ge=0, le=100, allow_inf_nan=False, description="Level of the landscape's surface in eV."),
]


def create_router(source: Source, campaign: Campaign, settings: ServeSettings) -> APIRouter:
    """Return the endpoints below ``/api``.

    Parameters
    ----------
    source : Source
        The results database.
    campaign : Campaign
        The launchpad.
    settings : ServeSettings
        Limits.
    """
    router = APIRouter(prefix="/api", responses=RESPONSES)
    scenes = Scenes()
    counter = reading.RowCounter()

    @router.get("/about", tags=["table"])
    def about() -> About:
        """Say what is served: version, database, groups of rows, policies, limits."""
        with source.asking() as database:
            groups = source.survey(database).groups
        sizes: Counter[tuple[str, str, str]] = Counter()
        for group in groups:  # those of other weights under one name together
            sizes[group.mobile_species, group.potential, group.settings or ""] += group.n_rows
        return About(
            version=__version__,
            database=source.spec.description,
            groups=[
                GroupSize(mobile_species=species, potential=potential, settings=label, n_rows=n)
                for (species, potential, label), n in sizes.most_common()
            ],
            policies={name: policy.summary for name, policy in policies().items()},
            policy=defaults.POLICY,
            page_limit=settings.page_limit,
            export_limit=settings.export_limit,
        )

    @router.get("/rows", tags=["table"])
    def rows(asked: Annotated[PageQuery, Query()]) -> Page[TableRow]:
        """Return one page of rows; ``meta.next`` leads to the next one."""
        with source.asking() as database:
            return reading.table_page(database, source.survey(database), asked)

    @router.get("/count", tags=["table"])
    def count(asked: Annotated[Filters, Query()]) -> Count:
        """Count the rows that meet a filter, or estimate their number where that takes long."""
        with source.asking() as database:
            return counter.count(database, source.survey(database), asked)

    @router.get(
        "/rows.csv",
        tags=["table"],
        response_class=Response,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def rows_as_csv(asked: Annotated[TableQuery, Query()]) -> Response:
        """Return the filtered table as CSV, up to the export limit, as it is read."""
        pages = reading.table_pages(source, asked, settings.export_limit)
        first = next(pages, [])  # what is wrong is said before the first line
        return StreamingResponse(
            rows_csv(chain([first], pages)),
            media_type="text/csv",
            headers=attachment("superionic_rows.csv"),
        )

    @router.get("/material", tags=["material"])
    def material(key: Annotated[Key, Query()]) -> MaterialAnswer:
        """Return all that is known of a material, arrays left out."""
        with source.asking() as database:
            row = reading.read_row(database, key)
            failures = failures_of(database, row.material_id, row)
            found = MaterialDocuments(row, database)
            others = same_by_others(row, found.others)
        return MaterialAnswer(
            row=row,
            failures=failures,
            figures=[FigureInfo(name=one.name, title=one.title) for one in figures_of(found)],
            groups=number_groups(MaterialDocuments(row)),
            others=others,
            url=material_url(row.material_id),
        )

    @router.get("/material/standings", tags=["material"])
    def standings(key: Annotated[Key, Query()]) -> list[StandingAnswer]:
        """Return where a material stands by each policy, with its neighbours."""
        with source.asking() as database:
            return reading.standings(database, reading.read_row(database, key))

    @router.get(
        "/material/figure",
        tags=["material"],
        response_class=Response,
        responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    def figure(
        key: Annotated[Key, Query()],
        kind: FigureName,
        level_eV: Level = None,
    ) -> Response:
        """Return a figure for plotly.js; its ``layout.meta`` says at which level a landscape is."""
        options = {} if level_eV is None else {"levels_eV": [level_eV]}
        with source.asking() as database:
            row = reading.read_row(database, key)
            text = figure_json(scenes, database, row, kind, options)
        return Response(text, media_type="application/json")

    @router.get(
        "/material/cif",
        tags=["material"],
        response_class=Response,
        responses={200: {"content": {"chemical/x-cif": {"schema": {"type": "string"}}}}},
    )
    def cif(key: Annotated[Key, Query()]) -> Response:
        """Return the crystal as CIF, in the cell that was computed."""
        with source.asking() as database:
            row = reading.read_row(database, key)
            text = cif_text(structure_of(database, row))
        name = file_name(row.material_id, row.formula, suffix=".cif")
        return Response(text, media_type="chemical/x-cif", headers=attachment(name))

    @router.get(
        "/material/cube",
        tags=["material"],
        response_class=Response,
        responses={200: {"content": {"chemical/x-cube": {"schema": {"type": "string"}}}}},
    )
    def cube(key: Annotated[Key, Query()]) -> Response:
        """Return the landscape, the smallest energy of any mobile ion, as a Gaussian cube file."""
        with source.asking() as database:
            row = reading.read_row(database, key)
            with scenes.at_work:
                scene = scenes.get(database, row)
                text = cube_text(
                    scene.structure, scene.shared_eV, scene.grid.origin, f"{row.key} {row.formula}"
                )
        name = file_name(row.material_id, row.formula, suffix=".cube")
        return Response(text, media_type="chemical/x-cube", headers=attachment(name))

    @router.get("/failures", tags=["campaign"])
    def failures(asked: Annotated[FailuresQuery, Query()]) -> Page[FailureDocument]:
        """Return one page of materials that could not be computed, and why."""
        with source.asking() as database:
            return reading.failures_page(database, asked)

    @router.get("/campaign", tags=["campaign"])
    def status() -> CampaignAnswer:
        """Return how the jobs of the campaign stand; it may be some seconds old."""
        return campaign.read()

    return router
