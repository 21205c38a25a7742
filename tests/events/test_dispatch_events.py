"""Sending events over a real journal: order per key, retries, giving up, restarts, hand-over, hanging receivers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from bus.clock import ManualClock
from bus.errors import JournalUnavailable, Permanent, Transient
from bus.event import ClaimedEvent, OutgoingEvent, Settlement, Wanted
from bus.events.group_commit import GroupCommit
from bus.events.sending import LEASE_SECONDS, MOST_SEND_SECONDS
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from bus.site import Breaker, Limits, Retry
from tests.backends import open_journal
from tests.events.sending_doubles import (
    OWNER,
    TENANT,
    WAIT_SECONDS,
    Configured,
    Failing,
    Hanging,
    Sink,
    crash,
    dispatching,
    event,
)
from tests.journal.event_samples import to

DOWN = Transient("RNK5605E", endpoint="welfare_in", error="ECONNREFUSED")
GONE = Permanent("RNK5602E", endpoint="welfare_in", status=410)
BAD_REQUEST = Transient("RNK5601E", endpoint="welfare_in", status=400)


def states(journal: SqlJournal, subscription: str = "welfare") -> list[str]:
    """States of a subscription's deliveries, in their order."""
    found = journal.deliveries(tenant=TENANT, subscription=subscription, limit=1000)
    return [one.state.value for one in sorted(found, key=lambda one: one.number)]


async def test_what_is_accepted_is_sent_and_booked(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        (taken,) = await bench.publish(event(1, expires_at_us=clock.now_us() + 60_000_000))
        await bench.observer.has("delivered")
        (sent,) = sink.taken
        assert sent.delivery == taken.deliveries[0][1]
        assert sent.data == b'{"number": "1"}'
        assert sent.attempt == 1
        own = sent.attributes.extensions
        assert (own["renkeimessage"], own["renkeidelivery"], own["renkeinumber"]) == (taken.message, sent.delivery, "1")
        assert own["renkeiexpires"].endswith("Z")
    assert states(journal) == ["delivered"]


async def test_the_next_of_a_key_goes_without_waiting_for_the_sweep(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(*[event(number, key="a") for number in range(40)])
        assert await sink.has_taken(40) == [f"e{number}" for number in range(40)]
        assert sink.most_at_once == 1
        await bench.observer.has("delivered", 40)


async def test_a_failing_key_holds_back_only_itself(journal: SqlJournal, clock: ManualClock) -> None:
    async def answer(one: OutgoingEvent) -> None:
        if one.attributes.subject == "bad" and clock.now_us() < healed_us:
            raise BAD_REQUEST

    healed_us = clock.now_us() + 15_000_000
    sink = Sink(answer)
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1, key="bad"), event(2, key="good"), event(3, key="bad"), event(4, key="good"))
        assert await sink.has_taken(2) == ["e2", "e4"]
        await bench.observer.has("retried")
        await bench.dispatcher.sweep()
        assert "e3" not in await sink.has_come(3)
        bench.advance(20)
        await bench.dispatcher.sweep()
        assert await sink.has_taken(4) == ["e2", "e4", "e1", "e3"]
        assert sink.came[-2].attempt == 2


async def test_what_used_up_its_attempts_stands_in_quarantine(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Failing(DOWN))
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1, key="a"), event(2, key="a"), event(3, key="b"))
        for attempt in (1, 2):
            await bench.observer.has("retried", 2 * attempt)
            bench.advance(11)
            await bench.dispatcher.sweep()
        await bench.observer.has("given_up", 2)
    assert states(journal) == ["quarantined", "due", "quarantined"]
    assert journal.delivery(f"{TENANT}-d1").attempts == 3
    assert "ECONNREFUSED" in journal.delivery(f"{TENANT}-d1").last_error


async def test_gone_is_given_up_at_once(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Failing(GONE, times=1))
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1), event(2))
        await bench.observer.has("given_up")
        await bench.observer.has("delivered")
    assert sorted(states(journal)) == ["delivered", "quarantined"]
    assert journal.open_quarantine() == {(TENANT, "given_up"): 1}


