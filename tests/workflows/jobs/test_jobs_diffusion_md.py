"""The Maker of molecular dynamics: its settings, potentials and documents."""

import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from atomate2.ase.md import MDEnsemble
from atomate2.forcefields.md import ForceFieldMDMaker
from atomate2.forcefields.utils import MLFF
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Structure

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import TOY, rock_salt, surroundings

from superionic.dynamics.slope import SlopeSettings
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.trajectory import chunk_path, read_frames
from superionic.dynamics.verdict import ANALYSIS_VERSION
from superionic.errors import (
    DiffusionError,
    NoMobileIonError,
    SettingsError,
    UnknownElementError,
    UnwritableFileError,
)
from superionic.schemas.label import DiffusionDocument, LabelRow
from superionic.workflows.jobs.diffusion import DiffusionMDMaker, judged_again

__all__ = ["surroundings"]

LENNARD_JONES = {"@module": "ase.calculators.lj", "@callable": "LennardJones"}
SHORT = DiffusionMDMaker(
    potential=TOY,
    n_steps=40,
    n_equilibration_steps=10,
    checkpoint_interval=20,
    traj_interval=5,
    min_image_distance_A=5.0,
)


def run(maker: DiffusionMDMaker, crystal: Structure, folder: Path | None = None):
    job = maker.make(crystal, prev_dir=folder)
    output = run_locally(job, log=False, raise_immediately=True)[job.uuid][1].output
    assert isinstance(output, DiffusionDocument)
    return output


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        (MLFF.CHGNet, "chgnet"),
        ("MLFF.CHGNet", "chgnet"),
        ("CHGNet", "chgnet"),
        (MLFF.SevenNet, "sevennet:7net-0"),
        (MLFF.MACE_MP_0, None),
        (LENNARD_JONES, None),
    ],
)
def test_names_of_atomate2_lead_to_our_potentials_where_we_have_them(name, spec):
    maker = DiffusionMDMaker(force_field_name=name)
    assert maker.specification() == spec
    again = MontyDecoder().process_decoded(json.loads(json.dumps(maker, cls=MontyEncoder)))
    assert again.specification() == spec
    # A checkpoint of the user's own is not our CHGNet.
    if name is MLFF.CHGNet:
        own = DiffusionMDMaker(force_field_name=name, calculator_kwargs={"model": "mine.pt"})
        assert own.specification() is None


def test_it_is_a_maker_of_atomate2_and_takes_its_updates():
    assert issubclass(DiffusionMDMaker, ForceFieldMDMaker)
    job = SHORT.make(rock_salt("Cl", 5.1))
    job.update_maker_kwargs({"temperature": 700.0, "n_steps": 7}, class_filter=ForceFieldMDMaker)
    settings = job.maker.md_settings()
    assert (settings.temperature_K, settings.n_steps, settings.timestep_fs) == (700.0, 7, 2.0)
    updated = SHORT.update_kwargs({"mb_velocity_seed": 3}, class_filter=DiffusionMDMaker)
    assert updated.md_settings().seed == 3
    assert SHORT.md_settings(has_hydrogen=True).timestep_fs == 0.5
    assert replace(SHORT, time_step=1.0).md_settings(has_hydrogen=True).timestep_fs == 1.0


def test_fields_of_atomate2_reach_the_engine():
    friction = DiffusionMDMaker(dynamics="langevin", ase_md_kwargs={"friction": 10e-3 / 0.09822694})
    assert friction.md_settings().thermostat == "langevin"
    assert friction.md_settings().thermostat_time_fs == pytest.approx(100.0, rel=1e-5)
    assert DiffusionMDMaker(ensemble="nve").md_settings().thermostat == "nve"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": [300.0, 600.0]},
        {"ensemble": MDEnsemble.npt},
        {"pressure": 1.0},
        {"dynamics": "andersen"},
        {"ase_md_kwargs": {"fixcm": False}},
    ],
)
def test_what_the_engine_cannot_do_is_refused(change):
    with pytest.raises(SettingsError, match=next(iter(change))):
        replace(SHORT, **change).md_settings()


def test_senseless_numbers_are_refused():
    with pytest.raises(DiffusionError, match="n_steps = 0"):
        replace(SHORT, n_steps=0).md_settings()


def test_rules_survive_serialisation():
    rules = StopRules(min_production_ps=7.0, slope=SlopeSettings(max_blocks=5))
    maker = replace(SHORT, stop=rules)
    again = MontyDecoder().process_decoded(json.loads(json.dumps(maker, cls=MontyEncoder)))
    assert again.stop == rules
    assert again.identity() == maker.identity()


def test_the_document_is_complete_and_the_run_is_found_again(surroundings):
    crystal = rock_salt("Cl", 5.1)
    document = run(SHORT, crystal)
    folder = surroundings / "data" / "md" / document.trajectory
    steps = read_frames(folder).steps
    assert steps.tolist() == list(range(0, 51, 5))
    assert document.status == "completed"
    assert document.n_steps_done == 50
    assert document.n_force_evaluations == 51
    assert document.production_ps == pytest.approx(0.08)
    assert document.verdict == "unconverged"
    assert np.linalg.det(document.supercell_matrix) * len(crystal) == pytest.approx(
        document.n_atoms
    )
    assert document.image_distance_A >= 5.0
    assert document.settings["n_equilibration_steps"] == 10
    assert document.settings["stop"]["early"] is True
    assert document.potential.weights_sha256
    assert document.msd is not None
    assert set(document.msd.framework_A2) == {"Cl"}
    row = LabelRow.from_document(document)
    assert LabelRow.model_validate_json(row.model_dump_json()) == row
    again = run(SHORT, crystal)
    assert again.n_force_evaluations == 0
    assert (again.msd, again.verdict_reason) == (document.msd, document.verdict_reason)


