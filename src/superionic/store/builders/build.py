"""The screening collection kept up to date: by one builder at a time, with several processes."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from bson import ObjectId
from maggma.core import Store
from maggma.utils import grouper

from superionic.processes import in_processes
from superionic.store.builders.arrays import OrphanedArrays, orphaned_arrays, remove_arrays
from superionic.store.builders.documents import IDENTITY, OF_ROWS, RowIdentity, identity_and_version
from superionic.store.builders.names import link_names
from superionic.store.builders.screening import (
    ScreeningBuilder,
    changed_rows,
    found_runs,
    of_rows,
    rename_rows,
)
from superionic.store.database.lease import Lease, Leases
from superionic.store.database.stores import Database, DatabaseSpec

LEASES_COLLECTION = "builders"
CHUNK_SIZE = 100
_QUERY_SIZE = 500
_LEASE = "screening"
_OVERLAP_S = 600
_LOOK_EVERY_S = 0.5


class _LeaseLostError(Exception):
    """Another builder has taken over, since this one was silent for too long."""


@dataclass(frozen=True)
class BuildReport:
    """What a build has done.

    Parameters
    ----------
    n_rows : int
        Rows that were written.
    busy : bool
        Whether another builder was at work, so that nothing was done.
    newest : ObjectId or None
        Identifier of the newest document that was seen.
    orphans : tuple of str
        Keys of rows that no document stands behind any more; only a look at all documents tells.
    pruned : bool
        Whether these were removed.
    arrays : OrphanedArrays
        Arrays without a document that were removed.
    """

    n_rows: int
    busy: bool = False
    newest: ObjectId | None = None
    orphans: tuple[str, ...] = ()
    pruned: bool = False
    arrays: OrphanedArrays = OrphanedArrays((), 0)


def build_screening(
    database: Database,
    *,
    after: ObjectId | None = None,
    n_processes: int = 1,
    prune: bool = False,
    wait: bool = False,
) -> BuildReport:
    """Bring the screening collection up to date.

    Rows are built anew where the runs of a material are not those that its row was made from, and
    each further name of a crystal gets a row of its own. It may be killed at any moment and started
    again, and several may be started at once: one of them works, the others say that it does. What
    a killed one has not come to, ranks and relations of all rows included, the next one does.

    Parameters
    ----------
    database : Database
        Where the documents and the rows are, connected.
    after : ObjectId, optional
        Look only at documents written after this one (less ten minutes); the ``newest`` of an
        earlier report. Runs that were repeated under their old identifiers are not seen then. All
        are looked at where the last builder was killed.
    n_processes : int
        Processes that read, build and write; it pays from some thousand materials on.
    prune : bool
        Whether rows whose documents are all gone are removed, and arrays, older than a day, that no
        document names any more, as jobs that ran again leave them. Without it they stay and keep a
        rank: such a row may be the last that is known of a material. Not with ``after``, which
        does not look at all documents.
    wait : bool
        Whether to wait while another builder is at work, instead of saying so.
    """
    with Leases(database.screening._collection.database[LEASES_COLLECTION]) as leases:
        while (lease := leases.take(_LEASE)) is None:
            if not wait:
                return BuildReport(0, busy=True)
            time.sleep(_LOOK_EVERY_S)
        try:
            report = _build_all(database, leases, lease, after, n_processes, prune)
        except _LeaseLostError:
            return BuildReport(0, busy=True)
        leases.give_back(lease)
    return report


def _build_all(
    database: Database,
    leases: Leases,
    lease: Lease,
    after: ObjectId | None,
    n_processes: int,
    prune: bool,
) -> BuildReport:
    outputs, screening = database.job_store.docs_store, database.screening
    unfinished = lease.inherited
    if unfinished:
        after = None  # what the last one has left undone may be older
    if after is None:
        unfinished |= rename_rows(screening) > 0 or _has_unranked(screening)
    changed, found, newest = changed_materials(outputs, screening, after)
    newest = newest or after
    chunks = list(grouper(changed, CHUNK_SIZE))

    def built(number: int, chunk: list[str], size: int) -> None:
        if not leases.holds(lease):
            raise _LeaseLostError

    if n_processes > 1 and len(chunks) > 1:
        opened = partial(_open_in_process, database.spec, os.getpid())
        in_processes(_build_in_process, chunks, n_processes, built, opened)
    else:
        in_processes(partial(_build, database), chunks, 1, built)
    orphans = orphaned_rows(outputs, screening, found) if after is None else []
    pruned = prune and bool(orphans)
    if pruned:
        remove_rows(screening, orphans)
    arrays = OrphanedArrays((), 0)
    if prune and after is None:
        arrays = orphaned_arrays(database.job_store)
        remove_arrays(database.job_store, arrays)
    if changed or pruned or unfinished:
        ScreeningBuilder(outputs, screening).finalize()
    link_names(database, None if after is None else changed)
    return BuildReport(
        len(changed), newest=newest, orphans=tuple(orphans), pruned=pruned, arrays=arrays
    )


def _has_unranked(screening: Store) -> bool:
    """Say whether a row was never ranked: a builder without a lease has left it so."""
    unranked = {"rank": None, "duplicate_of": None}
    return screening.query_one(unranked, properties=["key"]) is not None


def changed_materials(
    outputs: Store, screening: Store, after: ObjectId | None = None
) -> tuple[list[str], set[RowIdentity], ObjectId | None]:
    """Return what has news, all rows with documents, and the newest document.

    Of interest are materials with a row that is missing or made from other runs.

    Parameters
    ----------
    outputs, screening : Store
        The documents of jobs and the rows, connected.
    after : ObjectId, optional
        Look only at documents written after this one, less an overlap.
    """
    criteria = dict(OF_ROWS)
    if after is not None:
        moment = after.generation_time - timedelta(seconds=_OVERLAP_S)
        criteria["_id"] = {"$gte": ObjectId.from_datetime(moment)}
    rows = list(outputs.query(criteria, properties=IDENTITY))
    runs = found_runs(rows)
    found = runs if after is not None else of_rows(runs)
    changed = changed_rows(screening, found, all_runs=after is None)
    newest = max((row["_id"] for row in rows), default=None)
    return sorted({row.material_id for row in changed}), set(found), newest


class _MaterialsBuilder(ScreeningBuilder):
    """The builder, for given materials."""

    def __init__(self, outputs: Store, screening: Store, materials: list[str]) -> None:
        self.materials = materials
        super().__init__(outputs, screening)

    def get_items(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the outputs of all jobs of each row of the materials."""
        criteria = {**OF_ROWS, "output.material_id": {"$in": self.materials}}
        groups: dict[RowIdentity, list[dict[str, Any]]] = defaultdict(list)
        for row in self.outputs.query(criteria, properties=["output"]):
            with suppress(KeyError, TypeError, ValueError):  # found_runs has said so
                groups[identity_and_version(row["output"])[0]].append(row["output"])
        yield from of_rows(groups).values()


