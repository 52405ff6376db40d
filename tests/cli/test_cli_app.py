"""The application: help by subject, options that all commands share, the doctor's exit code."""

import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
import typer
from campaign_fixtures import TOY, write_crystals
from typer.testing import CliRunner

from superionic import diagnosis
from superionic.cli.app import app, main
from superionic.console import ProgressConsole


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_groups_commands_and_has_a_short_name():
    long, short = invoke("--help"), invoke("-h")
    assert long.output == short.output
    assert invoke("query", "-h").output == invoke("query", "--help").output
    assert invoke("db", "status", "-h").exit_code == 0
    registered = [*app.registered_commands, *app.registered_groups]
    assert {one.rich_help_panel for one in registered} == {
        *("Compute", "Look at results", "Find crystals", "Run a campaign on a cluster"),
        *("Train and judge", "Installation"),
    }
    for one in registered:
        assert f"│ {one.name} " in long.output
    assert "--show-completion" in long.output


def test_shared_options_stand_before_or_after_the_command():
    seen = []
    trial = typer.Typer()

    @trial.command()
    def trial_command(names: list[str]) -> None:
        seen.append((names, ProgressConsole().quiet))

    app.add_typer(trial, name="trial")
    try:
        for arguments in (
            ("-q", "trial", "trial-command", "a"),
            ("trial", "--quiet", "trial-command", "a"),
            ("trial", "trial-command", "a", "-q"),
            ("trial", "trial-command", "a"),
            ("trial", "trial-command", "--", "-q"),
        ):
            assert invoke(*arguments).exit_code == 0, invoke(*arguments).output
    finally:
        app.registered_groups.pop()
    assert seen == [(["a"], True)] * 3 + [(["a"], False), (["-q"], False)]


@pytest.mark.process
def test_quiet_leaves_the_result_alone(run, tmp_path):
    write_crystals(tmp_path / "crystals", 1)
    asked = ("screen", tmp_path / "crystals", "--potential", TOY, "--step", "1")
    done = run(*asked, "--quiet")
    assert done.err == ""
    assert done.out.startswith("rank")


@pytest.mark.parametrize("verbose", [(), ("-v",)])
def test_verbose_adds_a_traceback_to_an_error(verbose, capsys, monkeypatch, surroundings):
    wrong = ["superionic", "query", "--database", "postgres://host/", *verbose]
    monkeypatch.setattr(sys, "argv", wrong)
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert ("Traceback" in said) == bool(verbose)
    assert said.splitlines()[-1].startswith("Error: ")


def test_the_doctor_takes_a_missing_optional_package_for_no_fault(monkeypatch, database):
    def without_extras(name):
        if name in diagnosis.EXTRAS:
            raise PackageNotFoundError(name)
        return version(name)

    asked = []

    def diagnose_potentials(specs):
        asked.extend(specs)
        return [diagnosis.Finding(True, f"potential {spec}", "works.") for spec in specs]

    monkeypatch.setattr(diagnosis, "version", without_extras)
    monkeypatch.setattr("superionic.potentials.registry.diagnose_potentials", diagnose_potentials)
    done = invoke("doctor")
    assert done.exit_code == 0, done.output
    assert asked == ["chgnet"], "sevennet is asked for only where it is installed"
    assert "sevenn: is not installed (optional)" in done.output
    assert done.output.count("(optional)") == len(diagnosis.EXTRAS)
