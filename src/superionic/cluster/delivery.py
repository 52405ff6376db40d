"""Sending a result to the database, once: only if its launch is still its Firework's own.

A process that was stopped, or cut off, for so long that its job was given to another one comes back
and goes on. So every document carries the number of the launch that made it, which only grows, and
one of a later launch is never replaced by one of an earlier; and a launch ends in one step, for the
one who runs it or for the one who gave it up, never for both.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from typing import Any

from jobflow import JobStore
from maggma.core import Store
from maggma.stores import GridFSStore, MongoStore

from superionic.cluster.launchpad import CampaignLaunchPad
from superionic.cluster.spool import Result, Write

LAUNCH_FIELD = "metadata.launch_id"


def deliver(result: Result, store: JobStore, launchpad: CampaignLaunchPad) -> bool:
    """Send a result if its launch is still the Firework's own; say whether it was.

    Doing it again changes nothing.

    Parameters
    ----------
    result : Result
        Of a launch that runs.
    store : JobStore
        The results database.
    launchpad : CampaignLaunchPad
        The launchpad, by its own rights of writing.

    Raises
    ------
    DatabaseAwayError
        When the database is away for too long; the result is not complete there.
    """
    launch = (result.fw_id, result.launch_id, result.owner)
    if launchpad.has_ended(*launch, result.state):  # and who sent it died before it said so
        launchpad._refresh_wf(result.fw_id)
        return True
    if not launchpad.still_owns(*launch):
        return False
    call = launchpad.retry.call
    if not send(result.writes, result.launch_id, store, call):
        return False
    if launchpad.end_launch(*launch, result.action, result.state):
        return True
    withdraw(result.writes, result.launch_id, store, call)
    return False


def send(
    writes: Iterable[Write],
    launch_id: int,
    store: JobStore,
    call: Callable[[Callable[[], Any]], Any],
) -> bool:
    """Write documents and arrays of a launch; False if those of a later launch are there.

    Arrays of earlier launches of the same jobs, whose documents are replaced, go.

    Parameters
    ----------
    writes : iterable of Write
        Arrays first.
    launch_id : int
        The launch that they are of.
    store : JobStore
        Where they go.
    call : callable
        Calls a function until it works.
    """
    writes = tuple(writes)
    for write in writes:
        for document in write.documents:
            if write.store:
                target = store.additional_stores[write.store]
                call(partial(_put_array, target, write, document, launch_id))
            elif not call(partial(_put, store.docs_store, write, document, launch_id)):
                withdraw(writes, launch_id, store, call)
                return False
    for write in writes:
        for document in write.documents if not write.store else ():
            for name, target in store.additional_stores.items():
                names = _names(writes, name)
                call(partial(_remove_older_arrays, target, document, names, launch_id))
    return True


def withdraw(
    writes: Iterable[Write],
    launch_id: int,
    store: JobStore,
    call: Callable[[Callable[[], Any]], Any],
) -> None:
    """Take back what a launch has written that came too late."""
    writes = tuple(writes)
    for write in writes:
        for document in write.documents if not write.store else ():
            own = {**_key(write, document), LAUNCH_FIELD: launch_id}
            call(partial(store.docs_store._collection.delete_many, own))
    for name, target in store.additional_stores.items():
        if _keeps_arrays_in_database(target) and (names := _names(writes, name)):
            call(partial(target.remove_docs, {"blob_uuid": {"$in": names}}))


def _put(target: Store, write: Write, document: dict[str, Any], launch_id: int) -> bool:
    """Insert or replace a document, unless a later launch has written it."""
    key = _key(write, document)
    metadata = {**(document.get("metadata") or {}), "launch_id": launch_id}
    content = {**deepcopy(document), "metadata": metadata}
    collection = target._collection
    while True:
        found = collection.find_one(key, {LAUNCH_FIELD: 1})
        if found is None:
            return _insert_first(collection, key, content)
        before = (found.get("metadata") or {}).get("launch_id")
        if before is not None and before > launch_id:
            return False
        as_found = {"_id": found["_id"], LAUNCH_FIELD: before}
        if collection.replace_one(as_found, content).matched_count:
            return True


def _insert_first(collection: Any, key: dict[str, Any], content: dict[str, Any]) -> bool:
    """Insert a document that is not there yet; of two at once, that of the later launch stays.

    Its identifier is an ordinary one: builders look for what is new by it.
    """
    own = collection.insert_one(dict(content)).inserted_id
    rivals = list(collection.find(key, {LAUNCH_FIELD: 1}))
    kept = max(
        rivals, key=lambda one: ((one.get("metadata") or {}).get("launch_id", 0), one["_id"])
    )
    if others := [one["_id"] for one in rivals if one["_id"] != kept["_id"]]:
        collection.delete_many({"_id": {"$in": others}})
    return bool(kept["_id"] == own)


def _put_array(target: Store, write: Write, document: dict[str, Any], launch_id: int) -> None:
    content = deepcopy(document)  # stores change what they are given
    if _keeps_arrays_in_database(target):
        content["launch_id"] = launch_id
    if isinstance(target, GridFSStore):
        target.update([content], key=write.key, additional_metadata=["launch_id"])
    else:
        target.update([content], key=write.key)


def _remove_older_arrays(
    target: Store, document: dict[str, Any], names: list[str], launch_id: int
) -> None:
    if _keeps_arrays_in_database(target):
        target.remove_docs(
            {
                "job_uuid": document["uuid"],
                "job_index": document["index"],
                "blob_uuid": {"$nin": names},
                "launch_id": {"$not": {"$gt": launch_id}},
            }
        )


def _key(write: Write, document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in write.key}


def _names(writes: Iterable[Write], store: str) -> list[str]:
    return [
        document["blob_uuid"]
        for write in writes
        if write.store == store
        for document in write.documents
    ]


def _keeps_arrays_in_database(target: Store) -> bool:
    return isinstance(target, GridFSStore | MongoStore)
