"""Sends of events that run: one attempt each, its outcome booked, its lease kept as long as it lasts.

Owns: the attempts on their way. Who is claimed for is `bus.events.dispatch`'s, what an outcome means `bus.events.attempts`'. One task per
send; leases and time limits are looked after for all of them together, by `tend`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.errors import BusError, JournalError, JournalUnavailable, Overloaded, Permanent, Transient, TransportError
from bus.event import ClaimedEvent, OutgoingEvent, Settlement
from bus.events import attempts
from bus.events.booking import LEASE_SECONDS, AttemptObserver, RenewJournal, Settling
from bus.events.breaker import BreakerState, blames_endpoint
from bus.events.receivers import Receivers
from bus.events.render import Rendered, Renderer
from bus.events.turns import Gate, Slots, Stream
from bus.message import DeliveryState
from bus.ports import Clock
from bus.steps import reached
from contracts.errors import RenkeiError
from monitoring.log import log

SLOW_SECONDS: Final = 2.0
"""A send that takes longer gives its slot of the node to another; its place at the endpoint it keeps."""
MOST_SLOW: Final = 4096
"""So many slow sends give their slot away at most: each holds an event in memory."""
MOST_SEND_SECONDS: Final = 330.0
"""A send that takes longer is broken off: longer than any adapter's own time limit, so that none hangs for ever."""
_SECOND_US: Final = 1_000_000


class DispatchObserver(AttemptObserver, Protocol):
    """Is told of endpoints, too."""

    def breaker(self, tenant: str, endpoint: str, *, is_open: bool) -> None:
        """The endpoint is left alone, or sent to again."""
        ...


async def _a_second() -> None:
    await asyncio.sleep(1)


@dataclass(slots=True, eq=False)
class Sending:
    """One send: a claimed delivery, its place, and how far it is."""

    claimed: ClaimedEvent
    stream: Stream
    number: int
    """of its subscription's sends"""
    event: OutgoingEvent | None
    rendering: tuple[asyncio.Task[Sequence[Rendered]], int] | None
    """where the event comes from, when it was not made at once"""
    began: float
    renewed: float
    task: asyncio.Task[None] | None = None
    sized: bool = False
    """its bytes are counted against the endpoint's limit: something is being sent"""
    slow: bool = False
    overdue: bool = False
    lost: bool = False
    """another holds the delivery now: how it ends is not ours to book"""
    ended: bool = False
    """the attempt is over, and is being booked"""


