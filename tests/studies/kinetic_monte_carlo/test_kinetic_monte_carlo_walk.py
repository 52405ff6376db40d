"""Walks on lattices whose diffusion is known."""

from dataclasses import replace

import numpy as np
import pytest

from studies.kinetic_monte_carlo.sites import SiteNetwork
from studies.kinetic_monte_carlo.walk import (
    ATTEMPTS_THz,
    WalkSettings,
    diffusion,
    repeats_of,
    supercell_of,
)
from superionic.units import BOLTZMANN_eV_per_K

A, BARRIER, HOT = 3.0, 0.3, 1000.0
RATE = ATTEMPTS_THz * np.exp(-BARRIER / (BOLTZMANN_eV_per_K * HOT))
OFTEN = WalkSettings(n_hops=40_000, n_samples=500, lag=1)


def cubic():
    """Return a simple cubic lattice of sites, each with its ion."""
    return SiteNetwork(
        lattice=A * np.eye(3),
        positions_A=np.zeros((1, 3)),
        energies_eV=np.zeros(1),
        occupied=np.array([True]),
        ends=np.zeros((3, 2), dtype=int),
        cells=np.eye(3, dtype=int),
        passes_eV=np.full(3, BARRIER),
    )


def along_x(positions, ends, cells, passes, occupied, length=4.0, energies=None):
    return SiteNetwork(
        lattice=np.diag([length, 20.0, 20.0]),
        positions_A=np.array([[x, 0.0, 0.0] for x in positions]),
        energies_eV=np.zeros(len(positions)) if energies is None else np.array(energies),
        occupied=np.array(occupied),
        ends=np.array(ends),
        cells=np.array([[cell, 0, 0] for cell in cells]),
        passes_eV=np.array(passes),
    )


def test_one_ion_on_a_cubic_lattice_diffuses_as_a_random_walk():
    supercell = supercell_of(cubic(), np.array([4, 4, 4]))
    found = diffusion(replace(supercell, ions=supercell.ions[:1]), HOT, OFTEN)
    assert found.tracer_A2_per_ps.value == pytest.approx(A**2 * RATE, rel=0.05)
    assert found.tracer_A2_per_ps.low < A**2 * RATE < found.tracer_A2_per_ps.high
    # Of one ion, tracer and charge are the same.
    assert found.haven.value == pytest.approx(1.0)
    assert found.share_home == pytest.approx(1.0)
    cold = diffusion(replace(supercell, ions=supercell.ions[:1]), 300.0, OFTEN)
    of_both = np.log(found.tracer_A2_per_ps.value / cold.tracer_A2_per_ps.value)
    assert of_both == pytest.approx(BARRIER / BOLTZMANN_eV_per_K * (1 / 300 - 1 / HOT), abs=0.1)


def test_a_vacancy_has_the_correlation_factor_of_the_lattice():
    supercell = supercell_of(cubic(), np.array([6, 6, 6]))
    found = diffusion(replace(supercell, ions=supercell.ions[1:]), HOT, OFTEN)
    vacancies = 1 / 216
    tracer = found.tracer_A2_per_ps.value / (A**2 * RATE * vacancies)
    # K. Compaan, Y. Haven, Trans. Faraday Soc. 52, 786 (1956): 0.6531.
    assert tracer == pytest.approx(0.653, abs=0.03)
    together = found.collective_A2_per_ps.value / (A**2 * RATE * vacancies)
    assert together == pytest.approx(1.0, abs=0.08)
    assert found.haven.low < 0.653 < found.haven.high


def test_blocking_slows_all_ions_together_by_the_share_of_empty_sites():
    supercell = supercell_of(cubic(), np.array([4, 4, 4]))
    half = np.random.default_rng(0).permutation(supercell.ions)[:32]
    found = diffusion(replace(supercell, ions=half), HOT, OFTEN)
    # Exact for this lattice gas at any filling.
    assert found.collective_A2_per_ps.value / (A**2 * RATE * 0.5) == pytest.approx(1, abs=0.08)
    assert found.tracer_A2_per_ps.value < found.collective_A2_per_ps.value


def test_a_full_lattice_stands_still():
    network = cubic()
    assert network.dimensions() == 3
    found = diffusion(supercell_of(network, repeats_of(network.lattice)), HOT)
    assert (found.tracer_A2_per_ps.value, found.bound_A2_per_ps) == (0.0, 0.0)
    assert found.time_ps == np.inf


def test_hops_in_cages_are_no_diffusion():
    cages = along_x([0.0, 2.0], [[0, 1]], [0], [0.1], [True, False])
    assert cages.dimensions() == 0
    found = diffusion(supercell_of(cages, np.array([5, 1, 1])), HOT)
    tracer = found.tracer_A2_per_ps
    assert not tracer.is_found
    assert found.bound_A2_per_ps == tracer.high < 1e-3 * 4.0 * ATTEMPTS_THz
    # An ion that goes aside to a poor place and comes back has not moved at all.
    aside = along_x([0.0, 2.0], [[0, 1]], [0], [0.5], [True, False], energies=[0.0, 0.3])
    still = diffusion(supercell_of(aside, np.array([5, 1, 1])), HOT)
    assert still.tracer_A2_per_ps.value == 0.0
    assert still.bound_A2_per_ps == pytest.approx(4.0**2 / (2 * 5 * still.time_ps))
    assert still.share_home == pytest.approx(
        1 / (1 + np.exp(-0.3 / (BOLTZMANN_eV_per_K * HOT))), abs=0.01
    )


def test_the_slower_of_two_hops_in_a_row_decides():
    chain = along_x([0.0, 2.0], [[0, 1], [1, 0]], [0, 1], [0.1, 0.3], [True, False])
    assert chain.dimensions() == 1
    supercell = supercell_of(chain, np.array([4, 1, 1]))
    found = diffusion(replace(supercell, ions=supercell.ions[:1]), HOT, OFTEN)
    rates = ATTEMPTS_THz * np.exp(-np.array([0.1, 0.3]) / (BOLTZMANN_eV_per_K * HOT))
    exact = 4.0**2 / np.sum(1 / rates) / 2 / 3  # two sites a period; in three dimensions
    assert found.tracer_A2_per_ps.value == pytest.approx(exact, rel=0.1)


def test_no_ion_goes_where_another_is_too_near():
    # The empty site is 1 A from the ion of the next cell, which alone can go there.
    blocked = along_x([0.0, 5.0], [[0, 1]], [0], [0.2], [True, False], length=6.0)
    pairs, cells = blocked.too_near()
    found = [(*pair, cell[0]) for pair, cell in zip(pairs, cells, strict=True)]
    assert sorted(found) == [(0, 1, -1), (1, 0, 1)]
    assert diffusion(supercell_of(blocked, np.array([3, 1, 1])), HOT).time_ps == np.inf
    free = replace(blocked, cells=np.array([[-1, 0, 0]]))
    assert diffusion(supercell_of(free, np.array([3, 1, 1])), HOT).time_ps < np.inf
