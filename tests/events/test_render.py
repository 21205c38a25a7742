"""What a subscriber gets of an event: the data as it came, taken out of its envelope, fetched from its part, translated."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from bus.errors import JournalError, Permanent, Transient
from bus.event import Attributes
from bus.event_envelope import envelope
from bus.events.render import Renderer, Translating
from bus.message import Part
from contracts.errors import EventUnreadable
from tests.events.sending_doubles import Bodies, NoTranslations, Upper, claimed

PART = Part("event", 0, "332020/event-ab/p", 10, 10, "ab", "identity", True)


def renderer(body: bytes = b"") -> Renderer:
    return Renderer(NoTranslations(), Bodies(body))


def structured(**members: Any) -> bytes:
    return json.dumps({"specversion": "1.0", "id": "e1", "source": "/x", "type": "t", **members}).encode()


def test_a_binary_body_leaves_untouched() -> None:
    one = claimed(body=b'{ "a" :  "\xe5\xb1\xb1" }')
    event = renderer().quick(one)
    assert event is not None
    assert event.data is one.event.body
    assert (event.delivery, event.attempt) == (one.id, 1)


async def test_the_bus_adds_its_own_attributes() -> None:
    given = Attributes("e1", "/x", "t", extensions={"renkeinumber": "forged", "traceparent": "00-1"})
    one = claimed(7, attempts=2, attributes=given, in_reply_to="332020-m3", expires_at_us=1_795_000_000_123_456)
    event = await renderer().render(one)
    assert event is not None
    assert event.attempt == 3
    assert event.attributes.extensions == {
        "traceparent": "00-1",
        "renkeimessage": "332020-m7",
        "renkeidelivery": "332020-d7",
        "renkeinumber": "7",
        "inreplyto": "332020-m3",
        "renkeiexpires": "2026-11-18T11:06:40.123456Z",
    }
    sent = json.loads(envelope(event))
    assert sent["renkeidelivery"] == "332020-d7"
    assert sent["data"] == {"number": "7"}


async def test_data_is_taken_out_of_a_structured_event() -> None:
    event = await renderer().render(claimed(form="structured", body=structured(data={"a": "山", "b": None})))
    assert event is not None
    assert event.data == '{"a":"山","b":null}'.encode()
    encoded = base64.b64encode(b'{"a":"1"}').decode()
    event = await renderer().render(claimed(form="structured", body=structured(data_base64=encoded)))
    assert event is not None
    assert event.data == b'{"a":"1"}'


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": "e1"}', b"\xff", b'{"data_base64": "?"}'])
async def test_a_body_that_is_none_is_given_up(body: bytes) -> None:
    with pytest.raises(Permanent) as raised:
        await renderer().render(claimed(form="structured", body=body))
    assert raised.value.message_id == "RNK4206E"


async def test_a_long_body_comes_from_its_part() -> None:
    event = await renderer(b'{"long": "body"}').render(claimed(part=PART, body=b""))
    assert event is not None
    assert event.data == b'{"long": "body"}'


class Damaged(Bodies):
    """A payload store whose disk has gone."""

    def get(self, part: Part, tenant: str, message: str) -> bytes:
        raise JournalError("RNK3003E", reason="gone")


async def test_a_part_that_cannot_be_read_is_tried_again() -> None:
    with pytest.raises(Transient) as raised:
        await Renderer(NoTranslations(), Damaged()).render(claimed(part=PART, body=b""))
    assert raised.value.message_id == "RNK4206E"


class Counting(NoTranslations):
    """Counts how often translations were asked for."""

    asked = 0

    def translating(self, tenant: str, translation: str) -> Translating:
        self.asked += 1
        return super().translating(tenant, translation)


async def test_a_group_is_translated_together_and_each_told_apart() -> None:
    bodies = [b'{"a": "x"}', b'{"a": "refuse"}', b'{"a": "leave"}', b'{"a": "y"}']
    group = [claimed(number, translation="upper@1.0", body=body) for number, body in enumerate(bodies)]
    plain = claimed(9, form="structured", body=structured(data={"a": "z"}))
    translations = Counting()
    first, refused, left_out, last, untranslated = await Renderer(translations, Bodies()).render_all([*group, plain])
    assert translations.asked == 1
    assert getattr(first, "data", None) == b'{"A": "X"}'
    assert isinstance(refused, Permanent)
    assert "name:too_long" in str(refused)
    assert left_out is None
    assert getattr(last, "data", None) == b'{"A": "Y"}'
    assert getattr(untranslated, "data", None) == b'{"a":"z"}'


class Strict(Upper):
    """A translation that cannot read everything."""

    def data(self, data: Any) -> Any:
        if any(b"unreadable" in one for one in data):
            raise EventUnreadable("RNK1508E")
        return super().data(data)


class Stricter(NoTranslations):
    """Knows only that."""

    def translating(self, tenant: str, translation: str) -> Translating:
        return Strict()


async def test_one_record_that_cannot_be_translated_spoils_no_other() -> None:
    bodies = [b'{"a": "x"}', b'{"a": "unreadable"}', b'{"a": "y"}']
    group = [claimed(number, translation="upper@1.0", body=body) for number, body in enumerate(bodies)]
    first, bad, last = await Renderer(Stricter(), Bodies()).render_all(group)
    assert getattr(first, "data", None) == b'{"A": "X"}'
    assert isinstance(bad, Permanent)
    assert bad.message_id == "RNK4210E"
    assert getattr(last, "data", None) == b'{"A": "Y"}'


async def test_the_schema_of_the_publisher_is_not_that_of_translated_data() -> None:
    one = claimed(attributes=Attributes("e1", "/x", "t", dataschema="/schema"))
    plain = await renderer().render(one)
    translated = await renderer().render(replace(one, translation="upper@1.0"))
    assert plain is not None
    assert translated is not None
    assert (plain.attributes.dataschema, translated.attributes.dataschema) == ("/schema", "")
