"""Events from a queue, which have no publisher to tell; and deliveries that publishing hands to the dispatcher at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bus.broker.hints import Hints
from bus.errors import EventRefused, JournalError, JournalUnavailable, Overloaded
from bus.event import ClaimedEvent, Settlement
from bus.event_ports import Group
from bus.events.intake import INLINE_BYTES
from bus.message import DeliveryState, QuarantineEntry
from bus.payloads import owner_of
from contracts.errors import RenkeiError
from tests.events.event_city import NAME, PERSON, TENANT, TYPE, Desk, as_json, cloud_event, open_desk, record, write_desk_city


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(write_desk_city(tmp_path)) as opened:
        yield opened


def poison(desk: Desk) -> list[QuarantineEntry]:
    return list(desk.journal.quarantine(tenant=TENANT, kind="poison"))


async def test_a_good_event_from_a_queue_is_a_message(desk: Desk) -> None:
    await desk.intake.receive(desk.incoming(as_json(cloud_event(record(), id="a"))))
    headers = {"specversion": "1.0", "id": "100%25", "source": "/register", "type": TYPE}
    await desk.intake.receive(desk.incoming(as_json(record()), kind="application/json", **headers))
    await desk.intake.receive(desk.incoming(as_json(record()), kind="", **{**headers, "id": "c"}))
    names = [desk.journal.event(one.id).attributes.id for one in desk.journal.messages(tenant=TENANT)]
    assert names == ["c", "100%25", "a"]  # AMQP encodes nothing
    assert desk.counted.published == ["amqp"] * 3
    assert not poison(desk)


POISON: dict[str, tuple[bytes, str, dict[str, str], str]] = {
    "no JSON": (b"\xff\x00{", "application/cloudevents+json", {}, "RNK4312E"),
    "empty": (b"", "application/cloudevents+json", {}, "RNK4312E"),
    "no attributes": (as_json(record()), "application/json", {}, "RNK4310E"),
    "XML": (b"<a/>", "text/xml", {}, "RNK4311E"),
    "contract broken": (as_json(cloud_event(record(PERSON, kind="x"))), "application/cloudevents+json", {}, "RNK4304E"),
    "no flat object": (as_json(cloud_event(record(PERSON, name=5))), "application/cloudevents+json", {}, "RNK1506E"),
    "too long": (as_json(cloud_event(record(PERSON, note="長" * 400_000))), "application/cloudevents+json", {}, "RNK4305E"),
    "another type": (as_json(cloud_event(type=f"x{PERSON}")), "application/cloudevents+json", {}, "RNK4306E"),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
async def test_poison_goes_to_quarantine_bit_for_bit(desk: Desk, name: str) -> None:
    body, kind, headers, message_id = POISON[name]
    incoming = desk.incoming(body, kind=kind, **headers)
    await desk.intake.receive(incoming)
    await desk.intake.receive(incoming)  # the broker sent it again: it is one entry still
    (entry,) = poison(desk)
    reason = json.loads(str(entry.facts["reason"]))
    assert reason["message_id"] == message_id
    assert RenkeiError(message_id, **reason["facts"]).text("ja")
    assert PERSON not in json.dumps([entry.facts, entry.subject], default=str)
    assert entry.subject == "in.moved"
    (part,) = entry.parts
    assert desk.payloads.get(part, TENANT, owner_of(part)) == body
    assert desk.counted.events == [("moved", "refused")] * 2
    assert not desk.journal.messages(tenant=TENANT)


async def test_poison_is_told_to_operators_without_a_word_of_its_sender(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr("bus.events.intake.log", lambda message_id, **facts: told.append((message_id, facts)))
    body, kind, headers, message_id = POISON["another type"]
    await desk.intake.receive(desk.incoming(body, kind=kind, **headers))
    (entry,) = poison(desk)
    assert told == [("RNK4319W", {"tenant": TENANT, "interface": "moved", "entry": entry.id, "reason": message_id})]


async def test_an_interface_that_is_gone_keeps_what_still_comes(desk: Desk) -> None:
    await desk.intake.receive(desk.incoming(as_json(cloud_event()), "gone"))
    (entry,) = poison(desk)
    assert json.loads(str(entry.facts["reason"]))["message_id"] == "RNK4302E"


async def test_a_conflict_from_a_queue_stands_in_quarantine_and_is_counted_once(desk: Desk) -> None:
    await desk.publish(cloud_event(record(PERSON), id="one"))
    other = as_json(cloud_event(record(PERSON, name=NAME), id="one"))
    await desk.intake.receive(desk.incoming(other))
    (entry,) = poison(desk)
    assert json.loads(str(entry.facts["reason"]))["message_id"] == "RNK4303E"
    assert desk.payloads.get(entry.parts[0], TENANT, owner_of(entry.parts[0])) == other
    assert [outcome for _, outcome in desk.counted.events] == ["accepted", "conflict"]


@dataclass
class Failing:
    """The group commit's journal, in trouble."""

    error: Exception

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> Any:
        raise self.error


