"""POSCAR: every form that VASP reads, and no crystal from a file that is not whole."""

import numpy as np
import pytest
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp import Poscar

from superionic.errors import CellTooLargeError, NotACrystalError, UnreadableFileError
from superionic.structures.poscar import parse_poscar

LATTICE = "5.1 0.2 0.0\n0.0 4.9 0.3\n0.1 0.0 6.2"
FRACTIONAL = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.85], [0.35, 0.9, 0.6]])
MATRIX = np.array([[5.1, 0.2, 0.0], [0.0, 4.9, 0.3], [0.1, 0.0, 6.2]])
SYMBOLS = ["Li", "Li", "Cl"]


def rows(coords, tail=""):
    return "\n".join(" ".join(f"{x:.10f}" for x in row) + tail for row in coords)


def poscar(scale="1.0", mode="Direct", names="Li Cl\n2 1", coords=None, lattice=LATTICE):
    coords = rows(FRACTIONAL) if coords is None else coords
    return f"a comment\n{scale}\n{lattice}\n{names}\n{mode}\n{coords}\n"


def is_the_crystal(structure, matrix=MATRIX):
    assert [site.specie.symbol for site in structure] == SYMBOLS
    np.testing.assert_allclose(structure.lattice.matrix, matrix, atol=1e-8)
    np.testing.assert_allclose(structure.frac_coords, FRACTIONAL, atol=1e-8)


VOLUME = float(np.linalg.det(MATRIX))


@pytest.mark.parametrize("mode", ["Direct", "Cartesian", "kartesisch"])
@pytest.mark.parametrize("scale", ["2.0", f"-{8 * VOLUME}", "2.0 2.0 2.0", "2.0d0"])
def test_a_factor_a_volume_and_three_factors_hold_for_both_kinds_of_coordinates(scale, mode):
    coords = FRACTIONAL if mode == "Direct" else FRACTIONAL @ MATRIX
    is_the_crystal(parse_poscar(poscar(scale, mode, coords=rows(coords))), 2 * MATRIX)


def test_three_factors_scale_the_components():
    matrix = MATRIX * [1.0, 1.5, 0.5]
    is_the_crystal(parse_poscar(poscar("1.0 1.5 0.5")), matrix)
    cartesian = poscar("1.0 1.5 0.5", "Cartesian", coords=rows(FRACTIONAL @ MATRIX))
    is_the_crystal(parse_poscar(cartesian), matrix)


def test_a_volume_of_a_left_handed_cell():
    swapped = "\n".join(LATTICE.splitlines()[i] for i in (1, 0, 2))
    found = parse_poscar(poscar(f"-{VOLUME}", lattice=swapped))
    np.testing.assert_allclose(found.lattice.matrix, MATRIX[[1, 0, 2]], atol=1e-8)


@pytest.mark.parametrize(
    "names",
    [
        "Li_sv Cl\n2 1",
        "Li_sv/1a2b3c Cl/79d9987ad87\n2 1",
        "Li_sv_GW Cl_h\n2 1",
        "Li Li Cl\n1 1 1",
        "Li\nLi Cl\n1\n1 1",
        "Li Li\nCl\n1 1 1",
        "Li Cl ! two kinds\n2 1 ! three atoms",
        "Li Cl\n2 1\nSelective dynamics",
    ],
)
def test_names_of_all_kinds(names):
    is_the_crystal(parse_poscar(poscar(names=names)))


def test_many_groups_over_several_lines():
    n = 23
    coords = [[i / n, 0.0, 0.5 * (i % 2)] for i in range(n)]
    symbols = [("Li_sv/0ab", "Cl/79d")[i % 2] for i in range(n)]
    names = f"{' '.join(symbols[:20])}\n{' '.join(symbols[20:])}\n{'1 ' * 20}\n1 1 1"
    found = parse_poscar(poscar(names=names, coords=rows(coords), lattice="40 0 0\n0 6 0\n0 0 6"))
    assert [site.specie.symbol for site in found] == ["Li", "Cl"] * 11 + ["Li"]
    np.testing.assert_allclose(found.frac_coords, coords)


