"""A validation with chained VASP runs through real workers."""

import os
import sys
from pathlib import Path

import pytest
from cluster_site import Site, campaign, write_crystals
from cluster_trials import TOY, WORKER

from superionic.schemas.validation import ValidationDocument
from superionic.store.builders.documents import without_monty

pytestmark = pytest.mark.process

FAKE_VASP = Path(__file__).parents[1] / "workflows" / "jobs" / "fake_vasp.py"


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
        "temperatures_K": [700.0, 900.0],
        # So short a run bounds little; this threshold lies above even that.
        "rules.threshold_S_per_cm": 1e4,
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
    assert [run.temperature_K for run in document.runs] == [700.0, 900.0]
    for run in document.runs:
        assert (run.n_steps_done, run.status) == (16, "completed")
        assert (run.evidence, run.verdict, run.n_hopped) == ("bound", "unconverged", 0)
        assert (run.slope, run.conductivity_S_per_cm) == (None, None)
        # Nernst and Einstein, with D a sixth of the largest slope: A^2/ps is 1e-4 cm^2/s.
        largest_cm2_per_s = run.slope_upper_bound_A2_per_ps / 6 * 1e-4
        density_per_cm3 = document.n_mobile / document.volume_A3 * 1e24
        charges = 1.602176634e-19**2 * density_per_cm3
        bound = charges * largest_cm2_per_s / (1.380649e-23 * run.temperature_K)
        assert run.conductivity_upper_bound_S_per_cm == pytest.approx(bound, rel=1e-6)
    # Diffusion does not slow down with temperature: the verdict rests on the lowest bound of all.
    assert (document.n_values, document.n_bounds) == (0, 2)
    assert document.verdict == "not_confirmed"
    assert document.conductivity_S_per_cm is None
    at_500_K = min(r.conductivity_upper_bound_S_per_cm * r.temperature_K for r in document.runs)
    assert document.conductivity_high_S_per_cm == pytest.approx(at_500_K / 500.0, rel=1e-6)
    assert document.conductivity_high_S_per_cm < document.threshold_S_per_cm == 1e4
    assert "fewer than two temperatures with diffusion" in document.verdict_reason
    folders = (tmp_path / "calls").read_text().splitlines()
    assert len(folders) == len(set(folders)) == 4
    # What is kept lies in the data directory, not in folders of jobs, which are gone.
    kept = list((site.folder / "data" / "md").iterdir())
    assert len(kept) == 2
    for folder in kept:
        assert sorted(path.name for path in folder.glob("*.npz")) == [
            "segment_00000.npz",
            "segment_00001.npz",
        ]
    assert not any(Path(folder).exists() for folder in folders)
    trajectories = list(site.database().outputs.find({"output.kind": "trajectory"}))
    assert [len(one["output"]["segments"]) for one in trajectories] == [2, 2]
    assert site.submit(file).n_finished == 1


def test_points_of_a_landscape_are_shared_through_the_launchpad(
    server, tmp_path, database_name, zygote
):
    """Screened, then refined with single points by VASP, each a job of its own."""
    site = Site(server, tmp_path / "site", database_name, zygote)
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "vasp_std"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_VASP}"\n')
    program.chmod(0o755)
    crystals = site.folder / "crystals.jsonl"
    write_crystals(crystals, 1)
    settings = {
        "prior": TOY,
        "refine_maker.settings.max_energies": 8,
        "refine_maker.settings.n_draws": 16,
        "refine_maker.engine": "vasp",
        "refine_maker.engine.potcar_spec": True,
        "refine_maker.engine.custodian": None,
    }
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "FAKE_VASP_LOG": str(tmp_path / "calls"),
    }
    try:
        assert site.submit(campaign(site.folder, crystals, TOY)).n_submitted == 1
        assert site.worker(*WORKER).wait(200) == 0
        write_crystals(crystals, 2)  # the second one was not screened
        refine = campaign(site.folder, crystals, TOY, flow="refine", settings=settings)
        submitted = site.submit(refine)
        assert (submitted.n_submitted, len(submitted.unreadable)) == (1, 1)
        assert "no landscape" in submitted.unreadable[0].message
        assert site.worker(*WORKER, env=environment).wait(300) == 0
        again = site.submit(refine)
        assert (again.n_submitted, again.n_finished) == (0, 1)
    finally:
        site.close()
    assert set(site.states()) == {"COMPLETED"}, site.log_text()[-5000:]
    outputs = site.database().outputs
    points = [row["output"] for row in outputs.find({"output.kind": "point"})]
    assert len(points) == len((tmp_path / "calls").read_text().splitlines()) <= 8
    found = [row["output"] for row in outputs.find({"output.kind": "descriptors"})]
    (refined,) = [one for one in found if one["potential"]["family"] == "vasp"]
    assert refined["n_evaluations"] == len(points)
    assert refined["prior"]["potential"]["name"] == TOY.removeprefix("ase:")
