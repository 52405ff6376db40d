"""The long form of the cluster tests: 'make soak'.

In parts: 'make soak PYTEST_ARGS="-k undisturbed"'. Smaller: SUPERIONIC_SOAK_MATERIALS=100 and
SUPERIONIC_SOAK_KILLS=10.
"""

import os
import time

import pytest
from cluster_site import server_at
from cluster_trials import (
    JOBS,
    WORKER,
    check_campaign,
    descriptors,
    finish,
    kill_server,
    kill_workers_at_random,
    submitted,
)
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from superionic.store.builders.build import build_screening
from superionic.structures.readers import read_candidates
from superionic.workflows.campaign.definition import read_campaign

pytestmark = [pytest.mark.process, pytest.mark.timeout(7200)]

N = int(os.environ.get("SUPERIONIC_SOAK_MATERIALS", "500"))
KILLS = int(os.environ.get("SUPERIONIC_SOAK_KILLS", "30"))
OUTAGES_S = (5.0, 20.0, 60.0)
N_COMPARED = 5


@pytest.fixture
def trial(tmp_path, zygote):
    with server_at(tmp_path / "server") as server:
        site = submitted(server, tmp_path / "site", N, zygote=zygote)
        yield site
        site.close()
        print(site.log_text()[-2000:])


def undisturbed(site, n: int) -> dict[str, tuple]:
    """Return the numbers of some materials, computed here, without any engine."""
    wanted = read_campaign(site.folder / "campaign.yaml")
    maker = wanted.maker("none")
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    candidates = list(read_candidates(wanted.crystals))
    for candidate in candidates[:: max(1, len(candidates) // n)]:
        run_locally(maker.make(candidate), store=store, log=False, ensure_success=True)
    outputs = [row["output"] for row in store.query({"output.kind": "descriptors"})]
    return {o["material_id"]: (o["xi"], o["mpe_eV"], o["n_evaluations"]) for o in outputs}


def check(site) -> None:
    finish(site, N, timeout_s=3600)
    check_campaign(site, N)
    with site.opened() as opened:
        build_screening(opened.database)
    rows = list(site.database().screening.find({}))
    assert sorted(row["material_id"] for row in rows) == sorted(f"salt-{i}" for i in range(N))
    found = descriptors(site)
    assert {row["material_id"]: row["xi"] for row in rows} == {k: v[0] for k, v in found.items()}
    expected = undisturbed(site, N_COMPARED)
    assert len(expected) >= min(N, N_COMPARED)
    for name, numbers in expected.items():
        assert found[name] == pytest.approx(numbers), name


def test_undisturbed(trial):
    start = time.monotonic()
    assert trial.worker(*WORKER).wait(7000) == 0
    print(f"{N * len(JOBS) / (time.monotonic() - start):.2f} jobs a second")
    assert trial.states() == {"COMPLETED": N * len(JOBS)}
    check(trial)


def test_workers_killed_at_random(trial):
    hit = kill_workers_at_random(trial, N, kills=KILLS, seed=7)
    print(dict(hit))
    assert sum(hit.values()) >= 10
    check(trial)


@pytest.mark.parametrize("outage_s", OUTAGES_S)
def test_server_killed_once(trial, outage_s):
    assert kill_server(trial, N, outages_s=(outage_s,)) == 1
    check(trial)


def test_server_killed_three_times(trial):
    assert kill_server(trial, N, outages_s=OUTAGES_S) == len(OUTAGES_S)
    check(trial)
