"""The screening flow: its structure, its key, and its documents in real stores."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from campaign_fixtures import TOY, rock_salt
from jobflow import Maker, run_locally
from pymatgen.core import Structure

from superionic import __version__
from superionic.errors import PotentialNotFoundError, SettingsError
from superionic.landscape.descriptors import DescriptorSettings, compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
from superionic.potentials.registry import load_potential
from superionic.schemas.common import SCHEMA_VERSION
from superionic.schemas.screen import (
    DescriptorsDocument,
    LandscapeDocument,
    PreparedDocument,
    RelaxedDocument,
)
from superionic.store.builders.screening import ScreeningBuilder, rows_of_tasks, run_builder
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import PrepareSettings
from superionic.workflows.jobs.descriptors import DescriptorsMaker
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.relax import RelaxIfNeededMaker
from superionic.workflows.makers.screen import ScreenMaker

STEP = LandscapeSettings(grid_step_A=0.7)
MAKER = ScreenMaker(potential=TOY, landscape_maker=LandscapeMaker(settings=STEP))


@pytest.fixture
def candidate() -> Candidate:
    provenance = {"licence": "CC BY 4.0"}
    return Candidate("salt", rock_salt("Cl", 5.1), "salt.cif", provenance)


def test_the_flow_has_the_jobs_in_order(candidate):
    flow = MAKER.make(candidate)
    assert [job.name for job in flow.jobs] == [
        "prepare",
        "relax if needed",
        "landscape",
        "descriptors",
    ]
    assert flow.output.uuid == flow.jobs[-1].uuid
    assert "salt" in flow.name
    assert all(job.metadata["material_id"] == "salt" for job in flow.jobs)
    without = replace(MAKER, relax_maker=None).make(candidate)
    assert [job.name for job in without.jobs] == ["prepare", "landscape", "descriptors"]


def test_flows_and_makers_survive_serialisation(candidate):
    text = json.dumps(MAKER.as_dict())
    again = ScreenMaker.from_dict(json.loads(text))
    assert json.dumps(again.as_dict()) == text
    assert again.key(candidate) == MAKER.key(candidate)
    flow = MAKER.make(candidate)
    assert type(flow).from_dict(json.loads(flow.to_json())).job_uuids == flow.job_uuids


def test_making_a_flow_changes_no_maker(candidate):
    maker, before = deepcopy(MAKER), deepcopy(MAKER)
    maker.make(candidate)
    maker.key(candidate)
    assert maker == before


def test_update_kwargs_reaches_nested_makers(candidate):
    coarse = LandscapeSettings(grid_step_A=0.9)
    updated = MAKER.update_kwargs({"settings": coarse}, class_filter=LandscapeMaker)
    assert updated.landscape_maker.settings == coarse
    assert updated.prepare_maker == MAKER.prepare_maker
    assert MAKER.landscape_maker.settings == STEP
    flow = MAKER.make(candidate)
    flow.update_maker_kwargs({"settings": coarse}, class_filter=LandscapeMaker)
    landscape = next(job for job in flow.jobs if job.name == "landscape")
    assert landscape.maker.settings == coarse


def other_values(value):
    """Return a value of the same kind that is different."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value * 1.1
    if isinstance(value, tuple):
        return value[1:] if len(value) > 1 else (*value, *value)
    return 7.0 if value is None else value + "x"


def variations():
    """Yield for each setting of each nested maker a name and a maker that differs in it alone."""
    base = replace(MAKER, relax_maker=RelaxIfNeededMaker())
    yield "mobile_species", replace(base, mobile_species="Na")
    yield "potential", replace(base, potential=f'{TOY}?{{"strength_eV":200.0}}')
    yield "no relaxation", replace(base, relax_maker=None)
    for name in ("max_force_eV_per_A", "relax_cell", "fmax_eV_per_A", "steps"):
        value = other_values(getattr(base.relax_maker, name))
        yield name, replace(base, relax_maker=replace(base.relax_maker, **{name: value}))
    for part in ("prepare_maker", "landscape_maker", "descriptors_maker"):
        maker = getattr(base, part)
        for name, value in vars(maker.settings).items():
            try:
                settings = replace(maker.settings, **{name: other_values(value)})
            except Exception:  # not every value is allowed; these have one other only
                continue
            yield f"{part}.{name}", replace(base, **{part: replace(maker, settings=settings)})


VARIATIONS = dict(variations())


def test_almost_every_setting_is_varied():
    n_settings = sum(len(vars(s())) for s in (PrepareSettings, LandscapeSettings))
    assert len(VARIATIONS) >= n_settings + 7


