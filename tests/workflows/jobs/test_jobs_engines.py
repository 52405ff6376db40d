"""Both engines give the same kind of trajectory, and go on where they were killed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import TOY, rock_salt, surroundings

from superionic.dynamics.stopping import StopRules
from superionic.errors import DiffusionError, NoMobileIonError, SettingsError
from superionic.potentials.registry import load_potential
from superionic.schemas.validation import TrajectoryDocument
from superionic.workflows.jobs.engines.ase import AseEngine
from superionic.workflows.jobs.engines.segments import (
    Segment,
    join_segments,
    keep_segment,
    read_segments,
    segment_of_vasprun,
)
from superionic.workflows.jobs.engines.vasp import VaspEngine

__all__ = ["surroundings"]

# Velocities in pymatgen's structures make emmet's documents warn line by line.
pytestmark = pytest.mark.filterwarnings("ignore")

HERE = Path(__file__).parent
ASE = AseEngine(potential=TOY, equilibration_ps=0.02, frame_interval_fs=6.0, checkpoint_interval=7)
VASP = VaspEngine(
    equilibration_ps=0.004,
    frame_interval_fs=2.0,
    segment_steps=8,
    potcar_spec=True,
    custodian=None,
)
# 16 steps of equilibration and production: two segments of 8 steps.
ARGUMENTS = (600.0, 12, 1.0, 3)


def salt() -> Structure:
    return rock_salt("Cl", 5.1)


def run(engine, folder: Path, structure: Structure | None = None, arguments=ARGUMENTS):
    folder.mkdir(exist_ok=True)
    job = engine.make(structure or salt(), *arguments)
    outputs = run_locally(
        job, log=False, raise_immediately=True, create_folders=True, root_dir=folder
    )
    documents = [r.output for runs in outputs.values() for r in runs.values()]
    (document,) = [one for one in documents if isinstance(one, TrajectoryDocument)]
    return document


@pytest.fixture
def fake_vasp(tmp_path, monkeypatch) -> Path:
    """Put the stand-in on PATH, under both names; return its log of calls."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("vasp_std", "vasp_gam"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_vasp.py"}"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VASP_LOG", str(tmp_path / "calls"))
    return tmp_path / "calls"


def arrays(document: TrajectoryDocument):
    found = document.arrays
    return (
        found.steps.unpack(),
        found.positions_A.unpack(),
        found.energies_eV.unpack(),
        found.forces_eV_per_A.unpack(),
    )


def check_normal_form(document: TrajectoryDocument, stride: int) -> None:
    """Check what every engine owes."""
    steps, positions, energies, forces = arrays(document)
    n_frames = document.n_frames
    assert positions.shape == forces.shape == (n_frames, len(document.symbols), 3)
    assert energies.shape == steps.shape == (n_frames,)
    assert document.stride == stride
    assert np.all(np.diff(steps) == stride)
    assert document.has_first_frame == (steps[0] == 0)
    np.testing.assert_allclose(positions[0], document.start_positions_A, atol=1e-5)
    assert document.positions_wrapped is False
    assert np.abs(np.diff(positions, axis=0)).max() < 0.5
    assert document.timestep_fs == ARGUMENTS[2]
    assert document.temperature_K == ARGUMENTS[0]
    temperatures = document.arrays.temperatures_K
    assert temperatures is not None
    assert temperatures.unpack().shape == (n_frames,)
    assert document.production().shape[0] == np.sum(steps >= document.n_equilibration_steps)


def test_the_ase_engine_keeps_frames_with_their_forces(surroundings):
    document = run(ASE, surroundings / "work")
    check_normal_form(document, stride=6)
    assert document.engine == "ase"
    assert document.n_equilibration_steps == 18
    assert document.n_steps_done == 30
    atoms = AseAtomsAdaptor.get_atoms(salt())
    _, positions, energies, forces = arrays(document)
    configurations = []
    for frame in positions:
        configuration = atoms.copy()
        configuration.positions = frame
        configurations.append(configuration)
    found_energies, found_forces = load_potential(TOY).energies_and_forces(configurations)
    np.testing.assert_allclose(energies, found_energies, atol=1e-4)
    np.testing.assert_allclose(forces, np.array(found_forces), atol=1e-3)


