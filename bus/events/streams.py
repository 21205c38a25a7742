"""Where each stream of server-sent events is: what was written to it, in which order, and what its reader may have missed.

Owns: going on after a lost connection. A delivery counts as delivered once it was written, so whatever was written after the last event
that a reader names is given to it again. Numbers alone do not say what that is: the next event of an ordering key, or one released from
quarantine, is written after events with higher numbers. So the order of writing is remembered here; after a restart, or at another node,
it is taken from the journal: every delivered one with a higher number, and of the `LOOK_BACK` numbers below those that were delivered
later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.event import ClaimedEvent
from bus.events.callers import Caller
from bus.message import Delivery, DeliveryState

REMEMBERED: Final = 4096
"""Events whose place in the stream of one subscription is remembered."""
LOOK_BACK: Final = 1000
PAGE: Final = 100

Place = tuple[str, str]
"""Tenant and subscription."""


class StreamJournal(Protocol):
    """What it asks of the journal."""

    def sent_after(self, tenant: str, subscription: str, number: int, *, limit: int) -> Sequence[ClaimedEvent]:
        """See `bus.event_ports.EventJournal`."""
        ...

    def delivery(self, delivery_id: str) -> Delivery:
        """See `bus.ports.QueryJournal`."""
        ...

    def deliveries(
        self,
        *,
        tenant: str | None = None,
        subscription: str | None = None,
        message: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 100,
    ) -> Sequence[Delivery]:
        """See `bus.ports.QueryJournal`."""
        ...


@dataclass(slots=True)
class Streams:
    """The streams of this node. Used from the event loop only."""

    journal: StreamJournal
    _written: dict[Place, deque[int]] = field(default_factory=dict)
    _readers: dict[Place, Caller] = field(default_factory=dict)
    _bookings: dict[Place, asyncio.Lock] = field(default_factory=dict)

    def begin(self, place: Place, reader: Caller) -> None:
        """This reader has the stream from now on; an earlier one is sent away."""
        earlier = self._readers.get(place)
        self._readers[place] = reader
        if earlier is not None:
            earlier.leave()

    def end(self, place: Place, reader: Caller) -> None:
        """It reads no longer."""
        if self._readers.get(place) is reader:
            del self._readers[place]

    def booking(self, place: Place) -> asyncio.Lock:
        """Held while a reader whose events were written books them. A newer reader holds it once, before it asks what it missed: until
        then, what an earlier one got may be neither delivered nor due again."""
        return self._bookings.setdefault(place, asyncio.Lock())

    def writing(self, place: Place, numbers: Sequence[int]) -> None:
        """Events with these numbers are about to be written, in this order."""
        self._written.setdefault(place, deque(maxlen=REMEMBERED)).extend(numbers)

    async def position(self, place: Place) -> int:
        """The number that a new reader has to name so that it gets again whatever is written from now on.

        Raises:
            JournalUnavailable.
        """
        written = self._written.get(place)
        if written:
            return written[-1]
        newest = await asyncio.to_thread(
            self.journal.deliveries, tenant=place[0], subscription=place[1], state=DeliveryState.DELIVERED, limit=1
        )
        position = newest[0].number if newest else 0
        self.writing(place, [position])
        return position

    async def missed(self, place: Place, last: int) -> AsyncIterator[Sequence[ClaimedEvent]]:
        """What a reader whose last event was `last` may not have got, page by page.

        Raises:
            JournalUnavailable.
        """
        wanted = self._written_after(place, last)
        if wanted is not None and not wanted:
            return
        earlier = frozenset() if wanted else await asyncio.to_thread(self._delivered_later, place, last)
        lowest = min(wanted or earlier or {last + 1})
        async for page in self._delivered_from(place, lowest):
            missed = [one for one in page if (one.number in wanted if wanted else one.number > last or one.number in earlier)]
            if missed:
                yield missed
            if wanted and page[-1].number >= max(wanted):
                return

    async def _delivered_from(self, place: Place, lowest: int) -> AsyncIterator[Sequence[ClaimedEvent]]:
        after = lowest - 1
        while page := await asyncio.to_thread(self.journal.sent_after, *place, after, limit=PAGE):
            yield page
            after = page[-1].number

    def _written_after(self, place: Place, last: int) -> frozenset[int] | None:
        """Numbers written after `last` was; None when that is not known here."""
        after: set[int] = set()
        for number in reversed(self._written.get(place, ())):
            if number == last:
                return frozenset(after)
            after.add(number)
        return None

    def _delivered_later(self, place: Place, last: int) -> frozenset[int]:
        """Numbers below `last` whose events were delivered later than its own."""
        below: dict[int, str] = {}
        after = max(0, last - LOOK_BACK)
        while after < last and (page := self.journal.sent_after(*place, after, limit=PAGE)):
            below |= {one.number: one.id for one in page if one.number <= last}
            after = page[-1].number
        finished = {number: self.journal.delivery(delivery).finished_at_us or 0 for number, delivery in below.items()}
        return frozenset(number for number, at_us in finished.items() if at_us > finished.get(last, 0))
