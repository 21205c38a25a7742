"""Events that subscribers fetch themselves: claim, acknowledge, hand back, prolong.

Owns: what a pulling subscriber may ask of the journal. Leases belong to `pull` and not to a node, so that they outlive the node that gave
them; each delivery is proven to be of the asking subscription before anything is booked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.errors import NotFound, Permanent, TransportError, told_of
from bus.event import ClaimedEvent, OutgoingEvent, Settlement, Wanted, Way
from bus.events.callers import Caller
from bus.events.lookout import Lookout
from bus.events.render import Rendered, Renderer
from bus.message import Delivery, DeliveryState
from bus.ports import Clock
from bus.retry import Backoff
from bus.site import Subscription

OWNER: Final = "pull"
MOST_AT_ONCE: Final = 100
"""Deliveries of one claim; more are claimed in turns, so that a large pull keeps nobody waiting."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""About so many bytes of events are given out at once, and one event at least."""
REMEMBERED: Final = 50_000
"""Leases whose subscription is remembered here; of others the journal is asked."""


class Committing(Protocol):
    """The group commit, as pull uses it."""

    def settle(self, settlement: Settlement) -> Awaitable[DeliveryState | None]:
        """Book how an attempt ended; None: its claim had ended."""
        ...

    def claim(self, wanted: Wanted) -> Awaitable[Sequence[ClaimedEvent]]:
        """Claim what is due."""
        ...


class PullJournal(Protocol):
    """What pull asks of the journal besides."""

    def renew_events(self, claims: Sequence[tuple[str, int]], *, lease_seconds: float) -> Sequence[bool]:
        """See `bus.event_ports.EventJournal`."""
        ...

    def delivery(self, delivery_id: str) -> Delivery:
        """See `bus.ports.QueryJournal`."""
        ...


@dataclass(frozen=True, slots=True)
class Lent:
    """A claimed delivery with what its subscriber gets."""

    claimed: ClaimedEvent
    event: OutgoingEvent


