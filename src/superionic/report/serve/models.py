"""Questions and answers of the JSON API."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field

from superionic import defaults
from superionic.report.html.material import ByPotential, NumberGroup
from superionic.schemas.document import FailureDocument
from superionic.schemas.indexes import PolicyName, SortField
from superionic.schemas.screening import Part, ScreeningDocument
from superionic.store.collection.filters import Filters

T = TypeVar("T")

MOST_ROWS_OF_A_PAGE = 200
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
"""A position that was encoded."""


class TableQuery(Filters):
    """Which rows, in which order."""

    policy: PolicyName = Field(
        PolicyName(defaults.POLICY), description="Policy whose rank and score are shown."
    )
    sort: SortField = Field(
        SortField.rank, description="Field to sort by; rank is that of the policy."
    )
    descending: bool = Field(False, description="Largest first; nulls are last either way.")


class PageQuery(TableQuery):
    """One page of rows."""

    limit: int = Field(50, ge=1, le=MOST_ROWS_OF_A_PAGE, description="Most rows.")
    after: Word | None = Field(None, description="meta.next of the page before.")


class FailuresQuery(BaseModel):
    """One page of failures."""

    model_config = {"extra": "forbid"}

    code: str | None = Field(None, min_length=1, max_length=100, description="Their cause.")
    limit: int = Field(50, ge=1, le=MOST_ROWS_OF_A_PAGE, description="Most failures.")
    after: Word | None = Field(None, description="meta.next of the page before.")


def _same(name: str) -> Any:
    """Return the field of a row with the description that the screening collection gives it."""
    return Field(None, description=ScreeningDocument.model_fields[name].description)


class TableRow(BaseModel):
    """What the table shows of a row."""

    key: str = Field(description="Unique key of the row.")
    material_id: str | None = _same("material_id")
    formula: str | None = _same("formula")
    mobile_species: str | None = _same("mobile_species")
    potential: str | None = _same("potential")
    ranking_settings: str | None = _same("ranking_settings")
    n_atoms: int | None = _same("n_atoms")
    present: list[Part] | None = _same("present")
    mpe_eV: float | None = _same("mpe_eV")
    barrier_3d_eV: float | None = _same("barrier_3d_eV")
    fv_connected: float | None = _same("fv_connected")
    fv_disconnected: float | None = _same("fv_disconnected")
    xi: float | None = _same("xi")
    predicted_log10_msd_slope: float | None = _same("predicted_log10_msd_slope")
    predicted_log10_msd_slope_low: float | None = _same("predicted_log10_msd_slope_low")
    predicted_log10_msd_slope_high: float | None = _same("predicted_log10_msd_slope_high")
    label_verdict: str | None = _same("label_verdict")
    msd_slope_A2_per_ps: float | None = _same("msd_slope_A2_per_ps")
    validation_verdict: str | None = _same("validation_verdict")
    conductivity_S_per_cm: float | None = _same("conductivity_S_per_cm")
    duplicate_of: str | None = _same("duplicate_of")
    last_updated: str | None = _same("last_updated")
    rank: int | None = Field(None, description="Rank by the policy.")
    score: float | None = Field(None, description="What the policy ranks by.")
    score_low: float | None = Field(None, description="Of its 90 % interval, where it has one.")
    score_high: float | None = Field(None, description="Of its 90 % interval, where it has one.")
    warnings: list[str] = Field(default_factory=list, description="Codes of the warnings.")
    unreadable: bool = Field(
        False, description="Whether the stored row does not fit its schema, or its key is too long."
    )


PROPERTIES = [
    name
    for name in TableRow.model_fields
    if name in ScreeningDocument.model_fields and name != "warnings"
] + ["ranks", "scores", "warnings.code"]
"""Fields of stored rows that the table needs."""


class PageMeta(BaseModel):
    """About one page."""

    n: int = Field(description="Rows of this page.")
    next: str | None = Field(None, description="Where the next page begins; null at the end.")
    took_ms: float = Field(description="Time that the database took, in ms.")
    notes: list[str] = Field(
        default_factory=list, description="Which ranking it is, and what it left out."
    )
    elsewhere: list["GroupSize"] = Field(
        default_factory=list,
        description="Where no row of the ranking meets the filter: other rankings that have one.",
    )


class Page(BaseModel, Generic[T]):
    """One page, in the form of the Materials Project's API: ``data`` and ``meta``."""

    data: list[T] = Field(description="The rows.")
    meta: PageMeta = Field(description="About them.")


