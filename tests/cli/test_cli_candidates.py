"""``superionic candidates`` as a user types it: what was read is shown, what was not is said."""

import json

import pytest
from ase.io.trajectory import Trajectory
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from typer.testing import CliRunner

from superionic.cli.app import app

SITES = [[0, 0, 0], [0.5, 0.5, 0.5]]


def salt(cation, a_A):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a_A), [cation, "Cl"], SITES)


@pytest.fixture
def folder(tmp_path):
    for name, cation, a_A in (("a", "Li", 5.1), ("b", "Na", 5.6), ("c", "Ag", 5.5)):
        salt(cation, a_A).to(filename=str(tmp_path / f"{name}.cif"))
    return tmp_path


def run(*args):
    return CliRunner().invoke(app, ["candidates", *map(str, args)])


def test_what_was_read_is_shown(folder):
    found = run(folder)
    assert found.exit_code == 0, found.output
    row = next(line for line in found.output.splitlines() if line.startswith("a "))
    assert row.split() == ["a", "LiCl", "Fm-3m", "2", "Li:", "Cl", "2.55,", "Li", "3.61"]
    assert "a: Reduced from 8 to 2 sites" in found.output
    assert "-2 without the mobile ion" in found.output


def test_several_ions(folder):
    found = run(folder, "--mobile", "Na,Ag", "--json", "-")
    content = json.loads(found.stdout)
    assert [(one["material_id"], one["mobile_species"]) for one in content["candidates"]] == [
        ("b", "Na"),
        ("c", "Ag"),
    ]
    assert "    -2 without the mobile ion" in found.stderr
    assert content["candidates"][0]["shortest_distances_A"]["Cl"] == pytest.approx(2.8)
    assert content["refused"] == []


def test_what_cannot_be_used_is_said_and_the_exit_code_tells(folder):
    (folder / "broken.cif").write_text("data_x")
    (folder / "metal.vasp").write_text("Li\n1\n3.4 0 0\n0 3.4 0\n0 0 3.4\nLi\n1\nDirect\n0 0 0\n")
    (folder / "ranking.json").write_text('[{"rank": 1}]')
    found = run(folder, "--out", folder / "out.jsonl")
    assert found.exit_code == 3
    assert "broken.cif" in found.output
    assert "metal: The crystal holds nothing but Li" in found.output
    assert "no crystals in 1 .json file (ranking.json)" in found.output
    assert (folder / "out.jsonl").exists()


def test_a_trajectory_is_read_or_refused_with_a_reason(folder):
    path = folder / "relax.traj"
    with Trajectory(path, "w") as trajectory:
        trajectory.write(AseAtomsAdaptor.get_atoms(salt("Li", 5.2)))
        trajectory.write(AseAtomsAdaptor.get_atoms(salt("Li", 5.1)))
    found = run(path)
    assert found.exit_code == 0, found.output
    assert "The last of the 2 frames was read." in found.output
    path.write_bytes(b"nothing")
    found = run(path)
    assert found.exit_code == 3
    assert "no trajectory of ASE" in found.output


def test_that_none_holds_the_ion_is_one_error(folder):
    found = run(folder, "--mobile", "K")
    assert found.exit_code == 3
    assert "None of the 3 crystals holds K." in found.output
    assert "-3 without the mobile ion" in found.output


CIF = """data_x
_chemical_formula_sum '{formula}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
{rows}
"""


def test_a_conductor_whose_hydrogen_has_no_row(tmp_path):
    rows = "Li1 Li 0 0 0 1\nLi2 Li 0.5 0.5 0 1\nO1 O 0.5 0 0.5 1\nCl1 Cl 0 0.5 0.5 1"
    (tmp_path / "Li2OHCl.cif").write_text(CIF.format(formula="Li2 O H Cl", a=3.9, rows=rows))
    found = run(tmp_path)
    assert found.exit_code == 3
    assert "Li2OHCl.cif: The stated formula is Li2 O H Cl" in found.output
    assert "(no H). Give the positions of the hydrogens." in found.output
    assert "0 candidates" in found.output


def test_a_conductor_with_split_sites_has_one_ion_on_each_pair(tmp_path):
    rows = "Li1 Li 0.45 0 0 0.5\nLi2 Li 0.55 0 0 0.5\nCl1 Cl 0.5 0.5 0.5 1"
    (tmp_path / "split.cif").write_text(CIF.format(formula="Li Cl", a=4.0, rows=rows))
    found = run(tmp_path)
    assert found.exit_code == 0
    row = next(line for line in found.output.splitlines() if line.startswith("split "))
    assert row.split()[:4] == ["split", "LiCl", "P4mm", "2"]
    assert "computed is an ordered approximant, LiCl" in found.output


def test_a_conductor_with_two_mobile_ions_is_a_candidate_of_each(tmp_path):
    rows = "Li1 Li 0 0 0 1\nNa1 Na 0.5 0.5 0 1\nCl1 Cl 0.5 0 0.5 1\nCl2 Cl 0 0.5 0.5 1"
    (tmp_path / "both.cif").write_text(CIF.format(formula="Li Na Cl2", a=5.2, rows=rows))
    found = run(tmp_path, "--mobile", "Li,Na")
    rows = [line.split() for line in found.output.splitlines() if line.startswith("both ")]
    assert [(row[0], row[4]) for row in rows] == [("both", "Li:"), ("both", "Na:")]
