"""Partial occupancies: rounding, lowest Ewald energy, limits."""

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.core.ewald import EwaldSummation

from superionic.errors import DisorderError
from superionic.structures import Candidate, PrepareSettings, prepare, read_candidates
from superionic.structures.cells import compact_supercell
from superionic.structures.ewald import ArrangementProblem, lowest_arrangements
from superionic.structures.ordering import OrderingSettings, order

# Antifluorite with half of the lithium and mixed anions: LiS0.5Se0.5 per site pair, face-centred.
CIF = """data_mixed
_cell_length_a 5.72
_cell_length_b 5.72
_cell_length_c 5.72
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F -4 3 m'
_chemical_formula_sum 'Li1 Cl0.5 Br0.5'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li 0.25 0.25 0.25 0.5
Li2 Li 0.75 0.75 0.75 0.5
X1 Cl 0 0 0 0.5
X2 Br 0 0 0 0.5
"""


def mixed_crystal(path):
    file = path / "mixed.cif"
    file.write_text(CIF)
    (candidate,) = read_candidates([file])
    return candidate


def ewald_energy(structure, charges):
    decorated = structure.copy()
    decorated.add_oxidation_state_by_element(charges)
    return EwaldSummation(decorated).total_energy


def test_a_disordered_cif_is_ordered_with_its_composition(tmp_path):
    candidate = mixed_crystal(tmp_path)
    assert not candidate.structure.is_ordered
    prepared = prepare(candidate)
    structure = prepared.structure
    assert structure.is_ordered
    assert structure.composition.reduced_formula == "Li2BrCl"
    assert prepared.original_formula == "Li2BrCl"
    # 3 sites in the primitive cell, of which 2 atoms: the anions need two cells.
    assert len(structure) == 4
    assert [w.code for w in prepared.warnings] == ["symmetry", "ordered"]
    assert any("2 cell(s)" in step for step in prepared.steps)
    assert prepare(candidate).structure_hash == prepared.structure_hash


