"""An event as applications see it: CloudEvents attributes (CloudEvents 1.0.2) and the data of one record.

Owns: both forms on the wire, structured JSON (JSON Event Format 1.0.2) and binary HTTP (HTTP Protocol Binding 1.0.2, section 3.1).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
_OWN: Final = ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")


@dataclass(frozen=True)
class Event:
    """One event. `data` is one record: texts by field name, `None` the same as absent.

    An event that is published needs `type`, `source` and `data`; its `id` is made when it is not given, and makes the event what it is:
    the same source and id is taken once, however often it is sent. Extension attributes have lower-case alphanumeric names.
    """

    type: str
    source: str
    data: Mapping[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    subject: str = ""
    time: str = ""
    dataschema: str = ""
    extensions: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The bus's id of the message; empty on an event that did not come from the bus."""
        return self.extensions.get("renkeimessage", "")

    @property
    def delivery(self) -> str:
        """The id of this delivery: the same whenever the same event comes again to the same subscription. Keep it to tell repeats."""
        return self.extensions.get("renkeidelivery", "")

    @property
    def number(self) -> int:
        """The place of the event in the order of its subscription; 0 on an event that did not come from the bus."""
        return int(self.extensions.get("renkeinumber", "0"))

    @property
    def in_reply_to(self) -> str:
        """The message id of the request that this event answers; empty for any other."""
        return self.extensions.get("inreplyto", "")

    def attributes(self) -> dict[str, str]:
        """The context attributes, empty ones left out."""
        own = {"id": self.id, "source": self.source, "type": self.type, "subject": self.subject, "time": self.time}
        own["dataschema"] = self.dataschema
        return {"specversion": "1.0", **{name: value for name, value in own.items() if value}, **self.extensions}

    def structured(self) -> dict[str, Any]:
        """The event as one JSON object."""
        return {**self.attributes(), "datacontenttype": "application/json", "data": dict(self.data)}

    def binary(self) -> tuple[dict[str, str], bytes]:
        """The event as HTTP headers and a body."""
        headers = {f"ce-{name}": _header_value(value) for name, value in self.attributes().items()}
        return {**headers, "content-type": "application/json"}, to_json(dict(self.data))

    @staticmethod
    def of_json(told: object) -> Event:
        """The event in a structured JSON object.

        Raises:
            ValueError: it is no CloudEvent 1.0 with JSON data.
        """
        if not isinstance(told, dict) or told.get("specversion") != "1.0":
            raise ValueError("this is no CloudEvent 1.0")
        texts = {name: value for name, value in told.items() if isinstance(value, str)}
        data = told.get("data")
        if not isinstance(data, dict) or not all(texts.get(name) for name in ("id", "source", "type")):
            raise ValueError("a CloudEvent of the bus has id, source, type and data")
        return Event(
            id=texts["id"],
            source=texts["source"],
            type=texts["type"],
            subject=texts.get("subject", ""),
            time=texts.get("time", ""),
            dataschema=texts.get("dataschema", ""),
            extensions={name: value for name, value in texts.items() if name not in _OWN and name != "data"},
            data=data,
        )


def to_json(told: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def time_text(time: datetime | str | None) -> str:
    """A time as CloudEvents writes it (RFC 3339); None: now.

    Raises:
        ValueError: a time without its zone.
    """
    if isinstance(time, str):
        return time
    if time is None:
        time = datetime.now(timezone.utc)
    if time.tzinfo is None:
        raise ValueError("an event's time needs its zone, e.g. datetime.now(timezone.utc)")
    return time.isoformat()


def _header_value(value: str) -> str:
    """Percent-encoded as section 3.1.3.2 of the binding says: blanks, quotes, percent signs and what is not printable ASCII."""
    return "".join(
        character if "!" <= character <= "~" and character not in '"%' else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in value
    )
