"""Makers as atomate2's users know them: inputs, updates, names, engines, chains."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ase.calculators.calculator import Calculator
from atomate2.forcefields.jobs import ForceFieldRelaxMaker
from atomate2.forcefields.md import ForceFieldMDMaker
from campaign_fixtures import TOY, rock_salt
from fireworks import Workflow
from jobflow import Flow, JobStore, OutputReference, job, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore
from monty.json import MontyEncoder
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.ase import AseAtomsAdaptor
from tiny_network import write_network

from superionic.errors import InputError, SettingsError
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.registry import load_potential
from superionic.store.builders.documents import read_document
from superionic.structures.candidate import Candidate, structure_hash
from superionic.workflows.jobs.descriptors import DescriptorsMaker
from superionic.workflows.jobs.diffusion import DiffusionMDMaker
from superionic.workflows.jobs.engines.ase import AseEngine
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.prediction import ShakeMaker
from superionic.workflows.jobs.prepare import PrepareMaker
from superionic.workflows.jobs.validation import SupercellMaker
from superionic.workflows.makers.label import LabelMaker
from superionic.workflows.makers.predict import PredictMaker
from superionic.workflows.makers.screen import ScreenMaker
from superionic.workflows.makers.validate import ValidateMaker

COARSE = LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.9))
SHORT = DiffusionMDMaker(
    n_steps=20, n_equilibration_steps=4, checkpoint_interval=10, min_image_distance_A=5.0
)
ENGINE = AseEngine(equilibration_ps=0.02, frame_interval_fs=10.0, checkpoint_interval=10)
CELL = SupercellMaker(min_image_distance_A=5.0, production_ps=0.06)
SCREEN = ScreenMaker(potential=TOY, relax_maker=None, landscape_maker=COARSE)
LABEL = LabelMaker(potential=TOY, relax_maker=None, md_maker=SHORT)
VALIDATE = ValidateMaker(
    potential=TOY,
    temperatures_K=(600.0, 900.0),
    relax_maker=None,
    supercell_maker=CELL,
    engine=ENGINE,
)


def makers(folder: Path) -> dict:
    network = write_network(folder / "tiny.pt", load_potential(TOY).info)
    predict = PredictMaker(potential=TOY, network=str(network), relax_maker=None)
    return {"screen": SCREEN, "label": LABEL, "predict": predict, "validate": VALIDATE}


KINDS = ("screen", "label", "predict", "validate")


@pytest.fixture
def maker(request, tmp_path):
    return makers(tmp_path)[request.param]


@pytest.fixture
def crystal() -> Structure:
    return rock_salt("Cl", 5.1)


@pytest.fixture
def store() -> JobStore:
    opened = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    opened.connect()
    return opened


def run(flow, store, folder, **options):
    """Run a flow and return its document."""
    run_locally(flow, log=False, store=store, raise_immediately=True, root_dir=folder, **options)
    return read_document(store.get_output(flow.output.uuid, load=True))


@job
def hand_over(structure: Structure) -> Structure:
    """Stand for a relaxation: its output is a structure that is not there before it runs."""
    return structure


@pytest.mark.parametrize("maker", KINDS, indirect=True)
def test_a_reference_is_followed_and_the_key_is_that_of_the_structure(
    maker, crystal, store, tmp_path
):
    before = hand_over(crystal)
    flow = maker.make(before.output, "salt")
    assert isinstance(
        flow.jobs[0].function_args[0]
        if flow.jobs[0].function_args
        else flow.jobs[0].function_kwargs["structure"],
        OutputReference,
    )
    document = run(Flow([before, flow], output=flow.output), store, tmp_path)
    assert document.material_id == "salt"
    assert document.task_key == maker.key(Candidate("salt", crystal))
    # What a campaign would look for, whatever way the crystal came.
    again = run(maker.make(Candidate("salt", crystal)), store, tmp_path)
    assert again.task_key == document.task_key


def test_what_is_taken_as_a_crystal(crystal, tmp_path):
    named = rock_salt("Cl", 5.1)
    named.properties["material_id"] = "mp-1"
    file = tmp_path / "salt.cif"
    crystal.to(filename=str(file))
    atoms = AseAtomsAdaptor.get_atoms(crystal)
    entry = ComputedStructureEntry(crystal, -1.0, entry_id="mp-2")
    default = f"LiCl-{structure_hash(crystal)[:6]}"
    given = {
        "mp-1": named,
        "mp-2": entry,
        "salt": file,
        default: crystal,
        "given": Candidate("given", crystal, "x.cif", {"licence": "CC0"}),
    }
    for name, one in given.items():
        flow = SCREEN.make(one)
        assert flow.name == f"screen {name}"
        assert {job.metadata["material_id"] for job in flow.jobs} == {name}
    assert SCREEN.make(str(file)).name == "screen salt"
    assert SCREEN.make(atoms).name.startswith("screen LiCl-")
    assert SCREEN.make(named, "mine").name == "screen mine"
    kept = SCREEN.make(given["given"], "mine", provenance={"batch": 3}).jobs[0].function_kwargs
    assert (kept["source"], kept["provenance"]) == ("x.cif", {"licence": "CC0", "batch": 3})


@pytest.mark.parametrize("wrong", [7, {"a": 1}, None])
def test_what_is_no_crystal_is_refused_when_the_flow_is_made(wrong):
    with pytest.raises(InputError, match="no crystal"):
        SCREEN.make(wrong)


def test_a_calculator_s_results_are_no_part_of_the_crystal(crystal):
    atoms = AseAtomsAdaptor.get_atoms(crystal)
    bare = SCREEN.make(atoms).jobs[0].function_kwargs["structure"]
    atoms.calc = Calculator()
    assert SCREEN.make(atoms).jobs[0].function_kwargs["structure"] == bare


UPDATES = {
    "screen": ({"settings": LandscapeSettings(grid_step_A=1.1)}, LandscapeMaker),
    "label": ({"temperature": 700.0}, DiffusionMDMaker),
    "predict": ({"settings": {"n_shakes": 2, "amplitudes_A": [0.1]}}, ShakeMaker),
    "validate": ({"equilibration_ps": 0.04}, AseEngine),
}


@pytest.mark.parametrize("maker", KINDS, indirect=True)
def test_an_update_of_a_flow_is_in_its_key_and_in_its_document(maker, crystal, store, tmp_path):
    update, kind = UPDATES[maker.name]
    candidate = Candidate("salt", crystal)
    flow = maker.make(candidate)
    flow.update_maker_kwargs(update, class_filter=kind)
    changed = maker.bound().update_kwargs(update, class_filter=kind)
    assert changed.key(candidate) != maker.key(candidate)
    document = run(flow, store, tmp_path)
    assert document.task_key == changed.key(candidate)
    if maker.name == "screen":
        assert document.settings["landscape"]["grid_step_A"] == 1.1
    if maker.name == "label":
        assert document.temperature_K == 700.0
    if maker.name == "predict":
        assert document.n_shakes == 2
    if maker.name == "validate":
        assert document.settings["engine"]["equilibration_ps"] == 0.04
        assert document.equilibration_ps == pytest.approx(0.04)


def test_a_dictionary_of_settings_works_as_the_settings_do(crystal):
    learned = {"grid_step_A": 0.5, "learned": {"max_energies": 70}}
    expected = LandscapeSettings(grid_step_A=0.5, learned=LearnedSettings(max_energies=70))
    updated = SCREEN.update_kwargs({"settings": learned}, class_filter=LandscapeMaker)
    assert updated.landscape_maker.settings == expected
    flow = SCREEN.make(crystal)
    flow.update_maker_kwargs({"settings": learned}, class_filter=LandscapeMaker)
    landscape = next(job for job in flow.jobs if job.name == "landscape")
    assert landscape.maker.settings == expected
    flow.update_maker_kwargs(
        {"_set": {"settings->grid_step_A": 0.6}}, class_filter=LandscapeMaker, dict_mod=True
    )
    assert landscape.maker.settings == replace(expected, grid_step_A=0.6)
    # A queue leaves dictionaries of nested settings, too.
    again = ScreenMaker.from_dict(json.loads(json.dumps(updated.as_dict())))
    assert again == updated
    stop = {"early": False, "slope": {"max_blocks": 4}}
    assert (
        LABEL.update_kwargs({"stop": stop}, class_filter=DiffusionMDMaker).md_maker.stop.early
        is False
    )
    rules = {"threshold_S_per_cm": 0.1}
    assert replace(VALIDATE, rules=rules).rules.threshold_S_per_cm == 0.1


@pytest.mark.parametrize(
    ("update", "kind", "fault"),
    [
        ({"settings": {"step_A": 0.5}}, LandscapeMaker, "no setting 'settings.step_A'"),
        ({"settings": {"grid_step_A": "fine"}}, LandscapeMaker, "grid_step_A' cannot be 'fine'"),
        ({"settings": {"grid_step_A": -1.0}}, LandscapeMaker, "grid step of -1.0"),
        ({"settings": {"learned": {"x": 1}}}, LandscapeMaker, "settings.learned.x"),
        ({"settings": 7}, PrepareMaker, "'settings' cannot be 7"),
        ({"potential": "chgnet"}, ScreenMaker, "made already: potential"),
        ({"mobile_species": "Cl"}, ScreenMaker, "made already: mobile_species"),
    ],
)
def test_an_update_that_cannot_work_is_refused_when_it_is_applied(crystal, update, kind, fault):
    flow = SCREEN.make(crystal)
    with pytest.raises(SettingsError, match=fault):
        flow.update_maker_kwargs(update, class_filter=kind)


def test_jobs_that_were_told_the_potential_keep_it(crystal):
    label, validate = LABEL.make(crystal), VALIDATE.make(crystal)
    for flow, kind in ((label, DiffusionMDMaker), (validate, AseEngine)):
        with pytest.raises(SettingsError, match="made already"):
            flow.update_maker_kwargs({"mobile_species": "Cl"}, class_filter=kind)
    with pytest.raises(SettingsError, match="are to use chgnet"):
        label.update_maker_kwargs({"potential": "chgnet"}, class_filter=DiffusionMDMaker)
    with pytest.raises(SettingsError, match="runs no dynamics"):
        replace(VALIDATE, engine={"equilibration_ps": 1.0})


def test_names_are_appended_also_to_jobs_that_come_later(crystal, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # atomate2 leaves a file where it runs
    crystal.translate_sites([0], [0.12, 0.05, 0.02])
    flow = replace(SCREEN, relax_maker=ScreenMaker().relax_maker).make(crystal, "salt")
    flow.append_name(" at 300 K")
    assert flow.name == "screen salt at 300 K"
    assert all(job.name.endswith(" at 300 K") for job in flow.jobs)
    run_locally(flow, log=False, store=store, raise_immediately=True, root_dir=tmp_path)
    names = {row["name"] for row in store.query({}, properties=["name"])}
    assert len(names) > 4
    assert all(" at 300 K" in name for name in names)


def test_a_flow_becomes_a_workflow_of_fireworks(crystal):
    before = hand_over(crystal)
    flow = SCREEN.make(before.output, "salt")
    workflow = flow_to_workflow(
        Flow([before, flow]), JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    )
    again = Workflow.from_dict(json.loads(json.dumps(workflow.to_dict(), cls=MontyEncoder)))
    names = ["hand_over", "prepare", "landscape", "descriptors"]
    assert [fw.name for fw in again.fws] == names
    links = {parent.name: len(again.links[parent.fw_id]) for parent in again.fws}
    assert links == {"hand_over": 1, "prepare": 2, "landscape": 1, "descriptors": 0}
    prepare = again.fws[1].tasks[0]["job"]
    assert prepare.maker.flow == SCREEN.bound()


def test_a_landscape_of_a_bare_structure(crystal, store, tmp_path):
    before = hand_over(crystal)
    landscape = COARSE.make(before.output, TOY, "Li")
    descriptors = DescriptorsMaker().make(landscape.output)
    flow = Flow([before, landscape, descriptors], output=descriptors.output)
    document = run(flow, store, tmp_path)
    # The cell that it came in, not the primitive one.
    assert (document.n_atoms, document.formula, document.mobile_species) == (8, "LiCl", "Li")
    assert document.mpe_eV > 0
    other = run(
        Flow(
            [x := COARSE.make(crystal, TOY, "Cl"), y := DescriptorsMaker().make(x.output)],
            output=y.output,
        ),
        store,
        tmp_path,
    )
    assert other.mobile_species == "Cl"
    assert other.task_key != document.task_key


@pytest.mark.real_potential
def test_atomate2_relaxes_first_and_runs_after(store, tmp_path, monkeypatch):
    """CHGNet: atomate2's relaxation, our landscape and label of what it found, atomate2's MD."""
    monkeypatch.chdir(tmp_path)
    crystal = rock_salt("Cl", 5.2).get_primitive_structure()
    relax = ForceFieldRelaxMaker(force_field_name="CHGNet", steps=3, relax_kwargs={"fmax": 0.5})
    first = relax.make(crystal)
    screen = replace(SCREEN, potential="chgnet").make(first.output.structure, "relaxed")
    whole = replace(SCREEN, potential="chgnet", name="whole").make(first.output, "document")
    prepared = screen.jobs[0].output.structure
    md = ForceFieldMDMaker(force_field_name="CHGNet", n_steps=2, temperature=300).make(prepared)
    own = replace(SHORT, n_steps=4, potential="chgnet").make(md.output.structure)
    run_locally(
        Flow([first, screen, whole, md, own]), log=False, store=store, raise_immediately=True
    )
    relaxed = Structure.from_dict(store.get_output(first.uuid)["structure"])
    found = read_document(store.get_output(screen.output.uuid, load=True))
    assert found.volume_A3 == pytest.approx(relaxed.volume, rel=1e-6)
    assert found.task_key == replace(SCREEN, potential="chgnet").key(Candidate("relaxed", relaxed))
    same = read_document(store.get_output(whole.output.uuid, load=True))
    assert (same.mpe_eV, same.material_id) == (found.mpe_eV, "document")
    label = read_document(store.get_output(own.uuid))
    assert label.n_steps_done == 4 + SHORT.n_equilibration_steps
    assert label.potential.family == "chgnet"
