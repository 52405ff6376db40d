"""The programs that can serve the local database: ``mongod``, or SecantusDB of one wheel."""

import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from superionic.errors import DatabaseError

MONGOD = "mongod"
SECANTUSDB = "SecantusDB"
_STORAGE = {MONGOD: "mongod", SECANTUSDB: "secantusdb"}
_PROGRAM = {MONGOD: "mongod", SECANTUSDB: "secantusd-py"}
_INSTALL = {
    MONGOD: "install MongoDB so that 'mongod' is on PATH",
    SECANTUSDB: 'run: pip install "superionic[server]"',
}


@dataclass(frozen=True)
class ServerProgram:
    """A database server that is installed here.

    Attributes
    ----------
    name : str
        ``mongod`` or ``SecantusDB``.
    executable : Path
        The program.
    storage : Path
        The directory of its files. The two programs cannot read each other's.
    """

    name: str
    executable: Path
    storage: Path

    @property
    def label(self) -> str:
        """Name and, where it is known without starting anything, version."""
        try:
            return f"{self.name} {version('SecantusDB')}" if self.name == SECANTUSDB else self.name
        except PackageNotFoundError:  # its executable comes from another environment
            return self.name

    def command(self, port: int) -> list[str]:
        """Return the command line that serves ``storage`` on a loopback port."""
        address = ["--port", str(port)]
        if self.name == MONGOD:
            storage = ["--dbpath", str(self.storage), "--bind_ip", "127.0.0.1", "--nounixsocket"]
            return [str(self.executable), *storage, *address]
        return [
            *(str(self.executable), "--host", "127.0.0.1", *address),
            *("--storage-path", str(self.storage)),
            "--standalone",  # as a replica set it slows down with age
            "--sync-on-commit",  # else a kill -9 loses acknowledged writes
            # An own file, since without one it looks for settings in the user's directories.
            *("--config", str(self.storage / "secantusd.toml")),
        ]

    def prepare_storage(self) -> None:
        """Make the storage directory, readable by its owner only."""
        self.storage.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.name == SECANTUSDB:
            (self.storage / "secantusd.toml").touch()


def _executable(name: str) -> Path | None:
    """Find a program, beside this Python first: its environment may not be on PATH."""
    next_to_python = Path(sys.executable).parent / _PROGRAM[name]
    if name == SECANTUSDB and next_to_python.is_file():
        return next_to_python
    found = shutil.which(_PROGRAM[name])
    return Path(found) if found else None


def find_program(data_dir: Path) -> ServerProgram:
    """Return the program for a data directory.

    The program that wrote the directory stays its program (a ``mongod`` that appears on PATH later
    must not hide the results that are there); a new directory gets ``mongod`` if it is on PATH,
    else SecantusDB.

    Raises
    ------
    DatabaseError
        When the program that is needed, or any at all, is not installed.
    """
    for name, folder in _STORAGE.items():
        storage = data_dir / folder
        if storage.is_dir() and any(storage.iterdir()):
            if executable := _executable(name):
                return ServerProgram(name, executable, storage)
            raise DatabaseError(
                f"The database in {storage} was written by {name}, which is not installed here.",
                hint=f"To read it, {_INSTALL[name]}; or set SUPERIONIC_DATA_DIR elsewhere.",
            )
    for name, folder in _STORAGE.items():
        if executable := _executable(name):
            return ServerProgram(name, executable, data_dir / folder)
    raise DatabaseError(
        "No database is configured, and no local database server is installed.",
        hint=f"For a local one, {_INSTALL[SECANTUSDB]} (or {_INSTALL[MONGOD]}); for a remote one, "
        "set SUPERIONIC_DATABASE_URI or JOBFLOW_CONFIG_FILE.",
    )
