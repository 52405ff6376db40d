"""Descriptors that former rules read from landscapes, read again by those of today."""

from collections.abc import Iterable

from superionic.errors import LandscapeError
from superionic.fields import rebuilt
from superionic.landscape.settings import DESCRIPTORS_VERSION, DescriptorSettings
from superionic.potentials.base import PotentialInfo
from superionic.schemas.document import utc_now, without_monty
from superionic.schemas.screen import DescriptorsDocument
from superionic.store.database.stores import Database
from superionic.workflows.jobs.descriptors import read_from


def read_again(database: Database, keys: Iterable[str], info: PotentialInfo) -> int:
    """Bring the descriptors of some work up to today's version; return of how many landscapes.

    The maps are in the database, so that no energy is computed. A document keeps its job; of one
    whose maps are gone nothing is changed, and its version says by which rules it was read. It may
    be stopped anywhere, and repeated.

    Parameters
    ----------
    database : Database
        Where results are, open.
    keys : iterable of str
        Keys of the work.
    info : PotentialInfo
        The potential.
    """
    documents = database.job_store.docs_store
    criteria = {
        "output.kind": "descriptors",
        "output.task_key": {"$in": sorted(set(keys))},
        "output.potential.weights_sha256": info.weights_sha256,
        "output.descriptors_version": {"$in": [None, *range(1, DESCRIPTORS_VERSION)]},
    }
    n_read = 0
    for stored in list(documents.query(criteria, properties=["uuid", "index", "output"])):
        from superionic.workflows.jobs.refine import stored_landscape  # loads compiled code

        old = DescriptorsDocument.model_validate(without_monty(stored["output"]))
        try:
            landscape = stored_landscape(str(old.landscape_uuid), database.job_store)
        except LandscapeError:
            continue
        settings = rebuilt(DescriptorSettings, old.settings["descriptors"], "descriptors")
        numbers = {**read_from(landscape, settings), "last_updated": utc_now()}
        if (intervals := numbers["intervals"]) is not None:
            numbers["intervals"] = intervals.model_dump()
        place = {"uuid": stored["uuid"], "index": stored["index"]}
        documents._collection.update_one(
            place, {"$set": {f"output.{name}": value for name, value in numbers.items()}}
        )
        n_read += 1
    return n_read
