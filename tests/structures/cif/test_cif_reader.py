"""What files from the wild hold, and what is made of it: the right crystal, or a reason."""

import numpy as np
import pytest
from cif_texts import cif, contents, has_sites, read_one, refusal
from pymatgen.core import Composition, Structure

from superionic.structures.cif import read_cif

SALT_CELL = (5.14, 5.14, 5.14, 90, 90, 90)
SALT_ROWS = ("Li1 Li 0 0 0", "Cl1 Cl 0.5 0.5 0.5")
SALT = cif(SALT_CELL, SALT_ROWS, "_space_group_name_H-M_alt 'F m -3 m'\n_chemical_formula_sum LiCl")
CUBE = (4.0, 4.0, 4.0, 90, 90, 90)
P1 = "_space_group_name_H-M_alt 'P 1'"
INVERSION = "loop_\n_space_group_symop_operation_xyz\nx,y,z\n-x,-y,-z"
OCCUPANCY = "label type_symbol fract_x fract_y fract_z occupancy"


def formula_of(structure: Structure) -> str:
    return structure.composition.element_composition.reduced_formula


def codes(text: str) -> list[str]:
    return [remark.code for remark in read_one(text)[1] if remark.code != "formula"]


# Syntax


@pytest.mark.parametrize(
    "text",
    [
        SALT.replace("_space", "_details\n;\ndata_other\nloop_\n_cell_length_a\n1\n;\n_space", 1),
        SALT.upper().replace("'F M -3 M'", "'F m -3 m'").replace("LI1 LI", "Li1 Li"),
        SALT.replace("\n", "\r\n"),
        SALT.replace("5.140000", "5.140000(3)"),
        SALT.replace("0.5 0.5 0.5", "\n0.5000(2)\n.5 +5.0e-1"),
        "# a comment\n" + SALT.replace("data_x", "data_x\n_author 'J\u00f6rg \u00c5.'"),
        SALT.replace("90.000000", "90.").replace("_space", "# 'odd\n_publ \"it's\"\n_space", 1),
        SALT.replace("_space", "_cell_length_a 5.140000\n_cell_measurement_time\n_space", 1),
        SALT + "loop_\n_geom_bond_distance\n#END\n",
        SALT.replace("fract", "FRACT").replace("_cell_length_a", "_CELL.length_A"),
    ],
)
def test_the_syntax_of_cif(text):
    structure, _ = read_one(text)
    assert len(structure) == 8
    assert formula_of(structure) == "LiCl"


def test_blocks_are_read_one_by_one():
    broken = SALT.replace("data_x", "data_broken").replace("Cl1 Cl 0.5", "Cl1 0.5")
    reflections = "data_fcf\n_cell_length_a 5.14\nloop_\n_refln_index_h\n_refln_F_calc\n1 2\n"
    records = list(read_cif(SALT + broken + reflections + SALT.replace("data_x", "data_y")))
    assert [record.label for record in records] == ["x", "block", "y"]
    assert [isinstance(record.content, Structure) for record in records] == [True, False, True]
    assert "(line 27: " in str(records[1].content)
    assert "syntax" in str(records[1].content)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("_cell_length_b 5.140000", "_cell_length_b 5,14", "_cell_length_b"),
        ("_cell_angle_beta 90.000000", "", "_cell_angle_beta cannot be read: it is missing"),
        ("0.5 0.5 0.5", "0.5 0.5 ?", r"Row 2 (Cl1) has the coordinates 0.5, 0.5, ?"),
        ("0.5 0.5 0.5", "0.5 0.5 1e300", "1e300, not three fractions"),
        ("5.140000", "1e999", "_cell_length_a"),
        ("_chemical", "_cell_volume 67.9\n_chemical", "volume"),
        ("_atom_site_fract_z", "_atom_site_Cartn_z", "list of atoms with fractional"),
        ("_chemical", "_cell_length_a 5.15\n_chemical", "_cell_length_a is given twice"),
        ("'F m -3 m'", "F m -3 m", "(line 8: "),
        ("_chemical", "_cell_modulation_dimension 1\n_chemical", "modulated"),
    ],
)
def test_what_is_wrong_is_named(old, new, words):
    assert old in SALT
    assert words in refusal(SALT.replace(old, new, 1))


