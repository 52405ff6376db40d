"""Advisory file locks between processes (``flock``): the kernel drops them when a process dies."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from superionic.errors import DatabaseError

_POLL_S = 0.02


def try_lock(path: Path, *, exclusive: bool) -> int | None:
    """Lock a file (made if missing) if that is possible at once.

    Parameters
    ----------
    path : Path
        The lock file. It is never removed: whoever waits for it holds the same inode.
    exclusive : bool
        Alone, or together with other holders that are not exclusive.

    Returns
    -------
    int or None
        A file descriptor that holds the lock until it is closed, or None if others hold the lock.

    Raises
    ------
    DatabaseError
        When the file cannot be made, or the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise _unusable(path, error) from error
    return descriptor


def lock(path: Path, *, exclusive: bool, timeout_s: float) -> int:
    """Lock a file as :func:`try_lock` does, waiting for others.

    Raises
    ------
    DatabaseError
        When others still hold the lock after ``timeout_s``.
    """
    deadline = time.monotonic() + timeout_s
    while (descriptor := try_lock(path, exclusive=exclusive)) is None:
        if time.monotonic() > deadline:
            raise DatabaseError(
                f"Another process has held {path} for more than {timeout_s:g} s.",
                hint="Look for a 'superionic' command that hangs, and end it.",
            )
        time.sleep(_POLL_S)
    return descriptor


@contextmanager
def locked(path: Path, *, timeout_s: float) -> Iterator[None]:
    """Hold a file's exclusive lock."""
    descriptor = lock(path, exclusive=True, timeout_s=timeout_s)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path, *, against_exclusive: bool) -> bool:
    """Say whether others hold a lock, by trying to take one for a moment.

    Parameters
    ----------
    path : Path
        The lock file.
    against_exclusive : bool
        Look for exclusive holders only (a shared trial, which does not disturb other trials), or
        for holders of any kind.
    """
    descriptor = try_lock(path, exclusive=not against_exclusive)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _unusable(path: Path, error: OSError) -> DatabaseError:
    return DatabaseError(
        f"The file {path} cannot be made or locked: {error.strerror}.",
        hint="Set SUPERIONIC_DATA_DIR to a directory of yours on a local disk.",
    )
