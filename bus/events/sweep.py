"""Expiry of events: what was not delivered before its time was over ends, also when nobody sends or fetches it.

Owns: when the journal is asked for it. What is being sent is checked by the sender itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bus.errors import JournalError
from bus.event import Way
from monitoring.log import log

SWEEP_SECONDS: Final = 1.0
AT_ONCE: Final = 500
"""So many are ended in one transaction, so that no other writer waits long."""


class ExpiryJournal(Protocol):
    """What expiry asks of the journal."""

    def expire_due(self, limit: int) -> Sequence[tuple[Way, str, str]]:
        """End what is over; (way, tenant, subscription) of each."""
        ...


@dataclass(slots=True)
class ExpirySweep:
    """Ends deliveries for ever. `expired` is told of each, in the event loop: to count it, and to wake whoever waits for the next."""

    journal: ExpiryJournal
    expired: Callable[[Way, str, str], None]

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            if await self.sweep() < AT_ONCE:
                await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """One sweep; how many were ended, at most `AT_ONCE`."""
        try:
            ended = await asyncio.to_thread(self.journal.expire_due, AT_ONCE)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
            return 0
        for way, tenant, subscription in ended:
            self.expired(way, tenant, subscription)
        return len(ended)
