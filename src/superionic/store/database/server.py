"""The local database server: started by the first command that needs it, stopped by the last.

The server listens on 127.0.0.1 only, without a password: every user of this machine can reach it
while it runs. On a shared machine, name a protected MongoDB server instead.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from superionic.errors import DatabaseError
from superionic.store.database.locks import lock, locked
from superionic.store.database.programs import ServerProgram, find_program
from superionic.store.database.state import (
    HOST,
    ServerFiles,
    ServerState,
    UnreadableRecordError,
    accepts,
    end_if_abandoned,
    end_process,
    last_port,
    read_state,
)

T = TypeVar("T")

READY_TIMEOUT_S = 60.0
_DECISION_TIMEOUT_S = 2 * READY_TIMEOUT_S  # another command may be starting the server
_RECORD_TIMEOUT_S = 5.0  # the keeper looks every second
_RECORD_POLL_S = 0.3
_POLL_S = 0.02
_LARGEST_LOG_BYTES = 5_000_000
_LOG_TAIL_LINES = 12


@dataclass(frozen=True)
class ServerStatus:
    """What is known about the local server of a data directory.

    Attributes
    ----------
    data_dir : Path
        The data directory.
    server : ServerState or None
        The living server, if there is one.
    answers : bool
        Whether it answers a ping.
    in_use : bool
        Whether commands use it now.
    size_bytes : int
        The size of everything in the data directory.
    """

    data_dir: Path
    server: ServerState | None
    answers: bool
    in_use: bool
    size_bytes: int


@contextmanager
def local_server(data_dir: Path) -> Iterator[str]:
    """Use the local server of a data directory, starting it if it does not run.

    Any number of processes may do so at once. The last one to leave stops the server, unless
    :func:`start_server` made it persistent. A process that is killed counts as having left.

    Parameters
    ----------
    data_dir : Path
        Directory of the database, its log and its locks.

    Yields
    ------
    str
        The MongoDB URI of the server, on 127.0.0.1.

    Raises
    ------
    DatabaseError
        When no server program is installed, or the server does not start.
    """
    files = ServerFiles.at(data_dir)

    def join() -> tuple[ServerState, int]:
        return (
            _running_server(files),
            lock(files.users_lock, exclusive=False, timeout_s=5),
        )

    server, user = _decided(files, join)
    try:
        yield server.uri
    finally:
        # If this is cut short (a second Ctrl-C), the keeper stops the server a second later.
        os.close(user)
        _decided(files, partial(end_if_abandoned, files))


def _decided(files: ServerFiles, decide: Callable[[], T]) -> T:
    """Decide about the server while nobody else does.

    A record that is garbled is given time to be written anew by the server's keeper.
    """
    deadline = time.monotonic() + _RECORD_TIMEOUT_S
    while True:
        try:
            with locked(files.decision_lock, timeout_s=_DECISION_TIMEOUT_S):
                return decide()
        except UnreadableRecordError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RECORD_POLL_S)


def start_server(data_dir: Path) -> ServerState:
    """Start the local server, or join the running one, and let it stay.

    Raises
    ------
    DatabaseError
        When no server program is installed, or the server does not start.
    """
    files = ServerFiles.at(data_dir)

    def start() -> ServerState:
        server = replace(_running_server(files), persistent=True)
        server.write(files)
        return server

    return _decided(files, start)


def stop_server(data_dir: Path, *, force: bool = False) -> ServerStatus:
    """Stop the local server, at once if nobody uses it, else when its last user leaves.

    Parameters
    ----------
    data_dir : Path
        Directory of the database.
    force : bool
        Stop it at once, under the feet of the commands that use it.

    Returns
    -------
    ServerStatus
        What is left: ``server`` is None unless it waits for its users.

    Raises
    ------
    DatabaseError
        When the server does not end.
    """
    files = ServerFiles.at(data_dir)

    def stop() -> None:
        server = read_state(files)
        if server is not None and force:
            end_process(files, server)
        elif server is not None:
            replace(server, persistent=False).write(files)
            end_if_abandoned(files)

    _decided(files, stop)
    return server_status(data_dir)


def server_status(data_dir: Path) -> ServerStatus:
    """Look at the local server of a data directory, without starting it or making anything.

    Raises
    ------
    DatabaseError
        When a server lives there that cannot be described.
    """
    path = data_dir.expanduser().absolute()
    if not path.is_dir():
        return ServerStatus(path, None, answers=False, in_use=False, size_bytes=0)
    files = ServerFiles.at(path)
    server = read_state(files)
    return ServerStatus(
        path,
        server,
        answers=server is not None and _answers(server.uri, timeout_s=2),
        in_use=files.in_use(),
        size_bytes=_size_bytes(path),
    )


def _size_bytes(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.lstat().st_size
        except FileNotFoundError:  # a living server makes and removes files
            continue
    return total


def _running_server(files: ServerFiles) -> ServerState:
    """Return the living server once it answers, or start one; under the decision lock."""
    server = read_state(files)
    if server is not None:
        _wait_until_ready(files, server, log_start=0)
        return server
    program = find_program(files.data_dir)
    for attempts_left in (2, 1, 0):
        try:
            return _start(files, program)
        except _PortTaken:
            if not attempts_left:
                raise
    raise AssertionError("unreachable")


class _PortTaken(DatabaseError):  # noqa: N818 - private, and always handled
    """Another program took the port between its choice and the server's start."""