async def test_retry_after_is_honoured(journal: SqlJournal, clock: ManualClock) -> None:
    busy = Transient("RNK5603E", endpoint="welfare_in", status=503, retry_after_seconds=300)
    sink = Sink(Failing(busy, times=1))
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1))
        await bench.observer.has("retried")
        assert journal.delivery(f"{TENANT}-d1").due_at_us == clock.now_us() + 300_000_000
        bench.advance(299)
        await bench.dispatcher.sweep()
        assert not journal.waiting(way="push")
        bench.advance(1)
        await bench.dispatcher.sweep()
        assert await sink.has_taken(1) == ["e1"]


async def test_a_fault_of_an_adapter_tells_nothing_of_the_record(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Failing(ValueError("山田太郎"), times=1))
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1))
        await bench.observer.has("retried")
        error = journal.delivery(f"{TENANT}-d1").last_error
    assert "RNK4204E" in error
    assert "山田" not in error


async def test_what_is_not_worth_sending_any_more_expires(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, expires_seconds=30)) as bench:
        await asyncio.gather(bench.commits.accept(event(1, expires_at_us=clock.now_us() + 5_000_000)), bench.commits.accept(event(2)))
        bench.advance(6)
        await bench.dispatcher.sweep()
        await bench.observer.has("expired")
        await bench.observer.has("delivered")
        await bench.commits.accept(event(3))
        bench.advance(31)
        await bench.dispatcher.sweep()
        await bench.observer.has("expired", 2)
    assert states(journal) == ["expired", "delivered", "expired"]
    assert [one.attributes.id for one in sink.came] == ["e2"]


async def test_a_translation_that_leaves_the_record_out_sends_nothing(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    translated = to(translation="upper@1.0")
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        bodies = (b'{"a": "stay"}', b'{"a": "leave"}', b'{"a": "refuse"}')
        await bench.publish(*[event(number, translated, body=body) for number, body in enumerate(bodies)])
        await bench.observer.has("delivered", 2)
        await bench.observer.has("given_up")
    assert [one.data for one in sink.taken] == [b'{"A": "STAY"}']
    assert states(journal) == ["delivered", "delivered", "quarantined"]
    filtered = journal.delivery(f"{TENANT}-d2")
    assert (filtered.taken_in.records, filtered.out.records, filtered.filtered.records) == (1, 0, 1)
    refused = journal.delivery(f"{TENANT}-d3")
    assert "name:too_long" in refused.last_error


async def test_handed_over_is_sent_without_a_claim(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, {"welfare_in": Limits(concurrent=2)})) as bench:
        dispatcher = bench.dispatcher
        assert bench.room("welfare_in") > 0
        reserved = [dispatcher.reserve(TENANT, "welfare_in", "welfare") for _ in range(3)]
        assert reserved == [True, True, False]
        assert bench.room("welfare_in") == 0
        dispatcher.unreserve(TENANT, "welfare_in")
        assert bench.room("welfare_in") == 1
        await bench.publish(event(1, to(hand_over=True)))
        await bench.observer.has("delivered")
        assert bench.room("welfare_in") == 2
        assert dispatcher._slots.free == 256


async def test_what_is_behind_a_handed_over_one_follows_it(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    sink = Sink(hanging)
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        assert bench.dispatcher.reserve(TENANT, "welfare_in", "welfare")
        await bench.publish(event(1, to(hand_over=True), key="a"))
        await sink.has_come(1)
        await bench.publish(event(2, key="a"))
        hanging.let_go()
        assert await sink.has_taken(2) == ["e1", "e2"]


async def test_newcomers_leave_room_for_those_who_wait(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    sink = Sink(hanging)
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, {"welfare_in": Limits(concurrent=4)})) as bench:
        await bench.publish(*map(event, range(5)))
        await sink.has_come(4)
        hanging.let_go()  # the first to end makes room, and one waits for it
        assert not bench.dispatcher.reserve(TENANT, "welfare_in", "welfare")
        await sink.has_taken(5)


