"""What commands load that compute nothing."""

import subprocess
import sys

import pytest
from campaign_fixtures import modules_and_seconds, rock_salt

HEAVY = {"torch", "chgnet", "numba", "matplotlib", "pandas", "atomate2", "scipy", "sympy"}

pytestmark = [pytest.mark.process, pytest.mark.real_potential]


def test_a_screen_that_computes_nothing_loads_no_potential(run, tmp_path, data_dir):
    rock_salt("I", 6.0).to(filename=str(tmp_path / "salt.cif"))
    asked = ("screen", str(tmp_path / "salt.cif"), "--step", "0.9", "--workers", "1")
    first = run(*asked).out
    output, modules, seconds = modules_and_seconds(*asked)
    assert output == first.rstrip()
    assert not modules & HEAVY
    assert seconds < 2.5  # 0.8 on a machine that does nothing else


def test_what_keeps_the_server_reads_no_settings():
    code = "import sys, superionic.store.database.keeper; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {*HEAVY, "pydantic", "pymongo", "numpy"}


def test_candidates_load_no_maker_of_dynamics(tmp_path):
    rock_salt("I", 6.0).to(filename=str(tmp_path / "salt.cif"))
    output, modules, seconds = modules_and_seconds("candidates", str(tmp_path / "salt.cif"))
    assert "1 crystals read" in output
    assert not modules & HEAVY
    assert seconds < 4  # 1.5 on a machine that does nothing else
