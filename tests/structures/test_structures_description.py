"""What is shown of a crystal that was read."""

import pytest
from pymatgen.core import Lattice, Structure

from superionic.errors import NoFrameworkError
from superionic.structures import Candidate
from superionic.structures.description import describe, shortest_distances


def test_space_group_distances_and_changes():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.07), ["Li+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    remark = {"code": "encoding", "text": "The file was read as Latin-1."}
    found = describe(Candidate("m", salt, "x.cif", {"remarks": [remark]}), "Li")
    assert (found.formula, found.spacegroup, found.n_atoms) == ("LiCl", "Fm-3m", 2)
    assert found.formula_as_read.replace("+", "").replace("-", "") == "Li4 Cl4"
    assert found.shortest_distances_A == pytest.approx({"Cl": 5.07 / 2, "Li": 5.07 / 2**0.5})
    assert found.ion_and_distances == "Li: Cl 2.54, Li 3.59"
    assert found.changes == (
        "Oxidation states were taken off.",
        "Reduced from 8 to 2 sites (primitive cell).",
        "The file was read as Latin-1.",
    )


def test_mixed_sites_and_deuterium_are_among_the_changes():
    mixed = Structure(
        Lattice.cubic(4.0), [{"Li": 0.5, "Na": 0.5}, "D"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    found = describe(Candidate("m", mixed), "Li")
    text = " ".join(found.changes)
    assert "D is treated as H" in text
    assert "Partial occupancies were ordered in 2 cell(s)" in text


def test_elements_far_away_and_crystals_that_cannot_be_prepared():
    sparse = Structure(Lattice.cubic(9.0), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert shortest_distances(sparse, "Li") == pytest.approx({"Cl": 9 * 3**0.5 / 2, "Li": 9.0})
    with pytest.raises(NoFrameworkError):
        describe(Candidate("m", Structure(Lattice.cubic(3.4), ["Li"], [[0, 0, 0]])), "Li")
