"""Putting right what dead processes left behind in the launchpad.

Everything here may be repeated, and stopped anywhere. A process beside this one is known to be dead
by its id and start time; one of another machine, boot or PID namespace is taken for dead when it
has not said for a while, by the clock of the database, that it lives.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks.core.firework import FWAction
from fireworks.core.launchpad import LockedWorkflowError

from superionic.cluster.delivery import deliver
from superionic.cluster.launchpad import ALIVE_FIELD, OWNER_FIELD, CampaignLaunchPad, failure_action
from superionic.cluster.repair import (
    ENDED,
    WORKER_DIED,
    locked,
    release,
    repair_workflow,
    reserved,
    seen_twice,
)
from superionic.cluster.spool import Result, Spool
from superionic.cluster.submit import remove_unfinished_submissions
from superionic.store.database.owner import is_dead
from superionic.store.database.stores import Database

PINGS_TO_EXPIRE = 4
DEATHS_ALLOWED = 2
_RUN_AGAIN = "_superionic_run_again"


@dataclass(frozen=True)
class JobEnd:
    """What becomes of a job whose process is gone.

    Parameters
    ----------
    action : FWAction
        Its cause, as FireWorks keeps it.
    run_again : bool
        Whether the job is ready for another process.
    """

    action: FWAction
    run_again: bool


@dataclass
class Recovery:
    """What was found and put right.

    Parameters
    ----------
    results_sent : list of int
        Fireworks whose result was on disk.
    results_doubled : list of int
        Fireworks that had been given to another process before their first result came: it is set
        aside, and listed until somebody removes its file.
    results_refused : int
        Files that cannot be sent, set aside.
    unlocked : list of int
        First Firework of each workflow whose stale lock was taken away.
    released : list of int
        Fireworks that were reserved by dead processes.
    handed_back : list of int
        Lost Fireworks that will run again.
    given_up : list of int
        Lost Fireworks whose processes died too often.
    refreshed : list of int
        Fireworks whose workflow did not know of their end.
    submissions : int
        Half-submitted workflows that were removed.
    """

    results_sent: list[int] = field(default_factory=list)
    results_doubled: list[int] = field(default_factory=list)
    results_refused: int = 0
    unlocked: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    handed_back: list[int] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    refreshed: list[int] = field(default_factory=list)
    submissions: int = 0

    def __bool__(self) -> bool:
        return any(vars(self).values())


def recover(
    database: Database,
    launchpad: CampaignLaunchPad,
    spool: Spool,
    *,
    settle_s: float = 10.0,
    expiration_s: float | None = None,
) -> Recovery:
    """Put everything right that dead processes left behind; lost jobs are ready to run again.

    Parameters
    ----------
    database : Database
        The results.
    launchpad : CampaignLaunchPad
        The launchpad.
    spool : Spool
        Results on disk.
    settle_s : float
        What has no owner (a lock of plain ``lpad``, say) counts as stale when it has not changed
        for this long.
    expiration_s : float, optional
        A launch on another machine is lost when it has been silent for this long; by default four
        of its own pings, for plain ``rlaunch`` FireWorks' ``RUN_EXPIRATION_SECS``.
    """
    found = Recovery(submissions=remove_unfinished_submissions(launchpad))
    gone = _gone_by(launchpad, expiration_s)
    for fw_id, holder in seen_twice(lambda: locked(launchpad), settle_s):
        if launchpad.take_lock(fw_id, holder):
            repair_workflow(launchpad, fw_id)
            found.unlocked.append(fw_id)
    busy = send_results(database, launchpad, spool, found, gone=gone)
    for fw_id, holder in seen_twice(lambda: reserved(launchpad), settle_s):
        if release(launchpad, fw_id, holder):
            found.released.append(fw_id)
    end_lost_launches(launchpad, found, gone=gone, but=busy, job_end=_LOST)
    spool.sweep()
    late = [one for _, one in spool.entries(doubled=True) if _belongs(launchpad, one)]
    found.results_doubled = [result.fw_id for result in late]
    found.results_refused = len(spool.refused())
    return found


def recover_process(
    database: Database,
    launchpad: CampaignLaunchPad,
    spool: Spool,
    owner: str,
    *,
    job_end: JobEnd | None = None,
) -> Recovery:
    """Put right what one process left behind that is known to be dead.

    Parameters
    ----------
    owner : str
        Token of the process.
    job_end : JobEnd, optional
        What becomes of its job; by default it runs again unless its processes died too often.
    """

    def gone(launch: dict[str, Any]) -> bool:
        return _owner(launch) == owner

    found = Recovery()
    for document in launchpad.workflows.find({"locked_by": owner}, {"nodes": 1}):
        if launchpad.take_lock(document["nodes"][0], owner):
            repair_workflow(launchpad, document["nodes"][0])
            found.unlocked.append(document["nodes"][0])
    busy = send_results(database, launchpad, spool, found, gone=gone, owners=frozenset({owner}))
    for document in launchpad.fireworks.find(
        {"state": "RESERVED", "reserved_by": owner}, {"fw_id": 1}
    ):
        if release(launchpad, document["fw_id"], owner):
            found.released.append(document["fw_id"])
    end_lost_launches(launchpad, found, gone=gone, but=busy, job_end=job_end)
    return found


# -- results on disk -----------------------------------------------------------------------------


def send_results(
    database: Database,
    launchpad: CampaignLaunchPad,
    spool: Spool,
    found: Recovery,
    *,
    gone: Callable[[dict[str, Any]], bool],
    owners: frozenset[str] | None = None,
) -> frozenset[int]:
    """Send results that are complete on disk and whose own process will not send them.

    Returns
    -------
    frozenset of int
        Launches whose result somebody else is sending at this moment.
    """
    busy: set[int] = set()
    for path, result in spool.entries():
        if owners is not None and result.owner not in owners:
            continue
        if not _belongs(launchpad, result):
            continue
        launch = launchpad.launches.find_one({"launch_id": result.launch_id})
        if not (is_dead(result.owner) or (launch is not None and gone(launch))):
            continue
        with spool.claimed(path) as mine:
            if not mine:
                busy.add(result.launch_id)
            elif launch is None or launch.get("fw_id") != result.fw_id:
                spool.set_aside(path)
            elif deliver(result, database.job_store, launchpad):
                path.unlink(missing_ok=True)
                found.results_sent.append(result.fw_id)
            else:
                spool.set_aside(path, doubled=True)
                found.results_doubled.append(result.fw_id)
    return frozenset(busy)


def _belongs(launchpad: CampaignLaunchPad, result: Result) -> bool:
    """Say whether a result is of this launchpad.

    Files of older versions name a server and its port, which may be another by now; but no two
    processes have one token.
    """
    if result.launchpad == launchpad.identity:
        return True
    launch = {"launch_id": result.launch_id, "fw_id": result.fw_id, OWNER_FIELD: result.owner}
    return launchpad.launches.find_one(launch, {"_id": 1}) is not None


# -- lost runs -----------------------------------------------------------------------------------


def end_lost_launches(
    launchpad: CampaignLaunchPad,
    found: Recovery,
    *,
    gone: Callable[[dict[str, Any]], bool],
    but: frozenset[int] = frozenset(),
    job_end: JobEnd | None = None,
) -> None:
    """End launches whose process is dead, and let their jobs run again unless they kill.

    A launch that has ended while its Firework still runs (the process died in between) is told to
    the workflow.
    """
    running = launchpad.fireworks.find({"state": "RUNNING"}, {"fw_id": 1, "launches": 1})
    for firework in running:
        fw_id = firework["fw_id"]
        launches = launchpad.launches.find({"launch_id": {"$in": firework["launches"]}})
        alive = [launch for launch in launches if launch["state"] not in ENDED]
        lost = [launch for launch in alive if gone(launch) and launch["launch_id"] not in but]
        # A workflow that is locked is in the hands of somebody who lives: the next time, then.
        with suppress(LockedWorkflowError):
            if not alive:
                if any(gone(launch) for launch in launches):
                    _tell_workflow(launchpad, fw_id, launches, found)
            elif len(lost) == len(alive):
                for launch in lost:
                    chosen = job_end or _end_of_death(launchpad, fw_id)
                    _end_launch(launchpad, fw_id, launch["launch_id"], chosen, found)
    # Launches that no Firework counts as its own any more.
    for launch in launchpad.launches.find({"state": "RUNNING"}):
        own = {"fw_id": launch["fw_id"], "launches": launch["launch_id"]}
        if gone(launch) and launchpad.fireworks.find_one(own, {"_id": 1}) is None:
            launchpad.launches.update_one(
                {"launch_id": launch["launch_id"], "state": "RUNNING"},
                {"$set": {"state": "FIZZLED"}},
            )


_LOST = JobEnd(
    failure_action("worker_lost", "The worker that ran this job has gone without a word."),
    run_again=True,
)


def _end_launch(
    launchpad: CampaignLaunchPad, fw_id: int, launch_id: int, job_end: JobEnd, found: Recovery
) -> None:
    if not _end(launchpad, launch_id, job_end):
        return  # somebody else has been quicker
    if not job_end.run_again:
        launchpad.complete_launch(launch_id, job_end.action, "FIZZLED")
        found.given_up.append(fw_id)
    elif launchpad.hand_back(fw_id, launch_id):
        found.handed_back.append(fw_id)


def _end(launchpad: CampaignLaunchPad, launch_id: int, job_end: JobEnd) -> bool:
    """End a launch that has not ended; say whether it is this end that counts.

    Whoever finds it half done can go on: a job that shall run again is marked.
    """
    action = job_end.action.to_dict()
    if job_end.run_again:
        action["stored_data"] = {**action["stored_data"], _RUN_AGAIN: True}
    open_ = {"launch_id": launch_id, "state": {"$nin": list(ENDED)}}
    ended = {"$set": {"state": "FIZZLED", "action": action}}
    if launchpad.launches.update_one(open_, ended).matched_count:
        return True
    # The answer to the first try may have been lost.
    same = {"launch_id": launch_id, "state": "FIZZLED"}
    found = launchpad.launches.find_one(same, {"action": 1})
    return found is not None and found.get("action") == action


def _tell_workflow(
    launchpad: CampaignLaunchPad, fw_id: int, launches: list[dict[str, Any]], found: Recovery
) -> None:
    """Let a Firework hear of the end of its launches, one that was being handed back included."""
    marked = [
        launch["launch_id"]
        for launch in launches
        if ((launch.get("action") or {}).get("stored_data") or {}).get(_RUN_AGAIN)
    ]
    if marked and not any(launch["state"] == "COMPLETED" for launch in launches):
        if launchpad.hand_back(fw_id, marked[-1]):
            found.handed_back.append(fw_id)
    else:
        repair_workflow(launchpad, fw_id)
        found.refreshed.append(fw_id)


def _end_of_death(launchpad: CampaignLaunchPad, fw_id: int) -> JobEnd:
    """Count a death, and let the job run again unless it was one too many."""
    fields = {"spec._superionic.deaths": 1, "spec.material_id": 1}
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, fields)
    spec = (firework or {}).get("spec") or {}
    deaths = (spec.get("_superionic") or {}).get("deaths", 0) + 1
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"spec._superionic.deaths": deaths}})
    action = failure_action(
        WORKER_DIED,
        f"The worker process died while it ran this job ({deaths} times so far).",
        "A job that kills its process often needs more memory: run it with fewer workers on a "
        "machine, or with a coarser grid. Then 'superionic rerun --cause worker_died'.",
        material_id=str(spec.get("material_id", "")),
    )
    return JobEnd(action, run_again=deaths <= DEATHS_ALLOWED)


def _gone_by(
    launchpad: CampaignLaunchPad, expiration_s: float | None
) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether the process of a running launch is gone."""
    from fireworks.fw_config import RUN_EXPIRATION_SECS

    now = launchpad.now()

    def gone(launch: dict[str, Any]) -> bool:
        dead = is_dead(_owner(launch))
        if dead is not None:
            return dead
        env = (launch.get("fworker") or {}).get("env") or {}
        ping_s = env.get("superionic_ping_s")
        silent_s = PINGS_TO_EXPIRE * ping_s if ping_s else RUN_EXPIRATION_SECS
        limit_s = silent_s if expiration_s is None else expiration_s
        return last_sign_of_life(launch) < now - timedelta(seconds=limit_s)

    return gone


def _owner(launch: dict[str, Any]) -> str | None:
    env = (launch.get("fworker") or {}).get("env") or {}
    return env.get("superionic_owner")


def last_sign_of_life(launch: dict[str, Any]) -> datetime:
    """Return when a launch last said that it is alive, by the database's clock.

    Launches of plain ``rlaunch`` say it by the clock of their own host.
    """
    if ALIVE_FIELD in launch:
        return _moment(launch[ALIVE_FIELD])
    moments = [
        _moment(entry.get("updated_on") or entry["created_on"])
        for entry in launch.get("state_history", ())
    ]
    return max(moments, default=datetime.min.replace(tzinfo=UTC))


def _moment(value: str | datetime) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
