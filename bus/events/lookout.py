"""Looking again: what another node accepted, what is due again, and what a lapsed lease set free, for everybody who waits here.

Owns: one reader of the journal for all waiters of this process, however many wait. It looks only while somebody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.errors import JournalError
from bus.event import Way
from bus.events.signals import Signals, Watch

LOOK_SECONDS: Final = 1.0


class WaitingJournal(Protocol):
    """What is claimable now."""

    def waiting(self, *, way: str) -> Sequence[tuple[str, str]]:
        """See `bus.event_ports.EventJournal`."""
        ...


@dataclass(slots=True)
class Lookout:
    """Signals subscriptions that are fetched by their subscribers (pull) and have something claimable."""

    journal: WaitingJournal
    signals: Signals
    look_seconds: float = LOOK_SECONDS
    _waiters: int = 0
    _looking: asyncio.Task[None] | None = field(default=None)

    @contextlib.contextmanager
    def watching(self, tenant: str, subscription: str) -> Iterator[Watch]:
        """A watch on the subscription that is woken by signals and by what is found when looking again."""
        self._waiters += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="renkei-lookout")
        try:
            with self.signals.watching((Way.PULL.value, tenant, subscription)) as watch:
                yield watch
        finally:
            self._waiters -= 1
            if not self._waiters and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self.look_seconds)
            with contextlib.suppress(JournalError):  # whoever claims is told; here the next look tries again
                for tenant, subscription in await asyncio.to_thread(self.journal.waiting, way=Way.PULL.value):
                    self.signals.notify((Way.PULL.value, tenant, subscription))
