"""Publishing: from an event as it came to a message in the journal, or to a refusal that says why.

Owns: the order of steps on the publish path. Nobody is told "accepted" before the commit that holds the event is on disk; whatever is
wrong with an event is said at once, to its publisher, with every broken rule. What came over AMQP has nobody to tell: it goes to
quarantine with its raw bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.broker.hints import Hints
from bus.calendar import business_date
from bus.errors import EventRefused, JournalError, JournalUnavailable, NotFound, Overloaded
from bus.event import ClaimedEvent, EventDelivery, EventDraft, EventOutcome, EventTaken, NewEvent, PoisonEvent, Way
from bus.event_envelope import MEDIA_TYPE
from bus.event_ports import DeadLetter, IncomingEvent
from bus.events.cloudevents import Published, parse_binary, parse_structured, time_us
from bus.events.group_commit import GroupCommit
from bus.events.recipes import EventInterface, EventRecipes
from bus.events.signals import Signals
from bus.message import Part, QuarantineEntry
from bus.ports import Binding, Clock, PayloadStore
from bus.security.keyed_hash import KeyedHash
from contracts.errors import EventUnreadable
from contracts.event_record import Record, masked
from contracts.masking import HIDDEN
from monitoring.log import log

INLINE_BYTES: Final = 64 * 1024
"""A longer body stands in a part beside the journal."""
_SECOND_US: Final = 1_000_000
_SEPARATOR: Final = b"\x1e"
_TYPE: Final = re.compile(r"(?:[A-Za-z._:/-]|(?<![0-9])[0-9]{1,3}(?![0-9])){1,100}")
"""A type that may be shown. What is none can be anything a sender wrote: a name, a person's number."""
_MESSAGE_ID: Final = re.compile(r"[0-9]{6}-m[0-9]{1,18}")


class EventObserver(Protocol):
    """Who counts events (metrics)."""

    def event(self, tenant: str, interface: str, outcome: str) -> None:
        """One came, and this became of it: accepted, duplicate, conflict, refused."""
        ...

    def overloaded(self, reason: str) -> None:
        """One was told to come back later."""
        ...

    def event_published(self, via: str, seconds: float) -> None:
        """From its last byte to its place on disk it took so long, by `http` or `amqp`."""
        ...


class Handing(Protocol):
    """The dispatcher, as far as publishing knows it."""

    def reserve(self, tenant: str, endpoint: str, subscription: str) -> bool:
        """Whether it may be handed one more delivery now; keeps a place for it."""
        ...

    def unreserve(self, tenant: str, endpoint: str) -> None:
        """The place is not needed."""
        ...

    def wake(self, tenant: str, subscription: str, count: int = 1) -> None:
        """So many more deliveries of the subscription may be claimable."""
        ...

    def hand_over(self, claimed: Sequence[ClaimedEvent]) -> None:
        """Send these, which are claimed already, in the places reserved for them."""
        ...


class IntakeEventJournal(Protocol):
    """What it needs of the journal besides the group commit."""

    def event(self, message_id: str) -> EventDraft:
        """See `bus.event_ports.EventJournal`."""
        ...

    def poison(self, poison: PoisonEvent) -> QuarantineEntry:
        """See `bus.event_ports.EventJournal`."""
        ...

    def dead_letter(self, letter: DeadLetter, part: Part) -> QuarantineEntry:
        """See `bus.event_ports.EventJournal`."""
        ...


