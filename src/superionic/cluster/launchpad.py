"""FireWorks' launchpad, made fit for processes and servers that die.

FireWorks itself is untouched: ``lpad``, ``rlaunch`` and ``qlaunch`` work on the same database. What
this class adds: every lock and reservation names the process that holds it; every operation waits
for a server that is away; results are on disk before they are sent.
"""

import datetime
import json
import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from fireworks.core.firework import FWAction, Launch, Workflow
from fireworks.core.launchpad import LaunchPad, LockedWorkflowError
from pymongo import ASCENDING, DESCENDING, MongoClient
from pymongo.errors import DocumentTooLarge, DuplicateKeyError

from superionic.cluster.identity import Gate
from superionic.cluster.retry import (
    DatabaseAwayError,
    RetryingCollection,
    RetryingCounter,
    RetryPolicy,
)
from superionic.store.database.owner import this_process
from superionic.store.database.stores import CLIENT_KWARGS

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 30.0
_LOCK_POLL_S = 0.05
_LONGEST_LOOK_S = 1.0
_N_CANDIDATES = 200
_CANDIDATES_AGE_S = 30.0
REFUSALS_COLLECTION = "refusals"
_COLLECTIONS = ("fireworks", "launches", "offline_runs", "workflows")
_IDENTITY = "superionic_launchpad"
ALIVE_FIELD = "superionic_alive"
"""Last sign of life of a launch, by the clock of the database: those of hosts differ."""
OWNER_FIELD = "fworker.env.superionic_owner"
KEY_FIELD = "metadata.superionic.key"
SPEC_KEY_FIELD = "spec._superionic.key"


