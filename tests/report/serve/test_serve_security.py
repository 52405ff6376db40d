"""Who may ask, how often, and what is never told; no database is needed."""

import logging
import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_fixtures import SEEN_BY_A_BROWSER

from superionic.errors import SettingsError
from superionic.report.serve.security import (
    SESSION_LASTS_S,
    Guard,
    RateLimiter,
    host_name,
    safe_next,
)
from superionic.report.serve.settings import TOKEN_VARIABLE, ServeSettings, find_token
from superionic.store.database.addresses import is_loopback
from superionic.store.database.stores import spec_from_uri

TOKEN = "a-token-of-the-tests-only"
AWAY = "mongodb://someone:hidden-password@127.0.0.1:9/?serverSelectionTimeoutMS=50"


@pytest.fixture
def away():
    """Return a database that does not answer."""
    return spec_from_uri(AWAY, "nothing", source="test")


# -- settings and tokens ---------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_the_loopback_needs_no_token(host, tmp_path):
    assert is_loopback(host)
    assert ServeSettings(host=host).token is None
    assert find_token(host, None, tmp_path / "token") == (None, "none")


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "127.0.0.1.nip.io"]
)
def test_elsewhere_a_token_is_needed(host):
    with pytest.raises(SettingsError, match="no token"):
        ServeSettings(host=host)
    assert TOKEN not in repr(ServeSettings(host=host, token=TOKEN))


def test_a_token_is_made_once_for_its_owner_only(tmp_path):
    path = tmp_path / "data" / "serve_token"
    token, source = find_token("0.0.0.0", None, path)
    assert len(token) >= 32
    assert source == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_token("0.0.0.0", None, path) == (token, source)


def test_a_token_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="644") as caught:
        find_token("127.0.0.1", path, tmp_path / "none")
    assert TOKEN not in str(caught.value)
    path.chmod(0o600)
    assert find_token("127.0.0.1", path, tmp_path / "none") == (TOKEN, str(path))


@pytest.mark.parametrize("token", ["short", "with spaces in the middle", "ünïcödé-ünïcödé-ünïcödé"])
def test_a_bad_token_is_refused_and_not_repeated(token, tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(SettingsError) as caught:
        find_token("0.0.0.0", None, tmp_path / "none")
    assert token not in str(caught.value)


def test_the_environment_goes_before_files(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert find_token("127.0.0.1", tmp_path / "not there", tmp_path) == (TOKEN, TOKEN_VARIABLE)


def test_a_missing_token_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="not-there"):
        find_token("127.0.0.1", tmp_path / "not-there", tmp_path)


def test_sessions_end_and_cannot_be_made_up():
    now = 1000.0
    guard = Guard(TOKEN, clock=lambda: now)
    session = guard.new_session()
    assert guard.accepts_session(session)
    assert TOKEN not in session
    issued, signature = session.split(".")
    for forged in (
        f"{int(issued) + 1}.{signature}",
        f"{issued}.{'0' * 64}",
        "",
        ".",
        "é.é",
        issued,
    ):
        assert not guard.accepts_session(forged)
    assert not Guard(TOKEN, clock=lambda: now).accepts_session(session), "of another server"
    now += SESSION_LASTS_S + 1
    assert not guard.accepts_session(session)


# -- hosts, rates, redirects -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8000", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:8000", "[::1]"),
        ("evil.example:8000", "evil.example"),
        ("127.0.0.1:8000:9", ""),
        ("", ""),
        ("[::1", ""),
    ],
)
def test_host_headers_are_read(header, name):
    assert host_name(header) == name


@given(st.text(max_size=30))
def test_after_a_login_one_stays_here(path):
    wanted = safe_next(path)
    assert wanted.startswith("/")
    assert not wanted.startswith(("//", "/\\"))
    assert wanted.isprintable()


def test_a_bucket_fills_at_its_rate():
    now = 0.0
    limiter = RateLimiter(2.0, 4.0, clock=lambda: now)
    assert [limiter.take("a") > 0 for _ in range(5)] == [False] * 4 + [True]
    assert limiter.take("b") == 0, "another client has a bucket of its own"
    now = 1.0
    assert [limiter.take("a") > 0 for _ in range(3)] == [False, False, True]
    assert limiter.take("a", cost=2.0) == pytest.approx(1.0)
    now = 100.0
    assert limiter.take("a", cost=50.0) == 0, "a full bucket is enough for anything"


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 3)), max_size=40))
def test_no_client_gets_more_than_rate_and_burst(steps):
    now, taken = 0.0, 0.0
    limiter = RateLimiter(1.0, 5.0, clock=lambda: now)
    for wait_s, cost in steps:
        now += wait_s
        if limiter.take("a", cost) == 0:
            taken += cost
    assert taken <= 5.0 + now + 1e-6


# -- the application -------------------------------------------------------------------------


def test_other_names_are_refused_on_the_loopback(client, away):
    app = client(away)
    for name in ("127.0.0.1:8000", "localhost", "[::1]:1"):
        assert app.get("/", headers={"host": name}).status_code == 200
    for name in ("evil.example", "127.0.0.1.evil.example", "", "a b"):
        answer = app.get("/api/rows", headers={"host": name})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "unknown_host"
    named = client(away, allowed_hosts=("viewer.example",))
    assert named.get("/", headers={"host": "viewer.example"}).status_code == 200


