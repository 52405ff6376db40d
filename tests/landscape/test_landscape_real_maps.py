"""What is read from maps of real crystals does not depend on how grid and crystal are written.

Exact landscapes with CHGNet, small: rock salt, a Heusler phase, a layered nitride, and one of the
type of caesium chloride, so that grids are face-centred, hexagonal and primitive cubic.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from test_landscape_stencils import unimodular

from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.percolation import shared_barriers
from superionic.landscape.settings import LandscapeSettings
from superionic.landscape.transport import effective_diffusivity
from superionic.potentials.registry import load_potential
from superionic.structures.candidate import Candidate
from superionic.structures.prepare import prepare

pytestmark = pytest.mark.real_potential

CRYSTALS = {
    "LiI": ("Fm-3m", Lattice.cubic(6.0), ["Li", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "Li3Bi": (
        "Fm-3m", Lattice.cubic(6.72), ["Li", "Li", "Bi"],
        [[0.25, 0.25, 0.25], [0.5, 0.5, 0.5], [0, 0, 0]],
    ),
    "LiAg": ("Pm-3m", Lattice.cubic(3.17), ["Li", "Ag"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "Li3N": (
        "P6/mmm", Lattice.hexagonal(3.64, 3.87), ["Li", "Li", "N"],
        [[0, 0, 0.5], [1 / 3, 2 / 3, 0], [0, 0, 0]],
    ),
    "LiBeAs": (
        "P4/nmm", Lattice.tetragonal(3.72, 6.13), ["Li", "Be", "As"],
        [[0, 0.5, 0.654], [0, 0, 0], [0, 0.5, 0.225]],
    ),
}  # fmt: skip
CUBIC = ("LiI", "Li3Bi", "LiAg")


@cache
def landscape(name, grid_step_A=0.4, shift=(0.0, 0.0, 0.0)):
    structure = Structure.from_spacegroup(*CRYSTALS[name])
    structure = prepare(Candidate(name, structure), "Li").structure
    structure.translate_sites(range(len(structure)), shift)
    chosen = LandscapeSettings(grid_step_A=grid_step_A)
    found = compute_landscape(structure, "Li", load_potential("chgnet", check=False), chosen)
    assert found.n_operations > 15
    return found


def maps_of(name):
    """Return the maps of all ions, shape (n_ions, n1, n2, n3), and the lattice."""
    found = landscape(name)
    return np.stack([energies for _, energies in found.maps()]), found.grid.lattice


def rewritten(maps, lattice, change):
    """Return the same points of maps, and their lattice, by other vectors between grid points."""
    n = np.array(maps.shape[1:])
    steps = change @ (lattice / n[:, None])
    # A cell of the new vectors that holds whole cells of the old ones along each.
    times = np.array([np.lcm.reduce(n // np.gcd(n, np.abs(row))) for row in change])
    index = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), axis=-1) @ change
    i, j, k = np.moveaxis(index % n, -1, 0)
    return maps[:, i, j, k], steps * times[:, None]


def variants(name):
    """Draw the maps of a crystal on the same points, shifted and in other vectors."""

    @st.composite
    def one(draw):
        maps, lattice = maps_of(name)
        shift = draw(st.tuples(*[st.integers(0, n - 1) for n in maps.shape[1:]]))
        maps, lattice = rewritten(np.roll(maps, shift, axis=(1, 2, 3)), lattice, draw(unimodular()))
        return maps, lattice

    return one().filter(lambda found: found[0][0].size < 200_000)


def shared(maps):
    return (maps - maps.min(axis=(1, 2, 3), keepdims=True)).min(axis=0)


@pytest.mark.parametrize("name", CUBIC)
def test_cubic_crystals_conduct_alike_in_all_directions(name):
    maps, lattice = maps_of(name)
    tensor = effective_diffusivity(shared(maps), lattice, 1000.0)
    assert tensor == pytest.approx(np.trace(tensor) / 3 * np.eye(3), rel=1e-4, abs=1e-12)
    assert np.trace(tensor) > 1e-9


def test_a_hexagonal_crystal_conducts_alike_across_its_axis():
    maps, lattice = maps_of("Li3N")
    tensor = effective_diffusivity(shared(maps), lattice, 1000.0)
    axis = lattice[2] / np.linalg.norm(lattice[2])
    across = np.trace(tensor) / 2 - axis @ tensor @ axis / 2
    expected = across * np.eye(3) + (axis @ tensor @ axis - across) * np.outer(axis, axis)
    assert tensor == pytest.approx(expected, rel=1e-4, abs=1e-4 * across)


@pytest.mark.parametrize("name", CRYSTALS)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_effective_diffusivity_is_that_of_the_points(name, data):
    maps, lattice = maps_of(name)
    expected = effective_diffusivity(shared(maps), lattice, 1000.0)
    other, of_other = data.draw(variants(name))
    found = effective_diffusivity(shared(other), of_other, 1000.0)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.trace(expected))


@pytest.mark.parametrize("step_A", [np.inf, 0.25], ids=["on points", "between them"])
class TestBarriersOfTheSharedMap:
    @pytest.mark.parametrize("name", CUBIC)
    def test_in_cubic_crystals_one_way_is_all(self, name, step_A):
        maps, lattice = maps_of(name)
        one, two, three = shared_barriers(maps, lattice, step_A=step_A)
        assert one == pytest.approx(three, abs=1e-4)
        assert two == pytest.approx(three, abs=1e-4)
        assert 0 < three < 5

    @pytest.mark.parametrize("name", CRYSTALS)
    @settings(max_examples=8, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_they_are_those_of_the_points(self, name, step_A, data):
        maps, lattice = maps_of(name)
        if step_A < np.inf:  # one doubling, however far points are apart along other vectors
            step_A = 0.9 * np.linalg.norm(lattice / np.array(maps.shape[1:])[:, None], axis=1).max()
        expected = shared_barriers(maps, lattice, step_A=step_A)
        other, of_other = data.draw(variants(name))
        longest = np.linalg.norm(of_other / np.array(other.shape[1:])[:, None], axis=1).max()
        step_A = np.inf if step_A == np.inf else 0.9 * longest
        assert shared_barriers(other, of_other, step_A=step_A) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["LiBeAs", "Li3N"])
@pytest.mark.parametrize("shift", [(0.013, 0.37, 0.22), (0.5, 0.5, 0.1)])
def test_the_origin_of_a_crystal_changes_nothing(name, shift):
    here, there = landscape(name), landscape(name, shift=shift)
    assert here.grid.shape == there.grid.shape
    assert here.n_evaluations == there.n_evaluations
    one, other = (
        compute_descriptors([m for _, m in each.maps()], each.grid.lattice)
        for each in (here, there)
    )
    for number in ("mpe_eV", "barrier_1d_eV", "barrier_3d_eV", "fv_disconnected"):
        assert getattr(other, number) == pytest.approx(getattr(one, number), abs=1e-3)
    # Further up the window's place decides, which is that of the first of equal minima.
    first, second = (each.at(0.5)["fv_connected_sum"] for each in (one, other))
    assert second == pytest.approx(first, abs=1e-3)
    assert other.xi == pytest.approx(one.xi, abs=2e-3)
