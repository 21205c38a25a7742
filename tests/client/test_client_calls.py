"""The client against a bus that answers as a test says: what is tried again, what is refused, what is sent."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from renkei_client import (
    Client,
    Conflict,
    ContractViolated,
    Event,
    Expired,
    NoReplyYet,
    NotKnown,
    NotSignedIn,
    Published,
    Refused,
    TooLarge,
    Unavailable,
)

from bus.events.cloudevents import parse_binary, parse_structured

DATA = {"resident_id": "0000000012", "family_name": "倉敷"}
TAKEN = httpx.Response(202, json={"message": "332020-m17", "outcome": "accepted"})
REPLY = {"specversion": "1.0", "id": "r-1", "source": "/tax", "type": "t", "data": {}, "inreplyto": "332020-m17"}

Answer = httpx.Response | Exception


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sending", "client", "streaming", "uploading"):
        monkeypatch.setattr(f"renkei_client.{module}.pause_seconds", lambda _tries, asked: (asked or 0) / 1000)


class Bus:
    """Answers in the order given; the last answer goes on."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = iter(answers)
        self._last: Answer = TAKEN
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self._last = next(self._answers, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return httpx.Response(self._last.status_code, headers=self._last.headers, content=self._last.content)

    def client(self, **settings: object) -> Client:
        return Client("http://127.0.0.1:9461", "332020", "a-key", transport=httpx.MockTransport(self), **settings)  # type: ignore[arg-type]


def problem(status: int, **more: object) -> httpx.Response:
    told = {"type": "about:blank", "title": "x", "status": status, "detail": "so it is", "message_id": "RNK4304E", **more}
    return httpx.Response(status, json=told)


async def test_publish_sends_a_binary_cloud_event() -> None:
    bus = Bus(TAKEN)
    optional = {"subject": '1"2%3', "time": datetime(2026, 11, 20, tzinfo=UTC), "in_reply_to": "332020-m3"}
    async with bus.client() as client:
        published = await client.publish("moved_in", DATA, type="jp.moved_in", source="/住民 記録", **optional)  # type: ignore[arg-type]
    (asked,) = bus.asked
    assert (asked.method, asked.url.path) == ("POST", "/v1/332020/interfaces/moved_in/events")
    assert asked.headers["authorization"] == "Bearer a-key"
    assert published == Published(asked.headers["ce-id"], "332020-m17", "accepted")
    assert asked.headers["ce-source"] == "/%E4%BD%8F%E6%B0%91%20%E8%A8%98%E9%8C%B2"
    assert (asked.headers["ce-time"], asked.headers["ce-inreplyto"]) == ("2026-11-20T00:00:00+00:00", "332020-m3")
    assert json.loads(asked.content) == DATA


@given(st.builds(Event, type=st.text(min_size=1, max_size=50), source=st.text(min_size=1, max_size=50), subject=st.text(max_size=50),
                 id=st.text(min_size=1, max_size=50), data=st.just(DATA)))  # fmt: skip
def test_the_bus_reads_both_forms_alike(event: Event) -> None:
    headers, body = event.binary()
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    named = {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
    outcomes = []
    for read in (lambda: parse_binary("application/json", named, body), lambda: parse_structured(json.dumps(event.structured()).encode())):
        try:
            outcomes.append(read().attributes)
        except Exception as error:  # noqa: BLE001 - both must refuse alike
            outcomes.append(type(error))  # type: ignore[arg-type]
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.ReadTimeout("x"), *map(httpx.Response, (429, 500, 502, 503, 504))]
)
async def test_passing_trouble_is_tried_again_with_the_same_id(trouble: Answer) -> None:
    bus = Bus(trouble, trouble, TAKEN)
    async with bus.client() as client:
        await client.publish("moved_in", DATA, type="t", source="/s")
    assert len(bus.asked) == 3
    assert len({(asked.headers["ce-id"], asked.headers["ce-time"], asked.content) for asked in bus.asked}) == 1


async def test_trouble_that_lasts_is_told() -> None:
    bus = Bus(httpx.Response(503, headers={"retry-after": "40"}))
    async with bus.client(give_up_seconds=0.03) as client:
        with pytest.raises(Unavailable, match="HTTP 503"):
            await client.publish("moved_in", DATA, type="t", source="/s")
    assert len(bus.asked) == 1, "the wait asked for is longer than there is patience"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, NotSignedIn),
        (403, NotSignedIn),
        (404, NotKnown),
        (409, Conflict),
        (413, TooLarge),
        (415, Refused),
        (422, ContractViolated),
    ],
)
async def test_a_refusal_is_told_once_with_its_reasons(status: int, kind: type[Refused]) -> None:
    words, action = {"ja": "日付", "en": "a date"}, {"ja": "直す", "en": "mend"}
    told = {"field": "birth_date", "rule": "date", "severity": "reject", "value": "****", "words": words, "action": action}
    bus = Bus(problem(status, problems=[told], action="mend it"))
    async with bus.client() as client:
        with pytest.raises(Refused) as caught:
            await client.publish("moved_in", DATA, type="t", source="/s")
    found = caught.value
    assert type(found) is kind
    assert (found.status, found.message_id, found.detail, found.action) == (status, "RNK4304E", "so it is", "mend it")
    assert found.problems[0].words["ja"] == "日付"
    assert "birth_date" in str(found)
    assert len(bus.asked) == 1


