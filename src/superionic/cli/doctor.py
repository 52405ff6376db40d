"""``superionic doctor``: what is installed, and what would work."""

from typing import Annotated

import typer


def doctor(
    potentials: Annotated[
        list[str] | None,
        typer.Option("--potential", "-p", help="Potentials to check; default: all that can be."),
    ] = None,
) -> None:
    """Say what is installed, which potentials work, which database would be used.

    Exit code 1 says that something is wrong, and each fault comes with what to do.
    """
    from superionic.database.diagnosis import diagnose_database
    from superionic.diagnosis import diagnose_packages
    from superionic.potentials.registry import diagnose_potentials
    from superionic.settings import get_settings

    settings = get_settings()
    findings = [
        *diagnose_packages(),
        *diagnose_potentials(potentials or sorted({settings.potential, "chgnet", "sevennet"})),
        *diagnose_database(settings),
    ]
    marks = {True: "ok  ", False: "BAD ", None: "    "}
    for finding in findings:
        typer.echo(f"{marks[finding.ok]} {finding.subject}: {finding.text}")
        if finding.hint:
            typer.echo(f"       {finding.hint}")
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(1)
