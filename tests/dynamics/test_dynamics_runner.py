import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from superionic.dynamics.runner import MDTask, run_md, run_md_batch
from superionic.dynamics.settings import MDSettings
from superionic.dynamics.stopping import StopRules
from superionic.dynamics.trajectory import chunk_path, read_chunk, read_frames, read_run
from superionic.errors import DiffusionError, UnwritableFileError
from superionic.potentials.force_field import CalculatorForceField

NO_EARLY_STOP = StopRules(early=False)
SETTINGS = MDSettings(
    temperature_K=600.0,
    n_equilibration_steps=20,
    n_steps=180,
    stride=5,
    checkpoint_interval=30,
    seed=1,
)


def crystal():
    atoms = bulk("Cu", "fcc", a=3.7, cubic=True)
    atoms.symbols[0] = "Al"
    return atoms


def emt(systems):
    return CalculatorForceField(EMT(), systems)


class Springs:
    """Every atom on an anharmonic spring to where it started; a function of positions alone.

    (ASE's EMT is not, to the last bit: the order of its neighbours depends on earlier positions.)
    """

    label = "springs"

    def __init__(self, systems):
        self.start = [atoms.positions.copy() for atoms in systems]

    def evaluate(self, positions_A):
        moved = [p - s for p, s in zip(positions_A, self.start, strict=True)]
        energies = np.array([np.sum(2.0 * m**2 + m**4 + m[:, [1, 2, 0]] * m) for m in moved])
        return energies, [-4.0 * (m + m**3) - m[:, [1, 2, 0]] - m[:, [2, 0, 1]] for m in moved]


def task(directory, **changes):
    settings = replace(SETTINGS, **changes)
    return MDTask(crystal(), "Al", settings, Path(directory), NO_EARLY_STOP)


def assert_whole(directory, settings=SETTINGS):
    """No frame missing, none doubled."""
    frames = read_frames(directory)
    expected = np.arange(0, settings.last_step + 1, settings.stride)
    np.testing.assert_array_equal(frames.steps, expected)
    return frames


