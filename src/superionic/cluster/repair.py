"""Putting right what is left in workflows: locks, half-written states, jobs taken or failed.

Everything takes the lock, or the reservation, from the one who was seen to hold it and from no
other, so that two may try at once.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from superionic.cluster.launchpad import SPEC_KEY_FIELD, CampaignLaunchPad, failure_action
from superionic.cluster.status import read_failures
from superionic.store.database.owner import is_dead

WORKER_DIED = "worker_died"
ENDED = ("COMPLETED", "FIZZLED")


# -- locks ---------------------------------------------------------------------------------------


def locked(launchpad: CampaignLaunchPad) -> dict[int, Any]:
    """Return the locked workflows by first Firework, with what changes when they are at work."""
    rows = launchpad.workflows.find(
        {"locked": {"$exists": True}}, {"nodes": 1, "locked_by": 1, "updated_on": 1}
    )
    return {
        row["nodes"][0]: (row.get("locked_by"), row.get("updated_on"), len(row["nodes"]))
        for row in rows
    }


def seen_twice(look: Callable[[], dict[int, Any]], settle_s: float) -> list[tuple[int, str | None]]:
    """Return what belongs to a dead process, or has no known owner and does not change.

    With its owner, so that it is not taken from the next one.
    """
    first = look()
    stale = [fw_id for fw_id, seen in first.items() if is_dead(seen[0])]
    doubtful = {fw_id: seen for fw_id, seen in first.items() if is_dead(seen[0]) is None}
    if doubtful:
        time.sleep(settle_s)
        second = look()
        stale += [fw_id for fw_id, seen in doubtful.items() if second.get(fw_id) == seen]
    return [(fw_id, first[fw_id][0]) for fw_id in sorted(stale)]


def repair_workflow(launchpad: CampaignLaunchPad, fw_id: int) -> None:
    """Bring a workflow that was left half written to a state that FireWorks could have written.

    FireWorks writes new Fireworks first, then changed ones, then the workflow. So the Fireworks are
    right, except new ones that the workflow does not know of: those go, and the Firework that made
    them is ended again.

    The lock of a dead process must have been taken before; it is given back at the end.
    """
    with launchpad.lock(fw_id):
        unfinished = _repaired(launchpad, fw_id)
    for node in unfinished:
        launchpad._refresh_wf(node)


def _repaired(launchpad: CampaignLaunchPad, fw_id: int) -> list[int]:
    """Write what a workflow knows of its Fireworks; return those that wait for a refresh."""
    workflow = launchpad.workflows.find_one({"nodes": fw_id})
    nodes = workflow["nodes"]
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
    if states != known:
        launchpad.workflows.update_one(
            {"_id": workflow["_id"]},
            {"$set": {f"fw_states.{node}": state for node, state in states.items()}},
        )
    parents = {int(node): links for node, links in workflow.get("parent_links", {}).items()}
    unfinished = []
    for row in rows:
        node, state = row["fw_id"], states[row["fw_id"]]
        ready = all(states.get(parent) == "COMPLETED" for parent in parents.get(node, ()))
        ended = state == "RUNNING" and _has_ended(launchpad, row["launches"])
        if ended or (state == "WAITING" and ready):
            unfinished.append(node)
    return unfinished


def _has_ended(launchpad: CampaignLaunchPad, launch_ids: list[int]) -> bool:
    rows = launchpad.launches.find({"launch_id": {"$in": launch_ids}}, {"state": 1})
    return bool(rows) and all(row["state"] in ENDED for row in rows)


# -- reservations --------------------------------------------------------------------------------


def reserved(launchpad: CampaignLaunchPad) -> dict[int, Any]:
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


def release(launchpad: CampaignLaunchPad, fw_id: int, holder: str | None) -> bool:
    """Make a reserved Firework ready again; the launch that it never heard of has failed."""
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"launches": 1})
    action = failure_action(WORKER_DIED, "The worker process died before the job began.")
    orphan = {"fw_id": fw_id, "state": "RUNNING", "launch_id": {"$nin": firework["launches"]}}
    if holder is not None:
        orphan["fworker.env.superionic_owner"] = holder
    launchpad.launches.update_many(
        orphan, {"$set": {"state": "FIZZLED", "action": action.to_dict()}}
    )
    released = launchpad.fireworks.find_one_and_update(
        {"fw_id": fw_id, "state": "RESERVED", "reserved_by": holder},
        {
            "$set": {"state": "READY", "updated_on": datetime.now(UTC)},
            "$unset": {"reserved_by": True},
        },
    )
    if released is not None:
        launchpad.workflows.update_one(
            {"nodes": fw_id, f"fw_states.{fw_id}": "RESERVED"},
            {"$set": {f"fw_states.{fw_id}": "READY"}},
        )
    return released is not None


def failed_jobs(launchpad: CampaignLaunchPad, causes: Iterable[str] = ()) -> list[int]:
    """Return the Fireworks that failed, of given causes or of all.

    Parameters
    ----------
    launchpad : CampaignLaunchPad
        The launchpad.
    causes : iterable of str
        Names of causes as 'superionic status' shows them; without any, all.
    """
    wanted = set(causes)
    return [
        fw_id
        for group in read_failures(launchpad)
        if not wanted or group.cause in wanted
        for fw_id in group.fw_ids
    ]


def all_first_jobs(launchpad: CampaignLaunchPad) -> list[int]:
    """Return the first job of each workflow of superionic that has ended, whatever its end."""
    rows = launchpad.workflows.find(
        {"metadata.superionic": {"$exists": True}, "state": {"$in": ["COMPLETED", "FIZZLED"]}},
        {"nodes": 1, "parent_links": 1},
    )
    return [
        node
        for row in rows
        for node in row["nodes"]
        if not row.get("parent_links", {}).get(str(node))
    ]


def rerun(
    launchpad: CampaignLaunchPad,
    fw_ids: Iterable[int],
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Let Fireworks run again, with a clean record of deaths; return how many will.

    Parameters
    ----------
    launchpad : CampaignLaunchPad
        The launchpad.
    fw_ids : iterable of int
        The Fireworks.
    progress : callable
        Hears of the number so far.
    """
    n_rerun = 0
    for fw_id in fw_ids:
        launchpad.fireworks.update_one({"fw_id": fw_id}, {"$unset": {"spec._superionic.deaths": 1}})
        n_rerun += len(launchpad.rerun_fw(fw_id))
        progress(n_rerun)
    return n_rerun
