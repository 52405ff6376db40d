"""Adaptive and lazy sampling against every point, on a landscape that is known in closed form."""

import numpy as np
import pytest
from landscape_helpers import FunctionPotential
from pymatgen.core import Lattice, Structure

from superionic.errors import SettingsError
from superionic.landscape.adaptive import Sampler, _sparse_sample
from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.evaluation import Evaluation
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import AdaptiveSettings, LandscapeSettings

LENGTH_A = 5.0


def crystal():
    """Two lithium ions in a skewed cell of which the potential below sees the lattice only."""
    lattice = Lattice.from_parameters(LENGTH_A, 5.6, 6.1, 85, 95, 100)
    return Structure(lattice, ["Li", "Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.3, 0.75]])


def potential(barriers_eV, centre_eV=0.2):
    """Wells at the corner and, higher, in the centre; ridges between them; a wall at Cl."""

    def energy(atoms, index, r):
        s = atoms.cell.scaled_positions(r)
        ridges = np.asarray(barriers_eV) / 2 * (1 - np.cos(4 * np.pi * s))
        centre = centre_eV / 2 * (1 - np.cos(2 * np.pi * s[:, 0]))
        delta = s - [0.25, 0.3, 0.75]
        distance = np.linalg.norm((delta - np.rint(delta)) @ atoms.cell.array, axis=1)
        return ridges.sum(axis=1) + centre + 40 * np.exp(-((distance / 0.9) ** 2))

    return FunctionPotential(energy)


def described(barriers_eV, centre_eV=0.2, **kwargs):
    settings = LandscapeSettings(symmetry=False, **kwargs)
    landscape = compute_landscape(crystal(), "Li", potential(barriers_eV, centre_eV), settings)
    maps = (energies for _, energies in landscape.maps())
    return landscape, compute_descriptors(maps, landscape.grid.lattice)


@pytest.mark.parametrize("barriers_eV", [(0.3, 0.8, 2.0), (0.45, 0.45, 0.45), (1.4, 2.5, 3.0)])
def test_adaptive_equals_exact_where_it_claims_to(barriers_eV):
    full, exact = described(barriers_eV)
    sparse, adaptive = described(barriers_eV, adaptive=AdaptiveSettings())
    assert sparse.n_evaluations < 0.6 * full.n_evaluations
    assert adaptive.mpe_eV == pytest.approx(exact.mpe_eV, abs=1e-9)
    assert adaptive.xi == pytest.approx(exact.xi, abs=1e-9)
    assert adaptive.barrier_3d_eV == pytest.approx(exact.barrier_3d_eV, abs=0.02)
    for threshold in (0.1, 0.3, 0.5):
        assert adaptive.at(threshold) == pytest.approx(exact.at(threshold), abs=1e-9)
    # Above the refined range energies are interpolated.
    one, other = adaptive.at(2.0), exact.at(2.0)
    assert one["fv_disconnected_union"] == pytest.approx(other["fv_disconnected_union"], rel=0.1)
    for mine, whole in zip(sparse.orbits, full.orbits, strict=True):
        known = mine.evaluated
        assert known.sum() < whole.evaluated.sum()
        np.testing.assert_allclose(mine.energies_eV[known], whole.energies_eV[known], atol=1e-9)
        low = whole.energies_eV < 0.5
        assert known[low].all()


def test_lazy_flood_gives_the_exact_barrier_for_fewer_energies():
    # Each ion sits in a deepest well: that is what the flood relies on.
    full, exact = described((0.3, 0.8, 2.0), centre_eV=0.0)
    lazy, found = described((0.3, 0.8, 2.0), centre_eV=0.0, flood_to_eV=1.0)
    assert found.mpe_eV == pytest.approx(exact.mpe_eV, abs=1e-9)
    assert lazy.n_evaluations < 0.3 * full.n_evaluations
    assert found.fv_disconnected <= exact.fv_disconnected
    reached = lazy.orbits[0].evaluated
    assert np.isinf(lazy.orbits[0].energies_eV[~reached]).all()


def test_lazy_flood_says_nothing_of_barriers_above_its_level():
    _, exact = described((1.4, 2.5, 3.0))
    _, found = described((1.4, 2.5, 3.0), flood_to_eV=0.8)
    assert exact.mpe_eV > 0.8
    assert np.isinf(found.mpe_eV)


def test_an_ion_that_cannot_beat_the_best_stops_early():
    """The second ion sits in the shallower well; alone it floods farther than after the first."""
    kwargs = {"symmetry": False, "flood_to_eV": 2.5}
    barriers = (0.3, 0.8, 2.0)

    def count(species):
        structure = crystal()
        structure.replace(0, species[0])
        structure.replace(1, species[1])
        settings = LandscapeSettings(**kwargs)
        return compute_landscape(structure, "Li", potential(barriers), settings).n_evaluations

    assert count(("Li", "Li")) <= count(("Li", "Na")) + count(("Na", "Li"))


def test_sparse_sample_is_sparse_and_covers_the_cell():
    settings = LandscapeSettings(symmetry=False)
    evaluation = Evaluation(crystal(), "Li", potential((0.3, 0.8, 2.0)), settings)
    sampling = evaluation.sampling()
    grid = sampling.grid
    plan = next(evaluation.plans(sampling))
    sampler = Sampler(grid, plan.irreducible, plan.inverse, plan.allowed, lambda points: points)
    chosen = np.flatnonzero(_sparse_sample(sampler, 0.7))
    fractional = grid.fractional(plan.irreducible)

    def distances(one, many):
        delta = fractional[one] - fractional[many]
        delta -= np.rint(delta)
        shifts = np.array(list(np.ndindex(3, 3, 3))) - 1
        vectors = (delta[:, None] + shifts[None]) @ grid.lattice
        return np.linalg.norm(vectors, axis=2).min(axis=1)

    for one in chosen:
        assert distances(one, chosen[chosen != one]).min() >= 0.7 - 1e-9
    for one in np.flatnonzero(plan.allowed)[::7]:
        assert distances(one, chosen).min() < 0.7


def test_flood_and_adaptive_exclude_each_other():
    with pytest.raises(SettingsError, match="either adaptive or"):
        LandscapeSettings(flood_to_eV=1.0, adaptive=AdaptiveSettings())
