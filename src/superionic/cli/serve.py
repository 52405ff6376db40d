"""``superionic serve``: a page over the screening collection."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superionic.cli.console import echo
from superionic.cli.options import DatabaseURI, LaunchpadFile, settings_with

if TYPE_CHECKING:
    from superionic.report.serve.jobs import Campaign
    from superionic.report.serve.settings import ServeSettings
    from superionic.store.database.stores import DatabaseSpec


def serve(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; any but the loopback's needs a token."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")
    ] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File (mode 600) with the token that clients need; SUPERIONIC_SERVE_TOKEN goes "
            "before it. Without either, one is made when the address is not the loopback's.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which the page may be asked for."),
    ] = None,
    webgui_url: Annotated[
        str | None,
        typer.Option(help="Address of 'lpad webgui', for a link.", show_default=False),
    ] = None,
    launchpad: LaunchpadFile = None,
    database: DatabaseURI = None,
) -> None:
    """Show the screening collection in a browser, read-only, with a JSON API."""
    from contextlib import ExitStack
    from dataclasses import replace

    from superionic.report.serve.app import create_app, listen, make_server, require_packages
    from superionic.report.serve.settings import ServeSettings, find_token
    from superionic.store.database.server import local_server
    from superionic.store.database.stores import configured_database, spec_from_uri

    require_packages()
    settings = settings_with(database)
    token, token_source = find_token(host, token_file, settings.data_dir / "serve_token")
    serve_settings = ServeSettings(
        host=host,
        port=port,
        token=token,
        allowed_hosts=tuple(allow_host or ()),
        webgui_url=webgui_url,
        launchpad=launchpad,
    )
    with ExitStack() as stack:
        listener = stack.enter_context(listen(serve_settings))
        chosen = replace(serve_settings, port=listener.getsockname()[1])
        spec = configured_database(settings, prefer_uri=database is not None)
        if spec is None:
            uri = stack.enter_context(local_server(settings.data_dir))
            spec = spec_from_uri(uri, settings.database_name, source="local server")
        app = create_app(spec, chosen, jobs_of(spec, chosen))
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        echo(f"http://{shown}:{chosen.port} shows {spec.description}; Ctrl-C ends it.")
        if token is not None:
            echo(f"Its token is that of {token_source}.")
        make_server(app, chosen).run(sockets=[listener])


def jobs_of(spec: "DatabaseSpec", settings: "ServeSettings") -> "Campaign":
    """Return what tells a server how the jobs of a database stand.

    Raises
    ------
    SettingsError
        When the launchpad file is not there or wrong.
    """
    from superionic.cluster.site import launchpad_of
    from superionic.cluster.status import look_at
    from superionic.report.serve.jobs import Campaign
    from superionic.report.serve.source import for_reading

    launchpad = launchpad_of(for_reading(spec), settings.launchpad)
    timeout_s = settings.connection_timeout_s
    return Campaign(
        launchpad.description, lambda: look_at(launchpad, timeout_s), settings.webgui_url
    )
