"""Dispatch of events: claims what is due at each endpoint as far as it has room, and has it sent.

Owns: who is claimed for and when. Hints (`wake`) only shorten the wait: the journal is asked again every second, so that losing every hint
loses nothing. The order per key is the journal's: only the head of a key is ever claimed. A receiver that hangs holds the places of its
own endpoint and nobody else's. Everything here runs in the event loop and returns at once; one task per claim, one per send.

A crash anywhere is safe: what was claimed and not settled is claimed again when its lease has run out, or at the node's next start
(`unclaim`), and sent again with the same idempotency key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from bus.errors import BusError, JournalError
from bus.event import ClaimedEvent, Wanted, Way
from bus.events.booking import LEASE_SECONDS, Committing, RenewJournal
from bus.events.receivers import Receivers
from bus.events.render import Renderer
from bus.events.sending import DispatchObserver, Sender
from bus.events.turns import Gate, Slots, Stream, Turns
from bus.ports import Clock
from bus.site import Limits
from monitoring.log import log

SWEEP_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0
"""How long sends that run may go on when the dispatcher ends."""
SLOTS: Final = 256
"""Sends at once in all, those beside them that have become slow."""
_LEAST_ALARM_SECONDS: Final = 0.001


class DispatchJournal(RenewJournal, Protocol):
    """What dispatch asks of the journal besides."""

    def waiting(self, *, way: str) -> Sequence[tuple[str, str]]:
        """See `bus.event_ports.EventJournal`."""
        ...


class EventDispatcher:
    """Sends events for ever, as `owner`. All methods are to be called from the event loop."""

    def __init__(
        self,
        owner: str,
        *,
        commits: Committing,
        journal: DispatchJournal,
        receivers: Receivers,
        renderer: Renderer,
        observer: DispatchObserver,
        clock: Clock,
        slots: int = SLOTS,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`monotonic` counts limits, breakers and leases; `pause` is waited between tries to book while the journal is away."""
        self._owner = owner
        self._commits = commits
        self._journal = journal
        self._receivers = receivers
        self._monotonic = monotonic
        self._slots = Slots(slots)
        self._sender = Sender(commits, journal, receivers, renderer, observer, clock, self._slots, self._has_room, self._ask, monotonic)
        if pause is not None:
            self._sender.pause = pause
        self._turns = Turns()
        self._gates: dict[tuple[str, str], Gate] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._claims: set[asyncio.Task[None]] = set()
        self._planned = False
        self._stopping = False

    # --- what others call

    def wake(self, tenant: str, subscription: str, count: int = 1) -> None:
        """`count` more deliveries of the subscription may be claimable."""
        stream = self._stream(tenant, subscription)
        stream.told += count
        self._ask(stream)

    def reserve(self, tenant: str, endpoint: str, subscription: str) -> bool:
        """Take a place for a delivery that is about to be accepted, so that it can be handed over at once. False: there is none, or
        others waited before it: while anybody waits, newcomers get no more than half of the places. Whoever gets True hands the
        delivery over, or calls `unreserve`."""
        gate = self._stream(tenant, subscription).gate
        if self._stopping or gate.endpoint != endpoint or not self._slots.free:
            return False
        crowded = (self._turns and self._slots.scarce) or (gate.waiting and gate.scarce)
        if crowded or not gate.take():
            return False
        self._slots.take()
        return True

    def unreserve(self, tenant: str, endpoint: str) -> None:
        """A reserved place is not needed."""
        self._give_back(self._gates[tenant, endpoint])

    def hand_over(self, claimed: Sequence[ClaimedEvent]) -> None:
        """Send these now: claimed by the accepting transaction in this node's name, each with a reserved place."""
        for one in claimed:
            stream = self._stream(one.tenant, one.subscription)
            if stream.gate.endpoint != one.endpoint:  # the configuration has changed since; the place is at the endpoint of then
                stream = Stream(one.tenant, one.subscription, stream.receiver, self._gates[one.tenant, one.endpoint])
            if self._stopping:
                self.unreserve(one.tenant, one.endpoint)
            else:
                self._sender.begin(stream, [one])

    async def run(self) -> None:
        """Send until cancelled; then let the sends that run end within a few seconds."""
        try:
            while True:
                await self.sweep()
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            await self.stop()

    async def sweep(self) -> None:
        """One look at everything that no hint may have told of: due deliveries, leases, sends that take long, places free again."""
        try:
            waiting = await asyncio.to_thread(self._journal.waiting, way=Way.PUSH.value)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
            waiting = ()
        for tenant, subscription in waiting:
            stream = self._stream(tenant, subscription)
            stream.told = max(stream.told, 1)
            self._ask(stream)
        await self._sender.tend()
        for gate in list(self._turns.parked):
            self._turns.unpark(gate)
        self._plan_soon()

    async def stop(self) -> None:
        """Claim no more; give what runs a few seconds, then break it off. What was not booked is free at the node's next start."""
        self._stopping = True
        for gate in self._gates.values():
            if gate.alarm is not None:
                gate.alarm.cancel()
        await self._sender.stop(STOP_SECONDS)
        claims = list(self._claims)
        if claims:
            _, left = await asyncio.wait(claims, timeout=STOP_SECONDS)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # --- whose turn it is

    def _stream(self, tenant: str, subscription: str) -> Stream:
        """What is known of a subscription, at its endpoint of now."""
        stream = self._streams.get((tenant, subscription))
        receiver = self._receivers.receiver(tenant, subscription)
        if stream is not None and stream.receiver is receiver:
            return stream
        endpoint, limits = ("", Limits()) if receiver is None else (receiver.endpoint, receiver.limits)
        gate = self._gates.get((tenant, endpoint))
        if gate is None:
            gate = self._gates[tenant, endpoint] = Gate(tenant, endpoint, limits, self._monotonic)
        gate.change(limits, self._monotonic)
        made = self._streams[tenant, subscription] = Stream(tenant, subscription, receiver, gate)
        if stream is not None:  # its configuration was loaded anew: what runs ends as it began
            self._turns.remove(stream)
            made.told = 1
            self._ask(made)
        return made

    def _ask(self, stream: Stream) -> None:
        """Claim for it when it is its turn."""
        if stream.may_claim:
            self._turns.add(stream)
            self._plan_soon()
        else:
            stream.again = True

    def _has_room(self, gate: Gate) -> None:
        self._turns.unpark(gate)
        if self._turns:
            self._plan_soon()

    def _give_back(self, gate: Gate) -> None:
        self._slots.give_back()
        gate.give_back()
        self._has_room(gate)

    def _plan_soon(self) -> None:
        """Plan when what happens now has happened: places that come free together are given out together, and a settlement that is
        given away in this breath is booked before the claims that follow from it."""
        if not (self._planned or self._stopping):
            self._planned = True
            asyncio.get_running_loop().call_soon(self._plan)

    def _plan(self) -> None:
        """Give the free slots out in turn, and claim for whoever got some."""
        self._planned = False
        if self._stopping:
            return
        wanted: dict[Stream, int] = {}
        while self._slots.free and (stream := self._turns.next(lambda one: wanted.get(one, 0) < one.limit)):
            self._slots.take()
            wanted[stream] = wanted.get(stream, 0) + 1
        for stream, count in wanted.items():
            self._turns.remove(stream)
            if stream.claim_begins():
                self._turns.add(stream)
            task = asyncio.get_running_loop().create_task(self._claim(stream, count))
            self._claims.add(task)
            task.add_done_callback(self._claims.discard)
        if self._turns and self._slots.free:
            self._plan_soon()
        for gate in self._turns.parked:
            self._set_alarm(gate)

    def _set_alarm(self, gate: Gate) -> None:
        wait = gate.wait_seconds()
        if wait > 0 and gate.alarm is None:
            gate.alarm = asyncio.get_running_loop().call_later(max(wait, _LEAST_ALARM_SECONDS), self._ring, gate)

    def _ring(self, gate: Gate) -> None:
        gate.alarm = None
        self._has_room(gate)

    async def _claim(self, stream: Stream, count: int) -> None:
        """Claim up to `count`, which have their places, and send what came."""
        retry = None if stream.receiver is None else stream.receiver.retry.attempts
        wanted = Wanted(stream.tenant, stream.subscription, count, self._owner, LEASE_SECONDS, Way.PUSH, retry)
        claimed: Sequence[ClaimedEvent] = ()
        try:
            found = await self._commits.claim(wanted)
            if self._stopping:
                await self._sender.hand_back(found)
            else:
                claimed = found
        except BusError as error:
            log("RNK7011E", reason=str(error))
        finally:
            for _ in range(count - len(claimed)):
                self._give_back(stream.gate)
            if claimed:
                self._sender.begin(stream, claimed)
            if stream.claim_ended(count, len(claimed)):
                self._ask(stream)
