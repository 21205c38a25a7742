"""Reading CloudEvents: from headers and bodies to attributes and data, as strictly as the specification.

Owns: the three content modes (CloudEvents 1.0.2, section "Message"; HTTP Protocol Binding 1.0.2, section 3; JSON Format 1.0.2) and what
attributes may be. What the data says is not looked at here. Whatever is wrong is an `EventRefused` with status 400 (415 for a content
type that is none of ours); no value of the sender stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import unquote

import orjson

from bus.errors import EventRefused
from bus.event import Attributes, Form
from contracts.strict_json import NotStrict, read_strictly, strict_decoder

MOST_IN_BATCH: Final = 1000
MOST_EXTENSIONS: Final = 20
_LENGTHS: Final = {"id": 256, "source": 1024, "type": 256, "subject": 1024, "dataschema": 1024, "time": 64, "datacontenttype": 128}
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,20}")
_LONG_NUMBER: Final = re.compile(r"[0-9]{4}")
_EXTENSION_LENGTH: Final = 1024
_OWN: Final = frozenset({"renkeimessage", "renkeidelivery", "renkeinumber", "renkeiexpires"})
"""Extensions that the bus itself adds: a sender's are left out, so that an event can be passed on as it was received."""
_INTEGERS: Final = 2**31
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-][01]\d:[0-5]\d|[+-]2[0-3]:[0-5]\d)", re.ASCII | re.IGNORECASE)
_JSON: Final = re.compile(r"(application|text)/([a-z0-9.+-]+\+)?json", re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NAMES: Final = ("id", "source", "type", "time", "subject", "datacontenttype", "dataschema")


@dataclass(frozen=True, slots=True)
class Published:
    """An event as it came. `body` is what is kept; `data` the JSON of its record, which for `binary` is the body itself."""

    attributes: Attributes
    form: Form
    body: bytes
    data: bytes


def parse_binary(content_type: str, headers: Mapping[str, str], body: bytes, *, encoded: bool = True) -> Published:
    """Binary mode: attributes in headers (names without prefix, lower case), data in the body. `encoded`: the values are written as in
    HTTP headers (HTTP Protocol Binding, section 3.1.3.2), in quotes or percent-encoded; AMQP has them as they are.

    Raises:
        EventRefused: not a CloudEvent (400), or data that is no JSON (415).
    """
    if not _JSON.fullmatch(content_type.partition(";")[0].strip()):
        raise EventRefused("RNK4311E", status=415)
    if len(headers) > MOST_EXTENSIONS + len(_NAMES) + 1:
        raise EventRefused("RNK4316E", most=MOST_EXTENSIONS)
    found: dict[str, Any] = dict(headers)
    if encoded:
        found.update({name: _decoded(name, value) for name, value in headers.items() if "%" in value or value[:1] == '"'})
    found["datacontenttype"] = "application/json"
    return Published(_attributes(found), "binary", body, body)


def parse_structured(body: bytes) -> Published:
    """Structured mode: one JSON object with attributes and `data`.

    Raises:
        EventRefused: not a CloudEvent.
    """
    return _structured(_json(body), body)


def parse_batch(body: bytes) -> list[Published | EventRefused]:
    """Batched mode: a JSON array of events. Each is taken or refused by itself.

    Raises:
        EventRefused: not an array, or of more than `MOST_IN_BATCH` events.
    """
    found = _json(body)
    if not isinstance(found, list):
        raise EventRefused("RNK4313E")
    if len(found) > MOST_IN_BATCH:
        raise EventRefused("RNK4314E", status=413, most=MOST_IN_BATCH)
    events: list[Published | EventRefused] = []
    for one in found:
        try:
            events.append(_structured(one, orjson.dumps(one)))
        except EventRefused as refused:
            events.append(refused)
        except (TypeError, orjson.JSONEncodeError):
            events.append(EventRefused("RNK4312E", reason="no Unicode text"))
    return events


def _decoded(name: str, value: str) -> str:
    """What a header's value says."""
    if _QUOTED.fullmatch(value):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise EventRefused("RNK4310E", name=name_shown(name)) from None


def _structured(found: Any, body: bytes) -> Published:
    if not isinstance(found, dict):
        raise EventRefused("RNK4313E")
    attributes = dict(found)
    data = attributes.pop("data", None)
    if attributes.pop("data_base64", None) is not None or not isinstance(data, dict):
        raise EventRefused("RNK4315E")
    kind = attributes.get("datacontenttype")
    if kind is None:
        kind = "application/json"
    if not isinstance(kind, str) or not _JSON.fullmatch(kind.partition(";")[0].strip()):
        raise EventRefused("RNK4311E", status=415)
    try:
        return Published(_attributes(attributes), "structured", body, orjson.dumps(data))
    except (TypeError, orjson.JSONEncodeError) as error:
        raise EventRefused("RNK4312E", reason="no Unicode text") from error


def _attributes(found: dict[str, Any]) -> Attributes:
    if found.pop("specversion", None) != "1.0":
        raise EventRefused("RNK4310E", name="specversion")
    known = {name: _known(name, found.pop(name, None)) for name in _NAMES}
    for name in ("id", "source", "type"):
        if not known[name]:
            raise EventRefused("RNK4310E", name=name)
    if known["time"]:
        time_us(known["time"], "time")
    extensions = {name: _extension(name, value) for name, value in found.items() if value is not None and name not in _OWN}
    if len(extensions) > MOST_EXTENSIONS:
        raise EventRefused("RNK4316E", most=MOST_EXTENSIONS)
    known["datacontenttype"] = known["datacontenttype"] or "application/json"
    return Attributes(**known, extensions=extensions)


def _known(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LENGTHS[name] or _UNSEEN.search(value):
        raise EventRefused("RNK4310E", name=name)
    return value


def _extension(name: str, value: Any) -> str:
    if not _EXTENSION.fullmatch(name) or name == "data":  # the JSON format has a member of that name
        raise EventRefused("RNK4317E")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and -_INTEGERS <= value < _INTEGERS:
        return str(value)
    if not isinstance(value, str) or len(value) > _EXTENSION_LENGTH or _UNSEEN.search(value):
        raise EventRefused("RNK4310E", name=name_shown(name))
    return value


def name_shown(name: str) -> str:
    """An attribute's name as it may be shown: what is no name, or holds a long number, can be anything a sender wrote."""
    return name if _EXTENSION.fullmatch(name) and not _LONG_NUMBER.search(name) else "?"


def time_us(text: str, name: str = "expirytime") -> int:
    """An RFC 3339 time (section 5.6) as UTC microseconds. A leap second counts as the one before it.

    Raises:
        EventRefused: it is none, or in UTC not within the years 1 to 9999; `name` is the attribute that says it.
    """
    if not _TIME.fullmatch(text):
        raise EventRefused("RNK4310E", name=name)
    whole = text.upper()
    if whole[17:19] == "60":
        whole = f"{whole[:17]}59{whole[19:]}"
    try:
        since = datetime.fromisoformat(whole).astimezone(UTC) - _EPOCH
    except (ValueError, OverflowError):
        raise EventRefused("RNK4310E", name=name) from None
    return since // _MICROSECOND


# --- JSON


def _json(body: bytes) -> Any:
    try:
        return read_strictly(body, _DECODER)
    except NotStrict as error:
        raise EventRefused("RNK4312E", reason=error.reason) from None


def _integer(text: str) -> int:
    """CloudEvents knows integers of 32 bits; whatever is longer is never converted."""
    if len(text) > 11:
        raise NotStrict("a number is too long")
    return int(text)


def _fraction(_text: str) -> float:
    return 0.5  # neither an attribute nor a value of a record is a fraction: it is refused wherever it stands


_DECODER: Final = strict_decoder(integer=_integer, fraction=_fraction)
