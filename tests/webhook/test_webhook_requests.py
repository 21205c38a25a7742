"""What a receiver is sent: the event, signatures that another library verifies, and nothing that somebody smuggled in."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from adapters.webhook.settings import WebhookSettings
from bus.errors import Permanent, Transient
from tests.webhook.receivers import Receiver, answer, authority, let_go, receiving
from tests.webhook.webhook_samples import DATA, outgoing, pipe, secret, sink, write_secret


async def test_the_event_comes_whole(tmp_path: Path) -> None:
    async with receiving() as receiver, sink(tmp_path, receiver.url, headers={"X-City": "kurashiki"}) as to:
        await to.send(outgoing())
    (asked,) = receiver.asked
    assert asked.line == "POST /events HTTP/1.1"
    assert asked.headers["content-type"] == "application/cloudevents+json"
    assert asked.headers["x-city"] == "kurashiki"
    event = json.loads(asked.body)
    assert event.pop("data") == json.loads(DATA)
    assert event == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/332020/resident",
        "type": "jp.renkei.resident.moved_in",
        "time": "2026-11-20T01:02:03Z",
        "datacontenttype": "application/json",
        "renkeimessage": "332020-m1",
        "renkeidelivery": "332020-d1",
        "renkeinumber": "1",
    }


def _verify(receiver: Receiver, with_secret: str) -> None:
    asked = receiver.asked[-1]
    assert Webhook(with_secret).verify(asked.body, asked.headers)["id"] == "e-1"


async def test_another_library_verifies_the_signature(tmp_path: Path) -> None:
    async with receiving() as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing())
    _verify(receiver, secret())
    with pytest.raises(WebhookVerificationError):
        _verify(receiver, secret(2))
    asked = receiver.asked[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret()).verify(asked.body.replace(b"0012", b"0013"), asked.headers)


async def test_while_secrets_change_old_and_new_verify(tmp_path: Path) -> None:
    old, new = write_secret(tmp_path / "old", secret(1)), write_secret(tmp_path / "new", secret(2))
    async with receiving() as receiver, sink(tmp_path, receiver.url, secrets=[new, old]) as to:
        await to.send(outgoing())
        _verify(receiver, secret(1))
        _verify(receiver, secret(2))
        first, second = receiver.asked[0].headers["webhook-signature"].split(" ")
        assert first != second
        write_secret(tmp_path / "new", secret(3))
        await to.send(outgoing())
        _verify(receiver, secret(3))
        with pytest.raises(WebhookVerificationError):
            _verify(receiver, secret(2))


@pytest.mark.parametrize(("off", "good"), [(timedelta(minutes=4), True), (timedelta(minutes=6), False)])
@pytest.mark.parametrize("sign", [1, -1])
async def test_the_timestamp_is_that_of_the_attempt(tmp_path: Path, off: timedelta, good: bool, sign: int) -> None:
    async with receiving() as receiver, sink(tmp_path, receiver.url, now=lambda: datetime.now(UTC) + sign * off) as to:
        await to.send(outgoing())
    if good:
        _verify(receiver, secret())
    else:
        with pytest.raises(WebhookVerificationError):
            _verify(receiver, secret())


# --- secret files


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (secret(), 0o640),
        (secret(), 0o604),
        ("", 0o600),
        ("whsec_", 0o600),
        ("whsec_c2hvcnQ=", 0o600),
        ("whsec_!!!notbase64!!!", 0o600),
        (secret().removeprefix("whsec_"), 0o600),
        (secret() * 100, 0o600),
    ],
)
async def test_a_secret_file_that_cannot_be_used_stops_its_endpoint_until_mended(tmp_path: Path, text: str, mode: int) -> None:
    path = write_secret(tmp_path / "s", text, mode)
    async with receiving() as receiver, sink(tmp_path, receiver.url, secrets=["s"]) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
        assert caught.value.message_id == "RNK5608E"
        assert not re.search("whsec_[^ ]", str(caught.value))
        assert not receiver.asked
        write_secret(Path(path), secret())
        await to.send(outgoing())
    assert "whsec" not in repr(to._secrets)
    assert repr(b"\x01" * 32) not in repr(to._secrets)


async def test_a_secret_that_is_no_file(tmp_path: Path) -> None:
    pipe(tmp_path / "pipe")
    for name in ("missing", "pipe", "."):
        async with receiving() as receiver, sink(tmp_path, receiver.url, secrets=[name]) as to:
            with pytest.raises(Transient) as caught:
                await to.send(outgoing())
        assert caught.value.message_id == "RNK5608E"


async def test_a_right_taken_away_is_noticed(tmp_path: Path) -> None:
    write_secret(tmp_path / "s", secret())
    async with receiving() as receiver, sink(tmp_path, receiver.url, secrets=["s"]) as to:
        await to.send(outgoing())
        write_secret(tmp_path / "s", secret(), 0o644)
        with pytest.raises(Transient):
            await to.send(outgoing())


# --- connections


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    async with receiving(answer(200, b"thank you")) as receiver, sink(tmp_path, receiver.url) as to:
        for number in range(5):
            await to.send(outgoing(number))
    assert receiver.connections == 1


async def test_a_kept_connection_that_was_let_go_costs_no_attempt(tmp_path: Path) -> None:
    async with receiving(answer(200), let_go, answer(200)) as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing(1))
        await to.send(outgoing(2))
    assert [asked.connection for asked in receiver.asked] == [1, 1, 2]


async def test_many_at_once(tmp_path: Path) -> None:
    async with receiving() as receiver, sink(tmp_path, receiver.url) as to:
        await asyncio.gather(*(to.send(outgoing(number)) for number in range(200)))
    assert {asked.headers["webhook-id"] for asked in receiver.asked} == {f"332020-d{number}" for number in range(200)}


async def test_closed_and_used_again(tmp_path: Path) -> None:
    async with receiving() as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing())
        await to.close()
        await to.close()
        await to.send(outgoing())
    assert receiver.connections == 2


async def test_neither_proxies_nor_cookies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with receiving(answer(200, Set_Cookie="who=you; Path=/")) as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing())
        await to.send(outgoing())
    assert not [asked for asked in receiver.asked if "cookie" in asked.headers]


# --- TLS


async def test_only_a_trusted_receiver_is_sent_anything(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ours, other = authority(tmp_path), authority(tmp_path / "other")
    (tmp_path / "later.pem").write_text("no certificate", "ascii")
    async with receiving(tls=ours.server, host="localhost") as receiver:
        async with sink(tmp_path, receiver.url, ca_file="ca.pem") as to:
            await to.send(outgoing())
        assert len(receiver.asked) == 1
        wrong_name = receiver.url.replace("localhost", "127.0.0.1")
        for url, ca_file in ((receiver.url, None), (receiver.url, str(other.file)), (wrong_name, "ca.pem")):
            async with sink(tmp_path, url, ca_file=ca_file) as to:
                with pytest.raises(Transient) as caught:
                    await to.send(outgoing())
            assert caught.value.message_id == "RNK5607E", caught.value
        async with sink(tmp_path, receiver.url, ca_file="later.pem") as to:
            with pytest.raises(Transient) as caught:
                await to.send(outgoing())
            assert caught.value.message_id == "RNK5611E"
            (tmp_path / "later.pem").write_bytes(ours.file.read_bytes())
            await to.send(outgoing())
        assert len(receiver.asked) == 2


async def test_a_receiver_that_speaks_no_tls(tmp_path: Path) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, sink(tmp_path, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5607E"


async def test_a_receiver_that_hangs_in_the_handshake(tmp_path: Path) -> None:
    async with receiving() as plain, sink(tmp_path, plain.url.replace("http:", "https:"), timeout_seconds=0.2) as to:
        with pytest.raises(Transient) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5604E"


async def test_plain_http_ends_on_its_day(tmp_path: Path) -> None:
    last = datetime(2026, 11, 20, tzinfo=UTC)
    url = "http://plain.invalid/"
    async with sink(tmp_path, url, allow_plain_until=last.date(), now=lambda: last + timedelta(hours=23)) as to:
        with pytest.raises(Transient):  # tried: no such host
            await to.send(outgoing())
    async with sink(tmp_path, url, allow_plain_until=last.date(), now=lambda: last + timedelta(hours=24)) as to:
        with pytest.raises(Permanent) as caught:
            await to.send(outgoing())
    assert caught.value.message_id == "RNK5609E"


# --- nothing smuggled in


async def test_an_events_attributes_never_become_headers(tmp_path: Path) -> None:
    evil = "x\r\nX-Evil: 1\r\n\r\nGET / HTTP/1.1"
    async with receiving() as receiver, sink(tmp_path, receiver.url) as to:
        await to.send(outgoing(subject=evil, source=evil))
    (asked,) = receiver.asked
    assert set(asked.headers) == {
        "host", "accept", "connection", "content-length", "content-type", "accept-encoding", "user-agent", "webhook-id",
        "webhook-timestamp", "webhook-signature",
    }  # fmt: skip
    assert json.loads(asked.body)["subject"] == evil
    async with receiving() as receiver, sink(tmp_path, receiver.url) as to:
        event = outgoing()
        object.__setattr__(event, "delivery", evil)
        with pytest.raises(Permanent) as caught:
            await to.send(event)
    assert caught.value.message_id == "RNK5610E"
    assert not receiver.asked


GOOD = {"url": "https://welfare.example/events", "secrets": ["s"]}


@given(st.text(min_size=1), st.text())
def test_no_header_of_the_settings_can_break_out(name: str, value: str) -> None:
    try:
        settings = WebhookSettings.model_validate({**GOOD, "headers": {name: value}})
    except ValidationError:
        return
    assert list(settings.headers.items()) == [(name, value)]
    assert (name + value).isascii()
    assert (name + value).isprintable()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://welfare.example/"},
        {"url": "welfare.example"},
        {"url": "https://"},
        {"url": "https://welfare.example:99999/"},
        {"url": "https://user:secret@welfare.example/"},
        {"url": "https://welfare.example/#part"},
        {"url": "https://welfare.example/\r\nX: 1"},
        {"url": "https://福祉.example/"},
        {"url": "http://welfare.example/"},
        {"url": "http://127.0.0.1.welfare.example/"},
        {"url": "http://10.0.0.1/"},
        {"secrets": []},
        {"secrets": ["s"] * 6},
        {"timeout_seconds": 0},
        {"headers": {"Authorization": "Bearer x"}},
        {"headers": {"X-Api-Key": "x"}},
        {"headers": {"Webhook-Id": "x"}},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"Host": "elsewhere.example"}},
        {"headers": {"X-City": "a\r\nX-Evil: 1"}},
        {"headers": {"X-City\r\nX-Evil": "1"}},
        {"headers": {"X-City": "a\n"}},
        {"secret": "whsec_x"},
    ],
)
def test_settings_that_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebhookSettings.model_validate({**GOOD, **wrong})


@pytest.mark.parametrize(
    "good", [{}, {"url": "http://localhost:8080/x"}, {"url": "http://[::1]:8080/x"}, {"url": "http://127.0.0.9/x?tenant=332020"},
             {"url": "http://welfare.example/", "allow_plain_until": "2027-03-31"}, {"headers": {"X-City": "a b"}}],
)  # fmt: skip
def test_settings_that_are_good(good: dict[str, object]) -> None:
    assert WebhookSettings.model_validate({**GOOD, **good})