@dataclass(slots=True)
class EventIntake:
    """Takes events in, in the node's event loop."""

    recipes: EventRecipes
    commit: GroupCommit
    journal: IntakeEventJournal
    payloads: PayloadStore
    hashes: KeyedHash
    hints: Hints
    signals: Signals
    clock: Clock
    observer: EventObserver
    handing: Handing | None = None
    _days: dict[str, tuple[int, str]] = field(default_factory=dict)
    _clock_seconds: Callable[[], float] = time.perf_counter

    def interface(self, tenant: str, name: str) -> EventInterface:
        """The event interface of that name.

        Raises:
            EventRefused: there is none (404), whatever else that name may be.
        """
        found = self.recipes.interfaces.get((tenant, name))
        if found is None:
            raise EventRefused("RNK4302E", status=404, tenant=tenant[:40], interface=name[:80])
        return found

    def unreadable(self, tenant: str, interface: str) -> None:
        """Count what came for an interface and is no event at all."""
        self.observer.event(tenant, interface, "refused")

    async def publish(self, to: EventInterface, published: Published, via: str = "http") -> EventTaken:
        """Take one event in. Returns ACCEPTED or DUPLICATE.

        Raises:
            EventRefused: with its status and, for a broken contract, every broken rule. Overloaded, JournalUnavailable: not now.
        """
        began = self._clock_seconds()
        try:
            record = self._checked(to, published)
            new = await self._new(to, published, record)
        except EventRefused:
            self.observer.event(to.tenant, to.interface.id, "refused")
            raise
        handed = [one for one in new.deliveries if one.hand_over]
        try:
            taken = await self.commit.accept(new)
        except BaseException as error:
            self._unreserve(new.tenant, handed)
            if isinstance(error, Overloaded):
                self.observer.overloaded("events_waiting")
            raise
        self.observer.event_published(via, self._clock_seconds() - began)
        self.observer.event(to.tenant, to.interface.id, taken.outcome.value)
        if handed:
            self._hand_over(new.tenant, handed, taken)
        if taken.outcome is EventOutcome.CONFLICT:
            raise EventRefused("RNK4303E", status=409, message=taken.message)
        if taken.outcome is EventOutcome.ACCEPTED:
            self._tell(new, taken)
        return taken

    async def receive(self, incoming: IncomingEvent) -> None:
        """Take in what an application sent over AMQP: as a message, or else into quarantine with its raw bytes.

        Raises:
            Overloaded, JournalUnavailable: nothing was taken; it may come again.
        """
        readable = False
        try:
            to = self.interface(incoming.tenant, incoming.interface)
            if incoming.content_type.partition(";")[0].strip().lower() == MEDIA_TYPE:
                published = parse_structured(incoming.body)
            else:
                published = parse_binary(incoming.content_type or "application/json", incoming.headers, incoming.body, encoded=False)
            readable = True  # from here on it is counted
            await self.publish(to, published, "amqp")
        except JournalUnavailable:
            raise
        except (EventRefused, JournalError) as refused:  # what the journal will not hold, it will not hold the next time either
            if not readable:
                self.unreadable(incoming.tenant, incoming.interface)
            await asyncio.to_thread(self._keep_poison, incoming, refused)

    async def bury(self, letter: DeadLetter) -> None:
        """Keep what a receiver gave back, where an operator sees it.

        Raises:
            JournalUnavailable: not now; it may come again.
        """
        part = await asyncio.to_thread(self._put, letter.tenant, "dead", letter.body)
        await asyncio.to_thread(self.journal.dead_letter, letter, part)
        log("RNK4318W", tenant=letter.tenant, subscription=letter.subscription, queue=letter.queue, reason=letter.reason or "-")

    # steps of publishing

    def _checked(self, to: EventInterface, published: Published) -> Record:
        rules = to.interface.event
        if len(published.body) > rules.max_bytes:
            raise EventRefused("RNK4305E", status=413, bytes=len(published.body), most=rules.max_bytes)
        if rules.types and published.attributes.type not in rules.types:
            raise EventRefused("RNK4306E", status=422, type=_shown(published.attributes.type), known=", ".join(rules.types))
        try:
            record = to.reader.read(published.data)
        except EventUnreadable as unreadable:
            refused = EventRefused(unreadable.message_id)
            refused.facts = unreadable.facts
            raise refused from unreadable
        violations = to.reader.check(record)
        if violations and (broken := [one for one in violations if one.severity == "reject"]):
            problems = masked(to.reader.contract, violations, record)
            raise EventRefused("RNK4304E", status=422, problems=problems, contract=to.reader.contract.contract, count=len(broken))
        return record

    async def _new(self, to: EventInterface, published: Published, record: Record) -> NewEvent:
        attributes, extensions = published.attributes, published.attributes.extensions
        reply = extensions.get("inreplyto") if extensions else None
        if reply is not None:
            await asyncio.to_thread(self._must_be_ours, to.tenant, reply)
        day = self._business_date(to)
        key = self.hashes.of(to.tenant, to.reader.key_text(record))
        body, part = published.body, None
        if len(body) > INLINE_BYTES:
            part, body = await asyncio.to_thread(self._put, to.tenant, "event", body), b""
        expires_at_us = self._expires_at_us(to, extensions.get("expirytime") if extensions else None)
        content = (to.reader.canonical(record), attributes.type.encode(), attributes.subject.encode(), (reply or "").encode())
        return NewEvent(
            tenant=to.tenant,
            interface=to.interface.id,
            source_system=to.system,
            endpoint=to.interface.endpoint,
            versions=to.versions,
            business_date=day,
            attributes=attributes,
            form=published.form,
            body=body,
            content=hashlib.sha256(_SEPARATOR.join(content)).hexdigest(),
            ordering_key=key,
            deliveries=self._deliveries(to, record, day),
            expires_at_us=expires_at_us,
            in_reply_to=reply,
            part=part,
        )

    def _expires_at_us(self, to: EventInterface, own: str | None) -> int | None:
        """Until when it is worth delivering: by its interface, and by itself, whichever is over first."""
        ends = [] if own is None else [time_us(own)]
        if to.expires_seconds is not None:
            ends.append(self.clock.now_us() + round(to.expires_seconds * _SECOND_US))
        return min(ends, default=None)

    def _must_be_ours(self, tenant: str, request: str) -> None:
        try:
            if request.startswith(f"{tenant}-m"):
                self.journal.event(request)
                return
        except NotFound:
            pass
        raise EventRefused("RNK4307E", status=422, message=request if _MESSAGE_ID.fullmatch(request) else HIDDEN)

    def _deliveries(self, to: EventInterface, record: Record, day: str) -> list[EventDelivery]:
        made = []
        for one in to.recipients:
            if not one.valid_on(day):
                continue
            sent = one.sent
            if not one.takes(record):
                made.append(one.filtered)
            elif sent.way is Way.PUSH and self.handing is not None and self.handing.reserve(to.tenant, sent.endpoint, sent.subscription):
                made.append(one.handed_over)
            else:
                made.append(sent)
        return made

    def _business_date(self, to: EventInterface) -> str:
        """The business date now; worked out anew every second."""
        now_us = self.clock.now_us()
        second, day = self._days.get(to.interface.day_ends, (-1, ""))
        if second != now_us // _SECOND_US:
            day = business_date(now_us, to.interface.day_ends, self.recipes.recipes.site.site.time_zone)
            self._days[to.interface.day_ends] = (now_us // _SECOND_US, day)
        return day

    # what follows a commit

    def _unreserve(self, tenant: str, handed: Sequence[EventDelivery]) -> None:
        if self.handing is not None:
            for one in handed:
                self.handing.unreserve(tenant, one.endpoint)

    def _hand_over(self, tenant: str, reserved: Sequence[EventDelivery], taken: EventTaken) -> None:
        claimed = {one.subscription for one in taken.handed_over}
        self._unreserve(tenant, [one for one in reserved if one.subscription not in claimed])
        if claimed and self.handing is not None:
            self.handing.hand_over(taken.handed_over)

    def _tell(self, new: NewEvent, taken: EventTaken) -> None:
        """Wake whoever waits for it, here and in other nodes."""
        claimed = {one.subscription for one in taken.handed_over}
        ways = {one.subscription: one.way for one in new.deliveries}
        hinted = []
        for subscription, delivery in taken.deliveries:
            if subscription in claimed:
                continue
            if ways[subscription] is Way.PULL:
                self.signals.notify((Way.PULL.value, new.tenant, subscription))
            elif self.handing is not None:
                self.handing.wake(new.tenant, subscription)
            else:
                hinted.append(f"{delivery}/{subscription}")
        if hinted:
            self.hints.publish(hinted)
        if new.in_reply_to is not None:
            self.signals.notify(("reply", new.in_reply_to))

    # parts

    def _put(self, tenant: str, kind: str, body: bytes) -> Part:
        """Keep a body in a part. Its place follows from its content, so that a body that comes again takes no second one."""
        name = f"{kind}-{hashlib.sha256(body).hexdigest()[:40]}"
        return self.payloads.put(body, Binding(tenant, name, kind, 0, True))

    def _keep_poison(self, incoming: IncomingEvent, refused: EventRefused | JournalError) -> None:
        facts = {name: value if isinstance(value, int) else str(value) for name, value in refused.facts.items()}
        problems = refused.problems if isinstance(refused, EventRefused) else ()
        broken = [{"field": one["field"], "rule": one["rule"]} for one in problems]
        reason = json.dumps({"message_id": refused.message_id, "facts": facts, "broken": broken}, ensure_ascii=False)
        part = self._put(incoming.tenant, "poison", incoming.body)
        kept = self.journal.poison(PoisonEvent(incoming.tenant, incoming.interface, incoming.endpoint, incoming.name, reason, part))
        log("RNK4319W", tenant=incoming.tenant, interface=incoming.interface, entry=kept.id, reason=refused.message_id)


def _shown(kind: str) -> str:
    return kind if _TYPE.fullmatch(kind) else HIDDEN