async def test_a_hanging_receiver_holds_only_its_own_places(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    dead, alive = Sink(hanging), Sink()
    limits = {"dead_in": Limits(concurrent=3), "alive_in": Limits(concurrent=3)}
    async with dispatching(journal, clock, Configured({"dead_in": dead, "alive_in": alive}, limits), slots=4) as bench:
        await bench.publish(*[event(number, to("dead"), to("alive")) for number in range(20)])
        await alive.has_taken(20)
        await bench.observer.has("delivered", 20)
        await bench.quiet()
        assert len(dead.came) == 3
        # after a while its sends give their slots back, so that the others have all of them again
        assert bench.dispatcher._slots.free == 1
        bench.advance(3)
        await bench.dispatcher.sweep()
        assert bench.dispatcher._slots.free == 4
        hanging.let_go()
        await dead.has_taken(20)
        await bench.observer.has("delivered", 40)
        await bench.quiet()
        assert bench.dispatcher._slots.free == 4


async def test_a_send_that_never_ends_is_broken_off_and_tried_again(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Hanging())
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1))
        await sink.has_come(1)
        bench.advance(MOST_SEND_SECONDS)
        await bench.dispatcher.sweep()
        await bench.observer.has("retried")
        assert "RNK4203E" in journal.delivery(f"{TENANT}-d1").last_error


async def test_leases_are_kept_while_a_send_runs(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    sink = Sink(hanging)
    async with dispatching(journal, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1))
        await sink.has_come(1)
        for _ in range(4):
            bench.advance(LEASE_SECONDS / 2)
            await bench.dispatcher.sweep()
        assert not journal.waiting(way="push")
        hanging.let_go()
        await bench.observer.has("delivered")
    assert states(journal) == ["delivered"]


async def test_a_send_whose_lease_another_has_taken_is_broken_off(journal: SqlJournal, clock: ManualClock) -> None:
    mine, others = Sink(Hanging()), Sink()
    async with (
        dispatching(journal, clock, Configured({"welfare_in": mine})) as first,
        dispatching(journal, clock, Configured({"welfare_in": others}), owner="node2") as second,
    ):
        await first.publish(event(1))
        await mine.has_come(1)
        (sending,) = first.dispatcher._sender.running.values()
        first.advance(LEASE_SECONDS + 1)
        await second.dispatcher.sweep()
        assert await others.has_taken(1) == ["e1"]
        await second.observer.has("delivered")
        await first.dispatcher.sweep()
        async with asyncio.timeout(10):
            await asyncio.wait([sending.task])
        assert first.observer.counts.total() == 0
        assert mine.came[0].delivery == others.came[0].delivery  # the receiver knows it by its idempotency key
    assert states(journal) == ["delivered"]


async def test_a_restart_sends_what_was_not_booked_again_and_in_order(tmp_path: Path, clock: ManualClock) -> None:
    opened = open_journal(tmp_path, clock, synchronous="OFF")
    sink = Sink(Hanging())
    async with dispatching(opened, clock, Configured({"welfare_in": sink})) as bench:
        await bench.publish(event(1, key="a"), event(2, key="a"), event(3, key="b"))
        await sink.has_come(2)
        await crash(bench.dispatcher)
    opened.close()
    again = open_journal(tmp_path, clock, synchronous="OFF")
    assert again.unclaim(OWNER) == 2
    after = Sink()
    async with dispatching(again, clock, Configured({"welfare_in": after})) as bench:
        await bench.dispatcher.sweep()
        order = await after.has_taken(3)
        assert order.index("e1") < order.index("e2")
        assert {one.delivery for one in sink.came} <= {one.delivery for one in after.taken}
        assert {one.attempt for one in after.taken} == {1}
        await bench.observer.has("delivered", 3)
    again.close()


