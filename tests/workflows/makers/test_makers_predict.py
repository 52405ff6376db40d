"""The prediction flow: its structure, its keys, and its documents in real stores."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from campaign_fixtures import TOY, rock_salt
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure
from tiny_network import FAR, NEAR, SHAKES, write_network

from superionic.errors import (
    NetworkError,
    NoMobileIonError,
    NonFiniteEnergyError,
    SettingsError,
    UnknownElementError,
)
from superionic.network.inference import Ensemble
from superionic.network.settings import LabelRules
from superionic.network.shakes import shake_crystal
from superionic.potentials.registry import load_potential
from superionic.schemas.shakes import ShakesDocument
from superionic.store.builders.documents import read_document
from superionic.store.builders.rows import screening_document
from superionic.structures.candidate import Candidate
from superionic.workflows.campaign.definition import Campaign
from superionic.workflows.jobs.prediction import (
    PredictDiffusionMaker,
    ShakeMaker,
    load_network,
    network_path,
)
from superionic.workflows.makers.predict import PredictMaker


@pytest.fixture
def candidate() -> Candidate:
    return Candidate("salt", rock_salt("Cl", 5.1), "salt.cif", {"licence": "CC BY 4.0"})


@pytest.fixture
def file(tmp_path) -> Path:
    return write_network(tmp_path / "tiny.pt", load_potential(TOY).info)


@pytest.fixture
def maker(file) -> PredictMaker:
    return PredictMaker(potential=TOY, network=str(file))


@pytest.fixture
def store():
    opened = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    opened.connect()
    return opened


def outputs(flow, store) -> dict:
    """Run a flow and return the documents of its jobs, by kind."""
    run_locally(flow, log=False, store=store, raise_immediately=True)
    rows = store.query({"output.kind": {"$exists": True}}, load=True)
    return {row["output"]["kind"]: row["output"] for row in rows}


def predicted(flow, store):
    return read_document(outputs(flow, store)["prediction"])


def test_the_flow_has_the_jobs_in_order_and_survives_serialisation(maker, candidate):
    flow = maker.make(candidate)
    names = ["prepare", "relax if needed", "shakes", "predict diffusion"]
    assert [job.name for job in flow.jobs] == names
    assert flow.output.uuid == flow.jobs[-1].uuid
    assert flow.jobs[2].maker.settings == SHAKES
    back = json.loads(json.dumps(flow.jobs[2], cls=MontyEncoder), cls=MontyDecoder)
    assert back.maker.settings.amplitudes_A in ([0.1, 0.2], (0.1, 0.2))
    few = replace(maker, n_shakes=2, relax_maker=None).make(candidate)
    assert [job.name for job in few.jobs] == ["prepare", "shakes", "predict diffusion"]
    assert few.jobs[1].maker.settings == replace(SHAKES, n_shakes=2)


@pytest.mark.parametrize("relax", [True, False])
def test_a_crystal_that_is_not_at_rest_is_relaxed_or_flagged(
    maker, store, relax, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # atomate2 leaves a file where it runs
    crystal = rock_salt("Cl", 5.1)
    crystal.translate_sites([0], [0.12, 0.05, 0.02])
    candidate = Candidate("strained", crystal, "strained.cif", {})
    used = maker if relax else replace(maker, relax_maker=None)
    document = predicted(used.make(candidate), store)
    assert document.relaxed is relax
    assert document.n_evaluations > 5 if relax else document.n_evaluations == 4
    assert (document.residual_force_eV_per_A < 0.1) is relax
    assert document.flags == ([] if relax else ["not_at_rest"])
    assert ("relaxed" in document.settings) is relax


@pytest.mark.parametrize(
    "change",
    [
        {"mobile_species": "Cl"},
        {"potential": "chgnet"},
        {"relax_maker": None},
        {"n_shakes": 2},
        {"shake_maker": ShakeMaker()},
    ],
)
def test_whatever_changes_shakes_changes_both_keys(maker, candidate, change):
    other = replace(maker, **change)
    assert other.key(candidate) != maker.key(candidate)
    assert other.shakes_key(candidate) != maker.shakes_key(candidate)


def test_the_key_follows_the_content_of_the_network_and_not_its_place(maker, candidate, tmp_path):
    before, shakes = maker.key(candidate), maker.shakes_key(candidate)
    assert before != shakes
    elsewhere = shutil.copy(maker.network, tmp_path / "elsewhere.pt")
    assert replace(maker, network=str(elsewhere), name="x").key(candidate) == before
    same = replace(maker, n_shakes=SHAKES.n_shakes, shake_maker=ShakeMaker("y", SHAKES))
    assert (same.key(candidate), same.shakes_key(candidate)) == (before, shakes)
    write_network(tmp_path / "tiny.pt", load_potential(TOY).info, seed=1)
    assert maker.key(candidate) != before
    assert maker.shakes_key(candidate) == shakes


def test_documents_say_what_the_ensemble_says(maker, candidate, store):
    found = outputs(maker.make(candidate), store)
    document = read_document(found["prediction"])
    crystal = Structure.from_dict(found["shakes"]["structure"])
    stored = ShakesDocument.model_validate(
        {name: value for name, value in found["shakes"].items() if not name.startswith("@")}
        | {"structure": crystal}
    )
    expected = Ensemble.load(network_path(maker.network)).predict(stored.shakes())
    assert document.log10_msd_slope == pytest.approx(expected.log10_msd_slope, abs=1e-6)
    assert document.log10_msd_slope_low == pytest.approx(
        document.log10_msd_slope - NEAR.half_width_95
    )
    assert document.log10_msd_slope_high == pytest.approx(
        document.log10_msd_slope + NEAR.half_width_95
    )
    assert document.spread_shakes == pytest.approx(expected.shake_spread, abs=1e-6)
    assert document.spread_ensemble == pytest.approx(expected.ensemble_spread, abs=1e-6)
    assert (document.n_networks, document.n_shakes, document.flags) == (2, 3, [])
    # Three shakes and one of the undisplaced crystal; the look at the forces before.
    assert (document.n_evaluations, stored.n_evaluations) == (5, 4)
    assert document.task_key == maker.key(candidate)
    assert stored.task_key == found["prepared"]["task_key"] == maker.shakes_key(candidate)
    assert document.shakes_uuid == stored.job_uuid
    assert (document.n_atoms, document.n_mobile) == (2, 1)
    assert document.provenance == {"licence": "CC BY 4.0"}
    assert document.network_sha256 == load_network(maker.network).sha256
    assert document.temperature_K == 1000.0
    # They are those of the potential, and not in the document itself.
    atoms = Atoms("LiCl", positions=crystal.cart_coords, cell=crystal.lattice.matrix, pbc=True)
    direct = shake_crystal(atoms, load_potential(TOY), SHAKES)
    for name, value in direct.to_arrays().items():
        np.testing.assert_array_equal(stored.shakes().to_arrays()[name], value)
    row = store.query_one({"output.kind": "shakes"}, load=False)
    assert "zlib_base64" not in json.dumps(row["output"]["arrays"])


def test_a_relabelled_crystal_with_the_same_accelerations_is_the_same_to_the_last_bit(
    maker, candidate, store, file
):
    """The document of the shakes knows the crystal's elements; the prediction must not."""
    found = outputs(maker.make(candidate), store)["shakes"]
    stored = {name: value for name, value in found.items() if not name.startswith("@")}

    def predict(species: list[str]):
        structure = Structure.from_dict(found["structure"])
        relabelled = Structure(structure.lattice, species, structure.frac_coords)
        document = ShakesDocument.model_validate(stored | {"structure": relabelled})
        predictor = PredictDiffusionMaker(network=str(file))
        return PredictDiffusionMaker.make.original(predictor, document)

    own = predict(["Li", "Cl"])
    for species in (["Cl", "Li"], ["Cs", "Pb"], ["Li", "H"]):
        other = predict(species)
        assert (other.chemical_system == own.chemical_system) is (set(species) == {"Li", "Cl"})
        for name in (
            "log10_msd_slope",
            "log10_msd_slope_low",
            "log10_msd_slope_high",
            "log10_msd_slope_by_shake",
            "spread_shakes",
            "spread_ensemble",
            "novelty",
            "flags",
        ):
            assert getattr(other, name) == getattr(own, name), name


