"""``superionic init``: the configuration files of a site."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from superionic.cli.console import echo


def init(
    directory: Annotated[Path, typer.Argument(help="Where the files go.")],
    host: Annotated[str | None, typer.Option(help="Host of the MongoDB server.")] = None,
    port: Annotated[int, typer.Option(help="Its port.")] = 27017,
    user: Annotated[str | None, typer.Option(help="Database user.")] = None,
    auth_source: Annotated[str, typer.Option(help="Database that knows the user.")] = "admin",
    database: Annotated[str, typer.Option(help="Database of jobs and results.")] = "superionic",
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--no-tls",
            help="Reach the server by TLS.",
            show_default="TLS, but not on this machine itself",
        ),
    ] = None,
    tls_ca_file: Annotated[str, typer.Option(help="File of the certificate authority.")] = "",
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File of mode 600 with the password; without it, SUPERIONIC_MONGO_PASSWORD."
        ),
    ] = None,
    partition_cpu: Annotated[str, typer.Option(help="SLURM partition of CPU jobs.")] = "cpu",
    partition_gpu: Annotated[str, typer.Option(help="SLURM partition of GPU jobs.")] = "gpu",
    account: Annotated[str, typer.Option(help="SLURM account.")] = "",
    walltime: Annotated[str, typer.Option(help="Wall time of a batch job.")] = "24:00:00",
    cores: Annotated[int, typer.Option(help="Cores of a CPU batch job.", min=1)] = 32,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Files for the local server of this machine, so that lpad and rlaunch use it; it "
            "is started, and runs until 'superionic db stop'.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
) -> None:
    """Write the files that FireWorks, jobflow, SLURM and MongoDB need, filled in for a site.

    What is not given by an option is asked for on a terminal. The password is read from a file of
    mode 600 or from SUPERIONIC_MONGO_PASSWORD, else asked for; it is never shown.
    """
    from superionic.cluster.site_files import SiteOptions, read_password, site_files, write_site
    from superionic.errors import SettingsError
    from superionic.store.database.addresses import is_loopback

    target = directory.expanduser().absolute()
    if local:
        _local(target, overwrite=force)
        return
    asking = sys.stdin.isatty()
    if host is None:
        host = typer.prompt("Host of the MongoDB server") if asking else None
    if user is None:
        user = typer.prompt("Database user", default="superionic") if asking else "superionic"
    password = read_password(password_file)
    if password is None and asking:
        password = typer.prompt("Password", hide_input=True)
    if host is None or not password:
        missing = "host" if host is None else "password"
        raise SettingsError(
            f"The {missing} of the database is not given.",
            hint="Name it with --host."
            if host is None
            else "Set SUPERIONIC_MONGO_PASSWORD, or name a file of mode 600 with --password-file.",
        )
    options = SiteOptions(
        host=host,
        port=port,
        user=user,
        auth_source=auth_source,
        database=database,
        tls=not is_loopback(host) if tls is None else tls,
        tls_ca_file=tls_ca_file,
        python_prefix=f"source {Path(sys.prefix) / 'bin' / 'activate'}",
        directory=str(target),
        partition_cpu=partition_cpu,
        partition_gpu=partition_gpu,
        account=account,
        walltime=walltime,
        cores=cores,
    )
    _say(write_site(site_files(options, password), target, overwrite=force))


def _local(target: Path, *, overwrite: bool) -> None:
    from superionic.cluster.site_files import SiteOptions, local_files, write_site
    from superionic.settings import get_settings
    from superionic.store.database.server import start_server
    from superionic.store.database.state import HOST

    settings = get_settings()
    data_dir = settings.data_dir.expanduser().absolute()
    server = start_server(data_dir)
    options = SiteOptions(
        host=HOST,
        port=server.port,
        user="",
        database=settings.database_name,
        tls=False,
        directory=str(target),
    )
    _say(write_site(local_files(options, data_dir), target, overwrite=overwrite))


def _say(paths: list[Path]) -> None:
    for path in paths:
        echo(str(path))
    environment = next(path for path in paths if path.name == "environment.sh")
    echo(f"Now: source {environment} && superionic doctor")
