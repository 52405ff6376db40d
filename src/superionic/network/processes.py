"""Independent work in several processes that end with their parent."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from superionic.errors import NetworkError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    n_workers: int,
    report: Callable[[int, Item, Result], None] = lambda done, item, result: None,
) -> list[Result]:
    """Return the results of a function for several items, in their order.

    Parameters
    ----------
    function : callable
        Of one item; it must be found by its name in its module.
    items : sequence
        What it is called with.
    n_workers : int
        Processes, one thread each; with one, the work is done in this process.
    report : callable
        Called after each item with the number done, the item and its result.

    Raises
    ------
    NetworkError
        When a process died without a word.
    """
    found: dict[int, Result] = {}
    if n_workers <= 1 or len(items) <= 1:
        for number, item in enumerate(items):
            found[number] = function(item)
            report(number + 1, item, found[number])
        return [found[number] for number in range(len(items))]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_workers, context, initializer=_start_worker) as pool:
        try:
            futures = {pool.submit(function, item): number for number, item in enumerate(items)}
            for done, future in enumerate(as_completed(futures), start=1):
                number = futures[future]
                found[number] = future.result()
                report(done, items[number], found[number])
        except BrokenProcessPool:
            raise NetworkError(
                "A training process ended without a word.",
                hint="It may have run out of memory: use fewer workers. The same command goes on.",
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return [found[number] for number in range(len(items))]


def _start_worker() -> None:
    """Give a worker one thread, before it imports anything, and leave Ctrl-C to its parent."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
