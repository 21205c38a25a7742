"""Events from applications: acknowledged when the bus has them, never before, in order, whatever the broker and the network do."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pika
import pika.data
import pytest

import adapters.amqp.topology
import bus.rabbitmq
from bus.errors import JournalUnavailable, Overloaded
from bus.event_ports import IncomingEvent
from tests.amqp.conftest import PATIENCE_SECONDS, City, drop_virtual_host
from tests.proxy import TcpProxy
from tests.services.rabbitmq import private_rabbitmq

Takes = Callable[[IncomingEvent], Awaitable[None]]


class Intake:
    """What the bus has taken, in order."""

    def __init__(self) -> None:
        self.events: list[IncomingEvent] = []
        self._changed = asyncio.Condition()

    async def take(self, event: IncomingEvent) -> None:
        async with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    async def wait(self, count: int) -> list[IncomingEvent]:
        async with asyncio.timeout(PATIENCE_SECONDS * 2), self._changed:
            await self._changed.wait_for(lambda: len(self.events) >= count)
            return self.events[:count]

    async def wait_for(self, body: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS * 2), self._changed:
            await self._changed.wait_for(lambda: any(event.body == body for event in self.events))

    @property
    def bodies(self) -> list[str]:
        return [event.body.decode() for event in self.events]


@asynccontextmanager
async def receiving(city: City, takes: Takes, *, watch_seconds: float = 5.0, port: int | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """A node that takes the city's `moves` in, ready when its queue is there."""
    source = city.adapter.event_source(city.place(interfaces=["moves"], port=port))
    assert source is not None
    source._watch_seconds = watch_seconds
    running = asyncio.create_task(source.run(takes))
    try:
        await ready(city)
        yield running
    finally:
        running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended


async def until(met: Callable[[], object], seconds: float = PATIENCE_SECONDS * 2) -> None:
    """Until a question, asked in a thread again and again, is answered with yes."""
    pause = asyncio.Event()
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(met):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pause.wait(), 0.02)


async def ready(city: City) -> None:
    """Until a consumer stands at the queue."""
    await until(lambda: consumers(city))


async def parked_is_told(city: City) -> None:
    await until(lambda: any(told == "RNK5512E" for told, _ in city.told))


def consumers(city: City) -> int:
    try:
        with city.application() as channel:
            return int(channel.queue_declare("in.moves", passive=True).method.consumer_count)
    except (pika.exceptions.AMQPError, OSError):
        return 0


def standing(city: City, queue: str = "in.moves") -> int:
    with city.application() as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


async def none_left(city: City) -> None:
    """Until all is acknowledged: a queue that nobody consumes any more holds nothing."""
    await until(lambda: not standing(city))


def publish(city: City, *bodies: bytes, **properties: object) -> None:
    with city.application() as channel:
        for body in bodies:
            channel.basic_publish("renkei.in", "moves", body, pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)


async def test_binary_mode_by_either_prefix(city: City) -> None:
    intake = Intake()
    async with receiving(city, intake.take):
        when = datetime.datetime(2026, 11, 20, 1, 30, tzinfo=datetime.UTC)
        for prefix in ("cloudEvents:", "cloudEvents_"):
            headers = {f"{prefix}{name}": value for name, value in {"id": "e1", "time": when, "count": 3, "urgent": True}.items()}
            await asyncio.to_thread(publish, city, b'{"a":1}', content_type="application/json", headers={**headers, "other": "x"})
        first, second = await intake.wait(2)
    assert first == second
    assert first == IncomingEvent(
        city.tenant, "moves", "welfare_events", "application/json",
        {"id": "e1", "time": "2026-11-20T01:30:00Z", "count": "3", "urgent": "true"}, b'{"a":1}', "in.moves",
    )  # fmt: skip
    assert standing(city) == 0


async def test_structured_mode_is_handed_on_as_it_is(city: City) -> None:
    intake, kind = Intake(), "application/cloudevents+json; charset=utf-8"
    async with receiving(city, intake.take):
        await asyncio.to_thread(publish, city, b'{"id":"e1"}', content_type=kind, headers={"cloudEvents_id": "ignored"})
        (event,) = await intake.wait(1)
    assert (event.content_type, event.headers, event.body) == (kind, {}, b'{"id":"e1"}')


