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
