"""Commands as a user types them: help, wrong input, secrets, one crystal, the doctor."""

import json
from pathlib import Path

import psutil
import pytest
from campaign_fixtures import TOY, modules_and_seconds, rock_salt, write_crystals
from typer.testing import CliRunner

from superionic.cli.app import app
from superionic.landscape.grid import plain_shape
from superionic.settings import get_settings
from superionic.structures.readers import read_candidates


def invoke(*arguments: str | Path):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["screen", "--help"], ["--version"]])
def test_help_is_quick_and_needs_no_heavy_package(arguments):
    _, modules, seconds = modules_and_seconds(*arguments)
    heavy = {"torch", "numpy", "scipy", "ase", "pymatgen", "jobflow", "maggma", "numba", "pymongo"}
    assert not modules & {*heavy, "pydantic_settings"}
    assert seconds < 2


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["screen", "not-there"], "not-there"),
        (["screen", "{folder}", "--step", "-1"], "--step"),
        (["screen", "{folder}", "--step", "nan"], "--step"),
        (["screen", "{folder}", "--workers", "0"], "--workers"),
        (["screen", "{folder}", "--json", "{folder}/not-there/out.json"], "no directory"),
        (["screen", "{folder}", "--json", "{folder}"], "is a directory"),
        (["screen", "{folder}", "--mobile", "Xx"], "Xx"),
        (["screen", "{folder}", "--potential", "chargenet"], "chargenet"),
        (["screen", "{folder}", "--potential", "ase:no.such.Thing"], "no.such.Thing"),
        (["screen", "{folder}", "--potential", "chgnet?3"], "JSON"),
        (["screen", "{folder}", "--adaptive"], "no adaptive mode any more"),
        (["screen", "{folder}", "--exact", "--max-energies", "50"], "--exact"),
        (["descriptors", "not-there.cif"], "not-there.cif"),
        (["descriptors", "{folder}"], "is a directory"),
    ],
)
def test_wrong_input_is_named_before_anything_is_computed(arguments, fault, tmp_path, data_dir):
    folder = tmp_path / "crystals"
    write_crystals(folder, 1)
    result = invoke(*(argument.format(folder=folder) for argument in arguments))
    assert result.exit_code != 0
    text = result.output + str(result.exception)
    assert fault in " ".join(text.replace("│", " ").split())
    assert not data_dir.exists()  # no server was started


@pytest.mark.process
def test_an_error_is_one_message_without_a_traceback(run, tmp_path):
    write_crystals(tmp_path / "crystals", 1)
    done = run("screen", tmp_path / "crystals", "--potential", "chargenet", code=1)
    assert done.err.startswith("Error: ")
    assert "Families are" in done.err


@pytest.mark.process
@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100",
        "mongodb://user:hunter2@/secret@host",
        "postgres://user:hunter2@host/",
    ],
)
def test_a_password_is_never_printed(uri, run):
    done = run("query", "--database", uri, code=1)
    assert "Error: " in done.err
    assert "hunter2" not in done.err + done.out


@pytest.fixture
def salt(tmp_path) -> Path:
    path = tmp_path / "salt.cif"
    rock_salt("Cl", 5.1).to(filename=str(path))
    return path


def test_descriptors_of_one_crystal_are_json(salt):
    result = invoke("descriptors", salt, "--potential", TOY, "--step", "0.6")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["material_id"] == "salt"
    assert found["n_atoms"] == 2
    assert found["mpe_eV"] > 0
    assert 0 <= found["xi"] <= 1
    assert len(found["fv_connected_union"]) == len(found["thresholds_eV"]) == 16
    assert found["barrier_1d_eV"] <= found["barrier_2d_eV"] <= found["barrier_3d_eV"]
    assert found["provenance"]["landscape"]["grid_step_A"] == 0.6
    assert found["provenance"]["potential"]["weights_sha256"]
    assert found["n_operations"] > 1


def test_descriptors_of_a_learned_landscape_have_intervals(salt):
    options = ("--potential", TOY, "--step", "0.6", "--max-energies", "12")
    result = invoke("descriptors", salt, *options)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["provenance"]["landscape"]["learned"]["max_energies"] == 12
    assert found["ending"] in ("settled", "budget", "exhausted")
    for name in ("mpe_eV", "barrier_3d_eV", "xi"):
        interval = found["intervals"][name]
        assert interval["low"] <= found[name] <= interval["high"]


def test_reference_switches_symmetry_and_every_approximation_off(salt):
    result = invoke("descriptors", salt, "--potential", TOY, "--step", "0.8", "--reference")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (candidate,) = read_candidates([salt])
    assert found["n_atoms"] == len(candidate.structure)  # the cell as it is
    assert found["n_operations"] == 1
    assert tuple(found["grid_shape"]) == plain_shape(candidate.structure.lattice.matrix, 0.8)
    assert found["grid_origin"] == [0, 0, 0]
    assert found["provenance"]["landscape"]["symmetry"] is False
    assert found["provenance"]["landscape"]["fast"] is False
    assert len(found["mpe_per_ion_eV"]) == found["n_mobile"] == 4
    assert found["mpe_eV"] == min(found["mpe_per_ion_eV"])


def test_descriptors_of_a_bad_crystal_name_it(tmp_path):
    rock_salt("Cl", 2.0).to(filename=str(tmp_path / "tiny.cif"))
    result = invoke("descriptors", tmp_path / "tiny.cif", "--potential", TOY)
    assert result.exit_code != 0
    assert "tiny" in str(result.exception)


def test_doctor_finds_nothing_wrong(database):
    result = invoke("doctor", "--potential", TOY)
    assert result.exit_code == 0, result.output
    assert "BAD" not in result.output
    assert f"ok   potential {TOY}" in result.output
    assert f"{database.description} answers" in result.output


@pytest.mark.parametrize(
    "fault", ["unknown setting", "not YAML", "jobflow", "database", "potential"]
)
def test_doctor_names_each_fault_and_what_to_do(fault, monkeypatch, tmp_path):
    config = Path(tmp_path / "home" / "superionic.yaml")
    potential, subject = TOY, "superionic configuration"
    if fault == "unknown setting":
        config.write_text("databse_uri: mongodb://user:hunter2@host\n")
    elif fault == "not YAML":
        config.write_text("{:\n")
    elif fault == "jobflow":
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "not-there.yaml"))
        subject = "jobflow configuration"
    elif fault == "database":
        config.write_text("database_uri: mongodb://user:hunter2@127.0.0.1:1/\n")
        subject = "connection"
    else:
        potential = "ase:no.such.Thing"
        subject = f"potential {potential}"
    get_settings.cache_clear()
    result = invoke("doctor", "--potential", potential)
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    (number,) = [i for i, line in enumerate(lines) if line.startswith(f"BAD  {subject}")]
    assert lines[number + 1].startswith("       ")  # what to do
    assert "package jobflow" in result.output  # the rest is said, too
    assert "hunter2" not in result.output


def test_no_process_of_these_tests_is_left(zygote):
    children = psutil.Process(zygote.process.pid).children(recursive=True)
    assert not [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