def test_the_ase_engine_goes_on_with_a_damaged_run(surroundings):
    first = run(ASE, surroundings / "work")
    (folder,) = (surroundings / "data" / "md").iterdir()
    chunks = sorted(folder.glob("chunk_*.npz"))
    assert len(chunks) > 3
    chunks[2].write_bytes(b"broken")
    again = run(ASE, surroundings / "work")
    assert [warning.code for warning in again.warnings] == ["recovered", *["recovered"] * 2][
        : len(again.warnings)
    ]
    assert again.warnings
    for before, after in zip(arrays(first), arrays(again), strict=True):
        np.testing.assert_array_equal(before, after)


def test_seeds_and_temperatures_have_folders_of_their_own(surroundings):
    short = replace(ASE, equilibration_ps=0.0)
    for temperature_K, seed in ((600.0, 3), (600.0, 4), (700.0, 3)):
        run(short, surroundings / "work", arguments=(temperature_K, 2, 1.0, seed))
    assert len(list((surroundings / "data" / "md").iterdir())) == 3


def test_the_ase_engine_stops_by_the_rules(surroundings):
    rules = StopRules(max_energy_change_eV_per_atom=1e-6)
    document = run(replace(ASE, stop=rules), surroundings / "work")
    assert document.status == "run_away"
    assert [warning.code for warning in document.warnings] == ["run_away"]


@pytest.mark.parametrize("engine", [ASE, VASP], ids=["ase", "vasp"])
def test_engines_survive_serialisation_and_refuse_other_ions(engine, surroundings):
    again = MontyDecoder().process_decoded(json.loads(json.dumps(engine, cls=MontyEncoder)))
    assert again == engine
    with pytest.raises(NoMobileIonError, match="no Na"):
        run(replace(engine, mobile_species="Na"), surroundings / "work")


def test_an_engine_takes_the_potential_of_the_flow_unless_it_has_one():
    assert AseEngine().bound("chgnet", "Na").potential == "chgnet:0.3.0"
    assert AseEngine(potential="sevennet").bound("chgnet", "Na").potential == "sevennet:7net-0"
    assert AseEngine().bound("chgnet", "Na").mobile_species == "Na"


# VASP ---------------------------------------------------------------------------------------------


def inputs(tmp_path, engine=VASP, structure=None):
    """Write the inputs of a first segment without pseudopotentials."""
    from atomate2.vasp.files import write_vasp_input_set
    from pymatgen.io.vasp import Incar, Kpoints, Poscar

    from superionic.workflows.jobs.engines.vasp import _with_velocities

    maker = engine.segment_maker(600.0, 8, 1.0, 3)
    structure = structure or salt()
    write_vasp_input_set(
        _with_velocities(structure, 600.0, 3),
        maker.input_set_generator,
        directory=tmp_path,
        **maker.write_input_set_kwargs,
    )
    return (
        Incar.from_file(tmp_path / "INCAR"),
        Kpoints.from_file(tmp_path / "KPOINTS"),
        Poscar.from_file(tmp_path / "POSCAR"),
        (tmp_path / "POTCAR.spec").read_text().split(),
    )


