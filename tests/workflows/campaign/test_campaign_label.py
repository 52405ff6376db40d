"""Labelling from the command line: killed processes, published data sets, bad input."""

import csv
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from campaign_fixtures import PROGRAM, TOY, rock_salt, wait_until, write_crystals

from superionic.dynamics.trajectory import chunk_path, read_frames
from superionic.errors import SettingsError
from superionic.report.tables.labels import read_data_set, write_data_set

CAMPAIGN = """
flow: label
crystals: [crystals]
potential: {potential}
settings:
  md_maker.n_equilibration_steps: 20
  md_maker.n_steps: {n_steps}
  md_maker.checkpoint_interval: 20
  md_maker.traj_interval: 5
  md_maker.min_image_distance_A: 5.0
  md_maker.stop.early: false
"""


def campaign(folder: Path, n_steps: int = 40, n_crystals: int = 1, potential: str = TOY) -> Path:
    write_crystals(folder / "crystals", n_crystals)
    file = folder / "campaign.yaml"
    file.write_text(CAMPAIGN.format(n_steps=n_steps, potential=potential))
    return file


@pytest.mark.process
def test_a_killed_run_goes_on_with_no_frame_missing_or_doubled(tmp_path, data_dir, start, run):
    file = campaign(tmp_path, n_steps=400)
    command = start("label", "--campaign", file, "--workers", "1")

    def folders() -> list[Path]:
        return list((data_dir / "md").glob("*-*"))

    wait_until(lambda: folders() and chunk_path(folders()[0], 2).exists(), "a third chunk is there")
    os.killpg(command.process.pid, signal.SIGKILL)
    command.wait()
    (folder,) = folders()
    first = chunk_path(folder, 0)
    written = first.stat().st_mtime_ns
    assert not chunk_path(folder, 20).exists(), "it ended before it was killed"
    done = run("label", "--campaign", file, "--workers", "1", "--json", "-")
    (row,) = json.loads(done.out)
    assert row["status"] == "completed"
    assert folders() == [folder]
    assert first.stat().st_mtime_ns == written
    assert read_frames(folder).steps.tolist() == list(range(0, 421, 5))


