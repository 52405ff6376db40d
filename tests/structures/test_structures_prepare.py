"""Preparation: what is kept, what is changed, what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import DummySpecies, Lattice, Structure

from superionic.errors import (
    CellTooLargeError,
    InputError,
    NoFrameworkError,
    NoMobileIonError,
    NotACrystalError,
    OverlappingAtomsError,
    SettingsError,
)
from superionic.structures import (
    Candidate,
    PreparedCrystal,
    PrepareSettings,
    parse_mobile_species,
    prepare,
    read_candidates,
    structure_hash,
)

EXAMPLES = Path(__file__).parents[2] / "workflows" / "example_crystals"

# Wurtzite LiCl, primitive, in the orientation that published descriptors refer to.
LICL = Structure(
    Lattice([[1.962441, -3.399048, 0], [1.962441, 3.399048, 0], [0, 0, 6.357161]]),
    ["Li", "Li", "Cl", "Cl"],
    [
        [0, 0, 2.39040061],
        [1.96243315, 1.13301147, 5.56898111],
        [0, 0, 6.35070212],
        [1.96243315, 1.13301147, 3.17211527],
    ],
    coords_are_cartesian=True,
)
LI2O = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.62), ["Li", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]
)


def make(structure: Structure, mobile: str = "Li", **changes: object) -> PreparedCrystal:
    return prepare(Candidate("m", structure), mobile, PrepareSettings(**changes))


def test_a_primitive_cell_stays_as_given():
    prepared = make(LICL)
    np.testing.assert_array_equal(prepared.structure.lattice.matrix, LICL.lattice.matrix)
    np.testing.assert_array_equal(prepared.structure.frac_coords, LICL.frac_coords)
    assert prepared.structure_hash == structure_hash(LICL)
    assert (prepared.formula, prepared.mobile_indices) == ("LiCl", (0, 1))
    assert (prepared.spacegroup_number, prepared.spacegroup_symbol) == (186, "P6_3mc")
    assert prepared.steps == ()
    assert prepared.warnings == ()


def test_a_conventional_cell_is_reduced_without_rotation():
    prepared = make(LI2O)
    assert len(prepared.structure) == 3
    assert prepared.spacegroup_number == 225
    # Its lattice vectors are lattice vectors of the face-centred crystal as it was given.
    in_old = prepared.structure.lattice.matrix @ np.linalg.inv(LI2O.lattice.matrix)
    np.testing.assert_allclose(2 * in_old, np.rint(2 * in_old), atol=1e-6)
    assert StructureMatcher(primitive_cell=False, scale=False).fit(
        prepared.structure * (1, 1, 1), LI2O.get_primitive_structure()
    )
    assert len(make(LI2O, primitive=False).structure) == 12


@settings(max_examples=25, deadline=None)
@given(
    repeats=st.tuples(*[st.integers(1, 2)] * 3),
    shear=st.integers(-1, 1),
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    seed=st.integers(0, 2**16),
)
@pytest.mark.parametrize("crystal", [LICL, LI2O], ids=["LiCl", "Li2O"])
def test_supercell_translation_and_permutation_give_the_same_crystal(
    crystal, repeats, shear, shift, seed
):
    matrix = np.diag(repeats)
    matrix[0, 1] = shear
    cell = crystal.make_supercell(matrix, in_place=False)
    cell.translate_sites(range(len(cell)), shift)
    order = np.random.default_rng(seed).permutation(len(cell))
    prepared = make(Structure.from_sites([cell[i] for i in order]))
    reference = make(crystal)
    assert len(prepared.structure) == len(reference.structure)
    assert len(prepared.mobile_indices) == len(reference.mobile_indices)
    assert prepared.spacegroup_number == reference.spacegroup_number
    assert prepared.structure.volume == pytest.approx(reference.structure.volume, rel=1e-6)
    matcher = StructureMatcher(primitive_cell=False, scale=False, ltol=1e-3, stol=1e-3)
    assert matcher.fit(prepared.structure, reference.structure)


def test_preparing_twice_changes_nothing():
    once = make(LI2O)
    twice = make(once.structure)
    assert once.structure_hash == twice.structure_hash
    assert once.structure_hash == make(LI2O).structure_hash


def test_oxidation_states_and_site_properties_are_taken_off():
    decorated = LICL.copy(site_properties={"magmom": [0.0] * 4})
    decorated.add_oxidation_state_by_element({"Li": 1, "Cl": -1})
    prepared = make(decorated, "Li+")
    assert prepared.structure_hash == structure_hash(LICL)
    assert prepared.structure.site_properties == {}
    assert prepared.steps == ("Oxidation states were taken off.",)


def test_deuterium_is_hydrogen():
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.08), ["Li", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    prepared = make(crystal)
    assert {s.specie.symbol for s in prepared.structure} == {"Li", "H"}
    assert [w.code for w in prepared.warnings] == ["isotope"]
    assert make(crystal, "D").mobile_species == "H"


def test_dummy_species_are_refused():
    crystal = LICL.copy()
    crystal.append(DummySpecies("X"), [0.5, 0.5, 0.5])
    with pytest.raises(InputError, match="not a chemical element"):
        make(crystal)


def test_an_atom_listed_twice_is_merged():
    crystal = LICL.copy()
    crystal.append("Li", crystal.frac_coords[0] + [1.0, 0, 0.0002])
    prepared = make(crystal)
    assert prepared.formula == "LiCl"
    assert len(prepared.structure) == 4
    assert [w.code for w in prepared.warnings] == ["merged_sites"]


def test_two_kinds_of_atoms_at_one_position_are_refused():
    crystal = LICL.copy()
    crystal.append("Na", crystal.frac_coords[0])
    with pytest.raises(OverlappingAtomsError, match="share one position"):
        make(crystal)


@pytest.mark.parametrize("offset_A", [0.02, 0.3, 0.9])
def test_overlapping_atoms_are_named_with_their_distance(offset_A):
    crystal = LICL.copy()
    position = crystal.cart_coords[2] + [0, 0, offset_A - crystal.lattice.c]
    crystal.append("Li", position, coords_are_cartesian=True)
    with pytest.raises(OverlappingAtomsError, match=rf"Cl3 .* Li5 .* {offset_A:.3f} A") as caught:
        make(crystal)
    assert str(caught.value).startswith("m: ")
    assert caught.value.hint


def test_an_atom_overlaps_with_its_own_image():
    thin = Structure(Lattice.orthorhombic(1.1, 6, 6), ["Li", "Cl"], [[0, 0, 0], [0, 0.5, 0.5]])
    with pytest.raises(OverlappingAtomsError, match=r"Li1 .* Li1 .* 1.100 A"):
        make(thin)


def test_real_short_bonds_pass():
    hydrogen = Structure(
        Lattice.cubic(4), ["H", "H", "Li"], [[0, 0, 0], [0.19, 0, 0], [0.5, 0.5, 0.5]]
    )
    nitrogen = Structure(
        Lattice.cubic(4), ["N", "N", "Li"], [[0, 0, 0], [0.275, 0, 0], [0.5, 0.5, 0.5]]
    )
    for crystal in (hydrogen, nitrogen):
        assert len(make(crystal).structure) == 3


def test_no_mobile_ion_and_too_large_and_degenerate():
    with pytest.raises(NoMobileIonError, match="LiCl holds no Na"):
        make(LICL, "Na+")
    with pytest.raises(CellTooLargeError, match="4 atoms, more than the 3"):
        make(LICL, max_atoms=3)
    with pytest.raises(NotACrystalError, match="degenerate"):
        make(Structure(Lattice.orthorhombic(4, 4, 0.01), ["Li"], [[0, 0, 0]]))
    coords = LICL.frac_coords.copy()
    coords[1, 2] = np.nan
    with pytest.raises(NotACrystalError, match="site 2"):
        make(Structure(LICL.lattice, LICL.species, coords))


def test_supercell_reaches_the_width():
    prepared = make(LI2O, supercell_min_width_A=7.5)
    lattice = prepared.structure.lattice
    faces = [np.linalg.norm(np.cross(*np.delete(lattice.matrix, k, 0))) for k in range(3)]
    assert min(lattice.volume / np.array(faces)) >= 7.5
    assert len(prepared.structure) == 3 * 3**3  # faces of the primitive cell are 2.67 A apart
    assert prepared.spacegroup_number == 225


@pytest.mark.parametrize(
    ("text", "element", "charge", "shown"),
    [
        ("Li", "Li", None, "Li"),
        (" li+ ", "Li", 1, "Li+"),
        ("Mg2+", "Mg", 2, "Mg2+"),
        ("Mg+2", "Mg", 2, "Mg2+"),
        ("F-", "F", -1, "F-"),
        ("O2-", "O", -2, "O2-"),
        ("D", "H", None, "H"),
    ],
)
def test_names_of_ions(text, element, charge, shown):
    species = parse_mobile_species(text)
    assert (species.element, species.charge, str(species)) == (element, charge, shown)
    assert parse_mobile_species(str(species)) == species


@pytest.mark.parametrize("text", ["", "Xx", "lithium", "Li2", "Li0+", "Li2+2", "2+", "Li++", "*"])
def test_nonsense_is_not_an_ion(text):
    with pytest.raises(SettingsError):
        parse_mobile_species(text)


def test_the_hash_sees_every_change_but_noise():
    rng = np.random.default_rng(1)
    noisy = Structure(
        Lattice(LICL.lattice.matrix + rng.uniform(-1e-9, 1e-9, (3, 3))),
        LICL.species,
        LI_FRAC + rng.uniform(-5e-9, 5e-9, LI_FRAC.shape),
    )
    clean = Structure(LICL.lattice, LICL.species, LI_FRAC)
    assert structure_hash(noisy) == structure_hash(clean)
    moved = clean.copy()
    moved.translate_sites([2], [0, 0, 2e-6], to_unit_cell=False)
    swapped = Structure.from_sites([clean[i] for i in (1, 0, 2, 3)])
    strained = Structure(Lattice(clean.lattice.matrix * 1.00001), clean.species, LI_FRAC)
    other = Structure(clean.lattice, ["Na", "Li", "Cl", "Cl"], LI_FRAC)
    partial = Structure(clean.lattice, [{"Li": 0.9}, "Li", "Cl", "Cl"], LI_FRAC)
    hashes = {structure_hash(s) for s in (clean, moved, swapped, strained, other, partial)}
    assert len(hashes) == 6


LI_FRAC = LICL.frac_coords.round(6)


@settings(max_examples=100, deadline=None)
@given(
    digits=st.lists(st.integers(-(10**7), 10**7), min_size=3, max_size=3),
    noise=st.floats(-9e-9, 9e-9),
)
def test_the_hash_is_stable_for_decimals(digits, noise):
    coords = np.array([digits]) / 1e7
    cell = Lattice.cubic(4.0)
    a, b = Structure(cell, ["Li"], coords), Structure(cell, ["Li"], coords + noise)
    assert structure_hash(a) == structure_hash(b)


def test_the_example_crystals_are_read_and_prepared():
    found = list(read_candidates([EXAMPLES]))
    assert len(found) == 12
    table = (EXAMPLES / "SOURCES.md").read_text()
    for candidate in found:
        assert isinstance(candidate, Candidate), candidate
        prepared = prepare(candidate)
        assert prepared.warnings == ()
        row = next(r for r in table.splitlines() if f"`{candidate.material_id}.cif`" in r)
        cells = [c.strip() for c in row.split("|")]
        atoms = f"{len(candidate.structure)} ({len(prepared.structure)})"
        assert cells[2:5] == [prepared.formula, prepared.spacegroup_symbol, atoms]
        assert 4 <= len(candidate.structure) <= 25


def test_the_shared_crystals_are_read_and_prepared():
    shared = os.environ.get("SUPERIONIC_TEST_SHARED")
    if not shared:
        pytest.skip("SUPERIONIC_TEST_SHARED is not set")
    found = list(read_candidates([Path(shared) / "data" / "structures_li.jsonl"]))
    assert len(found) == 1223
    assert all(isinstance(c, Candidate) for c in found)
    for candidate in found[::8]:
        prepared = prepare(candidate)
        old, new = candidate.structure, prepared.structure
        assert new.composition.reduced_formula == old.composition.reduced_formula
        assert new.volume / len(new) == pytest.approx(old.volume / len(old), rel=1e-3)


HCP_LITHIUM = Structure.from_spacegroup(
    "P6_3/mmc", Lattice.hexagonal(3.06, 4.97), ["Li"], [[1 / 3, 2 / 3, 1 / 4]]
)
MOBILE_SITES = Structure.from_spacegroup(
    "F-43m", Lattice.cubic(9.924), [{"Li": 0.5}], [[0.183, 0.183, 0.024]]
)


@pytest.mark.parametrize("crystal", [HCP_LITHIUM, MOBILE_SITES], ids=["metal", "sites alone"])
def test_a_crystal_of_mobile_ions_alone_has_no_framework(crystal):
    for settings_ in ({}, {"primitive": False}, {"supercell_min_width_A": 6.0}):
        with pytest.raises(NoFrameworkError, match="nothing but Li") as caught:
            make(crystal, **settings_)
        assert caught.value.material_id == "m"
        assert "metal" in caught.value.hint
    with pytest.raises(NoMobileIonError):
        make(crystal, "Na")


def test_an_alloy_has_a_framework():
    alloy = Structure.from_spacegroup(
        "Pm-3m", Lattice.cubic(3.4), ["Li", "Mg"], [[0, 0, 0], [0.5] * 3]
    )
    assert make(alloy).mobile_indices == (0,)
