"""A campaign into the launchpad: one small workflow for each material."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from maggma.utils import grouper
from pymongo.errors import BulkWriteError

from superionic.cluster.identity import described, potentials_of
from superionic.cluster.launchpad import KEY_FIELD, CampaignLaunchPad
from superionic.cluster.site import Site
from superionic.cluster.task import workflow_of
from superionic.errors import InputError
from superionic.potentials.base import PotentialInfo
from superionic.store.builders.build import build_screening
from superionic.store.builders.names import record_names
from superionic.store.database.finished import adopt
from superionic.store.database.owner import is_dead
from superionic.structures.candidate import Candidate
from superionic.structures.crystals import each_candidate
from superionic.structures.selection import Selection
from superionic.workflows.campaign.best import best_of
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.campaign.results import finished_work
from superionic.workflows.campaign.selection import Selector, check_any, select
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.table import imported

if TYPE_CHECKING:
    from superionic.workflows.makers.base import MaterialMaker

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
    n_lost : int
        Those among them that are done, and whose results or arrays are not in the database.
    n_duplicates : int
        Materials that are the same crystal as another one, which is computed in their place.
    n_jobs : int
        Jobs of the new materials.
    work : float
        Sum of ``Candidate.work`` of the new materials.
    n_without_ion : int
        Crystals that do not hold the mobile ion; of several ions, each counts.
    removed : list of tuple
        For each filter its label and how many it removed.
    unreadable : list of InputError
        What could not be read.
    """

    n_submitted: int = 0
    n_finished: int = 0
    n_queued: int = 0
    n_failed_before: int = 0
    n_lost: int = 0
    n_duplicates: int = 0
    n_jobs: int = 0
    work: float = 0.0
    n_without_ion: int = 0
    removed: list[tuple[str, int]] = field(default_factory=list)
    unreadable: list[InputError] = field(default_factory=list)

    @property
    def n_read(self) -> int:
        """Materials that were looked at."""
        known = self.n_finished + self.n_queued + self.n_duplicates
        return self.n_submitted + known + len(self.unreadable)

    def lines(self, *, dry_run: bool = False) -> list[str]:
        """Return what became of the candidates, in words."""
        verb = "would be submitted" if dry_run else "submitted"
        found = [f"{self.n_submitted} materials {verb} ({self.n_jobs} jobs)."]
        counts = [
            (self.n_without_ion, "do not hold the mobile ion."),
            *((count, f"were removed by {label}.") for label, count in self.removed),
            (self.n_duplicates, "are the same as another, which stands for them."),
            (self.n_finished, "are finished already."),
            (self.n_queued, "are in the launchpad already."),
            (self.n_failed_before, "of them have failed: 'superionic rerun'."),
            (
                self.n_lost,
                "of them are done, but the database has not all of their results: 'superionic "
                "recover' sends what is on disk, 'superionic screen' computes what is lost.",
            ),
        ]
        return found + [f"{count} {text}" for count, text in counts if count]


def submit(
    campaign: Campaign,
    site: Site,
    default_potential: str,
    *,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda text: None,
) -> Submission:
    """Submit a workflow for each candidate that is neither finished nor in the launchpad.

    Crystals are read twice, since it must be known which are the same before the first one is
    submitted: memory grows by about a kilobyte for each, and not at all with ``every_copy``. A
    submission that is stopped is completed by the same call.

    Parameters
    ----------
    campaign : Campaign
        The campaign.
    site : Site
        The results database and the launchpad, prepared unless it is a dry run.
    default_potential : str
        The potential where the campaign names none.
    dry_run : bool
        Count only.
    progress : callable
        Hears of the state of things, in words.

    Raises
    ------
    SettingsError
        When a setting of the campaign is wrong.
    PotentialError, NetworkError
        When potential or network cannot be identified here.
    DatabaseError
        When the database goes away.
    """
    makers = campaign.makers(default_potential)
    potentials = potentials_of(makers[0])
    if not dry_run:
        remove_unfinished_submissions(site.launchpad)
        if campaign.best or campaign.kind.starts_from:
            build_screening(site.database, wait=True)
    total = Submission()
    selections: list[Selection] = []
    for maker in makers:
        one = _OneIon(campaign, maker, site, potentials, dry_run=dry_run, progress=progress)
        one.with_faults = not selections  # a file that cannot be read is said once
        one.submit(total)
        selections.append(one.left_out)
    if campaign.crystals:
        selections[0].unreadable = total.unreadable
        check_any(campaign, selections)
    total.n_without_ion = sum(chosen.n_without_ion for chosen in selections)
    total.removed = [pair for chosen in selections for pair in chosen.removed]
    return total


class _Others(NamedTuple):
    """Other keys of the same work: those of 0.1, and those of results that answer as well."""

    former: dict[str, str]
    answers: dict[str, str]


