"""The publishing desk: what is taken, what is refused and how, and what becomes of events that nobody can be told about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bus.errors import EventRefused, Overloaded
from bus.event import EventOutcome, Wanted, Way
from bus.events.cloudevents import parse_binary
from bus.events.intake import INLINE_BYTES
from bus.events.render import Renderer, Translating
from bus.journal.tables import metadata
from bus.message import DeliveryState
from contracts.messages import LANGUAGES
from contracts.totals import Totals
from tests.backends import journal_content
from tests.events.event_city import (
    NAME,
    OTHER,
    PERSON,
    TENANT,
    TYPE,
    Desk,
    as_json,
    cloud_event,
    open_desk,
    record,
    write_desk_city,
)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(write_desk_city(tmp_path)) as opened:
        yield opened


async def refusal(desk: Desk, event: Any, to: str = "moved") -> EventRefused:
    with pytest.raises(EventRefused) as refused:
        await desk.publish(event, to)
    return refused.value


# --- what is taken


async def test_an_event_becomes_a_message_with_a_delivery_for_each_subscription(desk: Desk) -> None:
    taken = await desk.publish(cloud_event(record(kind="1")))
    assert taken.outcome is EventOutcome.ACCEPTED
    message = desk.journal.message(taken.message)
    assert (message.kind, message.identity.interface, message.identity.business_date) == ("event", "moved", "2026-11-18")
    made = desk.deliveries(taken.message)
    assert {name: one.state for name, one in made.items()} == {
        "welfare_moved": DeliveryState.DUE,
        "tax_moved": DeliveryState.DUE,
        "welfare_kind_2": DeliveryState.DELIVERED,
    }
    one, nothing = Totals(records=1), Totals()
    filtered = made["welfare_kind_2"]
    assert (filtered.taken_in, filtered.filtered, filtered.out) == (one, one, nothing)
    assert desk.counted.events == [("moved", "accepted")]
    assert desk.counted.published == ["http"]
    assert (await desk.publish(cloud_event(record(kind="2")))).deliveries[1][0] == "welfare_kind_2"


async def test_the_same_event_again_is_a_duplicate_however_it_is_written(desk: Desk) -> None:
    data = record()
    first = await desk.publish(cloud_event(data, id="one"))
    reordered = dict(reversed(list(data.items()))) | {"zip": None, "note": ""}
    again = await desk.publish(json.dumps(cloud_event(reordered, id="one", time="2026-11-20T00:00:00Z"), indent=3).encode())
    assert (again.message, again.outcome, again.deliveries) == (first.message, EventOutcome.DUPLICATE, ())
    to = desk.intake.interface(TENANT, "moved")
    headers = {"specversion": "1.0", "id": "one", "source": "/register", "type": TYPE}
    third = await desk.intake.publish(to, parse_binary("application/json", headers, as_json(data)))
    assert (third.message, third.outcome) == (first.message, EventOutcome.DUPLICATE)
    assert len(desk.deliveries(first.message)) == 3
    assert [outcome for _, outcome in desk.counted.events] == ["accepted", "duplicate", "duplicate"]
    other_source = await desk.publish(cloud_event(data, id="one", source="/other"))
    assert other_source.outcome is EventOutcome.ACCEPTED


@pytest.mark.parametrize("changed", ["name", "subject", "inreplyto"])
async def test_the_same_id_with_other_content_is_a_conflict(desk: Desk, changed: str) -> None:
    data = record()
    first = await desk.publish(cloud_event(data, id="one", type=TYPE))
    other: dict[str, Any] = {
        "name": cloud_event({**data, "name": NAME}, id="one"),
        "subject": cloud_event(data, id="one", subject="s"),
        "inreplyto": cloud_event(data, id="one", inreplyto=first.message),
    }
    refused = await refusal(desk, other[changed])
    assert (refused.message_id, refused.status, refused.facts) == ("RNK4303E", 409, {"message": first.message})
    assert NAME not in str(refused)
    assert desk.counted.events[-1] == ("moved", "conflict")
    assert len(desk.journal.messages(tenant=TENANT)) == 1


async def test_warnings_do_not_refuse(desk: Desk) -> None:
    taken = await desk.publish(cloud_event(record(zip="710-8565")))
    assert taken.outcome is EventOutcome.ACCEPTED


# --- what is refused


@pytest.mark.parametrize(
    ("event", "to", "status", "message_id"),
    [
        (cloud_event(type="jp.other"), "moved", 422, "RNK4306E"),
        (cloud_event(record(note="長" * 1000)), "short", 413, "RNK4305E"),
        (cloud_event(record(number="abc")), "moved", 422, "RNK4304E"),
        (cloud_event(record(kind="9")), "moved", 422, "RNK4304E"),
        (cloud_event({"number": "1"}), "moved", 422, "RNK4304E"),
        (cloud_event(record(unknown="x")), "moved", 422, "RNK4304E"),
        (cloud_event(record(name=5)), "moved", 400, "RNK1506E"),
        (cloud_event(record(name={"a": "b"})), "moved", 400, "RNK1506E"),
        (cloud_event(inreplyto="nothing"), "moved", 422, "RNK4307E"),
        (cloud_event(inreplyto=f"{TENANT}-m99999999"), "moved", 422, "RNK4307E"),
        (cloud_event(inreplyto=f"{TENANT}-m{'9' * 60}"), "moved", 422, "RNK4307E"),
        (cloud_event(inreplyto=f"{TENANT}-mx"), "moved", 422, "RNK4307E"),
        (cloud_event(inreplyto=f"{TENANT}-m-1"), "moved", 422, "RNK4307E"),
        (cloud_event(expirytime="soon"), "moved", 400, "RNK4310E"),
        (cloud_event(expirytime="9999-12-31T23:59:59-01:00"), "moved", 400, "RNK4310E"),
    ],
)
async def test_refusals_have_their_status_and_leave_nothing(desk: Desk, event: Any, to: str, status: int, message_id: str) -> None:
    refused = await refusal(desk, event, to)
    assert (refused.message_id, refused.status) == (message_id, status)
    assert all(refused.text(language) for language in LANGUAGES)
    assert desk.counted.events == [(to, "refused")]
    assert not desk.journal.messages(tenant=TENANT)


async def test_every_broken_rule_is_told_with_its_value_masked(desk: Desk) -> None:
    refused = await refusal(desk, cloud_event({"number": "x" + PERSON, "name": NAME, "kind": "7", "zip": "?", "odd": PERSON}))
    told = {(one["field"], one["rule"], one["severity"]) for one in refused.problems}
    assert told == {
        ("number", "length", "reject"), ("serial", "required", "reject"), ("kind", "codes", "reject"), ("zip", "pattern", "warn"),
        ("odd", "unknown_field", "reject"),
    }  # fmt: skip
    assert refused.facts["count"] == 4
    whole = f"{refused} {refused.facts} {refused.problems}"
    assert PERSON not in whole
    assert NAME not in whole


async def test_what_a_sender_wrote_where_a_name_should_stand_is_not_repeated(desk: Desk) -> None:
    for event in (
        cloud_event(type=f"person {PERSON}"),
        cloud_event(type=PERSON),
        cloud_event(inreplyto=PERSON),
        cloud_event(inreplyto=NAME),
    ):
        assert PERSON not in str(refused := await refusal(desk, event))
        assert NAME not in str(refused)
    assert "jp.renkei.other-v2" in str(await refusal(desk, cloud_event(type="jp.renkei.other-v2")))


async def test_an_unknown_interface_is_the_same_as_another_tenants(desk: Desk) -> None:
    for code, name in ((TENANT, "elsewhere"), (OTHER, "moved"), ("999999", "moved"), (TENANT, "nothing")):
        with pytest.raises(EventRefused) as refused:
            desk.intake.interface(code, name)
        assert (refused.value.message_id, refused.value.status) == ("RNK4302E", 404)


async def test_a_reply_to_another_tenants_message_is_refused(desk: Desk) -> None:
    there = await desk.publish(cloud_event(), "elsewhere", OTHER)
    refused = await refusal(desk, cloud_event(inreplyto=there.message), "answer")
    assert (refused.status, refused.message_id) == (422, "RNK4307E")
    asked = await desk.publish(cloud_event(), "question")
    with desk.signals.watching(("reply", asked.message)) as waiting:
        answered = await desk.publish(cloud_event(inreplyto=asked.message), "answer")
        assert await waiting.wait(10)
    reply = desk.journal.reply_to(asked.message)
    assert reply is not None
    assert (reply.message, reply.in_reply_to) == (answered.message, asked.message)


async def test_too_much_is_told_to_come_back_and_counted(tmp_path: Path) -> None:
    async with open_desk(write_desk_city(tmp_path), most_waiting=1) as desk:
        answers = await asyncio.gather(*(desk.publish(cloud_event()) for _ in range(20)), return_exceptions=True)
        refused = [one for one in answers if isinstance(one, Overloaded)]
        assert refused
        assert desk.counted.overloads == ["events_waiting"] * len(refused)
        assert len(desk.journal.messages(tenant=TENANT)) == 20 - len(refused)


# --- time


async def test_the_earliest_end_counts(desk: Desk) -> None:
    now_us = desk.clock.now_us()
    past, late = "2026-11-18T11:00:00Z", "2030-01-01T00:00:00+09:00"  # it is 11:06:40 UTC

    async def ends(to: str, **attributes: Any) -> dict[str, float]:
        taken = await desk.publish(cloud_event(**attributes), to)
        found = desk.journal.event(taken.message)
        claimed = {"message": found.expires_at_us}
        with desk.journal._database.read() as connection:
            deliveries = metadata.tables["deliveries"]
            for row in connection.execute(select(deliveries).where(deliveries.c.message == int(taken.message.partition("-m")[2]))):
                claimed[row.subscription] = row.expires_at_us
        return {name: -1 if at is None else (at - now_us) / 1e6 for name, at in claimed.items()}

    assert await ends("brief") == {"message": 60, "welfare_brief": 30, "tax_brief": 60}
    assert await ends("brief", expirytime=late) == {"message": 60, "welfare_brief": 30, "tax_brief": 60}
    before = await ends("brief", expirytime=past)
    assert set(before) == {"message", "welfare_brief", "tax_brief"}
    assert len(set(before.values())) == 1
    assert before["message"] < 0
    assert (await ends("moved"))["message"] == -1
    assert (await ends("moved", expirytime=late))["tax_moved"] > 86_400


async def test_the_business_date_turns_with_the_day_of_its_interface(desk: Desk) -> None:
    """What is published before 05:00 in Tokyo belongs to the evening before."""
    five_us = 1_795_032_000_000_000  # 2026-11-19 05:00 in Tokyo
    found = []
    for now_us in (five_us - 2_000_000, five_us - 1, five_us, five_us - 1):
        desk.clock.set_us(now_us)
        taken = await desk.publish(cloud_event(), "dated")
        found.append((desk.journal.message(taken.message).identity.business_date, set(desk.deliveries(taken.message))))
        other = await desk.publish(cloud_event(), "short")  # its day ends at noon
        assert desk.journal.message(other.message).identity.business_date == "2026-11-18"
    assert found == [("2026-11-18", {"until"}), ("2026-11-18", {"until"}), ("2026-11-19", {"from"}), ("2026-11-18", {"until"})]


# --- personal identifiers


async def test_the_person_stands_in_the_body_and_nowhere_else(desk: Desk) -> None:
    await desk.publish(cloud_event(record(PERSON, name=NAME)))
    await desk.publish(cloud_event(record(PERSON, name=NAME, serial="2")))
    refused = cloud_event(record(PERSON, name=NAME, kind="x"), type=TYPE)
    await desk.intake.receive(desk.incoming(as_json(refused)))
    places = set()
    with desk.journal._database.read() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for column, value in row._mapping.items():
                    text = bytes(value) if isinstance(value, bytes | memoryview) else repr(value).encode()
                    if any(secret.encode() in text for secret in (PERSON, NAME)):
                        places.add(f"{table.name}.{column}")
    assert places == {"messages.body"}
    keys = {one.ordering_key for one in desk.journal.deliveries(tenant=TENANT, subscription="welfare_moved")}
    assert keys == {desk.hashes.of(TENANT, PERSON)}
    assert desk.hashes.of(OTHER, PERSON) not in keys


async def test_a_body_beside_the_journal_leaves_no_person_in_its_bytes(desk: Desk) -> None:
    await desk.publish(cloud_event(record(PERSON, name=NAME, note="長" * INLINE_BYTES)))
    await desk.intake.receive(desk.incoming(as_json(cloud_event(record(PERSON, name=NAME, kind="x")))))
    for name, content in journal_content(desk.folder).items():
        for secret in (PERSON, NAME):
            assert secret.encode() not in content, name
            assert secret.encode("utf-16-le") not in content, name


# --- long bodies


class _NoTranslations:
    def translating(self, tenant: str, translation: str) -> Translating:
        raise AssertionError


@pytest.mark.parametrize("form", ["structured", "binary"])
async def test_a_long_body_goes_by_claim_check_both_ways(desk: Desk, form: str) -> None:
    data = record(note="長い備考。" * 10_000)
    to = desk.intake.interface(TENANT, "moved")

    async def publish() -> Any:
        if form == "structured":
            return await desk.publish(cloud_event(data, id="long", subject="s"))
        headers = {"specversion": "1.0", "id": "long", "source": "/register", "type": TYPE, "subject": "s"}
        return await desk.intake.publish(to, parse_binary("application/json", headers, as_json(data)))

    taken = await publish()
    draft = desk.journal.event(taken.message)
    assert draft.part is not None
    assert (draft.body, draft.form) == (b"", form)
    assert desk.journal.message(taken.message).bytes == draft.part.bytes > INLINE_BYTES
    parts = [path for path in (desk.folder / "var" / "payloads" / TENANT).rglob("*") if path.is_file()]
    assert len(parts) == 1
    again = await publish()
    assert (again.message, again.outcome) == (taken.message, EventOutcome.DUPLICATE)
    assert [path for path in (desk.folder / "var" / "payloads" / TENANT).rglob("*") if path.is_file()] == parts

    (one,) = await desk.commit.claim(Wanted(TENANT, "welfare_moved", 5, "node1", 60, Way.PULL))
    sent = await Renderer(_NoTranslations(), desk.payloads).render(one)
    assert sent is not None
    assert json.loads(sent.data) == data
    assert (sent.attributes.id, sent.attributes.subject) == ("long", "s")
    assert sent.attributes.extensions["renkeimessage"] == taken.message


async def test_a_body_at_the_edge_stands_in_the_journal(desk: Desk) -> None:
    headers = {"specversion": "1.0", "source": "/register", "type": TYPE}
    to = desk.intake.interface(TENANT, "moved")
    for extra, inside in ((0, True), (1, False)):
        data = record(note="")
        data["note"] = "Ａ"
        room = INLINE_BYTES - len(as_json(data)) + extra
        body = as_json(data)[:-1] + b" " * room + b"}"
        taken = await desk.intake.publish(to, parse_binary("application/json", {**headers, "id": f"edge {extra}"}, body))
        assert (desk.journal.event(taken.message).part is None) is inside
