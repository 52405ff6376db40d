"""Gather all that a report shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from superionic import __version__, defaults
from superionic.errors import SuperionicError
from superionic.report.documents import MaterialDocuments, Problem, read_failures, read_rows
from superionic.report.figures.style import formula_text
from superionic.report.html.agreement import (
    Agreement,
    agreements,
    distributions,
    separations,
)
from superionic.report.html.drawing import (
    agreement_data,
    campaign_figures,
    distribution_figures,
    material_figures,
)
from superionic.report.html.material import Section, section
from superionic.report.html.payload import Payloads, Slot
from superionic.report.html.published import with_published
from superionic.report.html.scope import Scope, Step, screening_funnel
from superionic.report.html.summary import (
    Missing,
    PotentialUse,
    RunsOfKind,
    SettingsGroup,
    failure_causes,
    missing_parts,
    potentials_used,
    runs_by_kind,
    settings_groups,
    verdict_counts,
    warning_counts,
)
from superionic.report.html.table import Table, ranking_rows
from superionic.report.tables.ranking import ranking_csv
from superionic.schemas.common import utc_now
from superionic.schemas.document import FailureDocument
from superionic.schemas.indexes import rank_field
from superionic.schemas.jobs import FailedJobs
from superionic.schemas.label import LabelRow
from superionic.schemas.screening import ScreeningDocument
from superionic.store.collection.filters import Order
from superionic.store.collection.rows import find_ranking, iter_pages
from superionic.store.ranking.policies import Policy, get_policy

if TYPE_CHECKING:
    from superionic.store.database.stores import Database

ReadFailedJobs = Callable[["Database", str | None], Sequence[FailedJobs]]
MOST_ROWS = 5000
"""Rows of the table of one report; a browser sorts them at once."""


@dataclass(frozen=True)
class Comparison:
    """How methods agree on the materials of one mobile species and potential.

    Parameters
    ----------
    mobile_species, potential : str
        Whose rows.
    agreements, separations : lists
        Pairs of methods, and each method against verdicts of dynamics.
    key : str
        Key of the data of the scatter plot.
    """

    mobile_species: str
    potential: str
    agreements: list[Agreement]
    separations: list[Agreement]
    key: str


@dataclass(frozen=True)
class Stored:
    """What the database holds for a report.

    Parameters
    ----------
    rows, failures : sequence of mapping
        Documents of the collections, as they are stored.
    n_rows_left_out : int
        Rows of lower rank that were not read.
    jobs : list of tuple
        Failed jobs of the launchpad: cause, how many, an example.
    problems : list of Problem
        What could not be read.
    notes : list of str
        Which ranking the rows are, and what was left out.
    """

    rows: Sequence[Mapping[str, Any]]
    failures: Sequence[Mapping[str, Any]] = ()
    n_rows_left_out: int = 0
    jobs: list[tuple[str, int, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """All that a report shows.

    Attributes are named as the parts of the page; ``figures`` maps the anchor of a section to its
    figures.
    """

    title: str
    made: str
    version: str
    policy: Policy
    scope: Scope | None
    n_rows_left_out: int
    notes: list[str]
    n_published: int
    steps: list[Step]
    waiting: list[str]
    potentials: list[PotentialUse]
    runs: list[RunsOfKind]
    settings: list[SettingsGroup]
    missing: list[Missing]
    verdicts: list[tuple[str, str, int]]
    causes: list[tuple[str, list[FailureDocument]]]
    jobs: list[tuple[str, int, str]]
    warnings: list[tuple[str, int, str]]
    problems: list[Problem]
    table: Table
    overview: list[Slot]
    distributions: list[Slot]
    comparisons: list[Comparison]
    sections: list[Section]
    figures: dict[str, list[Slot]]
    payloads: Payloads


def read_stored(
    database: "Database",
    scope: Scope | None,
    policy: str,
    failed_jobs: ReadFailedJobs = lambda database, flow: (),
) -> Stored:
    """Read a ranking and failures, of a campaign or of the whole collection.

    Parameters
    ----------
    database : Database
        Where they are, connected.
    scope : Scope, optional
        The campaign.
    policy : str
        Ranking policy; of a large collection, its best :data:`MOST_ROWS` rows are read.
    failed_jobs : callable
        Reads the failed jobs of a flow, or of all, from the launchpad of a database.
    """
    ranking = find_ranking(
        database.screening,
        mobile_species=None if scope is None else scope.mobile_species,
        potential=None if scope is None else scope.potential,
        settings=None if scope is None else _settings_of(database, scope),
    )
    criteria = ranking.criteria()
    if scope is not None:
        criteria = {
            "material_id": {"$in": sorted(scope.names)},
            "mobile_species": scope.mobile_species,
            "potential": scope.potential,
        } | criteria
    n_rows = database.screening.count(criteria)
    if n_rows > MOST_ROWS:
        every = database.screening._collection
        order = Order(rank_field(policy))
        pages = iter_pages(every, criteria, order, survey=ranking.survey, limit=MOST_ROWS)
        rows = list(pages)
    else:
        rows = list(database.screening.query(criteria))
    failures = list(database.failures.query({}))
    jobs, problems = _failed_jobs(failed_jobs, database, None if scope is None else scope.flow)
    return Stored(rows, failures, n_rows - len(rows), jobs, problems, ranking.notes())


def _settings_of(database: "Database", scope: Scope) -> str | None:
    """Return the settings of a campaign's rows, None where it has none yet."""
    wanted = {"task_key": {"$in": sorted(scope.keys.values())}, "duplicate_of": None}
    row = database.screening.query_one(wanted, properties=["ranking_settings"])
    return None if row is None else row.get("ranking_settings")


