"""Expiry: what nobody sent or fetched in time ends, and lets the next of its key go."""

from __future__ import annotations

from dataclasses import replace

from bus.clock import ManualClock
from bus.event import Settlement, Way
from bus.event_ports import Group
from bus.events.sweep import ExpirySweep
from bus.journal.journal import SqlJournal
from bus.message import DeliveryState
from tests.events.sending_doubles import OWNER, TENANT, event
from tests.journal.event_samples import claim, to

PULL = replace(to("archive"), way=Way.PULL)
SECOND = 1_000_000


def accept(journal: SqlJournal, clock: ManualClock, number: int, *deliveries: object, seconds: int | None = 5, key: str = "a") -> None:
    until = None if seconds is None else clock.now_us() + seconds * SECOND
    journal.commit(Group(accept=[event(number, *deliveries, key=key, expires_at_us=until)]), OWNER, lease_seconds=60)  # type: ignore[arg-type]


def state(journal: SqlJournal, number: int) -> DeliveryState:
    return journal.delivery(f"{TENANT}-d{number}").state


async def test_what_nobody_fetches_expires_also(journal: SqlJournal, clock: ManualClock) -> None:
    accept(journal, clock, 1, to(), PULL)
    accept(journal, clock, 2, seconds=None)
    told: list[tuple[Way, str, str]] = []
    sweep = ExpirySweep(journal, lambda *one: told.append(one))
    assert await sweep.sweep() == 0
    clock.advance(5)
    assert await sweep.sweep() == 2
    assert await sweep.sweep() == 0
    assert set(told) == {(Way.PUSH, TENANT, "welfare"), (Way.PULL, TENANT, "archive")}
    assert [state(journal, number) for number in (1, 2, 3)] == [DeliveryState.EXPIRED, DeliveryState.EXPIRED, DeliveryState.DUE]
    assert [one.event.attributes.id for one in claim(journal)] == ["e2"]  # the next of the key may go
    kinds = [one.kind for one in journal.entries(TENANT, subject=f"{TENANT}-d1")]
    assert kinds[-1] == "expired"


def test_a_subscription_may_have_a_time_of_its_own(journal: SqlJournal, clock: ManualClock) -> None:
    brief, patient = to("brief", expires_seconds=10), to("patient", expires_seconds=100)
    accept(journal, clock, 1, brief, patient, to(), seconds=50)
    accept(journal, clock, 2, brief, to(), seconds=None)
    clock.advance(11)
    assert sorted(journal.expire_due(10)) == [(Way.PUSH, TENANT, "brief")] * 2
    clock.advance(40)
    assert sorted(one[2] for one in journal.expire_due(10)) == ["patient", "welfare"]
    clock.advance(10_000)
    assert journal.expire_due(10) == []


def test_what_is_held_is_left_to_its_holder(journal: SqlJournal, clock: ManualClock) -> None:
    accept(journal, clock, 1)
    (claimed,) = claim(journal)
    clock.advance(30)
    assert journal.expire_due(10) == []
    clock.advance(31)  # the lease ran out, and nobody asked again
    assert journal.expire_due(10) == [(Way.PUSH, TENANT, "welfare")]
    late = Settlement(claimed.id, claimed.fence, DeliveryState.DELIVERED)
    assert journal.commit(Group(settle=[late]), OWNER, lease_seconds=60).settled == [None]


def test_what_stands_in_quarantine_is_left_to_a_person(journal: SqlJournal, clock: ManualClock) -> None:
    accept(journal, clock, 1)
    (claimed,) = claim(journal)
    given_up = Settlement(claimed.id, claimed.fence, DeliveryState.QUARANTINED, "gone")
    journal.commit(Group(settle=[given_up]), OWNER, lease_seconds=60)
    clock.advance(100)
    assert journal.expire_due(10) == []


def test_no_more_at_once_than_asked_and_the_longest_over_first(journal: SqlJournal, clock: ManualClock) -> None:
    for number, seconds in ((1, 9), (2, 3), (3, 6)):
        accept(journal, clock, number, seconds=seconds, key=str(number))
    clock.advance(10)
    for number in (2, 3, 1):
        assert len(journal.expire_due(1)) == 1
        assert state(journal, number) is DeliveryState.EXPIRED


def test_waiting_behind_another_does_not_keep_it_alive(journal: SqlJournal, clock: ManualClock) -> None:
    accept(journal, clock, 1, seconds=None)
    accept(journal, clock, 2)
    accept(journal, clock, 3, seconds=None)
    clock.advance(6)
    assert len(journal.expire_due(10)) == 1
    assert [state(journal, number) for number in (1, 2, 3)] == [DeliveryState.DUE, DeliveryState.EXPIRED, DeliveryState.DUE]
    assert [one.event.attributes.id for one in claim(journal)] == ["e1"]
