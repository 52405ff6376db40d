"""Descriptors on landscapes whose free volumes are known, and the published golden values."""

import math
import warnings
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landscape_helpers import brute_force_levels, lowest_on_a_face
from pymatgen.core import Lattice

from superionic.errors import LandscapeError, SettingsError
from superionic.landscape.descriptors import (
    Descriptors,
    DescriptorSettings,
    compute_descriptors,
    narrow_cell_remarks,
    xi,
)

CUBE = np.diag([6.0, 6.0, 6.0])

LICL = np.array([[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]])


def one_threshold(threshold_eV):
    return DescriptorSettings(
        thresholds_eV=(threshold_eV,), threshold_offsets_eV=(0.0,), xi_threshold_eV=threshold_eV
    )


def harmonic_well(n, stiffness, centre=(0, 0, 0)):
    """Return k r^2 of the nearest image of ``centre`` (grid index) in a cube of 6 A."""
    axes = [((np.arange(n) - c + n // 2) % n - n // 2) * 6.0 / n for c in centre]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return stiffness * (x**2 + y**2 + z**2)


def random_maps(seed, n_ions=3, shape=(4, 5, 3), step=0.125):
    """Return maps on few energies, so that thresholds fall on them."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(1, 20, (n_ions, *shape)) * step
    maps[:, 0, 0, 0] = 0.5
    for one in maps:  # a single minimum each
        one[tuple(rng.integers(0, shape))] = 0.0
    return maps


class TestDisconnected:
    def test_sphere_of_a_harmonic_well(self):
        # 2 eV/A^2: r = 1 A at 2 eV, 4/3 pi A^3; a second, equal ion elsewhere.
        wells = [harmonic_well(60, 2.0), harmonic_well(60, 2.0, (30, 30, 30))]
        result = compute_descriptors(wells, CUBE, one_threshold(2.0))
        sphere = 4 / 3 * math.pi
        assert result.cell_volume_A3 == pytest.approx(216)
        assert result.free_volume_A3_per_ion[0] == pytest.approx(sphere, rel=0.02)
        assert result.fv_disconnected_union[0] == pytest.approx(2 * sphere / 216, rel=0.02)
        assert result.fv_disconnected_sum[0] == pytest.approx(2 * sphere / 216, rel=0.02)

    def test_overlap_counts_once_in_the_union_and_twice_in_the_sum(self):
        well = harmonic_well(24, 2.0)
        single = compute_descriptors([well], CUBE)
        double = compute_descriptors([well, well], CUBE)
        assert double.fv_disconnected_union == single.fv_disconnected_union
        assert double.fv_connected_union == single.fv_connected_union
        assert double.fv_disconnected_sum == pytest.approx(2 * np.array(single.fv_disconnected_sum))
        assert double.fv_connected_sum == pytest.approx(2 * np.array(single.fv_connected_sum))
        assert double.free_volume_A3_per_ion == pytest.approx(single.free_volume_A3_per_ion)

    def test_below_is_strict(self):
        energies = np.array([0.0, 0.25, 0.5, 0.75]).reshape(1, 1, 4)
        for threshold, points in ((0.25, 1), (0.26, 2), (0.5, 2), (0.75, 3), (0.76, 4)):
            result = compute_descriptors([energies], CUBE, one_threshold(threshold))
            assert result.fv_disconnected_union == (points / 4,)

    def test_mean_over_the_offsets(self):
        # A ramp of 100 points: the fraction below t is about t, and the mean over offsets too.
        energies = np.linspace(0, 0.99, 100).reshape(1, 1, 100)
        offsets = (-0.105, 0.055, 0.2)
        result = compute_descriptors(
            [energies],
            CUBE,
            DescriptorSettings(thresholds_eV=(0.5,), threshold_offsets_eV=offsets),
        )
        expected = np.mean([(energies < 0.5 + o).mean() for o in offsets])
        assert result.fv_disconnected_union[0] == pytest.approx(expected)
        assert expected == pytest.approx(0.55, abs=0.01)


class TestConnected:
    def test_isolated_well_fills_one_of_eight_cells(self):
        well = harmonic_well(24, 2.0, (3, 20, 11))
        result = compute_descriptors([well], CUBE, one_threshold(1.0))
        assert result.fv_connected_union[0] == pytest.approx(result.fv_disconnected_union[0] / 8)
        assert result.fv_connected_union[0] > 0

    def test_a_channel_fills_both_cells_along_itself(self):
        # Open along the third axis only: two of the eight cells of the window.
        n = 8
        energies = np.full((n, n, n), 9.0)
        energies[2, 5, :] = 0.1
        energies[2, 5, 3] = 0.0
        result = compute_descriptors([energies], CUBE, one_threshold(0.5))
        assert result.fv_connected_union[0] == pytest.approx(n / n**3 / 4)

    def test_free_flight_fills_the_window(self):
        result = compute_descriptors([np.zeros((3, 4, 5))], CUBE)
        assert set(result.fv_connected_union) == {1.0}
        assert set(result.fv_disconnected_sum) == {1.0}
        assert result.mpe_eV == result.barrier_3d_eV == 0.0

    def test_second_minimum_behind_a_barrier_is_disconnected(self):
        energies = np.full((8, 8, 8), 9.0)
        energies[1, 1, 1] = 0.0
        energies[5, 5, 5] = 0.1
        result = compute_descriptors([energies], CUBE, one_threshold(0.5))
        assert result.fv_disconnected_union[0] == pytest.approx(2 / 512)
        assert result.fv_connected_union[0] == pytest.approx(1 / 4096)

    def test_pockets_of_several_ions_are_put_in_their_own_places(self):
        # The same pocket in the crystal, reached by two ions from different minima in it.
        first = np.full((6, 6, 6), 9.0)
        first[1:3, 4, 2:5] = 0.2
        second = first.copy()
        first[1, 4, 2] = 0.0
        second[2, 4, 4] = 0.0
        shared = compute_descriptors([first, second], CUBE, one_threshold(0.5))
        assert shared.fv_connected_union[0] == pytest.approx(6 / 12**3)
        assert shared.fv_connected_sum[0] == pytest.approx(12 / 12**3)
        apart = compute_descriptors([first, np.roll(second, 3, axis=0)], CUBE, one_threshold(0.5))
        assert apart.fv_connected_union[0] == pytest.approx(12 / 12**3)

    @given(st.integers(0, 10**6))
    @settings(max_examples=25, deadline=None)
    def test_equal_to_point_by_point_counting(self, seed):
        """Count from the definition: merge the window modulo 2n, shift, unite, average."""
        maps = random_maps(seed)
        thresholds, offsets = (0.25, 0.5, 1.0), (-0.125, 0.0, 0.1)
        result = compute_descriptors(
            maps,
            CUBE,
            DescriptorSettings(thresholds_eV=thresholds, threshold_offsets_eV=offsets),
        )
        shape = maps.shape[1:]
        window = tuple(2 * n for n in shape)
        levels = [brute_force_levels(one, CUBE) for one in maps]
        for number, threshold in enumerate(thresholds):
            union, total, cell_union, cell_total = [], [], [], []
            for cut in threshold + np.array(offsets):
                inside = [set() for _ in maps]
                for ion, (one, level) in enumerate(zip(maps, levels, strict=True)):
                    minimum = np.unravel_index(np.argmin(one), shape)
                    for w in product(*map(range, level.shape)):
                        if level[w] < cut:
                            place = (np.array(minimum) + w - shape) % window
                            inside[ion].add(tuple(place.tolist()))
                size = math.prod(window)
                union.append(len(set.union(*inside)) / size)
                total.append(sum(map(len, inside)) / size)
                cell_union.append((maps < cut).any(axis=0).mean())
                cell_total.append((maps < cut).sum() / math.prod(shape))
            assert result.fv_connected_union[number] == pytest.approx(np.mean(union))
            assert result.fv_connected_sum[number] == pytest.approx(np.mean(total))
            assert result.fv_disconnected_union[number] == pytest.approx(np.mean(cell_union))
            assert result.fv_disconnected_sum[number] == pytest.approx(np.mean(cell_total))


class TestInvariance:
    @given(st.integers(0, 10**6))
    @settings(max_examples=25, deadline=None)
    def test_order_of_ions_and_zero_of_energy(self, seed):
        maps = random_maps(seed)
        lattice = np.diag([2.0, 2.5, 1.5])
        expected = compute_descriptors(maps, lattice)

        backwards = compute_descriptors(maps[::-1], lattice)
        assert backwards.mpe_per_ion_eV == expected.mpe_per_ion_eV[::-1]
        assert_same(replace(backwards, mpe_per_ion_eV=expected.mpe_per_ion_eV), expected)
        assert_same(compute_descriptors(maps - 15.5, lattice), expected)
        assert_same(compute_descriptors((one for one in maps), lattice), expected)

    @given(st.integers(0, 10**6), st.permutations(range(3)))
    @settings(max_examples=25, deadline=None)
    def test_order_of_axes(self, seed, order):
        maps = random_maps(seed)
        lattice = np.diag([2.0, 2.5, 1.5]) + 0.2 * np.tri(3, k=-1)
        turned = [one.transpose(order) for one in maps]
        assert_same(
            compute_descriptors(turned, lattice[list(order)]), compute_descriptors(maps, lattice)
        )

    @given(st.integers(0, 10**6), st.tuples(*[st.integers(0, 5)] * 3))
    @settings(max_examples=25, deadline=None)
    def test_origin(self, seed, shift):
        """All but the connected union of several ions, which depends on the image of a minimum."""
        maps = random_maps(seed)
        moved = [np.roll(one, shift, axis=(0, 1, 2)) for one in maps]
        expected = compute_descriptors(maps, CUBE)
        found = compute_descriptors(moved, CUBE)
        same = replace(found, fv_connected_union=expected.fv_connected_union, xi=expected.xi)
        assert_same(same, expected)
        one_ion = compute_descriptors([moved[0]], CUBE)
        assert_same(one_ion, compute_descriptors([maps[0]], CUBE))

    @given(st.integers(0, 10**6))
    @settings(max_examples=25, deadline=None)
    def test_inequalities(self, seed):
        result = compute_descriptors(random_maps(seed), CUBE)
        assert result.barrier_1d_eV <= result.barrier_2d_eV <= result.barrier_3d_eV
        assert result.mpe_eV == min(result.mpe_per_ion_eV)
        for kind in ("connected", "disconnected"):
            union = np.array(getattr(result, f"fv_{kind}_union"))
            total = np.array(getattr(result, f"fv_{kind}_sum"))
            assert np.all(union <= np.minimum(total + 1e-12, 1))
            assert np.all(np.diff(union) >= 0)
            assert np.all(np.diff(total) >= -1e-12)
        connected, disconnected = result.fv_connected_sum, result.fv_disconnected_sum
        assert np.all(np.array(connected) <= np.array(disconnected) + 1e-12)


class TestXi:
    @pytest.mark.parametrize(
        ("connected", "disconnected"), [(0.0725, 0.1456), (0.01, 10**-1.15), (0.3, 0.01), (1, 1)]
    )
    def test_formula(self, connected, disconnected):
        first = 1 / (1 + math.exp(-10 * (math.log10(connected) + 2)))
        second = 1 / (1 + math.exp(-10 * (math.log10(disconnected) + 1.15)))
        assert xi(connected, disconnected) == pytest.approx(first * second)

    def test_a_quarter_where_both_are_at_their_midpoint(self):
        assert xi(0.01, 10**-1.15) == pytest.approx(0.25)

    def test_nothing_free_is_zero_without_a_warning(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert xi(0.0, 0.5) == xi(0.5, 0.0) == xi(0.0, 0.0) == 0.0
            assert xi(1e-300, 1e-300) == pytest.approx(0.0)
            # Strictly below 0 eV there is nothing, not even the minimum.
            result = compute_descriptors([np.ones((2, 2, 2))], CUBE, one_threshold(0.0))
        assert result.fv_connected_union == result.fv_disconnected_union == (0.0,)
        assert result.xi == 0.0

    def test_uses_unions_at_its_threshold(self):
        maps = random_maps(5)
        for threshold in (0.5, 1.5):
            result = compute_descriptors(maps, CUBE, DescriptorSettings(xi_threshold_eV=threshold))
            at = result.at(threshold)
            assert (result.fv_connected, result.fv_disconnected) == (
                at["fv_connected_union"],
                at["fv_disconnected_union"],
            )
            assert result.xi == xi(result.fv_connected, result.fv_disconnected)


class TestPercolation:
    def test_best_ion_gives_the_barrier(self):
        easy = np.full((4, 4, 4), 9.0)
        easy[0, 0, :] = [0.0, 0.3, 0.2, 0.3]
        hard = np.full((4, 4, 4), 9.0)
        hard[2, :, 2] = [0.0, 0.8, 0.2, 0.3]
        result = compute_descriptors([hard, easy], CUBE)
        assert result.mpe_per_ion_eV == (0.8, 0.3)
        assert result.mpe_eV == 0.3

    def test_ions_hand_over_on_the_shared_map(self):
        """Each ion reaches half of a channel: neither percolates, both together do."""
        first = np.full((6, 6, 6), np.inf)
        first[2, 2, 0:4] = [0.0, 0.1, 0.2, 0.1]
        second = np.full((6, 6, 6), np.inf)
        second[2, 2, 3:6] = [0.0, 0.3, 0.1]
        apart = compute_descriptors([first, second], CUBE)
        second[2, 2, 0] = 0.2  # where both can be, one takes over from the other
        result = compute_descriptors([first, second], CUBE)
        assert result.mpe_eV == np.inf
        assert result.barrier_1d_eV == pytest.approx(0.3)
        assert apart.barrier_1d_eV > 1
        assert result.barrier_2d_eV == np.inf

    def test_barrier_above_the_highest_threshold_is_exact(self):
        energies = np.full((4, 4, 4), 50.0)
        energies[1, 1, 1] = 0.0
        energies[1, 1, 2:] = 7.25
        energies[1, 1, 0] = 6.5
        result = compute_descriptors([energies], CUBE)
        assert result.mpe_eV == 7.25 == lowest_on_a_face(brute_force_levels(energies, CUBE))


class TestInput:
    def test_no_maps(self):
        with pytest.raises(LandscapeError, match="no energy map"):
            compute_descriptors([], CUBE)

    def test_maps_on_different_grids(self):
        with pytest.raises(LandscapeError, match=r"\(2, 2, 2\).*\(3, 2, 2\)"):
            compute_descriptors([np.zeros((2, 2, 2)), np.zeros((3, 2, 2))], CUBE)

    def test_nan(self):
        with pytest.raises(LandscapeError, match="1 of 8"):
            compute_descriptors([np.where(np.arange(8) == 3, np.nan, 1.0).reshape(2, 2, 2)], CUBE)

    def test_unknown_threshold(self):
        result = compute_descriptors([np.zeros((2, 2, 2))], CUBE)
        with pytest.raises(LandscapeError, match=r"0\.55"):
            result.at(0.55)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"thresholds_eV": ()},
            {"threshold_offsets_eV": ()},
            {"thresholds_eV": (0.5, 0.5)},
            {"xi_threshold_eV": 0.55},
        ],
    )
    def test_settings(self, wrong):
        with pytest.raises(SettingsError):
            DescriptorSettings(**wrong)


@pytest.mark.parametrize(
    ("potential", "golden"),
    [
        ("chgnet", (0.22191810607910156, 0.072509765625, 0.14564302884615385, 0.9580538170774704)),
        (
            "sevennet",
            (0.28375720977783203, 0.057080078125, 0.11466346153846155, 0.8898818222390633),
        ),
    ],
)
def test_published_golden_values(potential, golden):
    """LiCl (mp-1185319) with CHGNet 0.3.0 and SevenNet-0, default settings, by the authors' code.

    The files hold the total energies in eV of the two Li over the grid of (16, 16, 26) points, each
    from the unchanged packages (``CHGNet.predict_graph``, ``SevenNetCalculator``); points within
    1.2 A of another ion hold the largest of the others.
    """
    with np.load(Path(__file__).with_name(f"licl_{potential}_energies.npz")) as file:
        found = compute_descriptors(file["energies_eV"], LICL)
    assert (found.mpe_eV, found.fv_connected, found.fv_disconnected, found.xi) == pytest.approx(
        golden, abs=1e-9
    )


def assert_same(found: Descriptors, expected: Descriptors):
    for name, value in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_narrow_cells_are_remarked_upon():
    (remark,) = narrow_cell_remarks(Lattice.orthorhombic(3.4, 8, 8))
    assert remark.code == "narrow_cell"
    assert "3.4 A wide" in remark.text
    assert "--min-width" in remark.text
    # What counts is the distance between faces, not the length of the vectors.
    skewed = Lattice.from_parameters(4.0, 4.0, 4.0, 60, 60, 60)
    assert [one.code for one in narrow_cell_remarks(skewed)] == ["narrow_cell"]
    assert narrow_cell_remarks(Lattice.cubic(3.6)) == ()
