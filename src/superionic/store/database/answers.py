"""What it means when a database does not answer, in words without secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from superionic.errors import DatabaseError

_AUTHENTICATION_FAILED, _UNAUTHORIZED = 18, 13


class Described(Protocol):
    """A database that has hosts and a name to be shown."""

    @property
    def description(self) -> str:
        """Hosts and database name, without secrets."""


@contextmanager
def answering(place: str, timeout_s: float, *, writing: bool = False) -> Iterator[None]:
    """Turn whatever the first question to a database raises into a :class:`DatabaseError`.

    Parameters
    ----------
    place : str
        The database in words, such as ``The database host:27017/name (from: a file)``.
    timeout_s : float
        How long it was waited for.
    writing : bool
        Whether the right to write was asked for, too.
    """
    from pymongo.errors import OperationFailure

    # 'from None' throughout: pymongo's and the resolver's texts may repeat parts of a URI.
    try:
        yield
    except DatabaseError:
        raise
    except OperationFailure as error:
        if error.code not in (_AUTHENTICATION_FAILED, _UNAUTHORIZED):
            raise DatabaseError(f"{place} failed with error code {error.code}.") from None
        raise DatabaseError(
            f"{place} refuses the user name or password, or the user may not "
            f"{'write there' if writing else 'read it'}.",
            hint="Check them, the database name, and the authSource of the user, with its "
            "administrator; writing needs the role readWrite.",
        ) from None
    except Exception as error:
        raise DatabaseError(
            f"{place} does not answer within {timeout_s:g} s ({type(error).__name__}).",
            hint="Check that the server runs and that host and port are right.",
        ) from None


@contextmanager
def database_errors(database: Described) -> Iterator[None]:
    """Turn whatever the database driver raises into a :class:`DatabaseError` with a hint."""
    from pymongo.errors import PyMongoError

    try:
        yield
    except PyMongoError as error:
        raise lost(database, type(error).__name__) from None


def lost(database: Described, text: str) -> DatabaseError:
    """Return the error for a database that has answered before and no longer does."""
    return DatabaseError(
        f"The database {database.description} no longer answers ({text}).",
        hint="Everything stored before is safe: run the same command again when it is back.",
    )
