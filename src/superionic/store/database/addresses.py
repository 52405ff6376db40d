"""MongoDB addresses without their secrets."""

import ipaddress
import re

from superionic.errors import SettingsError

_SCHEME = re.compile(r"mongodb(\+srv)?://", re.IGNORECASE)
_HOST = re.compile(r"[\w.-]+")


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is that of the loopback."""
    return host == "localhost" or (
        is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback
    )


def is_address(host: str) -> bool:
    """Say whether a host is named by its number."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def hosts_of(uri: str) -> str:
    """Return the host names and ports of a MongoDB URI, and nothing else of it.

    Parameters
    ----------
    uri : str
        The URI; it may hold a user name, a password and options. No name is looked up.

    Raises
    ------
    SettingsError
        When it is not a MongoDB URI. The message does not repeat it.
    """
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    scheme = _SCHEME.match(uri)
    try:
        if scheme is None:
            raise ValueError
        authority, _, path = uri[scheme.end() :].partition("/")
        if "@" in path or "?" in authority:
            raise ValueError  # a password that is not escaped, whose first part looks like a host
        if scheme.group(1) is None:
            return ",".join(_host_and_port(*node) for node in parse_uri(uri)["nodelist"])
        host = authority.rpartition("@")[2]  # parse_uri would look the name up
        if not _HOST.fullmatch(host):
            raise ValueError
        return host
    except (ValueError, PyMongoError):
        # Not 'from error': parser messages repeat parts of the URI, the password among them.
        raise SettingsError(
            "The database URI is not a valid MongoDB URI.",
            hint="Write mongodb://user:password@host:27017/ ; ':', '/', '?', '@' and '%' within a "
            "user name or password are written as %3A, %2F, %3F, %40 and %25.",
        ) from None


def database_of(uri: str) -> str | None:
    """Return the database that a MongoDB URI names after its hosts, if any."""
    match = re.match(r"mongodb(?:\+srv)?://[^/?]+/([^?]+)", uri, re.IGNORECASE)
    return match.group(1) if match else None


def _host_and_port(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"
