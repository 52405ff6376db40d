"""How long a connection may wait with its request, and how many an address may hold open.

uvicorn limits all connections together and the time between two requests of one, but neither the
time until a first request is complete nor the connections of one address: some silent ones would
keep everybody out.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class LimitedProtocol(H11Protocol):
    """A connection that must send its request in time, and shares a number with its address.

    Where an address opens one more than it may, the oldest of its connections that has sent no
    complete request is closed for it, else the new one.
    """

    request_timeout_s: float
    most_of_address: int
    by_address: dict[str, dict["LimitedProtocol", None]]  # the oldest first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time in which a request must come."""
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._address = self.client[0] if self.client else ""
        own = self.by_address.setdefault(self._address, {})
        own[self] = None
        self._wait()
        if len(own) > self.most_of_address:
            next(one for one in own if one._is_idle).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_waiting()
        own = self.by_address.get(self._address, {})
        own.pop(self, None)
        if not own:
            self.by_address.pop(self._address, None)

    def handle_events(self) -> None:
        """Stop the time when the request is complete."""
        super().handle_events()
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Start the time anew, for the next request."""
        self._wait()
        super().on_response_complete()

    @property
    def _is_idle(self) -> bool:
        return self._deadline is not None and not self.transport.get_write_buffer_size()

    def _wait(self, n_unsent: int | None = None) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.request_timeout_s, self._expire, n_unsent)

    def _expire(self, n_unsent: int | None) -> None:
        """Close the connection, unless the client is still taking the answer."""
        n_left = self.transport.get_write_buffer_size()
        if n_left and (n_unsent is None or n_left < n_unsent):
            self._wait(n_left)
        else:
            self.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def limited_protocol(request_timeout_s: float, most_of_address: int) -> type[LimitedProtocol]:
    """Return the protocol of one server, whose connections are counted together.

    Parameters
    ----------
    request_timeout_s : float
        Within which a request, headers and body, must be complete; also the longest silence.
    most_of_address : int
        Most connections that one address may hold open.
    """
    limits: dict[str, Any] = {
        "request_timeout_s": request_timeout_s,
        "most_of_address": most_of_address,
        "by_address": {},
    }
    return type("LimitedProtocol", (LimitedProtocol,), limits)