def test_vasp_inputs_are_as_they_should_be(tmp_path):
    incar, kpoints, poscar, potcar = inputs(tmp_path)
    expected = {"IBRION": 0, "NSW": 8, "POTIM": 1.0, "TEBEG": 600, "TEEND": 600, "ISIF": 2}
    expected |= {"MDALGO": 2, "SMASS": 0, "ISYM": 0, "LWAVE": False, "LCHARG": False}
    for name, value in expected.items():
        assert incar[name] == value, name
    assert incar["GGA"].upper() == "PE"
    assert incar["RANDOM_SEED"] == [3, 0, 0]
    assert kpoints.kpts == [(1, 1, 1)]
    assert poscar.structure.composition == salt().composition
    np.testing.assert_allclose(poscar.structure.frac_coords, salt().frac_coords, atol=1e-9)
    assert [name.split("_")[0] for name in potcar] == ["Li", "Cl"]
    # Velocities in A/fs: their kinetic energy is about that of 600 K, and the whole stands still.
    velocities = np.array(poscar.velocities)
    masses = np.array([float(site.specie.atomic_mass) for site in poscar.structure])
    kinetic_eV = 0.5 * np.sum(masses[:, None] * velocities**2) / 9.648533e-3
    temperature_K = 2 * kinetic_eV / (8.617333e-5 * (3 * len(masses) - 3))
    assert 200 < temperature_K < 1200
    np.testing.assert_allclose(masses @ velocities, 0.0, atol=1e-6)


def test_vasp_inputs_can_be_changed_but_not_the_dynamics(tmp_path):
    engine = replace(VASP, incar={"ISPIN": 1, "ENCUT": 300}, gamma_only=False)
    incar, kpoints, _, _ = inputs(tmp_path, engine)
    assert (incar["ISPIN"], incar["ENCUT"]) == (1, 300)
    assert np.prod(kpoints.kpts[0]) > 1
    with pytest.raises(SettingsError, match="POTIM"):
        replace(VASP, incar={"potim": 2.0}).segment_maker(600.0, 8, 1.0, 3)


def test_a_chain_is_the_run_that_it_was_cut_from(surroundings, fake_vasp):
    """With a microcanonical stand-in, three segments give what one gives."""
    whole = run(replace(VASP, segment_steps=100), surroundings / "whole")
    check_normal_form(whole, stride=2)
    assert (whole.engine, whole.potential.package_version) == ("vasp", "VASP 6.0.fake")
    assert whole.n_steps_done == 16
    for folder in (surroundings / "data" / "md").iterdir():
        folder.rename(surroundings / folder.name)  # as if it had never been run
    chained = run(replace(VASP, segment_steps=6), surroundings / "chain")
    assert len(chained.segments) == 3
    assert len(set(chained.segments)) == 3
    assert len(fake_vasp.read_text().splitlines()) == 1 + 3
    steps, positions, energies, forces = arrays(whole)
    found = arrays(chained)
    np.testing.assert_array_equal(found[0], steps)
    np.testing.assert_allclose(found[1], positions, atol=1e-4)
    np.testing.assert_allclose(found[2], energies, atol=1e-4)
    np.testing.assert_allclose(found[3], forces, atol=1e-3)
    # Something moved, and the total energy is that of the start: velocities are carried over.
    assert np.abs(positions[-1] - positions[0]).max() > 0.02
    temperatures = chained.arrays.temperatures_K.unpack()
    kinetic = temperatures * 8.617333e-5 * (3 * len(chained.symbols) - 3) / 2
    np.testing.assert_allclose(found[2] + kinetic, found[2][0] + kinetic[0], atol=0.02)


