"""A way for long computations to say how far they are, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ProgressSink = Callable[[int, int], None]

_SINK: ContextVar[ProgressSink | None] = ContextVar("superionic_progress", default=None)


def report_progress(done: int, planned: int) -> None:
    """Tell the listener, if there is one, how many of the planned evaluations are done."""
    sink = _SINK.get()
    if sink is not None:
        sink(done, planned)


@contextmanager
def progress_to(sink: ProgressSink) -> Iterator[None]:
    """Send progress to a function for the time of a with-block."""
    token = _SINK.set(sink)
    try:
        yield
    finally:
        _SINK.reset(token)
