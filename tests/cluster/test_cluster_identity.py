"""Two nodes with other code under one name, and a queue whose documents name code."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cluster_site import PROGRAMS, Site, campaign, write_crystals
from pymatgen.core import Structure

from superionic.cluster.identity import described, reason_to_refuse
from superionic.potentials import registry
from superionic.structures.candidate import Candidate
from superionic.workflows.keys import VERSIONS
from superionic.workflows.makers.predict import PredictMaker

pytestmark = pytest.mark.process

WORKER = ("-n", "1", "--ping", "2", "--patience", "60", "--idle", "2")
TOY = (Path(__file__).parent / "cluster_toy.py").read_text()
SPEC = "ase:twin_toy.Toy"


@pytest.fixture
def twins(server, tmp_path, database_name, zygote, monkeypatch):
    """A site, and the folders of two nodes that have other code under one name."""
    for node, strength in (("north", "100.0"), ("south", "60.0")):
        (tmp_path / node).mkdir()
        source = TOY.replace("100.0 * np.exp", f"{strength} * np.exp")
        (tmp_path / node / "twin_toy.py").write_text(source)
    assert (tmp_path / "south" / "twin_toy.py").read_text() != TOY
    monkeypatch.syspath_prepend(tmp_path / "north")
    monkeypatch.setenv("SUPERIONIC_CALCULATORS", "twin_toy")
    registry.get_settings.cache_clear()
    registry._identify.cache_clear()
    registry._load.cache_clear()
    site = Site(server, tmp_path / "site", database_name, zygote)
    yield site, tmp_path
    site.close()
    registry.get_settings.cache_clear()


def node(folder: Path, name: str, allowed: str = "twin_toy") -> dict[str, str]:
    path = os.pathsep.join([str(folder / name), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path, "SUPERIONIC_CALCULATORS": allowed}


def test_a_node_with_other_code_leaves_the_jobs_to_another(twins):
    site, folder = twins
    n = 3
    write_crystals(site.folder / "crystals.jsonl", n)
    path = campaign(site.folder, site.folder / "crystals.jsonl", SPEC)
    assert site.submit(path).n_submitted == n
    # Neither the node with other code nor one that does not allow it takes a landscape.
    for name, allowed, reason in (
        ("south", "twin_toy", "is another one here"),
        ("north", "", "would run code that this site does not allow"),
    ):
        assert site.worker(*WORKER, env=node(folder, name, allowed)).wait(100) == 0
        assert site.states() == {"COMPLETED": n, "READY": n, "WAITING": n}, site.log_text()
        (refused,) = site.status().refused
        assert refused.n_jobs == n
        assert reason in refused.reason
    said = site.ok("status", "-l", str(site.launchpad_file))
    assert "Left by workers to others:" in said
    assert f"{n}  by superionic worker on" in said
    assert "0 processes died" in site.log_text()
    # Nothing was launched for what was refused, and nobody's death was counted.
    database = site.database()
    assert database.launches.count_documents({}) == n
    assert not any("deaths" in fw["spec"]["_superionic"] for fw in database.fireworks.find({}))
    # The node that has what was asked for does the rest.
    assert site.worker(*WORKER, env=node(folder, "north")).wait(100) == 0, site.log_text()
    assert site.states() == {"COMPLETED": 3 * n}
    assert site.status().refused == ()
    documents = list(database.outputs.find({"output.kind": "descriptors"}))
    hashes = {one["output"]["potential"]["weights_sha256"] for one in documents}
    assert hashes == {registry.identify_potential(SPEC).weights_sha256}


def test_rlaunch_refuses_by_failing(twins):
    site, folder = twins
    write_crystals(site.folder / "crystals.jsonl", 1)
    path = campaign(site.folder, site.folder / "crystals.jsonl", SPEC)
    assert site.submit(path).n_submitted == 1
    subprocess.run(
        [PROGRAMS / "rlaunch", "-l", str(site.launchpad_file), "rapidfire"],
        env={**site.environment, **node(folder, "south")},
        cwd=site.folder,
        capture_output=True,
        check=True,
        timeout=120,
    )
    (failure,) = site.status().failures
    assert failure.cause == "other_potential"
    assert "is another one here" in failure.example_text


def test_a_job_of_other_numbers_is_left_to_another_version():
    details = {"numerics": {"LandscapeSettings": VERSIONS["LandscapeSettings"]}}
    assert reason_to_refuse(details) is None
    for name in ("LandscapeSettings", "SomethingNew"):
        reason = reason_to_refuse({"numerics": {name: 99}})
        assert reason.code == "other_version"
        assert f"of {name}, and not 99" in str(reason)


def test_another_release_or_a_missing_package_is_a_reason():
    spec = "ase:ase.calculators.lj.LennardJones"
    here = registry.identify_potential(spec)
    asked = {
        "spec": spec,
        "weights_sha256": here.weights_sha256,
        "package_version": here.package_version,
    }
    assert reason_to_refuse({"potentials": [asked]}) is None
    reason = reason_to_refuse({"potentials": [asked | {"package_version": "ase 2.0"}]})
    assert reason.code == "other_potential"
    assert "asks for ase 2.0" in str(reason)
    reason = reason_to_refuse({"potentials": [asked | {"spec": "sevennet:/nowhere/a.pth"}]})
    assert reason.code == "potential_not_found"


def test_another_network_is_a_reason(tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[1] / "workflows" / "campaign"))
    from tiny_network import write_network

    info = registry.identify_potential("ase:ase.calculators.lj.LennardJones")
    path = write_network(tmp_path / "network.pt", info)
    potentials = {"ase:ase.calculators.lj.LennardJones": info}
    maker = PredictMaker(network=str(path), potential="ase:ase.calculators.lj.LennardJones")
    crystal = Candidate(
        "salt", Structure(np.eye(3) * 4, ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    )
    jobs = {job.name: job for job, _ in maker.make(crystal).iterflow()}
    details = {name: described(job, maker, potentials) for name, job in jobs.items()}
    with_network = {name for name, one in details.items() if "network" in one}
    assert with_network == {"prepare", "predict diffusion"}
    with_potential = {name for name, one in details.items() if one["potentials"]}
    assert with_potential == {"relax if needed", "shakes"}
    assert reason_to_refuse(details["predict diffusion"]) is None
    write_network(path, info, seed=1)
    assert "is another one here" in str(reason_to_refuse(details["predict diffusion"]))
    path.unlink()
    assert reason_to_refuse(details["predict diffusion"]).code == "network"