class _OneIon:
    """The submission of a campaign for one of its ions."""

    def __init__(
        self,
        campaign: Campaign,
        maker: "MaterialMaker",
        site: Site,
        potentials: Mapping[str, PotentialInfo],
        *,
        dry_run: bool,
        progress: Callable[[str], None],
    ) -> None:
        self.campaign, self.maker, self.site, self.potentials = campaign, maker, site, potentials
        self.starts_from = campaign.kind.starts_from
        # An engine may have an identity of its own.
        self.info = maker.identity() if self.starts_from else potentials[maker.potential]
        self.dry_run, self.progress = dry_run, progress
        self.left_out = Selection()
        self.with_faults = True

    def submit(self, total: Submission) -> None:
        """Submit in portions."""
        duplicates: Collection[str] = frozenset()
        every = self.campaign.every_copy or self.starts_from or self.campaign.best
        if not every:
            same = self.same()
            duplicates = same.keys()
            if not self.dry_run:
                record_names(self.site.database, same, self.maker.mobile_species)
        for chunk in grouper(self.candidates(), CHUNK_SIZE):
            self._submit_chunk(chunk, duplicates, total)
            self.progress(f"{total.n_read} read, {total.n_submitted} new")

    def same(self) -> dict[str, str]:
        """Return for each candidate that need not be computed the one that stands for it.

        What is finished or in the launchpad already stands for the others.
        """
        keys: list[str] = []
        others: dict[str, _Others] = {}

        def note(ion: int, candidate: Candidate) -> None:
            keys.append("")
            with suppress(InputError):  # said when it is to be submitted
                keys[-1] = self.maker.key(candidate)
                others[keys[-1]] = self.others({keys[-1]: candidate})

        (chosen,) = select(
            self.campaign,
            [self.maker],
            keep=False,
            hear=note,
            progress=lambda done, total: self.progress(f"{done} of {total} crystals compared"),
        )
        members = {keys[i]: chosen.names[i] for i in chosen.repeated() if keys[i]}
        finished: set[str] = set()
        queued: set[str] = set()
        for chunk in grouper(members, CHUNK_SIZE):
            older = {then: now for key in chunk for then, now in others[key].former.items()}
            exact = {one: key for key in chunk for one in others[key].answers}
            done, waiting = self.known(chunk, _Others(older, exact))
            finished |= done
            queued |= set(waiting)
        return chosen.duplicates(
            {members[key] for key in finished}, {members[key] for key in queued}
        )

    def candidates(self) -> Iterator[Candidate | InputError]:
        """Yield the candidates once more, and what cannot be ordered."""
        if self.campaign.best is not None:
            chosen = Selection()
            if self.campaign.crystals:
                (chosen,) = select(self.campaign, [self.maker])
            best = self.campaign.best
            yield from chosen.unreadable if self.with_faults else ()
            if self.starts_from is not None:
                given = chosen.candidates if self.campaign.crystals else None
                self.left_out = chosen
                yield from imported(self.starts_from)(self.maker, self.site.database, given, best)
                return
            self.left_out = best_of(self.site.database, best, self.maker, self.info, chosen)
            yield from self.left_out.candidates
            return
        selector = Selector(self.campaign, self.maker)
        for item in each_candidate(self.campaign.crystals):
            if self.with_faults or not isinstance(item, InputError):
                yield from selector.candidates([item])
        self.left_out = selector.left_out()

    def others(self, candidates: Mapping[str, Candidate]) -> _Others:
        """Return the other keys under which the work of some crystals may be found."""
        former, answers = former_keys(self.maker, candidates.values()), {}
        if (answering := self.maker.answering()) is not None:
            former |= former_keys(answering, candidates.values())
            answers = {answering.key(one): key for key, one in candidates.items()}
        return _Others(former, answers)

    def known(self, keys: Iterable[str], others: _Others) -> tuple[set[str], dict[str, str]]:
        """Return the keys that are finished, and the states of those in the launchpad."""
        former, answers = others
        if not self.dry_run:
            adopt(self.site.database, former)
        kind = self.campaign.kind
        finished = finished_work(self.site.database, [*keys, *answers], self.info, kind)
        today = answers | {then: answers.get(now, now) for then, now in former.items()}
        states = queued_keys(self.site.launchpad, keys, today)
        return {answers.get(key, key) for key in finished}, states

    def _submit_chunk(
        self,
        chunk: list[Candidate | InputError],
        duplicates: Collection[str],
        total: Submission,
    ) -> None:
        candidates: dict[str, Candidate] = {}
        if self.starts_from is not None and self.campaign.best is None:
            chunk = imported(self.starts_from)(self.maker, self.site.database, chunk)
        for item in chunk:
            if isinstance(item, InputError):
                total.unreadable.append(item)
            elif item.material_id in duplicates:
                total.n_duplicates += 1
            else:
                try:
                    candidates.setdefault(self.maker.key(item), item)
                except InputError as error:
                    total.unreadable.append(error.for_material(item.material_id))
        finished, queued = self.known(candidates, self.others(candidates))
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
                total.n_lost += state == "COMPLETED"
        workflows = [
            _workflow(key, candidate, self.campaign, self.maker, self.potentials)
            for key, candidate in todo.items()
        ]
        added = workflows if self.dry_run else add_workflows(self.site.launchpad, workflows)
        total.n_submitted += len(added)
        total.n_queued += len(workflows) - len(added)
        total.n_jobs += sum(len(workflow) for workflow in added)
        keys = {workflow.metadata["superionic"]["key"] for workflow in added}
        total.work += sum(todo[key].work for key in keys)


def _workflow(
    key: str,
    candidate: Candidate,
    campaign: Campaign,
    maker: "MaterialMaker",
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


def remove_unfinished_submissions(launchpad: CampaignLaunchPad) -> int:
    """Remove workflows that a stopped submission left without all their jobs.

    Returns
    -------
    int
        How many were removed; they are submitted again with their campaign.
    """
    removed = 0
    limit = launchpad.now() - _PENDING_AGE
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
        Other keys under which the same work may be queued, and those of today.
    """
    today = {key: key for key in keys} | dict(former or {})
    rows = launchpad.workflows.find(
        {KEY_FIELD: {"$in": sorted(today)}}, {KEY_FIELD: 1, "state": 1, "_id": 0}
    )
    return {today[row["metadata"]["superionic"]["key"]]: row["state"] for row in rows}
