"""The bus's nouns as plain JSON-able dicts, the one form that API, console and command line show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from bus.event import EventDraft
from contracts.masking import HIDDEN
from contracts.totals import Totals


def shown(thing: object) -> Any:
    """Dataclasses as dicts, enums as their values, totals as `{"records", "sums"}`, paths as text; anything else as it is."""
    if isinstance(thing, Totals):
        return thing.as_json()
    if isinstance(thing, Enum | Path):
        return str(thing.value if isinstance(thing, Enum) else thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return {field.name: shown(getattr(thing, field.name)) for field in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(key): shown(value) for key, value in thing.items()}
    if isinstance(thing, Sequence) and not isinstance(thing, str | bytes):
        return [shown(item) for item in cast("Sequence[object]", thing)]
    return thing


def event_shown(event: EventDraft, personal: bool) -> dict[str, object]:
    """The attributes of an event, without its data. The subject may name a person: with `personal` nothing of it is shown."""
    attributes = event.attributes
    subject = HIDDEN if personal and attributes.subject else attributes.subject
    return {
        "id": attributes.id,
        "source": attributes.source,
        "type": attributes.type,
        "time": attributes.time,
        "subject": subject,
        "form": event.form,
        "expires_at_us": event.expires_at_us,
        "in_reply_to": event.in_reply_to,
    }
