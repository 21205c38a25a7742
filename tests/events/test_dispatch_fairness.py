"""Neighbours: the flood of one tenant delays the events of another by about one place, whatever the flood does."""

from __future__ import annotations

import asyncio

import pytest

from bus.clock import ManualClock
from bus.event import OutgoingEvent
from bus.journal.journal import SqlJournal
from bus.site import Limits
from tests.events.sending_doubles import Bench, Configured, Sink, dispatching, event
from tests.journal.event_samples import to

FLOOD, NEIGHBOUR = "332020", "271004"
SLOTS = 8


async def flooded(bench: Bench, count: int, *, subscriptions: int = 1) -> None:
    """The flood stands in the journal, and is being sent."""
    deliveries = [to(f"s{number}") for number in range(subscriptions)]
    await asyncio.gather(*[bench.commits.accept(event(number, *deliveries)) for number in range(count)])
    for number in range(subscriptions):
        bench.dispatcher.wake(FLOOD, f"s{number}", count)


@pytest.mark.parametrize("subscriptions", [1, 5, 20])
async def test_a_flood_delays_a_neighbour_by_the_places_it_holds_and_no_more(
    journal: SqlJournal, clock: ManualClock, subscriptions: int
) -> None:
    turns: list[str] = []
    ends = asyncio.Semaphore(0)

    async def answer(sent: OutgoingEvent) -> None:
        turns.append(sent.tenant)
        await ends.acquire()

    sink = Sink(answer)
    names = [f"s{number}" for number in range(subscriptions)]
    sinks = {f"{name}_in": sink for name in [*names, "mine"]}
    limits = {f"{name}_in": Limits(concurrent=100) for name in names}
    async with dispatching(journal, clock, Configured(dict(sinks), limits), slots=SLOTS) as bench:
        await flooded(bench, 200 // subscriptions, subscriptions=subscriptions)
        await sink.has_come(SLOTS)
        before = len(turns)
        await bench.publish(event(1, to("mine"), tenant=NEIGHBOUR))
        while NEIGHBOUR not in turns:  # one send ends, its place is given out, and so on
            came = len(sink.came)
            ends.release()
            await sink.has_come(came + 1)
        delayed_by = turns.index(NEIGHBOUR) - before
        assert delayed_by <= 1 + 1, f"{delayed_by} sends of the flood began first"
        ends.release()
        for _ in range(300):
            ends.release()


async def test_a_whole_round_of_tenants_gets_its_share(journal: SqlJournal, clock: ManualClock) -> None:
    tenants = [f"{number:06d}" for number in range(10)]
    turns: list[str] = []
    ends = asyncio.Semaphore(0)

    async def answer(sent: OutgoingEvent) -> None:
        turns.append(sent.tenant)
        await ends.acquire()

    sink = Sink(answer)
    async with dispatching(journal, clock, Configured({"s0_in": sink}, {"s0_in": Limits(concurrent=100)}), slots=5) as bench:
        for tenant in tenants:  # the first has ten times as much as the others
            count = 100 if tenant == tenants[0] else 10
            await asyncio.gather(*[bench.commits.accept(event(number, to("s0"), tenant=tenant)) for number in range(count)])
        for tenant in tenants:
            bench.dispatcher.wake(tenant, "s0", 10)
        for _ in range(190):
            ends.release()
        await sink.has_taken(190)
        await bench.observer.has("delivered", 190)
        last_of_others = max(place for place, tenant in enumerate(turns) if tenant != tenants[0])
        assert turns[: last_of_others + 1].count(tenants[0]) <= 40  # not all of its hundred before the last of the others


async def test_one_key_of_a_thousand_events_does_not_keep_other_keys_waiting(journal: SqlJournal, clock: ManualClock) -> None:
    order: list[str] = []

    async def answer(sent: OutgoingEvent) -> None:
        order.append(sent.attributes.subject)
        await asyncio.sleep(0)

    sink = Sink(answer)
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await asyncio.gather(*[bench.commits.accept(event(number, key="one")) for number in range(200)])
        bench.dispatcher.wake(FLOOD, "welfare", 200)
        await sink.has_come(5)
        came = len(sink.came)
        await bench.publish(event(1000, key="other"))
        await sink.has_taken(201)
        assert order.index("other") <= came + 20
        assert sink.most_at_once <= 2
