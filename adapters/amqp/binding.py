"""CloudEvents as AMQP messages, both ways.

Owns: the AMQP protocol binding for CloudEvents 1.0.2, sections 3.1 (binary mode: attributes as application properties, here AMQP 0-9-1
headers, with the prefix `cloudEvents_` or `cloudEvents:`; data in the body) and 3.2 (structured mode: the whole event in the body). Both
prefixes are read, `cloudEvents_` is written. Nothing is judged here: what came is handed on as it is, and the intake says what is wrong.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from aio_pika.abc import AbstractIncomingMessage
from pamqp.commands import Basic

from bus.event import OutgoingEvent
from bus.event_envelope import MEDIA_TYPE, context, envelope

PREFIX: Final = "cloudEvents_"
_PREFIXES: Final = ("cloudevents_", "cloudevents:")
_STRUCTURED: Final = "application/cloudevents"
_PERSISTENT: Final = 2


def outgoing(event: OutgoingEvent, mode: Literal["binary", "structured"]) -> tuple[bytes, Basic.Properties]:
    """Body and properties. The delivery's id, the idempotency key, is the message id too."""
    if mode == "structured":
        kind = f"{MEDIA_TYPE}; charset=utf-8"
        return envelope(event), Basic.Properties(content_type=kind, delivery_mode=_PERSISTENT, message_id=event.delivery)
    headers = {f"{PREFIX}{name}": value for name, value in context(event.attributes).items() if name != "datacontenttype"}
    kind = event.attributes.datacontenttype
    return event.data, Basic.Properties(content_type=kind, delivery_mode=_PERSISTENT, message_id=event.delivery, headers=dict(headers))


def is_structured(content_type: str) -> bool:
    """Whether the body holds the attributes too (or a batch, which the binding does not know)."""
    return content_type.strip().lower().startswith(_STRUCTURED)


def attributes(message: AbstractIncomingMessage) -> Mapping[str, str]:
    """What stands in the headers under one of the prefixes, lower case, without it; empty in structured mode."""
    if is_structured(message.content_type or ""):
        return {}
    found = {}
    for name, value in message.headers.items():
        lower = name.lower()
        if lower.startswith(_PREFIXES):
            found[lower[len(PREFIX) :]] = _text(value)
    return found


def _text(value: object) -> str:
    """A header's value in the canonical form of its CloudEvents type (CloudEvents 1.0.2, section "Type System")."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
