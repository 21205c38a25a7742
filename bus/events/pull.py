"""Events that subscribers fetch themselves: claim, acknowledge, hand back, prolong.

Owns: what a pulling subscriber may ask of the journal. Leases belong to `pull` and not to a node, so that they outlive the node that gave
them; each delivery is proven to be of the asking subscription before anything is booked for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.errors import NotFound, Permanent, TransportError
from bus.event import ClaimedEvent, OutgoingEvent, Settlement, Wanted, Way
from bus.events.attempts import delivered, expired, failed, not_now
from bus.events.booking import AttemptObserver, Committing, RenewJournal
from bus.events.callers import Caller
from bus.events.lookout import Lookout
from bus.events.receivers import FETCHING, Receiver
from bus.events.render import Rendered, Renderer
from bus.message import FINISHED, Delivery, DeliveryState
from bus.ports import Clock
from bus.retry import Backoff
from bus.site import Limits, Subscription

OWNER: Final = "/pull"
"""no node can be called so"""
MOST_AT_ONCE: Final = 100
"""Deliveries of one claim; more are claimed in turns, so that a large pull keeps nobody waiting."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""About so many bytes of events are given out at once, and one event at least."""
REMEMBERED: Final = 50_000
"""Leases whose subscription is remembered here; of others the journal is asked."""


