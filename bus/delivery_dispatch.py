"""Dispatch: claim what is due in the journal and have it delivered, side by side.

Owns: how many deliveries run at once, their leases, the sweep, and when work files go. Hints only shorten the wait: the journal is asked
again every few seconds, so that losing every hint loses nothing. A target that hangs keeps its own delivery waiting, and no other.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bus.batch.prepared import WorkFolder
from bus.broker.hints import Hints
from bus.delivery import Deliverer
from bus.errors import JournalError, NotFound, StaleClaim
from bus.intake_report import Reporter
from bus.message import FINISHED, Delivery, MessageState
from bus.ports import DeliverJournal, QueryJournal
from monitoring.log import log

LEASE_SECONDS: Final = 60.0
SWEEP_SECONDS: Final = 1.0
TIDY_SECONDS: Final = 60.0
"""How often work files are looked for that nobody waits for any more: of what was skipped, or finished just before a crash."""
SLOW_SECONDS: Final = 120.0
"""A delivery that takes longer gives its slot to another: its target may hang, and for how long nobody knows."""
MOST_RUNNING: Final = 64
"""Deliveries at once in all, those without a slot included: each may hold a few threads of the node."""


@dataclass(slots=True)
class Dispatcher:
    """Delivers for ever, as `owner`: `slots` deliveries at a time, and beside them those that have been slow."""

    owner: str
    journal: DeliverJournal
    queries: QueryJournal
    deliverer: Deliverer
    hints: Hints
    reporter: Reporter
    work: WorkFolder
    slots: int = 8
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _slow: set[asyncio.Task[None]] = field(default_factory=set)
    """of those running"""

    async def run(self) -> None:
        """Claim and deliver until cancelled; running deliveries are cancelled with it (their temporary files removed)."""
        tidied = -TIDY_SECONDS
        try:
            while True:
                if time.monotonic() - tidied >= TIDY_SECONDS:
                    await self._tidy_all()
                    tidied = time.monotonic()
                if not await self._claim():
                    await self.hints.wait(timeout_seconds=SWEEP_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _claim(self) -> int:
        """Start what can be claimed now; returns how many."""
        free = min(self.slots + len(self._slow), MOST_RUNNING) - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running, timeout=SWEEP_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return 1
        try:
            claimed = await asyncio.to_thread(self.journal.claim, self.owner, lease_seconds=LEASE_SECONDS, limit=free)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
            return 0
        for delivery in claimed:
            task = asyncio.create_task(self._carry(delivery))
            self._running.add(task)
            slow = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._give_slot, task, delivery)
            task.add_done_callback(partial(self._ended, slow))
        return len(claimed)

    def _give_slot(self, task: asyncio.Task[None], delivery: Delivery) -> None:
        self._slow.add(task)
        facts = {"tenant": delivery.tenant, "subscription": delivery.subscription, "endpoint": delivery.endpoint}
        log("RNK4047W", **facts, delivery=delivery.id, seconds=round(SLOW_SECONDS))

    def _ended(self, slow: asyncio.TimerHandle, task: asyncio.Task[None]) -> None:
        slow.cancel()
        self._running.discard(task)
        self._slow.discard(task)

    async def _carry(self, delivery: Delivery) -> None:
        renewing = asyncio.create_task(self._renew(delivery))
        try:
            outcome = await self.deliverer.deliver(delivery)
            await asyncio.to_thread(self.reporter.delivered, outcome)
            await asyncio.to_thread(self._tidy, delivery.message)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
        finally:
            renewing.cancel()
            self.hints.publish([delivery.id])  # the next of its ordering key may go now

    async def _renew(self, delivery: Delivery) -> None:
        """Keep the lease as long as it is this claim's, also when the journal is away for a while."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            try:
                await asyncio.to_thread(self.journal.renew, delivery, lease_seconds=LEASE_SECONDS)
            except StaleClaim:
                return
            except JournalError as error:
                log("RNK7011E", reason=str(error))

    async def _tidy_all(self) -> None:
        try:
            for message in await asyncio.to_thread(self.work.messages):
                await asyncio.to_thread(self._tidy, message)
        except (JournalError, OSError) as error:
            log("RNK7011E", reason=str(error))

    def _tidy(self, message: str) -> None:
        """Remove the message's work files once nobody waits for them; a later re-send makes them again."""
        try:
            if self.queries.message(message).state in (MessageState.RECEIVING, MessageState.HELD):
                return
        except NotFound:
            return  # not a folder of ours
        if all(delivery.state in FINISHED for delivery in self.queries.deliveries(message=message, limit=1000)):
            self.work.forget(message)
