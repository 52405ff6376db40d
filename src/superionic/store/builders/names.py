"""Further names of crystals that were computed once: noted, and given rows by builders."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from maggma.utils import grouper
from pymongo import UpdateOne

from superionic.store.builders.documents import joined
from superionic.store.builders.screening import link_duplicates, read_rows
from superionic.store.database.stores import Database

NAMES_COLLECTION = "names"
"""One document for each further name: ``name``, ``same_as``, ``mobile_species``, ``linked``."""

_CHUNK_SIZE = 500


def record_names(database: Database, same: Mapping[str, str], mobile_species: str) -> None:
    """Note further names, so that builders write a row for each.

    Parameters
    ----------
    database : Database
        The results.
    same : mapping of str to str
        For each further name, the one that is computed in its place.
    mobile_species : str
        The mobile ion of the campaign.
    """
    names = _collection(database)
    names.create_index("same_as")
    names.create_index("linked")
    writes = [
        UpdateOne(
            {"_id": joined((name, same_as, mobile_species))},
            {
                "$setOnInsert": {
                    "name": name,
                    "same_as": same_as,
                    "mobile_species": mobile_species,
                    "linked": False,
                }
            },
            upsert=True,
        )
        for name, same_as in sorted(same.items())
    ]
    for chunk in grouper(writes, _CHUNK_SIZE):
        names.bulk_write(chunk, ordered=False)


def link_names(database: Database, changed: Collection[str] | None = None) -> int:
    """Write the rows of further names; return how many were looked at.

    Parameters
    ----------
    database : Database
        The results.
    changed : collection of str, optional
        Materials whose rows are new: beside names that have no row yet, only theirs are looked at.
        All by default.
    """
    names = _collection(database)
    records: dict[Any, dict[str, Any]] = {}
    if changed is None:
        records = {record["_id"]: record for record in names.find({})}
    else:
        for record in names.find({"linked": False}):
            records[record["_id"]] = record
        for chunk in grouper(changed, _CHUNK_SIZE):
            for record in names.find({"same_as": {"$in": chunk}}):
                records[record["_id"]] = record
    wanted: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for record in records.values():
        wanted[record["same_as"], record["mobile_species"]].append(record)
    for chunk in grouper(sorted({material for material, _ in wanted}), _CHUNK_SIZE):
        criteria = {"material_id": {"$in": chunk}, "duplicate_of": None}
        for row in read_rows(database.screening, criteria):
            members = wanted.get((row.material_id, row.mobile_species), ())
            if not members:
                continue
            link_duplicates(database.screening, row, [record["name"] for record in members])
            fresh = [record["_id"] for record in members if not record["linked"]]
            if fresh:
                names.update_many({"_id": {"$in": fresh}}, {"$set": {"linked": True}})
    return len(records)


def _collection(database: Database) -> Any:
    return database.screening._collection.database[NAMES_COLLECTION]
