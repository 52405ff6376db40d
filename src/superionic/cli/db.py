"""``superionic db``: the local database server."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo

if TYPE_CHECKING:
    from superionic.store.database.server import ServerStatus

app = typer.Typer(help="Start, stop and look at the local database server.", no_args_is_help=True)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Directory of the server; without it, the setting data_dir.",
        show_default=False,
    ),
]


@app.command()
def start(data_dir: DataDir = None) -> None:
    """Start the server and let it run until 'superionic db stop'.

    Commands that need it start it by themselves, and the last one stops it; this saves them the
    start, and keeps the database reachable for other programs.
    """
    from superionic.store.database.server import start_server

    server = start_server(_data_dir(data_dir))
    echo(f"{server.engine} runs at {server.uri} (process {server.pid}).")


@app.command()
def stop(
    data_dir: DataDir = None,
    force: Annotated[
        bool, typer.Option("--force", help="Stop it even if commands use it; they will fail.")
    ] = False,
) -> None:
    """Stop the server: now if nobody uses it, else when its last user leaves."""
    from superionic.store.database.server import server_status, stop_server

    path = _data_dir(data_dir)
    ran = server_status(path).server is not None
    status = stop_server(path, force=force) if ran else None
    if status is None:
        echo(f"No server runs in {path}.")
    elif status.server is None:
        echo("The server is stopped.")
    else:
        echo("Other commands use the server; it stops when the last of them ends.")


@app.command()
def status(data_dir: DataDir = None) -> None:
    """Say whether the server runs, and where; exit status 1 if it does not run or answer."""
    from superionic.store.database.server import server_status

    found = server_status(_data_dir(data_dir))
    for line in describe(found):
        echo(line)
    if not found.answers:
        raise typer.Exit(1)


def describe(status: "ServerStatus") -> list[str]:
    """Return the lines that describe a server.

    Parameters
    ----------
    status : ServerStatus
        What was found.
    """
    where = [
        f"data dir  {status.data_dir}",
        f"size      {status.size_bytes / 1e6:.1f} MB",
    ]
    if status.server is None:
        return ["The local server does not run.", *where]
    answers = "runs" if status.answers else "runs, but does not answer"
    stays = "until 'superionic db stop'" if status.server.persistent else "until its last user ends"
    return [
        f"The local server {answers}.",
        f"engine    {status.server.engine}",
        f"uri       {status.server.uri}",
        f"process   {status.server.pid}",
        f"runs      {stays}",
        f"in use    {'yes' if status.in_use else 'no'}",
        *where,
    ]


def _data_dir(data_dir: Path | None) -> Path:
    from superionic.settings import get_settings

    return data_dir if data_dir is not None else get_settings().data_dir
