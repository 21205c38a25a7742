"""The client against a real node: what it promises holds there, and so do offers of other protocols."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from renkei_client import Client, Conflict, ContractViolated, Event, Expired, NoReplyYet, NotKnown, Published, Refused, StaleDelivery

from bus.testing.node import NodeInTest, node_in_test

SITE = Path(__file__).resolve().parents[2] / "examples" / "events"
TYPE, SOURCE = "jp.example.moved_in", "/332020/住民 記録"


def record(number: int, history: int = 1) -> dict[str, str | None]:
    return {
        "atenabango": f"{number:015}",
        "rirekibango": str(history),
        "jumin_shubetsu": "1",
        "shimei": "髙﨑　𠮷雄",
        "seinengappi": None,
        "jusho": "倉敷市",
        "ido_ymd": "2026-11-20",
    }


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeInTest]:
    with node_in_test(SITE, tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture
async def client(node: NodeInTest) -> AsyncIterator[Client]:
    await asyncio.to_thread(node.received, "tax_moved_in")
    await asyncio.to_thread(node.received, "register_question")
    async with Client(node.url, "332020") as made:
        yield made


async def test_published_pulled_and_shown(client: Client) -> None:
    optional = {"subject": '住民 "1" 100%', "time": "2026-11-20T09:00:00+09:00", "extensions": {"vendor": "例示A社"}}
    published = await client.publish("moved_in", record(1), type=TYPE, source=SOURCE, id="e1", **optional)  # type: ignore[arg-type]
    again = await client.publish("moved_in", record(1), type=TYPE, source=SOURCE, id="e1", **optional)  # type: ignore[arg-type]
    assert (published.outcome, again.outcome, again.message) == ("accepted", "duplicate", published.message)
    with pytest.raises(Conflict):
        await client.publish("moved_in", record(2), type=TYPE, source=SOURCE, id="e1")
    (delivery,) = await client.pull("tax_moved_in", wait_seconds=5)
    event = delivery.event
    assert dict(event.data) == record(1)
    assert (event.id, event.source, event.subject, event.time) == ("e1", SOURCE, optional["subject"], optional["time"])
    assert (event.message, event.delivery, event.number) == (published.message, delivery.id, delivery.number)
    assert event.extensions["vendor"] == "例示A社"
    await delivery.renew(30)
    await delivery.ack()
    shown = await client.message(published.message)
    assert (shown.state, shown.deliveries["tax_moved_in"]) == ("accepted", "delivered")


async def test_refusals(client: Client) -> None:
    with pytest.raises(ContractViolated) as caught:
        await client.publish("moved_in", {**record(1), "ido_ymd": "2026-02-30"}, type=TYPE, source=SOURCE)
    assert [problem.field for problem in caught.value.problems] == ["ido_ymd"]
    assert caught.value.problems[0].words["ja"]
    with pytest.raises(ContractViolated):
        await client.publish("moved_in", record(1), type="another", source=SOURCE)
    for call in (client.publish("nowhere", record(1), type=TYPE, source=SOURCE), client.pull("nowhere"), client.message("332020-m999")):
        with pytest.raises(NotKnown):
            await call


async def test_a_batch(client: Client) -> None:
    events = [Event(TYPE, SOURCE, record(number), id=f"b{number}") for number in (11, 12, 13)]
    events.insert(1, Event(TYPE, SOURCE, {**record(14), "jumin_shubetsu": "9"}))
    results = await client.publish_batch("moved_in", events)
    assert [type(result) for result in results] == [Published, ContractViolated, Published, Published]
    assert isinstance(results[1], Refused)
    delivered = [delivery.event.id for delivery in await client.pull("tax_moved_in")]
    assert delivered == ["b11", "b12", "b13"]


async def test_the_order_of_a_person(client: Client) -> None:
    for history in (1, 2, 3):
        await client.publish("moved_in", record(21, history), type=TYPE, source=SOURCE)
    seen = []
    async with client.subscribe("tax_moved_in", wait_seconds=5) as deliveries:
        async for delivery in deliveries:
            if delivery.event.data["atenabango"] == f"{21:015}":
                seen.append(delivery.event.data["rirekibango"])
            if len(seen) == 3:
                break
    assert seen == ["1", "2", "3"]


async def test_handed_back_comes_again(client: Client) -> None:
    await client.publish("moved_in", record(31), type=TYPE, source=SOURCE)

    async def failing() -> str:
        async with client.subscribe("tax_moved_in", wait_seconds=5) as deliveries:
            async for delivery in deliveries:
                await delivery.nack("database down: 倉敷", retry_after_seconds=0)
                return delivery.id
        raise AssertionError

    first = await failing()
    (again,) = await client.pull("tax_moved_in", wait_seconds=5)
    assert (again.id, again.attempt) == (first, 2)
    await again.ack()
    with pytest.raises(StaleDelivery):
        await again.nack()


async def test_streamed(client: Client) -> None:
    seen: list[int] = []
    events = client.events("tax_moved_in")
    for number in (41, 42):
        await client.publish("moved_in", record(number), type=TYPE, source=SOURCE)
    async with asyncio.timeout(20):
        async for event in events:
            seen.append(event.number)
            if len(seen) == 2:
                break
        again = [event async for event in _some(client.events("tax_moved_in", last_event_id=seen[0]), 1)]
    assert [event.number for event in again] == seen[1:]


async def _some(events: AsyncIterator[Event], count: int) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        count -= 1
        if not count:
            return


async def test_asked_and_answered(client: Client) -> None:
    question = {"atenabango": f"{51:015}", "kijun_ymd": "2026-01-01"}
    with pytest.raises(NoReplyYet) as pending:
        await client.request("question", question, type="q", source=SOURCE, id="q1", wait_seconds=0)
    message = pending.value.message
    assert await client.reply(message) is None
    (asked,) = await client.pull("register_question", wait_seconds=5)
    answer = {"atenabango": question["atenabango"], "kyoju": "0"}
    waiting = asyncio.create_task(client.request("question", question, type="q", source=SOURCE, id="q1", wait_seconds=20))
    await client.publish("answer", answer, type="a", source=SOURCE, in_reply_to=asked.event.message)
    await asked.ack()
    reply = await waiting
    assert (reply.in_reply_to, dict(reply.data)) == (message, answer)
    later = await client.reply(message)
    assert later is not None
    assert later.id == reply.id


async def test_asked_too_late(client: Client) -> None:
    question = {"atenabango": f"{52:015}", "kijun_ymd": "2026-01-01"}
    gone = {"expirytime": "2020-01-01T00:00:00Z"}
    with pytest.raises(Expired):
        await client.request("question", question, type="q", source=SOURCE, wait_seconds=5, extensions=gone)


async def test_uploaded(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "MOVED_20261120_009.csv"
    names = "atenabango,rirekibango,jumin_shubetsu,shimei,seinengappi,jusho_yubinbango,jusho,ido_ymd"
    rows = [f"{number:015},1,1,倉敷　太郎,,7108565,倉敷市,2026-11-20" for number in range(2000)]
    file.write_bytes("".join(f"{line}\r\n" for line in [names, *rows]).encode())
    uploaded = await client.upload("month", file)
    assert (uploaded.state, (await client.upload("month", file)).state) == ("accepted", "duplicate")
    with pytest.raises(Refused):
        await client.upload("month", file, name="no such name")


# --- offers of another protocol (RFC 9110, section 7.8)


@pytest.mark.parametrize("offer", ["h2c", "websocket", "H2C, x/2"])
def test_an_offer_to_upgrade_costs_nothing(node: NodeInTest, offer: str) -> None:
    body = b'{"max": 1}'
    url = httpx.URL(node.url)
    with socket.create_connection((url.host, url.port or 0), timeout=20) as connection:
        for _ in range(2):  # the second on the same connection
            head = (
                f"POST /v1/332020/subscriptions/tax_moved_in/pull HTTP/1.1\r\nHost: {url.host}\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: {offer}\r\n\r\n"
            )
            connection.sendall(head.encode())
            connection.sendall(body)
            with connection.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
                lines = iter(lambda: answer.readline().lower(), b"\r\n")
                length = next(int(line.split(b":")[1]) for line in list(lines) if line.startswith(b"content-length"))
                assert b'"events"' in answer.read(length)
