"""The long form of the cluster tests: 'make soak'."""

import os

import pytest
from cluster_site import server_at
from cluster_trials import (
    check_campaign,
    descriptors,
    finish,
    kill_server,
    kill_workers_at_random,
    submitted,
)

from superionic.cluster.build import build_screening

pytestmark = [pytest.mark.process, pytest.mark.timeout(7200)]

N = int(os.environ.get("SUPERIONIC_SOAK_MATERIALS", "500"))
KILLS = int(os.environ.get("SUPERIONIC_SOAK_KILLS", "30"))
OUTAGES_S = (5.0, 20.0, 60.0)
UNDISTURBED: dict[str, tuple] = {}


@pytest.fixture
def trial(tmp_path, zygote):
    with server_at(tmp_path / "server") as server:
        site = submitted(server, tmp_path / "site", N, zygote=zygote)
        yield site
        site.close()
        print(site.log_text()[-2000:])


def check(site) -> None:
    finish(site, N, timeout_s=3600)
    check_campaign(site, N)
    with site.opened() as opened:
        build_screening(opened.database)
    rows = list(site.database().screening.find({}))
    assert sorted(row["material_id"] for row in rows) == sorted(f"salt-{i}" for i in range(N))
    found = descriptors(site)
    assert {row["material_id"]: row["xi"] for row in rows} == {k: v[0] for k, v in found.items()}
    assert UNDISTURBED.setdefault("all", found) == found


def test_undisturbed(trial):
    check(trial)


def test_workers_killed_at_random(trial):
    assert sum(kill_workers_at_random(trial, N, kills=KILLS, seed=7).values()) >= 10
    check(trial)


def test_server_killed(trial):
    assert kill_server(trial, N, outages_s=OUTAGES_S) == len(OUTAGES_S)
    check(trial)
