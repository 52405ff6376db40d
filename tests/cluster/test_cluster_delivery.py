"""Results that come too late: after their job was given to another process."""

import os
import signal
import time
from collections import Counter

import pytest
from cluster_site import Site
from maggma.stores import MemoryStore
from test_cluster_owner import PING_S, held, wait_until_held  # noqa: F401 - a fixture

from superionic.cluster.delivery import send, withdraw
from superionic.cluster.spool import Write
from superionic.database.stores import spec_from_uri

pytestmark = pytest.mark.process


def everything(site: Site) -> dict:
    database = site.database()
    return {
        name: sorted(map(str, database[name].find({})))
        for name in ("outputs", "outputs_blobs.files", "fireworks", "workflows")
    }


def test_a_worker_that_was_stopped_overwrites_nothing(held):  # noqa: F811
    """Its clock is an hour behind, which by itself is no reason to take its job away."""
    options = ("-n", "1", "--ping", str(PING_S))
    surroundings = {"CLUSTER_TEST_CONTAINER": "1", "CLUSTER_TEST_CLOCK_S": "-3600"}
    late = held.worker(*options, env=surroundings)
    wait_until_held(held, late)
    for _ in range(2):
        time.sleep(PING_S)
        assert not held.recover(settle_s=0)
    (launch,) = held.database().launches.find({"state": "RUNNING"})
    assert launch["state_history"][-1]["created_on"] < launch["superionic_alive"].isoformat()

    os.killpg(late.pid, signal.SIGSTOP)
    (held.folder / "hold").unlink()
    deadline = time.monotonic() + 60
    while not (found := held.recover(settle_s=0)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert found.handed_back == [2]
    assert held.worker(*options).wait(120) == 0
    assert held.states() == {"COMPLETED": 3}
    before = everything(held)

    os.killpg(late.pid, signal.SIGCONT)
    assert late.wait(120) == 0
    assert everything(held) == before
    assert "too late" in held.log_text()
    completed = held.database().launches.find({"state": "COMPLETED"})
    assert Counter(row["fw_id"] for row in completed) == {1: 1, 2: 1, 3: 1}
    (landscape,) = held.database().outputs.find({"output.kind": "landscape"})
    (blob,) = held.database()["outputs_blobs.files"].find({})
    assert blob["metadata"]["blob_uuid"] == landscape["output"]["arrays"]["blob_uuid"]
    (aside,) = held.spool.doubled()
    for _ in range(2):  # it is listed for as long as it is there
        assert held.recover(settle_s=0).results_doubled == [2]
    assert "(*.doubled) until you remove it: 2" in held.ok("recover", "--settle", "0", *at(held))
    aside.unlink()
    assert not held.recover(settle_s=0)


def at(site: Site) -> tuple[str, str]:
    return "-l", str(site.launchpad_file)


def writes(blob: str, launch: str, uuid: str = "u") -> tuple[Write, ...]:
    array = {"blob_uuid": blob, "job_uuid": uuid, "job_index": 1, "data": [1.0, 2.0]}
    document = {"uuid": uuid, "index": 1, "output": {"by": launch, "blob_uuid": blob}}
    return (
        Write("data", [array], ["blob_uuid"]),
        Write("", [document], ["uuid", "index"]),
    )


def insist(call):
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
    assert send(writes("x", "other", "other job"), 1, stores, insist)
    for _ in range(2):  # doing it again changes nothing
        assert send(writes("a", "first"), 2, stores, insist)
        assert kept(stores) == ([("first", "u"), ("other", "other job")], ["a", "x"])
    assert send(writes("b", "second"), 10, stores, insist)
    assert kept(stores) == ([("other", "other job"), ("second", "u")], ["b", "x"])
    assert not send(writes("a", "first"), 9, stores, insist)
    assert kept(stores) == ([("other", "other job"), ("second", "u")], ["b", "x"])
    withdraw(writes("b", "second"), 9, stores, insist)  # documents are taken back by their launch
    assert kept(stores)[0] == [("other", "other job"), ("second", "u")]


def test_documents_of_plain_rlaunch_or_older_versions_are_replaced(stores):
    array, document = (write.documents[0] for write in writes("old", "before"))
    stores.additional_stores["data"].update([array], key=["blob_uuid"])
    stores.docs_store.update([document], key=["uuid", "index"])
    assert send(writes("new", "after"), 1, stores, insist)
    assert kept(stores) == ([("after", "u")], ["new"])


def test_arrays_of_other_kinds_of_stores_are_written(stores):
    memory = MemoryStore(key="blob_uuid")
    memory.connect()
    stores.additional_stores["data"] = memory
    assert send(writes("a", "first"), 2, stores, insist)
    assert send(writes("b", "second"), 3, stores, insist)
    assert [row["blob_uuid"] for row in memory.query({})] == ["b"]


def test_of_two_who_write_the_first_document_at_once_the_later_launch_stays(stores):
    from superionic.cluster import delivery

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
