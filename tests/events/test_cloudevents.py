"""Reading CloudEvents: what is valid comes through as it was sent, whatever else is refused, and a refusal quotes nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.errors import EventRefused
from bus.event import Attributes
from bus.events.cloudevents import MOST_EXTENSIONS, MOST_IN_BATCH, Published, parse_batch, parse_binary, parse_structured, time_us

SECRET = "１２３４５６７８９０１２"
"""Stands for a person's number."""
KNOWN = {"specversion": "1.0", "id": "e-1", "source": "/register", "type": "jp.moved"}
JSON = "application/json"


def structured(**changes: Any) -> bytes:
    return json.dumps({**KNOWN, "data": {"number": "1"}, **changes}).encode()


# --- round trips

_LETTERS = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
_TEXT = st.text(_LETTERS, min_size=1, max_size=40)
_TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat())
_EXTENSIONS = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
        lambda name: (
            name not in {"id", "source", "type", "time", "subject", "data", "specversion"} and not name.startswith(("data", "renkei"))
        )
    ),
    st.text(_LETTERS, max_size=40),
    max_size=MOST_EXTENSIONS,
)


@st.composite
def _attributes(draw: st.DrawFn) -> dict[str, str]:
    named = {"id": draw(_TEXT), "source": draw(_TEXT), "type": draw(_TEXT)}
    optional = {"subject": _TEXT, "dataschema": _TEXT, "time": _TIMES}
    named |= {name: draw(values) for name, values in optional.items() if draw(st.booleans())}
    return {**named, **draw(_EXTENSIONS)}


def _read(published: Published) -> dict[str, str]:
    """All attributes as they were sent."""
    own = published.attributes
    known = {"id": own.id, "source": own.source, "type": own.type, "subject": own.subject, "dataschema": own.dataschema, "time": own.time}
    return {name: value for name, value in known.items() if value} | dict(own.extensions)


def _encoded(value: str) -> str:
    """Percent-encoding as the HTTP Protocol Binding asks for (section 3.1.3.2)."""
    return "".join(one if "!" <= one <= "~" and one not in '"%' else quote(one, safe="") for one in value)


@given(_attributes(), st.dictionaries(_TEXT, _TEXT, max_size=5))
def test_structured_binary_and_batched_say_the_same(attributes: dict[str, str], data: dict[str, str]) -> None:
    event = {"specversion": "1.0", **attributes, "data": data}
    body = json.dumps(event, ensure_ascii=False).encode()
    whole = parse_structured(body)
    assert (_read(whole), json.loads(whole.data), whole.body, whole.form) == (attributes, data, body, "structured")

    inner = json.dumps(data).encode()
    headers = {name: _encoded(value) for name, value in {"specversion": "1.0", **attributes}.items()}
    alone = parse_binary(JSON, headers, inner)
    assert (_read(alone), alone.data, alone.body, alone.form) == (attributes, inner, inner, "binary")
    as_is = parse_binary(JSON, {"specversion": "1.0", **attributes}, inner, encoded=False)
    assert _read(as_is) == attributes

    (one, other) = parse_batch(json.dumps([event, event], ensure_ascii=False).encode())
    assert isinstance(one, Published)
    assert one == other
    assert (_read(one), json.loads(one.data), json.loads(one.body), one.form) == (attributes, data, event, "structured")


def test_absent_and_null_attributes_are_the_same() -> None:
    published = parse_structured(structured(subject=None, time=None, someext=None, datacontenttype=None, data_base64=None))
    assert published.attributes == Attributes("e-1", "/register", "jp.moved")


def test_extensions_of_other_types_have_their_canonical_form() -> None:
    published = parse_structured(structured(flag=True, off=False, count=-7, most=2**31 - 1))
    assert published.attributes.extensions == {"flag": "true", "off": "false", "count": "-7", "most": "2147483647"}


