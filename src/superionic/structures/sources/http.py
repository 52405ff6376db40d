"""A session of requests that waits, tries again, and gives up in a stated time."""

import email.utils
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from superionic.errors import FetchError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed."""


@dataclass(frozen=True)
class RequestPolicy:
    """How long a server is given.

    Parameters
    ----------
    connect_s, read_s : float
        Longest wait for a connection, and for the next bytes of an answer, in s.
    attempts : int
        Requests before giving up.
    first_wait_s : float
        Wait before the second attempt, in s; it doubles each time.
    longest_wait_s : float
        Longest wait between two attempts, in s. A server that asks for more is given up at once.
    """

    connect_s: float = 10.0
    read_s: float = 60.0
    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0


class RetryingSession(requests.Session):
    """Get whole JSON answers, whatever happens on the way.

    Tried again are: no connection, no answer in time, the status codes :data:`RETRIED` (after the
    time in ``Retry-After`` where the server names one), a connection that breaks in the middle, and
    a body that is not complete JSON. Anything else is handed to the caller as it is.
    """

    policy = RequestPolicy()

    def get(self, url: str | bytes, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Get a complete answer.

        Raises
        ------
        FetchError
            When the attempts are used up; it names the server, never the key.
        """
        kwargs["timeout"] = (self.policy.connect_s, self.policy.read_s)
        server = urlsplit(url if isinstance(url, str) else url.decode()).netloc
        reason = ""
        for attempt in range(1, self.policy.attempts + 1):
            asked_s = None
            try:
                response = super().get(url, **kwargs)
                if response.status_code in RETRIED:
                    reason = f"it answered {response.status_code} {response.reason}"
                    asked_s = _retry_after_s(response)
                elif response.ok and not _is_json(response):
                    reason = f"its answer of {len(response.content)} bytes is not complete JSON"
                else:
                    return response
            except requests.Timeout:
                reason = f"there was no answer within {self.policy.read_s:g} s"
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                reason = f"the connection failed ({_innermost(error)})"
            if attempt < self.policy.attempts:
                wait_s = self.policy.first_wait_s * 2 ** (attempt - 1)
                if asked_s is not None and asked_s > self.policy.longest_wait_s:
                    reason += f" and asks for a pause of {asked_s:.0f} s"
                    break
                time.sleep(min(max(wait_s, asked_s or 0.0), self.policy.longest_wait_s))
        raise FetchError(
            f"{server} could not be read in {attempt} attempts: {reason}.",
            hint="What was fetched before is kept; the same command goes on from there.",
        )


def _retry_after_s(response: requests.Response) -> float | None:
    """Return the wait that a server asks for, in s; the header holds seconds or a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _is_json(response: requests.Response) -> bool:
    try:
        json.loads(response.content)
    except ValueError:
        return False
    return True


def _innermost(error: BaseException) -> str:
    """Return the root of a chain of wrapped errors, in words, without the address and its key."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, BaseException) else error).__name__
