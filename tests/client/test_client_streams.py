"""Server-sent events, resumable uploads and webhooks with the client."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from renkei_client import Client, Refused, Unavailable, WebhookRefused, verify_webhook
from renkei_client.streaming import Reader
from standardwebhooks.webhooks import Webhook

from adapters.webhook.signing import signed_headers
from tests.webhook.webhook_samples import secret


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sending", "streaming", "uploading"):
        monkeypatch.setattr(f"renkei_client.{module}.pause_seconds", lambda _tries, _asked: 0.0)


def _event(number: int) -> dict[str, Any]:
    data = {"note": "a\u2028b"}
    return {"specversion": "1.0", "id": f"e-{number}", "source": "/s", "type": "t", "renkeinumber": str(number), "data": data}


def _block(number: int) -> bytes:
    return f"id: {number}\nevent: t\ndata: {json.dumps(_event(number), ensure_ascii=False)}\n\n".encode()


# --- the stream


async def test_a_stream_goes_on_after_what_was_handled() -> None:
    streams: list[list[bytes]] = [
        [b"retry: 10\nid: 0\n\n:\n\n"],
        [_block(1) + _block(2)],
        [_block(2)[:20]],
        [_block(2), _block(3)],
    ]
    asked = []

    async def bus(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        parts = streams[len(asked) - 1]

        async def body() -> AsyncIterator[bytes]:
            for part in parts:
                yield part
            raise httpx.ReadError("cut")

        return httpx.Response(200, content=body(), headers={"content-type": "text/event-stream"})

    seen = []
    async with Client("http://127.0.0.1:9461", "332020", transport=httpx.MockTransport(bus)) as client:
        async for event in client.events("tax"):
            seen.append(event.number)
            if event.number == 3:
                break
    assert seen == [1, 2, 2, 3]
    assert asked == [None, "0", "2", "2"]


async def test_a_stream_that_is_refused_or_never_comes() -> None:
    for status, kind in ((404, Refused), (503, Unavailable)):
        bus = httpx.MockTransport(lambda _, status=status: httpx.Response(status))  # type: ignore[misc]
        async with Client("http://127.0.0.1:9461", "332020", transport=bus, give_up_seconds=0.01) as client:
            with pytest.raises(kind):
                await anext(aiter(client.events("tax", last_event_id=7)))


STREAM = b"\xef\xbb\xbf: c\r\n\r\nretry: 1500\nid: 1\rdata: a\r\ndata:b\xe2\x80\xa8c\n\n"
STREAM += b"data\n\nevent: x\nid: 2\ndata: y\nunknown: z\n\nid: 3\n\ndata: left out"


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_reads_alike_however_it_is_cut(cuts: list[int]) -> None:
    reader = Reader()
    places = [0, *sorted(cuts), len(STREAM)]
    blocks = [block for first, last in pairwise(places) for block in reader.feed(STREAM[first:last])]
    assert [(block.id, block.event, block.data) for block in blocks] == [
        ("1", "", "a\nb\u2028c"),
        ("1", "", ""),
        ("2", "x", "y"),
        ("3", "", None),
    ]
    assert reader.retry_seconds == 1.5


# --- uploads


class Uploads:
    """A tus server that cuts connections where a test says."""

    def __init__(self, *, cut_at: set[int]) -> None:
        self.cut_at = cut_at
        self.held = b""
        self.length = 0
        self.name = ""
        self.shown = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.length = int(request.headers["upload-length"])
            self.name = base64.b64decode(request.headers["upload-metadata"].split(" ")[1]).decode()
            return httpx.Response(201, headers={"location": "http://127.0.0.1:9461/v1/332020/uploads/u1"})
        assert request.url.path == "/v1/332020/uploads/u1"
        if request.method == "HEAD":
            return httpx.Response(200, headers={"upload-offset": str(len(self.held))})
        if request.method == "GET":
            self.shown += 1
            state = "taking" if self.shown == 1 else "accepted"
            return httpx.Response(200, json={"state": state, "receipt": "332020-r1", "message": "332020-m9"})
        assert (request.method, request.headers["content-type"]) == ("PATCH", "application/offset+octet-stream")
        if int(request.headers["upload-offset"]) != len(self.held):
            return httpx.Response(409)
        if len(self.held) in self.cut_at:
            self.cut_at.discard(len(self.held))
            self.held += request.content[:1000]
            raise httpx.WriteError("cut")
        self.held += request.content
        return httpx.Response(204, headers={"upload-offset": str(len(self.held))})


async def test_an_upload_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    file = tmp_path / "住民.csv"
    file.write_bytes(bytes(range(256)) * 40_000)
    bus = Uploads(cut_at={0, 4_195_304})
    async with Client("http://127.0.0.1:9461", "332020", transport=httpx.MockTransport(bus)) as client:
        uploaded = await client.upload("resident", file)
    assert (bus.held == file.read_bytes(), bus.name) == (True, "住民.csv")
    assert (uploaded.upload, uploaded.state, uploaded.message) == ("u1", "accepted", "332020-m9")
    assert not bus.cut_at


async def test_an_upload_is_waited_for_no_longer_than_asked(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    async with Client("http://127.0.0.1:9461", "332020", transport=httpx.MockTransport(Uploads(cut_at=set()))) as client:
        uploaded = await client.upload("resident", tmp_path / "empty", name="JUMIN.csv", wait_seconds=0)
    assert uploaded.state == "taking"


# --- webhooks

BODY = json.dumps(_event(4)).encode()
NOW = datetime.now(UTC)
"""When the samples were signed: a run may be long under way when they are verified."""


def _headers(number: int = 1, at: float | None = None) -> dict[str, str]:
    seconds = int(NOW.timestamp() if at is None else at)
    return signed_headers("332020-d4", seconds, BODY, [base64.b64decode(secret(number).removeprefix("whsec_"))])


def test_a_webhook_of_the_bus_is_believed() -> None:
    named = {name.title(): value for name, value in _headers().items()}
    assert verify_webhook(named, BODY, secret(), now_seconds=NOW.timestamp()).number == 4
    assert verify_webhook(_headers(), BODY, [secret(2), secret(1)], now_seconds=NOW.timestamp()).id == "e-4"


def test_another_librarys_signature_is_believed() -> None:
    at = datetime.fromtimestamp(int(NOW.timestamp()), UTC)
    headers = {
        "webhook-id": "x", "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": "v1a,AAAA v1,AAAA " + Webhook(secret()).sign("x", at, BODY.decode()),
    }  # fmt: skip
    assert verify_webhook(headers, BODY, secret(), now_seconds=NOW.timestamp()).number == 4


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (_headers(2), BODY),
        (_headers(), BODY + b" "),
        ({**_headers(), "webhook-id": "332020-d5"}, BODY),
        ({**_headers(), "webhook-timestamp": str(int(NOW.timestamp()) + 1)}, BODY),
        ({**_headers(), "webhook-timestamp": "٣"}, BODY),
        ({**_headers(), "webhook-timestamp": "9" * 400}, BODY),
        ({**_headers(), "webhook-signature": _headers()["webhook-signature"].replace("v1,", "v2,")}, BODY),
        ({**_headers(), "webhook-signature": "v1,鍵"}, BODY),
        ({}, BODY),
        (_headers(at=NOW.timestamp() - 400), BODY),
        (_headers(at=NOW.timestamp() + 400), BODY),
    ],
)
def test_a_webhook_of_somebody_else_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(headers, body, secret(), now_seconds=NOW.timestamp())


def test_the_tolerance_is_the_receivers_choice() -> None:
    old = _headers(at=time.time() - 400)
    with pytest.raises(WebhookRefused, match="time"):
        verify_webhook(old, BODY, secret())
    old = _headers(at=NOW.timestamp() - 400)
    assert verify_webhook(old, BODY, secret(), tolerance_seconds=600, now_seconds=NOW.timestamp())
    assert verify_webhook(old, BODY, secret(), now_seconds=NOW.timestamp() - 390)
    for wrong in ("", "whsec_", "whsec_!", []):
        with pytest.raises(ValueError, match="secret"):
            verify_webhook(old, BODY, wrong)