@pytest.mark.parametrize("body", [b"", b"\xff\xfe not json", b"[" * 100_000, json.dumps({"a": "x" * 1_000_000}).encode()])
async def test_poison_comes_through_byte_for_byte_and_is_acknowledged(city: City, body: bytes) -> None:
    intake = Intake()
    async with receiving(city, intake.take):
        await asyncio.to_thread(publish, city, body, headers={"cloudEvents_id": [1, {"x": b"\xff"}], "n": None})
        (event,) = await intake.wait(1)
        assert event.body == body
    assert standing(city) == 0


async def test_what_is_not_taken_yet_is_not_acknowledged(city: City) -> None:
    begun = asyncio.Event()

    async def never(_event: IncomingEvent) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with receiving(city, never):
        await asyncio.to_thread(publish, city, b"1", b"2")
        await begun.wait()
    await until(lambda: standing(city) == 2)
    intake = Intake()
    async with receiving(city, intake.take):
        await intake.wait(2)
    assert intake.bodies == ["1", "2"]


async def test_what_cannot_be_taken_now_is_taken_later_and_order_holds(city: City) -> None:
    intake, refused = Intake(), 0

    async def takes(event: IncomingEvent) -> None:
        nonlocal refused
        if event.body == b"100" and refused < 3:
            refused += 1
            raise JournalUnavailable("RNK3001E", reason="test") if refused % 2 else Overloaded("RNK4340E", retry_after_seconds=0.01)
        await intake.take(event)

    async with receiving(city, intake.take):
        pass
    await asyncio.to_thread(publish, city, *(str(number).encode() for number in range(400)))
    async with receiving(city, takes):
        await intake.wait(400)
    assert refused == 3
    bodies = intake.bodies
    assert sorted(bodies, key=int) == [str(number) for number in range(400)]
    later = bodies[bodies.index("100") + 1 :]
    assert later == sorted(later, key=int), "nothing that had not begun then went before it"
    assert later[0] in {str(number) for number in range(101, 101 + 64)}
    assert standing(city) == 0


