"""Learned landscapes against every point, on landscapes in closed form and on a real one."""

import numpy as np
import pytest
from landscape_helpers import FunctionPotential, cosine_potential, pair_energies, pair_potential
from pymatgen.core import Lattice, Structure

from superionic.errors import LandscapeError, PotentialError, SettingsError
from superionic.landscape import learned as learned_mode
from superionic.landscape import posterior
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.evaluation import Evaluation
from superionic.landscape.intervals import descriptor_intervals
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.percolation import shared_barriers
from superionic.landscape.points import IrreduciblePoints, VOLUME_THRESHOLDS_eV
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.registry import load_potential

CHEAP = LearnedSettings(n_draws=16)


def ionic(noise_A: float = 0.0) -> Structure:
    """Anti-fluorite with a deep and narrow lithium sublattice, distorted when asked."""
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.65), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    ).get_primitive_structure()
    if noise_A:
        structure.perturb(noise_A)
    return structure


def layered() -> Structure:
    """Two kinds of mobile ions between layers, without symmetry."""
    lattice = Lattice.from_parameters(3.6, 4.1, 6.2, 88, 93, 97)
    return Structure(
        lattice,
        ["Li", "Li", "Cl", "Cl", "O"],
        [
            [0.1, 0.05, 0.5],
            [0.55, 0.6, 0.1],
            [0.52, 0.45, 0.52],
            [0.05, 0.1, 0.0],
            [0.6, 0.05, 0.3],
        ],
    )


def described(structure, potential, learned=None, prior=None, **kwargs):
    settings = LandscapeSettings(learned=learned, grid_step_A=0.35, **kwargs)
    landscape = compute_landscape(structure, "Li", potential, settings, prior=prior)
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    return landscape, found


def assert_close(found, exact):
    for name in ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV"):
        if getattr(exact, name) < 2:
            assert getattr(found, name) == pytest.approx(getattr(exact, name), abs=0.03)
    for threshold in VOLUME_THRESHOLDS_eV:
        one, other = found.at(threshold), exact.at(threshold)
        for name in ("fv_disconnected_union", "fv_disconnected_sum"):
            assert one[name] == pytest.approx(other[name], rel=0.06, abs=0.002)
    assert found.xi == pytest.approx(exact.xi, abs=0.03)


@pytest.mark.parametrize("structure", [ionic(), layered()], ids=["cubic", "no symmetry"])
def test_descriptors_are_those_of_every_point_for_a_fraction_of_the_energies(structure):
    whole, exact = described(structure, pair_potential())
    potential = pair_potential()
    sparse, found = described(structure, potential, CHEAP)
    assert sparse.ending in ("settled", "exhausted")
    assert sparse.n_evaluations == potential.n_energies
    assert sparse.n_evaluations < 0.4 * whole.n_evaluations
    assert_close(found, exact)
    for mine, all_ in zip(sparse.orbits, whole.orbits, strict=True):
        # Not compared as such: minima may differ by what was not evaluated.
        totals = mine.energies_eV + mine.minimum_eV
        known = mine.evaluated
        np.testing.assert_allclose(
            totals[known], (all_.energies_eV + all_.minimum_eV)[known], atol=1e-9
        )


def test_points_at_random_tell_a_process_that_is_too_sure(monkeypatch):
    # Standard deviations a tenth of what they should be: every interval looks narrow at once.
    monkeypatch.setattr(posterior, "SAFETY", 0.1)
    _, exact = described(layered(), pair_potential())
    checked, found = described(layered(), pair_potential(), CHEAP)
    monkeypatch.setattr(learned_mode.MapPosterior, "doubt", lambda *_: False)
    trusting, _ = described(layered(), pair_potential(), CHEAP)
    assert checked.n_evaluations > trusting.n_evaluations + CHEAP.batch_size
    assert found.mpe_eV == pytest.approx(exact.mpe_eV, abs=0.03)


