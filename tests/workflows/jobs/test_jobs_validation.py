"""The first and the last job of a validation, on crystals and trajectories with known answers."""

import sys
from pathlib import Path

import numpy as np
import pytest
from jobflow import run_locally
from pymatgen.core import Lattice, Structure

sys.path.insert(0, str(Path(__file__).parents[1] / "campaign"))

from campaign_fixtures import TOY, surroundings

from superionic.errors import DiffusionError, NoMobileIonError
from superionic.report.tables.validation import (
    VIEW,
    validations_markdown,
    verdict_counts,
)
from superionic.schemas.common import PotentialDocument
from superionic.schemas.screen import PreparedDocument
from superionic.schemas.validation import CellDocument, TrajectoryDocument, ValidationDocument
from superionic.workflows.jobs.engines.base import pack
from superionic.workflows.jobs.validation import ConfirmMaker, SupercellMaker

__all__ = ["surroundings"]

K_B = 8.617333262e-5
POTENTIAL = PotentialDocument(family="x", name="y", package_version="z 1", weights_sha256="w")
COMMON = {"material_id": "walk", "formula": "LiS", "mobile_species": "Li", "task_key": "key"}


def prepared(structure: Structure, mobile: str = "Li") -> PreparedDocument:
    return PreparedDocument(
        **{**COMMON, "mobile_species": mobile},
        settings={},
        wall_time_s=0.0,
        structure=structure,
        source="a.cif",
        provenance={"licence": "CC0"},
        formula_as_read="Li S",
        steps=[],
        spacegroup_number=1,
        spacegroup_symbol="P1",
    )


def output(job):
    return run_locally(job, log=False, raise_immediately=True)[job.uuid][1].output


def supercell(structure: Structure, mobile: str = "Li", **settings) -> CellDocument:
    crystal = prepared(structure, mobile)
    return output(SupercellMaker(**settings).make(crystal, prepared=crystal))


