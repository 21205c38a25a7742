"""What an application gives up comes back to the bus, whatever way it gave it up, and is not lost on its way to the journal."""

from __future__ import annotations

import asyncio

import pytest
from pika.adapters.blocking_connection import BlockingChannel

from bus.errors import JournalUnavailable
from bus.event_ports import DeadLetter
from tests.amqp.conftest import PATIENCE_SECONDS, City


async def buried(city: City, count: int, *, refusals: int = 0, **settings: object) -> list[DeadLetter]:
    """So many letters, as the journal gets them; it is away `refusals` times before."""
    letters: list[DeadLetter] = []
    enough = asyncio.Event()

    async def bury(letter: DeadLetter) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise JournalUnavailable("RNK3001E", reason="test")
        letters.append(letter)
        if len(letters) >= count:
            enough.set()

    source = city.adapter.dead_letters(city.place(subscriptions=["welfare"], **settings))  # type: ignore[arg-type]
    assert source is not None
    running = asyncio.create_task(source.run(bury))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await enough.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return letters


async def send(city: City, *numbers: int, **settings: object) -> None:
    sink = city.adapter.event_sink(city.place(subscriptions=["welfare"], **settings))  # type: ignore[arg-type]
    assert sink is not None
    for number in numbers:
        await sink.send(city.event(number))
    await sink.close()


def reject(channel: BlockingChannel) -> None:
    """What an application does with an event that it can do nothing with."""
    for method, _, _ in channel.consume("out.welfare", inactivity_timeout=PATIENCE_SECONDS):
        assert method is not None
        channel.basic_reject(method.delivery_tag, requeue=False)
        break
    channel.cancel()


async def test_a_rejected_event_comes_back(city: City) -> None:
    await send(city, 1)
    with city.application() as channel:
        reject(channel)
        (letter,) = await buried(city, 1, refusals=2)
    assert letter == DeadLetter(
        tenant=city.tenant, subscription="welfare", endpoint="welfare_events", delivery=f"{city.tenant}-d1", reason="rejected",
        queue="out.welfare", content_type="application/json", body=city.event().data,
    )  # fmt: skip
    with city.application() as channel:
        assert channel.queue_declare("dead.welfare", passive=True).method.message_count == 0
        assert channel.queue_declare("out.welfare", passive=True).method.message_count == 0


async def test_an_event_let_go_too_often_comes_back(city: City) -> None:
    await send(city, 1, 2, delivery_limit=3)
    with city.application() as channel:
        channel.basic_qos(prefetch_count=1)
        seen = 0
        for method, properties, _ in channel.consume("out.welfare", inactivity_timeout=PATIENCE_SECONDS):
            assert method is not None
            if properties.message_id.endswith("d2"):
                channel.basic_ack(method.delivery_tag)
                break
            seen += 1
            channel.basic_nack(method.delivery_tag, requeue=True)
        channel.cancel()
        assert seen == 4, "three more after the first"
        (letter,) = await buried(city, 1, delivery_limit=3)
    assert (letter.reason, letter.delivery) == ("delivery_limit", f"{city.tenant}-d1")


async def test_an_event_nobody_fetches_in_time_comes_back(city: City) -> None:
    await send(city, 1, 2, message_ttl_seconds=1)
    letters = await buried(city, 2, message_ttl_seconds=1)
    assert [letter.reason for letter in letters] == ["expired", "expired"]


@pytest.mark.parametrize("refusals", [0, 1])
async def test_a_letter_that_the_journal_has_not_stays_in_its_queue(city: City, refusals: int) -> None:
    await send(city, 1)
    with city.application() as channel:
        reject(channel)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await buried(city, 2, refusals=1000)
    (letter,) = await buried(city, 1, refusals=refusals)
    assert letter.delivery == f"{city.tenant}-d1"
