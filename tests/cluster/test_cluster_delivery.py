"""Documents and arrays of launches, of which an earlier one never replaces a later one."""

import pytest
from maggma.stores import MemoryStore

from superionic.cluster import delivery
from superionic.cluster.delivery import send, withdraw
from superionic.cluster.spool import Write
from superionic.store.database.stores import spec_from_uri

pytestmark = pytest.mark.process


def writes(blob: str, launch: str, uuid: str = "u") -> tuple[Write, ...]:
    array = {"blob_uuid": blob, "job_uuid": uuid, "job_index": 1, "data": [1.0, 2.0]}
    document = {"uuid": uuid, "index": 1, "output": {"by": launch, "blob_uuid": blob}}
    return (
        Write("data", [array], ["blob_uuid"]),
        Write("", [document], ["uuid", "index"]),
    )


def call(call):
    return call()


@pytest.fixture
def stores(server, database_name):
    with spec_from_uri(server.uri(), database_name, source="test").open() as database:
        yield database.job_store


def kept(store) -> tuple[list, list]:
    documents = sorted((d["output"]["by"], d["uuid"]) for d in store.docs_store.query({}))
    files = store.additional_stores["data"]._files_collection.find({})
    return documents, sorted(file["metadata"]["blob_uuid"] for file in files)


def test_a_later_launch_replaces_an_earlier_one_and_its_arrays_and_never_the_reverse(stores):
    assert send(writes("x", "other", "other job"), 1, stores, call)
    for _ in range(2):  # doing it again changes nothing
        assert send(writes("a", "first"), 2, stores, call)
        assert kept(stores) == ([("first", "u"), ("other", "other job")], ["a", "x"])
    assert send(writes("b", "second"), 10, stores, call)
    assert kept(stores) == ([("other", "other job"), ("second", "u")], ["b", "x"])
    assert not send(writes("a", "first"), 9, stores, call)
    assert kept(stores) == ([("other", "other job"), ("second", "u")], ["b", "x"])
    withdraw(writes("b", "second"), 9, stores, call)  # documents are taken back by their launch
    assert kept(stores)[0] == [("other", "other job"), ("second", "u")]


def test_documents_of_plain_rlaunch_or_older_versions_are_replaced(stores):
    array, document = (write.documents[0] for write in writes("old", "before"))
    stores.additional_stores["data"].update([array], key=["blob_uuid"])
    stores.docs_store.update([document], key=["uuid", "index"])
    assert send(writes("new", "after"), 1, stores, call)
    assert kept(stores) == ([("after", "u")], ["new"])


def test_arrays_of_other_kinds_of_stores_are_written(stores):
    memory = MemoryStore(key="blob_uuid")
    memory.connect()
    stores.additional_stores["data"] = memory
    assert send(writes("a", "first"), 2, stores, call)
    assert send(writes("b", "second"), 3, stores, call)
    assert [row["blob_uuid"] for row in memory.query({})] == ["b"]


def test_of_two_who_write_the_first_document_at_once_the_later_launch_stays(stores):
    (_, write) = writes("a", "slow")
    collection = stores.docs_store._collection

    class Overtaken:
        """Another launch writes just after this one has looked."""

        def find_one(self, *args, **kwargs):
            found = collection.find_one(*args, **kwargs)
            if found is None:
                assert delivery._put(stores.docs_store, write, fast, 5)
            return found

        def __getattr__(self, name):
            return getattr(collection, name)

    class Docs:
        _collection = Overtaken()

    fast = {**write.documents[0], "output": {"by": "fast"}}
    assert not delivery._put(Docs, write, write.documents[0], 4)
    assert [row["output"]["by"] for row in stores.docs_store.query({})] == ["fast"]