async def test_a_proxys_page_is_no_problem_detail() -> None:
    async with Bus(httpx.Response(404, content=b"<html>")).client() as client:
        with pytest.raises(NotKnown):
            await client.message("332020-m1")


async def test_a_batch_sends_again_only_what_may_pass() -> None:
    first = {"results": [
        {"id": "a", "status": 202, "message": "332020-m1", "outcome": "accepted"},
        {"id": "b", "status": 429, "message_id": "RNK7220E", "detail": "later", "problems": []},
        {"status": 422, "message_id": "RNK4304E", "detail": "broken", "problems": []},
    ]}  # fmt: skip
    second = {"results": [{"id": "b", "status": 202, "message": "332020-m2", "outcome": "duplicate"}]}
    bus = Bus(httpx.Response(207, json=first), httpx.Response(202, json=second))
    events = [Event("t", "/s", DATA, id=name) for name in "abc"]
    async with bus.client() as client:
        results = await client.publish_batch("moved_in", events)
    assert results[:2] == [Published("a", "332020-m1", "accepted"), Published("b", "332020-m2", "duplicate")]
    assert isinstance(results[2], ContractViolated)
    sent = [[event["id"] for event in json.loads(asked.content)] for asked in bus.asked]
    assert sent == [["a", "b", "c"], ["b"]]
    assert all(event["time"] for asked in bus.asked for event in json.loads(asked.content))
    assert bus.asked[0].headers["content-type"] == "application/cloudevents-batch+json"


async def test_a_reply_that_comes_at_once() -> None:
    bus = Bus(httpx.Response(200, json=REPLY))
    async with bus.client() as client:
        reply = await client.request("ask", DATA, type="t", source="/s", wait_seconds=7)
    assert reply.in_reply_to == "332020-m17"
    assert bus.asked[0].url.params["wait_seconds"] == "7"


async def test_a_reply_that_comes_later() -> None:
    later = httpx.Response(202, headers={"location": "/v1/332020/messages/332020-m17/reply"}, json={"message": "332020-m17"})
    bus = Bus(later, httpx.Response(204), httpx.Response(503), httpx.Response(200, json=REPLY))
    async with bus.client() as client:
        assert (await client.request("ask", DATA, type="t", source="/s")).id == "r-1"
    assert [asked.url.path for asked in bus.asked[1:]] == ["/v1/332020/messages/332020-m17/reply"] * 3


async def test_no_reply_in_time_and_none_at_all() -> None:
    later = httpx.Response(202, headers={"location": "/v1/332020/messages/332020-m17/reply"})
    async with Bus(later, httpx.Response(204)).client() as client:
        with pytest.raises(NoReplyYet) as pending:
            await client.request("ask", DATA, type="t", source="/s", wait_seconds=0)
    assert pending.value.message == "332020-m17"
    async with Bus(problem(410)).client() as client:
        with pytest.raises(Expired):
            await client.reply("332020-m17")
    async with Bus(httpx.Response(204)).client() as client:
        assert await client.reply("332020-m17") is None
    async with Bus(problem(404)).client() as client:
        with pytest.raises(NotKnown):
            await client.reply("332020-m17")


async def test_names_are_never_part_of_the_path() -> None:
    bus = Bus(problem(404))
    async with bus.client() as client:
        with pytest.raises(NotKnown):
            await client.message("../../x?y=1#z")
    assert bus.asked[0].url.raw_path == b"/v1/332020/messages/..%2F..%2Fx%3Fy%3D1%23z"


def test_a_key_is_not_sent_in_the_clear() -> None:
    for url in ("http://bus.example", "http://10.0.0.1:9461", "http://127.0.0.1.bus.example"):
        with pytest.raises(ValueError, match="https"):
            Client(url, "332020", "a-key")


def test_a_time_needs_its_zone() -> None:
    async def publish() -> None:
        async with Bus().client() as client:
            await client.publish("moved_in", DATA, type="t", source="/s", time=datetime(2026, 11, 20))  # noqa: DTZ001 - the mistake

    with pytest.raises(ValueError, match="zone"):
        asyncio.run(publish())
