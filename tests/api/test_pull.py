"""What a pulling subscriber may do, on a real journal with a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.errors import Permanent, Transient
from bus.event import Way
from bus.events.callers import Caller, Callers
from bus.events.pull import Claim, HandedBack, Lent
from bus.message import DeliveryState
from tests.api.doubles import TENANT, Bench, subscription
from tests.journal.event_samples import event, to

WELFARE = subscription(first_seconds=100, factor=2, most_seconds=1000, attempts=3)
TAX = subscription("tax")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


def moves(*numbers: int, key: str = "") -> list:
    return [event(number, to(way=Way.PULL), key=key) for number in numbers]


def claims(lent: list[Lent]) -> list[Claim]:
    return [Claim(one.claimed.id, one.claimed.fence) for one in lent]


async def pull(
    bench: Bench, *, most: int = 100, lease_seconds: float = 60, wait_seconds: float = 0, caller: Caller | None = None
) -> list[Lent]:
    return await bench.pull.pull(TENANT, WELFARE, caller or Caller(), most=most, lease_seconds=lease_seconds, wait_seconds=wait_seconds)


def names(lent: list[Lent]) -> list[str]:
    return [one.event.attributes.id for one in lent]


async def test_lent_events_are_acknowledged_once_and_for_all(bench: Bench) -> None:
    bench.publish(*moves(1, 2, 3))
    lent = await pull(bench, most=2)
    assert names(lent) == ["e1", "e2"]
    assert await bench.pull.ack(TENANT, WELFARE, claims(lent)) == ["delivered", "delivered"]
    assert await bench.pull.ack(TENANT, WELFARE, claims(lent)) == ["delivered", "delivered"]
    assert names(await pull(bench)) == ["e3"]
    assert {bench.state(one.claimed.id) for one in lent} == {DeliveryState.DELIVERED}


async def test_another_node_books_what_this_one_lent(bench: Bench) -> None:
    bench.publish(*moves(1, 2))
    lent = await pull(bench)
    other = bench.another_node()
    assert await other.ack(TENANT, WELFARE, claims(lent[:1])) == ["delivered"]
    assert await other.nack(TENANT, WELFARE, [HandedBack(claims(lent)[1], give_up=True)]) == ["quarantined"]


async def test_one_subscription_cannot_book_what_another_was_lent(bench: Bench) -> None:
    bench.publish(*moves(1))
    (claim,) = claims(await pull(bench))
    for node in (bench.pull, bench.another_node()):
        assert await node.ack(TENANT, TAX, [claim]) == ["stale"]
        assert await node.nack(TENANT, TAX, [HandedBack(claim, give_up=True)]) == ["stale"]
        assert await node.renew(TENANT, TAX, [claim], lease_seconds=60) == ["stale"]
        assert await node.ack("332038", WELFARE, [claim]) == ["stale"]
    assert bench.state(claim.delivery) is DeliveryState.CLAIMED
    assert await bench.pull.ack(TENANT, WELFARE, [claim, Claim("332020-d999", 1), claim]) == ["delivered", "stale", "delivered"]


async def test_a_lapsed_lease_lets_another_have_it_and_the_first_is_stale(bench: Bench) -> None:
    bench.publish(*moves(1))
    (first,) = claims(await pull(bench, lease_seconds=30))
    assert await pull(bench) == []
    bench.clock.advance(31)
    (second,) = await pull(bench)
    assert second.event.attempt == 2
    assert await bench.pull.ack(TENANT, WELFARE, [first]) == ["stale"]
    assert await bench.pull.renew(TENANT, WELFARE, [first], lease_seconds=30) == ["stale"]
    assert await bench.pull.ack(TENANT, WELFARE, claims([second])) == ["delivered"]


async def test_a_renewed_lease_holds_longer(bench: Bench) -> None:
    bench.publish(*moves(1))
    lent = claims(await pull(bench, lease_seconds=30))
    bench.clock.advance(29)
    assert await bench.pull.renew(TENANT, WELFARE, lent, lease_seconds=30) == ["renewed"]
    bench.clock.advance(29)
    assert await pull(bench) == []
    bench.clock.advance(2)
    assert len(await pull(bench)) == 1


async def test_handed_back_it_comes_again_later_and_then_stands_in_quarantine(bench: Bench) -> None:
    bench.publish(*moves(1))
    (claim,) = claims(await pull(bench))
    assert await bench.pull.nack(TENANT, WELFARE, [HandedBack(claim, reason="no_household")]) == ["due"]
    assert "no_household" in bench.journal.delivery(claim.delivery).last_error
    assert bench.journal.delivery(claim.delivery).due_at_us <= bench.clock.now_us() + 100_000_000
    bench.clock.advance(101)
    (claim,) = claims(await pull(bench))
    assert await bench.pull.nack(TENANT, WELFARE, [HandedBack(claim, retry_after_seconds=5000)]) == ["due"]
    bench.clock.advance(4999)
    assert await pull(bench) == []
    bench.clock.advance(1)
    (claim,) = claims(await pull(bench))
    assert await bench.pull.nack(TENANT, WELFARE, [HandedBack(claim, retry_after_seconds=1)]) == ["quarantined"]
    (entry,) = bench.journal.quarantine(tenant=TENANT)
    assert entry.delivery == claim.delivery


async def test_a_consumer_that_never_acknowledges_ends_in_quarantine(bench: Bench) -> None:
    bench.publish(*moves(1))
    seen = []
    for _ in range(4):
        seen += await pull(bench, lease_seconds=10)
        bench.clock.advance(11)
    assert [one.event.attempt for one in seen] == [1, 2, 3]
    assert bench.state(seen[0].claimed.id) is DeliveryState.QUARANTINED


async def test_the_next_of_a_key_comes_when_the_first_is_acknowledged(bench: Bench) -> None:
    bench.publish(*moves(1, 2, key="person"))
    first = await pull(bench)
    assert names(first) == ["e1"]
    waiting = asyncio.create_task(pull(bench, wait_seconds=60))
    await _waits(bench)
    await bench.pull.ack(TENANT, WELFARE, claims(first))
    assert names(await waiting) == ["e2"]


async def _waits(bench: Bench) -> None:
    """Until somebody watches."""
    while not bench.signals._watches:  # noqa: ASYNC110 - nothing tells of a watch but its being there
        await asyncio.sleep(0)


async def test_a_waiting_pull_is_woken_by_a_signal(bench: Bench) -> None:
    bench.lookout.look_seconds = 3600
    waiting = asyncio.create_task(pull(bench, wait_seconds=60))
    await _waits(bench)
    await asyncio.to_thread(bench.publish, *moves(1))
    bench.signals.notify(("pull", TENANT, "welfare"))
    assert names(await waiting) == ["e1"]


async def test_a_waiting_pull_finds_what_another_node_accepted(bench: Bench) -> None:
    waiting = asyncio.create_task(pull(bench, wait_seconds=60))
    await _waits(bench)
    await asyncio.to_thread(bench.publish, *moves(1))
    assert names(await waiting) == ["e1"]
    assert bench.lookout._looking is None


async def test_a_wait_ends_without_an_event(bench: Bench) -> None:
    assert await pull(bench, wait_seconds=0.01) == []


async def test_a_caller_who_leaves_is_lent_nothing(bench: Bench) -> None:
    caller = Caller()
    waiting = asyncio.create_task(pull(bench, wait_seconds=60, caller=caller))
    await _waits(bench)
    caller.leave()
    assert await waiting == []
    bench.publish(*moves(1))
    late = Caller()
    bench.group.claimed = late.leave
    assert await pull(bench, caller=late) == []
    bench.group.claimed = lambda: None
    (again,) = await pull(bench)
    assert again.event.attempt == 1


async def test_an_ending_node_lets_every_caller_go(bench: Bench) -> None:
    callers = Callers()
    with callers.one() as caller:
        waiting = asyncio.create_task(pull(bench, wait_seconds=60, caller=caller))
        await _waits(bench)
        callers.close()
        assert await waiting == []
    with callers.one() as late:
        assert late.gone


async def test_what_cannot_be_rendered_is_booked_and_the_others_go_out(bench: Bench) -> None:
    bench.renderer.broken = {"e1": Permanent("RNK7210E", reason="x"), "e2": Transient("RNK7210E", reason="y")}
    bench.renderer.left_out = {"e3"}
    taken = bench.publish(*moves(1, 2, 3, 4))
    deliveries = [one.deliveries[0][1] for one in taken]
    assert names(await pull(bench)) == ["e4"]
    states = [DeliveryState.QUARANTINED, DeliveryState.DUE, DeliveryState.DELIVERED, DeliveryState.CLAIMED]
    assert [bench.state(one) for one in deliveries] == states


async def test_a_pull_takes_no_more_bytes_than_it_may(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.events.pull.MOST_BYTES", 30)
    monkeypatch.setattr("bus.events.pull.MOST_AT_ONCE", 4)
    bench.publish(*moves(*range(10, 20)))
    assert names(await pull(bench)) == ["e10", "e11"]
    (third, *_) = await pull(bench)
    assert (third.event.attributes.id, third.event.attempt) == ("e12", 1)


async def test_memory_of_leases_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.events.pull.REMEMBERED", 2)
    bench.publish(*moves(1, 2, 3))
    lent = await pull(bench)
    assert len(bench.pull._lent) == 2
    assert await bench.pull.ack(TENANT, WELFARE, claims(lent)) == ["delivered"] * 3


async def test_what_has_expired_is_lent_to_nobody(bench: Bench) -> None:
    expiring = event(1, to(way=Way.PULL), expires_at_us=bench.clock.now_us() + 1_000_000)
    taken = bench.publish(expiring, *moves(2))
    bench.clock.advance(2)
    assert names(await pull(bench)) == ["e2"]
    assert bench.state(taken[0].deliveries[0][1]) is DeliveryState.EXPIRED
    assert bench.seen.told == [("expired", "welfare")]


async def test_metrics_hear_of_each_attempt_once(bench: Bench) -> None:
    bench.publish(*moves(1, 2, 3))
    one, two, three = claims(await pull(bench))
    await bench.pull.ack(TENANT, WELFARE, [one, one])
    await bench.pull.ack(TENANT, WELFARE, [one])
    await bench.pull.nack(TENANT, WELFARE, [HandedBack(two), HandedBack(three, give_up=True)])
    await bench.pull.nack(TENANT, WELFARE, [HandedBack(two)])
    assert bench.seen.told == [("delivered", "welfare", "http"), ("retried", "welfare"), ("given_up", "welfare")]