def test_a_file_that_ends_within_its_last_number_is_refused():
    whole = cif(LIBO2_CELL, LIBO2, "_symmetry_space_group_name_H-M 'P 1 21/n 1'").rstrip("\n")
    assert len(read_one(whole)[0]) == 16
    for length in range(len("0.95990")):
        assert "cut short" in refusal(whole[: len(whole) - len("0.95990") + length])
    rows = [
        f"{row} {occupancy}" for row, occupancy in zip(LIBO2, (0.25, 1, 0.75, 0.75), strict=True)
    ]
    partial = cif(LIBO2_CELL, rows, P1, OCCUPANCY).rstrip("\n")
    assert len(read_one(partial)[0]) == 4
    for length in (0, 1, 2, 3):
        assert "cut short" in refusal(partial[: len(partial) - len("0.75") + length])


# Symmetry


def test_operations_count_more_than_the_symbol():
    text = cif(
        (4.0, 5.0, 6.0, 90, 97, 90),
        ["Li1 Li 0.1 0.2 0.3", "Cl1 Cl 0.3 0.7 0.8"],
        "_space_group_name_H-M_alt 'P 1 21/c 1'\nloop_\n_space_group_symop_operation_xyz\n"
        "x,y,z\n-x,-y,-z\n'1/2-x, 0.5+y, 1/2-z'\nx+1/2,-y+1/2,z+1/2",
    )
    structure, remarks = read_one(text)
    lithium = [[0.1, 0.2, 0.3], [0.9, 0.8, 0.7], [0.4, 0.7, 0.2], [0.6, 0.3, 0.8]]
    chlorine = [[0.3, 0.7, 0.8], [0.7, 0.3, 0.2], [0.2, 0.2, 0.7], [0.8, 0.8, 0.3]]
    assert has_sites(structure, {"Li": np.array(lithium), "Cl": np.array(chlorine)}, 1e-6)
    assert "P 1 21/c 1" in remarks[0].text


@pytest.mark.parametrize(
    ("operations", "words"),
    [
        ("x,y,z\n-x,y,-z\n-x,-y,-z", "no group"),
        ("-x,-y,-z", "no group"),
        ("x,y,z\n-x,-y", "'-x,-y', which is none"),
        ("x,y,z\n-x,-y,q", "'-x,-y,q', which is none"),
        ("x,y,z\ny,z,x\nz,x,y", "do not fit its cell"),
    ],
)
def test_operations_that_make_no_sense_are_refused(operations, words):
    head = f"loop_\n_symmetry_equiv_pos_as_xyz\n{operations}"
    assert words in refusal(cif((4, 5, 6, 90, 97, 90), ["Li1 Li 0.1 0.2 0.3"], head))


def test_a_shortened_list_of_operations_is_noticed_by_the_symbol():
    head = "_space_group_name_H-M_alt 'P -1'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z"
    rows = ["Li1 Li 0.2 0.1 0.3", "Cl1 Cl 0.7 0.6 0.4"]
    assert "1 symmetry operations, P -1 has 2" in refusal(cif(CUBE, rows, head))
    whole = [*rows, "Li2 Li 0.8 0.9 0.7", "Cl2 Cl 0.3 0.4 0.6"]
    assert len(read_one(cif(CUBE, whole, head))[0]) == 4  # a list that is complete already
    counted = f"_chemical_formula_sum LiCl\n_cell_formula_units_Z 1\n{head}"
    assert len(read_one(cif(CUBE, rows, counted))[0]) == 2


def test_a_primitive_cell_with_the_name_of_its_group_is_complete():
    head = "_symmetry_space_group_name_H-M 'F m -3 m'\nloop_\n_symmetry_equiv_pos_as_xyz\nx,y,z"
    primitive = (3.63, 3.63, 3.63, 60, 60, 60)
    assert len(read_one(cif(primitive, SALT_ROWS, head))[0]) == 2
    assert "has 192" in refusal(cif(primitive, ["Li1 Li 0 0 0", "Cl1 Cl 0.3 0.3 0.3"], head))


