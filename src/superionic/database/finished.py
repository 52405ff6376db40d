"""Which work is done: the one question that every campaign asks of the results."""

from collections.abc import Iterable

from superionic.database.stores import Database
from superionic.potentials.base import PotentialInfo, same_release


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