def test_intervals_hold_the_exact_descriptors():
    """Of many numbers of many crystals nine in ten at least, tolerances apart."""
    inside = []
    for seed in range(3):
        structure = ionic(0.15 * seed)
        _, exact = described(structure, pair_potential(), symmetry=False)
        # Stopped early, so that intervals are wide.
        landscape, found = described(
            structure, pair_potential(), LearnedSettings(max_energies=40), symmetry=False
        )
        bounds = descriptor_intervals(landscape, found)
        for name in ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV", "xi"):
            low, high = bounds[name]
            assert low <= getattr(found, name) <= high
            inside.append(low - 1e-3 <= getattr(exact, name) <= high + 1e-3)
        for name in ("fv_disconnected_union", "fv_disconnected_sum", "free_volume_A3_per_ion"):
            for (low, high), value in zip(bounds[name], getattr(exact, name), strict=True):
                inside.append(0.99 * low - 1e-3 <= value <= 1.01 * high + 1e-3)
    assert np.mean(inside) >= 0.85


def test_known_barriers_are_found():
    """Ridges of 0.4, 0.7 and 1.1 eV along the three axes: that is what percolation asks for."""
    structure = Structure(
        Lattice.orthorhombic(5.0, 5.5, 6.0), ["Li", "He"], [[0.5, 0.5, 0.5], [0, 0, 0]]
    )
    potential = cosine_potential(0.4, 0.7, 1.1)
    sparse, found = described(structure, potential, CHEAP, exclusion_radius_A=0.0)
    whole, exact = described(structure, potential, exclusion_radius_A=0.0)
    barriers = (exact.barrier_1d_eV, exact.barrier_2d_eV, exact.barrier_3d_eV)
    assert barriers == pytest.approx((0.4, 0.7, 1.1), abs=0.03)
    assert sparse.n_evaluations < 0.5 * whole.n_evaluations
    assert_close(found, exact)


def test_the_same_seed_gives_the_same_landscape():
    one, _ = described(ionic(), pair_potential(), CHEAP, seed=4)
    other, _ = described(ionic(), pair_potential(), CHEAP, seed=4)
    assert one.n_evaluations == other.n_evaluations
    for a, b in zip(one.orbits, other.orbits, strict=True):
        np.testing.assert_array_equal(a.energies_eV, b.energies_eV)
        assert a.drawn is not None
        assert b.drawn is not None
        np.testing.assert_array_equal(a.drawn.energies_eV, b.drawn.energies_eV)


def other_energies(atoms, index, positions):
    """A potential whose walls are half as high again, and that likes one corner of the cell."""
    corner = np.linalg.norm(positions - [1.0, 1.5, 2.0], axis=1)
    return 1.5 * pair_energies(atoms, index, positions) - 0.1 * np.exp(-((corner / 2) ** 2))


def test_where_one_potential_is_known_thirty_energies_tell_another():
    known, first = described(layered(), pair_potential())
    _, exact = described(layered(), FunctionPotential(other_energies))
    assert abs(exact.barrier_3d_eV - first.barrier_3d_eV) > 0.05
    thirty = LearnedSettings(max_energies=30, batch_size=4, n_draws=16)
    potential = FunctionPotential(other_energies)
    landscape, found = described(layered(), potential, thirty, known)
    assert potential.n_energies <= 30
    assert "prior_left_out" not in {remark.code for remark in landscape.remarks}
    for name in ("barrier_1d_eV", "barrier_2d_eV", "barrier_3d_eV", "mpe_eV"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), abs=0.05)


def test_a_misleading_potential_is_left_out():
    misleading, _ = described(layered(), cosine_potential(-2.0, 3.0, -1.0))
    _, exact = described(layered(), pair_potential())
    landscape, found = described(layered(), pair_potential(), CHEAP, misleading)
    assert "prior_left_out" in {remark.code for remark in landscape.remarks}
    assert_close(found, exact)


