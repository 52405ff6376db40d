"""A way for long computations to say how far they are, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a computation is.

    Parameters
    ----------
    stage : str
        What is done now, such as ``relaxing``.
    done, planned : int
        Evaluations; ``planned`` is 0 where their number is not known, and may be a guess that is
        raised later.
    """

    stage: str
    done: int = 0
    planned: int = 0


ProgressSink = Callable[[Progress], None]


class _Listener:
    """Whoever listens, and the stage that was named last."""

    def __init__(self, sink: ProgressSink) -> None:
        self.sink = sink
        self.stage = ""


_LISTENER: ContextVar[_Listener | None] = ContextVar("superionic_progress", default=None)


def report_stage(name: str) -> None:
    """Tell the listener, if there is one, what begins now."""
    if (listener := _LISTENER.get()) is not None:
        listener.stage = name
        listener.sink(Progress(name))


def report_progress(done: int, planned: int) -> None:
    """Tell the listener, if there is one, how many of the planned evaluations are done."""
    if (listener := _LISTENER.get()) is not None:
        listener.sink(Progress(listener.stage, done, planned))


@contextmanager
def progress_to(sink: ProgressSink) -> Iterator[None]:
    """Send progress to a function for the time of a with-block."""
    token = _LISTENER.set(_Listener(sink))
    try:
        yield
    finally:
        _LISTENER.reset(token)
