"""Publishing over HTTP: a thin ASGI route, because every event passes here.

Owns: `POST /v1/{tenant}/interfaces/{interface}/events` in the three content modes of CloudEvents (HTTP Protocol Binding 1.0.2, section 3).
What an event must be is decided in `bus.events`; here are headers, limits and answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from bus.api.bodies import PATIENCE_SECONDS, CallerLeft, Room, too_long
from bus.api.problems import PROBLEM, CallRefused, described, language_of, told
from bus.api.rights import Rights
from bus.api.sign_in import SignIn
from bus.errors import EventRefused, JournalError, Overloaded
from bus.event import EventTaken
from bus.event_envelope import BATCH_MEDIA_TYPE, MEDIA_TYPE
from bus.events.cloudevents import Published, name_shown, parse_batch, parse_binary, parse_structured
from bus.events.intake import EventIntake
from bus.events.recipes import EventInterface
from contracts.errors import RenkeiError
from contracts.messages import Language

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BATCH_BYTES: Final = 8 * 1024 * 1024
"""The longest batch; each of its events is held to its interface's limit besides."""
_JSON: Final = (b"content-type", b"application/json")
_PREFIX: Final = b"ce-"


@dataclass(frozen=True, slots=True)
class _Call:
    """One request's headers, as far as they matter."""

    content_type: str
    authorization: bytes | None
    attributes: dict[str, str]
    declared_bytes: int
    language: Language

    @property
    def kind(self) -> str:
        """The media type without its parameters."""
        return self.content_type.partition(";")[0].strip().lower()


class PublishRoute:
    """The ASGI application of the publish route."""

    def __init__(self, intake: EventIntake, sign_in: SignIn, rights: Rights, room: Room) -> None:
        self._intake = intake
        self._sign_in = sign_in
        self._rights = rights
        self._room = room

    @staticmethod
    def place(path: str) -> tuple[str, str] | None:
        """Tenant and interface of a path of this route; None: it is another's."""
        steps = path.split("/")
        if len(steps) == 6 and steps[1] == "v1" and steps[3] == "interfaces" and steps[5] == "events":
            return steps[2], steps[4]
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one event, or a batch; whatever is wrong is answered as problem details (RFC 9457)."""
        headers = scope["headers"]
        try:
            place = self.place(scope["path"])
            assert place is not None  # noqa: S101 - asked before this route is called
            call = _call(headers)
            who = self._sign_in.who(place[0], call.authorization)
            self._rights.events(who, place[1])
            status, answer = await self._take(self._intake.interface(*place), call, receive)
        except CallerLeft:
            return
        except RenkeiError as error:
            await _refuse(send, told(error), language_of(headers))
            return
        await _answer(send, status, answer, [_JSON])

    async def take_one(self, to: EventInterface, headers: list[tuple[bytes, bytes]], receive: Receive) -> EventTaken:
        """Take one event, and no batch, of a request whose caller may publish on this interface.

        Raises:
            EventRefused, CallRefused: why not. Overloaded, JournalUnavailable: not now. CallerLeft.
        """
        call = _call(headers)
        if call.kind == BATCH_MEDIA_TYPE:
            raise EventRefused("RNK4311E", status=415)
        return await self._single(to, call, receive)

    async def _take(self, to: EventInterface, call: _Call, receive: Receive) -> tuple[int, bytes]:
        if call.kind == BATCH_MEDIA_TYPE:
            return await self._batch(to, parse_batch(await _body(receive, call, BATCH_BYTES, self._room)), call.language)
        taken = await self._single(to, call, receive)
        return 202, b'{"message":"%b","outcome":"%b"}' % (taken.message.encode(), taken.outcome.value.encode())

    async def _single(self, to: EventInterface, call: _Call, receive: Receive) -> EventTaken:
        body = await _body(receive, call, to.interface.event.max_bytes, self._room)
        try:
            published = parse_structured(body) if call.kind == MEDIA_TYPE else parse_binary(call.content_type, call.attributes, body)
        except EventRefused:
            self._intake.unreadable(to.tenant, to.interface.id)
            raise
        return await self._intake.publish(to, published)

    async def _batch(self, to: EventInterface, batch: list[Published | EventRefused], language: Language) -> tuple[int, bytes]:
        """Each event by itself, all with the same commits: 202 when all are well, else 207 with each one's answer."""
        results = await asyncio.gather(*(self._one(to, one, language) for one in batch))
        status = 202 if all(result["status"] == 202 for result in results) else 207
        return status, json.dumps({"results": results}, ensure_ascii=False).encode()

    async def _one(self, to: EventInterface, event: Published | EventRefused, language: Language) -> dict[str, object]:
        try:
            if isinstance(event, EventRefused):
                self._intake.unreadable(to.tenant, to.interface.id)
                raise event
            taken = await self._intake.publish(to, event)
            return {"id": event.attributes.id, "status": 202, "message": taken.message, "outcome": taken.outcome.value}
        except (EventRefused, Overloaded, JournalError) as error:
            found = described(told(error), language)
            named = {"id": event.attributes.id} if isinstance(event, Published) else {}
            return {**named, **{key: found[key] for key in ("status", "message_id", "detail", "problems")}}


def _call(headers: list[tuple[bytes, bytes]]) -> _Call:
    attributes: dict[str, str] = {}
    content_type, authorization, declared = "", None, -1
    for name, value in headers:
        if name.startswith(_PREFIX):
            key = name[3:].decode("latin-1")
            if key in attributes:
                raise EventRefused("RNK4310E", name=name_shown(key))
            attributes[key] = _text(value, key)
        elif name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"authorization":
            authorization = value
        elif name == b"content-length" and value.isdigit() and len(value) <= 18:
            declared = int(value)
    return _Call(content_type, authorization, attributes, declared, language_of(headers))


def _text(value: bytes, name: str) -> str:
    """A header's value: printable ASCII, other characters percent-encoded (HTTP Protocol Binding, section 3.1.3.2)."""
    if not value.isascii():
        raise EventRefused("RNK4310E", name=name_shown(name))
    return value.decode("ascii")


async def _body(receive: Receive, call: _Call, most_bytes: int, room: Room) -> bytes:
    """The whole body, counted as it comes.

    Raises:
        CallRefused: 408 it takes too long, 413 it is longer than `most_bytes`. Overloaded: too many bytes of bodies are there already.
        CallerLeft.
    """
    if call.declared_bytes > most_bytes:
        raise too_long(most_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):  # the usual case
        whole: bytes = message.get("body", b"")
        if len(whole) > most_bytes:
            raise too_long(most_bytes)
        return whole
    body = bytearray()
    try:
        with room.body() as held:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    if message["type"] == "http.disconnect":
                        raise CallerLeft
                    piece = message.get("body", b"")
                    held.grow(piece)
                    body += piece
                    if len(body) > most_bytes:
                        raise too_long(most_bytes)
                    if not message.get("more_body", False):
                        return bytes(body)
                    message = await receive()
    except TimeoutError:
        raise CallRefused("RNK7212E", status=408, headers={"connection": "close"}, seconds=PATIENCE_SECONDS) from None


async def _refuse(send: Send, error: CallRefused | EventRefused, language: Language) -> None:
    headers = [(b"content-type", PROBLEM.encode())]
    if isinstance(error, CallRefused):
        headers += [(name.encode(), value.encode()) for name, value in error.headers.items()]
    await _answer(send, error.status, json.dumps(described(error, language), ensure_ascii=False).encode(), headers)


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