def test_what_the_bus_itself_adds_is_left_out() -> None:
    published = parse_structured(
        structured(renkeimessage="m", renkeidelivery="d", renkeinumber="1", renkeiexpires="x", inreplyto="332020-m1")
    )
    assert published.attributes.extensions == {"inreplyto": "332020-m1"}


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("%E5%80%89%E6%95%B7", "倉敷"),
        ("100%25", "100%"),
        ("%zz", "%zz"),
        ("%", "%"),
        ("%4", "%4"),
        ("a%41b", "aAb"),
        ('"two words"', "two words"),
        ('"a \\"quoted\\" \\\\ word"', 'a "quoted" \\ word'),
        ('"%41"', "A"),
        ('"unfinished', '"unfinished'),
        ("%2541", "%41"),  # one round of decoding
    ],
)
def test_header_values_are_decoded_once(written: str, means: str) -> None:
    assert parse_binary(JSON, {**KNOWN, "subject": written}, b"{}").attributes.subject == means
    assert parse_binary(JSON, {**KNOWN, "subject": written}, b"{}", encoded=False).attributes.subject == written  # AMQP encodes nothing


# --- times

GOOD_TIMES = {
    "1970-01-01T00:00:00Z": 0,
    "1970-01-01T00:00:01.5Z": 1_500_000,
    "1970-01-01t00:00:00.123456789z": 123_456,
    "1970-01-01T09:00:00+09:00": 0,
    "1969-12-31T19:00:00-05:00": 0,
    "1970-01-01T00:00:00-00:00": 0,
    "2016-12-31T23:59:60Z": 1_483_228_799_000_000,
    "2017-01-01T08:59:60.25+09:00": 1_483_228_799_250_000,
    "2026-11-20T01:30:00+23:59": 1_795_051_860_000_000,
}
BAD_TIMES = (
    "",
    "soon",
    "2026-11-20",
    "2026-11-20T01:30Z",
    "2026-11-20T01:30:00",
    "2026-11-20 01:30:00Z",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-20T24:00:00Z",
    "2026-11-20T01:60:00Z",
    "2026-11-20T01:30:61Z",
    "2026-99-99T99:99:60Z",
    "2026-02-30T00:00:60Z",
    "2026-11-20T01:30:00+24:00",
    "2026-11-20T01:30:00+09:60",
    "2026-11-20T01:30:00+9:00",
    "2026-11-20T01:30:00.Z",
    "2026-11-20T01:30:00.1234567890Z",
    "２０２６-11-20T01:30:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "2026-11-20T01:30:00Z\n",
    "+2026-11-20T01:30:00Z",
)


@pytest.mark.parametrize("text", GOOD_TIMES)
def test_times_of_rfc_3339(text: str) -> None:
    assert time_us(text) == GOOD_TIMES[text]
    assert parse_structured(structured(time=text)).attributes.time == text


@pytest.mark.parametrize("text", BAD_TIMES)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(EventRefused) as refused:
        time_us(text)
    assert (refused.value.message_id, refused.value.status, refused.value.facts) == ("RNK4310E", 400, {"name": "expirytime"})
    if text:
        with pytest.raises(EventRefused, match="time"):
            parse_structured(structured(time=text))


# --- the hostile corpus

