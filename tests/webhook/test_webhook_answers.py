"""What each answer of a receiver means, and that none of them can hang the sink, fill it, or lead it elsewhere."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.webhook.errors import MOST_WAIT_SECONDS, of_exception, wait_seconds
from adapters.webhook.sink import MOST_ANSWER_BYTES
from bus.errors import Permanent, Transient, TransportError
from tests.webhook.receivers import answer, hang, let_go, poured, pouring, receiving, reset
from tests.webhook.webhook_samples import outgoing, sink

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(tmp_path: Path, status: int) -> None:
    async with receiving(answer(status)) as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing())
    assert len(receiver.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 429, 500, 502, 503, 599])
async def test_other_statuses_are_tried_again(tmp_path: Path, status: int) -> None:
    async with receiving(answer(status, "倉敷".encode())) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.facts == {"endpoint": "welfare_hook", "status": status}
    assert "倉敷" not in str(caught.value) + caught.value.text("ja")


async def test_gone_is_given_up_at_once(tmp_path: Path) -> None:
    async with receiving(answer(410)) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Permanent) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5602E"


async def test_trouble_and_then_delivered(tmp_path: Path) -> None:
    async with receiving(answer(500), answer(200)) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Transient):
            await to.send(outgoing())
        await to.send(outgoing())
    assert [asked.headers["webhook-id"] for asked in receiver.asked] == ["332020-d1"] * 2


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999999", MOST_WAIT_SECONDS),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0),
    ],
)
async def test_a_receiver_may_ask_for_a_wait(tmp_path: Path, status: int, asked: str, seconds: int) -> None:
    async with receiving(answer(status, Retry_After=asked)) as receiver, sink(tmp_path, receiver.url, now=lambda: NOW) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.facts["retry_after_seconds"] == seconds


@given(st.one_of(st.text(), st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{0,9} (GMT|[+-][0-9]{1,6})")))
def test_no_wait_that_is_asked_for_is_absurd(asked: str) -> None:
    seconds = wait_seconds(asked, NOW)
    assert seconds is None or 0 <= seconds <= MOST_WAIT_SECONDS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(tmp_path: Path, status: int) -> None:
    async with receiving() as elsewhere, receiving(answer(status, Location=elsewhere.url)) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.facts["status"] == status
    assert not elsewhere.asked


async def test_a_receiver_that_hangs_costs_the_time_limit(tmp_path: Path) -> None:
    async with receiving(hang) as receiver, sink(tmp_path, receiver.url, timeout_seconds=0.2) as to:
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
        assert 0.15 < time.monotonic() - began < 2
    assert (caught.value.message_id, caught.value.facts["timeout_seconds"]) == ("RNK5604E", 0.2)


async def test_a_head_that_trickles_costs_no_more_than_the_time_limit(tmp_path: Path) -> None:
    trickle = pouring(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", pause_seconds=0.02)
    async with receiving(trickle) as receiver, sink(tmp_path, receiver.url, timeout_seconds=0.3) as to:
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
        assert time.monotonic() - began < 2
    assert caught.value.message_id == "RNK5604E"


async def test_a_head_without_end_is_cut(tmp_path: Path) -> None:
    poured.clear()
    async with receiving(pouring(b"HTTP/1.1 200 OK\r\n", b"a: " + b"b" * 8000 + b"\r\n")) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5606E"
    assert sum(poured) < 16 * 1024 * 1024


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"])
async def test_a_body_without_end_is_not_kept(tmp_path: Path, head: bytes) -> None:
    poured.clear()
    async with receiving(pouring(head, b"x" * 65536)) as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing())
    assert sum(poured) < MOST_ANSWER_BYTES + 16 * 1024 * 1024  # what the two sockets hold


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_that_trickles_does_not_hold_the_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("adapters.webhook.sink.ANSWER_SECONDS", 0.1)
    trickle = pouring(f"HTTP/1.1 {status} X\r\nContent-Length: 100000\r\n\r\n".encode(), b"x", pause_seconds=0.02)
    async with receiving(trickle) as receiver, sink(tmp_path, receiver.url, timeout_seconds=60) as to:
        async with asyncio.timeout(5):
            if status == 200:
                await to.send(outgoing())
            else:
                with pytest.raises(Transient):
                    await to.send(outgoing())


@pytest.mark.parametrize("trouble", [reset, let_go])
async def test_a_connection_that_breaks_is_tried_again(tmp_path: Path, trouble: object) -> None:
    async with receiving(trouble) as receiver, sink(tmp_path, receiver.url) as to:  # type: ignore[arg-type]
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5606E"
    assert len(receiver.asked) == 1, "a fresh connection that breaks costs an attempt"


async def test_no_http_at_all(tmp_path: Path) -> None:
    async with receiving(pouring(b"", b"no such thing\r\n")) as receiver, sink(tmp_path, receiver.url) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5606E"


async def test_nobody_listens(tmp_path: Path) -> None:
    async with receiving() as receiver:
        url = receiver.url
    async with sink(tmp_path, url) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.facts == {"endpoint": "welfare_hook", "error": "ECONNREFUSED"}


async def test_no_such_host(tmp_path: Path) -> None:
    async with sink(tmp_path, "https://nowhere.invalid/") as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5605E"


def test_every_error_of_the_library_is_one_of_ours() -> None:
    def below(kind: type[Exception]) -> list[type[Exception]]:
        return [kind, *(found for each in kind.__subclasses__() for found in below(each))]

    for kind in [*below(httpx.TransportError), *below(httpx.RequestError), httpx.InvalidURL, OSError, ConnectionResetError]:
        mapped = of_exception("welfare_hook", kind("text that quotes 倉敷"))
        assert isinstance(mapped, TransportError)
        assert "倉敷" not in str(mapped)
