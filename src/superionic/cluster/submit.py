"""From candidates to small workflows in the launchpad: one for each material."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from importlib import import_module
from typing import Any

from pymongo.errors import BulkWriteError

from superionic.cluster.identity import described
from superionic.cluster.launchpad import KEY_FIELD, CampaignLaunchPad
from superionic.cluster.task import workflow_of
from superionic.errors import InputError, SuperionicError
from superionic.potentials.base import PotentialInfo
from superionic.store.builders.portions import portions
from superionic.store.database.finished import adopt, finished_keys
from superionic.store.database.owner import is_dead
from superionic.store.database.stores import Database
from superionic.structures.candidate import Candidate
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.base import FlowMaker

CHUNK_SIZE = 200
PENDING_FIELD = "metadata.superionic.pending"
_PENDING_AGE = timedelta(minutes=5)
_DUPLICATE_KEY = 11000


@dataclass
class Submission:
    """What became of the candidates of a campaign.

    Parameters
    ----------
    n_submitted : int
        Materials that are new in the launchpad.
    n_finished : int
        Materials whose result is in the database already.
    n_queued : int
        Materials that are in the launchpad already, in whatever state.
    n_failed_before : int
        Those among them that have failed; 'superionic rerun' starts them again.
    n_duplicates : int
        Materials that are the same crystal as another one, which is computed in their place.
    n_jobs : int
        Jobs of the new materials.
    work : float
        Sum of ``Candidate.work`` of the new materials.
    unreadable : list of InputError
        What could not be read.
    """

    n_submitted: int = 0
    n_finished: int = 0
    n_queued: int = 0
    n_failed_before: int = 0
    n_duplicates: int = 0
    n_jobs: int = 0
    work: float = 0.0
    unreadable: list[InputError] = field(default_factory=list)

    @property
    def n_read(self) -> int:
        """Materials that were looked at."""
        known = self.n_finished + self.n_queued + self.n_duplicates
        return self.n_submitted + known + len(self.unreadable)


def submit(
    found: Iterable[Candidate | InputError],
    campaign: Campaign,
    maker: FlowMaker,
    database: Database,
    launchpad: CampaignLaunchPad,
    potentials: Mapping[str, PotentialInfo],
    *,
    duplicates: Container[str] = frozenset(),
    dry_run: bool = False,
    progress: Callable[[Submission], None] = lambda _: None,
) -> Submission:
    """Submit a workflow for each candidate that is neither finished nor in the launchpad.

    Memory does not grow with the number of candidates. A submission that is stopped is completed
    by the same call.

    Parameters
    ----------
    found : iterable of Candidate or InputError
        As :func:`~superionic.structures.readers.read_candidates` yields them.
    campaign : Campaign
        Priority, categories and time limit of the jobs.
    maker : FlowMaker
        Makes the flows.
    database : Database
        The results.
    launchpad : CampaignLaunchPad
        The launchpad, prepared unless it is a dry run.
    potentials : mapping of str to PotentialInfo
        As :func:`~superionic.cluster.identity.potentials_of` returns them: results of others do
        not count as finished, and workers that have others leave the jobs alone.
    duplicates : container of str
        Names of candidates that are not submitted, since the same crystal is under another name.
    dry_run : bool
        Count only.
    progress : callable
        Hears of the state of things after each chunk.

    Raises
    ------
    DatabaseError
        When the database goes away.
    """
    if not dry_run:
        remove_unfinished_submissions(launchpad)
    info = potentials[maker.potential]
    starts_from = campaign.kind.starts_from
    if starts_from is not None:  # an engine may have an identity of its own
        info = maker.info()
    total = Submission()
    for chunk in portions(found, CHUNK_SIZE):
        candidates: dict[str, Candidate] = {}
        if starts_from is not None:
            module, _, name = starts_from.partition(":")
            chunk = getattr(import_module(module), name)(maker, database, chunk)
        for item in chunk:
            if isinstance(item, InputError):
                total.unreadable.append(item)
                continue
            if item.material_id in duplicates:
                total.n_duplicates += 1
                continue
            try:
                candidates.setdefault(maker.key(item), item)
            except SuperionicError as error:
                total.unreadable.append(_as_input(error, item))
        former = former_keys(maker, candidates.values())
        if not dry_run:
            adopt(database, former)
        finished = finished_keys(database, candidates, info, campaign.kind.result_kind)
        queued = queued_keys(launchpad, candidates, former)
        todo = {
            key: candidate
            for key, candidate in candidates.items()
            if key not in finished and key not in queued
        }
        total.n_finished += len(finished)
        for key, state in queued.items():
            if key not in finished:
                total.n_queued += 1
                total.n_failed_before += state == "FIZZLED"
        workflows = [
            _workflow(key, candidate, campaign, maker, potentials)
            for key, candidate in todo.items()
        ]
        added = workflows if dry_run else add_workflows(launchpad, workflows)
        total.n_submitted += len(added)
        total.n_queued += len(workflows) - len(added)
        total.n_jobs += sum(len(workflow) for workflow in added)
        keys = {workflow.metadata["superionic"]["key"] for workflow in added}
        total.work += sum(todo[key].work for key in keys)
        progress(total)
    return total


def _workflow(
    key: str,
    candidate: Candidate,
    campaign: Campaign,
    maker: FlowMaker,
    potentials: Mapping[str, PotentialInfo],
) -> Any:
    flow = maker.make(candidate)
    common = {"key": key, "flow": campaign.flow, "campaign": campaign.name}
    for job, _ in flow.iterflow():
        details: dict[str, Any] = {**common, "job": job.name, **described(job, maker, potentials)}
        if campaign.time_limit_s is not None:
            details["time_limit_s"] = campaign.time_limit_s
        job.config.manager_config = {
            **job.config.manager_config,
            "_category": campaign.category(job.name),
            "_priority": campaign.priority,
            "_superionic": details,
        }
    metadata = {"material_id": candidate.material_id, "superionic": common}
    return workflow_of(flow, metadata=metadata)


def add_workflows(launchpad: CampaignLaunchPad, workflows: list[Any]) -> list[Any]:
    """Insert workflows, and return those whose key was not there yet.

    As FireWorks' ``bulk_add_wfs``, the workflows go first, so that no job is launched before its
    workflow is known; and the first job of each goes last, so that none is launched before the
    others are there. Until then the workflows are marked as pending.
    """
    if not workflows:
        return []
    next_id = launchpad.get_new_fw_id(sum(len(workflow) for workflow in workflows))
    pending = {"since": launchpad.now(), "owner": launchpad.owner}
    documents = []
    for workflow in workflows:
        new_ids = dict(
            zip(sorted(workflow.id_fw, reverse=True), range(next_id, 2**62), strict=False)
        )
        next_id += len(new_ids)
        for firework in workflow.fws:
            firework.fw_id = new_ids[firework.fw_id]
        workflow._reassign_ids(new_ids)
        for fw_id in workflow.root_fw_ids:
            workflow.id_fw[fw_id].state = "READY"
            workflow.fw_states[fw_id] = "READY"
        document = workflow.to_db_dict()
        document["metadata"]["superionic"]["pending"] = pending
        documents.append(document)
    rejected = _insert_new(launchpad, documents)
    added = [workflow for i, workflow in enumerate(workflows) if i not in rejected]
    if added:
        fireworks = [firework for workflow in added for firework in workflow.fws]
        fireworks.sort(key=lambda firework: (firework.state == "READY", firework.fw_id))
        launchpad.db.fireworks.insert_many(firework.to_db_dict() for firework in fireworks)
        launchpad.workflows.update_many(
            {KEY_FIELD: {"$in": [w.metadata["superionic"]["key"] for w in added]}},
            {"$unset": {PENDING_FIELD: True}},
        )
    return added


def _insert_new(launchpad: CampaignLaunchPad, documents: list[dict[str, Any]]) -> set[int]:
    """Insert workflows; return the positions of those whose key was there already."""
    try:
        launchpad.db.workflows.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        faults = error.details["writeErrors"]
        if any(fault["code"] != _DUPLICATE_KEY for fault in faults):
            raise
        return {fault["index"] for fault in faults}
    return set()


def remove_unfinished_submissions(
    launchpad: CampaignLaunchPad, *, older_than: timedelta = _PENDING_AGE
) -> int:
    """Remove workflows that a stopped submission left without all their jobs.

    Returns
    -------
    int
        How many were removed; they are submitted again with their campaign.
    """
    removed = 0
    limit = launchpad.now() - older_than
    for document in launchpad.workflows.find(
        {PENDING_FIELD: {"$exists": True}}, {"nodes": 1, PENDING_FIELD: 1}
    ):
        pending = document["metadata"]["superionic"]["pending"]
        dead = is_dead(pending["owner"])
        if not (dead if dead is not None else pending["since"].replace(tzinfo=UTC) < limit):
            continue
        nodes = document["nodes"]
        if launchpad.fireworks.count_documents({"fw_id": {"$in": nodes}}) < len(nodes):
            launchpad.fireworks.delete_many({"fw_id": {"$in": nodes}})
            launchpad.workflows.delete_one({"_id": document["_id"]})
            removed += 1
        else:
            launchpad.workflows.update_one(
                {"_id": document["_id"]}, {"$unset": {PENDING_FIELD: True}}
            )
    return removed


def queued_keys(
    launchpad: CampaignLaunchPad, keys: Iterable[str], former: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the state of the workflow of each task key that is in the launchpad.

    Parameters
    ----------
    launchpad : CampaignLaunchPad
        The launchpad.
    keys : iterable of str
        The keys.
    former : mapping of str to str, optional
        Keys under which 0.1 queued the same work, and those of today.
    """
    today = {key: key for key in keys} | dict(former or {})
    rows = launchpad.workflows.find(
        {KEY_FIELD: {"$in": sorted(today)}}, {KEY_FIELD: 1, "state": 1, "_id": 0}
    )
    return {today[row["metadata"]["superionic"]["key"]]: row["state"] for row in rows}


def _as_input(error: SuperionicError, candidate: Candidate) -> InputError:
    return InputError(error.message, hint=error.hint, material_id=candidate.material_id)
