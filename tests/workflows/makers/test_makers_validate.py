"""The validation flow: its structure, its key, and its document in real stores."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaign_fixtures import TOY, rock_salt
from jobflow import run_locally

from superionic.dynamics.confirmation import ConfirmationRules
from superionic.errors import SettingsError
from superionic.potentials.registry import load_potential
from superionic.store.builders.screening import ScreeningBuilder, run_builder
from superionic.structures.candidate import Candidate
from superionic.workflows.campaign.definition import read_campaign
from superionic.workflows.campaign.results import Asked, documents
from superionic.workflows.jobs.engines.ase import AseEngine
from superionic.workflows.jobs.engines.vasp import VaspEngine
from superionic.workflows.jobs.validation import SupercellMaker
from superionic.workflows.makers.table import FLOWS
from superionic.workflows.makers.validate import ValidateMaker

ENGINE = AseEngine(equilibration_ps=0.02, frame_interval_fs=10.0, checkpoint_interval=10)
MAKER = ValidateMaker(
    potential=TOY,
    temperatures_K=(600.0, 900.0),
    seed=5,
    supercell_maker=SupercellMaker(min_image_distance_A=5.0, production_ps=0.06),
    engine=ENGINE,
)


@pytest.fixture
def candidate() -> Candidate:
    return Candidate("salt", rock_salt("Cl", 5.1), "salt.cif", {"licence": "CC BY 4.0"})


def test_the_flow_has_the_jobs_in_order(candidate):
    flow = MAKER.make(candidate)
    names = ["prepare", "relax if needed", "supercell", "dynamics", "dynamics", "confirm"]
    assert [job.name for job in flow.jobs] == names
    assert flow.output.uuid == flow.jobs[-1].uuid
    assert [job.metadata.get("temperature_K") for job in flow.jobs[3:5]] == [900.0, 600.0]
    assert all(job.metadata["material_id"] == "salt" for job in flow.jobs)
    without = replace(MAKER, relax_maker=None).make(candidate)
    assert [job.name for job in without.jobs] == ["prepare", *names[2:]]
    chain = replace(MAKER, engine="vasp").make(candidate)
    assert isinstance(chain.jobs[3].maker, VaspEngine)


def test_the_maker_survives_serialisation(candidate):
    for maker in (MAKER, replace(MAKER, engine=VaspEngine(incar={"ISPIN": 1}))):
        again = ValidateMaker.from_dict(json.loads(json.dumps(maker.as_dict())))
        assert again == maker
        assert again.key(candidate) == maker.key(candidate)
    flow = MAKER.make(candidate)
    assert type(flow).from_dict(json.loads(flow.to_json())).job_uuids == flow.job_uuids


@pytest.mark.parametrize(
    "other",
    [
        replace(MAKER, mobile_species="Cl"),
        replace(MAKER, potential="chgnet"),
        replace(MAKER, relax_maker=None),
        replace(MAKER, temperatures_K=(600.0, 1000.0)),
        replace(MAKER, seed=6),
        replace(MAKER, charge_e=2.0),
        replace(MAKER, engine="vasp"),
        replace(MAKER, engine=replace(ENGINE, potential="sevennet")),
        replace(MAKER, engine=replace(ENGINE, equilibration_ps=0.03)),
        replace(MAKER, engine=replace(ENGINE, stop=replace(ENGINE.stop, early=False))),
        replace(MAKER, rules=ConfirmationRules(threshold_S_per_cm=0.1)),
        replace(MAKER, supercell_maker=SupercellMaker(production_ps=1.0)),
    ],
)
def test_whatever_changes_numbers_changes_the_key(candidate, other):
    assert other.key(candidate) != MAKER.key(candidate)


def test_names_and_ways_of_writing_do_not_change_the_key(candidate):
    same = replace(MAKER, name="x", engine=replace(ENGINE, name="y"))
    assert same.key(candidate) == MAKER.key(candidate)
    # An engine that is told the potential of the flow runs the same.
    assert replace(MAKER, engine=replace(ENGINE, potential=TOY)).key(candidate) == MAKER.key(
        candidate
    )
    chgnet = replace(MAKER, potential="chgnet")
    assert replace(chgnet, potential="chgnet:0.3.0").key(candidate) == chgnet.key(candidate)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"temperatures_K": ()}, "no positive"),
        ({"temperatures_K": (0.0, 500.0)}, "no positive"),
        ({"temperatures_K": (500.0, 500.0)}, "twice"),
        ({"engine": "siesta"}, "no engine 'siesta'"),
    ],
)
def test_senseless_settings_are_refused(change, fault):
    with pytest.raises(SettingsError, match=fault):
        replace(MAKER, **change)


def test_a_campaign_file_describes_a_validation(tmp_path):
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "flow: validate\ncrystals: [x.cif]\nsettings:\n  temperatures_K: [500, 700]\n"
        "  engine.potential: sevennet\n  rules.threshold_S_per_cm: 0.1\n"
    )
    maker = read_campaign(file).maker("chgnet")
    assert (maker.temperatures_K, maker.engine.potential) == ((500.0, 700.0), "sevennet")
    assert maker.rules.threshold_S_per_cm == 0.1
    file.write_text(
        "flow: validate\ncrystals: [x.cif]\nsettings:\n  engine: vasp\n  engine.segment_steps: 7\n"
    )
    assert read_campaign(file).maker("chgnet").engine == VaspEngine(segment_steps=7)


def test_published_campaigns_of_validations_are_valid():
    folder = Path(__file__).parents[3] / "workflows"
    files = list(folder.glob("validate*.yaml"))
    assert files
    for file in files:
        campaign = read_campaign(file)
        assert campaign.flow == "validate"
        assert all(crystal.exists() for crystal in campaign.crystals)
        campaign.maker("chgnet")


@pytest.mark.process
def test_the_verdict_is_in_the_store_and_in_the_row(candidate, database, tmp_path, data_dir):
    def run(maker):
        flow = maker.make(candidate)
        run_locally(
            flow, log=False, store=database.job_store, raise_immediately=True, root_dir=tmp_path
        )
        keys = {candidate.material_id: maker.key(candidate)}
        info = load_potential(TOY).info
        found = documents(Asked(FLOWS["validate"], database, info, keys))
        assert len(found) == 1
        return found[0]

    document = run(MAKER)
    assert document.kind == "validation"
    assert (document.material_id, document.formula) == ("salt", "LiCl")
    assert document.provenance == {"licence": "CC BY 4.0"}
    assert document.temperatures_K == [600.0, 900.0]
    assert document.seeds == [6, 5]
    # Too short for any ion to hop: bounds, no values, nothing claimed.
    assert (document.verdict, document.n_values, document.n_bounds) == ("undecided", 0, 2)
    assert document.activation_energy_eV is document.conductivity_S_per_cm is None
    assert document.conductivity_high_S_per_cm > document.threshold_S_per_cm
    assert document.n_evaluations == 2 * (10 + 30 + 1)
    assert document.settings["engine"]["potential"].endswith("toy_potential.Toy")
    # Arrays are in the additional store, not in the documents.
    rows = list(database.job_store.docs_store.query({"output.kind": "trajectory"}))
    assert {row["output"]["temperature_K"] for row in rows} == {600.0, 900.0}
    assert all(row["output"]["arrays"]["store"] == "data" for row in rows)
    run_builder(ScreeningBuilder(database.job_store.docs_store, database.screening))
    (row,) = database.screening.query({})
    assert (row["material_id"], row["validation_verdict"]) == ("salt", "undecided")
    assert row["validation_uuid"] == document.job_uuid
    # Again: the trajectories are found, nothing is computed twice.
    chunks = {file: file.stat().st_mtime_ns for file in data_dir.glob("md/*/chunk_*.npz")}
    assert len(list((data_dir / "md").iterdir())) == 2
    again = run(MAKER)
    assert {file: file.stat().st_mtime_ns for file in chunks} == chunks
    assert again.runs[0].slope_upper_bound_A2_per_ps == document.runs[0].slope_upper_bound_A2_per_ps
    assert np.isclose(
        again.runs[1].mean_temperature_K, document.runs[1].mean_temperature_K, rtol=1e-12
    )
