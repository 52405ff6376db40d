"""Space groups, orbits of ions, and landscapes that symmetry must leave as they are."""

import numpy as np
import pytest
import spglib
from landscape_helpers import direct_map, pair_potential
from pymatgen.core import Lattice, Structure

from superionic.landscape.landscape import compute_landscape
from superionic.landscape.settings import LandscapeSettings
from superionic.landscape.symmetry import IDENTITY, Operation, site_orbits, space_group

T = 1 / 3

# Every crystal system, centred cells, screw axes and glide planes, polar and chiral groups, groups
# with two origin choices, ions on general and on special positions.
MADE = {
    symbol: Structure.from_spacegroup(symbol, lattice, species, positions)
    for symbol, lattice, species, positions in [
        ("P1", Lattice.from_parameters(4.1, 4.7, 5.2, 82, 95, 104), ["Li", "Li", "O"],
         [[0, 0, 0], [0.45, 0.5, 0.52], [0.2, 0.6, 0.1]]),
        ("P-1", Lattice.from_parameters(4.4, 4.9, 5.6, 78, 98, 105), ["Li", "Li", "S"],
         [[0.1, 0.2, 0.3], [0.5, 0.5, 0], [0.6, 0.3, 0.8]]),
        ("P2_1/c", Lattice.monoclinic(4.2, 5.1, 5.8, 107), ["Li", "S"],
         [[0.1, 0.2, 0.25], [0.61, 0.33, 0.4]]),
        ("C2/c", Lattice.monoclinic(6.6, 4.6, 5.4, 103), ["Li", "O"],
         [[0, 0.1, 0.25], [0.2, 0.4, 0.1]]),
        ("Pnma", Lattice.orthorhombic(5.6, 3.6, 4.9), ["Li", "Cl"],
         [[0.18, 0.25, 0.1], [0.4, 0.25, 0.6]]),
        ("Fddd", Lattice.orthorhombic(5.1, 7.2, 9.3), ["Li", "O"],
         [[1 / 8, 1 / 8, 1 / 8], [0.3, 1 / 8, 1 / 8]]),
        ("I4_1/amd", Lattice.tetragonal(3.9, 9.6), ["Li", "O"],
         [[0, 0.75, 0.125], [0, 0.25, 0.17]]),
        ("P4_2/mnm", Lattice.tetragonal(5.0, 3.4), ["Li", "O"], [[0, 0, 0], [0.3, 0.3, 0]]),
        ("R-3m", Lattice.hexagonal(2.9, 14.2), ["Li", "Co", "O"],
         [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.26]]),
        ("P3_121", Lattice.hexagonal(4.9, 5.4), ["Li", "O"],
         [[0.47, 0, T], [0.41, 0.27, 0.21]]),
        ("P6_3mc", Lattice.hexagonal(3.92, 6.36), ["Li", "Cl"],
         [[T, 2 * T, 0.376], [T, 2 * T, 0]]),
        ("P6_3/mmc", Lattice.hexagonal(4.3, 7.4), ["Li", "Li", "P"],
         [[T, 2 * T, 0.58], [0, 0, 0], [T, 2 * T, 0.25]]),
        ("Pa-3", Lattice.cubic(5.6), ["Li", "S"], [[0, 0, 0], [0.39, 0.39, 0.39]]),
        ("Fd-3m", Lattice.cubic(8.1), ["Li", "Al", "O"],
         [[1 / 8, 1 / 8, 1 / 8], [0.5, 0.5, 0.5], [0.262, 0.262, 0.262]]),
        ("I-43d", Lattice.cubic(6.1), ["Li", "P"], [[3 / 8, 0, 1 / 4], [0.09, 0.09, 0.09]]),
    ]
}  # fmt: skip

SYSTEMS = {
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
}  # fmt: skip


def shifted(structure):
    """Every special position away from the origin of the cell."""
    moved = structure.copy()
    moved.translate_sites(range(len(moved)), [0.0317, 0.4411, 0.2103])
    return moved


