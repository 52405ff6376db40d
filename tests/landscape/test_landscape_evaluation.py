"""Landscapes from potentials with known energies, broken symmetry, bad input."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from landscape_helpers import (
    FunctionPotential,
    cosine_potential,
    direct_map,
    pair_energies,
    pair_potential,
)
from pymatgen.core import Lattice, Structure

from superionic.errors import (
    DisorderError,
    IsolatedAtomsError,
    LandscapeError,
    NoFrameworkError,
    NoMobileIonError,
    NonFiniteEnergyError,
    SettingsError,
    UnknownElementError,
)
from superionic.landscape.descriptors import DescriptorSettings, compute_descriptors
from superionic.landscape.grid import plain_shape
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings
from superionic.potentials.registry import load_potential

OPEN = LandscapeSettings(grid_step_A=0.25, exclusion_radius_A=0.0, symmetry=False)
SHARP = DescriptorSettings(threshold_offsets_eV=(0.0,))


def crystal(lattice=None, mobile=((0.5, 0.5, 0.5),), last=(0.0, 0.0, 0.0)):
    return Structure(
        lattice or Lattice.orthorhombic(4.0, 5.0, 6.0), ["Li"] * len(mobile) + ["Cl"],
        [*mobile, last],
    )  # fmt: skip


def describe(landscape):
    maps = (energies for _, energies in landscape.maps())
    return compute_descriptors(maps, landscape.grid.lattice, SHARP)


class TestKnownLandscapes:
    @pytest.mark.parametrize("amplitudes", [(0.3, 0.5, 0.9), (0.9, 0.3, 0.5), (0.4, 0.4, 2.0)])
    def test_barriers_of_a_sum_of_cosines(self, amplitudes):
        # Along axis k the ion has to pass f_k = 1/2, which the grid has: A_k and nothing else.
        landscape = compute_landscape(crystal(), "Li", cosine_potential(*amplitudes), OPEN)
        assert landscape.grid.shape == (16, 20, 24)
        result = describe(landscape)
        one, two, three = sorted(amplitudes)
        assert result.mpe_eV == pytest.approx(one)
        assert result.barrier_1d_eV == pytest.approx(one)
        assert result.barrier_2d_eV == pytest.approx(two)
        assert result.barrier_3d_eV == pytest.approx(three)

    def test_barriers_in_a_skewed_cell(self):
        lattice = Lattice.from_parameters(4.0, 5.0, 6.0, 70, 105, 115)
        landscape = compute_landscape(crystal(lattice), "Li", cosine_potential(0.7, 0.2, 0.4), OPEN)
        result = describe(landscape)
        assert result.barrier_1d_eV == pytest.approx(0.2)
        assert result.barrier_2d_eV == pytest.approx(0.4)
        assert result.barrier_3d_eV == pytest.approx(0.7)

    def test_free_volume_of_a_slab(self):
        # E = A (1 - cos 2 pi x) / 2 is below t in a fraction arccos(1 - 2 t / A) / pi of the cell;
        # of the two slabs of the window only the one round the minimum is connected.
        landscape = compute_landscape(
            crystal(Lattice.orthorhombic(40.0, 3.0, 3.0)), "Li", cosine_potential(2.0, 0, 0), OPEN
        )
        result = describe(landscape)
        for threshold in (0.1, 0.5, 1.0, 1.5):
            exact = np.arccos(1 - threshold) / np.pi
            at = result.at(threshold)
            assert at["fv_disconnected_union"] == pytest.approx(exact, abs=1 / 160)
            assert at["fv_connected_union"] == pytest.approx(exact / 2, abs=1 / 320)
            assert at["free_volume_A3_per_ion"] == pytest.approx(360 * exact, abs=360 / 160)
        assert result.at(2.5)["fv_connected_union"] == 1.0
        assert result.mpe_eV == pytest.approx(0, abs=1e-12)  # free along the slab
        assert result.barrier_2d_eV == pytest.approx(0, abs=1e-12)
        assert result.barrier_3d_eV == pytest.approx(2.0)

    def test_the_minimum_of_each_map_is_zero_and_its_energy_is_kept(self):
        potential = FunctionPotential(
            lambda atoms, index, r: 7.5 - 2.0 * index + cosine_potential(1, 1, 1).function(
                atoms, index, r
            )
        )  # fmt: skip
        landscape = compute_landscape(
            crystal(mobile=[(0.5, 0.5, 0.5), (0.2, 0.1, 0.7)]), "Li", potential, OPEN
        )
        assert [one.minimum_eV for one in landscape.orbits] == pytest.approx([7.5, 5.5])
        for one in landscape.orbits:
            assert one.energies_eV.min() == 0
            assert one.energies_eV.max() == pytest.approx(3.0)

    def test_excluded_points_hold_the_largest_evaluated_energy(self):
        settings = LandscapeSettings(exclusion_radius_A=1.2, symmetry=False)
        # The energy is lowest at the framework ion, where the mobile ion must not go.
        landscape = compute_landscape(crystal(), "Li", cosine_potential(1.0, 1.0, 1.0), settings)
        (one,) = landscape.orbits
        points = landscape.grid.fractional(np.arange(landscape.grid.n_points))
        d = landscape.structure.lattice.get_all_distances(points, [[0, 0, 0]])[:, 0]
        assert np.array_equal(one.evaluated.ravel(), d >= 1.2)
        assert landscape.n_evaluations == np.count_nonzero(d >= 1.2) < d.size
        assert np.all(one.energies_eV[~one.evaluated] == one.energies_eV[one.evaluated].max())
        assert one.minimum_eV > 0

    def test_an_ion_excludes_others_not_itself(self):
        pair = Structure(Lattice.cubic(3.0), ["Li", "Cl"], [[0.1, 0.2, 0.3], [0.6, 0.7, 0.8]])
        landscape = compute_landscape(
            pair, "Li", cosine_potential(1, 1, 1), LandscapeSettings(symmetry=False)
        )
        near = landscape.grid.near(pair.frac_coords[1:], 1.2)
        assert near.any()
        np.testing.assert_array_equal(landscape.orbits[0].evaluated, ~near)

    def test_ions_of_other_charge_or_element_do_not_move(self):
        structure = Structure(
            Lattice.cubic(5.0), ["Na", "Li", "Cl"], [[0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0, 0]]
        )
        landscape = compute_landscape(structure, "Na", pair_potential(), OPEN)
        assert landscape.mobile_sites == [0]
        assert landscape.mobile_species == "Na"


def with_field(height_eV):
    """The pair potential and a wave along z that is fixed in space, not to the crystal."""

    def energies(atoms, index, r):
        field = height_eV * np.cos(2 * np.pi * r[:, 2] / atoms.cell[2, 2] + 0.3)
        return pair_energies(atoms, index, r) + field

    return FunctionPotential(energies)


PYRITE = Structure.from_spacegroup(
    "Pa-3", Lattice.cubic(5.6), ["Li", "S"], [[0, 0, 0], [0.39, 0.39, 0.39]]
)
COARSE = LandscapeSettings(grid_step_A=0.5)
COARSE_P1 = LandscapeSettings(grid_step_A=0.5, symmetry=False)


def assert_same_maps(one, other):
    for (site, energies), (expected_site, expected) in zip(one.maps(), other.maps(), strict=True):
        assert site == expected_site
        assert np.array_equal(energies, expected)


class TestBrokenSymmetry:
    @pytest.mark.parametrize("seed", range(5))
    def test_by_the_potential(self, seed):
        settings = LandscapeSettings(grid_step_A=0.5, seed=seed)
        landscape = compute_landscape(PYRITE, "Li", with_field(0.1), settings)
        (remark,) = landscape.remarks
        assert remark.code == "symmetry_broken"
        assert "Pa-3" in remark.text
        assert landscape.n_operations == 1
        assert landscape.grid.shape == plain_shape(landscape.grid.lattice, 0.5)
        plain = compute_landscape(PYRITE, "Li", with_field(0.1), COARSE_P1)
        assert_same_maps(landscape, plain)
        assert landscape.n_evaluations > plain.n_evaluations  # the checks are counted

    def test_by_the_potential_round_a_single_ion(self):
        lone = Structure.from_spacegroup(
            "Pm-3m", Lattice.cubic(3.9), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        )
        landscape = compute_landscape(lone, "Li", with_field(0.1), COARSE)
        assert [remark.code for remark in landscape.remarks] == ["symmetry_broken"]
        assert compute_landscape(lone, "Li", pair_potential(), COARSE).n_operations == 48

    def test_below_the_tolerance_it_counts_as_kept(self):
        landscape = compute_landscape(PYRITE, "Li", with_field(5e-4), COARSE)
        assert not landscape.remarks
        assert landscape.n_operations == 24

    def test_checks_can_be_switched_off(self):
        settings = LandscapeSettings(grid_step_A=0.5, n_symmetry_checks=0)
        assert not compute_landscape(PYRITE, "Li", with_field(0.1), settings).remarks

    def test_by_one_ion_of_an_orbit_alone(self):
        """Each ion's own map is symmetric; ions that symmetry makes equal are not."""

        def energies(atoms, index, r):
            return pair_energies(atoms, index, r) * (1.2 if index == 0 else 1.0)

        landscape = compute_landscape(PYRITE, "Li", FunctionPotential(energies), COARSE)
        assert [remark.code for remark in landscape.remarks] == ["symmetry_broken"]

    def test_by_noise_in_the_positions(self):
        noisy = PYRITE.copy()
        noisy.perturb(0.03, seed=4)
        loose = LandscapeSettings(grid_step_A=0.5, symprec_A=0.1)
        landscape = compute_landscape(noisy, "Li", pair_potential(), loose)
        assert landscape.space_group.symbol == "Pa-3"
        assert [remark.code for remark in landscape.remarks] == ["symmetry_broken"]
        assert_same_maps(landscape, compute_landscape(noisy, "Li", pair_potential(), COARSE_P1))
        # At the default tolerance there is no such symmetry to begin with.
        tight = compute_landscape(noisy, "Li", pair_potential(), COARSE)
        assert (tight.space_group.symbol, tight.remarks) == ("P1", [])

    def test_noise_far_below_the_tolerance_is_harmless(self):
        noisy = PYRITE.copy()
        noisy.perturb(1e-5, seed=4)
        landscape = compute_landscape(noisy, "Li", pair_potential(), COARSE)
        assert not landscape.remarks
        assert landscape.n_operations == 24
        for site, energies in landscape.maps():
            direct = direct_map(landscape, pair_potential(), site)
            assert np.abs(energies - direct).max() < 3e-4


