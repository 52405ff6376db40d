"""How much a client may ask for: token buckets."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 4096


class RateLimiter:
    """A token bucket for each client.

    Parameters
    ----------
    rate_per_s : float
        What flows into a bucket each second.
    burst : float
        What a bucket holds.
    clock : callable
        Returns the time in s.

    Notes
    -----
    The clients seen longest ago are forgotten beyond 4096. It is used from one thread, that of the
    event loop.
    """

    def __init__(
        self, rate_per_s: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, cost: float = 1.0) -> float:
        """Take from a client's bucket; return the s that it must wait, 0 if it may go on."""
        now = self._clock()
        level, since = self._buckets.pop(client, (self.burst, now))
        level = min(self.burst, level + (now - since) * self.rate_per_s)
        wait_s = max(0.0, (min(cost, self.burst) - level) / self.rate_per_s)
        self._buckets[client] = (level if wait_s else level - cost, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait_s

    def give_back(self, client: str, cost: float = 1.0) -> None:
        """Undo what :meth:`take` has just taken."""
        level, since = self._buckets[client]
        self._buckets[client] = (min(self.burst, level + cost), since)
