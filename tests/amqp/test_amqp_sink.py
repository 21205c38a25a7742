"""Events into queues: any client can read them, and only what the broker has on disk counts as delivered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from adapters.amqp.sink import AmqpSink
from bus.errors import Permanent, Transient
from tests.amqp.conftest import PATIENCE_SECONDS, City, fetched
from tests.proxy import TcpProxy
from tests.services.rabbitmq import private_rabbitmq

Sink = Callable[..., AmqpSink]


@pytest.fixture
async def sink(city: City) -> AsyncIterator[Sink]:
    """Opens sinks of the city; closes them at the end."""
    made: list[AmqpSink] = []

    def opened(confirm_seconds: float = 15.0, **place: object) -> AmqpSink:
        one = city.adapter.event_sink(city.place(subscriptions=["welfare", "tax"], **place))  # type: ignore[arg-type]
        assert one is not None
        one._confirm_seconds = confirm_seconds
        made.append(one)
        return one

    yield opened
    for one in made:
        await one.close()


async def delivered_at_last(sink: AmqpSink, city: City, number: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS * 3):
        while True:
            try:
                return await sink.send(city.event(number))
            except Transient:
                await asyncio.sleep(0.05)


async def test_a_plain_client_reads_a_cloud_event(city: City, sink: Sink) -> None:
    await sink().send(city.event())
    with city.application() as channel:
        ((properties, body),) = fetched(channel, "out.welfare", 1)
    assert body == city.event().data
    assert (properties.content_type, properties.delivery_mode, properties.message_id) == ("application/json", 2, f"{city.tenant}-d1")
    assert properties.headers == {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": "e1",
        "cloudEvents_source": "/resident",
        "cloudEvents_type": "jp.city.moved",
        "cloudEvents_time": "2026-11-20T01:30:00Z",
        "cloudEvents_renkeidelivery": f"{city.tenant}-d1",
        "cloudEvents_renkeinumber": "1",
    }


async def test_structured_mode_holds_all_in_the_body(city: City, sink: Sink) -> None:
    await sink(mode="structured").send(city.event())
    with city.application() as channel:
        ((properties, body),) = fetched(channel, "out.welfare", 1)
    assert properties.content_type == "application/cloudevents+json; charset=utf-8"
    assert not properties.headers
    assert json.loads(body) == {
        "specversion": "1.0", "id": "e1", "source": "/resident", "type": "jp.city.moved", "time": "2026-11-20T01:30:00Z",
        "datacontenttype": "application/json", "renkeidelivery": f"{city.tenant}-d1", "renkeinumber": "1", "data": {"name": "髙橋"},
    }  # fmt: skip


async def test_a_queue_says_what_it_promises(city: City, sink: Sink) -> None:
    await sink(delivery_limit=7, message_ttl_seconds=60, single_active_consumer=False).send(city.event())
    queues = city.queues()
    assert set(queues) == {"out.welfare", "dead.welfare", "parked"}, "the other subscription's come with its first event"
    assert queues["out.welfare"] == {
        "x-queue-type": "quorum",
        "x-delivery-limit": 7,
        "x-single-active-consumer": False,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead.welfare",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-max-length-bytes": 1024**3,
        "x-message-ttl": 60_000,
    }


async def test_a_virtual_host_is_made_when_it_is_needed_and_connections_are_shared(city: City, sink: Sink) -> None:
    names = [host["name"] for host in city.broker.api("GET", "vhosts")]
    assert city.virtual_host not in names
    one, other = sink(), sink()
    await asyncio.gather(one.send(city.event()), other.send(city.event(2, "tax")), one.send(city.event(3)))
    assert one._link is other._link
    connection = await one._link.connection()
    await one.close()
    assert not connection.lost.is_set()
    await other.close()
    assert connection.lost.is_set()


async def test_many_at_once_keep_the_order_they_were_given_in(city: City, sink: Sink) -> None:
    one = sink()
    await one.send(city.event(0))
    await asyncio.gather(*(one.send(city.event(number)) for number in range(1, 500)))
    with city.application() as channel:
        found = [properties.headers["cloudEvents_renkeinumber"] for properties, _ in fetched(channel, "out.welfare", 500)]
    assert found == [str(number) for number in range(500)]


async def test_a_queue_that_is_missing_is_no_delivery_and_made_again(city: City, sink: Sink) -> None:
    one = sink()
    await one.send(city.event())
    city.broker.api("DELETE", f"queues/{city.virtual_host}/out.welfare")
    with pytest.raises(Transient) as raised:
        await one.send(city.event(2))
    assert raised.value.message_id == "RNK5504E"
    await one.send(city.event(2))
    with city.application() as channel:
        assert fetched(channel, "out.welfare", 1)[0][0].message_id == f"{city.tenant}-d2"


async def test_a_full_queue_takes_no_more_and_drops_nothing(city: City, sink: Sink) -> None:
    one, data = sink(max_bytes=1024**2), b'"' + b"x" * 300_000 + b'"'
    outcomes = [await asyncio.gather(one.send(city.event(number, data=data)), return_exceptions=True) for number in range(20)]
    refused = [outcome for (outcome,) in outcomes if outcome is not None]
    delivered = 20 - len(refused)
    assert {getattr(outcome, "message_id", outcome) for outcome in refused} == {"RNK5505E"}
    assert delivered >= 3
    with city.application() as channel:
        fetched(channel, "out.welfare", delivered)
    await delivered_at_last(one, city, 100)


async def test_a_queue_of_other_settings_is_told_and_not_used(city: City, sink: Sink) -> None:
    await sink().send(city.event())
    with pytest.raises(Transient, match="x-delivery-limit") as raised:
        await sink(delivery_limit=3).send(city.event())
    assert raised.value.message_id == "RNK5506E"


async def test_a_message_longer_than_the_broker_takes_is_given_up(city: City, sink: Sink) -> None:
    with pytest.raises(Permanent) as raised:
        await sink().send(city.event(data=b"x" * (129 * 1024 * 1024)))
    assert raised.value.message_id == "RNK5508E"
    await delivered_at_last(sink(), city, 2)


async def test_cut_while_sending_is_tried_again_with_the_same_key(city: City, sink: Sink) -> None:
    with TcpProxy("127.0.0.1", city.broker.port) as proxy:
        one = sink(port=proxy.port)
        await one.send(city.event(0))
        proxy.stall(receiving=True, sending=False)  # the broker takes them, and its confirmations do not come
        sent = proxy.sent
        sending = [asyncio.create_task(one.send(city.event(number))) for number in range(1, 11)]
        await asyncio.to_thread(proxy.wait_sent, sent + 1000)
        await asyncio.to_thread(proxy.cut)
        proxy.go_on()
        outcomes = await asyncio.gather(*sending, return_exceptions=True)
        assert all(isinstance(outcome, Transient) for outcome in outcomes), outcomes
        for number in range(1, 11):
            await delivered_at_last(one, city, number)
    with city.application() as channel:
        count = channel.queue_declare("out.welfare", passive=True).method.message_count
        keys = {properties.message_id for properties, _ in fetched(channel, "out.welfare", count)}
    assert keys == {f"{city.tenant}-d{number}" for number in range(11)}


@pytest.mark.parametrize(("sending", "receiving"), [(True, True), (False, True)])
async def test_a_stalled_connection_is_no_delivery_and_made_anew(city: City, sink: Sink, sending: bool, receiving: bool) -> None:
    with TcpProxy("127.0.0.1", city.broker.port) as proxy:
        one = sink(port=proxy.port, confirm_seconds=0.5)
        await one.send(city.event(0))
        proxy.stall(sending=sending, receiving=receiving)
        with pytest.raises(Transient) as raised:
            await one.send(city.event(1))
        assert raised.value.message_id == "RNK5502E"
        proxy.go_on()
        await delivered_at_last(one, city, 1)
        assert proxy.opened >= 2


async def test_without_a_broker_many_fail_at_once_not_one_by_one(city: City, sink: Sink) -> None:
    with TcpProxy("127.0.0.1", city.broker.port) as proxy:
        proxy.refuse()
        one = sink(port=proxy.port)
        started = time.monotonic()
        outcomes = await asyncio.gather(*(one.send(city.event(number)) for number in range(50)), return_exceptions=True)
        assert {getattr(outcome, "message_id", outcome) for outcome in outcomes} == {"RNK5501E"}
        assert time.monotonic() - started < 5
        proxy.go_on()
        await one.send(city.event())


async def test_no_virtual_host_and_no_way_to_make_one(city: City, sink: Sink) -> None:
    with pytest.raises(Transient, match="management_url") as raised:
        await sink(management=False).send(city.event())
    assert raised.value.message_id == "RNK5503E"


async def test_a_wrong_password_is_told_without_it(city: City, sink: Sink) -> None:
    city.password_file.write_text("not-the-password")
    with pytest.raises(Transient) as raised:
        await sink().send(city.event())
    assert raised.value.message_id == "RNK5501E"
    assert "not-the-password" not in repr(raised.value) + str(raised.value.facts)
    city.password_file.write_text(city.broker.password)
    await sink().send(city.event())


@pytest.mark.slow
async def test_what_was_delivered_survives_the_broker_killed(tmp_path: Path) -> None:
    with private_rabbitmq() as server:
        city = City(server.broker, server.broker.password_file(tmp_path))
        one = city.adapter.event_sink(city.place(subscriptions=["welfare"]))
        assert one is not None
        await one.send(city.event(0))
        await asyncio.to_thread(server.wait_written, city.virtual_host, "out.welfare", "dead.welfare", "parked")
        await asyncio.gather(*(one.send(city.event(number)) for number in range(1, 100)))
        await asyncio.to_thread(server.kill)
        with pytest.raises(Transient):
            await one.send(city.event(100))
        await asyncio.to_thread(server.start)
        await delivered_at_last(one, city, 100)
        await one.close()
        with city.application() as channel:
            keys = {properties.message_id for properties, _ in fetched(channel, "out.welfare", 101)}
        assert keys == {f"{city.tenant}-d{number}" for number in range(101)}