def test_uncalibrated_far_and_other_potentials_are_said_and_make_rows(candidate, store, tmp_path):
    info = load_potential(TOY).info
    other = replace(info, weights_sha256="other", name="another")
    lonely = write_network(tmp_path / "lonely.pt", other, calibration=None, n_members=1)
    document = predicted(PredictMaker(potential=TOY, network=str(lonely)).make(candidate), store)
    assert document.flags == ["other_potential", "not_calibrated"]
    assert [one.code for one in document.warnings] == document.flags
    assert "another" in document.warnings[0].text
    assert document.potential.weights_sha256 == info.weights_sha256
    assert document.log10_msd_slope_low is None
    assert document.spread_ensemble is None
    row = screening_document([document])
    assert row.predicted_log10_msd_slope == document.log10_msd_slope
    assert row.predicted_log10_msd_slope_low is None
    assert row.prediction_flags == document.flags
    distant = write_network(tmp_path / "distant.pt", info, calibration=FAR, n_members=1)
    document = predicted(PredictMaker(potential=TOY, network=str(distant)).make(candidate), store)
    assert document.flags == ["far_from_training_set"]
    assert document.far_from_training_set is True


@pytest.mark.parametrize(
    ("learned", "expected"), [(("Cl-Li", "Li-O"), True), (("Li-O",), False), (None, None)]
)
def test_a_document_says_whether_its_chemical_system_was_learned(
    candidate, store, tmp_path, learned, expected
):
    info = load_potential(TOY).info
    network = write_network(tmp_path / "net.pt", info, n_members=1, chemical_systems=learned)
    document = predicted(PredictMaker(potential=TOY, network=str(network)).make(candidate), store)
    assert document.in_training is expected
    assert screening_document([document]).prediction_in_training is expected