def test_magnetic_operations():
    head = (
        "_space_group_magn.name_BNS 'C_a 2'\nloop_\n_space_group_symop_magn_operation.id\n"
        "_space_group_symop_magn_operation.xyz\n1 x,y,z,+1\n2 -x,y,-z,+1\n"
        "loop_\n_space_group_symop_magn_centering.id\n_space_group_symop_magn_centering.xyz\n"
        "1 x,y,z,+1\n2 x+1/2,y+1/2,z,-1"
    )
    rows = ["Fe1 Fe 0 0.1 0 0.5", "Mn1 Mn 0 0.1 0 0.5", "Li1 Li 0.2 0.3 0.4 1"]
    structure, _ = read_one(cif((6, 7, 8, 90, 99, 90), rows, head, OCCUPANCY))
    assert structure.composition == Composition({"Fe": 1, "Mn": 1, "Li": 4})


def test_rhombohedral_axes_by_the_cell():
    rows = ["Li1 Li 0.5 0.5 0.5", "Al1 Al 0 0 0", "O1 O 0.24 0.24 0.24"]
    head = "_symmetry_space_group_name_H-M 'R -3 m'"
    assert len(read_one(cif((5, 5, 5, 33, 33, 33), rows, head))[0]) == 4
    hexagonal = ["Li1 Li 0 0 0.5", "Al1 Al 0 0 0", "O1 O 0 0 0.24"]
    assert len(read_one(cif((2.8, 2.8, 14, 90, 90, 120), hexagonal, head))[0]) == 12
    assert "does not fit the cell" in refusal(cif((2.8, 2.9, 14, 90, 90, 120), hexagonal, head))


LIBO2 = (
    "Li1 Li 0.84270 0.21217 0.91025",
    "B1 B 0.77183 0.67596 0.14740",
    "O1 O 0.75834 0.35612 0.17355",
    "O2 O 0.81520 0.77666 0.95990",
)
LIBO2_CELL = (6.5125, 4.3645, 5.8582, 90, 118.378, 90)


@pytest.mark.parametrize(
    "name",
    [
        "_symmetry_space_group_name_H-M 'P 1 21/n 1'",
        "_symmetry_space_group_name_H-M P2(1)/n",
        "_symmetry_space_group_name_H-M 'P 21/N'",
        "_space_group_name_Hall '-P 2yn'\n_space_group_IT_number 14",
    ],
)
def test_the_other_axes_of_a_monoclinic_crystal(name):
    structure, remarks = read_one(cif(LIBO2_CELL, LIBO2, name))
    assert structure.get_space_group_info() == ("P2_1/c", 14)
    assert len(structure) == 16
    boron = structure.indices_from_symbol("B")[0]
    bonds = sorted(n.nn_distance for n in structure.get_neighbors(structure[boron], 1.6))
    assert [round(b, 2) for b in bonds] == [1.33, 1.40, 1.41]
    assert "P 1 21/n 1" in remarks[0].text


def test_names_that_leave_the_setting_open_or_are_unknown_are_refused_by_name():
    number = refusal(cif(LIBO2_CELL, LIBO2, "_space_group_IT_number 14"))
    assert "no. 14 may mean P 1 21/c 1 or P 1 21/n 1 or P 1 21/a 1" in number
    assert "Hall symbol" in number
    odd = "_space_group_name_H-M_alt 'P 21/q'"
    assert "The space group P 21/q is not known" in refusal(cif(LIBO2_CELL, LIBO2, odd))
    odd += "\n_space_group_IT_number 225"
    assert "The symbol P 21/q is not known" in refusal(cif(SALT_CELL, SALT_ROWS, odd))
    assert len(read_one(cif(SALT_CELL, SALT_ROWS, f"{odd}\n{SALT_Z}"))[0]) == 8


SALT_Z = "_chemical_formula_sum LiCl\n_cell_formula_units_Z 4"


