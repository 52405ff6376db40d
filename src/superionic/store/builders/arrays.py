"""Arrays of documents in the additional store: those that are lost, and those that nobody names.

jobflow writes a document with the identifiers of its arrays, and then the arrays. So a process that
dies in between leaves a document whose arrays are lost, and a job that runs again leaves the arrays
of its first run without a document.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jobflow import JobStore
from maggma.stores import GridFSStore

DATA_STORE = "data"
LEAST_AGE = timedelta(days=1)
"""Younger arrays are left alone: the document of some may be on its way."""
_CHUNK_SIZE = 500


@dataclass(frozen=True)
class OrphanedArrays:
    """Arrays that no document names.

    Parameters
    ----------
    identifiers : tuple
        Of their files in the store.
    n_bytes : int
        Their size.
    """

    identifiers: tuple[Any, ...]
    n_bytes: int


def orphaned_arrays(job_store: JobStore) -> OrphanedArrays:
    """Return the arrays, older than a day, that the document of their job does not name.

    Those of a job without any document are none: it may be in another collection, and a wrong job
    store would look as if all documents were gone.

    Parameters
    ----------
    job_store : JobStore
        The documents and the additional store ``data``, connected.
    """
    store = job_store.additional_stores.get(DATA_STORE)
    if not isinstance(store, GridFSStore):
        return OrphanedArrays((), 0)
    before = datetime.now(UTC) - LEAST_AGE
    fields = {"metadata.blob_uuid": 1, "metadata.job_uuid": 1, "length": 1, "uploadDate": 1}
    files = [
        one
        for one in store._files_collection.find({}, fields)
        if _named(one, "blob_uuid") is not None
        if one["uploadDate"].replace(tzinfo=UTC) <= before
    ]
    found: list[Any] = []
    n_bytes = 0
    for start in range(0, len(files), _CHUNK_SIZE):
        chunk = files[start : start + _CHUNK_SIZE]
        jobs = sorted({str(_named(one, "job_uuid")) for one in chunk})
        documents = list(job_store.docs_store.query({"uuid": {"$in": jobs}}))
        known = {one["uuid"] for one in documents}
        named = {uuid for one in documents for uuid in blobs_of(one)}
        for one in chunk:
            if _named(one, "job_uuid") in known and _named(one, "blob_uuid") not in named:
                found.append(one["_id"])
                n_bytes += one.get("length", 0)
    return OrphanedArrays(tuple(found), n_bytes)


def remove_arrays(job_store: JobStore, arrays: OrphanedArrays) -> None:
    """Remove arrays that :func:`orphaned_arrays` has found."""
    store = job_store.additional_stores[DATA_STORE]
    for identifier in arrays.identifiers:
        store._collection.delete(identifier)


def tasks_with_lost_arrays(job_store: JobStore, task_keys: Iterable[str], kind: str) -> set[str]:
    """Return those task keys of which no document of a kind has all its arrays.

    Parameters
    ----------
    job_store : JobStore
        The documents and the additional store ``data``, connected.
    task_keys : iterable of str
        Keys of the work.
    kind : str
        Kind of the documents; a task without one is not returned.
    """
    store = job_store.additional_stores.get(DATA_STORE)
    if not isinstance(store, GridFSStore):
        return set()
    keys = sorted(set(task_keys))
    lost: set[str] = set()
    for start in range(0, len(keys), _CHUNK_SIZE):
        criteria = {
            "output.kind": kind,
            "output.task_key": {"$in": keys[start : start + _CHUNK_SIZE]},
        }
        documents = [
            (one["output"]["task_key"], set(blobs_of(one["output"].get("arrays"))))
            for one in job_store.docs_store.query(
                criteria, properties=["output.task_key", "output.arrays"]
            )
        ]
        wanted = sorted({uuid for _, blobs in documents for uuid in blobs})
        files = store._files_collection.find(
            {"metadata.blob_uuid": {"$in": wanted}}, {"metadata.blob_uuid": 1}
        )
        there = {_named(one, "blob_uuid") for one in files}
        whole = {key for key, blobs in documents if blobs <= there}
        lost |= {key for key, _ in documents} - whole
    return lost


def blobs_of(value: Any) -> Iterator[str]:
    """Yield the identifiers of arrays that a stored document names, at every depth."""
    if isinstance(value, dict):
        if isinstance(value.get("blob_uuid"), str):
            yield value["blob_uuid"]
        for part in value.values():
            yield from blobs_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from blobs_of(part)


def _named(file: dict[str, Any], name: str) -> Any:
    return (file.get("metadata") or {}).get(name)
