"""Which work is done: the one question that every campaign asks of the results."""

from collections.abc import Iterable, Mapping

from pymongo import UpdateMany

from superionic.potentials.base import PotentialInfo, same_release
from superionic.store.database.stores import Database


def finished_keys(
    database: Database, keys: Iterable[str], info: PotentialInfo, kind: str
) -> set[str]:
    """Return those task keys whose result is in the database, made with the same potential.

    The same potential means the same weights and the same release of the package that evaluates
    them.

    Parameters
    ----------
    database : Database
        Where results are.
    keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential.
    kind : str
        Kind of the document that is a flow's result.
    """
    criteria = {
        "output.kind": kind,
        "output.task_key": {"$in": sorted(set(keys))},
        "output.potential.weights_sha256": info.weights_sha256,
    }
    fields = ["output.task_key", "output.potential.package_version"]
    rows = database.job_store.docs_store.query(criteria, properties=fields)
    return {
        row["output"]["task_key"]
        for row in rows
        if same_release(row["output"]["potential"]["package_version"], info.package_version)
    }


def adopt(database: Database, former: Mapping[str, str]) -> None:
    """Give results that 0.1 stored under other keys their keys of today.

    It may be stopped anywhere, and repeated.

    Parameters
    ----------
    database : Database
        Where results are.
    former : mapping of str to str
        For each key of then that of today, as ``former_keys`` of :mod:`superionic.workflows.keys`
        returns them.
    """
    if not former:
        return
    for collection, name in (
        (database.job_store.docs_store._collection, "output.task_key"),
        (database.screening._collection, "task_key"),
    ):
        found = collection.find({name: {"$in": sorted(former)}}, {name: 1})
        held = {(row.get("output") or row)["task_key"] for row in found}
        writes = [UpdateMany({name: key}, {"$set": {name: former[key]}}) for key in sorted(held)]
        if writes:
            collection.bulk_write(writes, ordered=False)