def test_the_content_of_the_cell_chooses_the_origin():
    rows = ["Li1 Li 0.125 0.125 0.125", "Ti1 Ti 0.5 0.5 0.5", "O1 O 0.2627 0.2627 0.2627"]
    cell = (8.405, 8.405, 8.405, 90, 90, 90)
    head = "_space_group_name_H-M_alt 'F d -3 m'"
    assert "F d -3 m :1 or F d -3 m :2" in refusal(cif(cell, rows, head))
    for known in (
        "_chemical_formula_sum 'Li O4 Ti2'",
        "_exptl_crystal_density_diffrn 3.75",
        "_space_group_IT_coordinate_system_code 2",
    ):
        structure, remarks = read_one(cif(cell, rows, f"{head}\n{known}"))
        assert structure.composition == Composition("Li8 Ti16 O32")
        assert "F d -3 m :2" in remarks[0].text
    columns = "label type_symbol fract_x fract_y fract_z site_symmetry_multiplicity"
    counted = [f"{row} {n}" for row, n in zip(rows, (8, 16, 32), strict=True)]
    assert len(read_one(cif(cell, counted, head, columns))[0]) == 56
    wrong = "_chemical_formula_sum 'Li O4 Ti'"
    assert "None of the 2 settings" in refusal(cif(cell, rows, f"{head}\n{wrong}"))


def test_no_symmetry_at_all_is_p1_only_where_the_file_confirms_it():
    assert "states no symmetry" in refusal(cif(SALT_CELL, SALT_ROWS))
    assert "states no symmetry" in refusal(cif(SALT_CELL, SALT_ROWS, SALT_Z))
    assert "density" in refusal(cif(SALT_CELL, SALT_ROWS, "_exptl_crystal_density_diffrn 2.07"))
    one = "_chemical_formula_sum LiCl\n_cell_formula_units_Z 1"
    assert len(read_one(cif((3.6, 3.6, 3.6, 60, 60, 60), SALT_ROWS, one))[0]) == 2
    unknown = "_symmetry_space_group_name_H-M '?'"
    assert "states no symmetry" in refusal(cif(SALT_CELL, SALT_ROWS, unknown))
    assert len(read_one(cif(SALT_CELL, SALT_ROWS, P1))[0]) == 2


# Rows


@pytest.mark.parametrize("unknown", ["?", "."])
def test_an_unknown_occupancy_is_1(unknown):
    rows = [f"Li1 Li 0 0 0.5 {unknown}", "N1 N 0 0 0 1"]
    assert read_one(cif(CUBE, rows, P1, OCCUPANCY))[0].composition == Composition("LiN")


@pytest.mark.parametrize(
    ("symbol", "element"),
    [
        ("Li1+", "Li"),
        ("O2-", "O"),
        ("Fe+3", "Fe"),
        ("LI", "Li"),
        ("CL1-", "Cl"),
        ("Cl", "Cl"),
        ("7Li", "Li"),
        ("11B", "B"),
        ("2H", "H"),
        ("D", "H"),
        ("Ho", "Ho"),
        ("'H '", "H"),
        ("O1", "O"),
        ("Cval", "C"),
        ("Si_a", "Si"),
    ],
)
def test_type_symbols(symbol, element):
    structure, _ = read_one(cif(CUBE, [f"A1 {symbol} 0 0 0"], P1))
    assert formula_of(structure) == Composition(element).reduced_formula


@pytest.mark.parametrize(
    "symbol", ["X", "Q", "Zz", "R1", "(Li,Na)", "Li/Na", "CO", "HO", "NO3", "O-H", "H2O"]
)
def test_symbols_that_are_no_element_are_refused_with_their_row(symbol):
    assert "Row 2 (A2)" in refusal(cif(CUBE, ["A1 Li 0 0 0", f"A2 {symbol} 0.5 0 0"], P1))


LABELS = "label fract_x fract_y fract_z"


@pytest.mark.parametrize(
    ("labels", "formula", "found"),
    [
        ("Li1 O1 H1", "", "LiHO"),
        ("Li1 OH1 HO1", "", "LiHO"),
        ("Li1 OW1 HW1", "", "LiHO"),
        ("Li1 Ow1 Hw1", "", "LiHO"),
        ("Li1 O1 HO1", "'H Li O'", "LiHO"),
        ("LI1 O1 HO1", "'H Li O'", "LiHO"),
        ("Li1 O1 Ho1", "'Ho Li O'", "LiHoO"),
        ("Li1 O1 Ho1", "", "LiHoO"),
        ("NA1 CL1", "", "NaCl"),
        ("Na1 Co1 O1", "", "NaCoO"),
        ("Li1 Ow1 Ho1", "'H Li O'", "LiHO"),
        ("SiT1 O_a NaM2", "", "NaSiO"),
        ("7Li1 F(1)", "", "LiF"),
        ("CA1 O1", "'Ca O'", "CaO"),
        ("V1 Va2", "V2", "V"),
    ],
)
def test_labels_without_type_symbols(labels, formula, found):
    rows = [f"{label} {i / 5:.1f} 0 0" for i, label in enumerate(labels.split())]
    head = f"_chemical_formula_sum {formula}\n{P1}" if formula else P1
    structure, _ = read_one(cif(CUBE, rows, head, LABELS))
    assert structure.composition.reduced_composition == Composition(found).reduced_composition


