"""What is written of a crystal, and what is asked of all."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from studies.kinetic_monte_carlo.__main__ import (
    LOWEST,
    TABLE,
    fate,
    score,
    table,
    walked,
)
from superionic.landscape.grid import Grid
from superionic.landscape.landscape import Landscape, OrbitLandscape
from superionic.landscape.symmetry import IDENTITY, SiteOrbit, SpaceGroup
from superionic.units import A2_PER_PS_TO_CM2_PER_S

EMPTY_eV, PASS_eV = 0.2, 0.35


def wave(shape, ion, height, extra):
    """Return a map with minima at the ion and half a cell away along every axis."""
    axes = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    away = np.stack(axes, axis=-1) - ion
    twice = height * (1 - np.cos(4 * np.pi * away)).sum(axis=-1) / 2
    return twice + extra * (1 - np.cos(2 * np.pi * away[..., 0])) / 2


def landscape(energies, ion):
    grid = Grid(6.0 * np.eye(3), energies.shape, (0.1, 0.2, 0.3))
    at = np.array(ion) + grid.origin
    orbit = SiteOrbit(0, [], [0], [IDENTITY])
    return Landscape(
        structure=Structure(Lattice.cubic(6.0), ["Li", "Cl"], [at, at + 0.25]),
        mobile_species="Li",
        grid=grid,
        orbits=[OrbitLandscape(orbit, energies, energies < np.inf, 0.0)],
        space_group=SpaceGroup(1, "P1", []),
        n_operations=1,
        n_evaluations=1,
        wall_time_s=1.0,
    )


def test_a_crystal_with_empty_sites_conducts_and_says_how_well():
    ion = [0.25, 0.5, 0.75]
    found = walked(landscape(wave((24, 24, 24), ion, 0.3, EMPTY_eV), ion))
    # Eight minima a cell, four of them above the others.
    assert (found["n_ions"], found["n_sites"], found["dimensions"]) == (1, 8, 3)
    assert found["lowest_empty_eV"] == pytest.approx(0.0)
    assert found["supercell_ions"] == 27
    hot, cold = found["1000K"], found["300K"]
    assert fate(found) == "diffuses"
    assert score(found, 1000.0) > score(found, 300.0) > LOWEST
    # Nernst and Einstein: n q^2 D / kT, with one ion in 216 A^3.
    charge = 1.602176634e-19
    expected = charge**2 * hot["collective_A2_per_ps"]["value"] * A2_PER_PS_TO_CM2_PER_S
    expected /= 216e-24 * 1.380649e-23 * 1000
    assert hot["conductivity_S_per_cm"] == pytest.approx(expected, rel=1e-3)
    assert cold["time_ps"] > hot["time_ps"]


def test_a_crystal_without_an_empty_site_is_closed_and_last():
    ion = [0.25, 0.5, 0.75]
    axes = np.meshgrid(*(np.arange(20) / 20 for _ in range(3)), indexing="ij")
    away = np.stack(axes, axis=-1) - ion
    found = walked(landscape(0.2 * (1 - np.cos(2 * np.pi * away)).sum(axis=-1), ion))
    assert (found["n_sites"], found["lowest_empty_eV"], found["dimensions"]) == (1, None, 3)
    assert fate(found) == "no site is empty"
    assert score(found, 1000.0) == score(found, 300.0) == LOWEST
    assert found["1000K"]["time_ps"] is None


def test_the_table_is_that_of_the_published_numbers(shared):
    assert TABLE.read_text() == table(shared / "data")
