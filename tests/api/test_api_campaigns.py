"""Many crystals in Python: the database that commands use, scripts without a guard, notebooks."""

import json
import subprocess
import sys

import pytest
from campaign_fixtures import TOY, rock_salt, write_crystals
from tiny_network import write_network

import superionic as si
from superionic.errors import UnreadableFileError
from superionic.potentials.registry import load_potential

SCRIPT = """
import json
import superionic as si
from pymatgen.core import Structure

rows = si.screen(["crystals", {broken!r}], potential={toy!r}, step_A=0.9, relax="never")
again = si.screen("crystals", potential={toy!r}, step_A=0.9, relax="never", progress=False)
asked = si.query(elements=["Cl"])
land = si.landscape(asked[0])
crystal = asked.structures()[asked[0].material_id]
direct = si.landscape(crystal, potential={toy!r}, step_A=0.9)
given = si.screen([crystal], potential={toy!r}, step_A=0.9, relax="never", progress=False)
print(json.dumps({{
    "ids": [row.material_id for row in rows],
    "same": [row.material_id for row in again] == [row.material_id for row in rows],
    "failures": [one.code for one in rows.failures],
    "html": rows._repr_html_(),
    "frame": rows.frame().shape,
    "asked": [row.formula for row in asked],
    "stored": land.descriptors().mpe_eV,
    "row": asked[0].mpe_eV,
    "direct": direct.descriptors().mpe_eV,
    "given": given[0].mpe_eV,
    "slice": type(rows[:1]).__name__,
}}))
"""


@pytest.mark.process
def test_a_script_screens_asks_and_reads_landscapes_back(surroundings):
    write_crystals(surroundings / "crystals", 2)
    broken = surroundings / "broken.cif"
    broken.write_text("no crystal")
    script = surroundings / "script.py"
    script.write_text(SCRIPT.format(toy=TOY, broken=str(broken)))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sorted(found["ids"]) == ["salt-00", "salt-01"]
    assert found["same"]
    assert "2 to compute" in done.stderr
    assert found["failures"] == ["unreadable_file"]
    assert "salt-00" in found["html"]
    assert "broken.cif" in found["html"]
    assert found["frame"][0] == 2
    assert found["asked"] == ["LiCl"]
    assert found["stored"] == pytest.approx(found["row"])
    assert found["direct"] == pytest.approx(found["row"], abs=1e-4)
    assert found["given"] == pytest.approx(found["row"], abs=1e-4)
    assert found["slice"] == "Rows"


@pytest.mark.process
def test_predictions_of_structures(tmp_path):
    network = write_network(tmp_path / "tiny.pt", load_potential(TOY).info)
    crystals = [rock_salt("Cl", 5.1), rock_salt("Br", 5.5)]
    options = {"potential": TOY, "network": network, "relax": "never", "progress": False}
    found = si.predict(crystals, **options)
    assert [one.formula for one in found] == ["LiCl", "LiBr"]
    assert found.failures == []
    assert "LiBr" in found._repr_html_()
    frame = found.frame()
    assert frame["log10_msd_slope"].to_list() == [one.log10_msd_slope for one in found]
    assert frame["potential"].unique().tolist() == [load_potential(TOY).info.label]
    assert type(found[:1]) is si.Results
    again = si.predict(crystals[0], **options)
    assert again[0].job_uuid == found[0].job_uuid


def test_dynamics_of_one_crystal(data_dir):
    pytest.importorskip("plotly")
    crystal = rock_salt("Cl", 5.1)
    options = {"potential": TOY, "length_ps": 0.06, "equilibration_ps": 0.02, "relax": "never"}
    found = si.md(crystal, 700.0, material_id="salt", **options)
    document = found.document
    assert (document.material_id, document.temperature_K) == ("salt", 700.0)
    assert document.equilibration_ps == pytest.approx(0.02)
    assert document.n_steps_done == 40
    assert repr(found).startswith("Dynamics(LiCl, salt, 700 K, 0.06 ps, ")
    assert "salt" in found._repr_html_()
    assert found.frame().loc["salt", "temperature_K"] == 700.0
    assert found.plot().data
    assert found.plot(static=True).axes
    # Nothing is computed twice.
    chunks = {file: file.stat().st_mtime_ns for file in data_dir.glob("md/*/chunk_*.npz")}
    assert chunks
    si.md(crystal, 700.0, material_id="salt", **options)
    assert {file: file.stat().st_mtime_ns for file in chunks} == chunks


@pytest.mark.parametrize("function", [si.screen, si.predict, si.label])
def test_a_file_that_is_not_there_is_refused_before_anything_begins(function, data_dir):
    crystal = rock_salt("Cl", 5.1)
    with pytest.raises(UnreadableFileError, match="no file or folder my_cifs"):
        function([crystal, "my_cifs/"], potential=TOY)
    assert not data_dir.exists()