@pytest.mark.parametrize("name", VARIATIONS)
def test_the_key_changes_with_each_setting(name, candidate):
    assert VARIATIONS[name].key(candidate) != MAKER.key(candidate)


class OtherPrepareMaker(PrepareMaker):
    """A Maker with the same settings that does something else."""


def test_the_key_knows_the_crystal_and_the_kind_of_maker(candidate):
    key = MAKER.key(candidate)
    assert replace(MAKER, prepare_maker=OtherPrepareMaker()).key(candidate) != key
    assert MAKER.key(replace(candidate, material_id="other")) != key
    assert MAKER.key(replace(candidate, structure=rock_salt("Cl", 5.11))) != key
    assert MAKER.key(replace(candidate, structure=rock_salt("Br", 5.1))) != key


def test_the_key_does_not_know_names_or_where_the_crystal_came_from(candidate):
    key = MAKER.key(candidate)
    renamed = MAKER.update_kwargs({"name": "another name"})
    assert renamed.landscape_maker.name == renamed.name == "another name"
    assert renamed.key(candidate) == key
    assert MAKER.key(replace(candidate, source="elsewhere", provenance={})) == key


def test_the_key_knows_a_potential_by_its_canonical_name(candidate):
    names = ["chgnet", "chgnet:0.3.0"]
    assert len({replace(MAKER, potential=name).key(candidate) for name in names}) == 1
    settings = ['{"strength_eV":200.0,"nan":"I"}', '{ "nan": "I", "strength_eV": 200.0 }']
    names = [f"{TOY}?{text}" for text in settings]
    assert len({replace(MAKER, potential=name).key(candidate) for name in names}) == 1
    with pytest.raises(PotentialNotFoundError):
        replace(MAKER, potential="chargenet").key(candidate)


def run_flow(maker: Maker, candidate: Candidate, database, tmp_path) -> dict[str, dict]:
    """Run a flow on real stores and return the stored outputs by kind."""
    run_locally(
        maker.make(candidate),
        log=False,
        store=database.job_store,
        root_dir=tmp_path,
        raise_immediately=True,
    )
    rows = database.job_store.query({"output.kind": {"$exists": True}}, load=True)
    return {row["output"]["kind"]: row["output"] | {"uuid": row["uuid"]} for row in rows}


MODELS = {
    "prepared": PreparedDocument,
    "relaxed": RelaxedDocument,
    "landscape": LandscapeDocument,
    "descriptors": DescriptorsDocument,
}


@pytest.mark.process
def test_the_flow_through_real_stores(candidate, database, tmp_path):
    start = datetime.now(UTC)
    outputs = run_flow(MAKER, candidate, database, tmp_path)
    assert set(outputs) == set(MODELS)
    documents = {}
    for kind, output in outputs.items():
        uuid = output.pop("uuid")
        documents[kind] = document = MODELS[kind].model_validate(strip_monty(output))
        assert document.job_uuid == uuid
        assert document.material_id == "salt"
        assert document.formula == "LiCl"
        assert document.task_key == MAKER.key(candidate)
        assert document.schema_version == SCHEMA_VERSION
        assert document.superionic_version == __version__
        assert document.wall_time_s > 0
        assert timedelta(seconds=-1) < document.last_updated - start < timedelta(minutes=5)
        if kind != "prepared":
            assert document.potential.label == TOY
            info = load_potential(TOY).info
            assert document.potential.weights_sha256 == info.weights_sha256
            assert document.potential.package_version == info.package_version
            assert document.n_evaluations > 0

    settings = documents["descriptors"].settings
    assert settings["landscape"]["grid_step_A"] == 0.7
    assert settings["landscape"]["seed"] == 0
    assert settings["prepared"]["ordering_seed"] == 0
    assert settings["relaxed"]["max_force_eV_per_A"] == 0.5
    assert set(settings["descriptors"]) == set(vars(DescriptorSettings()))
    assert documents["prepared"].provenance == {"licence": "CC BY 4.0"}
    assert documents["descriptors"].source == "salt.cif"
    assert documents["descriptors"].landscape_uuid == documents["landscape"].job_uuid
    assert documents["descriptors"].n_evaluations == sum(
        documents[kind].n_evaluations for kind in ("relaxed", "landscape")
    )

    # The same numbers as without any database.
    prepared = documents["prepared"].structure
    assert len(prepared) == 2
    direct = compute_landscape(prepared, "Li", load_potential(TOY), STEP)
    stored = documents["landscape"].landscape()
    for (site, there), (other, here) in zip(stored.maps(), direct.maps(), strict=True):
        assert site == other
        np.testing.assert_allclose(there, here, atol=1e-6)
    numbers = compute_descriptors((m for _, m in direct.maps()), direct.grid.lattice)
    assert documents["descriptors"].mpe_eV == pytest.approx(numbers.mpe_eV, abs=1e-6)
    assert documents["descriptors"].xi == pytest.approx(numbers.xi, abs=1e-6)