class Count(BaseModel):
    """How many rows there are."""

    n: int = Field(description="Rows that meet the filter.")
    exact: bool = Field(description="Whether they were counted; else they are an estimate.")


class GroupSize(BaseModel):
    """A ranking: rows of one mobile species, potential and set of settings."""

    mobile_species: str = Field(description="Mobile ion.")
    potential: str = Field(description="Potential.")
    settings: str = Field(description="Settings of the landscapes.")
    n_rows: int = Field(description="Ranked rows.")


class About(BaseModel):
    """What is served."""

    version: str = Field(description="Version of superionic.")
    database: str = Field(description="Hosts and name of the database.")
    groups: list[GroupSize] = Field(description="What is there, the largest group first.")
    policies: dict[str, str] = Field(description="Ranking policies and what they rank by.")
    policy: str = Field(description="The policy that is used when none is asked for.")
    page_limit: int = Field(description="Most rows of a page.")
    export_limit: int = Field(description="Most rows of a CSV file.")


class Neighbour(BaseModel):
    """A row next to another in a ranking."""

    key: str = Field(description="Key of the row.")
    material_id: str = Field(description="Identifier of the material.")
    formula: str = Field(description="Reduced formula.")


class PartAnswer(BaseModel):
    """One term of a score, or of its log odds."""

    name: str = Field(description="A policy, a feature, or intercept.")
    value: float | None = Field(description="The row's own value.")
    relative: float = Field(description="Percentile, or distance from the mean in deviations.")
    weight: float = Field(description="What that is multiplied by.")


class StandingAnswer(BaseModel):
    """Where a row stands by one policy."""

    policy: str = Field(description="Name of the policy.")
    quantity: str = Field(description="What its score is.")
    rank: int | None = Field(description="Rank; null if the row was not ranked yet.")
    n_rows: int = Field(description="Rows that are ranked with it.")
    percentile: float | None = Field(description="Percentage of the others that stand below.")
    score: float | None = Field(description="Its score.")
    reason: str | None = Field(description="What it lacks for a score.")
    tie: str | None = Field(description="Which rule decided between rows of the same score.")
    above: Neighbour | None = Field(description="The row above.")
    below: Neighbour | None = Field(description="The row below.")
    parts: list[PartAnswer] = Field(description="What a composite score is made of.")


class FigureInfo(BaseModel):
    """A figure that a material has data for."""

    name: str = Field(description="Name of the figure, the kind that is asked for.")
    title: str = Field(description="What it shows.")


class MaterialAnswer(BaseModel):
    """All that is known of a material, arrays left out."""

    row: ScreeningDocument = Field(description="Its row.")
    failures: list[FailureDocument] = Field(description="What could not be computed of it.")
    figures: list[FigureInfo] = Field(description="Figures that there are data for.")
    groups: list[NumberGroup] = Field(description="Its numbers, as reports show them.")
    others: list[ByPotential] = Field(
        description="It by all potentials, where there are several; else empty."
    )
    url: str | None = Field(None, description="Its page in the database that it comes from.")


class FailureGroup(BaseModel):
    """Jobs that failed for one cause."""

    cause: str = Field(description="Stable name of the cause.")
    n_jobs: int = Field(description="How many.")
    fw_ids: list[int] = Field(description="Some of their Fireworks.")
    example_material: str = Field(description="The material of one of them.")
    example_job: str = Field(description="Its job.")
    example_text: str = Field(description="What it said.")


class CampaignAnswer(BaseModel):
    """How the jobs of a campaign stand."""

    launchpad: str = Field(description="Hosts and name of the launchpad.")
    jobs: dict[str, int] = Field(description="Number of jobs by state.")
    materials: dict[str, dict[str, int]] = Field(
        description="Number of workflows by flow and state."
    )
    failures: list[FailureGroup] = Field(description="Failed jobs by cause, the most first.")
    jobs_per_minute: float = Field(description="Rate of the last minutes.")
    time_left_s: float | None = Field(description="Time for the open jobs at that rate, in s.")
    n_lost: int = Field(description="Running jobs whose process is dead.")
    n_locked: int = Field(description="Workflows that are locked at this moment.")
    webgui_url: str | None = Field(description="Address of FireWorks' web view, if configured.")
