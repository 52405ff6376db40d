"""FireWorks' launchpad, made fit for processes and servers that die.

FireWorks itself is untouched: ``lpad``, ``rlaunch`` and ``qlaunch`` work on the same database. What
this class adds: every lock and reservation names the process that holds it; every operation waits
for a server that is away; results are on disk before they are sent.
"""

import datetime
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fireworks.core.firework import FWAction, Workflow
from fireworks.core.launchpad import LaunchPad, LockedWorkflowError
from pymongo import ASCENDING, DESCENDING, MongoClient

from superionic.cluster.owner import this_process
from superionic.cluster.patience import DatabaseAwayError, Patience, PatientCollection

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 30.0
_LOCK_POLL_S = 0.05
CLIENT_KWARGS = {
    "serverSelectionTimeoutMS": 3_000,
    "connectTimeoutMS": 3_000,
    "socketTimeoutMS": 60_000,
}
_COLLECTIONS = ("fireworks", "launches", "offline_runs", "fw_id_assigner", "workflows")
KEY_FIELD = "metadata.superionic.key"
SPEC_KEY_FIELD = "spec._superionic.key"


class CampaignLaunchPad(LaunchPad):
    """A launchpad for campaigns.

    Parameters
    ----------
    settings : dict
        As ``LaunchPad.from_dict`` takes them.
    patience : Patience
        How long an operation waits for a server that is away.
    """

    def __init__(self, settings: dict[str, Any], patience: Patience) -> None:
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
        self.patience = patience
        self.owner = this_process().token
        for name in _COLLECTIONS:
            setattr(self, name, PatientCollection(self.db[name], patience))

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

    def is_prepared(self) -> bool:
        """Say whether the database is a launchpad."""
        return self.fw_id_assigner.find_one({}) is not None

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
        deadline = time.monotonic() + timeout_s
        while self.workflows.find_one_and_update({"nodes": fw_id, **free}, taken) is None:
            if self.workflows.find_one({"nodes": fw_id}, {"_id": 1}) is None:
                raise ValueError(f"Firework {fw_id} belongs to no workflow.")
            if time.monotonic() > deadline:
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
        self.workflows.find_one_and_update(
            {"nodes": fw_id}, {"$unset": {"locked": True, "locked_by": True}}
        )

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
            self.fireworks.find_one_and_update({"fw_id": fw_id}, failed)
            failed["$set"][f"fw_states.{fw_id}"] = "FIZZLED"
            self.workflows.find_one_and_update({"nodes": fw_id}, failed)
            raise RuntimeError(f"The workflow of Firework {fw_id} cannot be refreshed.") from error

    def _update_wf(self, wf: Workflow, updated_ids: set[int]) -> None:
        """Write a changed workflow; the lock keeps the name of its holder, unlike in FireWorks."""
        known = sorted(wf.id_fw)
        old_new = self._upsert_fws([wf.id_fw[fw_id] for fw_id in updated_ids])
        wf._reassign_ids(old_new)
        node = next(fw_id for fw_id in known if fw_id not in old_new)
        document = {**wf.to_db_dict(), "locked": True, "locked_by": self.owner}
        if self.workflows.find_one_and_replace({"nodes": node}, document) is None:
            raise ValueError(f"Firework {node} belongs to no workflow.")

    def rerun_fw(
        self,
        fw_id: int,
        rerun_duplicates: bool = True,
        recover_launch: Any = None,
        recover_mode: Any = None,
    ) -> list[int]:
        """Let a Firework, and what depends on it, run again."""
        if recover_launch is not None:
            return super().rerun_fw(fw_id, rerun_duplicates, recover_launch, recover_mode)
        found = self.fireworks.find_one({"fw_id": fw_id}, {"state": 1})
        if found is None or found["state"] in ("ARCHIVED", "DEFUSED", "WAITING"):
            return []
        with self.lock(fw_id):
            workflow = self.get_wf_by_fw_id_lzyfw(fw_id)
            self._update_wf(workflow, workflow.rerun_fw(fw_id))
        return [fw_id]

    # -- checking out ------------------------------------------------------------------------

    def _get_a_fw_to_run(
        self, query: dict[str, Any] | None = None, fw_id: int | None = None, checkout: bool = True
    ) -> Any:
        """Reserve the next job for this process, or look whether there is one."""
        wanted = {**(query or {}), "state": "READY"}
        if fw_id:
            wanted = {"fw_id": fw_id, "state": {"$in": ["READY", "RESERVED"]}}
        order = [("spec._priority", DESCENDING), ("fw_id", ASCENDING)]
        if not checkout:
            return self.fireworks.find_one(wanted, {"fw_id": 1}, sort=order)
        # Where the answer to an earlier try was lost on the way, the job is reserved already.
        mine = self.fireworks.find_one({"state": "RESERVED", "reserved_by": self.owner})
        reserved = mine or self.fireworks.find_one_and_update(
            wanted,
            {
                "$set": {
                    "state": "RESERVED",
                    "reserved_by": self.owner,
                    "updated_on": datetime.datetime.now(datetime.UTC),
                }
            },
            sort=order,
        )
        if reserved is None:
            return None
        return self.get_fw_by_id(reserved["fw_id"])

    def ping_launch(self, launch_id: int, ptime: Any = None, checkpoint: Any = None) -> None:
        """Say that a launch is alive; a database that is away is waited for, not an error."""
        try:
            super().ping_launch(launch_id, ptime, checkpoint)
        except DatabaseAwayError:
            logger.warning("Launch %d could not say that it is alive.", launch_id)


def failure_action(code: str, message: str, hint: str = "") -> FWAction:
    """Return the action of a launch that somebody else has to end.

    Parameters
    ----------
    code : str
        Cause, as ``SuperionicError.code``.
    message, hint : str
        What happened, and what to do.
    """
    details = {"code": code, "message": message, "hint": hint}
    return FWAction(
        stored_data={
            "_message": message,
            "_task": None,
            "_exception": {"_stacktrace": message, "_details": details},
        },
        exit=True,
    )