@pytest.mark.parametrize("to", ["moved", "gone"])
async def test_what_the_journal_cannot_take_now_stays_with_its_source(desk: Desk, monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    """Neither as a message nor as poison: the source is told, and tries again."""
    away = JournalUnavailable("RNK3001E", reason="away")
    monkeypatch.setattr(desk.commit, "_journal", Failing(away))

    def no_poison(*_: object) -> None:
        raise away

    monkeypatch.setattr(type(desk.journal), "poison", no_poison)
    with pytest.raises(JournalUnavailable):
        await desk.intake.receive(desk.incoming(as_json(cloud_event()), to))
    monkeypatch.undo()
    assert not poison(desk)
    await desk.intake.receive(desk.incoming(as_json(cloud_event())))
    assert len(desk.journal.messages(tenant=TENANT)) == 1


async def test_too_much_stays_with_its_source(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.commit, "_most_waiting", 0)
    with pytest.raises(Overloaded):
        await desk.intake.receive(desk.incoming(as_json(cloud_event())))
    assert not poison(desk)


async def test_what_the_journal_will_never_take_does_not_come_for_ever(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.commit, "_journal", Failing(JournalError("RNK3003E", reason="constraint")))
    await desk.intake.receive(desk.incoming(as_json(cloud_event())))
    (entry,) = poison(desk)
    assert json.loads(str(entry.facts["reason"]))["message_id"] == "RNK3003E"


async def test_a_full_disk_for_parts_is_not_the_events_fault(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise JournalUnavailable("RNK3024E", path="x", reason="no space left")

    monkeypatch.setattr(type(desk.payloads), "put", full)
    for body in (as_json(cloud_event(record(note="長" * INLINE_BYTES))), b"{"):
        with pytest.raises(JournalUnavailable):
            await desk.intake.receive(desk.incoming(body))
    assert not desk.journal.messages(tenant=TENANT)


# --- handing over


async def refused(desk: Desk, event: Any) -> None:
    with pytest.raises(EventRefused):
        await desk.publish(event)


@dataclass
class Dispatcher:
    """The dispatcher, as far as publishing knows it: as many places as a test says."""

    places: int = 1
    reserved: int = 0
    handed: list[ClaimedEvent] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)

    def reserve(self, tenant: str, endpoint: str, subscription: str) -> bool:
        if self.reserved >= self.places:
            return False
        self.reserved += 1
        return True

    def unreserve(self, tenant: str, endpoint: str) -> None:
        self.reserved -= 1

    def wake(self, tenant: str, subscription: str, count: int = 1) -> None:
        self.woken.append(subscription)

    def hand_over(self, claimed: Any) -> None:
        self.handed += claimed


async def test_a_delivery_is_handed_over_when_there_is_room_and_it_is_its_turn(tmp_path: Path) -> None:
    dispatcher = Dispatcher()
    async with open_desk(write_desk_city(tmp_path), handing=dispatcher) as desk:
        await desk.publish(cloud_event(record("1")))
        assert [one.subscription for one in dispatcher.handed] == ["tax_moved"]
        assert (dispatcher.reserved, dispatcher.woken) == (1, [])
        await desk.publish(cloud_event(record("2")))  # no room: it is told that something waits
        assert (len(dispatcher.handed), dispatcher.reserved, dispatcher.woken) == (1, 1, ["tax_moved"])
        dispatcher.places = 2
        await desk.publish(cloud_event(record("1")))  # behind the first of its person: the place is given back
        assert (len(dispatcher.handed), dispatcher.reserved, dispatcher.woken) == (1, 1, ["tax_moved", "tax_moved"])
        first = dispatcher.handed[0]
        assert await desk.commit.settle(Settlement(first.id, first.fence, DeliveryState.DELIVERED)) is DeliveryState.DELIVERED


async def test_places_are_given_back_whatever_goes_wrong(tmp_path: Path) -> None:
    dispatcher = Dispatcher(places=100)
    async with open_desk(write_desk_city(tmp_path), handing=dispatcher, most_waiting=1) as desk:
        event = cloud_event(record(PERSON), id="one")
        await desk.publish(event)
        assert dispatcher.reserved == len(dispatcher.handed) == 1
        await desk.publish(event)  # a duplicate
        await refused(desk, cloud_event(record(PERSON, name=NAME), id="one"))  # a conflict
        await refused(desk, cloud_event(record(kind="x")))
        await asyncio.gather(*(desk.publish(event) for _ in range(10)), return_exceptions=True)  # overloaded
        desk.commit._journal = Failing(JournalUnavailable("RNK3001E", reason="away"))
        with pytest.raises(JournalUnavailable):
            await desk.publish(cloud_event())
        task = asyncio.ensure_future(desk.publish(cloud_event()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises((asyncio.CancelledError, JournalUnavailable)):
            await task
        assert dispatcher.reserved == 1


async def test_without_a_dispatcher_here_others_are_told(desk: Desk) -> None:
    with desk.signals.watching(("pull", TENANT, "welfare_moved")) as pulling:
        taken = await desk.publish(cloud_event())
        assert await pulling.wait(10)
    hints: Hints = desk.hints
    to_tax = dict(taken.deliveries)["tax_moved"]
    assert await hints.wait(timeout_seconds=10) == {f"{to_tax}/tax_moved"}
    await desk.publish(cloud_event(id="two") | {"data": record()})
    assert len(await hints.wait(timeout_seconds=10)) == 1