@pytest.mark.process
def test_what_is_known_is_not_computed_again_and_bad_crystals_do_not_stop_the_rest(
    tmp_path, run, monkeypatch
):
    file = campaign(tmp_path, n_crystals=2)
    rock_salt("Cl", 5.1).replace_species({"Li": "Na"}).to(
        filename=str(tmp_path / "crystals" / "sodium.cif")
    )
    overlap = rock_salt("Cl", 5.1)
    overlap.translate_sites([0], [0.46, 0.46, 0.46])
    overlap.to(filename=str(tmp_path / "crystals" / "overlap.cif"))
    labels = tmp_path / "labels.jsonl"
    first = run("label", "--campaign", file, "--export", labels, code=3)
    assert "3 to compute" in first.err
    assert "2 of 3 crystals labelled" in first.err
    assert "-1 without the mobile ion" in first.err
    assert "0.353 A apart" in first.out
    rows = read_data_set(labels)
    assert [row.material_id for row in rows] == ["salt-00", "salt-01"]
    with labels.with_suffix(".csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert [line["task_key"] for line in table] == [row.task_key for row in rows]
    (tmp_path / "crystals" / "sodium.cif").unlink()
    (tmp_path / "crystals" / "overlap.cif").unlink()
    # In the database.
    again = run("label", "--campaign", file)
    assert "0 to compute" in again.err
    # In a published data set, with an empty database.
    monkeypatch.setenv("SUPERIONIC_DATABASE_NAME", "empty")
    known = run("label", "--campaign", file, "--known", labels, "--json", "-")
    assert "0 to compute" in known.err
    assert {row["task_key"] for row in json.loads(known.out)} == {row.task_key for row in rows}
    nothing = run("label", "--campaign", file, "--collect", "--json", "-")
    assert json.loads(nothing.out) == []


# Runs in a mount namespace of its own: the folder of the trajectories lies on a file system that is
# too small for the second crystal, and then is not.
FULL_DISK = """
mount -t tmpfs -o size=60k tmpfs "$1" || exit 99
code=0
"$2" label --campaign "$3" --workers 1 --json full.json >full.out 2>full.err || code=$?
echo "$code" >full.code
ls -R "$1" >full.files
mount -o remount,size=10m "$1"
exec "$2" label --campaign "$3" --workers 1 --json room.json >room.out 2>room.err
"""


@pytest.mark.process
def test_a_full_disk_is_said_loses_no_label_and_is_gone_on_from(tmp_path, data_dir, database):
    inside = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    file = campaign(tmp_path, n_steps=100, n_crystals=2)
    folder = data_dir / "md"
    folder.mkdir(parents=True)
    command = [*inside, "sh", "-c", FULL_DISK, "sh", str(folder), PROGRAM, str(file)]
    done = subprocess.run(command, cwd=tmp_path, timeout=200)
    if done.returncode == 99:
        pytest.skip("a small file system cannot be mounted here")
    assert done.returncode == 0, (tmp_path / "room.err").read_text()

    def content(name: str) -> str:
        return (tmp_path / name).read_text()

    assert content("full.code") == "3\n"
    # The table of failures is wrapped.
    said = " ".join(content("full.out").split())
    assert "No space left on device" in said
    assert "Make room" in said
    assert "Traceback" not in content("full.err")
    assert ".tmp" not in content("full.files")
    (first,) = json.loads(content("full.json"))
    assert first["status"] == "completed"
    n_before = content("full.files").count("chunk_")
    # One run has ended, the other is on its way.
    assert 7 <= n_before < 12
    assert "1 to compute" in content("room.err")
    labels = {row["material_id"]: row for row in json.loads(content("room.json"))}
    assert labels[first["material_id"]] == first
    assert [row["status"] for row in labels.values()] == ["completed"] * 2


def test_a_data_set_is_written_and_read_back(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_data_set(tmp_path / "none.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"material_id": "x"}\n')
    with pytest.raises(SettingsError, match="Line 1"):
        read_data_set(tmp_path / "broken.jsonl")
    write_data_set([], tmp_path / "empty.jsonl")
    assert read_data_set(tmp_path / "empty.jsonl") == []


@pytest.mark.parametrize(
    ("specification", "published"),
    [
        ("matgl:/somewhere/of/mine/TensorNet", "matgl:TensorNet"),
        ("chgnet:oam", "chgnet:oam"),
        (
            'ase:a.b.C?{"model_path": "/somewhere/of my/x.pt", "url": "a/b", "n": 0}',
            'ase:a.b.C?{"model_path": "x.pt", "url": "a/b", "n": 0}',
        ),
    ],
)
def test_a_data_set_does_not_say_where_a_potential_lay(tmp_path, specification, published):
    data_set = Path(__file__).parents[3] / "datasets" / "labels_spread_tensornet.jsonl"
    (row, *_) = read_data_set(data_set)
    row.settings["potential"] = row.potential = specification
    write_data_set([row], tmp_path / "one.jsonl")
    (found,) = read_data_set(tmp_path / "one.jsonl")
    assert found.settings["potential"] == found.potential == published
    assert "/somewhere" not in (tmp_path / "one.csv").read_text()


def test_collective_transport_is_in_the_lines_and_not_in_the_table(tmp_path):
    data_set = Path(__file__).parents[3] / "datasets" / "labels_spread_tensornet.jsonl"
    (row, *_) = read_data_set(data_set)
    assert row.haven_ratio is None  # older than the number
    write_data_set([row.model_copy(update={"haven_ratio": 0.4})], tmp_path / "one.jsonl")
    assert read_data_set(tmp_path / "one.jsonl")[0].haven_ratio == 0.4
    assert "haven" not in (tmp_path / "one.csv").read_text()