def test_with_a_token_nothing_is_open_but_the_login(client, away):
    app = client(away, host="0.0.0.0", token=TOKEN)
    for path in ("/api/rows", "/openapi.json", "/api/material?key=a"):
        answer = app.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    page = app.get("/material?key=a%7Cb", headers=SEEN_BY_A_BROWSER)
    assert page.status_code == 303
    assert page.headers["location"] == "/login?next=%2Fmaterial%3Fkey%3Da%257Cb"
    assert app.get("/login").status_code == app.get("/static/style.css").status_code == 200
    right = {"authorization": f"Bearer {TOKEN}"}
    assert app.get("/openapi.json", headers=right).status_code == 200
    assert app.get("/openapi.json?token=" + TOKEN).status_code == 401
    for wrong in (f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer é"):
        answer = app.get("/openapi.json", headers={"authorization": wrong.encode()})
        assert answer.status_code == 401


def test_a_login_opens_a_session_without_the_token_in_it(client, away, caplog):
    app = client(away, host="0.0.0.0", token=TOKEN, port=8000)
    with caplog.at_level(logging.DEBUG):
        wrong = app.post("/login", data={"token": "wrong", "next": "/campaign"})
        right = app.post("/login", data={"token": TOKEN, "next": "/campaign"})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    assert (right.status_code, right.headers["location"]) == (303, "/campaign")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert TOKEN not in caplog.text
    assert app.get("/campaign").status_code == 200
    assert app.post("/logout").status_code == 303
    assert app.get("/campaign", headers=SEEN_BY_A_BROWSER).status_code == 303
    away_from_here = app.post("/login", data={"token": TOKEN, "next": "//evil.example"})
    assert away_from_here.headers["location"] == "/"


def test_tokens_cannot_be_tried_out(client, away):
    app = client(away, host="0.0.0.0", token=TOKEN)
    codes = [app.post("/login", data={"token": f"guess {i}"}).status_code for i in range(12)]
    assert codes[0] == 401
    assert codes[-1] == 429
    guess = {"authorization": "Bearer guess"}
    codes = [app.get("/api/about", headers=guess).status_code for i in range(12)]
    assert codes[-1] == 429
    right = app.get("/openapi.json", headers={"authorization": f"Bearer {TOKEN}"})
    assert right.status_code == 429, "a guess is not compared without an attempt left"


def test_who_asks_too_often_waits(client, away):
    app = client(away, rate_per_s=0.01, burst=5.0)
    answers = [app.get("/login") for _ in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [303] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0


def test_costly_questions_count_for_more(client, away):
    app = client(away, rate_per_s=0.01, burst=25.0)
    codes = [app.get("/api/rows.csv").status_code for _ in range(4)]
    assert codes == [503, 503, 429, 429]


def test_large_requests_are_refused(client, away):
    app = client(away, host="0.0.0.0", token=TOKEN)
    assert app.get("/api/rows?formula=" + "L" * 62_000).status_code == 414
    assert app.post("/login", content=b"token=" + b"x" * 10_000).status_code == 413
    assert app.post("/login", content=b"&".join([b"a=1"] * 50)).status_code == 401
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        right = {"authorization": f"Bearer {TOKEN}"}
        assert app.request(method, "/api/rows", headers=right).status_code == 405


def test_answers_carry_their_rules(client, away):
    app = client(away)
    for path in ("/", "/api/rows", "/static/style.css", "/nothing"):
        headers = app.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers
    assert app.get("/").headers["cache-control"] == "no-store"


def test_pages_hold_no_script_but_own_files(client, away):
    app = client(away)
    for path in ("/", "/material", "/campaign", "/docs"):
        text = app.get(path).text
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", text, re.DOTALL)
        assert len(scripts) == text.count("<script") > 0
        assert all(re.search(r' src="/static/', tag) and not body for tag, body in scripts)
        for inline in ("onclick", "onload", "style=", "javascript:"):
            assert inline not in text


def test_a_database_that_is_away_is_said_without_its_password(client, away):
    app = client(away)
    answer = app.get("/api/rows")
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "database"
    assert "127.0.0.1:9/nothing" in error["message"]
    assert error["hint"]
    page = app.get("/nothing", headers=SEEN_BY_A_BROWSER)
    assert page.status_code == 404
    assert "<h1>" in page.text
    for text in (answer.text, page.text, app.get("/api/campaign").text):
        assert "hidden-password" not in text


def test_files_beside_the_page_are_not_served(client, away):
    app = client(away)
    for path in (
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
    ):
        assert app.get(path).status_code == 404


def test_a_configuration_without_sense_is_refused():
    with pytest.raises(SettingsError, match="host name"):
        ServeSettings(allowed_hosts=("http://a",))
    with pytest.raises(SettingsError, match="web view"):
        ServeSettings(webgui_url="javascript:alert(1)")
    assert os.environ.get(TOKEN_VARIABLE) is None
