"""Rows of the screening collection whose documents are gone."""

from collections.abc import Iterable

from maggma.core import Store

from superionic.store.builders.documents import IDENTITY, OF_ROWS, RowIdentity, identity_and_stamp

_CHUNK_SIZE = 500


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
    computed: dict[str, str] = {}
    copies: dict[str, str] = {}
    for row in screening.query({}, properties=properties):
        if row.get("duplicate_of") is None:
            computed[row["key"]] = row["material_id"]
        else:
            of = {name: row[name] for name in RowIdentity._fields}
            copies[row["key"]] = RowIdentity(**of | {"material_id": row["duplicate_of"]}).key
    known = {row.key for row in found}
    without = {key: name for key, name in computed.items() if key not in known}
    # Another command may have written documents and rows since: rows come after their documents.
    held = _with_documents(outputs, sorted(set(without.values())))
    gone = {key for key, name in without.items() if not held & {key, name}}
    gone |= {key for key, of in copies.items() if of in gone or of not in computed}
    return sorted(gone)


def remove_rows(screening: Store, keys: Iterable[str]) -> None:
    """Remove rows by their keys; ranks of the others are as they were."""
    screening.remove_docs({"key": {"$in": list(keys)}})


def _with_documents(outputs: Store, materials: list[str]) -> set[str]:
    """Return keys of rows with documents, and the materials of documents that do not say which."""
    held = set()
    for start in range(0, len(materials), _CHUNK_SIZE):
        wanted = {"output.material_id": {"$in": materials[start : start + _CHUNK_SIZE]}}
        for row in outputs.query({**OF_ROWS, **wanted}, properties=IDENTITY):
            try:
                held.add(identity_and_stamp(row["output"])[0].key)
            except (KeyError, TypeError, ValueError):
                held.add(str(row["output"]["material_id"]))
    return held
