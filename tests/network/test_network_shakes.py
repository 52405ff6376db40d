"""Shakes: displacements, accelerations in their unit, batches, and what is refused."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk

from superionic.errors import CellTooLargeError, NonFiniteEnergyError, SettingsError
from superionic.network.settings import ShakeSettings
from superionic.network.shakes import (
    REFERENCE_MASS_U,
    Shakes,
    displacements,
    shake_crystal,
    shakes_key,
)


@pytest.fixture
def lif() -> Atoms:
    return bulk("LiF", "rocksalt", a=4.03)


@pytest.mark.parametrize("distribution", ["gaussian", "ball"])
def test_amplitude_is_the_root_mean_square(distribution):
    settings = ShakeSettings(amplitudes_A=(0.1, 0.3), distribution=distribution)
    for shake, amplitude in ((0, 0.1), (1, 0.3), (2, 0.1)):
        moved = displacements(np.full(20_000, 40.0), shake, settings)
        lengths = np.linalg.norm(moved, axis=1)
        assert np.sqrt(np.mean(lengths**2)) == pytest.approx(amplitude, rel=0.02)
        assert np.abs(moved.mean(axis=0)).max() < 0.03 * amplitude
        if distribution == "ball":
            assert lengths.max() <= amplitude * np.sqrt(5 / 3)


@pytest.mark.parametrize("distribution", ["gaussian", "ball"])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_light_atoms_go_as_far_as_the_exponent_says(distribution, exponent):
    settings = ShakeSettings(amplitudes_A=(0.6,), mass_exponent=exponent, distribution=distribution)
    masses = np.tile([REFERENCE_MASS_U, 4 * REFERENCE_MASS_U], 20_000)
    lengths = np.linalg.norm(displacements(masses, 0, settings), axis=1)
    light, heavy = (np.sqrt(np.mean(part**2)) for part in (lengths[::2], lengths[1::2]))
    assert light == pytest.approx(0.6, rel=0.02)
    assert heavy == pytest.approx(0.6 / 4**exponent, rel=0.02)


def test_the_exponent_comes_along(lif, springs):
    settings = ShakeSettings(n_shakes=2, mass_exponent=0.5)
    shakes = shake_crystal(lif, springs, settings)
    for copy in (shakes.first(1), Shakes.from_arrays(shakes.to_arrays())):
        assert copy.mass_exponent == 0.5
    assert shakes_key(lif, springs.info, settings) != shakes_key(
        lif, springs.info, ShakeSettings(n_shakes=2)
    )


def test_few_shakes_are_the_first_of_many_and_seeds_differ(lif, springs):
    few = shake_crystal(lif, springs, ShakeSettings(n_shakes=2))
    many = shake_crystal(lif, springs, ShakeSettings(n_shakes=5))
    other = shake_crystal(lif, springs, ShakeSettings(n_shakes=2, seed=1))
    np.testing.assert_array_equal(few.positions_A, many.positions_A[:2])
    np.testing.assert_allclose(
        few.accelerations_A_per_ps2, many.first(2).accelerations_A_per_ps2, rtol=1e-12
    )
    assert not np.allclose(few.positions_A, other.positions_A)
    assert (few.n_evaluations, many.n_evaluations) == (3, 6)


def test_acceleration_is_the_change_of_force_over_mass_in_its_unit(lif, springs):
    lif.positions[0] += 0.05  # off its minimum: there is a residual
    settings = ShakeSettings(n_shakes=1, min_image_distance_A=1.0)
    shakes = shake_crystal(lif, springs, settings)
    moved = lif.copy()
    moved.positions = shakes.positions_A[0]
    _, (rest, shaken) = springs.energies_and_forces([lif, moved])
    assert shakes.residual_force_eV_per_A == pytest.approx(np.linalg.norm(rest, axis=1).max())
    # ASE's own system of units: eV / (A amu) is its unit of acceleration, A / t^2.
    expected = (shaken - rest) / lif.get_masses()[:, None] * (1000 * units.fs) ** 2
    np.testing.assert_allclose(shakes.accelerations_A_per_ps2[0], expected, rtol=1e-6)


def test_cells_are_comparable(springs):
    small, large = bulk("LiF", "rocksalt", a=4.03), bulk("LiF", "rocksalt", a=4.03, cubic=True)
    sizes = {
        len(shake_crystal(atoms, springs, ShakeSettings(n_shakes=1)).positions_A[0])
        for atoms in (small, large)
    }
    assert max(sizes) <= 2 * min(sizes)
    assert min(sizes) >= 30
    with pytest.raises(CellTooLargeError, match="more than 10"):
        shake_crystal(small, springs, ShakeSettings(max_atoms=10))


def test_a_batch_that_does_not_fit_splits_itself(lif, springs):
    settings = ShakeSettings(n_shakes=6)
    expected = shake_crystal(lif, springs, settings)
    n_atoms = expected.positions_A.shape[1]
    springs.max_atoms = 2 * n_atoms + 1
    springs.calls.clear()
    found = shake_crystal(lif, springs, settings)
    np.testing.assert_allclose(found.accelerations_A_per_ps2, expected.accelerations_A_per_ps2)
    assert springs.calls[0] > 2
    assert max(springs.calls[-3:]) <= 2
    springs.max_atoms = n_atoms - 1
    with pytest.raises(CellTooLargeError, match="do not fit in memory"):
        shake_crystal(lif, springs, settings)


def test_an_error_that_is_not_memory_is_not_swallowed(lif, springs, monkeypatch):
    def broken(configurations):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(springs, "energies_and_forces", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        shake_crystal(lif, springs)


def test_nan_is_refused_and_enormous_is_kept(lif, springs, monkeypatch):
    inner = springs.energies_and_forces

    def third_is(value):
        seen = []

        def changed(configurations):
            energies, forces = inner(configurations)
            for force in forces:
                seen.append(force)
                if len(seen) == 3:
                    force[0] = value
            return energies, forces

        return changed

    monkeypatch.setattr(springs, "energies_and_forces", third_is(np.nan))
    with pytest.raises(NonFiniteEnergyError, match=r"shake 1.*Shake less"):
        shake_crystal(lif, springs)
    monkeypatch.setattr(springs, "energies_and_forces", third_is(1e9))
    shakes = shake_crystal(lif, springs)
    assert np.abs(shakes.accelerations_A_per_ps2[1]).max() > 1e11


def test_round_trip_through_a_file(lif, springs, tmp_path):
    shakes = shake_crystal(lif, springs, ShakeSettings(n_shakes=2, amplitudes_A=(0.1, 0.2), seed=4))
    np.savez_compressed(tmp_path / "shakes.npz", **shakes.to_arrays())
    with np.load(tmp_path / "shakes.npz", allow_pickle=False) as arrays:
        back = Shakes.from_arrays(arrays)
    for name, value in shakes.to_arrays().items():
        np.testing.assert_array_equal(back.to_arrays()[name], value)
    assert back.potential == shakes.potential


def test_key_changes_with_whatever_changes_the_result(lif, springs):
    keys = {shakes_key(lif, springs.info, ShakeSettings())}
    keys.add(shakes_key(lif, springs.info, ShakeSettings(seed=1)))
    keys.add(shakes_key(lif, type(springs)(stiffness=3.0).info, ShakeSettings()))
    lif.positions[0, 0] += 0.01
    keys.add(shakes_key(lif, springs.info, ShakeSettings()))
    lif.numbers[0] = 11
    keys.add(shakes_key(lif, springs.info, ShakeSettings()))
    assert len(keys) == 5


def test_settings_that_make_no_sense():
    for wrong in ({"amplitudes_A": ()}, {"amplitudes_A": (0.1, 0.0)}, {"n_shakes": 0}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            ShakeSettings(**wrong)