def assert_same(one, other):
    for name in ("steps", "positions_A", "energies_eV", "temperatures_K"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


class InterruptError(Exception):
    pass


def interrupted_after(n_evaluations, make=Springs):
    """A force field that breaks off; the run's process goes on, unlike a kill."""

    def build(systems):
        inner = make(systems)
        count = 0

        class Breaking:
            label = inner.label

            def evaluate(self, positions_A):
                nonlocal count
                count += 1
                if count > n_evaluations:
                    raise InterruptError
                return inner.evaluate(positions_A)

        return Breaking()

    return build


@pytest.mark.parametrize("thermostat", ["nve", "nose_hoover", "bussi", "langevin"])
@pytest.mark.parametrize("n_evaluations", [0, 1, 29, 31, 100, 200])
def test_an_interrupted_run_equals_an_uninterrupted_one(tmp_path, thermostat, n_evaluations):
    whole = run_md(task(tmp_path / "whole", thermostat=thermostat), Springs)
    assert whole.status == "completed"
    with pytest.raises(InterruptError):
        run_md(task(tmp_path / "cut", thermostat=thermostat), interrupted_after(n_evaluations))
    resumed = run_md(task(tmp_path / "cut", thermostat=thermostat), Springs)
    assert resumed.n_force_evaluations >= 201 - n_evaluations
    assert_same(assert_whole(tmp_path / "whole"), assert_whole(tmp_path / "cut"))


def test_a_finished_run_is_returned_without_work_and_can_be_made_longer(tmp_path):
    short = run_md(task(tmp_path / "a", n_steps=95), Springs)
    again = run_md(task(tmp_path / "a", n_steps=95), Springs)
    assert again.n_force_evaluations == 0
    assert (again.status, again.n_steps_done) == (short.status, 115)
    longer = run_md(task(tmp_path / "a"), Springs)
    assert longer.n_force_evaluations == 85
    run_md(task(tmp_path / "b"), Springs)
    assert_same(assert_whole(tmp_path / "a"), assert_whole(tmp_path / "b"))


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_dynamics_runner import *
import time
class Slow(Springs):
    def evaluate(self, positions_A):
        time.sleep(0.0004)
        return super().evaluate(positions_A)
print("started", flush=True)
run_md(MDTask(crystal(), "Al", {settings!r}, Path({directory!r}), NO_EARLY_STOP), Slow)
"""


@pytest.mark.process
def test_killed_processes_lose_and_double_nothing(tmp_path):
    settings = replace(SETTINGS, n_steps=6000, checkpoint_interval=20, thermostat="langevin")
    script = KILLED.format(
        tests=str(Path(__file__).parent), settings=settings, directory=str(tmp_path / "killed")
    )
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    kills = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(timeout=rng.uniform(0.05, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        else:
            assert process.returncode == 0
            break
        finally:
            process.stdout.close()
    else:
        run_md(MDTask(crystal(), "Al", settings, tmp_path / "killed", NO_EARLY_STOP), Springs)
    assert kills >= 3
    run_md(MDTask(crystal(), "Al", settings, tmp_path / "whole", NO_EARLY_STOP), Springs)
    assert_same(
        assert_whole(tmp_path / "whole", settings), assert_whole(tmp_path / "killed", settings)
    )
    assert not list((tmp_path / "killed").glob(".*.tmp*"))


@pytest.mark.parametrize("damage", ["truncate", "empty", "flip", "missing", "swap"])
@pytest.mark.parametrize("which", [0, 3, -1])
def test_a_damaged_chunk_is_found_and_computed_again(tmp_path, damage, which):
    run_md(task(tmp_path / "a"), Springs)
    before = read_frames(tmp_path / "a")
    n_chunks = len(list((tmp_path / "a").glob("chunk_*.npz")))
    index = which % n_chunks
    path = chunk_path(tmp_path / "a", index)
    content = bytearray(path.read_bytes())
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flip":
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("state_velocities.npy")
        content[member.header_offset + 30 + len(member.filename) + member.compress_size // 2] ^= 8
        path.write_bytes(content)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(chunk_path(tmp_path / "a", (index + 1) % n_chunks).read_bytes())
    assert read_chunk(tmp_path / "a", index) is None
    result = run_md(task(tmp_path / "a"), Springs)
    if not (damage == "missing" and index == n_chunks - 1):
        assert result.warnings
    assert_same(before, assert_whole(tmp_path / "a"))


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    run_md(task(tmp_path / "a", n_steps=20, checkpoint_interval=100), Springs)
    good = read_chunk(tmp_path / "a", 0)
    path = chunk_path(tmp_path / "a", 0)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        chunk = read_chunk(tmp_path / "a", 0)
        if chunk is not None:
            assert_same(chunk.frames, good.frames)
            np.testing.assert_array_equal(chunk.state.velocities, good.state.velocities)


def test_full_disk_is_a_clear_error_and_keeps_what_is_finished(tmp_path, monkeypatch):
    directory = tmp_path / "a"
    real_fsync = os.fsync
    budget = 5

    def fsync(descriptor):
        nonlocal budget
        budget -= 1
        if budget < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UnwritableFileError, match="No space left") as caught:
        run_md(task(directory), Springs)
    assert "room" in caught.value.hint
    assert not list(directory.glob(".*.tmp*"))
    monkeypatch.undo()
    kept = len(list(directory.glob("chunk_*.npz")))
    resumed = run_md(task(directory), Springs)
    assert resumed.n_force_evaluations <= 201 - 30 * kept + (kept == 0)
    run_md(task(tmp_path / "b"), Springs)
    assert_same(assert_whole(tmp_path / "b"), assert_whole(directory))


@pytest.mark.process
def test_a_file_size_limit_is_a_clear_error_too(tmp_path):
    settings = replace(SETTINGS, n_steps=4000, checkpoint_interval=2000, stride=1)
    script = KILLED.format(
        tests=str(Path(__file__).parent), settings=settings, directory=str(tmp_path / "a")
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [sys.executable, "-B", "-c", script], preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "UnwritableFileError" in done.stderr
    assert "File too large" in done.stderr
    assert not list((tmp_path / "a").glob(".*.tmp*"))


def test_an_exploding_crystal_is_stopped_and_flagged(tmp_path):
    atoms = crystal()
    atoms.positions[1] = atoms.positions[0] + [0.25, 0.0, 0.0]
    result = run_md(MDTask(atoms, "Al", SETTINGS, tmp_path, NO_EARLY_STOP), emt)
    assert result.status == "run_away"
    assert result.n_steps_done < 50
    assert run_md(MDTask(atoms, "Al", SETTINGS, tmp_path, NO_EARLY_STOP), emt).reason == (
        result.reason
    )
    assert read_run(tmp_path)["status"] == "run_away"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_stop_the_run(tmp_path, bad):
    class Breaking(Springs):
        n = 0

        def evaluate(self, positions_A):
            energies, forces = super().evaluate(positions_A)
            self.n += 1
            if self.n == 40:
                forces[0][0, 0] = bad
            return energies, forces

    result = run_md(task(tmp_path), Breaking)
    assert (result.status, result.n_steps_done) == ("run_away", 39)
    assert "finite" in result.reason


def test_heating_and_falling_energy_stop_the_run(tmp_path):
    class Pumping(Springs):
        def evaluate(self, positions_A):
            energies, forces = super().evaluate(positions_A)
            return energies, [-0.1 * f for f in forces]

    class Falling(Springs):
        n = 0

        def evaluate(self, positions_A):
            self.n += 1
            energies, forces = super().evaluate(positions_A)
            return energies - 0.2 * self.n, forces

    rules = StopRules(early=False, max_energy_change_eV_per_atom=1e6)
    heating = replace(task(tmp_path / "a", thermostat="nve", n_steps=4000), stop=rules)
    heated = run_md(heating, Pumping)
    assert (heated.status, "temperature" in heated.reason) == ("run_away", True)
    fallen = run_md(task(tmp_path / "b"), Falling)
    assert (fallen.status, "eV/atom" in fallen.reason) == ("run_away", True)


def test_a_still_crystal_settles_early_and_the_same_way_after_a_restart(tmp_path):
    long = MDTask(
        crystal(), "Al", replace(SETTINGS, n_steps=20_000, checkpoint_interval=500), tmp_path / "a"
    )
    result = run_md(long, Springs)
    assert result.status == "settled_not_diffusing"
    assert 2500 <= result.n_steps_done - 20 <= 4000  # 5 ps
    cut = replace(long, directory=tmp_path / "b")
    with pytest.raises(InterruptError):
        run_md(cut, interrupted_after(1700, Springs))
    again = run_md(cut, Springs)
    assert (again.status, again.n_steps_done) == (result.status, result.n_steps_done)
    assert_same(read_frames(tmp_path / "a"), read_frames(tmp_path / "b"))


def test_another_run_in_the_directory_is_refused(tmp_path):
    run_md(task(tmp_path), Springs)
    with pytest.raises(DiffusionError, match=r"settings\.seed"):
        run_md(task(tmp_path, seed=2), Springs)
    with pytest.raises(DiffusionError, match="potential"):
        run_md(task(tmp_path), emt)
    moved = crystal()
    moved.positions[0, 0] += 0.01
    with pytest.raises(DiffusionError, match="positions_A"):
        run_md(MDTask(moved, "Al", SETTINGS, tmp_path, NO_EARLY_STOP), Springs)
    assert_whole(tmp_path)


def test_bad_settings_and_crystals_without_the_ion_are_refused(tmp_path):
    for bad in ({"timestep_fs": 0.0}, {"stride": -1}, {"thermostat": "magic"}, {"n_steps": 0}):
        with pytest.raises(DiffusionError, match=next(iter(bad))):
            replace(SETTINGS, **bad)
    with pytest.raises(DiffusionError, match="holds no Li"):
        run_md(MDTask(crystal(), "Li", SETTINGS, tmp_path / "x", NO_EARLY_STOP), Springs)
    assert not (tmp_path / "x").exists()


def test_a_batch_gives_each_crystal_its_own_run(tmp_path):
    tasks = [
        task(tmp_path / "a"),
        task(tmp_path / "b", n_steps=50, seed=5),
        MDTask(bulk("Al", cubic=True), "Al", SETTINGS, tmp_path / "c", NO_EARLY_STOP),
    ]
    results = run_md_batch(tasks, Springs)
    assert [r.n_steps_done for r in results] == [200, 70, 200]
    for number, one in enumerate(tasks):
        alone = replace(one, directory=tmp_path / f"alone{number}")
        run_md(alone, Springs)
        assert_same(read_frames(one.directory), read_frames(alone.directory))


def test_memory_stays_flat(tmp_path):
    settings = replace(SETTINGS, n_steps=60_000, checkpoint_interval=500, stride=5)
    memory = []
    process = psutil.Process()

    class Watched(Springs):
        n = 0

        def evaluate(self, positions_A):
            self.n += 1
            if self.n % 5000 == 0:
                memory.append(process.memory_info().rss)
            return super().evaluate(positions_A)

    atoms = Atoms("AlCu49", positions=np.random.default_rng(0).uniform(0, 9, (50, 3)),
                  cell=[9, 9, 9], pbc=True)  # fmt: skip
    started = time.perf_counter()
    run_md(MDTask(atoms, "Al", settings, tmp_path, NO_EARLY_STOP), Watched)
    assert time.perf_counter() - started < 120
    # 12,000 frames of 600 bytes would be 7 MB in single precision and 14 in double
    assert max(memory[4:]) - memory[3] < 3e6
    # energies, temperatures and steps included, what is on disk stays below 700 bytes a frame
    size = sum(p.stat().st_size for p in tmp_path.glob("chunk_*.npz"))
    assert size < 700 * 12_000 + 6000 * 120


def test_an_ase_calculator_drives_a_run_and_a_restart(tmp_path):
    whole = run_md(task(tmp_path / "a"), emt)
    with pytest.raises(InterruptError):
        run_md(task(tmp_path / "b"), interrupted_after(100, emt))
    run_md(task(tmp_path / "b"), emt)
    assert whole.status == "completed"
    one, other = assert_whole(tmp_path / "a"), assert_whole(tmp_path / "b")
    np.testing.assert_allclose(one.positions_A, other.positions_A, atol=1e-6)
    assert one.energies_eV[0] == pytest.approx(_emt_energy(), abs=1e-10)


def _emt_energy():
    atoms = crystal()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def test_run_file_says_what_was_run(tmp_path):
    run_md(task(tmp_path), Springs)
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["settings"]["timestep_fs"] == 2.0
    assert stored["potential"] == "springs"
    assert stored["status"] == "completed"
    np.testing.assert_allclose(stored["cell_A"], crystal().cell.array)