@dataclass(slots=True, eq=False)
class Sender:
    """Carries attempts out. Used from one event loop; `begin` returns at once."""

    commits: Settling
    journal: RenewJournal
    receivers: Receivers
    renderer: Renderer
    observer: DispatchObserver
    clock: Clock
    slots: Slots
    has_room: Callable[[Gate], None]
    """is called when a place came free"""
    ask: Callable[[Stream], None]
    """is called when the journal may have something claimable; what was given to the group commit before is done before"""
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[], Awaitable[None]] = _a_second
    """is waited between tries to book while the journal is away"""
    running: dict[tuple[str, int], Sending] = field(default_factory=dict)
    """by delivery and fence, in the order they began"""
    _slow: int = 0
    _away: bool = False
    """the journal could not be reached when last an outcome was to be booked"""

    def begin(self, stream: Stream, claimed: Sequence[ClaimedEvent]) -> None:
        """Send what is claimed; each has its place and its slot."""
        now = self.monotonic()
        made = [self.renderer.quick(one) for one in claimed]
        toilsome = [one for one, event in zip(claimed, made, strict=True) if event is None]
        rendering = self._rendering(toilsome) if toilsome else None
        place = -1
        for one, event in zip(claimed, made, strict=True):
            stream.begun += 1
            sending = Sending(one, stream, stream.begun, event, None, now, now)
            if event is None and rendering is not None:
                place += 1
                sending.rendering = (rendering, place)
            self.running[one.id, one.fence] = sending
            sending.task = asyncio.get_running_loop().create_task(self._send(sending))

    async def tend(self) -> None:
        """Look after what runs: prolong leases, give the slots of slow sends to others, break off what hangs."""
        now = self.monotonic()
        lapsing: list[Sending] = []
        for sending in self.running.values():
            age = now - sending.began
            if not sending.ended and not sending.slow and age >= SLOW_SECONDS and self._slow < MOST_SLOW:
                sending.slow = True
                self._slow += 1
                self.slots.give_back()
            if not sending.ended and not sending.overdue and age >= MOST_SEND_SECONDS and sending.task is not None:
                sending.overdue = True
                sending.task.cancel()
            if now - sending.renewed >= LEASE_SECONDS / 3:
                lapsing.append(sending)
        if lapsing:
            await self._renew(lapsing)

    async def hand_back(self, claimed: Sequence[ClaimedEvent]) -> None:
        """Nothing of it is sent here: due again at once, with no attempt counted.

        Raises:
            BusError: it cannot be booked; the leases will run out.
        """
        for one in claimed:
            await self.commits.settle(attempts.not_now(one, self.clock.now_us()))

    async def stop(self, seconds: float) -> None:
        """Let what runs end within so many seconds; then break it off. What was not booked stays claimed."""
        tasks = [sending.task for sending in self.running.values() if sending.task is not None]
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=seconds)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    # --- one attempt

    async def _send(self, sending: Sending) -> None:
        try:
            settlement = await self._one_attempt(sending)
            if settlement is not None:
                await self._settle(sending, settlement)
        finally:
            self.running.pop((sending.claimed.id, sending.claimed.fence), None)

    async def _one_attempt(self, sending: Sending) -> Settlement | None:
        """The attempt, then its place is free again. What follows in the same breath is booking it, and claiming what waited for it."""
        try:
            settlement = await self._attempt(sending)
        finally:
            self._ended(sending)
        if settlement is not None and sending.stream.send_ended(sending.number):
            self.ask(sending.stream)
        return settlement

    async def _attempt(self, sending: Sending) -> Settlement | None:
        """Send, and tell what came of it. None: the claim was lost, there is nothing to book."""
        gate = sending.stream.gate
        try:
            if (left := self._left_alone(sending)) is not None:
                return left
            event = await _rendered(sending)
            if event is None:
                gate.breaker.give_back()
                return attempts.delivered(sending.claimed, filtered=True)
            await self._give_to_sink(sending, event)
        except asyncio.CancelledError:
            return self._broken_off(sending)
        except Exception as error:  # noqa: BLE001 - whatever an adapter met is booked with the delivery, where operators see it
            return self._failed(sending, error)
        if gate.breaker.succeeded():
            self._breaker_closed(gate)
        return attempts.delivered(sending.claimed)

    def _left_alone(self, sending: Sending) -> Settlement | None:
        """How it ends when nothing may be sent: its time is over, or its endpoint is left alone since it was claimed."""
        gate, now_us = sending.stream.gate, self.clock.now_us()
        left = attempts.expired(sending.claimed, sending.stream.receiver, now_us)
        if left is None and gate.breaker.state is BreakerState.OPEN:
            left = attempts.not_now(sending.claimed, now_us + round(gate.breaker.wait_seconds() * _SECOND_US))
        if left is not None:
            gate.breaker.give_back()
        return left

    async def _give_to_sink(self, sending: Sending, event: OutgoingEvent) -> None:
        claimed = sending.claimed
        if sending.stream.receiver is None:
            raise Permanent("RNK4201E", tenant=claimed.tenant, subscription=claimed.subscription)
        sink = self.receivers.sink(claimed.tenant, claimed.endpoint)
        if sink is None:
            raise Permanent("RNK4202E", tenant=claimed.tenant, endpoint=claimed.endpoint)
        sending.sized = True
        sending.stream.gate.limits.sending(len(event.data))
        reached("event_before_send")
        await sink.send(event)
        reached("event_after_send")

    def _broken_off(self, sending: Sending) -> Settlement | None:
        """The send was cancelled: by `tend`, or because the node stops."""
        if sending.lost:
            sending.stream.gate.breaker.give_back()
            return None
        if not sending.overdue:
            raise asyncio.CancelledError
        if sending.task is not None:
            sending.task.uncancel()
        return self._failed(sending, Transient("RNK4203E", endpoint=sending.claimed.endpoint, seconds=round(MOST_SEND_SECONDS)))

    def _failed(self, sending: Sending, error: Exception) -> Settlement:
        claimed, gate = sending.claimed, sending.stream.gate
        ours = attempts.known(error, claimed)
        if sending.sized and blames_endpoint(ours):
            if gate.breaker.failed():
                self._breaker_opened(gate, ours)
        elif sending.sized and attempts.answered(ours):
            if gate.breaker.succeeded():
                self._breaker_closed(gate)
        else:
            gate.breaker.give_back()
        return attempts.failed(claimed, ours, sending.stream.receiver, self.clock.now_us())

    def _breaker_opened(self, gate: Gate, error: RenkeiError) -> None:
        seconds = round(gate.breaker.wait_seconds())
        log("RNK4208W", tenant=gate.tenant, endpoint=gate.endpoint, seconds=seconds, reason=error)
        self.observer.breaker(gate.tenant, gate.endpoint, is_open=True)

    def _breaker_closed(self, gate: Gate) -> None:
        log("RNK4209I", tenant=gate.tenant, endpoint=gate.endpoint)
        self.observer.breaker(gate.tenant, gate.endpoint, is_open=False)

    def _ended(self, sending: Sending) -> None:
        """Give place and slot back."""
        sending.ended = True
        gate = sending.stream.gate
        if sending.sized:
            gate.limits.done()
        else:
            gate.limits.give_back()
        if sending.slow:
            self._slow -= 1
        else:
            self.slots.give_back()
        self.has_room(gate)

    # --- booking, and leases

    async def _settle(self, sending: Sending, settlement: Settlement) -> None:
        """Book it, as long as it takes: while the journal is away, the receiver must not get it twice for nothing."""
        reached("event_before_settle")
        waited = False
        while True:
            try:
                state = await self.commits.settle(settlement)
            except (JournalUnavailable, Overloaded) as error:
                if not self._away:  # said once, however many sends wait to be booked
                    log("RNK7011E", reason=str(error))
                self._away = waited = True
                await self.pause()
            except BusError as error:
                log("RNK7011E", reason=str(error))
                return
            else:
                self._away = False
                break
        if waited:
            self.ask(sending.stream)
        if state is not None:
            self._tell(sending, settlement, state)

    def _tell(self, sending: Sending, settlement: Settlement, state: DeliveryState) -> None:
        claimed, receiver = sending.claimed, sending.stream.receiver
        place = (claimed.tenant, claimed.subscription)
        if state is DeliveryState.DELIVERED:
            seconds = max(0, self.clock.now_us() - claimed.event.accepted_at_us) / _SECOND_US
            self.observer.delivered(*place, "" if receiver is None else receiver.adapter, seconds)
        elif state is DeliveryState.QUARANTINED:
            log("RNK4207E", tenant=place[0], subscription=place[1], delivery=claimed.id, reason=settlement.error)
            self.observer.given_up(*place)
        elif state is DeliveryState.EXPIRED:
            self.observer.expired(*place)
        elif settlement.counts_attempt:
            self.observer.retried(*place)

    async def _renew(self, lapsing: Sequence[Sending]) -> None:
        claims = [(sending.claimed.id, sending.claimed.fence) for sending in lapsing]
        try:
            held = await asyncio.to_thread(self.journal.renew_events, claims, lease_seconds=LEASE_SECONDS)
        except JournalError as error:
            log("RNK7011E", reason=str(error))
            return
        now = self.monotonic()
        for sending, well in zip(lapsing, held, strict=True):
            sending.renewed = now
            if not (well or sending.ended or sending.lost) and sending.task is not None:
                sending.lost = True
                sending.task.cancel()

    def _rendering(self, claimed: Sequence[ClaimedEvent]) -> asyncio.Task[Sequence[Rendered]]:
        rendering = asyncio.get_running_loop().create_task(self._render(claimed))
        rendering.add_done_callback(lambda task: None if task.cancelled() else task.exception())  # each send tells it, or nobody needs it
        return rendering

    async def _render(self, claimed: Sequence[ClaimedEvent]) -> Sequence[Rendered]:
        return await self.renderer.render_all(claimed)


async def _rendered(sending: Sending) -> OutgoingEvent | None:
    """What is to be sent; None when the translation leaves the record out."""
    if sending.rendering is None:
        return sending.event
    rendering, place = sending.rendering
    rendered = (await asyncio.shield(rendering))[place]
    if isinstance(rendered, TransportError):
        raise rendered
    return rendered
