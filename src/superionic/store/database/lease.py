"""Leases: who works on something, so that of several processes one does, and a dead one's goes on.

A lease is a document with the name of the work, its holder and a time on the database's own clock,
until which the holder is taken to live if nobody on its machine can tell. Whoever takes over a
lease that its holder did not give back knows that the work was left in the middle.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError, PyMongoError

from superionic.errors import DatabaseError
from superionic.store.database.owner import is_dead, this_process

LASTS = timedelta(minutes=2)
_RENEW_EVERY_S = 20.0


@dataclass(frozen=True)
class Lease:
    """The right to do something alone.

    Parameters
    ----------
    name : str
        What it is for.
    holder : str
        Unique name of this holding.
    inherited : bool
        Whether the last holder did not come to an end.
    """

    name: str
    holder: str
    inherited: bool


class Leases:
    """The leases that this process holds in a collection; they are renewed while it lives.

    As a context manager it ends with all that are still held marked as left in the middle.

    Parameters
    ----------
    collection : Collection
        Where leases are; users need the right to write.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._ended.set()
        if isinstance(error, PyMongoError | DatabaseError):
            return  # it would not take them back; this process is seen to be dead
        for lease in list(self._held.values()):
            self.give_back(lease, finished=False)

    def take(self, name: str) -> Lease | None:
        """Return the lease of a name, or None while somebody else holds it."""
        lease = Lease(name, uuid4().hex, inherited=False)
        document = {"_id": name, "owner": this_process().token, "holder": lease.holder}
        now = self._now()
        until = {"until": now + LASTS}
        while (held := self._collection.find_one({"_id": name})) is None:
            with suppress(DuplicateKeyError):  # somebody was faster
                self._collection.insert_one(document | until)
                break
        if held is not None:
            dead = True if held.get("owner") is None else is_dead(held["owner"])
            if not (dead or (dead is None and held["until"] < now)):
                return None
            same = {"_id": name, "owner": held.get("owner"), "holder": held.get("holder")}
            fresh = {"owner": document["owner"], "holder": lease.holder} | until
            if not self._collection.update_one(same, {"$set": fresh}).matched_count:
                return None
            lease = Lease(name, lease.holder, inherited=True)
        with self._lock:
            self._held[name] = lease
        return lease

    def holds(self, lease: Lease) -> bool:
        """Renew a lease; False says that somebody else took it over in the meantime."""
        until = {"until": self._now() + LASTS}
        own = {"_id": lease.name, "holder": lease.holder}
        return bool(self._collection.update_one(own, {"$set": until}).matched_count)

    def give_back(self, lease: Lease, *, finished: bool = True) -> None:
        """End the holding; unless the work is finished, the next holder is told that it is not."""
        with self._lock:
            self._held.pop(lease.name, None)
        own = {"_id": lease.name, "holder": lease.holder}
        if finished:
            self._collection.delete_one(own)
        else:
            self._collection.update_one(own, {"$set": {"owner": None}})

    def _now(self) -> datetime:
        now: datetime = self._collection.database.command("hello")["localTime"]
        return now

    def _keep_renewing(self) -> None:
        while not self._ended.wait(_RENEW_EVERY_S):
            with self._lock:
                held = list(self._held.values())
            for lease in held:
                try:
                    self.holds(lease)
                except PyMongoError:  # whoever works notices, too
                    break
