"""The landscape of one crystal in Python."""

import json
from pathlib import Path

import numpy as np
import pytest
from campaign_fixtures import TOY, rock_salt
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

import superionic as si
from superionic.errors import InputError, NoMobileIonError, SettingsError

COARSE = {"potential": TOY, "step_A": 0.9}


@pytest.fixture
def crystal() -> Structure:
    return rock_salt("Cl", 5.1)


@pytest.fixture
def file(crystal, tmp_path) -> Path:
    path = tmp_path / "salt.cif"
    crystal.to(filename=str(path))
    return path


def test_a_file_a_structure_and_atoms_are_the_same_crystal(crystal, file):
    atoms = AseAtomsAdaptor.get_atoms(crystal)
    found = [si.landscape(one, **COARSE) for one in (file, str(file), crystal, atoms)]
    assert [one.material_id for one in found[:2]] == ["salt", "salt"]
    barriers = [one.descriptors().mpe_eV for one in found]
    assert barriers == pytest.approx([barriers[0]] * 4, abs=1e-6)
    assert si.landscape(crystal, material_id="mine", **COARSE).material_id == "mine"


def test_options_do_what_they_say(crystal):
    plain = si.landscape(crystal, **COARSE)
    assert (plain.mobile_species, plain.formula, len(plain.structure)) == ("Li", "LiCl", 2)
    assert len(si.landscape(crystal, reference=True, **COARSE).structure) == 8
    assert len(si.landscape(crystal, min_width_A=5.0, **COARSE).structure) > 2
    assert si.landscape(crystal, "Cl", **COARSE).mobile_species == "Cl"
    narrow = si.landscape(crystal, radius_A=1.6, **COARSE)
    (_, one), (_, other) = next(plain.maps()), next(narrow.maps())
    assert one.shape == other.shape
    assert (one == one.max()).sum() < (other == other.max()).sum()
    with pytest.raises(NoMobileIonError, match="salt"):
        si.landscape(crystal, "Na", material_id="salt", **COARSE)
    with pytest.raises(SettingsError, match="not learned"):
        si.landscape(crystal, reference=True, learned=True, **COARSE)


def test_it_shows_itself(crystal):
    land = si.landscape(crystal, material_id="<salt>", **COARSE)
    found = land.descriptors()
    assert repr(land).startswith("CrystalLandscape(LiCl, <salt>, mobile Li, ")
    html = land._repr_html_()
    assert f"{found.barrier_3d_eV:.3f}" in html
    assert "&lt;salt&gt;" in html
    assert "<salt>" not in html
    frame = land.frame()
    assert frame.loc["<salt>", "barrier_3d_eV"] == found.barrier_3d_eV
    assert frame.loc["<salt>", "formula"] == "LiCl"


def test_it_is_plotted(crystal):
    pytest.importorskip("plotly")
    pytest.importorskip("skimage")
    land = si.landscape(crystal, **COARSE)
    for kind in ("landscape", "path", "volume"):
        assert land.plot(kind).data
        assert land.plot(kind, static=True).axes
    with pytest.raises(InputError, match="no figure 'msd'"):
        land.plot("msd")


def test_the_command_prints_the_same(file, run):
    command = run("descriptors", file, "--step", "0.9", "-p", TOY)
    printed = json.loads(command.out)
    land = si.landscape(file, **COARSE)
    own = json.loads(json.dumps(land.as_dict(), allow_nan=False))
    for content in (printed, own):
        content.pop("wall_time_s")
    assert printed == own
    assert np.isclose(own["mpe_eV"], land.descriptors().mpe_eV)
