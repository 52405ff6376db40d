"""What a campaign does in its own process: planning, paths, failures of files."""

from pathlib import Path

import pytest
from campaign_fixtures import TOY, Silent, run_here, write_crystals

from superionic.errors import DatabaseError, UnreadableFileError
from superionic.potentials.registry import load_potential
from superionic.store.database.answers import database_errors
from superionic.workflows.campaign import local
from superionic.workflows.campaign.outcome import Outcome
from superionic.workflows.makers.screen import ScreenMaker

pytestmark = pytest.mark.process


@pytest.fixture
def planned_tasks(monkeypatch):
    """Keep campaigns from running anything; return what they would have run."""
    calls = []

    def record(tasks, maker, database, reporter, *, n_workers, finished):
        calls.append((tasks, maker, n_workers))
        return [Outcome(task) for task in tasks]

    monkeypatch.setattr(local, "run_and_build", record)
    return calls


@pytest.mark.parametrize("flow", ["screen", "label"])
def test_small_crystals_come_first(flow, database, planned_tasks, tmp_path):
    names = write_crystals(tmp_path / "crystals", 5)  # each larger than the one before
    reporter = Silent()
    result = run_here(flow, [tmp_path / "crystals"], reporter, n_workers=3)
    assert reporter.plan[:2] == (5, 0)
    # Their supercells for dynamics are of one size, and the denser ones have more atoms in them.
    assert reporter.plan[2] == (names if flow == "screen" else names[::-1])
    assert (result.n_computed, result.n_planned, result.n_done) == (5, 5, 0)
    ((_, _, n_workers),) = planned_tasks
    assert n_workers == 3


def test_workers_get_the_absolute_path_of_a_potential(
    database, planned_tasks, tmp_path, monkeypatch
):
    """Jobs run in another directory."""
    toy = load_potential(TOY)
    for name in ("info", "identity"):
        monkeypatch.setattr(ScreenMaker, name, lambda maker: toy.info)
    monkeypatch.chdir(tmp_path)
    Path("weights.pth.tar").touch()
    write_crystals(tmp_path / "crystals", 1)
    run_here("screen", ["crystals"], potential="chgnet:weights.pth.tar")
    ((tasks, used, _),) = planned_tasks
    assert used.potential == f"chgnet:{tmp_path / 'weights.pth.tar'}"
    maker = ScreenMaker(potential="chgnet:weights.pth.tar")
    assert [task.key for task in tasks] == [maker.key(tasks[0].candidate)]


@pytest.mark.parametrize("flow", ["screen", "label"])
def test_the_failure_of_a_file_is_forgotten_once_it_is_readable(
    flow, database, planned_tasks, tmp_path
):
    folder = tmp_path / "crystals"
    (name, _) = write_crystals(folder, 2)
    good = (folder / f"{name}.cif").read_text()
    (folder / f"{name}.cif").write_text(good[:200])
    result = run_here(flow, [folder])
    assert [failure.code for failure in result.failures] == ["unreadable_file"]
    (stored,) = database.failures.query({})
    assert name in stored["material_id"]
    assert stored["hint"]
    assert stored["superionic_version"]
    (folder / f"{name}.cif").write_text(good)
    assert run_here(flow, [folder]).failures == []
    assert list(database.failures.query({})) == []


def test_a_landscape_of_every_point_answers_for_a_learned_one(database, tmp_path):
    exact, _ = write_crystals(tmp_path / "crystals", 2)
    coarse = {"step_A": 0.8, "relax": "never"}
    one = [tmp_path / "crystals" / f"{exact}.cif"]
    assert run_here("screen", one, options=coarse | {"learned": False}).n_computed == 1
    found = run_here("screen", [tmp_path / "crystals"], options=coarse)
    assert (found.n_computed, found.n_done) == (1, 2)
    assert {row.material_id: row.ending is None for row in found.rows} == {
        row.material_id: row.material_id == exact for row in found.rows
    }
    assert len({row.ranking_settings for row in found.rows}) == 2
    # Not the other way: what is learned is no answer to who asks for every point.
    assert run_here("screen", [tmp_path / "crystals"], options=coarse).n_computed == 0
    again = run_here("screen", [tmp_path / "crystals"], options=coarse | {"learned": False})
    assert (again.n_computed, again.n_done) == (1, 2)


def test_an_empty_folder_is_refused(database, tmp_path):
    (tmp_path / "crystals").mkdir()
    result = run_here("screen", [tmp_path / "crystals"])
    assert [failure.code for failure in result.failures] == ["unreadable_file"]
    with pytest.raises(UnreadableFileError, match="no crystal"):
        run_here("screen", [])


def test_errors_of_the_driver_become_errors_for_the_user(database):
    from pymongo.errors import AutoReconnect

    with (
        pytest.raises(DatabaseError, match="no longer answers") as caught,
        database_errors(database),
    ):
        raise AutoReconnect("connection to mongodb://user:hunter2@host closed")
    assert "hunter2" not in str(caught.value)
    assert "again" in caught.value.hint