SCRIPT = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_jobs_engines import VASP, run
run(VASP, Path(sys.argv[1]))
"""


@pytest.mark.process
def test_a_killed_chain_keeps_its_finished_segments(surroundings, fake_vasp):
    script = SCRIPT.format(paths=[str(HERE), str(HERE.parents[1])])
    environment = {**os.environ, "FAKE_VASP_KILL": "2"}
    command = [sys.executable, "-W", "ignore", "-c", script, str(surroundings / "killed")]
    killed = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert killed.returncode != 0, "the worker has to die"
    (folder,) = (surroundings / "data" / "md").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == [
        "segment_00000",
        "segment_00000.npz",
    ]
    shutil.rmtree(surroundings / "killed")  # folders of jobs need not outlive them
    kept = (folder / "segment_00000.npz").read_bytes()
    document = run(VASP, surroundings / "again")
    assert (folder / "segment_00000.npz").read_bytes() == kept
    assert len(fake_vasp.read_text().splitlines()) == 3  # the first, the killed, the second again
    assert document.n_steps_done == 16
    check_normal_form(document, stride=2)
    steps, positions, *_ = arrays(document)
    for one in (surroundings / "data" / "md").iterdir():
        one.rename(surroundings / one.name)
    undisturbed = arrays(run(VASP, surroundings / "undisturbed"))
    np.testing.assert_array_equal(steps, undisturbed[0])
    np.testing.assert_allclose(positions, undisturbed[1], atol=1e-4)
    # All segments are there: nothing runs again.
    run(VASP, surroundings / "again")
    assert len(fake_vasp.read_text().splitlines()) == 5


def test_custodian_watches_and_a_changed_time_step_is_refused(surroundings, fake_vasp):
    watched = replace(VASP, custodian={"polling_time_step": 0.1}, segment_steps=100)
    document = run(watched, surroundings / "watched")
    assert document.n_steps_done == 16
    files = list((surroundings / "watched").glob("*/vasprun.xml*"))
    assert files
    for told in ({"n_steps": 16, "timestep_fs": 0.5}, {"n_steps": 12, "timestep_fs": 1.0}):
        with pytest.raises(DiffusionError, match="16 steps of 1 fs"):
            segment_of_vasprun(
                files[0].parent,
                first_step=0,
                structure_after=salt(),
                uuid="",
                wall_time_s=0.0,
                **told,
            )


def segment(first_step, fractional, **fields) -> Segment:
    n_frames, n_atoms, _ = np.shape(fractional)
    return Segment(
        first_step=first_step,
        lattice_A=10.0 * np.eye(3),
        fractional=np.array(fractional, dtype=float),
        energies_eV=np.zeros(n_frames),
        forces_eV_per_A=np.zeros((n_frames, n_atoms, 3)),
        temperatures_K=None,
        structure_after=salt(),
        **fields,
    )


def test_segments_are_unwrapped_across_their_seam():
    before = segment(0, [[[0.94, 0, 0]], [[0.96, 0, 0]], [[0.98, 0, 0]]])
    after = segment(3, [[[0.00, 0, 0]], [[0.02, 0, 0]]])
    joined = join_segments([before, after])
    np.testing.assert_allclose(joined.positions_A[:, 0, 0], [9.4, 9.6, 9.8, 10.0, 10.2])
    assert joined.every(2).steps.tolist() == [0, 2, 4]
    assert joined.temperatures_K is None


def test_doubled_and_missing_frames_are_refused(tmp_path):
    before = segment(0, [[[0.1, 0, 0]], [[0.11, 0, 0]]])
    with pytest.raises(DiffusionError, match="repeats the last frame"):
        join_segments([before, segment(2, [[[0.11, 0, 0]]])])
    with pytest.raises(DiffusionError, match="does not go on"):
        join_segments([before, segment(2, [[[0.4, 0, 0]]])])
    with pytest.raises(DiffusionError, match="No segment"):
        join_segments([])
    keep_segment(tmp_path, 0, before)
    keep_segment(tmp_path, 1, segment(5, [[[0.12, 0, 0]]]))
    with pytest.raises(DiffusionError, match="starts at step 5, not at 2"):
        read_segments(tmp_path)


def test_kept_segments_come_back_as_they_were(tmp_path):
    before = segment(0, [[[0.1, 0, 0]], [[0.11, 0, 0]]], uuid="u", version="6", wall_time_s=2.5)
    keep_segment(tmp_path, 0, before)
    (found,) = read_segments(tmp_path)
    assert (found.uuid, found.version, found.wall_time_s) == ("u", "6", 2.5)
    assert found.structure_after == before.structure_after
    assert found.temperatures_K is None
    np.testing.assert_array_equal(found.fractional, before.fractional)
