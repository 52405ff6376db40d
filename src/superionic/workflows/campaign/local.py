"""A campaign on this machine: plan, run, build, collect; the same for every flow."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from superionic import defaults
from superionic.errors import InputError
from superionic.potentials.base import PotentialInfo
from superionic.schemas.common import utc_now
from superionic.schemas.document import FailureDocument
from superionic.settings import SuperionicSettings
from superionic.store.builders.build import build_screening
from superionic.store.builders.names import record_names
from superionic.store.database.answers import database_errors
from superionic.store.database.finished import adopt
from superionic.store.database.stores import Database, resolve_database
from superionic.structures.selection import Selection
from superionic.workflows.campaign.best import best_of
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.campaign.outcome import Outcome, Reporter, Task
from superionic.workflows.campaign.rereading import read_again
from superionic.workflows.campaign.results import Asked, finished_work
from superionic.workflows.campaign.run import run_and_build
from superionic.workflows.campaign.selection import select
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.table import FlowKind, imported, order_of

if TYPE_CHECKING:
    from superionic.workflows.makers.base import MaterialMaker


@dataclass(frozen=True)
class CampaignResult:
    """What a campaign has given for one mobile ion.

    Parameters
    ----------
    rows : list
        Results of the crystals that were asked for, as the flow's entry reads them: in their order,
        or ranked.
    failures : list of FailureDocument
        Crystals that could not be read or computed.
    n_planned : int
        Crystals that were asked for, duplicates aside.
    n_done : int
        Those among them that have a result.
    n_computed : int
        Crystals that were computed now; the others were in the database or known.
    n_reused : int
        Crystals to be computed of which a part was in the database.
    selection : Selection
        Which crystals were wanted, and what became of the rest.
    """

    rows: list[Any]
    failures: list[FailureDocument]
    n_planned: int
    n_done: int
    n_computed: int
    n_reused: int = 0
    selection: Selection = field(default_factory=Selection)


def run_campaign(
    campaign: Campaign,
    settings: SuperionicSettings,
    reporter: Reporter,
    *,
    n_workers: int = 0,
    prefer_uri: bool = False,
    known: Iterable[Any] = (),
    compute: bool = True,
    policy: str = defaults.POLICY,
) -> Iterator[CampaignResult]:
    """Run a campaign on this machine; yield what it gave for each of its mobile ions.

    What is in the database is not computed again. One crystal that fails does not stop the rest.

    Parameters
    ----------
    campaign : Campaign
        The campaign.
    settings : SuperionicSettings
        Which database, and the potential where the campaign names none.
    reporter : Reporter
        Hears of the selection, the plan, each start, progress and end.
    n_workers : int
        Worker processes; 0 means one for each physical core.
    prefer_uri : bool
        Let ``settings.database_uri`` win over a jobflow configuration file.
    known : iterable of result
        Results from elsewhere, such as a published data set of labels. They stand in for work with
        the same key and weights.
    compute : bool
        Whether anything is computed; otherwise only what is there is collected.
    policy : str
        Policy by which results that are ranked are ranked.

    Raises
    ------
    UnreadableFileError
        When there is no crystal and no broken file either.
    SettingsError
        When a setting is wrong, or nothing is named that could be computed.
    PotentialError, NetworkError
        When the potential or network cannot be loaded or fails its self-check.
    DatabaseError
        When there is no database, or it stops taking results.
    """
    # Bound: jobs run in another directory, where a relative path would lead nowhere.
    makers = [maker.bound() for maker in campaign.makers(settings.potential)]
    info = makers[0].identity()
    same = info.weights_sha256
    published = {row.task_key: row for row in known if row.potential_weights_sha256 == same}
    selections = _read(campaign, makers)
    with (
        resolve_database(settings, prefer_uri=prefer_uri, writing=compute) as database,
        database_errors(database),
    ):
        if (campaign.best or campaign.kind.starts_from) and compute:
            build_screening(database, wait=True)
        for maker, chosen in zip(makers, selections, strict=True):
            if campaign.kind.starts_from is not None:
                chosen = _with_start(campaign, maker, database, chosen)
            elif campaign.best is not None:
                chosen = best_of(database, campaign.best, maker, info, chosen)
            run = _Run(campaign.kind, maker, info, chosen, database, published)
            yield run(reporter, n_workers=n_workers, compute=compute, policy=policy)


def _read(campaign: Campaign, makers: "list[MaterialMaker]") -> list[Selection]:
    if campaign.best is not None and not campaign.crystals:
        return [Selection() for _ in makers]
    if campaign.kind.starts_from is not None:  # which crystals are the same, their results say
        campaign = campaign.model_copy(update={"every_copy": True})
    return select(campaign, makers)


def _with_start(
    campaign: Campaign, maker: "MaterialMaker", database: Database, chosen: Selection
) -> Selection:
    """Return a selection whose candidates know the results that they go on from."""
    start = imported(str(campaign.kind.starts_from))
    given = chosen.candidates if campaign.crystals else None
    found = start(maker, database, given, campaign.best)
    candidates = [one for one in found if not isinstance(one, InputError)]
    return replace(
        chosen,
        candidates=candidates,
        names=[one.material_id for one in candidates],
        first=list(range(len(candidates))),
        unreadable=[*chosen.unreadable, *(one for one in found if isinstance(one, InputError))],
    )


class _Run:
    """The work of one mobile ion."""

    def __init__(
        self,
        kind: FlowKind,
        maker: "MaterialMaker",
        info: PotentialInfo,
        chosen: Selection,
        database: Database,
        published: Mapping[str, Any],
    ) -> None:
        self.kind, self.maker, self.info = kind, maker, info
        self.chosen, self.database, self.published = chosen, database, published
        self.tasks: list[Task] = []
        self.broken = list(chosen.unreadable)
        for candidate in chosen.candidates:
            try:
                self.tasks.append(Task(candidate, maker.key(candidate)))
            except InputError as error:
                self.broken.append(error.for_material(candidate.material_id))

    def __call__(
        self, reporter: Reporter, *, n_workers: int, compute: bool, policy: str
    ) -> CampaignResult:
        """Plan, run, and collect."""
        failures = [unreadable(error) for error in self.broken]
        if compute:
            if self.kind.starts_from is None:  # what has no result yet is no failure of a file
                self._note_files(failures)
            adopt(self.database, former_keys(self.maker, self.chosen.candidates))
        finished = self.published.keys() | self.finished(task.key for task in self.tasks)
        if (answering := self.maker.answering()) is not None:
            finished |= self._take_answers(answering, finished, compute=compute)
        keys = {task.candidate.material_id: task.key for task in self.tasks}
        if compute and self.kind.result_kind == "descriptors":
            read_again(self.database, keys.values(), self.info)
        done = {name for name, key in keys.items() if key in finished}
        duplicates = self.chosen.duplicates(done)
        tasks = [task for task in self.tasks if task.candidate.material_id not in duplicates]
        todo = [task for task in tasks if task.key not in finished]
        if (order := order_of(self.kind)) is not None:
            todo.sort(key=lambda task: order(task.candidate))
        if todo and compute:  # it proves itself before anything is begun
            self.maker.info()
        reporter.selected(self.chosen)
        reporter.planned(
            n_materials=len(tasks),
            n_finished=len(tasks) - len(todo),
            todo=todo if compute else [],
        )
        outcomes: list[Outcome] = []
        n_reused = 0
        if compute:
            record_names(self.database, duplicates, self.maker.mobile_species)
            maker: Any = self.maker
            if self.kind.reuse is not None:
                go_on = imported(self.kind.reuse)
                crystals = [task.candidate for task in todo]
                maker, n_reused = go_on(self.maker, self.database, crystals, self.info)
            outcomes = run_and_build(
                todo, maker, self.database, reporter, n_workers=n_workers, finished=self.finished
            )
        failed = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        asked = Asked(
            *(self.kind, self.database, self.info, keys, duplicates, self.published, policy)
        )
        rows = imported(self.kind.results)(asked)
        with_result = {row.material_id for row in rows}
        return CampaignResult(
            rows=rows,
            failures=failures + failed,
            n_planned=len(tasks),
            n_done=sum(task.candidate.material_id in with_result for task in tasks),
            n_computed=len(outcomes) - len(failed),
            n_reused=n_reused,
            selection=self.chosen,
        )

    def _take_answers(
        self, answering: "MaterialMaker", finished: Collection[str], *, compute: bool
    ) -> set[str]:
        """Let tasks without a result be those of another Maker that have one; return their keys."""
        open_ = [i for i, task in enumerate(self.tasks) if task.key not in finished]
        crystals = [self.tasks[i].candidate for i in open_]
        if compute:
            adopt(self.database, former_keys(answering, crystals))
        keys = {i: answering.key(crystal) for i, crystal in zip(open_, crystals, strict=True)}
        found = self.finished(keys.values())
        for i, key in keys.items():
            if key in found:
                self.tasks[i] = replace(self.tasks[i], key=key)
        return found

    def finished(self, keys: Iterable[str]) -> set[str]:
        """Return those of some keys whose results are in the database."""
        return finished_work(self.database, keys, self.info, self.kind)

    def _note_files(self, failures: list[FailureDocument]) -> None:
        """Keep the failures of files, and forget those of files that can be read again."""
        readable = [f"file:{one.source}" for one in self.chosen.candidates]
        self.database.failures.remove_docs({"key": {"$in": readable}})
        if failures:
            self.database.failures.update([one.model_dump() for one in failures], key="key")


def unreadable(error: InputError) -> FailureDocument:
    """Return what is kept of a crystal that could not be read."""
    name = error.material_id or "all"
    return FailureDocument(
        key=f"file:{name}",
        material_id=name,
        source=name,
        code=error.code,
        message=error.message,
        hint=error.hint,
        last_updated=utc_now().isoformat(),
    )