SETTINGS_OF_THE_CELL = {
    "conventional": lambda structure: structure,
    "shifted": shifted,
    "primitive": lambda structure: structure.get_primitive_structure(0.01),
    "shifted primitive": lambda structure: shifted(structure.get_primitive_structure(0.01)),
}


def mobile(structure):
    return [i for i, site in enumerate(structure) if site.specie.symbol == "Li"]


class TestSpaceGroup:
    def test_the_crystals_cover_every_system(self):
        numbers = [space_group(structure, 1e-3).number for structure in MADE.values()]
        ends = {2: "triclinic", 15: "monoclinic", 74: "orthorhombic", 142: "tetragonal",
                167: "trigonal", 194: "hexagonal", 230: "cubic"}  # fmt: skip
        systems = {next(name for end, name in ends.items() if n <= end) for n in numbers}
        assert systems == SYSTEMS

    @pytest.mark.parametrize("cell", SETTINGS_OF_THE_CELL)
    @pytest.mark.parametrize("symbol", MADE)
    def test_operations_map_the_crystal_onto_itself(self, symbol, cell):
        structure = SETTINGS_OF_THE_CELL[cell](MADE[symbol])
        group = space_group(structure, 1e-3)
        assert group.symbol == symbol
        for operation in group.operations:
            images = operation(structure.frac_coords)
            apart = structure.lattice.get_all_distances(images, structure.frac_coords)
            assert apart.min(axis=1).max() < 1e-3
            onto = apart.argmin(axis=1)
            assert sorted(onto) == list(range(len(structure)))
            assert all(structure[i].specie == structure[j].specie for i, j in enumerate(onto))

    @pytest.mark.parametrize("symbol", MADE)
    def test_one_origin_has_translations_that_are_simple_fractions(self, symbol):
        group = space_group(shifted(MADE[symbol]), 1e-3)
        origin = np.array(group.origin)
        assert np.all(origin > -1e-6)
        assert np.all(origin < 1)
        for op in group.operations:
            twentyfourths = 24 * (op.translation + op.rotation @ origin - origin)
            assert twentyfourths == pytest.approx(np.rint(twentyfourths), abs=1e-4)

    def test_without_an_answer_there_is_the_identity(self, monkeypatch):
        monkeypatch.setattr(spglib, "get_symmetry_dataset", lambda *_, **__: None)
        group = space_group(MADE["Pa-3"], 1e-3)
        assert group.number == 1
        assert group.operations == [IDENTITY]


class TestOrbits:
    @pytest.mark.parametrize("symbol", MADE)
    def test_orbit_times_stabiliser_is_the_group(self, symbol):
        structure = shifted(MADE[symbol])
        group = space_group(structure, 1e-3)
        lattice, f = structure.lattice, structure.frac_coords
        sites = mobile(structure)
        orbits = site_orbits(lattice.matrix, f, sites, group.operations, 2e-3)
        assert sorted(site for orbit in orbits for site in orbit.members) == sites
        for orbit in orbits:
            assert len(orbit.members) * len(orbit.stabiliser) == len(group.operations)
            assert orbit.members[0] == orbit.representative
            assert orbit.generators[0] is IDENTITY
            here = f[orbit.representative]
            for site, generator in zip(orbit.members, orbit.generators, strict=True):
                assert lattice.get_distance_and_image(generator(here), f[site])[0] < 2e-3
            for operation in orbit.stabiliser:
                assert lattice.get_distance_and_image(operation(here), here)[0] < 2e-3

    def test_unequal_ions_are_kept_apart(self):
        structure = MADE["P6_3/mmc"]
        group = space_group(structure, 1e-3)
        sites = mobile(structure)
        orbits = site_orbits(
            structure.lattice.matrix, structure.frac_coords, sites, group.operations, 2e-3
        )
        assert sorted(len(orbit.members) for orbit in orbits) == [2, 4]  # 2a and 4f

    def test_any_order_of_the_sites(self):
        structure = MADE["P2_1/c"]
        group = space_group(structure, 1e-3)
        sites = mobile(structure)[::-1]
        (orbit,) = site_orbits(
            structure.lattice.matrix, structure.frac_coords, sites, group.operations, 2e-3
        )
        assert orbit.representative == orbit.members[0] == sites[0]
        assert sorted(orbit.members) == sorted(sites)
        here = structure.frac_coords[orbit.representative]
        for site, generator in zip(orbit.members, orbit.generators, strict=True):
            apart = generator(here) - structure.frac_coords[site]
            assert apart == pytest.approx(np.rint(apart), abs=1e-4)

    def test_positions_across_the_cell_boundary_are_the_same(self):
        inversion = Operation(-np.eye(3, dtype=np.int64), np.zeros(3))
        f = np.array([[0.999999, 0.3, 0.0], [0.000001, 0.7, 1.0]])
        (orbit,) = site_orbits(5 * np.eye(3), f, [0, 1], [IDENTITY, inversion], 1e-3)
        assert orbit.members == [0, 1]