def gather(
    stored: Stored,
    read: Callable[[ScreeningDocument], MaterialDocuments],
    *,
    scope: Scope | None = None,
    labels: Sequence[LabelRow] = (),
    policy: str = defaults.POLICY,
    top: int = 10,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Content:
    """Gather all that a report shows; what cannot be read is listed and stops nothing.

    Parameters
    ----------
    stored : Stored
        What the database holds.
    read : callable
        Returns the documents behind a row.
    scope : Scope, optional
        The campaign; without it, the report is about all rows.
    labels : sequence of LabelRow
        A published data set of labels, for rows that have none of their own.
    policy : str
        Ranking policy.
    top : int
        Materials with a section of their own, of each mobile species and potential.
    progress : callable
        Hears of sections done and in all.

    Raises
    ------
    SettingsError
        When there is no such policy.
    FigureError
        When the packages of figures are not installed.
    """
    chosen = get_policy(policy)
    rows, row_problems = read_rows(stored.rows, policy)
    failures, failure_problems = read_failures(stored.failures)
    if scope is not None:
        rows = [row for row in rows if scope.holds(row)]
        failures = [failure for failure in failures if scope.concerns(failure)]
    rows, published, label_problems = with_published(rows, labels)
    payloads = Payloads()
    steps, waiting = screening_funnel(rows, failures, scope)
    groups: dict[tuple[str, ...], list[ScreeningDocument]] = {}
    for row in rows:
        groups.setdefault(row.ranked_among, []).append(row)
    best = [
        row
        for group in groups.values()
        for row in [one for one in group if one.duplicate_of is None][:top]
    ]
    anchors = {row.key: f"m{index}" for index, row in enumerate(best, start=1)}
    sections, figures, problems = [], {}, []
    for done, row in enumerate(best):
        progress(done, len(best))
        found = read(row)
        found.published = published.get(row.key, [])
        anchor = anchors[row.key]
        figures[anchor] = material_figures(payloads, found, anchor)
        made = _section(found, anchor)
        sections.append(made)
        name = f"{formula_text(row.formula)} ({row.material_id})"
        problems += [Problem(f"{name}: {one.what}", one.reason, one.hint) for one in made.problems]
        if made.cif is not None:
            payloads.add(f"{anchor}-cif", {"name": made.cif_name, "text": made.cif})
    progress(len(best), len(best))
    payloads.add("csv", {"name": "ranking.csv", "text": ranking_csv(rows, policy) + "\n"})
    comparisons = [
        Comparison(
            members[0].mobile_species,
            members[0].potential,
            agreements(members),
            separations(members),
            f"agreement-{index}",
        )
        for index, members in enumerate(groups.values())
    ]
    for comparison, members in zip(comparisons, groups.values(), strict=True):
        payloads.add(comparison.key, agreement_data(members))
    return Content(
        title="Screening" if scope is None else scope.name,
        made=utc_now().isoformat(timespec="minutes"),
        version=__version__,
        policy=chosen,
        scope=scope,
        n_rows_left_out=stored.n_rows_left_out,
        notes=stored.notes,
        n_published=sum(map(len, published.values())),
        steps=steps,
        waiting=waiting,
        potentials=potentials_used(rows),
        runs=runs_by_kind(rows),
        settings=settings_groups(rows),
        missing=missing_parts(rows, policy),
        verdicts=verdict_counts(rows),
        causes=failure_causes(failures),
        jobs=stored.jobs,
        warnings=warning_counts(rows),
        problems=[*stored.problems, *row_problems, *failure_problems, *label_problems, *problems],
        table=ranking_rows(rows, policy, anchors),
        overview=campaign_figures(payloads, rows, failures, scope, policy) if rows else [],
        distributions=distribution_figures(payloads, distributions(rows)),
        comparisons=comparisons,
        sections=sections,
        figures=figures,
        payloads=payloads,
    )


def _section(found: MaterialDocuments, anchor: str) -> Section:
    """Return a section; of a material with an odd document, what its row says."""
    try:
        return section(found, anchor)
    except Exception as error:  # one odd document must not stop the report of all others
        problem = Problem("its documents", f"{type(error).__name__}: {error}")
        bare = MaterialDocuments(found.row.model_copy(update={"settings": {}}))
        bare.problems = [*found.problems, problem]
        return section(bare, anchor)


def _failed_jobs(
    read: ReadFailedJobs, database: "Database", flow: str | None
) -> tuple[list[tuple[str, int, str]], list[Problem]]:
    """Return the failed jobs of a launchpad; one that does not answer costs no report."""
    try:
        found = read(database, flow)
    except SuperionicError as error:
        return [], [Problem("launchpad", error.message, error.hint)]
    except Exception as error:  # a launchpad that breaks off
        return [], [Problem("launchpad", f"{type(error).__name__}: {error}")]
    return [
        (
            group.cause,
            len(group.fw_ids),
            f"{group.example_material}, {group.example_job}: {group.example_text}",
        )
        for group in found
    ], []