def test_it_goes_on_after_a_truncated_chunk_as_if_nothing_had_happened(surroundings):
    crystal = rock_salt("Cl", 5.1)
    whole = surroundings / "data" / "md" / run(SHORT, crystal).trajectory
    expected = read_frames(whole)
    last = chunk_path(whole, 1)
    last.write_bytes(last.read_bytes()[:100])
    chunk_path(whole, 2).unlink()
    document = run(SHORT, crystal)
    assert [warning.code for warning in document.warnings] == ["recovered"]
    found = read_frames(whole)
    assert found.steps.tolist() == expected.steps.tolist()
    np.testing.assert_array_equal(found.positions_A, expected.positions_A)


def test_a_full_disk_is_a_clear_error_from_which_it_goes_on(surroundings, tmp_path, monkeypatch):
    crystal = rock_salt("Cl", 5.1)
    maker = replace(SHORT, n_steps=90)
    expected = read_frames(surroundings / "data" / "md" / run(maker, crystal).trajectory)
    real_fsync, room = os.fsync, 8  # two for each file: itself and its folder

    def fsync(descriptor: int) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_fsync(descriptor)

    folder = tmp_path / "run"
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UnwritableFileError, match="No space left") as caught:
        run(maker, crystal, folder)
    assert "Make room" in caught.value.hint
    monkeypatch.undo()
    assert [path.name for path in sorted(folder.glob("*chunk*"))] == [
        "chunk_00000.npz",
        "chunk_00001.npz",
    ]
    document = run(maker, crystal, folder)
    assert document.n_force_evaluations == 60  # 40 steps were on disk
    np.testing.assert_array_equal(read_frames(folder).positions_A, expected.positions_A)


def test_an_overlap_is_stopped_and_flagged():
    crystal = rock_salt("Cl", 5.1)
    crystal.translate_sites([0], [0.46, 0.46, 0.46])
    document = run(replace(SHORT, n_steps=2000, potential=TOY + '?{"strength_eV": 1e7}'), crystal)
    assert document.status == "run_away"
    assert document.verdict == "unconverged"
    assert document.slope is None
    assert document.n_steps_done < 2010
    assert "run_away" in [warning.code for warning in document.warnings]


@pytest.mark.real_potential
def test_an_overlap_that_a_real_potential_meets_for_the_first_time_is_stopped_and_flagged():
    crystal = rock_salt("Cl", 5.1)
    crystal.translate_sites([0], [0.4, 0.4, 0.4])  # 0.9 A from a chlorine
    document = run(replace(SHORT, n_steps=400, potential="chgnet"), crystal)
    assert document.status == "run_away"
    assert "above" in document.stop_reason
    assert (document.verdict, document.slope) == ("unconverged", None)
    assert document.n_steps_done < 100


def test_a_crystal_without_the_ion_or_too_large_is_refused():
    with pytest.raises(NoMobileIonError, match="no Na"):
        run(replace(SHORT, mobile_species="Na"), rock_salt("Cl", 5.1))
    with pytest.raises(DiffusionError, match="more than 4"):
        run(replace(SHORT, max_atoms=4), rock_salt("Cl", 5.1))


def test_another_calculator_runs_through_atomate2(tmp_path):
    maker = replace(
        SHORT,
        potential=None,
        force_field_name=LENNARD_JONES,
        calculator_meta=None,
        calculator_kwargs={"sigma": 2.2, "epsilon": 0.02, "rc": 5.0},
        n_equilibration_steps=0,
        n_steps=5,
    )
    document = run(maker, rock_salt("Cl", 5.1), tmp_path / "run")
    assert document.potential.family == "atomate2"
    assert document.n_steps_done == 5
    assert read_frames(tmp_path / "run").steps.tolist() == [0, 5]


@pytest.mark.real_potential
def test_an_element_that_the_potential_does_not_know():
    crystal = rock_salt("Cl", 5.1)
    crystal.replace_species({"Cl": "Rn"})
    with pytest.raises(UnknownElementError, match="Rn"):
        run(replace(SHORT, potential="chgnet"), crystal)


def test_former_labels_are_judged_again_from_their_trajectories(tmp_path):
    maker = replace(SHORT, n_steps=1500)
    now = run(maker, rock_salt("Cl", 5.1), tmp_path / "one")
    assert now.analysis_version == ANALYSIS_VERSION
    assert now.slope is not None
    former = now.model_copy(
        update={"analysis_version": 1, "verdict": "melted", "collective_slope": None, "slope": None}
    )
    again = judged_again(former, tmp_path)
    assert again.model_dump(exclude={"msd"}) == now.model_dump(exclude={"msd"})
    # What cannot be judged again, or need not be, stays.
    assert judged_again(former, tmp_path / "elsewhere") is former
    assert judged_again(now, tmp_path) is now
    assert (
        DiffusionDocument.model_validate(
            {k: v for k, v in former.model_dump().items() if k != "analysis_version"}
        ).analysis_version
        == 1
    )