@dataclass(frozen=True, slots=True)
class Claim:
    """What a subscriber names a lent delivery by."""

    delivery: str
    fence: int


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A delivery its subscriber could not use. `reason` is a short code of its own, not text: operators see it."""

    claim: Claim
    reason: str = ""
    retry_after_seconds: float | None = None
    give_up: bool = False


@dataclass(slots=True)
class Pull:
    """Lends events to their subscribers. `tenant` and `subscription` of every call are what the caller may use: who asks was settled."""

    group: Committing
    journal: PullJournal
    renderer: Renderer
    lookout: Lookout
    clock: Clock
    _lent: dict[str, tuple[str, int]] = field(default_factory=dict)
    """subscription and failed attempts, by delivery"""

    async def pull(
        self, tenant: str, subscription: Subscription, caller: Caller, *, most: int, lease_seconds: float, wait_seconds: float
    ) -> list[Lent]:
        """Lend up to `most` events; when there are none, wait for one up to `wait_seconds`. Empty when none came or the caller left.

        Raises:
            Overloaded, JournalUnavailable: nothing was lent.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_seconds
        with self.lookout.watching(tenant, subscription.id) as watch, caller.waking(watch.wake):
            while not caller.gone:
                lent = await self.take(tenant, subscription, caller, most=most, lease_seconds=lease_seconds)
                left = until - loop.time()
                if lent or left <= 0:
                    return lent
                await watch.wait(left)
        return []

    async def take(self, tenant: str, subscription: Subscription, caller: Caller, *, most: int, lease_seconds: float) -> list[Lent]:
        """Lend what is due now, urgent lanes first. What cannot be rendered is settled as failed, what is too much or came for
        a caller who left is given back uncounted."""
        lent: list[Lent] = []
        size = 0
        while len(lent) < most and size < MOST_BYTES:
            asked = min(most - len(lent), MOST_AT_ONCE)
            claimed = await self._claim(tenant, subscription, asked, lease_seconds)
            too_much: list[ClaimedEvent] = []
            for claim, event in zip(claimed, await self.rendered(claimed), strict=True):
                if caller.gone or size >= MOST_BYTES:
                    too_much.append(claim)
                elif isinstance(event, OutgoingEvent):
                    lent.append(Lent(claim, event))
                    size += len(event.data)
                else:
                    await self._not_rendered(subscription, claim, event)
            await self.give_back(too_much)
            if len(claimed) < asked:
                break
        if caller.gone:
            await self.give_back([each.claimed for each in lent])
            return []
        return lent

    async def _claim(self, tenant: str, subscription: Subscription, most: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        wanted = Wanted(tenant, subscription.id, most, OWNER, lease_seconds, Way.PULL, subscription.retry.attempts)
        claimed = await self.group.claim(wanted)
        for claim in claimed:
            self._remember(claim)
        return claimed

    def _remember(self, claim: ClaimedEvent) -> None:
        self._lent.pop(claim.id, None)
        self._lent[claim.id] = (claim.subscription, claim.attempts)
        if len(self._lent) > REMEMBERED:
            del self._lent[next(iter(self._lent))]

    async def rendered(self, claimed: Sequence[ClaimedEvent]) -> Sequence[Rendered]:
        """What their subscriber gets, in order."""
        quick = [self.renderer.quick(claim) for claim in claimed]
        slow = iter(
            await self.renderer.render_all([claim for claim, event in zip(claimed, quick, strict=True) if event is None])
            if None in quick
            else ()
        )
        return [next(slow) if event is None else event for event in quick]

    async def _not_rendered(self, subscription: Subscription, claim: ClaimedEvent, reason: TransportError | None) -> None:
        """Book that there is nothing to give: the translation left the record out, or it cannot be made, now or ever."""
        if reason is None:
            settlement = Settlement(claim.id, claim.fence, DeliveryState.DELIVERED, filtered=True)
        else:
            due_us = Backoff(subscription.retry).due_us(claim.attempts + 1, self.clock.now_us())
            lasting = isinstance(reason, Permanent)
            settlement = _failed(Claim(claim.id, claim.fence), told_of(reason), None if lasting else due_us)
        await self.group.settle(settlement)

    async def give_back(self, claimed: Iterable[ClaimedEvent]) -> None:
        """Nobody saw them: due again at once, with no attempt counted."""
        now_us = self.clock.now_us()
        returned = [Settlement(one.id, one.fence, DeliveryState.DUE, due_at_us=now_us, counts_attempt=False) for one in claimed]
        await asyncio.gather(*map(self.group.settle, returned))
        for one in {(each.tenant, each.subscription) for each in claimed}:
            self.lookout.signals.notify((Way.PULL.value, *one))

    async def ack(self, tenant: str, subscription: Subscription, claims: Sequence[Claim]) -> list[str]:
        """Book them as delivered: `delivered` or `stale` for each. Twice is the same as once.

        Raises:
            Overloaded, JournalUnavailable: some may have been booked; asking again is safe.
        """
        own = await self._own(tenant, subscription, claims)
        settled = await self._settle([Settlement(claim.delivery, claim.fence, DeliveryState.DELIVERED) for claim in claims], own)
        if any(state is not None for state in settled):  # the next of an ordering key may go now
            self.lookout.signals.notify((Way.PULL.value, tenant, subscription.id))
        return ["stale" if state is None else state.value for state in settled]

    async def nack(self, tenant: str, subscription: Subscription, handed_back: Sequence[HandedBack]) -> list[str]:
        """Book failed attempts: `due` again as the subscription's retry settings say or after the asked wait, `quarantined` when the
        attempts are used up or it is to be given up, or `stale`.

        Raises:
            Overloaded, JournalUnavailable: some may have been booked; asking again is safe.
        """
        own = await self._own(tenant, subscription, [each.claim for each in handed_back])
        now_us = self.clock.now_us()
        settlements = []
        for each in handed_back:
            due_us = Backoff(subscription.retry).due_us(own.get(each.claim.delivery, 0) + 1, now_us)
            if due_us is not None and each.retry_after_seconds is not None:
                due_us = now_us + round(each.retry_after_seconds * 1_000_000)
            error = str(Permanent("RNK7210E", reason=each.reason or "-"))
            settlements.append(_failed(each.claim, error, None if each.give_up else due_us))
        settled = await self._settle(settlements, own)
        return ["stale" if state is None else state.value for state in settled]

    async def renew(self, tenant: str, subscription: Subscription, claims: Sequence[Claim], *, lease_seconds: float) -> list[str]:
        """Prolong leases, from now: `renewed` or `stale` for each.

        Raises:
            JournalUnavailable: none was prolonged.
        """
        own = await self._own(tenant, subscription, claims)
        known = [(claim.delivery, claim.fence) for claim in claims if claim.delivery in own]
        prolonged: set[tuple[str, int]] = set()
        if known:
            answers = await asyncio.to_thread(self.journal.renew_events, known, lease_seconds=lease_seconds)
            prolonged = {claim for claim, well in zip(known, answers, strict=True) if well}
        return ["renewed" if (claim.delivery, claim.fence) in prolonged else "stale" for claim in claims]

    async def _settle(self, settlements: Sequence[Settlement], own: Mapping[str, int]) -> list[DeliveryState | None]:
        """Book those of the asking subscription; None for the others."""
        asked = {(one.delivery, one.fence): one for one in settlements if one.delivery in own}
        answers = await asyncio.gather(*map(self.group.settle, asked.values()))
        known = dict(zip(asked, answers, strict=True))
        for delivery, _ in (claim for claim, state in known.items() if state is not None):
            self._lent.pop(delivery, None)
        return [known.get((one.delivery, one.fence)) for one in settlements]

    async def _own(self, tenant: str, subscription: Subscription, claims: Sequence[Claim]) -> dict[str, int]:
        """Failed attempts of those deliveries that are the subscription's own, by delivery."""
        named = [claim.delivery for claim in claims if claim.delivery.startswith(f"{tenant}-")]
        own = {name: known[1] for name in named if (known := self._lent.get(name)) is not None and known[0] == subscription.id}
        unknown = {name for name in named if name not in self._lent}
        return own | (await asyncio.to_thread(self._looked_up, unknown, tenant, subscription.id) if unknown else {})

    def _looked_up(self, names: Iterable[str], tenant: str, subscription: str) -> dict[str, int]:
        own = {}
        for name in names:
            with contextlib.suppress(NotFound):
                found = self.journal.delivery(name)
                if (found.tenant, found.subscription) == (tenant, subscription):
                    own[name] = found.attempts
        return own


def _failed(claim: Claim, error: str, due_us: int | None) -> Settlement:
    """A failed attempt: due again, or given up when that is None."""
    state = DeliveryState.QUARANTINED if due_us is None else DeliveryState.DUE
    return Settlement(claim.delivery, claim.fence, state, error, due_us or 0)
