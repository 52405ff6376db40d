"""The declarative filters."""

import pytest
from pymatgen.core import Lattice, Structure

from superionic.errors import SettingsError
from superionic.structures import Candidate
from superionic.structures.filters import FilterChain, parse_filters, read_filters


def salt(name, cation="Li", anion="Cl", a_A=5.0, **provenance):
    face = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    sites = face + [[x + 0.5, y, z] for x, y, z in face]
    structure = Structure(Lattice.cubic(a_A), [cation] * 4 + [anion] * 4, sites)
    return Candidate(name, structure, provenance=provenance)


def kept(candidates, *entries):
    return [c.material_id for c in FilterChain(parse_filters(list(entries))).pass_on(candidates)]


def test_the_gap_and_the_hull_of_the_database_are_limits():
    crystals = [
        salt("good", band_gap_eV=3.0, energy_above_hull_eV_per_atom=0.0),
        salt("metal", band_gap_eV=0.0, energy_above_hull_eV_per_atom=0.0),
        salt("unstable", band_gap_eV=3.0, energy_above_hull_eV_per_atom=0.2),
        salt("at the limits", band_gap_eV=0.5, energy_above_hull_eV_per_atom=0.05),
        salt("unknown"),
    ]
    gap = {"filter": "band_gap", "min_eV": 0.5}
    hull = {"filter": "hull", "max_eV_per_atom": 0.05}
    assert kept(crystals, gap, hull) == ["good", "at the limits", "unknown"]
    assert kept(crystals, gap | {"unknown": "remove"}) == ["good", "unstable", "at the limits"]


def test_a_number_under_another_name():
    crystals = [salt("a", _mp_gap=0.1), salt("b", _mp_gap=0.9)]
    assert kept(crystals, {"filter": "band_gap", "min_eV": 0.5, "key": "_mp_gap"}) == ["b"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"filter": "elements", "exclude": ["Cl"]}, ["NaF", "PoF", "CdO"]),
        ({"filter": "elements", "require": ["Na"]}, ["NaF", "NaCl"]),
        ({"filter": "elements", "only": ["Na", "F", "Li"]}, ["NaF"]),
        ({"filter": "radioactive"}, ["LiCl", "NaF", "NaCl", "CdO"]),
        ({"filter": "radioactive", "allow": ["Po"]}, ["LiCl", "NaF", "NaCl", "PoF", "CdO"]),
        ({"filter": "toxic"}, ["LiCl", "NaF", "NaCl", "PoF"]),
        ({"filter": "toxic", "elements": ["F"]}, ["LiCl", "NaCl", "CdO"]),
        ({"filter": "abundance", "min_ppm": 100}, ["NaF", "NaCl"]),
        ({"filter": "oxidation_states", "mobile": "Na+"}, ["LiCl", "NaF", "NaCl", "CdO"]),
        ({"filter": "cell_width", "min_A": 4.5}, ["LiCl", "NaCl"]),
        ({"filter": "cell_width", "max_A": 4.5}, ["NaF", "PoF", "CdO"]),
    ],
    ids=str,
)
def test_each_filter_keeps_what_it_says(entry, expected):
    crystals = [
        salt("LiCl", a_A=5.1),
        salt("NaF", "Na", "F", 4.4),
        salt("NaCl", "Na", a_A=5.6),
        salt("PoF", "Po", "F", 4.0),
        salt("CdO", "Cd", "O", 4.2),
    ]
    assert kept(crystals, entry) == expected


def test_the_charge_of_the_mobile_ion_decides():
    peroxide = Candidate("oxide", Structure(Lattice.cubic(5), ["Mg", "O"], [[0] * 3, [0.5] * 3]))
    assert kept([peroxide], {"filter": "oxidation_states", "mobile": "O2-"}) == ["oxide"]
    assert kept([peroxide], {"filter": "oxidation_states", "mobile": "O-"}) == []


def test_the_number_of_atoms_counts_partial_ones():
    half = Structure(Lattice.cubic(5), [{"Li": 0.5}, "Cl"], [[0] * 3, [0.5] * 3])
    entry = {"filter": "n_atoms", "max": 1.6}
    assert kept([Candidate("half", half), salt("whole")], entry) == ["half"]


def test_each_removed_crystal_counts_once_with_its_reason():
    crystals = [salt("a"), salt("b", "Cd"), salt("c", "Cd", "Br"), salt("d", anion="Br")]
    result = FilterChain(
        parse_filters([{"filter": "toxic"}, {"filter": "elements", "exclude": ["Br"]}])
    )
    passed = list(result.pass_on(crystals))
    assert [count for _, count in result.removed] == [2, 1]
    assert set(result.reasons) == {"b", "c", "d"}
    assert "Cd" in result.reasons["c"]
    assert "Br" in result.reasons["d"]
    assert len(passed) + sum(count for _, count in result.removed) == len(crystals)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"filter": "gap"}, "filter"),
        ({"filter": "band_gap", "minimum": 1}, "minimum"),
        ({"filter": "band_gap", "min_eV": "wide"}, "min_eV"),
        ({"filter": "hull"}, "max_eV_per_atom"),
        ({"filter": "elements", "exclude": ["Xx"]}, "no such element"),
        ({"filter": "oxidation_states", "mobile": "Li"}, "no charge"),
        ("toxic", "filters"),
    ],
)
def test_what_is_wrong_is_named(entry, message):
    with pytest.raises(SettingsError, match=message):
        parse_filters([entry])


def test_filters_are_read_from_a_campaign_file(tmp_path):
    file = tmp_path / "campaign.yaml"
    file.write_text("name: x\nfilters:\n  - {filter: hull, max_eV_per_atom: 0.05}\n")
    (only,) = read_filters(file)
    assert only.max_eV_per_atom == 0.05
    file.write_text("name: x\n")
    with pytest.raises(SettingsError, match="no list 'filters'"):
        read_filters(file)
    file.write_text("filters: [\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_filters(file)
