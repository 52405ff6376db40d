"""Rows of the screening collection whose documents are gone."""

from collections.abc import Iterable

from maggma.core import Store

from superionic.store.builders.documents import IDENTITY, OF_ROWS, RowIdentity, identity_and_version

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
    for start in range(0, len(materials), _CHUNK_SIZE):
        wanted = {"output.material_id": {"$in": materials[start : start + _CHUNK_SIZE]}}
        for row in outputs.query({**OF_ROWS, **wanted}, properties=IDENTITY):
            try:
                held.add(identity_and_version(row["output"])[0].without_settings)
            except (KeyError, TypeError, ValueError):
                held.add(str(row["output"]["material_id"]))
    return held
