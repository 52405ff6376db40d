"""Files that are there as a whole or not at all, and directories of one user."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from superionic.errors import UnwritableFileError

_log = logging.getLogger(__name__)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which replaces a file in one step, also if the power fails.

    Parameters
    ----------
    path : Path
        The file; as it was, or not there, where writing fails.

    Yields
    ------
    Path
        In the same folder, hidden, of the same suffix, and of this call alone.

    Raises
    ------
    UnwritableFileError
        When the disk does not take it; nothing is left behind.

    Examples
    --------
    >>> with whole_file(Path("rows.csv")) as fresh:  # doctest: +SKIP
    ...     table.to_csv(fresh)
    """
    own = f"{os.getpid()}-{uuid4().hex[:8]}"  # names have 255 bytes at the most
    fresh = path.with_name(f".{path.stem[:40]}.{own}.tmp{path.suffix}")
    try:
        try:
            yield fresh
            _sync(fresh)
            fresh.replace(path)
            _sync(path.parent)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise UnwritableFileError(
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Make room, or name another place, and start again: what is finished is kept.",
        ) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a text or bytes as :func:`whole_file` does.

    Raises
    ------
    UnwritableFileError
        When the disk does not take it; nothing is left behind.
    """
    with whole_file(path) as fresh:
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def made_private(directory: Path) -> Path:
    """Make a directory, and those above it that are missing, for the eyes of this user only.

    ``Path.mkdir(mode=0o700, parents=True)`` makes the ones above it for everybody's.

    Parameters
    ----------
    directory : Path
        Left as it is when it is there.

    Returns
    -------
    Path
        The same directory.

    Examples
    --------
    >>> made_private(Path.home() / "superionic" / "spool")  # doctest: +SKIP
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
    return directory


def cache_file(folder: str, name: str) -> Path:
    """Return where a text that can be computed again is kept, whether or not it is there."""
    from superionic.settings import get_settings  # here, since the keeper of the server needs none

    return get_settings().cache_dir / folder / name


def keep(path: Path, text: str) -> None:
    """Write a file of the cache; a read-only cache is no fault."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except (OSError, UnwritableFileError) as error:
        _log.warning("Nothing could be kept in %s: %s", path.parent, error)
