"""Trajectories of one's own, from Python and from the command line."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

import superionic as si
from superionic.cli.app import main
from superionic.dynamics.crystal import crystal_of
from superionic.dynamics.slope import conductivity
from superionic.dynamics.verdict import ANALYSIS_VERSION
from superionic.dynamics.verdict import analyse as analyse_positions
from superionic.errors import SuperionicError
from superionic.schemas.label import AnalysisDocument

ATOMS = bulk("LiCl", "rocksalt", a=5.1, cubic=True).repeat((2, 2, 1))
N_FRAMES, INTERVAL_PS = 600, 0.02


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A wrapped trajectory of walking lithium in a framework that drifts, and its true path."""
    rng = np.random.default_rng(0)
    lithium = np.array(ATOMS.get_chemical_symbols()) == "Li"
    path = ATOMS.positions + rng.normal(0.0, 0.1, (N_FRAMES, len(ATOMS), 3))
    steps = rng.normal(0.0, np.sqrt(2.0 * INTERVAL_PS / 3.0), (N_FRAMES, lithium.sum(), 3))
    path[:, lithium] += np.cumsum(steps, axis=0)
    path += 0.01 * np.arange(N_FRAMES)[:, None, None]
    frames = [Atoms(ATOMS.symbols, positions, cell=ATOMS.cell, pbc=True) for positions in path]
    for atoms in frames:
        atoms.wrap()
    file = tmp_path_factory.mktemp("own") / "run.traj"
    write(file, frames)
    return file, path


def test_a_file_says_what_its_path_says(run):
    file, path = run
    found = si.analyse(file, "Li", 800.0, timestep_fs=20.0)
    direct = analyse_positions(path, INTERVAL_PS, crystal_of(ATOMS, "Li"))
    document = found.document
    assert document.verdict == direct.verdict == "diffusing"
    assert document.slope.slope_A2_per_ps == pytest.approx(direct.slope.slope_A2_per_ps, rel=1e-3)
    assert document.slope.low_A2_per_ps < 2.0 < document.slope.high_A2_per_ps
    assert document.collective_slope.slope_A2_per_ps == pytest.approx(
        direct.collective.slope_A2_per_ps, rel=1e-3
    )
    assert document.haven_ratio_low < 1.0 < (document.haven_ratio_high or np.inf)
    assert document.conductivity_S_per_cm == pytest.approx(
        conductivity(document.diffusivity_cm2_per_s, 16, ATOMS.get_volume(), 800.0)
    )
    sigma = document.collective_conductivity_S_per_cm
    assert sigma == pytest.approx(document.conductivity_S_per_cm / document.haven_ratio)
    assert document.mobile_density_per_cm3 == pytest.approx(16 / ATOMS.get_volume() * 1e24)
    assert document.n_jumps >= document.n_hopped > 0
    assert document.jump_rate_per_ps == pytest.approx(
        document.n_jumps / 16 / document.production_ps
    )
    assert document.analysis_version == ANALYSIS_VERSION
    assert AnalysisDocument.model_validate_json(document.model_dump_json()) == document
    assert "run.traj" in repr(found)
    assert found.frame().loc["run.traj", "verdict"] == "diffusing"
    assert "800 K" in found.plot(static=True).axes[0].get_title(loc="left")


def test_without_a_temperature_there_is_no_conductivity(run):
    found = si.analyse(run[0], timestep_fs=20.0, skip_ps=2.0)
    assert found.document.conductivity_S_per_cm is None
    assert found.document.collective_conductivity_S_per_cm is None
    assert found.document.production_ps == pytest.approx(0.02 * (N_FRAMES - 1) - 2.0)
    assert not any("conductivity" in name for name, _ in found.lines())


def test_the_command_prints_writes_and_draws(run, tmp_path, capsys, monkeypatch):
    out, figure = tmp_path / "found.json", tmp_path / "msd.png"
    arguments = ["--temperature", "800", "--timestep", "20", "--json", str(out), "-o", str(figure)]
    monkeypatch.setattr("sys.argv", ["superionic", "analyse", str(run[0]), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    text = capsys.readouterr().out
    for name in ("verdict: diffusing", "Haven ratio", "collective conductivity", "jumps"):
        assert name in text
    assert json.loads(out.read_text())["verdict"] == "diffusing"
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mobile": "Na", "timestep_fs": 20.0}, "holds no Na"),
        ({"timestep_fs": 20.0, "skip_ps": 99.0}, "nothing is left"),
        ({}, "how much time"),
    ],
)
def test_what_is_amiss_is_said(run, options, words):
    with pytest.raises(SuperionicError, match=words):
        si.analyse(run[0], **options)
