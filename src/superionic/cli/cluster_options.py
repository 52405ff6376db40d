"""Options that the commands for clusters share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from superionic.settings import SuperionicSettings

LaunchpadFile = Annotated[
    Path | None,
    typer.Option(
        "--launchpad",
        "-l",
        help="FireWorks' my_launchpad.yaml; without it, the one that FireWorks finds, or the "
        "results database itself.",
        show_default=False,
    ),
]
SpoolDirectory = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        help="Directory of results that are not sent yet; default: 'spool' in data_dir.",
        show_default=False,
    ),
]


def settings_with(database: str | None) -> "SuperionicSettings":
    """Return the settings, with the database of the command line where one is given."""
    from superionic.settings import get_settings

    settings = get_settings()
    return settings.model_copy(update={"database_uri": database}) if database else settings


def spool_directory(settings: "SuperionicSettings", named: Path | None) -> Path:
    """Return the directory of results that are not sent yet."""
    return (named or settings.data_dir / "spool").expanduser().absolute()