class TestBadInput:
    def test_no_mobile_ion(self):
        with pytest.raises(NoMobileIonError, match="holds no Na"):
            compute_landscape(PYRITE, "Na", pair_potential())

    def test_no_framework(self):
        metal = Structure(Lattice.cubic(3.4), ["Li", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        potential = pair_potential()
        with pytest.raises(NoFrameworkError, match="nothing but Li"):
            compute_landscape(metal, "Li", potential)
        assert potential.n_energies == 0

    def test_atoms_without_a_neighbour_within_the_cutoff(self):
        sparse = Structure(Lattice.cubic(6.2), ["Cs", "Li"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        potential = pair_potential()
        potential.cutoff_A = 5.0
        words = r"2 of 2 atoms, the first Cs1, have no neighbour within 5 A.*test:function"
        with pytest.raises(IsolatedAtomsError, match=words) as caught:
            compute_landscape(sparse, "Li", potential)
        assert potential.n_energies == 0
        assert "--potential" in caught.value.hint
        potential.cutoff_A = 6.0
        compute_landscape(sparse, "Li", potential, COARSE)

    @pytest.mark.parametrize("settings", [COARSE, COARSE_P1])
    def test_a_map_without_any_difference_is_no_landscape(self, settings):
        flat = FunctionPotential(lambda atoms, index, r: np.full(len(r), -3.0))
        with pytest.raises(LandscapeError, match="is the same at all") as caught:
            compute_landscape(PYRITE, "Li", flat, settings)
        assert "--min-width" in caught.value.hint

    def test_one_point_that_can_be_evaluated(self):
        """All others are too near to an ion: without a refusal the barrier would be 0."""
        salt = Structure(Lattice.cubic(2.6), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        settings = LandscapeSettings(grid_step_A=1.4, exclusion_radius_A=2.2)
        with pytest.raises(LandscapeError, match="is the same at all 1 of 8"):
            compute_landscape(salt, "Li", pair_potential(), settings)

    def test_unknown_element(self):
        potential = FunctionPotential(pair_energies, elements=frozenset({"Li", "O"}))
        with pytest.raises(UnknownElementError, match=r"test:function was not trained on S\."):
            compute_landscape(PYRITE, "Li", potential)
        assert potential.n_energies == 0

    def test_partial_occupancies(self):
        disordered = Structure(Lattice.cubic(4), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
        with pytest.raises(DisorderError):
            compute_landscape(disordered, "Li", pair_potential())

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("settings", [COARSE, COARSE_P1])
    def test_energies_that_are_not_finite(self, wrong, settings):
        def energies(atoms, index, r):
            values = pair_energies(atoms, index, r)
            values[len(values) // 2 :] = wrong
            return values

        with pytest.raises(NonFiniteEnergyError, match="test:function gave"):
            compute_landscape(PYRITE, "Li", FunctionPotential(energies), settings)

    @pytest.mark.parametrize("symmetry", [True, False])
    def test_every_point_excluded(self, symmetry):
        settings = LandscapeSettings(grid_step_A=0.5, exclusion_radius_A=4.0, symmetry=symmetry)
        potential = pair_potential()
        with pytest.raises(LandscapeError, match=r"closer than 4\.0 A"):
            compute_landscape(PYRITE, "Li", potential, settings)
        assert potential.n_energies == 0

    @pytest.mark.parametrize(
        "change",
        [
            {"grid_step_A": 0.0},
            {"grid_step_A": float("nan")},
            {"grid_step_A": float("inf")},
            {"exclusion_radius_A": -0.1},
            {"exclusion_radius_A": float("nan")},
            {"symprec_A": 0.0},
            {"symmetry_tolerance_eV": 0.0},
            {"n_symmetry_checks": -1},
            {"max_grid_growth": 0.9},
            {"max_grid_growth": float("inf")},
        ],
    )
    def test_settings_that_cannot_be_used(self, change):
        with pytest.raises(SettingsError) as caught:
            LandscapeSettings(**change)
        assert caught.value.hint


class TestReference:
    def test_switches_every_approximation_off(self):
        assert asdict(LandscapeSettings.reference()) == asdict(LandscapeSettings()) | {
            "symmetry": False,
            "fast": False,
        }


class TestProgress:
    @pytest.mark.parametrize(
        ("potential", "settings"),
        [(pair_potential(), COARSE), (pair_potential(), COARSE_P1), (with_field(0.1), COARSE)],
    )
    def test_reaches_what_was_planned(self, potential, settings):
        calls = []
        before = potential.n_energies
        landscape = compute_landscape(
            PYRITE, "Li", potential, settings, progress=lambda *call: calls.append(call)
        )
        done = [call[0] for call in calls]
        assert done == sorted(done)
        assert {planned for _, planned in calls} == {landscape.n_evaluations}
        assert done[-1] == landscape.n_evaluations == potential.n_energies - before


@pytest.mark.parametrize("former", [{"adaptive": AdaptiveSettings()}, {"flood_to_eV": 1.0}])
def test_modes_of_earlier_versions_are_refused_before_any_energy(former):
    potential = pair_potential()
    with pytest.raises(SettingsError, match=next(iter(former))) as refused:
        compute_landscape(PYRITE, "Li", potential, replace(COARSE, **former))
    assert "--learned" in refused.value.hint
    assert potential.n_energies == 0


@pytest.mark.real_potential
class TestRealPotential:
    @pytest.mark.parametrize("name", ["mp-28593", "mp-22899"])
    def test_symmetry_leaves_the_maps_as_they_are(self, name, example_crystals):
        structure = Structure.from_file(example_crystals / f"{name}.cif")
        structure = structure.get_primitive_structure()
        chgnet = load_potential("chgnet", check=False)
        landscape = compute_landscape(structure, "Li", chgnet, LandscapeSettings(grid_step_A=0.45))
        assert not landscape.remarks
        assert landscape.n_operations == 48
        for site, energies in landscape.maps():
            assert np.abs(energies - direct_map(landscape, chgnet, site)).max() < 1e-4
