"""Which process holds a job, a lock or a result, and whether it still lives."""

import os
import socket
from dataclasses import dataclass
from functools import cache

import psutil

_START_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Owner:
    """A process, so that another one on the same host can tell whether it lives.

    Parameters
    ----------
    host : str
        Name of its machine.
    pid : int
        Its process id.
    started : float
        When it started, in s since 1970; ids are used again, times are not.
    """

    host: str
    pid: int
    started: float

    @property
    def token(self) -> str:
        """Return a text that names this process alone."""
        return f"{self.host}|{self.pid}|{self.started:.2f}"

    @classmethod
    def parse(cls, token: str) -> "Owner | None":
        """Return the process that a token names, or None if it is no token."""
        try:
            host, pid, started = token.rsplit("|", 2)
            return cls(host, int(pid), float(started))
        except (ValueError, AttributeError):
            return None

    def is_dead(self) -> bool | None:
        """Say whether the process has ended; None when it runs on another machine."""
        if self.host != host_name():
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _START_TOLERANCE_S
            return not same or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True


@cache
def host_name() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def this_process() -> Owner:
    """Return the running process."""
    return Owner(host_name(), os.getpid(), psutil.Process().create_time())


def is_dead(token: str | None) -> bool | None:
    """Say whether the process of a token has ended; None when that cannot be told from here."""
    owner = Owner.parse(token) if token else None
    return None if owner is None else owner.is_dead()
