"""Files that are downloaded, read by other programs."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.io.common import VolumetricData

from superionic.report.documents import cif_text, file_name
from superionic.report.serve.downloads import cube_text, rows_csv
from superionic.report.serve.models import TableRow


@given(st.lists(st.text(max_size=100), max_size=3))
def test_file_names_are_plain(parts):
    name = file_name(*parts, suffix=".cif")
    assert name.endswith(".cif")
    assert len(name) < 100
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not name.startswith((".", "-"))


def test_file_names_keep_what_is_plain():
    assert file_name("mp-1", "LiCl", suffix=".cif") == "mp-1_LiCl.cif"
    assert file_name('../../"\r\nx', suffix=".cif") == "x.cif"


def test_numbers_in_csv_stay_numbers():
    row = TableRow(
        key="a", formula="=1+1", predicted_log10_msd_slope=-3.5, present=["landscape", "label"]
    )
    (read,) = csv.DictReader(io.StringIO("".join(rows_csv([[row], []]))))
    assert read["predicted_log10_msd_slope"] == "-3.5"
    assert read["formula"] == "'=1+1"
    assert read["present"] == "landscape;label"
    assert read["xi"] == ""


def test_a_cif_is_read_by_pymatgen(licl):
    read = Structure.from_str(cif_text(licl), fmt="cif")
    assert read.matches(licl)
    assert len(read) == len(licl)


def test_a_cube_file_is_read_by_pymatgen_and_ase(licl, tmp_path):
    from ase.io.cube import read_cube_data

    energies = np.random.default_rng(0).random((4, 5, 7))
    path = tmp_path / "landscape.cube"
    path.write_text(cube_text(licl, energies, (0.0, 0.0, 0.0), "a comment\nof two lines"))
    data = VolumetricData.from_cube(str(path))
    assert np.allclose(data.structure.lattice.matrix, licl.lattice.matrix, atol=1e-4)
    assert data.data["total"] == pytest.approx(energies, rel=1e-5)
    values, atoms = read_cube_data(str(path))
    assert values == pytest.approx(energies, rel=1e-5)
    assert list(atoms.numbers) == [site.specie.Z for site in licl]
    assert np.allclose(atoms.positions, licl.cart_coords, atol=1e-5)


def test_a_cube_file_says_where_its_first_point_lies(licl):
    from ase.units import Bohr

    text = cube_text(licl, np.zeros((2, 2, 2)), (0.5, 0.0, 0.25), "")
    origin = np.array(text.splitlines()[2].split()[1:], dtype=float) * Bohr
    assert origin == pytest.approx(np.array([0.5, 0, 0.25]) @ licl.lattice.matrix, abs=1e-5)
