"""Directories that are made when they are needed."""

from pathlib import Path


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
