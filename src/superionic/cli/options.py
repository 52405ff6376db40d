"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Potential = Annotated[
    str | None,
    typer.Option(
        "--potential",
        "-p",
        help="chgnet, sevennet, matgl:FOLDER, ase:package.module.Calculator.",
        show_default="chgnet",
    ),
]
Mobile = Annotated[
    str, typer.Option("--mobile", "-m", help="The mobile ion, such as Li, Na, Ag or F.")
]
Step = Annotated[float, typer.Option("--step", help="Largest grid step in A.", min=0.03, max=2.0)]
DatabaseURI = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="MongoDB URI; without it, jobflow's configuration, the setting database_uri, or a "
        "local server. Better keep a password in the setting than in a command.",
        show_default=False,
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write the result as JSON, too ('-': to standard output)."),
]
