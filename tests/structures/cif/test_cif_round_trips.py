"""A crystal written by other programs, in any cell, comes back as it is."""

from io import BytesIO
from pathlib import Path

import ase.io
import gemmi
import numpy as np
import pytest
from cif_texts import read_one
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifParser, CifWriter

from superionic.report.documents import cif_text
from superionic.structures.candidate import structure_hash

REACH_A = 4.0
GROUPS = ("P-1", "P2_1/c", "C2/c", "Pnma", "I4_1/a", "R-3", "P6_3/m", "P2_13")


def by_ase(structure: Structure) -> str:
    buffer = BytesIO()
    ase.io.write(buffer, AseAtomsAdaptor.get_atoms(structure), format="cif")
    return buffer.getvalue().decode()


def by_gemmi(structure: Structure) -> str:
    small = gemmi.SmallStructure()
    small.cell.set(*structure.lattice.parameters)
    small.spacegroup_hm = "P 1"
    for number, atom in enumerate(structure):
        site = gemmi.SmallStructure.Site()
        site.label = f"{atom.specie.symbol}{number}"
        site.type_symbol = atom.specie.symbol
        site.element = gemmi.Element(atom.specie.symbol)
        site.fract = gemmi.Fractional(*atom.frac_coords)
        site.occ = 1.0
        small.add_site(site)
    return small.make_cif_block().as_string()


WRITERS = {
    "pymatgen": lambda s: str(CifWriter(s)),
    "pymatgen, symmetric": lambda s: str(CifWriter(s, symprec=1e-3)),
    "ase": by_ase,
    "gemmi": by_gemmi,
    "superionic": cif_text,
}


@st.composite
def crystals(draw: st.DrawFn) -> Structure:
    """Draw a crystal of atoms on general and special positions, none on top of another."""
    group = draw(st.sampled_from(GROUPS))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(5, 8, 3)
    lattice = {
        "P-1": Lattice.from_parameters(a, b, c, 80, 97, 104),
        "P2_1/c": Lattice.monoclinic(a, b, c, 103),
        "C2/c": Lattice.monoclinic(a, b, c, 98),
        "Pnma": Lattice.orthorhombic(a, b, c),
        "I4_1/a": Lattice.tetragonal(a, c),
        "R-3": Lattice.hexagonal(a, 2 * c),
        "P6_3/m": Lattice.hexagonal(a, c),
        "P2_13": Lattice.cubic(a),
    }[group]
    special = rng.choice([0.0, 0.5, 0.25, 0.125], 3)
    crystal = Structure.from_spacegroup(
        group, lattice, ["Li", "O"], [special, [*rng.uniform(0.05, 0.45, 2), special[2]]]
    )
    crystal.merge_sites(tol=0.4, mode="delete")
    return crystal


@st.composite
def cells(draw: st.DrawFn) -> NDArray[np.int64]:
    """Draw another cell of a lattice: axes in another order, skewed, or a larger one."""
    order = draw(st.permutations(range(3)))
    matrix = np.eye(3, dtype=int)[list(order)]
    row, other = draw(st.sampled_from([(0, 1), (1, 2), (2, 0), (1, 0)]))
    matrix[row] += draw(st.integers(-1, 1)) * matrix[other]
    matrix[0] *= draw(st.integers(1, 2))
    return matrix


def distances_by_pair(structure: Structure) -> dict[str, NDArray[np.float64]]:
    """Return all sorted distances up to 4 A, each once for each atom, by pairs of elements."""
    centres, neighbours, _, distances = structure.get_neighbor_list(REACH_A)
    symbols = np.array([site.specie.symbol for site in structure])
    pairs = np.char.add(symbols[centres], symbols[neighbours])
    return {str(pair): np.sort(distances[pairs == pair]) for pair in np.unique(pairs)}


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(crystal=crystals(), cell=cells(), shift=st.sampled_from([0.0, 0.125, 0.0371]))
def test_a_crystal_comes_back(writer, crystal, cell, shift):
    other = crystal.make_supercell(cell, in_place=False)
    other.translate_sites(range(len(other)), [shift] * 3)
    read, _ = read_one(WRITERS[writer](other))
    assert read.composition.reduced_formula == other.composition.reduced_formula
    assert read.volume / len(read) == pytest.approx(other.volume / len(other), rel=1e-4)
    written, found = distances_by_pair(other), distances_by_pair(read)
    for pair in written.keys() | found.keys():
        # The writer may have chosen a cell of another size: as often as in both cells together.
        one = np.repeat(written.get(pair, []), len(read))
        two = np.repeat(found.get(pair, []), len(other))
        n = min(len(one), len(two))
        np.testing.assert_allclose(one[:n], two[:n], atol=2e-3)
        assert (np.append(one[n:], two[n:]) > REACH_A - 2e-3).all()
    # The matcher's own primitive cells have a tolerance of 0.25 A, which joins what is apart here.
    one, two = (crystal.get_primitive_structure(0.01) for crystal in (read, other))
    assert StructureMatcher(scale=False, primitive_cell=False).fit(one, two)


CIFS = sorted((Path(__file__).parents[3] / "workflows").rglob("*.cif"))


@pytest.mark.parametrize("path", CIFS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
def test_the_crystals_of_the_repository_keep_their_keys(path):
    """What is stored for a crystal is found by its hash: cell and order of sites are pymatgen's."""
    text = path.read_text()
    parser = CifParser.from_str(text, occupancy_tolerance=1.02)
    (expected,) = parser.parse_structures(primitive=False)
    assert structure_hash(read_one(text)[0]) == structure_hash(expected)