class PullJournal(RenewJournal, Protocol):
    """What pull asks of the journal besides."""

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a delivery that was lent."""

    subscription: str
    attempts: int
    accepted_at_us: int
    finished: bool = False
    """it was booked as delivered before"""


@dataclass(slots=True)
class Pull:
    """Lends events to their subscribers. `tenant` and `subscription` of every call are what the caller may use: who asks was settled."""

    commits: Committing
    journal: PullJournal
    renderer: Renderer
    lookout: Lookout
    clock: Clock
    observer: AttemptObserver
    _lent: dict[str, _Known] = field(default_factory=dict)
    """by delivery"""

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
            fresh = await self._without_expired(tenant, subscription, claimed)
            too_much: list[ClaimedEvent] = []
            for claim, event in zip(fresh, await self.rendered(fresh), strict=True):
                if caller.gone or size >= MOST_BYTES:
                    too_much.append(claim)
                elif isinstance(event, OutgoingEvent):
                    lent.append(Lent(claim, event))
                    size += len(event.data)
                else:
                    await self._not_rendered(tenant, subscription, claim, event)
            await self.give_back(too_much)
            if len(claimed) < asked:
                break
        if caller.gone:
            await self.give_back([each.claimed for each in lent])
            return []
        return lent

    async def _claim(self, tenant: str, subscription: Subscription, most: int, lease_seconds: float) -> Sequence[ClaimedEvent]:
        wanted = Wanted(tenant, subscription.id, most, OWNER, lease_seconds, Way.PULL, subscription.retry.attempts)
        claimed = await self.commits.claim(wanted)
        for claim in claimed:
            self._remember(claim)
        return claimed

    def _remember(self, claim: ClaimedEvent) -> None:
        self._lent.pop(claim.id, None)
        self._lent[claim.id] = _Known(claim.subscription, claim.attempts, claim.event.accepted_at_us)
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

    async def _without_expired(self, tenant: str, subscription: Subscription, claimed: Sequence[ClaimedEvent]) -> list[ClaimedEvent]:
        """Those still worth having; the others are booked as expired."""
        now_us, receiver = self.clock.now_us(), _receiver(tenant, subscription)
        ended = {claim.id: settlement for claim in claimed if (settlement := expired(claim, receiver, now_us)) is not None}
        if ended:
            await self._book(tenant, subscription, list(ended.values()), None)
        return [claim for claim in claimed if claim.id not in ended]

    async def _not_rendered(self, tenant: str, subscription: Subscription, claim: ClaimedEvent, reason: TransportError | None) -> None:
        """Book that there is nothing to give: the translation left the record out, or it cannot be made, now or ever."""
        if reason is None:
            settlement = delivered(claim, filtered=True)
        else:
            settlement = failed(claim, reason, _receiver(tenant, subscription), self.clock.now_us())
        await self._book(tenant, subscription, [settlement], None)

    async def give_back(self, claimed: Sequence[ClaimedEvent]) -> None:
        """Nobody saw them: due again at once, with no attempt counted."""
        now_us = self.clock.now_us()
        await asyncio.gather(*(self.commits.settle(not_now(one, now_us)) for one in claimed))
        for one in {(each.tenant, each.subscription) for each in claimed}:
            self.lookout.signals.notify((Way.PULL.value, *one))

    async def ack(self, tenant: str, subscription: Subscription, claims: Sequence[Claim]) -> list[str]:
        """Book them as delivered: `delivered` or `stale` for each. Twice is the same as once.

        Raises:
            JournalUnavailable: some may have been booked; asking again is safe.
        """
        own = await self._own(tenant, subscription, claims)
        asked = [Settlement(claim.delivery, claim.fence, DeliveryState.DELIVERED) for claim in claims]
        return await self._book(tenant, subscription, asked, own)

    async def nack(self, tenant: str, subscription: Subscription, handed_back: Sequence[HandedBack]) -> list[str]:
        """Book failed attempts: `due` again as the subscription's retry settings say or after the asked wait, `quarantined` when the
        attempts are used up or it is to be given up, or `stale`.

        Raises:
            JournalUnavailable: some may have been booked; asking again is safe.
        """
        own = await self._own(tenant, subscription, [each.claim for each in handed_back])
        now_us = self.clock.now_us()
        settlements = []
        for each in handed_back:
            known = own.get(each.claim.delivery)
            due_us = Backoff(subscription.retry).due_us(known.attempts + 1 if known else 1, now_us)
            if due_us is not None and each.retry_after_seconds is not None:
                due_us = now_us + round(each.retry_after_seconds * 1_000_000)
            state = DeliveryState.QUARANTINED if due_us is None or each.give_up else DeliveryState.DUE
            error = str(Permanent("RNK7210E", reason=each.reason or "-"))
            settlements.append(Settlement(each.claim.delivery, each.claim.fence, state, error, due_us or 0))
        return await self._book(tenant, subscription, settlements, own)

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

    async def _book(
        self, tenant: str, subscription: Subscription, settlements: Sequence[Settlement], own: Mapping[str, _Known] | None
    ) -> list[str]:
        """Book those of the asking subscription; `stale` for the others, and where the claim had ended. `own` None: all are its own."""
        asked = {(one.delivery, one.fence): one for one in settlements if own is None or one.delivery in own}
        answers = await asyncio.gather(*map(self.commits.settle, asked.values()))
        states = dict(zip(asked, answers, strict=True))
        for key, state in states.items():
            if state is not None:
                self._tell(tenant, subscription.id, asked[key], (own or self._lent).get(key[0]))
                self._lent.pop(key[0], None)
        if any(state in FINISHED for state in states.values()):  # the next of an ordering key may go now
            self.lookout.signals.notify((Way.PULL.value, tenant, subscription.id))
        found = (states.get((one.delivery, one.fence)) for one in settlements)
        return ["stale" if state is None else state.value for state in found]

    def _tell(self, tenant: str, subscription: str, booked: Settlement, known: _Known | None) -> None:
        if known is not None and known.finished:
            return
        if booked.state is DeliveryState.DELIVERED:
            now_us = self.clock.now_us()
            seconds = max(0.0, (now_us - (known.accepted_at_us if known else now_us)) / 1_000_000)
            self.observer.delivered(tenant, subscription, FETCHING, seconds)
        elif booked.state is DeliveryState.DUE:
            self.observer.retried(tenant, subscription)
        elif booked.state is DeliveryState.QUARANTINED:
            self.observer.given_up(tenant, subscription)
        else:
            self.observer.expired(tenant, subscription)

    async def _own(self, tenant: str, subscription: Subscription, claims: Sequence[Claim]) -> dict[str, _Known]:
        """Those deliveries that are the subscription's own."""
        named = [claim.delivery for claim in claims if claim.delivery.startswith(f"{tenant}-")]
        own = {name: known for name in named if (known := self._lent.get(name)) is not None and known.subscription == subscription.id}
        unknown = {name for name in named if name not in self._lent}
        return own | (await asyncio.to_thread(self._looked_up, unknown, tenant, subscription.id) if unknown else {})

    def _looked_up(self, names: Iterable[str], tenant: str, subscription: str) -> dict[str, _Known]:
        own = {}
        for name in names:
            with contextlib.suppress(NotFound):
                found = self.journal.delivery(name)
                if (found.tenant, found.subscription) == (tenant, subscription):
                    own[name] = _Known(subscription, found.attempts, found.created_at_us, found.finished_at_us is not None)
        return own


def _receiver(tenant: str, subscription: Subscription) -> Receiver:
    """The subscription as attempts are judged by."""
    return Receiver(tenant, subscription.id, subscription.endpoint, FETCHING, Limits(), subscription.retry, subscription.expires_seconds)
