"""A validation with chained VASP runs through real workers."""

import os
import sys
from pathlib import Path

import pytest
from cluster_site import Site, campaign, write_crystals
from cluster_trials import TOY, WORKER

from superionic.builders.documents import without_monty
from superionic.schemas.validation import ValidationDocument

pytestmark = pytest.mark.process

FAKE_VASP = Path(__file__).parents[1] / "jobs" / "fake_vasp.py"


def test_chained_runs_through_the_launchpad(server, tmp_path, database_name, zygote):
    site = Site(server, tmp_path / "site", database_name, zygote)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("vasp_std", "vasp_gam"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_VASP}"\n')
        program.chmod(0o755)
    write_crystals(site.folder / "crystals.jsonl", 1)
    settings = {
        "relax_maker": None,
        "temperatures_K": [700.0],
        "supercell_maker.min_image_distance_A": 4.0,
        "supercell_maker.production_ps": 0.012,
        "supercell_maker.timestep_fs": 1.0,
        "engine": "vasp",
        "engine.segment_steps": 8,
        "engine.equilibration_ps": 0.004,
        "engine.frame_interval_fs": 2.0,
        "engine.potcar_spec": True,
        "engine.custodian": None,
    }
    file = campaign(
        site.folder, site.folder / "crystals.jsonl", TOY, flow="validate", settings=settings
    )
    assert site.submit(file).n_submitted == 1
    try:
        environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "FAKE_VASP_LOG": str(tmp_path / "calls"),
        }
        assert site.worker(*WORKER, env=environment).wait(200) == 0
    finally:
        site.close()
    assert set(site.states()) == {"COMPLETED"}, site.log_text()[-5000:]
    (stored,) = site.database().outputs.find({"output.kind": "validation"})
    document = ValidationDocument.model_validate(without_monty(stored["output"]))
    assert (document.engine, document.dynamics.package_version) == ("vasp", "VASP 6.0.fake")
    assert document.potential.label == TOY
    (run,) = document.runs
    assert (run.temperature_K, run.n_steps_done, run.status) == (700.0, 16, "completed")
    folders = (tmp_path / "calls").read_text().splitlines()
    assert len(folders) == len(set(folders)) == 2
    # What is kept lies in the data directory, not in folders of jobs, which are gone.
    (kept,) = (site.folder / "data" / "md").iterdir()
    assert sorted(path.name for path in kept.glob("*.npz")) == [
        "segment_00000.npz",
        "segment_00001.npz",
    ]
    assert not any(Path(folder).exists() for folder in folders)
    (trajectory,) = site.database().outputs.find({"output.kind": "trajectory"})
    assert len(trajectory["output"]["segments"]) == 2
    assert site.submit(file).n_queued == 1
