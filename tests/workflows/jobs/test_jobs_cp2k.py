"""CP2K through the ASE engine, for real."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import surroundings

from superionic.schemas.validation import TrajectoryDocument
from superionic.workflows.jobs.engines.ase import AseEngine

__all__ = ["surroundings"]

PROGRAM = "cp2k_shell.psmp"
REQUIRED = "SUPERIONIC_TEST_CP2K"

# A small basis and a coarse grid: eight atoms in about a second a step.
INPUT = """
&FORCE_EVAL
  &DFT
    &QS
      EPS_DEFAULT 1e-8
    &END QS
    &MGRID
      REL_CUTOFF 30
    &END MGRID
    &SCF
      SCF_GUESS RESTART
      EPS_SCF 1e-4
      &OT
        MINIMIZER DIIS
        PRECONDITIONER FULL_KINETIC
      &END OT
    &END SCF
  &END DFT
&END FORCE_EVAL
"""
SETTINGS = {
    "command": PROGRAM,
    "xc": "PBE",
    "basis_set": "SZV-MOLOPT-SR-GTH",
    "pseudo_potential": "GTH-PBE",
    "cutoff": 2700.0,  # eV
    "max_scf": 30,
    "stress_tensor": False,
    "inp": INPUT,
}


@pytest.fixture
def cp2k(monkeypatch):
    """CP2K as Debian has it: a test skips where it is not, and fails where it is asked for."""
    if shutil.which(PROGRAM) is None:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{PROGRAM} is not on PATH, although {REQUIRED} asks for it")
        pytest.skip(f"{PROGRAM} is not on PATH; the Debian packages are cp2k and cp2k-data")
    monkeypatch.delenv("CP2K_DATA_DIR", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.process
def test_lithium_hydride_runs_with_cp2k(surroundings, cp2k):
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.08), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    engine = AseEngine(
        potential=f"ase:ase.calculators.cp2k.CP2K?{json.dumps(SETTINGS)}",
        self_check=False,
        thermostat="nve",
        equilibration_ps=0.0,
        frame_interval_fs=0.5,
        checkpoint_interval=2,
    )
    work = surroundings / "work"
    work.mkdir()
    job = engine.make(crystal, 600.0, 3, 0.5, 1)
    output = run_locally(job, log=False, raise_immediately=True, root_dir=work)[job.uuid][1].output
    assert isinstance(output, TrajectoryDocument)
    assert output.potential.name.startswith("ase.calculators.cp2k.CP2K")
    assert (output.n_frames, output.status) == (4, "completed")
    arrays = output.arrays
    positions, forces = arrays.positions_A.unpack(), arrays.forces_eV_per_A.unpack()
    energies = arrays.energies_eV.unpack()
    assert -900 < energies[0] < -830  # 4 LiH: lithium with three electrons, hydrogen with one
    # By symmetry there is no force at the start; then energies follow from forces along the way.
    assert np.abs(forces[0]).max() < 0.02
    moves = np.diff(positions.astype(float), axis=0)
    work_eV = -np.sum(0.5 * (forces[1:] + forces[:-1]) * moves, axis=(1, 2))
    assert np.abs(energies[-1] - energies[0]) > 0.002
    np.testing.assert_allclose(energies[1:] - energies[0], np.cumsum(work_eV), atol=0.01)
    temperatures = arrays.temperatures_K.unpack()
    kinetic_eV = temperatures * 8.617333e-5 * (3 * 8 - 3) / 2
    np.testing.assert_allclose(energies + kinetic_eV, energies[0] + kinetic_eV[0], atol=0.01)
