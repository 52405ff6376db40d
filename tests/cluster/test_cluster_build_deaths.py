"""A builder that dies at any of its writes: the next one leaves what an undisturbed one would."""

import multiprocessing
import os
import signal

import pytest
from cluster_site import Site
from monty.json import jsanitize
from pymongo.collection import Collection

from superionic.store.builders.build import LEASES_COLLECTION, build_screening
from superionic.store.builders.names import record_names
from superionic.store.database.owner import this_process
from superionic.store.database.stores import DatabaseSpec

pytestmark = pytest.mark.process

COLLECTIONS = ("outputs", "screening", "names", LEASES_COLLECTION)
WRITES = (
    *("insert_one", "insert_many", "update_one", "update_many", "replace_one"),
    *("delete_one", "delete_many", "find_one_and_update", "bulk_write"),
)


class Fatal:
    """Counts what is about to be written, and dies at one of these moments."""

    def __init__(self, moment: int) -> None:
        self.moment = moment

    def pass_on(self) -> None:
        self.moment -= 1
        if self.moment == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, name: str):
        original = getattr(Collection, name)

        def written(collection, *args, **kwargs):
            self.pass_on()
            if name == "bulk_write" and len(args[0]) > 1:
                half, rest = args[0][: len(args[0]) // 2], args[0][len(args[0]) // 2 :]
                original(collection, half, **kwargs)
                self.pass_on()
                return original(collection, rest, **kwargs)
            return original(collection, *args, **kwargs)

        return written


def build_and_die(spec: DatabaseSpec, moment: int, prune: bool) -> None:
    fatal = Fatal(moment)
    for name in WRITES:
        setattr(Collection, name, fatal.write(name))
    with spec.open() as database:
        build_screening(database, prune=prune)
    os._exit(0)


@pytest.fixture
def outputs(load_benchmark):
    import numpy as np

    module = load_benchmark("cluster_overhead")
    rng = np.random.default_rng(1)
    found = [jsanitize(module.descriptors_output(i, rng), allow_bson=True) for i in range(9)]
    for index, one in enumerate(found[6:8], start=1):
        one |= {"parent_id": "disordered", "ordering_index": index}
    return found


def state(database) -> dict[str, list[dict]]:
    found = {}
    for name in COLLECTIONS:
        rows = [{k: v for k, v in row.items() if k != "_id"} for row in database[name].find({})]
        found[name] = sorted(rows, key=lambda row: str(row.get("key") or row.get("name") or row))
    return found


def test_whatever_write_a_builder_dies_at_the_next_one_heals_it(
    server, tmp_path, database_name, outputs
):
    site = Site(server, tmp_path / "site", database_name)
    raw = site.database()

    def insert(*documents: dict) -> None:
        raw.outputs.insert_many(
            {"uuid": one["job_uuid"], "index": 1, "output": one} for one in documents
        )

    with site.opened() as opened:
        database = opened.database
        insert(*outputs[:8])
        record_names(database, {"twin": outputs[0]["material_id"]}, "Li")
        build_screening(database)
        # News of every kind: a material, another run, one that is gone, a name.
        insert(outputs[8])
        insert({**outputs[3], "job_uuid": "newer", "last_updated": "2999-01-01", "xi": 2.0})
        insert({**outputs[6], "job_uuid": "ordered", "last_updated": "2999-01-01", "mpe_eV": 0.01})
        raw.outputs.delete_many({"output.material_id": outputs[1]["material_id"]})
        record_names(database, {"late": outputs[2]["material_id"]}, "Li")
        before = {name: list(raw[name].find({})) for name in COLLECTIONS}

        def restore() -> None:
            for name, rows in before.items():
                raw[name].delete_many({})
                if rows:
                    raw[name].insert_many(rows)

        newest = build_screening(database, prune=True).newest
        undisturbed = state(raw)
        assert undisturbed[LEASES_COLLECTION] == []
        rows = {row["material_id"]: row for row in undisturbed["screening"]}
        assert set(rows) == {"twin", "late"} | {
            outputs[i]["material_id"] for i in (0, *range(2, 9))
        }
        assert sorted(row["rank"] for row in rows.values() if not row["duplicate_of"]) == [
            *range(1, 9)
        ]
        assert rows["late"]["rank"] == rows[outputs[2]["material_id"]]["rank"]

        context = multiprocessing.get_context("fork")
        died_at = 0
        while True:
            restore()
            dying = context.Process(
                target=build_and_die, args=(database.spec, died_at + 1, True), daemon=True
            )
            dying.start()
            dying.join(60)
            if dying.exitcode == 0:
                break
            assert dying.exitcode == -signal.SIGKILL
            died_at += 1
            # A builder that watches looks only at what is new, but not after such an end.
            after = newest if died_at % 2 and raw[LEASES_COLLECTION].find_one({}) else None
            assert build_screening(database, after=after, prune=True).busy is False
            healed = state(raw)
            for name in COLLECTIONS:
                assert healed[name] == undisturbed[name], (died_at, name)
        assert died_at >= 12  # lease, rows, removal, ranks, relations, names, end of the lease


def test_a_living_builder_is_waited_for(server, tmp_path, database_name, outputs):
    site = Site(server, tmp_path / "site", database_name)
    leases = site.database()[LEASES_COLLECTION]
    with site.opened() as opened:
        leases.insert_one({"_id": "screening", "owner": this_process().token, "holder": "x"})
        assert build_screening(opened.database).busy
        context = multiprocessing.get_context("fork")
        waiting = context.Process(target=wait_and_build, args=(opened.database.spec,))
        waiting.start()
        waiting.join(1.5)
        assert waiting.is_alive()
        leases.delete_one({"_id": "screening"})
        waiting.join(60)
        assert waiting.exitcode == 0
        assert leases.count_documents({}) == 0


def wait_and_build(spec: DatabaseSpec) -> None:
    with spec.open() as database:
        done = build_screening(database, wait=True)
    os._exit(int(done.busy))


def test_a_key_may_hold_its_own_delimiter_and_older_rows_are_found(
    server, tmp_path, database_name, outputs
):
    """A bar in the settings of an ``ase:`` potential, or in a name, is data."""
    name = 'lj.LennardJones?{"label": "a|b|c"}'
    odd = [
        {**outputs[0], "potential": {**outputs[0]["potential"], "family": "ase", "name": name}},
        {**outputs[1], "material_id": "50%|Na|x"},
        outputs[2],
    ]
    site = Site(server, tmp_path / "site", database_name)
    raw = site.database()
    raw.outputs.insert_many({"uuid": one["job_uuid"], "index": 1, "output": one} for one in odd)
    with site.opened() as opened:
        assert build_screening(opened.database).n_rows == 3
        assert build_screening(opened.database).n_rows == 0
        rows = list(raw.screening.find({}))
        assert {(row["material_id"], row["potential"]) for row in rows} == {
            (odd[0]["material_id"], f"ase:{name}"),
            *((one["material_id"], "ase:made.up") for one in odd[1:]),
        }
        assert all(row["rank"] is not None for row in rows)
        # As version 2.2 wrote its keys: the row is renamed, and not doubled.
        (row,) = [one for one in rows if one["material_id"] == "50%|Na|x"]
        raw.screening.update_one(
            {"_id": row["_id"]},
            {"$set": {"key": "50%|Na|x|Li|ase:made.up", "schema_version": "2.2"}},
        )
        build_screening(opened.database)
        again = list(raw.screening.find({}))
        assert {one["key"] for one in again} == {one["key"] for one in rows}
        assert len(again) == 3