def _build(database: Database, materials: list[str]) -> int:
    builder = _MaterialsBuilder(database.job_store.docs_store, database.screening, materials)
    rows = [builder.process_item(item) for item in builder.get_items()]
    if _PARENT not in (None, os.getppid()):  # whoever holds the lease is gone
        return 0
    builder.update_targets([row for row in rows if row is not None])
    return len(materials)


_DATABASE: Database | None = None
_PARENT: int | None = None


def _open_in_process(spec: DatabaseSpec, parent: int) -> None:
    global _DATABASE, _PARENT
    _DATABASE, _PARENT = spec.open(), parent


def _build_in_process(materials: list[str]) -> int:
    assert _DATABASE is not None
    return _build(_DATABASE, materials)


def watch_screening(
    database: Database,
    *,
    interval_s: float,
    full_every_s: float,
    n_processes: int,
    prune: bool = False,
    say: Callable[[BuildReport], None],
) -> None:
    """Build again and again: what is new each time, everything from time to time.

    Parameters
    ----------
    database : Database
        Where the documents and the rows are, connected.
    interval_s : float
        Pause between builds in s.
    full_every_s : float
        Time in s after which all documents are looked at again.
    n_processes : int
        Processes of a build.
    prune : bool
        Whether rows whose documents are all gone are removed, when everything is looked at.
    say : callable
        Hears of each build.
    """
    newest: ObjectId | None = None
    last_full = time.monotonic()
    while True:
        if time.monotonic() - last_full > full_every_s:
            newest, last_full = None, time.monotonic()
        report = build_screening(database, after=newest, n_processes=n_processes, prune=prune)
        newest = report.newest or newest
        say(report)
        time.sleep(interval_s)


def orphaned_rows(outputs: Store, screening: Store, found: Iterable[RowIdentity]) -> list[str]:
    """Return the keys of rows that no document stands behind.

    A row of a further name goes with the row of the crystal that was computed.

    Parameters
    ----------
    outputs : Store
        jobflow's document store, connected.
    screening : Store
        The screening collection, connected.
    found : iterable of RowIdentity
        All rows that documents were found for.
    """
    properties = ["key", "duplicate_of", *RowIdentity._fields]
    computed: set[RowIdentity] = set()
    copies: dict[RowIdentity, RowIdentity] = {}
    for row in screening.query({}, properties=properties):
        of = RowIdentity(*(row.get(name) or "" for name in RowIdentity._fields))
        if row.get("duplicate_of") is None:
            computed.add(of)
        else:
            copies[of] = of._replace(material_id=row["duplicate_of"])
    # A landscape whose documents are gone is not lost as long as the row has any document.
    known = {row.without_settings for row in found}
    without = [row for row in computed if row.without_settings not in known]
    # Another command may have written documents and rows since: rows come after their documents.
    held = _with_documents(outputs, sorted({row.material_id for row in without}))
    gone = {row for row in without if not held & {row.without_settings, row.material_id}}
    gone |= {copy for copy, of in copies.items() if of in gone or of not in computed}
    return sorted(row.key for row in gone)


def remove_rows(screening: Store, keys: Iterable[str]) -> None:
    """Remove rows by their keys; ranks of the others are as they were."""
    screening.remove_docs({"key": {"$in": list(keys)}})


def _with_documents(outputs: Store, materials: list[str]) -> set[RowIdentity | str]:
    """Return what documents are of, and the materials of those that do not say it."""
    held: set[RowIdentity | str] = set()
    for start in range(0, len(materials), _QUERY_SIZE):
        wanted = {"output.material_id": {"$in": materials[start : start + _QUERY_SIZE]}}
        for row in outputs.query({**OF_ROWS, **wanted}, properties=IDENTITY):
            try:
                held.add(identity_and_version(row["output"])[0].without_settings)
            except (KeyError, TypeError, ValueError):
                held.add(str(row["output"]["material_id"]))
    return held
