"""Single points by programs: VASP's stand-in, and CP2K for real."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import TOY, rock_salt, surroundings
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Lattice, Structure
from test_jobs_cp2k import PROGRAM, cp2k
from test_jobs_engines import fake_vasp

from superionic.errors import PotentialNotFoundError
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.registry import load_potential
from superionic.schemas.screen import PointDocument
from superionic.workflows.jobs.landscape import LandscapeMaker
from superionic.workflows.jobs.points import AsePointMaker, Point, VaspPointMaker
from superionic.workflows.jobs.refine import RefineLandscapeMaker
from superionic.workflows.makers.refine import RefineMaker

__all__ = ["cp2k", "fake_vasp", "surroundings"]

FEW = LearnedSettings(max_energies=8, batch_size=4, n_draws=16)
ABOUT = {"material_id": "salt", "formula": "LiCl", "mobile_species": "Li"}
CP2K_INPUT = """
&FORCE_EVAL
  &DFT
    CHARGE 0
    &QS
      EPS_DEFAULT 1e-8
    &END QS
    &MGRID
      REL_CUTOFF 30
    &END MGRID
    &SCF
      SCF_GUESS ATOMIC
      EPS_SCF 1e-5
      &OT
        MINIMIZER DIIS
        PRECONDITIONER FULL_KINETIC
      &END OT
    &END SCF
  &END DFT
&END FORCE_EVAL
"""
CP2K = {
    "command": PROGRAM,
    "xc": "PBE",
    "basis_set": "SZV-MOLOPT-SR-GTH",
    "pseudo_potential": "GTH-PBE",
    "cutoff": 1600.0,  # eV
    "max_scf": 30,
    "stress_tensor": False,
    "inp": CP2K_INPUT,
}


@pytest.fixture
def store():
    found = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    found.connect()
    return found


def refined(structure, engine, store, work, step_A):
    """Compute a landscape with the toy potential, and refine it point by point."""
    settings = LandscapeSettings(grid_step_A=step_A)
    first = LandscapeMaker(settings=settings).make(structure, TOY, "Li", "salt")
    run_locally(first, store=store, log=False, raise_immediately=True)
    maker = RefineMaker(
        potential=TOY, refine_maker=RefineLandscapeMaker(settings=FEW, engine=engine)
    )
    flow = maker.make(first.output, "salt")
    work.mkdir()
    responses = run_locally(
        flow,
        store=store,
        log=False,
        raise_immediately=True,
        create_folders=True,
        root_dir=work,
        allow_external_references=True,
    )
    points = [row["output"] for row in store.query({"output.kind": "point"})]
    return responses[flow.output.uuid][1].output, points


def test_a_failed_calculation_of_vasp_is_a_point_less(surroundings, fake_vasp, store, monkeypatch):
    monkeypatch.setenv("FAKE_VASP_FAIL", "3")
    crystal = rock_salt("Cl", 5.1).get_primitive_structure()
    engine = VaspPointMaker(potcar_spec=True, custodian=None)
    document, points = refined(crystal, engine, store, surroundings / "work", 0.9)
    assert len(fake_vasp.read_text().splitlines()) == len(points) == document.n_evaluations
    assert document.potential.name.startswith("PE-")
    assert document.potential.family == "vasp"
    (failed,) = [point for point in points if point["energy_eV"] is None]
    assert failed["failure"]
    assert "points_left_out" in [warning.code for warning in document.warnings]
    good = [point for point in points if point["energy_eV"] is not None]
    assert {point["program"] for point in good} == {"VASP 6.0.fake"}
    assert len({point["inputs_sha256"] for point in good}) == len(good)
    # The stand-in is the toy potential, but for a constant.
    atoms = load_potential(TOY)
    moved = [Point.of(p["point"], p["ion"], p["position_A"]).moved(crystal) for p in good]
    expected = atoms.energies([one.to_ase_atoms() for one in moved])
    found = np.array([point["energy_eV"] for point in good])
    np.testing.assert_allclose(found - expected, np.mean(found - expected), atol=1e-5)


def test_a_point_has_one_key_for_one_calculation(surroundings):
    crystal = rock_salt("Cl", 5.1).get_primitive_structure()
    engine = AsePointMaker(potential=TOY)
    point = Point.of(3, 0, [0.5, 0.6, 0.7])
    job = engine.job_of(crystal, point, ABOUT)
    assert job.uuid == engine.job_of(crystal, replace(point, point=4), ABOUT).uuid
    others = {
        engine.job_of(crystal, Point.of(3, 0, [0.5, 0.6, 0.8]), ABOUT).uuid,
        replace(engine, magnetic_moments_uB={"Cl": 1.0}).job_of(crystal, point, ABOUT).uuid,
        AsePointMaker(potential=TOY + '?{"strength_eV":1.0}').job_of(crystal, point, ABOUT).uuid,
    }
    assert len(others | {job.uuid}) == 4
    output = run_locally(job, log=False, raise_immediately=True)[job.uuid][1].output
    assert isinstance(output, PointDocument)
    assert (output.point, output.ion, output.failure) == (3, 0, None)


def test_a_calculator_that_is_not_there_is_no_failed_point(surroundings):
    """It is a fault of the installation: the job fails, and nothing is stored as computed."""
    crystal = rock_salt("Cl", 5.1).get_primitive_structure()
    maker = AsePointMaker(potential="ase:no_such_module.Calculator")
    with pytest.raises(PotentialNotFoundError):
        AsePointMaker.make.original(maker, crystal, 0, 0, [0.0, 0.0, 0.0], ABOUT)


@pytest.mark.process
def test_lithium_hydride_is_refined_with_cp2k(surroundings, store, cp2k):
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.08), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).get_primitive_structure()
    engine = AsePointMaker(potential=f"ase:ase.calculators.cp2k.CP2K?{json.dumps(CP2K)}")
    document, points = refined(crystal, engine, store, surroundings / "work", 0.8)
    assert document.potential.name.startswith("ase.calculators.cp2k.CP2K")
    assert document.prior.potential.name == "toy_potential.Toy"
    assert 2 <= len(points) == document.n_evaluations <= 8
    energies = [point["energy_eV"] for point in points]
    assert all(-235 < energy < -200 for energy in energies)  # Li with three electrons, H with one
    # The ion's own site lies lowest, and leaving it costs more than an electronvolt.
    own = min(points, key=lambda point: point["energy_eV"])
    shift = np.array(own["position_A"]) - crystal[own["ion"]].coords
    assert np.linalg.norm(shift) < 1e-6
    assert max(energies) - min(energies) > 0.3
    assert document.barrier_3d_eV > 0.3
