"""Server-sent events: a subscription's events over one long answer (HTML living standard, section "Server-sent events").

Owns: the form of the stream, its heartbeats, and its pace. The next events are claimed only when the earlier ones were taken by the
connection, so that a slow reader costs no memory; each is booked as delivered once it was written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bus.api.presence import present
from bus.errors import JournalError, Overloaded
from bus.event import OutgoingEvent
from bus.event_envelope import envelope
from bus.events.callers import Caller, Callers
from bus.events.pull import Claim, Lent, Pull
from bus.events.streams import Place, Streams
from bus.site import Subscription

HEARTBEAT_SECONDS: Final = 15.0
LEASE_SECONDS: Final = 60.0
MOST_AT_ONCE: Final = 50
STALLED_SECONDS: Final = 45.0
"""A connection that takes nothing for so long is given up: below the lease, so that nobody else got its events meanwhile."""
RETRY_MILLISECONDS: Final = 2000
_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no", "connection": "close"}

Write = Callable[[bytes], Awaitable[None]]


def frame(number: int, event: OutgoingEvent) -> bytes:
    """One event of the stream. Neither its type nor its envelope holds a line break."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event.attributes.type.encode(), envelope(event))


@dataclass(frozen=True, slots=True)
class Stream:
    """One reader's stream. `last`: the number of the last event it has got, from `Last-Event-ID`; None for a new reader."""

    streams: Streams
    pull: Pull
    tenant: str
    subscription: Subscription
    last: int | None
    heartbeat_seconds: float = HEARTBEAT_SECONDS

    @property
    def place(self) -> Place:
        """Whose stream it is."""
        return self.tenant, self.subscription.id

    async def run(self, caller: Caller, write: Write) -> None:
        """Write until the caller leaves, or a newer reader comes.

        Raises:
            JournalError, Overloaded: the journal is away; the reader comes back by itself.
        """
        place = self.place
        self.streams.begin(place, caller)
        try:
            position = await self.streams.position(place) if self.last is None else self.last
            # An id without data is kept by the reader and shown to nobody: now it can name its place even if the first event is lost.
            await write(b"retry: %d\nid: %d\n\n" % (RETRY_MILLISECONDS, position))
            async with self.streams.booking(place):
                pass  # what an earlier reader got is booked, or was given back
            if self.last is not None:
                async for frames in self._missed(self.last):
                    if caller.gone:
                        return
                    await write(frames)
            while not caller.gone:
                await self._next(caller, write)
        finally:
            self.streams.end(place, caller)

    async def _missed(self, last: int) -> AsyncIterator[bytes]:
        async for page in self.streams.missed(self.place, last):
            rendered = await self.pull.rendered(page)
            again = [(one.number, event) for one, event in zip(page, rendered, strict=True) if isinstance(event, OutgoingEvent)]
            self.streams.writing(self.place, [number for number, _ in again])
            yield b"".join(frame(number, event) for number, event in again)

    async def _next(self, caller: Caller, write: Write) -> None:
        lent = await self.pull.pull(
            self.tenant,
            self.subscription,
            caller,
            most=MOST_AT_ONCE,
            lease_seconds=LEASE_SECONDS,
            wait_seconds=self.heartbeat_seconds,
        )
        if not lent:
            if not caller.gone:
                await write(b":\n\n")
            return
        self.streams.writing(self.place, [one.claimed.number for one in lent])
        try:
            await write(b"".join(frame(one.claimed.number, one.event) for one in lent))
        except BaseException:
            await asyncio.shield(self.pull.give_back([one.claimed for one in lent]))
            raise
        async with self.streams.booking(self.place):
            if caller.gone:
                await self.pull.give_back([one.claimed for one in lent])
            else:
                await self.pull.ack(self.tenant, self.subscription, _claims(lent))


def _claims(lent: Sequence[Lent]) -> list[Claim]:
    return [Claim(one.claimed.id, one.claimed.fence) for one in lent]


class EventStream(Response):
    """The answer that a stream is."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, callers: Callers) -> None:
        super().__init__(None, 200, _HEADERS, self.media_type)
        self._stream = stream
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the form of ASGI
        """Write until the reader leaves. Trouble with the journal ends the stream, and its reader comes back; a connection that takes
        nothing is cut."""
        headers: Iterable[tuple[bytes, bytes]] = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def write(piece: bytes) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})

        with contextlib.suppress(TimeoutError):
            async with present(self._callers, receive) as caller:
                with contextlib.suppress(JournalError, Overloaded):
                    await self._stream.run(caller, write)
            await send({"type": "http.response.body", "body": b""})
