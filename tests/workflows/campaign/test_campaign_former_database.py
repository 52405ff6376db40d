"""A database of 0.1 (commit 48700e8) is read, queried and gone on with; nothing is done twice."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bson.json_util import loads
from campaign_fixtures import run_here
from monty.json import MontyDecoder

from superionic.api.rows import query
from superionic.cluster.retry import RetryPolicy
from superionic.cluster.site import launchpad_in
from superionic.cluster.submit import queued_keys
from superionic.landscape.settings import DESCRIPTORS_VERSION, LandscapeSettings
from superionic.potentials.registry import identify_potential
from superionic.store.builders.build import build_screening
from superionic.store.builders.documents import read_document
from superionic.store.database.finished import adopt, finished_keys
from superionic.structures.readers import read_candidates
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.keys import former_keys
from superionic.workflows.makers.screen import ScreenMaker

pytestmark = pytest.mark.process
DATA = Path(__file__).parents[2] / "data" / "database_48700e8"
LJ = 'ase:ase.calculators.lj.LennardJones?{"epsilon": 0.2, "rc": 6.0, "sigma": 2.3, "smooth": true}'
CRYSTALS = [DATA / "salt-LiCl.cif", DATA / "salt-LiI.cif"]
N_CHGNET, N_LJ = 3, 2


def stored():
    with gzip.open(DATA / "db.jsonl.gz", "rt") as lines:
        return [loads(line) for line in lines]


@pytest.fixture
def former(database):
    """The database, with what 0.1 left in it."""
    collections = database.screening._collection.database
    for name, document in stored():
        collections[name].insert_one(document)
    return database


def n_outputs(database):
    return database.job_store.docs_store._collection.count_documents({})


def coarse(step_A, **options):
    settings = LandscapeSettings(grid_step_A=step_A)
    return ScreenMaker(landscape_maker=LandscapeMaker(settings=settings), **options)


@pytest.mark.real_potential
def test_every_flow_finds_what_is_there(former):
    before = n_outputs(former)
    crystals = [*CRYSTALS, DATA / "salt-LiBr.cif"]

    def found(flow, crystals, **fields):
        result = run_here(flow, crystals, potential="chgnet", **fields)
        assert (result.n_computed, result.failures) == (0, [])
        return result.rows

    screened = found("screen", crystals, options={"step_A": 0.8})
    barriers = {row.material_id: round(row.mpe_eV, 3) for row in screened}
    assert barriers == {"salt-LiBr": 0.970, "salt-LiCl": 1.564, "salt-LiI": 0.645}
    assert {row.ranking_settings for row in screened} == {"0.8 A exact"}
    labelled = found(
        "label",
        CRYSTALS[1:],
        settings={
            "md_maker.n_steps": 60,
            "md_maker.n_equilibration_steps": 20,
            "md_maker.min_image_distance_A": 4.0,
            "md_maker.checkpoint_interval": 20,
        },
    )
    assert [row.verdict for row in labelled] == ["unconverged"]
    judged = found(
        "validate",
        CRYSTALS[1:],
        settings={
            "temperatures_K": [900, 1000],
            "supercell_maker.min_image_distance_A": 4.0,
            "supercell_maker.production_ps": 0.1,
            "engine.equilibration_ps": 0.04,
            "engine.checkpoint_interval": 20,
        },
    )
    assert [one.verdict for one in judged] == ["undecided"]
    assert len(found("predict", CRYSTALS[1:])) == 1
    assert n_outputs(former) == before
    rows = query(mobile_species="Li", potential="chgnet:0.3.0")
    assert len(rows) == N_CHGNET
    (lithium_iodide,) = [row for row in rows if row.material_id == "salt-LiI"]
    assert lithium_iodide.present == ["landscape", "prediction", "label", "validation"]


def test_rows_are_built_anew_and_each_once(former):
    for _ in range(2):
        build_screening(former)
    assert len(query()) == N_CHGNET
    rows = query(all_rankings=True)
    assert len(rows) == N_CHGNET + N_LJ
    assert sorted(row.rank for row in rows) == [1, 1, 2, 2, 3]


@pytest.mark.real_potential
def test_descriptors_of_former_rules_are_read_again_from_their_maps(former):
    outputs = former.job_store.docs_store._collection

    def documents():
        return [one["output"] for one in outputs.find({"output.kind": "descriptors"})]

    then = {one["job_uuid"]: one for one in documents()}
    crystals = [DATA / "salt-LiBr.cif", DATA / "salt-LiI.cif"]
    n_before = n_outputs(former)
    result = run_here("screen", crystals, potential="chgnet", options={"step_A": 0.8})
    assert (result.n_computed, n_outputs(former)) == (0, n_before)
    now = documents()
    assert {one["job_uuid"] for one in now} == set(then)
    read = [one for one in now if one.get("descriptors_version") == DESCRIPTORS_VERSION]
    assert {one["material_id"] for one in read} == {"salt-LiBr", "salt-LiI"}
    for one in read:
        old = then[one["job_uuid"]]
        assert "descriptors_version" not in old
        for name in ("mpe_eV", "xi", "fv_connected_union", "fv_disconnected_sum"):
            assert one[name] == pytest.approx(old[name], abs=1e-9)
    # A cubic crystal: what followed the axes is mended.
    (cubic,) = [one for one in read if one["material_id"] == "salt-LiI"]
    slow, _, fast = then[cubic["job_uuid"]]["diffusivity_ratios_1000K"]
    assert fast > 3 * slow
    slow, _, fast = cubic["diffusivity_ratios_1000K"]
    assert fast == pytest.approx(slow, rel=1e-4)
    rows = {row.material_id: row for row in result.rows}
    assert {name: row.descriptors_version for name, row in rows.items()} == {
        "salt-LiBr": DESCRIPTORS_VERSION, "salt-LiI": DESCRIPTORS_VERSION,
    }  # fmt: skip
    (of_then,) = query(formula="LiCl", potential="chgnet:0.3.0")
    assert of_then.descriptors_version == 1


def test_work_that_0_1_divided_is_found_under_its_key_of_today(former, tmp_path):
    """``energies_per_job`` was part of keys then."""
    maker = coarse(0.8, potential=LJ)
    divided = replace(maker, landscape_maker=replace(maker.landscape_maker, energies_per_job=20))
    (crystal,) = read_candidates(CRYSTALS[:1])
    ((then, today),) = former_keys(divided, [crystal]).items()
    assert today == maker.key(crystal) != then
    outputs = former.job_store.docs_store._collection
    as_then = {"$set": {"output.task_key": then}}
    n_documents = outputs.update_many({"output.task_key": today}, as_then).modified_count
    assert n_documents == 4  # prepared, relaxed, landscape, descriptors
    info = identify_potential(LJ)
    assert finished_keys(former, [today], info, "descriptors") == set()
    adopt(former, {then: today, "never": "seen"})
    adopt(former, {then: today})
    assert finished_keys(former, [today], info, "descriptors") == {today}
    assert outputs.count_documents({"output.task_key": today}) == n_documents
    # In the launchpad, too.
    launchpad = launchpad_in(former.spec).open(RetryPolicy(10))
    (queued, *_) = launchpad.workflows.find({})
    key = queued["metadata"]["superionic"]["key"]
    assert queued_keys(launchpad, ["today"], {key: "today"}) == {"today": "READY"}
    assert queued_keys(launchpad, ["today"]) == {}
    launchpad.client.close()


def test_queued_jobs_of_then_run_and_are_not_queued_again(former, run, tmp_path):
    if identify_potential(LJ).weights_sha256 not in {
        one["output"]["potential"]["weights_sha256"]
        for name, one in stored()
        if name == "outputs" and one["output"].get("potential")
    }:
        pytest.skip("this ASE has another Lennard-Jones than that of the database")
    screened = run_here("screen", CRYSTALS, potential=LJ, options={"step_A": 0.8})
    assert (screened.n_computed, len(screened.rows)) == (0, N_LJ)
    content = {
        "crystals": [str(DATA / "queued-LiCl.cif"), str(DATA / "queued-LiI.cif")],
        "potential": LJ,
        "settings": {"landscape_maker.settings.grid_step_A": 1.0, "relax_maker": None},
    }
    campaign = tmp_path / "queued.yaml"
    campaign.write_text(json.dumps(content))
    submitted = run("submit", "-c", campaign).out
    assert "0 materials submitted" in submitted
    assert "2 are in the launchpad already" in submitted
    worked = run("worker", "-n", "1", "--idle", "1")
    assert "6 jobs done, 0 failed" in worked.out
    assert "2 are finished already" in run("submit", "-c", campaign).out
    run("build")
    assert {"queued-LiCl", "queued-LiI"} <= {row.material_id for row in query(all_rankings=True)}


def test_documents_and_jobs_of_then_are_read_although_modules_have_moved():
    n_jobs = n_documents = 0
    for name, document in stored():
        text = json.dumps(document, default=str)
        if name == "fireworks":
            (task,) = json.loads(text)["spec"]["_tasks"]
            job = MontyDecoder().process_decoded(task["job"])
            assert job.function.__module__.startswith("superionic.workflows.jobs.")
            n_jobs += 1
        elif name == "outputs" and json.loads(text)["output"].get("kind") in (
            *("descriptors", "prediction", "diffusion", "validation"),
        ):
            assert read_document(json.loads(text)["output"]).material_id.startswith("salt-")
            n_documents += 1
    assert (n_jobs, n_documents) == (6, 8)
