"""The refining flow: a second potential from few energies, in one job or point by point."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_fixtures import TOY, rock_salt
from jobflow import JobStore, run_locally
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore

from superionic.cluster.identity import described, potentials_of
from superionic.cluster.task import workflow_of
from superionic.errors import InputError, LandscapeError, PotentialError, SettingsError
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.registry import identify_potential
from superionic.schemas.screen import LandscapeDocument
from superionic.structures.candidate import Candidate
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.points import AsePointMaker, VaspPointMaker
from superionic.workflows.jobs.refine import RefineLandscapeMaker, starting_point
from superionic.workflows.makers.refine import RefineMaker, ScreenedCandidate, require_other
from superionic.workflows.makers.screen import ScreenMaker

SHAKY = "ase:shaky_potential.Shaky"
FEW = LearnedSettings(max_energies=30, batch_size=4, n_draws=16)
SCREEN = ScreenMaker(
    potential=TOY,
    relax_maker=None,
    landscape_maker=LandscapeMaker(settings=LandscapeSettings(grid_step_A=0.8)),
)
BARRIERS = ("mpe_eV", "barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV")


@pytest.fixture
def store(surroundings, monkeypatch):
    monkeypatch.setenv("SUPERIONIC_CALCULATORS", "toy_potential,shaky_potential")
    found = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    found.connect()
    return found


def run(flow, store):
    """Return the output of the last job of a flow."""
    responses = run_locally(
        flow, store=store, log=False, raise_immediately=True, allow_external_references=True
    )
    indices = responses[flow.jobs[-1].uuid]
    return indices[max(indices)].output


def screened(store, maker=SCREEN, a_A=5.1):
    """Screen a salt; return it with its landscape, and its descriptors."""
    crystal = rock_salt("Cl", a_A).get_primitive_structure()
    flow = maker.make(Candidate("salt", crystal, "salt.cif", {"licence": "CC BY 4.0"}))
    document = run(flow, store)
    return document, ScreenedCandidate(
        "salt",
        crystal,
        landscape_uuid=document.landscape_uuid,
        task_key=document.task_key,
        weights_sha256=document.potential.weights_sha256,
        prepared_uuid=flow.jobs[0].uuid,
    )


def refiner(settings="", engine=None):
    refine = RefineLandscapeMaker(settings=FEW, engine=engine)
    return RefineMaker(potential=SHAKY + settings, prior=TOY, refine_maker=refine)


def exact(store, settings=""):
    return screened(store, replace(SCREEN, potential=SHAKY + settings))[0]


def assert_told(document, other):
    """Intervals hold the numbers of every point, and what is known is known closely."""
    for name in BARRIERS:
        bounds, value = getattr(document.intervals, name), getattr(other, name)
        if value is not None and value < 2:
            assert bounds.low - 1e-6 <= value <= bounds.high + 1e-6
            assert getattr(document, name) == pytest.approx(value, abs=0.03)


def test_the_difference_is_learned_from_few_energies(store):
    before, candidate = screened(store)
    maker = refiner()
    document = run(maker.make(candidate), store)
    assert document.task_key == maker.key(candidate) != before.task_key
    assert document.potential.name == "shaky_potential.Shaky"
    assert document.prior.potential.name == "toy_potential.Toy"
    assert (document.prior.task_key, document.prior.used) == (before.task_key, True)
    assert document.n_evaluations <= 30
    assert document.ending in ("settled", "exhausted")
    assert (document.source, document.material_id) == ("salt.cif", "salt")
    assert_told(document, exact(store))


def test_points_that_are_jobs_give_what_one_job_gives(store, tmp_path, monkeypatch):
    _, candidate = screened(store)
    together = run(refiner().make(candidate), store)
    log = tmp_path / "log"
    monkeypatch.setenv("SHAKY_LOG", str(log))
    maker = refiner(engine=AsePointMaker())
    document = run(maker.make(candidate), store)
    for name in (*BARRIERS, "xi"):
        assert getattr(document, name) == pytest.approx(getattr(together, name), abs=1e-6)
    points = [row["output"] for row in store.query({"output.kind": "point"})]
    assert len(points) == document.n_evaluations == len(log.read_text().splitlines())
    assert len({point["inputs_sha256"] for point in points}) == len(points)
    assert all(point["program"] and point["energy_eV"] is not None for point in points)
    # The same work again finds all points.
    run(maker.make(candidate), store)
    assert len(log.read_text().splitlines()) == len(points)


@pytest.mark.parametrize("engine", [None, AsePointMaker()], ids=["one job", "points"])
def test_points_without_an_energy_are_left_out_and_counted(store, engine):
    _, candidate = screened(store)
    maker = refiner('?{"nan_share":0.15,"raise_share":0.15}', engine)
    document = run(maker.make(candidate), store)
    assert "points_left_out" in [warning.code for warning in document.warnings]
    assert_told(document, exact(store))


def test_a_potential_that_gives_nothing_is_refused_in_words(store):
    _, candidate = screened(store)
    maker = refiner('?{"raise_share":1.0}', AsePointMaker())
    with pytest.raises(PotentialError, match="did not converge"):
        run(maker.make(candidate), store)


def test_a_noisy_potential_is_learned_within_its_noise(store):
    _, candidate = screened(store)
    document = run(refiner('?{"noise_eV":0.005}', AsePointMaker()).make(candidate), store)
    other = exact(store)
    for name in BARRIERS:
        if getattr(other, name) < 2:
            assert getattr(document, name) == pytest.approx(getattr(other, name), abs=0.05)


def test_keys_hold_the_landscape_and_the_settings_and_no_more(store):
    _, candidate = screened(store)
    maker = refiner()
    keys = {
        maker.key(candidate),
        maker.key(replace(candidate, weights_sha256="other")),
        maker.key(replace(candidate, task_key="other")),
        replace(maker, potential=SHAKY + '?{"noise_eV":0.1}').key(candidate),
        maker.with_options(max_energies=40).key(candidate),
        maker.with_options(engine="vasp").key(candidate),
        maker.with_options(engine="ase").key(candidate),
    }
    assert len(keys) == 7
    assert replace(maker, prior="chgnet").key(candidate) == maker.key(candidate)
    assert maker.with_options().key(candidate) == maker.key(candidate)
    assert type(maker).from_dict(json.loads(json.dumps(maker.as_dict()))) == maker


def test_what_cannot_be_refined_is_refused(store):
    with pytest.raises(InputError, match="no landscape"):
        refiner().key(Candidate("salt", rock_salt("Cl", 5.1)))
    with pytest.raises(SettingsError, match="itself"):
        require_other(replace(refiner(), potential=TOY), identify_potential(TOY))
    with pytest.raises(SettingsError, match="engine"):
        refiner().with_options(engine="abinit")
    flooded = LandscapeDocument.model_construct(material_id="s", settings={"flood_to_eV": 1.0})
    with pytest.raises(LandscapeError, match="flood_to_eV"):
        starting_point(flooded, LearnedSettings())
    _, candidate = screened(store)
    with pytest.raises(LandscapeError, match="cannot be read"):
        run(refiner().make(replace(candidate, landscape_uuid="gone")), store)


def test_vasp_has_one_set_of_settings_for_all_points(tmp_path):
    from atomate2.vasp.files import write_vasp_input_set
    from pymatgen.io.vasp import Incar, Kpoints, Poscar

    crystal = rock_salt("Cl", 5.1).get_primitive_structure()
    engine = VaspPointMaker(magnetic_moments_uB={"Cl": 1.0}, potcar_spec=True)
    maker = engine.static_maker(crystal)
    maker.write_input_set_kwargs["directory"] = tmp_path
    write_vasp_input_set(crystal, maker.input_set_generator, **maker.write_input_set_kwargs)
    incar = Incar.from_file(tmp_path / "INCAR")
    assert (incar["ENCUT"], incar["ISMEAR"], incar["SIGMA"]) == (520, 0, 0.05)
    assert (incar["NSW"], incar["ISPIN"], incar["ISYM"], incar["LREAL"]) == (0, 2, 0, False)
    assert "NELECT" not in incar
    symbols = Poscar.from_file(tmp_path / "POSCAR").site_symbols
    assert list(incar["MAGMOM"]) == [1.0 if symbol == "Cl" else 0.0 for symbol in symbols]
    assert Path(tmp_path / "KPOINTS").exists()
    assert min(Kpoints.from_file(tmp_path / "KPOINTS").kpts[0]) > 1
    with pytest.raises(SettingsError, match="NELECT"):
        VaspPointMaker(incar={"nelect": 7})


def test_rounds_can_be_queued_and_their_workers_know_the_calculator(store):
    _, candidate = screened(store)
    maker = refiner('?{"noise_eV":0.001}', AsePointMaker())
    flow = maker.make(candidate)
    assert [firework.name for firework in workflow_of(flow).fws] == [
        "refine landscape",
        "descriptors",
    ]
    response = flow.jobs[0].run(store)
    queued = flow_to_workflow(response.replace)  # as FireWorks' task does with what a job gives
    names = [firework.name for firework in queued.fws]
    assert names.count("single point") >= 2
    assert names.count("refine landscape") == 1
    assert len(json.dumps(queued.to_dict(), default=str)) < 500_000  # no landscape is in it
    (spec,) = potentials_of(maker.bound())
    point = next(job for job in response.replace.jobs if job.name == "single point")
    asked = described(point, maker.bound(), potentials_of(maker.bound()))["potentials"]
    assert [one["spec"] for one in asked] == [spec]
