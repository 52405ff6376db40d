"""Where voids are, when a home is empty, and what a pair of lithium iodide costs."""

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from studies.frenkel import TABLE, frenkel_pair, has_vacancy, table, voids, wanted
from superionic.errors import LandscapeError
from superionic.potentials.registry import load_potential


@pytest.fixture(scope="module")
def iodide():
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(6.0), ["Li", "I"], [[0] * 3, [0.5] * 3])


def test_voids_of_rock_salt_are_the_tetrahedra():
    crystal = bulk("LiI", "rocksalt", a=6.0) * (3, 3, 3)
    cell = bulk("LiI", "rocksalt", a=6.0).cell.array
    homes = np.flatnonzero(crystal.symbols == "Li")
    found = voids(crystal, cell, homes)
    tetrahedra = np.array([[0.25] * 3, [0.75] * 3]) @ cell
    # The grid is 0.5 A wide: the best of its points is at most half a diagonal off.
    for place in tetrahedra:
        assert np.linalg.norm(found - place, axis=1).min() < 0.45
    assert all(
        np.linalg.norm(one - other) >= 1.0 for k, one in enumerate(found) for other in found[:k]
    )


def test_a_home_is_empty_when_no_ion_is_within_one_angstrom_whoever_it_is():
    crystal = bulk("LiI", "rocksalt", a=6.0, cubic=True)
    homes = np.flatnonzero(crystal.symbols == "Li")
    swapped, drifted, vacated = crystal.copy(), crystal.copy(), crystal.copy()
    swapped.positions[homes[:2]] = crystal.positions[homes[[1, 0]]]
    drifted.positions += [1.5, 0.0, 0.0]
    vacated.positions[homes[0]] += [1.5, 1.5, 1.5]
    found = [has_vacancy(one, crystal, homes) for one in (swapped, drifted, vacated)]
    assert found == [False, False, True]


def test_a_pair_of_lithium_iodide_costs_more_than_nothing_and_less_than_at_rest(iodide):
    found = frenkel_pair(iodide.get_primitive_structure(), "Li", load_potential("chgnet"))
    assert found["n_pairs"] == 3
    assert 0.3 < found["pair"]["energy_eV"] < found["pair"]["frozen_eV"]
    assert found["pair"]["distance_A"] > 4.0


def test_a_large_supercell_is_refused():
    cell = Lattice.orthorhombic(20.0, 20.0, 4.0)
    sites = np.random.default_rng(0).random((90, 3))
    crystal = Structure(cell, ["Li"] * 45 + ["I"] * 45, sites)
    with pytest.raises(LandscapeError, match="180 atoms"):
        frenkel_pair(crystal, "Li", load_potential("chgnet"))


def test_measured_crystals_come_first():
    names = [name for name, _, _ in wanted({"mp-755309", "obelix-gvd"}, {"obelix-gvd"})]
    assert names == ["obelix-gvd", "mp-755309"]


def test_the_table_is_that_of_the_published_numbers(shared):
    assert TABLE.read_text() == table(shared / "data")