def test_another_potential_must_have_the_same_grid():
    known, _ = described(layered(), pair_potential(), symmetry=False)
    with pytest.raises(LandscapeError, match="another grid"):
        described(ionic(), pair_potential(), CHEAP, known)
    with pytest.raises(SettingsError, match="learned"):
        described(layered(), pair_potential(), None, known)


def test_a_budget_is_kept_and_told():
    potential = pair_potential()
    settings = LearnedSettings(max_energies=24, n_draws=16)
    landscape, found = described(layered(), potential, settings, n_symmetry_checks=0)
    assert potential.n_energies == 24
    assert landscape.ending == "budget"
    told = [remark for remark in landscape.remarks if remark.code == "not_settled"]
    assert len(told) == 1
    assert "24 energies" in told[0].text
    assert "barrier" in told[0].text
    low, high = descriptor_intervals(landscape, found)["barrier_3d_eV"]
    assert high - low > 0.03


def test_points_without_an_energy_are_left_out_and_named():
    def with_holes(atoms, index, positions):
        energies = pair_energies(atoms, index, positions)
        holes = np.sin(40 * positions[:, 0]) > 0.8
        energies[holes & (positions[:, 1] > 1.5)] = np.nan
        if np.any(holes & (positions[:, 1] <= 1.5)):
            raise RuntimeError("no convergence")
        return energies

    _, exact = described(layered(), pair_potential())
    landscape, found = described(layered(), FunctionPotential(with_holes), CHEAP)
    left_out = [remark for remark in landscape.remarks if remark.code == "points_left_out"]
    assert len(left_out) == 1
    assert "no convergence" in left_out[0].text
    assert found.barrier_1d_eV == pytest.approx(exact.barrier_1d_eV, abs=0.1)


def test_a_potential_that_gives_nothing_is_an_error():
    def nothing(atoms, index, positions):
        raise RuntimeError("no licence")

    with pytest.raises(PotentialError, match="no licence"):
        described(layered(), FunctionPotential(nothing), CHEAP)
    with pytest.raises(PotentialError, match="gave no energy"):
        described(layered(), FunctionPotential(lambda a, i, r: np.full(len(r), np.nan)), CHEAP)


def test_noise_of_five_meV_is_survived():
    rng = np.random.default_rng(0)

    def noisy(atoms, index, positions):
        return pair_energies(atoms, index, positions) + 5e-3 * rng.normal(size=len(positions))

    _, exact = described(layered(), pair_potential())
    landscape, found = described(layered(), FunctionPotential(noisy), CHEAP)
    assert landscape.n_evaluations < 400
    for name in ("barrier_1d_eV", "barrier_2d_eV", "mpe_eV"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), abs=0.06)