@pytest.mark.parametrize(
    ("labels", "row"),
    [
        ("LI1 O1 HO1", "Row 3 (HO1)"),
        ("Li1 Ow1 Ho1", "Row 3 (Ho1)"),
        ("Li1 O1 H1 Ho1", "Row 4 (Ho1)"),
        ("Li1 NA1", "Row 2 (NA1)"),
        ("C1 O1 CA1", "Row 3 (CA1)"),
        ("Li1 X1", "Row 2 (X1)"),
        ("Li1 Va1", "Row 2 (Va1)"),
        ("Li1 1", "Row 2 (1)"),
        ("Li1 OH1", "Row 2 (OH1)"),
        ("Li1 Wat1", "Row 2 (Wat1)"),
    ],
)
def test_labels_that_may_mean_two_things_are_refused(labels, row):
    rows = [f"{label} {i / 5:.1f} 0 0" for i, label in enumerate(labels.split())]
    assert row in refusal(cif(CUBE, rows, P1, LABELS))


def test_rows_without_atoms_are_left_out_with_a_remark():
    columns = f"{OCCUPANCY} calc_flag"
    rows = [
        "Li1 Li 0 0 0 1 d",
        "Cl1 Cl 0.5 0.5 0.5 1 d",
        "Cen O 0.25 0.25 0.25 1 dum",
        "V1 Va 0.25 0 0 0.5 d",
        "F1 F 0.3 0 0 0 d",
    ]
    structure, remarks = read_one(cif(CUBE, rows, P1, columns))
    assert formula_of(structure) == "LiCl"
    texts = " ".join(remark.text for remark in remarks)
    assert all(f"Row {n} (" in texts for n in (3, 4, 5))


def test_isotopes_are_told():
    assert codes(cif(CUBE, ["Li1 7Li 0 0 0", "Li2 7Li 0.5 0 0"], P1)) == ["isotope"]


def test_hydrogen_beside_oxygen_stays():
    rows = ["Li1 Li 0 0 0 1", "H1 H 0.5 0 0 0.5", "O1 O 0.5 0 0 0.5"]
    structure, _ = read_one(cif(CUBE, rows, P1, OCCUPANCY))
    assert structure.composition == Composition({"Li": 1, "H": 0.5, "O": 0.5})


@pytest.mark.parametrize("head", ["", "_chemical_formula_sum 'H Li O'"])
def test_hydrogens_without_a_row_are_named(head):
    columns = "label type_symbol fract_x fract_y fract_z attached_hydrogens"
    rows = ["Li1 Li 0 0 0 0", "O1 O 0.5 0 0 1"]
    text = refusal(cif(CUBE, rows, f"{head}\n{P1}", columns))
    assert "ow 2 (O1)" in text
    assert "hydrogen" in text
    listed = cif(CUBE, [*rows, "H1 H 0.7 0 0 0"], f"_chemical_formula_sum 'H Li O'\n{P1}", columns)
    assert formula_of(read_one(listed)[0]) == "LiHO"


def test_mixed_symbols_of_the_pauling_file():
    rows = ["'Nb,Zr' '0.8Nb + 0.2Zr' 0 0 0", "Li1 Li 0.5 0 0"]
    structure, _ = read_one(cif(CUBE, rows, P1))
    assert structure.composition == Composition({"Nb": 0.8, "Zr": 0.2, "Li": 1})


def test_alternatives_that_are_both_full_are_refused():
    columns = f"{OCCUPANCY} disorder_assembly disorder_group"
    rows = ["Cl1 Cl 0.5 0 0 1 . .", "Li1 Li 0 0 0 {} A 1", "Li2 Li 0.1 0 0 {} A 2"]
    half = cif(CUBE, [row.format(0.5) for row in rows], P1, columns)
    assert read_one(half)[0].composition == Composition({"Li": 1, "Cl": 1})
    for full in (1, "."):
        text = refusal(cif(CUBE, [row.format(full) for row in rows], P1, columns))
        assert "row 2 (Li1) and row 3 (Li2) are all fully occupied" in text


