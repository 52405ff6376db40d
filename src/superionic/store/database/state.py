"""The files by which processes agree on the local server of a data directory.

=============== =================================================================================
``server.lock`` held while somebody decides to start or stop the server
``users.lock``  held, shared, by every process that uses the server
``alive.lock``  held by the server process itself, from its birth to its death
``server.json`` what the living server is: process id, port, engine (void when it is not alive)
``server.log``  what the server says
=============== =================================================================================

All locks are the kernel's: a process that is killed holds none, and a process id that was given to
another program is never mistaken for the server.
"""

import json
import os
import signal
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from superionic.errors import DatabaseError
from superionic.files import made_private, write_whole
from superionic.store.database.locks import is_locked

HOST = "127.0.0.1"
_POLL_S = 0.1
_REQUEST_INTERVAL_S = 3.0


@dataclass(frozen=True)
class ServerFiles:
    """The files of one data directory."""

    data_dir: Path

    @classmethod
    def at(cls, data_dir: Path) -> "ServerFiles":
        """Return the files of a data directory, which is made if it is missing.

        Raises
        ------
        DatabaseError
            When it cannot be made.
        """
        path = data_dir.expanduser().absolute()
        try:
            made_private(path)
        except OSError as error:
            raise DatabaseError(
                f"The data directory {path} cannot be made: {error.strerror}.",
                hint="Set SUPERIONIC_DATA_DIR to a directory of yours.",
            ) from error
        return cls(path)

    @property
    def decision_lock(self) -> Path:
        """The lock of whoever starts or stops the server."""
        return self.data_dir / "server.lock"

    @property
    def users_lock(self) -> Path:
        """The lock that users share."""
        return self.data_dir / "users.lock"

    @property
    def alive_lock(self) -> Path:
        """The lock that the server process holds."""
        return self.data_dir / "alive.lock"

    @property
    def state(self) -> Path:
        """The description of the living server."""
        return self.data_dir / "server.json"

    @property
    def log(self) -> Path:
        """The server's output."""
        return self.data_dir / "server.log"

    def is_alive(self) -> bool:
        """Say whether the server process lives."""
        return is_locked(self.alive_lock, against_exclusive=True)

    def in_use(self) -> bool:
        """Say whether any process uses the server."""
        return is_locked(self.users_lock, against_exclusive=False)


@dataclass(frozen=True)
class ServerState:
    """A living local server.

    Attributes
    ----------
    pid : int
        Its process id.
    port : int
        Its port on 127.0.0.1.
    engine : str
        Name and version of the server program.
    host : str
        The machine, since a data directory may be seen from several.
    persistent : bool
        Whether it stays when its last user has left.
    """

    pid: int
    port: int
    engine: str
    host: str
    persistent: bool = False

    @property
    def uri(self) -> str:
        """The MongoDB URI."""
        return f"mongodb://{HOST}:{self.port}/?directConnection=true"

    def write(self, files: ServerFiles) -> None:
        """Replace the state file, so that a reader sees the old one or the new one."""
        write_whole(files.state, json.dumps(asdict(self)))


class UnreadableRecordError(DatabaseError):
    """A server lives, and its record is garbled; its keeper writes it anew."""


def last_port(files: ServerFiles) -> int | None:
    """Return the port of the server that lived last in a data directory; None if not known."""
    try:
        state = json.loads(files.state.read_text())
        port = state["port"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return port if isinstance(port, int) and 0 < port < 65536 else None


def read_state(files: ServerFiles) -> ServerState | None:
    """Return the living server of a data directory, or None.

    Raises
    ------
    UnreadableRecordError
        When a server lives but left no readable record.
    DatabaseError
        When it lives on another machine.
    """
    if not files.is_alive():
        return None
    try:
        state = ServerState(**json.loads(files.state.read_text()))
        if not (isinstance(state.pid, int) and isinstance(state.port, int)):
            raise TypeError
    except (OSError, ValueError, TypeError):
        if not files.is_alive():  # it ended in between
            return None
        raise UnreadableRecordError(
            f"A database server holds {files.data_dir} but its record {files.state.name} "
            "cannot be read.",
            hint=f"Find its process with 'fuser {files.alive_lock}' and end it.",
        ) from None
    if state.host != socket.gethostname():
        raise DatabaseError(
            f"The local server of {files.data_dir} runs on another machine, {state.host}.",
            hint="Set SUPERIONIC_DATA_DIR to a directory on this machine's own disk, or name a "
            "MongoDB server that both reach with SUPERIONIC_DATABASE_URI.",
        )
    return state


def end_process(files: ServerFiles, server: ServerState) -> None:
    """End the living server: with requests, and after half a minute with SIGKILL.

    SecantusDB 0.7 needs help. The signal is noticed by its main thread only, and a thread that is
    just born or dying for a connection may catch it: so it comes in a quiet moment, and again if
    need be. Once noticed, it waits up to 2 s for another connection: so it gets one.

    Raises
    ------
    DatabaseError
        When even SIGKILL does not end it, or it is another user's.
    """
    requests = int(30.0 // _REQUEST_INTERVAL_S)
    for number in (*[signal.SIGTERM] * requests, signal.SIGKILL):
        time.sleep(_POLL_S)
        try:
            os.kill(server.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise DatabaseError(
                f"The local server (process {server.pid}) belongs to another user.",
                hint="Set SUPERIONIC_DATA_DIR to a directory of yours.",
            ) from None
        if _ends(files, server.port, _REQUEST_INTERVAL_S):
            return
    raise DatabaseError(f"The local server (process {server.pid}) does not end.")


def _ends(files: ServerFiles, port: int, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while files.is_alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
        accepts(port)
    return True


def end_if_abandoned(files: ServerFiles) -> None:
    """End the server if it has no user and was not started to stay."""
    server = read_state(files)
    if server is not None and not server.persistent and not files.in_use():
        end_process(files, server)


def accepts(port: int) -> bool:
    """Say whether something on this machine accepts connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
