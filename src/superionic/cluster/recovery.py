"""Putting right what dead processes left behind in the launchpad.

Everything here may be repeated, and stopped anywhere. A process of this machine is known to be dead
by its id and start time; one of another machine is taken for dead when it has not said for a while
that it lives.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fireworks.core.firework import FWAction

from superionic.cluster.launchpad import SPEC_KEY_FIELD, CampaignLaunchPad, failure_action
from superionic.cluster.owner import is_dead
from superionic.cluster.spool import Result, Spool, send
from superionic.cluster.submit import remove_unfinished_submissions
from superionic.database.stores import Database

PINGS_TO_EXPIRE = 4
DEATHS_ALLOWED = 2
WORKER_DIED = "worker_died"
_ENDED = ("COMPLETED", "FIZZLED")
_RUN_AGAIN = "_superionic_run_again"


@dataclass(frozen=True)
class Verdict:
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
        Fireworks that had been run again before their first result was found on disk.
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
    launchpad_name: str,
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
    launchpad_name : str
        Its description, as results on disk name it.
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
    gone = _gone_by(expiration_s)
    for fw_id in _seen_twice(lambda: _locked(launchpad), settle_s):
        repair_workflow(launchpad, fw_id)
        found.unlocked.append(fw_id)
    send_results(database, launchpad, launchpad_name, spool, found, gone=gone)
    for fw_id in _seen_twice(lambda: _reserved(launchpad), settle_s):
        if _release(launchpad, fw_id):
            found.released.append(fw_id)
    end_lost_launches(launchpad, found, gone=gone, verdict=_LOST)
    found.results_refused = len(spool.refused())
    return found


def recover_process(
    database: Database,
    launchpad: CampaignLaunchPad,
    launchpad_name: str,
    spool: Spool,
    owner: str,
    *,
    verdict: Verdict | None = None,
    deaths_allowed: int = DEATHS_ALLOWED,
) -> Recovery:
    """Put right what one process left behind that is known to be dead.

    Parameters
    ----------
    owner : str
        Token of the process.
    verdict : Verdict, optional
        What becomes of its job; by default it runs again unless its processes died too often.
    deaths_allowed : int
        A job whose process dies more often while its worker lives on has killed it, and fails.
    """

    def gone(launch: dict[str, Any]) -> bool:
        return _owner(launch) == owner

    found = Recovery()
    for document in launchpad.workflows.find({"locked_by": owner}, {"nodes": 1}):
        repair_workflow(launchpad, document["nodes"][0])
        found.unlocked.append(document["nodes"][0])
    send_results(
        database, launchpad, launchpad_name, spool, found, gone=gone, owners=frozenset({owner})
    )
    for document in launchpad.fireworks.find(
        {"state": "RESERVED", "reserved_by": owner}, {"fw_id": 1}
    ):
        if _release(launchpad, document["fw_id"]):
            found.released.append(document["fw_id"])
    end_lost_launches(launchpad, found, gone=gone, deaths_allowed=deaths_allowed, verdict=verdict)
    return found


# -- results on disk -----------------------------------------------------------------------------


def send_results(
    database: Database,
    launchpad: CampaignLaunchPad,
    launchpad_name: str,
    spool: Spool,
    found: Recovery,
    *,
    gone: Callable[[dict[str, Any]], bool],
    owners: frozenset[str] | None = None,
) -> None:
    """Send results that are complete on disk and whose own process will not send them."""
    for path, result in spool.entries():
        if result.launchpad != launchpad_name:
            continue
        if owners is not None and result.owner not in owners:
            continue
        launch = launchpad.launches.find_one({"launch_id": result.launch_id})
        if not (is_dead(result.owner) or (launch is not None and gone(launch))):
            continue
        if launch is None or launch.get("fw_id") != result.fw_id:
            spool.set_aside(path)
            continue
        if _superseded(launchpad, result):
            found.results_doubled.append(result.fw_id)
            spool.set_aside(path)
            continue
        send(result, database.job_store, launchpad.patience)
        launchpad.complete_launch(result.launch_id, result.action, result.state)
        path.unlink(missing_ok=True)
        found.results_sent.append(result.fw_id)


def _superseded(launchpad: CampaignLaunchPad, result: Result) -> bool:
    """Say whether the Firework no longer counts this launch as its own."""
    firework = launchpad.fireworks.find_one({"fw_id": result.fw_id}, {"launches": 1})
    return firework is None or result.launch_id not in firework["launches"]


# -- locks ---------------------------------------------------------------------------------------


def _locked(launchpad: CampaignLaunchPad) -> dict[int, Any]:
    """Return the locked workflows by first Firework, with what changes when they are at work."""
    rows = launchpad.workflows.find(
        {"locked": {"$exists": True}}, {"nodes": 1, "locked_by": 1, "updated_on": 1}
    )
    return {
        row["nodes"][0]: (row.get("locked_by"), row.get("updated_on"), len(row["nodes"]))
        for row in rows
    }


def _seen_twice(look: Callable[[], dict[int, Any]], settle_s: float) -> list[int]:
    """Return what belongs to a dead process, or has no known owner and does not change."""
    first = look()
    stale = [fw_id for fw_id, seen in first.items() if is_dead(seen[0])]
    doubtful = {fw_id: seen for fw_id, seen in first.items() if is_dead(seen[0]) is None}
    if doubtful:
        time.sleep(settle_s)
        second = look()
        stale += [fw_id for fw_id, seen in doubtful.items() if second.get(fw_id) == seen]
    return sorted(stale)


def repair_workflow(launchpad: CampaignLaunchPad, fw_id: int) -> None:
    """Bring a workflow that was left half written to a state that FireWorks could have written.

    FireWorks writes new Fireworks first, then changed ones, then the workflow. So the Fireworks are
    right, except new ones that the workflow does not know of: those go, and the Firework that made
    them is ended again.
    """
    workflow = launchpad.workflows.find_one({"nodes": fw_id})
    if workflow is None:
        return
    nodes = workflow["nodes"]
    if "locked" in workflow:
        launchpad.workflows.update_one(
            {"_id": workflow["_id"]}, {"$set": {"locked": True, "locked_by": launchpad.owner}}
        )
        key = workflow.get("metadata", {}).get("superionic", {}).get("key")
        if key is not None:
            launchpad.fireworks.delete_many({SPEC_KEY_FIELD: key, "fw_id": {"$nin": nodes}})
    rows = launchpad.fireworks.find(
        {"fw_id": {"$in": nodes}}, {"fw_id": 1, "state": 1, "launches": 1}
    )
    states = {row["fw_id"]: row["state"] for row in rows}
    known = {int(node): state for node, state in workflow.get("fw_states", {}).items()}
    for row in rows:
        if row["state"] == "COMPLETED" and known.get(row["fw_id"]) != "COMPLETED":
            launches = launchpad.launches.find(
                {"launch_id": {"$in": row["launches"]}, "state": "COMPLETED"}, {"action": 1}
            )
            actions = [launch.get("action") or {} for launch in launches]
            if any(a.get("detours") or a.get("additions") or "gridfs_id" in a for a in actions):
                launchpad.fireworks.update_one(
                    {"fw_id": row["fw_id"]}, {"$set": {"state": "RUNNING"}}
                )
                states[row["fw_id"]] = "RUNNING"
    if "locked" in workflow or states != known:
        launchpad.workflows.update_one(
            {"_id": workflow["_id"]},
            {
                "$set": {f"fw_states.{node}": state for node, state in states.items()},
                "$unset": {"locked": True, "locked_by": True},
            },
        )
    parents = {int(node): links for node, links in workflow.get("parent_links", {}).items()}
    for row in rows:
        node, state = row["fw_id"], states[row["fw_id"]]
        ready = all(states.get(parent) == "COMPLETED" for parent in parents.get(node, ()))
        ended = state == "RUNNING" and _has_ended(launchpad, row["launches"])
        if ended or (state == "WAITING" and ready):
            launchpad._refresh_wf(node)


def _has_ended(launchpad: CampaignLaunchPad, launch_ids: list[int]) -> bool:
    rows = launchpad.launches.find({"launch_id": {"$in": launch_ids}}, {"state": 1})
    return bool(rows) and all(row["state"] in _ENDED for row in rows)


# -- reservations --------------------------------------------------------------------------------


def _reserved(launchpad: CampaignLaunchPad) -> dict[int, Any]:
    """Return reserved Fireworks without a reserved launch (those wait in a queue) by id."""
    rows = launchpad.fireworks.find(
        {"state": "RESERVED"}, {"fw_id": 1, "reserved_by": 1, "updated_on": 1, "launches": 1}
    )
    orphans = {}
    for row in rows:
        in_queue = launchpad.launches.find_one(
            {"launch_id": {"$in": row["launches"]}, "state": "RESERVED"}, {"_id": 1}
        )
        if in_queue is None:
            orphans[row["fw_id"]] = (row.get("reserved_by"), row.get("updated_on"))
    return orphans


def _release(launchpad: CampaignLaunchPad, fw_id: int) -> bool:
    """Make a reserved Firework ready again; the launch that it never heard of has failed."""
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"launches": 1})
    action = failure_action(WORKER_DIED, "The worker process died before the job began.")
    launchpad.launches.update_many(
        {"fw_id": fw_id, "state": "RUNNING", "launch_id": {"$nin": firework["launches"]}},
        {"$set": {"state": "FIZZLED", "action": action.to_dict()}},
    )
    released = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, "state": "RESERVED"},
        {"$set": {"state": "READY"}, "$unset": {"reserved_by": True}},
    )
    if released is not None:
        launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {f"fw_states.{fw_id}": "READY"}})
    return released is not None


# -- lost runs -----------------------------------------------------------------------------------


def end_lost_launches(
    launchpad: CampaignLaunchPad,
    found: Recovery,
    *,
    gone: Callable[[dict[str, Any]], bool],
    deaths_allowed: int = DEATHS_ALLOWED,
    verdict: Verdict | None = None,
) -> None:
    """End launches whose process is dead, and let their jobs run again unless they kill.

    A launch that has ended while its Firework still runs (the process died in between) is told to
    the workflow.
    """
    running = launchpad.fireworks.find({"state": "RUNNING"}, {"fw_id": 1, "launches": 1})
    for firework in running:
        fw_id = firework["fw_id"]
        launches = launchpad.launches.find({"launch_id": {"$in": firework["launches"]}})
        alive = [launch for launch in launches if launch["state"] not in _ENDED]
        lost = [launch for launch in alive if gone(launch)]
        if not alive:
            if any(gone(launch) for launch in launches):
                _tell_workflow(launchpad, fw_id, launches, found)
        elif len(lost) == len(alive):
            for launch in lost:
                chosen = verdict or _verdict_of_death(launchpad, fw_id, deaths_allowed)
                if chosen.run_again:
                    _hand_back(launchpad, fw_id, launch["launch_id"], chosen.action)
                    found.handed_back.append(fw_id)
                else:
                    launchpad.complete_launch(launch["launch_id"], chosen.action, "FIZZLED")
                    found.given_up.append(fw_id)
    # Launches that no Firework counts as its own any more.
    for launch in launchpad.launches.find({"state": "RUNNING"}):
        own = {"fw_id": launch["fw_id"], "launches": launch["launch_id"]}
        if gone(launch) and launchpad.fireworks.find_one(own, {"_id": 1}) is None:
            launchpad.launches.update_one(
                {"launch_id": launch["launch_id"], "state": "RUNNING"},
                {"$set": {"state": "FIZZLED"}},
            )


_LOST = Verdict(
    failure_action("worker_lost", "The worker that ran this job has gone without a word."),
    run_again=True,
)


def _hand_back(launchpad: CampaignLaunchPad, fw_id: int, launch_id: int, action: FWAction) -> None:
    """End a launch and make its Firework ready; whoever finds it half done can go on."""
    marked = action.to_dict()
    marked["stored_data"] = {**marked["stored_data"], _RUN_AGAIN: True}
    launchpad.launches.update_one(
        {"launch_id": launch_id, "state": {"$nin": list(_ENDED)}},
        {"$set": {"state": "FIZZLED", "action": marked}},
    )
    launchpad.rerun_fw(fw_id)


def _tell_workflow(
    launchpad: CampaignLaunchPad, fw_id: int, launches: list[dict[str, Any]], found: Recovery
) -> None:
    """Let a Firework hear of the end of its launches, one that was being handed back included."""
    actions = [launch.get("action") or {} for launch in launches]
    completed = any(launch["state"] == "COMPLETED" for launch in launches)
    if not completed and any((a.get("stored_data") or {}).get(_RUN_AGAIN) for a in actions):
        launchpad.rerun_fw(fw_id)
        found.handed_back.append(fw_id)
    else:
        repair_workflow(launchpad, fw_id)
        found.refreshed.append(fw_id)


def _verdict_of_death(launchpad: CampaignLaunchPad, fw_id: int, deaths_allowed: int) -> Verdict:
    """Count a death, and let the job run again unless it was one too many."""
    counted = launchpad.db.fireworks.find_one_and_update(
        {"fw_id": fw_id}, {"$inc": {"spec._superionic.deaths": 1}}, return_document=True
    )
    deaths = counted["spec"]["_superionic"]["deaths"]
    action = failure_action(
        WORKER_DIED,
        f"The worker process died while it ran this job ({deaths} times so far).",
        "A job that kills its process often needs more memory: run it with fewer workers on a "
        "machine, or with a coarser grid. Then 'superionic rerun --cause worker_died'.",
    )
    return Verdict(action, run_again=deaths <= deaths_allowed)


def _gone_by(expiration_s: float | None) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether the process of a running launch is gone."""
    from fireworks.fw_config import RUN_EXPIRATION_SECS

    now = datetime.now(UTC)

    def gone(launch: dict[str, Any]) -> bool:
        dead = is_dead(_owner(launch))
        if dead is not None:
            return dead
        env = (launch.get("fworker") or {}).get("env") or {}
        ping_s = env.get("superionic_ping_s")
        limit_s = expiration_s or (PINGS_TO_EXPIRE * ping_s if ping_s else RUN_EXPIRATION_SECS)
        return last_sign_of_life(launch) < now - timedelta(seconds=limit_s)

    return gone


def _owner(launch: dict[str, Any]) -> str | None:
    env = (launch.get("fworker") or {}).get("env") or {}
    return env.get("superionic_owner")


def last_sign_of_life(launch: dict[str, Any]) -> datetime:
    """Return when a launch last said that it is alive."""
    moments = [
        _moment(entry.get("updated_on") or entry["created_on"])
        for entry in launch.get("state_history", ())
    ]
    return max(moments, default=datetime.min.replace(tzinfo=UTC))


def _moment(value: str | datetime) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