class TestMaps:
    """The same grid with and without symmetry, point by point."""

    @pytest.mark.parametrize("cell", SETTINGS_OF_THE_CELL)
    @pytest.mark.parametrize("symbol", MADE)
    def test_equal_to_direct_evaluation_of_every_ion(self, symbol, cell):
        structure = SETTINGS_OF_THE_CELL[cell](MADE[symbol])
        landscape = compute_landscape(
            structure, "Li", pair_potential(), LandscapeSettings(grid_step_A=0.6)
        )
        assert not landscape.remarks
        assert landscape.space_group.symbol == symbol
        assert landscape.mobile_sites == [site for site, _ in landscape.maps()]
        assert sorted(landscape.mobile_sites) == mobile(structure)
        assert landscape.n_mobile == len(mobile(structure))
        for site, energies in landscape.maps():
            direct = direct_map(landscape, pair_potential(), site)
            assert np.ptp(direct) > 0.3
            assert np.abs(energies - direct).max() < 1e-5

    @pytest.mark.parametrize("name", [
        "mp-2251", "mp-22899", "mp-2341", "mp-28593", "mp-35695", "mp-3635",
        "mp-4156", "mp-5840", "mp-5853", "mp-6521", "mp-736", "mp-8926",
    ])  # fmt: skip
    def test_equal_on_real_crystals(self, name, example_crystals):
        structure = Structure.from_file(example_crystals / f"{name}.cif")
        landscape = compute_landscape(
            structure, "Li", pair_potential(), LandscapeSettings(grid_step_A=0.6)
        )
        assert not landscape.remarks
        assert landscape.n_operations > 1
        assert landscape.n_evaluations < landscape.n_mobile * landscape.grid.n_points / 2
        for site, energies in landscape.maps():
            direct = direct_map(landscape, pair_potential(), site)
            assert np.abs(energies - direct).max() < 1e-4

    @pytest.mark.parametrize("symbol", MADE)
    def test_as_many_energies_as_there_are_orbits_of_points(self, symbol):
        """Burnside's lemma: orbits = mean number of points that an operation leaves in place."""
        structure = shifted(MADE[symbol])
        potential = pair_potential()
        settings = LandscapeSettings(grid_step_A=0.6, n_symmetry_checks=0)
        landscape = compute_landscape(structure, "Li", potential, settings)
        points = np.arange(landscape.grid.n_points)
        expected = 0
        for one in landscape.orbits:
            allowed = one.evaluated.ravel()
            fixed = [
                np.count_nonzero(allowed & (landscape.grid.permutation(op) == points))
                for op in one.orbit.stabiliser
            ]
            assert sum(fixed) % len(fixed) == 0
            expected += sum(fixed) // len(fixed)
        assert landscape.n_evaluations == potential.n_energies == expected
