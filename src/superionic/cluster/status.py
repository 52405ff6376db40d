"""How a campaign stands, read from the launchpad."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from superionic.cluster.identity import IDENTITY_FIELD
from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.process import cause_of
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import LaunchpadSpec, launchpad_of, open_launchpad
from superionic.schemas.jobs import FailedJobs, JobsStatus, RefusedJobs
from superionic.store.database.owner import is_dead
from superionic.store.database.stores import Database

STATES = (
    "READY",
    "RESERVED",
    "RUNNING",
    "WAITING",
    "COMPLETED",
    "FIZZLED",
    "PAUSED",
    "DEFUSED",
    "ARCHIVED",
)
OPEN_STATES = ("READY", "RESERVED", "RUNNING", "WAITING")
_RATE_WINDOW = timedelta(minutes=15)
_CHUNK = 500
_NOTHING = JobsStatus({}, {}, (), 0.0, None, 0, 0)


def read_status(launchpad: CampaignLaunchPad, campaign: str | None = None) -> JobsStatus:
    """Read how a launchpad stands; nothing is written.

    Parameters
    ----------
    launchpad : CampaignLaunchPad
        The launchpad.
    campaign : str, optional
        Name of a campaign whose jobs alone are counted. Rate, refusals and lost jobs are those of
        the whole launchpad, and there is no time left, as its workers serve all campaigns.
    """
    of_jobs = {} if campaign is None else {"spec._superionic.campaign": campaign}
    of_materials = {} if campaign is None else {"metadata.superionic.campaign": campaign}
    jobs = {
        state: n
        for state in STATES
        if (n := launchpad.fireworks.count_documents({"state": state, **of_jobs}))
    }
    grouped = launchpad.workflows.aggregate(
        [
            {"$match": of_materials},
            {
                "$group": {
                    "_id": {"flow": "$metadata.superionic.flow", "state": "$state"},
                    "n": {"$sum": 1},
                }
            },
        ]
    )
    materials: dict[str, dict[str, int]] = defaultdict(dict)
    for row in grouped:
        flow = row["_id"].get("flow") or "(others)"
        materials[flow][row["_id"].get("state") or "?"] = row["n"]
    rate = _jobs_per_minute(launchpad)
    n_open = sum(jobs.get(state, 0) for state in OPEN_STATES)
    running = launchpad.launches.find({"state": "RUNNING"}, {"fworker.env": 1})
    lost = [
        launch
        for launch in running
        if is_dead(((launch.get("fworker") or {}).get("env") or {}).get("superionic_owner"))
    ]
    return JobsStatus(
        jobs=jobs,
        materials=dict(materials),
        failures=tuple(read_failures(launchpad, campaign=campaign)),
        refused=tuple(read_refused(launchpad)),
        jobs_per_minute=rate,
        time_left_s=60 * n_open / rate if rate > 0 and campaign is None else None,
        n_lost=len(lost),
        n_locked=launchpad.workflows.count_documents({"locked": {"$exists": True}}),
    )


def look_at(spec: LaunchpadSpec, timeout_s: float) -> JobsStatus:
    """Open a launchpad and read how it stands; one that was never used has no jobs.

    Raises
    ------
    DatabaseError
        When it does not answer.
    """
    opened = open_launchpad(spec, RetryPolicy(0.0), writing=False, timeout_s=timeout_s)
    try:
        return read_status(opened) if opened.is_prepared() else _NOTHING
    finally:
        opened.client.close()


def launchpad_failures(database: Database, flow: str | None) -> list[FailedJobs]:
    """Return the failed jobs of the launchpad that belongs to a results database.

    Raises
    ------
    SettingsError
        When its file is wrong.
    DatabaseError
        When it does not answer.
    """
    opened = open_launchpad(launchpad_of(database.spec), RetryPolicy(5.0), writing=False)
    try:
        return read_failures(opened, flow=flow)
    finally:
        opened.client.close()


def read_refused(launchpad: CampaignLaunchPad) -> list[RefusedJobs]:
    """Return the ready jobs that workers refused, with the reasons; most jobs first."""
    found = []
    n_ready: dict[str, int] = {}
    for told in launchpad.refusals.find({}):
        identity = told["identity"]
        if identity not in n_ready:
            ready = {"state": "READY", IDENTITY_FIELD: identity}
            n_ready[identity] = launchpad.fireworks.count_documents(ready)
        if n_ready[identity]:
            found.append(RefusedJobs(n_ready[identity], told["worker"], told["reason"]))
    return sorted(found, key=lambda one: (-one.n_jobs, one.worker))


def _jobs_per_minute(launchpad: CampaignLaunchPad) -> float:
    """Return the rate of completed jobs over the last minutes in which there were any."""
    now = datetime.now(UTC)
    since = (now - _RATE_WINDOW).replace(tzinfo=None).isoformat()
    ended = launchpad.launches.find(
        {"state": "COMPLETED", "time_end": {"$gte": since}}, {"time_end": 1, "_id": 0}
    )
    if not ended:
        return 0.0
    first = min(str(launch["time_end"]) for launch in ended)
    moment = datetime.fromisoformat(first)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    span_s = max((now - moment).total_seconds(), 1.0)
    return 60 * len(ended) / span_s


def read_failures(
    launchpad: CampaignLaunchPad,
    *,
    flow: str | None = None,
    campaign: str | None = None,
) -> list[FailedJobs]:
    """Return the failed jobs grouped by cause, the most frequent first."""
    criteria: dict[str, object] = {"state": "FIZZLED"}
    for name, wanted in (("flow", flow), ("campaign", campaign)):
        if wanted is not None:
            criteria[f"spec._superionic.{name}"] = wanted
    fields = {"fw_id": 1, "name": 1, "spec.material_id": 1, "launches": 1, "_id": 0}
    fields["spec._exception_details"] = 1
    groups: dict[str, list[int]] = defaultdict(list)
    examples: dict[str, tuple[str, str, str]] = {}
    rows = launchpad.fireworks.find(criteria, fields)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        causes = _causes(launchpad, [row["launches"][-1] for row in chunk if row["launches"]])
        for row in chunk:
            launch_id = row["launches"][-1] if row["launches"] else None
            cause, text = causes.get(launch_id, ("unknown", "No launch tells why."))
            groups[cause].append(row["fw_id"])
            material = row["spec"].get("material_id", "?")
            examples.setdefault(cause, (material, row["name"], text))
    counted = Counter({cause: len(fw_ids) for cause, fw_ids in groups.items()})
    return [
        FailedJobs(cause, tuple(sorted(groups[cause])), *examples[cause])
        for cause, _ in counted.most_common()
    ]


def _causes(
    launchpad: CampaignLaunchPad, launch_ids: Iterable[int]
) -> dict[int | None, tuple[str, str]]:
    launches = launchpad.launches.find(
        {"launch_id": {"$in": list(launch_ids)}},
        {"launch_id": 1, "action.stored_data._exception": 1},
    )
    causes: dict[int | None, tuple[str, str]] = {}
    for launch in launches:
        stored = (launch.get("action") or {}).get("stored_data") or {}
        causes[launch["launch_id"]] = cause_of(stored.get("_exception"))
    return causes
