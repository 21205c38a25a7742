"""Renders claimed events: what a subscriber gets of an event that the journal holds.

Owns: the way from the body as it came to the data that leaves: taken out of the CloudEvent it came in, fetched from its part when it is
too long for the journal, translated into the subscriber's contract; and the attributes the bus adds. Most events need none of it: their
data is the body, untouched. As one CloudEvent in JSON it is written by `bus.event_envelope`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bus.clock import rfc3339
from bus.errors import JournalError, Permanent, Transient, TransportError
from bus.event import Attributes, ClaimedEvent, OutgoingEvent
from bus.payloads import owner_of
from bus.ports import PayloadStore
from contracts.errors import RenkeiError

Rendered = OutgoingEvent | TransportError | None
"""What leaves; or why it cannot; or None, when the translation leaves the record out."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that its translation refuses: `rules` are `field:rule`, without any value."""

    rules: Sequence[str]


class Translating(Protocol):
    """One translation, as events need it. May be called from any thread."""

    def data(self, data: Sequence[bytes]) -> Sequence[bytes | Refused | None]:
        """The data of each event in the target contract; None where the translation's filter leaves the record out.

        Raises:
            RenkeiError: one of `data` is not what the source contract says it is.
        """
        ...


class Translations(Protocol):
    """Finds the translations of the loaded configuration."""

    def translating(self, tenant: str, translation: str) -> Translating:
        """The translation of that name.

        Raises:
            RenkeiError: there is none.
        """
        ...


class Renderer:
    """Makes outgoing events. Safe to use for many at once."""

    def __init__(self, translations: Translations, payloads: PayloadStore) -> None:
        self._translations = translations
        self._payloads = payloads

    def quick(self, claimed: ClaimedEvent) -> OutgoingEvent | None:
        """What leaves, when it can be made without any work worth a thread; None: ask `render_all`."""
        event = claimed.event
        if claimed.translation is None and event.part is None and event.form == "binary":
            return outgoing(claimed, event.body, event.attributes)
        return None

    async def render(self, claimed: ClaimedEvent) -> OutgoingEvent | None:
        """What leaves; None when the translation leaves the record out.

        Raises:
            Transient: its part cannot be read now. Permanent: it can never be made.
        """
        rendered = self.quick(claimed) or (await self.render_all([claimed]))[0]
        if isinstance(rendered, TransportError):
            raise rendered
        return rendered

    async def render_all(self, claimed: Sequence[ClaimedEvent]) -> Sequence[Rendered]:
        """What leaves of each, in order. Those of one translation are translated together; it runs in a thread."""
        return await asyncio.to_thread(self._render_all, claimed)

    def _render_all(self, claimed: Sequence[ClaimedEvent]) -> Sequence[Rendered]:
        data: list[bytes | TransportError | None] = [self._data(one) for one in claimed]
        groups: dict[tuple[str, str], list[int]] = {}
        for place, one in enumerate(claimed):
            if one.translation is not None and isinstance(data[place], bytes):
                groups.setdefault((one.tenant, one.translation), []).append(place)
        for (tenant, name), places in groups.items():
            for place, found in zip(places, self._translated(tenant, name, [data[place] for place in places]), strict=True):
                data[place] = found
        return [
            outgoing(one, found, _translated_attributes(one)) if isinstance(found, bytes) else found
            for one, found in zip(claimed, data, strict=True)
        ]

    def _data(self, claimed: ClaimedEvent) -> bytes | TransportError:
        """The data as the publisher sent it."""
        event = claimed.event
        try:
            body = event.body if event.part is None else self._payloads.get(event.part, claimed.tenant, owner_of(event.part))
        except (JournalError, OSError) as error:
            return Transient("RNK4206E", message=event.message, reason=str(error))
        return body if event.form == "binary" else _data_of(body, event.message)

    def _translated(self, tenant: str, name: str, data: Sequence[Any]) -> Sequence[bytes | TransportError | None]:
        try:
            translated = self._translations.translating(tenant, name).data(data)
        except RenkeiError as error:
            if len(data) == 1:
                return [Permanent("RNK4210E", translation=name, reason=str(error))]
            return [found for one in data for found in self._translated(tenant, name, [one])]  # one bad record spoils no other
        return [_or_refused(found, name) for found in translated]


def outgoing(claimed: ClaimedEvent, data: bytes, attributes: Attributes) -> OutgoingEvent:
    """What leaves: the event's own attributes with those of the bus among its extensions."""
    event = claimed.event
    extensions = {
        **attributes.extensions,
        "renkeimessage": event.message,
        "renkeidelivery": claimed.id,
        "renkeinumber": str(claimed.number),
    }
    if event.in_reply_to is not None:
        extensions["inreplyto"] = event.in_reply_to
    if event.expires_at_us is not None:
        extensions["renkeiexpires"] = rfc3339(event.expires_at_us)
    return OutgoingEvent(
        claimed.tenant,
        claimed.subscription,
        claimed.endpoint,
        claimed.id,
        claimed.attempts + 1,
        Attributes(
            attributes.id,
            attributes.source,
            attributes.type,
            attributes.time,
            attributes.subject,
            attributes.datacontenttype,
            attributes.dataschema,
            extensions,
        ),
        data,
    )


def _translated_attributes(claimed: ClaimedEvent) -> Attributes:
    """The schema that the publisher named is not that of the translated data."""
    own = claimed.event.attributes
    return replace(own, dataschema="") if claimed.translation is not None and own.dataschema else own


def _or_refused(found: bytes | Refused | None, translation: str) -> bytes | TransportError | None:
    if isinstance(found, Refused):
        return Permanent("RNK4205E", translation=translation, rules=", ".join(found.rules))
    return found


def _data_of(body: bytes, message: str) -> bytes | TransportError:
    """The data of a structured CloudEvent (JSON Event Format 1.0.2, section 3.1), which was checked when it was accepted."""
    try:
        event: Mapping[str, Any] = json.loads(body)
        if "data_base64" in event:
            return base64.b64decode(event["data_base64"], validate=True)
        return json.dumps(event["data"], ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        return Permanent("RNK4206E", message=message, reason=type(error).__name__)