_VERSIONS: list[Any] = ["0.3", "1", "1.0.2", 1.0, 1, None, "", [], {}, True, "１.0"]
_WRONG: list[Any] = ["", None, 1, True, [], {}]
_DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \n",
    "not JSON": b"{",
    "two events": structured() + structured(),
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "a name twice": b'{"id":"a","id":"b"}',
    "a name twice, deep inside": structured()[:-1] + b',"ext":{"a":1,"a":2}}',
    "a name twice in the data": b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":"1","a":"2"}}',
    "deep lists": _DEEP,
    "deep lists inside": structured()[:-1] + b',"ext":' + _DEEP + b"}",
    "deep data": b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
    "quite deep data": b'{"specversion":"1.0","id":"1","source":"s","type":"t","data":' + b'{"a":' * 300 + b"1" + b"}" * 301,
    "a huge number": b'{"id":' + b"9" * 100_000 + b"}",
    "a huge exponent": b'{"specversion":"1.0","id":1e999999,"source":"s","type":"t","data":{}}',
    "NaN": b'{"id":NaN}',
    "Infinity": b'{"id":-Infinity}',
    "a byte order mark": b"\xef\xbb\xbf" + structured(),
    "UTF-16": structured().decode().encode("utf-16"),
    "invalid UTF-8": b'{"id":"\xff"}',
    "overlong UTF-8": b'{"id":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"id":"\xed\xa0\x80"}',
    "a raw control character": b'{"id":"a\x01b"}',
    "data is base64": structured(data_base64="e30=", data=None),
    "data and base64": structured(data_base64="e30="),
    "data is a text": structured(data="{}"),
    "data is a list": structured(data=[{}]),
    "data is null": structured(data=None),
    "data is a number": structured(data=1),
    "data with a surrogate": structured(data={"a": "\ud800"}),
    "a name that is a surrogate": structured(data={"\ud800": "a"}),
    "no data": json.dumps(KNOWN).encode(),
    "XML": structured(datacontenttype="application/xml"),
    "the content type is a number": structured(datacontenttype=1),
    "a long extension": structured(ext="x" * 1025),
    "an extension in capitals": structured(Ext="x"),
    "an extension with a line": structured(a_b="x"),
    "an extension without a name": structured(**{"": "x"}),
    "an extension that is an object": structured(ext={"a": "b"}),
    "an extension that is a list": structured(ext=["a"]),
    "an extension that is a fraction": structured(ext=1.5),
    "an extension of 32 bits and more": structured(ext=2**31),
    "a thousand extensions": structured(**{f"ext{number}": "x" for number in range(1000)}),
    **{f"specversion {value!r}": structured(specversion=value) for value in _VERSIONS},
    **{f"{name} is {value!r}": structured(**{name: value}) for name in ("id", "source", "type") for value in _WRONG},
    **{f"{name} with {ord(c):04x}": structured(**{name: f"a{c}b"}) for name in (*KNOWN, "ext") for c in "\0\n\x7f\x9f\ud800\uffff"},
    **{f"a long {name}": structured(**{name: "x" * 1025}) for name in ("id", "source", "type", "subject", "dataschema", "datacontenttype")},
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_events_are_refused(name: str) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_structured(HOSTILE[name])
    assert refused.value.status in (400, 415)
    batch = HOSTILE[name]
    if name not in ("a list", "nothing", "blank"):
        try:
            events = parse_batch(b"[" + batch + b"," + structured() + b"]")
        except EventRefused:
            return  # the whole is no JSON
        assert isinstance(events[-1], Published), "one spoils another"
        assert isinstance(events[0], EventRefused) or name == "two events"


HEADERS: dict[str, dict[str, str]] = {
    "none": {},
    "an id that is no UTF-8": {**KNOWN, "id": "%ff%fe"},
    "half a character": {**KNOWN, "id": "%E5%80"},
    "an encoded surrogate": {**KNOWN, "id": "%ED%A0%80"},
    "an encoded control character": {**KNOWN, "id": "a%00b"},
    "an encoded line break": {**KNOWN, "subject": "a%0d%0ab"},
    "a quoted control character": {**KNOWN, "subject": '"a\\\x01b"'},
    "a raw control character": {**KNOWN, "subject": "a\x85b"},
    "empty quotes": {**KNOWN, "id": '""'},
    "data": {**KNOWN, "data": "{}"},
    "a name with a hyphen": {**KNOWN, "ce-id": "x"},
    "a name of another script": {**KNOWN, "名": "x"},
    "a thousand extensions": {**KNOWN, **{f"ext{number}": "x" for number in range(1000)}},
    "one extension too many": {**KNOWN, **{f"ext{number}": "x" for number in range(MOST_EXTENSIONS + 1)}},
    "other version": {**KNOWN, "specversion": "0.3"},
    "a bad time": {**KNOWN, "time": "2026-99-99T99:99:60Z"},
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("encoded", [True, False])
def test_hostile_headers_are_refused(name: str, encoded: bool) -> None:
    if not encoded and any(mark in value for value in HEADERS[name].values() for mark in '%"'):
        return  # AMQP: these are the characters themselves
    with pytest.raises(EventRefused) as refused:
        parse_binary(JSON, HEADERS[name], b"{}", encoded=encoded)
    assert refused.value.status == 400


def test_as_many_extensions_as_may_be() -> None:
    found = parse_binary(
        JSON, {**KNOWN, "time": "2026-11-20T01:30:00Z", "subject": "s", **{f"e{n}": "x" for n in range(MOST_EXTENSIONS)}}, b"{}"
    )
    assert len(found.attributes.extensions) == MOST_EXTENSIONS


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "application/jsonx", "json", "application/json, x", "multipart/form-data"]
)
def test_other_content_types_are_refused(kind: str) -> None:
    with pytest.raises(EventRefused) as refused:
        parse_binary(kind, KNOWN, b"{}")
    assert (refused.value.status, refused.value.message_id) == (415, "RNK4311E")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.city+json", "text/json ;x=y"])
