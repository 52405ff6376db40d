"""Leases: one holder at a time; a dead one's, and a silent one's on another machine, go on."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from superionic.store.database.lease import LASTS, Leases
from superionic.store.database.owner import this_process

pytestmark = pytest.mark.process

HOLD = """
import sys
from pymongo import MongoClient
from superionic.store.database.lease import Leases
uri, name = sys.argv[1:]
leases = Leases(MongoClient(uri)[name].leases)
print(leases.take("work") is not None, flush=True)
sys.stdin.read()
"""


def test_a_lease_is_held_by_one_and_taken_over_from_the_dead(server, database_name):
    collection = server.database(database_name).leases
    with Leases(collection) as mine:
        first = mine.take("work")
        assert first is not None
        assert not first.inherited
        assert Leases(collection).take("work") is None  # another holder in the same process
        assert mine.take("other work") is not None
        mine.give_back(first)
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, server.uri(), database_name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert other.stdout.readline() == "True\n"
        assert mine.take("work") is None
        assert not mine.holds(first)
        other.kill()
        other.communicate()
        heir = mine.take("work")
        assert heir.inherited
        assert mine.holds(heir)
        mine.give_back(heir)
        assert not mine.take("work").inherited
    # What was still held at the end was left in the middle.
    assert {one["owner"] for one in collection.find({})} == {None}
    assert Leases(collection).take("work").inherited


def test_on_another_machine_silence_tells_by_the_clock_of_the_database(server, database_name):
    collection = server.database(database_name).leases
    elsewhere = replace(this_process(), space="elsewhere").token
    mine = Leases(collection)
    now = collection.database.command("hello")["localTime"]
    held = {"_id": "work", "owner": elsewhere, "holder": "x", "until": now + LASTS}
    collection.insert_one(held)
    assert mine.take("work") is None
    collection.update_one({}, {"$set": {"until": now - timedelta(seconds=2)}})
    assert mine.take("work").inherited
    # A record of an older version has no name of the holding.
    collection.replace_one({}, {"owner": elsewhere, "until": now - timedelta(seconds=2)})
    assert mine.take("work").inherited
