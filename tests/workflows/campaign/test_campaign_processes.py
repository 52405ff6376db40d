"""Campaigns in real processes, stopped and killed."""

import json
import os
import pty
import signal
import subprocess
from collections import Counter
from pathlib import Path

import psutil
import pytest
from campaign_fixtures import PROGRAM, TOY, rock_salt, server_is_gone, wait_until, write_crystals
from pymatgen.core import Lattice, Structure
from pymongo import MongoClient

from superionic.report.tables.ranking import JSON_FIELDS
from superionic.settings import SuperionicSettings
from superionic.store.database.owner import Owner
from superionic.store.database.server import server_status, start_server
from superionic.store.database.stores import Database, resolve_database

pytestmark = pytest.mark.process

FAST = ("--potential", TOY, "--step", "0.6")


def waiting_toy(gate: Path) -> tuple[str, ...]:
    """Return options of a potential that keeps iodides waiting until a file is there."""
    return ("--potential", f'{TOY}?{{"iodides_wait_for":"{gate}"}}', "--step", "0.6")


def documents(database: Database, kind: str) -> Counter[str]:
    """Return how many documents of a kind each material has."""
    found = database.job_store.query({"output.kind": kind}, properties=["output.material_id"])
    return Counter(row["output"]["material_id"] for row in found)


def local_documents(kind: str) -> Counter[str]:
    with resolve_database(SuperionicSettings()) as database:
        return documents(database, kind)


def write_bad_crystals(folder: Path) -> dict[str, str]:
    """Write five files that cannot be computed; return the code that each is to get.

    And silicon, which holds no lithium and is left out.
    """
    whole = rock_salt("Cl", 5.1)
    cif = whole.to(fmt="cif")
    (folder / "cut.cif").write_text(cif[: len(cif) // 2])
    (folder / "empty.cif").write_text("")
    (folder / "molecule.xyz").write_text("3\nwater\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n")
    silicon = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])
    silicon.to(filename=str(folder / "silicon.cif"))
    close = Structure(Lattice.cubic(4), ["Li", "Cl", "Cl"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.6]])
    close.to(filename=str(folder / "close.cif"))
    partial = rock_salt("Cl", 5.1) * (3, 2, 3)
    partial.perturb(0.05)
    for index in partial.indices_from_symbol("Li"):
        partial.replace(index, {"Li": 0.5, "Na": 0.5})
    partial.to(filename=str(folder / "partial.cif"))
    return {
        "cut": "unreadable_file",
        "empty": "unreadable_file",
        "molecule": "not_a_crystal",
        "close": "overlapping_atoms",
        "partial": "disorder",
    }


def test_bad_crystals_are_listed_and_the_others_ranked(run, tmp_path):
    folder, ranking = tmp_path / "crystals", tmp_path / "ranking.json"
    names = write_crystals(folder, 14)
    bad = write_bad_crystals(folder)
    first = run("screen", folder, *FAST, "--workers", "2", "--json", ranking, code=3)

    rows = json.loads(ranking.read_text())
    assert sorted(row["material_id"] for row in rows) == names
    assert [row["rank"] for row in rows] == list(range(1, 15))
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row["policy"] for row in rows} == {"free_volume"}
    promised = {
        *("material_id", "formula", "mobile_species", "potential", "mpe_eV", "fv_connected"),
        *("fv_disconnected", "xi", "rank", "n_evaluations", "wall_time_s", "warnings"),
    }
    assert promised < set(JSON_FIELDS)
    assert all(set(row) == set(JSON_FIELDS) for row in rows)
    assert "-1 without the mobile ion" in first.err
    assert "5 could not be computed" in first.out
    listed = first.out[first.out.index("5 could not") :].splitlines()[1:]
    assert len(listed) == 5
    for name, code in bad.items():
        (line,) = [line for line in listed if f"{name}." in line or f"{name} " in line]
        assert f"[{code}]" in line
        reason = line.split("]: ")[1]
        assert len(reason.split(". ")) >= 2, f"{line} lacks what to do"
    for name in names:
        assert f"{name}: done" in first.err  # plain lines where there is no terminal

    before = local_documents("descriptors")
    assert before == Counter(names)
    again = run("screen", folder, *FAST, "--workers", "2", "--json", ranking, code=3)
    assert "14 of them in the database already" in again.err
    assert "done" not in again.err
    assert local_documents("descriptors") == before
    assert json.loads(ranking.read_text()) == rows