def test_one_irreducible_point_is_no_landscape():
    structure = Structure(Lattice.cubic(0.3), ["Li", "He"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    potential = cosine_potential(0.5, 0.5, 0.5)
    with pytest.raises(LandscapeError, match="there is no landscape"):
        described(structure, potential, CHEAP, exclusion_radius_A=0.0)


def test_a_grid_of_few_points_is_evaluated_to_the_last():
    structure = Structure(Lattice.cubic(0.8), ["Li", "He"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    potential = cosine_potential(0.5, 0.5, 0.5)
    landscape, found = described(structure, potential, CHEAP, exclusion_radius_A=0.0)
    assert landscape.ending == "exhausted"
    assert landscape.orbits[0].evaluated.all()
    bounds = descriptor_intervals(landscape, found)
    assert bounds["mpe_eV"] == (found.mpe_eV, found.mpe_eV)
    assert bounds["xi"] == (found.xi, found.xi)


def test_many_ions_without_symmetry():
    rng = np.random.default_rng(2)
    structure = Structure(Lattice.cubic(4.2), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    structure.make_supercell([5, 5, 8])
    structure.perturb(0.1)
    assert sum(site.specie.symbol == "Li" for site in structure) == 200
    kept = structure.copy()
    kept.remove_sites(rng.choice(len(kept), 4, replace=False))
    calls = FunctionPotential(lambda atoms, index, r: 3.0 * (1 - np.cos(1.5 * r)).sum(axis=1))
    settings = LearnedSettings(max_energies=215, n_draws=16)
    landscape = compute_landscape(
        kept, "Li", calls, LandscapeSettings(learned=settings, grid_step_A=5.0)
    )
    assert landscape.n_mobile > 190
    assert calls.n_energies <= 215


def test_progress_expects_what_crystals_take_and_not_the_budget():
    calls = []
    landscape = compute_landscape(
        layered(),
        "Li",
        pair_potential(),
        LandscapeSettings(learned=LearnedSettings(), grid_step_A=0.35),
        progress=lambda *call: calls.append(call),
    )
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1][0] == landscape.n_evaluations
    for done, planned in calls:
        assert done <= planned <= max(100, 1.25 * done)


def test_readings_are_the_descriptors():
    evaluation = Evaluation(layered(), "Li", pair_potential(), LandscapeSettings(grid_step_A=0.35))
    sampling = evaluation.sampling()
    points = IrreduciblePoints(sampling.grid, list(evaluation.plans(sampling)))
    energies = np.concatenate(
        [evaluation.at_points(sampling.grid, plan, plan.points, 0) for plan in points.plans]
    )
    reading = points.read(energies)
    landscape, exact = described(layered(), pair_potential())
    maps = [one for _, one in landscape.maps()]
    barriers = np.array(
        [*shared_barriers(maps, sampling.grid.lattice, step_A=np.inf), exact.mpe_eV]
    )
    assert reading.barriers_eV == pytest.approx(barriers, abs=1e-5)
    assert points.xi(energies) == pytest.approx(exact.xi, abs=1e-3)
    barriers = reading.barriers_eV
    for which, derivatives in enumerate(reading.passes):
        assert derivatives is not None
        assert sum(derivatives.values()) == pytest.approx(0.0, abs=1e-9)
        for point, derivative in derivatives.items():
            moved = energies.copy()
            moved[point] += 1e-5
            change = points.read(moved).barriers_eV[which] - barriers[which]
            assert change == pytest.approx(1e-5 * derivative, abs=2e-7)
    for bound in (0.0, *(barriers - 1e-6), *(barriers + 1e-6)):
        bounded = points.read(energies, bound)
        seen = np.where(np.array(barriers) < bound, barriers, np.inf)
        np.testing.assert_allclose(bounded.barriers_eV, seen, atol=1e-9)
        assert [one is None for one in bounded.passes] == np.isinf(seen).tolist()


@pytest.mark.parametrize(
    "wrong",
    [{"barrier_tolerance_eV": 0.0}, {"max_energies": 0}, {"batch_size": 0}, {"n_draws": 3}],
)
def test_settings_that_cannot_be_used_are_refused(wrong):
    with pytest.raises(SettingsError):
        LearnedSettings(**wrong)


def test_chgnet_on_a_real_crystal():
    """Wurtzite LiCl: the published numbers within the tolerances, for a tenth of the energies."""
    lattice = [[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]]
    positions = [
        *([0, 0, 2.39040061], [1.96243315, 1.13301147, 5.56898111]),
        *([0, 0, 6.35070212], [1.96243315, 1.13301147, 3.17211527]),
    ]
    structure = Structure(lattice, ["Li", "Li", "Cl", "Cl"], positions, coords_are_cartesian=True)
    settings = LandscapeSettings(learned=LearnedSettings())
    landscape = compute_landscape(structure, "Li", load_potential("chgnet"), settings)
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    assert landscape.ending == "settled"
    assert landscape.n_evaluations <= 120
    assert found.mpe_eV == pytest.approx(0.2219, abs=0.03)
    assert found.xi == pytest.approx(0.9581, abs=0.02)
    assert found.fv_disconnected == pytest.approx(0.1456, rel=0.06)
