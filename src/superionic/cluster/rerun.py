"""Running failed jobs again."""

from collections.abc import Callable, Iterable

from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.status import read_failures


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