def _start(files: ServerFiles, program: ServerProgram) -> ServerState:
    try:
        program.prepare_storage()
        if files.log.exists() and files.log.stat().st_size > _LARGEST_LOG_BYTES:
            files.log.replace(files.log.with_suffix(".log.1"))
        log = files.log.open("ab")
    except OSError as error:
        raise DatabaseError(
            f"The data directory {files.data_dir} cannot be written: {error.strerror}.",
            hint="Free space there, or set SUPERIONIC_DATA_DIR to another directory.",
        ) from error
    # Other programs know the last port, such as FireWorks from its file.
    port = last_port(files)
    if port is None or not _is_free(port):
        port = _free_port()
    keeper = [sys.executable, "-P", "-m", "superionic.store.database.keeper", str(files.data_dir)]
    with log:
        log_start = log.tell()
        detached = subprocess.run(
            [*keeper, str(port), program.label, *program.command(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=files.data_dir,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the server
            check=False,
        )
    server = read_state(files)
    if detached.returncode != 0 or server is None:
        if not _is_free(port):
            raise _PortTaken(f"Port {port} was taken by another program.", hint="Try again.")
        raise _not_started(files, f"{program.label} ended at once.", log_start)
    _wait_until_ready(files, server, log_start)
    return server


def _wait_until_ready(files: ServerFiles, server: ServerState, log_start: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        answers = accepts(server.port) and _answers(server.uri, timeout_s=5)
        if not files.is_alive():
            if not _is_free(server.port):
                raise _PortTaken(f"Port {server.port} was taken by another program.")
            raise _not_started(files, f"{server.engine} ended.", log_start)
        if answers:
            return
        if time.monotonic() > deadline:
            raise _not_started(
                files, f"{server.engine} does not answer after {READY_TIMEOUT_S:g} s.", log_start
            )
        time.sleep(_POLL_S)


def _answers(uri: str, *, timeout_s: float) -> bool:
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    milliseconds = int(1000 * timeout_s)
    client: MongoClient = MongoClient(
        uri, serverSelectionTimeoutMS=milliseconds, socketTimeoutMS=milliseconds
    )
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _not_started(files: ServerFiles, reason: str, log_start: int) -> DatabaseError:
    with files.log.open("rb") as log:
        log.seek(log_start)
        lines = log.read().decode(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    tail = "\n  ".join(lines) or "(empty)"
    return DatabaseError(
        f"The local database server did not start: {reason} The end of {files.log}:\n  {tail}\n",
        hint=f"If it hangs, run 'superionic db stop --force'; if the files in {files.data_dir} "
        "are damaged, move them away or set SUPERIONIC_DATA_DIR to another directory.",
    )