def mixed() -> Structure:
    """Return a crystal whose atoms of one element do not stand in a row."""
    sites = [[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(4.0), ["Li", "S", "Li", "S"], sites)


def test_the_supercell_is_large_enough_and_sorted(surroundings):
    cell = supercell(mixed(), min_image_distance_A=7.0, production_ps=6.0)
    assert cell.image_distance_A >= 7.0
    assert np.linalg.det(cell.supercell_matrix) * 4 == pytest.approx(len(cell.structure))
    symbols = [site.specie.symbol for site in cell.structure]
    assert symbols == sorted(symbols)
    assert symbols.count("Li") == cell.n_mobile == len(symbols) // 2
    # The same crystal, in another cell and order.
    assert cell.structure.composition.reduced_composition == mixed().composition.reduced_composition
    assert cell.structure.volume / len(symbols) == pytest.approx(16.0)
    near = {one.specie.symbol for one in cell.structure.get_neighbors(cell.structure[0], 2.1)}
    expected = {one.specie.symbol for one in mixed().get_neighbors(mixed()[0], 2.1)}
    assert near == expected
    assert (cell.timestep_fs, cell.n_steps) == (2.0, 3000)
    assert (cell.source, cell.provenance) == ("a.cif", {"licence": "CC0"})


def test_hydrogen_needs_short_steps_and_the_user_decides(surroundings):
    hydride = Structure(Lattice.cubic(4.0), ["Li", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    cell = supercell(hydride, min_image_distance_A=5.0, production_ps=6.0)
    assert (cell.timestep_fs, cell.n_steps) == (0.5, 12000)
    cell = supercell(hydride, min_image_distance_A=5.0, production_ps=6.0, timestep_fs=1.0)
    assert (cell.timestep_fs, cell.n_steps) == (1.0, 6000)


def test_what_cannot_be_run_is_refused(surroundings):
    with pytest.raises(NoMobileIonError, match="no Na"):
        supercell(mixed(), mobile="Na")
    with pytest.raises(DiffusionError, match="more than 8"):
        supercell(mixed(), max_atoms=8)


def walk(
    cell: CellDocument,
    temperature_K: float,
    slope_A2_per_ps: float,
    seed: int,
    *,
    framework_slope: float = 0.0,
    status: str = "completed",
) -> TrajectoryDocument:
    """Return a run in which ions walk at random, 2 ps of equilibration and 16 ps of production.

    During the equilibration they move ten times as fast, which must not count.
    """
    rng = np.random.default_rng(seed)
    interval_ps, n_equilibration = 0.02, 100
    start = cell.structure.cart_coords
    symbols = [site.specie.symbol for site in cell.structure]
    slopes = np.array([slope_A2_per_ps if s == "Li" else framework_slope for s in symbols])
    steps = rng.normal(size=(900, len(symbols), 3))
    steps *= np.sqrt(slopes * interval_ps / 3.0)[:, None]
    steps[:n_equilibration] *= 10.0
    positions = start + np.cumsum(steps, axis=0) + rng.normal(0, 0.05, steps.shape)
    return TrajectoryDocument(
        **COMMON,
        settings={},
        wall_time_s=1.5,
        n_evaluations=9001,
        engine="ase",
        potential=POTENTIAL,
        symbols=symbols,
        lattice_A=cell.structure.lattice.matrix.tolist(),
        start_positions_A=start.tolist(),
        temperature_K=temperature_K,
        timestep_fs=2.0,
        stride=10,
        seed=seed,
        n_frames=900,
        has_first_frame=True,
        n_equilibration_steps=10 * n_equilibration,
        n_steps_done=9000,
        status=status,
        stop_reason="told so",
        arrays=pack(
            10 * np.arange(900),
            positions,
            np.zeros(900),
            np.zeros_like(positions),
            np.full(900, temperature_K) + rng.normal(0, 30, 900),
        ),
    )


def line(temperature_K: float, slope_500K: float, energy_eV: float) -> float:
    return slope_500K * np.exp(-energy_eV / K_B * (1 / temperature_K - 1 / 500))


def judged(cell: CellDocument, runs: list[TrajectoryDocument], **fields) -> ValidationDocument:
    return output(ConfirmMaker(**fields).make(cell, runs, potential=POTENTIAL))


@pytest.fixture
def cell(surroundings) -> CellDocument:
    return supercell(mixed(), min_image_distance_A=8.0)


def test_a_conductor_gets_its_numbers_back(cell):
    slope, energy = 0.6, 0.2
    runs = [walk(cell, T, line(T, slope, energy), i) for i, T in enumerate((900.0, 700.0, 500.0))]
    found = judged(cell, runs)
    assert found.verdict == "confirmed"
    assert found.temperatures_K == [500.0, 700.0, 900.0]
    assert found.seeds == [2, 1, 0]
    assert (found.n_values, found.n_bounds) == (3, 0)
    assert found.activation_energy_low_eV <= energy <= found.activation_energy_high_eV
    assert found.activation_energy_eV == pytest.approx(energy, abs=0.05)
    # sigma = n e^2 D / (k T): 1/32 ions per A^3, D = 0.6 / 6 * 1e-4 cm^2/s.
    density_per_cm3 = 1e24 / 32
    expected = density_per_cm3 * 1.602177e-19**2 * 1e-5 / (1.380649e-23 * 500)
    assert found.conductivity_low_S_per_cm <= expected <= found.conductivity_high_S_per_cm
    assert found.conductivity_S_per_cm == pytest.approx(expected, rel=0.25)
    room = expected * 500 / 300 * line(300.0, 1.0, energy)
    assert found.conductivity_300K_low_S_per_cm <= room <= found.conductivity_300K_high_S_per_cm
    for run, temperature_K in zip(found.runs, found.temperatures_K, strict=True):
        assert run.production_ps == pytest.approx(15.98)
        assert run.mean_temperature_K == pytest.approx(temperature_K, abs=5)
        assert run.diffusivity_cm2_per_s == pytest.approx(run.slope.slope_A2_per_ps / 6 * 1e-4)
    assert found.total_wall_time_s == 4.5
    assert found.n_evaluations == 3 * 9001
    assert [warning.code for warning in found.warnings] == []
    text = VIEW.table([found])
    assert "confirmed" in text
    assert "3 values, 0 bounds" in text
    page = validations_markdown([found])
    assert "1 materials: 1 confirmed." in page
    rows = [line for line in page.splitlines() if line.startswith("| 1 |")]
    assert f"[{found.conductivity_low_S_per_cm:.2g}, " in rows[0]
    last = page.splitlines()[-1].split(" | ")
    assert [cell.count("±") for cell in last[1:4]] == [1, 1, 1]
    assert verdict_counts([found]) == {"confirmed": 1}
    assert ValidationDocument.model_validate_json(VIEW.json([found])[1:-1]) == found


def test_the_charge_counts_twice(cell):
    runs = [walk(cell, 500.0, 0.6, 1), walk(cell, 900.0, 4.0, 2)]
    single, double = judged(cell, runs), judged(cell, runs, charge_e=2.0)
    assert double.conductivity_S_per_cm == pytest.approx(4 * single.conductivity_S_per_cm)
    assert double.activation_energy_eV == pytest.approx(single.activation_energy_eV)


def test_ions_that_stay_are_bounds_and_melted_runs_are_left_out(cell):
    still = [walk(cell, T, 0.0, i) for i, T in enumerate((500.0, 700.0))]
    melted = walk(cell, 1000.0, 5.0, 9, framework_slope=2.0)
    found = judged(cell, [*still, melted])
    assert [run.verdict for run in found.runs] == ["not_diffusing", "not_diffusing", "melted"]
    assert [run.evidence for run in found.runs] == ["bound", "bound", "none"]
    assert found.melting_temperature_K == 1000.0
    assert found.activation_energy_eV is None
    assert found.conductivity_S_per_cm is None
    # No hop among many ions in 16 ps: the bound at 500 K is that of the run there or at 700 K.
    bounds = [run.slope_upper_bound_A2_per_ps for run in found.runs[:2]]
    expected = min(bounds) / 6e4 * 1e24 / 32 * 1.602177e-19**2 / (1.380649e-23 * 500)
    assert found.conductivity_high_S_per_cm == pytest.approx(expected, rel=1e-4)
    assert "melted" in [warning.code for warning in found.warnings]
    assert judged(cell, [melted]).verdict == "melts"


def test_extrapolation_and_run_away_are_flagged(cell):
    runs = [walk(cell, 800.0, 1.0, 1), walk(cell, 1000.0, 2.0, 2)]
    lost = walk(cell, 600.0, 1.0, 3, status="run_away")
    found = judged(cell, [*runs, lost])
    assert "extrapolated" in [warning.code for warning in found.warnings]
    assert [run.evidence for run in found.runs] == ["none", "value", "value"]
    assert found.runs[0].verdict == "unconverged"
    assert found.conductivity_low_S_per_cm < found.conductivity_S_per_cm


def test_the_flows_potential_may_be_named(cell):
    job = ConfirmMaker().make(cell, [walk(cell, 500.0, 1.0, 1)], potential=TOY)
    assert output(job).potential.label == TOY
