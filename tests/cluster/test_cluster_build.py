"""Builders that are killed, and two at once."""

import signal
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from cluster_site import Site
from monty.json import jsanitize

from superionic.schemas.document import without_monty
from superionic.schemas.screening import ScreeningDocument
from superionic.store.builders.build import build_screening
from superionic.store.ranking.policies import ranked

pytestmark = pytest.mark.process

N = 500


@pytest.fixture(scope="module")
def outputs(load_benchmark):
    module = load_benchmark("cluster_overhead")
    rng = np.random.default_rng(1)
    return [jsanitize(module.descriptors_output(i, rng), allow_bson=True) for i in range(N)]


def insert(site: Site, outputs: list[dict]) -> None:
    site.database().outputs.insert_many(
        {"uuid": one["job_uuid"], "index": 1, "output": one} for one in outputs
    )


def check(site: Site, outputs: list[dict]) -> None:
    rows = list(site.database().screening.find({}))
    assert Counter(r["material_id"] for r in rows) == {o["material_id"]: 1 for o in outputs}
    assert sorted(row["rank"] for row in rows) == list(range(1, len(outputs) + 1))
    read = [ScreeningDocument.model_validate(without_monty(row)) for row in rows]
    ranks = {row["material_id"]: row["rank"] for row in rows}
    assert {row.material_id: row.rank for row in ranked(read)} == ranks


def test_a_builder_killed_in_the_middle_and_two_at_once(server, tmp_path, database_name, outputs):
    site = Site(server, tmp_path / "site", database_name)
    insert(site, outputs)
    command = site.command("build")

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            command, env=site.environment, stdout=subprocess.PIPE, text=True, cwd=site.folder
        )

    first = start()
    deadline = time.monotonic() + 60
    while site.database().screening.count_documents({}) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.communicate()
    half = site.database().screening.count_documents({})
    assert 0 < half < N
    second, third = start(), start()
    said = second.communicate()[0] + third.communicate()[0]
    assert (second.returncode, third.returncode) == (0, 0)
    # What the killed one had sent the server may still have written; all of that is kept.
    written = [int(line.split()[0]) for line in said.splitlines() if "rows written" in line]
    assert 0 < max(written) <= N - half
    assert "Another builder is at work" in said or "0 rows written" in said
    check(site, outputs)


def test_only_what_is_new_is_built(server, tmp_path, database_name, outputs):
    site = Site(server, tmp_path / "site", database_name)
    insert(site, outputs[:20])
    with site.opened() as opened:
        report = build_screening(opened.database)
        assert report.n_rows == 20
        assert build_screening(opened.database).n_rows == 0
        insert(site, outputs[20:25])
        again = build_screening(opened.database, after=report.newest)
        assert again.n_rows == 5
        # A second run of a material replaces its row; an old run that comes late does not.
        newer = {**outputs[3], "job_uuid": "newer", "xi": 2.0}
        newer["last_updated"] = datetime(2999, 1, 1, tzinfo=UTC)
        late = {**outputs[4], "job_uuid": "late", "xi": 2.0}
        late["last_updated"] = datetime(2001, 1, 1, tzinfo=UTC)
        insert(site, [newer, late])
        assert build_screening(opened.database, after=again.newest).n_rows == 2
        rows = {row["material_id"]: row for row in site.database().screening.find({})}
        assert (rows["synthetic-3"]["xi"], rows["synthetic-3"]["rank"]) == (2.0, 1)
        assert rows["synthetic-4"]["xi"] == outputs[4]["xi"]
        assert build_screening(opened.database).n_rows == 0


def test_a_watching_builder_with_two_processes_builds_what_arrives(
    server, tmp_path, database_name, outputs
):
    site = Site(server, tmp_path / "site", database_name)
    insert(site, outputs[:250])
    watching = subprocess.Popen(
        site.command("build", "--watch", "--interval", "1", "--processes", "2"),
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=site.folder,
    )
    try:
        for n in (250, 300):
            deadline = time.monotonic() + 120
            while site.database().screening.count_documents({"rank": {"$gte": 1}}) < n:
                assert time.monotonic() < deadline
                assert watching.poll() is None, watching.communicate()
                time.sleep(0.2)
            if n == 250:
                insert(site, outputs[250:300])
        time.sleep(1.5)  # a round in which there is nothing to do
        watching.send_signal(signal.SIGINT)
        said, complaints = watching.communicate(timeout=60)
    finally:
        watching.kill()
        watching.wait()
    assert watching.returncode == 130, complaints
    assert said.splitlines() == ["250 rows written.", "50 rows written."]
    assert "Traceback" not in complaints
    check(site, outputs[:300])
    # Ctrl-C may have come in the middle of a build; nobody holds the lease then.
    assert site.database().builders.count_documents({"owner": {"$ne": None}}) == 0
