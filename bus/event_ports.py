"""The ports of events: the journal's role for them, and what adapters give the bus to send and receive them.

Owns: small Protocols. The journal's side is synchronous and called by the group commit's thread or through `asyncio.to_thread`; the
adapters' side is asynchronous and runs in the node's event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bus.event import ClaimedEvent, EventDraft, EventTaken, NewEvent, OutgoingEvent, PoisonEvent, Settlement, Wanted
from bus.message import DeliveryState, Part, QuarantineEntry


@dataclass(frozen=True, slots=True)
class Group:
    """What one durable transaction is to do: accept events, settle attempts, claim deliveries - in this order."""

    accept: Sequence[NewEvent] = ()
    settle: Sequence[Settlement] = ()
    claim: Sequence[Wanted] = ()


@dataclass(frozen=True, slots=True)
class GroupDone:
    """The answers, each in the order of its question. A settlement whose claim had ended has None: nothing was changed by it."""

    taken: Sequence[EventTaken]
    settled: Sequence[DeliveryState | None]
    claimed: Sequence[Sequence[ClaimedEvent]]


class EventJournal(Protocol):
    """What events ask of the journal. Each call is one durable transaction with its journal entries in it."""

    def commit(self, group: Group, owner: str, *, lease_seconds: float) -> GroupDone:
        """Do the whole group in one transaction, or nothing of it. `owner` and `lease_seconds` are of deliveries handed over at once.

        Accepting: (tenant, source, event id) is unique; one delivery per subscription, numbered per subscription in the order given.
        Claiming: due, head of its ordering key, not waiting for a person's support-measure flag; lanes in order, then longest due.

        Raises:
            JournalUnavailable: nothing was changed. JournalError: something in it was refused by a constraint; nothing was changed.
        """
        ...

    def waiting(self, *, way: str) -> Sequence[tuple[str, str]]:
        """(tenant, subscription) that have a delivery of that way claimable now. Cost grows with their number, not with the queues."""
        ...

    def poison(self, poison: PoisonEvent) -> QuarantineEntry:
        """Put what cannot become a message into quarantine; the same part twice is one entry."""
        ...

    def dead_letter(self, letter: DeadLetter, part: Part) -> QuarantineEntry:
        """Put what a receiver gave back into quarantine, where it can be sent again; the same one twice is one entry."""
        ...

    def renew_events(self, claims: Sequence[tuple[str, int]], *, lease_seconds: float) -> Sequence[bool]:
        """Prolong the leases of (delivery, fence); False where the claim has ended."""
        ...

    def event(self, message_id: str) -> EventDraft:
        """One event with its body; NotFound when there is none."""
        ...

    def reply_to(self, message_id: str, *, interface: str | None = None) -> EventDraft | None:
        """The first message accepted as a reply to that one; `interface`: of those that came on it."""
        ...

    def sent_after(self, tenant: str, subscription: str, number: int, *, limit: int) -> Sequence[ClaimedEvent]:
        """Delivered events of a subscription with a number above `number`, in order: what a reader that lost its connection has not
        confirmed. They are not claimed; their fence is that of their last claim."""
        ...


# --- adapters


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """An event as an application sent it, before anything was checked. `headers` are the CloudEvents attributes that stand outside the
    body (binary mode), lower case, without prefix; empty in structured mode."""

    tenant: str
    interface: str
    endpoint: str
    content_type: str
    headers: Mapping[str, str]
    body: bytes
    name: str
    """where it came from, for people: the queue"""


class EventSink(Protocol):
    """Sends events to one endpoint. Several `send` may run at once; the order per key is kept by the caller."""

    async def send(self, event: OutgoingEvent) -> None:
        """Deliver; returns only when the receiver has confirmed it.

        Raises:
            Transient: trying again may help (`retry_after_seconds` among its facts when the receiver asked for a wait).
            Permanent: trying again cannot help.
        """
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...


Accept = Callable[[IncomingEvent], Awaitable[None]]
"""Returns when the event is in the journal, as a message or in quarantine: the source may then acknowledge. Raises JournalUnavailable or
Overloaded: not now; the source keeps it and tries again later."""


class EventSource(Protocol):
    """Takes events of one endpoint in until cancelled; survives reconnects."""

    async def run(self, accept: Accept) -> None:
        """Receive for ever."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that the receiver's broker gave back after it was delivered: the application rejected it, let it go too often, or did not
    fetch it in time."""

    tenant: str
    subscription: str
    endpoint: str
    delivery: str
    """its idempotency key, as far as it can be read; else empty"""
    reason: str
    """the broker's word: `rejected`, `delivery_limit`, `expired` or `maxlen`; empty when it says none"""
    queue: str
    """where the application was to fetch it"""
    content_type: str
    body: bytes


Bury = Callable[[DeadLetter], Awaitable[None]]
"""Returns when the journal has it where an operator sees it. Raises JournalUnavailable: not now; the source keeps it and tries again."""


class DeadLetterSource(Protocol):
    """Takes back what the receivers of one endpoint gave up, until cancelled; survives reconnects."""

    async def run(self, bury: Bury) -> None:
        """Take back for ever."""
        ...


def tell_nobody(message_id: str, /, **facts: object) -> None:
    """Where an adapter's words go when nobody listens."""


@dataclass(frozen=True, slots=True)
class EventPlace:
    """What an event adapter is told of an endpoint: who and where it is, and the connection of the site's broker, if it has one."""

    tenant: str
    endpoint: str
    settings: Mapping[str, object]
    folder: str
    """the site's folder, for relative paths in settings"""
    interfaces: Sequence[str]
    """that take events from it"""
    subscriptions: Sequence[str]
    """that it serves"""
    broker: Broker | None
    tell: Callable[..., None] = tell_nobody
    """`tell(message_id, **facts)`: the node's log, for trouble that no event is to blame for"""


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach RabbitMQ. The password is read from its file when connecting."""

    url: str
    password_file: str | None
    management_url: str | None


class EventAdapter(Protocol):
    """What an entry point of the group `renkei.event_adapters` names."""

    def event_source(self, place: EventPlace) -> EventSource | None:
        """A source, or None when events come another way (HTTP: the API takes them)."""
        ...

    def event_sink(self, place: EventPlace) -> EventSink | None:
        """A sink, or None when the subscriber fetches them itself (pull)."""
        ...


@runtime_checkable
class GivesDeadLetters(Protocol):
    """What an event adapter has besides when receivers may give back what was delivered."""

    def dead_letters(self, place: EventPlace) -> DeadLetterSource | None:
        """Where they come back, or None when this endpoint has no receivers."""
        ...
