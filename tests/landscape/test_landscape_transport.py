"""Effective diffusivity: exact where it is known, bounded, and blind to the choice of cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import i0

from superionic.errors import LandscapeError
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.transport import effective_diffusivity
from superionic.units import BOLTZMANN_eV_per_K

CUBE = np.diag([6.0, 6.0, 6.0])
SKEW = np.array([[4.0, 0, 0], [1.5, 5, 0], [0.3, -1, 6.0]])


def cosine(n, amplitude_eV):
    """Return A cos(2 pi x) along the first of three fractional axes."""
    wave = amplitude_eV * np.cos(2 * np.pi * np.arange(n) / n)
    return np.broadcast_to(wave[:, None, None], (n, 6, 8)).copy()


def rough(seed, shape=(8, 9, 10)):
    """Return a smooth random landscape of some tenths of an eV."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[2 * np.pi * np.arange(n) / n for n in shape], indexing="ij")
    waves = rng.integers(-1, 2, size=(6, 3))
    return 0.1 * sum(
        rng.normal() * np.cos(np.tensordot(wave, axes, axes=1) + rng.uniform(0, 2 * np.pi))
        for wave in waves
    )


@pytest.mark.parametrize("lattice", [CUBE, SKEW], ids=["cube", "skew"])
def test_a_flat_landscape_slows_nothing_down(lattice):
    found = effective_diffusivity(np.full((7, 8, 9), -3.2), lattice, 500.0)
    assert found == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("temperature_K", [600.0, 1000.0])
def test_one_dimension_is_the_formula_of_lifson_and_jackson(temperature_K):
    amplitude = 0.15
    found = effective_diffusivity(cosine(48, amplitude), CUBE, temperature_K)
    exact = 1 / i0(amplitude / (BOLTZMANN_eV_per_K * temperature_K)) ** 2
    assert np.diag(found) == pytest.approx([exact, 1.0, 1.0], rel=0.02)
    assert np.abs(found - np.diag(np.diag(found))).max() < 1e-6


def test_the_error_of_the_grid_is_of_second_order():
    exact = 1 / i0(0.15 / (BOLTZMANN_eV_per_K * 1000)) ** 2
    errors = [
        abs(effective_diffusivity(cosine(n, 0.15), CUBE, 1000.0)[0, 0] - exact) for n in (12, 24)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)


def test_walls_that_close_one_direction_close_it_alone():
    energies = np.zeros((8, 8, 8))
    energies[3] = np.inf
    found = effective_diffusivity(energies, CUBE, 1000.0)
    assert found[0, 0] < 1e-9
    assert found[1, 1] > 0.5


def test_a_closed_pocket_does_not_conduct():
    energies = np.full((10, 10, 10), 9.0)
    energies[3:6, 3:6, 3:6] = 0.0
    assert np.abs(effective_diffusivity(energies, CUBE, 1000.0)).max() < 1e-9


def test_a_repeated_cell_and_a_turned_one_give_the_same_crystal():
    energies = rough(3)
    one = effective_diffusivity(energies, SKEW, 800.0)
    doubled = effective_diffusivity(
        np.tile(energies, (1, 2, 1)), SKEW * np.array([[1], [2], [1]]), 800.0
    )
    assert doubled == pytest.approx(one, abs=1e-5)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = effective_diffusivity(energies, SKEW @ turn.T, 800.0)
    assert turned == pytest.approx(turn @ one @ turn.T, abs=1e-5)
    rolled = effective_diffusivity(np.roll(energies, (2, 3, 1), axis=(0, 1, 2)), SKEW, 800.0)
    assert rolled == pytest.approx(one, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(300, 2000))
def test_it_lies_between_the_bounds_of_wiener(seed, temperature_K):
    energies = rough(seed)
    values = np.linalg.eigvalsh(effective_diffusivity(energies, SKEW, temperature_K))
    weight = np.exp(-(energies - energies.min()) / (BOLTZMANN_eV_per_K * temperature_K))
    harmonic = 1 / (np.mean(weight) * np.mean(1 / weight))
    assert values.max() <= 1.0
    # Weights of tetrahedra lie between those of their corners; 5 % is for the grid.
    assert values.min() >= 0.95 * harmonic


def test_heat_helps():
    found = [effective_diffusivity(rough(5), SKEW, t).trace() for t in (300, 600, 1200)]
    assert found == sorted(found)


def test_it_is_a_descriptor_of_the_map_that_ions_share():
    first, second = rough(1), rough(2)
    shared = np.minimum(first - first.min(), second - second.min())
    found = compute_descriptors([first, second], SKEW).diffusivity_ratios_1000K
    expected = np.linalg.eigvalsh(effective_diffusivity(shared, SKEW, 1000.0))
    assert found == pytest.approx(expected, abs=1e-9)


def test_wrong_input_is_refused():
    with pytest.raises(LandscapeError):
        effective_diffusivity(np.full((4, 4, 4), np.nan), CUBE, 1000.0)
    with pytest.raises(ValueError, match="not positive"):
        effective_diffusivity(np.zeros((4, 4, 4)), CUBE, 0.0)