def test_stopped_and_killed_campaign_goes_on(start, run, tmp_path, data_dir):
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    names = write_crystals(folder, 8)  # two of them iodides
    command = start("screen", folder, *waiting_toy(gate), "--workers", "2")
    command.wait_for("[4/8]")
    workers = command.workers()
    assert workers
    command.interrupt()
    assert command.wait(60) == 130
    assert "the same command goes on" in command.err
    assert "Traceback" not in command.err
    assert not any(worker.is_running() for worker in workers)
    assert server_is_gone(data_dir)
    finished = local_documents("descriptors")
    assert len(finished) >= 4

    command = start("screen", folder, *waiting_toy(gate), "--workers", "2")
    command.wait_for(f"{len(finished)} of them in the database already")
    command.wait_for(f"[{6 - len(finished)}/" if len(finished) < 6 else "to compute")
    wait_until(lambda: len(command.workers()) == 2, "the workers have started")
    workers = command.workers()
    server = psutil.Process(server_status(data_dir).server.pid)
    command.kill()
    wait_until(lambda: not any(w.is_running() for w in workers), "no worker outlives it", 30)
    wait_until(lambda: not server.is_running(), "the server does not outlive it", 60)
    command.wait(30)
    assert "Traceback" not in command.err

    gate.touch()
    last = run("screen", folder, *waiting_toy(gate), "--workers", "2")
    assert "8 materials, 6 of them in the database already; 2 to compute." in last.err
    assert all(name in last.out for name in names)
    assert local_documents("descriptors") == Counter(names)


def test_a_killed_worker_costs_one_material(start, tmp_path):
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    write_crystals(folder, 4)  # F, Cl, Br, I
    settings = {"fatal": "F", "nan": "Br", "iodides_wait_for": str(gate)}
    potential = f"{TOY}?{json.dumps(settings)}"
    command = start("screen", folder, "-p", potential, "--step", "0.6", "--workers", "1")
    command.wait_for("[3/4]")
    (worker,) = command.workers()
    worker.kill()
    assert command.wait() == 3
    assert "Traceback" not in command.err

    listed = {line.split()[0]: line for line in command.out.splitlines() if "[" in line}
    assert set(listed) == {"salt-00", "salt-02", "salt-03"}
    assert "[worker_died]" in listed["salt-00"]
    assert "--workers 1" in listed["salt-00"]
    assert "[non_finite_energy]" in listed["salt-02"]
    assert "[worker_died]" in listed["salt-03"]
    table = command.out[: command.out.index("could not be computed")]
    assert "salt-01" in table
    assert "salt-00" not in table


def test_two_commands_at_once(start, tmp_path, data_dir):
    folder = tmp_path / "crystals"
    names = write_crystals(folder, 6)
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    commands = [start("screen", folder, *FAST, "--workers", "1", "--json", f) for f in files]
    for command in commands:
        assert command.wait() == 0, command.err
        assert "Traceback" not in command.err
    ranking, other = (
        [row["material_id"] for row in json.loads(file.read_text())] for file in files
    )
    assert ranking == other
    assert sorted(ranking) == names
    assert server_is_gone(data_dir)
    with resolve_database(SuperionicSettings()) as database:
        rows = list(database.screening.query({}, properties=["rank", "material_id"]))
    assert {row["rank"]: row["material_id"] for row in rows} == dict(enumerate(ranking, start=1))
    assert len(rows) == 6
    assert local_documents("landscape") == Counter(names)  # each was computed by one of them


