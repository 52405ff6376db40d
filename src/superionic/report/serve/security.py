"""What stands before every request: host names, rates, the token, and headers of the answer."""

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import quote

from superionic.report.serve.errors import AnswerError, respond, wants_page
from superionic.report.serve.settings import ServeSettings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


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


LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
LONGEST_QUERY = 60_000
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # plotly.js writes style elements and attributes; scripts stay those of this server.
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
COSTS = {
    "/api/material/figure": 4.0,
    "/api/material/cube": 10.0,
    "/api/rows.csv": 10.0,
    "/api/campaign": 4.0,
}
_MOST_CLIENTS = 4096
_LOGIN_RATE_PER_S, _LOGIN_BURST = 0.2, 5.0
_OPEN_PATHS = ("/static/", "/login")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?")


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


class SecurityMiddleware:
    """Refuse what should not be answered, and mark what is answered.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    settings : ServeSettings
        Who may ask, and how often.
    guard : Guard, optional
        Knows the token; None where none is needed.
    """

    def __init__(self, app: "ASGIApp", settings: ServeSettings, guard: Guard | None) -> None:
        self.app = app
        self.settings = settings
        self.guard = guard
        self.limiter = RateLimiter(settings.rate_per_s, settings.burst)
        self.attempts = RateLimiter(_LOGIN_RATE_PER_S, _LOGIN_BURST)
        self.hosts = allowed_hosts(settings)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        from starlette.requests import Request

        async def send_marked(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _marked(message["headers"], scope["path"])
            await send(message)

        request = Request(scope, receive)
        try:
            self._check(request)
        except AnswerError as refusal:
            await self._refuse(request, refusal)(scope, receive, send_marked)
            return
        await self.app(scope, receive, send_marked)

    def _check(self, request: "Request") -> None:
        name = host_name(request.headers.get("host", ""))
        if self.hosts is not None and name not in self.hosts:
            raise AnswerError(
                400,
                "unknown_host",
                "This server was asked for under a name that is not its own.",
                "Open it as http://127.0.0.1 with its port, or start it with --allow-host NAME.",
            )
        if len(request.scope["query_string"]) > LONGEST_QUERY:
            raise AnswerError(414, "too_long", f"The query is longer than {LONGEST_QUERY} bytes.")
        path, client = request.url.path, _client(request)
        if not path.startswith("/static/"):
            _take(self.limiter, client, COSTS.get(path, 1.0))
        if path == "/login" and request.method == "POST":
            _take(self.attempts, client)
        if self.guard is not None and not path.startswith(_OPEN_PATHS):
            self._check_token(request, self.guard, client)

    def _check_token(self, request: "Request", guard: Guard, client: str) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            # Who has no attempts left learns nothing, not even that a guess is right.
            _take(self.attempts, client)
            if guard.accepts_token(token.strip()):
                self.attempts.give_back(client)
                return
        elif guard.accepts_session(session_cookie(request, self.settings.port)):
            return
        raise AnswerError(
            401,
            "token_needed",
            "A token is needed.",
            "Send it as 'Authorization: Bearer TOKEN', or log in at /login.",
            {"WWW-Authenticate": 'Bearer realm="superionic"'},
        )

    def _refuse(self, request: "Request", refusal: AnswerError) -> "ASGIApp":
        from starlette.responses import RedirectResponse

        if refusal.status == 401 and request.method == "GET" and wants_page(request):
            here = request.url.path + ("?" + request.url.query if request.url.query else "")
            return RedirectResponse("/login?next=" + quote(here, safe=""), status_code=303)
        return respond(request, refusal)


def allowed_hosts(settings: ServeSettings) -> frozenset[str] | None:
    """Return the names under which a server may be asked for; None means any.

    On the loopback, other names are refused, so that a web page whose name is pointed at 127.0.0.1
    cannot read what is here (DNS rebinding). Elsewhere the token does that.
    """
    if settings.is_loopback:
        own = settings.host if ":" not in settings.host else f"[{settings.host.strip('[]')}]"
        return LOOPBACK_NAMES | {own.lower()} | {name.lower() for name in settings.allowed_hosts}
    return frozenset(name.lower() for name in settings.allowed_hosts) or None


def host_name(header: str) -> str:
    """Return the host of a ``Host`` header, without its port; empty if it is none."""
    match = _HOST.fullmatch(header)
    return match.group(1).lower() if match else ""


def cookie_name(port: int) -> str:
    """Return the name of the session's cookie: cookies do not keep ports apart by themselves."""
    return f"superionic_{port}"


def session_cookie(request: "Request", port: int) -> str:
    """Return the session's cookie of a request, empty without one."""
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(cookie_name(port))
    except CookieError:
        return ""
    return found.value if found is not None else ""


def safe_next(path: str) -> str:
    """Return where to go after a login: a path of this server."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"


def _client(request: "Request") -> str:
    return request.client.host if request.client is not None else ""


def _take(limiter: RateLimiter, client: str, cost: float = 1.0) -> None:
    if wait_s := limiter.take(client, cost):
        seconds = int(wait_s) + 1
        raise AnswerError(
            429,
            "too_many_requests",
            "There were too many requests.",
            f"Wait {seconds} s.",
            {"Retry-After": str(seconds)},
        )


def _marked(headers: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    extra = {name.encode(): value.encode() for name, value in HEADERS.items()}
    extra[b"cache-control"] = b"no-cache" if path.startswith("/static/") else b"no-store"
    return headers + [(name, value) for name, value in extra.items() if name not in present]
