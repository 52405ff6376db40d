"""The application, and the server that runs it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from superionic import __version__
from superionic.errors import SettingsError
from superionic.report.serve.settings import ServeSettings
from superionic.store.database.stores import DatabaseSpec

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from superionic.report.serve.jobs import Campaign

_DESCRIPTION = """Read-only view of a screening collection.

Rows are read page by page: pass `meta.next` of one page as `after` of the next. Errors are
`{"error": {"code", "message", "hint"}}`. Where a token is needed, send it as
`Authorization: Bearer TOKEN`.
"""
_MOST_CONNECTIONS = 256
_GRACE_S = 3


def create_app(spec: DatabaseSpec, settings: ServeSettings, campaign: "Campaign") -> "FastAPI":
    """Return the application that shows a database.

    Parameters
    ----------
    spec : DatabaseSpec
        The results database; it is opened when something is asked of it.
    settings : ServeSettings
        How it is served.
    campaign : Campaign
        How the jobs stand.

    Raises
    ------
    SettingsError
        When a package of the extra ``serve`` is missing.
    """
    require_packages()
    from fastapi import FastAPI
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.staticfiles import StaticFiles

    from superionic.report.serve.api import create_router
    from superionic.report.serve.errors import install_handlers
    from superionic.report.serve.pages import create_pages
    from superionic.report.serve.rendering import HERE
    from superionic.report.serve.security import Guard, SecurityMiddleware
    from superionic.report.serve.source import Source, for_reading

    timeouts_s = (settings.query_timeout_s, settings.connection_timeout_s)
    source = Source(for_reading(spec), *timeouts_s)
    guard = None if settings.token is None else Guard(settings.token)

    @asynccontextmanager
    async def lifespan(app: "FastAPI") -> AsyncIterator[None]:
        yield
        source.close()

    app = FastAPI(
        title="superionic",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.has_login = guard is not None
    install_handlers(app)
    app.include_router(create_router(source, campaign, settings))
    app.include_router(create_pages(settings, guard))
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(SecurityMiddleware, settings=settings, guard=guard)
    return app


def require_packages() -> None:
    """Check that the packages of the extra ``serve`` are there.

    Raises
    ------
    SettingsError
        When one is missing.
    """
    from importlib.util import find_spec

    names = {"fastapi": "fastapi", "uvicorn": "uvicorn", "plotly": "plotly", "jinja2": "jinja2"}
    names["skimage"] = "scikit-image"
    if missing := [name for module, name in names.items() if find_spec(module) is None]:
        raise SettingsError(
            f"The page needs packages that are not installed: {', '.join(missing)}.",
            hint="Run: pip install 'superionic[serve]'",
        )


def listen(settings: ServeSettings) -> socket.socket:
    """Return a socket that listens where the settings say.

    Raises
    ------
    SettingsError
        When the address is none of this machine's, or the port is taken.
    """
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Nothing can listen on {settings.host}, port {settings.port} ({error.strerror}).",
            hint="Choose another --port, or --port 0 for a free one.",
        ) from None
    return listener


def make_server(app: "FastAPI", settings: ServeSettings) -> "uvicorn.Server":
    """Return what answers requests until it is told to stop: ``run(sockets=[listener])``."""
    import uvicorn

    from superionic.report.serve.connections import limited_protocol
    from superionic.report.serve.security import LONGEST_QUERY

    config = uvicorn.Config(
        app,
        http=limited_protocol(settings.request_timeout_s, settings.connections_of_address),
        ws="none",
        h11_max_incomplete_event_size=2 * LONGEST_QUERY,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=5,
    )
    return uvicorn.Server(config)
