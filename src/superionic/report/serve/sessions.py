"""Tokens and the sessions that a login form opens; nothing here is ever logged."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

SESSION_LASTS_S = 12 * 3600


class Guard:
    """Knows the token, and makes and checks session cookies.

    Parameters
    ----------
    token : str
        What a client must know.
    clock : callable
        Returns the time in s.

    Notes
    -----
    A session is the time of its login, signed with a key that dies with the server: the token
    itself is never in a cookie.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._digest = self._sign(token)
        self._clock = clock

    def accepts_token(self, token: str) -> bool:
        """Say whether it is the token, in a time that does not depend on it."""
        return hmac.compare_digest(self._sign(token), self._digest)

    def new_session(self) -> str:
        """Return the value of a cookie."""
        issued = str(int(self._clock()))
        return f"{issued}.{self._sign('session ' + issued)}"

    def accepts_session(self, cookie: str) -> bool:
        """Say whether a cookie is from here and not too old."""
        issued, _, signature = cookie.partition(".")
        if not hmac.compare_digest(self._sign("session " + issued), signature_of(signature)):
            return False
        return self._clock() - int(issued) <= SESSION_LASTS_S

    def _sign(self, text: str) -> str:
        content = text.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def signature_of(text: str) -> str:
    """Return a text that can be compared: ``compare_digest`` takes ASCII only."""
    return text if text.isascii() else ""
