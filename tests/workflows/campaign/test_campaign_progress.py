"""Progress on a terminal: stages by name, a bar that a crystal of unknown length does not fill."""

import io
from types import SimpleNamespace

import pytest

from superionic.console import ProgressConsole
from superionic.progress import Progress, progress_to, report_progress, report_stage
from superionic.workflows.campaign import progress
from superionic.workflows.campaign.outcome import Outcome


def task(key, work=1.0):
    return SimpleNamespace(key=key, candidate=SimpleNamespace(material_id=f"[b]{key}", work=work))


@pytest.fixture
def terminal(monkeypatch):
    """Return what is written to a terminal."""
    written = io.StringIO()

    class Terminal(ProgressConsole):
        def __init__(self):
            super().__init__()
            self.file, self._force_terminal, self._width = written, True, 200
            self.is_interactive = True

    monkeypatch.setattr(progress, "ProgressConsole", Terminal)
    return written


def test_a_material_shows_its_stage_and_a_plan_that_is_none_as_such(terminal):
    with progress.ConsoleReporter() as reporter:
        first, second = task("first"), task("second")
        reporter.planned(n_materials=3, n_finished=1, todo=[first, second])
        reporter.started(first)
        for stage in (
            Progress("ordering and checking"),
            Progress("relaxing"),
            Progress("landscape", 2500, 10_000),
        ):
            reporter.progress(first, stage)
            reporter._bars.refresh()
        reporter.finished(Outcome(first))
        reporter.started(second)
        reporter._bars.refresh()
    said = terminal.getvalue()
    assert "3 materials, 1 of them in the database already; 2 to compute." in said
    assert "[b]first" in said
    for stage in ("ordering and checking", "relaxing", "landscape 2500 of about 10000"):
        assert stage in said
    assert "1/2" in said
    assert "99 %" not in said


def test_computations_name_their_stage_to_whoever_listens():
    heard = []
    report_stage("nobody hears it")
    with progress_to(heard.append):
        report_stage("relaxing")
        report_progress(1, 2)
    assert heard == [Progress("relaxing"), Progress("relaxing", 1, 2)]
