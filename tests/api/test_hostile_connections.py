"""Connections that nobody means well with: none holds memory or a place for long, and none reads another's request wrongly."""

from __future__ import annotations

import json
import queue
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from bus.api import http1
from tests.api.api_site import REGISTER, TENANT, WELFARE, Api, cloud_event, problem, running_api, write_site

HEAD = f"POST /v1/{TENANT}/interfaces/moved/events HTTP/1.1\r\nhost: renkei\r\ncontent-type: application/cloudevents+json\r\n".encode()
BATCH = {"content-type": "application/cloudevents-batch+json"}
SIGNED = HEAD + f"authorization: Bearer {REGISTER}\r\n".encode()


@contextmanager
def connected(api: Api) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", api.node.api_port)) as line:
        line.settimeout(30)
        yield line


def told(line: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    found = b""
    with suppress(ConnectionResetError):
        while came := line.recv(65536):
            found += came
    return found


def flood(line: socket.socket, piece: bytes) -> int:
    """Send it again and again, until it is taken no longer; how many bytes were taken."""
    sent = 0
    with suppress(OSError):
        while sent < 64 * 1024 * 1024:
            line.sendall(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        (b"GET / HTTP/1.1\r\n", b"x-more: yes\r\n" * 1000),
        (b"GET / HTTP/1.1\r\nx-long: ", b"a" * 16000),
        (b"GET /", b"a" * 16000),
        (b"", b"\r\n" * 8000),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-more: yes\r\n" * 1000),
        (HEAD + b"transfer-encoding: chunked\r\n\r\n1;x=", b"a" * 16000),
    ],
    ids=["headers", "a header", "a path", "nothing", "trailers", "a chunk's extension"],
)
def test_what_never_becomes_a_body_takes_no_memory(api: Api, begins: bytes, goes_on: bytes) -> None:
    with connected(api) as line:
        line.sendall(begins)
        assert flood(line, goes_on) < 16 * 1024 * 1024  # what the network itself holds, and no more


def test_a_head_that_is_too_long_is_told_so(api: Api) -> None:
    with connected(api) as line:
        line.sendall(b"GET / HTTP/1.1\r\nx-long: " + b"a" * (http1.MOST_HEAD_BYTES + 1))
        assert told(line).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /open",
        b"\r\n",
        b"GET /nothing HTTP/1.1\r\nhost: renkei\r\n\r\nG",
        HEAD + b"content-length: 1000\r\n\r\n{",
        SIGNED + b"content-length: 1000\r\n\r\n",
    ],
    ids=["nothing", "half a line", "an empty line", "one byte behind an answer", "the rest of what was answered", "no byte of a body"],
)
def test_nobody_holds_a_connection_for_nothing(api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http1, "LOOK_SECONDS", 0.2)
    with connected(api) as line:
        line.sendall(sent)
        told(line)  # ends


def test_who_takes_no_answer_loses_the_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: queue.Queue[int] = queue.Queue()
    original = http1.Http1.connection_lost

    def told_of(self: http1.Http1, exc: Exception | None) -> None:
        original(self, exc)
        lost.put(0 if self.client is None else self.client[1])

    long = {f"long{number}": "x" * 1000 for number in range(20)}
    for _ in range(2):
        answer = api.call(
            "POST", "interfaces/streamed/events", headers=BATCH, content=json.dumps([cloud_event(None, **long) for _ in range(350)])
        )
        assert answer.status_code == 202
    monkeypatch.setattr(http1, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(http1.Http1, "connection_lost", told_of)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", api.node.api_port))
        pull = f"POST /v1/{TENANT}/subscriptions/welfare_stream/pull HTTP/1.1\r\nhost: renkei\r\nauthorization: Bearer {WELFARE}\r\n"
        line.sendall(pull.encode() + b'content-type: application/json\r\ncontent-length: 12\r\n\r\n{"max":1000}')
        while lost.get(timeout=30) != line.getsockname()[1]:
            pass


def test_a_body_is_never_read_as_the_next_request(api: Api) -> None:
    body = b"x" * 100 + b"\r\nUpgrade: h2c\r\n" + b"y" * 100
    with connected(api) as line:
        line.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body))
        assert line.recv(65536).startswith(b"HTTP/1.1 401 ")  # answered before the body came
        line.sendall(body)
        line.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: renkei\r\nconnection: close\r\n\r\n")
        assert told(line).startswith(b"HTTP/1.1 200 ")


def test_an_offer_in_capitals_is_left_out_too(api: Api) -> None:
    body = json.dumps(cloud_event()).encode()
    with connected(api) as line:
        line.sendall(SIGNED + b"UPGRADE: h2c\r\nCONNECTION: upgrade, close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert b" 202 " in line.recv(65536)


def test_one_connection_too_many_is_told_when_to_come_back(tmp_path: Path) -> None:
    write_site(tmp_path, connections=1)
    with running_api(tmp_path) as api, connected(api) as idle:
        refused = problem(api.publish(cloud_event()), 503, "RNK7217E")
        assert "1 seconds" in refused["action"]
        assert b'\nrenkei_overload_refusals_total{reason="connections"}' in api.node.parts.metrics.exposition()
        idle.shutdown(socket.SHUT_WR)
        told(idle)
        assert api.publish(cloud_event()).status_code == 202


def test_bodies_that_do_not_end_have_a_bounded_room(tmp_path: Path) -> None:
    write_site(tmp_path, most_waiting_bytes=1024 * 1024)
    publish, pull = "interfaces/moved/events", "subscriptions/welfare_moved/pull"
    bodies = [(publish, REGISTER, "cloudevents-batch+json", 8_380_000)] * 2 + [(pull, WELFARE, "json", 1_000_000)]
    with running_api(tmp_path) as api, ExitStack() as lines:
        open_lines = []
        for path, key, kind, size in bodies:
            line = lines.enter_context(connected(api))
            head = f"POST /v1/{TENANT}/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/{kind}\r\n"
            line.sendall(head.encode() + b"content-length: %d\r\n\r\n" % size + b" " * (size - 1))
            open_lines.append(line)
        refused, _, _ = select.select(open_lines, [], [], 30)
        assert refused[0].recv(65536).startswith(b"HTTP/1.1 429 ")
        assert api.publish(cloud_event()).status_code == 202  # short ones need no room
        assert b'\nrenkei_overload_refusals_total{reason="bodies"}' in api.node.parts.metrics.exposition()
