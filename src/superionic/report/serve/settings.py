"""What a server needs to know, and the token that guards it."""

import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from superionic.errors import SettingsError
from superionic.files import made_private
from superionic.store.database.addresses import is_loopback

TOKEN_VARIABLE = "SUPERIONIC_SERVE_TOKEN"
SHORTEST_TOKEN = 16
_TOKEN = re.compile(r"[\x21-\x7e]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class ServeSettings:
    """How the page is served.

    Parameters
    ----------
    host, port : str, int
        Where it listens.
    token : str, optional
        What a client must know; needed unless ``host`` is a loopback address.
    allowed_hosts : tuple of str
        Names under which it may be asked for, besides those of the loopback.
    webgui_url : str, optional
        Address of FireWorks' own web view, for a link.
    launchpad : Path, optional
        A launchpad file.
    page_limit, export_limit : int
        Most rows of one page, and of one CSV file.
    rate_per_s, burst : float, float
        Requests that a client may send in the long run, and at once; costly ones count for several.
    request_timeout_s, connections_of_address : float, int
        Time in which a request must be complete, and connections that one address may hold open.
    query_timeout_s, connection_timeout_s : float
        Longest time that one question to the database may take, and that it may take to be found.

    Raises
    ------
    SettingsError
        When the page would be open to a network without a token, or a value makes no sense.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    webgui_url: str | None = None
    launchpad: Path | None = None
    page_limit: int = 200
    export_limit: int = 10_000
    rate_per_s: float = 20.0
    burst: float = 120.0
    request_timeout_s: float = 10.0
    connections_of_address: int = 32
    query_timeout_s: float = 20.0
    connection_timeout_s: float = 3.0

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise SettingsError(
                f"{self.host} can be reached from other machines, and no token guards it.",
                hint=f"Set {TOKEN_VARIABLE} or name a --token-file.",
            )
        if self.token is not None:
            checked_token(self.token, "The token")
        for name in self.allowed_hosts:
            if not _HOST_NAME.fullmatch(name):
                raise SettingsError(f"{name!r} is no host name.", hint="Leave out scheme and port.")
        if self.webgui_url is not None and not self.webgui_url.startswith(("http://", "https://")):
            raise SettingsError(
                "The address of FireWorks' web view is none.", hint="Write http://host:5000."
            )

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine can reach it."""
        return is_loopback(self.host)


def find_token(host: str, token_file: Path | None, default_file: Path) -> tuple[str | None, str]:
    """Return the token that guards a server, and where it comes from.

    It is that of the environment, else of ``token_file``; without either, none on the loopback, and
    elsewhere that of ``default_file``, which is made with a new token if need be.

    Parameters
    ----------
    host : str
        Where the server listens.
    token_file : Path, optional
        A file that was named; it must be readable by its owner only.
    default_file : Path
        Where a new token is kept.

    Raises
    ------
    SettingsError
        When a file cannot be read, others may read it, or the token is too short. No token is
        repeated.
    """
    if token := os.environ.get(TOKEN_VARIABLE):
        return checked_token(token, TOKEN_VARIABLE), TOKEN_VARIABLE
    if token_file is not None:
        return _read_token(token_file), str(token_file)
    if is_loopback(host):
        return None, "none"
    if not default_file.exists():
        _write_token(default_file, secrets.token_urlsafe(24))
    return _read_token(default_file), str(default_file)


def checked_token(token: str, what: str) -> str:
    """Return a token that is long enough and can be sent in a header.

    Raises
    ------
    SettingsError
        When it is not; it is not repeated.
    """
    if len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise SettingsError(
            f"{what} must have at least {SHORTEST_TOKEN} printable characters without spaces.",
            hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(24))'.",
        )
    return token


def _read_token(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The token file {path} cannot be read ({type(error).__name__}).",
            hint="Write a token into it, and 'chmod 600' it.",
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(
            f"Others than its owner may read the token file {path} (mode {stat.S_IMODE(mode):o}).",
            hint=f"Run: chmod 600 {path}",
        )
    return checked_token(token, f"The token in {path}")


def _write_token(path: Path, token: str) -> None:
    try:
        made_private(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
    except FileExistsError:
        return  # another server has just made one
    except OSError as error:
        raise SettingsError(
            f"The token file {path} cannot be written ({error.strerror}).",
            hint=f"Set {TOKEN_VARIABLE} instead.",
        ) from None
