"""The published values of wurtzite LiCl, from the crystal to its descriptors.

They come from the authors' code with its default settings. Its level search raises the level in
steps of at least 0.1 eV, so its levels lie up to 0.1 eV above the exact minimax; here levels are
exact. For this crystal the two agree in the published descriptors (they need not in others).

The values belong to the plain grid. With symmetry LiCl has as many points, but moved so that they
carry the screw axis, and the descriptors of that sampling are others (mpe 0.223 and 0.296 eV).

``licl_*_energies.npz`` hold the total energies of both ions over that grid from the unchanged
packages, computed independently of superionic.
"""

from pathlib import Path

import numpy as np
import pytest
from landscape_helpers import FunctionPotential, direct_map
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from superionic.landscape.descriptors import compute_descriptors
from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.potentials.base import Potential
from superionic.potentials.registry import load_potential

SHAPE = (16, 16, 26)

PUBLISHED = {
    "chgnet": {
        "mpe_eV": 0.22191810607910156,
        "fv_connected": 0.072509765625,
        "fv_disconnected": 0.14564302884615385,
        "xi": 0.9580538170774704,
    },
    "sevennet": {
        "mpe_eV": 0.28375720977783203,
        "fv_connected": 0.057080078125,
        "fv_disconnected": 0.11466346153846155,
        "xi": 0.8898818222390633,
    },
}

N_EVALUATIONS = 9924
"""Points of the two ions that are at least 1.2 A from all other ions."""


def stored_energies(family):
    with np.load(Path(__file__).with_name(f"licl_{family}_energies.npz")) as file:
        return file["energies_eV"].astype(float)


def assert_published(landscape, family, tolerances=None):
    assert landscape.grid.shape == SHAPE
    maps = (energies for _, energies in landscape.maps())
    result = compute_descriptors(maps, landscape.grid.lattice)
    for name, value in PUBLISHED[family].items():
        tolerance = (tolerances or {}).get(name, 1e-4)
        assert getattr(result, name) == pytest.approx(value, abs=tolerance), name


@pytest.mark.parametrize("family", PUBLISHED)
def test_from_stored_energies(licl, family):
    """Grid, exclusion, filling, levels and descriptors, with the potential read from a table."""
    stored = stored_energies(family)

    def look_up(atoms, index, r):
        places = atoms.cell.scaled_positions(r) * SHAPE
        assert places == pytest.approx(np.rint(places), abs=1e-6)
        i, j, k = np.mod(np.rint(places).astype(int), np.array(SHAPE)).T
        return stored[index][i, j, k]

    settings = LandscapeSettings(symmetry=False)
    landscape = compute_landscape(licl, "Li", FunctionPotential(look_up), settings)
    assert landscape.n_evaluations == N_EVALUATIONS
    assert_published(landscape, family, dict.fromkeys(PUBLISHED[family], 1e-9))


@pytest.mark.real_potential
@pytest.mark.parametrize("family", PUBLISHED)
def test_potential_gives_the_stored_energies(licl, family):
    """At random points of both ions, as complete configurations and by the family's own path."""
    potential = load_potential(family, check=False)
    rng = np.random.default_rng(7)
    atoms = AseAtomsAdaptor.get_atoms(licl)
    for site, stored in enumerate(stored_energies(family)):
        points = rng.choice(np.flatnonzero(stored.ravel() < stored.max()), 40, replace=False)
        places = np.stack(np.unravel_index(points, SHAPE), axis=1) / SHAPE @ licl.lattice.matrix
        for framework in (
            Potential.frozen_framework(potential, atoms, site),
            potential.frozen_framework(atoms, site),
        ):
            energies = framework.energies(places)
            assert np.abs(energies - stored.ravel()[points]).max() < 1e-4


@pytest.mark.real_potential
class TestCHGNet:
    def test_reference_protocol_and_fast_path(self, licl):
        """Every point of every ion as a complete configuration, and the same by the fast path."""
        chgnet = load_potential("chgnet", check=False)
        reference = compute_landscape(licl, "Li", chgnet, LandscapeSettings.reference())
        assert reference.n_evaluations == N_EVALUATIONS
        assert_published(reference, "chgnet")

        fast = compute_landscape(licl, "Li", chgnet, LandscapeSettings(symmetry=False))
        assert fast.n_evaluations == N_EVALUATIONS
        for (_, one), (_, other) in zip(reference.maps(), fast.maps(), strict=True):
            assert np.abs(one - other).max() < 1e-4
        # The second ion has three minima within 1e-6 eV; the first of them counts in both.
        assert_published(fast, "chgnet")

    def test_symmetric_grid(self, licl):
        """Ten times fewer energies give the maps of both ions, on a grid that lies otherwise."""
        # The published cell and positions are 1e-5 A off the symmetric ones, which is worth 2e-4 eV
        # below 4 eV and more on the repulsive wall: the same crystal, made symmetric.
        a, c = licl.lattice.a, licl.lattice.c
        sites = [[1 / 3, 2 / 3, licl[i].frac_coords[2]] for i in (0, 2)]
        crystal = Structure.from_spacegroup("P6_3mc", Lattice.hexagonal(a, c), ["Li", "Cl"], sites)
        chgnet = load_potential("chgnet", check=False)
        landscape = compute_landscape(crystal, "Li", chgnet)
        assert (landscape.space_group.symbol, landscape.n_operations) == ("P6_3mc", 12)
        assert landscape.grid.shape == SHAPE
        assert not landscape.remarks
        assert landscape.n_evaluations < N_EVALUATIONS / 9
        for site, energies in landscape.maps():
            assert np.abs(energies - direct_map(landscape, chgnet, site)).max() < 1e-4