async def test_two_dispatchers_on_one_journal_share_without_breaking_the_order(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    receivers = Configured({"welfare_in": sink}, {"welfare_in": Limits(concurrent=5)})
    async with (
        dispatching(journal, clock, receivers) as first,
        dispatching(journal, clock, receivers, owner="node2") as second,
    ):
        for start in range(0, 120, 20):
            events = [event(number, key=str(number % 7)) for number in range(start, start + 20)]
            await asyncio.gather(*map(first.commits.accept, events))
            for bench in (first, second):
                bench.dispatcher.wake(TENANT, "welfare", 20)
        async with asyncio.timeout(20):
            while len(sink.taken) < 120:
                await asyncio.gather(first.dispatcher.sweep(), second.dispatcher.sweep())
        assert len({one.delivery for one in sink.taken}) == len(sink.taken) == 120
        for key in map(str, range(7)):
            numbers = [int(one.attributes.id[1:]) for one in sink.taken if one.attributes.subject == key]
            assert numbers == sorted(numbers)
        assert first.observer.counts["delivered"]
        assert second.observer.counts["delivered"]


async def test_a_breaker_leaves_the_endpoint_alone_and_costs_no_attempt(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Failing(DOWN, times=3))
    limits = {"welfare_in": Limits(concurrent=1, breaker=Breaker(failures=2, open_seconds=30))}
    retry = Retry(first_seconds=0.001, factor=1, most_seconds=0.001, attempts=20)
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, limits, retry=retry)) as bench:
        await bench.publish(*map(event, range(10)))
        await bench.observer.has("breaker")
        assert bench.observer.breakers == [("welfare_in", True)]
        for _ in range(3):
            bench.advance(5)
            await bench.dispatcher.sweep()
        assert len(sink.came) == 2
        assert not bench.dispatcher.reserve(TENANT, "welfare_in", "welfare")
        assert bench.room("welfare_in") == 0
        bench.advance(16)
        await bench.dispatcher.sweep()  # the probe fails: left alone twice as long
        await bench.observer.has("breaker", 2)
        bench.advance(31)
        await bench.dispatcher.sweep()
        assert len(sink.came) == 3
        bench.advance(30)
        await bench.dispatcher.sweep()
        await bench.observer.has("delivered")
        assert bench.observer.breakers == [("welfare_in", True), ("welfare_in", True), ("welfare_in", False)]
        bench.advance(1)
        await bench.dispatcher.sweep()
        await bench.observer.has("delivered", 10)
    assert sum(one.attempts for one in journal.deliveries(tenant=TENANT, limit=100)) == 3


async def test_a_rate_is_kept_and_shared_by_the_subscriptions_of_the_endpoint(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    names = ("welfare", "tax", "water")
    receivers = Configured({"portal": sink}, {"portal": Limits(per_second=2)}, dict.fromkeys(names, "portal"))
    async with dispatching(journal, clock, receivers) as bench:
        deliveries = [to(name, endpoint="portal") for name in names]
        await asyncio.gather(*[bench.commits.accept(event(number, *deliveries)) for number in range(4)])
        for name in names:
            bench.dispatcher.wake(TENANT, name, 4)
        for half_second in range(1, 13):
            await bench.observer.has("delivered", half_second)
            await bench.quiet()
            assert len(sink.came) == half_second
            taken = Counter(one.subscription for one in sink.taken)
            assert max(taken.values()) - min(taken[name] for name in names) <= 1
            bench.advance(0.5)
            await bench.dispatcher.sweep()


async def test_handed_over_while_the_breaker_opens_waits_without_an_attempt(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink(Failing(DOWN))
    limits = {"welfare_in": Limits(breaker=Breaker(failures=1, open_seconds=30))}
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, limits)) as bench:
        for _ in range(2):
            assert bench.dispatcher.reserve(TENANT, "welfare_in", "welfare")
        await bench.publish(event(1, to(hand_over=True)))
        await bench.observer.has("breaker")
        (taken,) = await bench.publish(event(2, to(hand_over=True)))
        await bench.observer.has("retried")
        async with asyncio.timeout(10):
            while bench.dispatcher._sender.running:
                await asyncio.wait([one.task for one in bench.dispatcher._sender.running.values()])
        waits = journal.delivery(taken.deliveries[0][1])
        assert (waits.state, waits.attempts, waits.due_at_us) == (DeliveryState.DUE, 0, clock.now_us() + 30_000_000)
        assert len(sink.came) == 1
        assert bench.dispatcher._slots.free == 256


async def test_an_unknown_subscription_is_seen_in_quarantine(journal: SqlJournal, clock: ManualClock) -> None:
    receivers = Configured({}, gone={"welfare"})
    async with dispatching(journal, clock, receivers) as bench:
        await bench.publish(event(1), event(2, to("tax")))
        await bench.observer.has("given_up", 2)
    assert "RNK4201E" in journal.delivery(f"{TENANT}-d1").last_error
    assert "RNK4202E" in journal.delivery(f"{TENANT}-d2").last_error