class CampaignLaunchPad(LaunchPad):
    """A launchpad for campaigns.

    Parameters
    ----------
    settings : dict
        As ``LaunchPad.from_dict`` takes them.
    retry : RetryPolicy
        How long an operation waits for a server that is away.

    Attributes
    ----------
    gate : Gate or None
        Which jobs are taken; all without one.
    """

    def __init__(self, settings: dict[str, Any], retry: RetryPolicy) -> None:
        kwargs = {**CLIENT_KWARGS, **(settings.get("mongoclient_kwargs") or {})}
        super().__init__(
            host=settings.get("host"),
            port=settings.get("port"),
            name=settings.get("name"),
            username=settings.get("username"),
            password=settings.get("password"),
            strm_lvl="CRITICAL",
            authsource=settings.get("authsource"),
            uri_mode=settings.get("uri_mode", False),
            mongoclient_kwargs=kwargs,
        )
        self.m_logger.propagate = False
        self.retry = retry
        self.owner = this_process().token
        for name in _COLLECTIONS:
            setattr(self, name, RetryingCollection(self.db[name], retry))
        self.fw_id_assigner = RetryingCounter(self.db["fw_id_assigner"], retry)
        self.refusals = RetryingCollection(self.db[REFUSALS_COLLECTION], retry)
        self.gate: Gate | None = None
        self._strange: set[int] = set()
        self._preferred: list[int] = []
        self._candidates: list[int] = []
        self._candidates_for: tuple[str, float] = ("", 0.0)

    @property
    def client(self) -> MongoClient[dict[str, Any]]:
        """The connection."""
        return self.connection

    def prepare(self) -> None:
        """Make an empty database a launchpad, and index it; an existing one is left as it is."""
        self.fw_id_assigner.update_one(
            {"_id": -1}, {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}}, upsert=True
        )
        self.tuneup()
        # Unique, so that two submissions at once cannot queue the same work twice.
        self.workflows.create_index(KEY_FIELD, unique=True, sparse=True)
        self.workflows.create_index("state")
        self.fireworks.create_index(SPEC_KEY_FIELD, sparse=True)
        self.fireworks.create_index(
            [("state", ASCENDING), ("spec._priority", DESCENDING), ("fw_id", ASCENDING)]
        )

    def is_prepared(self) -> bool:
        """Say whether the database is a launchpad."""
        return self.fw_id_assigner.find_one({}) is not None

    def now(self) -> datetime.datetime:
        """Return what time it is for the database, the one clock that all hosts share."""
        told = self.retry.call(lambda: self.client.admin.command("hello")["localTime"])
        return told.replace(tzinfo=datetime.UTC) if told.tzinfo is None else told

    @cached_property
    def identity(self) -> str:
        """Return the name of this launchpad, which stays when its server moves."""
        names = RetryingCollection(self.db[_IDENTITY], self.retry)
        new = {"$setOnInsert": {"identity": uuid.uuid4().hex}}
        names.update_one({"_id": "launchpad"}, new, upsert=True)
        return str(names.find_one({"_id": "launchpad"})["identity"])

    # -- locks -------------------------------------------------------------------------------

    @contextmanager
    def lock(self, fw_id: int, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """Hold the lock of a workflow, FireWorks' own, with the name of the holder beside it.

        It stays when the database goes away for good in the middle: a workflow that is half
        written must not look as if it were whole.

        Raises
        ------
        LockedWorkflowError
            When another process holds it for longer than ``timeout_s``.
        """
        free = {"$or": [{"locked": {"$exists": False}}, {"locked_by": self.owner}]}
        taken = {"$set": {"locked": True, "locked_by": self.owner}}
        waited_s, looked_at = 0.0, time.monotonic()
        while self.workflows.find_one_and_update({"nodes": fw_id, **free}, taken) is None:
            if self.workflows.find_one({"nodes": fw_id}, {"_id": 1}) is None:
                raise ValueError(f"Firework {fw_id} belongs to no workflow.")
            # While the database was away, the holder could not go on either.
            now = time.monotonic()
            waited_s += min(now - looked_at, _LONGEST_LOOK_S)
            looked_at = now
            if waited_s > timeout_s:
                raise LockedWorkflowError(f"The workflow of Firework {fw_id} is locked.")
            time.sleep(_LOCK_POLL_S)
        try:
            yield
        except DatabaseAwayError:
            raise
        except BaseException:
            self._unlock(fw_id)
            raise
        self._unlock(fw_id)

    def _unlock(self, fw_id: int) -> None:
        # Only this process's lock: if this is repeated, another one may hold it already.
        mine = {"nodes": fw_id, "locked_by": self.owner}
        self.workflows.update_one(mine, {"$unset": {"locked": True, "locked_by": True}})

    def take_lock(self, fw_id: int, holder: str | None) -> bool:
        """Take the lock that a dead process holds (None: a nameless one); say whether that worked.

        It goes to one of those who try.
        """
        found = self.workflows.find_one({"nodes": fw_id}, {"locked_by": 1, "locked": 1})
        if found is None or "locked" not in found:
            return False
        seen = found.get("locked_by")
        if seen not in (holder, self.owner):
            return False
        taken = {"$set": {"locked": True, "locked_by": self.owner}}
        held = {"_id": found["_id"], "locked": True, "locked_by": seen}
        if self.workflows.update_one(held, taken).matched_count:
            return True
        # The answer to the first try may have been lost.
        return self.workflows.find_one({"_id": found["_id"], "locked_by": self.owner}) is not None

    def _refresh_wf(self, fw_id: int) -> None:
        """Bring the states of a workflow up to date, as FireWorks does, under a named lock."""
        try:
            with self.lock(fw_id):
                workflow = self.get_wf_by_fw_id_lzyfw(fw_id)
                self._update_wf(workflow, workflow.refresh(fw_id))
        except LockedWorkflowError:
            logger.warning("The workflow of Firework %d is locked: 'superionic recover'.", fw_id)
        except DatabaseAwayError:
            raise
        except Exception as error:
            failed = {"$set": {"state": "FIZZLED"}}
            self.fireworks.update_one({"fw_id": fw_id}, failed)
            failed["$set"][f"fw_states.{fw_id}"] = "FIZZLED"
            self.workflows.update_one({"nodes": fw_id}, failed)
            raise RuntimeError(f"The workflow of Firework {fw_id} cannot be refreshed.") from error

    def _update_wf(self, wf: Workflow, updated_ids: set[int]) -> None:
        """Write a changed workflow; the lock keeps the name of its holder, unlike in FireWorks."""
        known = sorted(wf.id_fw)
        mine = {"nodes": known[-1], "locked_by": self.owner}
        if self.workflows.find_one(mine, {"_id": 1}) is None:
            raise LockedWorkflowError(f"The lock of Firework {known[-1]} is another process's.")
        old_new = self._upsert_fws([wf.id_fw[fw_id] for fw_id in updated_ids])
        wf._reassign_ids(old_new)
        node = next(fw_id for fw_id in known if fw_id not in old_new)
        document = {**wf.to_db_dict(), "locked": True, "locked_by": self.owner}
        mine = {"nodes": node, "locked_by": self.owner}
        if not self.workflows.replace_one(mine, document).matched_count:
            raise LockedWorkflowError(f"The lock of Firework {node} was taken from this process.")

    def _upsert_fws(self, fws: list[Any], reassign_all: bool = False) -> dict[int, int]:
        """Write Fireworks; what other processes have made of them since is not undone.

        FireWorks replaces what is there. Where the answer to that is lost in an outage and it is
        repeated, it would undo the next step of another process: the first writing made a job
        ready, another process has taken it, the second one makes it ready again and its launch
        unknown.
        """
        if reassign_all:
            return dict(super()._upsert_fws(fws, reassign_all=True))
        old_new = {}
        for firework in sorted(fws, key=lambda one: one.fw_id):
            if firework.fw_id < 0:
                new_id = self.get_new_fw_id()
                old_new[firework.fw_id] = new_id
                firework.fw_id = new_id
            document = firework.to_db_dict()
            document["updated_on"] = datetime.datetime.now(datetime.UTC).isoformat()
            self._write_once(document)
        return old_new

    def _write_once(self, document: dict[str, Any]) -> None:
        """Insert or replace a Firework, each time with another ``updated_on``."""
        fw_id = {"fw_id": document["fw_id"]}
        found = self.fireworks.find_one(fw_id, {"updated_on": 1})
        if found is None:
            with suppress(DuplicateKeyError):  # the answer to the first try was lost
                self.fireworks.insert_one(document)
            return
        as_found = {**fw_id, "_id": found["_id"], "updated_on": found.get("updated_on")}
        n_tries = 0

        def replace() -> bool:
            nonlocal n_tries
            n_tries += 1
            return bool(self.fireworks.once.replace_one(as_found, document).matched_count)

        # Changed since it was looked at, without an outage: by somebody who holds no lock, and the
        # holder of the lock is right, as in FireWorks. After an outage: by the first try.
        if not self.retry.call(replace) and n_tries == 1:
            self.fireworks.replace_one(fw_id, document)

    def rerun_fw(
        self,
        fw_id: int,
        rerun_duplicates: bool = True,
        recover_launch: Any = None,
        recover_mode: Any = None,
    ) -> list[int]:
        """Let a Firework that has ended, and what depends on it, run again.

        One that somebody else has started again meanwhile is left alone.
        """
        if recover_launch is not None:
            return super().rerun_fw(fw_id, rerun_duplicates, recover_launch, recover_mode)
        with self.lock(fw_id):
            ended = {"fw_id": fw_id, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
            if self.fireworks.find_one(ended, {"_id": 1}) is None:
                return []
            workflow = self.get_wf_by_fw_id_lzyfw(fw_id)
            self._update_wf(workflow, workflow.rerun_fw(fw_id))
        return [fw_id]

    def hand_back(self, fw_id: int, launch_id: int) -> bool:
        """Let a Firework run again if this launch is still its own; say whether it was."""
        with self.lock(fw_id):
            own = {"fw_id": fw_id, "launches": launch_id}
            if self.fireworks.find_one(own, {"_id": 1}) is None:
                return False
            workflow = self.get_wf_by_fw_id_lzyfw(fw_id)
            self._update_wf(workflow, workflow.rerun_fw(fw_id))
        return True

    # -- checking out ------------------------------------------------------------------------

    def _get_a_fw_to_run(
        self, query: dict[str, Any] | None = None, fw_id: int | None = None, checkout: bool = True
    ) -> Any:
        """Reserve the next job for this process, or look whether there is one."""
        wanted = self._wanted(query)
        if not checkout:
            return self.fireworks.find_one(wanted, {"fw_id": 1})
        # Where the answer to an earlier try was lost on the way, the job is reserved already.
        mine = {"state": "RESERVED", "reserved_by": self.owner}
        if (reserved := self.fireworks.find_one(mine, {"fw_id": 1})) is not None:
            return self._loaded(reserved["fw_id"])
        if fw_id:
            wanted = {"state": {"$in": ["READY", "RESERVED"]}}
            return self._loaded(fw_id) if self._reserve(fw_id, wanted) else None
        for fresh in (False, True):
            wanted = self._wanted(query)  # what is refused has been learned in between
            if fresh or not self._candidates or self._candidates_are_old(wanted):
                self._look_for_candidates(wanted)
            while self._preferred or self._candidates:
                candidate = (self._preferred or self._candidates).pop(0)
                if self._reserve(candidate, wanted) and (found := self._loaded(candidate)):
                    return found
        return None

    def _wanted(self, query: dict[str, Any] | None) -> dict[str, Any]:
        refused = self.gate.criteria() if self.gate is not None else {}
        if self._strange:
            refused = {**refused, "fw_id": {"$nin": sorted(self._strange)}}
        return {**(query or {}), **refused, "state": "READY"}

    def _loaded(self, fw_id: int) -> Any:
        """Return a job that is reserved; one whose tasks are unknown here is left to others."""
        try:
            return self.get_fw_by_id(fw_id)
        except DatabaseAwayError:
            raise
        except (Exception, SystemExit) as error:
            name = type(error).__name__
            logger.warning(
                "Firework %d cannot be loaded here, and is left alone (%s).", fw_id, name
            )
        self._strange.add(fw_id)
        mine = {"fw_id": fw_id, "state": "RESERVED", "reserved_by": self.owner}
        ready = {"$set": {"state": "READY"}, "$unset": {"reserved_by": True}}
        self.fireworks.update_one(mine, ready)
        return None

    def _reserve(self, fw_id: int, wanted: dict[str, Any]) -> bool:
        """Take a job for this process, if it still is what is wanted."""
        found = self.fireworks.find_one({"fw_id": fw_id}, {"state": 1, "spec._superionic": 1})
        if found is None or found["state"] not in ("READY", "RESERVED"):
            return False
        details = found.get("spec", {}).get("_superionic", {})
        if self.gate is not None and not self.gate.lets_pass(details):
            return False
        reservation = {
            "state": "RESERVED",
            "reserved_by": self.owner,
            "updated_on": datetime.datetime.now(datetime.UTC),
        }
        taken = self.fireworks.update_one({**wanted, "_id": found["_id"]}, {"$set": reservation})
        if taken.matched_count:
            return True
        # The answer to the first try may have been lost.
        mine = {"fw_id": fw_id, "reserved_by": self.owner, "state": "RESERVED"}
        return self.fireworks.find_one(mine, {"_id": 1}) is not None

    def _candidates_are_old(self, wanted: dict[str, Any]) -> bool:
        wanted_then, looked_at = self._candidates_for
        return repr(wanted) != wanted_then or time.monotonic() - looked_at > _CANDIDATES_AGE_S

    def _look_for_candidates(self, wanted: dict[str, Any]) -> None:
        """Look which jobs are ready, many at a time: a queue may be long, and a look at it dear."""
        order = [("spec._priority", DESCENDING), ("fw_id", ASCENDING)]
        rows = self.fireworks.find(
            wanted, {"fw_id": 1, "spec._priority": 1}, sort=order, limit=_N_CANDIDATES
        )
        # Shuffled within a priority, so that many workers do not all want the same job.
        random.shuffle(rows)
        rows.sort(key=lambda row: -(row["spec"].get("_priority") or 0))
        self._candidates = [row["fw_id"] for row in rows]
        self._candidates_for = (repr(wanted), time.monotonic())

    def prefer_children(self, fw_id: int) -> None:
        """Let the next job be a child of this one, so that workflows are finished one by one."""
        workflow = self.workflows.find_one({"nodes": fw_id}, {"links": 1})
        if workflow is not None:
            self._preferred = list(workflow["links"].get(str(fw_id), ()))

    def checkout_fw(
        self,
        fworker: Any,
        launch_dir: str,
        fw_id: int | None = None,
        host: str | None = None,
        ip: str | None = None,
        state: str = "RUNNING",
    ) -> Any:
        """Take the next job, as FireWorks does, less its search for duplicates of it."""
        firework = self._get_a_fw_to_run(fworker.query, fw_id=fw_id)
        if firework is None:
            return None, None
        in_queue = [launch for launch in firework.launches if launch.state == "RESERVED"]
        launch = Launch(
            state,
            launch_dir,
            fworker,
            host,
            ip,
            state_history=in_queue[0].state_history if in_queue else None,
            launch_id=in_queue[0].launch_id if in_queue else self.get_new_launch_id(),
            fw_id=firework.fw_id,
        )
        begun = {"$set": launch.to_db_dict(), "$currentDate": {ALIVE_FIELD: True}}
        self.launches.update_one({"launch_id": launch.launch_id}, begun, upsert=True)
        others = [one for one in firework.launches if one.launch_id != launch.launch_id]
        firework.launches = [*others, launch]
        firework.state = state
        if not self._start(firework, launch.launch_id):
            logger.warning("Firework %d was taken from this process.", firework.fw_id)
            nothing = {"launch_id": launch.launch_id}
            self.launches.update_one(nothing, {"$set": {"state": "FIZZLED"}})
            return None, None
        self._refresh_wf(firework.fw_id)
        self.backup_launch_data = {launch.launch_id: launch.to_db_dict()}
        self.backup_fw_data = {firework.fw_id: firework.to_db_dict()}
        return firework, launch.launch_id

    def _start(self, firework: Any, launch_id: int) -> bool:
        """Let a Firework that this process has reserved know of its launch."""
        mine = {"fw_id": firework.fw_id, "state": "RESERVED", "reserved_by": self.owner}
        document = firework.to_db_dict()
        document["updated_on"] = datetime.datetime.now(datetime.UTC).isoformat()
        if self.fireworks.replace_one(mine, document).matched_count:
            return True
        # The answer to the first try may have been lost.
        own = {"fw_id": firework.fw_id, "launches": launch_id}
        return self.fireworks.find_one(own, {"_id": 1}) is not None

    def ping_launch(self, launch_id: int, ptime: Any = None, checkpoint: Any = None) -> None:
        """Say that a launch is alive; a database that is away is waited for, not an error."""
        try:
            super().ping_launch(launch_id, ptime, checkpoint)
            running = {"launch_id": launch_id, "state": "RUNNING"}
            self.launches.update_one(running, {"$currentDate": {ALIVE_FIELD: True}})
        except DatabaseAwayError:
            logger.warning("Launch %d could not say that it is alive.", launch_id)
        except ValueError:
            logger.warning("Launch %d is there no more.", launch_id)

    # -- ending launches ---------------------------------------------------------------------

    def still_owns(self, fw_id: int, launch_id: int, owner: str) -> bool:
        """Say whether a launch runs, is its Firework's own, and is this owner's.

        It is a sign of life, too: for a while nobody will take the launch for lost.
        """
        alive = {"$currentDate": {ALIVE_FIELD: True}}
        if not self.launches.update_one(_run_by(owner, fw_id, launch_id), alive).matched_count:
            return False
        own = {"fw_id": fw_id, "launches": launch_id}
        return self.fireworks.find_one(own, {"_id": 1}) is not None

    def has_ended(self, fw_id: int, launch_id: int, owner: str, state: str) -> bool:
        """Say whether this owner's launch has ended so, for its Firework to know."""
        ended = {**_run_by(owner, fw_id, launch_id), "state": state}
        own = {"fw_id": fw_id, "launches": launch_id}
        return (
            self.launches.find_one(ended, {"_id": 1}) is not None
            and self.fireworks.find_one(own, {"_id": 1}) is not None
        )

    def end_launch(
        self, fw_id: int, launch_id: int, owner: str, action: FWAction, state: str
    ) -> bool:
        """End a launch that runs, in one step, and tell its workflow; say whether it did run.

        FireWorks ends a launch whatever became of it: one that was given up for lost, and is
        running again, too.
        """
        try:
            launch = self.get_launch_by_id(launch_id)
        except ValueError:  # it was deleted
            return False
        launch.state, launch.action = state, action
        document = launch.to_db_dict()
        running = _run_by(owner, fw_id, launch_id)
        try:
            ended = self.launches.replace_one(running, document).matched_count
        except DocumentTooLarge:
            if self.gridfs_fallback is None:
                raise
            content = json.dumps(document["action"])
            file = self.gridfs_fallback.put(
                content, encoding="utf-8", metadata={"launch_id": launch_id}
            )
            document["action"] = {"gridfs_id": str(file)}
            ended = self.launches.replace_one(running, document).matched_count
        if not ended:
            # The answer to the first try may have been lost.
            found = self.launches.find_one({**running, "state": state}, {"action": 1})
            if found is None or (state != "COMPLETED" and found["action"] != document["action"]):
                return False
        for firework in self.fireworks.find({"launches": launch_id}, {"fw_id": 1}):
            self._refresh_wf(firework["fw_id"])
        return True

    def restore_backup_data(self, launch_id: int, fw_id: int) -> None:
        """Let a launch run again whose end could not be told, if it is its Firework's own."""
        firework, launch = self.backup_fw_data.get(fw_id), self.backup_launch_data.get(launch_id)
        own = {"fw_id": fw_id, "launches": launch_id}
        if firework and launch and self.fireworks.replace_one(own, firework).matched_count:
            self.launches.replace_one({"launch_id": launch_id}, launch)


def _run_by(owner: str, fw_id: int, launch_id: int) -> dict[str, Any]:
    return {"launch_id": launch_id, "fw_id": fw_id, "state": "RUNNING", OWNER_FIELD: owner}


def failure_action(code: str, message: str, hint: str = "", material_id: str = "") -> FWAction:
    """Return the action of a launch that somebody else has to end.

    Parameters
    ----------
    code : str
        Cause, as ``SuperionicError.code``.
    message, hint : str
        What happened, and what to do.
    material_id : str
        The material, where it is known.
    """
    details = {"code": code, "message": message, "hint": hint, "material_id": material_id}
    return FWAction(
        stored_data={
            "_message": message,
            "_task": None,
            "_exception": {"_stacktrace": message, "_details": details},
        },
        exit=True,
    )