def test_what_another_command_has_claimed_is_waited_for_and_taken_over(
    start, run, tmp_path, data_dir
):
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    names = write_crystals(folder, 8)  # two of them iodides
    first = start("screen", folder, *waiting_toy(gate), "--workers", "2")
    first.wait_for("[6/8]")
    # What is finished is found while the rest runs.
    wait_until(lambda: len(json.loads(run("query", "--format", "json").out)) == 6, "six rows")
    second = start("screen", folder, *waiting_toy(gate), "--workers", "2")
    second.wait_for("6 of them in the database already; 2 to compute.")
    wait_until(lambda: len(second.workers()) == 2, "the workers of the second have started")
    server = server_status(data_dir).server
    claims = MongoClient(server.uri)["superionic"]["claims"]
    assert {Owner.parse(one["owner"]).pid for one in claims.find({})} == {first.process.pid}
    orphans = first.workers()
    first.kill()
    wait_until(lambda: not any(one.is_running() for one in orphans), "no worker outlives it", 30)
    gate.touch()
    assert second.wait() == 0, second.err
    assert local_documents("landscape") == Counter(names)


def test_a_command_that_is_stopped_leaves_rows_and_names(start, run, tmp_path):
    """SIGTERM, too: what is finished is found at once, a twin by both of its names."""
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    write_crystals(folder, 4)  # F, Cl, Br, I
    (rock_salt("F", 4.3) * (2, 1, 1)).to(filename=str(folder / "twin.cif"))
    command = start("screen", folder, *waiting_toy(gate), "--workers", "1")
    command.wait_for("[3/4]")
    assert "5 crystals read" in command.err
    assert "-1 the same as another" in command.err
    assert "4 materials; 4 to compute" in command.err
    command.process.send_signal(signal.SIGTERM)
    assert command.wait(60) == 130
    found = json.loads(run("query", "--format", "json").out)
    named = {row["material_id"]: row["rank"] for row in found}
    assert set(named) == {"salt-00", "salt-01", "salt-02", "twin"}
    assert None not in named.values()
    assert "salt-00" in run("explain", "twin").out


def test_ctrl_c_in_the_second_ion_keeps_the_table_of_the_first(start, tmp_path):
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    write_crystals(folder, 3)  # F, Cl, Br
    Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(6.4), ["Na", "I"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ).to(filename=str(folder / "sodium.cif"))
    command = start("screen", folder, *waiting_toy(gate), "--mobile", "Li,Na", "--workers", "1")
    command.wait_for("1 materials; 1 to compute")
    command.interrupt()
    assert command.wait(60) == 130
    assert "Mobile Li" in command.out
    assert all(f"salt-0{i}" in command.out for i in range(3))
    assert "Mobile Na" not in command.out


def test_a_database_that_dies_is_named_without_a_traceback(start, tmp_path):
    folder, gate = tmp_path / "crystals", tmp_path / "gate"
    write_crystals(folder, 4)
    server = start_server(tmp_path / "data")
    uri = f"mongodb://127.0.0.1:{server.port}/?serverSelectionTimeoutMS=2000"
    command = start("screen", folder, *waiting_toy(gate), "--workers", "2", "--database", uri)
    command.wait_for("[3/4]")
    workers = command.workers()
    os.kill(server.pid, signal.SIGKILL)
    gate.touch()
    assert command.wait(60) == 1
    assert "Traceback" not in command.err
    assert f"127.0.0.1:{server.port}/superionic no longer answers" in command.err
    assert "run the same command again" in command.err
    assert not any(worker.is_running() for worker in workers)


def test_a_terminal_gets_a_bar(surroundings, tmp_path):
    folder = tmp_path / "crystals"
    write_crystals(folder, 2)
    rock_salt("Cl", 5.0).to(filename=str(folder / "[red]odd.cif"))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "screen", str(folder), *FAST, "--workers", "1"],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "100 %" in text
    assert "3/3" in text
    assert "[red]odd" in text
    assert "Traceback" not in text