async def test_a_fault_of_the_bus_itself_is_told_and_the_message_parked(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.amqp.consuming.FIRST_PAUSE_SECONDS", 0.001)
    intake = Intake()

    async def takes(event: IncomingEvent) -> None:
        if event.body == b"bad":
            raise ValueError("山田太郎")
        await intake.take(event)

    async with receiving(city, takes, watch_seconds=0.2):
        await asyncio.to_thread(publish, city, b"bad", b"good")
        await intake.wait(1)
        await parked_is_told(city)
    assert [told for told, _ in city.told].count("RNK5513E") == 5
    assert "山田" not in str(city.told)
    with city.application() as channel:
        assert channel.basic_get("parked", auto_ack=True)[2] == b"bad"


async def test_after_one_was_parked_the_same_channel_goes_on(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.amqp.consuming.FIRST_PAUSE_SECONDS", 0.001)
    intake = Intake()

    async def takes(event: IncomingEvent) -> None:
        if event.body == b"bad":
            raise ValueError
        await intake.take(event)

    async with receiving(city, takes, watch_seconds=0.2):
        await asyncio.to_thread(publish, city, b"good", b"bad")
        await parked_is_told(city)
        await asyncio.to_thread(publish, city, b"later")
        await intake.wait(2)
    assert not [told for told, _ in city.told if told in {"RNK5509W", "RNK5510I"}], "nothing was lost"
    assert standing(city) == 0


async def test_a_frame_that_breaks_amqp_is_parked_and_others_come_through(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters.amqp.topology, "BUS_DELIVERY_LIMIT", 4)
    monkeypatch.setattr(bus.rabbitmq, "MOST_PAUSE_SECONDS", 0.1)
    intake = Intake()
    async with receiving(city, intake.take):
        pass
    encode = pika.data.encode_short_string

    def broken(pieces: list[bytes], value: str) -> int:
        if value == "broken":
            pieces.append(b"\x03\xff\xfe\xfd")
            return 4
        return int(encode(pieces, value))

    await asyncio.to_thread(publish, city, b"before")
    monkeypatch.setattr(pika.data, "encode_short_string", broken)
    await asyncio.to_thread(publish, city, b"breaks", headers={"broken": "1"})
    monkeypatch.setattr(pika.data, "encode_short_string", encode)
    await asyncio.to_thread(publish, city, b"after", b"last")
    async with receiving(city, intake.take, watch_seconds=0.2):
        await intake.wait_for(b"last")
        await parked_is_told(city)
    assert set(intake.bodies) == {"before", "after", "last"}
    assert standing(city, "parked") == 1


async def test_a_queue_deleted_under_it_comes_back(city: City) -> None:
    intake = Intake()
    async with receiving(city, intake.take):
        await asyncio.to_thread(city.broker.api, "DELETE", f"queues/{city.virtual_host}/in.moves")
        await ready(city)
        await asyncio.to_thread(publish, city, b"1")
        await intake.wait(1)
    assert [told for told, _ in city.told] == ["RNK5509W", "RNK5510I"]


async def test_only_one_node_takes_at_a_time_and_the_other_takes_over(city: City) -> None:
    first, second = Intake(), Intake()
    async with receiving(city, second.take), receiving(city, first.take):
        await asyncio.to_thread(publish, city, *(str(number).encode() for number in range(50)))
        await second.wait(50)
        assert not first.events
    other = City(city.broker, city.password_file, city.tenant)
    async with receiving(other, first.take) as leaving, receiving(city, second.take):
        await asyncio.to_thread(publish, city, b"50")
        await first.wait(1)
        leaving.cancel()
        await asyncio.to_thread(publish, city, b"51")
        await second.wait_for(b"51")


@pytest.mark.parametrize("reset", [True, False])
async def test_cut_connections_lose_nothing(city: City, reset: bool) -> None:
    intake = Intake()
    with TcpProxy("127.0.0.1", city.broker.port) as proxy:
        async with receiving(city, intake.take, port=proxy.port):
            for number in range(3):
                await asyncio.to_thread(publish, city, str(number).encode())
                await intake.wait_for(str(number).encode())
                await asyncio.to_thread(proxy.cut, reset=reset)
            await asyncio.to_thread(publish, city, b"last")
            await intake.wait_for(b"last")
            await none_left(city)


@pytest.mark.parametrize(("sending", "receiving_too"), [(True, True), (True, False), (False, True)])
async def test_a_stalled_connection_is_given_up_and_made_anew(
    city: City, sending: bool, receiving_too: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.amqp.links.ANSWER_SECONDS", 0.3)
    intake = Intake()
    with TcpProxy("127.0.0.1", city.broker.port) as proxy:
        async with receiving(city, intake.take, port=proxy.port, watch_seconds=0.3):
            opened = proxy.opened
            proxy.stall(sending=sending, receiving=receiving_too)
            await asyncio.to_thread(publish, city, b"1")
            await asyncio.to_thread(proxy.wait_opened, opened + 1)
            proxy.go_on()
            await intake.wait_for(b"1")


@pytest.mark.slow
async def test_the_broker_restarted_and_killed_loses_nothing(tmp_path: Path) -> None:
    intake = Intake()
    with private_rabbitmq() as server:
        city = City(server.broker, server.broker.password_file(tmp_path))
        async with receiving(city, intake.take):
            await asyncio.to_thread(server.wait_written, city.virtual_host, "in.moves", "parked")
            for name, end in ((b"1", server.stop), (b"2", server.kill)):
                await asyncio.to_thread(publish, city, name)
                await asyncio.to_thread(end)
                await asyncio.to_thread(server.start)
                await ready(city)
                await intake.wait_for(name)
            await asyncio.to_thread(publish, city, b"3")
            await intake.wait_for(b"3")
        drop_virtual_host(server.broker, city.virtual_host)
    assert [told for told, _ in city.told] == ["RNK5509W", "RNK5510I"] * 2