def test_flags_labels_and_velocities_are_read_past():
    flags = rows(FRACTIONAL, " T F F")
    is_the_crystal(parse_poscar(poscar(names="Li Cl\n2 1\nSelective", coords=flags)))
    is_the_crystal(parse_poscar(poscar(coords=rows(FRACTIONAL, " F F F"))))
    velocities = rows(FRACTIONAL) + "\n\n" + rows(0.01 * FRACTIONAL)
    is_the_crystal(parse_poscar(poscar(coords=velocities)))
    lattice = rows(FRACTIONAL) + "\nLattice velocities and vectors\n1\n" + rows(MATRIX)
    is_the_crystal(parse_poscar(poscar(coords=lattice)))


def test_vasp_4_is_read_only_where_each_row_names_its_element():
    with pytest.raises(UnreadableFileError, match="does not name its elements"):
        parse_poscar(poscar(names="2 1").replace("a comment", "Li Cl"))
    named = "\n".join(f"{rows([c])} {s}" for c, s in zip(FRACTIONAL, SYMBOLS, strict=True))
    is_the_crystal(parse_poscar(poscar(names="2 1", coords=named)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (poscar("0.0"), "scaling factor"),
        (poscar("1.0 2.0"), "scaling factor"),
        (poscar("1.0 -2.0 1.0"), "scaling factor"),
        (poscar("1 nan"), "scaling factor"),
        (poscar("-30", lattice="5 0 0\n0 5 0\n5 5 0"), "independent"),
        (poscar(lattice="5 0 0\n0 5 0\n5 5 0"), "degenerate"),
        (poscar(lattice="5 0 0\n0 nan 0\n0 0 5"), "lattice vector"),
        (poscar("1e200"), "long"),
        (poscar(names="Li Xx\n2 1"), "Xx"),
        (poscar(names="Li H.5\n2 1"), "H.5"),
        (poscar(names="Li Cl\n2 1 1"), "2 numbers of atoms"),
        (poscar(names="Li Cl\n2 2"), "atom 4 of 4"),
        (poscar(names="Li Cl\n1 1"), "blank"),
        (poscar(names="Li Cl\n2 -1"), "numbers of atoms"),
        (poscar(coords=rows(FRACTIONAL[:2])), "ends at row"),
        (poscar(coords=rows(FRACTIONAL[:2]) + "\n\n" + rows(FRACTIONAL)), "atom 3 of 3"),
        (poscar(coords=rows(FRACTIONAL, " Cl")), "is Li by the numbers"),
    ],
)
def test_what_is_not_whole_is_refused_in_words(text, words):
    with pytest.raises((UnreadableFileError, NotACrystalError), match=words) as caught:
        parse_poscar(text)
    assert caught.value.hint


def test_a_million_atoms_are_refused_before_they_are_read():
    with pytest.raises(CellTooLargeError, match="1000000 sites"):
        parse_poscar(poscar(names="Li Cl\n999999 1"))


@settings(max_examples=60, deadline=None)
@given(
    n_atoms=st.integers(2, 12),
    writer=st.sampled_from(["pymatgen", "ASE direct", "ASE Cartesian"]),
    change=st.sampled_from(["none", "lose", "double"]),
    where=st.floats(0, 0.999),
    seed=st.integers(0, 2**16),
)
def test_a_file_that_loses_or_doubles_a_row_is_never_another_crystal(
    tmp_path_factory, n_atoms, writer, change, where, seed
):
    rng = np.random.default_rng(seed)
    matrix = np.diag(rng.uniform(4, 8, 3)) + rng.uniform(-1, 1, (3, 3))
    crystal = Structure(
        Lattice(matrix), sorted(rng.choice(["Li", "Cl", "O"], n_atoms)), rng.random((n_atoms, 3))
    )
    if writer == "pymatgen":
        text = Poscar(crystal).get_str(significant_figures=12)
    else:
        path = tmp_path_factory.mktemp("poscar") / "POSCAR"
        atoms = AseAtomsAdaptor.get_atoms(crystal)
        write(path, atoms, format="vasp", direct=writer == "ASE direct", sort=False)
        text = path.read_text()
    lines = text.splitlines()
    row = int(where * len(lines))
    changed = {"none": lines, "lose": lines[:row] + lines[row + 1 :]}
    changed["double"] = [*lines[:row], lines[row], *lines[row:]]
    try:
        found = parse_poscar("\n".join(changed[change]) + "\n")
    except (UnreadableFileError, NotACrystalError):
        assert change != "none"
        return
    # Without the line of symbols pymatgen's rows still name their elements.
    assert [s.specie.symbol for s in found] == [s.specie.symbol for s in crystal]
    np.testing.assert_allclose(found.distance_matrix, crystal.distance_matrix, atol=1e-6)
