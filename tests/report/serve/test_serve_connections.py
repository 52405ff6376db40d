"""Connections over real sockets: silent, slow and many ones keep nobody out."""

import socket
import time
from contextlib import ExitStack

import pytest
from serve_fixtures import Served

from superionic.store.database.stores import spec_from_uri

pytestmark = pytest.mark.process

TOKEN = "a-token-of-the-tests-only"
AWAY = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=50"
ELSEWHERE = "127.0.0.2"


@pytest.fixture
def away():
    return spec_from_uri(AWAY, "nothing", source="test")


def connect(served, stack, source="127.0.0.1"):
    """Return a connection from an address of the loopback."""
    made = socket.create_connection(("127.0.0.1", served.port), 10, source_address=(source, 0))
    return stack.enter_context(made)


def ask(connection, path="/login", *headers):
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
    while left > 0:
        left -= len(connection.recv(65536))
    return int(head.split()[1])


def ends(connection):
    """Say whether the server has closed a connection, or does so in time."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def trickle(connection):
    """Send a byte now and then."""
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.05)


def test_silent_connections_keep_nobody_out(away):
    with Served(away, request_timeout_s=30.0) as served, ExitStack() as stack:
        silent = [connect(served, stack, ELSEWHERE) for _ in range(80)]
        for one in silent[::2]:
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        start = time.monotonic()
        assert ask(connect(served, stack)) == 303
        # Even from the same address: the oldest of those that asked for nothing make room.
        assert ask(connect(served, stack, ELSEWHERE)) == 303
        assert time.monotonic() - start < 5
        assert sum(ends(one) for one in silent[:40]) == 40


def test_a_request_must_come_in_time(away):
    with Served(away, request_timeout_s=0.5) as served, ExitStack() as stack:
        silent, slow, form, kept = (connect(served, stack) for _ in range(4))
        assert ask(kept) == 303
        form.sendall(b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n")
        start = time.monotonic()
        for one in (slow, form):
            with pytest.raises(OSError, match=r"Broken pipe|reset"):
                trickle(one)
        assert ends(silent)
        assert ends(kept), "silence after an answer is the same"
        assert time.monotonic() - start < 4


def test_who_takes_an_answer_slowly_gets_all_of_it(away):
    with Served(away, request_timeout_s=0.2) as served, ExitStack() as stack:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stack.enter_context(small)
        small.connect(("127.0.0.1", served.port))
        small.sendall(b"GET /static/plotly.min.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        received = bytearray()
        while b"\r\n\r\n" not in received:
            received += small.recv(4096)
        head, _, body = bytes(received).partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        n, last_pause = len(body), 0
        while n < length and (chunk := small.recv(65536)):
            n += len(chunk)
            if n - last_pause > length / 5:
                last_pause = n
                time.sleep(0.15)
        assert n == length > 1_000_000


def test_twenty_guesses_a_second_are_not_compared(away):
    with Served(away, token=TOKEN, rate_per_s=20.0, burst=120.0) as served, ExitStack() as stack:
        connection = connect(served, stack, ELSEWHERE)
        guess = [f"Authorization: Bearer guess-{n:012d}" for n in range(40)]
        codes = []
        for header in guess:
            codes.append(ask(connection, "/openapi.json", header))
            time.sleep(0.05)
        assert codes[:5] == [401] * 5
        assert codes.count(401) <= 6
        # Who guesses right then is not told; others are answered.
        right = f"Authorization: Bearer {TOKEN}"
        assert ask(connect(served, stack, ELSEWHERE), "/openapi.json", right) == 429
        mine = connect(served, stack)
        assert {ask(mine, "/api/none", right) for _ in range(30)} == {404}
