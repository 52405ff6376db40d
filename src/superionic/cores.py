"""How many processes and threads this machine carries."""

import os

import psutil


def usable_cores() -> int:
    """Return the number of physical cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or 1))


def threads_per_process(n_processes: int) -> int:
    """Return the threads of one of several processes.

    That is its share of the cores, unless ``OMP_NUM_THREADS`` asks for fewer.
    """
    share = max(1, usable_cores() // n_processes)
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share