# Sites


HEX_CELL = (3.65, 3.65, 3.88, 90, 90, 120)


@pytest.mark.parametrize("third", ["0.33 0.67", "0.333 0.667", "0.3333 0.6667", "0.33 0.66"])
def test_images_of_a_rounded_special_position_are_one_atom(third):
    rows = ["Li1 Li 0 0 0.5 1", f"Li2 Li {third} 0 1", "N1 N 0 0 0 1"]
    head = "_symmetry_space_group_name_H-M 'P 6/m m m'"
    structure, _ = read_one(cif(HEX_CELL, rows, head, OCCUPANCY))
    lithium = np.array([[0, 0, 0.5], [1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])
    sites = {"Li": lithium, "N": np.zeros((1, 3))}
    assert has_sites(structure, sites, within=1e-4)


def test_halves_beside_a_mirror_stay_two_and_a_whole_atom_is_one():
    whole = ["Li1 Li 0.0062 0.2 0.3 1", "Cl1 Cl 0.5 0.2 0.3 1"]
    head = "_symmetry_space_group_name_H-M 'P m 1 1'"
    structure, remarks = read_one(cif((5, 6, 7, 95, 90, 90), whole, head, OCCUPANCY))
    assert structure.composition == Composition({"Li": 1, "Cl": 1})
    assert "moved by 0.031 A" in remarks[1].text
    for x in ("0.01", "0.021", "0.0125"):
        rows = [f"Li1 Li {x} 0.2 0.3 0.5", "Cl1 Cl 0.5 0.2 0.3 1"]
        head = "_symmetry_space_group_name_H-M 'P m 1 1'"
        structure, _ = read_one(cif((5, 6, 7, 95, 90, 90), rows, head, OCCUPANCY))
        assert structure.composition == Composition({"Li": 1, "Cl": 1})


def test_a_stated_multiplicity_decides_what_is_a_special_position():
    columns = f"{OCCUPANCY} symmetry_multiplicity"
    head = "_space_group_name_H-M_alt 'F -4 3 m'"
    cell = (10.28, 10.28, 10.28, 90, 90, 90)
    near = cif(cell, ["S3 S 0.119 0.881 0.616 1 16"], head, columns)
    structure, remarks = read_one(near)
    assert len(structure) == 16
    assert "Row 1 (S3)" in remarks[1].text
    letters = near.replace("symmetry_multiplicity", "Wyckoff_symbol").replace("1 16", "1 16e")
    assert len(read_one(letters)[0]) == 16
    away = cif(cell, ["S3 S 0.119 0.881 0.700 1 16"], head, columns)
    assert "makes 48 atoms of row 1 (S3), the file says 16" in refusal(away)
    # Some programs write the order of the site's group there.
    orders = cif(cell, ["S3 S 0.119 0.881 0.619 1 6", "Li1 Li 0.02 0.35 0.68 1 1"], head, columns)
    assert len(read_one(orders)[0]) == 16 + 96


@pytest.mark.parametrize("occupancy", [1, 0.5])
def test_images_listed_with_the_operations_still_there_count_once(occupancy):
    rows = [f"Li1 Li 0.25 0.25 0.25 {occupancy}", f"Li2 Li 0.75 0.75 0.75 {occupancy}"]
    text = cif(CUBE, [*rows, "O1 O 0 0 0 1"], INVERSION, OCCUPANCY)
    structure, _ = read_one(text)
    assert structure.composition == Composition({"Li": 2 * occupancy, "O": 1})
    assert codes(text) == ["listed_twice"]


def test_images_with_other_occupancies_are_refused():
    rows = ["Li1 Li 0.25 0.25 0.25 0.5", "Li2 Li 0.75 0.75 0.75 0.4"]
    assert "Row 2 (Li2) is an image" in refusal(cif(CUBE, rows, INVERSION, OCCUPANCY))


def test_rows_at_one_place_share_it():
    rows = ["Fe1 Fe2+ 0 0 0 0.3", "Fe2 Fe3+ 0 0 0 0.2", "Li1 Li 0 0 0 0.5"]
    structure, _ = read_one(cif(CUBE, rows, P1, OCCUPANCY))
    assert len(structure) == 1
    assert structure.composition == Composition({"Fe": 0.5, "Li": 0.5})
    over = refusal(cif(CUBE, [*rows, "Na1 Na 0 0 0 0.5"], P1, OCCUPANCY))
    assert "share one site, with an occupancy of 1.5" in over
    scaled = cif(CUBE, [*rows, "Na1 Na 0 0 0 0.01"], P1, OCCUPANCY)
    assert read_one(scaled)[0].composition.num_atoms == pytest.approx(1)
    assert codes(scaled) == ["occupancy"]


# Content


def test_an_ordered_list_agrees_exactly():
    rows = [f"Li{i} Li {i / 30:.4f} 0 0" for i in range(13)] + ["Cl1 Cl 0.5 0.5 0.5"]
    text = refusal(cif((30, 4, 4, 90, 90, 90), rows, f"_chemical_formula_sum 'Li14 Cl'\n{P1}"))
    assert "Li 13 for 14" in text
    half = refusal(cif(CUBE, SALT_ROWS, f"_chemical_formula_sum 'Li2 Cl2'\n{P1}"))
    assert "not a whole number of formula units" in half
    units = refusal(cif(CUBE, SALT_ROWS, f"{SALT_Z}\n{P1}"))
    assert "1 formula units in the cell, not the stated 4" in units


@pytest.mark.parametrize(
    ("formula", "z", "right"),
    [
        ("'Li0.33 La0.56 Ti O3'", 1, True),
        ("'Li1.32 La2.24 Ti4 O12'", 1, False),
        ("'Li0.35 La0.54 Ti O3'", 1, False),
        ("'Li0.3 La0.6 Ti O3'", 1, True),
        ("'Li0.33 La0.56 Ti O3 H'", 1, False),
        ("'Li0.33 La0.56 Ti'", 1, False),
        ("'a formula'", 1, True),
    ],
)
def test_a_disordered_list_agrees_within_its_rounding(formula, z, right):
    rows = ["La1 La 0 0 0 0.56", "Li1 Li 0 0 0 0.33", "Ti1 Ti 0.5 0.5 0.5 1"]
    rows += ["O1 O 0.5 0.5 0 1", "O2 O 0.5 0 0.5 1", "O3 O 0 0.5 0.5 1"]
    head = f"_chemical_formula_sum {formula}\n_cell_formula_units_Z {z}\n{P1}"
    (content,) = contents(cif(CUBE, rows, head, OCCUPANCY))
    assert isinstance(content, Structure) == right


def test_a_lost_row_is_more_than_rounding():
    rows = [f"Li{i} Li {i / 50:.2f} 0 0 0.10" for i in range(40)] + ["Cl1 Cl 0 0.5 0.5 1"]
    cell, head = (40, 4, 4, 90, 90, 90), f"_chemical_formula_sum 'Li4 Cl'\n{P1}"
    assert len(read_one(cif(cell, rows, head, OCCUPANCY))[0]) == 41
    assert "Li 3.9 for 4" in refusal(cif(cell, rows[1:], head, OCCUPANCY))
    thirds = [row.replace("0.10", "0.33") for row in rows[:3]] + rows[-1:]
    head = f"_chemical_formula_sum 'Li Cl'\n{P1}"
    assert len(read_one(cif(cell, thirds, head, OCCUPANCY))[0]) == 4


def test_the_formula_of_the_cell_is_one_too():
    """Some programs write the content of the cell beside its Z."""
    rows = ["Li1 Li 0 0 0", "Li2 Li 0.5 0.5 0", "Cl1 Cl 0.5 0 0.5", "Cl2 Cl 0 0.5 0.5"]
    head = f"_chemical_formula_sum 'Li2 Cl2'\n_cell_formula_units_Z 2\n{P1}"
    assert len(read_one(cif(CUBE, rows, head))[0]) == 4


def test_a_file_without_formula_says_so():
    _, remarks = read_one(cif(CUBE, ["Li1 Li 0 0 0"], P1))
    assert [remark.code for remark in remarks] == ["formula"]
