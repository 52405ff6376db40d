"""The process that keeps the local server: its parent, and its end when nobody uses it.

Run as ``python -m superionic.store.database.keeper DATA_DIR PORT ENGINE COMMAND...`` by
:mod:`superionic.store.database.server`. It detaches itself, so that no signal of a terminal reaches
it, starts the server and looks every second whether a user is left. So a command that is killed
with SIGKILL, and cannot stop the server, does not leave it behind.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from superionic.errors import DatabaseError
from superionic.store.database.locks import lock, try_lock
from superionic.store.database.state import (
    ServerFiles,
    ServerState,
    UnreadableRecordError,
    end_if_abandoned,
    read_state,
)

_POLL_S = 1.0
_STARTED = b"+"


def start_process(
    files: ServerFiles, port: int, engine: str, command: Sequence[str]
) -> tuple[subprocess.Popen[bytes], ServerState]:
    """Start the server so that it alone holds the alive lock, and record it."""
    # Others try this lock for moments to see whether the server lives: hence the patience.
    descriptor = lock(files.alive_lock, exclusive=True, timeout_s=5)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(descriptor,))
    finally:
        os.close(descriptor)
    state = ServerState(process.pid, port, engine, socket.gethostname())
    state.write(files)
    return process, state


def keep(files: ServerFiles, process: subprocess.Popen[bytes], state: ServerState) -> None:
    """Wait for the server's end, and bring it about when it is abandoned."""
    while process.poll() is None:
        time.sleep(_POLL_S)
        if not files.data_dir.is_dir():  # somebody removed it: there is nothing left to serve
            process.kill()
            continue
        decision = try_lock(files.decision_lock, exclusive=True)
        if decision is None:  # somebody is just starting, joining or leaving
            continue
        try:
            with suppress(DatabaseError):  # nobody listens; it tries again
                state = _recorded(files, state)
                end_if_abandoned(files)
        finally:
            os.close(decision)


def _recorded(files: ServerFiles, known: ServerState) -> ServerState:
    """Return the record of the server; one that is garbled is written anew, by who knows it."""
    try:
        return read_state(files) or known
    except UnreadableRecordError:
        known.write(files)
        return known


def main(arguments: Sequence[str]) -> int:
    """Detach, start the server, tell the caller by the exit status, and keep the server."""
    data_dir, port, engine, *command = arguments
    files = ServerFiles(Path(data_dir))
    result, report = os.pipe()
    if os.fork():
        os.close(report)
        return 0 if os.read(result, 1) == _STARTED else 1
    os.close(result)
    process, state = start_process(files, int(port), engine, command)
    os.write(report, _STARTED)
    os.close(report)
    keep(files, process, state)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