def test_content_types_of_json_are_taken(kind: str) -> None:
    assert parse_binary(kind, KNOWN, b"{}").attributes.datacontenttype == JSON


def test_a_batch_has_a_limit() -> None:
    event = structured()
    assert len(parse_batch(b"[" + b",".join([event] * MOST_IN_BATCH) + b"]")) == MOST_IN_BATCH
    with pytest.raises(EventRefused) as refused:
        parse_batch(b"[" + b",".join([event] * (MOST_IN_BATCH + 1)) + b"]")
    assert refused.value.status == 413
    assert parse_batch(b"[]") == []


def test_a_batch_is_a_list() -> None:
    for body in (b"{}", b"null", structured()):
        with pytest.raises(EventRefused) as refused:
            parse_batch(body)
        assert (refused.value.status, refused.value.message_id) == (400, "RNK4313E")


# --- fuzz

_NAMES = st.sampled_from([*KNOWN, "time", "subject", "data", "data_base64", "datacontenttype", "dataschema", "expirytime", "Ext", "ext"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10) | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)
_EVENTS = st.dictionaries(_NAMES, _VALUES, max_size=8).map(lambda changed: json.dumps({**KNOWN, "data": {}, **changed}).encode())
_HEADERS = st.dictionaries(
    _NAMES | st.text(max_size=3), st.text(st.sampled_from('%"\\abfzF09é/ 倉\0\ud800') | st.characters(), max_size=20), max_size=8
)


def _read_or_refused(read: Callable[[], Any]) -> Any:
    """What was read; or the refusal, which quotes nobody."""
    try:
        return read()
    except EventRefused as refused:
        told = f"{refused} {refused.facts} {refused.problems}"
    assert SECRET not in told
    return None


@settings(suppress_health_check=[HealthCheck.large_base_example])
@given(st.binary(max_size=300) | _VALUES.map(lambda value: json.dumps(value).encode()) | _EVENTS)
def test_any_bytes_are_an_event_or_are_refused(body: bytes) -> None:
    published = _read_or_refused(lambda: parse_structured(body))
    assert published is None or isinstance(json.loads(published.data), dict)
    assert _read_or_refused(lambda: parse_binary(JSON, {}, body)) is None
    events = _read_or_refused(lambda: parse_batch(b"[" + body + b"]"))
    assert all(isinstance(one, Published | EventRefused) for one in events or ())


@given(_HEADERS)
def test_any_headers_are_an_event_or_are_refused(headers: dict[str, str]) -> None:
    for encoded in (True, False):
        published = _read_or_refused(lambda encoded=encoded: parse_binary(JSON, {**KNOWN, **headers}, b"{}", encoded=encoded))  # type: ignore[misc]
        if published is not None:
            own = published.attributes
            "".join([own.id, own.source, own.type, own.subject, *own.extensions, *own.extensions.values()]).encode()  # text, all of it


_PLACES = ["id", "source", "type", "subject", "time", "dataschema", "datacontenttype", "specversion", "expirytime", "ext", "Ext", SECRET]


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize("broken", ["", "\n", "\ud800", "x" * 2000])
def test_a_refusal_quotes_no_value(place: str, broken: str) -> None:
    """Whatever is wrong, wherever a person's number stands."""
    for wrong in ({place: SECRET + broken}, {place: [SECRET]}, {place: {SECRET: SECRET}}):
        body = structured(**{**wrong, "Wrong": SECRET})
        assert _read_or_refused(lambda body=body: parse_structured(body)) is None  # type: ignore[misc]
    headers = {**KNOWN, place: f"{SECRET}{broken}%ff", "Wrong": SECRET}
    assert _read_or_refused(lambda: parse_binary(JSON, headers, b"{}")) is None