async def test_a_new_configuration_is_taken_up_at_once(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    old, new = Sink(hanging), Sink()
    receivers = Configured({"welfare_in": old, "moved_in": new}, {"welfare_in": Limits(concurrent=1)})
    async with dispatching(journal, clock, receivers) as bench:
        await bench.publish(event(1), event(2))
        await old.has_come(1)
        receivers.endpoints["welfare"] = "moved_in"
        receivers._made.clear()
        await bench.publish(event(3, to(endpoint="moved_in")))
        await new.has_taken(1)
        hanging.let_go()
        await bench.observer.has("delivered", 3)
        await bench.quiet()
        assert bench.dispatcher._slots.free == 256


class AwayFor(GroupCommit):
    """A group commit whose first few settlements find the journal away."""

    times = 3

    def settle(self, settlement: Settlement) -> asyncio.Future[DeliveryState | None]:
        if self.times:
            self.times -= 1
            away: asyncio.Future[DeliveryState | None] = asyncio.get_running_loop().create_future()
            away.set_exception(JournalUnavailable("RNK3001E", reason="away"))
            return away
        return super().settle(settlement)


async def test_an_outcome_is_booked_when_the_journal_is_back(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    commits = AwayFor(journal, OWNER)
    async with dispatching(journal, clock, Configured({"welfare_in": sink}), commits=commits) as bench:
        await bench.publish(event(1, key="a"), event(2, key="a"))
        await bench.observer.has("delivered", 2)
        assert len(sink.came) == 2
    await asyncio.to_thread(commits.close)


class ClaimsFail(GroupCommit):
    """A group commit that cannot claim."""

    def claim(self, wanted: Wanted) -> asyncio.Future[list[ClaimedEvent]]:  # type: ignore[override]
        away: asyncio.Future[list[ClaimedEvent]] = asyncio.get_running_loop().create_future()
        away.set_exception(JournalUnavailable("RNK3001E", reason="away"))
        return away


async def test_a_claim_that_fails_gives_its_places_back(journal: SqlJournal, clock: ManualClock) -> None:
    commits = ClaimsFail(journal, OWNER)
    async with dispatching(journal, clock, Configured({"welfare_in": Sink()}), commits=commits) as bench:
        await bench.publish(event(1))
        await bench.dispatcher.sweep()
        await bench.quiet()
        assert bench.room("welfare_in") == 16
        assert bench.dispatcher._slots.free == 256
    await asyncio.to_thread(commits.close)


class GoneWhileClaiming(GroupCommit):
    """A group commit whose journal is lost right after a claim, which is answered when `answer` is set."""

    def __init__(self, journal: SqlJournal, owner: str) -> None:
        super().__init__(journal, owner)
        self.answer = asyncio.Event()

    async def claim(self, wanted: Wanted) -> Sequence[ClaimedEvent]:
        claimed = await super().claim(wanted)
        async with asyncio.timeout(WAIT_SECONDS):
            await self.answer.wait()
        return claimed

    async def settle(self, settlement: Settlement) -> DeliveryState | None:
        raise JournalUnavailable("RNK3001E", reason="away")


async def test_what_is_claimed_while_stopping_is_not_sent_even_if_it_cannot_be_given_back(journal: SqlJournal, clock: ManualClock) -> None:
    sink = Sink()
    commits = GoneWhileClaiming(journal, OWNER)
    async with dispatching(journal, clock, Configured({"welfare_in": sink}), commits=commits) as bench:
        await bench.publish(event(1))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(bench.dispatcher.stop())
        await asyncio.sleep(0)
        commits.answer.set()
        await stopping
        assert (sink.came, bench.dispatcher._sender.running) == ([], {})
        assert bench.room("welfare_in") == 16
    await asyncio.to_thread(commits.close)


async def test_stopping_lets_what_runs_end(journal: SqlJournal, clock: ManualClock) -> None:
    hanging = Hanging()
    sink = Sink(hanging)
    async with dispatching(journal, clock, Configured({"welfare_in": sink}, {"welfare_in": Limits(concurrent=1)})) as bench:
        await bench.publish(event(1), event(2))
        await sink.has_come(1)
        running = asyncio.create_task(bench.dispatcher.run())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.sleep(0)
        assert not bench.dispatcher.reserve(TENANT, "welfare_in", "welfare")
        hanging.let_go()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert states(journal) == ["delivered", "due"]
