"""Vacancies and interstitial ions that are made on purpose."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape_helpers import FunctionPotential, pair_energies, pair_potential
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.errors import LandscapeError, SettingsError
from superionic.landscape import evaluation
from superionic.landscape.carriers import NearestVacancy, VacancyFramework, widest_void
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.rounds import LearnedRounds
from superionic.landscape.settings import LandscapeSettings, LearnedSettings
from superionic.potentials.base import PotentialInfo
from superionic.potentials.registry import load_potential

SALT = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
)
"""The conventional cell of LiCl: four ions of each kind."""
STEP_A = 5.13 / 16 + 1e-6
"""With and without symmetry this gives one grid."""


def carriers(carrier, **options):
    return LandscapeSettings(**{"grid_step_A": 0.4, "carrier": carrier, **options})


def barriers(landscape):
    found = compute_descriptors(landscape.ion_maps(), landscape.grid.lattice)
    return found.barrier_1d_eV, found.barrier_2d_eV, found.barrier_3d_eV


def without(structure, *sites):
    left = structure.copy()
    left.remove_sites(sites)
    return AseAtomsAdaptor.get_atoms(left)


class TestVacancy:
    def test_each_energy_is_that_of_the_crystal_with_two_ions_less_and_one_at_the_point(self):
        potential = pair_potential()
        landscape = compute_landscape(SALT, "Li", potential, carriers("vacancy", symmetry=False))
        orbit = landscape.orbits[0]
        moving = orbit.orbit.representative
        points = landscape.grid.cartesian(np.arange(landscape.grid.n_points))
        homes = SALT.frac_coords[:4]
        expected = np.full(len(points), np.inf)
        away = SALT.lattice.get_all_distances(points @ np.linalg.inv(SALT.lattice.matrix), homes)
        away[:, moving] = np.inf
        for missing in set(range(4)) - {moving}:
            others = without(SALT, moving, missing)
            others.append("Li")
            here = np.flatnonzero(away[:, missing] < away.min(axis=1) + 1e-6)
            energies = pair_energies(others, len(others) - 1, points[here])
            # Where two are equally near, either may be missing.
            expected[here] = np.where(
                np.isinf(expected[here]), energies, np.minimum(expected[here], energies)
            )
        alone = (away < away.min(axis=1, keepdims=True) + 0.05).sum(axis=1) == 1
        chosen = alone & orbit.evaluated.ravel()
        assert chosen.sum() > 100
        found = orbit.energies_eV.ravel() + orbit.minimum_eV
        np.testing.assert_allclose(found[chosen], expected[chosen], atol=1e-9)

    def test_between_two_sites_both_ions_have_one_energy(self):
        # Of the two there is one: which of them it was cannot matter.
        landscape = compute_landscape(
            SALT, "Li", pair_potential(), carriers("vacancy", symmetry=False)
        )
        maps = dict(landscape.maps())
        minima = {one.orbit.representative: one.minimum_eV for one in landscape.orbits}
        points = landscape.grid.cartesian(np.arange(landscape.grid.n_points))
        fractional = points @ np.linalg.inv(SALT.lattice.matrix)
        away = SALT.lattice.get_all_distances(fractional, SALT.frac_coords[:4])
        between = (np.sort(away, axis=1)[:, 2] - np.sort(away, axis=1)[:, 1]) > 0.05
        first, second = np.argsort(away, axis=1)[:, :2].T
        n = 0
        for one in range(4):
            for other in range(4):
                here = between & (first == one) & (second == other)
                if one == other or not here.any():
                    continue
                both = [maps[ion].ravel()[here] + minima[ion] for ion in (one, other)]
                np.testing.assert_allclose(both[0], both[1], atol=1e-9)
                n += int(here.sum())
        assert n > 100

    def test_symmetry_changes_nothing(self):
        found = [
            barriers(compute_landscape(SALT, "Li", pair_potential(), carriers("vacancy", **how)))
            for how in ({"grid_step_A": STEP_A}, {"grid_step_A": STEP_A, "symmetry": False})
        ]
        assert found[0] == pytest.approx(found[1], abs=2e-3)
        assert max(found[0]) - min(found[0]) < 1e-9  # cubic

    def test_ions_are_no_longer_in_each_others_way(self):
        potential = load_potential("chgnet")
        whole, vacancy = (
            barriers(compute_landscape(SALT, "Li", potential, carriers(carrier)))
            for carrier in (None, "vacancy")
        )
        assert vacancy[0] < whole[0] - 0.2

    def test_learned_and_exact_maps_agree(self):
        potential = load_potential("chgnet")
        exact = compute_landscape(SALT, "Li", potential, carriers("vacancy"))
        learned = compute_landscape(
            SALT, "Li", potential, carriers("vacancy", learned=LearnedSettings())
        )
        assert learned.n_evaluations < exact.n_evaluations
        assert barriers(learned) == pytest.approx(barriers(exact), abs=0.03)

    def test_a_cell_with_one_ion_is_refused(self):
        cell = Structure(Lattice.cubic(4.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        with pytest.raises(LandscapeError, match="holds one Li") as caught:
            compute_landscape(cell, "Li", pair_potential(), carriers("vacancy"))
        assert "--min-width" in str(caught.value)

    @settings(deadline=None, max_examples=30)
    @given(st.integers(0, 10**6), st.integers(0, 3))
    def test_which_one_is_missing_has_the_symmetry_of_the_home(self, seed, moving):
        rng = np.random.default_rng(seed)
        turn = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
        homes = SALT.frac_coords[:4] - SALT.frac_coords[moving]
        points = rng.integers(0, 8, (20, 3)) / 8 * 5.13
        nearest = NearestVacancy(5.13 * np.eye(3), homes, range(4), moving)
        here = homes[nearest(points)]
        there = homes[nearest(points @ turn.T)]
        # The same up to an operation that keeps home and point where they are.
        for point, one, other in zip(points, here, there, strict=True):
            distances = [
                (np.linalg.norm(a - b - np.rint(a - b)), np.linalg.norm(a - np.rint(a)))
                for a, b in ((one, point / 5.13), (other, turn @ point / 5.13))
            ]
            assert distances[0] == pytest.approx(distances[1], abs=1e-9)


@pytest.mark.parametrize("learned", [None, LearnedSettings(max_energies=60)], ids=["exact", "few"])
def test_what_a_potential_made_of_vacancies_is_not_kept_for_all_of_them(learned, monkeypatch):
    monkeypatch.setattr(evaluation, "KEPT_FRAMEWORKS", 3)
    potential = pair_potential()
    made, alive, most = [], weakref.WeakSet(), []
    original = potential.frozen_framework

    def watched(atoms, index):
        framework = original(atoms, index)
        made.append((index, atoms.positions.tobytes()))
        alive.add(framework)
        most.append(len(alive))
        return framework

    potential.frozen_framework = watched
    wide = SALT * (2, 1, 1)
    compute_landscape(wide, "Li", potential, carriers("vacancy", symmetry=False, learned=learned))
    gc.collect()
    assert len(set(made)) > 20
    assert max(most) <= 5
    assert not alive


class TestInterstitial:
    def test_one_map_of_an_ion_among_all_others(self):
        landscape = compute_landscape(SALT, "Li", pair_potential(), carriers("interstitial"))
        (orbit,) = landscape.orbits
        assert landscape.mobile_sites == [len(SALT)]
        assert landscape.n_mobile == 4
        assert landscape.structure == SALT
        whole = AseAtomsAdaptor.get_atoms(SALT)
        whole.append("Li")
        points = landscape.grid.cartesian(np.arange(landscape.grid.n_points))
        expected = pair_energies(whole, len(SALT), points)
        free = orbit.evaluated.ravel()
        assert 0 < free.sum() < free.size
        found = orbit.energies_eV.ravel() + orbit.minimum_eV
        np.testing.assert_allclose(found[free], expected[free], atol=1e-9)

    def test_the_whole_symmetry_is_used(self):
        potential = FunctionPotential(pair_energies)
        settings = carriers("interstitial", n_symmetry_checks=0)
        landscape = compute_landscape(SALT, "Li", potential, settings)
        assert landscape.n_operations == 192
        assert landscape.n_evaluations < landscape.grid.n_points / 40

    def test_the_widest_void_of_rock_salt_is_between_eight_ions(self):
        place = widest_void(np.array(SALT.lattice.matrix), SALT.frac_coords)
        away = SALT.lattice.get_all_distances(place, SALT.frac_coords)
        assert away.min() > 5.13 * np.sqrt(3) / 4 - 0.35


@pytest.mark.parametrize("carrier", ["vacancy", "interstitial"])
def test_a_second_potential_starts_from_the_landscape_with_the_same_carrier(carrier):
    def stiffer(atoms, index, positions):
        return 1.2 * pair_energies(atoms, index, positions)

    first = compute_landscape(SALT, "Li", pair_potential(), carriers(carrier))
    few = LearnedSettings(max_energies=30, batch_size=4)
    second = compute_landscape(
        SALT, "Li", FunctionPotential(stiffer), carriers(carrier, learned=few), prior=first
    )
    assert second.n_evaluations <= 30
    assert barriers(second) == pytest.approx([1.2 * one for one in barriers(first)], abs=0.03)


def test_what_it_means_is_said():
    for carrier in ("vacancy", "interstitial"):
        landscape = compute_landscape(SALT, "Li", pair_potential(), carriers(carrier))
        (remark,) = landscape.remarks
        assert remark.code == "carrier"
        assert "in no barrier" in remark.text


def test_points_that_are_computed_elsewhere_are_refused():
    with pytest.raises(SettingsError, match="carrier"):
        LearnedRounds(
            SALT,
            "Li",
            carriers("vacancy", learned=LearnedSettings()),
            PotentialInfo("ase", "mine", "1", ""),
        )


def test_an_unknown_carrier_is_refused():
    with pytest.raises(SettingsError, match="hole"):
        LandscapeSettings(carrier="hole")


def test_no_positions_have_no_energies():
    nearest = NearestVacancy(np.eye(3), np.zeros((2, 3)), [0, 1], 0)
    assert VacancyFramework(nearest, pytest.fail).energies(np.empty((0, 3))).shape == (0,)
