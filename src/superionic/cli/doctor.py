"""``superionic doctor``: what is installed, and what would work."""

from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo
from superionic.errors import SettingsError

if TYPE_CHECKING:
    from superionic.diagnosis import Finding


def doctor(
    potentials: Annotated[
        list[str] | None,
        typer.Option(
            "--potential",
            "-p",
            help="Potentials to check; default: that of the settings, and those that come with "
            "installed packages.",
        ),
    ] = None,
) -> None:
    """Say what is installed, which potentials work, which database would be used.

    Exit code 1 says that something is wrong, and each fault comes with what to do. An optional
    package that is not installed is no fault.
    """
    from superionic.diagnosis import Finding, diagnose_packages

    findings = diagnose_packages()
    try:
        findings += _diagnose_settings(potentials)
    except SettingsError as error:  # without settings the rest cannot be looked at
        findings.append(Finding(False, "superionic configuration", error.message, error.hint))
    marks = {True: "ok  ", False: "BAD ", None: "    "}
    for finding in findings:
        echo(f"{marks[finding.ok]} {finding.subject}: {finding.text}")
        if finding.hint:
            echo(f"       {finding.hint}")
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)


def _diagnose_settings(potentials: list[str] | None) -> "list[Finding]":
    from superionic.cluster.diagnosis import diagnose_database, diagnose_launchpad
    from superionic.diagnosis import is_installed
    from superionic.potentials.registry import diagnose_models, diagnose_potentials
    from superionic.settings import get_settings

    settings = get_settings()
    there = ["chgnet"] + ["sevennet"] * is_installed("sevenn")
    wanted = potentials or sorted({settings.potential, *there})
    return [
        *diagnose_potentials(wanted),
        diagnose_models(),
        *diagnose_database(settings),
        *diagnose_launchpad(settings),
    ]
