"""Requests and their replies: waiting for the message that answers another.

Owns: the wait. Both are messages of the journal like any other: a reply names its request, comes whenever it comes, and is kept; whoever
asks later finds it. A request that has expired is waited for no longer, yet a late reply is still given.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from bus.errors import Transient
from bus.event import ClaimedEvent, EventDraft, OutgoingEvent
from bus.events.callers import Caller
from bus.events.render import Renderer
from bus.events.signals import Signals
from bus.ports import Clock

LOOK_SECONDS: Final = 1.0
"""How often a waiter looks although nobody woke it: another node may have taken the reply in."""
_OF_DELIVERIES: Final = frozenset({"renkeidelivery", "renkeinumber"})
"""Extensions that a reply does not have here: it was not delivered, but asked for."""


class Answered(StrEnum):
    """Whether a request has its reply."""

    REPLIED = "replied"
    WAITING = "waiting"
    EXPIRED = "expired"


class RequestJournal(Protocol):
    """What it needs of the journal."""

    def reply_to(self, message_id: str, *, interface: str | None = None) -> EventDraft | None:
        """See `bus.event_ports.EventJournal`."""
        ...


@dataclass(frozen=True, slots=True)
class Requests:
    """Finds replies, and waits for them."""

    journal: RequestJournal
    renderer: Renderer
    signals: Signals
    clock: Clock

    async def reply(
        self, tenant: str, request: EventDraft, replies: str, caller: Caller, *, wait_seconds: float
    ) -> tuple[Answered, OutgoingEvent | None]:
        """The reply to a request, waited for up to `wait_seconds`, or until the request expires or the caller leaves. `replies`: the
        interface that replies come on; what came on another answers nothing.

        Raises:
            JournalUnavailable: nothing can be said now. Transient, Permanent: the reply is there, and its body cannot be read.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        with self.signals.watching(("reply", request.message)) as watch, caller.waking(watch.wake):
            while True:
                found = await asyncio.to_thread(self.journal.reply_to, request.message, interface=replies)
                if found is not None:
                    return Answered.REPLIED, await self._rendered(tenant, found)
                left = until - loop.time()
                if request.expires_at_us is not None:
                    lasting_seconds = (request.expires_at_us - self.clock.now_us()) / 1_000_000
                    if lasting_seconds <= 0:
                        return Answered.EXPIRED, None
                    left = min(left, lasting_seconds)
                if until <= loop.time() or caller.gone:
                    return Answered.WAITING, None
                await watch.wait(min(left, LOOK_SECONDS))

    async def _rendered(self, tenant: str, reply: EventDraft) -> OutgoingEvent:
        """The reply as an event of its own."""
        rendered = await self.renderer.render(ClaimedEvent("", tenant, "", "", None, 0, 0, 0, 0, reply))
        if rendered is None:
            raise Transient("RNK7214E", message=reply.message)
        extensions = {name: value for name, value in rendered.attributes.extensions.items() if name not in _OF_DELIVERIES}
        return replace(rendered, attributes=replace(rendered.attributes, extensions=extensions))
