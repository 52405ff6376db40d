"""Which process holds a job, a lock or a result, and whether it still lives.

A process id means something within one boot of one machine and one PID namespace, and a host's name
says neither. So a process says where its id counts, and who is elsewhere cannot tell whether it
lives.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_START_TOLERANCE_S = 0.05
_PROC = Path("/proc")


@dataclass(frozen=True)
class Owner:
    """A process, so that another one beside it can tell whether it lives.

    Parameters
    ----------
    host : str
        Name of its machine, for people.
    space : str
        Where its id counts: boot, PID namespace and time namespace.
    pid : int
        Its process id.
    started : float
        When it started, in s since the boot; ids are used again, times are not.
    """

    host: str
    space: str
    pid: int
    started: float

    @property
    def token(self) -> str:
        """Return a text that names this process alone."""
        return f"{self.host}|{self.space}|{self.pid}|{self.started:.2f}"

    @classmethod
    def parse(cls, token: str) -> "Owner | None":
        """Return the process that a token names, or None if it is no token."""
        try:
            host, space, pid, started = token.rsplit("|", 3)
            return cls(host, space, int(pid), float(started))
        except (ValueError, AttributeError):
            return None

    def is_dead(self) -> bool | None:
        """Say whether the process has ended; None when that cannot be told from here."""
        if self.space != this_space() or not _sees_its_own():
            return None
        started = _started(self.pid)
        return started is None or abs(started - self.started) > _START_TOLERANCE_S


def this_space() -> str:
    """Return where process ids count as they do for this process.

    Another boot of the same machine is another place: whether it is the same machine is not sure
    where disks and containers are copied.
    """
    return "/".join([_boot(), *(_namespace(name) for name in ("pid", "time"))])


def this_process() -> Owner:
    """Return the running process."""
    started = _started(os.getpid() if _sees_its_own() else "self")
    return Owner(socket.gethostname(), this_space(), os.getpid(), started or 0.0)


def is_dead(token: str | None) -> bool | None:
    """Say whether the process of a token has ended; None when that cannot be told from here."""
    owner = Owner.parse(token) if token else None
    return None if owner is None else owner.is_dead()


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        return f"{uuid.getnode():x}"


def _namespace(name: str) -> str:
    try:
        return os.readlink(_PROC / "self/ns" / name).strip(f"{name}:[]")
    except OSError:
        return ""


def _sees_its_own() -> bool:
    """Say whether the ids that /proc shows are those of this process's namespace."""
    try:
        return os.readlink(_PROC / "self") == str(os.getpid())
    except OSError:
        return not _PROC.exists()


def _started(pid: int | str) -> float | None:
    """Return when a living process started, in s since the boot; None when it has ended.

    Not the time of day, which changes when somebody sets the clock.
    """
    if not (_PROC / "self").exists():  # not Linux
        try:
            process = psutil.Process(int(pid))
            dead = process.status() == psutil.STATUS_ZOMBIE
            return None if dead else process.create_time()
        except psutil.NoSuchProcess:
            return None
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], int(fields[19])
    return None if state in "ZX" else ticks / os.sysconf("SC_CLK_TCK")