def test_a_document_is_of_the_temperature_of_the_labels(candidate, store, tmp_path):
    rules = LabelRules(temperature_K=700.0)
    network = write_network(tmp_path / "cold.pt", load_potential(TOY).info, labels=rules)
    document = predicted(PredictMaker(potential=TOY, network=str(network)).make(candidate), store)
    assert document.temperature_K == 700.0


def test_another_network_reads_shakes_that_are_known(maker, candidate, store, tmp_path):
    first = outputs(maker.make(candidate), store)
    uuid = first["shakes"]["job_uuid"]
    other = write_network(tmp_path / "other.pt", load_potential(TOY).info, seed=1)
    again = replace(maker, network=str(other))
    reference = next(
        job.output for job in maker.make(candidate).jobs if job.name == "shakes"
    ).set_uuid(uuid)
    flow = again.make(candidate, shakes=reference)
    assert [job.name for job in flow.jobs] == ["predict diffusion"]
    run_locally(
        flow, log=False, store=store, raise_immediately=True, allow_external_references=True
    )
    (row,) = store.query({"output.network": "other"})
    assert row["output"]["task_key"] == again.key(candidate)
    assert row["output"]["shakes_uuid"] == uuid
    assert row["output"]["log10_msd_slope"] != first["prediction"]["log10_msd_slope"]


def test_a_network_that_was_replaced_is_noticed(maker, candidate, store, file):
    flow = maker.make(candidate)
    write_network(file, load_potential(TOY).info, seed=1)
    with pytest.raises(NetworkError, match="another one"):
        run_locally(flow, log=False, store=store, raise_immediately=True)


def test_enormous_forces_are_kept(candidate, store, tmp_path):
    strong = f'{TOY}?{{"strength_eV": 3e9}}'
    network = write_network(tmp_path / "strong.pt", load_potential(strong, check=False).info)
    found = outputs(PredictMaker(potential=strong, network=str(network)).make(candidate), store)
    assert found["shakes"]["max_acceleration_A_per_ps2"] > 1e7
    assert np.isfinite(found["prediction"]["log10_msd_slope"])


def test_crystals_that_cannot_be_computed(maker, candidate, store, monkeypatch):
    maker = replace(maker, relax_maker=None)

    def refused(error, text, change=maker):
        with pytest.raises(error, match=text):
            run_locally(change.make(candidate), log=False, store=store, raise_immediately=True)

    refused(NoMobileIonError, "Na", replace(maker, mobile_species="Na"))
    monkeypatch.setattr(load_potential(TOY), "elements", frozenset({"Li", "Br"}))
    refused(UnknownElementError, "Cl")
    monkeypatch.undo()
    monkeypatch.setattr(
        "toy_potential.pair_sum", lambda cell, positions, _: (0.0, np.full_like(positions, np.nan))
    )
    refused(NonFiniteEnergyError, "NaN")
    assert store.query_one({"output.kind": {"$in": ["shakes", "prediction"]}}) is None


def test_files_that_are_no_network(maker, candidate, tmp_path):
    for name, content, text in (
        ("none.pt", None, "no file"),
        ("text.pt", b"not a checkpoint", "cannot be read"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(NetworkError, match=text):
            replace(maker, network=str(tmp_path / name)).key(candidate)
    with pytest.raises(SettingsError, match="n_shakes"):
        replace(maker, n_shakes=0).key(candidate)


def test_campaign_files_know_the_flow(file):
    settings = {"network": str(file), "n_shakes": 2, "relax_maker.fmax_eV_per_A": 0.05}
    campaign = Campaign(flow="predict", crystals=["x"], settings=settings)
    maker = campaign.maker(TOY)
    assert isinstance(maker, PredictMaker)
    assert (maker.n_shakes, maker.relax_maker.fmax_eV_per_A) == (2, 0.05)