@pytest.mark.process
def test_grids_are_in_the_data_store_only(candidate, database, tmp_path):
    fine = replace(
        MAKER,
        landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.15)),
    )
    outputs = run_flow(fine, candidate, database, tmp_path)
    shape = outputs["landscape"]["grid_shape"]
    assert np.prod(shape) > 5000
    docs = list(database.job_store.docs_store.query({}))
    assert len(docs) == 4
    for doc in docs:
        assert len(json.dumps(doc, default=str)) < 20_000
    (landscape,) = [doc for doc in docs if doc["output"]["kind"] == "landscape"]
    reference = landscape["output"]["arrays"]
    assert reference["store"] == "data"
    assert "energies_eV" not in reference
    assert len(list(database.job_store.additional_stores["data"].query({}))) == 1


@pytest.mark.process
def test_runs_reach_the_screening_collection(candidate, database, tmp_path):
    run_flow(MAKER, candidate, database, tmp_path)
    outputs = database.job_store.docs_store
    run_builder(ScreeningBuilder(outputs, database.screening))
    (row,) = database.screening.query({})
    assert (row["rank"], row["n_runs"], row["material_id"]) == (1, 1, "salt")
    run_flow(MAKER, candidate, database, tmp_path)
    run_builder(ScreeningBuilder(outputs, database.screening))
    (row,) = database.screening.query({})
    assert row["n_runs"] == 2
    weights = load_potential(TOY).info.weights_sha256
    (found,) = rows_of_tasks(outputs, [MAKER.key(candidate)], weights)
    assert found.xi == row["xi"]
    assert rows_of_tasks(outputs, [MAKER.key(candidate)], "other weights") == []


@pytest.mark.process
def test_a_row_with_a_carrier_stands_beside_that_of_the_crystal(candidate, database, tmp_path):
    carrier = replace(MAKER, relax_maker=None).with_options(carrier="vacancy")
    assert carrier.prepare_maker.settings.supercell_min_width_A == 8.0
    wider = MAKER.with_options(carrier="vacancy", min_width_A=5.0)
    assert wider.prepare_maker.settings.supercell_min_width_A == 5.0
    for maker in (MAKER, carrier):
        run_flow(maker, candidate, database, tmp_path)
    run_builder(ScreeningBuilder(database.job_store.docs_store, database.screening))
    rows = {row["settings_label"]: row for row in database.screening.query({})}
    (label,) = (name for name in rows if "vacancy made" in name)
    assert len(rows) == 2
    assert {row["rank"] for row in rows.values()} == {1}
    assert "carrier" in [one["code"] for one in rows[label]["warnings"]]
    # In the primitive cell, without one, all images move along.
    assert len({row["barrier_1d_eV"] for row in rows.values()}) == 2


def strip_monty(value):
    if isinstance(value, dict) and value.get("@class") not in ("Structure", "datetime"):
        return {k: strip_monty(v) for k, v in value.items() if not k.startswith("@")}
    if isinstance(value, list):
        return [strip_monty(entry) for entry in value]
    return value


@pytest.mark.process
@pytest.mark.real_potential
def test_a_strained_crystal_is_relaxed_and_that_is_recorded(database, tmp_path):
    strained = rock_salt("Cl", 5.13)
    strained = strained.get_primitive_structure()
    strained.translate_sites([0], [0.5, 0.4, 0.0], frac_coords=False)
    maker = ScreenMaker(
        landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.8)),
        relax_maker=RelaxIfNeededMaker(steps=60, fmax_eV_per_A=0.05),
        descriptors_maker=DescriptorsMaker(),
    )
    outputs = run_flow(maker, Candidate("strained", strained), database, tmp_path)
    relaxed = outputs["relaxed"]
    assert relaxed["relaxed"]
    assert relaxed["max_force_before_eV_per_A"] > 0.5
    assert relaxed["max_force_after_eV_per_A"] <= 0.05
    assert relaxed["n_steps"] > 0
    assert not relaxed["relax_cell"]
    assert [warning["code"] for warning in relaxed["warnings"]] == ["relaxed"]
    before = Structure.from_dict(outputs["prepared"]["structure"])
    after = Structure.from_dict(relaxed["structure"])
    np.testing.assert_allclose(after.lattice.matrix, before.lattice.matrix, atol=1e-6)
    moved = after.get_distance(0, 1) - before.get_distance(0, 1)
    assert relaxed["max_displacement_A"] > 0.05
    assert abs(moved) > 0.05
    assert outputs["descriptors"]["relaxed"]
    assert "relaxed" in [warning["code"] for warning in outputs["descriptors"]["warnings"]]
    assert relaxed["n_evaluations"] > relaxed["n_steps"]


