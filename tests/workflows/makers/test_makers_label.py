"""The labelling flow: its structure, its key, and its document in real stores."""

from dataclasses import replace

import pytest
from campaign_fixtures import TOY, rock_salt
from jobflow import run_locally

from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.workflows.campaign.results import Asked, judged_labels
from superionic.workflows.jobs.diffusion import DiffusionMDMaker
from superionic.workflows.makers.label import LabelMaker
from superionic.workflows.makers.table import FLOWS

MAKER = LabelMaker(
    potential=TOY,
    md_maker=DiffusionMDMaker(
        n_steps=20, n_equilibration_steps=4, checkpoint_interval=10, min_image_distance_A=5.0
    ),
)


@pytest.fixture
def candidate() -> Candidate:
    return Candidate("salt", rock_salt("Cl", 5.1), "salt.cif", {"licence": "CC BY 4.0"})


def test_the_flow_has_the_jobs_in_order(candidate):
    flow = MAKER.make(candidate)
    assert [job.name for job in flow.jobs] == ["prepare", "relax if needed", "diffusion MD"]
    assert flow.output.uuid == flow.jobs[-1].uuid
    flow.update_maker_kwargs({"n_steps": 7}, class_filter=DiffusionMDMaker)
    assert flow.jobs[-1].maker.n_steps == 7


@pytest.mark.parametrize(
    "other",
    [
        replace(MAKER, mobile_species="Cl"),
        replace(MAKER, potential="chgnet"),
        replace(MAKER, relax_maker=None),
        replace(MAKER, md_maker=replace(MAKER.md_maker, temperature=900.0)),
        replace(MAKER, md_maker=replace(MAKER.md_maker, mb_velocity_seed=1)),
        replace(MAKER, md_maker=replace(MAKER.md_maker, min_image_distance_A=9.0)),
    ],
)
def test_whatever_changes_numbers_changes_the_key(candidate, other):
    assert other.key(candidate) != MAKER.key(candidate)


def test_names_and_ways_of_writing_do_not_change_the_key(candidate):
    same = replace(
        MAKER, name="x", md_maker=replace(MAKER.md_maker, name="y", verbose=True, tags=["z"])
    )
    assert same.key(candidate) == MAKER.key(candidate)
    chgnet = replace(MAKER, potential="chgnet")
    assert replace(chgnet, potential="chgnet:0.3.0").key(candidate) == chgnet.key(candidate)


def test_the_document_is_in_the_store_and_makes_a_row(candidate, database):
    run_locally(MAKER.make(candidate), log=False, store=database.job_store, raise_immediately=True)
    key, info = MAKER.key(candidate), load_potential(TOY).info
    (row,) = judged_labels(Asked(FLOWS["label"], database, info, {"salt": key}))
    assert (row.material_id, row.formula, row.licence) == ("salt", "LiCl", "CC BY 4.0")
    assert row.task_key == key
    assert row.spacegroup_number == 225
    assert row.temperature_K == 1000.0
    assert len(row.structure["species"]) == 2
    assert judged_labels(Asked(FLOWS["label"], database, info, {"salt": "another"})) == []
