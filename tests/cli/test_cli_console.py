"""What commands write goes through one function."""

import gc
import re
from pathlib import Path

import pytest

import superionic.cli
from superionic.cli import app as application
from superionic.cli.console import echo, importing
from superionic.console import ProgressConsole
from superionic.errors import SettingsError

NAME = "mp-1\x1b]0;title\x07\u202e"
SHOWN = r"mp-1\x1b]0;title\x07\u202e"


def test_no_command_writes_by_another_way():
    folder = Path(superionic.cli.__file__).parent
    other = re.compile(r"typer\.(echo|secho)|(?<![\w.])print\(|_console\.print\(|\bConsole\(")
    writers = {path.name for path in folder.glob("*.py") if other.search(path.read_text())}
    assert writers == {"console.py"}


def test_text_and_progress_are_printable(capsys):
    echo(f"{NAME}\nnext")
    echo(NAME, err=True)
    console = ProgressConsole()
    console.say(f"[b]{NAME}")
    said = capsys.readouterr()
    assert said.out == f"{SHOWN}\nnext\n"
    assert said.err == f"{SHOWN}\n[b]{SHOWN}\n"


def test_errors_are_printable(capsys, monkeypatch):
    def fail(**_):
        raise SettingsError(f"{NAME} is wrong.")

    monkeypatch.setattr(application, "app", fail)
    with pytest.raises(SystemExit):
        application.main()
    assert f"Error: {SHOWN} is wrong." in capsys.readouterr().err


def test_what_is_imported_at_once_is_not_looked_through_for_garbage():
    before = gc.get_freeze_count()
    try:
        with importing():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