def test_the_arrangement_has_the_lowest_energy_of_all():
    """Compared with every arrangement, each summed on its own by pymatgen."""
    charges = {"Li": 1.0, "O": -2.0, "Ti": 4.0}
    cell = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(4.2),
        [{"Li": 2 / 3, "Ti": 1 / 3}, "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    ).get_primitive_structure()
    cell.make_supercell([3, 1, 1])
    settings = OrderingSettings(symprec_A=0.01)
    (found,) = order(cell, settings, charges)
    assert found.charges == "given"
    assert found.exhaustive
    sites = [i for i, s in enumerate(cell) if not s.is_ordered]
    energies = []
    for chosen in itertools.combinations(sites, len(sites) // 3):
        species = [
            "O" if s.is_ordered else ("Ti" if i in chosen else "Li") for i, s in enumerate(cell)
        ]
        energies.append(ewald_energy(Structure(cell.lattice, species, cell.frac_coords), charges))
    assert found.energy_eV == pytest.approx(min(energies), abs=1e-3)
    assert ewald_energy(found.structure, charges) == pytest.approx(min(energies), abs=1e-3)


def random_problem(seed):
    rng = np.random.default_rng(seed)
    cell = Structure(Lattice.from_parameters(6, 7, 8, 80, 95, 100), ["H"] * 10, rng.random((10, 3)))
    sublattices = [
        (np.arange(6), np.array([0, 0, 0, 1, -1, -1])),
        (np.arange(6, 10), np.array([2, 2, 2, -1])),
    ]
    return ArrangementProblem(cell, sublattices, np.array([1.0, 3.0, -2.0]), 0.3)


@pytest.mark.parametrize("seed", range(5))
def test_the_search_by_swaps_finds_what_enumeration_finds(seed):
    problem = random_problem(seed)
    (best,), exhaustive = lowest_arrangements(problem, 1, 10_000, seed=0)
    (searched,), searched_exhaustive = lowest_arrangements(problem, 1, 1, seed=0)
    assert (exhaustive, searched_exhaustive) == (True, False)
    assert searched.energy_eV == pytest.approx(best.energy_eV, abs=1e-6)
    for sites, labels in problem.sublattices:
        assert sorted(best.labels[sites]) == sorted(labels)
        assert sorted(searched.labels[sites]) == sorted(labels)


@pytest.mark.parametrize("seed", range(5))
def test_swap_gains_are_differences_of_energies(seed):
    problem = random_problem(seed)
    labels = np.array([0, -1, 1, 0, -1, 0, 2, -1, 2, 2])
    gains = problem.swap_gains(labels)
    start = problem.energies(labels[None])[0]
    for i, j in [(0, 1), (2, 4), (6, 7), (3, 5)]:
        swapped = labels.copy()
        swapped[[i, j]] = swapped[[j, i]]
        assert gains[i, j] == pytest.approx(problem.energies(swapped[None])[0] - start, abs=1e-8)


def test_several_orderings_come_in_the_order_of_their_energies():
    cell = Structure(
        Lattice.orthorhombic(5, 6, 7),
        [{"Li": 0.5}] * 4 + ["O"],
        [[0, 0, 0], [0.5, 0.1, 0], [0.1, 0.5, 0.2], [0.4, 0.6, 0.7], [0.25, 0.25, 0.45]],
    )
    found = order(cell, OrderingSettings(composition_tolerance=0.5), {"Li": 1, "O": -2}, 3)
    energies = [o.energy_eV for o in found]
    assert len(energies) == 3
    assert np.all(np.diff(energies) > 1e-4)


def test_the_cell_grows_until_the_composition_fits():
    cell = Structure(Lattice.cubic(4), [{"Li": 0.75}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    (found,) = order(cell, OrderingSettings(composition_tolerance=0.01))
    assert found.n_cells == 4
    assert found.structure.composition.reduced_formula == "Li3O4"
    assert found.composition_deviation == pytest.approx(0.0, abs=1e-6)
    (coarse,) = order(cell, OrderingSettings(composition_tolerance=0.2))
    assert coarse.n_cells == 1
    # One Li for 0.75 of it: 0.25 too many, of 1.75 atoms.
    assert coarse.composition_deviation == pytest.approx(0.25 / 1.75)


def test_the_composition_is_kept_across_orbits():
    """Two orbits with half an atom each: one is filled, the other left empty."""
    cell = Structure(
        Lattice.orthorhombic(4, 4, 5),
        [{"Li": 0.5}, {"Li": 0.5}, "F"],
        [[0, 0, 0.1], [0.5, 0.5, 0.35], [0.5, 0, 0.7]],
    )
    (found,) = order(cell)
    assert (found.n_cells, found.structure.composition.formula) == (1, "Li1 F1")


def test_split_sites_are_not_both_occupied():
    cell = Structure(
        Lattice.cubic(5),
        [{"Li": 0.5}, {"Li": 0.5}, {"Li": 0.5}, {"Li": 0.5}, "O"],
        [[0.45, 0, 0], [0.55, 0, 0], [0, 0.45, 0.5], [0, 0.55, 0.5], [0.5, 0.5, 0.5]],
    )
    (found,) = order(cell)
    lithium = [i for i, s in enumerate(found.structure) if s.specie.symbol == "Li"]
    assert len(lithium) == 2
    assert found.structure.get_distance(*lithium) > 1.0


def test_without_charges_like_species_are_kept_apart():
    alloy = Structure(Lattice.cubic(3), [{"Li": 0.5, "Mg": 0.5}], [[0, 0, 0]])
    alloy.make_supercell([4, 1, 1])
    (found,) = order(alloy)
    assert found.charges == "electronegativity"
    symbols = [s.specie.symbol for s in sorted(found.structure, key=lambda s: s.a)]
    assert symbols in (["Li", "Mg"] * 2, ["Mg", "Li"] * 2)


def test_what_cannot_be_ordered_is_refused_with_the_site_named():
    odd = Structure(
        Lattice.cubic(4), [{"Li": 0.37}, {"Cl": 0.7, "Br": 0.3}], [[0.25, 0, 0], [0.5] * 3]
    )
    settings = PrepareSettings(ordering_max_atoms=6, composition_tolerance=0.01)
    with pytest.raises(DisorderError, match=r"within 6 atoms.*(Li|Cl|Br).* at \(0\.") as caught:
        prepare(Candidate("odd", odd), "Li", settings)
    assert str(caught.value).startswith("odd: ")
    assert "composition tolerance" in caught.value.hint


def test_large_disorder_stays_bounded_in_time():
    """2^40 arrangements and more: the search by swaps takes over."""
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(8.0), [{"Li": 0.5}, "O"], [[0.125, 0.125, 0.125], [0, 0, 0]]
    )
    (found,) = order(cell)
    assert not found.exhaustive
    assert found.structure.is_ordered


@pytest.mark.parametrize("index", [1, 2, 3, 4, 8])
def test_compact_supercells_have_the_index_and_are_compact(index):
    lattice = Lattice.from_parameters(3, 3, 9, 90, 90, 120)
    matrix = compact_supercell(lattice, index)
    assert abs(round(np.linalg.det(matrix))) == index
    if index == 4:  # the long axis is not repeated
        assert min(Lattice(matrix @ lattice.matrix).abc) == pytest.approx(6.0)


def anatase(amount):
    """Return Li(x)TiO2 with the lithium of x spread over four sites of the conventional cell."""
    return Structure.from_spacegroup(
        "I4_1/amd",
        Lattice.tetragonal(3.8, 9.5),
        ["Ti", "O", {"Li": amount}],
        [[0, 0, 0], [0, 0, 0.208], [0, 0, 0.5]],
    )


@pytest.mark.parametrize("amount", [0.5, 0.1, 0.05])
def test_dilute_lithium_is_never_rounded_away(amount):
    prepared = prepare(Candidate("m", anatase(amount)))
    composition = prepared.structure.composition
    assert len(prepared.mobile_indices) >= 1
    assert composition["Li"] / composition["Ti"] == pytest.approx(amount, rel=0.2)
    assert composition["O"] == 2 * composition["Ti"]


def test_what_is_too_dilute_for_the_cap_is_refused_with_the_numbers():
    with pytest.raises(DisorderError, match="Li is too dilute for the cap of 120 atoms") as caught:
        prepare(Candidate("m", anatase(0.01)))
    assert "0.02 of it in a cell of 6.02 atoms" in caught.value.message
    assert "50 cells, 301 atoms" in caught.value.message
    assert prepare(
        Candidate("m", anatase(0.02)),
        settings=PrepareSettings(ordering_max_atoms=200, max_atoms=200),
    ).mobile_indices


def test_a_dopant_below_the_tolerance_of_the_composition_stays():
    doped = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(5.1),
        [{"Li": 0.96, "Mg": 0.04}, "Cl"],
        [[0, 0, 0], [0.5, 0.5, 0.5]],
    )
    prepared = prepare(Candidate("m", doped))
    assert prepared.structure.composition["Mg"] == 1
    assert prepared.structure.composition["Li"] == pytest.approx(24, abs=5)
    (remark,) = prepared.warnings
    assert remark.code == "ordered"