@pytest.mark.process
@pytest.mark.real_potential
def test_a_crystal_near_equilibrium_is_left_alone(database, tmp_path):
    crystal = rock_salt("Cl", 5.13).get_primitive_structure()
    crystal.translate_sites([0], [0.02, 0, 0], frac_coords=False)
    maker = ScreenMaker(landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.8)))
    outputs = run_flow(maker, Candidate("near", crystal), database, tmp_path)
    relaxed = outputs["relaxed"]
    assert not relaxed["relaxed"]
    assert 0 < relaxed["max_force_before_eV_per_A"] < 0.5
    assert relaxed["max_force_after_eV_per_A"] == relaxed["max_force_before_eV_per_A"]
    assert (relaxed["n_steps"], relaxed["max_displacement_A"]) == (0, 0)
    assert not outputs["descriptors"]["relaxed"]
    assert "relaxed" not in [warning["code"] for warning in outputs["descriptors"]["warnings"]]


@pytest.mark.process
@pytest.mark.real_potential
def test_a_noisy_crystal_is_given_its_symmetry_when_it_is_at_rest(database, tmp_path):
    crystal = rock_salt("Cl", 5.1)
    maker = ScreenMaker(landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.8)))
    noise_A = np.random.default_rng(0).normal(0, 0.03, (8, 3))
    noisy = Structure(
        crystal.lattice, crystal.species, crystal.cart_coords + noise_A, coords_are_cartesian=True
    )
    outputs = run_flow(maker, Candidate("noisy", noisy), database, tmp_path)
    assert outputs["prepared"]["noisy"]
    assert len(Structure.from_dict(outputs["prepared"]["structure"])) == 8
    relaxed = outputs["relaxed"]
    assert relaxed["symmetry_tolerance_A"] <= 0.2
    assert 0 < relaxed["symmetrised_by_A"] <= relaxed["symmetry_tolerance_A"]
    assert relaxed["max_force_after_eV_per_A"] <= 0.04
    codes = [warning["code"] for warning in outputs["descriptors"]["warnings"]]
    assert codes[:2] == ["relaxed", "symmetrised"]
    assert "Fm-3m (225) within" in relaxed["warnings"][1]["text"]
    # The landscape is that of the perfect crystal, in its primitive cell.
    perfect = run_flow(maker, Candidate("perfect", crystal), database, tmp_path)
    assert not perfect["relaxed"]["relaxed"]
    found, wanted = outputs["descriptors"], perfect["descriptors"]
    assert (found["n_atoms"], found["n_evaluations"] - relaxed["n_evaluations"]) == (
        2,
        wanted["n_evaluations"] - perfect["relaxed"]["n_evaluations"],
    )
    assert found["mpe_eV"] == pytest.approx(wanted["mpe_eV"], abs=0.01)
    assert found["xi"] == pytest.approx(wanted["xi"], abs=0.01)


def test_only_noisy_crystals_have_the_tolerance_in_their_key(candidate):
    relax = MAKER.relax_maker
    assert relax is not None
    without = replace(MAKER, relax_maker=replace(relax, symmetry_tolerance_A=None))
    assert MAKER.key(candidate) == without.key(candidate)
    noisy = replace(candidate, structure=candidate.structure.copy().perturb(0.05))
    assert MAKER.key(noisy) != without.key(noisy)
    never, never_without = (
        replace(one, relax_maker=replace(one.relax_maker, max_force_eV_per_A=None))
        for one in (MAKER, without)
    )
    assert never.key(noisy) == never_without.key(noisy)


def test_modes_of_earlier_versions_are_refused_before_a_campaign_begins():
    former = LandscapeSettings(adaptive=AdaptiveSettings())
    maker = ScreenMaker(landscape_maker=LandscapeMaker(settings=former))
    with pytest.raises(SettingsError, match="adaptive"):
        maker.with_options(relax="never")
